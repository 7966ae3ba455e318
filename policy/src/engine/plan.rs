//! How a matcher is answered from an index: which columns of a row must have which of a few symbols.
//!
//! A matcher is a disjunction of clauses, a clause a conjunction of terms. A term that says "this column equals that
//! argument, or a role of it, or is a pattern that matches it" gives a key; terms of the request alone are guards,
//! asked once; what is left is evaluated for the rows that the keys let through.
//!
//! Casbin evaluates terms from the left and fails where one cannot be evaluated. So that we fail where it does, a
//! term that might fail and everything right of it give no keys: rows may be skipped only by terms that Casbin would
//! have asked before.

use super::expr::{Expr, PatternOf, Type};
use super::pattern::Matching;
use crate::model::parser::Comparison;
use crate::rules::symbols::{Symbol, Symbols};

/// The plan of one matcher.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) clauses: Vec<Clause>,
    /// Some term may fail: a candidate is judged by the whole matcher.
    pub(crate) may_fail: bool,
}

/// One clause of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Clause {
    /// Terms of the request alone.
    pub(crate) guards: Vec<Expr>,
    pub(crate) keys: Vec<Key>,
    /// Terms evaluated for each candidate row.
    pub(crate) rest: Vec<Expr>,
    /// Arguments, one bit each, that must be texts for the keys to stand for their terms.
    pub(crate) texts: u32,
}

/// A column, and where the symbols that it may have come from.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    pub(crate) column: usize,
    pub(crate) sources: Vec<Source>,
    pub(crate) term: Expr,
}

impl Key {
    /// Whether the symbols are the same few for every request.
    pub(crate) fn is_wide_and_fixed(&self) -> bool {
        self.sources.len() > 1
            && self
                .sources
                .iter()
                .all(|source| matches!(source, Source::Argument(_) | Source::Fixed(_)))
    }
}

/// One source of symbols.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Source {
    Argument(usize),
    Fixed(Symbol),
    /// An argument and the roles it holds.
    Role {
        relation: usize,
        who: usize,
        domain: Domain,
    },
    /// The patterns that match an argument.
    Pattern {
        matching: Matching,
        argument: usize,
    },
}

/// The domain in which a role is held.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Domain {
    None,
    Argument(usize),
    Fixed(Symbol),
}

/// Plans a matcher.
pub(crate) fn plan(matcher: &Expr, symbols: &mut Symbols) -> Plan {
    let mut texts = 0;
    let may_fail = !cannot_fail(matcher, &mut texts);
    let mut open: Vec<Vec<Expr>> = matcher
        .disjuncts()
        .iter()
        .map(|part| part.conjuncts().to_vec())
        .collect();
    let mut clauses = Vec::new();
    while let Some(terms) = open.pop() {
        let clause = clause(&terms, symbols);
        let room = CLAUSES_MAX.saturating_sub(clauses.len() + open.len());
        match alternatives(&terms) {
            Some((at, parts)) if clause.keys.is_empty() && !may_fail && parts.len() <= room => {
                open.extend(parts.iter().map(|part| replaced(&terms, at, part)));
            }
            _ => clauses.push(clause),
        }
    }
    // The first clause is first again: where terms may fail, the order counts.
    clauses.reverse();
    Plan { clauses, may_fail }
}

/// The first term that is a disjunction over fields of the row.
fn alternatives(terms: &[Expr]) -> Option<(usize, &[Expr])> {
    let found = |term: &Expr| term.disjuncts().len() > 1 && term.touches_rule();
    let at = terms.iter().position(found)?;
    Some((at, terms.get(at)?.disjuncts()))
}

fn replaced(terms: &[Expr], at: usize, part: &Expr) -> Vec<Expr> {
    let mut all = Vec::with_capacity(terms.len() + 2);
    for (index, term) in terms.iter().enumerate() {
        let term = if index == at { part } else { term };
        all.extend_from_slice(term.conjuncts());
    }
    all
}

fn clause(terms: &[Expr], symbols: &mut Symbols) -> Clause {
    let mut clause = Clause::default();
    let mut certain = true;
    for term in terms {
        if !term.touches_rule() {
            let into = if certain {
                &mut clause.guards
            } else {
                &mut clause.rest
            };
            into.push(term.clone());
            continue;
        }
        let mut texts = 0;
        certain &= cannot_fail(term, &mut texts);
        let key = if certain { key(term, symbols) } else { None };
        match key {
            Some(key)
                if clause.keys.len() < KEYS_MAX
                    && clause.keys.iter().all(|other| other.column != key.column) =>
            {
                clause.keys.push(key);
            }
            _ => clause.rest.push(term.clone()),
        }
        if certain {
            clause.texts |= texts;
        }
    }
    clause
}

