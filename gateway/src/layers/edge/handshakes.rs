//! How many handshakes one source may have under way, and how fast it may begin them.
//!
//! A handshake costs us a signature and costs whoever begins one a packet, long before any certificate shows who it is. So each source
//! is bounded by itself, and the flood of one leaves the slots of the listener to the others. What is counted here costs no audit record
//! each: one in a second says how many there were, so that a flood does not take the log's places from requests.

use std::net::IpAddr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Instant;

use hangu_limits::{Held, Keyed, Nanos, Rate, Sketch, Slot, Slots, Verdict, source_of};

use crate::denial::Denial;

/// A place for one handshake among those of its source, until it is dropped.
pub type HandshakePlace = Slot<Held<IpAddr, Slots>>;

/// The handshakes of every source, for as long as the process lives.
#[derive(Debug)]
pub struct Handshakes {
    under_way: Keyed<IpAddr, Slots>,
    begun: Sketch,
    start: Instant,
    /// Second of the last record, and refusals that have none since.
    recorded: AtomicI64,
    unrecorded: AtomicU64,
}

impl Handshakes {
    /// None under way.
    #[must_use]
    pub fn new() -> Self {
        Self {
            under_way: Keyed::new(SOURCES_MAX),
            begun: Sketch::new(SKETCH_WIDTH),
            start: Instant::now(),
            recorded: AtomicI64::new(i64::MIN),
            unrecorded: AtomicU64::new(0),
        }
    }

    /// Counts one handshake of a source, and says whether that is more than `rate`.
    #[must_use]
    pub fn is_over(&self, source: IpAddr, rate: &Rate) -> bool {
        let verdict = self.begun.check(&source_of(source), rate, self.now());
        matches!(verdict, Verdict::Refuse { .. })
    }

    fn now(&self) -> Nanos {
        let since_start = self.start.elapsed().as_nanos();
        Nanos(u64::try_from(since_start).unwrap_or(u64::MAX))
    }

    /// A place for one handshake of a source, until it is dropped.
    ///
    /// # Errors
    /// [`Denial::HandshakesPerSource`] when `under_way_max` are under way already, or when more sources are than can be counted.
    pub fn begin(
        &self,
        source: IpAddr,
        under_way_max: NonZeroU32,
    ) -> Result<HandshakePlace, Denial> {
        self.under_way
            .find(source_of(source), self.now())
            .ok()
            .and_then(|slots| Slots::take(&slots, under_way_max.get()))
            .ok_or(Denial::HandshakesPerSource)
    }

    /// Whether a refusal at `now` (seconds since 1970) gets a record, and then how many before it got none.
    pub fn record(&self, now: i64) -> Option<u64> {
        let last = self.recorded.load(Ordering::Relaxed);
        let is_first = last != now
            && self
                .recorded
                .compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok();
        if is_first {
            return Some(self.unrecorded.swap(0, Ordering::Relaxed));
        }
        self.unrecorded.fetch_add(1, Ordering::Relaxed);
        None
    }
}

impl Default for Handshakes {
    fn default() -> Self {
        Self::new()
    }
}

/// Sources with handshakes under way; each is forgotten when its last one ends.
const SOURCES_MAX: NonZeroUsize = NonZeroUsize::MIN.saturating_add((1 << 18) - 1);
/// 2 MiB, for good: 6,500 sources that flood at once keep wrong refusals at one in ten thousand.
const SKETCH_WIDTH: NonZeroUsize = NonZeroUsize::MIN.saturating_add((1 << 16) - 1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_refusal_in_a_second_is_recorded_and_tells_of_the_others() {
        let handshakes = Handshakes::new();
        let records = [5, 5, 5, 6, 6, 9].map(|second| handshakes.record(second));
        assert_eq!(records, [Some(0), None, None, Some(2), None, Some(1)]);
    }

    #[test]
    fn a_source_has_its_own_places_and_gets_them_back() {
        let handshakes = Handshakes::new();
        let max = NonZeroU32::new(2).unwrap();
        let begin = |source: &str| handshakes.begin(source.parse().unwrap(), max);
        let (first, _second) = (begin("2001:db8::1").unwrap(), begin("2001:db8::2").unwrap());
        assert_eq!(
            begin("2001:db8::3").unwrap_err(),
            Denial::HandshakesPerSource
        );
        assert!(begin("2001:db8:0:1::1").is_ok(), "another network");
        drop(first);
        assert!(begin("2001:db8::3").is_ok());
    }
}
