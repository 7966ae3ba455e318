//! The one thread that touches the disk: appends, syncs, signs, looks after the log.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use hangu_audit::note::Note;
use hangu_audit::{
    CommitError, Kind, Log, OpenError, Options, Outlook, Record, Reservation, Timestamp,
};
use tracing::{error, info, warn};

use super::desk::Desk;
use super::disk::{Room, file_system_used, folder_bytes, tell};
use super::queue::{Handed, Queue, Until};
use super::signing::Signing;
use super::{Settings, TrailError};
use crate::access_log::AccessLog;

pub(super) struct Writer {
    queue: Arc<Queue>,
    settings: Settings,
    signing: Signing,
    log: Option<Log>,
    /// Another process has the folder: `log` is that of a process that waits.
    is_waiting: bool,
    /// When the folder was last asked for.
    asked: Instant,
    /// Nobody has the folder, and it cannot be taken over: nothing is taken until it can.
    is_refused: bool,
    access_log: Option<AccessLog>,
    /// Where checkpoints for the witness are put.
    desk: Option<Arc<Desk<Arc<Note>>>>,
    head_noted: Instant,
    looked: Instant,
    /// Bytes of the folder without the open segment, and when they were counted.
    finished_bytes: u64,
    counted: Option<(Instant, u64)>,
    /// How the room of the open segment was last kept.
    reservation: Option<Reservation>,
}

impl Writer {
    pub(super) fn new(
        queue: Arc<Queue>,
        settings: Settings,
        signing: Signing,
        access_log: Option<AccessLog>,
        desk: Option<Arc<Desk<Arc<Note>>>>,
    ) -> Self {
        Self {
            queue,
            settings,
            signing,
            log: None,
            is_waiting: false,
            asked: Instant::now(),
            is_refused: false,
            access_log,
            desk,
            head_noted: Instant::now(),
            looked: Instant::now(),
            finished_bytes: 0,
            counted: None,
            reservation: None,
        }
    }

    /// Opens the log, holds it to what was signed before and signs it.
    pub(super) fn open(&mut self) -> Result<(), TrailError> {
        let now = Timestamp::from(SystemTime::now());
        let folder = &self.settings.audit.folder;
        let mut log = Log::open(folder, self.options(), now)?;
        // What waited is on the disk: closed, it can be taken over like anybody else's.
        if let Some(Err((waited, error))) = self.log.take().map(Log::close) {
            self.log = Some(*waited);
            return Err(OpenError::from(error).into());
        }
        self.is_waiting = false;
        let misses_a_log = self.signing.misses_a_log(&log);
        let note = self.signing.take_up(&mut log, folder)?;
        if misses_a_log {
            warn!("{}: {MISSED}", folder.display());
            let origin = Arc::clone(&self.settings.origin);
            let record = Record::event(Kind::Recovered, now, origin, MISSED);
            // A new buffer always has room for one record.
            let _sequence = log.append(&record);
            log.commit().map_err(OpenError::from)?;
        }
        let taken = log.take_waiting(&self.settings.origin.boot, now)?;
        if taken.records > 0 {
            info!(
                "{} records of {} processes that waited for the audit log are in it now",
                taken.records, taken.processes
            );
        }
        if let (Some(desk), Some(note)) = (&self.desk, note) {
            desk.put(note);
        }
        self.log = Some(log);
        self.is_refused = false;
        self.look_at_the_disk();
        Ok(())
    }

    /// Begins a log of its own, until the process that has the folder has ended.
    pub(super) fn open_waiting(&mut self) -> Result<(), TrailError> {
        let now = Timestamp::from(SystemTime::now());
        let (folder, boot) = (&self.settings.audit.folder, &self.settings.origin.boot);
        self.log = Some(Log::open_waiting(folder, boot, self.options(), now)?);
        self.is_waiting = true;
        Ok(())
    }

    fn options(&self) -> Options {
        Options {
            segment_bytes_max: self.settings.audit.segment.bytes(),
            ..Options::new(Arc::clone(&self.settings.origin))
        }
    }

    /// Asks for the folder again, where another process had it; at the end of this one without delay, else the next has to do it.
    fn ask_for_the_folder(&mut self, closing: bool) {
        let is_time = closing || self.asked.elapsed() >= RETRY;
        if self.log.is_some() && !self.is_waiting || !is_time {
            return;
        }
        self.asked = Instant::now();
        match self.open() {
            Ok(()) => {
                self.is_durable_up_to_here();
                self.sign();
            }
            Err(TrailError::Open(OpenError::Locked { .. })) => {}
            Err(error) => {
                self.queue.failing.store(true, Ordering::Relaxed);
                if !std::mem::replace(&mut self.is_refused, true) {
                    error!("cannot take over the audit log, requests are refused: {error}");
                }
            }
        }
    }

    /// The sinks may send as far as the log goes.
    fn is_durable_up_to_here(&self) {
        if let Some(log) = self.log.as_ref().filter(|_| !self.is_waiting) {
            let durable = i64::try_from(log.committed().sequence).unwrap_or(i64::MAX);
            self.queue.metrics.shipping.committed.set(durable);
        }
    }

