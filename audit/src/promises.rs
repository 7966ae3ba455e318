//! What is promised of a log: by the checkpoints in its folder, and by those that somebody kept.

use std::path::Path;

use crate::head;
use crate::stored::Stored;
use crate::tree_check::TreeCheck;
use crate::verify::{Trust, VerifyError};

/// The checkpoints that a log is held to.
pub(crate) struct Promises<'a> {
    trust: &'a Trust<'a>,
    signed: Option<Stored>,
    witnessed: Option<Stored>,
}

impl<'a> Promises<'a> {
    /// Reads those in the folder; their signatures are checked where keys are given.
    pub(crate) fn read(dir: &Path, trust: &'a Trust<'a>) -> Result<Self, VerifyError> {
        Ok(Self {
            trust,
            signed: Stored::signed(dir, trust.keys)?,
            witnessed: Stored::witnessed(dir, trust.witnesses)?,
        })
    }

    /// Has the tree held to all of them.
    pub(crate) fn expect_of(&self, tree: &mut TreeCheck, dir: &Path) {
        for kept in self.trust.checkpoints {
            tree.expect(kept.head(), &head::checkpoint_path(dir));
        }
        for stored in self.signed.iter().chain(&self.witnessed) {
            tree.expect(stored.checkpoint.head(), &stored.file);
        }
    }

    /// How many records are under those that count: whose signature was checked, or all of them where no key was given. Without any
    /// there is nobody who could sign.
    pub(crate) fn covered(&self) -> u64 {
        let Trust {
            keys,
            witnesses,
            checkpoints,
        } = self.trust;
        let is_any = keys.is_empty() && witnesses.is_empty();
        let counts = |stored: &Option<Stored>, is_checked: bool| {
            let stored = stored.as_ref().filter(|_| is_any || is_checked);
            stored.map(|stored| stored.checkpoint.head().size)
        };
        let signed = counts(&self.signed, !keys.is_empty());
        let witnessed = counts(&self.witnessed, !witnesses.is_empty());
        // One that was kept elsewhere may be older than a removal that is in order.
        let kept = checkpoints.iter().map(|kept| kept.head().size).max();
        signed
            .max(witnessed)
            .map_or(u64::MAX, |size| size.max(kept.unwrap_or_default()))
    }

    /// How many records the log's owner has signed; 0 where no key was given to check it with.
    pub(crate) fn signed(&self) -> u64 {
        size_of(self.signed.as_ref(), !self.trust.keys.is_empty())
    }

    /// How many records a witness has cosigned; 0 where no key was given to check it with.
    pub(crate) fn witnessed(&self) -> u64 {
        size_of(self.witnessed.as_ref(), !self.trust.witnesses.is_empty())
    }
}

fn size_of(stored: Option<&Stored>, is_checked: bool) -> u64 {
    stored
        .filter(|_| is_checked)
        .map_or(0, |stored| stored.checkpoint.head().size)
}
