//! Layer: 端 endpoint. The revocation index: whether a certificate is still good right now.
//!
//! A list is verified once, when it is loaded, and then only looked up. (Verifying it in each handshake, as TLS libraries
//! do, costs milliseconds with a large list, and before the client has proven that it holds its key.)
//! The index is immutable: a newer list means a newer index, swapped in whole.

use crate::coverage::{Covered, ListedIssuer, Scope};
use crate::crl::CrlNumber;
use crate::crl_error::{CrlError, CrlProblem};
use crate::identity::{Link, NameHash};
use crate::serial::Serial;
use crate::table::Table;

/// Every revocation list of one trust bundle.
#[derive(Debug)]
pub struct RevocationIndex {
    uncovered: Uncovered,
    pub(crate) issuers: Vec<ListedIssuer>,
    pub(crate) lists: Vec<CrlExpiry>,
    pub(crate) table: Table,
    /// Lists that were verified and do not count, with the reason.
    pub(crate) ignored: Vec<CrlError>,
}

/// What a certificate meets whose issuer no list covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Uncovered {
    /// It is accepted: for a trust bundle without any list, where revocation is not used.
    Accepted,
    /// It is refused with [`Revocation::NoList`].
    Refused,
}

/// Why a chain is not good any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Revocation {
    /// A list names one of its certificates.
    #[error("certificate {serial} is revoked since {} ({})", crate::moment(*.revoked_at), reason_name(*.reason))]
    Revoked {
        /// Whose.
        serial: Serial,
        /// Its place in the chain; 0 is the leaf.
        depth: usize,
        /// Unix seconds.
        revoked_at: i64,
        /// CRLReason code (RFC 5280 section 5.3.1); 0 when the list gives none.
        reason: u8,
    },
    /// The issuer's list is past its nextUpdate, so that nobody knows.
    #[error("the revocation list for certificate {serial} expired at {}", crate::moment(*.next_update))]
    ListExpired {
        /// Whose.
        serial: Serial,
        /// Its place in the chain; 0 is the leaf.
        depth: usize,
        /// Unix seconds.
        next_update: i64,
    },
    /// Lists are in use, and none covers the issuer.
    #[error("no revocation list covers the issuer of certificate {serial}")]
    NoList {
        /// Whose.
        serial: Serial,
        /// Its place in the chain; 0 is the leaf.
        depth: usize,
    },
}

impl Revocation {
    /// Which certificate of the chain it concerns; 0 is the leaf.
    pub fn depth(&self) -> usize {
        match self {
            Revocation::Revoked { depth, .. }
            | Revocation::ListExpired { depth, .. }
            | Revocation::NoList { depth, .. } => *depth,
        }
    }
}

/// When a list ends, for the expiry metric.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CrlExpiry {
    /// The file that it came from.
    pub file: String,
    /// The issuer's name in RFC 4514 form.
    pub issuer: String,
    /// The list's number.
    pub number: CrlNumber,
    /// Unix seconds at which it was issued.
    pub this_update: i64,
    /// Unix seconds from which it is overdue.
    pub next_update: i64,
    /// Unix seconds from which it no longer counts: the same, or later by its issuer's grace.
    pub until: i64,
    /// Unix seconds at which its file was last there, if this came from a copy; until is counted from then.
    pub missing_since: Option<i64>,
    pub(crate) issuer_hash: NameHash,
    pub(crate) signer: [u8; 32],
    pub(crate) scope: Scope,
}

impl CrlExpiry {
    /// What a list has in common with those that replace it.
    pub(crate) fn series(&self) -> (NameHash, [u8; 32], &Scope) {
        (self.issuer_hash, self.signer, &self.scope)
    }
}

impl RevocationIndex {
    /// An index without lists. With [`Uncovered::Accepted`] revocation is not checked at all, which is what a trust bundle for which
    /// the configuration lists no CRL gets; with [`Uncovered::Refused`] every chain is refused.
    pub fn empty(uncovered: Uncovered) -> RevocationIndex {
        RevocationIndex {
            uncovered,
            issuers: Vec::new(),
            lists: Vec::new(),
            table: Table::with_capacity(0),
            ignored: Vec::new(),
        }
    }

