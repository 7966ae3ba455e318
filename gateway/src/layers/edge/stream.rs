//! The decrypted client stream that Pingora reads: TLS below, the request head read ahead and judged on top.
//!
//! Pingora reads a head with one timeout for each read and forgives what RFC 9112 does not. So the head is read here first,
//! whole, under one deadline and within its bounds, and replayed to Pingora only when every byte of it is right.

use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::{Buf, BytesMut};
use pingora::protocols::Shutdown;
use pingora::protocols::l4::stream::Stream as TcpStream;
use pingora::protocols::raw_connect::ProxyDigest;
use pingora::protocols::tls::SslDigest;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::time::timeout;
use tokio_rustls::server::TlsStream;

use crate::denial::Denial;
use crate::layers::edge::chunked::Chunked;
use crate::layers::edge::head::{Body, HeadLimits, check_head, head_end};
use crate::layers::edge::http2::{Guard, GuardedRead, Verdict};
use crate::layers::edge::send_rate::SendRate;
use crate::layers::edge::websocket::{Going, WebSocket, asks_for_websocket, is_over};
use crate::lazy_timer::LazyTimer;
use crate::live::Session;
use crate::request_deadlines::{Alarm, RequestDeadlines};

mod digests;

use self::digests::tls_digest;

/// What a connection is allowed while no request is being served on it.
#[derive(Clone, Copy, Debug)]
pub struct HeadDeadlines {
    /// Silence between two requests.
    pub idle: Duration,
    /// From the first byte of a head to its last.
    pub head: Duration,
}

/// How waiting for the next request ended.
#[derive(Debug)]
pub enum HeadRead {
    /// A whole head that is right in every byte waits to be parsed.
    Ready,
    /// The client closed or fell silent before it began a request: nothing to answer.
    Gone,
    /// The head was refused.
    Refused(Denial),
}

/// A client's TLS connection as Pingora's IO.
pub struct ClientStream {
    tls: TlsStream<TcpStream>,
    /// Bytes read ahead that Pingora has not taken yet.
    ahead: BytesMut,
    /// How many more bytes belong to the request under way; `None` when only its end tells. Pingora never sees a byte of
    /// the next request: that one's head is to be judged first.
    allowed: Option<u64>,
    /// The chunked body that follows, until it is whole.
    chunked: Option<Chunked>,
    send_rate: SendRate,
    /// Those of the request that is being served, over HTTP/1.x.
    deadlines: Arc<RequestDeadlines>,
    alarm: Alarm,
    /// How long nothing has come between two requests, over HTTP/1.x.
    silence: LazyTimer,
    /// Reads and judges the frames of an HTTP/2 connection.
    http2: Option<Box<GuardedRead>>,
    /// Of a request for a WebSocket: ends it in its own words.
    websocket: Option<Box<WebSocket>>,
    tls_digest: Arc<SslDigest>,
    /// Says when the connection is to end.
    session: Arc<Session>,
    /// Carries the connection's facts to the request; see `connection.rs`.
    facts: Arc<ProxyDigest>,
}

impl ClientStream {
    /// Wraps a stream whose handshake is done. `facts` reach every request through the session's digest.
    pub fn new(
        tls: TlsStream<TcpStream>,
        facts: ProxyDigest,
        session: Arc<Session>,
        send_rate: SendRate,
    ) -> Self {
        let tls_digest = Arc::new(tls_digest(&tls));
        Self {
            tls,
            ahead: BytesMut::new(),
            allowed: None,
            chunked: None,
            send_rate,
            deadlines: Arc::new(RequestDeadlines::new()),
            alarm: Alarm::default(),
            silence: LazyTimer::default(),
            http2: None,
            websocket: None,
            tls_digest,
            session,
            facts: Arc::new(facts),
        }
    }

    /// Whether the client chose HTTP/2.
    #[must_use]
    pub fn is_http2(&self) -> bool {
        self.tls.get_ref().1.alpn_protocol() == Some(b"h2")
    }

    /// Until when the request that is being served must have come so far: kept here, over HTTP/1.x.
    #[must_use]
    pub fn deadlines(&self) -> &Arc<RequestDeadlines> {
        &self.deadlines
    }

    /// What came of a head that was refused.
    #[must_use]
    pub fn refused_bytes(&self) -> &[u8] {
        &self.ahead
    }

