//! What listener and route bear of a request's body and ask of its answer.

use std::time::{Duration, Instant};

use pingora::prelude::{Error, ErrorType};

use super::Context;
use crate::config;
use crate::config::Bodies;
use crate::layers::cloud::peer::Silence;
use crate::layers::edge::headers::Hygiene;

impl Context {
    /// Its route, once permitted.
    fn route(&self) -> Option<&config::Route> {
        let (config, _) = self.application()?;
        config.routes.get(self.permitted.as_ref()?.route())
    }

    /// Bytes that its body may have.
    #[must_use]
    pub fn request_body_max(&self) -> u64 {
        self.route()
            .map_or(0, |route| route.request_body_max.bytes())
    }

    /// How long the upstream may be silent.
    #[must_use]
    pub fn silence(&self, is_tunnel: bool) -> Silence {
        if is_tunnel || self.is_streaming() {
            Silence::Stream
        } else {
            Silence::Answer
        }
    }

    fn is_streaming(&self) -> bool {
        self.route()
            .is_some_and(|route| route.bodies == Bodies::Streaming)
    }

    /// It is permitted: from here on its body and its answer have their time.
    pub fn set_deadlines(&self) {
        let Some(route) = self.route() else { return };
        self.deadlines
            .set_answer(Some(self.started + route.response_timeout));
        self.body_has_come();
    }

    /// More of the body has come, or all of it: the rest has its time.
    pub fn body_has_come(&self) {
        let listener = self.connection.as_ref().map(|known| known.listener);
        let listener = listener.and_then(|at| self.snapshot.config.listeners.get(at));
        let rate = listener.map_or(0, |listener| listener.body_rate_min.bytes());
        let borne = self.bytes_in.saturating_mul(1_000).checked_div(rate);
        let due = listener.zip(borne).map(|(listener, borne)| {
            self.started + listener.header_timeout.max(Duration::from_millis(borne))
        });
        let is_bounded = !self.body_is_whole && !self.is_streaming();
        self.deadlines.set_body(due.filter(|_| is_bounded));
    }

    /// A head of an answer has come: a stream or a tunnel may go on from here.
    pub fn answer_begins(&self, status: http::StatusCode) {
        let is_stream = !status.is_informational() && self.is_streaming();
        if is_stream || status == http::StatusCode::SWITCHING_PROTOCOLS {
            self.deadlines.clear();
        }
    }

    /// Whether the body or the answer should have come further by now.
    ///
    /// # Errors
    /// The request is to be cut off.
    pub fn keep_deadlines(&mut self) -> pingora::Result<()> {
        let Some(overdue) = self.deadlines.overdue(Instant::now()) else {
            return Ok(());
        };
        let denial = *self.failure.insert(overdue.denial());
        Err(Error::new(ErrorType::HTTPStatus(denial.status())))
    }

    /// How much time there is for the rest of the answer.
    pub(super) fn answer_time_left(&self) -> Option<Duration> {
        let route = self.route()?;
        Some(
            route
                .response_timeout
                .saturating_sub(self.started.elapsed())
                .max(TIME_LEFT_MIN),
        )
    }

    /// What its answer must say of itself.
    #[must_use]
    pub fn hygiene(&self) -> Option<Hygiene> {
        let (_, state) = self.application()?;
        Some(Hygiene {
            strict_transport_security: state.strict_transport_security.clone(),
            is_confidential: self.route().is_none_or(|route| route.label.index() > 0),
        })
    }

    /// How long the client may take nothing of its answer.
    #[must_use]
    pub fn client_write_timeout(&self) -> Option<Duration> {
        let listener = self.connection.as_ref()?.listener;
        let listener = self.snapshot.config.listeners.get(listener)?;
        Some(listener.idle_timeout)
    }
}

/// What an upstream is given at least, once it is asked at all.
const TIME_LEFT_MIN: Duration = Duration::from_millis(10);
