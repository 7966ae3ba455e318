//! How fast a log is verified, searched and proven.

use std::error::Error;
use std::path::Path;
use std::time::Instant;

use hangu_audit::{Field, Filter, Search, prove, verify};

use super::Parts;
use crate::measure::{Random, percentile, say, times};

pub(super) fn run(dir: &Path) -> Result<(), Box<dyn Error>> {
    // Once to have it in memory: what is measured is the verifier, not the disk.
    let records = verify(dir, |_| {})?.records;
    let (started, before) = (Instant::now(), processor_seconds());
    let verified = verify(dir, |_| {})?;
    let (seconds, busy) = (
        started.elapsed().as_secs_f64(),
        processor_seconds() - before,
    );
    let gigabytes = verified.bytes as f64 / 1e9;
    say(&format!(
        "verified {gigabytes:.2} GB in {seconds:.2} s: {:.2} GB/s, {:.2} GB/s for each core's second ({} segments)",
        gigabytes / seconds,
        gigabytes / busy,
        verified.segments
    ))?;
    for (what, number) in [
        ("first", 0),
        ("middle", records / 2),
        ("last", records.saturating_sub(1)),
        ("absent", u64::MAX),
    ] {
        let filter = Filter::new().with(Field::RequestId, &Parts::id(number));
        let started = Instant::now();
        let mut search = Search::open(dir, filter)?;
        let mut found = 0;
        while search.next_match()?.is_some() {
            found += 1;
        }
        say(&format!(
            "search for a request id among {records} records, {what}: {:.0} ms, {found} found",
            started.elapsed().as_secs_f64() * 1e3
        ))?;
    }
    let mut random = Random::new(5);
    let most = usize::try_from(records)?;
    let numbers: Vec<_> = (0..2_000).map(|_| random.below(most) as u64 + 1).collect();
    let mut failed = None;
    let took = times(numbers.into_iter(), |number| {
        if let Err(error) = prove(dir, number) {
            failed = Some(error);
        }
    });
    if let Some(error) = failed {
        return Err(error.into());
    }
    say(&format!(
        "inclusion proof of a random record: p50 {:.0} µs, p99 {:.0} µs, checkpoint read included",
        percentile(&took, 50) as f64 / 1e3,
        percentile(&took, 99) as f64 / 1e3
    ))?;
    Ok(())
}

/// What all threads of this process have used of the processors so far; the system counts in hundredths of a second.
fn processor_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // Behind the name, which is in brackets: user and system time are the 12th and 13th.
    let fields = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace();
    let ticks: f64 = fields
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse::<f64>().ok())
        .sum();
    ticks / 100.0
}
