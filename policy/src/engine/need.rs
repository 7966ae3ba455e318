//! What a request must give so that no term of a matcher can fail.

use super::eval::{Conditions, Scene};
use super::expr::{Expr, PatternOf, Type};
use super::network;
use super::pattern::Matching;
use crate::model::parser::Comparison;
use crate::value::View;

/// An argument or attribute of the request, and what it must be.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Need {
    argument: usize,
    path: Vec<Box<str>>,
    kind: NeedKind,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum NeedKind {
    /// It must be there.
    Any,
    Text,
    Number,
    Bool,
    List,
    /// A text that is an address.
    Address,
}

impl Need {
    /// Whether a request gives it.
    pub(crate) fn is_met(&self, scene: &Scene<'_>) -> bool {
        let Ok(value) = scene.attribute(self.argument, &self.path) else {
            return false;
        };
        match self.kind {
            NeedKind::Any => true,
            NeedKind::Text => matches!(value, View::Text(_)),
            NeedKind::Number => matches!(value, View::Number(_)),
            NeedKind::Bool => matches!(value, View::Bool(_)),
            NeedKind::List => matches!(value, View::List(_)),
            NeedKind::Address => {
                matches!(value, View::Text(text) if network::address(text).is_some())
            }
        }
    }
}

impl Need {
    /// The argument that must be a text, if that is all.
    pub(crate) fn plain_text(&self) -> Option<usize> {
        let plain = self.path.is_empty() && self.kind == NeedKind::Text;
        plain.then_some(self.argument)
    }
}

/// The needs of a matcher and the conditions it may evaluate; `None` if they cannot be told.
pub(crate) fn of(matcher: &Expr, conditions: &Conditions) -> Option<Vec<Need>> {
    let mut needs = Vec::new();
    let told = of_condition(matcher, &mut needs)
        && conditions
            .values()
            .all(|condition| of_condition(condition, &mut needs));
    told.then_some(needs)
}

/// The needs of a condition, added to `needs`; `false` if they cannot be told.
fn of_condition(expr: &Expr, needs: &mut Vec<Need>) -> bool {
    match expr {
        Expr::Bool(_) | Expr::Same { .. } | Expr::Is { .. } | Expr::Eval { .. } => true,
        Expr::Not(inner) => of_condition(inner, needs),
        Expr::All(parts) | Expr::Any(parts) => parts.iter().all(|part| of_condition(part, needs)),
        Expr::Compare(comparison, sides) => of_comparison(*comparison, sides, needs),
        Expr::Match {
            matching: Matching::Ip,
            value,
            pattern: PatternOf::Fixed(_) | PatternOf::Rule { .. },
        } => matches!(**value, Expr::Request { .. }) && is(value, NeedKind::Address, needs),
        Expr::Match { value, pattern, .. } => {
            let pattern = match pattern {
                PatternOf::Any(expr) => is(expr, NeedKind::Text, needs),
                PatternOf::Fixed(_) | PatternOf::Rule { .. } => true,
            };
            pattern && is(value, NeedKind::Text, needs)
        }
        Expr::Role {
            who, role, domain, ..
        } => [Some(who), Some(role), domain.as_ref()]
            .into_iter()
            .flatten()
            .all(|part| is(part, NeedKind::Text, needs)),
        Expr::Request { .. } => is(expr, NeedKind::Bool, needs),
        Expr::Text(_)
        | Expr::Number(_)
        | Expr::List(_)
        | Expr::Rule { .. }
        | Expr::Extract { .. }
        | Expr::Negative(_)
        | Expr::Arithmetic(..) => false,
    }
}

fn of_comparison(comparison: Comparison, sides: &(Expr, Expr), needs: &mut Vec<Need>) -> bool {
    let (left, right) = sides;
    match comparison {
        Comparison::Equal | Comparison::NotEqual => {
            is(left, NeedKind::Any, needs) && is(right, NeedKind::Any, needs)
        }
        Comparison::In => {
            let list = match right.as_list() {
                Some(items) => items.iter().all(|item| is(item, NeedKind::Any, needs)),
                None => is(right, NeedKind::List, needs),
            };
            list && is(left, NeedKind::Any, needs)
        }
        Comparison::Less
        | Comparison::LessOrEqual
        | Comparison::Greater
        | Comparison::GreaterOrEqual => {
            // Two attributes may be two numbers or two texts: what they must be cannot be told of each alone.
            let kind = match (left.type_of(), right.type_of()) {
                (Type::Number, _) | (_, Type::Number) => NeedKind::Number,
                (Type::Text, _) | (_, Type::Text) => NeedKind::Text,
                _ => return false,
            };
            is(left, kind, needs) && is(right, kind, needs)
        }
    }
}

/// The needs of a value that must be of `kind`.
fn is(expr: &Expr, kind: NeedKind, needs: &mut Vec<Need>) -> bool {
    match expr {
        Expr::Request { argument, path } => {
            let need = Need {
                argument: *argument,
                path: path.to_vec(),
                kind,
            };
            let trivial = path.is_empty() && kind == NeedKind::Any;
            if !trivial && !needs.contains(&need) {
                needs.push(need);
            }
            needs.len() <= NEEDS_MAX
        }
        Expr::Extract { value, pattern, .. } => {
            let pattern = match pattern {
                PatternOf::Any(expr) => is(expr, NeedKind::Text, needs),
                PatternOf::Fixed(_) | PatternOf::Rule { .. } => true,
            };
            pattern && is(value, NeedKind::Text, needs)
        }
        Expr::Negative(inner) => is(inner, NeedKind::Number, needs),
        Expr::Arithmetic(_, sides) => {
            is(&sides.0, NeedKind::Number, needs) && is(&sides.1, NeedKind::Number, needs)
        }
        // Their types have been checked when the matcher was.
        Expr::Text(_) | Expr::Number(_) | Expr::Rule { .. } => true,
        Expr::List(_) => false,
        Expr::Bool(_)
        | Expr::Same { .. }
        | Expr::Is { .. }
        | Expr::Eval { .. }
        | Expr::Not(_)
        | Expr::All(_)
        | Expr::Any(_)
        | Expr::Compare(..)
        | Expr::Match { .. }
        | Expr::Role { .. } => of_condition(expr, needs),
    }
}

/// Needs checked for each request; a matcher with more is walked.
const NEEDS_MAX: usize = 64;
