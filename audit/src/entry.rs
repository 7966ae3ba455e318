//! A line read back, and made readable for people.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::Deserialize;
use thiserror::Error;

use crate::encode::is_hidden;
use crate::record::LAYERS;

/// A record as read from its line: flat, as it was written. A field that was left out is empty, or `None`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
#[expect(
    missing_docs,
    reason = "the names are those of the line; the crate's doc and `record` say what each means"
)]
pub struct Entry {
    pub v: u32,
    pub seq: u64,
    /// Of the first record of a segment.
    pub algorithm: String,
    pub time: String,
    pub monotonic_us: u64,
    pub kind: String,
    pub node: String,
    pub boot: String,
    pub request_id: String,
    pub trace_id: String,
    pub decision: String,
    pub reason: String,
    pub rule: String,
    pub layers: Option<Layers>,
    pub mode: String,
    pub decided_at: u64,
    pub inputs: BTreeMap<String, String>,
    pub overridden: Vec<String>,
    pub obligations: Vec<String>,
    pub mask_hits: u64,
    pub shadow_decision: String,
    pub shadow_rule: String,
    pub shadow_policy: String,
    pub listener: String,
    pub client: String,
    pub zone: String,
    pub channel: String,
    pub subject: String,
    pub organisation: String,
    pub device: String,
    pub certificate: String,
    pub serial: String,
    pub issuer: String,
    pub proved_at: u64,
    pub application: String,
    pub tenant: String,
    pub route: String,
    pub label: String,
    pub policy_context: u64,
    pub method: String,
    pub path: String,
    pub path_hash: String,
    pub query_keys: Vec<String>,
    pub purpose: String,
    pub approval: String,
    pub status: Option<u16>,
    pub bytes_in: u64,
    pub bytes_out: u64,
    pub duration_us: u64,
    pub upstream: String,
    pub config_generation: u64,
    pub policy_epoch: u64,
    pub policy_generation: u64,
    pub policy_digest: String,
    pub actor: String,
    pub action: String,
    pub object: String,
    pub outcome: String,
    pub removed_through: u64,
    pub removed_hash: String,
    pub detail: String,
    /// Names of the fields whose value was longer than its bound and has been cut.
    pub cut: Vec<String>,
    pub prev: String,
    pub hash: String,
}

/// The result of each layer: `pass`, `refuse` or `not_reached`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "the names are those of the six layers")]
pub struct Layers {
    pub endpoint: String,
    pub edge: String,
    pub network: String,
    pub cloud: String,
    pub data: String,
    pub application: String,
}

/// A line is not a record.
#[derive(Debug, Error)]
#[error("this line is not an audit record: {0}; run `hangu audit verify` on the folder")]
pub struct ParseError(#[from] serde_json::Error);

/// One line of a log, made readable.
///
/// # Errors
/// When the line is not a record.
pub fn render(json: &str) -> Result<String, ParseError> {
    Entry::parse(json).map(|entry| entry.render())
}

impl Entry {
    /// Reads one line. Whether it is genuine is for [`verify`](crate::verify).
    ///
    /// # Errors
    /// When the line is not a JSON object with fields of these names and types.
    pub fn parse(json: &str) -> Result<Self, ParseError> {
        Ok(serde_json::from_str(json)?)
    }

    /// One readable line, without its newline: time, outcome, the six layers, who, what, answer, why. Whatever could move
    /// a terminal's cursor or turn its reading direction is shown as an escape.
    #[must_use]
    pub fn render(&self) -> String {
        let mut out = String::with_capacity(256);
        let word = if self.decision.is_empty() {
            &self.kind
        } else {
            &self.decision
        };
        push(&mut out, &self.time);
        push(&mut out, &format!("{:<8}", word.to_uppercase()));
        if let Some(layers) = &self.layers {
            push(&mut out, &layers.render());
        }
        if self.layers.is_some() || !self.client.is_empty() {
            push(
                &mut out,
                if self.subject.is_empty() {
                    "-"
                } else {
                    &self.subject
                },
            );
            push(&mut out, &self.client);
        }
        if !self.decision.is_empty() && self.kind != "request" {
            push(&mut out, &self.kind);
        }
        push(&mut out, &self.method);
        push(&mut out, &self.path);
        push(&mut out, &self.path_hash);
        if let Some(status) = self.status {
            push(&mut out, &format!("→ {status}"));
        }
        push(&mut out, &self.reason);
        push(&mut out, &self.rule);
        if self.kind == "request" {
            push(&mut out, &milliseconds(self.duration_us));
        }
        for word in [&self.actor, &self.action, &self.object, &self.outcome] {
            push(&mut out, word);
        }
        push(&mut out, &self.detail);
        if !self.request_id.is_empty() {
            push(&mut out, &format!("[{}]", self.request_id));
        }
        out
    }
}

impl Layers {
    /// Each layer's name and result, in order.
    #[must_use]
    pub fn named(&self) -> [(&'static str, &str); 6] {
        let steps = [
            &self.endpoint,
            &self.edge,
            &self.network,
            &self.cloud,
            &self.data,
            &self.application,
        ];
        std::array::from_fn(|at| {
            let name = LAYERS.get(at).copied().unwrap_or_default();
            (name, steps.get(at).map_or("", |step| step.as_str()))
        })
    }

    fn render(&self) -> String {
        let mut out = String::with_capacity(48);
        for (glyph, step) in [
            ("端", &self.endpoint),
            ("边", &self.edge),
            ("网", &self.network),
            ("云", &self.cloud),
            ("数", &self.data),
            ("用", &self.application),
        ] {
            push(&mut out, glyph);
            out.push(match step.as_str() {
                "pass" => '✓',
                "refuse" => '✗',
                _ => '·',
            });
        }
        out
    }
}

/// Appends a word after a space; an empty one is left out.
fn push(out: &mut String, word: &str) {
    if word.is_empty() {
        return;
    }
    if !out.is_empty() {
        out.push(' ');
    }
    for character in word.chars() {
        if is_hidden(character) {
            // Writing into a string cannot fail.
            let _written = write!(out, "\\u{{{:x}}}", u32::from(character));
        } else {
            out.push(character);
        }
    }
}

fn milliseconds(us: u64) -> String {
    format!("{}.{:03}ms", us / 1_000, us % 1_000)
}
