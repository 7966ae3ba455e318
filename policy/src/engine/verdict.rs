//! The answer so far: the first row that allows, the first that denies, the first that cannot be evaluated.
//!
//! Casbin walks the rows in order and stops at the one that settles the matter. The first of each kind is all that
//! is needed to know where it would have stopped, in whatever order rows are looked at here.

use super::eval::EvaluationFault;
use crate::model::check::Effect;

/// What is known of the matching rows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Verdict {
    effect: Effect,
    allow: Option<usize>,
    deny: Option<usize>,
    fault: Option<(usize, EvaluationFault)>,
}

/// What becomes of the rows that match.
pub(crate) trait Tally {
    /// Whether a match of `row` could still change anything.
    fn cares(&self, row: usize, denies: bool) -> bool;
    /// Takes a matching row.
    fn matched(&mut self, row: usize, denies: bool);
    /// Takes a row that could not be evaluated.
    fn failed(&mut self, row: usize, fault: EvaluationFault);
    /// Whether no row from `row` on can change anything.
    fn is_settled_before(&self, row: usize) -> bool;
    /// Forgets all rows.
    fn restart(&mut self);
}

/// The first rows of one kind that match: those that a decision of the other kind has overridden.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Others {
    denies: bool,
    rows: [usize; OVERRIDDEN_MAX],
    count: usize,
}

impl Others {
    pub(crate) fn new(denies: bool) -> Self {
        Self {
            denies,
            rows: [usize::MAX; OVERRIDDEN_MAX],
            count: 0,
        }
    }

    /// In the order of the file.
    pub(crate) fn rows(&self) -> &[usize] {
        self.rows.get(..self.count).unwrap_or_default()
    }
}

impl Tally for Others {
    fn cares(&self, row: usize, denies: bool) -> bool {
        denies == self.denies
            && !self.rows().contains(&row)
            && self.rows.last().is_some_and(|last| row < *last)
    }

    fn matched(&mut self, row: usize, denies: bool) {
        if !self.cares(row, denies) {
            return;
        }
        let place = self.rows().partition_point(|known| *known < row);
        if let Some(behind) = self.rows.get_mut(place..) {
            behind.rotate_right(1);
            if let Some(first) = behind.first_mut() {
                *first = row;
            }
        }
        self.count = OVERRIDDEN_MAX.min(self.count + 1);
    }

    /// A row that could not be evaluated decides nothing, and so would have decided nothing otherwise.
    fn failed(&mut self, _: usize, _: EvaluationFault) {}

    fn is_settled_before(&self, row: usize) -> bool {
        self.rows.last().is_some_and(|last| *last < row)
    }

    fn restart(&mut self) {
        *self = Self::new(self.denies);
    }
}

/// What the rows decide.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Outcome {
    /// This row permits.
    Allow(usize),
    /// No row denies, and that is enough.
    AllowByDefault,
    /// This row forbids.
    Deny(usize),
    /// Nothing permits.
    Nothing,
    /// This row could not be evaluated.
    Fault(usize, EvaluationFault),
}

impl Verdict {
    pub(crate) fn new(effect: Effect) -> Self {
        Self {
            effect,
            allow: None,
            deny: None,
            fault: None,
        }
    }

    /// The row at which Casbin stops, if any does.
    fn settled(&self) -> Option<usize> {
        match self.effect {
            Effect::AllowOverride => self.allow,
            Effect::DenyOverride | Effect::AllowAndDeny => self.deny,
            Effect::Priority | Effect::SubjectPriority => match (self.allow, self.deny) {
                (Some(allow), Some(deny)) => Some(allow.min(deny)),
                (allow, deny) => allow.or(deny),
            },
        }
    }

