//! What was decided in each step of time, and why it was refused.

use std::collections::BTreeMap;
use std::fmt;

use super::{OUTCOMES, Shown};
use crate::time::Timestamp;

/// Steps of one width, in order; those without a decision are left out.
#[derive(Clone, Debug)]
pub(super) struct Timeline {
    /// Width of a step in milliseconds.
    pub(super) step_ms: u64,
    /// By its beginning, in milliseconds since 1970.
    pub(super) steps: BTreeMap<u64, Step>,
}

/// One step.
#[derive(Clone, Debug, Default)]
pub(super) struct Step {
    /// In the order of [`OUTCOMES`].
    pub(super) outcomes: [u64; OUTCOMES.len()],
    reasons: BTreeMap<String, u64>,
}

impl Timeline {
    pub(super) const fn new(step_ms: u64) -> Self {
        Self {
            step_ms,
            steps: BTreeMap::new(),
        }
    }

    pub(super) fn add(&mut self, time: Timestamp, outcome: usize, reason: &str) {
        let start = time.unix_ms() / self.step_ms * self.step_ms;
        let step = self.steps.entry(start).or_default();
        if let Some(count) = step.outcomes.get_mut(outcome) {
            *count += 1;
        }
        step.add_reason(reason, 1);
        if self.steps.len() > STEPS_MAX {
            self.coarsen(STEPS_MAX / 2);
        }
    }

    /// Doubles the steps until there are no more than this.
    fn coarsen(&mut self, most: usize) {
        while self.steps.len() > most && self.step_ms < u64::MAX / 2 {
            self.step_ms *= 2;
            let mut steps: BTreeMap<u64, Step> = BTreeMap::new();
            for (start, step) in &self.steps {
                let wider = steps
                    .entry(start / self.step_ms * self.step_ms)
                    .or_default();
                let pairs = wider.outcomes.iter_mut().zip(step.outcomes);
                pairs.for_each(|(sum, count)| *sum += count);
                for (reason, count) in &step.reasons {
                    wider.add_reason(reason, *count);
                }
            }
            self.steps = steps;
        }
    }
}

impl Step {
    fn add_reason(&mut self, reason: &str, count: u64) {
        if reason.is_empty() {
            return;
        }
        if let Some(sum) = self.reasons.get_mut(reason) {
            *sum += count;
        } else if self.reasons.len() < REASONS_MAX {
            self.reasons.insert(reason.to_owned(), count);
        }
    }

    /// The reason that came most, the first by name among equals.
    pub(super) fn top_reason(&self) -> Option<(&str, u64)> {
        let most = self.reasons.iter().rev().max_by_key(|(_, count)| **count);
        most.map(|(reason, count)| (reason.as_str(), *count))
    }
}

/// A table with a line for each step, in steps so wide that it fits a screen. Nothing for a single step.
impl fmt::Display for Timeline {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = self.clone();
        shown.coarsen(ROWS_MAX);
        if self.steps.len() < 2 {
            return Ok(());
        }
        writeln!(
            formatter,
            "\nover time, in steps of {} s",
            shown.step_ms / 1_000
        )?;
        write!(formatter, "{:24}", "")?;
        for (word, _) in OUTCOMES {
            write!(formatter, " {word:>9}")?;
        }
        writeln!(formatter, "  most for")?;
        for (start, step) in &shown.steps {
            write!(formatter, "{}", Timestamp::from_unix_ms(*start))?;
            for count in step.outcomes {
                write!(formatter, " {count:>9}")?;
            }
            match step.top_reason() {
                Some((reason, count)) => writeln!(formatter, "  {} ({count})", Shown(reason))?,
                None => writeln!(formatter)?,
            }
        }
        Ok(())
    }
}

const STEPS_MAX: usize = 1_000;
/// Reasons of one step; the log knows about a hundred.
const REASONS_MAX: usize = 128;
const ROWS_MAX: usize = 24;
