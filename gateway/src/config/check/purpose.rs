//! What the data are for: how a request says it, and what it may say to whom.

use super::application::parse_header_name;
use super::reader::Reader;
use crate::config::checked::{Application, Purpose};
use crate::config::file;
use crate::config::problem::Fault;
use crate::config::values::Name;

pub(super) fn purpose(reader: &mut Reader<'_, '_>, written: &file::Purpose) -> Option<Purpose> {
    let header = reader.read(written.header.as_ref(), parse_header_name);
    let names = reader.read_each(written.names.as_ref(), Name::parse);
    let places = names.iter().map(|(place, name)| (*place, name.as_str()));
    reader.no_two(places, |name| {
        let what = format!("the purpose `{name}` stands here for the second time");
        Fault::new(what, "remove it")
    });
    Some(Purpose {
        header: header?,
        names: names.into_iter().map(|(_, name)| name).collect(),
        forward: written.forward.unwrap_or(true),
    })
}

/// Gives each application the purposes that it names, or all.
pub(super) fn purposes(
    reader: &mut Reader<'_, '_>,
    purpose: Option<&Purpose>,
    written: &[file::Application],
    applications: &mut [Application],
) {
    let all = purpose.map_or(&[][..], |purpose| &purpose.names);
    for application in &mut *applications {
        all.clone_into(&mut application.purposes);
    }
    for written in written {
        if written.purposes.is_none() {
            continue;
        }
        let known = reader.read_each(written.purposes.as_ref(), |text| {
            let name = Name::parse(text)?;
            if all.contains(&name) {
                return Ok(name);
            }
            let what = format!("there is no purpose `{text}`");
            Err(Fault::new(
                what,
                "add it to `names` in `[purpose]`, or remove it here",
            ))
        });
        let own = written.name.as_ref().map(|name| name.get_ref().as_str());
        let same = |application: &&mut Application| Some(application.name.as_str()) == own;
        if let Some(application) = applications.iter_mut().find(same) {
            application.purposes = known.into_iter().map(|(_, name)| name).collect();
        }
    }
}
