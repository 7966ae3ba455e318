//! Before a byte goes to an upstream: is it who it must be.

use std::sync::Arc;

use http::Version;
use pingora::protocols::Digest;
use pingora::{Error, ErrorType};

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

/// Whether the connection to the upstream speaks the version of HTTP that its application names. Over TLS the library falls back to
/// HTTP/1.1 where a server agrees to nothing; gRPC and its trailers would be lost in it, and what was configured would not be what happens.
///
/// # Errors
/// When it does not; then it must hear nothing.
pub(crate) fn agree_on_version(context: &mut Context, version: Version) -> pingora::Result<()> {
    let is_agreed = context
        .application()
        .is_none_or(|(_, state)| state.peer_settings.speaks(version));
    if is_agreed {
        return Ok(());
    }
    tracing::warn!("an upstream of HTTP/2 does not agree to it by ALPN");
    context.failure = Some(Denial::UpstreamProtocol);
    Err(Error::new_up(OTHER_VERSION))
}

/// What an error says of an upstream that was told nothing, because it is not what it must be; `None` for every other error.
pub(crate) fn unfit(error: &ErrorType) -> Option<Denial> {
    if *error == ErrorType::InvalidCert {
        Some(Denial::UpstreamIdentity)
    } else if *error == OTHER_VERSION {
        Some(Denial::UpstreamProtocol)
    } else {
        None
    }
}

const OTHER_VERSION: ErrorType = ErrorType::Custom("upstream of another version");
