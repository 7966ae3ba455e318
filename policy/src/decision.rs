//! The answer, and the proof that a request was permitted.

use crate::engine::eval::EvaluationFault;

/// The number of a rule: a row of the policy, or the line of the model that decided where no row did.
#[derive(Copy, Clone, Eq, PartialEq, Hash, Debug)]
pub struct RuleId(pub(crate) u32);

/// What the policy answers.
#[derive(Debug)]
pub enum Decision {
    /// The policy permits.
    Permit(Permit),
    /// It does not.
    Deny(Refusal),
}

impl Decision {
    /// The same, of a policy whose rules are numbered on from `first`.
    pub(crate) fn numbered_from(self, first: u32) -> Self {
        match self {
            Self::Permit(permit) => Self::Permit(permit.after(first)),
            Self::Deny(Refusal::NoRule) => self,
            Self::Deny(Refusal::ExplicitDeny(rule)) => {
                Self::Deny(Refusal::ExplicitDeny(rule.after(first)))
            }
            Self::Deny(Refusal::EvaluationError(rule, fault)) => {
                Self::Deny(Refusal::EvaluationError(rule.after(first), fault))
            }
        }
    }
}

impl RuleId {
    /// The number: below [`crate::PartitionedPolicy::rule_numbers`] of the policy that gave it.
    pub fn number(self) -> usize {
        self.0 as usize
    }

    /// The number of this rule after `first` others; that of no rule stays so.
    pub(crate) fn after(self, first: u32) -> Self {
        Self(self.0.saturating_add(first))
    }
}

/// Proof that the policy permitted a request; it is made in one place, inside the decision.
#[must_use = "a permit is the key to what comes next"]
#[derive(Debug)]
pub struct Permit {
    rule: RuleId,
}

impl Permit {
    /// The only constructor.
    pub(crate) fn granted_by(rule: RuleId) -> Self {
        Self { rule }
    }

    /// The same permit, of a policy whose rules are numbered on from `first`: it takes one, so it makes none.
    fn after(mut self, first: u32) -> Self {
        self.rule = self.rule.after(first);
        self
    }

    /// The rule that permitted.
    pub fn rule(&self) -> RuleId {
        self.rule
    }
}

/// Why the policy does not permit.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Refusal {
    /// No rule permits.
    NoRule,
    /// This rule forbids.
    ExplicitDeny(RuleId),
    /// The rule could not be evaluated for this request, and so nothing is permitted.
    EvaluationError(RuleId, EvaluationFault),
}
