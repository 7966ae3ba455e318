//! The way of a record to the disk: a place is reserved before anything is forwarded, the record is handed in afterwards, and
//! one writer syncs many at once.
//!
//! A place that is dropped without its record (a panic in a request never reaches Pingora's logging phase) hands in what is
//! known so far as `aborted`. When the disk takes nothing, no new place is given: requests are refused, and what was promised a
//! place is kept and written once the disk takes it again.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle, Thread};
use std::time::{Duration, Instant, SystemTime};

use hangu_audit::{Decision, Kind, Log, OpenError, Options, Origin, Record, Timestamp};
use tokio::sync::oneshot;
use tracing::{error, info, warn};

use crate::access_log::AccessLog;
use crate::observe::metrics::Metrics;

/// How the trail is set up.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Folder of the segments.
    pub folder: PathBuf,
    /// Records that may wait for the disk.
    pub queue: usize,
    /// How long records wait to be synced together.
    pub flush: Duration,
    /// Bytes of a segment.
    pub segment_bytes_max: u64,
    /// Who writes.
    pub origin: Arc<Origin>,
    /// What to do about a folder that another process writes.
    pub when_locked: WhenLocked,
}

/// What to do about a folder that another process writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenLocked {
    /// It is a mistake: two gateways, one folder.
    Fail,
    /// It is the gateway that this one takes over from: records queue until it has drained.
    Wait,
}

/// The trail's front: gives places, takes records.
#[derive(Debug)]
pub struct AuditTrail {
    shared: Arc<Shared>,
    writer: Mutex<Option<JoinHandle<()>>>,
    thread: Thread,
}

/// A promise that one record will be written. Dropped without [`Place::hand_in`] it writes its draft as aborted.
#[derive(Debug)]
#[must_use = "dropping a place writes an aborted record"]
pub struct Place {
    shared: Arc<Shared>,
    draft: Option<Box<Record>>,
}

/// The log cannot take a record now: the queue is full or the disk refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the audit log takes no record now")]
pub struct NoPlace;

#[derive(Debug)]
struct Shared {
    handed_in: Mutex<Vec<Record>>,
    /// Who waits until what he handed in is on the disk. Pushed after the record and taken before it: nobody is told too early.
    waiting: Mutex<Vec<oneshot::Sender<()>>>,
    /// Places given and not yet on the disk.
    taken: AtomicUsize,
    places: usize,
    failing: AtomicBool,
    closing: AtomicBool,
    /// Records that found no place since the last note of it in the log.
    dropped: AtomicU64,
    /// Where the records' monotonic clock begins.
    started: Instant,
    origin: Arc<Origin>,
    metrics: Arc<Metrics>,
}

impl AuditTrail {
    /// Opens the log and starts its writer.
    ///
    /// # Errors
    /// When the log cannot be opened or its chain is damaged.
    pub fn start(
        settings: Settings,
        access_log: Option<AccessLog>,
        metrics: Arc<Metrics>,
    ) -> Result<Self, OpenError> {
        let shared = Arc::new(Shared {
            handed_in: Mutex::new(Vec::new()),
            waiting: Mutex::new(Vec::new()),
            taken: AtomicUsize::new(0),
            places: settings.queue,
            failing: AtomicBool::new(false),
            closing: AtomicBool::new(false),
            dropped: AtomicU64::new(0),
            started: Instant::now(),
            origin: Arc::clone(&settings.origin),
            metrics,
        });
        let log = match open(&settings) {
            Ok(log) => Some(log),
            Err(OpenError::Locked { .. }) if settings.when_locked == WhenLocked::Wait => None,
            Err(error) => return Err(error),
        };
        let writer = Writer {
            shared: Arc::clone(&shared),
            settings,
            log,
            access_log,
            head_noted: Instant::now(),
            looked: Instant::now(),
        };
        let handle = thread::Builder::new()
            .name("audit".to_owned())
            .spawn(move || writer.run())
            .map_err(|source| OpenError::Io {
                path: PathBuf::from("(audit thread)"),
                source,
            })?;
        let thread = handle.thread().clone();
        Ok(Self {
            shared,
            writer: Mutex::new(Some(handle)),
            thread,
        })
    }

    /// Gives a place for `draft`, to be completed and handed in.
    ///
    /// # Errors
    /// [`NoPlace`]; it is counted.
    pub fn reserve(&self, draft: Box<Record>) -> Result<Place, NoPlace> {
        if self.shared.take_place() {
            Ok(Place {
                shared: Arc::clone(&self.shared),
                draft: Some(draft),
            })
        } else {
            self.shared.dropped.fetch_add(1, Ordering::Relaxed);
            Err(NoPlace)
        }
    }

