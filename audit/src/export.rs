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
use std::net::IpAddr;

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
        _ if is_refused_action(entry) => Severity::Notice,
        _ => Severity::Information,
    }
}

/// Whether it is an address and no pseudonym of one.
fn is_address(text: &str) -> bool {
    text.parse::<IpAddr>().is_ok()
}

/// Somebody wanted to act on the gateway, and was not let.
fn is_refused_action(entry: &Entry) -> bool {
    entry.kind == "admin" && entry.outcome.starts_with("refused")
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
mod schema_tests;
#[cfg(test)]
mod tests;
