//! A request and the end of its connection: what is told to the client, and what the record says of a request that is cut off.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Instant, SystemTime};

use bytes::Bytes;
use hangu_audit::{Decision, Timestamp};
use http::header::HOST;
use pingora::http::RequestHeader;

use super::Context;
use super::head::{query_of, without_query};
use crate::audit_trail::Place;
use crate::config::Method;
use crate::denial::Denial;
use crate::live::{Begun, Running, Session};
use crate::stage::Permitted;

impl Context {
    /// The request counts as one of its connection's from here on.
    pub fn begin(&mut self, session: Arc<Session>) {
        session.begin(self.unix_seconds());
        self.session = Some(session);
    }

    /// The request is permitted: from here on it can be seen from outside, judged again and cut.
    pub fn run(&mut self, header: &RequestHeader) {
        let (Some(session), Some(method)) =
            (&self.session, Method::from_wire(header.method.as_str()))
        else {
            return;
        };
        let text = |name: &str| {
            header
                .headers
                .get(name)
                .and_then(|value| value.to_str().ok())
        };
        let purpose = self.snapshot.config.purpose.as_ref();
        let purpose = purpose.and_then(|rules| text(rules.header.as_str()));
        let permitted = self.permitted.as_ref();
        let sent = permitted.and_then(Permitted::rewritten);
        let has_name = session.connection.load().sni.is_some();
        let host = || header.uri.authority().map(http::uri::Authority::as_str);
        let host = (!has_name).then(|| host().or_else(|| text(HOST.as_str())));
        let target = permitted.zip(self.application());
        let is_read = target.is_some_and(|(_, (config, _))| !config.query_parameters.is_empty());
        let begun = Begun {
            method,
            host: host.flatten().map(Into::into),
            path: without_query(sent.unwrap_or(header.raw_path())).into(),
            query: query_of(header.raw_path())
                .filter(|_| is_read)
                .map(Into::into),
            purpose: purpose.unwrap_or_default().into(),
            target: target.and_then(|(permitted, (_, state))| {
                state.targets.get(permitted.route()).map(Arc::clone)
            }),
            began: self.started,
            since: self.unix_seconds(),
            generation: self.snapshot.generation,
        };
        self.running = Some(Running::new(session, begun));
        // Whoever looks after a reload may have looked before this one could be seen.
        if self.shared.snapshot.load().generation != self.snapshot.generation {
            self.shared.live.note_straggler();
        }
    }

    /// Body bytes came from the client.
    pub fn took(&self, body: Option<&Bytes>) {
        if let (Some(session), Some(bytes)) = (&self.session, body) {
            session.took(bytes.len());
        }
    }

    /// Body bytes go to the client.
    pub fn gave(&self, body: Option<&Bytes>) {
        if let (Some(session), Some(bytes)) = (&self.session, body) {
            session.gave(bytes.len());
        }
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
        if let Some(running) = &self.running {
            running.request().answers(status);
        }
        if let Some(exchange) = self.exchange() {
            exchange.status = Some(status);
        }
    }

    /// Why the request is cut off from outside; `None` when it is not.
    fn cut_reason(&self) -> Option<Denial> {
        match &self.running {
            Some(running) => running.cut_reason(),
            None => Some(self.session.as_ref()?.ended()?.denial),
        }
    }

    /// Notes that the request is cut off from outside, and why, unless it was refused already. Says whether it is.
    pub fn end_from_outside(&mut self) -> bool {
        let Some(denial) = self.cut_reason() else {
            return false;
        };
        if self.refusal.is_none() {
            self.is_cut = true;
            let alone = self.running.as_ref().and_then(|own| own.request().ended());
            if let Some(ended) = alone {
                self.shared.metrics.live.stream_closed(ended);
            }
            self.refuse(denial.into());
        }
        true
    }

    /// Notes that the request was dropped since a deadline had passed. Says whether one had.
    fn end_overdue(&mut self) -> bool {
        let Some(overdue) = self.deadlines.overdue(Instant::now()) else {
            return false;
        };
        self.is_cut = true;
        self.refuse(overdue.denial().into());
        true
    }

    /// The request was dropped before it came to its end: the record says why, as far as that is known.
    fn note_cut(&mut self) {
        if !self.end_from_outside() && !self.end_overdue() {
            return;
        }
        let (bytes_in, bytes_out, elapsed) =
            (self.bytes_in, self.bytes_out, self.started.elapsed());
        self.count(&Arc::clone(&self.shared.metrics), elapsed.as_secs_f64());
        if self.settle_cut() {
            return;
        }
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
        self.deadlines.clear();
        if let Some(session) = &self.session {
            session.finish();
        }
        self.shared.in_flight.fetch_sub(1, Ordering::AcqRel);
    }
}
