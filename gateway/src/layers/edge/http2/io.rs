//! A guarded HTTP/2 connection as something to read from.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use tokio::io::{AsyncRead, ReadBuf};
use tokio::time::Sleep;

use super::{Ending, Guard};

/// The guard with its clock.
#[derive(Debug)]
pub struct GuardedRead {
    guard: Guard,
    alarm: Option<Pin<Box<Sleep>>>,
}

impl GuardedRead {
    /// A connection before its first byte.
    #[must_use]
    pub fn new(guard: Guard) -> Self {
        Self { guard, alarm: None }
    }

    /// The guard.
    pub fn guard(&mut self) -> &mut Guard {
        &mut self.guard
    }

    /// Gives the next judged bytes; nothing once the connection has ended.
    pub fn poll_read<R: AsyncRead + Unpin>(
        &mut self,
        from: &mut R,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            if self.guard.has_output() {
                self.guard.give(buf);
                return Poll::Ready(Ok(()));
            }
            if self.guard.has_ended() {
                return Poll::Ready(Ok(()));
            }
            let body = self.guard.body_ahead();
            if body > 0 {
                return self.poll_body(body, from, cx, buf);
            }
            let mut chunk = [0; CHUNK_BYTES];
            let mut chunk = ReadBuf::new(&mut chunk);
            match Pin::new(&mut *from).poll_read(cx, &mut chunk) {
                Poll::Ready(Ok(())) if chunk.filled().is_empty() => return Poll::Ready(Ok(())),
                Poll::Ready(Ok(())) => self.guard.take(chunk.filled(), Instant::now()),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending if self.is_late(cx) => self.guard.end(Ending::HeadTimeout),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// A body is not looked into: it goes straight where it is wanted.
    fn poll_body<R: AsyncRead + Unpin>(
        &mut self,
        left: usize,
        from: &mut R,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let most = left.min(buf.remaining());
        let mut part = ReadBuf::new(buf.initialize_unfilled_to(most));
        let read = Pin::new(from).poll_read(cx, &mut part);
        let filled = part.filled().len();
        buf.advance(filled);
        self.guard.body_passed(filled);
        read
    }

    fn is_late(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(deadline) = self.guard.deadline() else {
            self.alarm = None;
            return false;
        };
        let deadline = tokio::time::Instant::from_std(deadline);
        let alarm = self
            .alarm
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        if alarm.deadline() != deadline {
            alarm.as_mut().reset(deadline);
        }
        alarm.as_mut().poll(cx).is_ready()
    }
}

/// One read of what is not a body: most heads fit.
const CHUNK_BYTES: usize = 4 * 1024;
