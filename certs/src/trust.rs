//! Trust bundles: the CAs whose word a listener takes.
//!
//! The anchors are the one part of a chain that no signature protects, so each is checked when it is loaded and again (its dates)
//! whenever it ends a chain. The TLS library takes any bytes that have a name and a key; an expired root, a leaf that
//! somebody put into the bundle by mistake, or a key of 1,024 bits would all be believed.

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::{PemObject, SectionKind};

use x509_parser::extensions::KeyUsage;

use crate::certificate::Certificate;
use crate::der::Malformed;
use crate::identity::{NameHash, sha256};
use crate::name;
use crate::pem;
use crate::points;
use crate::signature::{self, KeyStrength, SignatureProblem};

/// The CAs that one listener trusts: anchors, and intermediates that it knows beforehand. Immutable.
#[derive(Debug)]
pub struct TrustBundle {
    name: String,
    anchors: Vec<Authority>,
    pub(crate) intermediates: Vec<Authority>,
    /// Certificates that sign lists and nothing else.
    pub(crate) list_signers: Vec<Authority>,
}

/// A CA certificate of a bundle.
#[derive(Clone, Debug)]
pub(crate) struct Authority {
    pub(crate) der: CertificateDer<'static>,
    pub(crate) subject: NameHash,
}

/// An anchor by its name, which two may share, and its key, which they do not.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AnchorName {
    /// In RFC 4514 form.
    pub subject: String,
    /// SHA-256 of its SubjectPublicKeyInfo.
    pub key: [u8; 32],
}

/// When something ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expiry {
    /// Whose end it is: a certificate's subject.
    pub subject: String,
    /// Unix seconds, inclusive.
    pub not_after: i64,
}

/// What is wrong with a trust bundle. Each is one line: where, what, how to mend it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TrustError {
    /// No certificate in it.
    #[error(
        "trust bundle `{bundle}` holds no certificate; expected PEM blocks starting `-----BEGIN CERTIFICATE-----`"
    )]
    Empty {
        /// The bundle's name.
        bundle: String,
    },
    /// Over the bounds.
    #[error(
        "trust bundle `{bundle}` is larger than 4 MiB or has more than 1024 certificates; list only the CAs that issue to clients"
    )]
    TooLarge {
        /// The bundle's name.
        bundle: String,
    },
    /// Broken PEM.
    #[error(
        "trust bundle `{bundle}` is not readable as PEM ({why}); export the CA certificates again"
    )]
    Pem {
        /// The bundle's name.
        bundle: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// Something else than certificates.
    #[error("trust bundle `{bundle}` holds a {what}; keep only `CERTIFICATE` blocks in it")]
    Foreign {
        /// The bundle's name.
        bundle: String,
        /// What else.
        what: &'static str,
    },
    /// One certificate that cannot be an anchor.
    #[error("trust bundle `{bundle}`, certificate {number} (`{subject}`): {problem}")]
    Certificate {
        /// The bundle's name.
        bundle: String,
        /// Which, counted from 1.
        number: usize,
        /// Its subject.
        subject: String,
        /// What is wrong.
        problem: AnchorProblem,
    },
}

/// Why a certificate cannot be an anchor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AnchorProblem {
    /// It cannot be parsed.
    #[error("it is malformed: {0}")]
    Malformed(Malformed),
    /// basicConstraints is absent or says CA:FALSE.
    #[error(
        "it is no CA (its basicConstraints do not say CA:TRUE); list the CA that issued it instead"
    )]
    NotAnAuthority,
    /// keyUsage is present without keyCertSign.
    #[error(
        "its key usage does not allow signing certificates (keyCertSign); ask its CA for a proper CA certificate"
    )]
    MayNotSign,
    /// Out of date.
    #[error("it expired at {}; take it out of the bundle", crate::moment(*.not_after))]
    Expired {
        /// Unix seconds.
        not_after: i64,
    },
    /// Not yet valid.
    #[error("it is not valid before {}; check the clock, or add it later", crate::moment(*.not_before))]
    NotYetValid {
        /// Unix seconds.
        not_before: i64,
    },
    /// A critical extension that we do not process.
    #[error(
        "it has a critical extension that is not supported; ask its CA for a certificate without it"
    )]
    CriticalExtension,
    /// RSA under 2,048 bits.
    #[error("its key is too weak; RSA keys need 2048 bits or more")]
    WeakKey,
    /// A kind of key that is not verified here.
    #[error(
        "its key is of a kind that is not supported; supported are P-256, P-384, Ed25519 and RSA of 2048 to 8192 bits"
    )]
    UnsupportedKey,
    /// Beside a bundle, and nobody in the bundle signed it.
    #[error(
        "no authority of the bundle has signed it, directly or through others of this file; add what is between, or take it out"
    )]
    NotVouchedFor,
    /// A self-issued certificate whose own signature is wrong.
    #[error("its own signature is wrong, so the file is damaged or forged; export it again")]
    BadSignature,
}

