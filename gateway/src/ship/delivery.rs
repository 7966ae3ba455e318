//! One sink's thread: reads on from its place, sends, moves its place on; after a failure it begins again from there.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use hangu_audit::{Cursor, CursorError, Entry, Format, Hash, Timestamp, export, export_syslog};
use prometheus::IntGauge;
use tracing::{info, warn};

use super::error::ShipError;
use super::place;
use super::plan::Plan;
use super::under_way::UnderWay;
use crate::config::SinkTarget;
use crate::observe::metrics::Metrics;
use crate::observe::shipping::SinkMetrics;

/// Records that are sent together, in order.
#[derive(Debug)]
pub(super) struct Batch {
    /// Names the log.
    pub(super) log_id: Hash,
    /// Sequence number of the first record.
    pub(super) first: u64,
    /// Sequence number of the last one.
    pub(super) last: u64,
    /// Each record in the sink's format, without a newline.
    pub(super) lines: Vec<String>,
    /// When the first record was made, in seconds since 1970.
    begins: Option<f64>,
}

impl Batch {
    /// One line a record.
    pub(super) fn text(&self) -> String {
        let bytes = self.lines.iter().map(|line| line.len() + 1).sum();
        let mut text = String::with_capacity(bytes);
        for line in &self.lines {
            text.push_str(line);
            text.push('\n');
        }
        text
    }
}

/// Where a sink's batches go.
pub(super) trait Destination {
    /// Makes ready to send; asked before each batch, so it costs nothing when all is ready.
    fn open(&mut self) -> Result<(), ShipError> {
        Ok(())
    }

    /// Sends a batch. `Ok` when it is the receiver's, but for [`settle`](Self::settle).
    fn send(&mut self, batch: &Batch) -> Result<(), ShipError>;

    /// Whether all is well while there is nothing to send.
    fn check(&mut self) -> Result<(), ShipError> {
        Ok(())
    }

    /// How long after sending a failure may still mean that a batch was lost; zero where the receiver acknowledges.
    fn settle(&self) -> Duration {
        Duration::ZERO
    }

    /// How long a batch that is not full waits for more.
    fn linger(&self) -> Duration {
        Duration::ZERO
    }
}

/// The work of one sink's thread.
pub(super) struct Delivery {
    plan: Arc<Plan>,
    audit: PathBuf,
    committed: IntGauge,
    metrics: SinkMetrics,
    stop: Arc<AtomicBool>,
    /// Most records of the next batch.
    batch_max: Cell<usize>,
    pause: Cell<Duration>,
    /// The last attempt failed, and that was told.
    is_out: Cell<bool>,
    /// The last record that was sent.
    sent: Cell<u64>,
    /// When the oldest record was made that was not sent, while one waits.
    waits_since: Cell<Option<f64>>,
}

impl Delivery {
    pub(super) fn new(
        plan: Arc<Plan>,
        audit: &Path,
        metrics: &Metrics,
        stop: Arc<AtomicBool>,
    ) -> Self {
        let batch_max = usize::try_from(plan.sink().batch.get()).unwrap_or(usize::MAX);
        Self {
            audit: audit.to_owned(),
            committed: metrics.shipping.committed.clone(),
            metrics: metrics.shipping.sink(plan.name()),
            stop,
            batch_max: Cell::new(batch_max),
            pause: Cell::new(PAUSE_MIN),
            is_out: Cell::new(false),
            sent: Cell::new(0),
            waits_since: Cell::new(None),
            plan,
        }
    }

    /// Ships until told to stop.
    pub(super) fn run(self) {
        let lock = self.until(|| self.lock());
        self.until(|| self.ship());
        drop(lock);
    }

    /// Does something again and again until it succeeds; `None` when told to stop meanwhile.
    fn until<T>(&self, mut attempt: impl FnMut() -> Result<T, ShipError>) -> Option<T> {
        while !self.is_stopping() {
            match attempt() {
                Ok(value) => return Some(value),
                Err(ShipError::Log(CursorError::Empty)) => self.wait(POLL),
                Err(error) => self.failed(&error),
            }
        }
        None
    }

    fn failed(&self, error: &ShipError) {
        // Once an outage: the metrics say how long it lasts.
        if !self.is_out.replace(true) {
            warn!(
                "audit sink `{}`: {error}; its records stay in the log and are sent when it can be reached",
                self.plan.name()
            );
        }
        if matches!(error, ShipError::TooLarge) {
            self.batch_max.set((self.batch_max.get() / 2).max(1));
        }
        self.metrics.up.set(0);
        self.metrics.failures.inc();
        self.wait(self.pause.get());
        self.pause.set((self.pause.get() * 2).min(PAUSE_MAX));
    }

    fn succeeded(&self) {
        if self.is_out.replace(false) {
            info!("audit sink `{}`: takes records", self.plan.name());
        }
        self.metrics.up.set(1);
        self.pause.set(PAUSE_MIN);
    }

    fn lock(&self) -> Result<std::fs::File, ShipError> {
        let lock = place::lock(&self.audit, self.plan.name()).map_err(ShipError::Place)?;
        while let Err(std::fs::TryLockError::WouldBlock) = lock.try_lock() {
            if self.is_stopping() {
                break;
            }
            self.wait(POLL);
        }
        Ok(lock)
    }

