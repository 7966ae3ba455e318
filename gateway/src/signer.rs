//! `hangu audit signer`: the process that has the log's key, so that the gateway does not.
//!
//! It runs under another user, on the gateway's machine, behind a Unix socket. It signs checkpoints and nothing else, for the users that it
//! was told of, and remembers the last one: whoever becomes the gateway's user can have it sign what continues the log, and cannot have
//! it sign another one, nor an older one.
//!
//! One question a connection: a [`SigningRequest`] up to the end of what the caller sends; the answer is a line, `signed` and the signature,
//! `size` and what was signed last, or `refused` and why.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hangu_audit::checkpoint::Checkpoint;
use hangu_audit::key::Signer;
use hangu_audit::note::Note;
use hangu_audit::remote::SigningRequest;
use hangu_audit::tree::TreeHead;
use hangu_audit::witness::Refusal;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Semaphore;
use tracing::{error, info, warn};

/// How a signer is set up.
#[derive(Debug)]
pub struct Settings {
    /// Where it is asked.
    pub socket: PathBuf,
    /// What it remembers; made when it is missing.
    pub memory: PathBuf,
    /// The log's key.
    pub signer: Signer,
    /// Users (by number) that may ask, beside its own.
    pub uids: Vec<u32>,
}

/// A signer cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum SignerError {
    /// It cannot listen.
    #[error("cannot listen on `{}`: {source}; name a socket in a folder that the signer's user may write", path.display())]
    Listen {
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Another one listens there.
    #[error("`{}`: a signer listens there already; end it first", path.display())]
    Taken {
        /// Where.
        path: PathBuf,
    },
    /// What it remembers cannot be read or written.
    #[error("signer memory `{}`: {source}; the folder must be writable by the signer's user alone", path.display())]
    Memory {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// What it remembers is not what it signed.
    #[error("signer memory `{}`: not signed by this signer's key; put the file back, or verify the log before you remove it", path.display())]
    Forged {
        /// The file.
        path: PathBuf,
    },
    /// The runtime.
    #[error("cannot start: {0}")]
    Runtime(#[source] io::Error),
}

/// Serves until SIGTERM or SIGINT; `listening` is called once it does.
///
/// # Errors
/// When it cannot listen, or what it remembers is not its own.
pub fn serve(settings: Settings, listening: impl FnOnce()) -> Result<(), SignerError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(SignerError::Runtime)?;
    let socket = settings.socket.clone();
    let keeper = Arc::new(Keeper::new(settings)?);
    runtime.block_on(async {
        let listener = bind(&socket)?;
        let (mut interrupt, mut terminate) = (
            signal(SignalKind::interrupt()).map_err(SignerError::Runtime)?,
            signal(SignalKind::terminate()).map_err(SignerError::Runtime)?,
        );
        listening();
        let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        loop {
            // Whoever finds no slot waits in the backlog.
            let Ok(slot) = Arc::clone(&slots).acquire_owned().await else {
                return Ok(());
            };
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                _ = interrupt.recv() => return Ok(()),
                _ = terminate.recv() => return Ok(()),
            };
            let stream = match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    warn!("cannot take a call: {error}");
                    tokio::time::sleep(ACCEPT_RETRY).await;
                    continue;
                }
            };
            let keeper = Arc::clone(&keeper);
            tokio::spawn(async move {
                let _slot = slot;
                match tokio::time::timeout(CALL_TIME, one(&keeper, stream)).await {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => warn!("a log went before its answer: {error}"),
                    Err(_) => warn!("a log took longer than {CALL_TIME:?} to say its word"),
                }
            });
        }
    })
}

/// The socket; one that a dead signer left behind is replaced.
fn bind(path: &Path) -> Result<UnixListener, SignerError> {
    let at = |source| SignerError::Listen {
        path: path.to_owned(),
        source,
    };
    if std::os::unix::net::UnixStream::connect(path).is_ok() {
        return Err(SignerError::Taken {
            path: path.to_owned(),
        });
    }
    if fs::symlink_metadata(path).is_ok_and(|there| {
        use std::os::unix::fs::FileTypeExt;
        there.file_type().is_socket()
    }) {
        fs::remove_file(path).map_err(at)?;
    }
    let listener = UnixListener::bind(path).map_err(at)?;
    // The door is open to every user of the machine, and behind it each is asked who he is.
    fs::set_permissions(path, Permissions::from_mode(SOCKET_MODE)).map_err(at)?;
    Ok(listener)
}

async fn one(keeper: &Keeper, mut stream: UnixStream) -> io::Result<()> {
    let caller = stream.peer_cred()?.uid();
    // Read in any case: who is hung up on with words in the air does not hear the answer.
    let mut text = String::new();
    let mut bounded = (&mut stream).take(REQUEST_BYTES_MAX);
    bounded.read_to_string(&mut text).await?;
    let answer = if keeper.may_ask(caller) {
        keeper.answer(&text)
    } else {
        warn!("user {caller} is not one that may ask");
        format!(
            "refused user {caller} may not ask; start the signer with `--user {caller}` if it is the gateway's"
        )
    };
    stream.write_all(format!("{answer}\n").as_bytes()).await?;
    stream.shutdown().await
}

/// The key with its memory.
struct Keeper {
    signer: Signer,
    uids: Vec<u32>,
    file: PathBuf,
    /// Held from the judgement until it is on the disk: one word at a time.
    latest: Mutex<Option<TreeHead>>,
}

