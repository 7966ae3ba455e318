//! ArcSight Common Event Format, version 0: a header of seven fields between bars, then `key=value` pairs.

use std::net::IpAddr;

use super::{Severity, address_and_port, severity, shown};
use crate::entry::Entry;
use crate::time::Timestamp;

pub(super) fn event(entry: &Entry) -> String {
    let signature = if entry.reason.is_empty() {
        &entry.kind
    } else {
        &entry.reason
    };
    let name = format!("{} {}", entry.kind, entry.decision);
    let level = match severity(entry) {
        Severity::Information => "1",
        Severity::Notice => "5",
        Severity::Alarm => "8",
    };
    let mut out = String::from("CEF:0");
    for part in [
        "Hangu",
        "hangu",
        env!("CARGO_PKG_VERSION"),
        signature,
        name.trim_end(),
        level,
    ] {
        out.push('|');
        escape(&mut out, part, '|');
    }
    out.push('|');
    let mut extension = Extension {
        out,
        is_first: true,
    };
    extension.pairs(entry);
    extension.out
}

struct Extension {
    out: String,
    is_first: bool,
}

impl Extension {
    fn pairs(&mut self, entry: &Entry) {
        let (address, port) = address_and_port(&entry.client);
        self.number("rt", Timestamp::parse(&entry.time).map(Timestamp::unix_ms));
        self.text("dvchost", &entry.node);
        self.number("externalId", Some(entry.seq));
        self.text("cat", &entry.kind);
        self.text(
            "act",
            if entry.action.is_empty() {
                &entry.decision
            } else {
                &entry.action
            },
        );
        self.text("outcome", &entry.outcome);
        self.text("reason", &entry.reason);
        match address.parse() {
            Ok(IpAddr::V4(_)) => self.text("src", address),
            Ok(IpAddr::V6(_)) => self.labelled("c6a2", "Source IPv6 Address", address),
            // A pseudonym.
            Err(_) => self.text("shost", address),
        }
        self.number("spt", port.map(u64::from));
        let user = if entry.actor.is_empty() {
            &entry.subject
        } else {
            &entry.actor
        };
        self.text("suser", user);
        self.text("requestMethod", &entry.method);
        let path = if entry.path.is_empty() {
            &entry.path_hash
        } else {
            &entry.path
        };
        self.text("request", path);
        self.text("destinationServiceName", &entry.application);
        self.text("app", &entry.channel);
        if !entry.method.is_empty() {
            self.number("in", Some(entry.bytes_in));
            self.number("out", Some(entry.bytes_out));
        }
        if entry.kind == "admin" {
            self.labelled("cs1", "object", &entry.object);
        } else {
            self.labelled("cs1", "rule", &entry.rule);
        }
        self.labelled("cs2", "tenant", &entry.tenant);
        self.labelled("cs3", "label", &entry.label);
        self.labelled("cs4", "zone", &entry.zone);
        self.labelled("cs5", "request id", &entry.request_id);
        self.labelled("cs6", "certificate", &entry.certificate);
        if let Some(status) = entry.status {
            self.text("cn1Label", "status");
            self.number("cn1", Some(u64::from(status)));
        }
        self.text("msg", &entry.detail);
    }

    /// Left out when empty.
    fn text(&mut self, key: &str, value: &str) {
        if value.is_empty() {
            return;
        }
        if !self.is_first {
            self.out.push(' ');
        }
        self.is_first = false;
        self.out.push_str(key);
        self.out.push('=');
        escape(&mut self.out, value, '=');
    }

    fn number(&mut self, key: &str, value: Option<u64>) {
        if let Some(value) = value {
            self.text(key, &value.to_string());
        }
    }

    fn labelled(&mut self, key: &str, label: &str, value: &str) {
        if !value.is_empty() {
            self.text(&format!("{key}Label"), label);
            self.text(key, value);
        }
    }
}

/// Backslash and bar in the header, backslash and equals sign in the extension. A bar may stand in an extension, but too many
/// readers split the whole line at bars, so it gets its backslash there too.
fn escape(out: &mut String, text: &str, special: char) {
    for character in shown(text).chars() {
        if character == '\\' || character == special || character == '|' {
            out.push('\\');
        }
        out.push(character);
    }
}
