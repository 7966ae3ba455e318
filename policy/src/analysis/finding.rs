//! What a policy was found to be wrong about, and where.

use super::reach::Sheet;
use crate::problem::{Place, Problem, Problems};
use crate::rules::csv;
use std::fmt;

/// How bad it is.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Severity {
    /// The policy works, and not as its text makes believe.
    Warning,
    /// The policy says two things at once, or lets in who was not meant.
    Error,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}

/// One thing that the author should look at.
///
/// Displayed on one line: `policy.csv:12:7: warning[duplicate]: what it is and why it matters; how to fix it`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// One word for its kind, for scripts: `shadowed`, `duplicate`, …
    pub kind: &'static str,
    /// Where it is, what it is and why it matters, and the fix.
    pub problem: Problem,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Problem {
            file,
            line,
            column,
            what,
            fix,
        } = &self.problem;
        let (severity, kind) = (self.severity, self.kind);
        write!(
            f,
            "{file}:{line}:{column}: {severity}[{kind}]: {what}; {fix}"
        )
    }
}

/// The findings so far, and the text of the policy that they point into.
pub(crate) struct Findings<'a> {
    file: &'a str,
    lines: Vec<&'a str>,
    found: Vec<Finding>,
    /// Characters that no path of a request may hold.
    pub(crate) refused: fn(char) -> bool,
}

impl<'a> Findings<'a> {
    pub(crate) fn new(file: &'a str, text: &'a str, refused: fn(char) -> bool) -> Self {
        Self {
            file,
            lines: text.split('\n').collect(),
            found: Vec::new(),
            refused,
        }
    }

    /// At a field of a rule, 0 being the first after the row's type, or at its start.
    pub(crate) fn at_rule(
        &mut self,
        sheet: Sheet<'_>,
        row: usize,
        column: Option<usize>,
        (severity, kind): (Severity, &'static str),
        (what, fix): (String, String),
    ) {
        self.at(sheet.line(row), column, (severity, kind), (what, fix));
    }

    /// At a field of a line of the policy.
    pub(crate) fn at(
        &mut self,
        line: usize,
        column: Option<usize>,
        (severity, kind): (Severity, &'static str),
        (what, fix): (String, String),
    ) {
        if self.found.len() >= FINDINGS_MAX {
            return;
        }
        let problem = Problem {
            file: self.file.to_owned(),
            line,
            column: column.map_or(1, |column| self.column(line, column + 1)),
            what,
            fix,
        };
        self.found.push(Finding {
            severity,
            kind,
            problem,
        });
    }

    /// At a place of the model.
    pub(crate) fn in_model(
        &mut self,
        (file, at): (&str, Place),
        (severity, kind): (Severity, &'static str),
        (what, fix): (String, String),
    ) {
        let problem = Problem {
            file: file.to_owned(),
            line: at.line,
            column: at.column,
            what,
            fix,
        };
        self.found.push(Finding {
            severity,
            kind,
            problem,
        });
    }

    /// Where the field of this number starts, the row's type being number 0.
    fn column(&self, line: usize, field: usize) -> usize {
        let text = self.lines.get(line.saturating_sub(1)).copied();
        let mut fields = Vec::new();
        csv::split(
            text.unwrap_or_default(),
            line,
            &mut fields,
            &mut Problems::new(""),
        );
        fields.get(field).map_or(1, |field| field.column)
    }

    /// All, in the order of the file.
    pub(crate) fn into_vec(mut self) -> Vec<Finding> {
        self.found.sort_by(|a, b| {
            (a.problem.line, a.problem.column, a.kind).cmp(&(
                b.problem.line,
                b.problem.column,
                b.kind,
            ))
        });
        self.found
    }
}

/// Findings that are collected: enough for an hour of repair.
const FINDINGS_MAX: usize = 10_000;
