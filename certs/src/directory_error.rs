//! What is wrong with a directory file, for the operator who maintains it.

use crate::der::Malformed;
use crate::name;

/// Why a directory is refused: which file, which line, what.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("directory `{file}`, line {line}: {problem}")]
pub struct DirectoryError {
    /// The file's name, as configured.
    pub file: String,
    /// Counted from 1; a row over several lines counts by its first.
    pub line: usize,
    /// What is wrong.
    pub problem: DirectoryProblem,
}

/// What can be wrong with a directory.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DirectoryProblem {
    /// The file is empty.
    #[error("the first line must name the columns, such as `key,subject,roles`")]
    NoHeader,
    /// A column that does not exist.
    #[error(
        "there is no column `{}`; the columns are certificate, key, match, subject, organisation, roles, clearance, device_class, posture and posture_at",
        shown(.column)
    )]
    UnknownColumn {
        /// As written.
        column: String,
    },
    /// A column twice.
    #[error("the column `{}` is there twice", shown(.column))]
    RepeatedColumn {
        /// As written.
        column: String,
    },
    /// Nothing to find rows by.
    #[error("no column says whom a row is about; add `certificate`, `key` or `match`")]
    NoKeyColumn,
    /// Another number of fields than columns.
    #[error(
        "it has {found} fields and the first line {expected}; write `\"` around a field with a comma in it"
    )]
    Fields {
        /// Columns.
        expected: usize,
        /// Fields.
        found: usize,
    },
    /// None or several of the three keys.
    #[error("exactly one of `certificate`, `key` and `match` must be filled in")]
    NotOneKey,
    /// The same key in an earlier line.
    #[error("an earlier line is about the same holder; keep one of them")]
    Repeated,
    /// No SHA-256.
    #[error("`{}` is not a SHA-256: 64 hexadecimal digits", shown(.text))]
    Fingerprint {
        /// As written.
        text: String,
    },
    /// A text that is too long or not visible.
    #[error("a field is unusable: {0}")]
    Text(Malformed),
    /// Roles that are empty, repeated or too many.
    #[error("roles are 1 to 64 different names with `;` between")]
    Roles,
    /// No posture.
    #[error("`{}` is not a posture: a whole number from 0 to 100", shown(.text))]
    Posture {
        /// As written.
        text: String,
    },
    /// No time.
    #[error("`{}` is not a time such as `2026-11-24T08:00:00+08:00`", shown(.text))]
    Time {
        /// As written.
        text: String,
    },
    /// Roles or clearance without a policy subject.
    #[error(
        "roles and clearance belong to a policy subject; fill in `subject`, or find the row by `match`"
    )]
    NoSubject,
    /// Other roles or another clearance than an earlier row of the same policy subject.
    #[error(
        "an earlier line gives the same policy subject other roles or another clearance; make them agree, or give this row a `subject` of its own"
    )]
    Differs,
    /// A posture without its time or the other way round.
    #[error("`posture` and `posture_at` belong together; fill in both or neither")]
    HalfPosture,
    /// A quote in the wrong place.
    #[error(
        "a `\"` stands where none may; write `\"\"` for one inside a quoted field, and close what is opened"
    )]
    Quote,
    /// Not UTF-8.
    #[error("the file is not UTF-8; save it in that encoding")]
    Encoding,
    /// Over the bounds.
    #[error("the directory is over 256 MiB or two million holders")]
    TooLarge,
}

/// What somebody wrote, as a line for a terminal or a log can bear it.
fn shown(text: &str) -> String {
    let cut = if text.chars().nth(SHOWN_CHARACTERS_MAX).is_some() {
        "…"
    } else {
        ""
    };
    let bearable = text.chars().take(SHOWN_CHARACTERS_MAX).map(|character| {
        if name::is_invisible(character) {
            char::REPLACEMENT_CHARACTER
        } else {
            character
        }
    });
    bearable.chain(cut.chars()).collect()
}

const SHOWN_CHARACTERS_MAX: usize = 80;
