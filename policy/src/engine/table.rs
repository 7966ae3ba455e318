//! Numbers by the hash of their key: one array of slots, one of lists.
//!
//! A slot holds half of the hash, so that a probe for what is not there touches one cache line. Hits are verified
//! by whoever asks: a hash proves nothing.

/// A hash table from the hash of a key to one or more numbers, fixed once built.
#[derive(Debug, Default)]
pub(crate) struct Table {
    slots: Vec<Slot>,
    /// Runs of numbers, each preceded by its length.
    lists: Vec<u32>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    /// 0 when free; else the hash's low half, its last two bits replaced by the kind.
    tag: u32,
    /// The only number, or where its list starts.
    at: u32,
}

impl Table {
    /// Builds the table; numbers of one hash keep their order.
    pub(crate) fn build(mut pairs: Vec<(u64, u32)>) -> Self {
        pairs.sort_unstable();
        let keys = pairs.chunk_by(|a, b| a.0 == b.0).count();
        let mut table = Self {
            slots: vec![Slot::default(); keys + keys / 4 + 1],
            lists: Vec::new(),
        };
        for run in pairs.chunk_by(|a, b| a.0 == b.0) {
            match run {
                [(hash, number)] => table.insert(*hash, SINGLE, *number),
                [(hash, _), ..] => {
                    let (Ok(at), Ok(length)) =
                        (u32::try_from(table.lists.len()), u32::try_from(run.len()))
                    else {
                        continue;
                    };
                    table.lists.push(length);
                    table.lists.extend(run.iter().map(|(_, number)| *number));
                    table.insert(*hash, MANY, at);
                }
                [] => {}
            }
        }
        table.lists.shrink_to_fit();
        table
    }

    fn insert(&mut self, hash: u64, kind: u32, at: u32) {
        let length = self.slots.len();
        let mut slot = home(hash, length);
        // INVARIANT: there are more slots than keys, so a free one comes.
        while self.slots.get(slot).is_some_and(|taken| taken.tag != FREE) {
            slot = if slot + 1 == length { 0 } else { slot + 1 };
        }
        if let Some(free) = self.slots.get_mut(slot) {
            *free = Slot {
                tag: tag(hash) | kind,
                at,
            };
        }
    }

    /// Reads where a probe starts, so that it is in the cache when the probe comes.
    #[inline]
    pub(crate) fn touch(&self, hash: u64) -> u32 {
        let slot = self.slots.get(home(hash, self.slots.len()));
        slot.map_or(0, |slot| slot.tag)
    }

    /// Calls `visit` for every number whose key has this hash, and rarely for one of another key.
    #[inline]
    pub(crate) fn each(&self, hash: u64, mut visit: impl FnMut(u32)) {
        let length = self.slots.len();
        let mut at = home(hash, length);
        while let Some(slot) = self.slots.get(at) {
            if slot.tag == FREE {
                return;
            }
            if slot.tag & !KIND == tag(hash) {
                if slot.tag & KIND == SINGLE {
                    visit(slot.at);
                } else {
                    for number in self.list(slot.at) {
                        visit(*number);
                    }
                }
            }
            at = if at + 1 == length { 0 } else { at + 1 };
        }
    }

    fn list(&self, at: u32) -> &[u32] {
        let at = at as usize;
        let length = self.lists.get(at).copied().unwrap_or_default() as usize;
        self.lists.get(at + 1..at + 1 + length).unwrap_or_default()
    }

    /// Bytes that the table takes.
    pub(crate) fn bytes(&self) -> usize {
        self.slots.capacity() * size_of::<Slot>() + self.lists.capacity() * size_of::<u32>()
    }
}

/// Where the probe for `hash` starts: its high half, scaled to the table.
fn home(hash: u64, length: usize) -> usize {
    ((u128::from(hash) * length as u128) >> 64) as usize
}

fn tag(hash: u64) -> u32 {
    (hash as u32) & !KIND
}

const KIND: u32 = 3;
const FREE: u32 = 0;
const SINGLE: u32 = 1;
const MANY: u32 = 2;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::symbols::mix;

    fn found(table: &Table, hash: u64) -> Vec<u32> {
        let mut numbers = Vec::new();
        table.each(hash, |number| numbers.push(number));
        numbers
    }

    #[test]
    fn every_number_is_found_under_its_hash() {
        let pairs: Vec<_> = (0..10_000)
            .map(|n| (mix(u64::from(n % 3_000)), n))
            .collect();
        let table = Table::build(pairs);
        for key in 0..3_000 {
            let expected: Vec<_> = (key..10_000).step_by(3_000).collect();
            assert_eq!(found(&table, mix(u64::from(key))), expected);
        }
        assert!(found(&table, mix(3_001)).is_empty());
    }

    #[test]
    fn hashes_at_the_end_wrap_around() {
        let table = Table::build(vec![(u64::MAX, 1), (u64::MAX - 4, 2), (u64::MAX - 8, 3)]);
        assert_eq!(found(&table, u64::MAX), [1]);
        assert_eq!(found(&table, u64::MAX - 8), [3]);
    }

    #[test]
    fn an_empty_table_holds_nothing() {
        assert!(found(&Table::build(Vec::new()), 7).is_empty());
        assert!(found(&Table::default(), 7).is_empty());
    }
}
