//! Until when the parts of a request must have come, known to whoever waits for them.
//!
//! Pingora waits for a client's body and for an application's answer as long as something comes now and then, and asks nobody. So the
//! request writes its deadlines down here, and two readers keep them: the client's stream, over HTTP/1.x, where the wait ends with
//! an answer; and the task of a stream of HTTP/2, which is dropped, for there is nobody else who could be woken.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use crate::denial::Denial;
use crate::lazy_timer::LazyTimer;

/// The deadlines of one request at a time.
#[derive(Debug)]
pub struct RequestDeadlines {
    base: Instant,
    /// In microseconds since `base`.
    body: AtomicU64,
    answer: AtomicU64,
}

/// A deadline has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Overdue {
    /// More of the request's body should have come.
    #[error("the body of the request comes too slowly")]
    Body,
    /// The answer should have been whole.
    #[error("the answer takes too long")]
    Answer,
}

impl Overdue {
    /// As refusals name it.
    #[must_use]
    pub fn denial(self) -> Denial {
        match self {
            Overdue::Body => Denial::BodyTimeout,
            Overdue::Answer => Denial::ResponseTimeout,
        }
    }
}

impl RequestDeadlines {
    /// None so far.
    #[must_use]
    pub fn new() -> Self {
        Self {
            base: Instant::now(),
            body: AtomicU64::new(NEVER),
            answer: AtomicU64::new(NEVER),
        }
    }

    /// Those of the request that is being served by the present task; some that nobody keeps where there are none.
    #[must_use]
    pub fn current() -> Arc<Self> {
        CURRENT
            .try_with(Arc::clone)
            .unwrap_or_else(|_| Arc::new(Self::new()))
    }

    /// Until when more of the body must have come; `None`: it is whole, or may take as long as it likes.
    pub fn set_body(&self, due: Option<Instant>) {
        self.body.store(self.micros(due), Ordering::Relaxed);
    }

    /// Until when the answer must be whole; `None`: it may go on.
    pub fn set_answer(&self, due: Option<Instant>) {
        self.answer.store(self.micros(due), Ordering::Relaxed);
    }

    /// The request is over.
    pub fn clear(&self) {
        self.set_body(None);
        self.set_answer(None);
    }

    /// The next deadline.
    #[must_use]
    pub fn next(&self) -> Option<Instant> {
        let body = self.body.load(Ordering::Relaxed);
        let micros = body.min(self.answer.load(Ordering::Relaxed));
        (micros != NEVER).then(|| self.base + Duration::from_micros(micros))
    }

    /// Which deadline has passed.
    #[must_use]
    pub fn overdue(&self, now: Instant) -> Option<Overdue> {
        let now = self.micros(Some(now));
        let is_past = |due: &AtomicU64| {
            let due = due.load(Ordering::Relaxed);
            due != NEVER && due <= now
        };
        if is_past(&self.body) {
            Some(Overdue::Body)
        } else if is_past(&self.answer) {
            Some(Overdue::Answer)
        } else {
            None
        }
    }

    fn micros(&self, at: Option<Instant>) -> u64 {
        at.map_or(NEVER, |at| {
            let micros = at.saturating_duration_since(self.base).as_micros();
            u64::try_from(micros).unwrap_or(NEVER)
        })
    }
}

impl Default for RequestDeadlines {
    fn default() -> Self {
        Self::new()
    }
}

/// Wakes a task when a deadline has passed. Its timer outlives a request: it is set anew when it rings, not for each.
#[derive(Debug, Default)]
pub struct Alarm {
    timer: LazyTimer,
    /// It rings so much later.
    grace: Duration,
}

impl Alarm {
    /// What is overdue; the task is woken when that may have changed.
    pub fn poll(&mut self, deadlines: &RequestDeadlines, cx: &mut Context<'_>) -> Option<Overdue> {
        loop {
            let due = tokio::time::Instant::from_std(deadlines.next()? + self.grace);
            if self.timer.poll(due, cx).is_pending() {
                return None;
            }
            let now = Instant::now();
            let overdue = deadlines.overdue(now.checked_sub(self.grace).unwrap_or(now));
            if overdue.is_some() {
                return overdue;
            }
            // The deadline has moved since.
        }
    }
}

/// Serves a request whose deadlines its stream keeps.
pub async fn keeping<F: Future>(deadlines: &Arc<RequestDeadlines>, request: F) -> F::Output {
    CURRENT.scope(Arc::clone(deadlines), request).await
}

/// Serves a request that is dropped when one of its deadlines has passed, and it did not end by itself then: who waits for an
/// application can still say so.
pub async fn until_overdue<F: Future>(request: F) {
    let deadlines = Arc::new(RequestDeadlines::new());
    let mut alarm = Alarm {
        grace: GRACE,
        ..Alarm::default()
    };
    let mut request = pin!(CURRENT.scope(Arc::clone(&deadlines), request));
    poll_fn(|cx| {
        if request.as_mut().poll(cx).is_ready() || alarm.poll(&deadlines, cx).is_some() {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
}

tokio::task_local! {
    static CURRENT: Arc<RequestDeadlines>;
}

/// What a request has to end by itself.
const GRACE: Duration = Duration::from_millis(100);
const NEVER: u64 = u64::MAX;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearer_deadline_is_the_next_and_each_says_what_is_late() {
        let (deadlines, second) = (RequestDeadlines::new(), Duration::from_secs(1));
        let start = Instant::now();
        assert_eq!(deadlines.next(), None);
        assert_eq!(deadlines.overdue(start + 1_000 * second), None);
        deadlines.set_answer(Some(start + 10 * second));
        deadlines.set_body(Some(start + 5 * second));
        assert!(deadlines.next().unwrap() <= start + 5 * second);
        assert_eq!(deadlines.overdue(start + 4 * second), None);
        assert_eq!(
            deadlines.overdue(start + 5 * second),
            Some(Overdue::Body),
            "exactly then"
        );
        deadlines.set_body(None);
        assert_eq!(deadlines.overdue(start + 9 * second), None);
        assert_eq!(
            deadlines.overdue(start + 10 * second),
            Some(Overdue::Answer)
        );
        deadlines.clear();
        assert_eq!(deadlines.next(), None);
    }

    #[tokio::test]
    async fn a_request_is_dropped_when_its_deadline_passes_and_not_before() {
        let begun = Instant::now();
        let wait = Duration::from_millis(50);
        until_overdue(async {
            let own = RequestDeadlines::current();
            own.set_answer(Some(Instant::now() + Duration::from_secs(60)));
            tokio::task::yield_now().await;
            // Nearer than the one that the alarm waits for.
            own.set_answer(Some(Instant::now() + wait));
            std::future::pending::<()>().await;
        })
        .await;
        assert!(begun.elapsed() >= wait, "{:?}", begun.elapsed());
        until_overdue(async {
            let own = RequestDeadlines::current();
            own.set_body(Some(Instant::now() + wait));
            tokio::task::yield_now().await;
            own.set_body(None);
        })
        .await;
    }
}
