//! The self-test's table: what was tried, what was expected, what was seen.

/// One row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    /// The sign of the layer that it shows, or of the gateway as a whole.
    pub(super) sign: &'static str,
    pub(super) story: String,
    pub(super) expected: String,
    pub(super) seen: String,
}

impl Row {
    /// Whether what was seen is what was expected.
    pub(super) fn holds(&self) -> bool {
        self.expected == self.seen
    }

    /// As a line of the table.
    pub(super) fn line(&self) -> String {
        let mark = if self.holds() { '✓' } else { '✗' };
        format!(
            "{mark} {}  {:<55}  {:<34}  {}",
            self.sign, self.story, self.expected, self.seen
        )
    }
}

/// The line above the rows.
pub(super) fn heading() -> String {
    format!("      {:<55}  {:<34}  seen", "what is tried", "expected")
}

/// The sign of rows that are about the gateway as a whole; as wide as a layer's.
pub(super) const WHOLE: &str = "关";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_that_does_not_hold_is_marked() {
        let row = |seen: &str| Row {
            sign: WHOLE,
            story: "a story".to_owned(),
            expected: "403 data.label".to_owned(),
            seen: seen.to_owned(),
        };
        assert!(row("403 data.label").line().starts_with("✓ 关  a story "));
        assert!(row("200").line().starts_with("✗ 关  a story "));
    }
}
