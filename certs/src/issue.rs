//! What the small certificate authority is asked for, and what it gives.

use std::fmt;

use crate::der::Malformed;
use crate::serial::Serial;
use crate::spiffe::{SpiffeError, SpiffeId};

/// Seconds since 1970-01-01 UTC.
pub type UnixSeconds = i64;

/// From when until when a certificate is valid, both inclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// Unix seconds.
    pub not_before: UnixSeconds,
    /// Unix seconds.
    pub not_after: UnixSeconds,
}

impl Validity {
    /// So many days from a moment on.
    pub fn days(from: UnixSeconds, days: u32) -> Validity {
        Validity {
            not_before: from,
            not_after: from.saturating_add(i64::from(days) * 86_400),
        }
    }
}

/// A certificate with its key.
#[derive(Clone)]
pub struct Issued {
    /// PEM: the leaf, then the intermediates, without the root.
    pub certificate_pem: String,
    /// PEM (PKCS #8), unencrypted: keep the file's mode at 0600.
    pub key_pem: String,
    /// What to remember for revoking it.
    pub serial: Serial,
}

/// What a client certificate shall say.
#[derive(Clone, Debug, Default)]
pub struct ClientRequest {
    /// subject CN.
    pub common_name: Option<String>,
    /// subject O.
    pub organisation: Option<String>,
    /// subject OU.
    pub organisational_unit: Option<String>,
    /// subject organizationIdentifier, such as `NTRCN-` and a unified social credit code.
    pub organisation_identifier: Option<String>,
    /// subject serialNumber: a device's number, not the certificate's.
    pub device_number: Option<String>,
    /// subject C, two letters.
    pub country: Option<String>,
    /// URI alternative names; a SPIFFE id must be the only one.
    pub uris: Vec<String>,
    /// DNS alternative names.
    pub dns: Vec<String>,
    /// E-mail alternative names.
    pub emails: Vec<String>,
    /// Where lists of its issuer are published.
    pub crl_urls: Vec<String>,
    /// `None` for a random one.
    pub serial: Option<Serial>,
    /// From when until when; the default is the empty span at 1970.
    pub validity: Option<Validity>,
}

impl ClientRequest {
    /// A request for a common name.
    pub fn named(common_name: &str, validity: Validity) -> ClientRequest {
        ClientRequest {
            common_name: Some(common_name.to_owned()),
            validity: Some(validity),
            ..ClientRequest::default()
        }
    }

    /// A request for a SPIFFE workload.
    pub fn spiffe(id: &SpiffeId, validity: Validity) -> ClientRequest {
        ClientRequest {
            uris: vec![id.to_string()],
            validity: Some(validity),
            ..ClientRequest::default()
        }
    }
}

/// A certificate that its authority takes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Revoked {
    /// Whose.
    pub serial: Serial,
    /// Unix seconds.
    pub at: UnixSeconds,
    /// Why.
    pub reason: Reason,
}

/// Why a certificate is taken back (RFC 5280 section 5.3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Nobody says.
    Unspecified,
    /// The key is, or may be, in other hands.
    KeyCompromise,
    /// The holder has moved to another organisation or office.
    AffiliationChanged,
    /// Another certificate replaces it.
    Superseded,
    /// The device or service is out of use.
    CessationOfOperation,
    /// Suspended for now.
    CertificateHold,
    /// The holder lost a right that the certificate states.
    PrivilegeWithdrawn,
}

/// Why the authority does not do something.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// A name cannot be written into a certificate.
    #[error("the name `{name}` cannot be used: {why}")]
    Name {
        /// As given.
        name: String,
        /// What is wrong with it.
        why: Malformed,
    },
    /// A SPIFFE id is invalid.
    #[error("the SPIFFE id `{id}` cannot be used: {why}")]
    Spiffe {
        /// As given.
        id: String,
        /// What is wrong with it.
        why: SpiffeError,
    },
    /// Nothing says who the certificate is for.
    #[error("the certificate would name nobody; give a common name or an alternative name")]
    Nobody,
    /// Dates that are not in order or not in the calendar.
    #[error(
        "the validity ends before it begins, or lies outside the years 1950 to 9999; give a later end"
    )]
    Validity,
    /// An intermediate asked to issue an intermediate.
    #[error(
        "an intermediate issues certificates for servers and clients only; use the root to make another intermediate"
    )]
    NotARoot,
    /// The CA files cannot be used.
    #[error("the CA cannot be loaded: {0}")]
    Load(&'static str),
    /// The generator refuses.
    #[error("the certificate cannot be made")]
    Generate(#[from] rcgen::Error),
    /// The system has no randomness.
    #[error("the system gives no random numbers")]
    Random,
}

impl fmt::Debug for Issued {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Issued")
            .field("serial", &self.serial)
            .finish_non_exhaustive()
    }
}
