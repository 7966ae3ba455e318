//! One open connection: what is known of it from outside, and the word that ends it or a request on it.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use tokio::sync::Notify;

use super::under_way::{Slots, UnderWay};
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
    cut: OnceLock<Instant>,
    told: Notify,
    /// How often a request on it was told to end.
    words: AtomicU64,
    slots: Slots,
    requests: AtomicU64,
    in_flight: AtomicU32,
    stalls: AtomicU64,
    has_trailers: AtomicBool,
    last_request: AtomicI64,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
}

/// Why a connection or a request ends, and since when that is known.
#[derive(Clone, Copy, Debug)]
pub struct Ended {
    /// The reason.
    pub denial: Denial,
    /// When the reason came into the world, as far as the gateway can know: what the time to the end is counted from.
    pub learned: Instant,
    /// When what is still going on is cut.
    pub cut_at: Instant,
}

/// What a connection is told from outside.
#[derive(Clone, Copy, Debug)]
pub enum Word {
    /// It ends.
    Ended,
    /// Requests on it end; so many have been told by now.
    Requests(u64),
}

impl Session {
    pub(super) fn new(id: u64, connection: Arc<Connection>, since: i64) -> Self {
        Self {
            id,
            since,
            connection: ArcSwap::new(connection),
            ended: OnceLock::new(),
            cut: OnceLock::new(),
            told: Notify::new(),
            words: AtomicU64::new(0),
            slots: Slots::default(),
            requests: AtomicU64::new(0),
            in_flight: AtomicU32::new(0),
            stalls: AtomicU64::new(0),
            has_trailers: AtomicBool::new(false),
            last_request: AtomicI64::new(since),
            bytes_in: AtomicU64::new(0),
            bytes_out: AtomicU64::new(0),
        }
    }

    /// Tells the connection to end: at once between two requests, and a moment later in the midst of one, which may come to its end
    /// until then. Says whether it had not been told before.
    pub fn end(&self, denial: Denial, learned: Instant) -> bool {
        self.end_within(LAST_REQUEST, denial, learned)
    }

    fn end_within(&self, time: Duration, denial: Denial, learned: Instant) -> bool {
        let cut_at = Instant::now() + time;
        let ended = Ended {
            denial,
            learned,
            cut_at,
        };
        let is_first = self.ended.set(ended).is_ok();
        self.told.notify_waiters();
        is_first
    }

    /// Ends one request and what goes on by it: with HTTP/2 its stream, with HTTP/1.1 the connection. Says whether it had not
    /// been told before.
    pub fn end_request(&self, request: &UnderWay, denial: Denial, learned: Instant) -> bool {
        let now = Instant::now();
        let ended = Ended {
            denial,
            learned,
            cut_at: now,
        };
        if !request.end(ended) {
            return false;
        }
        if self.connection.load().is_http2() {
            self.words.fetch_add(1, Ordering::AcqRel);
            self.told.notify_waiters();
            return true;
        }
        let time = if request.is_tunnel() {
            LAST_FRAME
        } else {
            Duration::ZERO
        };
        self.end_within(time, denial, learned);
        true
    }

    /// Why it ends; `None` while it may live on.
    #[must_use]
    pub fn ended(&self) -> Option<Ended> {
        self.ended.get().copied()
    }

    /// Nothing passes any more, although the connection is still open so that its client can read why.
    pub fn cut(&self) {
        // Only the first time counts.
        self.cut.get_or_init(Instant::now);
    }

    /// How long it took from the reason until nothing passed any more; `None` while it may live on.
    #[must_use]
    pub fn effect(&self) -> Option<Duration> {
        let cut = self.cut.get().copied().unwrap_or_else(Instant::now);
        Some(cut.saturating_duration_since(self.ended()?.learned))
    }

    /// Waits until the connection is told to end.
    pub async fn until_ended(&self) -> Ended {
        loop {
            if let Word::Ended = self.until_told(u64::MAX).await
                && let Some(ended) = self.ended()
            {
                return ended;
            }
        }
    }

    /// Waits until the connection is told something; `heard` is how many words to requests were heard before, `u64::MAX` for one who
    /// does not listen to these.
    pub async fn until_told(&self, heard: u64) -> Word {
        loop {
            let told = self.told.notified();
            let mut told = std::pin::pin!(told);
            // From here on a word is not missed, so what was said before can be looked at.
            told.as_mut().enable();
            if self.ended.get().is_some() {
                return Word::Ended;
            }
            let words = self.words.load(Ordering::Acquire);
            if heard != u64::MAX && words != heard {
                return Word::Requests(words);
            }
            told.await;
        }
    }

    pub(super) fn slots(&self) -> &Slots {
        &self.slots
    }

    /// The permitted requests under way.
    pub fn under_way(&self) -> impl Iterator<Item = Arc<UnderWay>> + '_ {
        self.slots.requests()
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

    /// An answer ended since the client did not take it in time.
    pub fn stalled(&self) {
        self.stalls.fetch_add(1, Ordering::Relaxed);
    }

    /// How many did so far.
    #[must_use]
    pub fn stalls(&self) -> u64 {
        self.stalls.load(Ordering::Relaxed)
    }

    /// Whether fields stood behind the body of the request under way, over HTTP/1.1.
    pub fn note_trailers(&self, any: bool) {
        self.has_trailers.store(any, Ordering::Relaxed);
    }

    /// The same, asked once.
    #[must_use]
    pub fn take_trailers(&self) -> bool {
        // Mostly there are none, and a look is cheaper than an exchange.
        self.has_trailers.load(Ordering::Relaxed)
            && self.has_trailers.swap(false, Ordering::Relaxed)
    }

    /// So many bytes of a body came from the client.
    pub fn took(&self, bytes: usize) {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.bytes_in.fetch_add(bytes, Ordering::Relaxed);
    }

    /// So many bytes of a body went to the client.
    pub fn gave(&self, bytes: usize) {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.bytes_out.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Bytes of bodies so far, from the client and to it.
    #[must_use]
    pub fn bytes(&self) -> (u64, u64) {
        let (came, went) = (&self.bytes_in, &self.bytes_out);
        (came.load(Ordering::Relaxed), went.load(Ordering::Relaxed))
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
}

/// How long a request may go on after its connection was told to end.
const LAST_REQUEST: Duration = Duration::from_millis(500);
/// The same for a tunnel that is told to end for itself: a frame may come to its end, and the goodbye out.
const LAST_FRAME: Duration = Duration::from_millis(400);
