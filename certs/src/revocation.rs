//! Layer: 端 endpoint. The revocation index: whether a certificate is still good right now.
//!
//! A list is verified once, when it is loaded, and then only looked up. (Verifying it in each handshake, as TLS libraries
//! do, costs milliseconds with a large list, and before the client has proven that it holds its key.)
//! The index is immutable: a newer list means a newer index, swapped in whole.

use crate::certificate::{CRL_SIGN, Certificate};
use crate::crl::{CrlNumber, ListProblem, RevocationList, Scope};
use crate::crl_error::{CrlError, CrlProblem};
use crate::identity::{Link, LinkKind, NameHash, sha256};
use crate::name;
use crate::pem;
use crate::serial::Serial;
use crate::signature::{self, SignatureProblem};
use crate::table::{ENTRIES_MAX, Entry, Table};
use crate::trust::TrustBundle;

use rustls_pki_types::CertificateRevocationListDer;
use rustls_pki_types::pem::PemObject;

/// Every revocation list of one trust bundle.
#[derive(Debug)]
pub struct RevocationIndex {
    uncovered: Uncovered,
    issuers: Vec<ListedIssuer>,
    lists: Vec<CrlExpiry>,
    table: Table,
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
    /// Unix seconds from which it no longer counts.
    pub next_update: i64,
    issuer_hash: NameHash,
    signer: [u8; 32],
    scope: Scope,
}

#[derive(Clone, Copy, Debug)]
struct ListedIssuer {
    name: NameHash,
    /// Unix seconds at which the lists that cover leaves end; `None` when there is none.
    leaves_until: Option<i64>,
    /// The same for CA certificates.
    authorities_until: Option<i64>,
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
        }
    }

    /// Verifies and indexes the lists of a trust bundle: `(file name, PEM or DER)`; a PEM file may hold several. From then on every issuer
    /// in a path must be covered, and a certificate whose issuer is not is refused.
    ///
    /// Each list must be signed by a CA of the bundle that may sign lists, current at `now`, complete and direct (delta,
    /// indirect and partitioned lists are refused, not ignored). Of several lists of one issuer, signer and scope the one with the
    /// highest number counts.
    ///
    /// # Errors
    /// Everything that is wrong with the lists. No lists at all is not an error here but an index that refuses everybody.
    pub fn load(
        crls: &[(&str, &[u8])],
        trust: &TrustBundle,
        now: i64,
    ) -> Result<RevocationIndex, Vec<CrlError>> {
        let mut problems = Vec::new();
        let mut files = Vec::new();
        for (file, bytes) in crls {
            match split(bytes) {
                Ok(lists) => files.extend(lists.into_iter().map(|list| (*file, list))),
                Err(problem) => problems.push(CrlError::new(file, problem)),
            }
        }
        let mut verified = Vec::new();
        for (file, der) in &files {
            match verify(file, der, trust, now) {
                Ok(list) => verified.push(list),
                Err(problem) => problems.push(CrlError::new(file, problem)),
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        build(supersede(verified)).map_err(|problem| vec![problem])
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
        let until = match link.kind {
            LinkKind::Leaf => issuer.leaves_until,
            LinkKind::Authority => issuer.authorities_until,
        };
        match until {
            None => Err(missing),
            Some(next_update) if now >= next_update => Err(Revocation::ListExpired {
                serial,
                depth,
                next_update,
            }),
            Some(_) => Ok(()),
        }
    }

    /// The lists that count, with their ends, for metrics.
    pub fn next_updates(&self) -> &[CrlExpiry] {
        &self.lists
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

/// A list that has passed every check, waiting to be indexed.
struct Verified<'a> {
    list: RevocationList<'a>,
    entries: usize,
    expiry: CrlExpiry,
}

/// The lists of one file.
fn split(bytes: &[u8]) -> Result<Vec<CertificateRevocationListDer<'_>>, CrlProblem> {
    if bytes.len() > CRL_BYTES_MAX {
        return Err(CrlProblem::TooLarge);
    }
    if bytes.first() == Some(&crate::der::SEQUENCE) {
        return Ok(vec![CertificateRevocationListDer::from(bytes)]);
    }
    let lists: Vec<_> = CertificateRevocationListDer::pem_slice_iter(bytes)
        .collect::<Result<_, _>>()
        .map_err(|why| CrlProblem::Pem(pem::problem(&why)))?;
    if lists.is_empty() {
        Err(CrlProblem::Empty)
    } else {
        Ok(lists)
    }
}

fn verify<'a>(
    file: &str,
    der: &'a [u8],
    trust: &TrustBundle,
    now: i64,
) -> Result<Verified<'a>, CrlProblem> {
    let list = RevocationList::parse(der).map_err(CrlProblem::of)?;
    let issuer = name::display(list.issuer);
    let next_update = list.next_update.ok_or(CrlProblem::NoNextUpdate)?;
    if now < list.this_update {
        return Err(CrlProblem::NotYetValid {
            this_update: list.this_update,
        });
    }
    if now >= next_update {
        return Err(CrlProblem::Expired { next_update });
    }
    let signer = find_signer(&list, &issuer, trust)?;
    let entries = list
        .count()
        .map_err(|why| CrlProblem::of(ListProblem::Malformed(why)))?;
    let expiry = CrlExpiry {
        file: file.to_owned(),
        issuer_hash: NameHash::of(list.issuer),
        issuer,
        number: list.number,
        this_update: list.this_update,
        next_update,
        signer,
        scope: list.scope,
    };
    Ok(Verified {
        list,
        entries,
        expiry,
    })
}

