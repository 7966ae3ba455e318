//! How many records a second become durable.

use std::error::Error;
use std::path::Path;
use std::time::{Duration, Instant};

use hangu_audit::checkpoint::Checkpoint;
use hangu_audit::key::{KeyKind, KeyName, Signer};
use hangu_audit::{Log, Options, Record, Timestamp};
use tempfile::TempDir;

use super::{Parts, folder};
use crate::measure::say;

/// Group commit with batches of some sizes, as a writer makes them that finds so many records waiting.
pub(super) fn durable(disk: &Path, time: Duration) -> Result<(), Box<dyn Error>> {
    say("the log: records appended, written and synced by one thread")?;
    let parts = Parts::new();
    for (what, record) in [
        ("short", Parts::short as fn(&Parts, u64) -> Record),
        ("full", Parts::request),
    ] {
        // Made before: in the gateway that is the workers' part.
        let records: Vec<_> = (0..1_000).map(|number| record(&parts, number)).collect();
        for batch in [1_000, 4_000, 12_000] {
            let folder = folder(disk)?;
            let mut log = open(&parts, folder.path())?;
            let (started, mut count) = (Instant::now(), 0_u64);
            while started.elapsed() < time {
                for record in records.iter().cycle().take(batch) {
                    log.append(record)?;
                }
                log.commit()?;
                count += batch as u64;
            }
            let seconds = started.elapsed().as_secs_f64();
            let bytes = bytes_of(folder.path())?;
            log.close().map_err(|(_, error)| error)?;
            say(&format!(
                "  {what} records of {} B, {batch:>6} a batch: {:8.0} durable records a second, {:5.0} syncs, {:4.0} MB/s",
                bytes / count,
                count as f64 / seconds,
                count as f64 / batch as f64 / seconds,
                bytes as f64 / 1e6 / seconds,
            ))?;
        }
    }
    Ok(())
}

/// A signed log of so many records of some 400 bytes, in segments of the usual size.
pub(super) fn long(disk: &Path, records: u64) -> Result<TempDir, Box<dyn Error>> {
    let (parts, folder) = (Parts::new(), folder(disk)?);
    let mut log = open(&parts, folder.path())?;
    let mut record = parts.short(0);
    let started = Instant::now();
    for number in 0..records {
        record.monotonic_us = number * 10 + 1;
        record.time = Timestamp::from_unix_ms(1_795_504_222_000 + number / 100);
        if let Some(exchange) = &mut record.exchange {
            exchange.request_id = Parts::id(number);
        }
        log.append(&record)?;
        if number % 16_000 == 0 {
            log.commit()?;
        }
    }
    log.commit()?;
    let signer = Signer::from_seed(
        KeyName::new("gate-1.gov.example/audit")?,
        KeyKind::Note,
        &[7; 32],
    )?;
    let checkpoint = Checkpoint::new("gate-1.gov.example/audit", log.tree_head())?;
    log.write_checkpoint(&checkpoint.sign(&signer, 0)?)?;
    log.close().map_err(|(_, error)| error)?;
    say(&format!(
        "a log of {records} records, {:.2} GB, written in {:.1} s",
        bytes_of(folder.path())? as f64 / 1e9,
        started.elapsed().as_secs_f64()
    ))?;
    Ok(folder)
}

pub(super) fn open(parts: &Parts, dir: &Path) -> Result<Log, Box<dyn Error>> {
    let now = Timestamp::from_unix_ms(1_795_504_222_000);
    Ok(Log::open(dir, Options::new(parts.origin.clone()), now)?)
}

/// Bytes of all segments.
pub(super) fn bytes_of(dir: &Path) -> std::io::Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        if entry.path().extension().is_some_and(|end| end == "jsonl") {
            bytes += entry.metadata()?.len();
        }
    }
    Ok(bytes)
}
