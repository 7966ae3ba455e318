//! What is wrong with a model or a policy, and where.
//!
//! Loading collects every problem instead of stopping at the first: an author who repairs a file of ten thousand
//! rows wants one round, not fifty.

use std::error::Error;
use std::fmt;

/// A text together with the name it is to have in errors.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Source<'a> {
    /// The file's name, as the operator knows it.
    pub name: &'a str,
    /// The file's whole content.
    pub text: &'a str,
}

/// One thing wrong with a model or a policy.
///
/// Displayed on one line: `policy.csv:12:7: what is wrong; how to fix it`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Problem {
    /// The file, as named in its [`Source`].
    pub file: String,
    /// The line, counted from 1.
    pub line: usize,
    /// The column in characters, counted from 1.
    pub column: usize,
    /// What is wrong: lower case, no full stop.
    pub what: String,
    /// What the author can do about it.
    pub fix: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            file,
            line,
            column,
            what,
            fix,
        } = self;
        write!(f, "{file}:{line}:{column}: {what}; {fix}")
    }
}

impl Error for Problem {}

/// A line and a column, both counted from 1.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Place {
    pub(crate) line: usize,
    pub(crate) column: usize,
}

/// The problems found so far in one file.
#[derive(Debug)]
pub(crate) struct Problems<'a> {
    file: &'a str,
    found: Vec<Problem>,
}

impl<'a> Problems<'a> {
    pub(crate) fn new(file: &'a str) -> Self {
        Self {
            file,
            found: Vec::new(),
        }
    }

    /// Remembers one problem; beyond [`PROBLEMS_MAX`] they are no longer collected.
    pub(crate) fn add(&mut self, at: Place, what: impl Into<String>, fix: impl Into<String>) {
        if self.found.len() < PROBLEMS_MAX {
            self.found.push(Problem {
                file: self.file.to_owned(),
                line: at.line,
                column: at.column,
                what: what.into(),
                fix: fix.into(),
            });
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// No more are collected: the reader may stop.
    pub(crate) fn is_full(&self) -> bool {
        self.found.len() >= PROBLEMS_MAX
    }

    pub(crate) fn into_vec(self) -> Vec<Problem> {
        self.found
    }
}

/// How many problems of one file are reported: enough for one round of repair, little enough to print.
const PROBLEMS_MAX: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_says_where_what_and_how_to_fix() {
        let mut problems = Problems::new("policy.csv");
        problems.add(
            Place {
                line: 12,
                column: 7,
            },
            "`Deny` is not an effect",
            "write `allow` or `deny`",
        );
        let shown = problems.into_vec()[0].to_string();
        assert_eq!(
            shown,
            "policy.csv:12:7: `Deny` is not an effect; write `allow` or `deny`"
        );
    }

    #[test]
    fn problems_are_bounded() {
        let mut problems = Problems::new("policy.csv");
        for line in 1..10_000 {
            problems.add(Place { line, column: 1 }, "x", "y");
        }
        assert!(problems.is_full());
        assert_eq!(problems.into_vec().len(), PROBLEMS_MAX);
    }
}
