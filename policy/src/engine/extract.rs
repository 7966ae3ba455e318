//! `keyGet`, `keyGet2` and `keyGet3`: the part of a path that stands where a pattern has a parameter.

use super::segments::SPECIAL;

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
        let readable = match self {
            Self::KeyGet => true,
            Self::KeyGet2 | Self::KeyGet3 => {
                let body = pattern.strip_suffix("/*").unwrap_or(pattern);
                let pieces = || body.split('/').skip(1);
                pattern.starts_with('/') && pieces().all(|piece| self.piece(piece).is_plain())
            }
        };
        if readable {
            return Ok(());
        }
        Err((
            format!(
                "pattern `{pattern}` of {} is more than plain texts and one parameter in a segment",
                self.name()
            ),
            "write for example `/a/:name/*`, or `/a/{name}/*` and `/a_{name}_b/*` for keyGet3"
                .to_owned(),
        ))
    }

    /// Takes a segment of a pattern apart.
    fn piece(self, segment: &str) -> Piece<'_> {
        let found = match self {
            Self::KeyGet => None,
            Self::KeyGet2 => segment
                .split_once(':')
                .map(|(before, name)| (before, name, "")),
            Self::KeyGet3 => segment.split_once('{').and_then(|(before, rest)| {
                let (name, after) = rest.split_once('}')?;
                Some((before, name, after))
            }),
        };
        match found {
            Some((before, name, after)) if !name.is_empty() => Piece {
                before,
                name: Some(name),
                after,
            },
            _ => Piece {
                before: segment,
                name: None,
                after: "",
            },
        }
    }

    /// The part of `value`; empty if there is none.
    pub(crate) fn apply<'a>(self, value: &'a str, pattern: &str, name: &str) -> &'a str {
        if self == Self::KeyGet {
            let rest = pattern
                .split_once('*')
                .and_then(|(before, _)| value.strip_prefix(before));
            return rest.unwrap_or_default();
        }
        self.part(value, pattern, name).unwrap_or_default()
    }

    /// Compares segment by segment; nothing if `value` does not match, or has no such part.
    fn part<'a>(self, value: &'a str, pattern: &str, name: &str) -> Option<&'a str> {
        let (body, open) = match pattern.strip_suffix("/*") {
            Some(body) => (body, true),
            None => (pattern, false),
        };
        let mut rest = Some(value);
        let mut found = None;
        for segment in body.split('/') {
            let (own, after) = match rest?.split_once('/') {
                Some((own, after)) => (own, Some(after)),
                None => (rest?, None),
            };
            let piece = self.piece(segment);
            let inside = own.strip_prefix(piece.before)?.strip_suffix(piece.after)?;
            if inside.is_empty() != piece.name.is_none() {
                return None;
            }
            if piece.name == Some(name) {
                found = found.or(Some(inside));
            }
            rest = after;
        }
        let ends = match rest {
            Some(more) => open && !more.contains('\n'),
            None => !open,
        };
        found.filter(|_| ends)
    }
}

/// A segment of a pattern: plain text, or a parameter between plain texts.
struct Piece<'a> {
    before: &'a str,
    name: Option<&'a str>,
    after: &'a str,
}

impl Piece<'_> {
    /// Whether nothing of it is read as a regular expression.
    fn is_plain(&self) -> bool {
        let names_one = self.name.is_none_or(|name| !name.contains(['{', '}', ':']));
        names_one && !self.before.contains(SPECIAL) && !self.after.contains(SPECIAL)
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
            (KeyGet3, "/api/p1_admin/x", "/api/{p}_admin/x", "p", "p1"),
            (KeyGet3, "/api/p1_x/x", "/api/{p}_admin/x", "p", ""),
            (KeyGet3, "/api/_admin/x", "/api/{p}_admin/x", "p", ""),
            (KeyGet3, "/proj_7/a/b", "/proj_{id}/*", "id", "7"),
            (KeyGet3, "/proj_7", "/proj_{id}/*", "id", ""),
            (KeyGet3, "/a_b_c/", "/a_{id}_c/{x}", "id", ""),
            (KeyGet2, "/proj_7/a", "/proj_:id/a", "id", "7"),
            (KeyGet2, "/proj_/a", "/proj_:id/a", "id", ""),
            (KeyGet2, "/x/a\nb", "/:id/*", "id", ""),
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
        assert!(Extraction::KeyGet3.check("/proj_{id}").is_ok());
        for broken in ["/{a}_{b}", "/{a}.html", "proj/{id}", "/a(b/{id}", "/{}"] {
            assert!(Extraction::KeyGet3.check(broken).is_err(), "{broken}");
        }
        assert!(Extraction::KeyGet.check("/a.b*").is_ok());
    }
}
