//! The HTTP/2 frames of a client, read and judged before the HTTP/2 library sees them.
//!
//! The library resets a malformed stream or ends a broken connection by itself, without an answer, a count or a record, and
//! it decides what is malformed. So every byte passes here first: heads are decompressed, judged and written down anew
//! (`request.rs`), what is cheap to send and dear to take is counted (`budget.rs`), and everything that is kept has a bound.
//! Bodies pass through untouched. See docs/adr/0020-read-http2-before-the-library.md.

mod budget;
mod ending;
mod frame;
mod hpack;
mod huffman;
mod io;
mod outgoing;
mod request;

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use bytes::{Buf, BytesMut};
use prometheus::{IntCounter, IntCounterVec};

use budget::{Budgets, Cost};
use frame::{FRAME_HEAD_BYTES, FrameHead, Kind};
use hpack::Decoder;
use outgoing::Outgoing;
use request::{HeadCheck, TrailerCheck};

pub use ending::Ending;
pub use io::GuardedRead;
pub(super) use request::is_for_heads_only;
pub use request::{ListLimits, REFUSED_HEAD, refused_head};

/// How a connection ended, told to whoever served it.
pub type Verdict = Arc<OnceLock<Ending>>;

/// One connection's frames, both ways.
#[derive(Debug)]
pub struct Guard {
    limits: ListLimits,
    head_deadline: Duration,
    reading: Reading,
    decoder: Decoder,
    block: Option<Block>,
    last_stream: u32,
    budgets: Budgets,
    /// What the library reads next.
    out: BytesMut,
    /// Since when something other than a body has been incomplete.
    waiting: Option<Instant>,
    verdict: Verdict,
    outgoing: Outgoing,
    trailers: Option<IntCounter>,
}

/// What the next byte belongs to.
#[derive(Debug)]
enum Reading {
    Preface {
        seen: usize,
    },
    FrameHead {
        bytes: [u8; FRAME_HEAD_BYTES],
        seen: usize,
    },
    /// Kept until whole, then judged.
    Frame {
        head: FrameHead,
        payload: Vec<u8>,
    },
    /// Passes through.
    Body {
        left: usize,
    },
    /// Is read and forgotten.
    Ignored {
        left: usize,
    },
}

/// A header block until its last frame.
#[derive(Debug)]
struct Block {
    stream: u32,
    ends_stream: bool,
    bytes: Vec<u8>,
    frames: usize,
}

impl Reading {
    const NEXT: Self = Self::FrameHead {
        bytes: [0; FRAME_HEAD_BYTES],
        seen: 0,
    };
}

impl Guard {
    /// A connection before its first byte. `resets` counts the streams that our side resets, by error code.
    #[must_use]
    pub fn new(
        limits: ListLimits,
        head_deadline: Duration,
        now: Instant,
        resets: IntCounterVec,
    ) -> Self {
        Self {
            limits,
            head_deadline,
            reading: Reading::Preface { seen: 0 },
            decoder: Decoder::default(),
            block: None,
            last_stream: 0,
            budgets: Budgets::new(now),
            out: BytesMut::new(),
            waiting: None,
            verdict: Verdict::default(),
            outgoing: Outgoing::new(resets),
            trailers: None,
        }
    }

    /// Counts trailer sections, which go no further than the library.
    #[must_use]
    pub fn counting_trailers(mut self, counter: &IntCounter) -> Self {
        self.trailers = Some(counter.clone());
        self
    }

