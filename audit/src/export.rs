//! Records in the languages that a SOC's tools speak: OCSF, ECS, CEF and RFC 5424 syslog.
//!
//! One line in, one line out, nothing kept between: the caller reads, filters and ships. Whatever a client put into a path or a
//! certificate's name stays inside its field in every format, and no line holds a control character, so that neither a
//! receiver nor a terminal takes data for structure.

mod cef;
mod ecs;
mod fields;
mod ocsf;
mod syslog;

use std::borrow::Cow;
use std::fmt::Write;

use crate::encode::is_hidden;
use crate::entry::{Entry, ParseError};

/// A format to export in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// The line as it is in the log: the only one that can still be verified.
    Native,
    /// Open Cybersecurity Schema Framework 1.3: HTTP Activity (4002), Network Activity (4001), Application Lifecycle (6002), API
    /// Activity (6003), with the security control profile.
    Ocsf,
    /// Elastic Common Schema 8.11.
    Ecs,
    /// ArcSight Common Event Format 0.
    Cef,
    /// Syslog, RFC 5424: a few fields as structured data, the line of the log as the message.
    Rfc5424,
}

impl Format {
    /// Every format with the word for it on the command line.
    pub const ALL: [(&'static str, Self); 5] = [
        ("native", Self::Native),
        ("ocsf", Self::Ocsf),
        ("ecs", Self::Ecs),
        ("cef", Self::Cef),
        ("rfc5424", Self::Rfc5424),
    ];
}

/// One line of a log in another format, without its newline.
///
/// # Errors
/// When the line is not a record.
pub fn export(line: &str, format: Format) -> Result<String, ParseError> {
    let entry = Entry::parse(line)?;
    Ok(match format {
        Format::Native => line.to_owned(),
        Format::Ocsf => json_line(&ocsf::event(&entry)),
        Format::Ecs => json_line(&ecs::event(&entry)),
        Format::Cef => cef::event(&entry),
        Format::Rfc5424 => syslog::message(&entry, line),
    })
}

/// One line of a log as a message of syslog, with the line in this format as its text: what syslog carries is for its receiver to
/// say, who sent it and how bad it is stands in front of it.
///
/// # Errors
/// When the line is not a record.
pub fn export_syslog(line: &str, format: Format) -> Result<String, ParseError> {
    let entry = Entry::parse(line)?;
    let text = match format {
        Format::Native | Format::Rfc5424 => return Ok(syslog::message(&entry, line)),
        Format::Ocsf => json_line(&ocsf::event(&entry)),
        Format::Ecs => json_line(&ecs::event(&entry)),
        Format::Cef => cef::event(&entry),
    };
    Ok(syslog::around(&entry, &text))
}

/// JSON on one line, with what is hidden written as escapes: such characters can only stand inside its strings.
fn json_line(value: &serde_json::Value) -> String {
    let json = value.to_string();
    if !json.contains(is_hidden) {
        return json;
    }
    let mut out = String::with_capacity(json.len() + 16);
    for character in json.chars() {
        if is_hidden(character) {
            for unit in character.encode_utf16(&mut [0; 2]) {
                // Writing into a string cannot fail.
                let _written = write!(out, "\\u{unit:04x}");
            }
        } else {
            out.push(character);
        }
    }
    out
}

/// Text with what is hidden shown as `\u{…}`, for formats that have no escape for it.
fn shown(text: &str) -> Cow<'_, str> {
    if !text.contains(is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        if is_hidden(character) {
            let _written = write!(out, "\\u{{{:x}}}", u32::from(character));
        } else {
            out.push(character);
        }
    }
    Cow::Owned(out)
}

/// How much it should trouble somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Severity {
    /// As it should be.
    Information,
    /// Somebody was refused: one says nothing, many may.
    Notice,
    /// The log itself is not whole.
    Alarm,
}

