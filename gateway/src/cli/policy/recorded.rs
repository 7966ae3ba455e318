//! A request out of the audit log, as the policy saw it.

use std::collections::BTreeMap;
use std::path::Path;

use hangu_audit::{Entry, Position, Pseudonyms, Reader};
use hangu_policy::Value;

use crate::bundle::known::Known;
use crate::layers::edge::canonical::canonical_path;
use crate::layers::endpoint::caller::OWN_ATTRIBUTES;

/// The record of a request.
pub(super) fn find(folder: &Path, id: &str) -> Result<Entry, Vec<String>> {
    let refused = |what: &dyn std::fmt::Display| vec![format!("{}: {what}", folder.display())];
    let mut reader = Reader::open(folder, Position::First).map_err(|error| refused(&error))?;
    while let Some(line) = reader.next_line().map_err(|error| refused(&error))? {
        if !line.json.contains(id) {
            continue;
        }
        let entry = Entry::parse(&line.json).map_err(|error| refused(&error))?;
        if entry.request_id == id && entry.kind == "request" {
            return Ok(entry);
        }
    }
    Err(refused(&format_args!(
        "no record has the request id `{id}`; look for it with `hangu audit tail`"
    )))
}

/// A recorded request by the names of its facts, and when it was decided.
///
/// # Errors
/// When the record does not hold what was judged: it was refused before, is cut, or has pseudonyms.
pub(super) fn request(entry: &Entry, context: usize) -> Result<(Known, Option<i64>), Vec<String>> {
    let refused = |what: &str| {
        let id = &entry.request_id;
        vec![format!(
            "request `{id}`: {what}; `hangu audit tail` shows what is known of it"
        )]
    };
    if entry.path.is_empty() && entry.path_hash.is_empty() {
        return Err(refused("it was refused before it had a path to judge"));
    }
    // A pseudonym is nobody's name, and a hash nobody's path.
    if Pseudonyms::is_one(&entry.subject) || !entry.path_hash.is_empty() {
        return Err(refused(
            "the log holds pseudonyms in place of the subject or the path, so no rule can be asked again",
        ));
    }
    if let Some(cut) = entry.cut.iter().find(|cut| JUDGED.contains(&cut.as_str())) {
        return Err(refused(&format!(
            "`{cut}` was too long for the record and has been cut"
        )));
    }
    let mut known = Known::of(context);
    // The log has the spelling that was sent, the policy saw the characters.
    let path = canonical_path(entry.path.as_bytes()).ok();
    let path = path.as_ref().map_or(&*entry.path, |path| path.as_judged());
    for (name, value) in [
        ("sub", entry.subject.as_str()),
        ("dom", &entry.tenant),
        ("obj", path),
        ("act", &entry.method),
        ("label", &entry.label),
        ("zone", &entry.zone),
        ("application", &entry.application),
        ("route", &entry.route),
        ("address", host(&entry.client)),
        ("device", &entry.device),
        ("purpose", &entry.purpose),
    ] {
        known.add(name, value);
    }
    let attributes = attributes(&entry.organisation, &entry.device, &entry.inputs);
    known.describe("sub", attributes);
    let decided = i64::try_from(entry.decided_at).unwrap_or_default();
    let decided = decided_ms(decided, &entry.time);
    if let Some(decided) = decided {
        known.add("time", &decided.div_euclid(1_000).to_string());
    }
    Ok((known, decided))
}

/// The client's address without its port.
pub(super) fn host(client: &str) -> &str {
    let cut = client.rsplit_once(':');
    cut.map_or(client, |(host, _)| host.trim_matches(['[', ']']))
}

/// When it was decided, in milliseconds since 1970. Records of before had only the time when the answer went out.
pub(super) fn decided_ms(decided_at: i64, time: &str) -> Option<i64> {
    match decided_at {
        0 => unix_ms(time),
        seconds => seconds.checked_mul(1_000),
    }
}

/// What the policy could read of the subject. The posture is the one number among texts.
pub(super) fn attributes(
    organisation: &str,
    device: &str,
    inputs: &BTreeMap<String, String>,
) -> Vec<(String, Value)> {
    let [_, organisation_name, device_name] = OWN_ATTRIBUTES;
    let own = [(organisation_name, organisation), (device_name, device)];
    let own = own.into_iter().filter(|(_, value)| !value.is_empty());
    let own = own.map(|(name, value)| (name.to_owned(), Value::Text(value.to_owned())));
    let inputs = inputs.iter();
    own.chain(inputs.map(|(name, text)| (name.clone(), Known::attribute(name, text))))
        .collect()
}

/// Milliseconds since 1970 of a time as records have it.
fn unix_ms(time: &str) -> Option<i64> {
    let parsed =
        time::OffsetDateTime::parse(time, &time::format_description::well_known::Rfc3339).ok()?;
    i64::try_from(parsed.unix_timestamp_nanos() / 1_000_000).ok()
}

/// Fields of a record that the policy judged: one that is cut cannot be judged again.
pub(super) const JUDGED: [&str; 11] = [
    "path",
    "route",
    "subject",
    "method",
    "tenant",
    "label",
    "zone",
    "organisation",
    "device",
    "purpose",
    "inputs",
];
