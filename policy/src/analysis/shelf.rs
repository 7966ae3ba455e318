//! Many sets of paths at once: which of them hold all of a given one, without looking at each.

use super::places::{Places, Segment, literal_start, segments};
use crate::engine::pattern::Matching;
use std::collections::HashMap;

/// Many sets, each with a number: which of them hold all of a given one.
#[derive(Debug, Default)]
pub(crate) struct Shelf<'a> {
    nodes: Vec<Node<'a>>,
    ones: HashMap<&'a str, Vec<u32>>,
    prefixes: HashMap<&'a str, Vec<u32>>,
    opaque: HashMap<(Matching, &'a str), Vec<u32>>,
}

#[derive(Debug, Default)]
struct Node<'a> {
    literals: HashMap<&'a str, usize>,
    some: Option<usize>,
    closed: Vec<u32>,
    open: Vec<u32>,
}

impl<'a> Shelf<'a> {
    /// Puts a set on the shelf.
    pub(crate) fn add(&mut self, places: &Places<'a>, number: u32) {
        match places {
            Places::One(text) => self.ones.entry(text).or_default().push(number),
            Places::Prefix(text) => self.prefixes.entry(text).or_default().push(number),
            Places::Opaque(matching, text) => {
                self.opaque
                    .entry((*matching, text))
                    .or_default()
                    .push(number);
            }
            Places::Segments { parts, open } => {
                if self.nodes.is_empty() {
                    self.nodes.push(Node::default());
                }
                let mut at = 0;
                for part in parts {
                    at = self.child(at, *part);
                }
                if let Some(node) = self.nodes.get_mut(at) {
                    if *open {
                        node.open.push(number);
                    } else {
                        node.closed.push(number);
                    }
                }
            }
        }
    }

    fn child(&mut self, at: usize, part: Segment<'a>) -> usize {
        let new = self.nodes.len();
        let Some(node) = self.nodes.get_mut(at) else {
            return at;
        };
        let child = match part {
            Segment::Literal(text) => *node.literals.entry(text).or_insert(new),
            Segment::Some => *node.some.get_or_insert(new),
        };
        if child == new {
            self.nodes.push(Node::default());
        }
        child
    }

    /// The numbers of those that hold all of `places`.
    pub(crate) fn holding(&self, places: &Places<'_>) -> Vec<u32> {
        let mut found = Vec::new();
        match places {
            Places::One(text) => {
                found.extend(self.ones.get(text).into_iter().flatten());
                self.beginning(text, &mut found);
                if let Some(parts) = segments(text) {
                    self.walk(0, &parts, false, &mut found);
                }
            }
            Places::Prefix(text) => self.beginning(text, &mut found),
            Places::Segments { parts, open } => {
                self.walk(0, parts, *open, &mut found);
                self.beginning(&literal_start(parts, *open), &mut found);
            }
            Places::Opaque(matching, text) => {
                found.extend(self.opaque.get(&(*matching, text)).into_iter().flatten());
            }
        }
        found
    }

    fn beginning(&self, text: &str, found: &mut Vec<u32>) {
        if self.prefixes.is_empty() {
            return;
        }
        for end in (0..=text.len()).filter(|end| text.is_char_boundary(*end)) {
            let start = text.get(..end).unwrap_or_default();
            found.extend(self.prefixes.get(start).into_iter().flatten());
        }
    }

    fn walk(&self, at: usize, rest: &[Segment<'_>], open: bool, found: &mut Vec<u32>) {
        let Some(node) = self.nodes.get(at) else {
            return;
        };
        if open || !rest.is_empty() {
            found.extend(&node.open);
        }
        let Some((part, rest)) = rest.split_first() else {
            if !open {
                found.extend(&node.closed);
            }
            return;
        };
        if let Segment::Literal(text) = part
            && let Some(child) = node.literals.get(text)
        {
            self.walk(*child, rest, open, found);
        }
        if let Some(child) = node.some
            && *part != Segment::Literal("")
        {
            self.walk(child, rest, open, found);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATTERNS: [&str; 16] = [
        "/", "/*", "/a", "/a/", "/a/*", "/a/:x", "/a/b", "/a/:x/c", "/:x/b", "/:x/:y", "/:x/:y/*",
        "/a/:x/*", "/b/*", "/a.b", "/:x", "/a/b/c",
    ];

    fn places(pattern: &str) -> Places<'_> {
        Places::of(Matching::KeyMatch2, pattern)
    }

    #[test]
    fn the_shelf_finds_all_that_hold_a_set() {
        let mut shelf = Shelf::default();
        for (number, pattern) in (0..).zip(PATTERNS) {
            shelf.add(&places(pattern), number);
        }
        for pattern in PATTERNS {
            let asked = places(pattern);
            let mut found = shelf.holding(&asked);
            found.sort_unstable();
            let expected: Vec<u32> = (0..)
                .zip(PATTERNS)
                .filter(|(_, other)| places(other).contains(&asked))
                .map(|(number, _)| number)
                .collect();
            assert_eq!(found, expected, "{pattern}");
        }
    }
}
