//! Policies of which ordinary requests cost more than a decision may.

use super::finding::{Findings, Severity};
use super::reach::Sheet;

pub(crate) fn look(sheet: Sheet<'_>, findings: &mut Findings<'_>) {
    let index = &sheet.section.index;
    let rows = sheet.len();
    let row = index.cost.of_texts(BYTES);
    let steps = row.saturating_mul(u64::try_from(rows).unwrap_or(u64::MAX));
    if !index.compares_every_row() || steps <= index.cost.steps_max {
        return;
    }
    let what = format!(
        "no column finds the rows: a request of {BYTES} bytes takes {steps} steps to be compared with all {rows}, and beyond {} it is denied",
        index.cost.steps_max
    );
    let fix =
        "compare a column with `==` or a role, or write paths in whole segments: `/a/:id`, `/a/*`";
    let kind = (Severity::Warning, "costs-too-much");
    findings.at_rule(sheet, 0, None, kind, (what, fix.to_owned()));
}

/// Bytes of an ordinary path.
const BYTES: u64 = 256;
