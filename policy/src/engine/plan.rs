//! How a matcher is answered from an index: which columns of a row must have which of a few symbols.
//!
//! A matcher is a disjunction of clauses, a clause a conjunction of terms. A term that says "this column equals that
//! argument, or a role of it, or is a pattern that matches it" gives a key; terms of the request alone are guards,
//! asked once; what is left is evaluated for the rows that the keys let through.
//!
//! Casbin evaluates terms from the left, row after row, and fails where one cannot be evaluated. So that we fail
//! where it does, the plan holds only for requests that give every term what it [needs](Need); for any other the
//! rows are walked as Casbin walks them.

use super::expr::{Expr, PatternOf};
use super::need::Need;
use super::pattern::Matching;
use crate::model::check::Relation;
use crate::rules::symbols::{Symbol, Symbols};

/// The plan of one matcher.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub(crate) clauses: Vec<Clause>,
    /// What a request must give so that no term can fail; `None` if that cannot be told.
    pub(crate) needs: Option<Vec<Need>>,
}

/// One clause of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Clause {
    /// Terms of the request alone.
    pub(crate) guards: Vec<Expr>,
    pub(crate) keys: Vec<Key>,
    /// Terms evaluated for each candidate row.
    pub(crate) rest: Vec<Expr>,
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
pub(crate) fn plan(
    matcher: &Expr,
    needs: Option<Vec<Need>>,
    relations: &[Relation],
    symbols: &mut Symbols,
) -> Plan {
    let mut open: Vec<Vec<Expr>> = matcher
        .disjuncts()
        .iter()
        .map(|part| part.conjuncts().to_vec())
        .collect();
    let mut clauses = Vec::new();
    while let Some(terms) = open.pop() {
        let clause = clause(&terms, relations, symbols);
        let room = CLAUSES_MAX.saturating_sub(clauses.len() + open.len());
        match alternatives(&terms) {
            Some((at, parts)) if clause.keys.is_empty() && parts.len() <= room => {
                open.extend(parts.iter().map(|part| replaced(&terms, at, part)));
            }
            _ => clauses.push(clause),
        }
    }
    Plan { clauses, needs }
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

fn clause(terms: &[Expr], relations: &[Relation], symbols: &mut Symbols) -> Clause {
    let mut clause = Clause::default();
    for term in terms {
        if !term.touches_rule() {
            clause.guards.push(term.clone());
            continue;
        }
        match key(term, relations, symbols) {
            Some(key)
                if clause.keys.len() < KEYS_MAX
                    && clause.keys.iter().all(|other| other.column != key.column) =>
            {
                clause.keys.push(key);
            }
            _ => clause.rest.push(term.clone()),
        }
    }
    clause
}

/// The key that a term gives, if it is about one column.
fn key(term: &Expr, relations: &[Relation], symbols: &mut Symbols) -> Option<Key> {
    let mut sources = Vec::new();
    let mut column = None;
    for part in term.disjuncts() {
        let (at, source) = source(part, relations, symbols)?;
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

fn source(term: &Expr, relations: &[Relation], symbols: &mut Symbols) -> Option<(usize, Source)> {
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
        && (matching.has_segments() || *matching == Matching::KeyMatch)
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
    // Roles held for a time are not known before the time is, those of patterns not before the name is.
    if relations
        .get(*relation)
        .is_none_or(|relation| relation.windowed || relation.matching.is_some())
    {
        return None;
    }
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

/// Clauses of one matcher; a matcher that would need more is evaluated row by row.
const CLAUSES_MAX: usize = 16;
/// Columns of one key.
pub(crate) const KEYS_MAX: usize = 4;
