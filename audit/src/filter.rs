//! Which records somebody looks for.
//!
//! A search reads gigabytes to show a page, so most lines must be refused without being parsed: the log spells every value in
//! exactly one way, hence a record with the subject `wang.li` holds the bytes `"subject":"wang.li"`, and a line without them is
//! passed over at the speed of a byte search.

use crate::encode::escape;
use crate::entry::Entry;
use crate::export::address_and_port;
use crate::time::Timestamp;

/// A field that can be searched for its exact value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names are those of the fields of a record")]
pub enum Field {
    Kind,
    Decision,
    Reason,
    Subject,
    Application,
    Tenant,
    Label,
    Client,
    Certificate,
    Serial,
    Path,
    PathHash,
    RequestId,
    TraceId,
    Rule,
}

impl Field {
    /// Every field with its name in the log.
    pub const ALL: [(&'static str, Self); 15] = [
        ("kind", Self::Kind),
        ("decision", Self::Decision),
        ("reason", Self::Reason),
        ("subject", Self::Subject),
        ("application", Self::Application),
        ("tenant", Self::Tenant),
        ("label", Self::Label),
        ("client", Self::Client),
        ("certificate", Self::Certificate),
        ("serial", Self::Serial),
        ("path", Self::Path),
        ("path_hash", Self::PathHash),
        ("request_id", Self::RequestId),
        ("trace_id", Self::TraceId),
        ("rule", Self::Rule),
    ];

    /// Its name in the log.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::ALL
            .iter()
            .find(|(_, field)| *field == self)
            .map_or("", |(name, _)| name)
    }

    /// Its value in a record; empty when the record does not have it.
    #[must_use]
    pub fn of(self, entry: &Entry) -> &str {
        match self {
            Self::Kind => &entry.kind,
            Self::Decision => &entry.decision,
            Self::Reason => &entry.reason,
            Self::Subject => &entry.subject,
            Self::Application => &entry.application,
            Self::Tenant => &entry.tenant,
            Self::Label => &entry.label,
            Self::Client => &entry.client,
            Self::Certificate => &entry.certificate,
            Self::Serial => &entry.serial,
            Self::Path => &entry.path,
            Self::PathHash => &entry.path_hash,
            Self::RequestId => &entry.request_id,
            Self::TraceId => &entry.trace_id,
            Self::Rule => &entry.rule,
        }
    }
}

/// Conditions that must all hold. Without any, every record matches.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    since: Option<Timestamp>,
    until: Option<Timestamp>,
    /// Of each, one must hold.
    values: Vec<Vec<Value>>,
    /// An address, whatever its port, or what else it may stand there as.
    client: Option<Vec<String>>,
}

/// A field and what it must hold.
#[derive(Clone, Debug)]
struct Value {
    field: Field,
    value: String,
    /// As it is written in a line.
    needle: String,
}

impl Value {
    fn new(field: Field, value: &str) -> Self {
        let mut needle = format!("\"{}\":\"", field.name()).into_bytes();
        escape(&mut needle, value);
        needle.push(b'"');
        Self {
            field,
            value: value.to_owned(),
            needle: String::from_utf8_lossy(&needle).into_owned(),
        }
    }

    /// The value as it is written.
    fn written(&self) -> Option<&[u8]> {
        let value = self
            .needle
            .strip_prefix('"')?
            .strip_prefix(self.field.name())?;
        Some(value.strip_prefix("\":\"")?.strip_suffix('"')?.as_bytes())
    }
}

