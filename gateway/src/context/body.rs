//! What listener and route bear of a request's body and ask of its answer.

use std::time::Duration;

use super::Context;
use crate::config;
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

    /// Whether its body comes more slowly than the listener bears, once the time for a head has passed.
    #[must_use]
    pub fn is_body_too_slow(&self) -> bool {
        let listener = self.connection.as_ref().map(|known| known.listener);
        let Some(listener) = listener.and_then(|at| self.snapshot.config.listeners.get(at)) else {
            return false;
        };
        let elapsed = self.started.elapsed();
        let needed = u128::from(listener.body_rate_min.bytes()) * elapsed.as_millis() / 1_000;
        !self.body_is_stream
            && elapsed > listener.header_timeout
            && u128::from(self.bytes_in) < needed
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
