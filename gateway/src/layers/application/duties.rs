//! What permits demand besides: carried out here, or told to the application that has promised to carry it out.
//!
//! A permit whose obligation nobody carries out is no permit. The gateway itself asks for a fresh proof of identity
//! (`step_up`) and records more (`log_level`). Masking and watermarks it tells to the application, and only to one
//! that the configuration says carries out that very one.

use std::collections::HashMap;
use std::sync::Arc;

use hangu_policy::{LogLevel, Obligations, PartitionedPolicy, RuleId};

use crate::denial::Denial;

/// What one rule demands, ready for requests.
#[derive(Debug)]
pub struct Duty {
    /// Every one as a word, for records.
    pub words: Vec<Arc<str>>,
    /// Those that the application carries out, as words.
    pub told: Vec<Arc<str>>,
    /// How much is recorded.
    pub log_level: LogLevel,
    step_up_seconds: Option<u32>,
}

/// The duties of a policy's rules.
#[derive(Debug, Default)]
pub struct Duties {
    distinct: Vec<Arc<Duty>>,
    /// By number of the rule: 0, or one more than the index in `distinct`. Empty when no rule demands anything.
    of_rule: Vec<u16>,
}

/// More kinds of duties than the table can tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "its rules have more than {DISTINCT_MAX} different combinations of obligations; use fewer names"
)]
pub struct TooManyDuties;

impl Duties {
    /// Gathers what the rules of a policy demand.
    ///
    /// # Errors
    /// [`TooManyDuties`].
    pub fn of_policy(policy: &PartitionedPolicy) -> Result<Self, TooManyDuties> {
        let mut duties = Self::default();
        let mut known: HashMap<Obligations, u16> = HashMap::new();
        for (rule, view) in policy.rules() {
            let Some(obligations) = Obligations::of(&view) else {
                continue;
            };
            let next = u16::try_from(duties.distinct.len() + 1).map_err(|_| TooManyDuties)?;
            let index = *known.entry(obligations).or_insert_with_key(|obligations| {
                duties.distinct.push(Arc::new(Duty::of(obligations)));
                next
            });
            if duties.of_rule.is_empty() {
                duties.of_rule = vec![0; policy.rule_numbers()];
            }
            if let Some(place) = duties.of_rule.get_mut(rule.number()) {
                *place = index;
            }
        }
        Ok(duties)
    }

    /// What a rule demands.
    #[must_use]
    pub fn of(&self, rule: RuleId) -> Option<&Duty> {
        let index = self.of_rule.get(rule.number())?.checked_sub(1)?;
        self.distinct.get(usize::from(index)).map(|duty| &**duty)
    }

    /// Everything that applications would be told, each once.
    pub fn told(&self) -> impl Iterator<Item = &str> {
        self.distinct
            .iter()
            .flat_map(|duty| duty.told.iter().map(|word| &**word))
    }
}

impl Duty {
    fn of(obligations: &Obligations) -> Self {
        let words: Vec<Arc<str>> = obligations.words().into_iter().map(Into::into).collect();
        let told = words.iter().filter(|word| is_told(word)).cloned();
        Self {
            told: told.collect(),
            words,
            log_level: obligations.log_level,
            step_up_seconds: obligations.step_up_seconds,
        }
    }

    /// Whether it can be carried out for this request: `proved_at` is when the client proved its key, if it has one, `carried_out`
    /// what the application carries out.
    ///
    /// # Errors
    /// [`Denial::StepUp`] or [`Denial::Obligation`].
    pub fn check(
        &self,
        proved_at: Option<i64>,
        now: i64,
        carried_out: &[Box<str>],
    ) -> Result<(), Denial> {
        if let Some(seconds) = self.step_up_seconds {
            let fresh = |at: i64| now.saturating_sub(at) <= i64::from(seconds);
            if !proved_at.is_some_and(fresh) {
                return Err(Denial::StepUp);
            }
        }
        let is_carried_out = |word: &Arc<str>| carried_out.iter().any(|own| **own == **word);
        if self.told.iter().all(is_carried_out) {
            Ok(())
        } else {
            Err(Denial::Obligation)
        }
    }
}

/// Whether the application carries it out, and not the gateway.
#[must_use]
pub fn is_told(word: &str) -> bool {
    word.starts_with("mask:") || word.starts_with("watermark:")
}

const DISTINCT_MAX: usize = u16::MAX as usize;

#[cfg(test)]
mod tests {
    use super::*;

    fn duty(mask: Option<&str>, step_up_seconds: Option<u32>) -> Duty {
        Duty::of(&Obligations {
            mask: mask.map(Into::into),
            step_up_seconds,
            ..Obligations::default()
        })
    }

    #[test]
    fn a_proof_must_be_fresh_and_somebody_must_have_given_it() {
        for (proved_at, expected) in [
            (Some(1_000), Ok(())),
            (Some(900), Ok(())),
            (Some(899), Err(Denial::StepUp)),
            // A clock that was put back does not make an old proof of a new one, nor a new one old.
            (Some(2_000), Ok(())),
            (None, Err(Denial::StepUp)),
        ] {
            let checked = duty(None, Some(100)).check(proved_at, 1_000, &[]);
            assert_eq!(checked, expected, "{proved_at:?}");
        }
    }

    #[test]
    fn what_the_application_does_not_carry_out_is_refused() {
        let carried_out: Vec<Box<str>> = vec!["mask:phone".into()];
        let check = |mask| duty(Some(mask), None).check(None, 0, &carried_out);
        assert_eq!(check("phone"), Ok(()));
        assert_eq!(check("resident-id"), Err(Denial::Obligation));
    }
}