    pub(super) fn run(mut self) {
        let death_is_the_end = EndProcessOnPanic;
        let mut batch = Vec::new();
        loop {
            let closing = self.queue.closing.load(Ordering::Acquire);
            self.queue.drain_into(&mut batch);
            self.note_dropped(&mut batch);
            self.write(&mut batch);
            batch.clear();
            self.ask_for_the_folder(closing);
            self.look_after_the_log();
            if closing && self.queue.is_empty() {
                break;
            }
            thread::park_timeout(self.settings.audit.flush);
        }
        if let Some(access_log) = self.access_log.take() {
            access_log.close();
        }
        self.sign();
        if let Some(Err((_, error))) = self.log.take().map(Log::close) {
            error!("cannot close the audit log: {error}");
        }
        std::mem::forget(death_is_the_end);
    }

    /// Writes and syncs the whole batch, however often it has to be tried. Only at the end of the process it gives up.
    fn write(&mut self, batch: &mut Vec<Handed>) {
        if batch.is_empty() {
            return;
        }
        let Some(mut log) = self.wait_for_log() else {
            return self.lost(batch.len());
        };
        for at in 0..batch.len() {
            // The log holds only so much in memory: what is there goes to the disk first.
            while batch
                .get(at)
                .is_some_and(|handed| log.append(&handed.record).is_err())
            {
                if !self.commit(&mut log, batch) {
                    return self.lost(batch.len());
                }
            }
        }
        if !self.commit(&mut log, batch) {
            return self.lost(batch.len());
        }
        self.log = Some(log);
        self.is_durable_up_to_here();
        for handed in batch.iter_mut() {
            handed.release(Until::Durable);
        }
        self.queue.give_back(batch.len());
        self.count(batch);
        if self.queue.unsigned_since_ms.load(Ordering::Relaxed) == 0 {
            let now = self.queue.now_ms();
            self.queue.unsigned_since_ms.store(now, Ordering::Relaxed);
        }
        if let Some(access_log) = &self.access_log {
            access_log.hand_over(batch.drain(..).map(|handed| *handed.record).collect());
        }
        if self
            .log
            .as_ref()
            .is_some_and(|log| !self.is_waiting && self.signing.is_rotated(log))
        {
            self.sign();
            self.counted = None;
        }
    }

    fn commit(&mut self, log: &mut Log, batch: &mut [Handed]) -> bool {
        loop {
            let done = log.commit_telling(|| {
                for handed in &mut *batch {
                    handed.release(Until::Written);
                }
            });
            let Err(error) = done else { break };
            self.queue.metrics.audit.write_errors.inc();
            if !self.queue.failing.swap(true, Ordering::Relaxed) {
                error!(
                    "the audit log takes no record, requests are refused until it does: {error}"
                );
            }
            for handed in &mut *batch {
                handed.answer(false);
            }
            if self.queue.closing.load(Ordering::Acquire) {
                return false;
            }
            if error.outlook == Outlook::Over {
                end_process(&error);
            }
            thread::park_timeout(RETRY);
        }
        if !self.is_refused
            && log.is_in_place()
            && self.queue.failing.swap(false, Ordering::Relaxed)
        {
            info!("the audit log takes records again");
        }
        true
    }

    /// The log, or the one that waits for it. `None` only when neither could be opened and this process ends meanwhile.
    fn wait_for_log(&mut self) -> Option<Log> {
        loop {
            if let Some(log) = self.log.take() {
                return Some(log);
            }
            if let Err(error) = self.open() {
                self.queue.failing.store(true, Ordering::Relaxed);
                error!("cannot open the audit log: {error}");
            }
            if self.log.is_some() {
                continue;
            }
            if self.queue.closing.load(Ordering::Acquire) {
                return None;
            }
            thread::park_timeout(RETRY);
        }
    }

    fn lost(&self, records: usize) {
        error!("{records} audit records could not be written before the end of the process");
        self.queue
            .metrics
            .audit
            .dropped
            .inc_by(u64::try_from(records).unwrap_or(u64::MAX));
    }

    fn count(&self, batch: &[Handed]) {
        let (now, metrics) = (self.queue.now_us(), &self.queue.metrics);
        for handed in batch {
            let waited = now.saturating_sub(handed.record.monotonic_us);
            metrics
                .audit
                .durable_seconds
                .observe(waited as f64 / 1_000_000.0);
            let decision = handed.record.judgement.as_ref();
            metrics
                .audit
                .records
                .with(decision.map(|judgement| judgement.decision))
                .inc();
        }
    }

