//! Several limits on one request: a person, an organisation, an application, a route, and pairs of them.
//!
//! The request goes on when *all* agree, and a request that one refuses uses up none of the others: otherwise the flood that
//! a person's own limit stops would still eat the limit of the whole organisation. The refusal names the tightest limit,
//! because waiting for any other would be waiting in vain.

use std::time::Duration;

use crate::rate::{Cell, Nanos, Rate, Verdict};

/// Whether a limit refuses, or only says that it would.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// It refuses.
    #[default]
    Enforced,
    /// It counts what was admitted and reports what it would have refused: to try a limit out on real traffic.
    Shadow,
}

/// One limit on a request.
#[derive(Clone, Copy, Debug)]
pub struct Limit<'a> {
    /// The state of the key that the request belongs to.
    pub cell: &'a Cell,
    /// The rate for such keys.
    pub rate: &'a Rate,
    /// Whether it refuses.
    pub mode: Mode,
}

/// Something that carries a limit: what a caller keeps beside cell and rate (a name, a counter) need not be copied for a check.
pub trait Limited {
    /// The limit.
    fn limit(&self) -> Limit<'_>;
}

impl Limited for Limit<'_> {
    fn limit(&self) -> Limit<'_> {
        *self
    }
}

/// What several limits say together. Limits are named by their place in the slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a limit that nobody reads limits nothing"]
pub struct Combined {
    /// The answer.
    pub outcome: Outcome,
    /// The shadow limit that would have refused with the longest wait; `None` when none would, or the request was refused
    /// anyway.
    pub shadow: Option<usize>,
}

/// The answer of all enforced limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All agree, and each has counted the request.
    Admit {
        /// The enforced limit with the fewest places left; `None` when there is no enforced limit.
        tightest: Option<usize>,
        /// How many more it would admit at this very moment; `u32::MAX` without one.
        remaining: u32,
    },
    /// At least one refuses, and none has counted the request.
    Refuse {
        /// The one that asks for the longest wait.
        tightest: usize,
        /// That wait.
        retry_after: Duration,
    },
}

/// Asks all limits at once. Each has a cell of its own: two rates for one key are two cells. Allocates nothing; costs
/// one read and one compare-and-swap a limit.
///
/// No limit ever admits more than its rate. When two threads race for the last place of one limit, the loser's places in the
/// others are given back, each unless a third thread has used that limit in between; then it stays counted.
pub fn check_all<L: Limited>(limits: &[L], now: Nanos) -> Combined {
    // First without counting, so that the common refusal touches nothing and the longest wait is found.
    let charged = peek_all(limits, now).map_or_else(|| charge(limits, 0, now), Err);
    let outcome = match charged {
        Ok(Some((at, remaining))) => Outcome::Admit {
            tightest: Some(at),
            remaining,
        },
        Ok(None) => Outcome::Admit {
            tightest: None,
            remaining: u32::MAX,
        },
        Err((tightest, retry_after)) => {
            return Combined {
                outcome: Outcome::Refuse {
                    tightest,
                    retry_after,
                },
                shadow: None,
            };
        }
    };
    let shadows =
        of_mode(limits, Mode::Shadow).map(|(at, limit)| (at, limit.cell.check(limit.rate, now)));
    Combined {
        outcome,
        shadow: longest_wait(shadows).map(|(at, _)| at),
    }
}

/// The enforced limit that would refuse with the longest wait, and that wait; counts nothing.
pub fn peek_all<L: Limited>(limits: &[L], now: Nanos) -> Option<(usize, Duration)> {
    longest_wait(
        of_mode(limits, Mode::Enforced).map(|(at, limit)| (at, limit.cell.peek(limit.rate, now))),
    )
}

