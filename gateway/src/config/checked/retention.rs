//! `[audit.retention]` as it is meant.

use std::fmt;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

/// How long the audit log is kept, and what becomes of it then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Days that a record is kept at least; 180 or more unless the profile says that nobody's duty hangs on the log.
    pub days: NonZeroU32,
    /// Finished segments are compressed.
    pub compress: bool,
    /// Where segments are copied before they are removed; `None`: nowhere.
    pub archive: Option<Archive>,
    /// How often it is looked for what can be compressed or removed.
    pub every: Duration,
}

/// Where removed segments are kept. Shown as the configuration names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Archive {
    /// In a folder.
    Folder(PathBuf),
    /// In an object store.
    Store(ObjectStore),
}

/// A bucket of an S3-compatible store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectStore {
    /// The bucket.
    pub bucket: String,
    /// Before the name of each object: empty, or ending in a slash.
    pub prefix: String,
    /// `https://`, or `http://` to a loopback address.
    pub endpoint: String,
    /// What requests are signed for.
    pub region: String,
    /// Where the bucket's name stands.
    pub address: StoreAddress,
    /// The access key's name.
    pub key_id: String,
    /// The file of its secret.
    pub secret: PathBuf,
    /// PEM bundle of the authorities that sign the store's server; never `None` for `https`.
    pub ca: Option<PathBuf>,
}

/// Where the name of a bucket stands in an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreAddress {
    /// `https://s3.example/bucket/key`.
    Path,
    /// `https://bucket.s3.example/key`.
    Host,
}

impl Archive {
    /// The files that it is reached by.
    pub fn files(&self) -> impl Iterator<Item = &PathBuf> {
        let store = match self {
            Self::Folder(_) => None,
            Self::Store(store) => Some(store),
        };
        store
            .into_iter()
            .flat_map(|store| [Some(&store.secret), store.ca.as_ref()])
            .flatten()
    }
}

impl fmt::Display for Archive {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(folder) => write!(formatter, "{}", folder.display()),
            Self::Store(store) => write!(formatter, "s3://{}/{}", store.bucket, store.prefix),
        }
    }
}
