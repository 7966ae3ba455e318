//! How a WebSocket is ended from outside: with a close frame that says why, where a frame of the application ends.
//!
//! A tunnel is bytes to the proxy. To put a frame of our own between those of the application one must know where these end, so the
//! way to the client is watched: the answer's head, then the head of each frame (RFC 6455 section 5.2). Payloads are not looked
//! at, and nothing is watched on the way from the client: it is cut.

use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use crate::denial::Denial;
use crate::live::{Ended, Session};

/// Whether a request head asks for a WebSocket.
#[must_use]
pub fn asks_for_websocket(head: &[u8]) -> bool {
    head.split(|byte| *byte == b'\n').any(|line| {
        let mut parts = line.splitn(2, |byte| *byte == b':');
        let (Some(name), Some(value)) = (parts.next(), parts.next()) else {
            return false;
        };
        name.eq_ignore_ascii_case(b"upgrade")
            && value.trim_ascii().eq_ignore_ascii_case(b"websocket")
    })
}

/// Where the bytes to the client stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// In the head of an answer: so many bytes of it, so many of its blank line.
    AnswerHead { seen: u32, of_end: u8 },
    /// In the head of a frame.
    FrameHead {
        bytes: [u8; FRAME_HEAD_MAX],
        seen: u8,
    },
    /// So many bytes of a frame are to come.
    Payload(u64),
    /// The answer did not agree, or what follows is no WebSocket: nothing more is known.
    Lost,
}

/// The frames on their way to the client.
#[derive(Clone, Debug)]
pub struct Outgoing {
    place: Place,
    status: [u8; STATUS_BYTES],
    says_goodbye: bool,
}

impl Default for Outgoing {
    fn default() -> Self {
        Self::new()
    }
}

impl Outgoing {
    /// Before the first byte of the answer.
    #[must_use]
    pub fn new() -> Self {
        Self {
            place: Place::AnswerHead { seen: 0, of_end: 0 },
            status: [0; STATUS_BYTES],
            says_goodbye: false,
        }
    }

    /// Whether a frame may be put here.
    #[must_use]
    pub fn is_between_frames(&self) -> bool {
        matches!(self.place, Place::FrameHead { seen: 0, .. })
    }

    /// These bytes go to the client.
    pub fn take(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let step = self.step(bytes);
            bytes = bytes.get(step..).unwrap_or_default();
        }
    }

    /// How many of these bytes go before a frame may be put between them; all when it may not.
    #[must_use]
    pub fn to_next_gap(&self, bytes: &[u8]) -> usize {
        let mut ahead = self.clone();
        let mut at = 0;
        while at < bytes.len() && !ahead.is_between_frames() {
            at += ahead.step(bytes.get(at..).unwrap_or_default());
        }
        at
    }

    /// Takes one byte or more, never beyond the end of a frame.
    fn step(&mut self, bytes: &[u8]) -> usize {
        let byte = bytes.first().copied().unwrap_or_default();
        match self.place {
            Place::AnswerHead { seen, of_end } => self.place = self.in_head(byte, seen, of_end),
            Place::FrameHead { mut bytes, seen } => {
                if let Some(slot) = bytes.get_mut(usize::from(seen)) {
                    *slot = byte;
                }
                self.place = self.in_frame_head(bytes, seen + 1);
            }
            Place::Payload(left) => {
                let offered = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
                let taken = left.min(offered);
                self.place = after_payload(left - taken);
                return usize::try_from(taken).unwrap_or(bytes.len());
            }
            Place::Lost => return bytes.len(),
        }
        1
    }

    fn in_head(&mut self, byte: u8, seen: u32, of_end: u8) -> Place {
        if let Some(slot) = usize::try_from(seen)
            .ok()
            .and_then(|at| self.status.get_mut(at))
        {
            *slot = byte;
        }
        let of_end = match (of_end, byte) {
            (0 | 2, b'\r') | (1 | 3, b'\n') => of_end + 1,
            (_, b'\r') => 1,
            _ => 0,
        };
        if of_end < 4 {
            return Place::AnswerHead {
                seen: seen.saturating_add(1),
                of_end,
            };
        }
        match self.status.get(9..) {
            Some(b"101") => NEXT_FRAME,
            // An interim answer: the next one counts.
            Some([b'1', ..]) => Place::AnswerHead { seen: 0, of_end: 0 },
            _ => Place::Lost,
        }
    }

    /// RFC 6455 section 5.2: two bytes, a longer length where they say so, a mask where they say so (a server sends none).
    fn in_frame_head(&mut self, bytes: [u8; FRAME_HEAD_MAX], seen: u8) -> Place {
        let [first, second, rest @ ..] = bytes;
        let long = match second & 0x7f {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let mask = if second & 0x80 == 0 { 0 } else { 4 };
        if seen < 2 || usize::from(seen) < 2 + long + mask {
            return Place::FrameHead { bytes, seen };
        }
        let length = match long {
            0 => u64::from(second & 0x7f),
            _ => rest
                .iter()
                .take(long)
                .fold(0_u64, |length, byte| length << 8 | u64::from(*byte)),
        };
        self.says_goodbye |= first & 0x0f == CLOSE;
        after_payload(length)
    }
}

