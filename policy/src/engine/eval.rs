//! Evaluating a checked expression for one request and one row.
//!
//! What Go's evaluator answers with an error or a panic is an [`EvaluationFault`] here, and denies. Expressions are
//! bounded in size and depth at load, have no loops and no calls back, so evaluation is bounded too.

use super::expr::{Expr, PatternOf};
use super::network;
use super::pattern::{Matching, Patterns, key_match};
use super::roles::{NO_DOMAIN, Roles};
use crate::model::parser::{Comparison, Operation};
use crate::rules::symbols::{Likely, PairState, Symbol, Symbols};
use crate::value::{Attributes, View};
use std::collections::HashMap;
use thiserror::Error;

/// Why a request could not be evaluated, where Casbin would raise an error.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum EvaluationFault {
    /// The request lacks an attribute that the matcher reads.
    #[error("the request lacks an attribute that the matcher reads; send it or change the matcher")]
    MissingAttribute,
    /// A value has not the type that an operator or function takes.
    #[error(
        "a value has not the type that the matcher takes; compare texts with texts, numbers with numbers"
    )]
    WrongType,
    /// `ipMatch` was asked about something that is no address.
    #[error("`ipMatch` was asked about something that is no address; send it without a port")]
    NoAddress,
    /// Someone holds more roles for a time than are followed.
    #[error("someone holds more roles for a time than are followed; flatten the roles")]
    TooManyRoles,
    /// The decision would take more steps than a request may cost.
    #[error(
        "the decision would take more steps than a request may cost; compare a column with `==` so that rows are found by it"
    )]
    TooManySteps,
    /// The request has another number of arguments than the model.
    #[error(
        "the request has another number of arguments than the model; send one for each name of `r`"
    )]
    ArgumentCount,
    /// The model has no such context.
    #[error("the model has no such context; define `r`, `p`, `e` and `m` with its number")]
    UnknownContext,
}

/// An argument of a request, and its number where the policy knows the text and the matcher asks for it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Argument<'a> {
    pub(crate) view: View<'a>,
    pub(crate) symbol: Option<Symbol>,
    /// The tag of the text, where the matcher asks for its number.
    pub(crate) tag: u32,
    pub(crate) likely: Likely,
    /// What is known of it besides its text.
    pub(crate) attributes: Attributes<'a>,
}

impl Argument<'_> {
    pub(crate) const NONE: Self = Self {
        view: View::Null,
        symbol: None,
        tag: 0,
        likely: Likely::NONE,
        attributes: Attributes::NONE,
    };
}

/// The conditions for `eval()`, by their text.
pub(crate) type Conditions = HashMap<Symbol, Expr, PairState>;

/// What an expression is evaluated against.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scene<'a> {
    pub(crate) symbols: &'a Symbols,
    pub(crate) patterns: &'a Patterns,
    pub(crate) roles: &'a [Roles],
    pub(crate) conditions: &'a Conditions,
    /// When the request is made, in milliseconds since 1970.
    pub(crate) time_unix_ms: Option<i64>,
    pub(crate) request: &'a [Argument<'a>],
    /// The row's fields; empty when a section has no rows.
    pub(crate) row: &'a [Symbol],
}

type Evaluated<'a> = Result<View<'a>, EvaluationFault>;