/// The key that a term gives, if it is about one column.
fn key(term: &Expr, symbols: &mut Symbols) -> Option<Key> {
    let mut sources = Vec::new();
    let mut column = None;
    for part in term.disjuncts() {
        let (at, source) = source(part, symbols)?;
        if *column.get_or_insert(at) != at {
            return None;
        }
        sources.push(source);
    }
    let roles = sources.iter().filter(|s| matches!(s, Source::Role { .. }));
    if roles.count() > 1 {
        return None;
    }
    Some(Key {
        column: column?,
        sources,
        term: term.clone(),
    })
}

fn source(term: &Expr, symbols: &mut Symbols) -> Option<(usize, Source)> {
    if let Expr::Same { argument, column } = term {
        return Some((*column, Source::Argument(*argument)));
    }
    if let Expr::Is { column, symbol } = term {
        return Some((*column, Source::Fixed(*symbol)));
    }
    if let Expr::Match {
        matching,
        value,
        pattern: PatternOf::Rule { column },
    } = term
        && *matching != Matching::Regex
    {
        let source = Source::Pattern {
            matching: *matching,
            argument: value.as_argument()?,
        };
        return Some((*column, source));
    }
    let Expr::Role {
        relation,
        who,
        role,
        domain,
    } = term
    else {
        return None;
    };
    let Expr::Rule { column } = **role else {
        return None;
    };
    let domain = match domain {
        None => Domain::None,
        Some(domain) => match domain.as_argument() {
            Some(argument) => Domain::Argument(argument),
            None => Domain::Fixed(symbols.intern(domain.as_text()?)?),
        },
    };
    let source = Source::Role {
        relation: *relation,
        who: who.as_argument()?,
        domain,
    };
    Some((column, source))
}

/// Whether a condition can be evaluated for every request in which the arguments `texts` are texts.
fn cannot_fail(expr: &Expr, texts: &mut u32) -> bool {
    match expr {
        Expr::Bool(_) | Expr::Same { .. } | Expr::Is { .. } => true,
        Expr::Not(inner) => cannot_fail(inner, texts),
        Expr::All(parts) | Expr::Any(parts) => parts.iter().all(|part| cannot_fail(part, texts)),
        Expr::Compare(comparison, sides) => comparison_cannot_fail(*comparison, sides, texts),
        Expr::Match { value, pattern, .. } => {
            let pattern = match pattern {
                PatternOf::Any(expr) => is_text(expr, texts),
                PatternOf::Fixed(_) | PatternOf::Rule { .. } => true,
            };
            pattern && is_text(value, texts)
        }
        Expr::Role {
            who, role, domain, ..
        } => {
            let domain = domain.as_ref().is_none_or(|domain| is_text(domain, texts));
            domain && is_text(who, texts) && is_text(role, texts)
        }
        Expr::Text(_)
        | Expr::Number(_)
        | Expr::List(_)
        | Expr::Request { .. }
        | Expr::Rule { .. }
        | Expr::Negative(_)
        | Expr::Arithmetic(..) => false,
    }
}

fn comparison_cannot_fail(comparison: Comparison, sides: &(Expr, Expr), texts: &mut u32) -> bool {
    let (left, right) = sides;
    match comparison {
        Comparison::Equal | Comparison::NotEqual => {
            is_certain(left, texts) && is_certain(right, texts)
        }
        Comparison::In => right.as_list().is_some_and(|items| {
            is_certain(left, texts) && items.iter().all(|item| is_certain(item, texts))
        }),
        Comparison::Less
        | Comparison::LessOrEqual
        | Comparison::Greater
        | Comparison::GreaterOrEqual => is_text(left, texts) && is_text(right, texts),
    }
}

/// Whether a value, of whatever type, can be had from every request.
fn is_certain(expr: &Expr, texts: &mut u32) -> bool {
    let plain = matches!(expr, Expr::Text(_) | Expr::Number(_) | Expr::Rule { .. });
    plain
        || expr.as_argument().is_some()
        || (expr.type_of() == Type::Bool && cannot_fail(expr, texts))
}

/// Whether it is a text, given that the arguments it names are texts.
fn is_text(expr: &Expr, texts: &mut u32) -> bool {
    if let Some(argument) = expr.as_argument() {
        *texts |= 1_u32.checked_shl(argument as u32).unwrap_or_default();
        return true;
    }
    matches!(expr, Expr::Text(_) | Expr::Rule { .. })
}

/// Clauses of one matcher; a matcher that would need more is evaluated row by row.
const CLAUSES_MAX: usize = 16;
/// Columns of one key.
pub(crate) const KEYS_MAX: usize = 4;