/// Counts the request with each enforced limit, or with none. Gives the limit with the fewest places left; one that has
/// lost its last place since we looked is the error. As deep as there are limits, which configuration keeps few.
fn charge<L: Limited>(
    limits: &[L],
    at: usize,
    now: Nanos,
) -> Result<Option<(usize, u32)>, (usize, Duration)> {
    let Some((first, rest)) = limits.split_first() else {
        return Ok(None);
    };
    let limit = first.limit();
    if limit.mode == Mode::Shadow {
        return charge(rest, at + 1, now);
    }
    let (verdict, receipt) = limit.cell.charge(limit.rate, now);
    match verdict {
        Verdict::Refuse { retry_after } => Err((at, retry_after)),
        Verdict::Admit { remaining } => match charge(rest, at + 1, now) {
            Ok(other) => Ok(other
                .filter(|(_, least)| *least < remaining)
                .or(Some((at, remaining)))),
            Err(refusal) => {
                limit.cell.refund(limit.rate, receipt);
                Err(refusal)
            }
        },
    }
}

fn of_mode<L: Limited>(limits: &[L], mode: Mode) -> impl Iterator<Item = (usize, Limit<'_>)> {
    limits
        .iter()
        .map(Limited::limit)
        .enumerate()
        .filter(move |(_, limit)| limit.mode == mode)
}

