//! Numbers by the hash of their key: one array of slots in the order of the hashes, one of lists.
//!
//! A slot holds half of the hash, so that a probe for what is not there touches one cache line, and ends at the first
//! slot beyond it. Hits are verified by whoever asks: a hash proves nothing.

/// A hash table from the hash of a key to one or more numbers, fixed once built.
#[derive(Debug, Default)]
pub(crate) struct Table {
    slots: Vec<Slot>,
    /// Where the last probe may start; slots after it take what does not fit before.
    homes: usize,
    /// Runs of numbers, each preceded by its length.
    lists: Vec<u32>,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    /// The hash's high half.
    tag: u32,
    /// The only number; or where the list starts, marked [`MANY`]; or [`FREE`].
    at: u32,
}

impl Table {
    /// Builds the table; numbers of one hash keep their order.
    pub(crate) fn build(mut pairs: Vec<(u64, u32)>) -> Self {
        pairs.sort_unstable();
        let keys = pairs.chunk_by(|a, b| a.0 == b.0).count();
        let mut table = Self {
            slots: Vec::with_capacity(keys + keys / 4 + SLACK),
            homes: keys + keys / 4 + 1,
            lists: Vec::new(),
        };
        for run in pairs.chunk_by(|a, b| a.0 == b.0) {
            let Some((hash, number)) = run.first() else {
                continue;
            };
            let at = match (run, table.list_of(run)) {
                ([_], _) if *number < MANY => *number,
                (_, Some(list)) => list,
                (_, None) => continue,
            };
            let home = home(*hash, table.homes);
            while table.slots.len() < home {
                table.slots.push(Slot { tag: 0, at: FREE });
            }
            table.slots.push(Slot {
                tag: tag(*hash),
                at,
            });
        }
        table.slots.shrink_to_fit();
        table.lists.shrink_to_fit();
        table
    }

    /// Stores a run as a list if it is one.
    fn list_of(&mut self, run: &[(u64, u32)]) -> Option<u32> {
        if let [(_, number)] = run
            && *number < MANY
        {
            return None;
        }
        let at = u32::try_from(self.lists.len())
            .ok()
            .filter(|at| *at < FREE - MANY)?;
        self.lists.push(u32::try_from(run.len()).ok()?);
        self.lists.extend(run.iter().map(|(_, number)| *number));
        Some(at | MANY)
    }

    /// Reads where a probe starts, so that it is in the cache when the probe comes.
    #[inline]
    pub(crate) fn touch(&self, hash: u64) -> u32 {
        let slot = self.slots.get(home(hash, self.homes));
        slot.map_or(0, |slot| slot.tag)
    }

    /// Calls `visit` for every number whose key has this hash, and rarely for one of another key.
    #[inline]
    pub(crate) fn each(&self, hash: u64, mut visit: impl FnMut(u32)) {
        let tag = tag(hash);
        let from = self.slots.get(home(hash, self.homes)..);
        for slot in from.unwrap_or_default() {
            if slot.at == FREE || slot.tag > tag {
                return;
            }
            if slot.tag == tag {
                if slot.at < MANY {
                    visit(slot.at);
                } else {
                    for number in self.list(slot.at & !MANY) {
                        visit(*number);
                    }
                }
            }
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

/// Where the probe for `hash` starts: in the order of the hashes.
#[inline]
fn home(hash: u64, homes: usize) -> usize {
    ((u128::from(hash) * homes as u128) >> 64) as usize
}

#[inline]
fn tag(hash: u64) -> u32 {
    (hash >> 32) as u32
}

const FREE: u32 = u32::MAX;
const MANY: u32 = 1 << 31;
/// Room for what is pushed beyond the last home.
const SLACK: usize = 16;

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
    fn hashes_at_the_end_are_found() {
        let table = Table::build(vec![
            (u64::MAX, 1),
            (u64::MAX - (1 << 40), 2),
            (u64::MAX - (2 << 40), 3),
        ]);
        assert_eq!(found(&table, u64::MAX), [1]);
        assert_eq!(found(&table, u64::MAX - (2 << 40)), [3]);
    }

    #[test]
    fn an_empty_table_holds_nothing() {
        assert!(found(&Table::build(Vec::new()), 7).is_empty());
        assert!(found(&Table::default(), 7).is_empty());
    }
}
