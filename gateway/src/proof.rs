//! Before a byte goes to an upstream: is it who it must be.

use std::sync::Arc;

use pingora::protocols::Digest;

use crate::context::Context;
use crate::denial::Denial;
use crate::layers::cloud::prover::Unproven;

/// Whether the upstream that a request has chosen is who it must be, over a connection with this digest.
///
/// # Errors
/// Why it is not; then it must hear nothing.
pub(crate) async fn prove_upstream(
    context: &mut Context,
    digest: Option<&Digest>,
) -> Result<(), Unproven> {
    let prover = context.application().and_then(|(_, state)| {
        let (prover, within) = state.peer_settings.prover()?;
        Some((Arc::clone(prover), within))
    });
    let Some((prover, within)) = prover else {
        return Ok(());
    };
    let tls = digest.and_then(|digest| digest.ssl_digest.as_ref());
    let result = match (tls, context.chosen_address()) {
        (Some(tls), Some(address)) => {
            let now = context.unix_seconds();
            prover.prove(address, &tls.cert_digest, now, within).await
        }
        (None, _) | (_, None) => Err(Unproven::Fickle),
    };
    if result.is_err() {
        context.failure = Some(Denial::UpstreamIdentity);
    }
    result
}
