//! Loading revocation lists: each is verified once, then indexed.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use rustls_pki_types::CertificateRevocationListDer;
use rustls_pki_types::pem::PemObject;

use x509_parser::extensions::KeyUsage;

use crate::certificate::Certificate;
use crate::coverage::ListedIssuer;
use crate::crl::{ListProblem, RevocationList};
use crate::crl_error::{CrlError, CrlProblem};
use crate::identity::{Link, LinkKind, NameHash, link, sha256};
use crate::name;
use crate::pem;
use crate::revocation::{CrlExpiry, RevocationIndex, Uncovered};
use crate::signature::{self, SignatureProblem};
use crate::table::{ENTRIES_MAX, Entry, Table};
use crate::trust::TrustBundle;

/// How long a list counts beyond its end, in seconds; not at all by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grace {
    /// For every issuer that has none of its own.
    pub seconds: u32,
    /// For single issuers, by name in the form of [`CrlExpiry::issuer`].
    pub of_issuers: BTreeMap<String, u32>,
    /// When the files were last there that are given out of a copy, by name, in Unix seconds: such a list counts from then for as long as
    /// its grace lasts, though its end be later.
    pub missing_since: BTreeMap<String, i64>,
}

impl Grace {
    /// None at all.
    pub const NONE: Grace = Grace {
        seconds: 0,
        of_issuers: BTreeMap::new(),
        missing_since: BTreeMap::new(),
    };

    fn end(&self, file: &str, issuer: &str, next_update: i64) -> i64 {
        let own = self.of_issuers.get(issuer);
        let from = self.missing_since.get(file);
        let from = from.map_or(next_update, |since| next_update.min(*since));
        from.saturating_add(i64::from(own.copied().unwrap_or(self.seconds)))
    }
}

impl RevocationIndex {
    /// Verifies and indexes the lists of a trust bundle: `(file name, PEM or DER)`; a PEM file may hold several. From then on every
    /// issuer in a path must be covered, and a certificate whose issuer is not is refused.
    ///
    /// Each list must be signed by a CA of the bundle that may sign lists, be current at `now`, and stand for itself: delta and
    /// indirect lists and those of some reasons only are refused, not ignored. Of several lists of one issuer, signer and scope
    /// the one with the highest number counts.
    ///
    /// # Errors
    /// Everything that is wrong with the lists. No lists at all is not an error here but an index that refuses everybody.
    pub fn load(
        crls: &[(&str, &[u8])],
        trust: &TrustBundle,
        now: i64,
    ) -> Result<RevocationIndex, Vec<CrlError>> {
        RevocationIndex::load_with_grace(crls, trust, &Grace::NONE, now)
    }

    /// The same, with lists that count beyond their end. [`RevocationIndex::stale`] says which live on it.
    ///
    /// # Errors
    /// As [`RevocationIndex::load`].
    pub fn load_with_grace(
        crls: &[(&str, &[u8])],
        trust: &TrustBundle,
        grace: &Grace,
        now: i64,
    ) -> Result<RevocationIndex, Vec<CrlError>> {
        RevocationIndex::load_keeping(crls, trust, grace, now, &|_| false)
    }