/// The refusal with the longest wait, the first of several.
fn longest_wait(verdicts: impl Iterator<Item = (usize, Verdict)>) -> Option<(usize, Duration)> {
    let mut longest: Option<(usize, Duration)> = None;
    for (at, verdict) in verdicts {
        if let Verdict::Refuse { retry_after } = verdict
            && longest.is_none_or(|(_, wait)| retry_after > wait)
        {
            longest = Some((at, retry_after));
        }
    }
    longest
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use proptest::prelude::*;

    use super::*;

    fn rate(requests: u32, burst: u32) -> Rate {
        Rate::new(
            requests.try_into().unwrap(),
            Duration::from_secs(1),
            burst.try_into().unwrap(),
        )
        .unwrap()
    }

    fn limit<'a>(cell: &'a Cell, rate: &'a Rate) -> Limit<'a> {
        Limit {
            cell,
            rate,
            mode: Mode::Enforced,
        }
    }

    fn is_admitted(combined: &Combined) -> bool {
        matches!(combined.outcome, Outcome::Admit { .. })
    }

    const NOW: Nanos = Nanos(1_000_000_000_000);

    #[test]
    fn the_tightest_limit_is_named() {
        let (person, organisation) = (Cell::new(), Cell::new());
        let (few, many) = (rate(1, 2), rate(10, 3));
        let limits = [limit(&organisation, &many), limit(&person, &few)];
        let outcomes: Vec<_> = (0..3).map(|_| check_all(&limits, NOW).outcome).collect();
        assert_eq!(
            outcomes,
            [
                Outcome::Admit {
                    tightest: Some(1),
                    remaining: 1
                },
                Outcome::Admit {
                    tightest: Some(1),
                    remaining: 0
                },
                Outcome::Refuse {
                    tightest: 1,
                    retry_after: Duration::from_secs(1)
                },
            ]
        );
    }

    #[test]
    fn of_several_refusals_the_longest_wait_is_told() {
        let (short, long) = (Cell::new(), Cell::new());
        let (fast, slow) = (rate(10, 1), rate(1, 1));
        for limits in [
            [limit(&short, &fast), limit(&long, &slow)],
            [limit(&long, &slow), limit(&short, &fast)],
        ] {
            let _first = check_all(&limits, NOW);
            let Outcome::Refuse {
                tightest,
                retry_after,
            } = check_all(&limits, NOW).outcome
            else {
                panic!()
            };
            assert!(std::ptr::eq(limits[tightest].rate, &raw const slow));
            assert_eq!(retry_after, Duration::from_secs(1));
        }
    }

    #[test]
    fn a_flood_that_one_limit_stops_uses_up_no_other() {
        let (person, organisation) = (Cell::new(), Cell::new());
        let (few, many) = (rate(1, 1), rate(1, 100));
        for limits in [
            [limit(&person, &few), limit(&organisation, &many)],
            [limit(&organisation, &many), limit(&person, &few)],
        ] {
            for _ in 0..1_000 {
                let _flood = check_all(&limits, NOW);
            }
        }
        assert_eq!(
            organisation.peek(&many, NOW),
            Verdict::Admit { remaining: 98 },
            "one of a hundred is used"
        );
    }

    #[test]
    fn a_shadow_limit_refuses_nobody_and_is_reported() {
        let (cell, shadow) = (Cell::new(), Cell::new());
        let (many, few) = (rate(10, 3), rate(1, 1));
        let limits = [
            Limit {
                cell: &shadow,
                rate: &few,
                mode: Mode::Shadow,
            },
            limit(&cell, &many),
        ];
        let seen: Vec<_> = (0..4)
            .map(|_| check_all(&limits, NOW))
            .map(|all| (is_admitted(&all), all.shadow))
            .collect();
        assert_eq!(
            seen,
            [
                (true, None),
                (true, Some(0)),
                (true, Some(0)),
                (false, None)
            ]
        );
        let only_shadow = check_all(&limits[..1], NOW);
        assert_eq!(
            only_shadow.outcome,
            Outcome::Admit {
                tightest: None,
                remaining: u32::MAX
            }
        );
        assert!(
            is_admitted(&check_all::<Limit<'_>>(&[], NOW)),
            "no limit limits nothing"
        );
    }

    #[test]
    fn threads_that_race_over_two_limits_exceed_neither() {
        let (one, two, passed) = (Cell::new(), Cell::new(), AtomicU32::new(0));
        let (tight, wide) = (rate(1, 400), rate(1, 500));
        std::thread::scope(|scope| {
            for turn in 0..4 {
                let (one, two, tight, wide, passed) = (&one, &two, &tight, &wide, &passed);
                scope.spawn(move || {
                    let mut limits = [limit(one, wide), limit(two, tight)];
                    limits.rotate_left(turn % 2);
                    for _ in 0..1_000 {
                        if is_admitted(&check_all(&limits, NOW)) {
                            passed.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                });
            }
        });
        assert_eq!(passed.into_inner(), 400);
    }

    proptest! {
        #[test]
        fn together_they_admit_what_each_alone_would_of_what_was_admitted(
            rates in prop::collection::vec((1u32..50, 1u32..8), 1..5),
            gaps in prop::collection::vec(0u64..300_000_000, 1..150),
        ) {
            let rates: Vec<_> = rates.into_iter().map(|(requests, burst)| rate(requests, burst)).collect();
            let cells: Vec<_> = rates.iter().map(|_| (Cell::new(), Cell::new())).collect();
            let limits: Vec<_> = rates.iter().zip(&cells).map(|(rate, (cell, _))| limit(cell, rate)).collect();
            let mut now = NOW;
            for gap in gaps {
                now = now.saturating_add(Duration::from_nanos(gap));
                // The reference: look at each, and count with each only when all agree.
                let alone: Vec<_> = rates.iter().zip(&cells).map(|(rate, (_, cell))| cell.peek(rate, now)).collect();
                let all = alone.iter().all(|verdict| matches!(verdict, Verdict::Admit { .. }));
                if all {
                    for (rate, (_, cell)) in rates.iter().zip(&cells) {
                        let _counted = cell.check(rate, now);
                    }
                }
                let waits = alone.iter().filter_map(|verdict| match verdict {
                    Verdict::Refuse { retry_after } => Some(*retry_after),
                    Verdict::Admit { .. } => None,
                });
                match check_all(&limits, now).outcome {
                    Outcome::Admit { .. } => prop_assert!(all),
                    Outcome::Refuse { retry_after, .. } => prop_assert_eq!(Some(retry_after), waits.max()),
                }
            }
        }
    }
}
