//! The generic cell rate algorithm (GCRA, ITU-T I.371): an exact leaky bucket in one 64-bit word.
//!
//! The word is the *theoretical arrival time* (TAT): when the bucket will be empty again. A request of a rate with
//! interval `T` and burst `B` is admitted when `max(TAT, now) + T - now <= B * T`, and then moves TAT on by `T`. So in
//! any window of length `t`, however many threads ask, at most `B + t / T` requests are admitted, and a refused one
//! changes nothing: hammering does not lengthen one's own wait.
//!
//! A fixed window would admit twice its limit across a boundary; a sliding log would need memory for each request.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use thiserror::Error;

/// A reading of one monotonic clock in nanoseconds; its zero is the caller's choice. Wraps after 584 years.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Nanos(pub u64);

impl Nanos {
    /// The later time, or the end of time.
    #[must_use]
    pub const fn saturating_add(self, by: Duration) -> Self {
        Self(self.0.saturating_add(nanoseconds(by)))
    }
}

/// So many requests in such a time, and how many of them may come at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    requests: NonZeroU32,
    per: Duration,
    burst: NonZeroU32,
    /// Nanoseconds between two requests at the steady rate, rounded up; 1 or more.
    interval: u64,
    /// `burst * interval`: how far TAT may be ahead of now.
    tolerance: u64,
}

impl Rate {
    /// `requests` in each `per` on average, of which `burst` may come at once (1 = evenly spaced only).
    ///
    /// The interval between two requests is kept in whole nanoseconds, rounded *up*: the rate is never exceeded, and
    /// falls short of what was asked by less than 1 ns a request (0.1 % at a million requests a second).
    ///
    /// # Errors
    /// When `per` is zero or longer than 366 days, or when an empty bucket would take longer than
    /// 10 years to fill (`burst / requests * per`).
    pub fn new(requests: NonZeroU32, per: Duration, burst: NonZeroU32) -> Result<Self, RateError> {
        if per.is_zero() || per > PERIOD_MAX {
            return Err(RateError::Period { per });
        }
        let interval = nanoseconds(per).div_ceil(u64::from(requests.get()));
        let tolerance = interval
            .checked_mul(u64::from(burst.get()))
            .filter(|tolerance| *tolerance <= TOLERANCE_MAX)
            .ok_or(RateError::Burst {
                requests,
                per,
                burst,
            })?;
        Ok(Self {
            requests,
            per,
            burst,
            interval,
            tolerance,
        })
    }

    /// Requests in each [`period`](Self::period).
    #[must_use]
    pub const fn requests(&self) -> NonZeroU32 {
        self.requests
    }

    /// The time over which the rate is averaged.
    #[must_use]
    pub const fn period(&self) -> Duration {
        self.per
    }

    /// How many requests may come at once.
    #[must_use]
    pub const fn burst(&self) -> NonZeroU32 {
        self.burst
    }

    /// The time between two requests at the steady rate.
    #[must_use]
    pub const fn interval(&self) -> Duration {
        Duration::from_nanos(self.interval)
    }
}

/// Why numbers do not make a rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum RateError {
    /// The period is zero or too long.
    #[error(
        "the period `{per:?}` of a rate must be above zero and at most 366 days; write a period such as one second"
    )]
    Period {
        /// The period as given.
        per: Duration,
    },
    /// The burst would take years to be forgotten.
    #[error(
        "a burst of `{burst}` at `{requests}` requests in each `{per:?}` would take more than 10 years to refill; \
         lower the burst or raise the rate"
    )]
    Burst {
        /// Requests a period.
        requests: NonZeroU32,
        /// The period.
        per: Duration,
        /// The burst as given.
        burst: NonZeroU32,
    },
}

/// May this request go on?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a limit that nobody reads limits nothing"]
pub enum Verdict {
    /// It may, and has been counted.
    Admit {
        /// How many more would be admitted at this very moment.
        remaining: u32,
    },
    /// It may not, and nothing has changed.
    Refuse {
        /// After exactly this long one request is admitted, if nobody else takes the place; above zero.
        retry_after: Duration,
    },
}

/// The state of one key's limit: one word, shared by all threads, 8 bytes. Starts with the full burst at hand.
#[derive(Debug, Default)]
pub struct Cell(AtomicU64);