    /// Waits for the next HTTP/1.x request head and judges it. The bytes stay and are replayed to the next reader.
    pub async fn read_head(&mut self, limits: HeadLimits, deadlines: HeadDeadlines) -> HeadRead {
        if self.ahead.is_empty() && !self.read_within(deadlines.idle, limits).await {
            return HeadRead::Gone;
        }
        match timeout(deadlines.head, self.read_to_head_end(limits)).await {
            Ok(read) => read,
            Err(_) => HeadRead::Refused(Denial::HeadTimeout),
        }
    }

    /// From now on every byte of this HTTP/2 connection passes the guard. Waits for the first bytes that every client sends (RFC 9113
    /// section 3.4); `None` when they do not come in time: Pingora would wait for them for ever.
    pub async fn guard_http2(&mut self, guard: Guard, deadline: Duration) -> Option<Verdict> {
        let verdict = guard.verdict();
        let preface = async {
            while self.ahead.len() < PREFACE_BYTES {
                self.ahead.reserve(READ_BYTES);
                if self.tls.read_buf(&mut self.ahead).await? == 0 {
                    return Ok(false);
                }
            }
            io::Result::Ok(true)
        };
        if !matches!(timeout(deadline, preface).await, Ok(Ok(true))) {
            return None;
        }
        let mut guarded = GuardedRead::new(guard);
        guarded.guard().take(&self.ahead, Instant::now());
        self.ahead = BytesMut::new();
        self.http2 = Some(Box::new(guarded));
        Some(verdict)
    }

    /// Closes between two requests, so that the client knows that nothing is missing.
    pub async fn say_goodbye(&mut self) {
        // Who does not take it in time is cut off without.
        drop(timeout(GOODBYE, AsyncWriteExt::shutdown(&mut self.tls)).await);
    }

    /// Sends a whole answer, says goodbye and waits a moment for the client to read it: closing at once with unread bytes
    /// would reset the connection and could take the answer with it.
    pub async fn answer_and_close(&mut self, answer: &[u8]) {
        let goodbye = async {
            self.tls.write_all(answer).await?;
            self.tls.flush().await?;
            self.tls.shutdown().await?;
            self.linger().await
        };
        // Whatever goes wrong here, the connection is closed next.
        drop(timeout(LINGER, goodbye).await);
    }

    /// Discards what the client still sends, until it closes.
    async fn linger(&mut self) -> io::Result<()> {
        let mut rest = [0; LINGER_READ_BYTES];
        let mut seen = 0;
        while seen < LINGER_BYTES_MAX {
            match self.tls.get_mut().0.read(&mut rest).await? {
                0 => break,
                read => seen += read,
            }
        }
        Ok(())
    }

    async fn read_to_head_end(&mut self, limits: HeadLimits) -> HeadRead {
        let mut searched = 0;
        loop {
            if let Some(end) = head_end(&self.ahead, searched) {
                let head = self.ahead.get(..end).unwrap_or_default();
                let head_bytes = u64::try_from(end).unwrap_or(u64::MAX);
                return match check_head(head, limits) {
                    Ok(Body::Fixed(length)) => {
                        self.allowed = Some(head_bytes.saturating_add(length));
                        HeadRead::Ready
                    }
                    Ok(Body::Chunked) => {
                        self.allowed = Some(head_bytes);
                        self.chunked = Some(Chunked::new());
                        HeadRead::Ready
                    }
                    Ok(Body::Tunnel) => {
                        self.allowed = None;
                        self.websocket = asks_for_websocket(head)
                            .then(|| Box::new(WebSocket::new(&self.session)));
                        HeadRead::Ready
                    }
                    Err(denial) => HeadRead::Refused(denial),
                };
            }
            searched = self.ahead.len();
            if searched > limits.bytes_max {
                return HeadRead::Refused(Denial::HeadTooLarge);
            }
            match self.read_more(limits).await {
                Ok(0) => return HeadRead::Refused(Denial::HeadMalformed),
                Ok(_) => {}
                Err(_) => return HeadRead::Gone,
            }
        }
    }

