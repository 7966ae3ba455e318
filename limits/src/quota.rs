//! How much in a window of the calendar: ten thousand requests a day, 5 GB a day.
//!
//! A quota is not a rate. A rate smooths what a machine can bear; a quota bounds what may leave in a day, whatever its pace,
//! and everybody knows when it begins anew. So it counts within fixed windows, exactly, and never carries over.
//!
//! Windows begin on whole hours. The clock here must be the one on the wall, in [`Nanos`] since 1970 UTC, because a day
//! ends at midnight even on a machine that was started at noon. A wall clock can be set back: then nothing is given back,
//! and the window ends when its time has come by the clock as it is now.

use std::num::{NonZeroU32, NonZeroU64};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use thiserror::Error;

use crate::keyed::Blank;
use crate::rate::Nanos;

/// So much in each window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    amount: u64,
    hours: u64,
    /// Hours by which windows begin earlier than they would in UTC, so that they fit local time: 8 in Beijing.
    east: u64,
}

impl Allowance {
    /// `amount` (requests, bytes) in each window of `hours`; 24 makes a day, 168 a week that begins on Thursday. Windows are
    /// counted from 1970-01-01T00:00 in the time zone `east` hours east of Greenwich, -12 to 14.
    ///
    /// # Errors
    /// When the amount is above [`AMOUNT_MAX`], the window longer than a year, or no time zone lies so far east.
    pub fn new(amount: NonZeroU64, hours: NonZeroU32, east: i8) -> Result<Self, AllowanceError> {
        if amount.get() > AMOUNT_MAX {
            return Err(AllowanceError::Amount {
                amount: amount.get(),
            });
        }
        if hours.get() > HOURS_MAX {
            return Err(AllowanceError::Hours { hours: hours.get() });
        }
        if !(-12..=14).contains(&east) {
            return Err(AllowanceError::Zone { east });
        }
        let hours = u64::from(hours.get());
        // West of Greenwich is so much east of the window before.
        let east = i64::from(east).rem_euclid(i64::try_from(hours).unwrap_or(i64::MAX));
        Ok(Self {
            amount: amount.get(),
            hours,
            east: u64::try_from(east).unwrap_or_default(),
        })
    }

    /// How much in each window.
    #[must_use]
    pub const fn amount(&self) -> u64 {
        self.amount
    }

    /// Until the window of `now` ends; above zero.
    #[must_use]
    pub const fn resets_in(&self, now: Nanos) -> Duration {
        let end = self.end(now.0 / HOUR_NS);
        Duration::from_nanos((end * HOUR_NS).saturating_sub(now.0))
    }

    /// How long a window is.
    #[must_use]
    pub const fn window(&self) -> Duration {
        Duration::from_secs(self.hours * 3_600)
    }

    /// The hour since 1970 at which the window of `hour` ends.
    const fn end(&self, hour: u64) -> u64 {
        ((hour + self.east) / self.hours + 1) * self.hours - self.east
    }
}

/// Why numbers do not make an allowance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum AllowanceError {
    /// Too much to be counted.
    #[error(
        "a quota of `{amount}` is more than can be counted; write `8796093022207` (8 TiB) or less"
    )]
    Amount {
        /// The amount.
        amount: u64,
    },
    /// Too long a window.
    #[error("a quota's window of `{hours}` hours is longer than a year; write `8784` or less")]
    Hours {
        /// The window.
        hours: u32,
    },
    /// Not a time zone.
    #[error("no time zone is `{east}` hours east of Greenwich; write -12 to 14")]
    Zone {
        /// The zone.
        east: i8,
    },
}

/// Is there any left?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a quota that nobody reads bounds nothing"]
pub enum Use {
    /// There is, and it has been counted.
    Granted {
        /// What is left in this window.
        remaining: u64,
    },
    /// There is not, and nothing has been counted.
    Spent {
        /// Until the next window; above zero.
        resets_in: Duration,
    },
}

/// What one key has used in the present window: 8 bytes, shared by all threads.
///
/// One word: in its upper 21 bits the hour since 1970 at which the window ends, in its lower 43 what was used.
#[derive(Debug, Default)]
pub struct Quota(AtomicU64);

