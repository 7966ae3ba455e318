//! A rate limit for sources that have proven nothing, in memory that no flood can grow.
//!
//! An address costs its sender nothing, so a cell for each would be a gift of memory to whoever forges most of them. Here the
//! cells are fixed: every source has one in each of four rows, shared with strangers by chance (a count-min sketch of
//! [`Cell`]s). A cell is never less used than any of its sources, so the least used of the four decides:
//!
//! - no source ever gets more than its rate, whoever else is there;
//! - a source is refused wrongly only when strangers have used up *all four* of its cells: with a tenth of the cells in use
//!   up by floods that is one source in ten thousand. The hash is keyed at random, so a flood cannot choose its victim.
//!
//! Somebody who has proven who he is gets a cell of his own, in [`Cells`](crate::Cells).

use std::array;
use std::hash::{BuildHasher, Hash, RandomState};
use std::num::NonZeroUsize;

use crate::rate::{Cell, Nanos, Rate, Verdict};

/// Fixed cells, shared by all sources that come.
#[derive(Debug)]
pub struct Sketch {
    /// One row after another.
    cells: Box<[Cell]>,
    width: usize,
    hasher: RandomState,
}

impl Sketch {
    /// `width` cells in each of four rows: 32 bytes for each of `width`, for good. Ten times as many as sources that flood
    /// at once keeps wrong refusals at one in ten thousand.
    #[must_use]
    pub fn new(width: NonZeroUsize) -> Self {
        let width = width.get();
        let cells = (0..width.saturating_mul(ROWS))
            .map(|_| Cell::new())
            .collect();
        Self {
            cells,
            width,
            hasher: RandomState::new(),
        }
    }

    /// Counts one request of `source` at `now` when there is room for it. No lock, no allocation; costs a hash and four
    /// cells. Threads that race for one source can each win a different row: then as many as there are rows get one place.
    pub fn check<S: Hash + ?Sized>(&self, source: &S, rate: &Rate, now: Nanos) -> Verdict {
        let cells = self.cells_of(self.hasher.hash_one(source));
        let Some((least, cell)) = cells
            .iter()
            .flatten()
            .enumerate()
            .min_by_key(|(_, cell)| cell.arrival())
        else {
            // There is a cell for every hash; without one nobody could be counted, so nobody passes.
            return Verdict::Refuse {
                retry_after: rate.period(),
            };
        };
        let verdict = cell.check(rate, now);
        if matches!(verdict, Verdict::Admit { .. }) {
            let others = cells
                .iter()
                .flatten()
                .enumerate()
                .filter(|(row, _)| *row != least);
            others.for_each(|(_, cell)| cell.raise(rate, now));
        }
        verdict
    }

    /// The share of cells in use, 0 to 1: its fourth power is about the chance of a wrong refusal while they are all used up.
    /// Reads every cell: for metrics, not for requests.
    #[must_use]
    pub fn in_use(&self, now: Nanos) -> f64 {
        let used = self.cells.iter().filter(|cell| !cell.is_idle(now)).count();
        used as f64 / self.cells.len().max(1) as f64
    }

    /// One cell of each row.
    fn cells_of(&self, hash: u64) -> [Option<&Cell>; ROWS] {
        // Two halves of one hash give as many independent places as are needed; the odd step reaches all of a row.
        let (start, step) = (hash & 0xffff_ffff, (hash >> 32) | 1);
        let mut place = start;
        array::from_fn(|row| {
            let column = usize::try_from(place % self.width as u64).unwrap_or_default();
            place += step;
            self.cells.get(row * self.width + column)
        })
    }
}

const ROWS: usize = 4;

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::time::Duration;

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

    fn sketch(width: usize) -> Sketch {
        Sketch::new(width.try_into().unwrap())
    }

    fn is_admitted(verdict: Verdict) -> bool {
        matches!(verdict, Verdict::Admit { .. })
    }

    #[test]
    fn a_source_alone_is_limited_exactly() {
        let (sketch, rate, cell) = (sketch(16), rate(10, 3), Cell::new());
        for step in 0..100 {
            let now = Nanos(step * 37_000_000);
            assert_eq!(sketch.check("10.0.0.1", &rate, now), cell.check(&rate, now));
        }
    }

    #[test]
    fn a_flood_of_many_sources_hardly_touches_others() {
        let (sketch, rate) = (sketch(4_096), rate(1, 5));
        for source in 0..400_u32 {
            for _ in 0..100 {
                let _flood = sketch.check(&source, &rate, Nanos(0));
            }
        }
        let share = sketch.in_use(Nanos(0));
        assert!((0.05..0.15).contains(&share), "{share}");
        let refused = (1_000..11_000_u32)
            .filter(|source| !is_admitted(sketch.check(source, &rate, Nanos(0))))
            .count();
        // Those who come count too: each uses a fifth of its cells. One in a hundred is far beyond chance.
        assert!(refused < 1_000, "{refused} of 10,000");
        assert!(
            sketch.in_use(Nanos(60_000_000_000)) < f64::EPSILON,
            "and all is forgotten a minute later"
        );
    }

    #[test]
    fn threads_of_one_source_get_hardly_more_than_one() {
        let (sketch, rate) = (sketch(64), rate(1, 1_000));
        let passed: usize = std::thread::scope(|scope| {
            let count = || {
                (0..2_000)
                    .filter(|_| is_admitted(sketch.check("one", &rate, Nanos(0))))
                    .count()
            };
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(count)).collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .sum()
        });
        assert!((1_000..=1_000 + ROWS).contains(&passed), "{passed}");
    }

    proptest! {
        #[test]
        fn no_source_ever_gets_more_than_its_rate_whoever_else_is_there(
            requests in 1u32..20, burst in 1u32..5, width in 1usize..8,
            calls in prop::collection::vec((0u8..12, 0u64..100_000_000), 1..400),
        ) {
            let (sketch, rate) = (sketch(width), rate(requests, burst));
            let (mut exact, mut now): (HashMap<u8, Cell>, u64) = (HashMap::new(), 0);
            for (source, gap) in calls {
                now += gap;
                if is_admitted(sketch.check(&source, &rate, Nanos(now))) {
                    let cell = exact.entry(source).or_default();
                    prop_assert!(is_admitted(cell.check(&rate, Nanos(now))), "source {source} got one too many");
                }
            }
        }
    }
}
