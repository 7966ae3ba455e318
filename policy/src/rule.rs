//! A rule as people see it: its place and its text.

use crate::rules::symbols::{Symbol, Symbols};
use crate::rules::table::Shape;
use std::fmt;
use std::hash::Hasher;

/// Where a rule stands and what it says.
#[derive(Clone, Copy, Debug)]
pub struct RuleView<'a> {
    /// The file: the policy, or the model where its effect or matcher decided.
    pub file: &'a str,
    /// The line, counted from 1; 0 if there is no such rule.
    pub line: usize,
    pub(crate) text: RuleText<'a>,
}

#[derive(Clone, Copy)]
pub(crate) enum RuleText<'a> {
    Row(&'a Shape, &'a [Symbol], &'a Symbols),
    Model(&'a str),
}

impl fmt::Debug for RuleText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for RuleText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Model(text) => f.write_str(text),
            Self::Row(shape, fields, symbols) => {
                f.write_str(&shape.name)?;
                for field in *fields {
                    write!(f, ", {}", symbols.text(*field))?;
                }
                Ok(())
            }
        }
    }
}

impl<'a> RuleView<'a> {
    /// The row, its fields joined by `, `; or the text of the model's effect or matcher.
    pub fn text(&self) -> String {
        self.text.to_string()
    }

    /// What the row has in a column of the model's `p`; columns that no matcher reads may tell what else a permit
    /// demands.
    pub fn field(&self, column: &str) -> Option<&'a str> {
        let RuleText::Row(shape, fields, symbols) = self.text else {
            return None;
        };
        let position = shape.columns.iter().position(|name| name == column)?;
        fields.get(position).map(|symbol| symbols.text(*symbol))
    }

    /// What it says, for a table of rules by content: two rules with the same text give the same.
    pub fn hash_text(&self, state: &mut impl Hasher) {
        match self.text {
            RuleText::Model(text) => state.write(text.as_bytes()),
            RuleText::Row(shape, fields, symbols) => {
                state.write(shape.name.as_bytes());
                for field in fields {
                    state.write_u8(0);
                    state.write(symbols.text(*field).as_bytes());
                }
            }
        }
    }

    /// Whether it is a row of the policy rather than a line of the model.
    pub fn is_row(&self) -> bool {
        matches!(self.text, RuleText::Row(..))
    }
}

impl fmt::Display for RuleView<'_> {
    /// `policy.csv:12`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}