impl Quota {
    /// Nothing used.
    #[must_use]
    pub const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Counts `cost` when so much is left. Exact under concurrency; costs one compare-and-swap. With a cost of zero it asks
    /// whether there is anything left at all, for what can be counted only [afterwards](Self::add).
    pub fn take(&self, allowance: &Allowance, cost: u64, now: Nanos) -> Use {
        let mut answer = Use::Spent {
            resets_in: Duration::ZERO,
        };
        // A refusal is the `Err` here and changes nothing.
        let _changed = self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |word| {
                let (end, used) = current(word, allowance, now);
                let after = used.saturating_add(cost);
                if used >= allowance.amount || after > allowance.amount {
                    answer = Use::Spent {
                        resets_in: Duration::from_nanos((end * HOUR_NS).saturating_sub(now.0)),
                    };
                    return None;
                }
                answer = Use::Granted {
                    remaining: allowance.amount - after,
                };
                Some(pack(end, after))
            });
        answer
    }

    /// Counts what has happened already, such as the bytes of an answer, whether or not so much was left, and says whether it
    /// was: [`Use::Spent`] means that more was used than the allowance gives.
    pub fn add(&self, allowance: &Allowance, cost: u64, now: Nanos) -> Use {
        let mut counted = (0, 0);
        // The closure always gives a value, so this cannot fail.
        let _changed = self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |word| {
                let (end, used) = current(word, allowance, now);
                counted = (end, used.saturating_add(cost));
                Some(pack(counted.0, counted.1))
            });
        let (end, used) = counted;
        match allowance.amount.checked_sub(used) {
            Some(remaining) => Use::Granted { remaining },
            None => Use::Spent {
                resets_in: Duration::from_nanos((end * HOUR_NS).saturating_sub(now.0)),
            },
        }
    }
}

impl Blank for Quota {
    fn is_blank(&self, now: Nanos) -> bool {
        let (end, used) = unpack(self.0.load(Ordering::Relaxed));
        used == 0 || is_over(end, now.0 / HOUR_NS)
    }
}

/// The end of the present window, and what was used in it.
fn current(word: u64, allowance: &Allowance, now: Nanos) -> (u64, u64) {
    let (end, used) = unpack(word);
    let hour = now.0 / HOUR_NS;
    // What was used stays used while its window lasts, also when a reload has moved the end, or the clock was set back.
    (
        allowance.end(hour).min(HOUR_MAX),
        if is_over(end, hour) { 0 } else { used },
    )
}

/// The last hour that can be written, in the year 2209, never ends: better shut than open.
const fn is_over(end: u64, hour: u64) -> bool {
    end <= hour && end < HOUR_MAX
}

const fn unpack(word: u64) -> (u64, u64) {
    (word >> AMOUNT_BITS, word & AMOUNT_MAX)
}

const fn pack(end: u64, used: u64) -> u64 {
    let used = if used > AMOUNT_MAX { AMOUNT_MAX } else { used };
    end << AMOUNT_BITS | used
}

