//! What judging one row may cost, so that no policy makes a request take for ever.
//!
//! Patterns match in time linear in the text, globs in its square at worst. A decision has a number of
//! [steps](STEPS_MAX); rows that are judged by evaluating an expression take theirs from it.

use super::eval::{Argument, Conditions};
use super::expr::Expr;
use super::pattern::Matching;
use super::roles::Roles;
use crate::bounds::STEPS_MAX;
use crate::value::View;

/// The cost of one row of a section.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    /// Steps that a decision may take.
    pub(crate) steps_max: u64,
    parts: u64,
    patterns: u64,
    globs: u64,
}

impl Default for Cost {
    fn default() -> Self {
        Self {
            steps_max: STEPS_MAX,
            parts: 1,
            patterns: 0,
            globs: 0,
        }
    }
}

impl Cost {
    /// That of a matcher together with the dearest condition that a row can bring.
    pub(crate) fn of(matcher: &Expr, conditions: &Conditions) -> Self {
        let mut cost = Self::default();
        cost.add(matcher);
        let (mut parts, mut patterns, mut globs) = (0, 0, 0);
        for condition in conditions.values() {
            let mut own = Self::default();
            own.add(condition);
            parts = own.parts.max(parts);
            patterns = own.patterns.max(patterns);
            globs = own.globs.max(globs);
        }
        cost.parts += parts;
        cost.patterns += patterns;
        cost.globs += globs;
        cost
    }

    /// Adds what asking for roles costs where names are patterns.
    pub(crate) fn add_roles(&mut self, matcher: &Expr, conditions: &Conditions, roles: &[Roles]) {
        let of = |expr: &Expr| {
            let (mut patterns, mut globs) = (0, 0);
            expr.each(&mut |expr| {
                if let Expr::Role { relation, .. } = expr
                    && let Some(named) = roles.get(*relation).and_then(Roles::named)
                {
                    let (matches, are_globs) = named.cost();
                    patterns += matches;
                    globs += if are_globs { matches } else { 0 };
                }
            });
            (patterns, globs)
        };
        let own = of(matcher);
        let dearest = conditions.values().map(of).max().unwrap_or_default();
        self.patterns += own.0 + dearest.0;
        self.globs += own.1 + dearest.1;
    }

    fn add(&mut self, expr: &Expr) {
        expr.each(&mut |expr| {
            self.parts += 1;
            match expr {
                Expr::Match {
                    matching: Matching::Glob,
                    ..
                } => self.globs += 1,
                Expr::Match { .. } | Expr::Extract { .. } => self.patterns += 1,
                Expr::Text(_)
                | Expr::Number(_)
                | Expr::Bool(_)
                | Expr::List(_)
                | Expr::Request { .. }
                | Expr::Rule { .. }
                | Expr::Same { .. }
                | Expr::Is { .. }
                | Expr::Eval { .. }
                | Expr::Not(_)
                | Expr::Negative(_)
                | Expr::All(_)
                | Expr::Any(_)
                | Expr::Compare(..)
                | Expr::Arithmetic(..)
                | Expr::Role { .. } => {}
            }
        });
    }

    /// The steps that one row takes for this request.
    pub(crate) fn of_row(&self, request: &[Argument<'_>]) -> u64 {
        let length = |argument: &Argument<'_>| match argument.view {
            View::Text(text) => text.len() as u64,
            View::Null | View::Bool(_) | View::Number(_) => 0,
            // An attribute may be any text of the request; lists and objects hold no more than a request may bring.
            View::List(_) | View::Object(_) => 256,
        };
        self.of_texts(request.iter().map(length).max().unwrap_or_default())
    }

    /// The steps that one row takes for a request whose longest text has so many bytes.
    pub(crate) fn of_texts(&self, bytes: u64) -> u64 {
        let bytes = bytes / 4;
        self.parts + self.patterns * bytes + self.globs * bytes * (bytes + 1)
    }
}