    /// Once a second: is what was written still where it was written, is it signed, has it room. Once a minute: notes how far the log is,
    /// so that a tail that is cut off later is seen.
    fn look_after_the_log(&mut self) {
        if self.log.is_none() || self.looked.elapsed() < LOOK_EVERY {
            return;
        }
        self.looked = Instant::now();
        if self.log.as_ref().is_some_and(|log| !log.is_in_place()) {
            self.queue.failing.store(true, Ordering::Relaxed);
            self.queue.metrics.audit.write_errors.inc();
            error!(
                "{}: the audit log has been removed underneath the gateway, requests are refused; put it back, or keep what is left as evidence and restart",
                self.settings.audit.folder.display()
            );
            return;
        }
        if !self.is_refused && self.queue.failing.swap(false, Ordering::Relaxed) {
            info!("the audit log is back in its place");
        }
        self.sign();
        self.look_at_the_disk();
        if self.head_noted.elapsed() < HEAD_EVERY {
            return;
        }
        self.head_noted = Instant::now();
        if let Some(Err(error)) = self.log.as_mut().map(Log::write_head) {
            warn!("cannot note the head of the audit log: {error}");
        }
    }

    fn sign(&mut self) {
        let Some(log) = self.log.as_mut().filter(|_| !self.is_waiting) else {
            return;
        };
        match self.signing.sign(log) {
            Ok(note) => {
                self.queue.unsigned_since_ms.store(0, Ordering::Relaxed);
                if let (Some(desk), Some(note)) = (&self.desk, note) {
                    desk.put(note);
                }
            }
            Err(error) => error!("cannot sign the audit log: {error}"),
        }
    }

    fn look_at_the_disk(&mut self) {
        let Some(log) = &mut self.log else { return };
        let folder = &self.settings.audit.folder;
        let reservation = log.reserve();
        tell(folder, self.reservation.replace(reservation), reservation);
        let (segment, open_bytes) = (log.segment_first(), log.segment_bytes());
        let is_fresh = self
            .counted
            .is_some_and(|(at, counted)| at.elapsed() < COUNT_EVERY && counted == segment);
        if !is_fresh {
            match folder_bytes(folder) {
                Ok(bytes) => self.finished_bytes = bytes.saturating_sub(open_bytes),
                Err(error) => warn!("cannot count the audit folder: {error}"),
            }
            self.counted = Some((Instant::now(), segment));
        }
        let bytes = self.finished_bytes.saturating_add(open_bytes);
        let of_bound = self
            .settings
            .audit
            .disk_max
            .map_or(0.0, |most| bytes as f64 / most.bytes() as f64);
        let used = file_system_used(folder, log.reserved_bytes())
            .map_or(of_bound, |used| used.max(of_bound));
        let metrics = &self.queue.metrics;
        let is_held = reservation == Reservation::Held;
        metrics.audit.reserved.set(i64::from(is_held));
        metrics
            .audit
            .disk_bytes
            .set(i64::try_from(bytes).unwrap_or(i64::MAX));
        metrics.audit.disk_used.set(used);
        let (before, room) = (self.queue.room(), Room::at(used));
        if room == before {
            return;
        }
        self.queue.set_room(room);
        let percent = used * 100.0;
        match room {
            Room::Enough => info!("the audit log has room again: {percent:.1} % used"),
            Room::Low => warn!("the audit log has little room left: {percent:.1} % used"),
            Room::Scarce => error!(
                "the audit log has hardly any room left: {percent:.1} % used; routes that only count their records drop them"
            ),
            Room::Reserved => error!(
                "the audit log is all but full: {percent:.1} % used; nothing is permitted any more, denials and events are still recorded"
            ),
        }
    }

    fn note_dropped(&self, batch: &mut Vec<Handed>) {
        let dropped = self.queue.dropped.swap(0, Ordering::Relaxed);
        if dropped > 0 {
            let detail = format!("{dropped} records found no place");
            let now = Timestamp::from(SystemTime::now());
            let origin = Arc::clone(&self.queue.origin);
            let mut record = Record::event(Kind::Dropped, now, origin, detail);
            record.monotonic_us = self.queue.now_us();
            batch.push(Handed {
                record: Box::new(record),
                waiter: None,
            });
            // This record goes without a place: it is about there being none.
            self.queue.take_extra_place();
        }
    }
}

/// The disk has lost records that the system had taken. Nobody can say which, but a start that reads them again.
fn end_process(error: &CommitError) -> ! {
    error!("the audit log has ended, and the gateway with it: {error}");
    std::process::abort()
}

/// A gateway without its audit writer must not serve: its death ends the process, loudly.
struct EndProcessOnPanic;

impl Drop for EndProcessOnPanic {
    fn drop(&mut self) {
        std::process::abort();
    }
}

/// What a log says that should not be the first one of its key.
const MISSED: &str = "the log begins anew, although its key was here before: a log that was in this folder has been removed, or the first start had failed";
/// Between two tries of a failed write.
const RETRY: Duration = Duration::from_millis(100);
/// How often the log is looked for in its place, and signed.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How often the files of the folder are counted.
const COUNT_EVERY: Duration = Duration::from_secs(60);
/// How often the head is noted while records come.
const HEAD_EVERY: Duration = Duration::from_secs(60);
