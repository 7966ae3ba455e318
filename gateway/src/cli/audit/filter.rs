//! Which records: the options that `search`, `tail`, `stats` and `export` share.

use std::fs;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::Args;
use hangu_audit::{Decision, Field, Filter, Hidden, Kind, Pseudonyms, Timestamp};

use super::{Failure, unable};
use crate::config::nearest::nearest;
use crate::denial::Denial;

#[derive(Debug, Args)]
#[command(next_help_heading = "Which records (all that are given must hold)")]
pub(super) struct Which {
    /// Not before: a time such as 2026-11-24T07:00:00Z, or an age such as 90s, 15m, 2h, 7d
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Before: a time or an age
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Request id, as the client was told
    #[arg(long, value_name = "ID")]
    request_id: Option<String>,
    /// W3C trace id
    #[arg(long, value_name = "ID")]
    trace_id: Option<String>,
    /// Policy subject
    #[arg(long, value_name = "NAME")]
    subject: Option<String>,
    /// Application
    #[arg(long, value_name = "NAME")]
    application: Option<String>,
    /// Tenant
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
    /// `allowed`, `denied`, `refused` or `aborted`
    #[arg(long, value_name = "WORD")]
    decision: Option<String>,
    /// Reason code, such as `endpoint.revoked`
    #[arg(long, value_name = "CODE")]
    reason: Option<String>,
    /// Label of the data
    #[arg(long, value_name = "LABEL")]
    label: Option<String>,
    /// SHA-256 of the client certificate
    #[arg(long, value_name = "HEX")]
    certificate: Option<String>,
    /// Serial number of the client certificate
    #[arg(long, value_name = "HEX")]
    serial: Option<String>,
    /// Client address, with or without its port
    #[arg(long, value_name = "ADDRESS")]
    client: Option<String>,
    /// Rule, as file and line
    #[arg(long, value_name = "FILE:LINE")]
    rule: Option<String>,
    /// Kind of record, such as `request`, `reload`, `admin`, `dropped`
    #[arg(long, value_name = "KIND")]
    kind: Option<String>,
    /// Canonical path
    #[arg(long, value_name = "PATH")]
    path: Option<String>,
    /// Key of `[audit.pseudonyms]`: what is named above is also found where its pseudonym stands; may be given again, for logs of
    /// more than one key
    #[arg(long = "pseudonym-key", value_name = "FILE")]
    pseudonym_keys: Vec<PathBuf>,
}

impl Which {
    pub(super) fn filter(&self) -> Result<Filter, Failure> {
        let keys = self.keys()?;
        let mut filter = Filter::new();
        let since = self.since.as_deref().map(moment).transpose()?;
        let until = self.until.as_deref().map(moment).transpose()?;
        if let (Some(from), Some(to)) = (since, until)
            && from >= to
        {
            return Err(unable(format_args!(
                "nothing is between `--since` {from} and `--until` {to}; `--since` must be the earlier one"
            )));
        }
        filter = since.into_iter().fold(filter, Filter::since);
        filter = until.into_iter().fold(filter, Filter::until);
        self.check_words()?;
        let request_id = self.request_id.as_deref();
        let request_id = request_id.map(|id| digits("--request-id", id, IDENTIFIER));
        let trace_id = self.trace_id.as_deref();
        let trace_id = trace_id.map(|id| digits("--trace-id", id, IDENTIFIER));
        for (field, value) in [
            (Field::RequestId, &request_id.transpose()?),
            (Field::TraceId, &trace_id.transpose()?),
            (Field::Application, &self.application),
            (Field::Tenant, &self.tenant),
            (Field::Decision, &self.decision),
            (Field::Reason, &self.reason),
            (Field::Label, &self.label),
            (Field::Rule, &self.rule),
            (Field::Kind, &self.kind),
        ] {
            if let Some(value) = value {
                filter = filter.with(field, value);
            }
        }
        let certificate = self.certificate.as_deref();
        let certificate = certificate.map(|hex| digits("--certificate", hex, FINGERPRINT));
        let serial = self.serial.as_deref();
        let serial = serial.map(|hex| digits("--serial", hex, SERIAL));
        for (field, hidden, value) in [
            (Field::Subject, Field::Subject, &self.subject),
            (
                Field::Certificate,
                Field::Certificate,
                &certificate.transpose()?,
            ),
            (Field::Serial, Field::Serial, &serial.transpose()?),
            (Field::Path, Field::PathHash, &self.path),
        ] {
            let Some(value) = value else { continue };
            let pseudonyms: Vec<_> = keys.iter().map(|key| key.of(field.name(), value)).collect();
            let hidden = pseudonyms.iter().map(|value| (hidden, value.as_str()));
            filter = filter.with_any([(field, value.as_str())].into_iter().chain(hidden));
        }
        if let Some(client) = &self.client {
            let pseudonyms = keys.iter().map(|key| key.client(client)).collect();
            filter = filter.with_client_or(client, pseudonyms);
        }
        Ok(filter)
    }

