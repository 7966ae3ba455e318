//! The gateway's own certificates: loaded, matched with their key and with the hosts that they are for.

use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{PemObject, SectionKind};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::sign::CertifiedKey;

use crate::certificate::Certificate;
use crate::der::Malformed;
use crate::name;
use crate::pem;
use crate::trust::Expiry;

/// A certificate chain with its key, ready for rustls.
#[derive(Clone, Debug)]
pub struct ServerCertificate {
    /// For a rustls resolver.
    pub key: Arc<CertifiedKey>,
    /// Unix seconds from which the whole chain is valid (inclusive).
    pub not_before: i64,
    /// Unix seconds until which the whole chain is valid (inclusive): the earliest end.
    pub not_after: i64,
    /// The end of every certificate of the chain, the leaf first, for the expiry metric.
    pub expiries: Vec<Expiry>,
}

/// Why a server certificate cannot be used: which, what, how to mend it.
#[derive(Debug, thiserror::Error)]
#[error("certificate `{name}`: {problem}")]
pub struct ServerCertificateError {
    /// How operators know it: its file.
    pub name: String,
    /// What is wrong.
    pub problem: ServerCertificateProblem,
}

/// What can be wrong with a server certificate.
#[derive(Debug, thiserror::Error)]
pub enum ServerCertificateProblem {
    /// No certificate in the file.
    #[error(
        "the file holds no certificate; expected PEM blocks starting `-----BEGIN CERTIFICATE-----`, the server's own first"
    )]
    NoCertificate,
    /// No key in the file.
    #[error(
        "the key file holds no private key; expected a PEM block starting `-----BEGIN PRIVATE KEY-----`"
    )]
    NoKey,
    /// Several keys in the file.
    #[error(
        "the key file holds more than one private key; keep the one that belongs to the certificate"
    )]
    SeveralKeys,
    /// A key under a passphrase.
    #[error(
        "the private key is encrypted; decrypt it with `openssl pkey -in KEY -out KEY.plain` and set its mode to 0600"
    )]
    EncryptedKey,
    /// Broken PEM in the key file.
    #[error("the private key is not readable as PEM ({0}); export it again")]
    KeyPem(&'static str),
    /// Broken PEM.
    #[error("not readable as PEM ({0}); export it again")]
    Pem(&'static str),
    /// A certificate of the chain is malformed.
    #[error("certificate {number} of the chain is malformed: {why}")]
    Malformed {
        /// Counted from 1.
        number: usize,
        /// What is wrong.
        why: Malformed,
    },
    /// The chain is out of order.
    #[error(
        "certificate {number} of the chain is not the issuer of the one before it; put the server's own first, then each issuer"
    )]
    Order {
        /// Counted from 1.
        number: usize,
    },
    /// rustls cannot use the key.
    #[error(
        "the private key cannot be used; it must be RSA of 2048 bits or more, P-256, P-384 or Ed25519"
    )]
    Key(#[source] rustls::Error),
    /// The key is another's.
    #[error(
        "the private key is not the certificate's; give the key that the certificate was requested with"
    )]
    KeyMismatch,
    /// It does not name a configured host.
    #[error("it is not for `{host}` (it is for {}); get one whose alternative names include it", .names.join(", "))]
    WrongHost {
        /// As configured.
        host: String,
        /// What it is for.
        names: Vec<String>,
    },
    /// A CA's certificate, or one for clients only.
    #[error("it may not be used for a server: {0}; request one for serverAuth that is no CA's")]
    BadUsage(&'static str),
    /// Out of date.
    #[error("`{subject}` expired at {}; install the renewed one", crate::moment(*.not_after))]
    Expired {
        /// Whose.
        subject: String,
        /// Unix seconds.
        not_after: i64,
    },
    /// Not yet valid.
    #[error("`{subject}` is not valid before {}; check the clock", crate::moment(*.not_before))]
    NotYetValid {
        /// Whose.
        subject: String,
        /// Unix seconds.
        not_before: i64,
    },
}

impl ServerCertificateProblem {
    /// Whether it is the key's file that is wrong, and not the chain's.
    pub fn is_of_the_key(&self) -> bool {
        matches!(
            self,
            Self::NoKey | Self::SeveralKeys | Self::EncryptedKey | Self::KeyPem(_) | Self::Key(_)
        )
    }
}

impl ServerCertificate {
    /// Reads a chain (PEM, the server's own certificate first) and its key (PEM: PKCS #8, SEC 1 or PKCS #1, unencrypted), and
    /// checks that they belong together, are current at `now`, and are for every one of `hosts` (names or IP addresses).
    ///
    /// # Errors
    /// The first thing that is wrong; `name` is how operators know the certificate.
    pub fn from_pem(
        name: &str,
        chain_pem: &[u8],
        key_pem: &[u8],
        hosts: &[&str],
        now: i64,
        provider: &CryptoProvider,
    ) -> Result<ServerCertificate, ServerCertificateError> {
        load(chain_pem, key_pem, hosts, now, provider).map_err(|problem| ServerCertificateError {
            name: name.to_owned(),
            problem,
        })
    }
}