    /// The same, where an overdue list that `keep` wants is no error: what it names stays revoked, and whomever else it covers is
    /// refused, as when it becomes overdue in a running process. So one authority that is late keeps no other's clients out.
    ///
    /// # Errors
    /// As [`RevocationIndex::load`].
    pub fn load_keeping(
        crls: &[(&str, &[u8])],
        trust: &TrustBundle,
        grace: &Grace,
        now: i64,
        keep: &dyn Fn(&CrlExpiry) -> bool,
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
            match verify(file, der, trust, grace, now) {
                Ok(list) => verified.push(list),
                Err(problem) => problems.push(CrlError::new(file, problem)),
            }
        }
        // Only of the lists that count: an old one that was left beside its successor does no harm.
        let counted = supersede(verified);
        let is_past = |list: &&Verified<'_>| now >= list.expiry.until && !keep(&list.expiry);
        problems.extend(counted.iter().filter(is_past).map(|list| {
            let next_update = list.expiry.next_update;
            CrlError::new(&list.expiry.file, CrlProblem::Expired { next_update })
        }));
        if problems.is_empty() {
            build(counted, now).map_err(|problem| vec![problem])
        } else {
            Err(problems)
        }
    }

    /// The same for lists that are given beside a certificate to be judged offline, where a bad list is no reason not to judge: it
    /// does not count, and [`RevocationIndex::ignored`] says why. A list of a kind that is not supported leaves its issuer
    /// uncovered, since it may say what nobody here understands. Lists that are past are kept, to be told from missing ones.
    pub(crate) fn load_offline(
        lists: &[(String, Vec<u8>)],
        trust: &TrustBundle,
        now: i64,
    ) -> RevocationIndex {
        let mut verified = Vec::new();
        let mut ignored = Vec::new();
        for (file, der) in lists {
            match verify(file, der, trust, &Grace::NONE, now) {
                Ok(list) => verified.push(list),
                Err(problem) => {
                    ignored.push((CrlError::new(file, problem), RevocationList::issuer_of(der)))
                }
            }
        }
        // Entries are read once more when they are indexed; a list that fails there must not take the others with it.
        verified.retain(|verified| match verified.list.for_each(|_, _, _| ()) {
            Ok(()) => true,
            Err(problem) => {
                let error = CrlError::new(&verified.expiry.file, CrlProblem::of(problem));
                ignored.push((error, Some(verified.list.issuer.clone())));
                false
            }
        });
        let mut index = build(supersede(verified), now)
            .unwrap_or_else(|_| RevocationIndex::empty(Uncovered::Refused));
        for (error, issuer) in ignored {
            if error.problem.is_unsupported() {
                index.uncover(issuer.as_ref().map(NameHash::of));
            }
            index.ignored.push(error);
        }
        index
    }

    /// Takes back that an issuer's lists cover its certificates; what they name stays revoked.
    fn uncover(&mut self, issuer: Option<NameHash>) {
        self.issuers
            .iter_mut()
            .filter(|listed| Some(listed.name) == issuer)
            .for_each(ListedIssuer::clear);
    }
}

/// A list that has passed every check, waiting to be indexed.
struct Verified<'a> {
    list: RevocationList<'a>,
    entries: usize,
    expiry: CrlExpiry,
    /// Set when a certificate for signing lists only signed it, whose own revocation no chain would ever ask about.
    signer: Option<Link>,
}

/// The lists of one file.
pub(crate) fn split(bytes: &[u8]) -> Result<Vec<CertificateRevocationListDer<'_>>, CrlProblem> {
    if bytes.len() > CRL_BYTES_MAX {
        return Err(CrlProblem::TooLarge);
    }
    if bytes.first() == Some(&crate::der::SEQUENCE) {
        return Ok(vec![CertificateRevocationListDer::from(bytes)]);
    }
    let lists: Vec<_> = CertificateRevocationListDer::pem_slice_iter(bytes)
        .collect::<Result<_, _>>()
        .map_err(|why| CrlProblem::Pem(pem::problem(&why)))?;
    if pem::is_cut(bytes) {
        return Err(CrlProblem::Pem(pem::CUT));
    }
    if lists.is_empty() {
        Err(CrlProblem::Empty)
    } else {
        Ok(lists)
    }
}

/// Checks a list, all but whether it is past.
fn verify<'a>(
    file: &str,
    der: &'a [u8],
    trust: &TrustBundle,
    grace: &Grace,
    now: i64,
) -> Result<Verified<'a>, CrlProblem> {
    let list = RevocationList::parse(der).map_err(CrlProblem::of)?;
    let issuer = name::display(&list.issuer);
    let next_update = list.next_update.ok_or(CrlProblem::NoNextUpdate)?;
    if now < list.this_update {
        return Err(CrlProblem::NotYetValid {
            this_update: list.this_update,
        });
    }
    let (key_hash, signer) = find_signer(&list, &issuer, trust, now)?;
    let entries = list
        .count()
        .map_err(|why| CrlProblem::of(ListProblem::Malformed(why)))?;
    let expiry = CrlExpiry {
        file: file.to_owned(),
        issuer_hash: NameHash::of(&list.issuer),
        until: grace.end(file, &issuer, next_update),
        missing_since: grace.missing_since.get(file).copied(),
        issuer,
        number: list.number,
        this_update: list.this_update,
        next_update,
        signer: key_hash,
        scope: list.scope.clone(),
    };
    Ok(Verified {
        list,
        entries,
        expiry,
        signer,
    })
}