impl Filter {
    /// No condition.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            since: None,
            until: None,
            values: Vec::new(),
            client: None,
        }
    }

    /// Not before this moment.
    #[must_use]
    pub const fn since(mut self, time: Timestamp) -> Self {
        self.since = Some(time);
        self
    }

    /// Before this moment.
    #[must_use]
    pub const fn until(mut self, time: Timestamp) -> Self {
        self.until = Some(time);
        self
    }

    /// With exactly this value in this field; not empty. Two values of one field match nothing.
    #[must_use]
    pub fn with(self, field: Field, value: &str) -> Self {
        self.with_any([(field, value)])
    }

    /// With at least one of these values in its field; none empty.
    #[must_use]
    pub fn with_any<'v>(mut self, values: impl IntoIterator<Item = (Field, &'v str)>) -> Self {
        let values = values.into_iter();
        self.values.push(
            values
                .map(|(field, value)| Value::new(field, value))
                .collect(),
        );
        self
    }

    /// From this client: an address with any port, or with the one that is given.
    #[must_use]
    pub fn with_client(self, client: &str) -> Self {
        self.with_client_or(client, Vec::new())
    }

    /// From this client, or one that stands in the log as one of these pseudonyms: they are of its address, whatever its port.
    #[must_use]
    pub fn with_client_or(mut self, client: &str, pseudonyms: Vec<String>) -> Self {
        let (address, port) = address_and_port(client);
        if port.is_some() {
            let also = pseudonyms.iter().map(String::as_str);
            return self.with_any(
                [client]
                    .into_iter()
                    .chain(also)
                    .map(|value| (Field::Client, value)),
            );
        }
        let mut any = pseudonyms;
        any.push(address.to_owned());
        self.client = Some(any);
        self
    }

    /// Not before the one moment and before the other.
    pub(crate) const fn window(&self) -> (Option<Timestamp>, Option<Timestamp>) {
        (self.since, self.until)
    }

    /// The request and trace ids that are looked for, as they are written in a line.
    pub(crate) fn ids(&self) -> impl Iterator<Item = &[u8]> {
        self.values.iter().filter_map(|any| match any.as_slice() {
            [one] if matches!(one.field, Field::RequestId | Field::TraceId) => one.written(),
            _ => None,
        })
    }

    /// The record on this line, when it matches. A line that is no record matches nothing: that it is there is for
    /// [`verify`](crate::verify) to say.
    #[must_use]
    pub fn find(&self, line: &str) -> Option<Entry> {
        let may_hold = |client: &String| line.contains(client.as_str());
        if self
            .client
            .as_ref()
            .is_some_and(|any| !any.iter().any(may_hold))
        {
            return None;
        }
        let holds = |value: &Value| line.contains(value.needle.as_str());
        if !self.values.iter().all(|any| any.iter().any(holds)) {
            return None;
        }
        Entry::parse(line).ok().filter(|entry| self.matches(entry))
    }

    /// Whether a record matches.
    #[must_use]
    pub fn matches(&self, entry: &Entry) -> bool {
        let is_in_time = || {
            let Some(time) = Timestamp::parse(&entry.time) else {
                return false;
            };
            self.since.is_none_or(|since| time >= since)
                && self.until.is_none_or(|until| time < until)
        };
        self.values
            .iter()
            .all(|any| any.iter().any(|one| one.field.of(entry) == one.value))
            && self.client.as_ref().is_none_or(|any| {
                let address = address_and_port(&entry.client).0;
                any.iter().any(|client| client == address)
            })
            && (self.since.is_none() && self.until.is_none() || is_in_time())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::encode::body;
    use crate::record::{Connection, Kind, Origin, Record, Target};

    fn line(subject: &str, application: &str, ms: u64) -> String {
        let origin = Arc::new(Origin {
            node: "gate-1".into(),
            boot: "b7".into(),
        });
        let mut record = Record::event(Kind::Handshake, Timestamp::from_unix_ms(ms), origin, "");
        record.connection = Some(Arc::new(Connection {
            subject: subject.into(),
            ..Connection::default()
        }));
        record.target = Some(Arc::new(Target {
            application: application.into(),
            ..Target::default()
        }));
        let mut out = Vec::new();
        body(&record, 1, None, &mut out);
        out.push(b'}');
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn all_conditions_must_hold() {
        let line = line("wang.li", "residents", 5_000);
        let at = Timestamp::from_unix_ms;
        for (filter, found) in [
            (Filter::new(), true),
            (Filter::new().with(Field::Subject, "wang.li"), true),
            (Filter::new().with(Field::Subject, "wang"), false),
            (
                Filter::new()
                    .with(Field::Subject, "wang.li")
                    .with(Field::Application, "residents"),
                true,
            ),
            (
                Filter::new()
                    .with(Field::Subject, "wang.li")
                    .with(Field::Application, "taxes"),
                false,
            ),
            (Filter::new().with(Field::Tenant, "residents"), false),
            (
                Filter::new().with_any([(Field::Tenant, "x"), (Field::Subject, "wang.li")]),
                true,
            ),
            (
                Filter::new().with_any([(Field::Tenant, "x"), (Field::Subject, "wang")]),
                false,
            ),
            (Filter::new().with(Field::Kind, "handshake"), true),
            (Filter::new().since(at(5_000)).until(at(5_001)), true),
            (Filter::new().since(at(5_001)), false),
            (Filter::new().until(at(5_000)), false),
        ] {
            assert_eq!(filter.find(&line).is_some(), found, "{filter:?}");
        }
        assert!(Filter::new().find("not a record").is_none());
    }

    #[test]
    fn a_value_that_imitates_another_field_is_not_taken_for_it() {
        let line = line("x\",\"application\":\"taxes", "residents", 0);
        assert!(
            Filter::new()
                .with(Field::Application, "taxes")
                .find(&line)
                .is_none()
        );
        assert!(
            Filter::new()
                .with(Field::Subject, "x\",\"application\":\"taxes")
                .find(&line)
                .is_some()
        );
    }

    #[test]
    fn every_field_has_its_name_and_place() {
        for (name, field) in Field::ALL {
            assert_eq!(field.name(), name);
            let entry = Entry::parse(&format!("{{\"{name}\":\"v\"}}")).unwrap();
            assert_eq!(field.of(&entry), "v", "{name}");
        }
    }

    proptest! {
        #[test]
        fn whatever_was_written_is_found_by_its_value(subject in "\\PC{1,20}|[\\x00-\\xff]{1,20}") {
            prop_assert!(Filter::new().with(Field::Subject, &subject).find(&line(&subject, "a", 0)).is_some());
        }
    }
}
