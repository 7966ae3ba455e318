//! Rules that another rule makes needless, or that contradict one another.
//!
//! A rule that holds all of another's requests matches whatever the other matches. For each rule the few that may
//! hold it are looked up by the roles, patterns and texts that are at least as wide; each is then compared exactly.

use super::finding::{Findings, Severity};
use super::places::Places;
use super::reach::{Clause, Reach, Sheet, Side};
use super::shelf::Shelf;
use crate::model::check::Effect;
use crate::rules::symbols::{Symbol, mix};
use std::collections::HashMap;

/// How one rule stands to another that holds all of its requests.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Standing {
    /// The same requests, the same effect.
    Duplicate,
    /// The same requests, the opposite effect.
    Contradictory,
    /// The other decides the same for all of its requests.
    Shadowed,
    /// The other decides otherwise for all of its requests.
    NeverInEffect,
}

pub(crate) fn look(sheet: Sheet<'_>, findings: &mut Findings<'_>) {
    look_at_effect(sheet, findings);
    let clauses = sheet.clauses();
    let finder = Finder::new(sheet, &clauses);
    for row in 0..sheet.len() {
        if !counts(sheet, row) {
            continue;
        }
        let reaches = sheet.reaches(row, &clauses);
        if reaches.is_empty() {
            let what = "no request can match this rule".to_owned();
            let fix = "compare it with the matcher, then correct or remove it".to_owned();
            findings.at_rule(
                sheet,
                row,
                None,
                (Severity::Warning, "never-matching"),
                (what, fix),
            );
            continue;
        }
        if let Some((other, standing)) = finder.worst(row, &reaches) {
            say(sheet, row, other, standing, findings);
        }
    }
}

/// Effects under which rows of one kind say nothing.
fn look_at_effect(sheet: Sheet<'_>, findings: &mut Findings<'_>) {
    let idle = match sheet.effect() {
        Effect::AllowOverride => true,
        Effect::DenyOverride => false,
        Effect::AllowAndDeny | Effect::Priority | Effect::SubjectPriority => return,
    };
    let rows = (0..sheet.len()).filter(|row| sheet.denies(*row) == idle);
    for row in rows {
        let (word, fix) = if idle {
            (
                "deny",
                "let deny win with `e = some(where (p.eft == allow)) && !some(where (p.eft == deny))`",
            )
        } else {
            (
                "allow",
                "refuse what no rule allows with `e = some(where (p.eft == allow)) && !some(where (p.eft == deny))`",
            )
        };
        let what =
            format!("the model's effect never looks at `{word}` rules, this one changes nothing");
        findings.at_rule(
            sheet,
            row,
            None,
            (Severity::Error, "effect-ignores-rule"),
            (what, fix.to_owned()),
        );
    }
}

/// Whether the effect looks at rows of this kind.
fn counts(sheet: Sheet<'_>, row: usize) -> bool {
    match sheet.effect() {
        Effect::AllowOverride => !sheet.denies(row),
        Effect::DenyOverride => sheet.denies(row),
        Effect::AllowAndDeny | Effect::Priority | Effect::SubjectPriority => true,
    }
}

fn say(
    sheet: Sheet<'_>,
    row: usize,
    other: usize,
    standing: Standing,
    findings: &mut Findings<'_>,
) {
    let (line, text) = (sheet.line(other), sheet.row_text(other));
    let (severity, kind, what, fix) = match standing {
        Standing::Duplicate => (
            Severity::Warning,
            "duplicate",
            format!(
                "says what line {line} says already: removing one of them alone would change nothing"
            ),
            "remove it".to_owned(),
        ),
        Standing::Contradictory => (
            Severity::Error,
            "contradictory",
            format!("line {line} says the opposite of the same requests and wins: `{text}`"),
            "decide which of the two is meant and remove the other".to_owned(),
        ),
        Standing::Shadowed => (
            Severity::Warning,
            "shadowed",
            format!("line {line} decides the same for all of its requests and more: `{text}`"),
            format!("remove it, or narrow line {line} if that was meant to be smaller"),
        ),
        Standing::NeverInEffect => (
            Severity::Error,
            "never-in-effect",
            format!("line {line} decides otherwise for every request that it matches: `{text}`"),
            format!("remove it, or narrow line {line}"),
        ),
    };
    findings.at_rule(sheet, row, None, (severity, kind), (what, fix));
}

/// Finds the rules that may hold all requests of another.
pub(crate) struct Finder<'a> {
    sheet: Sheet<'a>,
    clauses: &'a [Clause<'a>],
    /// From the hash of a box's sides to its rows.
    boxes: HashMap<u64, Vec<u32>>,
    /// All patterns, by the numbers that they have in `patterns`.
    shelf: Shelf<'a>,
    patterns: HashMap<Places<'a>, u32>,
}

