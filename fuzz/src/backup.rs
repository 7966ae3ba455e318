//! Archives of `hangu backup`.

use std::path::{Component, Path};

use hangu_gateway::backup::places;

/// Whoever has signed it: an archive that is followed leads nowhere out of its folder, names no place twice, and is refused with a
/// byte more or less.
///
/// # Panics
/// When one of these does not hold.
pub fn backup(bytes: &[u8]) {
    let Ok(found) = places(bytes) else { return };
    for place in &found {
        let path = Path::new(place);
        assert!(
            path.is_relative() && !place.is_empty(),
            "`{place}` leads out"
        );
        let plain = |part| matches!(part, Component::Normal(_));
        assert!(path.components().all(plain), "`{place}` leads out");
    }
    let distinct: std::collections::BTreeSet<_> = found.iter().collect();
    assert_eq!(distinct.len(), found.len(), "one place twice");
    let shorter = bytes.get(..bytes.len() - 1).unwrap_or_default();
    assert!(places(shorter).is_err(), "a byte less is enough");
    assert!(
        places(&*[bytes, b"\0"].concat()).is_err(),
        "a byte more is passed over"
    );
}