    /// Where the reason for an end will stand.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        Arc::clone(&self.verdict)
    }

    /// Whether the connection is over: nothing that comes is read any more.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.verdict.get().is_some()
    }

    /// Until when what has begun must be whole.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        Some(self.waiting? + self.head_deadline)
    }

    /// Takes everything that the client sent.
    pub fn take(&mut self, mut bytes: &[u8], now: Instant) {
        while !bytes.is_empty() && !self.has_ended() {
            bytes = match self.step(bytes, now) {
                Ok(rest) => rest,
                Err(ending) => {
                    self.end(ending);
                    return;
                }
            };
        }
        let is_between = matches!(
            self.reading,
            Reading::FrameHead { seen: 0, .. } | Reading::Body { .. } | Reading::Ignored { .. }
        );
        if is_between && self.block.is_none() {
            self.waiting = None;
        } else {
            self.waiting.get_or_insert(now);
        }
    }

    /// Ends the connection: the library is given a frame that it answers with GOAWAY.
    pub fn end(&mut self, ending: Ending) {
        if self.verdict.set(ending).is_ok() {
            // In the middle of a body the library would take the frame for more of it; there it only sees the end.
            if !matches!(self.reading, Reading::Body { .. }) {
                self.out.extend_from_slice(&frame::BROKEN);
            }
            self.block = None;
            self.waiting = None;
        }
    }

    /// Bytes of a body that may go straight to the library.
    #[must_use]
    pub fn body_ahead(&self) -> usize {
        match self.reading {
            Reading::Body { left } if self.out.is_empty() => left,
            Reading::Body { .. }
            | Reading::Preface { .. }
            | Reading::FrameHead { .. }
            | Reading::Frame { .. }
            | Reading::Ignored { .. } => 0,
        }
    }

    /// So many of them did.
    pub fn body_passed(&mut self, bytes: usize) {
        if let Reading::Body { left } = &mut self.reading {
            *left = left.saturating_sub(bytes);
            if *left == 0 {
                self.reading = Reading::NEXT;
            }
        }
    }

    /// Whether something waits for the library.
    #[must_use]
    pub fn has_output(&self) -> bool {
        !self.out.is_empty()
    }

    /// Hands on what waits, as much as fits.
    pub fn give(&mut self, to: &mut tokio::io::ReadBuf<'_>) {
        let taken = self.out.len().min(to.remaining());
        to.put_slice(self.out.get(..taken).unwrap_or_default());
        self.out.advance(taken);
        if self.out.is_empty() && self.out.capacity() > KEPT_BYTES {
            self.out = BytesMut::new();
        }
    }

    /// Our side has sent this to the client.
    pub fn sent(&mut self, bytes: &[u8], now: Instant) {
        self.budgets.sent(bytes.len());
        let seen = self.outgoing.read(bytes);
        let is_over = (0..seen.broken_streams).any(|_| !self.budgets.spend(Cost::Reset, now));
        if is_over {
            self.end(Ending::ResetFlood);
        }
        if seen.goaway_with_error {
            // Ours was given above; any other is the library's own.
            let _ours = self.verdict.set(Ending::Library);
        }
    }

    /// Takes some bytes and gives the rest.
    fn step<'b>(&mut self, bytes: &'b [u8], now: Instant) -> Result<&'b [u8], Ending> {
        match &mut self.reading {
            Reading::Preface { seen } => {
                let (now_read, rest) = split_at_most(bytes, PREFACE.len() - *seen);
                let expected = PREFACE.get(*seen..*seen + now_read.len());
                if expected != Some(now_read) {
                    return Err(Ending::Preface);
                }
                *seen += now_read.len();
                self.out.extend_from_slice(now_read);
                if *seen == PREFACE.len() {
                    self.reading = Reading::NEXT;
                }
                Ok(rest)
            }
            Reading::FrameHead { bytes: head, seen } => {
                let (now_read, rest) = split_at_most(bytes, FRAME_HEAD_BYTES - *seen);
                for (place, byte) in head.iter_mut().skip(*seen).zip(now_read) {
                    *place = *byte;
                }
                *seen += now_read.len();
                if *seen == FRAME_HEAD_BYTES {
                    let head = FrameHead::read(*head);
                    self.frame_begins(head, now)?;
                }
                Ok(rest)
            }
            Reading::Frame { head, payload } => {
                let (now_read, rest) = split_at_most(bytes, head.length - payload.len());
                payload.extend_from_slice(now_read);
                if payload.len() == head.length {
                    let (head, payload) = (*head, std::mem::take(payload));
                    self.reading = Reading::NEXT;
                    self.frame_ends(head, &payload)?;
                }
                Ok(rest)
            }
            Reading::Body { left } => {
                let (now_read, rest) = split_at_most(bytes, *left);
                self.out.extend_from_slice(now_read);
                self.body_passed(now_read.len());
                Ok(rest)
            }
            Reading::Ignored { left } => {
                let (now_read, rest) = split_at_most(bytes, *left);
                *left -= now_read.len();
                if *left == 0 {
                    self.reading = Reading::NEXT;
                }
                Ok(rest)
            }
        }
    }

    /// Judges a frame by its head, before any of its payload is kept.
    fn frame_begins(&mut self, head: FrameHead, now: Instant) -> Result<(), Ending> {
        let in_block = self.block.as_ref().map(|block| block.stream);
        if in_block.is_some_and(|stream| head.kind != Kind::Continuation || head.stream != stream) {
            return Err(Ending::Frame);
        }
        head.check()?;
        self.reading = Reading::Frame {
            head,
            payload: Vec::new(),
        };
        let cost = match head.kind {
            Kind::Data if head.length == 0 && !head.ends_stream() => Some(Cost::Empty),
            Kind::Data | Kind::Headers | Kind::GoAway => None,
            Kind::Continuation if head.length == 0 => Some(Cost::Empty),
            Kind::Continuation => None,
            Kind::ResetStream => Some(Cost::Reset),
            Kind::Settings if head.is_ack() => Some(Cost::Ping),
            Kind::Settings => Some(Cost::Settings),
            Kind::Ping => Some(Cost::Ping),
            Kind::WindowUpdate => Some(Cost::Window),
            Kind::Priority | Kind::Unknown => Some(Cost::Ignored),
            Kind::PushPromise => return Err(Ending::Frame),
        };
        if let Some(cost) = cost
            && !self.budgets.spend(cost, now)
        {
            return Err(match cost {
                Cost::Reset => Ending::ResetFlood,
                Cost::Ping => Ending::PingFlood,
                Cost::Settings => Ending::SettingsFlood,
                Cost::Empty => Ending::EmptyFlood,
                Cost::Ignored => Ending::IgnoredFlood,
                Cost::Window => Ending::WindowFlood,
            });
        }
        match head.kind {
            Kind::Data => {
                head.write(&mut self.out);
                self.reading = Reading::Body { left: head.length };
                self.body_passed(0);
            }
            Kind::Priority | Kind::Unknown => {
                self.reading = match head.length {
                    0 => Reading::NEXT,
                    left => Reading::Ignored { left },
                };
            }
            _ if head.length == 0 => {
                self.reading = Reading::NEXT;
                self.frame_ends(head, &[])?;
            }
            Kind::Headers
            | Kind::ResetStream
            | Kind::Settings
            | Kind::PushPromise
            | Kind::Ping
            | Kind::GoAway
            | Kind::WindowUpdate
            | Kind::Continuation => {}
        }
        Ok(())
    }

    fn frame_ends(&mut self, head: FrameHead, payload: &[u8]) -> Result<(), Ending> {
        match head.kind {
            Kind::Headers => {
                let fragment = head.fragment(payload).ok_or(Ending::Frame)?;
                self.block = Some(Block {
                    stream: head.stream,
                    ends_stream: head.ends_stream(),
                    bytes: Vec::new(),
                    frames: 0,
                });
                self.fragment(fragment, head.ends_headers())
            }
            Kind::Continuation => self.fragment(payload, head.ends_headers()),
            Kind::WindowUpdate if payload.iter().all(|byte| *byte == 0) => Err(Ending::Frame),
            Kind::Data
            | Kind::Priority
            | Kind::ResetStream
            | Kind::Settings
            | Kind::PushPromise
            | Kind::Ping
            | Kind::GoAway
            | Kind::WindowUpdate
            | Kind::Unknown => {
                head.write(&mut self.out);
                self.out.extend_from_slice(payload);
                Ok(())
            }
        }
    }

    /// One more part of the open header block: bounded, and in few parts.
    fn fragment(&mut self, fragment: &[u8], is_last: bool) -> Result<(), Ending> {
        let block = self.block.as_mut().ok_or(Ending::Frame)?;
        block.frames += 1;
        let is_flood = block.bytes.len() + fragment.len()
            > self.limits.bytes_max + BLOCK_BYTES_SPARE
            || block.frames > BLOCK_FRAMES_MAX;
        if is_flood {
            return Err(Ending::HeadFlood);
        }
        if !is_last {
            block.bytes.extend_from_slice(fragment);
            return Ok(());
        }
        let Some(block) = self.block.take() else {
            return Err(Ending::Frame);
        };
        if block.bytes.is_empty() {
            return self.judge(&block, fragment);
        }
        let whole = [block.bytes.as_slice(), fragment].concat();
        self.judge(&block, &whole)
    }

    fn judge(&mut self, block: &Block, whole: &[u8]) -> Result<(), Ending> {
        let judged = if block.stream > self.last_stream {
            // RFC 9113 section 5.1.1: a client opens odd streams, each above the one before.
            if block.stream.is_multiple_of(2) {
                return Err(Ending::Frame);
            }
            self.last_stream = block.stream;
            let mut check = HeadCheck::new(self.limits);
            self.decoder
                .decode(whole, |name, value| check.field(name, value))
                .map_err(|_| Ending::Compression)?;
            check.finish(block.ends_stream)
        } else {
            if !block.ends_stream {
                return Err(Ending::Trailers);
            }
            let mut check = TrailerCheck::new(self.limits);
            self.decoder
                .decode(whole, |name, value| check.field(name, value))
                .map_err(|_| Ending::Compression)?;
            let judged = check.finish().ok_or(Ending::Trailers)?;
            if let Some(trailers) = self.trailers.as_ref().filter(|_| !judged.is_empty()) {
                trailers.inc();
            }
            judged
        };
        frame::write_block(&mut self.out, block.stream, block.ends_stream, &judged);
        Ok(())
    }
}

fn split_at_most(bytes: &[u8], most: usize) -> (&[u8], &[u8]) {
    bytes.split_at_checked(most).unwrap_or((bytes, &[]))
}

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// A head over its bound is read so much further, since who sends it by mistake is to be told: the connection lives on.
const BLOCK_BYTES_SPARE: usize = 64 * 1024;
/// 512 KiB, the largest head that can be configured, fit into 33 frames.
const BLOCK_FRAMES_MAX: usize = 40;
/// Room that is kept for the next frames; a larger buffer is given back once it is empty.
const KEPT_BYTES: usize = 4 * 1024;

#[cfg(test)]
mod tests;
