//! Layer: 用 application. May this subject do this action on this object now.

pub mod duties;
pub mod hits;
pub mod shadow;

use hangu_policy::{self as policy, Decision, Overridden, PartitionedPolicy, Permit, Request};

use crate::denial::Denial;
use crate::refusal::Refusal;

/// Asks the policy. The permit is the only key to an upstream; beside it are the denials that it overrode. Under a model in which
/// every denial wins there are none, and nothing more is asked.
///
/// # Errors
/// The denial and, where a rule denied, that rule and the permits that it overrode.
pub fn decide(
    policy: &PartitionedPolicy,
    request: &Request<'_>,
) -> Result<(Permit, Overridden), Refusal> {
    match policy.decide(request) {
        Decision::Permit(permit) if policy.permits_may_override() => {
            let overridden = policy.overridden(request, permit.rule());
            Ok((permit, overridden))
        }
        Decision::Permit(permit) => Ok((permit, Overridden::default())),
        Decision::Deny(policy::Refusal::NoRule) => Err(Denial::NoRule.into()),
        Decision::Deny(policy::Refusal::ExplicitDeny(rule)) => Err(Refusal {
            overridden: policy.overridden(request, rule),
            ..Refusal::by(Denial::ExplicitDeny, rule)
        }),
        Decision::Deny(policy::Refusal::EvaluationError(rule, _)) => {
            Err(Refusal::by(Denial::EvaluationError, rule))
        }
    }
}