impl Cell {
    /// A key that has asked for nothing yet.
    #[must_use]
    pub const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Counts one request at `now` when `rate` has room for it. Exact under concurrency; costs one compare-and-swap.
    ///
    /// The rate may be another one than last time (after a reload): what was used stays used. A debt left behind by a
    /// slower rate is cut down to one whole burst of the present rate.
    pub fn check(&self, rate: &Rate, now: Nanos) -> Verdict {
        self.charge(rate, now).0
    }

    /// What [`check`](Self::check) would answer, without counting.
    pub fn peek(&self, rate: &Rate, now: Nanos) -> Verdict {
        step(self.0.load(Ordering::Relaxed), rate, now.0).1
    }

    /// [`check`](Self::check), and what to give back when something else refuses the request.
    pub(crate) fn charge(&self, rate: &Rate, now: Nanos) -> (Verdict, Receipt) {
        let mut seen = self.0.load(Ordering::Relaxed);
        loop {
            let (next, verdict) = step(seen, rate, now.0);
            if next == seen {
                return (verdict, Receipt(next));
            }
            // Relaxed is enough: the word guards no other memory, and the swap itself orders all the checks of a key.
            match self
                .0
                .compare_exchange_weak(seen, next, Ordering::Relaxed, Ordering::Relaxed)
            {
                Ok(_) => return (verdict, Receipt(next)),
                Err(changed) => seen = changed,
            }
        }
    }

