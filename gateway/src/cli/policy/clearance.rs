//! What `hangu policy explain` says of clearance: the data layer asks it before any rule.

use hangu_policy::Policy;
use hangu_policy::analysis::{Authored, clearing};
use serde_json::json;

use crate::cli::say;

/// Whether a subject is cleared for a label, and what would clear it.
pub(super) struct Clearance {
    subject: String,
    label: String,
    pub(super) held: bool,
    /// Rows that each alone would clear it.
    rows: Vec<String>,
}

impl Clearance {
    /// `None` where no label is known.
    pub(super) fn of(
        authored: Authored<'_>,
        (subject, domain, label): (&str, &str, &str),
        time_unix_ms: Option<i64>,
    ) -> Option<Self> {
        let policy: &Policy = authored.policy;
        (!label.is_empty()).then(|| Self {
            subject: subject.to_owned(),
            label: label.to_owned(),
            held: policy.clears(subject, domain, label, time_unix_ms),
            rows: clearing(authored, (subject, domain, label), time_unix_ms),
        })
    }

    pub(super) fn say(&self) {
        let (subject, label) = (&self.subject, &self.label);
        if self.held {
            say(format_args!(
                "clearance: `{subject}` is cleared for `{label}`"
            ));
            return;
        }
        say(format_args!(
            "clearance: `{subject}` is not cleared for `{label}`: the data layer refuses before any rule is asked"
        ));
        if !self.rows.is_empty() {
            say("each of these rows alone would clear it:");
        }
        for row in &self.rows {
            say(format_args!("  add     {row}"));
        }
    }

    pub(super) fn as_json(&self) -> serde_json::Value {
        json!({"label": self.label, "held": self.held, "add": self.rows})
    }
}
