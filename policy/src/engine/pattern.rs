//! The patterns of Casbin's built-in functions.
//!
//! A pattern of whole segments (`/a/:id/b`, `/a/*`) is compared segment by segment, straight from its text; any
//! other becomes a regular expression at load, which runs in linear time and has a bounded size. A pattern that
//! Casbin would panic on is refused.

use super::dialect;
use super::glob::Glob;
use super::network::{self, Network};
use super::segments::{Whole, fits_whole};
use crate::bounds::{PATTERN_BYTES_MAX, REGEX_BYTES_MAX};
use crate::rules::symbols::{PairState, Symbol, Symbols};
use regex::{Regex, RegexBuilder};
use std::collections::HashMap;

/// A built-in function that matches a value against a pattern.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Matching {
    KeyMatch,
    KeyMatch2,
    KeyMatch3,
    KeyMatch4,
    KeyMatch5,
    Regex,
    Glob,
    Ip,
}

impl Matching {
    pub(crate) const ALL: [Self; 8] = [
        Self::KeyMatch,
        Self::KeyMatch2,
        Self::KeyMatch3,
        Self::KeyMatch4,
        Self::KeyMatch5,
        Self::Regex,
        Self::Glob,
        Self::Ip,
    ];

    /// As it is called in a matcher.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::KeyMatch => "keyMatch",
            Self::KeyMatch2 => "keyMatch2",
            Self::KeyMatch3 => "keyMatch3",
            Self::KeyMatch4 => "keyMatch4",
            Self::KeyMatch5 => "keyMatch5",
            Self::Regex => "regexMatch",
            Self::Glob => "globMatch",
            Self::Ip => "ipMatch",
        }
    }

    /// Whether its patterns may consist of whole segments.
    pub(crate) fn has_segments(self) -> bool {
        matches!(
            self,
            Self::KeyMatch2 | Self::KeyMatch3 | Self::KeyMatch4 | Self::KeyMatch5
        )
    }

    /// What of a value is matched: `keyMatch5` leaves the query out.
    pub(crate) fn matched_part(self, value: &str) -> &str {
        if self != Self::KeyMatch5 {
            return value;
        }
        value.split_once('?').map_or(value, |(path, _)| path)
    }

    /// The name of the parameter that a whole segment stands for, if it does.
    pub(super) fn parameter(self, segment: &str) -> Option<&str> {
        let name = match self {
            Self::KeyMatch | Self::Regex | Self::Glob | Self::Ip => return None,
            Self::KeyMatch2 => segment.strip_prefix(':')?,
            Self::KeyMatch3 | Self::KeyMatch4 | Self::KeyMatch5 => {
                segment.strip_prefix('{')?.strip_suffix('}')?
            }
        };
        (!name.is_empty()).then_some(name)
    }
}

/// The patterns of a policy that are more than whole segments, compiled; each checked at load.
#[derive(Debug, Default)]
pub(crate) struct Patterns {
    compiled: HashMap<(Matching, Symbol), Compiled, PairState>,
    /// Bytes that they take, roughly and at most.
    bytes: usize,
}

#[derive(Debug)]
enum Compiled {
    Regex {
        regex: Regex,
        /// `keyMatch4`: the parameters' names, one for each group.
        names: Vec<Box<str>>,
        /// The bound that it was compiled within.
        bytes: usize,
    },
    Glob(Glob),
    Network(Network),
}

impl Patterns {
    /// Checks a pattern, and compiles it where that is needed; the error is what is wrong, and the fix.
    pub(crate) fn add(
        &mut self,
        matching: Matching,
        pattern: Symbol,
        symbols: &Symbols,
    ) -> Result<(), (String, String)> {
        let text = symbols.text(pattern);
        if text.len() > PATTERN_BYTES_MAX {
            return Err((
                format!("pattern is longer than {PATTERN_BYTES_MAX} bytes"),
                "split it into several rows".to_owned(),
            ));
        }
        let whole = matching == Matching::KeyMatch || Whole::parse(matching, text).is_some();
        if !whole && !self.compiled.contains_key(&(matching, pattern)) {
            let compiled = compile(matching, text)?;
            self.bytes += compiled.bytes();
            self.compiled.insert((matching, pattern), compiled);
        }
        Ok(())
    }

    /// How many had to be compiled.
    pub(crate) fn compiled(&self) -> usize {
        self.compiled.len()
    }

    /// Bytes that they take, roughly and at most.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether `value` matches a pattern that was [added](Self::add).
    pub(crate) fn matches(
        &self,
        matching: Matching,
        value: &str,
        pattern: Symbol,
        symbols: &Symbols,
    ) -> bool {
        if matching == Matching::KeyMatch {
            return key_match(value, symbols.text(pattern));
        }
        let value = matching.matched_part(value);
        match self.compiled.get(&(matching, pattern)) {
            Some(compiled) => compiled.matches(value),
            None => fits_whole(matching, value, symbols.text(pattern)),
        }
    }
}

impl Compiled {
    fn bytes(&self) -> usize {
        match self {
            Self::Regex { bytes, .. } => *bytes,
            Self::Glob(glob) => glob.bytes(),
            Self::Network(_) => size_of::<Network>(),
        }
    }

