//! The way of a record to the disk: a place is reserved before anything is forwarded, the record is handed in afterwards, and
//! one writer syncs many at once.
//!
//! A place that is dropped without its record (a panic in a request never reaches Pingora's logging phase) hands in what is
//! known so far as `aborted`. When the disk takes nothing, no new place is given: requests are refused, and what was promised a
//! place is kept and written once the disk takes it again.

use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

use hangu_audit::note::Note;
use hangu_audit::tree::TreeHead;
use hangu_audit::{Decision, Exchange, Judgement, Kind, OpenError, Origin, Record, Timestamp};
use tokio::sync::oneshot;
use tracing::error;

use crate::access_log::AccessLog;
use crate::config;
use crate::config::{Acknowledge, SigningKey};
use crate::observe::metrics::Metrics;

mod desk;
mod disk;
pub mod key_file;
mod queue;
mod remote;
mod signing;
mod witness;
mod writer;

use desk::Desk;
pub use queue::Until;
use queue::{Queue, Share, Waiter};
use signing::Signing;
pub use signing::SigningError;
use witness::Client;
pub use witness::WitnessError;
use writer::Writer;

/// How the trail is set up.
#[derive(Clone, Debug)]
pub struct Settings {
    /// As configured.
    pub audit: config::Audit,
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
    /// It is the gateway that this one takes over from: records go to a log of their own until it has drained.
    Wait,
}

