//! How much of what costs us more than its sender a connection may send.
//!
//! Each is a bucket: so many at once, so many a second, and more as answers are sent. A client that uses HTTP/2 for
//! requests stays far below them; the known floods (rapid reset, pings, settings, empty frames, tiny window updates) are a
//! thousand times above.

use std::time::Instant;

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cost {
    /// RST_STREAM of the client, and each that its broken frames make us send (CVE-2023-44487, CVE-2025-8671).
    Reset,
    /// PING (CVE-2019-9512).
    Ping,
    /// SETTINGS (CVE-2019-9515).
    Settings,
    /// DATA and CONTINUATION with nothing in them (CVE-2019-9518).
    Empty,
    /// PRIORITY (CVE-2019-9513) and frames of unknown types: both are read and ignored.
    Ignored,
    /// WINDOW_UPDATE (CVE-2019-9511, CVE-2019-9517).
    Window,
}

impl Cost {
    const ALL: [Cost; 6] = [
        Cost::Reset,
        Cost::Ping,
        Cost::Settings,
        Cost::Empty,
        Cost::Ignored,
        Cost::Window,
    ];

    /// At once, a second, and bytes of answers that give one more (0: none).
    const fn rates(self) -> (u64, u64, u64) {
        match self {
            Cost::Reset => (200, 100, 0),
            Cost::Ping => (200, 20, 4_096),
            Cost::Settings => (20, 1, 0),
            Cost::Empty => (100, 10, 0),
            Cost::Ignored => (500, 50, 0),
            Cost::Window => (1_000, 100, 512),
        }
    }
}

/// All buckets of a connection.
#[derive(Debug)]
pub(super) struct Budgets {
    /// In the order of [`Cost::ALL`]; in thousandths, so that a slow refill is not rounded away.
    left: [u64; 6],
    filled: Instant,
}

impl Budgets {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            left: Cost::ALL.map(|cost| cost.rates().0 * THOUSAND),
            filled: now,
        }
    }

    /// Takes one; false when there is none left.
    pub(super) fn spend(&mut self, cost: Cost, now: Instant) -> bool {
        self.fill(now);
        let Some(left) = self.left.get_mut(cost as usize) else {
            return false;
        };
        match left.checked_sub(THOUSAND) {
            Some(rest) => {
                *left = rest;
                true
            }
            None => false,
        }
    }

    /// Bytes of answers have been sent: who takes much may say more.
    pub(super) fn sent(&mut self, bytes: usize) {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        for (left, cost) in self.left.iter_mut().zip(Cost::ALL) {
            let (most, _, bytes_each) = cost.rates();
            let more = bytes.saturating_mul(THOUSAND).checked_div(bytes_each);
            *left = left.saturating_add(more.unwrap_or(0)).min(most * THOUSAND);
        }
    }

    fn fill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.filled).as_millis();
        let passed = u64::try_from(passed).unwrap_or(u64::MAX);
        if passed == 0 {
            return;
        }
        self.filled = now;
        for (left, cost) in self.left.iter_mut().zip(Cost::ALL) {
            let (most, each_second, _) = cost.rates();
            *left = left
                .saturating_add(passed.saturating_mul(each_second))
                .min(most * THOUSAND);
        }
    }
}

const THOUSAND: u64 = 1_000;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_bucket_empties_and_fills_again() {
        let start = Instant::now();
        let mut budgets = Budgets::new(start);
        assert!((0..20).all(|_| budgets.spend(Cost::Settings, start)));
        assert!(!budgets.spend(Cost::Settings, start));
        assert!(budgets.spend(Cost::Ping, start), "each has its own");
        let later = start + Duration::from_secs(1);
        assert!(budgets.spend(Cost::Settings, later));
        assert!(!budgets.spend(Cost::Settings, later));
    }

    #[test]
    fn who_takes_an_answer_may_open_its_window() {
        let start = Instant::now();
        let mut budgets = Budgets::new(start);
        // A gigabyte in frames of 16 KiB, each answered by two window updates.
        for _ in 0..65_536 {
            budgets.sent(16_384);
            assert!(budgets.spend(Cost::Window, start) && budgets.spend(Cost::Window, start));
        }
        assert!((0..2_000).any(|_| !budgets.spend(Cost::Window, start)));
    }
}
