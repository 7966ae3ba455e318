//! What the disk can do by itself: batches written and synced, without any log around them.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

use super::folder;
use crate::measure::{nanoseconds, percentile, say};

/// Batches of some sizes, in turn to a file that grows and to one whose bytes were written before.
pub(super) fn run(disk: &Path, time: Duration) -> io::Result<()> {
    say("the disk by itself: write and fdatasync of one batch")?;
    for bytes in [4 << 10, 100 << 10, 1 << 20, 4 << 20] {
        let folder = folder(disk)?;
        let batch = vec![b'x'; bytes];
        let rounds = rounds(&batch, &folder.path().join("trial"), time)?;
        let (growing, written) = (
            open(&folder.path().join("growing"))?,
            open(&folder.path().join("written"))?,
        );
        let started = Instant::now();
        for round in 0..rounds {
            written.write_all_at(&batch, at(round, bytes))?;
        }
        written.sync_all()?;
        let prepared = started.elapsed();
        let mut times = [Vec::new(), Vec::new()];
        for round in 0..rounds {
            // Each goes first in every second round.
            let order = [(&growing, 0), (&written, 1)];
            for (file, which) in order.into_iter().cycle().skip(round % 2).take(2) {
                let started = Instant::now();
                file.write_all_at(&batch, at(round, bytes))?;
                file.sync_data()?;
                if let Some(times) = times.get_mut(which) {
                    times.push(nanoseconds(started));
                }
            }
        }
        let [growing, written] = times;
        tell("growing file", bytes, growing, Duration::ZERO)?;
        tell("written before", bytes, written, prepared)?;
    }
    Ok(())
}

/// How many rounds of all there is time for.
fn rounds(batch: &[u8], trial: &Path, time: Duration) -> io::Result<usize> {
    let file = open(trial)?;
    let started = Instant::now();
    for round in 0..5 {
        file.write_all_at(batch, at(round, batch.len()))?;
        file.sync_data()?;
    }
    let each = started.elapsed() / 5;
    let rounds = time.as_nanos() / each.as_nanos().max(1) / 2;
    Ok(usize::try_from(rounds)
        .unwrap_or(ROUNDS_MAX)
        .clamp(10, ROUNDS_MAX))
}

fn tell(what: &str, bytes: usize, mut times: Vec<u64>, prepared: Duration) -> io::Result<()> {
    times.sort_unstable();
    let all: u64 = times.iter().sum();
    let seconds = all as f64 / 1e9 + prepared.as_secs_f64();
    let count = times.len();
    let ms = |percent| percentile(&times, percent) as f64 / 1e6;
    say(&format!(
        "  {:>7} B, {what:<14}  p50 {:6.2} ms  p99 {:6.2} ms  {:5.0} a second{}  = {:8.0} records of 400 B",
        bytes,
        ms(50),
        ms(99),
        count as f64 / seconds,
        if prepared.is_zero() {
            ""
        } else {
            ", the writing before counted"
        },
        count as f64 * bytes as f64 / 400.0 / seconds,
    ))
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().create_new(true).write(true).open(path)
}

const fn at(round: usize, bytes: usize) -> u64 {
    (round * bytes) as u64
}

const ROUNDS_MAX: usize = 1_000;