    pub(crate) fn outcome(&self) -> Outcome {
        let settled = self.settled();
        if let Some((row, fault)) = self.fault
            && settled.is_none_or(|settled| row < settled)
        {
            return Outcome::Fault(row, fault);
        }
        let denied = self.deny.map_or(Outcome::Nothing, Outcome::Deny);
        match (self.effect, self.allow, self.deny) {
            (Effect::AllowOverride, Some(row), _) => Outcome::Allow(row),
            (Effect::AllowOverride, None, _) => denied,
            (Effect::DenyOverride | Effect::AllowAndDeny, _, Some(row)) => Outcome::Deny(row),
            (Effect::DenyOverride, None, None) => Outcome::AllowByDefault,
            (Effect::DenyOverride | Effect::AllowAndDeny, Some(row), None) => Outcome::Allow(row),
            (Effect::AllowAndDeny, None, None) => Outcome::Nothing,
            (Effect::Priority | Effect::SubjectPriority, allow, deny) => match (allow, deny) {
                (Some(allow), Some(deny)) if deny < allow => Outcome::Deny(deny),
                (Some(allow), _) => Outcome::Allow(allow),
                (None, _) => denied,
            },
        }
    }
}

impl Tally for Verdict {
    #[inline]
    fn cares(&self, row: usize, denies: bool) -> bool {
        let first = if denies { self.deny } else { self.allow };
        first.is_none_or(|first| row < first)
    }

    #[inline]
    fn matched(&mut self, row: usize, denies: bool) {
        if self.cares(row, denies) {
            if denies {
                self.deny = Some(row);
            } else {
                self.allow = Some(row);
            }
        }
    }

    fn failed(&mut self, row: usize, fault: EvaluationFault) {
        if self.fault.is_none_or(|(first, _)| row < first) {
            self.fault = Some((row, fault));
        }
    }

    fn is_settled_before(&self, row: usize) -> bool {
        self.settled().is_some_and(|settled| settled < row)
            || self.fault.is_some_and(|(fault, _)| fault < row)
    }

    fn restart(&mut self) {
        *self = Self::new(self.effect);
    }
}

/// Rules that a decision is said to have overridden, at most.
pub(crate) const OVERRIDDEN_MAX: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_rows_of_each_kind_give_the_answer_that_walking_gives() {
        use Effect::{AllowAndDeny, AllowOverride, DenyOverride, Priority};
        use Outcome::{Allow, AllowByDefault, Deny, Fault, Nothing};
        const F: EvaluationFault = EvaluationFault::WrongType;
        for (effect, rows, expected) in [
            (AllowOverride, "", Nothing),
            (AllowOverride, "da", Allow(1)),
            (AllowOverride, "-ad", Allow(1)),
            (AllowOverride, "d", Deny(0)),
            (AllowOverride, "af", Allow(0)),
            (AllowOverride, "fa", Fault(0, F)),
            (AllowAndDeny, "aad", Deny(2)),
            (AllowAndDeny, "-aa", Allow(1)),
            (AllowAndDeny, "af", Fault(1, F)),
            (AllowAndDeny, "adf", Deny(1)),
            (DenyOverride, "--", AllowByDefault),
            (DenyOverride, "-a", Allow(1)),
            (DenyOverride, "ad", Deny(1)),
            (DenyOverride, "f", Fault(0, F)),
            (Priority, "-da", Deny(1)),
            (Priority, "-ad", Allow(1)),
            (Priority, "--", Nothing),
            (Priority, "af", Allow(0)),
            (Priority, "fa", Fault(0, F)),
        ] {
            for backwards in [false, true] {
                let mut order: Vec<_> = rows.chars().enumerate().collect();
                if backwards {
                    order.reverse();
                }
                let mut verdict = Verdict::new(effect);
                for (row, kind) in order {
                    match kind {
                        'a' => verdict.matched(row, false),
                        'd' => verdict.matched(row, true),
                        'f' => verdict.failed(row, F),
                        _ => {}
                    }
                }
                assert_eq!(verdict.outcome(), expected, "{effect:?} {rows} {backwards}");
            }
        }
    }
}
