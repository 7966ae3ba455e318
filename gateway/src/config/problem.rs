//! What is wrong with a configuration file: where, what, how to fix; one line each.

use std::fmt;
use std::path::{Path, PathBuf};

/// One mistake at one place of the file. Displayed as `hangu.toml:12:7: what; how to fix`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file as the operator named it.
    pub file: PathBuf,
    /// Counted from 1; 0 when the file could not be read at all.
    pub line: usize,
    /// Counted in characters from 1; 0 when the file could not be read at all.
    pub column: usize,
    /// What is wrong; the input in backticks.
    pub what: String,
    /// What to write instead.
    pub fix: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}", self.file.display())?;
        if self.line > 0 {
            write!(out, ":{}:{}", self.line, self.column)?;
        }
        write!(out, ": {}; {}", self.what, self.fix)
    }
}

impl std::error::Error for Problem {}

/// Every problem that was found in one file, in the order of the file; never empty.
/// Displayed as one line each, without a line break at the end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", lines(.problems))]
pub struct ConfigErrors {
    problems: Vec<Problem>,
}

impl ConfigErrors {
    /// What was found; `problems` is not empty.
    pub(super) fn new(problems: Vec<Problem>) -> Self {
        Self { problems }
    }

    /// The problems, in the order of the file.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

fn lines(problems: &[Problem]) -> String {
    let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

/// A problem whose place in the file is not yet known: what the parsers of single values return.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}; {fix}")]
pub struct Fault {
    /// What is wrong; the input in backticks.
    pub what: String,
    /// What to write instead.
    pub fix: String,
}

impl Fault {
    /// A fault from its two halves. Control characters that came in with the file are escaped, so that a
    /// problem stays one line and cannot command the operator's terminal; what is over-long is cut.
    pub(super) fn new(what: impl AsRef<str>, fix: impl AsRef<str>) -> Self {
        Self {
            what: printable(what.as_ref()),
            fix: printable(fix.as_ref()),
        }
    }
}

fn printable(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if out.len() >= HALF_BYTES_MAX {
            out.push('…');
            break;
        }
        if c.is_control() {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

/// Bytes of each half of a problem, more or less a character.
const HALF_BYTES_MAX: usize = 600;

/// Gathers problems while a file is read, and knows how a byte of the file becomes a line and a column.
#[derive(Debug)]
pub(super) struct Report<'a> {
    file: &'a Path,
    text: &'a str,
    found: Vec<(usize, Fault)>,
}

impl<'a> Report<'a> {
    /// An empty report on `text`, which came from `file`.
    pub(super) fn new(file: &'a Path, text: &'a str) -> Self {
        Self {
            file,
            text,
            found: Vec::new(),
        }
    }

    /// Adds a fault that begins at this byte of the text.
    pub(super) fn add(&mut self, at: usize, fault: Fault) {
        self.found.push((at, fault));
    }

    /// Whether nothing was found so far.
    pub(super) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// The problems in the order of the file, at most [`PROBLEMS_MAX`] and then one that counts the others.
    pub(super) fn finish(mut self) -> Vec<Problem> {
        self.found.sort_by_key(|(at, _)| *at);
        let more = self.found.len().saturating_sub(PROBLEMS_MAX);
        self.found.truncate(PROBLEMS_MAX);
        if more > 0 {
            let last = self.found.last().map_or(0, |(at, _)| *at);
            let fault = Fault::new(
                format!("{more} more problems follow"),
                "correct these first",
            );
            self.found.push((last, fault));
        }
        let (file, text) = (self.file, self.text);
        let place = |(at, fault): (usize, Fault)| {
            let (line, column) = line_and_column(text, at);
            Problem {
                file: file.to_owned(),
                line,
                column,
                what: fault.what,
                fix: fault.fix,
            }
        };
        self.found.into_iter().map(place).collect()
    }
}

/// Both counted from 1, the column in characters; a place behind the end is the end.
pub(super) fn line_and_column(text: &str, at: usize) -> (usize, usize) {
    let mut line = 1_usize;
    let mut column = 1_usize;
    for (_, c) in text.char_indices().take_while(|(index, _)| *index < at) {
        if c == '\n' {
            line = line.saturating_add(1);
            column = 1;
        } else {
            column = column.saturating_add(1);
        }
    }
    (line, column)
}

/// Problems that one run lists; a file with more is most likely not a configuration at all.
const PROBLEMS_MAX: usize = 100;
