//! What a request must be beside its path and method, for the application and the route that it asks for.

use hangu_policy::Value;

use super::Canonical;
use crate::config::{Application, PathProfile, Route};
use crate::denial::Denial;
use crate::layers::edge::headers::websocket_origin;
use crate::layers::edge::query::parameters;
use crate::snapshot::ListenerState;

impl Canonical<'_> {
    /// What an application and a route ask of the message beyond its path and method.
    pub(super) fn taken_by(&self, config: &Application, route: &Route) -> Result<(), Denial> {
        if self.path.has_encoded_slash() && route.path_profile == PathProfile::Strict {
            return Err(Denial::PathAmbiguous);
        }
        if websocket_origin(&self.header.headers)
            .is_some_and(|origin| !config.takes_websockets_from(origin))
        {
            return Err(Denial::OriginRefused);
        }
        if self
            .body_bytes
            .is_some_and(|bytes| bytes > route.request_body_max.bytes())
        {
            return Err(Denial::BodyTooLarge);
        }
        Ok(())
    }

    /// An encoded slash that no route takes is ambiguous, wherever it would have led.
    pub(super) fn unless_ambiguous(&self, denial: Denial) -> Denial {
        if self.path.has_encoded_slash() {
            Denial::PathAmbiguous
        } else {
            denial
        }
    }

    /// Whoever sent no server name was judged by what the first certificate asks for, and may ask for no host that asks for more.
    pub(super) fn is_of_another_group(&self, listener: &ListenerState) -> bool {
        self.connection.sni.is_none()
            && listener.groups.len() > 1
            && listener
                .group_of(Some(&self.host))
                .is_some_and(|group| Some(group) != self.connection.group)
    }

    /// What rules of the application may read of the query.
    pub(super) fn parameters_of(
        &self,
        config: &Application,
    ) -> Result<Vec<(String, Value)>, Denial> {
        let found = parameters(self.query, &config.query_parameters)?;
        let values = found
            .into_iter()
            .map(|(name, value)| (name, Value::Text(value)));
        Ok(values.collect())
    }

    /// The canonical target in place of the client's spelling; `None` where they are the same bytes.
    #[must_use]
    pub fn rewritten_target(&self) -> Option<Vec<u8>> {
        let path = self.path.as_sent().as_bytes();
        let length = path.len() + self.query.map_or(0, |query| query.len() + 1);
        let raw = self.header.raw_path();
        if raw.len() == length && raw.starts_with(path) {
            return None;
        }
        let mut target = Vec::with_capacity(length);
        target.extend_from_slice(path);
        if let Some(query) = self.query {
            target.push(b'?');
            target.extend_from_slice(query);
        }
        Some(target)
    }
}
