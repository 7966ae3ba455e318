//! A checked expression: every name resolved, every call known, every pattern numbered or compiled.

use super::extract::Extraction;
use super::pattern::Matching;
use crate::model::parser::{Comparison, Operation};
use crate::rules::symbols::Symbol;

/// An expression over a request and one row.
#[derive(Clone, Debug)]
pub(crate) enum Expr {
    Text(Box<str>),
    Number(f64),
    Bool(bool),
    List(Vec<Expr>),
    /// An argument of the request, and attributes inside it.
    Request {
        argument: usize,
        path: Vec<Box<str>>,
    },
    /// A field of the row.
    Rule {
        column: usize,
    },
    /// `r.x == p.y`: compared by number.
    Same {
        argument: usize,
        column: usize,
    },
    /// `p.y == "text"`: compared by number.
    Is {
        column: usize,
        symbol: Symbol,
    },
    /// The condition that a field of the row holds; conditions hold no further ones.
    Eval {
        column: usize,
    },
    Not(Box<Expr>),
    Negative(Box<Expr>),
    All(Vec<Expr>),
    Any(Vec<Expr>),
    Compare(Comparison, Box<(Expr, Expr)>),
    Arithmetic(Operation, Box<(Expr, Expr)>),
    /// Whether a value matches a pattern.
    Match {
        matching: Matching,
        value: Box<Expr>,
        pattern: PatternOf,
    },
    /// What of a value stands where a pattern has a parameter, or nothing.
    Extract {
        extraction: Extraction,
        value: Box<Expr>,
        pattern: PatternOf,
        /// The name of the parameter; `keyGet` has none.
        name: Box<str>,
    },
    /// Whether `who` is or inherits `role`.
    Role {
        relation: usize,
        who: Box<Expr>,
        role: Box<Expr>,
        domain: Option<Box<Expr>>,
    },
}

/// Where a pattern comes from; never from the request, but for `keyMatch`, which needs no compiling.
#[derive(Clone, Debug)]
pub(crate) enum PatternOf {
    /// Written in the matcher.
    Fixed(Symbol),
    /// A field of the row.
    Rule { column: usize },
    /// Anything, for `keyMatch` alone.
    Any(Box<Expr>),
}

/// What is known of an expression's type before any request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Type {
    Text,
    Number,
    Bool,
    List,
    /// An attribute of the request.
    Unknown,
}

impl Expr {
    /// All of `parts`, with nested ones unfolded: the order of evaluation is the same.
    pub(crate) fn all(parts: Vec<Self>) -> Self {
        let mut flat = Vec::with_capacity(parts.len());
        for part in parts {
            if let Self::All(inner) = part {
                flat.extend(inner);
            } else {
                flat.push(part);
            }
        }
        Self::All(flat)
    }

    /// Any of `parts`, with nested ones unfolded.
    pub(crate) fn any(parts: Vec<Self>) -> Self {
        let mut flat = Vec::with_capacity(parts.len());
        for part in parts {
            if let Self::Any(inner) = part {
                flat.extend(inner);
            } else {
                flat.push(part);
            }
        }
        Self::Any(flat)
    }

    /// The conditions that must all hold for this one to hold.
    pub(crate) fn conjuncts(&self) -> &[Self] {
        if let Self::All(parts) = self {
            parts
        } else {
            std::slice::from_ref(self)
        }
    }

    /// The conditions of which any suffices for this one to hold.
    pub(crate) fn disjuncts(&self) -> &[Self] {
        if let Self::Any(parts) = self {
            parts
        } else {
            std::slice::from_ref(self)
        }
    }

    /// The argument that it is, without attributes.
    pub(crate) fn as_argument(&self) -> Option<usize> {
        if let Self::Request { argument, path } = self
            && path.is_empty()
        {
            return Some(*argument);
        }
        None
    }

    /// The text that it is.
    pub(crate) fn as_text(&self) -> Option<&str> {
        if let Self::Text(text) = self {
            Some(text)
        } else {
            None
        }
    }

    /// The items of the list that it is.
    pub(crate) fn as_list(&self) -> Option<&[Self]> {
        if let Self::List(items) = self {
            Some(items)
        } else {
            None
        }
    }

    /// Its type, as far as it can be told.
    pub(crate) fn type_of(&self) -> Type {
        match self {
            Self::Text(_) | Self::Rule { .. } | Self::Extract { .. } => Type::Text,
            Self::Number(_) | Self::Negative(_) | Self::Arithmetic(..) => Type::Number,
            Self::List(_) => Type::List,
            Self::Request { .. } => Type::Unknown,
            Self::Bool(_)
            | Self::Same { .. }
            | Self::Is { .. }
            | Self::Eval { .. }
            | Self::Not(_)
            | Self::All(_)
            | Self::Any(_)
            | Self::Compare(..)
            | Self::Match { .. }
            | Self::Role { .. } => Type::Bool,
        }
    }

    /// Whether a field of the row has a part in it.
    pub(crate) fn touches_rule(&self) -> bool {
        match self {
            Self::Rule { .. } | Self::Same { .. } | Self::Is { .. } | Self::Eval { .. } => true,
            Self::Text(_) | Self::Number(_) | Self::Bool(_) | Self::Request { .. } => false,
            Self::List(parts) | Self::All(parts) | Self::Any(parts) => {
                parts.iter().any(Self::touches_rule)
            }
            Self::Not(inner) | Self::Negative(inner) => inner.touches_rule(),
            Self::Compare(_, sides) | Self::Arithmetic(_, sides) => {
                sides.0.touches_rule() || sides.1.touches_rule()
            }
            Self::Match { value, pattern, .. } | Self::Extract { value, pattern, .. } => {
                value.touches_rule()
                    || match pattern {
                        PatternOf::Fixed(_) => false,
                        PatternOf::Rule { .. } => true,
                        PatternOf::Any(expr) => expr.touches_rule(),
                    }
            }
            Self::Role {
                who, role, domain, ..
            } => {
                who.touches_rule()
                    || role.touches_rule()
                    || domain.as_ref().is_some_and(|d| d.touches_rule())
            }
        }
    }

    /// Calls `visit` for this expression and every part of it.
    pub(crate) fn each(&self, visit: &mut dyn FnMut(&Self)) {
        visit(self);
        match self {
            Self::Text(_)
            | Self::Number(_)
            | Self::Bool(_)
            | Self::Request { .. }
            | Self::Same { .. }
            | Self::Is { .. }
            | Self::Eval { .. }
            | Self::Rule { .. } => {}
            Self::List(parts) | Self::All(parts) | Self::Any(parts) => {
                for part in parts {
                    part.each(visit);
                }
            }
            Self::Not(inner) | Self::Negative(inner) => inner.each(visit),
            Self::Compare(_, sides) | Self::Arithmetic(_, sides) => {
                sides.0.each(visit);
                sides.1.each(visit);
            }
            Self::Match { value, pattern, .. } | Self::Extract { value, pattern, .. } => {
                value.each(visit);
                if let PatternOf::Any(expr) = pattern {
                    expr.each(visit);
                }
            }
            Self::Role {
                who, role, domain, ..
            } => {
                who.each(visit);
                role.each(visit);
                if let Some(domain) = domain {
                    domain.each(visit);
                }
            }
        }
    }
}
