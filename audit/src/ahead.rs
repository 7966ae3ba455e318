//! Segments walked ahead of the verifier, one thread each.
//!
//! A segment can be checked before the ones in front of it, because the end of the one before is in its last line: if that line
//! lies, the verifier finds out when it gets there, before it looks at what followed from it. So the result is that of one
//! walk from front to back. A thread that is too far ahead waits: memory is bounded whatever the size of a segment.

use std::collections::VecDeque;
use std::io;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::{self, Scope};
use std::vec;

use crate::chain::Link;
use crate::index::{Filter, Ids};
use crate::open::last_link;
use crate::removal;
use crate::segment::Segment;
use crate::walk::{Walked, walk};

/// What a walk has to tell.
pub(crate) enum News {
    /// These records are good and take so many bytes.
    Good(Vec<Link>, u64),
    /// It is over.
    End(io::Result<Walked>),
    /// The record of this number names records that are gone, up to this one.
    Removed(u64, Link),
    /// The segment's index is not of its records.
    OtherIndex,
}

/// The news of one segment, in order.
pub(crate) enum Walk {
    /// Walked already.
    Done(vec::IntoIter<News>),
    /// Being walked.
    Running(Receiver<News>),
}

impl Iterator for Walk {
    type Item = News;

    fn next(&mut self) -> Option<News> {
        match self {
            Self::Done(news) => news.next(),
            Self::Running(news) => news.recv().ok(),
        }
    }
}

/// The walks of all segments, a few at a time.
pub(crate) struct Ahead<'scope, 'env> {
    scope: &'scope Scope<'scope, 'env>,
    dir: &'env Path,
    waiting: VecDeque<(Option<&'env Segment>, &'env Segment)>,
    /// The log does not begin with its first record.
    is_late: bool,
    started: VecDeque<Walk>,
    threads: usize,
}

impl<'scope, 'env> Ahead<'scope, 'env> {
    /// As many threads as the machine has cores, but for eight.
    pub(crate) fn new(
        scope: &'scope Scope<'scope, 'env>,
        dir: &'env Path,
        segments: &'env [Segment],
    ) -> Self {
        let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let before = std::iter::once(None).chain(segments.iter().map(Some));
        Self {
            scope,
            dir,
            waiting: before.zip(segments).collect(),
            is_late: segments.first().is_some_and(|segment| segment.first > 1),
            started: VecDeque::new(),
            threads: cores.min(THREADS_MAX),
        }
    }

    /// The walk of the next segment in order; `None` after the last.
    pub(crate) fn next(&mut self) -> Option<Walk> {
        while self.started.len() < self.threads
            && let Some((before, segment)) = self.waiting.pop_front()
        {
            // The last segment is not finished: it has no index yet.
            let index = (!self.waiting.is_empty()).then_some(self.dir);
            let walk = self.start(before, segment, index);
            self.started.push_back(walk);
        }
        self.started.pop_front()
    }

    fn start(
        &self,
        before: Option<&'env Segment>,
        segment: &'env Segment,
        index: Option<&'env Path>,
    ) -> Walk {
        let is_late = self.is_late;
        // A short one is walked sooner than a thread is there to do it.
        if segment.bytes() < SHORT_BYTES && !segment.is_packed() {
            let mut news = Vec::new();
            tell((before, is_late), segment, index, |item| news.push(item));
            return Walk::Done(news.into_iter());
        }
        let (sender, receiver) = sync_channel(BATCHES_AHEAD);
        self.scope.spawn(move || {
            tell((before, is_late), segment, index, |item| {
                // Nobody listens any more once damage was found further in front; then this walk ends for nothing.
                let _sent = sender.send(item);
            });
        });
        Walk::Running(receiver)
    }
}

fn tell(
    (before, is_late): (Option<&Segment>, bool),
    segment: &Segment,
    index: Option<&Path>,
    mut tell: impl FnMut(News),
) {
    // A segment whose last line cannot be read is reported before anybody asks for this one.
    // A log that begins later names its beginning itself; whether it may is the verifier's question.
    let before = match before {
        Some(before) => last_link(before).ok(),
        None => removal::beginning(segment).ok().and_then(Result::ok),
    };
    let (mut links, mut bytes, mut ids) = (Vec::new(), 0, Ids::default());
    let walked = walk(
        segment,
        before.unwrap_or(Link::GENESIS),
        &mut |line, link| {
            links.push(*link);
            bytes += line.len() as u64 + 1;
            if index.is_some() {
                ids.add(line);
            }
            if is_late && let Some(named) = removal::named(line) {
                tell(News::Removed(link.sequence, named));
            }
            if links.len() >= BATCH {
                tell(News::Good(
                    std::mem::take(&mut links),
                    std::mem::take(&mut bytes),
                ));
            }
        },
    );
    tell(News::Good(links, bytes));
    let is_whole = walked.as_ref().is_ok_and(|walked| walked.rest.is_none());
    if let Some(dir) = index.filter(|_| is_whole)
        && let Ok(Some(filter)) = Filter::read(dir, segment)
        && !filter.is_of(&ids)
    {
        tell(News::OtherIndex);
    }
    tell(News::End(walked));
}

const THREADS_MAX: usize = 8;
const SHORT_BYTES: u64 = 1024 * 1024;
/// Records told together.
const BATCH: usize = 1_024;
/// So many batches fit a usual segment of 64 MiB; 40 bytes a record.
const BATCHES_AHEAD: usize = 64;
