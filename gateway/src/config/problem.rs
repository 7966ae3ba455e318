//! What is wrong with a configuration file: where, what, how to fix; one line each.

use std::fmt;
use std::path::PathBuf;

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
    /// A fault from its two halves.
    pub(super) fn new(what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            fix: fix.into(),
        }
    }
}
