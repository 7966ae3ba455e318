//! `keyGet`, `keyGet2` and `keyGet3`: the part of a path that stands where a pattern has a parameter.

use super::pattern::Matching;
use super::segments::{Part, Whole, fits_whole};

/// A built-in function that takes a part out of a value.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Extraction {
    KeyGet,
    KeyGet2,
    KeyGet3,
}

impl Extraction {
    pub(crate) const ALL: [Self; 3] = [Self::KeyGet, Self::KeyGet2, Self::KeyGet3];

    /// As it is called in a matcher.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::KeyGet => "keyGet",
            Self::KeyGet2 => "keyGet2",
            Self::KeyGet3 => "keyGet3",
        }
    }

    /// How many arguments it takes.
    pub(crate) fn arguments(self) -> usize {
        match self {
            Self::KeyGet => 2,
            Self::KeyGet2 | Self::KeyGet3 => 3,
        }
    }

    /// What is wrong with a pattern, and the fix.
    pub(crate) fn check(self, pattern: &str) -> Result<(), (String, String)> {
        let matching = match self {
            Self::KeyGet => return Ok(()),
            Self::KeyGet2 => Matching::KeyMatch2,
            Self::KeyGet3 => Matching::KeyMatch3,
        };
        match Whole::parse(matching, pattern) {
            Some(_) => Ok(()),
            None => Err((
                format!(
                    "pattern `{pattern}` of {} is not made of whole segments",
                    self.name()
                ),
                "write parameters as segments of their own: `/a/:name/*` or `/a/{name}/*`"
                    .to_owned(),
            )),
        }
    }

    /// The part of `value`; empty if there is none.
    pub(crate) fn apply<'a>(self, value: &'a str, pattern: &str, name: &str) -> &'a str {
        let matching = match self {
            Self::KeyGet => {
                let rest = pattern
                    .split_once('*')
                    .and_then(|(before, _)| value.strip_prefix(before));
                return rest.unwrap_or_default();
            }
            Self::KeyGet2 => Matching::KeyMatch2,
            Self::KeyGet3 => Matching::KeyMatch3,
        };
        if !fits_whole(matching, value, pattern) {
            return "";
        }
        let parts = Whole::parse(matching, pattern)
            .into_iter()
            .flat_map(Whole::parts);
        parts
            .zip(value.split('/').skip(1))
            .find(|(part, _)| matches!(part, Part::Parameter(known) if *known == name))
            .map_or("", |(_, segment)| segment)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_part_is_what_casbin_takes() {
        use Extraction::{KeyGet, KeyGet2, KeyGet3};
        for (extraction, value, pattern, name, expected) in [
            (KeyGet, "/foo/bar/foo", "/foo/*", "", "bar/foo"),
            (KeyGet, "/foo", "/foo", "", ""),
            (KeyGet, "/foo", "/foo*", "", ""),
            (KeyGet, "/x/bar", "/foo/*", "", ""),
            (KeyGet2, "/resource1", "/:resource", "resource", "resource1"),
            (KeyGet2, "/a/b/c", "/:x/b/:y", "y", "c"),
            (KeyGet2, "/a/b/c", "/:x/b/:y", "z", ""),
            (KeyGet2, "/a/x/c", "/:x/b/:y", "x", ""),
            (KeyGet2, "/a/b/c/d", "/a/:id/*", "id", "b"),
            (KeyGet2, "/1/2", "/:a/:a", "a", "1"),
            (KeyGet3, "/proxy/my/res", "/proxy/{id}/*", "id", "my"),
            (KeyGet3, "/proxy/", "/proxy/{id}", "id", ""),
        ] {
            assert_eq!(
                extraction.apply(value, pattern, name),
                expected,
                "{extraction:?} {value} {pattern}"
            );
        }
    }

    #[test]
    fn a_pattern_of_broken_segments_is_refused() {
        assert!(Extraction::KeyGet2.check("/a/:id.html").is_ok());
        assert!(Extraction::KeyGet2.check("/a.b/:id").is_err());
        assert!(Extraction::KeyGet3.check("/proj_{id}").is_err());
        assert!(Extraction::KeyGet.check("/a.b*").is_ok());
    }
}
