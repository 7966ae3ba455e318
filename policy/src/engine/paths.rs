//! Which patterns of a column match a path, without looking at each: one probe for each shape of pattern.
//!
//! A shape says how many segments there are, which of them are parameters, and whether more may follow. The
//! segments that are literal, hashed, lead to the patterns; each is then compared with the path.

use super::early::Early;
use super::pattern::{Matching, key_match};
use super::segments::{Part, Whole, fits_whole};
use super::set::SymbolSet;
use super::table::Table;
use crate::rules::symbols::{Marks, Symbol, Symbols, find_byte, half_hash_from, hash, mix};
use std::hint::black_box;

/// The indexable patterns of one column.
#[derive(Debug)]
pub(crate) struct PathIndex {
    matching: Matching,
    shapes: Vec<Shape>,
    table: Table,
}

/// Hashes under which patterns are looked up, one for each shape that a value may have.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Probes {
    hashes: [u64; PROBES_AT_ONCE],
    count: usize,
}

/// Patterns that may match, by their numbers.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Gathered {
    numbers: [u32; GATHERED_MAX],
    count: usize,
    overflowed: bool,
}

impl Gathered {
    fn push(&mut self, number: u32) {
        match self.numbers.get_mut(self.count) {
            Some(place) => {
                *place = number;
                self.count += 1;
            }
            None => self.overflowed = true,
        }
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Shape {
    /// `keyMatch`: this many bytes before the `*`.
    Prefix { bytes: usize },
    /// Whole segments.
    Segments {
        count: usize,
        parameters: u32,
        open: bool,
    },
}

/// Where a pattern is found.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Place {
    /// It is the path itself: found by its number.
    Exact,
    /// By its shape and the hash of what is literal in it.
    Shaped,
    /// Not by the index: it must be tried.
    Other,
}

impl PathIndex {
    /// An index over `patterns`, each given once, and where each of them is found.
    pub(crate) fn build(
        matching: Matching,
        patterns: &[Symbol],
        symbols: &Symbols,
    ) -> (Self, Vec<Place>) {
        let mut shapes = Vec::new();
        let mut pairs = Vec::new();
        let mut places = Vec::with_capacity(patterns.len());
        for pattern in patterns {
            let text = symbols.text(*pattern);
            let (place, shape) = classify(matching, text);
            if place != Place::Shaped {
                places.push(place);
                continue;
            }
            let known = shape.and_then(|shape| {
                let found = shapes.iter().position(|other| *other == shape);
                if found.is_none() && shapes.len() < SHAPES_MAX {
                    shapes.push(shape);
                }
                found.or_else(|| shapes.iter().position(|other| *other == shape))
            });
            match (known, shape) {
                (Some(index), Some(shape)) => {
                    pairs.push((pattern_hash(matching, index, shape, text), pattern.0));
                    places.push(Place::Shaped);
                }
                _ => places.push(Place::Other),
            }
        }
        let index = Self {
            matching,
            shapes,
            table: Table::build(pairs),
        };
        (index, places)
    }

    /// Where the patterns that may match `value` are found.
    pub(crate) fn probes(&self, value: &str, probes: &mut Probes) {
        self.probes_of(0, value, probes);
    }

    /// The probes for a stretch of the shapes, from `first` on.
    fn probes_of(&self, first: usize, value: &str, probes: &mut Probes) {
        let shapes = self.shapes.get(first..).unwrap_or_default();
        if shapes.is_empty() {
            return;
        }
        let value = self.matching.matched_part(value);
        let by_prefix = self.matching == Matching::KeyMatch;
        let segments = (!by_prefix).then(|| Segments::of(value));
        for (index, shape) in shapes.iter().take(PROBES_AT_ONCE).enumerate() {
            let literal = match (shape, &segments) {
                (Shape::Prefix { bytes }, _) => value.as_bytes().get(..*bytes).map(hash),
                (shape, Some(segments)) => segments.hash(*shape),
                (Shape::Segments { .. }, None) => None,
            };
            if let (Some(literal), Some(place)) = (literal, probes.hashes.get_mut(probes.count)) {
                *place = combine(first + index, literal);
                probes.count += 1;
            }
        }
    }

    /// Reads where the probes start.
    #[inline]
    pub(crate) fn touch(&self, probes: &Probes) -> u32 {
        let hashes = probes.hashes.iter().take(probes.count);
        hashes.fold(0, |touched, hash| touched ^ self.table.touch(*hash))
    }

