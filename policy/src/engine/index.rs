//! The rows of one section behind an index, and how a request is answered from it.
//!
//! For each clause of the [plan](super::plan) one table from the symbols of its key columns to rows. A request gives
//! a few symbols for each column (itself, its roles, the patterns that match its path); every combination is one
//! probe, and every row found is verified. What cannot be indexed is answered by evaluating the rows in order, by
//! the same evaluator.

use super::cost::Cost;
use super::early::{Early, First};
use super::eval::{Argument, Scene};
use super::expr::Expr;
use super::need::Need;
use super::paths::{PathIndex, Place};
use super::plan::{Clause, Key, Plan, Source};
use super::query::Query;
use super::table::Table;
use super::verdict::{Others, Outcome, Tally, Verdict};
use crate::model::check::Effect;
use crate::rules::symbols::{Marks, Symbol, Symbols, mix};
use crate::rules::table::Rows;
use crate::value::View;

/// The index of one section.
#[derive(Debug)]
pub(crate) struct Index {
    pub(crate) clauses: Vec<Indexed>,
    /// What the first of them asks first.
    pub(crate) first: First,
    /// The arguments, one bit each, that must be texts for a request to be answered from the tables.
    texts: u32,
    /// What it must give besides; `None` if that cannot be told.
    needs: Option<Vec<Need>>,
    first_allow: Option<usize>,
    first_deny: Option<usize>,
    /// Of judging a row.
    pub(crate) cost: Cost,
}

/// One clause with its table.
#[derive(Debug)]
pub(crate) struct Indexed {
    pub(crate) clause: Clause,
    pub(crate) keys: Vec<IndexedKey>,
    /// Keys of the same few symbols for every request that rows found are compared with, not looked up by.
    pub(crate) wide: Vec<Key>,
    pub(crate) table: Table,
}

/// What is known of the patterns of a key.
#[derive(Debug, Default)]
pub(crate) struct IndexedKey {
    /// One for each source that is a pattern, in order.
    pub(crate) paths: Vec<PathIndex>,
    /// The patterns that must be tried, if there are any.
    pub(crate) others: Option<Marks>,
}

/// The rows of a section and how they count.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ruled<'a> {
    pub(crate) rows: &'a Rows,
    pub(crate) matcher: &'a Expr,
    pub(crate) effect: Effect,
    /// The column that holds the effect, and the symbol of `deny`.
    pub(crate) deny: Option<(usize, Symbol)>,
}

impl Ruled<'_> {
    /// Whether a row with these fields denies.
    pub(crate) fn denies(&self, fields: &[Symbol]) -> bool {
        self.deny
            .is_some_and(|(column, deny)| fields.get(column) == Some(&deny))
    }
}

impl Index {
    /// Builds the tables of a plan over the rows of a section.
    pub(crate) fn build(plan: Plan, ruled: Ruled<'_>, cost: Cost, symbols: &Symbols) -> Self {
        let rows = ruled.rows.len();
        let mut texts = 0;
        let needs = plan.needs.map(|mut needs| {
            needs.retain(|need| match need.plain_text() {
                Some(argument) if argument < 32 => {
                    texts |= 1 << argument;
                    false
                }
                _ => true,
            });
            needs
        });
        let clauses: Vec<_> = plan
            .clauses
            .into_iter()
            .map(|clause| Indexed::build(clause, ruled.rows, symbols))
            .collect();
        let first = clauses.first().map(|indexed| {
            let keys = indexed.clause.keys.iter();
            First::of(keys.map(|key| &*key.sources))
        });
        Self {
            cost,
            texts,
            needs,
            first: first.unwrap_or_default(),
            clauses,
            first_allow: (0..rows).find(|row| !ruled.denies(ruled.rows.row(*row))),
            first_deny: (0..rows).find(|row| ruled.denies(ruled.rows.row(*row))),
        }
    }

    /// Whether no term can fail for a request whose arguments are texts.
    pub(crate) fn needs_texts_only(&self) -> bool {
        self.needs.as_ref().is_some_and(Vec::is_empty)
    }

