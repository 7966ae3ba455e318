//! Every text of a policy once, numbered: rows hold numbers, and a request's texts are looked up once.
//!
//! One arena, one table of `u32`: at a million rows a map of owned strings would cost more than the rules.

use std::hash::{BuildHasher, Hasher};

/// The number of a text: where it stands among all texts. Numbers have gaps.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct Symbol(pub(crate) u32);

/// The texts and their numbers.
///
/// A text is looked up in two steps of memory, its slot and itself; it is read back in one.
#[derive(Debug, Default)]
pub(crate) struct Symbols {
    /// Each text after its length, which is two characters of seven bits.
    arena: String,
    count: usize,
    /// Open addressing; at least one slot is free.
    slots: Vec<Slot>,
    /// Slots stand in the order of their tags, so that a search ends at the first beyond.
    sorted: bool,
    /// Where the last search may start.
    homes: usize,
}

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    /// Half of the hash.
    tag: u32,
    /// The number of the text plus one, or 0 if the slot is free.
    number: u32,
}

impl Symbols {
    /// The number of `text`, new or known; `None` when the arena is full or the text longer than any line.
    pub(crate) fn intern(&mut self, text: &str) -> Option<Symbol> {
        if self.sorted || (self.count + 1) * 4 > self.slots.len() * 3 {
            self.resize((self.count * 2).next_power_of_two().max(64));
        }
        let tag = tag(text);
        let slot = match self.probe(text, tag) {
            Found::Known(symbol) => return Some(symbol),
            Found::Free(slot) => slot,
        };
        let number = u32::try_from(self.arena.len()).ok()?.checked_add(1)?;
        if text.len() >= 1 << 14 || number >= Self::NUMBERS_MAX {
            return None;
        }
        for part in [text.len() & 0x7f, text.len() >> 7] {
            self.arena.push(char::from(part as u8));
        }
        self.arena.push_str(text);
        self.count += 1;
        if let Some(free) = self.slots.get_mut(slot) {
            *free = Slot { tag, number };
        }
        Some(Symbol(number - 1))
    }

    /// The number of `text`, if any row or the model mentions it.
    #[inline]
    pub(crate) fn find(&self, text: &str) -> Option<Symbol> {
        match self.probe(text, tag(text)) {
            Found::Known(symbol) => Some(symbol),
            Found::Free(_) => None,
        }
    }

    /// Reads where a probe for a text starts, and answers what is likely its number: so that both are in the cache
    /// when they are needed.
    #[inline]
    pub(crate) fn touch(&self, text: &str) -> Likely {
        let tag = tag(text);
        let slot = self.slots.get(home(tag, self.homes));
        Likely {
            tag,
            start: slot.map_or(0, |slot| slot.number),
        }
    }

    /// Reads the start of the text that a slot told of.
    #[inline]
    pub(crate) fn touch_text(&self, start: u32) -> u8 {
        let byte = self.arena.as_bytes().get(start as usize);
        byte.copied().unwrap_or_default()
    }

    /// As [`Self::find`], for a text that was touched.
    #[inline]
    pub(crate) fn find_touched(&self, text: &str, likely: Likely) -> Option<Symbol> {
        match self.probe(text, likely.tag) {
            Found::Known(symbol) => Some(symbol),
            Found::Free(_) => None,
        }
    }

    /// Half of the hash of the text with this number.
    pub(crate) fn tag(&self, symbol: Symbol) -> u32 {
        tag(self.text(symbol))
    }

    /// The text with this number.
    #[inline]
    pub(crate) fn text(&self, symbol: Symbol) -> &str {
        let start = symbol.0 as usize;
        let length = match self.arena.as_bytes().get(start..start + 2) {
            Some([low, high]) => usize::from(*low) | usize::from(*high) << 7,
            _ => 0,
        };
        self.arena
            .get(start + 2..start + 2 + length)
            .unwrap_or_default()
    }

    /// No more texts come: gives back the memory that was kept for them.
    pub(crate) fn freeze(&mut self) {
        let homes = self.count + self.count / 4 + 1;
        let mut slots = std::mem::take(&mut self.slots);
        slots.retain(|slot| slot.number != 0);
        slots.sort_unstable_by_key(|slot| slot.tag);
        self.homes = homes;
        self.slots.reserve_exact(homes + 1);
        for slot in slots {
            while self.slots.len() < home(slot.tag, homes) {
                self.slots.push(Slot::default());
            }
            self.slots.push(slot);
        }
        self.slots.push(Slot::default());
        self.slots.shrink_to_fit();
        self.sorted = true;
        self.arena.shrink_to_fit();
    }

