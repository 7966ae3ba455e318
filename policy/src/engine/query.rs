//! One request being answered from the index of a section.
//!
//! Memory is what costs: each probe and each row found is likely not in the cache. All probes of a clause are
//! therefore touched first, one after the other without waiting, and only then read.

use super::cost::Cost;
use super::early::Early;
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
    fn combinations(&self) -> usize {
        let columns = self.columns.iter().take(self.length);
        columns.fold(1, |product, choice| product.saturating_mul(choice.count()))
    }

    fn symbols(&self, choice: &Choice<'a>) -> impl Iterator<Item = Symbol> {
        let own = self.own.as_slice().get(choice.start..choice.end);
        let others = choice.others.then_some(OTHER);
        own.unwrap_or_default()
            .iter()
            .chain(choice.held)
            .copied()
            .chain(others)
    }

    /// Calls `visit` with the hash of every combination, a few at a time.
    fn each(&self, level: usize, hash: u64, visit: &mut impl FnMut(u64)) {
        let Some(choice) = self.columns.get(level).filter(|_| level < self.length) else {
            visit(hash);
            return;
        };
        if level + 1 == self.length {
            for symbol in self.symbols(choice) {
                visit(extend(hash, symbol));
            }
            return;
        }
        for symbol in self.symbols(choice) {
            self.each(level + 1, extend(hash, symbol), visit);
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
        for (index, (key, built)) in indexed.clause.keys.iter().zip(&indexed.keys).enumerate() {
            let choice = self.choose(key, built, &mut early, &mut choices.own);
            if let Some(place) = choices.columns.get_mut(index) {
                *place = choice;
            }
        }
        let combinations = choices.combinations();
        if choices.own.overflowed() || combinations > PROBES_MAX {
            return false;
        }
        let table = &indexed.table;
        if combinations > HASHES_MAX {
            choices.each(0, 0, &mut |hash| {
                table.each(hash, |row| self.candidate(indexed, row as usize, &choices));
            });
            return true;
        }
        let mut hashes = [0; HASHES_MAX];
        let mut free = hashes.iter_mut();
        let mut touched = 0;
        choices.each(0, 0, &mut |hash| {
            touched ^= table.touch(hash);
            if let Some(place) = free.next() {
                *place = hash;
            }
        });
        black_box(touched);
        for hash in hashes.iter().take(combinations) {
            table.each(*hash, |row| self.candidate(indexed, row as usize, &choices));
        }
        true
    }

    fn choose(
        &self,
        key: &Key,
        built: &'a IndexedKey,
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
                        let who = (who, argument.likely.tag);
                        choice.held = self.roles(*relation, who, *domain, own);
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
                        match early.take() {
                            Some(early) => {
                                index.find(own_symbol, &early.probes, others, symbols, own)
                            }
                            None => {
                                let probes = index.probes(text);
                                index.find(own_symbol, &probes, others, symbols, own);
                            }
                        }
                    }
                }
            }
        }
        choice.end = own.as_slice().len();
        choice
    }

    /// The roles that `who` holds; itself goes into `own` where rules may name it.
    fn roles(
        &self,
        relation: usize,
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
                    return Some((domain, argument.likely.tag));
                }
                Some(tagged(domain))
            }),
        };
        let member = roles
            .zip(domain)
            .and_then(|(roles, (domain, within))| roles.member(who, domain, (tag, within)));
        if member.is_none_or(|member| member.named_by_rules) {
            own.push(who);
        }
        member.map_or(&[], |member| member.held)
    }

    fn symbol(&self, argument: usize) -> Option<Symbol> {
        self.scene.request.get(argument)?.symbol
    }

    /// Judges one row that the table gave.
    fn candidate(&mut self, indexed: &'a Indexed, row: usize, choices: &Choices<'_>) {
        let fields = self.ruled.rows.row(row);
        let mut must_try = false;
        for (key, choice) in indexed.clause.keys.iter().zip(&choices.columns) {
            let field = fields.get(key.column).copied();
            if !choices.symbols(choice).any(|symbol| Some(symbol) == field) {
                if !choice.others {
                    return;
                }
                must_try = true;
            }
        }
        let denies = self.ruled.denies(fields);
        if !self.verdict.cares(row, denies) {
            return;
        }
        let evaluates = must_try || !indexed.clause.rest.is_empty();
        if evaluates && !self.affords_a_row() {
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
        let row = self.cost.of_row(self.scene.request);
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
/// Probes spent on one clause; beyond it the rows are walked.
const PROBES_MAX: usize = 4_096;
