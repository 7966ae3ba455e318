//! `[audit.retention]`.

use super::reader::Reader;
use super::store;
use crate::config::bounds;
use crate::config::checked::Retention;
use crate::config::file;
use crate::config::problem::Fault;

pub(super) fn retention(
    reader: &mut Reader<'_, '_>,
    written: &file::Retention,
) -> Option<Retention> {
    let days = reader.count(written.days.as_ref(), &bounds::RETENTION_DAYS);
    let profile = reader.choice(written.profile.as_ref(), PROFILES, Profile::Production);
    if let (true, Profile::Production, Some(place)) =
        (days.get() < DAYS_MIN, profile, written.days.as_ref())
    {
        let what = format!("{days} days are less than the {DAYS_MIN} that the law asks for");
        let fix =
            "write 180 or more, or `profile = \"development\"` where no duty to keep records holds";
        reader.fault(place, Fault::new(what, fix));
    }
    let archive = match &written.archive {
        Some(text) => Some(store::archive(reader, text, written.store.as_ref())?),
        None => None,
    };
    Some(Retention {
        days,
        compress: written.compress.unwrap_or(true),
        archive,
        every: reader.duration(written.every.as_ref(), &bounds::RETENTION_EVERY),
    })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Profile {
    Production,
    Development,
}

const PROFILES: &[(&str, Profile)] = &[
    ("production", Profile::Production),
    ("development", Profile::Development),
];
/// Six months: Cybersecurity Law of the People's Republic of China, article 21 (3).
const DAYS_MIN: u32 = 180;