    /// A word that no record can have is a slip, and not a search that finds nothing.
    fn check_words(&self) -> Result<(), Failure> {
        if let Some(word) = &self.decision {
            known(
                "--decision",
                word,
                Decision::ALL.map(Decision::word).as_slice(),
            )?;
        }
        if let Some(word) = &self.kind {
            known("--kind", word, Kind::ALL.map(Kind::word).as_slice())?;
        }
        if let Some(word) = &self.reason {
            let codes: Vec<_> = Denial::ALL.iter().map(|denial| denial.code()).collect();
            known("--reason", word, &codes)?;
        }
        Ok(())
    }

    fn keys(&self) -> Result<Vec<Pseudonyms>, Failure> {
        let key = |path: &PathBuf| {
            let at =
                |why: &dyn std::fmt::Display| unable(format_args!("{}: {why}", path.display()));
            let text = fs::read_to_string(path).map_err(|error| at(&error))?;
            Pseudonyms::parse(&text, Hidden::default()).map_err(|error| at(&error))
        };
        self.pseudonym_keys.iter().map(key).collect()
    }
}

/// That a word is one of those that records have.
fn known(option: &str, word: &str, all: &[&str]) -> Result<(), Failure> {
    if all.contains(&word) {
        return Ok(());
    }
    // A reason without its layer is as good as the whole one for whoever reads the message.
    let last = |code: &&&str| code.rsplit_once('.').is_some_and(|(_, last)| last == word);
    let meant = all.iter().find(last).copied();
    let meant = meant.or_else(|| nearest(word, all.iter().copied()));
    let meant = meant.or_else(|| only_one_that_begins_so(word, all));
    Err(unable(match meant {
        Some(meant) => format!("`{option} {word}` is in no record; did you mean `{meant}`?"),
        None => format!(
            "`{option} {word}` is in no record; use one of `{}`",
            all.join("`, `")
        ),
    }))
}

/// `denied` for `deny`: the word with the same first letters, if there is no other.
fn only_one_that_begins_so<'k>(word: &str, all: &[&'k str]) -> Option<&'k str> {
    let start = word.get(..START_BYTES)?;
    let mut alike = all.iter().filter(|one| one.starts_with(start));
    alike.next().filter(|_| alike.next().is_none()).copied()
}

/// Hexadecimal digits as records have them: small, without colons; a pseudonym is taken as it is.
fn digits(option: &str, text: &str, shape: Shape) -> Result<String, Failure> {
    let (count, what) = shape;
    let digits = text.replace(':', "").to_ascii_lowercase();
    let is_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_hex && count.contains(&digits.len()) {
        return Ok(digits);
    }
    let is_pseudonym = text
        .strip_prefix("p:")
        .is_some_and(|hash| hash.len() == 32 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()));
    if is_pseudonym && count != IDENTIFIER.0 {
        return Ok(text.to_owned());
    }
    Err(unable(format_args!(
        "`{option} {text}` is no {what}; give the one of a record, or leave the option out"
    )))
}

/// How many digits, and what they are.
type Shape = (RangeInclusive<usize>, &'static str);

/// A time as in the log, or an age.
fn moment(text: &str) -> Result<Timestamp, Failure> {
    let spelled = [
        text.to_owned(),
        text.replace('Z', ".000Z"),
        format!("{text}T00:00:00.000Z"),
    ];
    if let Some(time) = spelled.iter().find_map(|text| Timestamp::parse(text)) {
        return Ok(time);
    }
    let age_ms = [
        ("d", 86_400_000),
        ("h", 3_600_000),
        ("m", 60_000),
        ("s", 1_000),
    ]
    .into_iter()
    .find_map(|(unit, ms)| {
        let number: u64 = text.strip_suffix(unit)?.parse().ok()?;
        number.checked_mul(ms)
    });
    let Some(age_ms) = age_ms else {
        return Err(unable(format_args!(
            "`{text}` is no time; write one like 2026-11-24, 2026-11-24T07:00:00Z, or an age like 15m, 2h, 7d"
        )));
    };
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let now_ms = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
    Ok(Timestamp::from_unix_ms(now_ms.saturating_sub(age_ms)))
}

const START_BYTES: usize = 3;
const IDENTIFIER: Shape = (32..=32, "id of 32 hexadecimal digits");
const FINGERPRINT: Shape = (64..=64, "SHA-256 of 64 hexadecimal digits");
/// RFC 5280, section 4.1.2.2: 20 bytes.
const SERIAL: Shape = (1..=40, "serial number of 1 to 40 hexadecimal digits");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_taken_as_people_write_them() {
        for (text, written) in [
            ("2026-11-24", "2026-11-24T00:00:00.000Z"),
            ("2026-11-24T07:10:22Z", "2026-11-24T07:10:22.000Z"),
            ("2026-11-24T07:10:22.123Z", "2026-11-24T07:10:22.123Z"),
        ] {
            assert_eq!(moment(text).unwrap().to_string(), written);
        }
        let two_hours_ago = moment("2h").unwrap().unix_ms();
        assert!(two_hours_ago + 7_200_000 <= Timestamp::from(SystemTime::now()).unix_ms());
        for text in ["", "yesterday", "2h30m", "h", "-1h", "2026-13-01"] {
            assert!(moment(text).is_err(), "{text}");
        }
    }
}
