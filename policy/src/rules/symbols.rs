//! Every text of a policy once, numbered: rows hold numbers, and a request's texts are looked up once.
//!
//! One arena, one table of `u32`: at a million rows a map of owned strings would cost more than the rules.

use std::hash::{BuildHasher, Hasher};

/// The number of a text.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct Symbol(pub(crate) u32);

/// The texts and their numbers.
#[derive(Debug, Default)]
pub(crate) struct Symbols {
    arena: String,
    /// Where each text ends in the arena; it starts where the one before ends.
    ends: Vec<u32>,
    /// Open addressing: `0` is free, else the number of a text plus one.
    slots: Vec<u32>,
}

impl Symbols {
    /// The number of `text`, new or known; `None` when the arena is full.
    pub(crate) fn intern(&mut self, text: &str) -> Option<Symbol> {
        if (self.ends.len() + 1) * 4 > self.slots.len() * 3 {
            self.grow();
        }
        let slot = match self.probe(text) {
            Found::Known(symbol) => return Some(symbol),
            Found::Free(slot) => slot,
        };
        let end = u32::try_from(self.arena.len() + text.len()).ok()?;
        let number = u32::try_from(self.ends.len()).ok()?;
        self.arena.push_str(text);
        self.ends.push(end);
        if let Some(free) = self.slots.get_mut(slot) {
            *free = number + 1;
        }
        Some(Symbol(number))
    }

    /// The number of `text`, if any row or the model mentions it.
    pub(crate) fn find(&self, text: &str) -> Option<Symbol> {
        match self.probe(text) {
            Found::Known(symbol) => Some(symbol),
            Found::Free(_) => None,
        }
    }

    /// The text with this number.
    pub(crate) fn text(&self, symbol: Symbol) -> &str {
        let index = symbol.0 as usize;
        let start = match index.checked_sub(1) {
            Some(before) => self.ends.get(before).copied().unwrap_or_default(),
            None => 0,
        };
        let end = self.ends.get(index).copied().unwrap_or_default();
        self.arena
            .get(start as usize..end as usize)
            .unwrap_or_default()
    }

    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.arena.capacity() + (self.ends.capacity() + self.slots.capacity()) * size_of::<u32>()
    }

    fn probe(&self, text: &str) -> Found {
        let Some(mask) = self.slots.len().checked_sub(1) else {
            return Found::Free(0);
        };
        let mut slot = fold(hash(text.as_bytes())) & mask;
        // INVARIANT: at most three quarters of the slots are taken, so a free one ends the loop.
        loop {
            match self.slots.get(slot).copied().unwrap_or_default() {
                0 => return Found::Free(slot),
                number => {
                    let symbol = Symbol(number - 1);
                    if self.text(symbol) == text {
                        return Found::Known(symbol);
                    }
                }
            }
            slot = (slot + 1) & mask;
        }
    }

    fn grow(&mut self) {
        let size = (self.slots.len() * 2).max(64);
        self.slots.clear();
        self.slots.resize(size, 0);
        for number in 0..self.ends.len() {
            let Ok(number) = u32::try_from(number) else {
                return;
            };
            let mut slot = fold(hash(self.text(Symbol(number)).as_bytes())) & (size - 1);
            while self.slots.get(slot).is_some_and(|taken| *taken != 0) {
                slot = (slot + 1) & (size - 1);
            }
            if let Some(free) = self.slots.get_mut(slot) {
                *free = number + 1;
            }
        }
    }
}

enum Found {
    Known(Symbol),
    Free(usize),
}

/// A fast hash of bytes: eight at a time through a folded 128-bit product.
///
/// Not keyed: what fills our tables is the policy, which its owners write and which is fixed at load; a request
/// only probes them, and a probe ends at the first free slot whatever it asks for.
pub(crate) fn hash(bytes: &[u8]) -> u64 {
    let mut state = 0x9e37_79b9_7f4a_7c15 ^ bytes.len() as u64;
    let (words, rest) = bytes.as_chunks::<8>();
    for word in words {
        state = mix(state ^ u64::from_le_bytes(*word));
    }
    let mut last = [0_u8; 8];
    for (to, from) in last.iter_mut().zip(rest) {
        *to = *from;
    }
    mix(mix(state ^ u64::from_le_bytes(last)))
}

/// The hasher of maps whose keys are small numbers.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct PairState;

impl BuildHasher for PairState {
    type Hasher = PairHasher;

    fn build_hasher(&self) -> PairHasher {
        PairHasher(0)
    }
}

/// See [`PairState`].
#[derive(Debug)]
pub(crate) struct PairHasher(u64);

impl Hasher for PairHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = mix(self.0 ^ hash(bytes));
    }

    fn write_u32(&mut self, number: u32) {
        self.0 = mix(self.0 ^ u64::from(number));
    }

    fn write_isize(&mut self, number: isize) {
        self.0 = mix(self.0 ^ number as u64);
    }
}

/// One round of the hash, to combine hashes with.
pub(crate) fn mix(state: u64) -> u64 {
    let product = u128::from(state ^ 0x2d35_8dcc_aa6c_78a5) * 0x8bb8_4b93_962e_acc9_u128;
    (product as u64) ^ ((product >> 64) as u64)
}

fn fold(hash: u64) -> usize {
    (hash ^ (hash >> 32)) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_has_one_number_and_is_found_again() {
        let mut symbols = Symbols::default();
        let texts: Vec<String> = (0..5_000).map(|n| format!("text {n}")).collect();
        let numbers: Vec<_> = texts.iter().map(|t| symbols.intern(t).unwrap()).collect();
        for (text, number) in texts.iter().zip(&numbers) {
            assert_eq!(symbols.intern(text), Some(*number));
            assert_eq!(symbols.find(text), Some(*number));
            assert_eq!(symbols.text(*number), text);
        }
        assert_eq!(symbols.len(), texts.len());
        assert_eq!(symbols.find("unknown"), None);
    }

    #[test]
    fn the_empty_text_is_a_text() {
        let mut symbols = Symbols::default();
        assert_eq!(symbols.find(""), None);
        let empty = symbols.intern("").unwrap();
        assert_eq!(symbols.find(""), Some(empty));
        assert_eq!(symbols.text(empty), "");
    }
}
