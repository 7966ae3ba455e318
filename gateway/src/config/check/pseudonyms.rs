//! `[audit.pseudonyms]`.

use hangu_audit::{Hidden, Replace};

use super::reader::Reader;
use crate::config::checked::Pseudonyms;
use crate::config::file;
use crate::config::problem::Fault;

pub(super) fn pseudonyms(
    reader: &mut Reader<'_, '_>,
    written: &file::Pseudonyms,
) -> Option<Pseudonyms> {
    let key = reader.file(written.key.as_ref());
    let mut hidden = Hidden::default();
    let chosen = reader.read_each(written.fields.as_ref(), word);
    let fields = match &written.fields {
        Some(_) => chosen.into_iter().map(|(_, field)| field).collect(),
        None => FIELDS.to_vec(),
    };
    for field in fields {
        match field {
            "subject" => hidden.subject = Replace::Yes,
            "client" => hidden.client = Replace::Yes,
            "certificate" => hidden.certificate = Replace::Yes,
            _ => hidden.path = Replace::Yes,
        }
    }
    Some(Pseudonyms { key: key?, hidden })
}

fn word(text: &str) -> Result<&'static str, Fault> {
    let known = FIELDS.into_iter().find(|field| *field == text);
    known.ok_or_else(|| {
        Fault::new(
            format!("`{text}` is nothing that can be replaced"),
            "write `subject`, `client`, `certificate` or `path`",
        )
    })
}

const FIELDS: [&str; 4] = ["subject", "client", "certificate", "path"];