fn after_payload(left: u64) -> Place {
    match left {
        0 => NEXT_FRAME,
        left => Place::Payload(left),
    }
}

/// RFC 6455 section 5.5.1 from a server, so without a mask: code 1008 and why.
#[must_use]
pub fn close_frame(denial: Denial) -> Vec<u8> {
    let reason = REASONS
        .iter()
        .find(|(known, _)| *known == denial)
        .map_or(OTHERWISE, |(_, reason)| reason);
    let length = u8::try_from(reason.len() + 2).unwrap_or(2);
    let mut frame = vec![0x80 | CLOSE, length];
    frame.extend_from_slice(&POLICY_VIOLATION.to_be_bytes());
    frame.extend(reason.bytes().take(usize::from(length) - 2));
    frame
}

/// One WebSocket, from the request for it to its end.
pub struct WebSocket {
    outgoing: Outgoing,
    session: Arc<Session>,
    told: Pin<Box<dyn Future<Output = Ended> + Send + Sync>>,
    ending: Option<Ending>,
}

/// A WebSocket that has been told to end.
struct Ending {
    step: Step,
    denial: Denial,
    deadline: Pin<Box<Sleep>>,
}

enum Step {
    /// The frame under way goes out first.
    Frame,
    /// These bytes are left of ours.
    Goodbye(Vec<u8>),
    /// TLS says that nothing follows.
    Close,
    /// What the client still sends is read away, so that it can read what it was told.
    Linger,
    Over,
}

impl WebSocket {
    /// Of a request that asks for one.
    #[must_use]
    pub fn new(session: &Arc<Session>) -> Self {
        let telling = Arc::clone(session);
        Self {
            outgoing: Outgoing::new(),
            session: Arc::clone(session),
            told: Box::pin(async move { telling.until_ended().await }),
            ending: None,
        }
    }

    /// So many bytes of these went to the client.
    pub fn sent(&mut self, mut bytes: usize, bufs: &[IoSlice<'_>]) {
        for buf in bufs {
            let sent = buf.get(..bytes.min(buf.len())).unwrap_or_default();
            bytes -= sent.len();
            self.outgoing.take(sent);
        }
    }

    /// What of these bytes may go to the client now: the front of them.
    pub fn poll_passable<'b, S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        tls: &mut S,
        cx: &mut Context<'_>,
        bytes: &'b [u8],
    ) -> Poll<io::Result<&'b [u8]>> {
        match self.poll_end(tls, cx) {
            Going::On => Poll::Ready(Ok(bytes)),
            Going::ToTheGap => {
                let passable = self.outgoing.to_next_gap(bytes);
                Poll::Ready(Ok(bytes.get(..passable).unwrap_or_default()))
            }
            Going::Down => Poll::Pending,
            Going::Over => Poll::Ready(Err(is_over())),
        }
    }

    /// Whether it has been told to end; if so, drives the end. Says what may still pass.
    pub fn poll_end<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        tls: &mut S,
        cx: &mut Context<'_>,
    ) -> Going {
        if self.ending.is_none() {
            let Poll::Ready(ended) = self.told.as_mut().poll(cx) else {
                return Going::On;
            };
            self.ending = Some(Ending {
                step: Step::Frame,
                denial: ended.denial,
                deadline: Box::pin(sleep(FRAME_TIME)),
            });
        }
        let Some(ending) = &mut self.ending else {
            return Going::On;
        };
        let done = ending.poll(&self.outgoing, tls, cx);
        if ending.is_cut() {
            self.session.cut();
        }
        match (done, &ending.step) {
            (Poll::Ready(()), _) => Going::Over,
            (Poll::Pending, Step::Frame) => Going::ToTheGap,
            (Poll::Pending, _) => Going::Down,
        }
    }
}

