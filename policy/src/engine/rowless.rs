//! A matcher as Casbin asks it of a policy without rows: every field of the row is the empty text.
//!
//! What it answers permits nothing; it says where Casbin would raise an error, and then nothing is permitted.

use super::expr::{Expr, PatternOf};
use super::pattern::Matching;
use crate::model::parser::Comparison;
use crate::rules::symbols::Symbols;

impl Expr {
    /// The same with the empty text for every field of the row; what holds of a row alone has then one answer.
    pub(crate) fn with_empty_fields(&self, symbols: &Symbols) -> Self {
        let of = |expr: &Self| expr.with_empty_fields(symbols);
        let boxed = |expr: &Self| Box::new(expr.with_empty_fields(symbols));
        let sides = |sides: &(Self, Self)| Box::new((of(&sides.0), of(&sides.1)));
        match self {
            Self::Rule { .. } => Self::Text("".into()),
            Self::Same { argument, .. } => {
                let argument = Self::Request {
                    argument: *argument,
                    path: Vec::new(),
                };
                let sides = Box::new((argument, Self::Text("".into())));
                Self::Compare(Comparison::Equal, sides)
            }
            Self::Is { symbol, .. } => Self::Bool(symbols.text(*symbol).is_empty()),
            // Where there are no rows, a policy that evaluates them is not asked at all.
            Self::Eval { .. } => Self::Bool(false),
            Self::List(parts) => Self::List(parts.iter().map(of).collect()),
            Self::All(parts) => Self::All(parts.iter().map(of).collect()),
            Self::Any(parts) => Self::Any(parts.iter().map(of).collect()),
            Self::Not(inner) => Self::Not(boxed(inner)),
            Self::Negative(inner) => Self::Negative(boxed(inner)),
            Self::Compare(comparison, both) => Self::Compare(*comparison, sides(both)),
            Self::Arithmetic(operation, both) => Self::Arithmetic(*operation, sides(both)),
            Self::Match {
                matching,
                value,
                pattern,
            } => matched(*matching, boxed(value), pattern, symbols),
            Self::Extract {
                extraction,
                value,
                pattern,
                name,
            } => Self::Extract {
                extraction: *extraction,
                value: boxed(value),
                pattern: emptied(pattern, symbols),
                name: name.clone(),
            },
            Self::Role {
                relation,
                who,
                role,
                domain,
            } => Self::Role {
                relation: *relation,
                who: boxed(who),
                role: boxed(role),
                domain: domain.as_ref().map(|domain| boxed(domain)),
            },
            Self::Text(_) | Self::Number(_) | Self::Bool(_) | Self::Request { .. } => self.clone(),
        }
    }
}

/// A pattern that is a field matches as the empty one: nothing but the empty text, as a regular expression every
/// text; as a network it is an error.
fn matched(matching: Matching, value: Box<Expr>, pattern: &PatternOf, symbols: &Symbols) -> Expr {
    let is_field = matches!(pattern, PatternOf::Rule { .. });
    match matching {
        // A value that is no condition: evaluating it is an error.
        Matching::Ip if is_field => Expr::Number(0.0),
        Matching::Regex if is_field => Expr::Match {
            matching,
            value,
            pattern: PatternOf::Any(Box::new(Expr::Text("*".into()))),
        },
        Matching::Ip
        | Matching::Regex
        | Matching::KeyMatch
        | Matching::KeyMatch2
        | Matching::KeyMatch3
        | Matching::KeyMatch4
        | Matching::KeyMatch5
        | Matching::Glob => Expr::Match {
            matching,
            value,
            pattern: emptied(pattern, symbols),
        },
    }
}

fn emptied(pattern: &PatternOf, symbols: &Symbols) -> PatternOf {
    match pattern {
        PatternOf::Fixed(symbol) => PatternOf::Fixed(*symbol),
        PatternOf::Rule { .. } => PatternOf::Any(Box::new(Expr::Text("".into()))),
        PatternOf::Any(expr) => PatternOf::Any(Box::new(expr.with_empty_fields(symbols))),
    }
}
