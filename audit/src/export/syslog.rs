//! Syslog after RFC 5424: what a receiver routes by as structured data, the line of the log as the message.

use std::fmt::Write;

use super::{Severity, json_line, severity, shown};
use crate::encode::is_hidden;
use crate::entry::Entry;

/// One message without framing: a sender over TCP or TLS adds the octet count (RFC 6587, RFC 5425).
pub(super) fn message(entry: &Entry, line: &str) -> String {
    around(entry, &message_line(line))
}

/// The header and the structured data, with `text` behind them.
pub(super) fn around(entry: &Entry, text: &str) -> String {
    let level = match severity(entry) {
        Severity::Information => 6,
        Severity::Notice => 5,
        Severity::Alarm => 1,
    };
    let mut out = format!(
        "<{}>1 {} {} hangu {} {} [{SD_ID}",
        FACILITY_AUDIT * 8 + level,
        header(&entry.time, 32),
        header(&entry.node, 255),
        header(&entry.boot, 128),
        header(&entry.kind, 32),
    );
    let sequence = entry.seq.to_string();
    for (name, value) in [
        ("seq", &sequence),
        ("decision", &entry.decision),
        ("reason", &entry.reason),
        ("subject", &entry.subject),
        ("application", &entry.application),
        ("tenant", &entry.tenant),
        ("requestId", &entry.request_id),
        ("actor", &entry.actor),
        ("action", &entry.action),
        ("object", &entry.object),
        ("outcome", &entry.outcome),
    ] {
        if !value.is_empty() {
            parameter(&mut out, name, value);
        }
    }
    out.push_str("] ");
    out.push_str(text);
    out
}

/// The line itself. Ours has nothing hidden in it; one that somebody else wrote is made so.
fn message_line(line: &str) -> String {
    if !line.contains(is_hidden) {
        return line.to_owned();
    }
    serde_json::from_str(line).map_or_else(|_| shown(line).into_owned(), |value| json_line(&value))
}

fn parameter(out: &mut String, name: &str, value: &str) {
    // Writing into a string cannot fail.
    let _written = write!(out, " {name}=\"");
    for character in shown(value).chars() {
        if matches!(character, '"' | '\\' | ']') {
            out.push('\\');
        }
        out.push(character);
    }
    out.push('"');
}

/// A field of the header: printable ASCII without spaces, of bounded length; `-` for none.
fn header(text: &str, bytes_max: usize) -> String {
    let field: String = text
        .chars()
        .take(bytes_max)
        .map(|character| {
            if character.is_ascii_graphic() {
                character
            } else {
                '_'
            }
        })
        .collect();
    if field.is_empty() {
        "-".to_owned()
    } else {
        field
    }
}

/// Log audit.
const FACILITY_AUDIT: u32 = 13;
/// 32473 is the enterprise number that RFC 5612 reserves for documentation; an organisation with its own rewrites it.
const SD_ID: &str = "hangu@32473";