    /// Hands in a record that nothing waits for: a refused handshake, a start, a reload. One that finds no place is counted, in
    /// the metrics and later in the log itself.
    pub fn note(&self, record: Record) {
        match self.reserve(Box::new(record)) {
            Ok(place) => place.hand_in(),
            Err(NoPlace) => self.shared.metrics.audit_dropped.inc(),
        }
    }

    /// Hands in an event without a request.
    pub fn note_event(&self, kind: Kind, detail: impl Into<String>) {
        let now = Timestamp::from(SystemTime::now());
        self.note(Record::event(
            kind,
            now,
            Arc::clone(&self.shared.origin),
            detail,
        ));
    }

    /// Whether records are being taken.
    #[must_use]
    pub fn is_taking(&self) -> bool {
        !self.shared.failing.load(Ordering::Relaxed)
            && self.shared.taken.load(Ordering::Relaxed) < self.shared.places
    }

    /// Places taken now: by requests in flight and by records that wait for the disk.
    #[must_use]
    pub fn places_taken(&self) -> usize {
        self.shared.taken.load(Ordering::Relaxed)
    }

    /// Who writes.
    #[must_use]
    pub fn origin(&self) -> &Arc<Origin> {
        &self.shared.origin
    }

    /// Writes what was handed in and ends the writer. Call it when no request is left.
    pub fn close(&self) {
        self.shared.closing.store(true, Ordering::Release);
        self.thread.unpark();
        let writer = self
            .writer
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(Err(_)) = writer.map(JoinHandle::join) {
            error!("the audit writer ended by a panic");
        }
    }
}

impl Place {
    /// The record so far.
    pub fn draft(&mut self) -> Option<&mut Record> {
        self.draft.as_deref_mut()
    }

    /// Hands the record in as it is.
    pub fn hand_in(mut self) {
        if let Some(record) = self.draft.take() {
            self.shared.push(*record);
        }
    }
}

impl Place {
    /// Hands the record in; the receiver resolves once it is on the disk, and fails when it never will be.
    pub fn hand_in_and_tell(mut self) -> oneshot::Receiver<()> {
        let (tell, told) = oneshot::channel();
        if let Some(record) = self.draft.take() {
            self.shared.push(*record);
            let mut waiting = self
                .shared
                .waiting
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            waiting.push(tell);
        }
        told
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(mut record) = self.draft.take() {
            if let Some(judgement) = &mut record.judgement {
                judgement.decision = Decision::Aborted;
            }
            self.shared.push(*record);
        }
    }
}

impl Shared {
    fn take_place(&self) -> bool {
        if self.failing.load(Ordering::Relaxed) {
            return false;
        }
        let below = |taken: usize| (taken < self.places).then_some(taken + 1);
        self.taken
            .fetch_update(Ordering::AcqRel, Ordering::Relaxed, below)
            .is_ok()
    }

    fn push(&self, mut record: Record) {
        record.monotonic_us = u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.lock().push(record);
    }

