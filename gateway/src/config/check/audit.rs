//! `[audit]`.

use std::path::{Path, PathBuf};

use hangu_audit::key::{KeyKind, Verifier};

use super::reader::Reader;
use crate::config::bounds;
use crate::config::checked::{Audit, SigningKey, Witness};
use crate::config::file;
use crate::config::problem::Fault;

pub(super) fn audit(reader: &mut Reader<'_, '_>, written: &file::Audit) -> Option<Audit> {
    let queue = reader.count(written.queue.as_ref(), &bounds::AUDIT_QUEUE);
    let segment = reader.size(written.segment.as_ref(), &bounds::AUDIT_SEGMENT);
    let flush = reader.duration(written.flush.as_ref(), &bounds::AUDIT_FLUSH);
    let disk_max = written
        .disk_max
        .as_ref()
        .map(|size| reader.size(Some(size), &bounds::AUDIT_DISK_MAX));
    let key = match (&written.key, &written.signer) {
        (Some(text), Some(_)) => {
            let what = "a key beside `[audit.signer]`, which has the key";
            reader.fault(text, Fault::new(what, "take one of the two out"));
            None
        }
        (Some(text), None) => Some(SigningKey::File(reader.file(Some(text))?)),
        (None, Some(written)) => Some(signer(reader, written)?),
        (None, None) => None,
    };
    let witness = match &written.witness {
        Some(written) => Some(witness(reader, written)?),
        None => None,
    };
    let folder = reader.folder(written.folder.as_ref()?)?;
    Some(Audit {
        queue,
        segment,
        flush,
        key: key.unwrap_or_else(|| SigningKey::Beside(beside(&folder))),
        witness,
        disk_max,
        folder,
    })
}

fn signer(reader: &mut Reader<'_, '_>, written: &file::Signer) -> Option<SigningKey> {
    let key = reader.read(written.key.as_ref(), |text| {
        let fault = |why: &dyn std::fmt::Display| {
            Fault::new(
                format!("`{text}` is not the key of a log: {why}"),
                "copy the line that `hangu audit key` printed",
            )
        };
        let key = Verifier::parse(text).map_err(|error| fault(&error))?;
        if key.kind() == KeyKind::Note {
            Ok(key)
        } else {
            Err(fault(&"it is a witness's"))
        }
    });
    // It may start after the gateway, so the socket need not be there yet.
    let socket = written.socket.as_ref().and_then(|text| reader.output(text));
    Some(SigningKey::Remote {
        socket: socket?,
        key: key?,
    })
}

fn witness(reader: &mut Reader<'_, '_>, written: &file::Witness) -> Option<Witness> {
    let interval = reader.duration(written.interval.as_ref(), &bounds::WITNESS_INTERVAL);
    let key = reader.read(written.key.as_ref(), |text| {
        let fault = |why: &dyn std::fmt::Display| {
            Fault::new(
                format!("`{text}` is not the key of a witness: {why}"),
                "copy the line that `hangu audit key --witness` printed",
            )
        };
        let key = Verifier::parse(text).map_err(|error| fault(&error))?;
        if key.kind() == KeyKind::Cosignature {
            Ok(key)
        } else {
            Err(fault(&"it is a log's"))
        }
    });
    let url = reader.read(written.url.as_ref(), |text| {
        let host = text
            .strip_prefix("http://")
            .or_else(|| text.strip_prefix("https://"))
            .unwrap_or_default();
        if host.is_empty() || host.contains([' ', '?', '#', '@']) {
            return Err(Fault::new(
                format!("`{text}` is not the URL of a witness"),
                "write one like `http://witness.example:8450`",
            ));
        }
        Ok(text.trim_end_matches('/').to_owned())
    });
    let ca = match &written.ca {
        Some(text) => Some(reader.file(Some(text))?),
        None => None,
    };
    if let Some(text) = &written.url
        && ca.is_none()
        && text.get_ref().starts_with("https://")
    {
        reader.fault(
            text,
            Fault::new(
                "nothing says who signs its server",
                "name the authorities with `ca`",
            ),
        );
    }
    Some(Witness {
        url: url?,
        key: key?,
        interval,
        ca,
    })
}

/// `…/audit` → `…/audit.key`.
fn beside(folder: &Path) -> PathBuf {
    let mut name = folder.as_os_str().to_owned();
    name.push(".key");
    PathBuf::from(name)
}
