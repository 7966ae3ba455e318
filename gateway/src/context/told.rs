//! The record is in the log before the client hears the answer, and what came after is told behind it.
//!
//! A client that has its answer can rely on the record of it: it is on the disk (`durable`), or with the system (`written`), or nothing
//! is promised (`counted`), as the application is configured. So the record is handed in when the answer begins, with the length that
//! the answer announces; if more or less came of it (a stream, a tunnel, a broken connection), a second record of kind `end` says what.

use std::sync::Arc;
use std::time::SystemTime;

use hangu_audit::{Decision, Exchange, Kind, Record, Timestamp};
use http::header::CONTENT_LENGTH;
use pingora::http::ResponseHeader;
use pingora::proxy::Session;

use super::Context;
use crate::audit_trail::{NoPlace, Until};
use crate::config::Acknowledge;
use crate::connection::Live;
use crate::observe::metrics::Metrics;

/// What a record has said already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Told {
    status: Option<u16>,
    bytes_in: u64,
    bytes_out: u64,
    decision: Decision,
}

impl Context {
    /// What the request's application promises of its records; the most where none was found.
    #[must_use]
    pub fn acknowledge(&self) -> Acknowledge {
        self.application()
            .map_or(Acknowledge::Durable, |(config, _)| config.acknowledge)
    }

    /// An answer of this head is about to go to the client: waits until its record is where the application wants it.
    ///
    /// # Errors
    /// [`NoPlace`] when the log does not take it now; the answer must not go out then.
    pub async fn tell(
        &mut self,
        session: &Session,
        response: &ResponseHeader,
    ) -> Result<(), NoPlace> {
        let status = response.status;
        let is_interim =
            status.is_informational() && status != http::StatusCode::SWITCHING_PROTOCOLS;
        if is_interim {
            return Ok(());
        }
        let has_body = session.req_header().method != http::Method::HEAD
            && !matches!(status.as_u16(), 101 | 204 | 304);
        let announced = response
            .headers
            .get(CONTENT_LENGTH)
            .filter(|_| has_body)
            .and_then(|length| length.to_str().ok()?.parse().ok());
        self.tell_of(status.as_u16(), announced.unwrap_or(0)).await
    }

    /// As [`tell`](Self::tell), for an answer of the gateway's own.
    ///
    /// # Errors
    /// As there.
    pub async fn tell_of(&mut self, status: u16, bytes_out: u64) -> Result<(), NoPlace> {
        let until = match self.acknowledge() {
            Acknowledge::Durable => Until::Durable,
            Acknowledge::Written => Until::Written,
            Acknowledge::Counted => return Ok(()),
        };
        if self.told.is_some() {
            return Ok(());
        }
        let now = self.outcome(Some(status), bytes_out);
        self.complete(now);
        let Some(place) = &mut self.place else {
            return Ok(());
        };
        self.told = Some(now);
        place.tell(until).await
    }

    /// The end of the walk: metrics and what the log does not have yet.
    pub fn finish(&mut self, session: &Session, metrics: &Metrics) {
        self.count(metrics, self.started.elapsed().as_secs_f64());
        if Live::session_of(session).is_some_and(|live| live.take_trailers()) {
            metrics.boundary.trailers.http1_request.inc();
        }
        let status = session
            .response_written()
            .map(|response| response.status.as_u16());
        let bytes_out = u64::try_from(session.body_bytes_sent()).unwrap_or(u64::MAX);
        let now = self.outcome(status, bytes_out);
        match self.told {
            None => {
                self.complete(now);
                if let Some(place) = self.place.take() {
                    place.hand_in();
                }
            }
            Some(told) => {
                let rest = (told != now).then(|| self.rest(now));
                if let Some(place) = self.place.take() {
                    place.settle(rest);
                }
            }
        }
    }

    /// The request was cut off after its record was handed in: says behind it what became of it. False when nothing was handed in.
    pub(super) fn settle_cut(&mut self) -> bool {
        let Some(told) = self.told else {
            return false;
        };
        let rest = self.rest(self.outcome(told.status, self.bytes_out));
        if let Some(place) = self.place.take() {
            place.settle(Some(rest));
        }
        true
    }

    fn outcome(&self, status: Option<u16>, bytes_out: u64) -> Told {
        Told {
            status,
            bytes_in: self.bytes_in,
            bytes_out,
            decision: self.judgement().decision,
        }
    }

    /// The draft becomes the record.
    fn complete(&mut self, now: Told) {
        let judgement = self.judgement();
        let detail = self.limited.detail();
        let exchange = self.exchange_now(now);
        let Some(record) = self.place.as_mut().and_then(|place| place.draft()) else {
            return;
        };
        record.time = Timestamp::from(SystemTime::now());
        record.judgement = Some(judgement);
        // Behind what a rule has asked to be written.
        if !detail.is_empty() && !record.detail.is_empty() {
            record.detail.push_str("; ");
        }
        record.detail.push_str(&detail);
        if let Some(written) = &mut record.exchange {
            written.status = exchange.status;
            written.bytes_in = exchange.bytes_in;
            written.bytes_out = exchange.bytes_out;
            written.duration_us = exchange.duration_us;
            written.upstream = exchange.upstream;
        }
    }

    /// What came after the record of the answer's beginning.
    fn rest(&self, now: Told) -> Box<Record> {
        let time = Timestamp::from(SystemTime::now());
        let origin = Arc::clone(self.shared.trail.origin());
        let mut record = Box::new(Record::event(
            Kind::End,
            time,
            origin,
            self.limited.detail(),
        ));
        record.basis = Some(Arc::clone(&self.snapshot.basis));
        record.connection = self
            .connection
            .as_ref()
            .map(|connection| Arc::clone(&connection.audited));
        record.judgement = Some(self.judgement());
        record.exchange = Some(Exchange {
            request_id: self.id.to_string(),
            ..self.exchange_now(now)
        });
        record
    }

    fn exchange_now(&self, now: Told) -> Exchange {
        Exchange {
            status: now.status,
            bytes_in: now.bytes_in,
            bytes_out: now.bytes_out,
            duration_us: u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX),
            upstream: self.chosen.as_ref().map(|chosen| Arc::clone(chosen.name())),
            ..Exchange::default()
        }
    }
}
