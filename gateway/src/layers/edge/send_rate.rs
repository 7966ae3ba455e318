//! How slowly a client may take its answer.
//!
//! A client that takes a byte now and then holds a connection, an upstream and an audit place for as long as it likes. Only the time
//! in which we could have sent and it took nothing counts, so that an answer that is made slowly (server-sent events) is
//! nobody's fault.

use std::time::{Duration, Instant};

/// The client takes less than it must.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the client takes its answer too slowly")]
pub struct TooSlow;

/// One connection's way out.
#[derive(Debug)]
pub struct SendRate {
    bytes_per_second_min: u64,
    /// Blocked for so long before it is judged.
    grace: Duration,
    blocked: Duration,
    since: Option<Instant>,
    bytes: u64,
}

impl SendRate {
    /// Zero bytes a second: any slowness is borne.
    #[must_use]
    pub fn new(bytes_per_second_min: u64, grace: Duration) -> Self {
        Self {
            bytes_per_second_min,
            grace,
            blocked: Duration::ZERO,
            since: None,
            bytes: 0,
        }
    }

    /// The client takes nothing now.
    pub fn blocked(&mut self, now: Instant) {
        self.since.get_or_insert(now);
    }

    /// The client took so much.
    ///
    /// # Errors
    /// When it was too little for the time that it took.
    pub fn sent(&mut self, bytes: usize, now: Instant) -> Result<(), TooSlow> {
        let Some(since) = self.since.take() else {
            return Ok(());
        };
        self.blocked += now.saturating_duration_since(since);
        self.bytes = self
            .bytes
            .saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
        if self.blocked < self.grace {
            return Ok(());
        }
        let blocked_ms = u64::try_from(self.blocked.as_millis()).unwrap_or(u64::MAX);
        let needed = self.bytes_per_second_min.saturating_mul(blocked_ms) / 1_000;
        let is_slow = self.bytes < needed;
        self.blocked = Duration::ZERO;
        self.bytes = 0;
        if is_slow { Err(TooSlow) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_time_in_which_nothing_is_taken_counts() {
        let (start, second) = (Instant::now(), Duration::from_secs(1));
        let mut rate = SendRate::new(100, 10 * second);
        assert_eq!(
            rate.sent(1, start),
            Ok(()),
            "a slow answer is nobody's fault"
        );
        assert_eq!(rate.sent(1, start + 100 * second), Ok(()));
        rate.blocked(start);
        rate.blocked(start + 5 * second);
        assert_eq!(rate.sent(1, start + 9 * second), Ok(()), "within its grace");
        rate.blocked(start + 9 * second);
        assert_eq!(
            rate.sent(999, start + 10 * second),
            Ok(()),
            "exactly enough"
        );
        rate.blocked(start + 10 * second);
        assert_eq!(rate.sent(999, start + 20 * second), Err(TooSlow));
        let mut patient = SendRate::new(0, second);
        patient.blocked(start);
        assert_eq!(patient.sent(0, start + 1_000 * second), Ok(()));
    }
}
