//! Zones, labels and the matrix between them.

use super::Names;
use super::reader::Reader;
use crate::config::checked::{Matrix, Zone};
use crate::config::file::{Labels, Named, Texts};
use crate::config::problem::Fault;
use crate::config::values::{IpPrefix, LabelSet, Name};

/// In the order of their names.
pub(super) fn zones(reader: &mut Reader<'_, '_>, written: &Named<Texts>) -> Vec<Zone> {
    let mut zones = Vec::with_capacity(written.len());
    let mut everywhere = Vec::new();
    for (name, prefixes) in written {
        let prefixes = reader.read_each(Some(prefixes), IpPrefix::parse);
        everywhere.extend(prefixes.iter().copied());
        if let Some(name) = reader.read(Some(name), Name::parse) {
            let prefixes = prefixes.into_iter().map(|(_, prefix)| prefix).collect();
            zones.push(Zone { name, prefixes });
        }
    }
    everywhere.sort_by_key(|(text, _)| text.span().start);
    reader.no_two(everywhere, |prefix| {
        Fault::new(
            format!("`{prefix}` stands here for the second time"),
            "keep it in one zone only",
        )
    });
    zones
}

/// In the order of the file, lowest first.
pub(super) fn labels(reader: &mut Reader<'_, '_>, written: &Labels) -> Vec<Name> {
    let labels = reader.read_each(written.order.as_ref(), Name::parse);
    reader.no_two(labels.iter().map(|(text, label)| (*text, label)), |label| {
        Fault::new(
            format!("label `{}` stands here for the second time", label.as_str()),
            "keep its first place",
        )
    });
    labels.into_iter().map(|(_, label)| label).collect()
}

/// Zones that are not named reach nothing.
pub(super) fn matrix(
    reader: &mut Reader<'_, '_>,
    names: Names<'_>,
    written: &Named<Texts>,
) -> Matrix {
    let mut reachable = vec![LabelSet::default(); names.zones.len()];
    for (zone, labels) in written {
        let mut set = LabelSet::default();
        for text in labels.get_ref() {
            if let Some(label) = names.label(reader, text) {
                set = set.with(label);
            }
        }
        reader.no_two(
            labels.get_ref().iter().map(|text| (text, text.get_ref())),
            |label| {
                Fault::new(
                    format!("label `{label}` stands here for the second time"),
                    "remove it",
                )
            },
        );
        let zone = names.zone(reader, zone);
        if let Some(cell) = zone.and_then(|zone| reachable.get_mut(usize::from(zone.index()))) {
            *cell = set;
        }
    }
    Matrix { reachable }
}
