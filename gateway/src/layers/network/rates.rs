//! How fast: one exact rate for each verified identity and one for each source, as GCRA cells.
//!
//! A cell is looked up once a connection and then held: a request costs one compare-and-swap and no lock. The rates belong to
//! the configuration and may change at any reload; what was used stays used.

use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hangu_limits::{Cell, Cells, Full, Nanos, Rate, Verdict, source_of};

/// Who is counted: every identity and every source that spoke lately.
#[derive(Debug)]
pub struct RateKeys {
    identities: Cells<Arc<str>>,
    sources: Cells<IpAddr>,
    start: Instant,
}

/// The two counters that concern one connection.
#[derive(Clone, Debug)]
pub struct Counters {
    /// Of the identity, across all its connections.
    pub identity: Arc<Cell>,
    /// Of the address that it comes from.
    pub source: Arc<Cell>,
}

impl RateKeys {
    /// Room for a million identities and as many sources.
    #[must_use]
    pub fn new() -> Self {
        Self {
            identities: Cells::new(KEYS_MAX),
            sources: Cells::new(KEYS_MAX),
            start: Instant::now(),
        }
    }

    /// The counters for a connection of `subject` from `address`.
    ///
    /// # Errors
    /// When all places are taken by callers that are still being counted.
    pub fn counters(&self, subject: &Arc<str>, address: IpAddr) -> Result<Counters, Full> {
        let now = self.now(Instant::now());
        Ok(Counters {
            identity: self.identities.find(Arc::clone(subject), now)?,
            source: self.sources.find(source_of(address), now)?,
        })
    }

    /// Counts one request against a rate.
    ///
    /// # Errors
    /// How long to wait before trying again.
    pub fn check(&self, cell: &Cell, rate: Option<&Rate>, now: Instant) -> Result<(), Duration> {
        let Some(rate) = rate else { return Ok(()) };
        match cell.check(rate, self.now(now)) {
            Verdict::Admit { .. } => Ok(()),
            Verdict::Refuse { retry_after, .. } => Err(retry_after),
        }
    }

    fn now(&self, now: Instant) -> Nanos {
        let since_start = now.saturating_duration_since(self.start).as_nanos();
        Nanos(u64::try_from(since_start).unwrap_or(u64::MAX))
    }
}

impl Default for RateKeys {
    fn default() -> Self {
        Self::new()
    }
}

const KEYS_MAX: NonZeroUsize = NonZeroUsize::MIN.saturating_add(1_000_000 - 1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_one_ipv6_network_share_a_counter() {
        let keys = RateKeys::new();
        let subject: Arc<str> = "a".into();
        let counters = |address: &str| keys.counters(&subject, address.parse().unwrap()).unwrap();
        assert!(Arc::ptr_eq(
            &counters("2001:db8::1").source,
            &counters("2001:db8::ffff").source
        ));
        assert!(!Arc::ptr_eq(
            &counters("2001:db8::1").source,
            &counters("2001:db8:0:1::1").source
        ));
        assert!(Arc::ptr_eq(
            &counters("::ffff:10.0.0.1").source,
            &counters("10.0.0.1").source
        ));
    }
}
