//! The revoked serial numbers, laid out for one look-up a request.
//!
//! Open addressing over 8-byte slots, each with 32 bits of the hash and the number of an entry; at most half the slots are
//! taken. "Not revoked" is the usual answer, and costs one hash and one cache line. A million entries take 28 MB of
//! entries and 16 MB of slots.

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
    /// 0, or the upper half of the hash above the entry's number plus one. Its length is a power of two.
    slots: Vec<u64>,
    entries: Vec<Entry>,
    // Keyed at random, so that nobody who picks serial numbers can make them collide.
    hashing: RandomState,
}

impl Table {
    /// Room for so many entries, at most [`ENTRIES_MAX`].
    pub(crate) fn with_capacity(entries: usize) -> Table {
        let slots = entries
            .min(ENTRIES_MAX)
            .saturating_mul(2)
            .next_power_of_two()
            .max(2);
        Table {
            slots: vec![0; slots],
            entries: Vec::with_capacity(entries),
            hashing: RandomState::new(),
        }
    }

    /// Adds an entry. Of two with the same issuer and serial the first stays. Says whether there was room.
    pub(crate) fn insert(&mut self, entry: Entry) -> bool {
        if self.entries.len() >= self.slots.len() / 2 {
            return false;
        }
        let hash = self.hash(entry.issuer, &entry.serial);
        let mut at = self.first_slot(hash);
        // INVARIANT: at least half the slots are empty, so both this loop and the one in `find` end.
        while let Some(slot) = self.slots.get(at).copied().filter(|slot| *slot != 0) {
            if self
                .matches(slot, hash, entry.issuer, &entry.serial)
                .is_some()
            {
                return true;
            }
            at = (at + 1) & (self.slots.len() - 1);
        }
        let number = self.entries.len() as u64 + 1;
        if let Some(slot) = self.slots.get_mut(at) {
            *slot = (hash & TAG) | number;
        }
        self.entries.push(entry);
        true
    }

    /// The entry of a certificate.
    pub(crate) fn find(&self, issuer: u16, serial: &Serial) -> Option<&Entry> {
        let hash = self.hash(issuer, serial);
        let mut at = self.first_slot(hash);
        loop {
            let slot = self.slots.get(at).copied().filter(|slot| *slot != 0)?;
            if let Some(entry) = self.matches(slot, hash, issuer, serial) {
                return Some(entry);
            }
            at = (at + 1) & (self.slots.len() - 1);
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Bytes on the heap.
    pub(crate) fn heap_bytes(&self) -> usize {
        self.slots.capacity() * size_of::<u64>() + self.entries.capacity() * size_of::<Entry>()
    }

    fn matches(&self, slot: u64, hash: u64, issuer: u16, serial: &Serial) -> Option<&Entry> {
        if slot & TAG != hash & TAG {
            return None;
        }
        let number = usize::try_from(slot & !TAG).ok()?;
        self.entries
            .get(number.checked_sub(1)?)
            .filter(|entry| entry.issuer == issuer && entry.serial == *serial)
    }

    fn first_slot(&self, hash: u64) -> usize {
        // The lower half picks the slot and the upper half is the tag, so that they are independent.
        let low = u32::try_from(hash & !TAG).unwrap_or(0) as usize;
        low & (self.slots.len() - 1)
    }

    fn hash(&self, issuer: u16, serial: &Serial) -> u64 {
        let mut hasher = self.hashing.build_hasher();
        hasher.write(serial.as_bytes());
        hasher.write_u16(issuer);
        hasher.finish()
    }
}

const TAG: u64 = 0xffff_ffff_0000_0000;

/// Revoked certificates over all lists of one trust bundle: 720 MB of them.
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
