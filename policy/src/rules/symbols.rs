//! Every text of a policy once, numbered: rows hold numbers, and a request's texts are looked up once.
//!
//! One arena, one table of `u32`: at a million rows a map of owned strings would cost more than the rules.

use crate::engine::table::Table;
use std::hash::{BuildHasher, Hasher};
use std::hint::black_box;

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
    /// While texts come: open addressing; at least one slot is free.
    slots: Vec<Slot>,
    /// Once no more come: the numbers by tags.
    table: Table,
    frozen: bool,
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
        if self.frozen {
            self.thaw();
        }
        if (self.count + 1) * 4 > self.slots.len() * 3 {
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
        self.find_tagged(text, tag(text))
    }

    /// As [`Self::find`], for a text whose [`tag`] is known.
    #[inline]
    pub(crate) fn find_tagged(&self, text: &str, tag: u32) -> Option<Symbol> {
        if !self.frozen {
            return match self.probe(text, tag) {
                Found::Known(symbol) => Some(symbol),
                Found::Free(_) => None,
            };
        }
        let mut known = None;
        self.table.each(hash_of(tag), |number| {
            if self.is(Symbol(number), text) {
                known = Some(Symbol(number));
            }
        });
        known
    }

    /// Reads where the number of a text with this tag is found, so that it is in the cache when it is asked for.
    #[inline]
    pub(crate) fn touch(&self, tag: u32) -> u32 {
        self.table.touch(hash_of(tag))
    }

    /// What is likely the number of a text with this tag; its text, of so many bytes, is read.
    #[inline]
    pub(crate) fn touch_text(&self, tag: u32, bytes: usize) -> Likely {
        let mut likely = Likely::NONE;
        self.table
            .each(hash_of(tag), |number| likely = Likely { number });
        if likely.number != u32::MAX {
            black_box(self.touch_bytes(likely.number, bytes));
        }
        likely
    }

    /// As [`Self::find_tagged`], looking at the likely number first.
    #[inline]
    pub(crate) fn find_likely(&self, text: &str, tag: u32, likely: Likely) -> Option<Symbol> {
        let symbol = Symbol(likely.number);
        if self.is(symbol, text) {
            return Some(symbol);
        }
        self.find_tagged(text, tag)
    }

    /// Reads the ends of a text of about so many bytes: more than two cache lines are rare.
    #[inline]
    pub(crate) fn touch_bytes(&self, number: u32, bytes: usize) -> u8 {
        let start = number as usize;
        let byte = |at: usize| self.arena.as_bytes().get(at).copied().unwrap_or_default();
        byte(start) ^ byte(start + bytes)
    }

    #[inline]
    fn is(&self, symbol: Symbol, text: &str) -> bool {
        match self.arena.as_bytes().get(symbol.0 as usize..) {
            Some([low, high, known @ ..]) => {
                let length = usize::from(*low) | usize::from(*high) << 7;
                length == text.len() && known.get(..length) == Some(text.as_bytes())
            }
            _ => false,
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
        let slots = std::mem::take(&mut self.slots);
        let taken = slots.iter().filter_map(|slot| {
            let number = slot.number.checked_sub(1)?;
            Some((hash_of(slot.tag), number))
        });
        self.table = Table::build(taken.collect());
        self.frozen = true;
        self.arena.shrink_to_fit();
    }

    /// Texts come again.
    fn thaw(&mut self) {
        self.table = Table::default();
        self.frozen = false;
        let length = (self.count * 2).next_power_of_two().max(64);
        self.slots = vec![Slot::default(); length];
        let mut start = 0;
        while start < self.arena.len() {
            let Ok(number) = u32::try_from(start) else {
                return;
            };
            let text = self.text(Symbol(number));
            let next = start + 2 + text.len();
            let slot = Slot {
                tag: tag(text),
                number: number.saturating_add(1),
            };
            self.place(slot);
            start = next;
        }
    }

    /// An empty set of symbols.
    pub(crate) fn none(&self) -> Marks {
        Marks {
            bits: vec![0; self.arena.len() / 128 + 1],
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        self.arena.capacity() + self.slots.capacity() * size_of::<Slot>() + self.table.bytes()
    }

    fn probe(&self, text: &str, tag: u32) -> Found {
        let length = self.slots.len();
        let mut at = home(tag, length);
        while let Some(slot) = self.slots.get(at) {
            if slot.number == 0 {
                break;
            }
            let symbol = Symbol(slot.number - 1);
            if slot.tag == tag && self.is(symbol, text) {
                return Found::Known(symbol);
            }
            at = if at + 1 == length { 0 } else { at + 1 };
        }
        Found::Free(at)
    }

    fn resize(&mut self, length: usize) {
        let old = std::mem::replace(&mut self.slots, vec![Slot::default(); length]);
        for slot in old {
            if slot.number != 0 {
                self.place(slot);
            }
        }
    }

    /// Puts a slot where the probe for its text ends.
    fn place(&mut self, slot: Slot) {
        let length = self.slots.len();
        let mut at = home(slot.tag, length);
        while self.slots.get(at).is_some_and(|taken| taken.number != 0) {
            at = if at + 1 == length { 0 } else { at + 1 };
        }
        if let Some(free) = self.slots.get_mut(at) {
            *free = slot;
        }
    }

    /// Numbers from here on stand for no text.
    const NUMBERS_MAX: u32 = u32::MAX - 16;
}

/// What is likely the number of a text that was not looked at yet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Likely {
    /// That of no text if there is none.
    number: u32,
}

