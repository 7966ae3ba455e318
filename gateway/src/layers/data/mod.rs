//! Layer: 数 data. What class of data may leave to whom.
//!
//! The route's label says what the answer holds; the policy's clearance relation says which labels a subject, or a role it
//! holds with the tenant, may receive. No clearance, no data, whatever the rules permit.

pub mod purpose;

use hangu_policy::PartitionedPolicy;

use crate::denial::Denial;

/// Whether the subject may receive data of this label from this tenant, at a time in milliseconds since 1970.
///
/// # Errors
/// [`Denial::Label`].
pub fn check_clearance(
    policy: &PartitionedPolicy,
    subject: &str,
    tenant: &str,
    label: &str,
    time_unix_ms: Option<i64>,
) -> Result<(), Denial> {
    if policy.clears(subject, tenant, label, time_unix_ms) {
        Ok(())
    } else {
        Err(Denial::Label)
    }
}