/// Most that can be counted in a window: 8 TiB less a byte.
pub const AMOUNT_MAX: u64 = (1 << AMOUNT_BITS) - 1;
const AMOUNT_BITS: u32 = 43;
const HOUR_MAX: u64 = (1 << (64 - AMOUNT_BITS)) - 1;
const HOURS_MAX: u32 = 366 * 24;
const HOUR_NS: u64 = 3_600_000_000_000;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Keyed;

    fn day(amount: u64, east: i8) -> Allowance {
        Allowance::new(amount.try_into().unwrap(), 24.try_into().unwrap(), east).unwrap()
    }

    /// Hours after 2026-11-24T00:00Z.
    fn at(hours: u64) -> Nanos {
        Nanos((1_795_478_400 + hours * 3_600) * 1_000_000_000)
    }

    const HOUR: Duration = Duration::from_secs(3_600);

    #[test]
    fn a_quota_is_spent_exactly_and_begins_anew_at_midnight() {
        let (quota, day) = (Quota::new(), day(10, 0));
        assert_eq!(quota.take(&day, 6, at(0)), Use::Granted { remaining: 4 });
        assert_eq!(
            quota.take(&day, 5, at(1)),
            Use::Spent {
                resets_in: 23 * HOUR
            }
        );
        assert_eq!(quota.take(&day, 4, at(2)), Use::Granted { remaining: 0 });
        assert_eq!(quota.take(&day, 0, at(23)), Use::Spent { resets_in: HOUR });
        assert_eq!(quota.take(&day, 1, at(24)), Use::Granted { remaining: 9 });
    }

    #[test]
    fn midnight_is_that_of_the_time_zone() {
        for (east, ends) in [(0, 24), (8, 16), (-5, 5), (14, 10), (-12, 12)] {
            let (quota, day) = (Quota::new(), day(1, east));
            assert!(matches!(quota.take(&day, 1, at(0)), Use::Granted { .. }));
            assert_eq!(
                quota.take(&day, 1, at(0)),
                Use::Spent {
                    resets_in: ends * HOUR
                },
                "{east} hours east"
            );
        }
    }

    #[test]
    fn what_was_sent_already_counts_beyond_the_quota() {
        let (quota, day) = (Quota::new(), day(100, 0));
        assert_eq!(quota.take(&day, 0, at(0)), Use::Granted { remaining: 100 });
        let _used = quota.add(&day, 250, at(0));
        assert!(matches!(quota.take(&day, 0, at(0)), Use::Spent { .. }));
        let _used = quota.add(&day, u64::MAX, at(0));
        assert!(
            matches!(quota.take(&day, 0, at(0)), Use::Spent { .. }),
            "and never wraps round"
        );
        assert_eq!(quota.take(&day, 0, at(24)), Use::Granted { remaining: 100 });
    }

    #[test]
    fn a_reload_or_a_clock_set_back_gives_nothing_back() {
        let (quota, day_of_10) = (Quota::new(), day(10, 0));
        assert!(matches!(
            quota.take(&day_of_10, 10, at(30)),
            Use::Granted { .. }
        ));
        assert_eq!(
            quota.take(&day_of_10, 1, at(1)),
            Use::Spent {
                resets_in: 23 * HOUR
            },
            "the clock was set back"
        );
        assert_eq!(
            quota.take(&day(15, 8), 1, at(1)),
            Use::Granted { remaining: 4 },
            "a larger quota, another zone"
        );
        let week = Allowance::new(12.try_into().unwrap(), 168.try_into().unwrap(), 0).unwrap();
        assert_eq!(
            quota.take(&week, 1, at(2)),
            Use::Granted { remaining: 0 },
            "a longer window keeps what was used"
        );
    }

    #[test]
    fn numbers_that_make_no_allowance_are_refused_with_a_reason() {
        let new = |amount: u64, hours: u32, east| {
            Allowance::new(amount.try_into().unwrap(), hours.try_into().unwrap(), east)
        };
        assert!(
            new(AMOUNT_MAX + 1, 24, 0)
                .unwrap_err()
                .to_string()
                .contains("8 TiB")
        );
        assert!(new(1, 9_000, 0).unwrap_err().to_string().contains("a year"));
        assert!(
            new(1, 24, 15)
                .unwrap_err()
                .to_string()
                .contains("time zone")
        );
        assert!(new(AMOUNT_MAX, HOURS_MAX, 14).is_ok());
    }

    #[test]
    fn threads_together_take_exactly_what_there_is() {
        let (quota, day) = (Quota::new(), day(5_000, 0));
        let granted: usize = std::thread::scope(|scope| {
            let count = || {
                (0..2_000)
                    .filter(|_| matches!(quota.take(&day, 1, at(0)), Use::Granted { .. }))
                    .count()
            };
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(count)).collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .sum()
        });
        assert_eq!(granted, 5_000);
    }

    #[test]
    fn a_quota_is_forgotten_only_after_its_window() {
        let (quotas, day) = (Keyed::<&str, Quota>::new(1.try_into().unwrap()), day(1, 0));
        assert!(matches!(
            quotas.find("wang", at(0)).unwrap().take(&day, 1, at(0)),
            Use::Granted { .. }
        ));
        assert!(quotas.find("li", at(23)).is_err());
        assert!(matches!(
            quotas.find("wang", at(23)).unwrap().take(&day, 1, at(23)),
            Use::Spent { .. }
        ));
        assert!(quotas.find("li", at(24)).is_ok());
    }

    proptest! {
        #[test]
        fn no_window_grants_more_than_its_amount(
            amount in 1u64..50, hours in 1u32..50, east in -12i8..=14,
            takes in prop::collection::vec((0u64..30, 0u64..40), 1..100),
        ) {
            let allowance = Allowance::new(amount.try_into().unwrap(), hours.try_into().unwrap(), east).unwrap();
            let (quota, mut hour, mut granted) = (Quota::new(), 0, std::collections::HashMap::new());
            for (gap, cost) in takes {
                hour += gap;
                let local = (at(hour).0 / HOUR_NS).checked_add_signed(i64::from(east)).unwrap();
                let used: &mut u64 = granted.entry(local / u64::from(hours)).or_default();
                let fits = *used < amount && *used + cost <= amount;
                match quota.take(&allowance, cost, at(hour)) {
                    Use::Granted { remaining } => {
                        *used += cost;
                        prop_assert!(fits);
                        prop_assert_eq!(remaining, amount - *used);
                    }
                    Use::Spent { resets_in } => {
                        prop_assert!(!fits);
                        prop_assert_eq!(resets_in, HOUR * (hours - u32::try_from(local % u64::from(hours)).unwrap()));
                    }
                }
            }
        }
    }
}
