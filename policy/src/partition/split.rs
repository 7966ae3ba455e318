//! The lines of a policy by organisation, and whether they are the rows that an earlier generation compiled.

use super::PartitionedPolicy;
use super::part::Parting;
use crate::policy::Policy;
use crate::problem::{Place, Problems, Source};
use crate::rules::csv::{self, Field};
use crate::rules::symbols::hash;
use crate::rules::table;
use std::collections::HashMap;
use std::sync::Arc;

/// A line without its end, and its number.
pub(super) type Line<'a> = (u32, &'a str);

/// The lines of one organisation, in the order of the file.
#[derive(Default)]
pub(super) struct Lines<'a> {
    pub(super) domain: Box<str>,
    pub(super) lines: Vec<Line<'a>>,
    /// What an earlier generation has compiled of the same rows, as far as they have been compared.
    same: Option<Same<'a>>,
}

impl Lines<'_> {
    /// What was compiled of exactly these rows.
    pub(super) fn compiled(&self) -> Option<&Arc<Policy>> {
        self.same.as_ref().map(|same| same.policy)
    }
}

/// All lines that hold a row.
#[derive(Default)]
pub(super) struct Split<'a> {
    /// Those of no organisation.
    pub(super) common: Lines<'a>,
    pub(super) parts: Vec<Lines<'a>>,
}

/// The lines of no organisation, kept for partitions that come later.
#[derive(Debug, Default)]
pub(super) struct Common {
    pub(super) lines: Vec<Box<str>>,
}

impl Common {
    pub(super) fn bytes(&self) -> usize {
        let texts = self.lines.iter().map(|line| line.len());
        texts.sum::<usize>() + self.lines.capacity() * size_of::<Box<str>>()
    }
}

/// A comparison of lines with the rows of a compiled policy, one after the other: a digest could be made to agree, and
/// a denial that was added would not count.
struct Same<'a> {
    policy: &'a Arc<Policy>,
    /// How many rows of each type have been compared.
    compared: Vec<usize>,
}

impl<'a> Same<'a> {
    fn new(policy: &'a Arc<Policy>) -> Self {
        Self {
            policy,
            compared: vec![0; policy.sections.len() + policy.relations.len()],
        }
    }

    /// Whether the next row of a type has these fields.
    fn goes_on(&mut self, kind: usize, values: &[Field<'_>]) -> bool {
        let (Some(rows), Some(next)) = (self.policy.rows(kind), self.compared.get_mut(kind)) else {
            return false;
        };
        let row = rows.row(*next);
        *next += 1;
        let texts = row.iter().map(|symbol| self.policy.symbols.text(*symbol));
        row.len() == values.len() && texts.zip(values).all(|(text, field)| *text == *field.text)
    }

    /// Whether no row of these types is left.
    fn is_through(&self, kinds: impl Iterator<Item = usize>) -> bool {
        let mut kinds = kinds;
        kinds.all(|kind| {
            self.policy.rows(kind).map(|rows| rows.len()) == self.compared.get(kind).copied()
        })
    }
}

impl<'a> Split<'a> {
    /// Splits a policy; `None` if it has a problem, or if parting it is not worth while. Rows are compared with those
    /// of `before`.
    pub(super) fn of(
        rules: Source<'a>,
        parting: &Parting,
        before: Option<&'a PartitionedPolicy>,
    ) -> Option<Self> {
        let before = before.filter(|before| before.rest.policy.rules_name == rules.name);
        let mut problems = Problems::new(rules.name);
        let mut split = Self::default();
        split.common.same = before.map(|before| Same::new(&before.rest.policy));
        let mut known = Known::default();
        let mut fields = Vec::new();
        let mut count = 0_usize;
        for (number, line) in table::lines(rules, &mut problems) {
            if !csv::split(line, number, &mut fields, &mut problems) {
                continue;
            }
            count += 1;
            let (kind, domain) = parting.domain(&fields)?;
            let lines = match domain {
                Some(domain) => known.find(&mut split.parts, domain, before)?,
                None => &mut split.common,
            };
            lines.lines.push((u32::try_from(number).ok()?, line));
            let values = fields.get(1..).unwrap_or_default();
            if lines
                .same
                .as_mut()
                .is_some_and(|same| !same.goes_on(kind, values))
            {
                lines.same = None;
            }
        }
        let copies = split.common.lines.len().saturating_mul(split.parts.len());
        if !problems.is_empty()
            || split.parts.len() > PARTITIONS_MAX
            || copies > count / 4 + COPIES_FREE
        {
            return None;
        }
        split.end_comparing(parting);
        Some(split)
    }

    /// Forgets what has rows besides, and everything if the common rows are others.
    fn end_comparing(&mut self, parting: &Parting) {
        let common = self.common.same.take();
        self.common.same = common.filter(|same| same.is_through(parting.kinds_in_common()));
        for part in &mut self.parts {
            let same = part.same.take();
            let same = same.filter(|same| same.is_through(parting.kinds_of_organisations()));
            part.same = same.filter(|_| self.common.same.is_some());
        }
    }

    /// The common lines to keep.
    pub(super) fn common(&self) -> Common {
        let lines = self.common.lines.iter();
        Common {
            lines: lines.map(|(_, line)| Box::from(*line)).collect(),
        }
    }
}

/// Where the lines of each organisation are.
#[derive(Default)]
struct Known {
    places: HashMap<Box<str>, usize>,
    /// The last one asked for: rows of one organisation mostly stand together.
    last: (u64, usize),
}

impl Known {
    fn find<'s, 'a>(
        &mut self,
        parts: &'s mut Vec<Lines<'a>>,
        domain: &str,
        before: Option<&'a PartitionedPolicy>,
    ) -> Option<&'s mut Lines<'a>> {
        let hash = hash(domain.as_bytes());
        let is_last = |part: &Lines<'_>| self.last.0 == hash && *part.domain == *domain;
        if !parts.get(self.last.1).is_some_and(is_last) {
            let index = match self.places.get(domain) {
                Some(index) => *index,
                None => {
                    self.places.insert(domain.into(), parts.len());
                    parts.push(Lines {
                        domain: domain.into(),
                        same: before
                            .and_then(|before| before.part(domain))
                            .map(|part| Same::new(&part.policy)),
                        ..Lines::default()
                    });
                    parts.len() - 1
                }
            };
            self.last = (hash, index);
        }
        parts.get_mut(self.last.1)
    }
}

/// Finds rows that are not of `domain`.
pub(super) fn check(
    lines: &[(usize, &str)],
    parting: &Parting,
    domain: &str,
    problems: &mut Problems<'_>,
) {
    let mut fields: Vec<Field<'_>> = Vec::new();
    for (number, line) in lines {
        if !csv::split(line, *number, &mut fields, problems) {
            continue;
        }
        // A row that is of no shape is told of when it is compiled.
        let Some((_, found)) = parting.domain(&fields) else {
            continue;
        };
        if found != Some(domain) {
            let at = Place {
                line: *number,
                column: 1,
            };
            let whose = found.map_or("no organisation".to_owned(), |found| format!("`{found}`"));
            problems.add(
                at,
                format!("this row is of {whose}, not of `{domain}`"),
                "give each organisation its own rows only",
            );
        }
    }
}

/// Organisations that a policy is parted by: a gateway finds one by one probe, but each has tables of its own.
const PARTITIONS_MAX: usize = 4_096;
/// Copies of common rows that any policy may need; a large one may need a quarter of its rows besides.
const COPIES_FREE: usize = 65_536;
