//! The patterns of Casbin's built-in functions, compiled at load.
//!
//! A pattern of whole segments (`/a/:id/b`, `/a/*`) is compared segment by segment; any other becomes a regular
//! expression that runs in linear time and has a bounded size. A pattern that Casbin would panic on is refused.

use crate::bounds::{PATTERN_BYTES_MAX, REGEX_BYTES_MAX};
use regex::{Regex, RegexBuilder};

/// A built-in function that matches a value against a pattern.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Matching {
    KeyMatch,
    KeyMatch2,
    Regex,
}

impl Matching {
    pub(crate) const ALL: [Self; 3] = [Self::KeyMatch, Self::KeyMatch2, Self::Regex];

    /// As it is called in a matcher.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::KeyMatch => "keyMatch",
            Self::KeyMatch2 => "keyMatch2",
            Self::Regex => "regexMatch",
        }
    }
}

/// A compiled pattern.
#[derive(Debug)]
pub(crate) enum Pattern {
    /// `keyMatch`: the text before the first `*`, if there is one.
    Prefix(Box<str>),
    /// `keyMatch` without `*`.
    Exact(Box<str>),
    /// Whole segments.
    Segments(Segments),
    /// Anything else.
    Regex(Box<Regex>),
}

/// A pattern made of whole segments after a leading `/`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Segments {
    /// A literal, or `None` for `:param`: one or more characters but `/`.
    pub(crate) parts: Vec<Option<Box<str>>>,
    /// Ends in `/*`: a `/` and anything but a line break after it.
    pub(crate) open: bool,
}

impl Pattern {
    /// Compiles `text`; the error is what is wrong, and the fix.
    pub(crate) fn compile(matching: Matching, text: &str) -> Result<Self, (String, String)> {
        if text.len() > PATTERN_BYTES_MAX {
            return Err((
                format!("pattern is longer than {PATTERN_BYTES_MAX} bytes"),
                "split it into several rows".to_owned(),
            ));
        }
        match matching {
            Matching::KeyMatch => Ok(match text.split_once('*') {
                Some((before, _)) => Self::Prefix(before.into()),
                None => Self::Exact(text.into()),
            }),
            Matching::KeyMatch2 => match Segments::parse(text) {
                Some(segments) => Ok(Self::Segments(segments)),
                None => regex(&key_match2_regex(text), text),
            },
            Matching::Regex => regex(text, text),
        }
    }

    /// Whether `value` matches.
    pub(crate) fn matches(&self, value: &str) -> bool {
        match self {
            Self::Prefix(before) => value.starts_with(&**before),
            Self::Exact(text) => value == &**text,
            Self::Segments(segments) => segments.matches(value),
            Self::Regex(regex) => regex.is_match(value),
        }
    }

    pub(crate) fn is_regex(&self) -> bool {
        matches!(self, Self::Regex(_))
    }
}

impl Segments {
    /// The segments of a `keyMatch2` pattern, if it consists of whole ones.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (text, open) = match text.strip_suffix("/*") {
            Some(rest) => (rest, true),
            None => (text, false),
        };
        if text.is_empty() && open {
            return Some(Self {
                parts: Vec::new(),
                open,
            });
        }
        let parts = text
            .strip_prefix('/')?
            .split('/')
            .map(|part| match part.strip_prefix(':') {
                Some("") => None,
                Some(_) => Some(None),
                None if part.contains(SPECIAL) => None,
                None => Some(Some(part.into())),
            })
            .collect::<Option<Vec<_>>>()?;
        Some(Self { parts, open })
    }

    fn matches(&self, value: &str) -> bool {
        let Some(mut rest) = value.strip_prefix('/') else {
            return false;
        };
        let mut parts = self.parts.iter().peekable();
        while let Some(part) = parts.next() {
            let last = parts.peek().is_none() && !self.open;
            let (segment, after) = match rest.split_once('/') {
                Some((segment, after)) => (segment, Some(after)),
                None => (rest, None),
            };
            let fits = match part {
                Some(literal) => segment == &**literal,
                None => !segment.is_empty(),
            };
            match (fits, after, last) {
                (true, Some(after), false) => rest = after,
                (true, None, true) => return true,
                _ => return false,
            }
        }
        self.open && !rest.contains('\n')
    }
}

