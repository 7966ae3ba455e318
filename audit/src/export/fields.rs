//! A JSON object that leaves out what is empty.

use serde_json::{Map, Value};

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