    fn matches(&self, value: &str) -> bool {
        match self {
            Self::Glob(glob) => glob.matches(value),
            Self::Network(network) => {
                network::address(value).is_some_and(|address| network.contains(address))
            }
            Self::Regex { regex, names, .. } if names.len() < 2 => regex.is_match(value),
            Self::Regex { regex, names, .. } => {
                let Some(groups) = regex.captures(value) else {
                    return false;
                };
                let value = |index: usize| groups.get(index + 1).map(|group| group.as_str());
                names.iter().enumerate().all(|(index, name)| {
                    let first = names.iter().position(|other| other == name);
                    first.is_some_and(|first| value(first) == value(index))
                })
            }
        }
    }
}

/// `keyMatch`: what follows the first `*` is ignored.
pub(crate) fn key_match(value: &str, pattern: &str) -> bool {
    match pattern.split_once('*') {
        Some((before, _)) => value.starts_with(before),
        None => value == pattern,
    }
}

type Refused = (String, String);

fn compile(matching: Matching, text: &str) -> Result<Compiled, Refused> {
    let one = "[^/]+";
    match matching {
        Matching::KeyMatch | Matching::Regex => regex(text, text, Vec::new()),
        Matching::KeyMatch2 => regex(&anchored(&key_match2_source(text)), text, Vec::new()),
        Matching::KeyMatch3 | Matching::KeyMatch5 => {
            regex(&anchored(&braces_source(text, one).0), text, Vec::new())
        }
        Matching::KeyMatch4 => key_match4(text),
        Matching::Glob => Glob::parse(text).map(Compiled::Glob).map_err(|what| {
            let fix = "write `*` within a segment, `/**` for the rest of a path";
            (format!("glob `{text}`: {what}"), fix.to_owned())
        }),
        Matching::Ip => Network::parse(text).map(Compiled::Network).ok_or_else(|| {
            (
                format!("`{text}` is neither an address nor a network"),
                "write for example `10.1.1.1`, `10.0.0.0/8` or `2001:db8::/32`".to_owned(),
            )
        }),
    }
}

fn key_match4(text: &str) -> Result<Compiled, Refused> {
    if text.contains('(') {
        return Err((
            format!("pattern `{text}` of keyMatch4 has a group, on which casbin panics"),
            "remove the parentheses".to_owned(),
        ));
    }
    let (source, names) = braces_source(text, "([^/]+)");
    if names.iter().any(|name| name.contains('{')) {
        return Err((
            format!("segment with two parameters in `{text}`, read differently by Go and Rust"),
            "give each parameter a segment of its own".to_owned(),
        ));
    }
    regex(&anchored(&source), text, names)
}

fn regex(source: &str, text: &str, names: Vec<Box<str>>) -> Result<Compiled, Refused> {
    let fix =
        "correct it; a path is written `/a/b`, its rest `/*`, one segment `/:name` or `/{name}`";
    let wrong = |reason: &str| {
        let what = format!("pattern `{text}` is no regular expression: {reason}");
        (what, fix.to_owned())
    };
    let source = dialect::from_go(source).map_err(|reason| wrong(&reason))?;
    // How large a pattern is, is told only by what it does not fit into.
    let (bytes, built) = REGEX_BYTES
        .into_iter()
        .map(|bytes| {
            let mut builder = RegexBuilder::new(&source);
            let built = builder
                .size_limit(bytes)
                .dfa_size_limit(DFA_BYTES_MAX)
                .build();
            (bytes, built)
        })
        .find(|(bytes, built)| {
            let too_big = matches!(built, Err(regex::Error::CompiledTooBig(_)));
            !too_big || *bytes == REGEX_BYTES_MAX
        })
        .ok_or_else(|| wrong("it could not be compiled"))?;
    match built {
        Ok(regex) => Ok(Compiled::Regex {
            regex,
            names,
            bytes,
        }),
        Err(regex::Error::CompiledTooBig(_)) => Err((
            format!("pattern `{text}` compiles to more than {REGEX_BYTES_MAX} bytes"),
            "use fewer or smaller repetitions".to_owned(),
        )),
        Err(error) => {
            let shown = error.to_string();
            let reason = shown.lines().last().unwrap_or_default();
            Err(wrong(reason.strip_prefix("error: ").unwrap_or(reason)))
        }
    }
}

/// Bounds that a pattern is compiled within, one after the other.
const REGEX_BYTES: [usize; 3] = [16 * 1024, 64 * 1024, REGEX_BYTES_MAX];
/// What a pattern remembers of texts that it has matched, for each thread.
const DFA_BYTES_MAX: usize = 256 * 1024;

/// What Casbin matches: `/*` is anything after a `/`.
fn anchored(source: &str) -> String {
    format!("^{source}$")
}

