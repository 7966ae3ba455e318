//! Sets of paths, as patterns describe them: which holds which, what two have in common.
//!
//! Patterns of whole segments and prefixes are understood exactly; any other is opaque: equal to itself, unknown
//! otherwise, and whoever asks is told so.

use crate::engine::pattern::Matching;
use crate::engine::segments::{Part, Whole};

/// The values that a pattern, or a text, stands for.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Places<'a> {
    /// This text alone.
    One(&'a str),
    /// `keyMatch`: whatever begins so.
    Prefix(&'a str),
    /// Whole segments after a leading `/`; with `open`, and anything below.
    Segments { parts: Vec<Segment<'a>>, open: bool },
    /// A regular expression, or a pattern that becomes one.
    Opaque(Matching, &'a str),
}

/// One segment.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Segment<'a> {
    /// This text; empty after a final slash.
    Literal(&'a str),
    /// One or more characters but `/`.
    Some,
}

/// What two sets have in common.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Common<'a> {
    Nothing,
    These(Places<'a>),
    /// It cannot be told.
    Unknown,
}

impl<'a> Places<'a> {
    /// What a pattern stands for.
    pub(crate) fn of(matching: Matching, text: &'a str) -> Self {
        if matching == Matching::KeyMatch {
            return match text.split_once('*') {
                Some((before, _)) => Self::Prefix(before),
                None => Self::One(text),
            };
        }
        let Some(whole) = Whole::parse(matching, text) else {
            return Self::Opaque(matching, text);
        };
        let mut names = Vec::new();
        let mut parts = Vec::new();
        for part in whole.parts() {
            parts.push(match part {
                Part::Literal(text) => Segment::Literal(text),
                Part::Parameter(name) => {
                    names.push(name);
                    Segment::Some
                }
            });
        }
        names.sort_unstable();
        let repeats = names.windows(2).any(|pair| pair.first() == pair.last());
        if matching == Matching::KeyMatch4 && repeats {
            return Self::Opaque(matching, text);
        }
        if !whole.open && names.is_empty() {
            return Self::One(text);
        }
        Self::Segments {
            parts,
            open: whole.open,
        }
    }

    /// Whether `value` is among them; unknown for opaque ones.
    pub(crate) fn holds(&self, value: &str) -> Option<bool> {
        match self {
            Self::One(text) => Some(*text == value),
            Self::Prefix(text) => Some(value.starts_with(text)),
            Self::Segments { .. } => Some(match segments(value) {
                Some(parts) => {
                    !value.contains('\n') && self.contains(&Places::Segments { parts, open: false })
                }
                None => false,
            }),
            Self::Opaque(..) => None,
        }
    }

    /// Whether every value of `other` is among these; `false` when it cannot be told.
    pub(crate) fn contains(&self, other: &Places<'_>) -> bool {
        match (self, other) {
            (Self::Opaque(matching, text), Places::Opaque(other, other_text)) => {
                matching == other && text == other_text
            }
            (_, Places::One(text)) => self.holds(text) == Some(true),
            (Self::Prefix(prefix), Places::Prefix(other)) => other.starts_with(prefix),
            (
                Self::Segments { parts, open },
                Places::Segments {
                    parts: other,
                    open: other_open,
                },
            ) => {
                let long_enough = match (open, other_open) {
                    (false, false) => parts.len() == other.len(),
                    (false, true) => false,
                    (true, false) => other.len() > parts.len(),
                    (true, true) => other.len() >= parts.len(),
                };
                long_enough
                    && parts
                        .iter()
                        .zip(other)
                        .all(|(mine, theirs)| match (mine, theirs) {
                            (Segment::Some, Segment::Some) => true,
                            (Segment::Some, Segment::Literal(text)) => !text.is_empty(),
                            (Segment::Literal(a), Segment::Literal(b)) => a == b,
                            (Segment::Literal(_), Segment::Some) => false,
                        })
            }
            (Self::Prefix(prefix), Places::Segments { parts, open }) => {
                literal_start(parts, *open).starts_with(prefix)
            }
            (Self::One(_) | Self::Opaque(..) | Self::Segments { .. }, _)
            | (Self::Prefix(_), Places::Opaque(..)) => false,
        }
    }

    /// What is both among these and among `other`.
    pub(crate) fn common(&self, other: &Self) -> Common<'a> {
        if self.contains(other) {
            return Common::These(other.clone());
        }
        if other.contains(self) {
            return Common::These(self.clone());
        }
        match (self, other) {
            (Self::Opaque(..), _) | (_, Self::Opaque(..)) => Common::Unknown,
            (Self::One(_), _) | (_, Self::One(_)) | (Self::Prefix(_), Self::Prefix(_)) => {
                Common::Nothing
            }
            (Self::Prefix(_), Self::Segments { .. }) | (Self::Segments { .. }, Self::Prefix(_)) => {
                Common::Unknown
            }
            (
                Self::Segments { parts, open },
                Self::Segments {
                    parts: other,
                    open: other_open,
                },
            ) => common_segments((parts, *open), (other, *other_open)),
        }
    }

    /// A value among them: its parameters are `fresh`, and below an open end it goes `depth` segments deep. Where no
    /// other set has `fresh` in it or is open below a longer start, it is in no set that does not hold all of them.
    /// `None` for opaque ones.
    pub(crate) fn witness(&self, fresh: &str, depth: usize) -> Option<String> {
        match self {
            Self::One(text) => Some((*text).to_owned()),
            Self::Prefix(text) => Some(format!("{text}{fresh}")),
            Self::Segments { parts, open } => {
                let mut path = String::new();
                for part in parts {
                    path.push('/');
                    path.push_str(match part {
                        Segment::Literal(text) => text,
                        Segment::Some => fresh,
                    });
                }
                if *open {
                    for _ in parts.len()..depth.max(parts.len() + 1) {
                        path.push('/');
                        path.push_str(fresh);
                    }
                }
                Some(path)
            }
            Self::Opaque(..) => None,
        }
    }

    /// As an author would write it.
    pub(crate) fn shown(&self) -> String {
        match self {
            Self::One(text) | Self::Opaque(_, text) => (*text).to_owned(),
            Self::Prefix(text) => format!("{text}*"),
            Self::Segments { parts, open } => {
                let mut path = String::new();
                for part in parts {
                    path.push('/');
                    path.push_str(match part {
                        Segment::Literal(text) => text,
                        Segment::Some => ":any",
                    });
                }
                if *open {
                    path.push_str("/*");
                }
                path
            }
        }
    }

    /// How many segments there are.
    pub(crate) fn depth(&self) -> usize {
        match self {
            Self::One(text) | Self::Prefix(text) | Self::Opaque(_, text) => {
                text.matches('/').count()
            }
            Self::Segments { parts, .. } => parts.len(),
        }
    }
}

/// The segments of a text that starts with `/`, all literal.
pub(crate) fn segments(value: &str) -> Option<Vec<Segment<'_>>> {
    let inner = value.strip_prefix('/')?;
    Some(inner.split('/').map(Segment::Literal).collect())
}

/// What each value of these segments begins with.
pub(crate) fn literal_start(parts: &[Segment<'_>], open: bool) -> String {
    let mut start = String::new();
    for part in parts {
        start.push('/');
        match part {
            Segment::Literal(text) => start.push_str(text),
            Segment::Some => return start,
        }
    }
    if open {
        start.push('/');
    }
    start
}

fn common_segments<'a>(
    (a, a_open): (&[Segment<'a>], bool),
    (b, b_open): (&[Segment<'a>], bool),
) -> Common<'a> {
    let possible = match (a_open, b_open) {
        (false, false) => a.len() == b.len(),
        (true, false) => b.len() > a.len(),
        (false, true) => a.len() > b.len(),
        (true, true) => true,
    };
    if !possible {
        return Common::Nothing;
    }
    let mut parts = Vec::new();
    for index in 0..a.len().max(b.len()) {
        let part = match (a.get(index), b.get(index)) {
            (Some(Segment::Literal(a)), Some(Segment::Literal(b))) if a != b => {
                return Common::Nothing;
            }
            (Some(Segment::Literal("")), Some(Segment::Some))
            | (Some(Segment::Some), Some(Segment::Literal(""))) => return Common::Nothing,
            (Some(Segment::Literal(text)), _) | (_, Some(Segment::Literal(text))) => {
                Segment::Literal(text)
            }
            (Some(Segment::Some), _) | (_, Some(Segment::Some)) | (None, None) => Segment::Some,
        };
        parts.push(part);
    }
    Common::These(Places::Segments {
        parts,
        open: a_open && b_open,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::pattern::Patterns;
    use crate::rules::symbols::Symbols;

    const PATTERNS: [&str; 16] = [
        "/", "/*", "/a", "/a/", "/a/*", "/a/:x", "/a/b", "/a/:x/c", "/:x/b", "/:x/:y", "/:x/:y/*",
        "/a/:x/*", "/b/*", "/a.b", "/:x", "/a/b/c",
    ];
    const VALUES: [&str; 14] = [
        "/", "/a", "/a/", "/a/b", "/a/z", "/a/b/c", "/a/z/c", "/z/b", "/z/z", "/z/z/z", "/b/z/z/z",
        "/axb", "/z", "/b/",
    ];

    fn places(pattern: &str) -> Places<'_> {
        Places::of(Matching::KeyMatch2, pattern)
    }

    #[test]
    fn sets_agree_with_the_engine_on_every_value() {
        let mut symbols = Symbols::default();
        let mut patterns = Patterns::default();
        for pattern in PATTERNS {
            let symbol = symbols.intern(pattern).unwrap();
            patterns.add(Matching::KeyMatch2, symbol, &symbols).unwrap();
            for value in VALUES {
                if let Some(held) = places(pattern).holds(value) {
                    let engine = patterns.matches(Matching::KeyMatch2, value, symbol, &symbols);
                    assert_eq!(held, engine, "{pattern} {value}");
                }
            }
        }
    }

    #[test]
    fn containment_and_common_parts_are_those_of_the_values() {
        for a in PATTERNS {
            for b in PATTERNS {
                let (x, y) = (places(a), places(b));
                let both =
                    |value: &str| x.holds(value) == Some(true) && y.holds(value) == Some(true);
                if x.contains(&y) {
                    for value in VALUES.iter().filter(|value| y.holds(value) == Some(true)) {
                        assert!(both(value), "{a} {b} {value}");
                    }
                }
                match x.common(&y) {
                    Common::Nothing => assert!(!VALUES.iter().any(|value| both(value)), "{a} {b}"),
                    Common::These(common) => {
                        for value in VALUES {
                            let held = common.holds(value);
                            assert!(
                                held.is_none() || held == Some(both(value)),
                                "{a} {b} {value}"
                            );
                        }
                    }
                    Common::Unknown => assert!(a.contains('.') || b.contains('.'), "{a} {b}"),
                }
            }
        }
    }

    #[test]
    fn a_witness_is_in_its_set_and_in_no_narrower_one() {
        for pattern in PATTERNS {
            let set = places(pattern);
            let Some(witness) = set.witness("~", 6) else {
                continue;
            };
            assert_eq!(set.holds(&witness), Some(true), "{pattern} {witness}");
            for other in PATTERNS {
                let other_set = places(other);
                let below = matches!(other_set, Places::Segments { open: true, .. })
                    && other_set.depth() > set.depth();
                if other_set.holds(&witness) == Some(true) && !below {
                    assert!(
                        other_set.contains(&set),
                        "{witness} of {pattern} is in {other}"
                    );
                }
            }
        }
    }
}