    /// Takes the numbers of the patterns that the probes lead to, and reads their texts, most of them no longer than the
    /// value, which has so many bytes.
    #[inline]
    pub(crate) fn gather(
        &self,
        probes: &Probes,
        bytes: usize,
        symbols: &Symbols,
        gathered: &mut Gathered,
    ) {
        let mut touched = 0;
        for hash in probes.hashes.iter().take(probes.count) {
            self.table.each(*hash, |number| {
                touched ^= symbols.touch_bytes(number, bytes);
                gathered.push(number);
            });
        }
        black_box(touched);
    }

    /// The patterns that match `value`, whose own number is `symbol`, into `found`; those of [`Place::Other`], which
    /// are `others`, are left out. `early` is what was asked for the value.
    pub(crate) fn find(
        &self,
        (value, symbol): (&str, Option<Symbol>),
        early: Option<&Early>,
        others: Option<&Marks>,
        symbols: &Symbols,
        found: &mut SymbolSet,
    ) {
        let matched = self.matching.matched_part(value);
        let exact = if matched.len() == value.len() {
            symbol
        } else {
            symbols.find(matched)
        };
        if let Some(symbol) = exact
            && !others.is_some_and(|others| others.has(symbol))
        {
            found.push(symbol);
        }
        let mut from = 0;
        if let Some(early) = early {
            self.verify(matched, &early.gathered, symbols, found);
            from = PROBES_AT_ONCE;
        }
        for first in (from..self.shapes.len()).step_by(PROBES_AT_ONCE) {
            let mut probes = Probes::default();
            self.probes_of(first, value, &mut probes);
            black_box(self.touch(&probes));
            let mut gathered = Gathered::default();
            self.gather(&probes, value.len(), symbols, &mut gathered);
            self.verify(matched, &gathered, symbols, found);
        }
    }

    /// The patterns that were gathered and that match, into `found`.
    fn verify(&self, value: &str, gathered: &Gathered, symbols: &Symbols, found: &mut SymbolSet) {
        let by_prefix = self.matching == Matching::KeyMatch;
        for number in gathered.numbers.iter().take(gathered.count) {
            let symbol = Symbol(*number);
            let text = symbols.text(symbol);
            let matches = if by_prefix {
                key_match(value, text)
            } else {
                fits_whole(self.matching, value, text)
            };
            if matches {
                found.push(symbol);
            }
        }
        if gathered.overflowed {
            found.overflow();
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        self.table.bytes()
    }
}

fn classify(matching: Matching, text: &str) -> (Place, Option<Shape>) {
    if matching == Matching::KeyMatch {
        return match text.split_once('*') {
            Some((before, _)) => (
                Place::Shaped,
                Some(Shape::Prefix {
                    bytes: before.len(),
                }),
            ),
            None => (Place::Exact, None),
        };
    }
    let Some(whole) = Whole::parse(matching, text) else {
        return (Place::Other, None);
    };
    let mut parameters = 0;
    let mut count = 0;
    for part in whole.parts() {
        if count == SEGMENTS_MAX {
            return (Place::Other, None);
        }
        if matches!(part, Part::Parameter(_)) {
            parameters |= 1 << count;
        }
        count += 1;
    }
    if parameters == 0 && !whole.open {
        return (Place::Exact, None);
    }
    let shape = Shape::Segments {
        count,
        parameters,
        open: whole.open,
    };
    (Place::Shaped, Some(shape))
}

fn pattern_hash(matching: Matching, index: usize, shape: Shape, text: &str) -> u64 {
    let literal = match shape {
        Shape::Prefix { bytes } => hash(text.as_bytes().get(..bytes).unwrap_or_default()),
        Shape::Segments { .. } => Whole::parse(matching, text)
            .into_iter()
            .flat_map(Whole::parts)
            .enumerate()
            .filter_map(|(position, part)| match part {
                Part::Literal(text) => Some(segment_hash(position, text.as_bytes())),
                Part::Parameter(_) => None,
            })
            .fold(0, u64::wrapping_add),
    };
    combine(index, literal)
}

/// The hash of a segment at its position; those of a path are added up.
fn segment_hash(position: usize, text: &[u8]) -> u64 {
    half_hash_from((position as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15), text)
}

fn combine(shape: usize, literal: u64) -> u64 {
    mix(literal ^ (shape as u64).wrapping_mul(0xd6e8_feb8_6659_fd93))
}

/// The hashes of a path's segments, taken once for all shapes.
struct Segments {
    /// The sum of those before each segment.
    before: [u64; SEGMENTS_MAX + 1],
    /// How many there are, at most one more than is hashed; 0 for what starts with no `/`.
    count: usize,
}

impl Segments {
    fn of(value: &str) -> Self {
        let mut segments = Self {
            before: [0; SEGMENTS_MAX + 1],
            count: 0,
        };
        let Some((b'/', mut rest)) = value.as_bytes().split_first() else {
            return segments;
        };
        let mut sum = 0_u64;
        for place in segments.before.iter_mut().skip(1) {
            let end = find_byte(rest, b'/').unwrap_or(rest.len());
            let (segment, after) = rest.split_at_checked(end).unwrap_or_default();
            sum = sum.wrapping_add(segment_hash(segments.count, segment));
            *place = sum;
            segments.count += 1;
            match after.split_first() {
                Some((_, after)) => rest = after,
                None => return segments,
            }
        }
        segments.count += 1;
        segments
    }