/// What `keyMatch2` makes of a pattern: `/*` is anything, `:name` is one segment.
fn key_match2_source(text: &str) -> String {
    let text = text.replace("/*", "/.*");
    let mut out = String::with_capacity(text.len() + 16);
    let mut rest = text.as_str();
    while let Some((before, after)) = rest.split_once(':') {
        out.push_str(before);
        let name = after.find('/').unwrap_or(after.len());
        out.push_str(if name == 0 { ":" } else { "[^/]+" });
        rest = after.get(name..).unwrap_or_default();
    }
    out.push_str(rest);
    out
}

/// As [`key_match2_source`] with `{name}`, from the first `{` to the last `}` of a segment; and the names.
fn braces_source(text: &str, one: &str) -> (String, Vec<Box<str>>) {
    let text = text.replace("/*", "/.*");
    let mut names = Vec::new();
    let segments: Vec<_> = text
        .split('/')
        .map(|segment| {
            let found = segment
                .split_once('{')
                .and_then(|(before, rest)| Some((before, rest.rsplit_once('}')?)));
            match found {
                Some((before, (name, after))) if !name.is_empty() => {
                    names.push(name.into());
                    format!("{before}{one}{after}")
                }
                _ => segment.to_owned(),
            }
        })
        .collect();
    (segments.join("/"), names)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(matching: Matching, value: &str, pattern: &str) -> bool {
        let mut symbols = Symbols::default();
        let mut patterns = Patterns::default();
        let symbol = symbols.intern(pattern).unwrap();
        patterns.add(matching, symbol, &symbols).unwrap();
        patterns.matches(matching, value, symbol, &symbols)
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
            ("", "/", false),
            ("a", "/a", false),
            ("/a", "/a/*", false),
            ("/a/", "/a/*", true),
            ("/a/b/c", "/a/*", true),
            ("/a/b\nc", "/a/*", false),
            ("/a/b", "/a/:id", true),
            ("/a/", "/a/:id", false),
            ("/a/b/c", "/a/:id", false),
            ("/a/b/c", "/a/:id/*", true),
            ("/a/b", "/a/:id/*", false),
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
            let source = anchored(&key_match2_source(pattern));
            let as_regex = Regex::new(&source).unwrap().is_match(value);
            assert_eq!(as_regex, expected, "regex: {value:?} {pattern}");
        }
    }

    #[test]
    fn key_match_3_4_and_5_take_braces() {
        use Matching::{KeyMatch3, KeyMatch4, KeyMatch5};
        for (matching, value, pattern, expected) in [
            (KeyMatch3, "/proxy/myid/res", "/proxy/{id}/*", true),
            (KeyMatch3, "/proxy/", "/proxy/{id}/*", false),
            (KeyMatch3, "/proj_1_admin", "/proj_{id}_admin", true),
            (KeyMatch3, "/a/{}", "/a/{}", true),
            (KeyMatch3, "/a-b", "/{x}-{y}", true),
            (KeyMatch3, "/ab", "/{x}-{y}", true),
            (
                KeyMatch4,
                "/parent/1/child/1",
                "/parent/{id}/child/{id}",
                true,
            ),
            (
                KeyMatch4,
                "/parent/1/child/2",
                "/parent/{id}/child/{id}",
                false,
            ),
            (
                KeyMatch4,
                "/parent/1/child/2",
                "/parent/{id}/child/{other}",
                true,
            ),
            (KeyMatch4, "/p1/c1", "/p{id}/c{id}", true),
            (KeyMatch4, "/p1/c2", "/p{id}/c{id}", false),
            (KeyMatch4, "/a/1/x/y", "/a/{id}/*", true),
            (KeyMatch5, "/parent/child?a=1", "/parent/child", true),
            (KeyMatch5, "/parent/child?a=/x", "/parent/*", true),
            (KeyMatch5, "/parent/child/x?a=1", "/parent/{id}", false),
            (KeyMatch5, "/parent/child?a=1", "/parent/{id}", true),
        ] {
            assert_eq!(
                matches(matching, value, pattern),
                expected,
                "{matching:?} {value} {pattern}"
            );
        }
    }

    #[test]
    fn a_pattern_that_casbin_panics_on_or_reads_two_ways_is_refused() {
        for (matching, pattern) in [
            (Matching::KeyMatch2, "/a/?*+("),
            (Matching::KeyMatch2, "/a/(b"),
            (Matching::Glob, "/a/["),
            (Matching::Ip, "10.0.0.0/33"),
            (Matching::Regex, "a**"),
            (Matching::KeyMatch4, "/a/(b)/{x}"),
            (Matching::KeyMatch4, "/{x}-{y}"),
            (Matching::Regex, "["),
            (Matching::Regex, "(a{1000}){1000}"),
            (Matching::Regex, r"(a)\1"),
        ] {
            let mut symbols = Symbols::default();
            let symbol = symbols.intern(pattern).unwrap();
            let added = Patterns::default().add(matching, symbol, &symbols);
            assert!(added.is_err(), "{pattern}");
        }
    }

    #[test]
    fn regex_match_is_not_anchored() {
        assert!(matches(Matching::Regex, "TARGET", "GET"));
        assert!(matches(Matching::Regex, "anything", ""));
        assert!(!matches(Matching::Regex, "TARGET", "^GET$"));
    }
}
