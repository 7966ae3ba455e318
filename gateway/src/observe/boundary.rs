//! Metrics of the boundary: what is refused or ended without a request.

use prometheus::{IntCounter, IntCounterVec};

use super::metrics::Maker;

/// Shared by all threads.
#[derive(Debug)]
pub struct Boundary {
    /// HTTP/2 connections ended for what their client sent, by listener and reason.
    pub http2_endings: IntCounterVec,
    /// HTTP/2 streams that the gateway reset, by error code.
    pub http2_resets: IntCounterVec,
    /// Trailer sections that were left away.
    pub trailers: Trailers,
}

/// Trailer sections that were left away, by what they stood behind.
#[derive(Debug)]
pub struct Trailers {
    /// A request of HTTP/1.1.
    pub http1_request: IntCounter,
    /// A request of HTTP/2.
    pub http2_request: IntCounter,
    /// An answer of HTTP/2, for a client of HTTP/1.1.
    pub http2_answer: IntCounter,
}

impl Trailers {
    fn new(make: &Maker) -> Result<Self, prometheus::Error> {
        let dropped = make.counters(
            "trailers_dropped_total",
            "Trailer sections that were left away, by what they stood behind.",
            &["behind"],
        )?;
        Ok(Self {
            http1_request: dropped.with_label_values(&["http1_request"]),
            http2_request: dropped.with_label_values(&["http2_request"]),
            http2_answer: dropped.with_label_values(&["http2_answer"]),
        })
    }
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
            trailers: Trailers::new(make)?,
        })
    }
}