/// The trail cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum TrailError {
    /// The log cannot be opened, or its chain is damaged.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// It cannot be signed.
    #[error(transparent)]
    Signing(#[from] SigningError),
    /// Its witness cannot be asked.
    #[error(transparent)]
    Witness(#[from] WitnessError),
}

/// The trail's front: gives places, takes records.
#[derive(Debug)]
pub struct AuditTrail {
    queue: Arc<Queue>,
    writer: Mutex<Option<JoinHandle<()>>>,
    /// Where checkpoints wait for a signer in another process.
    unsigned: Option<Arc<Desk<TreeHead>>>,
    signer: Mutex<Option<JoinHandle<()>>>,
    /// Where they wait for the witness.
    desk: Option<Arc<Desk<Arc<Note>>>>,
    witness: Mutex<Option<JoinHandle<()>>>,
}

/// A promise that one record will be written. Dropped without [`Place::hand_in`] it writes its draft as aborted.
#[derive(Debug)]
#[must_use = "dropping a place writes an aborted record"]
pub struct Place {
    queue: Arc<Queue>,
    draft: Option<Box<Record>>,
    /// The request whose beginning is told: the place is for its end.
    told: Option<Box<str>>,
}

/// The log cannot take a record now: the queue is full or the disk refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the audit log takes no record now")]
pub struct NoPlace;

impl AuditTrail {
    /// Opens the log and starts its writer.
    ///
    /// # Errors
    /// When the log cannot be opened, its chain is damaged, or it cannot be signed.
    pub fn start(
        settings: Settings,
        access_log: Option<AccessLog>,
        metrics: Arc<Metrics>,
    ) -> Result<Self, TrailError> {
        let places = usize::try_from(settings.audit.queue.get()).unwrap_or(usize::MAX);
        let origin = Arc::clone(&settings.origin);
        let queue = Arc::new(Queue::new(places, origin, metrics));
        let signing = Signing::load(&settings.audit.key, &settings.origin.node)?;
        let when_locked = settings.when_locked;
        let watched = settings.audit.witness.clone();
        let desk = watched.as_ref().map(|_| Arc::new(Desk::new()));
        let folder = settings.audit.folder.clone();
        let queue_of_writer = Arc::clone(&queue);
        let unsigned = signing.desk().cloned();
        let remote = match &settings.audit.key {
            SigningKey::Remote { socket, key } => Some(remote::Signer {
                socket: socket.clone(),
                key: key.clone(),
            }),
            SigningKey::File(_) | SigningKey::Beside(_) => None,
        };
        let mut writer = Writer::new(queue_of_writer, settings, signing, access_log, desk.clone());
        match writer.open() {
            Err(TrailError::Open(OpenError::Locked { .. })) if when_locked == WhenLocked::Wait => {
                writer.open_waiting()?;
            }
            opened => opened?,
        }
        let signer = match (&unsigned, remote) {
            (Some(unsigned), Some(signer)) => {
                let (unsigned, metrics) = (Arc::clone(unsigned), Arc::clone(&queue.metrics));
                let started =
                    remote::Client::start(unsigned, folder.clone(), signer, desk.clone(), metrics);
                Some(started.map_err(no_thread)?)
            }
            _ => None,
        };
        let witness = match (&desk, watched) {
            (Some(desk), Some(watched)) => {
                let metrics = Arc::clone(&queue.metrics);
                Some(Client::start(Arc::clone(desk), folder, watched, metrics)?)
            }
            _ => None,
        };
        let handle = thread::Builder::new()
            .name("audit".to_owned())
            .spawn(move || writer.run())
            .map_err(no_thread)?;
        // Nothing was set before.
        let _unset = queue.writer.set(handle.thread().clone());
        Ok(Self {
            queue,
            writer: Mutex::new(Some(handle)),
            unsigned,
            signer: Mutex::new(signer),
            desk,
            witness: Mutex::new(witness),
        })
    }

    /// Gives a place for `draft`, to be completed and handed in.
    ///
    /// # Errors
    /// [`NoPlace`]; it is counted.
    pub fn reserve(&self, draft: Box<Record>) -> Result<Place, NoPlace> {
        self.place(draft, Share::Common)
    }

    /// As [`reserve`](Self::reserve), for what somebody does to the gateway: some places are kept for that.
    ///
    /// # Errors
    /// [`NoPlace`]; it is counted.
    pub fn reserve_for_event(&self, draft: Box<Record>) -> Result<Place, NoPlace> {
        self.place(draft, Share::Reserved)
    }

    fn place(&self, draft: Box<Record>, share: Share) -> Result<Place, NoPlace> {
        if self.queue.take_place(share) {
            Ok(Place {
                queue: Arc::clone(&self.queue),
                draft: Some(draft),
                told: None,
            })
        } else {
            self.queue.dropped.fetch_add(1, Ordering::Relaxed);
            Err(NoPlace)
        }
    }

    /// Hands in a record that nothing waits for: a refused handshake, a start, a reload. One that finds no place is counted, in
    /// the metrics and later in the log itself.
    pub fn note(&self, record: Record) {
        match self.place(Box::new(record), Share::Reserved) {
            Ok(place) => place.hand_in(),
            Err(NoPlace) => self.queue.metrics.audit.dropped.inc(),
        }
    }

    /// Hands in an event without a request.
    pub fn note_event(&self, kind: Kind, detail: impl Into<String>) {
        let now = Timestamp::from(SystemTime::now());
        self.note(Record::event(
            kind,
            now,
            Arc::clone(&self.queue.origin),
            detail,
        ));
    }

    /// Whether records are being taken.
    #[must_use]
    pub fn is_taking(&self) -> bool {
        self.queue.is_taking()
    }

    /// Whether there is room for the record of a permitted request.
    #[must_use]
    pub fn may_permit(&self, acknowledge: Acknowledge) -> bool {
        let room = self.queue.room();
        match acknowledge {
            Acknowledge::Durable | Acknowledge::Written => room < disk::Room::Reserved,
            Acknowledge::Counted => room < disk::Room::Scarce,
        }
    }

    /// Places taken now: by requests in flight and by records that wait for the disk.
    #[must_use]
    pub fn places_taken(&self) -> usize {
        self.queue.taken()
    }

    /// Brings the gauges up to now, for somebody who reads them.
    pub fn observe(&self) {
        let (queue, metrics) = (&self.queue, &self.queue.metrics);
        metrics
            .audit
            .queue
            .set(i64::try_from(queue.taken()).unwrap_or(i64::MAX));
        let now = queue.now_ms();
        let age = |since_ms: u64| match since_ms {
            0 => 0.0,
            since => now.saturating_sub(since) as f64 / 1_000.0,
        };
        let unsigned = self
            .unsigned
            .as_ref()
            .map_or(0.0, |desk| desk.age().as_secs_f64());
        let since = age(queue.unsigned_since_ms.load(Ordering::Relaxed));
        metrics.audit.checkpoint_age.set(since.max(unsigned));
        let unwitnessed = self
            .desk
            .as_ref()
            .map_or(0.0, |desk| desk.age().as_secs_f64());
        metrics.audit.witness_age.set(unwitnessed);
    }

    /// Who writes.
    #[must_use]
    pub fn origin(&self) -> &Arc<Origin> {
        &self.queue.origin
    }

    /// Writes what was handed in and ends the writer. Call it when no request is left.
    pub fn close(&self) {
        self.queue.closing.store(true, Ordering::Release);
        if let Some(writer) = self.queue.writer.get() {
            writer.unpark();
        }
        let writer = self
            .writer
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(Err(_)) = writer.map(JoinHandle::join) {
            error!("the audit writer ended by a panic");
        }
        if let Some(unsigned) = &self.unsigned {
            unsigned.close();
        }
        let signer = self
            .signer
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(signer) = signer {
            leave(signer);
        }
        // After the writer: the last checkpoint is there now.
        if let Some(desk) = &self.desk {
            desk.close();
        }
        let witness = self
            .witness
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(Err(_)) = witness.map(JoinHandle::join) {
            error!("the witness's thread ended by a panic");
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
            self.queue.push(record, None);
        }
    }

    /// Hands the record in and waits until the log has it so far; the place is kept for what may still be said, see
    /// [`settle`](Self::settle).
    ///
    /// # Errors
    /// [`NoPlace`] when the log does not take it now. It is written once it does.
    pub async fn tell(&mut self, until: Until) -> Result<(), NoPlace> {
        let Some(record) = self.draft.take() else {
            return Ok(());
        };
        let id = record.exchange.as_ref();
        self.told = id.map(|exchange| exchange.request_id.as_str().into());
        self.queue.take_extra_place();
        let (sender, told) = oneshot::channel();
        self.queue.push(record, Some(Waiter { until, sender }));
        match tokio::time::timeout(TELL_WAIT, told).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(NoPlace),
        }
    }

    /// After [`tell`](Self::tell): gives the place back, or hands in what came after.
    pub fn settle(mut self, rest: Option<Box<Record>>) {
        if self.told.take().is_none() {
            return;
        }
        match rest {
            Some(rest) => self.queue.push(rest, None),
            None => self.queue.give_back(1),
        }
    }

    /// Gives the place back without a record, which is counted.
    pub fn forgo(mut self) {
        if self.draft.take().is_some() {
            self.queue.give_back(1);
            self.queue.dropped.fetch_add(1, Ordering::Relaxed);
            self.queue.metrics.audit.dropped.inc();
        }
    }

    /// Hands the record in; the receiver resolves once it is on the disk, and fails when the disk does not take it now.
    pub fn hand_in_and_tell(mut self) -> oneshot::Receiver<()> {
        let (sender, told) = oneshot::channel();
        if let Some(record) = self.draft.take() {
            let until = Until::Durable;
            self.queue.push(record, Some(Waiter { until, sender }));
        }
        told
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(id) = self.told.take() {
            self.queue.push(aborted(&id, &self.queue.origin), None);
        }
        if let Some(mut record) = self.draft.take() {
            if let Some(judgement) = &mut record.judgement {
                judgement.decision = Decision::Aborted;
            }
            self.queue.push(record, None);
        }
    }
}