/// What the proxy hears of a WebSocket that has been ended.
#[must_use]
pub fn is_over() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionAborted, "ended from outside")
}

/// What may still pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Going {
    /// Everything, both ways.
    On,
    /// To the client the rest of a frame, from it nothing.
    ToTheGap,
    /// Nothing: the goodbye is under way.
    Down,
    /// Nothing any more.
    Over,
}

impl Ending {
    fn poll<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        outgoing: &Outgoing,
        tls: &mut S,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        loop {
            let is_late = self.deadline.as_mut().poll(cx).is_ready();
            let next = match &mut self.step {
                Step::Frame if outgoing.is_between_frames() && !outgoing.says_goodbye => {
                    Step::Goodbye(close_frame(self.denial))
                }
                Step::Frame if outgoing.says_goodbye || is_late => Step::Close,
                Step::Goodbye(_) | Step::Close if is_late => Step::Over,
                Step::Goodbye(left) => match Pin::new(&mut *tls).poll_write(cx, left) {
                    Poll::Ready(Ok(written)) if written > 0 => {
                        left.drain(..written.min(left.len()));
                        if !left.is_empty() {
                            continue;
                        }
                        Step::Close
                    }
                    Poll::Ready(_) => Step::Over,
                    Poll::Pending => return Poll::Pending,
                },
                Step::Close => match Pin::new(&mut *tls).poll_shutdown(cx) {
                    Poll::Ready(Ok(())) => {
                        self.deadline = Box::pin(sleep(LINGER));
                        Step::Linger
                    }
                    Poll::Ready(Err(_)) => Step::Over,
                    Poll::Pending => return Poll::Pending,
                },
                Step::Linger if is_late => Step::Over,
                Step::Linger => match read_away(tls, cx) {
                    Poll::Ready(()) => Step::Over,
                    Poll::Pending => return Poll::Pending,
                },
                Step::Frame => return Poll::Pending,
                Step::Over => return Poll::Ready(()),
            };
            self.step = next;
        }
    }

    /// Whether nothing passes any more, either way.
    fn is_cut(&self) -> bool {
        matches!(self.step, Step::Linger | Step::Over)
    }
}

/// Ready when the client has closed too.
fn read_away<S: AsyncRead + Unpin>(stream: &mut S, cx: &mut Context<'_>) -> Poll<()> {
    let mut bytes = [0; READ_AWAY_BYTES];
    for _ in 0..READS_AWAY {
        let mut part = ReadBuf::new(&mut bytes);
        match Pin::new(&mut *stream).poll_read(cx, &mut part) {
            Poll::Ready(Ok(())) if !part.filled().is_empty() => {}
            Poll::Ready(_) => return Poll::Ready(()),
            Poll::Pending => return Poll::Pending,
        }
    }
    // Whoever sends so much at once is not listening.
    Poll::Ready(())
}

impl std::fmt::Debug for WebSocket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WebSocket")
            .field("outgoing", &self.outgoing)
            .finish_non_exhaustive()
    }
}

