//! Metrics of the boundary: what is refused or ended without a request.

use prometheus::IntCounterVec;

use super::metrics::Maker;

/// Shared by all threads.
#[derive(Debug)]
pub struct Boundary {
    /// HTTP/2 connections ended for what their client sent, by listener and reason.
    pub http2_endings: IntCounterVec,
    /// HTTP/2 streams that the gateway reset, by error code.
    pub http2_resets: IntCounterVec,
}

impl Boundary {
    pub(super) fn new(make: &Maker) -> Result<Self, prometheus::Error> {
        Ok(Self {
            http2_endings: make.counters(
                "http2_connections_ended_total",
                "HTTP/2 connections ended for what their client sent.",
                &["listener", "reason"],
            )?,
            http2_resets: make.counters(
                "http2_streams_reset_total",
                "HTTP/2 streams that the gateway reset, by error code of RFC 9113 section 7.",
                &["code"],
            )?,
        })
    }
}
