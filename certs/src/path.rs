//! Layer: 端 endpoint. From a client's certificate to an anchor: finding the path and judging it (RFC 5280 section 6).
//!
//! The path is built here and not by the TLS library's verifier, for three reasons: that verifier ignores key usage, serial
//! numbers, policies and everything about anchors; it cannot process name constraints of some kinds; and it says what
//! is wrong, not which certificate is to blame. Signatures are checked by the same code as there. The tests compare the
//! two: a chain that is accepted here and refused there is a failure.

use rustls_pki_types::CertificateDer;
use x509_parser::extensions::KeyUsage;

use crate::certificate::Certificate;
use crate::chain_error::{ChainError, ChainReason};
use crate::constraints;
use crate::identity::{Identity, LastElement, NameHash};
use crate::name;
use crate::points;
use crate::policies;
use crate::revocation::{Revocation, RevocationIndex};
use crate::signature::{self, KeyStrength, SignatureProblem};
use crate::trust::TrustBundle;

/// A chain that has passed every check.
#[derive(Clone, Debug)]
pub struct VerifiedChain {
    /// From the leaf to the anchor.
    pub certificates: Vec<CertificateDer<'static>>,
    /// Who it speaks for.
    pub identity: Identity,
}

impl VerifiedChain {
    /// Whether every certificate's dates allow `now` (Unix seconds).
    pub fn is_current(&self, now: i64) -> bool {
        (self.identity.not_before..=self.identity.not_after).contains(&now)
    }

    /// The subject of one certificate in RFC 4514 form; 0 is the leaf.
    pub fn subject(&self, depth: usize) -> String {
        let parsed = self
            .certificates
            .get(depth)
            .and_then(|der| Certificate::parse(der).ok());
        parsed.map_or_else(
            || "?".to_owned(),
            |certificate| name::display(&certificate.subject),
        )
    }
}

/// What a leaf certificate is to be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To authenticate a TLS client.
    Client,
    /// To authenticate a TLS server.
    Server,
}

/// Verifies a client's chain at `now` (Unix seconds): the code that the handshake runs.
///
/// `intermediates` may come in any order and hold strangers. Costs one signature check for each certificate of the path below
/// the anchor, and never more than [`SIGNATURES_MAX`].
///
/// # Errors
/// One reason, and the certificate that it concerns.
pub fn verify_client_chain(
    trust: &TrustBundle,
    revocation: &RevocationIndex,
    end_entity: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
    now: i64,
) -> Result<VerifiedChain, ChainError> {
    verify_chain(
        trust,
        revocation,
        end_entity,
        intermediates,
        Purpose::Client,
        now,
    )
}

/// Verifies a chain for a purpose. A server's name is not compared here.
///
/// # Errors
/// One reason, and the certificate that it concerns.
pub fn verify_chain(
    trust: &TrustBundle,
    revocation: &RevocationIndex,
    end_entity: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
    purpose: Purpose,
    now: i64,
) -> Result<VerifiedChain, ChainError> {
    let bytes = intermediates.iter().map(|der| der.len()).sum::<usize>() + end_entity.len();
    if intermediates.len() >= PRESENTED_MAX || bytes > PRESENTED_BYTES_MAX {
        return Err(blame(ChainReason::TooLong, 0, None));
    }
    let leaf = Certificate::parse(end_entity)
        .map_err(|why| blame(ChainReason::Malformed(why), 0, None))?;
    check_leaf_usage(&leaf, purpose)
        .map_err(ChainReason::BadUsage)
        .and_then(|()| check_any(&leaf, now))
        .map_err(|reason| blame(reason, 0, Some(&leaf)))?;
    // What a client sends beside its path, such as a root of the last century, need not be well formed; it is then not used.
    let mut presented = Vec::new();
    let mut malformed = None;
    for (index, der) in intermediates.iter().enumerate() {
        match Certificate::parse(der) {
            Ok(certificate) => presented.push(certificate),
            Err(why) => {
                malformed = malformed.or(Some(blame(ChainReason::Malformed(why), index + 1, None)))
            }
        }
    }
    let mut search = Search {
        trust,
        revocation,
        presented,
        purpose,
        now,
        signatures_left: SIGNATURES_MAX,
        worst: None,
    };
    if let Some(chain) = search.extend(&mut vec![leaf.clone()]) {
        return Ok(chain);
    }
    Err(match search.worst.map(|(_progress, error)| error) {
        Some(error) if error.reason != ChainReason::UnknownIssuer => error,
        // What could not be read may have been the issuer that is missing.
        unknown => malformed
            .or(unknown)
            .unwrap_or_else(|| blame(ChainReason::UnknownIssuer, 0, Some(&leaf))),
    })
}

