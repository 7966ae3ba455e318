//! The law of a rate: never more than its burst and its share, and always exactly that.

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
fn the_whole_burst_is_back_when_it_was_told() {
    let (rate, cell) = (rate(10, SECOND, 3), Cell::new());
    for _ in 0..3 {
        let Verdict::Admit { remaining } = cell.check(&rate, Nanos(50)) else {
            panic!()
        };
        let later = Nanos(50).saturating_add(rate.full_after(remaining));
        assert_eq!(cell.peek(&rate, later), Verdict::Admit { remaining: 2 });
    }
    assert_eq!(rate.full_after(u32::MAX), Duration::ZERO);
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
                    if admitted(cell.check(rate, Nanos(10_000 + (thread * 7 + turn * 13) % 97))) {
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
