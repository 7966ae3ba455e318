//! Is the certificate still good right now: asked on each request, since a connection may outlive a revocation or an expiry.

use hangu_certs::{Identity, Revocation, RevocationIndex};

use crate::denial::Denial;

/// Checks expiry and revocation of a whole chain at `now` (seconds since 1970). No allocation.
///
/// # Errors
/// [`Denial::CertificateExpired`], [`Denial::Revoked`] or [`Denial::RevocationUnknown`].
pub fn check_still_valid(
    identity: &Identity,
    revocation: &RevocationIndex,
    now: i64,
) -> Result<(), Denial> {
    if now > identity.not_after {
        return Err(Denial::CertificateExpired);
    }
    revocation
        .check(&identity.links, now)
        .map_err(|revocation| match revocation {
            Revocation::Revoked { .. } => Denial::Revoked,
            Revocation::ListExpired { .. } | Revocation::NoList { .. } => Denial::RevocationUnknown,
        })
}
