//! The lines of a policy by organisation, each organisation's with a digest.

use super::part::Parting;
use crate::problem::{Place, Problems, Source};
use crate::rules::csv::{self, Field};
use crate::rules::symbols::hash;
use crate::rules::table;
use ring::digest::{Context, SHA256};
use std::collections::HashMap;

/// A line without its end, and its number.
pub(super) type Line<'a> = (u32, &'a str);

/// The lines of one organisation, in the order of the file.
#[derive(Debug, Default)]
pub(super) struct Lines<'a> {
    pub(super) domain: Box<str>,
    pub(super) lines: Vec<Line<'a>>,
    /// SHA-256 of the common lines and these.
    pub(super) digest: Vec<u8>,
}

/// All lines that hold a row.
#[derive(Debug, Default)]
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

impl<'a> Split<'a> {
    /// Splits a policy; `None` if it has a problem, or if parting it is not worth while.
    pub(super) fn of(rules: Source<'a>, parting: &Parting) -> Option<Self> {
        let mut problems = Problems::new(rules.name);
        let mut split = Self::default();
        let mut known: HashMap<Box<str>, usize> = HashMap::new();
        // Rows of one organisation mostly stand together.
        let mut last = (0, 0);
        let mut fields = Vec::new();
        let mut count = 0_usize;
        for (number, line) in table::lines(rules, &mut problems) {
            if !csv::split(line, number, &mut fields, &mut problems) {
                continue;
            }
            count += 1;
            let line = (u32::try_from(number).ok()?, line);
            let Some(domain) = parting.domain(&fields)? else {
                split.common.lines.push(line);
                continue;
            };
            let hash = hash(domain.as_bytes());
            if last.0 != hash || split.parts.get(last.1).is_none_or(|p| *p.domain != *domain) {
                let index = match known.get(domain) {
                    Some(index) => *index,
                    None => {
                        known.insert(domain.into(), split.parts.len());
                        split.parts.push(Lines {
                            domain: domain.into(),
                            ..Lines::default()
                        });
                        split.parts.len() - 1
                    }
                };
                last = (hash, index);
            }
            split.parts.get_mut(last.1)?.lines.push(line);
        }
        let copies = split.common.lines.len().saturating_mul(split.parts.len());
        if !problems.is_empty()
            || split.parts.len() > PARTITIONS_MAX
            || copies > count / 4 + COPIES_FREE
        {
            return None;
        }
        split.take_digests();
        Some(split)
    }

    fn take_digests(&mut self) {
        let mut common = Context::new(&SHA256);
        update(&mut common, &self.common.lines);
        for part in &mut self.parts {
            let mut context = common.clone();
            update(&mut context, &part.lines);
            part.digest = context.finish().as_ref().to_vec();
        }
        self.common.digest = common.finish().as_ref().to_vec();
    }

    /// The common lines to keep.
    pub(super) fn common(&self) -> Common {
        let lines = self.common.lines.iter();
        Common {
            lines: lines.map(|(_, line)| Box::from(*line)).collect(),
        }
    }
}

fn update(context: &mut Context, lines: &[Line<'_>]) {
    for (_, line) in lines {
        context.update(line.as_bytes());
        context.update(b"\n");
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
        let Some(found) = parting.domain(&fields) else {
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
