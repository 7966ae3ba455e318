//! What an error of Pingora means: blame is explicit, upstream, client, or us.

use pingora::prelude::{Error, ErrorSource, ErrorType};

use crate::denial::Denial;
use crate::layers::edge::chunked::BrokenBody;

/// No connection to an upstream.
pub(crate) fn connect_denial(error: &ErrorType) -> Denial {
    use ErrorType::{
        ConnectTimedout, HandshakeError, InvalidCert, TLSHandshakeFailure, TLSHandshakeTimedout,
        TLSWantX509Lookup,
    };
    if matches!(error, ConnectTimedout | TLSHandshakeTimedout) {
        Denial::UpstreamTimeout
    } else if matches!(
        error,
        TLSHandshakeFailure | InvalidCert | HandshakeError | TLSWantX509Lookup
    ) {
        Denial::UpstreamIdentity
    } else {
        Denial::UpstreamConnect
    }
}

pub(crate) fn proxy_denial(error: &ErrorType) -> Denial {
    if matches!(error, ErrorType::ReadTimedout | ErrorType::WriteTimedout) {
        Denial::UpstreamTimeout
    } else if matches!(error, ErrorType::InvalidCert) {
        Denial::UpstreamIdentity
    } else {
        Denial::UpstreamBroken
    }
}

/// Blame is explicit: upstream, client, or us.
pub(crate) fn final_denial(error: &Error) -> Denial {
    let malformed = matches!(
        error.etype(),
        ErrorType::InvalidHTTPHeader | ErrorType::InvalidH2
    );
    let bad_chunk = matches!(error.etype(), ErrorType::Custom(name) if *name == INVALID_CHUNK);
    match error.esource() {
        ErrorSource::Upstream => proxy_denial(error.etype()),
        ErrorSource::Downstream if bad_chunk || is_broken_body(error) => Denial::BodyMalformed,
        ErrorSource::Downstream if is_other_length(error) => Denial::BodyMalformed,
        ErrorSource::Downstream if malformed => Denial::HeadMalformed,
        ErrorSource::Downstream => Denial::ClientGone,
        ErrorSource::Internal | ErrorSource::Unset => Denial::Internal,
    }
}

/// Whether our side reset the stream since its body is not as long as its head said (RFC 9113 section 8.1.1).
fn is_other_length(error: &Error) -> bool {
    error
        .root_cause()
        .downcast_ref::<h2::Error>()
        .is_some_and(|cause| {
            !cause.is_remote() && cause.reason() == Some(h2::Reason::PROTOCOL_ERROR)
        })
}

/// Whether the stream found a chunk that is none.
fn is_broken_body(error: &Error) -> bool {
    error
        .root_cause()
        .downcast_ref::<std::io::Error>()
        .and_then(std::io::Error::get_ref)
        .is_some_and(|cause| cause.is::<BrokenBody>())
}

/// How Pingora names a chunk that is none.
const INVALID_CHUNK: &str = "InvalidChunk";
