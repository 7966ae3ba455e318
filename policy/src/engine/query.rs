//! One request being answered from the index of a section.
//!
//! Memory is what costs: each probe and each row found is likely not in the cache. All probes of a clause are
//! therefore touched first, one after the other without waiting, and only then read.

use super::cost::Cost;
use super::early::{Early, LikelyMember};
use super::eval::{EvaluationFault, Scene};
use super::index::{Indexed, IndexedKey, OTHER, Ruled, extend};
use super::plan::{Domain, KEYS_MAX, Key, Source};
use super::roles::{NO_DOMAIN, domain_tag};
use super::set::SymbolSet;
use super::verdict::{Tally, Verdict};
use crate::rules::symbols::Symbol;
use crate::value::View;
use std::hint::black_box;

/// A request, the rows, and the answer so far.
pub(crate) struct Query<'q, 'a, V = Verdict> {
    pub(crate) scene: &'q Scene<'a>,
    pub(crate) ruled: Ruled<'a>,
    pub(crate) verdict: V,
    pub(crate) cost: &'q Cost,
    /// Steps that may still be taken.
    pub(crate) left: u64,
    /// Steps that a row takes; 0 until it is asked.
    pub(crate) row_cost: u64,
}

/// The symbols that one column may have: a stretch of the common set, and roles held.
#[derive(Clone, Copy, Default)]
struct Choice<'a> {
    start: usize,
    end: usize,
    held: &'a [Symbol],
    others: bool,
}

/// The symbols that all columns of a key may have.
struct Choices<'a> {
    own: SymbolSet,
    columns: [Choice<'a>; KEYS_MAX],
    length: usize,
}

impl<'a> Choices<'a> {
    fn columns(&self) -> &[Choice<'a>] {
        self.columns.get(..self.length).unwrap_or_default()
    }

    fn combinations(&self) -> usize {
        let columns = self.columns().iter();
        columns.fold(1, |product, choice| product.saturating_mul(choice.count()))
    }

    /// The symbols that a column may have, in three stretches.
    #[inline]
    fn symbols(&self, choice: &Choice<'a>) -> [&[Symbol]; 3] {
        let own = self.own.as_slice().get(choice.start..choice.end);
        let others: &[Symbol] = if choice.others { &[OTHER] } else { &[] };
        [own.unwrap_or_default(), choice.held, others]
    }

    /// Whether a column may have this symbol.
    #[inline]
    fn may_be(&self, choice: &Choice<'a>, symbol: Symbol) -> bool {
        let [own, held, _] = self.symbols(choice);
        own.contains(&symbol) || held.contains(&symbol)
    }

    /// The hashes of all combinations, of which there is room for as many as there are.
    fn hashes(&self, hashes: &mut [u64]) {
        let mut count = 1;
        for choice in self.columns() {
            let Some((known, mut free)) = hashes.split_at_mut_checked(count) else {
                return;
            };
            let mut first = None;
            for stretch in self.symbols(choice) {
                for symbol in stretch {
                    if first.is_none() {
                        first = Some(*symbol);
                        continue;
                    }
                    let places = free.split_off_mut(..count).unwrap_or_default();
                    for (place, hash) in places.iter_mut().zip(&*known) {
                        *place = extend(*hash, *symbol);
                    }
                }
            }
            if let Some(symbol) = first {
                for hash in known {
                    *hash = extend(*hash, symbol);
                }
            }
            count *= choice.count();
        }
    }

    /// Calls `visit` with the hash of every combination.
    fn each(&self, level: usize, hash: u64, visit: &mut impl FnMut(u64)) {
        let Some(choice) = self.columns().get(level) else {
            visit(hash);
            return;
        };
        for symbol in self.symbols(choice).into_iter().flatten() {
            self.each(level + 1, extend(hash, *symbol), visit);
        }
    }
}

impl Choice<'_> {
    fn count(&self) -> usize {
        self.end - self.start + self.held.len() + usize::from(self.others)
    }
}

