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

    /// After how long at most the whole burst is at hand again, when so many of it are left now: the `t` of the IETF
    /// `RateLimit` field. Rounded up to whole intervals.
    #[must_use]
    pub fn full_after(&self, remaining: u32) -> Duration {
        let used = u64::from(self.burst.get().saturating_sub(remaining));
        Duration::from_nanos(used.saturating_mul(self.interval))
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
mod tests;
