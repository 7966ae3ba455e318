//! A JSON object that leaves out what is empty.

use serde_json::{Map, Value};

use crate::entry::Entry;

#[derive(Default)]
pub(super) struct Fields(Map<String, Value>);

impl Fields {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// Left out when empty.
    pub(super) fn text(mut self, name: &str, text: &str) -> Self {
        if !text.is_empty() {
            self.0.insert(name.to_owned(), text.into());
        }
        self
    }

    pub(super) fn number(mut self, name: &str, number: impl Into<u64>) -> Self {
        self.0.insert(name.to_owned(), number.into().into());
        self
    }

    /// Left out when `None`.
    pub(super) fn maybe(self, name: &str, number: Option<impl Into<u64>>) -> Self {
        match number {
            Some(number) => self.number(name, number),
            None => self,
        }
    }

    /// Left out when empty.
    pub(super) fn list(mut self, name: &str, values: impl IntoIterator<Item = Value>) -> Self {
        let values: Vec<_> = values.into_iter().collect();
        if !values.is_empty() {
            self.0.insert(name.to_owned(), values.into());
        }
        self
    }

    /// Left out when it has no fields.
    pub(super) fn object(mut self, name: &str, fields: Self) -> Self {
        if !fields.0.is_empty() {
            self.0.insert(name.to_owned(), fields.into());
        }
        self
    }
}

impl From<Fields> for Value {
    fn from(fields: Fields) -> Self {
        Self::Object(fields.0)
    }
}

/// What the schemas have no field for, by the names of the log.
pub(super) fn own(entry: &Entry) -> Fields {
    let texts = |texts: &[String]| -> Vec<Value> {
        texts.iter().map(|text| text.as_str().into()).collect()
    };
    let nonzero = |number: u64| (number > 0).then_some(number);
    Fields::new()
        .text("kind", &entry.kind)
        .text("boot", &entry.boot)
        .maybe("monotonic_us", nonzero(entry.monotonic_us))
        .text("listener", &entry.listener)
        .text("channel", &entry.channel)
        .text("organisation", &entry.organisation)
        .text("device", &entry.device)
        .text("tenant", &entry.tenant)
        .text("route", &entry.route)
        .text("label", &entry.label)
        .maybe("policy_context", nonzero(entry.policy_context))
        .maybe("proved_at", nonzero(entry.proved_at))
        .text("path_hash", &entry.path_hash)
        .list("query_keys", texts(&entry.query_keys))
        .text("purpose", &entry.purpose)
        .text("approval", &entry.approval)
        .text("mode", &entry.mode)
        .list("obligations", texts(&entry.obligations))
        .maybe("mask_hits", nonzero(entry.mask_hits))
        .text("shadow_decision", &entry.shadow_decision)
        .text("shadow_rule", &entry.shadow_rule)
        .text("shadow_policy", &entry.shadow_policy)
        .number("config_generation", entry.config_generation)
        .maybe("policy_epoch", nonzero(entry.policy_epoch))
        .number("policy_generation", entry.policy_generation)
        .maybe("removed_through", nonzero(entry.removed_through))
        .text("removed_hash", &entry.removed_hash)
        .list("cut", texts(&entry.cut))
}