/// The CA of the bundle that signed a list; gives the hash of its key.
fn find_signer(
    list: &RevocationList<'_>,
    issuer: &str,
    trust: &TrustBundle,
) -> Result<[u8; 32], CrlProblem> {
    let hash = NameHash::of(list.issuer);
    let mut problem = CrlProblem::UnknownIssuer {
        issuer: issuer.to_owned(),
    };
    for authority in trust
        .authorities()
        .filter(|authority| authority.subject == hash)
    {
        let Ok(certificate) = Certificate::parse(&authority.der) else {
            continue;
        };
        let differs = matches!((list.authority_key_id, certificate.extensions.subject_key_id), (Some(a), Some(b)) if a != b);
        if differs {
            continue;
        }
        match signature::verify(
            &certificate.key,
            list.signature_algorithm,
            list.tbs,
            list.signature,
        ) {
            Err(SignatureProblem::Algorithm) => problem = CrlProblem::Algorithm,
            Err(SignatureProblem::Mismatch) => {
                problem = CrlProblem::BadSignature {
                    issuer: issuer.to_owned(),
                }
            }
            Ok(()) if !certificate.may(CRL_SIGN) => {
                problem = CrlProblem::MayNotSign {
                    issuer: issuer.to_owned(),
                }
            }
            Ok(()) => return Ok(sha256(certificate.key.raw)),
        }
    }
    Err(problem)
}

/// Drops every list that a newer one of the same issuer, signer and scope replaces.
fn supersede(mut lists: Vec<Verified<'_>>) -> Vec<Verified<'_>> {
    let series = |list: &Verified<'_>| {
        (
            list.expiry.issuer_hash,
            list.expiry.signer,
            list.expiry.scope,
        )
    };
    lists.sort_by_key(|list| {
        (
            series(list),
            std::cmp::Reverse((list.expiry.number, list.expiry.this_update)),
        )
    });
    lists.dedup_by_key(|list| series(list));
    lists
}

fn build(lists: Vec<Verified<'_>>) -> Result<RevocationIndex, CrlError> {
    let total = lists.iter().map(|list| list.entries).sum::<usize>();
    let mut index = RevocationIndex::empty(Uncovered::Refused);
    index.table = Table::with_capacity(total);
    for verified in lists {
        let fail = |problem| CrlError::new(&verified.expiry.file, problem);
        if total > ENTRIES_MAX {
            return Err(fail(CrlProblem::TooLarge));
        }
        let issuer = index
            .cover(&verified.expiry)
            .ok_or_else(|| fail(CrlProblem::TooLarge))?;
        let table = &mut index.table;
        let add = |serial, revoked_at: i64, reason| {
            let revoked_at = u32::try_from(revoked_at.max(0)).unwrap_or(u32::MAX);
            // There is room: the table was made for `total` entries.
            let _inserted = table.insert(Entry {
                revoked_at,
                issuer,
                reason,
                serial,
            });
        };
        verified
            .list
            .for_each(add)
            .map_err(|problem| fail(CrlProblem::of(problem)))?;
        index.lists.push(verified.expiry);
    }
    Ok(index)
}

impl RevocationIndex {
    /// Notes that a list covers its issuer until its end, and gives the issuer's number.
    fn cover(&mut self, list: &CrlExpiry) -> Option<u16> {
        let known = self
            .issuers
            .iter()
            .position(|issuer| issuer.name == list.issuer_hash);
        let number = known.unwrap_or(self.issuers.len());
        if known.is_none() {
            self.issuers.push(ListedIssuer {
                name: list.issuer_hash,
                leaves_until: None,
                authorities_until: None,
            });
        }
        let issuer = self.issuers.get_mut(number)?;
        // Several signers under one name: each list must be current, since none says what the others do.
        let earliest = |until: Option<i64>| {
            Some(until.map_or(list.next_update, |until| until.min(list.next_update)))
        };
        if list.scope != Scope::AuthoritiesOnly {
            issuer.leaves_until = earliest(issuer.leaves_until);
        }
        if list.scope != Scope::LeavesOnly {
            issuer.authorities_until = earliest(issuer.authorities_until);
        }
        u16::try_from(number).ok()
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

/// Bytes of one CRL file: about ten million entries.
const CRL_BYTES_MAX: usize = 512 * 1024 * 1024;