impl Likely {
    pub(crate) const NONE: Self = Self { number: u32::MAX };
}

enum Found {
    Known(Symbol),
    Free(usize),
}

/// Where the probe for a text starts.
fn home(tag: u32, length: usize) -> usize {
    ((u64::from(tag) * length as u64) >> 32) as usize
}

/// Half of the hash of a text.
#[inline]
pub(crate) fn tag(text: &str) -> u32 {
    tag_of(hash(text.as_bytes()))
}

/// The tag of a text with this hash.
#[inline]
pub(crate) fn tag_of(hash: u64) -> u32 {
    (hash >> 32) as u32
}

/// What a tag is found under.
#[inline]
fn hash_of(tag: u32) -> u64 {
    u64::from(tag) << 32
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
    hash_from(0x9e37_79b9_7f4a_7c15, bytes)
}

/// As [`hash`], another one for each seed.
#[inline]
pub(crate) fn hash_from(seed: u64, bytes: &[u8]) -> u64 {
    mix(half_hash_from(seed, bytes))
}

/// As [`hash_from`] before its last round, for hashes that are mixed once more together.
#[inline]
pub(crate) fn half_hash_from(seed: u64, bytes: &[u8]) -> u64 {
    let mut state = seed ^ bytes.len() as u64;
    let mut rest = bytes;
    while let Some((word, after)) = rest.split_first_chunk::<8>() {
        if after.is_empty() {
            break;
        }
        state = mix(state ^ u64::from_le_bytes(*word));
        rest = after;
    }
    mix(state ^ last_word(bytes, rest))
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

/// Where `byte` first stands, looked for in eight bytes at a time.
#[inline]
pub(crate) fn find_byte(bytes: &[u8], byte: u8) -> Option<usize> {
    const LOWEST: u64 = u64::from_ne_bytes([0x01; 8]);
    const HIGHEST: u64 = u64::from_ne_bytes([0x80; 8]);
    let wanted = u64::from_ne_bytes([byte; 8]);
    let first = |word: &[u8; 8]| {
        let differs = u64::from_le_bytes(*word) ^ wanted;
        // Marks each byte that is zero, and none before the first of them.
        let zeros = differs.wrapping_sub(LOWEST) & !differs & HIGHEST;
        (zeros != 0).then_some((zeros.trailing_zeros() / 8) as usize)
    };
    let mut rest = bytes;
    while let Some((word, after)) = rest.split_first_chunk::<8>() {
        if let Some(at) = first(word) {
            return Some(bytes.len() - rest.len() + at);
        }
        rest = after;
    }
    // What was looked at before may come again: it is not there.
    if let Some(word) = bytes.last_chunk::<8>() {
        return first(word).map(|at| bytes.len() - 8 + at);
    }
    rest.iter().position(|found| *found == byte)
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
        assert_eq!(symbols.find("unknown"), None);
        let late = symbols.intern("late").unwrap();
        for (text, number) in texts.iter().zip(&numbers) {
            assert_eq!(symbols.intern(text), Some(*number));
        }
        symbols.freeze();
        assert_eq!(symbols.find("late"), Some(late));
        assert_eq!(symbols.count, texts.len() + 1);
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
    fn a_byte_is_found_where_it_first_stands() {
        let text = "a/bc\u{80}\u{1}0.:/é/0123456789abcdef/中";
        for start in 0..text.len() {
            for end in start..=text.len() {
                let bytes = &text.as_bytes()[start..end];
                for byte in [b'/', b'0', b':', 0x80, 0x01, 0x00, 0xff] {
                    let expected = bytes.iter().position(|found| *found == byte);
                    assert_eq!(find_byte(bytes, byte), expected, "{byte} {bytes:?}");
                }
            }
        }
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