/// Who signed a list: the hash of the key, and what to ask about its certificate if that signs nothing but lists.
fn find_signer(
    list: &RevocationList<'_>,
    issuer: &str,
    trust: &TrustBundle,
    now: i64,
) -> Result<([u8; 32], Option<Link>), CrlProblem> {
    let hash = NameHash::of(&list.issuer);
    let mut problem = CrlProblem::UnknownIssuer {
        issuer: issuer.to_owned(),
    };
    for authority in trust
        .crl_signers()
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
            Ok(()) if !certificate.may(KeyUsage::crl_sign) => {
                problem = CrlProblem::MayNotSign {
                    issuer: issuer.to_owned(),
                }
            }
            Ok(()) if !(certificate.not_before..=certificate.not_after).contains(&now) => {
                problem = CrlProblem::SignerNotCurrent {
                    issuer: issuer.to_owned(),
                };
            }
            Ok(()) => return signer_of(&certificate),
        }
    }
    Err(problem)
}

fn signer_of(certificate: &Certificate<'_>) -> Result<([u8; 32], Option<Link>), CrlProblem> {
    let signs_chains = certificate.is_ca() && certificate.may(KeyUsage::key_cert_sign);
    let link = if signs_chains {
        None
    } else {
        Some(link(certificate, LinkKind::Leaf).map_err(CrlProblem::Malformed)?)
    };
    Ok((sha256(certificate.key.raw), link))
}

/// Drops every list that a newer one of its series replaces.
fn supersede(mut lists: Vec<Verified<'_>>) -> Vec<Verified<'_>> {
    lists.sort_by(|one, other| {
        let newest_first =
            |list: &Verified<'_>| Reverse((list.expiry.number, list.expiry.this_update));
        one.expiry
            .series()
            .cmp(&other.expiry.series())
            .then_with(|| newest_first(one).cmp(&newest_first(other)))
    });
    lists.dedup_by(|later, kept| later.expiry.series() == kept.expiry.series());
    lists
}

fn build(mut lists: Vec<Verified<'_>>, now: i64) -> Result<RevocationIndex, CrlError> {
    let total = lists.iter().map(|list| list.entries).sum::<usize>();
    let mut index = RevocationIndex::empty(Uncovered::Refused);
    index.table = Table::with_capacity(total);
    // First the lists of the CAs, which say whether the signers of the others are good.
    lists.sort_by_key(|list| list.signer.is_some());
    for verified in lists {
        let fail = |problem| CrlError::new(&verified.expiry.file, problem);
        if total > ENTRIES_MAX {
            return Err(fail(CrlProblem::TooLarge));
        }
        if let Some(why) = verified
            .signer
            .and_then(|signer| index.check(&[signer], now).err())
        {
            let issuer = verified.expiry.issuer.clone();
            index
                .ignored
                .push(fail(CrlProblem::SignerNotGood { issuer, why }));
            continue;
        }
        add(&mut index, &verified).map_err(fail)?;
        index.lists.push(verified.expiry);
    }
    Ok(index)
}

fn add(index: &mut RevocationIndex, verified: &Verified<'_>) -> Result<(), CrlProblem> {
    let issuer = cover(&mut index.issuers, &verified.expiry).ok_or(CrlProblem::TooLarge)?;
    let each = |serial, revoked_at: i64, reason| {
        let revoked_at = u32::try_from(revoked_at.max(0)).unwrap_or(u32::MAX);
        // There is room: the table was made for the entries of all lists.
        let _inserted = index.table.insert(Entry {
            revoked_at,
            issuer,
            reason,
            serial,
        });
    };
    verified.list.for_each(each).map_err(CrlProblem::of)
}

/// Notes that a list covers its issuer, and gives the issuer's number.
fn cover(issuers: &mut Vec<ListedIssuer>, list: &CrlExpiry) -> Option<u16> {
    let known = issuers
        .iter()
        .position(|issuer| issuer.name == list.issuer_hash);
    let number = known.unwrap_or(issuers.len());
    if known.is_none() {
        issuers.push(ListedIssuer::new(list.issuer_hash));
    }
    issuers
        .get_mut(number)?
        .add(list.signer, list.scope.clone(), list.until);
    u16::try_from(number).ok()
}

/// Bytes of one CRL file: about ten million entries.
const CRL_BYTES_MAX: usize = 512 * 1024 * 1024;
