//! `[audit.retention]` as it is meant.

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
    pub archive: Option<PathBuf>,
    /// How often it is looked for what can be compressed or removed.
    pub every: Duration,
}
