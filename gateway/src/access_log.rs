//! The operators' access log: one plain JSON line a request, to a file or to standard output, off by default.
//!
//! It is written from the audit log's records, after they are on the disk, by a thread of its own: a reader that is stuck behind
//! standard output delays nobody. It promises nothing: a line that cannot be written in time is counted and gone. A file is
//! opened again on SIGUSR1, so that it can be rotated.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use hangu_audit::{Kind, Record, Timestamp};
use serde::Serialize;
use tracing::warn;

use crate::config;
use crate::observe::metrics::Metrics;

/// Where the lines go: the front of a thread.
#[derive(Debug)]
pub struct AccessLog {
    batches: SyncSender<Vec<Record>>,
    writer: JoinHandle<()>,
    metrics: Arc<Metrics>,
}

impl AccessLog {
    /// Opens it. Setting `reopen` makes the next write open the file again.
    ///
    /// # Errors
    /// When the file cannot be opened, or the thread cannot be started.
    pub fn open(
        to: &config::AccessLog,
        reopen: Arc<AtomicBool>,
        metrics: Arc<Metrics>,
    ) -> io::Result<Self> {
        let target = match to {
            config::AccessLog::Stdout => Target::Stdout,
            config::AccessLog::File(path) => Target::File {
                path: path.clone(),
                file: append_to(path)?,
            },
        };
        let mut lines = Lines {
            target,
            reopen,
            text: Vec::new(),
        };
        let (batches, handed_over) = sync_channel::<Vec<Record>>(BATCHES_WAITING_MAX);
        let counted = Arc::clone(&metrics);
        let writer = thread::Builder::new()
            .name("access log".to_owned())
            .spawn(move || {
                for batch in handed_over {
                    if let Err(error) = lines.write(&batch) {
                        drop_counted(&counted, batch.len());
                        warn!("cannot write the access log: {error}");
                    }
                }
            })?;
        Ok(Self {
            batches,
            writer,
            metrics,
        })
    }

    /// Takes records to be written as lines; never waits.
    pub fn hand_over(&self, batch: Vec<Record>) {
        if let Err(TrySendError::Full(batch) | TrySendError::Disconnected(batch)) =
            self.batches.try_send(batch)
        {
            drop_counted(&self.metrics, batch.len());
        }
    }

    /// Writes what waits and ends; a reader that is stuck is not waited for long.
    pub fn close(self) {
        drop(self.batches);
        let deadline = Instant::now() + CLOSE_WAIT;
        while !self.writer.is_finished() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(5));
        }
    }
}

fn drop_counted(metrics: &Metrics, lines: usize) {
    metrics
        .access_log_dropped
        .inc_by(u64::try_from(lines).unwrap_or(u64::MAX));
}

#[derive(Debug)]
enum Target {
    Stdout,
    File {
        path: PathBuf,
        file: BufWriter<File>,
    },
}

/// The back, on the thread.
struct Lines {
    target: Target,
    reopen: Arc<AtomicBool>,
    text: Vec<u8>,
}

impl Lines {
    /// Writes a line for each record of a request and hands all of them to the system.
    fn write(&mut self, records: &[Record]) -> io::Result<()> {
        self.text.clear();
        for record in records {
            if let Some(line) = Line::of(record) {
                serde_json::to_writer(&mut self.text, &line)?;
                self.text.push(b'\n');
            }
        }
        if self.reopen.swap(false, Ordering::Relaxed)
            && let Target::File { path, file } = &mut self.target
        {
            *file = append_to(path)?;
        }
        match &mut self.target {
            Target::Stdout => io::stdout().lock().write_all(&self.text),
            Target::File { file, .. } => {
                file.write_all(&self.text)?;
                file.flush()
            }
        }
    }
}

fn append_to(path: &Path) -> io::Result<BufWriter<File>> {
    Ok(BufWriter::new(
        OpenOptions::new().create(true).append(true).open(path)?,
    ))
}

/// One line; the names are part of the operators' contract (docs/operators.md).
#[derive(Serialize)]
struct Line<'a> {
    time: String,
    request_id: &'a str,
    identity: &'a str,
    client: &'a str,
    application: &'a str,
    method: &'a str,
    path: &'a str,
    status: Option<u16>,
    decision: &'a str,
    reason: Option<&'a str>,
    bytes_in: u64,
    bytes_out: u64,
    duration_us: u64,
}

impl<'a> Line<'a> {
    fn of(record: &'a Record) -> Option<Self> {
        let exchange = record
            .exchange
            .as_ref()
            .filter(|_| record.kind == Kind::Request)?;
        let judgement = record.judgement.as_ref()?;
        let connection = record.connection.as_deref();
        Some(Self {
            time: rfc3339(record.time),
            request_id: &exchange.request_id,
            identity: connection.map_or("", |connection| &connection.subject),
            client: connection.map_or("", |connection| &connection.client),
            application: record
                .target
                .as_deref()
                .map_or("", |target| &target.application),
            method: &exchange.method,
            path: &exchange.path,
            status: exchange.status,
            decision: judgement.decision.word(),
            reason: judgement.reason.as_deref(),
            bytes_in: exchange.bytes_in,
            bytes_out: exchange.bytes_out,
            duration_us: exchange.duration_us,
        })
    }
}

fn rfc3339(time: Timestamp) -> String {
    time.to_string()
}

/// Batches that may wait for a slow reader; each holds what came in one flush interval.
const BATCHES_WAITING_MAX: usize = 128;
const CLOSE_WAIT: Duration = Duration::from_secs(1);
