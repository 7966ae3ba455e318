//! The smallest sets of requests on which a handful of rules can differ.
//!
//! What two boxes have in common is a box again. So the boxes of some rules, closed under taking what they have in
//! common, part all requests: each box stands for its requests that are in no smaller one, one witness speaks for
//! all of them, and what is true for the witnesses is true for every request.

use super::places::{Common, Places, Segment};
use super::witness::FRESH;

/// What one argument of a request may be.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Cell<'a> {
    Any,
    Like(Places<'a>),
}

/// One cell for each argument.
pub(crate) type Region<'a> = Vec<Cell<'a>>;

impl<'a> Cell<'a> {
    fn contains(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Any, _) => true,
            (Self::Like(_), Self::Any) => false,
            (Self::Like(mine), Self::Like(theirs)) => mine.contains(theirs),
        }
    }

    fn common(&self, other: &Self) -> Option<Self> {
        match (self, other) {
            (Self::Any, other) => Some(other.clone()),
            (_, Self::Any) => Some(self.clone()),
            (Self::Like(mine), Self::Like(theirs)) => match mine.common(theirs) {
                Common::These(places) => Some(Self::Like(places)),
                Common::Nothing | Common::Unknown => None,
            },
        }
    }

    /// A value of the cell that is in no smaller one.
    pub(crate) fn witness(&self, depth: usize) -> Option<String> {
        match self {
            Self::Any => Some(FRESH.to_owned()),
            Self::Like(places) => places.witness(FRESH, depth),
        }
    }

    pub(crate) fn shown(&self) -> String {
        match self {
            Self::Any => "*".to_owned(),
            Self::Like(places) => places.shown(),
        }
    }
}

/// Whether every request of `inner` is one of `outer`.
pub(crate) fn contains(outer: &[Cell<'_>], inner: &[Cell<'_>]) -> bool {
    outer
        .iter()
        .zip(inner)
        .all(|(mine, theirs)| mine.contains(theirs))
}

/// What two regions have in common.
fn common<'a>(a: &[Cell<'a>], b: &[Cell<'a>]) -> Option<Region<'a>> {
    a.iter()
        .zip(b)
        .map(|(mine, theirs)| mine.common(theirs))
        .collect()
}

/// The regions inside `within` that `others` part it into; `None` when there are too many.
pub(crate) fn parts<'a>(within: &Region<'a>, others: &[&Region<'a>]) -> Option<Vec<Region<'a>>> {
    let mut parts = vec![within.clone()];
    for other in others {
        let mut new = Vec::new();
        for part in &parts {
            if let Some(both) = common(part, other)
                && !parts.contains(&both)
                && !new.contains(&both)
            {
                new.push(both);
            }
        }
        parts.extend(new);
        if parts.len() > PARTS_MAX {
            return None;
        }
    }
    let layers: Vec<_> = parts.iter().flat_map(|part| layers(part, &parts)).collect();
    for layer in layers {
        if !parts.contains(&layer) {
            parts.push(layer);
        }
    }
    (parts.len() <= PARTS_MAX).then_some(parts)
}

/// A region that is open below, cut into one for each depth down to where another open region inside it begins:
/// what is deeper is in that one.
fn layers<'a>(part: &Region<'a>, all: &[Region<'a>]) -> Vec<Region<'a>> {
    let mut found = Vec::new();
    for (index, cell) in part.iter().enumerate() {
        let Cell::Like(Places::Segments { parts, open: true }) = cell else {
            continue;
        };
        let deeper =
            all.iter()
                .filter(|other| contains(part, other))
                .filter_map(|other| match other.get(index) {
                    Some(Cell::Like(Places::Segments { parts, open: true })) => Some(parts.len()),
                    _ => None,
                });
        for depth in parts.len() + 1..=deeper.max().unwrap_or_default() {
            let mut closed = parts.clone();
            closed.resize(depth, Segment::Some);
            let mut layer = part.clone();
            if let Some(cell) = layer.get_mut(index) {
                *cell = Cell::Like(Places::Segments {
                    parts: closed,
                    open: false,
                });
            }
            found.push(layer);
        }
    }
    found
}

/// Regions that one rule may be parted into.
const PARTS_MAX: usize = 2_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::pattern::Matching;
    use proptest::prelude::*;

    const PATTERNS: [&str; 14] = [
        "/*", "/a/*", "/a/:x", "/a/b", "/:x/b", "/:x/:y", "/:x/:y/*", "/a/:x/*", "/a/:x/c",
        "/a/b/*", "/:x/b/*", "/:x", "/a", "/a/b/c",
    ];
    const VALUES: [&str; 12] = [
        "/a", "/z", "/a/b", "/a/z", "/z/b", "/z/z", "/a/b/c", "/a/z/c", "/a/z/z", "/z/b/z",
        "/z/z/z", "/a/b/c/d",
    ];

    fn region(pattern: &'static str) -> Region<'static> {
        vec![Cell::Like(Places::of(Matching::KeyMatch2, pattern))]
    }

    fn holds(region: &[Cell<'_>], value: &str) -> bool {
        match region {
            [Cell::Like(places)] => places.holds(value) == Some(true),
            _ => true,
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]
        #[test]
        fn some_witness_stands_for_every_value(
            chosen in prop::collection::vec(prop::sample::select(&PATTERNS[..]), 1..6),
        ) {
            let regions: Vec<_> = chosen.iter().map(|pattern| region(pattern)).collect();
            let (within, others) = regions.split_first().unwrap();
            let parts = parts(within, &others.iter().collect::<Vec<_>>()).unwrap();
            let signature = |value: &str| -> Vec<bool> {
                regions.iter().map(|region| holds(region, value)).collect()
            };
            let witnessed: Vec<_> = parts.iter().map(|part| signature(&part[0].witness(6).unwrap())).collect();
            for value in VALUES.iter().filter(|value| holds(within, value)) {
                prop_assert!(witnessed.contains(&signature(value)), "{value} {chosen:?} {parts:?}");
            }
        }
    }
}