/// A depth-first search for a path that stands.
struct Search<'a> {
    trust: &'a TrustBundle,
    revocation: &'a RevocationIndex,
    /// What the client sent beside its own certificate.
    presented: Vec<Certificate<'a>>,
    purpose: Purpose,
    now: i64,
    signatures_left: usize,
    /// The error of the attempt that came nearest.
    worst: Option<(Progress, ChainError)>,
}

/// How near an attempt came to a verified path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Progress {
    NoIssuer,
    IssuerFound,
    IssuerSigned,
    AnchorReached,
    GaveUp,
}

impl<'a> Search<'a> {
    /// Looks for issuers of the path's last certificate, anchors first.
    fn extend(&mut self, path: &mut Vec<Certificate<'a>>) -> Option<VerifiedChain> {
        let head = path.last()?.clone();
        if let Some(chain) = self.try_anchors(path, &head) {
            return Some(chain);
        }
        if path.len() >= PATH_MAX - 1 {
            self.note(
                Progress::IssuerFound,
                ChainReason::TooLong,
                path.len() - 1,
                &head,
            );
            return None;
        }
        for issuer in self.candidates(&head) {
            // The same name with the same key twice in a path is a circle.
            let is_circle = path
                .iter()
                .any(|used| used.subject == issuer.subject && used.key.raw == issuer.key.raw);
            if is_circle || !self.issued(&issuer, &head, path.len()) {
                continue;
            }
            if let Err(reason) = check_intermediate(&issuer, self.purpose)
                .and_then(|()| check_any(&issuer, self.now))
            {
                self.note(Progress::IssuerSigned, reason, path.len(), &issuer);
                continue;
            }
            path.push(issuer);
            let found = self.extend(path);
            path.pop();
            if found.is_some() {
                return found;
            }
        }
        self.note(
            Progress::NoIssuer,
            ChainReason::UnknownIssuer,
            path.len() - 1,
            &head,
        );
        None
    }