    /// Gives a place back, if nobody has been here since; otherwise the place stays counted. To take a place out from
    /// under somebody else's could give back one that time had given back already, and so admit one too many.
    pub(crate) fn refund(&self, rate: &Rate, receipt: Receipt) {
        let before = receipt.0.saturating_sub(rate.interval);
        // Failing is one of the two right outcomes.
        let _changed =
            self.0
                .compare_exchange(receipt.0, before, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// Counts one request at `now` whether or not there is room, up to an empty bucket and never beyond it: for a cell that
    /// several keys share, of which another one's state decided.
    pub(crate) fn raise(&self, rate: &Rate, now: Nanos) {
        // The closure always gives a value, so this cannot fail.
        let _changed = self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |tat| {
                let (ahead, is_inherited) = ahead(tat, rate, now.0);
                let after = ahead.saturating_add(rate.interval).min(rate.tolerance);
                let raised = now.0.saturating_add(after);
                Some(if is_inherited {
                    raised
                } else {
                    raised.max(tat)
                })
            });
    }

    /// The word itself, to compare cells under one rate.
    pub(crate) fn arrival(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Whether the cell behaves, from `now` on, exactly as a new one does.
    #[must_use]
    pub fn is_idle(&self, now: Nanos) -> bool {
        let tat = self.0.load(Ordering::Relaxed);
        tat == 0 || tat.saturating_add(STALE_CLOCK_MAX) <= now.0
    }
}

/// What a charge left in the cell.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Receipt(u64);

/// One check as arithmetic: the word before → the word after, and the verdict.
fn step(tat: u64, rate: &Rate, now: u64) -> (u64, Verdict) {
    let (ahead, inherited) = ahead(tat, rate, now);
    let after = ahead.saturating_add(rate.interval);
    if after <= rate.tolerance {
        let remaining = (rate.tolerance - after) / rate.interval;
        let remaining = u32::try_from(remaining).unwrap_or(u32::MAX);
        return (now.saturating_add(after), Verdict::Admit { remaining });
    }
    let retry_after = Duration::from_nanos(after - rate.tolerance);
    let kept = if inherited {
        now.saturating_add(ahead)
    } else {
        tat
    };
    (kept, Verdict::Refuse { retry_after })
}

/// How far TAT is ahead of now, and whether it had to be cut down to what this rate can owe.
fn ahead(tat: u64, rate: &Rate, now: u64) -> (u64, bool) {
    let ahead = tat.saturating_sub(now);
    // Under this rate TAT is never further ahead than the tolerance, but for a clock read a moment ago on another
    // thread. Anything more is the debt of an older, slower rate, and could shut a key out for its whole old period.
    if ahead > rate.tolerance.saturating_add(STALE_CLOCK_MAX) {
        (rate.tolerance, true)
    } else {
        (ahead, false)
    }
}

/// A duration in whole nanoseconds; 584 years at most.
const fn nanoseconds(duration: Duration) -> u64 {
    let nanoseconds = duration.as_nanos();
    if nanoseconds > u64::MAX as u128 {
        u64::MAX
    } else {
        nanoseconds as u64
    }
}

const PERIOD_MAX: Duration = Duration::from_secs(366 * 24 * 3600);

/// Ten years in nanoseconds: keeps every sum of a time and a tolerance far from the end of a `u64`.
const TOLERANCE_MAX: u64 = 10 * 366 * 24 * 3600 * 1_000_000_000;

/// How old a reading of the clock may be when a check uses it, in nanoseconds: one second. A thread that slept longer
/// between the two may see its own limit slightly later, never another's.
const STALE_CLOCK_MAX: u64 = 1_000_000_000;

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;

    use proptest::prelude::*;

    use super::*;

    fn rate(requests: u32, per: Duration, burst: u32) -> Rate {
        Rate::new(requests.try_into().unwrap(), per, burst.try_into().unwrap()).unwrap()
    }

    fn admitted(verdict: Verdict) -> bool {
        matches!(verdict, Verdict::Admit { .. })
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_burst_passes_at_once_and_then_one_each_interval() {
        let (rate, cell) = (rate(10, SECOND, 3), Cell::new());
        let at = |ms: u64| cell.check(&rate, Nanos(ms * 1_000_000));
        assert_eq!(at(0), Verdict::Admit { remaining: 2 });
        assert_eq!(at(0), Verdict::Admit { remaining: 1 });
        assert_eq!(at(0), Verdict::Admit { remaining: 0 });
        assert_eq!(
            at(0),
            Verdict::Refuse {
                retry_after: Duration::from_millis(100)
            }
        );
        assert_eq!(
            at(99),
            Verdict::Refuse {
                retry_after: Duration::from_millis(1)
            }
        );
        assert_eq!(at(100), Verdict::Admit { remaining: 0 });
        assert_eq!(
            at(5_000),
            Verdict::Admit { remaining: 2 },
            "an idle bucket is full again, and never more than full"
        );
    }

    #[test]
    fn numbers_that_make_no_rate_are_refused_with_a_reason() {
        let one = NonZeroU32::MIN;
        let year = Duration::from_secs(365 * 24 * 3600);
        assert!(
            Rate::new(one, Duration::ZERO, one)
                .unwrap_err()
                .to_string()
                .contains("above zero")
        );
        assert!(
            Rate::new(one, year * 2, one)
                .unwrap_err()
                .to_string()
                .contains("366 days")
        );
        assert!(
            Rate::new(one, year, NonZeroU32::MAX)
                .unwrap_err()
                .to_string()
                .contains("refill")
        );
        assert!(Rate::new(NonZeroU32::MAX, Duration::from_nanos(1), NonZeroU32::MAX).is_ok());
        assert_eq!(
            rate(3, SECOND, 1).interval(),
            Duration::from_nanos(333_333_334),
            "rounded so as never to exceed"
        );
    }

    #[test]
    fn many_threads_admit_exactly_as_many_as_one() {
        let rate = rate(1, Duration::from_secs(3600), 5_000);
        let (cell, passed) = (Cell::new(), AtomicU32::new(0));
        std::thread::scope(|scope| {
            for thread in 0..8 {
                let (rate, cell, passed) = (&rate, &cell, &passed);
                scope.spawn(move || {
                    for turn in 0..2_000 {
                        // Clocks that disagree by a little, and run backwards at times.
                        if admitted(cell.check(rate, Nanos(10_000 + (thread * 7 + turn * 13) % 97)))
                        {
                            passed.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                });
            }
        });
        assert_eq!(passed.into_inner(), 5_000);
    }

    #[test]
    fn a_reload_keeps_what_was_used_and_does_not_lock_out() {
        let cell = Cell::new();
        let (slow, fast) = (
            rate(1, Duration::from_secs(24 * 3600), 100),
            rate(100, SECOND, 10),
        );
        let now = Nanos(1_000_000_000);
        for _ in 0..100 {
            assert!(admitted(cell.check(&slow, now)));
        }
        assert_eq!(
            cell.check(&fast, now),
            Verdict::Refuse {
                retry_after: Duration::from_millis(10)
            },
            "a hundred days of debt become one burst of the new rate, not none"
        );
        assert!(admitted(
            cell.check(&fast, now.saturating_add(Duration::from_millis(10)))
        ));

        let cell = Cell::new();
        for _ in 0..10 {
            assert!(admitted(cell.check(&fast, now)));
        }
        assert!(
            !admitted(cell.check(&rate(1, SECOND, 1), now)),
            "a tighter rate does not forget the burst just spent"
        );
    }

    #[test]
    fn the_end_of_time_neither_panics_nor_opens() {
        let (rate, cell) = (rate(1, SECOND, 2), Cell::new());
        for _ in 0..2 {
            assert!(admitted(cell.check(&rate, Nanos(u64::MAX - 5_000_000_000))));
        }
        assert!(!admitted(
            cell.check(&rate, Nanos(u64::MAX - 5_000_000_000))
        ));
        assert!(admitted(cell.check(&rate, Nanos(u64::MAX))));
    }

    proptest! {
        #[test]
        fn no_window_ever_admits_more_than_its_burst_and_its_share(
            requests in 1u32..2_000, per_us in 1u64..2_000_000, burst in 1u32..20,
            gaps in prop::collection::vec(0u64..3_000_000, 1..200),
        ) {
            let rate = rate(requests, Duration::from_micros(per_us), burst);
            let (cell, mut now, mut passed) = (Cell::new(), 0, Vec::new());
            for gap in gaps {
                now += gap;
                if admitted(cell.check(&rate, Nanos(now))) {
                    passed.push(u128::from(now));
                }
            }
            for (first, from) in passed.iter().enumerate() {
                for (last, to) in passed.iter().enumerate().skip(first) {
                    let count = (last - first + 1) as u128;
                    let share = (to - from) * u128::from(requests) / u128::from(per_us * 1_000);
                    prop_assert!(count <= u128::from(burst) + share, "{count} in {} ns", to - from);
                }
            }
        }

        #[test]
        fn a_token_bucket_in_exact_fractions_agrees(
            interval in 1u64..1_000, burst in 1u32..10, gaps in prop::collection::vec(0u64..2_500, 1..200),
        ) {
            // The reference: a bucket of `burst` tokens, kept as nanoseconds, refilled by the passage of time.
            let rate = rate(1, Duration::from_nanos(interval), burst);
            let full = interval * u64::from(burst);
            let (cell, mut now, mut level) = (Cell::new(), 0, full);
            for gap in gaps {
                now += gap;
                level = full.min(level + gap);
                let expected = if level >= interval {
                    level -= interval;
                    Verdict::Admit { remaining: u32::try_from(level / interval).unwrap() }
                } else {
                    Verdict::Refuse { retry_after: Duration::from_nanos(interval - level) }
                };
                prop_assert_eq!(cell.check(&rate, Nanos(now)), expected);
            }
        }

        #[test]
        fn who_waits_exactly_as_told_is_admitted_and_a_nanosecond_earlier_is_not(
            requests in 1u32..10_000, burst in 1u32..50, start in 0u64..u64::MAX / 2, calls in 1usize..200,
        ) {
            let (rate, cell) = (rate(requests, SECOND, burst), Cell::new());
            for _ in 0..calls {
                if let Verdict::Refuse { retry_after } = cell.check(&rate, Nanos(start)) {
                    let wait = u64::try_from(retry_after.as_nanos()).unwrap();
                    prop_assert!(wait > 0);
                    prop_assert!(!admitted(cell.check(&rate, Nanos(start + wait - 1))));
                    prop_assert!(admitted(cell.check(&rate, Nanos(start + wait))));
                    break;
                }
            }
        }

        #[test]
        fn an_idle_cell_cannot_be_told_from_a_new_one(
            burst in 1u32..10, used in 1usize..20, later in 0u64..30_000_000_000, calls in 1usize..20,
        ) {
            let (rate, cell) = (rate(1, SECOND, burst), Cell::new());
            for _ in 0..used {
                let _verdict = cell.check(&rate, Nanos(5));
            }
            let now = Nanos(5 + later);
            prop_assume!(cell.is_idle(now));
            let new = Cell::new();
            for _ in 0..calls {
                prop_assert_eq!(cell.check(&rate, now), new.check(&rate, now));
            }
        }
    }
}