impl Keeper {
    fn new(settings: Settings) -> Result<Self, SignerError> {
        let Settings {
            memory,
            signer,
            mut uids,
            ..
        } = settings;
        let at = |source| SignerError::Memory {
            path: memory.clone(),
            source,
        };
        fs::create_dir_all(&memory).map_err(at)?;
        // What belongs to this process is as good as this process.
        uids.push(fs::metadata(&memory).map_err(at)?.uid());
        let file = memory.join("signed.checkpoint");
        let latest = remembered(&file, &signer)?;
        Ok(Self {
            signer,
            uids,
            file,
            latest: Mutex::new(latest),
        })
    }

    fn may_ask(&self, uid: u32) -> bool {
        self.uids.contains(&uid)
    }

    fn answer(&self, text: &str) -> String {
        match self.sign(text) {
            Ok(line) => line,
            Err(Refusal::OtherSize { latest }) => format!("size {latest}"),
            Err(refusal) => {
                error!("not signed: {refusal}");
                format!("refused {refusal}")
            }
        }
    }

    fn sign(&self, text: &str) -> Result<String, Refusal> {
        let request = SigningRequest::parse(text)?;
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        let signed = request.judge(&self.signer, *latest, unix_seconds())?;
        let head = signed.head();
        // A signer that forgets what it signed can be rolled back: it is on the disk before anybody sees it.
        let released = signed.release(|_, line| {
            let note = format!("{}\n{line}\n", request.checkpoint);
            hangu_audit::replace_file(&self.file, note.as_bytes())
        });
        match released {
            Ok(line) => {
                if latest.is_none() {
                    info!("the first checkpoint, of size {}", head.size);
                }
                *latest = Some(head);
                Ok(format!("signed {line}"))
            }
            Err(error) => {
                error!("cannot remember in {}: {error}", self.file.display());
                Ok("unable the signer cannot remember now".to_owned())
            }
        }
    }
}

/// What was signed last; it must carry the signer's own signature.
fn remembered(file: &Path, signer: &Signer) -> Result<Option<TreeHead>, SignerError> {
    let text = match fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => {
            return Err(SignerError::Memory {
                path: file.to_owned(),
                source,
            });
        }
    };
    let own = [signer.verifier().clone()];
    let checkpoint = Note::parse(&text)
        .ok()
        .and_then(|note| Checkpoint::open(&note, &own).ok());
    match checkpoint {
        Some(checkpoint) => Ok(Some(checkpoint.head())),
        None => Err(SignerError::Forged {
            path: file.to_owned(),
        }),
    }
}

fn unix_seconds() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

/// Bytes of a question: 63 hashes of a proof and a checkpoint are far less.
const REQUEST_BYTES_MAX: u64 = 16 * 1024;
const CONNECTIONS_MAX: usize = 8;
const CALL_TIME: Duration = Duration::from_secs(5);
const ACCEPT_RETRY: Duration = Duration::from_millis(100);
const SOCKET_MODE: u32 = 0o666;

#[cfg(test)]
mod tests {
    use hangu_audit::key::{KeyKind, KeyName};
    use hangu_audit::tree::empty_root;

    use super::*;

    const NAME: &str = "gate-1.example/audit";

    fn keeper(memory: &Path) -> Keeper {
        let name = KeyName::new(NAME).unwrap();
        let settings = Settings {
            socket: memory.join("socket"),
            memory: memory.to_owned(),
            signer: Signer::from_seed(name, KeyKind::Note, &[7; 32]).unwrap(),
            uids: Vec::new(),
        };
        Keeper::new(settings).unwrap()
    }

    fn request() -> String {
        let head = TreeHead {
            size: 0,
            root: empty_root(),
        };
        let checkpoint = Checkpoint::new(NAME, head).unwrap();
        format!("old 0\n\n{checkpoint}")
    }

    async fn asked(keeper: &Keeper, request: &[u8]) -> String {
        let (mut ours, theirs) = UnixStream::pair().unwrap();
        ours.write_all(request).await.unwrap();
        ours.shutdown().await.unwrap();
        // What cannot be read is not answered.
        drop(one(keeper, theirs).await);
        let mut answer = String::new();
        // Whoever says more than is read may be hung up on.
        drop(ours.read_to_string(&mut answer).await);
        answer
    }

    #[tokio::test]
    async fn only_users_that_it_was_told_of_get_an_answer() {
        let folder = tempfile::tempdir().unwrap();
        let mut keeper = keeper(folder.path());
        let answer = asked(&keeper, request().as_bytes()).await;
        assert!(answer.starts_with("signed \u{2014} "), "{answer}");
        keeper.uids.clear();
        let answer = asked(&keeper, request().as_bytes()).await;
        assert!(answer.starts_with("refused user "), "{answer}");
    }

    #[tokio::test]
    async fn hostile_questions_are_refused_and_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let keeper = keeper(folder.path());
        let long = vec![b'x'; 100_000];
        for (question, starts) in [
            (&b""[..], "refused "),
            (b"old 0\n\n", "refused "),
            (b"\xff\xfe", ""),
            (&long[..], ""),
        ] {
            let answer = asked(&keeper, question).await;
            assert!(
                answer.starts_with(starts) && !answer.starts_with("signed"),
                "{answer}"
            );
        }
    }
}
