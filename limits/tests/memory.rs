//! What the keys of a million callers cost, counted in bytes that were asked for: what a system calls resident has in it what an
//! allocator keeps, and says little about us.

use std::num::NonZeroUsize;
use std::time::Duration;

use allocation_counter::measure;
use hangu_limits::{Cells, Nanos, Rate};

/// An allocator rounds each entry of 40 bytes up to 48 and keeps what growing leaves behind: 100 MB is far with that too.
const BYTES_MAX: u64 = 70_000_000;
const MILLION: u64 = 1_000_000;

#[test]
fn a_million_live_keys_stay_below_100_mb_even_while_they_grow() {
    let one = 1.try_into().unwrap();
    let hourly = Rate::new(one, Duration::from_hours(1), one).unwrap();
    let mut cells = None;
    let filled = measure(|| {
        let table = Cells::new(NonZeroUsize::new(1_150_000).unwrap());
        for key in 0..MILLION {
            let _verdict = table
                .find([key, !key], Nanos(0))
                .unwrap()
                .check(&hourly, Nanos(0));
        }
        cells = Some(table);
    });
    let cells = cells.unwrap();
    assert_eq!(cells.len(), 1_000_000, "all of them are live");
    assert!(filled.bytes_max < BYTES_MAX, "{filled:?}");

    let refused = measure(|| {
        for key in MILLION..3 * MILLION {
            // Each comes once; as long as there is room it is counted like the others.
            if let Ok(cell) = cells.find([key, !key], Nanos(0)) {
                let _verdict = cell.check(&hourly, Nanos(0));
            }
        }
    });
    let kept = u64::try_from(filled.bytes_current).unwrap();
    assert!(kept + refused.bytes_max < BYTES_MAX, "{refused:?}");
    assert!(cells.len() <= 1_150_000);
}
