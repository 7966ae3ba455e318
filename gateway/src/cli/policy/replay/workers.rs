//! The records of a log shared out among threads: one reads, as many as there are processors parse and decide.
//!
//! Reading is in order and takes a tenth of the time of a record, so one thread reads for all. Batches wait in a bounded queue:
//! memory does not grow with the log.

use std::collections::btree_map::Entry;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread;

use hangu_audit::Line;

use super::{CHANGES_MAX, Candidate, Seen, Tally};

/// Asks for every record that `next` gives, on so many threads.
///
/// # Errors
/// What `next` says, or that a thread ended early.
pub(super) fn ask(
    next: impl FnMut() -> Result<Option<Line>, Vec<String>>,
    candidate: &Candidate<'_>,
    threads: usize,
) -> Result<Tally, Vec<String>> {
    let threads = threads.clamp(1, THREADS_MAX);
    let (sender, receiver) = sync_channel(threads * BATCHES_WAITING);
    let receiver = Arc::new(Mutex::new(receiver));
    thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|_| {
                let receiver = Arc::clone(&receiver);
                scope.spawn(move || work(&receiver, candidate))
            })
            .collect();
        // When every worker has gone the queue has too, and nobody waits for a place in it.
        drop(receiver);
        let read = share_out(next, &sender);
        drop(sender);
        let mut all = Tally::default();
        for worker in workers {
            match worker.join() {
                Ok(own) => all.add(own),
                Err(_) => return Err(vec!["a thread ended early; report it".to_owned()]),
            }
        }
        read.map(|()| all)
    })
}

/// Puts the records into the queue, in order.
fn share_out(
    mut next: impl FnMut() -> Result<Option<Line>, Vec<String>>,
    queue: &SyncSender<Vec<Line>>,
) -> Result<(), Vec<String>> {
    loop {
        let mut batch = Vec::with_capacity(BATCH);
        while batch.len() < BATCH
            && let Some(line) = next()?
        {
            batch.push(line);
        }
        let is_last = batch.len() < BATCH;
        // Where nobody takes it any more, those who have gone say so.
        if queue.send(batch).is_err() || is_last {
            return Ok(());
        }
    }
}

fn work(queue: &Mutex<Receiver<Vec<Line>>>, candidate: &Candidate<'_>) -> Tally {
    let mut tally = Tally::default();
    loop {
        let batch = queue.lock().ok().and_then(|queue| queue.recv().ok());
        let Some(batch) = batch else {
            return tally;
        };
        for line in &batch {
            tally.read(candidate, line);
        }
    }
}

impl Tally {
    /// Adds what another thread has seen.
    fn add(&mut self, other: Self) {
        let Self {
            records,
            asked,
            other_layers,
            undecidable,
            without_query,
            unknown_applications,
            gained,
            lost,
            overflowed,
            changes,
        } = other;
        self.records += records;
        self.asked += asked;
        self.other_layers += other_layers;
        self.undecidable += undecidable;
        self.without_query += without_query;
        self.unknown_applications += unknown_applications;
        self.gained += gained;
        self.lost += lost;
        self.overflowed += overflowed;
        for (change, seen) in changes {
            let is_full = self.changes.len() >= CHANGES_MAX;
            match self.changes.entry(change) {
                Entry::Occupied(mut known) => known.get_mut().add(seen),
                Entry::Vacant(_) if is_full => self.overflowed += seen.count,
                Entry::Vacant(free) => {
                    free.insert(seen);
                }
            }
        }
    }
}

impl Seen {
    /// Adds the same change in other records; the first of all is told.
    fn add(&mut self, other: Self) {
        let count = self.count + other.count;
        if other.first < self.first {
            *self = other;
        }
        self.count = count;
    }
}

/// Records that a thread takes at once.
const BATCH: usize = 512;
/// Batches that wait for each thread, at most.
const BATCHES_WAITING: usize = 4;
/// Threads that decide: the one that reads cannot feed more.
const THREADS_MAX: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use hangu_policy::{Policy, RBAC_WITH_DOMAINS, Source};

    fn policy() -> Policy {
        let model = Source {
            name: "model.conf",
            text: RBAC_WITH_DOMAINS,
        };
        let rules = Source {
            name: "policy.csv",
            text: "p, user1, health, /*, GET, allow\ng2, user1, internal\n",
        };
        Policy::compile(model, rules).unwrap()
    }

    fn lines(count: u64) -> impl FnMut() -> Result<Option<Line>, Vec<String>> {
        let mut sequence = 0;
        move || {
            sequence += 1;
            let user = sequence % 3;
            let json = format!(
                r#"{{"kind":"request","decision":"allowed","subject":"user{user}","tenant":"health","label":"internal","path":"/{sequence}","method":"GET"}}"#
            );
            Ok((sequence <= count).then_some(Line { sequence, json }))
        }
    }

    #[test]
    fn many_threads_find_what_one_finds() {
        let policy = policy();
        let candidate = Candidate::of(&policy, None, None);
        for count in [0, 1, BATCH as u64, 5_000] {
            let one = ask(lines(count), &candidate, 1).unwrap();
            assert_eq!(one.records, count);
            assert_eq!(ask(lines(count), &candidate, 5).unwrap(), one);
        }
        let five = ask(lines(5_000), &candidate, 5).unwrap();
        assert_eq!((five.asked, five.gained, five.lost), (5_000, 0, 3_333));
        let seen: Vec<_> = five.changes.values().map(|seen| seen.first).collect();
        assert_eq!(seen, [3, 2]);
    }

    #[test]
    fn a_log_that_breaks_off_is_an_error_whatever_was_found_before() {
        let policy = policy();
        let candidate = Candidate::of(&policy, None, None);
        let mut good = lines(u64::MAX);
        let mut left = 3_000;
        let next = || {
            left -= 1;
            if left == 0 {
                Err(vec!["broken".to_owned()])
            } else {
                good()
            }
        };
        assert_eq!(ask(next, &candidate, 2), Err(vec!["broken".to_owned()]));
    }
}
