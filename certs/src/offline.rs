//! Judging a certificate offline, out of files: the same code that the handshake runs, for `hangu certs verify`.
//!
//! Here every defect is an answer, with the certificate that it concerns: an anchor that has expired or is no CA, a list that is past or of a
//! kind that is not supported. Only files that hold nothing at all are unusable.

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::{Error as PemError, PemObject};

use crate::certificate::Certificate;
use crate::chain_error::ChainError;
use crate::crl_error::CrlError;
use crate::crl_load;
use crate::der;
use crate::identity::NameHash;
use crate::path::{PRESENTED_MAX, Purpose, VerifiedChain, verify_chain};
use crate::pem;
use crate::revocation::{RevocationIndex, Uncovered};
use crate::trust::TrustBundle;

/// What is to be judged, and by what. Files are a name and their bytes, PEM or DER.
#[derive(Clone, Copy, Debug)]
pub struct OfflineCheck<'a> {
    /// The anchors.
    pub trust: (&'a str, &'a [u8]),
    /// The certificate, the first of its file; those after it count as intermediates.
    pub certificate: (&'a str, &'a [u8]),
    /// Intermediates, and certificates that sign lists only.
    pub intermediates: &'a [(&'a str, &'a [u8])],
    /// Revocation lists. Once there is one, every issuer of the path must be covered.
    pub lists: &'a [(&'a str, &'a [u8])],
    /// What happens when there is no list at all.
    pub without_lists: Uncovered,
    /// What the certificate is to be used for.
    pub purpose: Purpose,
    /// Unix seconds at which it is judged.
    pub at: i64,
}

/// What came out.
#[derive(Clone, Debug)]
pub struct OfflineVerdict {
    /// The verified chain, or one reason.
    pub chain: Result<VerifiedChain, ChainError>,
    /// Lists that did not count, each with the reason.
    pub ignored_lists: Vec<CrlError>,
}

/// A file that holds nothing usable.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OfflineError {
    /// No certificate in it.
    #[error(
        "`{file}` holds no certificate; expected DER, or PEM blocks starting `-----BEGIN CERTIFICATE-----`"
    )]
    NoCertificate {
        /// The file.
        file: String,
    },
    /// Broken PEM.
    #[error("`{file}` is not readable as PEM ({why}); export it again")]
    Pem {
        /// The file.
        file: String,
        /// What is wrong.
        why: &'static str,
    },
    /// No list in it.
    #[error(transparent)]
    List(#[from] CrlError),
}

impl OfflineCheck<'_> {
    /// Judges. The same files at the same moment always give the same verdict.
    ///
    /// # Errors
    /// The first file that holds nothing usable.
    pub fn run(&self) -> Result<OfflineVerdict, OfflineError> {
        let anchors = certificates(self.trust)?;
        let own = certificates(self.certificate)?;
        let Some((leaf, rest)) = own.split_first() else {
            return Err(OfflineError::NoCertificate {
                file: self.certificate.0.to_owned(),
            });
        };
        let mut intermediates = rest.to_vec();
        for file in self.intermediates {
            intermediates.extend(certificates(*file)?);
        }
        let mut lists = Vec::new();
        for (file, bytes) in self.lists {
            let found = crl_load::split(bytes).map_err(|problem| CrlError {
                file: (*file).to_owned(),
                problem,
            });
            lists.extend(
                found?
                    .into_iter()
                    .map(|list| ((*file).to_owned(), list.to_vec())),
            );
        }
        // What is given beside the certificate is known, not presented by a stranger: it may be as much as there is.
        let trust = TrustBundle::offline(self.trust.0, &anchors).with_intermediates(&intermediates);
        let index = match lists.as_slice() {
            [] => RevocationIndex::empty(self.without_lists),
            lists => RevocationIndex::load_offline(lists, &trust, self.at),
        };
        let presented = related(leaf, &intermediates);
        let chain = verify_chain(&trust, &index, leaf, &presented, self.purpose, self.at);
        Ok(OfflineVerdict {
            chain,
            ignored_lists: index.ignored().to_vec(),
        })
    }
}

fn certificates(
    (file, bytes): (&str, &[u8]),
) -> Result<Vec<CertificateDer<'static>>, OfflineError> {
    let file = || file.to_owned();
    if bytes.first() == Some(&der::SEQUENCE) {
        return Ok(vec![CertificateDer::from(bytes.to_vec())]);
    }
    let found: Result<Vec<CertificateDer<'static>>, PemError> =
        CertificateDer::pem_slice_iter(bytes).collect();
    match found {
        Ok(found) if found.is_empty() => Err(OfflineError::NoCertificate { file: file() }),
        Ok(found) => Ok(found),
        Err(why) => Err(OfflineError::Pem {
            file: file(),
            why: pem::problem(&why),
        }),
    }
}

/// The certificates that may be above a leaf by their names, and those that cannot be read: handed over as presented too, so that one
/// that no anchor vouches for can be blamed.
fn related(
    leaf: &CertificateDer<'_>,
    others: &[CertificateDer<'static>],
) -> Vec<CertificateDer<'static>> {
    let parsed = |der: &CertificateDer<'_>| {
        Certificate::parse(der)
            .ok()
            .map(|parsed| (NameHash::of(&parsed.subject), NameHash::of(&parsed.issuer)))
    };
    let mut wanted: Vec<NameHash> = parsed(leaf)
        .into_iter()
        .map(|(_subject, issuer)| issuer)
        .collect();
    let mut rest: Vec<&CertificateDer<'static>> = others.iter().collect();
    let mut found = Vec::new();
    loop {
        let before = found.len();
        rest.retain(|der| match parsed(der) {
            Some((subject, issuer)) if wanted.contains(&subject) => {
                wanted.push(issuer);
                found.push((*der).clone());
                false
            }
            Some(_) => true,
            None => {
                found.push((*der).clone());
                false
            }
        });
        if found.len() == before {
            found.truncate(PRESENTED_MAX - 1);
            return found;
        }
    }
}
