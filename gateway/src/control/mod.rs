//! The control socket: how operators act on a gateway that serves, apart from the open, read-only admin listener.
//!
//! HTTP/1.1 and JSON over a Unix socket in the run folder. Who calls is what the kernel says of the peer: the gateway's own user,
//! root, or a user that the configuration lists. Every call that changes something, and every call that is refused, is an `admin`
//! record in the audit log, and the caller hears of success only once that record is on the disk. Calls are bounded in number, in
//! bytes and in time. For operators of other machines there is the same over TCP with mutual TLS, where it is configured ([`Remote`]).

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use pingora::server::ShutdownWatch;
use pingora::services::background::BackgroundService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tracing::{error, warn};

use self::call::{Call, Refused, Reply};
use self::caller::Caller;
use self::verbs::Effect;
use crate::shared::Shared;

pub use self::remote::Remote;

mod call;
mod caller;
mod hits;
pub(crate) mod http1;
mod record;
mod remote;
mod revocations;
mod sessions;
pub mod socket;
mod verbs;

/// The service behind the control socket.
#[derive(Debug)]
pub struct Control {
    shared: Arc<Shared>,
    path: PathBuf,
    listener: Mutex<Option<std::os::unix::net::UnixListener>>,
    calls: Arc<Semaphore>,
}

impl Control {
    /// Serves `listener`, which [`socket::bind`] has made, at `path`.
    #[must_use]
    pub fn new(
        shared: Arc<Shared>,
        path: &Path,
        listener: std::os::unix::net::UnixListener,
    ) -> Self {
        Self {
            shared,
            path: path.to_owned(),
            listener: Mutex::new(Some(listener)),
            calls: Arc::new(Semaphore::new(CALLS_MAX)),
        }
    }

    fn listener(&self) -> io::Result<UnixListener> {
        let taken = self
            .listener
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let listener = taken.ok_or_else(|| io::Error::other("it is served already"))?;
        listener.set_nonblocking(true)?;
        UnixListener::from_std(listener)
    }

    async fn serve(&self, listener: UnixListener) {
        let owner = std::fs::metadata(&self.path).map_or(0, |meta| meta.uid());
        loop {
            // Whoever finds no place waits in the backlog of the socket, which is bounded too.
            let Ok(place) = Arc::clone(&self.calls).acquire_owned().await else {
                return;
            };
            match listener.accept().await {
                Ok((stream, _)) => {
                    let shared = Arc::clone(&self.shared);
                    tokio::spawn(async move {
                        serve_local(&shared, stream, owner).await;
                        drop(place);
                    });
                }
                Err(error) => {
                    warn!("control socket: {error}");
                    tokio::time::sleep(ACCEPT_RETRY).await;
                }
            }
        }
    }
}

#[async_trait]
impl BackgroundService for Control {
    /// Serves to the end of the process: a gateway that drains can still be asked and told.
    async fn start(&self, _: ShutdownWatch) {
        match self.listener() {
            Ok(listener) => self.serve(listener).await,
            Err(error) => error!("control socket `{}`: {error}", self.path.display()),
        }
    }
}

async fn serve_local(shared: &Arc<Shared>, stream: UnixStream, owner: u32) {
    let listed = shared.snapshot.load().config.control.uids.clone();
    let caller = match stream.peer_cred() {
        Ok(peer) => Caller::local(peer.uid(), peer.pid(), owner, &listed),
        Err(error) => {
            warn!("control socket: the system does not say who calls: {error}");
            return;
        }
    };
    if timeout(CALL_TIME, serve_call(shared, stream, &caller))
        .await
        .is_err()
    {
        warn!("control socket: a call of {caller} took too long");
    }
}

/// One call on one connection.
async fn serve_call<S: AsyncRead + AsyncWrite + Unpin>(
    shared: &Arc<Shared>,
    mut stream: S,
    caller: &Caller,
) {
    let reply = match timeout(READ_TIME, http1::read(&mut stream)).await {
        Ok(Ok(Some(call))) => answer(shared, &call, caller).await,
        Ok(Ok(None)) => return,
        Ok(Err(refused)) => refuse(shared, "unreadable", caller, refused).await,
        Err(_) => {
            let late = Refused::new(408, "the call did not come in time");
            refuse(shared, "unreadable", caller, late).await
        }
    };
    // Who hangs up before the answer has asked in vain; the record says what was done.
    drop(timeout(WRITE_TIME, http1::write(&mut stream, &reply)).await);
}

async fn answer(shared: &Arc<Shared>, call: &Call, caller: &Caller) -> Reply {
    let asked = format!("{} {}", call.method, call.path);
    if let Err(refused) = caller.check() {
        return refuse(shared, &asked, caller, refused).await;
    }
    match verbs::find(call) {
        Ok((_, Effect::Reads(read))) => match read(shared, call) {
            Ok(body) => Reply::ok(body),
            Err(refused) => refuse(shared, &asked, caller, refused).await,
        },
        Ok((action, Effect::Changes(change))) => {
            // No effect without a record: a place for it is had first.
            let Some(place) = record::place(shared, action, caller) else {
                return Reply::from(record::no_place());
            };
            let came_of_it = change(shared, call, caller);
            place.tell(came_of_it).await
        }
        Err(refused) => refuse(shared, &asked, caller, refused).await,
    }
}

/// Refuses a call, and says so once the record of it is on the disk.
async fn refuse(shared: &Shared, action: &str, caller: &Caller, refused: Refused) -> Reply {
    match record::place(shared, action, caller) {
        Some(place) => place.tell(Err(refused)).await,
        None => Reply::from(record::no_place()),
    }
}

fn unix_seconds() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// Calls that are served at once.
const CALLS_MAX: usize = 16;
const ACCEPT_RETRY: Duration = Duration::from_millis(100);
/// For the whole request to come.
const READ_TIME: Duration = Duration::from_secs(5);
/// For the whole answer to be taken.
const WRITE_TIME: Duration = Duration::from_secs(30);
/// For all of it, a slow disk included.
const CALL_TIME: Duration = Duration::from_secs(60);