/// Waits for the last signature, but not for a signer that gives none.
fn leave(signer: JoinHandle<()>) {
    let until = Instant::now() + SIGNER_WAIT;
    while !signer.is_finished() {
        if Instant::now() >= until {
            error!("the signer did not answer in time: the end of the audit log is unsigned");
            return;
        }
        thread::sleep(SIGNER_LOOK);
    }
    if signer.join().is_err() {
        error!("the signer's thread ended by a panic");
    }
}

fn no_thread(source: std::io::Error) -> OpenError {
    OpenError::Io {
        path: PathBuf::from("(audit thread)"),
        source,
    }
}

/// That a request ended, of which nothing more is known.
fn aborted(id: &str, origin: &Arc<Origin>) -> Box<Record> {
    let now = Timestamp::from(SystemTime::now());
    let mut record = Record::event(Kind::End, now, Arc::clone(origin), String::new());
    record.judgement = Some(Judgement::new(Decision::Aborted));
    record.exchange = Some(Exchange {
        request_id: id.to_owned(),
        ..Exchange::default()
    });
    Box::new(record)
}

/// A disk that takes longer than this takes nothing.
const TELL_WAIT: Duration = Duration::from_secs(10);
/// For the last checkpoint of a process to be signed elsewhere.
const SIGNER_WAIT: Duration = Duration::from_secs(5);
const SIGNER_LOOK: Duration = Duration::from_millis(10);
