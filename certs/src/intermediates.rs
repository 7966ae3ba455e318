//! Certificates that are known beside the anchors, without being anchors: intermediates that complete a chain and whose revocation lists can
//! be verified before any client of theirs has come, and certificates that sign lists only.

use rustls_pki_types::CertificateDer;
use x509_parser::extensions::KeyUsage;

use crate::certificate::Certificate;
use crate::identity::NameHash;
use crate::name;
use crate::trust::{
    AnchorProblem, Authority, BUNDLE_CERTIFICATES_MAX, TrustBundle, TrustError, certificate_error,
    check_anchor, read_pem, signed,
};

impl TrustBundle {
    /// The bundle with the intermediates of a PEM file. Each must be a CA of the present, or sign lists, and be signed by the bundle, directly
    /// or through others of the file. None becomes an anchor: trust in it ends with its issuer's.
    ///
    /// # Errors
    /// Everything that is wrong with the file, which operators know as `name`.
    pub fn with_intermediates_from_pem(
        self,
        name: &str,
        pem: &[u8],
        now: i64,
    ) -> Result<TrustBundle, Vec<TrustError>> {
        let certificates = read_pem(name, pem)?;
        let bundle = self.with_intermediates(&certificates);
        let mut problems = Vec::new();
        for (index, der) in certificates.iter().enumerate() {
            let error = |subject, problem| certificate_error(name, index, subject, problem);
            match Certificate::parse(der) {
                Ok(certificate) => {
                    let problem = check_intermediate(&certificate, now).and_then(|()| {
                        let is_known = bundle.crl_signers().any(|known| known.der == *der);
                        is_known.then_some(()).ok_or(AnchorProblem::NotVouchedFor)
                    });
                    let subject = || name::display(&certificate.subject);
                    problems.extend(problem.err().map(|problem| error(subject(), problem)));
                }
                Err(why) => problems.push(error("?".to_owned(), AnchorProblem::Malformed(why))),
            }
        }
        if problems.is_empty() {
            Ok(bundle)
        } else {
            Err(problems)
        }
    }

    /// The bundle with more intermediates, such as those given beside a certificate that is to be judged offline. Taken are
    /// certificates for signing certificates or lists that a CA of the bundle has signed, directly or through others of them;
    /// whatever else there is is left out.
    pub fn with_intermediates(mut self, certificates: &[CertificateDer<'_>]) -> TrustBundle {
        let mut waiting: Vec<&CertificateDer<'_>> =
            certificates.iter().take(BUNDLE_CERTIFICATES_MAX).collect();
        loop {
            let (taken, left): (Vec<&CertificateDer<'_>>, Vec<_>) =
                waiting.into_iter().partition(|der| self.vouches_for(der));
            if taken.is_empty() {
                return self;
            }
            for der in taken {
                self.take(der);
            }
            waiting = left;
        }
    }

    fn take(&mut self, der: &CertificateDer<'_>) {
        let Ok(parsed) = Certificate::parse(der) else {
            return;
        };
        let known = Authority {
            der: CertificateDer::from(der.to_vec()),
            subject: NameHash::of(&parsed.subject),
        };
        if self.crl_signers().any(|other| other.der == known.der) {
            return;
        }
        if parsed.is_ca() && parsed.may(KeyUsage::key_cert_sign) {
            self.intermediates.push(known);
        } else if signs_lists(&parsed) {
            self.list_signers.push(known);
        }
    }

    /// Whether one of the bundle's CAs has signed a certificate.
    fn vouches_for(&self, der: &CertificateDer<'_>) -> bool {
        let Ok(certificate) = Certificate::parse(der) else {
            return false;
        };
        let issuer = NameHash::of(&certificate.issuer);
        self.authorities()
            .filter(|authority| authority.subject == issuer)
            .filter_map(|authority| Certificate::parse(&authority.der).ok())
            .any(|authority| signed(&certificate, &authority))
    }
}

/// A certificate that signs lists only is no CA, and what else is asked of one holds for it all the same.
fn check_intermediate(certificate: &Certificate<'_>, now: i64) -> Result<(), AnchorProblem> {
    match check_anchor(certificate, now) {
        Err(AnchorProblem::NotAnAuthority | AnchorProblem::MayNotSign)
            if signs_lists(certificate) =>
        {
            check_dates(certificate, now)
        }
        other => other,
    }
}

fn check_dates(certificate: &Certificate<'_>, now: i64) -> Result<(), AnchorProblem> {
    let (not_before, not_after) = (certificate.not_before, certificate.not_after);
    if now < not_before {
        Err(AnchorProblem::NotYetValid { not_before })
    } else if now > not_after {
        Err(AnchorProblem::Expired { not_after })
    } else {
        Ok(())
    }
}

fn signs_lists(certificate: &Certificate<'_>) -> bool {
    let granted = certificate.extensions.key_usage;
    granted.is_some_and(|granted| granted.crl_sign())
}