    /// Whether something came before the client was silent for so long.
    async fn read_within(&mut self, silence: Duration, limits: HeadLimits) -> bool {
        let due = tokio::time::Instant::now() + silence;
        let mut timer = std::mem::take(&mut self.silence);
        let came = {
            let mut more = pin!(self.read_more(limits));
            poll_fn(|cx| match more.as_mut().poll(cx) {
                Poll::Ready(read) => Poll::Ready(matches!(read, Ok(1..))),
                Poll::Pending => timer.poll(due, cx).map(|()| false),
            })
            .await
        };
        self.silence = timer;
        came
    }

    async fn read_more(&mut self, limits: HeadLimits) -> io::Result<usize> {
        let room = READ_BYTES.min(limits.bytes_max.saturating_add(1));
        self.ahead.reserve(room);
        self.tls.read_buf(&mut self.ahead).await
    }
}

impl std::fmt::Debug for ClientStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientStream")
            .field("ahead", &self.ahead.len())
            .finish_non_exhaustive()
    }
}

impl ClientStream {
    /// Gives what was read ahead, up to `most` bytes.
    fn give_ahead(&mut self, buf: &mut ReadBuf<'_>, most: usize) {
        let taken = self.ahead.len().min(buf.remaining()).min(most);
        buf.put_slice(self.ahead.get(..taken).unwrap_or_default());
        self.ahead.advance(taken);
        self.spend(taken);
        if self.ahead.is_empty() {
            // Give the memory back: an idle connection holds none.
            self.ahead = BytesMut::new();
        }
    }

    fn spend(&mut self, bytes: usize) {
        if let Some(allowed) = &mut self.allowed {
            *allowed = allowed.saturating_sub(u64::try_from(bytes).unwrap_or(u64::MAX));
        }
    }

    /// Looks at what was sent, and at how long it took.
    fn after_write(
        &mut self,
        written: Poll<io::Result<usize>>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let Poll::Ready(Ok(bytes)) = written else {
            if written.is_pending() {
                self.send_rate.blocked(Instant::now());
            }
            return written;
        };
        if let Some(websocket) = &mut self.websocket {
            websocket.sent(bytes, bufs);
        }
        if let Some(http2) = &mut self.http2 {
            let (mut left, now) = (bytes, Instant::now());
            for buf in bufs {
                let sent = buf.get(..left.min(buf.len())).unwrap_or_default();
                left -= sent.len();
                http2.guard().sent(sent, now);
            }
        }
        match self.send_rate.sent(bytes, Instant::now()) {
            Ok(()) => written,
            Err(slow) => Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, slow))),
        }
    }

    /// Gives what belongs to the request under way.
    fn poll_request(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let most = match self.allowed {
            Some(0) if self.chunked.is_some() => return self.poll_chunked(cx, buf),
            Some(0) => return self.watch_for_the_end(cx),
            Some(allowed) => usize::try_from(allowed).unwrap_or(usize::MAX),
            None => usize::MAX,
        };
        if !self.ahead.is_empty() {
            self.give_ahead(buf, most);
            return Poll::Ready(Ok(()));
        }
        if most >= buf.remaining() {
            let before = buf.filled().len();
            let read = Pin::new(&mut self.tls).poll_read(cx, buf);
            self.spend(buf.filled().len().saturating_sub(before));
            return read;
        }
        // The end of the message is nearer than the end of the buffer.
        let mut part = ReadBuf::new(buf.initialize_unfilled_to(most));
        let read = Pin::new(&mut self.tls).poll_read(cx, &mut part);
        let filled = part.filled().len();
        buf.advance(filled);
        self.spend(filled);
        read
    }

    /// Gives what belongs to the chunked body; what is behind its end waits.
    fn poll_chunked(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.ahead.is_empty() {
            let mut part = [0; CHUNKED_READ_BYTES];
            let mut part = ReadBuf::new(&mut part);
            match Pin::new(&mut self.tls).poll_read(cx, &mut part) {
                Poll::Ready(Ok(())) if part.filled().is_empty() => return Poll::Ready(Ok(())),
                Poll::Ready(Ok(())) => self.ahead.extend_from_slice(part.filled()),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return Poll::Pending,
            }
        }
        let Some(chunked) = &mut self.chunked else {
            return Poll::Ready(Ok(()));
        };
        let most = self.ahead.len().min(buf.remaining());
        let offered = self.ahead.get(..most).unwrap_or_default();
        let read = match chunked.read(offered) {
            Ok(read) => read,
            Err(broken) => {
                let broken = io::Error::new(io::ErrorKind::InvalidData, broken);
                return Poll::Ready(Err(broken));
            }
        };
        buf.put_slice(offered.get(..read).unwrap_or_default());
        self.ahead.advance(read);
        if chunked.is_done() {
            self.session.note_trailers(chunked.has_trailers());
            self.chunked = None;
        }
        Poll::Ready(Ok(()))
    }

    /// The request is whole. Pingora still reads, to see whether the client leaves; what comes instead of an end is the next
    /// request, and waits. Once much waits, no more is read until its turn.
    fn watch_for_the_end(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut chunk = [0; WAITING_READ_BYTES];
        while self.ahead.len() < WAITING_BYTES_MAX {
            let mut chunk = ReadBuf::new(&mut chunk);
            match Pin::new(&mut self.tls).poll_read(cx, &mut chunk) {
                Poll::Ready(Ok(())) if chunk.filled().is_empty() => return Poll::Ready(Ok(())),
                Poll::Ready(Ok(())) => self.ahead.extend_from_slice(chunk.filled()),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Pending
    }
}

impl AsyncRead for ClientStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if let Some(http2) = &mut this.http2 {
            return http2.poll_read(&mut this.tls, cx, buf);
        }
        if let Some(websocket) = &mut this.websocket {
            match websocket.poll_end(&mut this.tls, cx) {
                Going::On => {}
                Going::ToTheGap | Going::Down => return Poll::Pending,
                Going::Over => return Poll::Ready(Err(is_over())),
            }
        }
        let read = this.poll_request(cx, buf);
        if read.is_pending()
            && let Some(overdue) = this.alarm.poll(&this.deadlines, cx)
        {
            let overdue = io::Error::new(io::ErrorKind::TimedOut, overdue);
            return Poll::Ready(Err(overdue));
        }
        read
    }
}

