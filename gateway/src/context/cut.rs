//! A request and the end of its connection: what is told to the client, and what the record says of a request that is cut off.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::SystemTime;

use hangu_audit::{Decision, Timestamp};

use super::Context;
use crate::audit_trail::Place;
use crate::denial::Denial;
use crate::live::Session;

impl Context {
    /// The request counts as one of its connection's from here on.
    pub fn begin(&mut self, session: Arc<Session>) {
        session.begin(self.unix_seconds());
        self.session = Some(session);
    }

    /// Whether no other request may follow on the connection.
    #[must_use]
    pub fn is_last(&self) -> bool {
        self.session
            .as_ref()
            .is_some_and(|session| session.ended().is_some())
    }

    /// The status goes into the record, should the answer be cut off.
    pub fn note_status(&mut self, status: u16) {
        if let Some(exchange) = self.exchange() {
            exchange.status = Some(status);
        }
    }

    /// Why the request is cut off from outside; `None` when it is not.
    fn cut_reason(&self) -> Option<Denial> {
        Some(self.session.as_ref()?.ended()?.denial)
    }

    /// The request was dropped before it came to its end: the record says why, as far as that is known.
    fn note_cut(&mut self) {
        let Some(denial) = self.cut_reason() else {
            return;
        };
        let (bytes_in, bytes_out, elapsed) =
            (self.bytes_in, self.bytes_out, self.started.elapsed());
        self.refuse(denial.into());
        self.count(&Arc::clone(&self.shared.metrics), elapsed.as_secs_f64());
        let mut judgement = self.judgement();
        judgement.decision = Decision::Aborted;
        let upstream = self.chosen.as_ref().map(|chosen| Arc::clone(chosen.name()));
        let Some(record) = self.place.as_mut().and_then(Place::draft) else {
            return;
        };
        record.time = Timestamp::from(SystemTime::now());
        record.judgement = Some(judgement);
        if let Some(exchange) = &mut record.exchange {
            exchange.bytes_in = bytes_in;
            exchange.bytes_out = bytes_out;
            exchange.duration_us = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX);
            exchange.upstream = upstream;
        }
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        if self.place.is_some() {
            self.note_cut();
        }
        if let Some(session) = &self.session {
            session.finish();
        }
        self.shared.in_flight.fetch_sub(1, Ordering::AcqRel);
    }
}