impl<'a, V: Tally> Query<'_, 'a, V> {
    /// Answers from the table of a clause; `false` if the rows must be walked instead.
    ///
    /// `early` is what was asked for the first pattern of the clause.
    pub(crate) fn look_up(&mut self, indexed: &'a Indexed, mut early: Option<&Early>) -> bool {
        let mut choices = Choices {
            own: SymbolSet::default(),
            columns: [Choice::default(); KEYS_MAX],
            length: indexed.keys.len(),
        };
        let likely = early.and_then(|early| early.member);
        let keys = indexed.clause.keys.iter().zip(&indexed.keys);
        for ((key, built), place) in keys.zip(&mut choices.columns) {
            *place = self.choose((key, built), likely, &mut early, &mut choices.own);
        }
        let combinations = choices.combinations();
        if choices.own.overflowed() || combinations > PROBES_MAX {
            return false;
        }
        if combinations == 0 {
            return true;
        }
        let table = &indexed.table;
        if combinations > HASHES_MAX {
            choices.each(0, 0, &mut |hash| {
                table.each(hash, |row| self.candidate(indexed, row as usize, &choices));
            });
            return true;
        }
        let mut hashes = [0; HASHES_MAX];
        choices.hashes(&mut hashes);
        let hashes = hashes.get(..combinations).unwrap_or_default();
        let touched = hashes.iter().fold(0, |all, hash| all ^ table.touch(*hash));
        black_box(touched);
        let (mut rows, mut count, mut touched) = ([0; ROWS_AT_ONCE], 0, 0);
        for hash in hashes {
            table.each(*hash, |row| {
                touched ^= self.ruled.rows.touch(row as usize);
                match rows.get_mut(count) {
                    Some(place) => {
                        *place = row;
                        count += 1;
                    }
                    None => self.candidate(indexed, row as usize, &choices),
                }
            });
        }
        black_box(touched);
        for row in rows.iter().take(count) {
            self.candidate(indexed, *row as usize, &choices);
        }
        true
    }

    #[inline]
    fn choose(
        &self,
        (key, built): (&Key, &'a IndexedKey),
        likely: Option<LikelyMember>,
        early: &mut Option<&Early>,
        own: &mut SymbolSet,
    ) -> Choice<'a> {
        let mut choice = Choice {
            start: own.as_slice().len(),
            others: built.others.is_some(),
            ..Choice::default()
        };
        let mut paths = built.paths.iter();
        for source in &key.sources {
            match source {
                Source::Fixed(symbol) => own.push(*symbol),
                Source::Argument(argument) => {
                    if let Some(symbol) = self.symbol(*argument) {
                        own.push(symbol);
                    }
                }
                Source::Role {
                    relation,
                    who,
                    domain,
                } => {
                    if let Some(argument) = self.scene.request.get(*who)
                        && let Some(who) = argument.symbol
                    {
                        let who = (who, argument.tag);
                        let likely = likely.filter(|likely| likely.relation == *relation);
                        choice.held = self.roles((*relation, likely), who, *domain, own);
                    }
                }
                Source::Pattern { argument, .. } => {
                    let argument = self.scene.request.get(*argument);
                    if let (Some(index), Some(argument)) = (paths.next(), argument)
                        && let View::Text(text) = argument.view
                    {
                        let own_symbol = (text, argument.symbol);
                        let others = built.others.as_ref();
                        let symbols = self.scene.symbols;
                        index.find(own_symbol, early.take(), others, symbols, own);
                    }
                }
            }
        }
        choice.end = own.as_slice().len();
        choice
    }

    /// The roles that `who` holds, and itself where rules may name it; who holds none goes into `own`.
    #[inline]
    fn roles(
        &self,
        (relation, likely): (usize, Option<LikelyMember>),
        (who, tag): (Symbol, u32),
        domain: Domain,
        own: &mut SymbolSet,
    ) -> &'a [Symbol] {
        let roles = self.scene.roles.get(relation);
        let symbols = self.scene.symbols;
        let tagged = |symbol| (symbol, domain_tag(symbols, symbol));
        let domain = match domain {
            Domain::None => Some((NO_DOMAIN, 0)),
            Domain::Fixed(symbol) => {
                let text = symbols.text(symbol);
                let domain = roles.and_then(|roles| roles.domain(text, Some(symbol), symbols));
                domain.map(tagged)
            }
            Domain::Argument(argument) => self.scene.request.get(argument).and_then(|argument| {
                let View::Text(text) = argument.view else {
                    return None;
                };
                let domain = roles?.domain(text, argument.symbol, symbols)?;
                if Some(domain) == argument.symbol {
                    return Some((domain, argument.tag));
                }
                Some(tagged(domain))
            }),
        };
        let member = roles.zip(domain).and_then(|(roles, (domain, within))| {
            let likely = likely.and_then(|likely| roles.member_at(likely.at, who, domain));
            likely.or_else(|| roles.member(who, domain, (tag, within)))
        });
        match member {
            Some(member) => member.asked,
            None => {
                own.push(who);
                &[]
            }
        }
    }

    fn symbol(&self, argument: usize) -> Option<Symbol> {
        self.scene.request.get(argument)?.symbol
    }

    /// Judges one row that the table gave.
    fn candidate(&mut self, indexed: &'a Indexed, row: usize, choices: &Choices<'_>) {
        let fields = self.ruled.rows.row(row);
        let mut must_try = false;
        for (key, choice) in indexed.clause.keys.iter().zip(choices.columns()) {
            let Some(field) = fields.get(key.column) else {
                return;
            };
            if !choices.may_be(choice, *field) {
                if !choice.others {
                    return;
                }
                must_try = true;
            }
        }
        if !indexed.wide.iter().all(|key| self.is_among(key, fields)) {
            return;
        }
        let denies = self.ruled.denies(fields);
        if !self.verdict.cares(row, denies) {
            return;
        }
        if !must_try && indexed.clause.rest.is_empty() {
            self.verdict.matched(row, denies);
            return;
        }
        if !self.affords_a_row() {
            // Whatever the other rows say: which of them come first is not known here.
            self.verdict.failed(0, EvaluationFault::TooManySteps);
            return;
        }
        let scene = Scene {
            row: fields,
            ..*self.scene
        };
        let holds = |term| scene.satisfies(term) == Ok(true);
        if must_try && !indexed.clause.keys.iter().all(|key| holds(&key.term)) {
            return;
        }
        if indexed.clause.rest.iter().all(holds) {
            self.verdict.matched(row, denies);
        }
    }

    /// Whether the row has one of the few symbols that a column may have.
    fn is_among(&self, key: &Key, fields: &[Symbol]) -> bool {
        let field = fields.get(key.column).copied();
        key.sources.iter().any(|source| match source {
            Source::Fixed(symbol) => Some(*symbol) == field,
            Source::Argument(argument) => {
                let symbol = self.symbol(*argument);
                symbol.is_some() && symbol == field
            }
            Source::Role { .. } | Source::Pattern { .. } => false,
        })
    }

    /// Judges a row by the whole matcher.
    fn judge(&mut self, row: usize) {
        let fields = self.ruled.rows.row(row);
        let scene = Scene {
            row: fields,
            ..*self.scene
        };
        match scene.satisfies(self.ruled.matcher) {
            Ok(true) => self.verdict.matched(row, self.ruled.denies(fields)),
            Ok(false) => {}
            Err(fault) => self.verdict.failed(row, fault),
        }
    }

    /// Takes the steps of one row, if there are so many left.
    fn affords_a_row(&mut self) -> bool {
        let row = match self.row_cost {
            0 => self.cost.of_row(self.scene.request),
            known => known,
        };
        self.row_cost = row;
        let affords = row <= self.left;
        self.left = self.left.saturating_sub(row);
        affords
    }

    /// Judges the rows in order until the answer is settled.
    pub(crate) fn walk(&mut self) {
        self.verdict.restart();
        for row in 0..self.ruled.rows.len() {
            if self.verdict.is_settled_before(row) {
                break;
            }
            if !self.affords_a_row() {
                self.verdict.failed(row, EvaluationFault::TooManySteps);
                break;
            }
            self.judge(row);
        }
    }
}

/// Probes whose memory is asked for together.
const HASHES_MAX: usize = 32;
/// Rows found whose memory is asked for together.
const ROWS_AT_ONCE: usize = 16;
/// Probes spent on one clause; beyond it the rows are walked.
const PROBES_MAX: usize = 4_096;
