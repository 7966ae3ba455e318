//! Numbers by the hash of their key: one array of buckets in the order of the hashes, one of lists.
//!
//! A bucket is one cache line. It holds a part of each hash, so that a probe, also for what is not there, reads one line
//! and compares all of it at once, without a branch that depends on what it finds. Hits are verified by whoever asks: a hash
//! proves nothing.

/// A hash table from the hash of a key to one or more numbers, fixed once built.
#[derive(Debug, Default)]
pub(crate) struct Table {
    buckets: Vec<Bucket>,
    /// How many buckets a probe may start in; those after them take what does not fit before.
    homes: usize,
    /// Runs of numbers, each preceded by its length.
    lists: Vec<u32>,
}

/// Slots, free ones last.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
struct Bucket {
    /// A tag of 16 bits for each slot, four in a word; the last lane tells whether more stands in the next bucket.
    tags: [u64; WORDS],
    /// The only number; or where the list starts, marked [`MANY`]; or [`FREE`].
    at: [u32; SLOTS],
}

impl Bucket {
    const EMPTY: Self = Self {
        tags: [0; WORDS],
        at: [FREE; SLOTS],
    };

    fn set(&mut self, slot: usize, tag: u16, number: u32) {
        if let (Some(word), Some(at)) = (self.tags.get_mut(slot / 4), self.at.get_mut(slot)) {
            *word |= u64::from(tag) << (slot % 4 * 16);
            *at = number;
        }
    }

    fn go_on(&mut self) {
        let [.., last] = &mut self.tags;
        *last |= GOES_ON;
    }

    /// Whether some of what starts here stands in the next bucket.
    #[inline]
    fn goes_on(&self) -> bool {
        let [.., last] = self.tags;
        last & GOES_ON != 0
    }

    /// Calls `visit` for each slot with this tag that is taken.
    #[inline]
    fn each(&self, tag: u16, mut visit: impl FnMut(u32)) {
        let wanted = u64::from(tag).wrapping_mul(ONE_IN_EACH);
        let same = |word: u64| {
            let differs = word ^ wanted;
            // The highest bit of a lane stays clear only where nothing differs.
            !((differs & !HIGHEST).wrapping_add(!HIGHEST) | differs) & HIGHEST
        };
        let [first, second, third] = self.tags.map(same);
        let mut hits = first | second >> 1 | (third & IN_USE) >> 2;
        while hits != 0 {
            let bit = hits.trailing_zeros() as usize;
            let slot = (15 - bit % 16) * 4 + bit / 16;
            match self.at.get(slot) {
                Some(&FREE) | None => {}
                Some(at) => visit(*at),
            }
            hits &= hits - 1;
        }
    }
}

impl Table {
    /// Builds the table; numbers of one hash keep their order.
    pub(crate) fn build(mut pairs: Vec<(u64, u32)>) -> Self {
        if pairs.is_empty() {
            return Self::default();
        }
        pairs.sort_unstable();
        let keys = pairs.chunk_by(|a, b| a.0 == b.0).count();
        let homes = keys.div_ceil(FILLED);
        let mut table = Self {
            buckets: Vec::with_capacity(homes + 1),
            homes,
            lists: Vec::new(),
        };
        let mut used = SLOTS;
        for run in pairs.chunk_by(|a, b| a.0 == b.0) {
            let Some((hash, number)) = run.first() else {
                continue;
            };
            let number = match (run, table.list_of(run)) {
                ([_], _) if *number < MANY => *number,
                (_, Some(list)) => list,
                (_, None) => continue,
            };
            let home = home(*hash, homes);
            while used == SLOTS || table.buckets.len() <= home {
                if home < table.buckets.len()
                    && let Some(full) = table.buckets.last_mut()
                {
                    full.go_on();
                }
                table.buckets.push(Bucket::EMPTY);
                used = 0;
            }
            if let Some(bucket) = table.buckets.last_mut() {
                bucket.set(used, tag(*hash), number);
                used += 1;
            }
        }
        table.buckets.shrink_to_fit();
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
        let bucket = self.buckets.get(home(hash, self.homes));
        bucket.map_or(0, |bucket| {
            let [first, ..] = bucket.at;
            first
        })
    }

    /// Calls `visit` for every number whose key has this hash, and rarely for one of another key.
    #[inline]
    pub(crate) fn each(&self, hash: u64, mut visit: impl FnMut(u32)) {
        let tag = tag(hash);
        let from = self.buckets.get(home(hash, self.homes)..);
        for bucket in from.unwrap_or_default() {
            bucket.each(tag, |at| {
                if at < MANY {
                    visit(at);
                } else {
                    let list = self.list(at & !MANY);
                    list.iter().for_each(|number| visit(*number));
                }
            });
            if !bucket.goes_on() {
                return;
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
        self.buckets.capacity() * size_of::<Bucket>() + self.lists.capacity() * size_of::<u32>()
    }
}

/// The bucket where the probe for `hash` starts: in the order of the hashes.
#[inline]
fn home(hash: u64, homes: usize) -> usize {
    ((u128::from(hash) * homes as u128) >> 64) as usize
}

/// The part of a hash that a bucket holds: hardly any of it is in the number of the bucket.
#[inline]
fn tag(hash: u64) -> u16 {
    (hash >> 32) as u16
}

const FREE: u32 = u32::MAX;
const MANY: u32 = 1 << 31;
/// Slots of a bucket, and words of their tags: together they fill a cache line.
const SLOTS: usize = 10;
const WORDS: usize = 3;
/// How many slots are taken on average: nine buckets in ten then hold all that starts in them.
const FILLED: usize = 7;
/// In the last word: the lanes of slots, and the lane that tells that more follows.
const IN_USE: u64 = 0x0000_0000_ffff_ffff;
const GOES_ON: u64 = 1 << 48;
const ONE_IN_EACH: u64 = 0x0001_0001_0001_0001;
const HIGHEST: u64 = 0x8000_8000_8000_8000;

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
