//! Four addresses of the loopback interface: two doors, the application, the admin listener.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::time::{SystemTime, UNIX_EPOCH};

use super::error::QuickstartError;

/// Where everything listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Addresses {
    /// The door whose clients are in the zone `office`.
    pub(super) office: SocketAddr,
    /// The door whose clients are in the zone `internet`.
    pub(super) internet: SocketAddr,
    /// The demo application.
    pub(super) application: SocketAddr,
    /// Metrics and health.
    pub(super) admin: SocketAddr,
}

impl Addresses {
    /// Four ports in a row.
    pub(super) fn from(first: u16) -> Self {
        let address =
            |offset| SocketAddr::from((Ipv4Addr::LOCALHOST, first.saturating_add(offset)));
        Self {
            office: address(0),
            internet: address(1),
            application: address(2),
            admin: address(3),
        }
    }

    /// Four ports in a row that are free now. Chosen below the range that systems give to outgoing connections, from a
    /// place that differs from process to process, so that two at once do not meet.
    pub(super) fn free() -> Result<Self, QuickstartError> {
        let nanos = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.subsec_nanos());
        let mut step = nanos ^ std::process::id().rotate_left(16);
        for _ in 0..TRIES {
            step = step.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let offset = u16::try_from((step >> 8) % u32::from(FREE_SPAN)).unwrap_or_default();
            let candidate = Self::from(FREE_FIRST + offset);
            if candidate.check().is_ok() {
                return Ok(candidate);
            }
        }
        Err(QuickstartError::NoFreePorts)
    }

    /// Whether all four are free now.
    pub(super) fn check(&self) -> Result<(), QuickstartError> {
        for (what, address) in self.named() {
            TcpListener::bind(address)
                .map(drop)
                .map_err(|source| QuickstartError::Taken {
                    what,
                    address,
                    source,
                    another: another(self.office.port()),
                })?;
        }
        Ok(())
    }

    /// All four with what listens there.
    pub(super) fn named(&self) -> [(&'static str, SocketAddr); 4] {
        [
            ("the gateway's office door", self.office),
            ("the gateway's internet door", self.internet),
            ("the demo application", self.application),
            ("the admin listener", self.admin),
        ]
    }
}

/// A suggestion, far from the ports that were taken.
fn another(first: u16) -> u16 {
    if first < 20_000 { first + 10_000 } else { PORT }
}

/// The first of the four ports unless the newcomer chooses another.
pub(super) const PORT: u16 = 8443;
const FREE_FIRST: u16 = 20_000;
const FREE_SPAN: u16 = 12_000;
const TRIES: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_named_with_the_option_that_chooses_another() {
        let free = Addresses::free().unwrap();
        let _taken = TcpListener::bind(free.internet).unwrap();
        let error = free.check().unwrap_err().to_string();
        assert!(
            error.starts_with(&format!(
                "the gateway's internet door: cannot listen on `{}`:",
                free.internet
            )),
            "{error}"
        );
        assert!(error.contains("`--port`, such as `--port "), "{error}");
    }

    #[test]
    fn the_suggested_port_leaves_room_for_four() {
        for first in [1, PORT, 19_999, 20_000, 65_532] {
            assert!(another(first) <= u16::MAX - 3, "{first}");
            assert_ne!(another(first), first, "{first}");
        }
    }
}
