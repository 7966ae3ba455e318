//! The tamper-evident audit log: records, hash chain, segments, verifier.
//!
//! Every decision of the gateway becomes one record, and whoever changes, removes, swaps or inserts one later is found out
//! by anybody who has the folder. Pure: `std::io` only; no HTTP, no async; the time comes in as an argument.
//!
//! # The format
//! A folder holds segments, `audit-000000000001.jsonl` and so on, each named by the sequence number of its first record in
//! at least twelve digits. A segment is lines of UTF-8, each one JSON object ended by one newline (`\n`). Sequence numbers begin
//! with 1 and have no gap, within segments and from one to the next. A line is, byte for byte:
//!
//! ```text
//! {"v":2,"seq":N,…fields…,"prev":"P","hash":"H"}
//! ```
//!
//! - `H` is SHA-256 over a zero byte and the bytes of the line from its `{` up to, not including, `,"hash":"`: RFC 6962's leaf hash. The
//!   line ends with 75 bytes of `,"hash":"` `H` `"}` before the newline, so a script hashes all but the last 75.
//! - `P` is the `H` of the line before, in whatever segment; of the first record 64 zeros.
//! - Both are 64 lower-case hexadecimal digits.
//! - The first record of a segment has `"algorithm":"sha256"` behind `seq`: the segment's header.
//!
//! The fields are those of [`Record`], flat; empty ones are left out. Control characters, line separators and
//! characters that are invisible or turn the reading direction are written as `\uXXXX`. Values longer than their bound are
//! cut, and the field `cut` names them.
//!
//! `head.json` is `{"v":2,"seq":N,"hash":"H"}` and a newline: a record that the log has reached. `lock` is empty; who
//! writes the log holds its `flock`. Files named `….torn` hold what a crash left after the last whole record.
//!
//! `index/000000000001.ids` and so on say of each finished segment which request and trace ids it may hold ([`Search`]).
//!
//! `tree/level-0`, `tree/level-8`, … are a Merkle tree over the records ([`tiles`]): RFC 6962 with SHA-256, each `H` a leaf
//! hash. They follow from the segments and are made again when they are missing. `checkpoint`, where the
//! gateway signs its log, is a signed note ([`checkpoint`](mod@checkpoint)) of the tree's size and root.
//!
//! # What it proves
//! | who can do what | how it is found |
//! |---|---|
//! | anybody changes, deletes, swaps or inserts bytes, lines or segments | by the chain, always, with the place |
//! | cuts the tail | by `head.json`: all of it after a clean stop, all but the last few MiB (or the last minute, see [`Log::write_head`]) of a running process |
//! | writes the whole folder anew, chain, head and tree | by the signed checkpoint ([`verify_against`] with the key), up to what it covers |
//! | puts an older folder back, with its older checkpoint | by a newer checkpoint kept elsewhere, or by a [witness] |
//! | has the key too | only by a witness or a checkpoint kept elsewhere, up to what it covers |
//!
//! `docs/verify.py` checks all of it with nothing but Python, for whoever would not take our word.
//!
//! Finished segments may be compressed: `audit-….jsonl.zst` is one zstd frame over the bytes of `audit-….jsonl`. Where both are there,
//! the plain one counts.
//!
//! A log begins with record 1, or with record N + 1 when one of its own records has `removed_through` N and `removed_hash` the `prev` of
//! record N + 1 (kinds `retention` and `restored`), or a `removed_through` larger than N. The first segment that is there then begins the
//! chain with the `prev` that it names, and the tree with what its files hold of the first N records.
//!
//! # Who writes
//! One process a folder; a second one gets [`OpenError::Locked`]. On a binary upgrade the new process writes a log of its own in `waiting/` until the
//! old one has drained, and takes it over then ([`Log::take_waiting`]): one folder stays one chain.

mod ahead;
mod base64;
mod chain;
pub mod checkpoint;
mod cursor;
#[cfg(test)]
mod drills;
mod encode;
mod entry;
mod export;
mod fault;
mod filter;
mod head;
mod index;
pub mod key;
mod log;
mod log_error;
pub mod note;
mod open;
mod packed;
mod promises;
pub mod proof;
mod prove;
mod pseudonym;
mod reader;
mod record;
mod regrow;
pub mod remote;
mod removal;
mod room;
mod search;
mod segment;
mod standing;
mod stats;
mod stored;
pub mod tiles;
mod time;
pub mod tree;
mod tree_check;
mod verify;
mod waiting;
mod walk;
pub mod witness;

pub use chain::{Hash, LineFault, Link};
pub use cursor::{Cursor, CursorError, Mark};
pub use encode::{
    DETAIL_BYTES_MAX, INPUTS_MAX, LINE_BYTES_MAX, NAME_BYTES_MAX, OVERRIDDEN_MAX, PATH_BYTES_MAX,
    QUERY_KEY_BYTES_MAX, QUERY_KEYS_MAX, WORD_BYTES_MAX,
};
pub use entry::{Entry, Layers, ParseError, render};
pub use export::{Format, export, export_syslog};
pub use fault::{Damage, Fault};
pub use filter::{Field, Filter};
pub use log::{Log, Options};
pub use log_error::{AppendError, CommitError, Outlook};
pub use open::OpenError;
pub use packed::{Packed, pack};
pub use prove::{ProveError, RecordProof, RecordProofError, prove};
pub use pseudonym::{Hidden, NoPseudonymKey, Pseudonyms, Replace};
pub use reader::{Line, Position, ReadError, Reader};
pub use record::{
    Admin, Basis, Connection, Decision, Exchange, Inputs, Judgement, Kind, LAYERS, Mode, Origin,
    Record, Shadow, Step, Target,
};
pub use removal::{Removable, Removal, oldest};
pub use room::Reservation;
pub use search::Search;
pub use standing::{Standing, StandingError};
pub use stats::Stats;
pub use stored::{Stored, replace_file};
pub use time::Timestamp;
pub use verify::{Progress, Trust, Verified, VerifyError, verify, verify_against};
pub use waiting::TakenOver;