/// What `keyMatch2` makes of a pattern: `/*` is anything, `:name` is one segment.
fn key_match2_regex(text: &str) -> String {
    let text = text.replace("/*", "/.*");
    let mut out = String::with_capacity(text.len() + 16);
    out.push('^');
    let mut rest = text.as_str();
    while let Some((before, after)) = rest.split_once(':') {
        out.push_str(before);
        let name = after.find('/').unwrap_or(after.len());
        out.push_str(if name == 0 { ":" } else { "[^/]+" });
        rest = after.get(name..).unwrap_or_default();
    }
    out.push_str(rest);
    out.push('$');
    out
}

fn regex(source: &str, written: &str) -> Result<Pattern, (String, String)> {
    match RegexBuilder::new(source)
        .size_limit(REGEX_BYTES_MAX)
        .build()
    {
        Ok(regex) => Ok(Pattern::Regex(Box::new(regex))),
        Err(regex::Error::CompiledTooBig(_)) => Err((
            format!("pattern `{written}` compiles to more than {REGEX_BYTES_MAX} bytes"),
            "use fewer or smaller repetitions".to_owned(),
        )),
        Err(error) => {
            let shown = error.to_string();
            let reason = shown.lines().last().unwrap_or_default();
            let reason = reason.strip_prefix("error: ").unwrap_or(reason);
            Err((
                format!("pattern `{written}` is no regular expression: {reason}"),
                "correct it; a whole path is written `/a/b`, one segment `/:name`, the rest `/*`"
                    .to_owned(),
            ))
        }
    }
}

/// Characters that a regular expression does not take literally, and `:`, which starts a parameter.
const SPECIAL: [char; 15] = [
    '.', '^', '$', '|', '?', '*', '+', '(', ')', '[', ']', '{', '}', '\\', ':',
];

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(matching: Matching, value: &str, pattern: &str) -> bool {
        Pattern::compile(matching, pattern).unwrap().matches(value)
    }

    #[test]
    fn key_match_ignores_what_follows_the_star() {
        for (value, pattern, expected) in [
            ("/foo", "/foo", true),
            ("/foo", "/foo*", true),
            ("/foo/bar", "/foo", false),
            ("/foo/bar", "/foo/*", true),
            ("/foo", "/foo/*", false),
            ("/foobar", "/foo*", true),
            ("/foobar", "/foo*baz", true),
            ("/x/y中中中", "/x/yz/*", false),
            ("anything", "*", true),
        ] {
            assert_eq!(
                matches(Matching::KeyMatch, value, pattern),
                expected,
                "{value} {pattern}"
            );
        }
    }

    #[test]
    fn key_match2_answers_as_casbin_whatever_way_it_is_compiled() {
        for (value, pattern, expected) in [
            ("/", "/", true),
            ("/", "/*", true),
            ("", "/*", false),
            ("/a", "/a/*", false),
            ("/a/", "/a/*", true),
            ("/a/b/c", "/a/*", true),
            ("/a/b\nc", "/a/*", false),
            ("/a/b", "/a/:id", true),
            ("/a/", "/a/:id", false),
            ("/a/b/c", "/a/:id", false),
            ("/a/..", "/a/:id", true),
            ("/a/b/c", "/:x/b/:y", true),
            ("/a/b/", "/a/b", false),
            ("/a//b", "/a//b", true),
            ("/a/x/b", "/a/*/b", true),
            ("/a/x/y/b", "/a/*/b", true),
            ("/file_txt", "/file.txt", true),
            ("/a/evil", "/a|/b", true),
            ("/ab", "/a:", false),
            ("/a:", "/a:", true),
            ("/ab", "/a:x", true),
            ("/资料/一", "/资料/:id", true),
            ("a", "a", true),
            ("anything", "*", true),
        ] {
            assert_eq!(
                matches(Matching::KeyMatch2, value, pattern),
                expected,
                "{value:?} {pattern}"
            );
            let as_regex = Regex::new(&key_match2_regex(pattern)).unwrap();
            assert_eq!(
                as_regex.is_match(value),
                expected,
                "regex: {value:?} {pattern}"
            );
        }
    }

    #[test]
    fn a_pattern_that_casbin_panics_on_is_refused() {
        for (matching, pattern) in [
            (Matching::KeyMatch2, "/a/?*+("),
            (Matching::KeyMatch2, "/a/(b"),
            (Matching::Regex, "["),
            (Matching::Regex, "(a{1000}){1000}"),
            (Matching::Regex, r"(a)\1"),
        ] {
            assert!(Pattern::compile(matching, pattern).is_err(), "{pattern}");
        }
    }

    #[test]
    fn regex_match_is_not_anchored() {
        assert!(matches(Matching::Regex, "TARGET", "GET"));
        assert!(matches(Matching::Regex, "anything", ""));
        assert!(!matches(Matching::Regex, "TARGET", "^GET$"));
    }
}