impl<'a> Scene<'a> {
    /// Whether the row, with the request, satisfies `expr`.
    pub(crate) fn satisfies(&self, expr: &'a Expr) -> Result<bool, EvaluationFault> {
        match expr {
            Expr::Bool(value) => Ok(*value),
            Expr::Not(inner) => Ok(!self.satisfies(inner)?),
            Expr::All(parts) => {
                for part in parts {
                    if !self.satisfies(part)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            Expr::Any(parts) => {
                for part in parts {
                    if self.satisfies(part)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Expr::Same { argument, column } => {
                let symbol = self.request.get(*argument).and_then(|a| a.symbol);
                Ok(symbol.is_some() && symbol == self.row.get(*column).copied())
            }
            Expr::Is { column, symbol } => Ok(self.row.get(*column) == Some(symbol)),
            Expr::Eval { column } => {
                let condition = self
                    .row
                    .get(*column)
                    .and_then(|symbol| self.conditions.get(symbol));
                self.satisfies(condition.ok_or(EvaluationFault::MissingAttribute)?)
            }
            Expr::Compare(comparison, sides) => self.compare(*comparison, &sides.0, &sides.1),
            Expr::Match {
                matching,
                value,
                pattern,
            } => self.matches(*matching, value, pattern),
            Expr::Role {
                relation,
                who,
                role,
                domain,
            } => self.holds(*relation, who, role, domain.as_deref()),
            Expr::Request { .. } => match self.value(expr)? {
                View::Bool(value) => Ok(value),
                View::Null | View::Number(_) | View::Text(_) | View::List(_) | View::Object(_) => {
                    Err(EvaluationFault::WrongType)
                }
            },
            Expr::Text(_)
            | Expr::Number(_)
            | Expr::List(_)
            | Expr::Rule { .. }
            | Expr::Extract { .. }
            | Expr::Negative(_)
            | Expr::Arithmetic(..) => Err(EvaluationFault::WrongType),
        }
    }

    /// As [`Self::satisfies`] when a section has no rows: any term that a field of a row has a part in fails.
    pub(crate) fn satisfies_without_rows(&self, expr: &'a Expr) -> Result<bool, EvaluationFault> {
        if let Expr::All(parts) = expr {
            for part in parts {
                if !self.satisfies_without_rows(part)? {
                    return Ok(false);
                }
            }
            return Ok(true);
        }
        if let Expr::Any(parts) = expr {
            for part in parts {
                if self.satisfies_without_rows(part)? {
                    return Ok(true);
                }
            }
            return Ok(false);
        }
        if expr.touches_rule() {
            return Ok(false);
        }
        self.satisfies(expr)
    }

    fn value(&self, expr: &'a Expr) -> Evaluated<'a> {
        match expr {
            Expr::Text(text) => Ok(View::Text(text)),
            Expr::Number(number) => Ok(View::Number(*number)),
            Expr::Rule { column } => Ok(View::Text(self.field(*column)?)),
            Expr::Request { argument, path } => self.attribute(*argument, path),
            Expr::Extract {
                extraction,
                value,
                pattern,
                name,
            } => {
                let pattern = match pattern {
                    PatternOf::Fixed(symbol) => self.symbols.text(*symbol),
                    PatternOf::Rule { column } => self.field(*column)?,
                    PatternOf::Any(expr) => self.text(expr)?,
                };
                Ok(View::Text(extraction.apply(
                    self.text(value)?,
                    pattern,
                    name,
                )))
            }
            Expr::Negative(inner) => Ok(View::Number(-self.number(inner)?)),
            Expr::Arithmetic(operation, sides) => {
                let (a, b) = (self.number(&sides.0)?, self.number(&sides.1)?);
                Ok(View::Number(match operation {
                    Operation::Plus => a + b,
                    Operation::Minus => a - b,
                    Operation::Times => a * b,
                    Operation::Over => a / b,
                    Operation::Remainder => a % b,
                }))
            }
            Expr::List(_) => Err(EvaluationFault::WrongType),
            Expr::Bool(_)
            | Expr::Same { .. }
            | Expr::Is { .. }
            | Expr::Eval { .. }
            | Expr::Not(_)
            | Expr::All(_)
            | Expr::Any(_)
            | Expr::Compare(..)
            | Expr::Match { .. }
            | Expr::Role { .. } => Ok(View::Bool(self.satisfies(expr)?)),
        }
    }

    fn field(&self, column: usize) -> Result<&'a str, EvaluationFault> {
        match self.row.get(column) {
            Some(symbol) => Ok(self.symbols.text(*symbol)),
            None => Err(EvaluationFault::MissingAttribute),
        }
    }

    /// An argument of the request, or an attribute in it.
    pub(crate) fn attribute(&self, argument: usize, path: &[Box<str>]) -> Evaluated<'a> {
        let Some(argument) = self.request.get(argument) else {
            return Err(EvaluationFault::ArgumentCount);
        };
        let mut value = argument.view;
        for (depth, name) in path.iter().enumerate() {
            let fields = match value {
                View::Object(fields) => Attributes::Values(fields),
                View::Text(_) if depth == 0 => argument.attributes,
                View::Null | View::Bool(_) | View::Number(_) | View::Text(_) | View::List(_) => {
                    return Err(EvaluationFault::MissingAttribute);
                }
            };
            value = fields
                .named(name)
                .ok_or(EvaluationFault::MissingAttribute)?;
        }
        Ok(value)
    }

    fn number(&self, expr: &'a Expr) -> Result<f64, EvaluationFault> {
        match self.value(expr)? {
            View::Number(number) => Ok(number),
            View::Null | View::Bool(_) | View::Text(_) | View::List(_) | View::Object(_) => {
                Err(EvaluationFault::WrongType)
            }
        }
    }

    fn text(&self, expr: &'a Expr) -> Result<&'a str, EvaluationFault> {
        match self.value(expr)? {
            View::Text(text) => Ok(text),
            View::Null | View::Bool(_) | View::Number(_) | View::List(_) | View::Object(_) => {
                Err(EvaluationFault::WrongType)
            }
        }
    }

    fn compare(
        &self,
        comparison: Comparison,
        left: &'a Expr,
        right: &'a Expr,
    ) -> Result<bool, EvaluationFault> {
        if comparison == Comparison::In {
            return self.contains(left, right);
        }
        let (a, b) = (self.value(left)?, self.value(right)?);
        let ordering = match (comparison, &a, &b) {
            (Comparison::Equal, ..) => return Ok(a.equals(&b)),
            (Comparison::NotEqual, ..) => return Ok(!a.equals(&b)),
            (_, View::Number(a), View::Number(b)) => a.partial_cmp(b),
            (_, View::Text(a), View::Text(b)) => Some(a.cmp(b)),
            _ => return Err(EvaluationFault::WrongType),
        };
        Ok(ordering.is_some_and(|ordering| match comparison {
            Comparison::Less => ordering.is_lt(),
            Comparison::LessOrEqual => ordering.is_le(),
            Comparison::Greater => ordering.is_gt(),
            Comparison::GreaterOrEqual => ordering.is_ge(),
            Comparison::Equal | Comparison::NotEqual | Comparison::In => false,
        }))
    }

    fn contains(&self, item: &'a Expr, list: &'a Expr) -> Result<bool, EvaluationFault> {
        let item = self.value(item)?;
        if let Expr::List(items) = list {
            for other in items {
                if item.equals(&self.value(other)?) {
                    return Ok(true);
                }
            }
            return Ok(false);
        }
        match self.value(list)? {
            View::List(items) => Ok(items.iter().any(|other| item.equals(&View::from(other)))),
            View::Null | View::Bool(_) | View::Number(_) | View::Text(_) | View::Object(_) => {
                Err(EvaluationFault::WrongType)
            }
        }
    }

    fn matches(
        &self,
        matching: Matching,
        value: &'a Expr,
        pattern: &'a PatternOf,
    ) -> Result<bool, EvaluationFault> {
        let value = self.text(value)?;
        if matching == Matching::Ip && network::address(value).is_none() {
            return Err(EvaluationFault::NoAddress);
        }
        let symbol = match pattern {
            PatternOf::Fixed(symbol) => *symbol,
            PatternOf::Rule { column } => *self
                .row
                .get(*column)
                .ok_or(EvaluationFault::MissingAttribute)?,
            PatternOf::Any(expr) => return Ok(key_match(value, self.text(expr)?)),
        };
        Ok(self.patterns.matches(matching, value, symbol, self.symbols))
    }

    fn holds(
        &self,
        relation: usize,
        who: &'a Expr,
        role: &'a Expr,
        domain: Option<&'a Expr>,
    ) -> Result<bool, EvaluationFault> {
        let (who, role) = (self.symbol_of(who)?, self.symbol_of(role)?);
        let Some(roles) = self.roles.get(relation) else {
            return Ok(who.1 == role.1);
        };
        let domain = match domain {
            Some(domain) => {
                let (symbol, text) = self.symbol_of(domain)?;
                roles.domain(text, symbol, self.symbols)
            }
            None => Some(NO_DOMAIN),
        };
        if let Some(named) = roles.named() {
            let holds = |role| named.holds(who, role, domain, self.patterns, self.symbols);
            return Ok(role.0.map_or(who.1 == role.1, holds));
        }
        match (who.0, role.0, domain) {
            (Some(from), Some(to), _) if from == to => Ok(true),
            (Some(from), Some(to), Some(domain)) => {
                roles.inherits(from, to, domain, self.time_unix_ms, self.symbols)
            }
            _ => Ok(who.1 == role.1),
        }
    }

    /// A text and its number, if the policy knows it.
    fn symbol_of(&self, expr: &'a Expr) -> Result<(Option<Symbol>, &'a str), EvaluationFault> {
        if let Expr::Rule { column } = expr {
            let symbol = self.row.get(*column).copied();
            return Ok((symbol, self.field(*column)?));
        }
        let text = self.text(expr)?;
        if let Expr::Request { argument, path } = expr
            && path.is_empty()
            && let Some(argument) = self.request.get(*argument)
            && argument.symbol.is_some()
        {
            return Ok((argument.symbol, text));
        }
        Ok((self.symbols.find(text), text))
    }
}