    /// Certificates that bear the issuer's name, presented or known, those whose key identifier fits first.
    fn candidates(&self, head: &Certificate<'_>) -> Vec<Certificate<'a>> {
        let name = NameHash::of(&head.issuer);
        let trust = self.trust;
        let known = trust
            .intermediates()
            .iter()
            .filter(|authority| authority.subject == name);
        let known = known.filter_map(|authority| Certificate::parse(&authority.der).ok());
        let presented = self
            .presented
            .iter()
            .filter(|presented| name::same(&presented.subject, &head.issuer))
            .cloned();
        let mut candidates: Vec<Certificate<'_>> = presented.chain(known).collect();
        let wanted = head.extensions.authority_key_id;
        candidates
            .sort_by_key(|issuer| wanted.is_some() && issuer.extensions.subject_key_id != wanted);
        candidates
    }

    fn try_anchors(
        &mut self,
        path: &[Certificate<'a>],
        head: &Certificate<'a>,
    ) -> Option<VerifiedChain> {
        let issuer = NameHash::of(&head.issuer);
        let trust = self.trust;
        for authority in trust
            .anchors()
            .iter()
            .filter(|authority| authority.subject == issuer)
        {
            let Ok(anchor) = Certificate::parse(&authority.der) else {
                continue;
            };
            if !self.issued(&anchor, head, path.len()) {
                continue;
            }
            let mut whole = path.to_vec();
            whole.push(anchor);
            match judge(&whole, self.revocation, self.purpose, self.now) {
                Ok(chain) => return Some(chain),
                Err(error) => self.note_error(Progress::AnchorReached, error),
            }
        }
        None
    }

    /// Whether `issuer` has signed `head`; notes why not.
    fn issued(&mut self, issuer: &Certificate<'_>, head: &Certificate<'_>, depth: usize) -> bool {
        let below = depth - 1;
        let Some(left) = self.signatures_left.checked_sub(1) else {
            self.note(Progress::GaveUp, ChainReason::TooComplex, below, head);
            return false;
        };
        self.signatures_left = left;
        match signature::verify(
            &issuer.key,
            head.signature_algorithm,
            head.tbs,
            head.signature,
        ) {
            Ok(()) => return true,
            Err(SignatureProblem::Mismatch) => self.note(
                Progress::IssuerFound,
                ChainReason::BadSignature,
                below,
                head,
            ),
            Err(SignatureProblem::Algorithm) => {
                self.note(
                    Progress::IssuerFound,
                    ChainReason::UnsupportedAlgorithm,
                    below,
                    head,
                );
            }
        }
        false
    }

    fn note(
        &mut self,
        progress: Progress,
        reason: ChainReason,
        depth: usize,
        certificate: &Certificate<'_>,
    ) {
        self.note_error(progress, blame(reason, depth, Some(certificate)));
    }

    fn note_error(&mut self, progress: Progress, error: ChainError) {
        if self
            .worst
            .as_ref()
            .is_none_or(|(reached, _)| *reached < progress)
        {
            self.worst = Some((progress, error));
        }
    }
}

/// Judges a whole path, the anchor last, whose signatures have been checked.
fn judge(
    path: &[Certificate<'_>],
    revocation: &RevocationIndex,
    purpose: Purpose,
    now: i64,
) -> Result<VerifiedChain, ChainError> {
    let anchor_depth = path.len() - 1;
    if let Some(anchor) = path.last() {
        check_issuer(anchor, purpose)
            .and_then(|()| check_any(anchor, now))
            .map_err(|reason| blame(reason, anchor_depth, Some(anchor)))?;
    }
    check_path_lengths(path)?;
    constraints::check(path)
        .and_then(|()| policies::check(path))
        .map_err(|(reason, depth)| blame(reason, depth, path.get(depth)))?;
    let leaf = path.first();
    let identity = Identity::from_path(path, LastElement::Anchor)
        .map_err(|why| blame(ChainReason::NameUnusable(why), 0, leaf))?;
    revocation.check(&identity.links, now).map_err(|why| {
        let concerned = path.get(why.depth());
        let lacks_list = !matches!(why, Revocation::Revoked { .. });
        ChainError {
            points: concerned
                .filter(|_| lacks_list)
                .map(points_of)
                .unwrap_or_default(),
            ..blame(ChainReason::Revocation(why), why.depth(), concerned)
        }
    })?;
    let certificates = path
        .iter()
        .map(|certificate| CertificateDer::from(certificate.der.to_vec()))
        .collect();
    Ok(VerifiedChain {
        certificates,
        identity,
    })
}

/// What holds for every certificate of a path.
pub(crate) fn check_any(certificate: &Certificate<'_>, now: i64) -> Result<(), ChainReason> {
    if now < certificate.not_before {
        return Err(ChainReason::NotYetValid {
            not_before: certificate.not_before,
        });
    }
    if now > certificate.not_after {
        return Err(ChainReason::Expired {
            not_after: certificate.not_after,
        });
    }
    if certificate.extensions.unknown_critical {
        return Err(ChainReason::CriticalExtension);
    }
    match signature::strength(&certificate.key) {
        KeyStrength::Sufficient => Ok(()),
        KeyStrength::Weak => Err(ChainReason::WeakKey),
        KeyStrength::Unsupported => Err(ChainReason::UnsupportedAlgorithm),
    }
}

/// Whether a leaf's own certificate allows its use; says what it lacks.
pub(crate) fn check_leaf_usage(
    leaf: &Certificate<'_>,
    purpose: Purpose,
) -> Result<(), &'static str> {
    if leaf.is_ca() {
        return Err("a CA's certificate is presented as an end entity's");
    }
    let usage = leaf.extensions.key_usage;
    if usage.is_some_and(|granted| granted.key_cert_sign()) {
        return Err("its key usage has keyCertSign, and it is no CA's");
    }
    if !leaf.may(KeyUsage::digital_signature) {
        return Err("its key usage lacks digitalSignature");
    }
    check_extended_usage(leaf, purpose)
}

fn check_extended_usage(
    certificate: &Certificate<'_>,
    purpose: Purpose,
) -> Result<(), &'static str> {
    let Some(granted) = &certificate.extensions.extended_key_usage else {
        return Ok(());
    };
    match purpose {
        Purpose::Client if !granted.client_auth => Err("its extended key usage lacks clientAuth"),
        Purpose::Server if !granted.server_auth => Err("its extended key usage lacks serverAuth"),
        Purpose::Client | Purpose::Server => Ok(()),
    }
}

pub(crate) fn check_issuer(issuer: &Certificate<'_>, purpose: Purpose) -> Result<(), ChainReason> {
    if !issuer.is_ca() {
        return Err(ChainReason::NotAnAuthority);
    }
    if !issuer.may(KeyUsage::key_cert_sign) {
        return Err(ChainReason::BadUsage("its key usage lacks keyCertSign"));
    }
    // The standard gives extended key usage no meaning in a CA's certificate; every TLS library takes it as a limit.
    check_extended_usage(issuer, purpose).map_err(ChainReason::BadUsage)
}

/// Whoever is an issuer because another CA says so needs that CA's word for it: key usage with keyCertSign, not merely none
/// (section 4.2.1.3). An anchor is one because the operator says so; programs that make roots often leave its key usage out.
pub(crate) fn check_intermediate(
    issuer: &Certificate<'_>,
    purpose: Purpose,
) -> Result<(), ChainReason> {
    check_issuer(issuer, purpose)?;
    if issuer.extensions.key_usage.is_none() {
        return Err(ChainReason::BadUsage(
            "it is an intermediate without a key usage, and so without keyCertSign",
        ));
    }
    Ok(())
}

/// Section 6.1.4 (l) and (m): self-issued certificates do not count.
fn check_path_lengths(path: &[Certificate<'_>]) -> Result<(), ChainError> {
    let mut below = 0_u32;
    for (depth, authority) in path.iter().enumerate().skip(1) {
        let allowed = authority
            .extensions
            .basic_constraints
            .as_ref()
            .and_then(|constraints| constraints.path_len_constraint);
        if allowed.is_some_and(|allowed| below > allowed) {
            return Err(blame(ChainReason::PathLength, depth, Some(authority)));
        }
        if !authority.is_self_issued() {
            below += 1;
        }
    }
    Ok(())
}

fn blame(reason: ChainReason, depth: usize, certificate: Option<&Certificate<'_>>) -> ChainError {
    let subject = certificate.map_or_else(
        || "?".to_owned(),
        |certificate| name::display(&certificate.subject),
    );
    ChainError {
        reason,
        depth,
        subject,
        points: Vec::new(),
    }
}

fn points_of(certificate: &Certificate<'_>) -> Vec<String> {
    let extension = certificate.extensions.crl_distribution_points;
    points::uris(extension.unwrap_or_default()).unwrap_or_default()
}

/// Certificates of one path, leaf and anchor included.
pub const PATH_MAX: usize = 8;
/// Certificates that a client may send.
pub const PRESENTED_MAX: usize = 16;
/// Bytes of the certificates that a client may send.
pub const PRESENTED_BYTES_MAX: usize = 128 * 1024;
/// Signature checks that one chain may cost. A path has at most seven; the rest is for CAs with several keys under one name.
pub const SIGNATURES_MAX: usize = 32;
