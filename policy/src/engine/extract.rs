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
                pattern.starts_with('/') && pieces().all(|piece| self.is_plain(piece))
            }
        };
        if readable {
            return Ok(());
        }
        Err((
            format!(
                "pattern `{pattern}` of {} is more than plain texts and parameters in segments",
                self.name()
            ),
            "write for example `/a/:name/*`, or `/a/{name}/*` and `/a_{name}_b/*` for keyGet3"
                .to_owned(),
        ))
    }

    /// Whether nothing of a segment of a pattern is read as a regular expression.
    fn is_plain(self, segment: &str) -> bool {
        let mut rest = segment;
        loop {
            let (before, parameter) = self.split(rest);
            let Some((name, after)) = parameter else {
                return !before.contains(SPECIAL);
            };
            if before.contains(SPECIAL) || name.contains(['{', '}', ':']) {
                return false;
            }
            rest = after;
        }
    }

    /// The plain text that a segment of a pattern begins with, and its first parameter with what follows it.
    fn split(self, segment: &str) -> (&str, Option<(&str, &str)>) {
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
            Some((before, name, after)) if !name.is_empty() => (before, Some((name, after))),
            _ => (segment, None),
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
            self.part_of_segment(own, segment, name, &mut found)?;
            rest = after;
        }
        let ends = match rest {
            Some(more) => open && !more.contains('\n'),
            None => !open,
        };
        found.filter(|_| ends)
    }

    /// Adds the part `name` if it is in this segment and none is `found` yet; nothing if the segment does not match.
    ///
    /// Each parameter takes as little as lets the rest match, but a character: up to the first place where the text that
    /// follows it stands, and the last one all that is left. Whatever a longer part would let match, the shortest does too.
    fn part_of_segment<'a>(
        self,
        own: &'a str,
        segment: &str,
        name: &str,
        found: &mut Option<&'a str>,
    ) -> Option<()> {
        let (before, mut next) = self.split(segment);
        let mut rest = own.strip_prefix(before)?;
        while let Some((parameter, after)) = next {
            let (literal, following) = self.split(after);
            let first = rest.chars().next()?.len_utf8();
            let end = match following {
                None => rest.strip_suffix(literal)?.len(),
                Some(_) => first + rest.get(first..)?.find(literal)?,
            };
            if end < first {
                return None;
            }
            let (part, tail) = rest.split_at_checked(end)?;
            if parameter == name {
                found.get_or_insert(part);
            }
            rest = tail.strip_prefix(literal)?;
            next = following;
        }
        rest.is_empty().then_some(())
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
            (KeyGet3, "/1-2-3", "/{a}-{b}", "a", "1"),
            (KeyGet3, "/1-2-3", "/{a}-{b}", "b", "2-3"),
            (KeyGet3, "/--1", "/{a}-{b}", "a", "-"),
            (KeyGet3, "/1-", "/{a}-{b}", "a", ""),
            (KeyGet3, "/\u{5f20}\u{4e09}x", "/{a}{b}", "a", "\u{5f20}"),
            (KeyGet3, "/\u{5f20}\u{4e09}x", "/{a}{b}", "b", "\u{4e09}x"),
            (KeyGet3, "/7-8", "/{a}-{a}", "a", "7"),
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
        assert!(Extraction::KeyGet3.check("/{a}_{b}").is_ok());
        for broken in [
            "/{a}_{b}.",
            "/{a}{",
            "/{a}.html",
            "proj/{id}",
            "/a(b/{id}",
            "/{}",
        ] {
            assert!(Extraction::KeyGet3.check(broken).is_err(), "{broken}");
        }
        assert!(Extraction::KeyGet.check("/a.b*").is_ok());
    }
}