fn severity(entry: &Entry) -> Severity {
    match (entry.kind.as_str(), entry.decision.as_str()) {
        ("dropped" | "recovered", _) => Severity::Alarm,
        (_, "denied" | "refused") => Severity::Notice,
        _ => Severity::Information,
    }
}

/// `10.1.2.3:4242` or `[2001:db8::1]:4242` → address and port; without a port the whole is the address.
pub(crate) fn address_and_port(client: &str) -> (&str, Option<u16>) {
    let parted = client
        .rsplit_once(':')
        .and_then(|(address, port)| Some((address, port.parse().ok()?)));
    match parted {
        // A bare IPv6 address has more colons and no brackets.
        Some((address, port)) if !address.contains(':') || address.ends_with(']') => (
            address.trim_start_matches('[').trim_end_matches(']'),
            Some(port),
        ),
        _ => (client, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A record with `text` wherever a client has a say.
    fn line(text: &str) -> String {
        let text = serde_json::Value::from(text);
        format!(
            "{{\"v\":1,\"seq\":12,\"time\":\"2026-11-24T07:10:22.123Z\",\"kind\":\"request\",\"node\":\"gate-1\",\"boot\":\"b7\",\
             \"request_id\":\"r1\",\"trace_id\":\"t1\",\"decision\":\"denied\",\"reason\":\"network.rate_limited\",\
             \"layers\":{{\"endpoint\":\"pass\",\"edge\":\"pass\",\"network\":\"refuse\",\"cloud\":\"not_reached\",\
             \"data\":\"not_reached\",\"application\":\"not_reached\"}},\"listener\":\"edge\",\"client\":\"[2001:db8::1]:4242\",\
             \"zone\":\"office\",\"channel\":\"TLSv1.3/h2\",\"subject\":{text},\"certificate\":\"ab12\",\"serial\":\"3f\",\
             \"issuer\":{text},\"application\":\"residents\",\"tenant\":\"civil\",\"route\":\"/residents\",\"label\":\"personal\",\
             \"method\":\"GET\",\"path\":{text},\"query_keys\":[\"page\"],\"status\":429,\"bytes_in\":0,\"bytes_out\":17,\
             \"duration_us\":812,\"upstream\":\"10.0.0.9:8080\",\"config_generation\":3,\"policy_generation\":7,\
             \"policy_digest\":\"cd34\",\"detail\":{text},\"prev\":\"00\",\"hash\":\"ff\"}}"
        )
    }

    #[test]
    fn every_format_says_who_did_what_and_what_came_of_it() {
        for (format, pieces) in [
            (
                Format::Ocsf,
                &[
                    "\"class_uid\":4002",
                    "\"type_uid\":400203",
                    "\"time\":1795504222123",
                    "\"action_id\":2",
                    "\"status_detail\":\"network.rate_limited\"",
                    "\"http_method\":\"GET\"",
                    "\"code\":429",
                    "\"ip\":\"2001:db8::1\"",
                    "\"port\":4242",
                    "\"sequence\":12",
                ][..],
            ),
            (
                Format::Ecs,
                &[
                    "\"@timestamp\":\"2026-11-24T07:10:22.123Z\"",
                    "\"outcome\":\"failure\"",
                    "\"status_code\":429",
                    "\"duration\":812000",
                    "\"ip\":\"2001:db8::1\"",
                    "\"sequence\":12",
                ],
            ),
            (
                Format::Cef,
                &[
                    "CEF:0|Hangu|hangu|",
                    "|network.rate_limited|request denied|5|",
                    "rt=1795504222123",
                    "src=2001:db8::1",
                    "spt=4242",
                    "requestMethod=GET",
                ],
            ),
            (
                Format::Rfc5424,
                &[
                    "<109>1 2026-11-24T07:10:22.123Z gate-1 hangu b7 request [hangu@32473 seq=\"12\" decision=\"denied\"",
                    "] {\"v\":1",
                ],
            ),
        ] {
            let line = export(&line("wang.li"), format).unwrap();
            for piece in pieces {
                assert!(line.contains(piece), "{format:?}: {piece} in {line}");
            }
            assert!(line.matches("wang.li").count() >= 2, "{line}");
        }
    }

    #[test]
    fn hostile_values_forge_no_field_and_no_line_in_any_format() {
        for text in [
            "a\nCEF:0|x|y|z|1|2|3|act=allowed",
            "x|y\\|z act=allowed src=1.2.3.4",
            "a\" decision=\"allowed\"] [b c=\"d",
            "\",\"decision\":\"allowed",
            "\u{1b}[2J\u{85}\u{2028}\u{202e}\u{feff}\u{e0041}",
        ] {
            let line = line(text);
            for (word, format) in Format::ALL {
                let exported = export(&line, format).unwrap();
                if format != Format::Native {
                    assert!(!exported.contains(is_hidden), "{word}: {exported}");
                }
                match format {
                    Format::Ocsf | Format::Ecs => {
                        let value: serde_json::Value = serde_json::from_str(&exported).unwrap();
                        let user = if format == Format::Ocsf {
                            &value["actor"]["user"]["name"]
                        } else {
                            &value["user"]["name"]
                        };
                        assert_eq!(user, text);
                    }
                    Format::Cef => {
                        assert_eq!(unescaped(&exported, '|'), 7, "{exported}");
                        assert_eq!(exported.matches(" act=denied ").count(), 1, "{exported}");
                        assert!(
                            !exported.contains(" act=allowed") && !exported.contains(" src=1"),
                            "{exported}"
                        );
                    }
                    Format::Rfc5424 => {
                        let (data, message) = exported.split_once("] {").unwrap();
                        assert_eq!(unescaped(data, '"') % 2, 0, "{data}");
                        assert_eq!(unescaped(data, ']'), 0, "{data}");
                        assert!(line.ends_with(message) || text.contains('\u{1b}'));
                    }
                    Format::Native => assert_eq!(exported, line),
                }
            }
        }
    }

    /// How often `character` stands without a backslash before it.
    fn unescaped(text: &str, character: char) -> usize {
        let (mut count, mut escaped) = (0, false);
        for found in text.chars() {
            count += usize::from(found == character && !escaped);
            escaped = found == '\\' && !escaped;
        }
        count
    }

    #[test]
    fn every_kind_has_a_class_of_its_own() {
        for (kind, decision, class, activity) in [
            ("request", "allowed", 4002, 99),
            ("handshake", "refused", 4001, 5),
            ("connection", "refused", 4001, 5),
            ("start", "", 6002, 3),
            ("stop", "", 6002, 4),
            ("reload", "", 6002, 99),
            ("admin", "", 6003, 99),
            ("recovered", "", 6002, 99),
            ("dropped", "", 6002, 99),
        ] {
            let line = format!(
                "{{\"seq\":1,\"time\":\"2026-11-24T07:10:22.123Z\",\"kind\":\"{kind}\",\"decision\":\"{decision}\",\"method\":\"BREW\"}}"
            );
            let event: serde_json::Value =
                serde_json::from_str(&export(&line, Format::Ocsf).unwrap()).unwrap();
            assert_eq!(
                (&event["class_uid"], &event["activity_id"]),
                (&class.into(), &activity.into()),
                "{kind}"
            );
            assert_eq!(event["type_uid"], class * 100 + activity);
            assert_eq!(event["category_uid"], class / 1000);
        }
        assert!(export("{", Format::Cef).is_err());
    }

    #[test]
    fn addresses_are_parted_from_their_ports() {
        for (client, parts) in [
            ("10.1.2.3:4242", ("10.1.2.3", Some(4242))),
            ("[2001:db8::1]:4242", ("2001:db8::1", Some(4242))),
            ("2001:db8::1", ("2001:db8::1", None)),
            ("10.1.2.3", ("10.1.2.3", None)),
            ("", ("", None)),
        ] {
            assert_eq!(address_and_port(client), parts);
        }
    }
}