impl AsyncWrite for ClientStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        let buf = match &mut this.websocket {
            None => buf,
            Some(websocket) => match websocket.poll_passable(&mut this.tls, cx, buf) {
                Poll::Ready(Ok(passable)) => passable,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return Poll::Pending,
            },
        };
        let written = Pin::new(&mut self.tls).poll_write(cx, buf);
        self.after_write(written, &[io::IoSlice::new(buf)])
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tls).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tls).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.websocket.is_some() {
            let first = bufs.iter().find(|buf| !buf.is_empty());
            return self.poll_write(cx, first.map_or(&[], |buf| buf));
        }
        let written = Pin::new(&mut self.tls).poll_write_vectored(cx, bufs);
        self.after_write(written, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.tls.is_write_vectored()
    }
}

#[async_trait]
impl Shutdown for ClientStream {
    async fn shutdown(&mut self) {
        let goodbye = async {
            AsyncWriteExt::shutdown(&mut self.tls).await?;
            if (self.allowed != Some(0) || self.chunked.is_some()) && !self.is_http2() {
                // A body was refused half way: the client is to read our answer, not a reset.
                self.linger().await?;
            }
            io::Result::Ok(())
        };
        // The peer may be gone; there is nobody left to tell.
        drop(timeout(LINGER, goodbye).await);
    }
}

/// Of a next request that comes while one is under way, so much is read at once and so much waits.
const WAITING_READ_BYTES: usize = 1024;
const WAITING_BYTES_MAX: usize = 16 * 1024;
/// One read of a chunked body.
const CHUNKED_READ_BYTES: usize = 8 * 1024;
/// `PRI * HTTP/2.0`, two line ends, `SM`, two line ends.
const PREFACE_BYTES: usize = 24;
/// One read of a head: most fit.
const READ_BYTES: usize = 4 * 1024;
/// How long a closing connection may take to say goodbye.
const LINGER: Duration = Duration::from_millis(500);
/// The same without an answer: a close_notify has to fit into the send buffer.
const GOODBYE: Duration = Duration::from_millis(100);
const LINGER_READ_BYTES: usize = 4 * 1024;
/// Bytes that a refused client may still send before the connection is cut.
const LINGER_BYTES_MAX: usize = 64 * 1024;