fn load(
    chain_pem: &[u8],
    key_pem: &[u8],
    hosts: &[&str],
    now: i64,
    provider: &CryptoProvider,
) -> Result<ServerCertificate, ServerCertificateProblem> {
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(chain_pem)
        .collect::<Result<_, _>>()
        .map_err(|why| ServerCertificateProblem::Pem(pem::problem(&why)))?;
    if pem::is_cut(chain_pem) {
        return Err(ServerCertificateProblem::Pem(pem::CUT));
    }
    let parsed = parse_chain(&chain)?;
    let (Some(leaf), Some(leaf_der)) = (parsed.first(), chain.first()) else {
        return Err(ServerCertificateProblem::NoCertificate);
    };
    check_order(&parsed)?;
    check_dates(&parsed, now)?;
    crate::path::check_leaf_usage(leaf, crate::path::Purpose::Server)
        .map_err(ServerCertificateProblem::BadUsage)?;
    for host in hosts {
        check_host(leaf_der, host)?;
    }
    let expiry = |certificate: &Certificate<'_>| Expiry {
        subject: name::display(&certificate.subject),
        not_after: certificate.not_after,
    };
    let expiries = parsed.iter().map(expiry).collect();
    let not_before = parsed
        .iter()
        .map(|certificate| certificate.not_before)
        .max()
        .unwrap_or(i64::MAX);
    let not_after = parsed
        .iter()
        .map(|certificate| certificate.not_after)
        .min()
        .unwrap_or(i64::MIN);
    let private = provider
        .key_provider
        .load_private_key(read_key(key_pem)?)
        .map_err(ServerCertificateProblem::Key)?;
    let key = CertifiedKey::new(chain, private);
    // A key whose public half rustls cannot tell counts as a mismatch: all keys of our provider can.
    key.keys_match()
        .map_err(|_why| ServerCertificateProblem::KeyMismatch)?;
    Ok(ServerCertificate {
        key: Arc::new(key),
        not_before,
        not_after,
        expiries,
    })
}

fn parse_chain<'a>(
    chain: &'a [CertificateDer<'static>],
) -> Result<Vec<Certificate<'a>>, ServerCertificateProblem> {
    let parse = |(index, der): (usize, &'a CertificateDer<'static>)| {
        Certificate::parse(der).map_err(|why| ServerCertificateProblem::Malformed {
            number: index + 1,
            why,
        })
    };
    chain.iter().enumerate().map(parse).collect()
}

fn check_order(chain: &[Certificate<'_>]) -> Result<(), ServerCertificateProblem> {
    for (index, (below, above)) in chain.iter().zip(chain.iter().skip(1)).enumerate() {
        if !name::same(&below.issuer, &above.subject) {
            return Err(ServerCertificateProblem::Order { number: index + 2 });
        }
    }
    Ok(())
}

fn check_dates(chain: &[Certificate<'_>], now: i64) -> Result<(), ServerCertificateProblem> {
    for certificate in chain {
        let subject = || name::display(&certificate.subject);
        if now > certificate.not_after {
            return Err(ServerCertificateProblem::Expired {
                subject: subject(),
                not_after: certificate.not_after,
            });
        }
        if now < certificate.not_before {
            return Err(ServerCertificateProblem::NotYetValid {
                subject: subject(),
                not_before: certificate.not_before,
            });
        }
    }
    Ok(())
}

fn check_host(leaf: &CertificateDer<'_>, host: &str) -> Result<(), ServerCertificateProblem> {
    let wrong = |names| ServerCertificateProblem::WrongHost {
        host: host.to_owned(),
        names,
    };
    let certificate = webpki::EndEntityCert::try_from(leaf).map_err(|_why| wrong(Vec::new()))?;
    let names = || certificate.valid_dns_names().map(str::to_owned).collect();
    let server_name = ServerName::try_from(host).map_err(|_why| wrong(names()))?;
    certificate
        .verify_is_valid_for_subject_name(&server_name)
        .map_err(|_why| wrong(names()))
}

fn read_key(pem: &[u8]) -> Result<PrivateKeyDer<'static>, ServerCertificateProblem> {
    let is_encrypted = [&b"ENCRYPTED PRIVATE KEY"[..], b"Proc-Type: 4,ENCRYPTED"]
        .iter()
        .any(|mark| pem.windows(mark.len()).any(|window| window == *mark));
    if is_encrypted {
        return Err(ServerCertificateProblem::EncryptedKey);
    }
    let mut found = None;
    for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(pem) {
        let (kind, der) =
            section.map_err(|why| ServerCertificateProblem::KeyPem(pem::problem(&why)))?;
        let Some(key) = PrivateKeyDer::from_pem(kind, der) else {
            continue;
        };
        if found.replace(key).is_some() {
            return Err(ServerCertificateProblem::SeveralKeys);
        }
    }
    found.ok_or(ServerCertificateProblem::NoKey)
}
