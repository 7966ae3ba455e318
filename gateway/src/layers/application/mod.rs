//! Layer: 用 application. May this subject do this action on this object now.

pub mod duties;
pub mod hits;
pub mod shadow;

use hangu_policy::{Decision, PartitionedPolicy, Permit, Refusal, Request};

use crate::denial::Denial;

/// Asks the policy. The permit is the only key to an upstream.
///
/// # Errors
/// The denial and, where a rule denied, that rule.
pub fn decide(
    policy: &PartitionedPolicy,
    request: &Request<'_>,
) -> Result<Permit, (Denial, Option<hangu_policy::RuleId>)> {
    match policy.decide(request) {
        Decision::Permit(permit) => Ok(permit),
        Decision::Deny(Refusal::NoRule) => Err((Denial::NoRule, None)),
        Decision::Deny(Refusal::ExplicitDeny(rule)) => Err((Denial::ExplicitDeny, Some(rule))),
        Decision::Deny(Refusal::EvaluationError(rule, _)) => {
            Err((Denial::EvaluationError, Some(rule)))
        }
    }
}