    /// Whether a request whose every argument is a text is compared with each row, in whole or where patterns must be tried.
    pub(crate) fn compares_every_row(&self) -> bool {
        let tried = |indexed: &Indexed| indexed.keys.iter().all(|key| key.others.is_some());
        self.needs.is_none() || self.clauses.iter().any(tried)
    }

    /// No index: every request walks the rows.
    #[cfg(test)]
    pub(crate) fn walking() -> Self {
        Self {
            cost: Cost::default(),
            clauses: Vec::new(),
            first: First::default(),
            texts: 0,
            needs: None,
            first_allow: None,
            first_deny: None,
        }
    }

    /// What the rows decide; `early` is what was asked for this request.
    pub(crate) fn decide(
        &self,
        scene: &Scene<'_>,
        ruled: Ruled<'_>,
        early: Option<&Early>,
    ) -> Outcome {
        self.tally(Verdict::new(ruled.effect), scene, ruled, early)
            .outcome()
    }

    /// Rows of one kind that match, the first few.
    pub(crate) fn others(
        &self,
        others: Others,
        scene: &Scene<'_>,
        ruled: Ruled<'_>,
        early: Option<&Early>,
    ) -> Others {
        self.tally(others, scene, ruled, early)
    }

    /// Whether a row that denies can be among those that a permit overrides.
    pub(crate) fn denies_somewhere(&self) -> bool {
        self.first_deny.is_some()
    }

    #[inline]
    fn tally<V: Tally>(
        &self,
        verdict: V,
        scene: &Scene<'_>,
        ruled: Ruled<'_>,
        mut early: Option<&Early>,
    ) -> V {
        let mut query = Query {
            scene,
            ruled,
            verdict,
            cost: &self.cost,
            left: self.cost.steps_max,
            row_cost: 0,
        };
        let is_text = |(index, argument): (usize, &Argument<'_>)| {
            self.texts & (1 << index) == 0 || matches!(argument.view, View::Text(_))
        };
        let met = |needs: &Vec<Need>| {
            scene.request.iter().enumerate().all(is_text)
                && needs.iter().all(|need| need.is_met(scene))
        };
        if !self.needs.as_ref().is_some_and(met) {
            query.walk();
            return query.verdict;
        }
        for indexed in &self.clauses {
            let clause = &indexed.clause;
            let early = early.take();
            if !clause
                .guards
                .iter()
                .all(|guard| scene.satisfies(guard) == Ok(true))
            {
                continue;
            }
            if !clause.keys.is_empty() {
                if query.look_up(indexed, early) {
                    continue;
                }
                query.walk();
                return query.verdict;
            }
            if !clause.rest.is_empty() {
                query.walk();
                return query.verdict;
            }
            self.every_row(&mut query.verdict);
        }
        query.verdict
    }

    fn every_row(&self, verdict: &mut impl Tally) {
        if let Some(row) = self.first_allow {
            verdict.matched(row, false);
        }
        if let Some(row) = self.first_deny {
            verdict.matched(row, true);
        }
    }

    /// Bytes that the index takes.
    pub(crate) fn bytes(&self) -> usize {
        let paths = |indexed: &Indexed| -> usize {
            let keys = indexed.keys.iter().flat_map(|key| &key.paths);
            keys.map(PathIndex::bytes).sum()
        };
        self.clauses
            .iter()
            .map(|indexed| indexed.table.bytes() + paths(indexed))
            .sum()
    }
}

