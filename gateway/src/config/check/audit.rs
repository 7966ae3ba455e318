//! `[audit]`.

use std::path::{Path, PathBuf};

use super::reader::Reader;
use crate::config::bounds;
use crate::config::checked::{Audit, SigningKey};
use crate::config::file;

pub(super) fn audit(reader: &mut Reader<'_, '_>, written: &file::Audit) -> Option<Audit> {
    let queue = reader.count(written.queue.as_ref(), &bounds::AUDIT_QUEUE);
    let segment = reader.size(written.segment.as_ref(), &bounds::AUDIT_SEGMENT);
    let flush = reader.duration(written.flush.as_ref(), &bounds::AUDIT_FLUSH);
    let disk_max = written
        .disk_max
        .as_ref()
        .map(|size| reader.size(Some(size), &bounds::AUDIT_DISK_MAX));
    let key = match &written.key {
        Some(text) => Some(SigningKey::File(reader.file(Some(text))?)),
        None => None,
    };
    let folder = reader.folder(written.folder.as_ref()?)?;
    Some(Audit {
        queue,
        segment,
        flush,
        key: key.unwrap_or_else(|| SigningKey::Beside(beside(&folder))),
        disk_max,
        folder,
    })
}

/// `…/audit` → `…/audit.key`.
fn beside(folder: &Path) -> PathBuf {
    let mut name = folder.as_os_str().to_owned();
    name.push(".key");
    PathBuf::from(name)
}