impl TrustBundle {
    /// Reads a bundle: PEM certificates, each of them a CA. A self-issued one is an anchor; another is an intermediate if the bundle
    /// also holds its issuer, and otherwise an anchor of its own. Intermediates in the bundle need not be sent by clients, and
    /// their revocation lists can be verified.
    ///
    /// # Errors
    /// Everything that is wrong with the bundle, not only the first thing; `name` is how operators know it.
    pub fn from_pem(name: &str, pem: &[u8], now: i64) -> Result<TrustBundle, Vec<TrustError>> {
        let certificates = read_pem(name, pem)?;
        let mut problems = Vec::new();
        let mut parsed = Vec::new();
        for (index, der) in certificates.iter().enumerate() {
            let certificate = match Certificate::parse(der) {
                Ok(certificate) => certificate,
                Err(why) => {
                    problems.push(certificate_error(
                        name,
                        index,
                        "?".to_owned(),
                        AnchorProblem::Malformed(why),
                    ));
                    continue;
                }
            };
            match check_anchor(&certificate, now) {
                Ok(()) => parsed.push(certificate),
                Err(problem) => problems.push(certificate_error(
                    name,
                    index,
                    name::display(&certificate.subject),
                    problem,
                )),
            }
        }
        if problems.is_empty() {
            Ok(TrustBundle::arrange(name, &parsed))
        } else {
            Err(problems)
        }
    }

    /// A bundle of whatever certificates there are, for judging offline: an anchor that is unfit is then the reason why a chain is
    /// refused, since a path's anchor is judged with the path.
    pub(crate) fn offline(name: &str, certificates: &[CertificateDer<'_>]) -> TrustBundle {
        let parsed: Vec<Certificate<'_>> = certificates
            .iter()
            .filter_map(|der| Certificate::parse(der).ok())
            .collect();
        TrustBundle::arrange(name, &parsed)
    }

    fn arrange(name: &str, parsed: &[Certificate<'_>]) -> TrustBundle {
        let mut bundle = TrustBundle {
            name: name.to_owned(),
            anchors: Vec::new(),
            intermediates: Vec::new(),
            list_signers: Vec::new(),
        };
        for certificate in parsed {
            let has_issuer_here = || {
                parsed.iter().any(|other| {
                    name::same(&other.subject, &certificate.issuer) && signed(certificate, other)
                })
            };
            let list = if certificate.is_self_issued() || !has_issuer_here() {
                &mut bundle.anchors
            } else {
                &mut bundle.intermediates
            };
            if !list
                .iter()
                .any(|known| known.der.as_ref() == certificate.der)
            {
                let der = CertificateDer::from(certificate.der.to_vec());
                list.push(Authority {
                    der,
                    subject: NameHash::of(&certificate.subject),
                });
            }
        }
        // Two CAs that vouch for one another and nobody else: whoever lists them means both.
        if bundle.anchors.is_empty() {
            bundle.anchors = std::mem::take(&mut bundle.intermediates);
        }
        bundle
    }

    /// How operators know it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether this is one of the anchors, byte for byte.
    pub(crate) fn has_anchor(&self, der: &CertificateDer<'_>) -> bool {
        self.anchors.iter().any(|anchor| anchor.der == *der)
    }

    /// When each certificate ends, for the expiry metric: anchors first, what was added last comes last.
    pub fn expiries(&self) -> Vec<Expiry> {
        let expiry = |authority: &Authority| {
            let certificate = Certificate::parse(&authority.der).ok()?;
            Some(Expiry {
                subject: name::display(&certificate.subject),
                not_after: certificate.not_after,
            })
        };
        self.crl_signers().filter_map(expiry).collect()
    }

    /// Where its CAs say that the lists of their own issuers are published.
    pub fn distribution_points(&self) -> Vec<String> {
        let points = |authority: &Authority| {
            let certificate = Certificate::parse(&authority.der).ok()?;
            points::uris(certificate.extensions.crl_distribution_points?).ok()
        };
        self.authorities().filter_map(points).flatten().collect()
    }

    /// The subjects of the anchors as DER, which TLS offers to clients as a hint.
    pub(crate) fn anchor_subjects(&self) -> Vec<Vec<u8>> {
        let subject = |authority: &Authority| {
            Certificate::parse(&authority.der)
                .ok()
                .map(|parsed| parsed.subject.as_raw().to_vec())
        };
        let mut subjects: Vec<Vec<u8>> = self.anchors.iter().filter_map(subject).collect();
        subjects.sort_unstable();
        subjects.dedup();
        subjects
    }

    /// Who the anchors are, for saying which of them are one authority.
    pub fn anchor_names(&self) -> Vec<AnchorName> {
        let name = |authority: &Authority| {
            let certificate = Certificate::parse(&authority.der).ok()?;
            Some(AnchorName {
                subject: name::display(&certificate.subject),
                key: sha256(certificate.key.raw),
            })
        };
        self.anchors.iter().filter_map(name).collect()
    }

    pub(crate) fn anchors(&self) -> &[Authority] {
        &self.anchors
    }

    pub(crate) fn intermediates(&self) -> &[Authority] {
        &self.intermediates
    }

    /// Whoever may have signed a list.
    pub(crate) fn crl_signers(&self) -> impl Iterator<Item = &Authority> {
        self.authorities().chain(&self.list_signers)
    }

    /// Anchors and intermediates.
    pub(crate) fn authorities(&self) -> impl Iterator<Item = &Authority> {
        self.anchors.iter().chain(&self.intermediates)
    }
}

pub(crate) fn read_pem(
    bundle: &str,
    pem: &[u8],
) -> Result<Vec<CertificateDer<'static>>, Vec<TrustError>> {
    let bundle = || bundle.to_owned();
    if pem.len() > BUNDLE_BYTES_MAX {
        return Err(vec![TrustError::TooLarge { bundle: bundle() }]);
    }
    let mut certificates = Vec::new();
    if pem::is_cut(pem) {
        return Err(vec![TrustError::Pem {
            bundle: bundle(),
            why: pem::CUT,
        }]);
    }
    for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(pem) {
        let (kind, der) = section.map_err(|why| {
            vec![TrustError::Pem {
                bundle: bundle(),
                why: pem::problem(&why),
            }]
        })?;
        if kind != SectionKind::Certificate {
            return Err(vec![TrustError::Foreign {
                bundle: bundle(),
                what: section_name(kind),
            }]);
        }
        certificates.push(CertificateDer::from(der));
    }
    match certificates.len() {
        0 => Err(vec![TrustError::Empty { bundle: bundle() }]),
        1..=BUNDLE_CERTIFICATES_MAX => Ok(certificates),
        _ => Err(vec![TrustError::TooLarge { bundle: bundle() }]),
    }
}

fn section_name(kind: SectionKind) -> &'static str {
    match kind {
        SectionKind::PrivateKey | SectionKind::RsaPrivateKey | SectionKind::EcPrivateKey => {
            "private key"
        }
        SectionKind::Crl => "revocation list",
        SectionKind::PublicKey => "bare public key",
        SectionKind::Csr => "certificate request",
        SectionKind::Certificate | SectionKind::EchConfigList | _ => "PEM block of another kind",
    }
}

