//! From the file as written to the configuration as meant: reads each value, resolves each name, compares what must
//! agree, and reports everything that does not.
//!
//! A value that could not be read is replaced by a harmless one so that the checks go on; the result is thrown away
//! when anything was reported, so no such replacement is ever served.

mod application;
mod audit;
mod identity;
mod limits;
mod listener;
mod obligations;
mod policy;
mod process;
mod pseudonyms;
mod purpose;
mod reader;
mod retention;
mod route;
mod sinks;
mod store;
mod trust;
mod zones;

use std::path::Path;

use super::checked::{Config, Zone};
use super::file::{File, Text};
use super::problem::{Fault, Report};
use super::values::{LabelId, Name, ZoneId};
use reader::Reader;

#[cfg(test)]
pub(super) use reader::Found;
pub(super) use reader::{Look, look_on_disk};

/// Checks a file whose shape was reported on already. `None` only if `report` holds a problem.
/// Relative paths start at `folder`.
pub(super) fn check(
    name: &Path,
    folder: &Path,
    file: &File,
    look: Look,
    report: &mut Report<'_>,
) -> Option<Config> {
    let mut reader = Reader::new(folder, look, report);
    if !file.crl_grace.is_empty() {
        reader.some_issuer_has_grace();
    }
    let zones = zones::zones(&mut reader, &file.zones);
    let labels = zones::labels(&mut reader, &file.labels);
    let names = Names {
        zones: &zones,
        labels: &labels,
    };
    let matrix = zones::matrix(&mut reader, names, &file.matrix);
    let listeners = listener::listeners(&mut reader, names, &file.listeners);
    let purpose = file.purpose.as_ref();
    let purpose = purpose.and_then(|written| purpose::purpose(&mut reader, written));
    let mut applications = application::applications(&mut reader, names, &file.applications);
    purpose::purposes(
        &mut reader,
        purpose.as_ref(),
        &file.applications,
        &mut applications,
    );
    let identity = identity::identity(&mut reader, &file.identity);
    let policy = policy::policy(&mut reader, file.policy.as_ref());
    let audit = audit::audit(&mut reader, &file.audit);
    let retention = retention::retention(&mut reader, &file.audit.retention);
    let pseudonyms = file.audit.pseudonyms.as_ref();
    let pseudonyms = pseudonyms.and_then(|written| pseudonyms::pseudonyms(&mut reader, written));
    let sinks = sinks::sinks(&mut reader, &file.audit.sinks);
    let server = process::server(&mut reader, &file.server);
    let limits = limits::limits(&mut reader, &applications, &file.limits);
    let crl_fetch = trust::crl_fetch(&mut reader, &file.crl_fetch);
    let crl_grace = trust::crl_grace(&mut reader, &file.crl_grace);
    let access_log = process::access_log(&mut reader, file.access_log.as_ref());
    let admin = process::admin(&mut reader, file.admin.as_ref());
    let control = process::control(
        &mut reader,
        &file.control,
        (server.as_ref(), audit.as_ref()),
    );
    listener::no_address_twice(&mut reader, file);
    application::no_request_to_ourselves(&mut reader, file);
    application::each_host_has_a_certificate(&mut reader, &file.applications, &listeners);
    Some(Config {
        file: name.to_owned(),
        server: server?,
        listeners,
        zones,
        labels,
        matrix,
        identity: identity?,
        purpose,
        applications,
        policy: policy?,
        crl_fetch: crl_fetch?,
        crl_grace,
        limits,
        audit: audit?,
        retention: retention?,
        pseudonyms,
        sinks,
        access_log,
        admin,
        control: control?,
    })
}

/// What names in the rest of the file can refer to.
#[derive(Clone, Copy, Debug)]
struct Names<'a> {
    zones: &'a [Zone],
    labels: &'a [Name],
}

impl Names<'_> {
    fn zone(self, reader: &mut Reader<'_, '_>, text: &Text) -> Option<ZoneId> {
        let same = |zone: &Zone| zone.name.as_str() == text.get_ref();
        let index = self.zones.iter().position(same);
        let id = index.and_then(|index| u16::try_from(index).ok());
        if id.is_none() {
            let what = format!("there is no zone `{}`", text.get_ref());
            let others = others(self.zones.iter().map(|zone| &zone.name));
            reader.fault(
                text,
                Fault::new(what, format!("add it to `[zones]`{others}")),
            );
        }
        id.map(ZoneId::new)
    }

    fn label(self, reader: &mut Reader<'_, '_>, text: &Text) -> Option<LabelId> {
        let same = |label: &Name| label.as_str() == text.get_ref();
        let index = self.labels.iter().position(same);
        let id = index.and_then(|index| u8::try_from(index).ok());
        // Without any label, that has been reported, and every use of one would be reported again.
        if id.is_none() && !self.labels.is_empty() {
            let what = format!("there is no label `{}`", text.get_ref());
            let others = others(self.labels.iter());
            let fix = format!("add it to `order` in `[labels]`{others}");
            reader.fault(text, Fault::new(what, fix));
        }
        id.map(LabelId::new)
    }
}

/// The first few names that could be meant, for a remedy.
fn others<'a>(names: impl Iterator<Item = &'a Name>) -> String {
    let names: Vec<String> = names
        .take(NAMES_SHOWN_MAX)
        .map(|name| format!("`{}`", name.as_str()))
        .collect();
    if names.is_empty() {
        return String::new();
    }
    format!(", or use {}", names.join(", "))
}

/// Names that a remedy lists.
const NAMES_SHOWN_MAX: usize = 8;
