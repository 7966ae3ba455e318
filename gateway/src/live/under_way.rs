//! What a connection is doing: the requests under way on it, with what is needed to judge them once more.
//!
//! A request claims a slot of its connection when it is permitted and leaves it at its end. There are as many slots as requests were
//! ever under way at once, so one for most connections; none is removed. Claiming is a compare-and-swap: whoever
//! looks at a connection from outside never makes a request wait.

use std::ops::Deref;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use arc_swap::ArcSwapOption;
use hangu_audit::Target;
use tokio::task::Id;

use super::session::{Ended, Session};
use crate::config::Method;
use crate::denial::Denial;

/// A permitted request, as it is known from outside.
#[derive(Debug)]
pub struct UnderWay {
    begun: Begun,
    /// The generation that permitted it last.
    generation: AtomicU64,
    status: AtomicU16,
    task: Option<Id>,
    cut: OnceLock<Ended>,
}

/// What is known of a request when it is permitted.
#[derive(Debug)]
pub struct Begun {
    /// Its method.
    pub method: Method,
    /// The host that it asks for, where TLS was opened without a name; else it is the connection's.
    pub host: Option<Box<str>>,
    /// Its canonical path, as it is sent on.
    pub path: Box<[u8]>,
    /// Its query, where rules may read of it.
    pub query: Option<Box<[u8]>>,
    /// What the data are for, as it states.
    pub purpose: Box<str>,
    /// Application, route and label.
    pub target: Option<Arc<Target>>,
    /// When its head was whole.
    pub began: Instant,
    /// The same by the wall clock, in seconds since 1970.
    pub since: i64,
    /// The generation that has permitted it.
    pub generation: u64,
}

impl Deref for UnderWay {
    type Target = Begun;

    fn deref(&self) -> &Begun {
        &self.begun
    }
}

impl UnderWay {
    fn new(begun: Begun) -> Self {
        Self {
            generation: AtomicU64::new(begun.generation),
            begun,
            status: AtomicU16::new(0),
            task: tokio::task::try_id(),
            cut: OnceLock::new(),
        }
    }

    /// The generation that permitted it last.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Relaxed)
    }

    /// Another generation permits it too.
    pub fn permitted_by(&self, generation: u64) {
        self.generation.store(generation, Ordering::Relaxed);
    }

    /// The status of its answer; `None` until it begins.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        let status = self.status.load(Ordering::Relaxed);
        (status != 0).then_some(status)
    }

    /// Its answer begins.
    pub fn answers(&self, status: u16) {
        self.status.store(status, Ordering::Relaxed);
    }

    /// The task that serves it.
    #[must_use]
    pub fn task(&self) -> Option<Id> {
        self.task
    }

    /// Why it is cut off; `None` while it may go on.
    #[must_use]
    pub fn ended(&self) -> Option<Ended> {
        self.cut.get().copied()
    }

    pub(super) fn end(&self, ended: Ended) -> bool {
        self.cut.set(ended).is_ok()
    }

    /// Whether the connection has left HTTP.
    #[must_use]
    pub fn is_tunnel(&self) -> bool {
        self.status() == Some(101)
    }
}

/// The requests of one connection.
#[derive(Debug, Default)]
pub(super) struct Slots(Slot);

#[derive(Debug, Default)]
struct Slot {
    is_taken: AtomicBool,
    request: ArcSwapOption<UnderWay>,
    next: OnceLock<Box<Slot>>,
}

impl Slots {
    /// Takes a place; gives its number.
    fn put(&self, request: Arc<UnderWay>) -> usize {
        let (mut slot, mut number) = (&self.0, 0);
        loop {
            let was =
                slot.is_taken
                    .compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed);
            if was.is_ok() {
                slot.request.store(Some(request));
                return number;
            }
            slot = slot.next.get_or_init(Box::default);
            number += 1;
        }
    }

    fn give_back(&self, number: usize) {
        if let Some(slot) = self.all().nth(number) {
            slot.request.store(None);
            slot.is_taken.store(false, Ordering::Release);
        }
    }

    fn all(&self) -> impl Iterator<Item = &Slot> {
        std::iter::successors(Some(&self.0), |slot| slot.next.get().map(|next| &**next))
    }

    /// Those that are under way now.
    pub(super) fn requests(&self) -> impl Iterator<Item = Arc<UnderWay>> + '_ {
        self.all().filter_map(|slot| {
            // Most slots of most connections are empty.
            let is_taken = slot.is_taken.load(Ordering::Acquire);
            is_taken.then(|| slot.request.load_full()).flatten()
        })
    }
}

/// A request's place among those of its connection, until it is dropped.
#[derive(Debug)]
pub struct Running {
    session: Arc<Session>,
    number: usize,
    request: Arc<UnderWay>,
}

impl Running {
    /// A request is under way on `session` from now on.
    #[must_use]
    pub fn new(session: &Arc<Session>, begun: Begun) -> Self {
        let request = Arc::new(UnderWay::new(begun));
        let number = session.slots().put(Arc::clone(&request));
        Self {
            session: Arc::clone(session),
            number,
            request,
        }
    }

    /// The request.
    #[must_use]
    pub fn request(&self) -> &UnderWay {
        &self.request
    }

    /// Why the request is cut off, it alone or with its connection.
    #[must_use]
    pub fn cut_reason(&self) -> Option<Denial> {
        let ended = self.request.ended().or_else(|| self.session.ended());
        ended.map(|ended| ended.denial)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.session.slots().give_back(self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(path: &str) -> Arc<UnderWay> {
        Arc::new(UnderWay::new(Begun {
            method: Method::Get,
            host: None,
            path: path.as_bytes().into(),
            query: None,
            purpose: "".into(),
            target: None,
            began: Instant::now(),
            since: 0,
            generation: 1,
        }))
    }

    #[test]
    fn places_are_used_again_and_those_who_look_see_who_is_under_way() {
        let slots = Slots::default();
        let numbers: Vec<usize> = ["/a", "/b", "/c"]
            .map(|path| slots.put(request(path)))
            .into();
        assert_eq!(numbers, [0, 1, 2]);
        slots.give_back(1);
        let paths = || -> Vec<Vec<u8>> {
            let all = slots.requests();
            all.map(|request| request.path.to_vec()).collect()
        };
        assert_eq!(paths(), [b"/a", b"/c"]);
        assert_eq!(slots.put(request("/d")), 1);
        assert_eq!(paths(), [b"/a", b"/d", b"/c"]);
        for number in 0..3 {
            slots.give_back(number);
        }
        assert!(paths().is_empty());
    }

    #[test]
    fn many_threads_never_share_a_place() {
        let slots = Slots::default();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..2_000 {
                        let own = request("/");
                        let number = slots.put(Arc::clone(&own));
                        let found = slots.all().nth(number).unwrap().request.load_full();
                        assert!(Arc::ptr_eq(&own, &found.unwrap()));
                        slots.give_back(number);
                    }
                });
            }
        });
        assert_eq!(slots.requests().count(), 0);
        assert!(slots.all().count() <= 4);
    }
}