pub(crate) fn certificate_error(
    bundle: &str,
    index: usize,
    subject: String,
    problem: AnchorProblem,
) -> TrustError {
    TrustError::Certificate {
        bundle: bundle.to_owned(),
        number: index + 1,
        subject,
        problem,
    }
}

pub(crate) fn check_anchor(certificate: &Certificate<'_>, now: i64) -> Result<(), AnchorProblem> {
    if !certificate.is_ca() {
        return Err(AnchorProblem::NotAnAuthority);
    }
    // As `path.rs` asks of an intermediate, so that a handshake is not the first to say so.
    let says_nothing = certificate.extensions.key_usage.is_none();
    if !certificate.may(KeyUsage::key_cert_sign) || (says_nothing && !certificate.is_self_issued())
    {
        return Err(AnchorProblem::MayNotSign);
    }
    if certificate.extensions.unknown_critical {
        return Err(AnchorProblem::CriticalExtension);
    }
    match signature::strength(&certificate.key) {
        KeyStrength::Sufficient => {}
        KeyStrength::Weak => return Err(AnchorProblem::WeakKey),
        KeyStrength::Unsupported => return Err(AnchorProblem::UnsupportedKey),
    }
    if now < certificate.not_before {
        return Err(AnchorProblem::NotYetValid {
            not_before: certificate.not_before,
        });
    }
    if now > certificate.not_after {
        return Err(AnchorProblem::Expired {
            not_after: certificate.not_after,
        });
    }
    check_self_signature(certificate)
}

// Trust in a root does not come from its own signature, so a root that signed itself with SHA-1 long ago is no worse for it.
// But a signature that we can verify and that is wrong says that the bytes are not what the CA wrote.
fn check_self_signature(certificate: &Certificate<'_>) -> Result<(), AnchorProblem> {
    let same_key = match (
        certificate.extensions.authority_key_id,
        certificate.extensions.subject_key_id,
    ) {
        (Some(issuer_key), Some(own_key)) => issuer_key == own_key,
        _ => true,
    };
    if !certificate.is_self_issued() || !same_key {
        return Ok(());
    }
    match verify_signed(certificate, certificate) {
        Err(SignatureProblem::Mismatch) => Err(AnchorProblem::BadSignature),
        Ok(()) | Err(SignatureProblem::Algorithm) => Ok(()),
    }
}

pub(crate) fn signed(certificate: &Certificate<'_>, issuer: &Certificate<'_>) -> bool {
    verify_signed(certificate, issuer).is_ok()
}

fn verify_signed(
    certificate: &Certificate<'_>,
    issuer: &Certificate<'_>,
) -> Result<(), SignatureProblem> {
    signature::verify(
        &issuer.key,
        certificate.signature_algorithm,
        certificate.tbs,
        certificate.signature,
    )
}

/// Bytes of one bundle's PEM. A national root programme fits in 1 MiB.
const BUNDLE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Certificates of one bundle.
pub(crate) const BUNDLE_CERTIFICATES_MAX: usize = 1024;