    /// Whether a chain is still good: `links` are [`crate::Identity::links`]. One look-up a link; allocates nothing.
    pub fn check(&self, links: &[Link], now: i64) -> Result<(), Revocation> {
        if self.issuers.is_empty() && self.uncovered == Uncovered::Accepted {
            return Ok(());
        }
        links
            .iter()
            .enumerate()
            .try_for_each(|(depth, link)| self.check_link(link, depth, now))
    }

    fn check_link(&self, link: &Link, depth: usize, now: i64) -> Result<(), Revocation> {
        let serial = link.serial;
        let missing = Revocation::NoList { serial, depth };
        let number = self
            .issuers
            .iter()
            .position(|issuer| issuer.name == link.issuer)
            .ok_or(missing)?;
        let issuer = self.issuers.get(number).ok_or(missing)?;
        let entry = u16::try_from(number)
            .ok()
            .and_then(|number| self.table.find(number, &serial));
        // Revoked comes first: a list that has expired since still tells the truth about what it names.
        if let Some(entry) = entry {
            let revoked_at = i64::from(entry.revoked_at);
            return Err(Revocation::Revoked {
                serial,
                depth,
                revoked_at,
                reason: entry.reason,
            });
        }
        match issuer.covered(link, now) {
            Covered::Yes => Ok(()),
            Covered::No => Err(missing),
            Covered::Until(next_update) => Err(Revocation::ListExpired {
                serial,
                depth,
                next_update,
            }),
        }
    }

    /// The lists that count, with their ends, for metrics.
    pub fn next_updates(&self) -> &[CrlExpiry] {
        &self.lists
    }

    /// The lists that are past their end and count by grace only, for an alarm.
    pub fn stale(&self, now: i64) -> impl Iterator<Item = &CrlExpiry> {
        self.lists
            .iter()
            .filter(move |list| now >= list.next_update)
    }

    /// The lists that came from a copy, since their file is gone or unreadable, for an alarm.
    pub fn missing(&self) -> impl Iterator<Item = &CrlExpiry> {
        self.lists
            .iter()
            .filter(|list| list.missing_since.is_some())
    }

    /// Lists that are well signed and do not count, with the reason, for an alarm: those of a signer that is itself revoked.
    pub fn ignored(&self) -> &[CrlError] {
        &self.ignored
    }

    /// Whether every list has at least the number of the one that `previous` had in its place: a lower one means that somebody put
    /// an old list back, which forgets the revocations since.
    ///
    /// # Errors
    /// Each list that went back.
    pub fn check_follows(&self, previous: &RevocationIndex) -> Result<(), Vec<CrlError>> {
        let went_back = |list: &&CrlExpiry| {
            previous
                .lists
                .iter()
                .find(|last| last.series() == list.series() && last.number > list.number)
        };
        let error = |list: &CrlExpiry, last: &CrlExpiry| {
            CrlError::new(
                &list.file,
                CrlProblem::Older {
                    number: list.number,
                    last: last.number,
                },
            )
        };
        let problems: Vec<CrlError> = self
            .lists
            .iter()
            .filter_map(|list| went_back(&list).map(|last| error(list, last)))
            .collect();
        if problems.is_empty() {
            Ok(())
        } else {
            Err(problems)
        }
    }

    /// Revoked certificates that are known.
    pub fn entry_count(&self) -> usize {
        self.table.len()
    }

    /// Bytes that the index holds on the heap, all but names.
    pub fn heap_bytes(&self) -> usize {
        self.table.heap_bytes()
    }
}

/// The standard's word for a CRLReason code.
fn reason_name(reason: u8) -> &'static str {
    match reason {
        1 => "key compromise",
        2 => "CA compromise",
        3 => "affiliation changed",
        4 => "superseded",
        5 => "cessation of operation",
        6 => "certificate hold",
        9 => "privilege withdrawn",
        10 => "attribute authority compromise",
        _ => "no reason given",
    }
}
