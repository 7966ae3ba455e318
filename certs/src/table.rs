//! The revoked serial numbers, laid out for one look-up a request.
//!
//! Open addressing, at most half full. A slot is one byte of the hash in one array and the entry's number in another: "not
//! revoked", the usual answer, is read off the bytes alone, which for a million entries are 2 MB and stay in the processor's
//! cache. The numbers take 8 MB more and the entries 28 MB.

use std::hash::{BuildHasher, Hasher, RandomState};

use crate::serial::Serial;

/// One revoked certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Unix seconds, until 2106.
    pub(crate) revoked_at: u32,
    /// Number of the issuer among those listed.
    pub(crate) issuer: u16,
    /// CRLReason code; 0 when the list gives none.
    pub(crate) reason: u8,
    pub(crate) serial: Serial,
}

/// Entries by issuer and serial number.
#[derive(Debug)]
pub(crate) struct Table {
    /// 0 for an empty slot, or 1 to 255 out of the hash. Its length is a power of two.
    tags: Vec<u8>,
    /// The number of the entry in the slot; as long as `tags`.
    numbers: Vec<u32>,
    entries: Vec<Entry>,
    // Keyed at random, so that nobody who picks serial numbers can make them collide.
    hashing: RandomState,
}

impl Table {
    /// Room for so many entries, at most [`ENTRIES_MAX`].
    pub(crate) fn with_capacity(entries: usize) -> Table {
        let entries = entries.min(ENTRIES_MAX);
        let slots = entries.saturating_mul(2).next_power_of_two().max(2);
        Table {
            tags: vec![0; slots],
            numbers: vec![0; slots],
            entries: Vec::with_capacity(entries),
            hashing: RandomState::new(),
        }
    }

    /// Adds an entry. Of two with the same issuer and serial the first stays. Says whether there was room.
    pub(crate) fn insert(&mut self, entry: Entry) -> bool {
        if self.entries.len() >= self.tags.len() / 2 {
            return false;
        }
        let (tag, free) = match self.seek(entry.issuer, &entry.serial) {
            Sought::Entry(_) => return true,
            Sought::Free { tag, slot } => (tag, slot),
        };
        let number = u32::try_from(self.entries.len()).unwrap_or(u32::MAX);
        if let (Some(tag_at), Some(number_at)) =
            (self.tags.get_mut(free), self.numbers.get_mut(free))
        {
            (*tag_at, *number_at) = (tag, number);
        }
        self.entries.push(entry);
        true
    }

    /// The entry of a certificate.
    pub(crate) fn find(&self, issuer: u16, serial: &Serial) -> Option<&Entry> {
        match self.seek(issuer, serial) {
            Sought::Entry(entry) => Some(entry),
            Sought::Free { .. } => None,
        }
    }

    fn seek(&self, issuer: u16, serial: &Serial) -> Sought<'_> {
        let mut hasher = self.hashing.build_hasher();
        hasher.write(serial.as_bytes());
        hasher.write_u16(issuer);
        let [first, _, _, _, low @ ..] = hasher.finish().to_be_bytes();
        let tag = first.max(1);
        let mut slot = u32::from_be_bytes(low) as usize & (self.tags.len() - 1);
        // INVARIANT: at least half the slots are empty, so this ends.
        loop {
            match self.tags.get(slot) {
                Some(0) | None => return Sought::Free { tag, slot },
                Some(found) if *found == tag => {
                    let entry = self
                        .numbers
                        .get(slot)
                        .and_then(|number| self.entries.get(*number as usize));
                    if let Some(entry) =
                        entry.filter(|entry| entry.issuer == issuer && entry.serial == *serial)
                    {
                        return Sought::Entry(entry);
                    }
                }
                Some(_) => {}
            }
            slot = (slot + 1) & (self.tags.len() - 1);
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Bytes on the heap.
    pub(crate) fn heap_bytes(&self) -> usize {
        self.tags.capacity()
            + self.numbers.capacity() * size_of::<u32>()
            + self.entries.capacity() * size_of::<Entry>()
    }
}

/// Where a search ends.
enum Sought<'a> {
    Entry(&'a Entry),
    Free { tag: u8, slot: usize },
}

/// Revoked certificates over all lists of one trust bundle: 640 MB of them.
pub(crate) const ENTRIES_MAX: usize = 16 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]
        #[test]
        fn the_table_finds_what_is_in_the_set_and_nothing_else(
            listed in prop::collection::vec((0_u16..3, 1_u64..400), 0..300),
            asked in prop::collection::vec((0_u16..3, 1_u64..400), 0..100),
        ) {
            let serial = |number: u64| Serial::from_bytes(&number.to_be_bytes()).unwrap();
            let mut table = Table::with_capacity(listed.len());
            for (issuer, number) in &listed {
                let entry = Entry { revoked_at: 0, issuer: *issuer, reason: 0, serial: serial(*number) };
                prop_assert!(table.insert(entry));
            }
            let set: HashSet<_> = listed.iter().copied().collect();
            prop_assert_eq!(table.len(), set.len());
            for (issuer, number) in asked.iter().chain(&listed) {
                prop_assert_eq!(table.find(*issuer, &serial(*number)).is_some(), set.contains(&(*issuer, *number)));
            }
        }
    }

    #[test]
    fn an_entry_takes_28_bytes() {
        assert_eq!(size_of::<Entry>(), 28);
    }
}
