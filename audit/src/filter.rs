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
    RequestId,
    TraceId,
    Rule,
}

impl Field {
    /// Every field with its name in the log.
    pub const ALL: [(&'static str, Self); 13] = [
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
    values: Vec<(Field, String, String)>,
    /// An address, whatever its port.
    client: Option<String>,
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
    pub fn with(mut self, field: Field, value: &str) -> Self {
        let mut needle = format!("\"{}\":\"", field.name()).into_bytes();
        escape(&mut needle, value);
        needle.push(b'"');
        self.values.push((
            field,
            value.to_owned(),
            String::from_utf8_lossy(&needle).into_owned(),
        ));
        self
    }

    /// From this client: an address with any port, or with the one that is given.
    #[must_use]
    pub fn with_client(mut self, client: &str) -> Self {
        let (address, port) = address_and_port(client);
        if port.is_some() {
            return self.with(Field::Client, client);
        }
        self.client = Some(address.to_owned());
        self
    }

    /// The request and trace ids that are looked for, as they are written in a line.
    pub(crate) fn ids(&self) -> impl Iterator<Item = &[u8]> {
        self.values.iter().filter_map(|(field, _, needle)| {
            let is_id = matches!(field, Field::RequestId | Field::TraceId);
            let value = needle
                .strip_prefix('"')?
                .strip_prefix(field.name())?
                .strip_prefix("\":\"")?
                .strip_suffix('"')?;
            is_id.then_some(value.as_bytes())
        })
    }

    /// The record on this line, when it matches. A line that is no record matches nothing: that it is there is for
    /// [`verify`](crate::verify) to say.
    #[must_use]
    pub fn find(&self, line: &str) -> Option<Entry> {
        let is_elsewhere = |client: &String| !line.contains(client.as_str());
        if self.client.as_ref().is_some_and(is_elsewhere) {
            return None;
        }
        if self
            .values
            .iter()
            .any(|(_, _, needle)| !line.contains(needle.as_str()))
        {
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
            .all(|(field, value, _)| field.of(entry) == value)
            && self
                .client
                .as_ref()
                .is_none_or(|client| address_and_port(&entry.client).0 == client)
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
        body(&record, 1, &mut out);
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
