//! Which connections are open, found by whatever a revocation names and by when they expire.
//!
//! Sharded by connection, so that handshakes do not wait for one another; within a shard one ordered set of (key, connection) serves
//! all kinds of names. A key is a hash of 64 bits under a secret of the process: two names may share one, so whoever is found is
//! judged before he is ended. Nothing here is asked by a request.

use std::collections::{BTreeSet, HashMap};
use std::hash::{BuildHasher, Hash, RandomState};
use std::ops::Deref;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hangu_certs::Target;
use tokio::sync::Notify;

use super::session::Session;
use crate::connection::Connection;

/// All open connections of the process.
#[derive(Debug)]
pub struct Registry {
    shards: Vec<Mutex<Shard>>,
    next: AtomicU64,
    open: AtomicUsize,
    generations: Notify,
    has_stragglers: AtomicBool,
    hashing: RandomState,
}

#[derive(Debug, Default)]
struct Shard {
    sessions: HashMap<u64, Arc<Session>>,
    by_key: BTreeSet<(u64, u64)>,
    by_end: BTreeSet<(i64, u64)>,
}

/// A connection's place in the registry; it leaves when this is dropped.
#[derive(Debug)]
pub struct Registered {
    registry: Arc<Registry>,
    session: Arc<Session>,
    keys: Box<[u64]>,
    end: Option<i64>,
}

/// What a connection can be found by.
#[derive(Hash)]
enum Key<'a> {
    Serial(&'a [u8]),
    Certificate(&'a [u8; 32]),
    Spki(&'a [u8; 32]),
    Subject(&'a str),
    Organisation(&'a str),
}

impl Registry {
    /// An empty registry.
    #[must_use]
    pub fn new() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            next: AtomicU64::new(1),
            open: AtomicUsize::new(0),
            generations: Notify::new(),
            has_stragglers: AtomicBool::new(false),
            hashing: RandomState::new(),
        }
    }

    /// Registers a connection at `now` (seconds since 1970).
    #[must_use]
    pub fn register(self: &Arc<Self>, connection: Arc<Connection>, now: i64) -> Registered {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let keys = self.keys(&connection);
        let end = connection.identity().map(|identity| identity.not_after);
        let session = Arc::new(Session::new(id, connection, now));
        let mut shard = self.shard(id);
        shard.sessions.insert(id, Arc::clone(&session));
        shard.by_key.extend(keys.iter().map(|key| (*key, id)));
        shard.by_end.extend(end.map(|end| (end, id)));
        drop(shard);
        self.open.fetch_add(1, Ordering::Relaxed);
        Registered {
            registry: Arc::clone(self),
            session,
            keys,
            end,
        }
    }

    /// Another generation serves: whoever looks after the connections does so now.
    pub fn look_now(&self) {
        self.generations.notify_one();
    }

    /// Waits until [`Self::look_now`] was called since it was last waited for.
    pub async fn until_to_look(&self) {
        self.generations.notified().await;
    }

    /// A request that an older generation has judged only now begins to run: it waited for something meanwhile.
    pub fn note_straggler(&self) {
        self.has_stragglers.store(true, Ordering::Release);
    }

    /// Whether there was a straggler since this was asked last.
    pub(super) fn take_stragglers(&self) -> bool {
        self.has_stragglers.swap(false, Ordering::AcqRel)
    }

    /// Connections that are open.
    #[must_use]
    pub fn len(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// Whether none is open.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The connection of a number.
    #[must_use]
    pub fn session(&self, id: u64) -> Option<Arc<Session>> {
        self.shard(id).sessions.get(&id).cloned()
    }

    /// Whoever a pushed revocation may hit, and rarely somebody else.
    #[must_use]
    pub fn of_target(&self, target: &Target) -> Vec<Arc<Session>> {
        let key = match target {
            Target::Serial(serial) | Target::Issued(serial, _) => Key::Serial(serial.as_bytes()),
            Target::Certificate(fingerprint) => Key::Certificate(fingerprint),
            Target::Key(fingerprint) => Key::Spki(fingerprint),
            Target::Subject(subject) => Key::Subject(subject),
            Target::Organisation(organisation) => Key::Organisation(organisation),
        };
        let key = self.hashing.hash_one(key);
        self.collect(|shard, found| {
            let ids = shard.by_key.range((key, 0)..=(key, u64::MAX));
            found.extend(ids.filter_map(|(_, id)| shard.sessions.get(id).cloned()));
        })
    }

    /// Whose certificate, or one above it, has ended before `now` (seconds since 1970).
    #[must_use]
    pub fn past(&self, now: i64) -> Vec<Arc<Session>> {
        self.collect(|shard, found| {
            let ids = shard.by_end.range(..(now, 0));
            found.extend(ids.filter_map(|(_, id)| shard.sessions.get(id).cloned()));
        })
    }

    /// Shows every open connection. No lock is held meanwhile.
    pub fn each(&self, mut see: impl FnMut(&Arc<Session>)) {
        for shard in &self.shards {
            let sessions: Vec<Arc<Session>> = lock(shard).sessions.values().cloned().collect();
            sessions.iter().for_each(&mut see);
        }
    }

    fn collect(&self, find: impl Fn(&Shard, &mut Vec<Arc<Session>>)) -> Vec<Arc<Session>> {
        let mut found = Vec::new();
        for shard in &self.shards {
            find(&lock(shard), &mut found);
        }
        found
    }

    fn keys(&self, connection: &Connection) -> Box<[u64]> {
        let names = connection.names();
        let subject = names.subject.map(Key::Subject);
        let organisation = names.organisation.map(Key::Organisation);
        let identity = connection.identity();
        let of_identity = identity.into_iter().flat_map(|identity| {
            let serials = identity
                .links
                .iter()
                .map(|link| Key::Serial(link.serial.as_bytes()));
            let authorities = identity.authorities.iter().flat_map(|authority| {
                [
                    Key::Certificate(&authority.certificate),
                    Key::Spki(&authority.key),
                ]
            });
            let written = identity.organisation.as_deref().map(Key::Organisation);
            [
                Key::Certificate(&identity.fingerprint),
                Key::Spki(&identity.key_fingerprint),
            ]
            .into_iter()
            .chain(written)
            .chain(serials)
            .chain(authorities)
        });
        let mut keys: Vec<u64> = of_identity
            .chain(subject)
            .chain(organisation)
            .map(|key| self.hashing.hash_one(key))
            .collect();
        keys.sort_unstable();
        keys.dedup();
        keys.into_boxed_slice()
    }

    fn shard(&self, id: u64) -> MutexGuard<'_, Shard> {
        let index = usize::try_from(id).unwrap_or(0) % SHARDS;
        #[expect(clippy::indexing_slicing, reason = "there are `SHARDS` of them")]
        lock(&self.shards[index])
    }
}

impl Default for Registry {
    fn default() -> Self {
        Self::new()
    }
}

impl Registered {
    /// The connection.
    #[must_use]
    pub fn session(&self) -> &Arc<Session> {
        &self.session
    }
}

impl Deref for Registered {
    type Target = Session;

    fn deref(&self) -> &Session {
        &self.session
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        let id = self.session.id;
        let mut shard = self.registry.shard(id);
        shard.sessions.remove(&id);
        for key in &self.keys {
            shard.by_key.remove(&(*key, id));
        }
        if let Some(end) = self.end {
            shard.by_end.remove(&(end, id));
        }
        self.registry.open.fetch_sub(1, Ordering::Relaxed);
    }
}

fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    // A panic under the lock would be one of the collections': what it lost is at most one connection's place.
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

const SHARDS: usize = 64;
