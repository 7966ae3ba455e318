//! Patterns of whole segments, read straight from their text.

use super::pattern::Matching;
use crate::rules::symbols::find_byte;

/// A pattern made of whole segments after a leading `/`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Whole<'a> {
    matching: Matching,
    body: &'a str,
    /// Ends in `/*`: a `/` and anything but a line break after it.
    pub(crate) open: bool,
}

impl<'a> Whole<'a> {
    /// Takes a pattern apart without looking whether it consists of whole segments.
    fn assume(matching: Matching, text: &'a str) -> Self {
        let (body, open) = match text.strip_suffix("/*") {
            Some(body) => (body, true),
            None => (text, false),
        };
        Self {
            matching,
            body,
            open,
        }
    }

    /// Takes a pattern apart if it consists of whole segments.
    pub(crate) fn parse(matching: Matching, text: &'a str) -> Option<Self> {
        if !matching.has_segments() {
            return None;
        }
        let whole = Self::assume(matching, text);
        if !text.starts_with('/') {
            return None;
        }
        let plain = whole.parts().all(|part| match part {
            Part::Literal(text) => !text.contains(SPECIAL),
            Part::Parameter(name) => !name.contains(['{', '}', ':']),
        });
        plain.then_some(whole)
    }

    /// The segments in order.
    pub(crate) fn parts(self) -> impl Iterator<Item = Part<'a>> {
        let inner = self.body.strip_prefix('/');
        inner
            .into_iter()
            .flat_map(|inner| inner.split('/'))
            .map(move |segment| match self.matching.parameter(segment) {
                Some(name) => Part::Parameter(name),
                None => Part::Literal(segment),
            })
    }

    /// Whether `value` has these segments.
    fn fits(self, value: &str) -> bool {
        let marker = if self.matching == Matching::KeyMatch2 {
            b':'
        } else {
            b'{'
        };
        let mut pattern = self.body.as_bytes();
        let mut rest = value.as_bytes();
        // INVARIANT: in whole segments the marker stands only where a parameter starts, and a `/` before it.
        loop {
            let literal = find_byte(pattern, marker).unwrap_or(pattern.len());
            let (literal, parameter) = pattern.split_at_checked(literal).unwrap_or_default();
            match rest.strip_prefix(literal) {
                Some(more) => rest = more,
                None => return false,
            }
            if parameter.is_empty() {
                break;
            }
            let length = segment_length(rest);
            if length == 0 {
                return false;
            }
            (_, rest) = rest.split_at_checked(length).unwrap_or_default();
            (_, pattern) = parameter
                .split_at_checked(segment_length(parameter))
                .unwrap_or_default();
        }
        let ends = match rest.split_first() {
            Some((b'/', more)) => self.open && !more.contains(&b'\n'),
            Some(_) => false,
            None => !self.open,
        };
        ends && (self.matching != Matching::KeyMatch4 || self.repeats_agree(value))
    }

    /// `keyMatch4`: parameters of one name have one value.
    fn repeats_agree(self, value: &str) -> bool {
        let values = || value.split('/').skip(1);
        self.parts()
            .zip(values())
            .enumerate()
            .all(|(index, (part, value))| {
                let Part::Parameter(name) = part else {
                    return true;
                };
                let first = self
                    .parts()
                    .zip(values())
                    .take(index)
                    .find(|(part, _)| matches!(part, Part::Parameter(other) if *other == name));
                first.is_none_or(|(_, other)| other == value)
            })
    }
}

/// The bytes up to the next `/`.
fn segment_length(bytes: &[u8]) -> usize {
    find_byte(bytes, b'/').unwrap_or(bytes.len())
}

/// One segment of a pattern.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Part<'a> {
    Literal(&'a str),
    /// One or more characters but `/`.
    Parameter(&'a str),
}

/// Whether `value` fits a pattern of whole segments.
pub(crate) fn fits_whole(matching: Matching, value: &str, pattern: &str) -> bool {
    Whole::assume(matching, pattern).fits(value)
}

/// Characters that a regular expression does not take literally, and `:`, which starts a parameter.
pub(crate) const SPECIAL: [char; 15] = [
    '.', '^', '$', '|', '?', '*', '+', '(', ')', '[', ']', '{', '}', '\\', ':',
];