    /// The sum over the segments that are literal in `shape`, if a path with these segments can have it.
    fn hash(&self, shape: Shape) -> Option<u64> {
        let Shape::Segments {
            count,
            mut parameters,
            open,
        } = shape
        else {
            return None;
        };
        let possible = if open {
            self.count > count
        } else {
            self.count == count
        };
        if !possible {
            return None;
        }
        let mut sum = *self.before.get(count)?;
        while parameters != 0 {
            let position = parameters.trailing_zeros() as usize;
            let [before, after] = self.before.get(position..)?.first_chunk()?;
            sum = sum.wrapping_sub(after.wrapping_sub(*before));
            parameters &= parameters - 1;
        }
        Some(sum)
    }
}

/// Probes whose memory is asked for together.
const PROBES_AT_ONCE: usize = 16;
/// Patterns that one group of probes may lead to; with more the rows are walked.
const GATHERED_MAX: usize = 24;
/// Shapes of one column: a probe is spent on each; patterns of further shapes must be tried.
const SHAPES_MAX: usize = 64;
/// Segments of a pattern that the index takes.
const SEGMENTS_MAX: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::pattern::Patterns;

    fn find(index: &PathIndex, value: &str, symbols: &Symbols, found: &mut SymbolSet) {
        index.find((value, symbols.find(value)), None, None, symbols, found);
    }

    #[test]
    fn the_index_finds_what_trying_each_pattern_finds() {
        let texts = [
            "/", "/*", "/a", "/a/*", "/a/:x", "/a/:y", "/a/:x/b", "/:x/b", "/:x/:y/*", "/a.b",
            "/a/b/*", "*", "/a/", "/a/b",
        ];
        let mut symbols = Symbols::default();
        let mut patterns = Patterns::default();
        let numbers: Vec<_> = texts.iter().map(|t| symbols.intern(t).unwrap()).collect();
        for number in &numbers {
            patterns
                .add(Matching::KeyMatch2, *number, &symbols)
                .unwrap();
        }
        let (index, places) = PathIndex::build(Matching::KeyMatch2, &numbers, &symbols);
        let others = places.iter().filter(|p| **p == Place::Other).count();
        assert_eq!(others, 2, "{places:?}");
        for value in [
            "", "/", "/a", "/a/", "/a/b", "/a/b/c", "/b/b", "/b/b/", "/a/:x", "x", "/a/b\nc", "//",
            "/a/*",
        ] {
            let mut found = SymbolSet::default();
            find(&index, value, &symbols, &mut found);
            for (number, place) in numbers.iter().zip(&places) {
                let expected = patterns.matches(Matching::KeyMatch2, value, *number, &symbols);
                if *place != Place::Other {
                    assert_eq!(
                        found.as_slice().contains(number),
                        expected,
                        "{value:?} {}",
                        symbols.text(*number)
                    );
                }
            }
        }
    }

    #[test]
    fn a_path_of_many_segments_is_answered() {
        let mut symbols = Symbols::default();
        let long = "/a".repeat(40);
        let texts = [
            long.as_str(),
            "/a/*",
            &format!("{}/:x", "/a".repeat(15)),
            &format!("{long}/*"),
        ];
        let numbers: Vec<_> = texts.iter().map(|t| symbols.intern(t).unwrap()).collect();
        let (index, places) = PathIndex::build(Matching::KeyMatch2, &numbers, &symbols);
        assert_eq!(
            places,
            [Place::Other, Place::Shaped, Place::Shaped, Place::Other]
        );
        let mut found = SymbolSet::default();
        find(&index, &"/a".repeat(16), &symbols, &mut found);
        assert_eq!(found.as_slice(), &numbers[1..3]);
        let mut found = SymbolSet::default();
        find(&index, &"/a".repeat(1_000), &symbols, &mut found);
        assert_eq!(found.as_slice(), &numbers[1..2]);
    }
}