    /// Ships from where the last delivery ended, until something fails or it is told to stop.
    fn ship(&self) -> Result<(), ShipError> {
        let mut destination = self.plan.destination();
        self.sent
            .set(place::delivered(&self.audit, self.plan.name())?);
        self.tell_lag();
        destination.open()?;
        let mut cursor = Cursor::open(&self.audit, &place::cursor(&self.audit, self.plan.name()))?;
        if cursor.skipped() > 0 {
            warn!(
                "audit sink `{}`: {} records were removed from the log before they were sent",
                self.plan.name(),
                cursor.skipped()
            );
            self.metrics.dropped.inc_by(cursor.skipped());
            cursor.delivered()?;
        }
        let mut under_way = UnderWay::new(destination.settle());
        while !self.is_stopping() {
            match self.gather(&mut cursor, destination.linger())? {
                Some(batch) => {
                    self.deliver(&mut *destination, &batch)?;
                    under_way.sent(cursor.mark(), Instant::now());
                }
                None => {
                    destination.check()?;
                    self.succeeded();
                    self.wait(POLL);
                }
            }
            if let Some(mark) = under_way.settled(Instant::now()) {
                cursor.delivered_to(&mark)?;
            }
        }
        Ok(())
    }

    /// The next batch of durable records; `None` when there are none.
    fn gather(&self, cursor: &mut Cursor, linger: Duration) -> Result<Option<Batch>, ShipError> {
        let durable = || u64::try_from(self.committed.get()).unwrap_or_default();
        let waiting = durable().saturating_sub(cursor.given());
        if waiting == 0 {
            return Ok(None);
        }
        if waiting < self.batch_max.get() as u64 {
            self.wait(linger);
        }
        let mut batch = Batch {
            log_id: cursor.log_id(),
            first: cursor.given().saturating_add(1),
            last: 0,
            lines: Vec::new(),
            begins: None,
        };
        let (durable, mut bytes) = (durable(), 0);
        while batch.lines.len() < self.batch_max.get()
            && bytes < BATCH_BYTES_MAX
            && cursor.given() < durable
            && let Some(line) = cursor.next_line()?
        {
            if batch.lines.is_empty() {
                batch.first = line.sequence;
                batch.begins = begins(&line.json);
            }
            batch.last = line.sequence;
            let shown = self.shown(&line.json)?;
            bytes += shown.len();
            batch.lines.push(shown);
        }
        Ok((!batch.lines.is_empty()).then_some(batch))
    }

    fn shown(&self, line: &str) -> Result<String, ShipError> {
        let format = self.plan.sink().format;
        Ok(match (&self.plan.sink().to, format) {
            (SinkTarget::Syslog { .. }, _) => export_syslog(line, format)?,
            (SinkTarget::Http { .. } | SinkTarget::Folder(_), Format::Native) => line.to_owned(),
            (SinkTarget::Http { .. } | SinkTarget::Folder(_), _) => export(line, format)?,
        })
    }

    /// Sends a batch. Where the receiver acknowledges, the same batch again until it does: its key must not change.
    fn deliver(&self, destination: &mut dyn Destination, batch: &Batch) -> Result<(), ShipError> {
        loop {
            self.waits_since.set(batch.begins);
            self.tell_lag();
            match destination.open().and_then(|()| destination.send(batch)) {
                Ok(()) => break,
                Err(error)
                    if destination.settle().is_zero()
                        && !matches!(error, ShipError::TooLarge)
                        && !self.is_stopping() =>
                {
                    self.failed(&error);
                }
                Err(error) => return Err(error),
            }
        }
        self.succeeded();
        self.metrics.sent.inc_by(batch.lines.len() as u64);
        self.sent.set(batch.last);
        self.waits_since.set(None);
        self.tell_lag();
        Ok(())
    }

    /// Sleeps, but not through a stop, and keeps the lag true meanwhile.
    fn wait(&self, duration: Duration) {
        let until = Instant::now() + duration;
        while !self.is_stopping() {
            self.tell_lag();
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            thread::park_timeout(left.min(STOP_LOOK_EVERY));
        }
    }

    fn tell_lag(&self) {
        let durable = u64::try_from(self.committed.get()).unwrap_or_default();
        let lag = durable.saturating_sub(self.sent.get());
        self.metrics
            .lag_records
            .set(i64::try_from(lag).unwrap_or(i64::MAX));
        let age = match self.waits_since.get() {
            Some(since) if lag > 0 => (unix_seconds() - since).max(0.0),
            _ => 0.0,
        };
        self.metrics.lag_seconds.set(age);
    }

    fn is_stopping(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }
}

/// When a record was made.
fn begins(line: &str) -> Option<f64> {
    let time = Timestamp::parse(&Entry::parse(line).ok()?.time)?;
    #[expect(
        clippy::cast_precision_loss,
        reason = "milliseconds since 1970 fit a double for 285,000 years"
    )]
    let ms = time.unix_ms() as f64;
    Some(ms / 1_000.0)
}

fn unix_seconds() -> f64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs_f64()
}

/// How often a sink that has all looks for more.
const POLL: Duration = Duration::from_millis(50);
const STOP_LOOK_EVERY: Duration = Duration::from_millis(100);
const PAUSE_MIN: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(10);
const BATCH_BYTES_MAX: usize = 4 * 1024 * 1024;