    /// An empty set of symbols.
    pub(crate) fn none(&self) -> Marks {
        Marks {
            bits: vec![0; self.arena.len() / 128 + 1],
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        self.arena.capacity() + self.slots.capacity() * size_of::<Slot>()
    }

    #[inline]
    fn probe(&self, text: &str, tag: u32) -> Found {
        let length = self.slots.len();
        let mut at = home(tag, self.homes);
        while let Some(slot) = self.slots.get(at) {
            if slot.number == 0 {
                break;
            }
            let symbol = Symbol(slot.number - 1);
            if slot.tag == tag && self.text(symbol) == text {
                return Found::Known(symbol);
            }
            if self.sorted && slot.tag > tag {
                break;
            }
            at = if at + 1 == length { 0 } else { at + 1 };
        }
        Found::Free(at)
    }

    fn resize(&mut self, length: usize) {
        let old = std::mem::replace(&mut self.slots, vec![Slot::default(); length]);
        self.homes = length;
        self.sorted = false;
        for slot in old {
            if slot.number == 0 {
                continue;
            }
            let mut at = home(slot.tag, length);
            while self.slots.get(at).is_some_and(|taken| taken.number != 0) {
                at = if at + 1 == length { 0 } else { at + 1 };
            }
            if let Some(free) = self.slots.get_mut(at) {
                *free = slot;
            }
        }
    }

    /// Numbers from here on stand for no text.
    const NUMBERS_MAX: u32 = u32::MAX - 16;
}

/// What is known of a text before its slot was read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Likely {
    /// Half of the hash of the text.
    pub(crate) tag: u32,
    /// Where the text is likely to stand.
    pub(crate) start: u32,
}

impl Likely {
    pub(crate) const NONE: Self = Self { tag: 0, start: 0 };
}

enum Found {
    Known(Symbol),
    Free(usize),
}

/// Where the probe for a text starts.
fn home(tag: u32, length: usize) -> usize {
    ((u64::from(tag) * length as u64) >> 32) as usize
}

fn tag(text: &str) -> u32 {
    (hash(text.as_bytes()) >> 32) as u32
}

/// A set of symbols: one bit for two bytes of texts, for no two texts start closer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Marks {
    bits: Vec<u64>,
}

impl Marks {
    /// Adds a symbol; `true` if it is new.
    pub(crate) fn mark(&mut self, symbol: Symbol) -> bool {
        let bit = 1_u64 << (symbol.0 / 2 % 64);
        match self.bits.get_mut((symbol.0 / 128) as usize) {
            Some(word) => {
                let new = *word & bit == 0;
                *word |= bit;
                new
            }
            None => false,
        }
    }

    /// Takes a symbol out.
    pub(crate) fn unmark(&mut self, symbol: Symbol) {
        if let Some(word) = self.bits.get_mut((symbol.0 / 128) as usize) {
            *word &= !(1 << (symbol.0 / 2 % 64));
        }
    }

    pub(crate) fn has(&self, symbol: Symbol) -> bool {
        let word = self.bits.get((symbol.0 / 128) as usize);
        word.is_some_and(|word| word & 1 << (symbol.0 / 2 % 64) != 0)
    }
}

/// A fast hash of bytes: eight at a time through a folded 128-bit product.
///
/// Not keyed: what fills our tables is the policy, which its owners write and which is fixed at load; a request
/// only probes them, and a probe ends at the first free slot whatever it asks for.
pub(crate) fn hash(bytes: &[u8]) -> u64 {
    let mut state = 0x9e37_79b9_7f4a_7c15 ^ bytes.len() as u64;
    let mut rest = bytes;
    while let Some((word, after)) = rest.split_first_chunk::<8>() {
        if after.is_empty() {
            break;
        }
        state = mix(state ^ u64::from_le_bytes(*word));
        rest = after;
    }
    mix(mix(state ^ last_word(bytes, rest)))
}

/// The last eight bytes, or all of a shorter text; what was read before may come again.
#[inline]
fn last_word(bytes: &[u8], rest: &[u8]) -> u64 {
    if let Some(word) = bytes.last_chunk::<8>() {
        return u64::from_le_bytes(*word);
    }
    if let (Some(first), Some(last)) = (rest.first_chunk::<4>(), rest.last_chunk::<4>()) {
        return u64::from(u32::from_le_bytes(*first)) | u64::from(u32::from_le_bytes(*last)) << 32;
    }
    rest.iter()
        .fold(0, |word, byte| word << 8 | u64::from(*byte))
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
        symbols.freeze();
        for (text, number) in texts.iter().zip(&numbers) {
            assert_eq!(symbols.find(text), Some(*number));
        }
        assert_eq!(symbols.count, texts.len());
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

    #[test]
    fn a_text_as_long_as_a_line_is_a_text_and_no_longer_one() {
        let mut symbols = Symbols::default();
        let long = "长".repeat(5_000);
        let symbol = symbols.intern(&long).unwrap();
        assert_eq!(symbols.text(symbol), long);
        assert_eq!(symbols.intern(&"x".repeat(1 << 14)), None);
    }

    #[test]
    fn marks_tell_neighbours_apart() {
        let mut symbols = Symbols::default();
        let texts = ["", "a", "b", "cd", "e"];
        let numbers: Vec<_> = texts.iter().map(|t| symbols.intern(t).unwrap()).collect();
        let mut marks = symbols.none();
        assert!(marks.mark(numbers[1]));
        assert!(!marks.mark(numbers[1]));
        let marked: Vec<_> = numbers.iter().map(|n| marks.has(*n)).collect();
        assert_eq!(marked, [false, true, false, false, false]);
    }
}