impl Indexed {
    fn build(mut clause: Clause, rows: &Rows, symbols: &Symbols) -> Self {
        let mut keys = Vec::new();
        let mut tried = Vec::new();
        for key in &clause.keys {
            let indexed = IndexedKey::build(key, rows, symbols);
            tried.push(indexed.others.clone());
            keys.push(indexed);
        }
        let pairs = |clause: &Clause, tried: &[Option<Marks>]| -> Vec<(u64, u32)> {
            (0..rows.len())
                .filter_map(|row| {
                    Some((
                        row_hash(clause, tried, rows.row(row)),
                        u32::try_from(row).ok()?,
                    ))
                })
                .collect()
        };
        if clause.keys.is_empty() {
            return Self {
                clause,
                keys,
                wide: Vec::new(),
                table: Table::default(),
            };
        }
        let mut narrow = clause.clone();
        let wide: Vec<_> = narrow
            .keys
            .extract_if(.., |key| key.is_wide_and_fixed())
            .collect();
        if !wide.is_empty() && !narrow.keys.is_empty() {
            let kept = |index: &usize| {
                clause
                    .keys
                    .get(*index)
                    .is_some_and(|key| !key.is_wide_and_fixed())
            };
            let narrow_tried: Vec<_> = (0..clause.keys.len())
                .filter(kept)
                .filter_map(|index| tried.get(index).cloned())
                .collect();
            let candidates = pairs(&narrow, &narrow_tried);
            if longest_run(&candidates) <= RUN_MAX {
                let mut index = 0;
                keys.retain(|_| {
                    index += 1;
                    kept(&(index - 1))
                });
                return Self {
                    clause: narrow,
                    keys,
                    wide,
                    table: Table::build(candidates),
                };
            }
        }
        let table = Table::build(pairs(&clause, &tried));
        clause.keys.shrink_to_fit();
        Self {
            clause,
            keys,
            wide: Vec::new(),
            table,
        }
    }
}

impl IndexedKey {
    /// The pattern indexes of a key, and which patterns must be tried.
    fn build(key: &Key, rows: &Rows, symbols: &Symbols) -> Self {
        let mut built = Self::default();
        let patterns: Vec<_> = key
            .sources
            .iter()
            .filter_map(|source| match source {
                Source::Pattern { matching, .. } => Some(*matching),
                Source::Argument(_) | Source::Fixed(_) | Source::Role { .. } => None,
            })
            .collect();
        if patterns.is_empty() {
            return built;
        }
        let distinct = distinct(rows, key.column, symbols);
        let mut tried = symbols.none();
        let mut any = false;
        for matching in patterns {
            let (index, places) = PathIndex::build(matching, &distinct, symbols);
            for (symbol, place) in distinct.iter().zip(places) {
                if place == Place::Other {
                    any = true;
                    tried.mark(*symbol);
                }
            }
            built.paths.push(index);
        }
        built.others = any.then_some(tried);
        built
    }
}

/// The symbols of a column, each once.
fn distinct(rows: &Rows, column: usize, symbols: &Symbols) -> Vec<Symbol> {
    let mut seen = symbols.none();
    (0..rows.len())
        .filter_map(|row| rows.field(row, column))
        .filter(|symbol| seen.mark(*symbol))
        .collect()
}

fn row_hash(clause: &Clause, tried: &[Option<Marks>], row: &[Symbol]) -> u64 {
    let mut hash = 0;
    for (key, tried) in clause.keys.iter().zip(tried) {
        let symbol = row.get(key.column).copied().unwrap_or(OTHER);
        let must_try = tried.as_ref().is_some_and(|tried| tried.has(symbol));
        hash = extend(hash, if must_try { OTHER } else { symbol });
    }
    hash
}

fn longest_run(pairs: &[(u64, u32)]) -> usize {
    let mut hashes: Vec<_> = pairs.iter().map(|(hash, _)| *hash).collect();
    hashes.sort_unstable();
    hashes
        .chunk_by(|a, b| a == b)
        .map(<[u64]>::len)
        .max()
        .unwrap_or_default()
}

/// The hash of a key with one more symbol.
#[inline]
pub(crate) fn extend(hash: u64, symbol: Symbol) -> u64 {
    mix(hash ^ u64::from(symbol.0)).rotate_left(17)
}

/// Stands for a pattern that must be tried, in place of its symbol.
pub(crate) const OTHER: Symbol = Symbol(u32::MAX - 1);
/// Rows of one key that are rather verified than told apart by one more column.
const RUN_MAX: usize = 16;
