//! What an application asks of its clients, and says of itself.

use http::HeaderValue;

use super::checked::Application;
use crate::layers::edge::authority::host_of;

impl Application {
    /// Whether a page of this origin may open a WebSocket.
    #[must_use]
    pub fn takes_websockets_from(&self, origin: &[u8]) -> bool {
        if !self.websocket_origins.is_empty() {
            return self
                .websocket_origins
                .iter()
                .any(|own| own.as_bytes() == origin);
        }
        let host = std::str::from_utf8(origin)
            .ok()
            .and_then(|origin| host_of(origin.strip_prefix("https://")?).ok());
        host.is_some_and(|host| self.hosts.iter().any(|own| own.as_str() == host))
    }

    /// What its answers say of TLS (RFC 6797 section 6.1); `None`: nothing.
    #[must_use]
    pub fn strict_transport_security(&self) -> Option<HeaderValue> {
        let seconds = self.strict_transport_security.as_secs();
        let value = format!("max-age={seconds}");
        (seconds > 0).then(|| value.parse().ok()).flatten()
    }
}
