//! `[audit]` as it is meant.

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hangu_audit::key::Verifier;

use crate::config::bounds;
use crate::config::values::ByteSize;

/// `[audit]`: the tamper-evident log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audit {
    /// Folder of the segments; it may not exist yet (create it with mode 0750).
    pub folder: PathBuf,
    /// Records that may wait for the disk; more are refused, and with them their requests.
    pub queue: NonZeroU32,
    /// Bytes after which a segment is closed and the next begun.
    pub segment: ByteSize,
    /// Longest time that a record waits for others to be synced with.
    pub flush: Duration,
    /// What signs its checkpoints.
    pub key: SigningKey,
    /// Who watches it from another machine.
    pub witness: Option<Witness>,
    /// Most bytes of the folder; `None`: as many as its file system has.
    pub disk_max: Option<ByteSize>,
}

impl Audit {
    /// What a configuration means that names the folder and nothing else; `None` if a bound had no default.
    #[must_use]
    pub fn in_folder(folder: &Path) -> Option<Self> {
        Some(Self {
            folder: folder.to_owned(),
            queue: bounds::AUDIT_QUEUE.default?,
            segment: bounds::AUDIT_SEGMENT.default?,
            flush: bounds::AUDIT_FLUSH.default?,
            key: SigningKey::Beside(folder.with_extension("key")),
            witness: None,
            disk_max: None,
        })
    }
}

/// `[audit.witness]`: a second party that cosigns the log's checkpoints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Witness {
    /// Where it is asked: `http://` or `https://`, without a slash at the end.
    pub url: String,
    /// Its key.
    pub key: Verifier,
    /// How often it is asked.
    pub interval: Duration,
    /// PEM bundle of the authorities that sign its server; never `None` for `https`.
    pub ca: Option<PathBuf>,
}

/// When an answer may go to the client, seen from its record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acknowledge {
    /// Once the record is on the disk: it outlives a loss of power.
    Durable,
    /// Once the system has it: it outlives the process.
    Written,
    /// At any time; under pressure the record may be dropped, and is counted in the log.
    Counted,
}

/// Where the key of the log is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SigningKey {
    /// In this file, which is there.
    File(PathBuf),
    /// In this file beside the log, where it is made at the first start.
    Beside(PathBuf),
    /// With another process, which signs for this one.
    Remote {
        /// Where it is asked.
        socket: PathBuf,
        /// What it signs with.
        key: Verifier,
    },
}
