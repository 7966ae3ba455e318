//! One open connection: what is known of it from outside, and the word that ends it.

use std::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

use arc_swap::ArcSwap;
use pingora::http::RequestHeader;
use tokio::sync::Notify;
use tokio::task;

use crate::connection::Connection;
use crate::denial::Denial;

/// A connection as the registry holds it.
#[derive(Debug)]
pub struct Session {
    /// Its number in this process; never used twice.
    pub id: u64,
    /// When its handshake was done, in seconds since 1970.
    pub since: i64,
    /// The connection as the generation saw it that looked last.
    pub connection: ArcSwap<Connection>,
    ended: OnceLock<Ended>,
    told: Notify,
    requests: AtomicU64,
    in_flight: AtomicU32,
    last_request: AtomicI64,
    /// Answers without an end in sight, and streams of HTTP/2 that are to be cut.
    streams: Mutex<Streams>,
}

/// Why a connection ends, and since when that is known.
#[derive(Clone, Copy, Debug)]
pub struct Ended {
    /// The reason.
    pub denial: Denial,
    /// When the gateway learned of it: what the time to the end is counted from.
    pub learned: Instant,
    /// When the connection was told.
    pub told: Instant,
}

#[derive(Debug, Default)]
struct Streams {
    open: Vec<Arc<Stream>>,
    cut: Vec<(task::Id, Denial)>,
}

/// An answer that is under way and has no end in sight: a tunnel, an event stream, a body of unknown length.
#[derive(Debug)]
pub struct Stream {
    /// The request that it answers.
    pub header: RequestHeader,
    /// Its id, as the client and the audit log know it.
    pub request_id: String,
    /// When the request came, in seconds since 1970.
    pub since: i64,
    /// The task that serves it; `None` outside of a runtime.
    task: Option<task::Id>,
}

impl Session {
    pub(super) fn new(id: u64, connection: Arc<Connection>, since: i64) -> Self {
        Self {
            id,
            since,
            connection: ArcSwap::new(connection),
            ended: OnceLock::new(),
            told: Notify::new(),
            requests: AtomicU64::new(0),
            in_flight: AtomicU32::new(0),
            last_request: AtomicI64::new(since),
            streams: Mutex::default(),
        }
    }

    /// Tells the connection to end. Says whether it had not been told before.
    pub fn end(&self, denial: Denial, learned: Instant) -> bool {
        let ended = Ended {
            denial,
            learned,
            told: Instant::now(),
        };
        let is_first = self.ended.set(ended).is_ok();
        self.told.notify_waiters();
        is_first
    }

    /// Why it ends; `None` while it may live on.
    #[must_use]
    pub fn ended(&self) -> Option<Ended> {
        self.ended.get().copied()
    }

    /// Waits until the connection is told to end.
    pub async fn until_ended(&self) -> Ended {
        loop {
            let told = self.told.notified();
            let mut told = std::pin::pin!(told);
            // From here on a word is not missed, so what was said before can be looked at.
            told.as_mut().enable();
            if let Some(ended) = self.ended() {
                return ended;
            }
            told.await;
        }
    }

    /// Waits until streams of the connection are to be cut, and gives the tasks that serve them.
    pub async fn until_cut(&self) -> Vec<task::Id> {
        loop {
            let told = self.told.notified();
            let mut told = std::pin::pin!(told);
            told.as_mut().enable();
            let cut: Vec<task::Id> = self.streams().cut.iter().map(|(task, _)| *task).collect();
            if !cut.is_empty() {
                return cut;
            }
            told.await;
        }
    }

    /// A request begins.
    pub fn begin(&self, now: i64) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        self.last_request.store(now, Ordering::Relaxed);
    }

    /// A request is over.
    pub fn finish(&self) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
    }

    /// Requests so far.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// Requests under way.
    #[must_use]
    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// When the last request came, in seconds since 1970; the handshake before the first.
    #[must_use]
    pub fn last_request(&self) -> i64 {
        self.last_request.load(Ordering::Relaxed)
    }

    /// Answers without an end in sight that are under way.
    #[must_use]
    pub fn open_streams(&self) -> Vec<Arc<Stream>> {
        self.streams().open.clone()
    }

    /// Registers an answer without an end in sight until the guard is dropped.
    pub fn open_stream(
        self: &Arc<Self>,
        header: RequestHeader,
        request_id: String,
        since: i64,
    ) -> StreamGuard {
        let stream = Arc::new(Stream {
            header,
            request_id,
            since,
            task: task::try_id(),
        });
        self.streams().open.push(Arc::clone(&stream));
        StreamGuard {
            session: Arc::clone(self),
            stream,
        }
    }

    /// Cuts one stream of an HTTP/2 connection; its neighbours go on.
    pub fn cut(&self, stream: &Stream, denial: Denial) {
        if let Some(task) = stream.task {
            self.streams().cut.push((task, denial));
            self.told.notify_waiters();
        }
    }

    /// Why the stream that the current task serves is cut; `None` when it is not.
    #[must_use]
    pub fn cut_reason(&self) -> Option<Denial> {
        let current = task::try_id()?;
        let streams = self.streams();
        let found = streams.cut.iter().find(|(task, _)| *task == current);
        found.map(|(_, denial)| *denial)
    }

    /// Forgets the streams that were cut: they are gone.
    pub fn forget_cut(&self, gone: &[task::Id]) {
        self.streams().cut.retain(|(task, _)| !gone.contains(task));
    }

    fn streams(&self) -> MutexGuard<'_, Streams> {
        // A panic while the lock was held can only have been in a push or a retain: the list is whole.
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An answer without an end in sight, for as long as it is under way.
#[derive(Debug)]
pub struct StreamGuard {
    session: Arc<Session>,
    stream: Arc<Stream>,
}

impl Drop for StreamGuard {
    fn drop(&mut self) {
        let mut streams = self.session.streams();
        streams.open.retain(|open| !Arc::ptr_eq(open, &self.stream));
    }
}
