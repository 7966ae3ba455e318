//! A timer that outlives what it waits for.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::time::{Instant, Sleep, sleep_until};

/// Wakes a task once a moment has passed that mostly moves on before it comes: the silence that a client may keep, the time that a
/// request may take. It is set anew when it rings and not each time the moment moves, which would cost each request an entry
/// in the wheel of timers, and one on an idle thread a system call.
#[derive(Debug, Default)]
pub struct LazyTimer(Option<Pin<Box<Sleep>>>);

impl LazyTimer {
    /// Ready once `due` has passed; until then the task is woken no later than that, and seldom before.
    pub fn poll(&mut self, due: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let sleep = self.0.get_or_insert_with(|| Box::pin(sleep_until(due)));
        if sleep.deadline() > due {
            sleep.as_mut().reset(due);
        }
        loop {
            ready!(sleep.as_mut().poll(cx));
            if Instant::now() >= due {
                return Poll::Ready(());
            }
            sleep.as_mut().reset(due);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::time::Duration;

    use super::*;

    const MOMENT: Duration = Duration::from_millis(20);

    #[tokio::test]
    async fn a_moment_that_moves_on_is_waited_for_and_one_that_comes_nearer_too() {
        let (mut timer, start) = (LazyTimer::default(), Instant::now());
        let far = start + 1_000 * MOMENT;
        assert!(poll_fn(|cx| Poll::Ready(timer.poll(far, cx).is_pending())).await);
        poll_fn(|cx| timer.poll(start + MOMENT, cx)).await;
        assert!(Instant::now() >= start + MOMENT);
        // It has rung once: the next moment is waited for all the same.
        poll_fn(|cx| timer.poll(start + 2 * MOMENT, cx)).await;
        assert!(Instant::now() >= start + 2 * MOMENT);
        assert!(poll_fn(|cx| Poll::Ready(timer.poll(far, cx).is_pending())).await);
    }
}
