//! What an error of Pingora means: blame is explicit, upstream, client, or us.

use pingora::prelude::{Error, ErrorSource, ErrorType};

use crate::denial::Denial;
use crate::layers::edge::chunked::BrokenBody;
use crate::layers::edge::send_rate::TooSlow;
use crate::request_deadlines::Overdue;

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
    if let Some(overdue) = cause_of::<Overdue>(error) {
        return overdue.denial();
    }
    let is_slow =
        matches!(error.etype(), ErrorType::WriteTimedout) || cause_of::<TooSlow>(error).is_some();
    match error.esource() {
        ErrorSource::Upstream => proxy_denial(error.etype()),
        ErrorSource::Downstream if is_slow => Denial::ClientSlow,
        ErrorSource::Downstream if bad_chunk || cause_of::<BrokenBody>(error).is_some() => {
            Denial::BodyMalformed
        }
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

/// What our own stream said, where it broke the connection off.
fn cause_of<E: std::error::Error + Copy + 'static>(error: &Error) -> Option<E> {
    let cause = error.root_cause().downcast_ref::<std::io::Error>()?;
    cause.get_ref()?.downcast_ref::<E>().copied()
}

/// How Pingora names a chunk that is none.
const INVALID_CHUNK: &str = "InvalidChunk";