/// `HTTP/1.1 101`.
const STATUS_BYTES: usize = 12;
/// Two bytes, eight of a length, four of a mask.
const FRAME_HEAD_MAX: usize = 14;
const NEXT_FRAME: Place = Place::FrameHead {
    bytes: [0; FRAME_HEAD_MAX],
    seen: 0,
};
/// Opcode of RFC 6455 section 5.5.1.
const CLOSE: u8 = 0x8;
/// RFC 6455 section 7.4.1.
const POLICY_VIOLATION: u16 = 1008;
/// What the client is told; at most 123 bytes each.
const REASONS: [(Denial, &str); 4] = [
    (Denial::Revoked, "access revoked"),
    (Denial::CertificateExpired, "certificate expired"),
    (Denial::SessionEnded, "session ended by an operator"),
    (Denial::IdentityChanged, "identity changed"),
];
const OTHERWISE: &str = "no longer permitted";
/// How long a frame of the application may take to its end before the connection is cut inside it.
const FRAME_TIME: Duration = Duration::from_millis(200);
/// How long the client is listened to after it was told.
const LINGER: Duration = Duration::from_millis(200);
const READ_AWAY_BYTES: usize = 4 * 1024;
const READS_AWAY: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n";

    fn after(bytes: &[u8]) -> Outgoing {
        let mut outgoing = Outgoing::new();
        outgoing.take(bytes);
        outgoing
    }

    fn frames() -> Vec<Vec<u8>> {
        let long = |mark: u8, length: &[u8], payload: usize| {
            [&[0x82, mark], length, &vec![7; payload]].concat()
        };
        vec![
            vec![0x81, 2, b'h', b'i'],
            vec![0x89, 0],
            long(126, &300_u16.to_be_bytes(), 300),
            long(127, &70_000_u64.to_be_bytes(), 70_000),
            // A masked one is none of a server's, and is walked over all the same.
            vec![0x81, 0x81, 1, 2, 3, 4, 5],
        ]
    }

    #[test]
    fn the_gaps_between_frames_are_found_however_the_bytes_are_cut() {
        let stream = [ANSWER, &frames().concat()].concat();
        let mut gaps = vec![ANSWER.len()];
        for frame in frames() {
            gaps.push(gaps.last().unwrap() + frame.len());
        }
        for pieces in [1, 2, 3, 7, 100, 4_096, stream.len()] {
            let mut outgoing = Outgoing::new();
            let mut at = 0;
            for piece in stream.chunks(pieces) {
                outgoing.take(piece);
                at += piece.len();
                assert_eq!(
                    outgoing.is_between_frames(),
                    gaps.contains(&at),
                    "byte {at} in pieces of {pieces}"
                );
            }
        }
        for at in ANSWER.len()..stream.len() {
            let next = gaps.iter().find(|gap| **gap >= at).unwrap() - at;
            let rest = &stream[at..];
            assert_eq!(after(&stream[..at]).to_next_gap(rest), next, "byte {at}");
        }
    }

    #[test]
    fn no_frame_is_put_where_there_is_no_websocket() {
        let refused = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 2\r\n\r\n";
        assert!(!after(refused).is_between_frames());
        assert!(!after(&ANSWER[..ANSWER.len() - 1]).is_between_frames());
        let interim = [b"HTTP/1.1 103 Early Hints\r\n\r\n", ANSWER].concat();
        assert!(after(&interim).is_between_frames());
        let goodbye = [ANSWER, &[0x88, 2, 3, 232]].concat();
        assert!(after(&goodbye).says_goodbye && !after(ANSWER).says_goodbye);
    }

    #[test]
    fn a_close_frame_is_short_unmasked_and_says_1008() {
        let frame = close_frame(Denial::Revoked);
        assert_eq!(&frame[..4], [0x88, 16, 0x03, 0xf0]);
        assert_eq!(&frame[4..], b"access revoked");
        assert_eq!(&close_frame(Denial::Internal)[4..], b"no longer permitted");
        for (_, reason) in REASONS {
            assert!(reason.len() <= 123, "{reason}");
        }
    }

    #[test]
    fn a_websocket_is_asked_for_by_name_alone() {
        for (head, asks) in [
            ("GET / HTTP/1.1\r\nUpgrade: websocket\r\n\r\n", true),
            ("GET / HTTP/1.1\r\nupgrade:  WebSocket \r\n\r\n", true),
            ("GET / HTTP/1.1\r\nUpgrade: h2c\r\n\r\n", false),
            ("GET /?Upgrade: websocket HTTP/1.1\r\n\r\n", false),
        ] {
            assert_eq!(asks_for_websocket(head.as_bytes()), asks, "{head}");
        }
    }
}
