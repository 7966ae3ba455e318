//! The operators' access log: one plain JSON line a request, to a file or to standard output, off by default.
//!
//! It is written beside the audit log, from the same record and by the same thread, but promises nothing: a line that cannot be
//! written is counted and gone. A file is opened again on SIGUSR1, so that it can be rotated.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use hangu_audit::{Record, Timestamp};
use serde::Serialize;

use crate::config;

/// Where the lines go.
#[derive(Debug)]
pub struct AccessLog {
    target: Target,
    reopen: Arc<AtomicBool>,
    line: Vec<u8>,
}

#[derive(Debug)]
enum Target {
    Stdout,
    File {
        path: PathBuf,
        file: BufWriter<File>,
    },
}

impl AccessLog {
    /// Opens it. Setting `reopen` makes the next write open the file again.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn open(to: &config::AccessLog, reopen: Arc<AtomicBool>) -> io::Result<Self> {
        let target = match to {
            config::AccessLog::Stdout => Target::Stdout,
            config::AccessLog::File(path) => Target::File {
                path: path.clone(),
                file: append_to(path)?,
            },
        };
        Ok(Self {
            target,
            reopen,
            line: Vec::new(),
        })
    }

    /// Writes a line for each record of a request and hands all of them to the system.
    ///
    /// # Errors
    /// What the system says; some of the lines may have been written.
    pub fn write(&mut self, records: &[Record]) -> io::Result<()> {
        self.line.clear();
        for record in records {
            if let Some(line) = Line::of(record) {
                serde_json::to_writer(&mut self.line, &line)?;
                self.line.push(b'\n');
            }
        }
        if self.reopen.swap(false, Ordering::Relaxed)
            && let Target::File { path, file } = &mut self.target
        {
            *file = append_to(path)?;
        }
        match &mut self.target {
            Target::Stdout => io::stdout().lock().write_all(&self.line),
            Target::File { file, .. } => {
                file.write_all(&self.line)?;
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
        let exchange = record.exchange.as_ref()?;
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