impl<'a> Finder<'a> {
    pub(crate) fn new(sheet: Sheet<'a>, clauses: &'a [Clause<'a>]) -> Self {
        let mut finder = Self {
            sheet,
            clauses,
            boxes: HashMap::with_capacity(sheet.len()),
            shelf: Shelf::default(),
            patterns: HashMap::new(),
        };
        for row in 0..sheet.len() {
            let Ok(number) = u32::try_from(row) else {
                break;
            };
            for reach in sheet.reaches(row, clauses) {
                let mut hash = 0;
                for side in &reach.sides {
                    hash = extend(hash, finder.code(side));
                }
                finder.boxes.entry(hash).or_default().push(number);
            }
        }
        finder
    }

    /// A number for a side; patterns get one when they are first seen.
    fn code(&mut self, side: &Side<'a>) -> u64 {
        let Side::Like(places) = side else {
            return plain_code(side);
        };
        let new = u32::try_from(self.patterns.len()).unwrap_or(u32::MAX);
        let number = *self.patterns.entry(places.clone()).or_insert(new);
        if number == new {
            self.shelf.add(places, number);
        }
        like_code(number)
    }

    /// The codes of the sides that may hold all of a side.
    fn wider(&self, side: &Side<'a>, whole: &Reach<'a>) -> Vec<u64> {
        let mut codes = vec![plain_code(&Side::Any)];
        let likes = |places: &Places<'_>, codes: &mut Vec<u64>| {
            codes.extend(self.shelf.holding(places).into_iter().map(like_code));
        };
        match side {
            Side::Any => {}
            Side::Is(symbol, text) => {
                codes.push(plain_code(side));
                likes(&Places::One(text), &mut codes);
                for relation in 0..self.sheet.policy.roles.len() {
                    codes.push(role_code(relation, *symbol));
                }
            }
            Side::Like(places) => likes(places, &mut codes),
            Side::Holds {
                relation,
                role,
                domain,
            } => {
                codes.push(role_code(*relation, *role));
                let held = self.sheet.held(*relation, *role, *domain, whole);
                codes.extend(held.iter().map(|role| role_code(*relation, *role)));
            }
        }
        codes
    }

    /// The rows that hold all requests of a row, itself left out.
    pub(crate) fn holders(&self, row: usize, reaches: &[Reach<'a>]) -> Vec<usize> {
        let Some(first) = reaches.first() else {
            return Vec::new();
        };
        let mut hashes = vec![0];
        for side in &first.sides {
            let codes = self.wider(side, first);
            hashes = hashes
                .iter()
                .flat_map(|hash| codes.iter().map(|code| extend(*hash, *code)))
                .collect();
            if hashes.len() > PROBES_MAX {
                return Vec::new();
            }
        }
        let mut candidates: Vec<usize> = hashes
            .iter()
            .filter_map(|hash| self.boxes.get(hash))
            .flatten()
            .map(|number| *number as usize)
            .filter(|other| *other != row)
            .collect();
        candidates.sort_unstable();
        candidates.dedup();
        candidates.retain(|other| {
            let outer = self.sheet.reaches(*other, self.clauses);
            self.sheet.covers((*other, &outer), (row, reaches))
        });
        candidates
    }

    /// The worst that can be said of a row, and the other row.
    fn worst(&self, row: usize, reaches: &[Reach<'a>]) -> Option<(usize, Standing)> {
        let rank = |standing: Standing| match standing {
            Standing::Contradictory => 0,
            Standing::NeverInEffect => 1,
            Standing::Duplicate => 2,
            Standing::Shadowed => 3,
        };
        self.holders(row, reaches)
            .into_iter()
            .filter(|other| counts(self.sheet, *other))
            .filter_map(|other| Some((other, self.standing(row, reaches, other)?)))
            .min_by_key(|(other, standing)| (rank(*standing), *other))
    }

    fn standing(&self, row: usize, reaches: &[Reach<'a>], other: usize) -> Option<Standing> {
        let outer = self.sheet.reaches(other, self.clauses);
        let equal = self.sheet.covers((row, reaches), (other, &outer));
        let (mine, theirs) = (self.sheet.denies(row), self.sheet.denies(other));
        match self.sheet.effect() {
            Effect::Priority | Effect::SubjectPriority => {
                match (other < row, mine == theirs, equal) {
                    (false, ..) => None,
                    (true, true, true) => Some(Standing::Duplicate),
                    (true, true, false) => Some(Standing::Shadowed),
                    (true, false, true) => Some(Standing::Contradictory),
                    (true, false, false) => Some(Standing::NeverInEffect),
                }
            }
            Effect::AllowOverride | Effect::DenyOverride | Effect::AllowAndDeny => {
                match (mine, theirs, equal) {
                    (false, true, true) => Some(Standing::Contradictory),
                    (false, true, false) => Some(Standing::NeverInEffect),
                    // A denial within what is allowed is how exceptions are written.
                    (true, false, _) => None,
                    (_, _, true) if other < row => Some(Standing::Duplicate),
                    (_, _, true) => None,
                    (_, _, false) => Some(Standing::Shadowed),
                }
            }
        }
    }
}

fn plain_code(side: &Side<'_>) -> u64 {
    match side {
        Side::Any => 1,
        Side::Is(symbol, _) => mix(u64::from(symbol.0) << 8 | 2),
        Side::Like(_) => 3,
        Side::Holds { relation, role, .. } => role_code(*relation, *role),
    }
}

fn like_code(number: u32) -> u64 {
    mix(u64::from(number) << 8 | 4)
}

fn role_code(relation: usize, role: Symbol) -> u64 {
    mix(u64::from(role.0) << 16 | (relation as u64 & 0xff) << 8 | 5)
}

fn extend(hash: u64, code: u64) -> u64 {
    mix(hash ^ code).wrapping_add(code)
}

/// Boxes probed for one row; a row that would need more is passed over.
const PROBES_MAX: usize = 100_000;
