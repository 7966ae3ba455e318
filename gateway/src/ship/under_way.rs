//! What was sent and does not count as delivered yet.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use hangu_audit::Mark;

/// Batches in the order they were sent.
#[derive(Debug)]
pub(super) struct UnderWay {
    settle: Duration,
    sent: VecDeque<(Instant, Mark)>,
}

impl UnderWay {
    pub(super) const fn new(settle: Duration) -> Self {
        Self {
            settle,
            sent: VecDeque::new(),
        }
    }

    /// Everything up to `mark` was sent at `now`. Batches of one moment count as one, so that memory is bounded by time.
    pub(super) fn sent(&mut self, mark: Mark, now: Instant) {
        match self.sent.back_mut() {
            Some((at, last)) if now.duration_since(*at) < MOMENT && self.settle > MOMENT => {
                *last = mark;
            }
            _ => self.sent.push_back((now, mark)),
        }
    }

    /// How far everything counts as delivered at `now`, when that is further than at the last question.
    pub(super) fn settled(&mut self, now: Instant) -> Option<Mark> {
        let mut settled = None;
        while let Some((at, _)) = self.sent.front()
            && now.duration_since(*at) >= self.settle + self.slack()
        {
            settled = self.sent.pop_front().map(|(_, mark)| mark);
        }
        settled
    }

    /// A later batch of one moment was sent up to a moment later than its time says.
    fn slack(&self) -> Duration {
        if self.settle > MOMENT {
            MOMENT
        } else {
            Duration::ZERO
        }
    }
}

const MOMENT: Duration = Duration::from_millis(200);