    fn take_waiting(&self) -> Vec<oneshot::Sender<()>> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *waiting)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Record>> {
        // A panic while the lock was held can only have been in `push` itself: the records before are whole.
        self.handed_in
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// The one thread that touches the disk.
struct Writer {
    shared: Arc<Shared>,
    settings: Settings,
    log: Option<Log>,
    access_log: Option<AccessLog>,
    head_noted: Instant,
    looked: Instant,
}

impl Writer {
    fn run(mut self) {
        let death_is_the_end = EndProcessOnPanic;
        let mut batch = Vec::new();
        loop {
            let closing = self.shared.closing.load(Ordering::Acquire);
            let waiting = self.shared.take_waiting();
            std::mem::swap(&mut batch, &mut *self.shared.lock());
            self.note_dropped(&mut batch);
            if self.write(&mut batch) {
                for tell in waiting {
                    // An error means that nobody waits any more.
                    tell.send(()).unwrap_or_default();
                }
            }
            batch.clear();
            self.look_after_the_log();
            if closing && self.shared.lock().is_empty() {
                break;
            }
            thread::park_timeout(self.settings.flush);
        }
        if let Some(access_log) = self.access_log.take() {
            access_log.close();
        }
        if let Some(Err((_, error))) = self.log.take().map(Log::close) {
            error!("cannot close the audit log: {error}");
        }
        std::mem::forget(death_is_the_end);
    }

    /// Writes and syncs the whole batch, however often it has to be tried. Only at the end of the process it gives up, and says so.
    fn write(&mut self, batch: &mut Vec<Record>) -> bool {
        if batch.is_empty() {
            return true;
        }
        let Some(mut log) = self.wait_for_log() else {
            return self.lost(batch.len());
        };
        for record in batch.iter() {
            // The log holds only so much in memory: what is there goes to the disk first.
            while log.append(record).is_err() {
                if !self.commit(&mut log) {
                    return self.lost(batch.len());
                }
            }
        }
        if !self.commit(&mut log) {
            return self.lost(batch.len());
        }
        self.log = Some(log);
        self.shared
            .metrics
            .audit_records
            .inc_by(u64::try_from(batch.len()).unwrap_or(u64::MAX));
        self.shared.taken.fetch_sub(batch.len(), Ordering::AcqRel);
        if let Some(access_log) = &self.access_log {
            access_log.hand_over(std::mem::take(batch));
        }
        self.look_after_the_log();
        true
    }

    fn commit(&mut self, log: &mut Log) -> bool {
        while let Err(error) = log.commit() {
            self.shared.metrics.audit_write_errors.inc();
            if !self.shared.failing.swap(true, Ordering::Relaxed) {
                error!(
                    "the audit log takes no record, requests are refused until it does: {error}"
                );
            }
            if self.shared.closing.load(Ordering::Acquire) {
                return false;
            }
            thread::park_timeout(RETRY);
        }
        if log.is_in_place() && self.shared.failing.swap(false, Ordering::Relaxed) {
            info!("the audit log takes records again");
        }
        true
    }

    /// The log, once no other process writes it any more. `None` only when this process ends meanwhile.
    fn wait_for_log(&mut self) -> Option<Log> {
        loop {
            if let Some(log) = self.log.take() {
                return Some(log);
            }
            match open(&self.settings) {
                Ok(log) => self.log = Some(log),
                Err(OpenError::Locked { .. }) => {}
                Err(error) => {
                    self.shared.failing.store(true, Ordering::Relaxed);
                    error!("cannot open the audit log: {error}");
                }
            }
            if self.log.is_none() {
                if self.shared.closing.load(Ordering::Acquire) {
                    return None;
                }
                thread::park_timeout(RETRY);
            }
        }
    }

    fn lost(&self, records: usize) -> bool {
        error!("{records} audit records could not be written before the end of the process");
        self.shared
            .metrics
            .audit_dropped
            .inc_by(u64::try_from(records).unwrap_or(u64::MAX));
        false
    }

    /// Once a second: is what was written still where it was written. Once a minute: notes how far the log is, so that a tail that
    /// is cut off later is seen.
    fn look_after_the_log(&mut self) {
        let Some(log) = &mut self.log else { return };
        if self.looked.elapsed() < LOOK_EVERY {
            return;
        }
        self.looked = Instant::now();
        if !log.is_in_place() {
            self.shared.failing.store(true, Ordering::Relaxed);
            self.shared.metrics.audit_write_errors.inc();
            error!(
                "{}: the audit log has been removed underneath the gateway, requests are refused; put it back, or keep what is left as evidence and restart",
                self.settings.folder.display()
            );
            return;
        }
        if self.shared.failing.swap(false, Ordering::Relaxed) {
            info!("the audit log is back in its place");
        }
        if self.head_noted.elapsed() < HEAD_EVERY {
            return;
        }
        self.head_noted = Instant::now();
        if let Err(error) = log.write_head() {
            warn!("cannot note the head of the audit log: {error}");
        }
    }

    fn note_dropped(&self, batch: &mut Vec<Record>) {
        let dropped = self.shared.dropped.swap(0, Ordering::Relaxed);
        if dropped > 0 {
            let detail = format!("{dropped} records found no place");
            let now = Timestamp::from(SystemTime::now());
            batch.push(Record::event(
                Kind::Dropped,
                now,
                Arc::clone(&self.shared.origin),
                detail,
            ));
            // This record goes without a place: it is about there being none.
            self.shared.taken.fetch_add(1, Ordering::AcqRel);
        }
    }
}

fn open(settings: &Settings) -> Result<Log, OpenError> {
    let options = Options {
        segment_bytes_max: settings.segment_bytes_max,
        ..Options::new(Arc::clone(&settings.origin))
    };
    Log::open(
        &settings.folder,
        options,
        Timestamp::from(SystemTime::now()),
    )
}

/// A gateway without its audit writer must not serve: its death ends the process, loudly.
struct EndProcessOnPanic;

impl Drop for EndProcessOnPanic {
    fn drop(&mut self) {
        std::process::abort();
    }
}

/// Between two tries of a failed write.
const RETRY: Duration = Duration::from_millis(100);
/// How often the log is looked for in its place.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How often the head is noted while records come.
const HEAD_EVERY: Duration = Duration::from_secs(60);
