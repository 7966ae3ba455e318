//! Which certificates of an issuer its lists speak about, and until when.

use crate::identity::{Link, LinkKind, NameHash};

/// Which certificates of its issuer a list speaks about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Scope {
    pub(crate) kinds: Kinds,
    /// Names of the distribution point whose certificates it lists; none for all.
    pub(crate) points: Vec<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kinds {
    All,
    LeavesOnly,
    AuthoritiesOnly,
}

impl Scope {
    pub(crate) const ALL: Scope = Scope {
        kinds: Kinds::All,
        points: Vec::new(),
    };

    fn covers(&self, link: &Link) -> bool {
        let kind = match self.kinds {
            Kinds::All => true,
            Kinds::LeavesOnly => link.kind == LinkKind::Leaf,
            Kinds::AuthoritiesOnly => link.kind == LinkKind::Authority,
        };
        kind && (self.points.is_empty() || link.points.meet(&self.points))
    }
}

/// One issuer's lists.
#[derive(Debug)]
pub(crate) struct ListedIssuer {
    pub(crate) name: NameHash,
    /// By signer.
    lists: Vec<Listed>,
}

#[derive(Debug)]
struct Listed {
    /// Hash of the signer's key.
    signer: [u8; 32],
    scope: Scope,
    /// Unix seconds from which it no longer counts.
    until: i64,
}

/// What an issuer's lists say about a certificate that none of them names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Covered {
    Yes,
    No,
    /// Lists that would cover it ended then.
    Until(i64),
}

impl ListedIssuer {
    pub(crate) fn new(name: NameHash) -> ListedIssuer {
        ListedIssuer {
            name,
            lists: Vec::new(),
        }
    }

    /// Forgets what the lists cover.
    pub(crate) fn clear(&mut self) {
        self.lists.clear();
    }

    pub(crate) fn add(&mut self, signer: [u8; 32], scope: Scope, until: i64) {
        self.lists.push(Listed {
            signer,
            scope,
            until,
        });
        self.lists.sort_by_key(|list| list.signer);
    }

    /// Of the lists of one signer one that is current suffices. Of several signers under one name each must have one, since nothing
    /// says which of them the certificate belongs to.
    pub(crate) fn covered(&self, link: &Link, now: i64) -> Covered {
        let mut covered = Covered::No;
        for of_one_signer in self.lists.chunk_by(|one, other| one.signer == other.signer) {
            let applicable = of_one_signer.iter().filter(|list| list.scope.covers(link));
            match applicable.map(|list| list.until).max() {
                None => {}
                Some(until) if now >= until => return Covered::Until(until),
                Some(_) => covered = Covered::Yes,
            }
        }
        covered
    }
}
