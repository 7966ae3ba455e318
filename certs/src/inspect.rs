//! What a certificate or a revocation list says, for an operator who wonders why the gateway refuses it.
//!
//! Nothing here is verified against a CA; it shows what is written, and what of it the gateway would not accept.

use std::fmt;

use x509_parser::extensions::GeneralName;

use crate::certificate::Certificate;
use crate::coverage::Kinds;
use crate::crl::{CrlNumber, RevocationList};
use crate::crl_error::CrlProblem;
use crate::der::{self, Malformed, Reader};
use crate::identity::{Identity, IdentityError, sha256};
use crate::name;
use crate::path::{Purpose, check_any, check_intermediate, check_issuer, check_leaf_usage};
use crate::serial::Serial;
use crate::signature::{self, KeyKind};

/// What a certificate says.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CertificateSummary {
    /// In RFC 4514 form.
    pub subject: String,
    /// In RFC 4514 form.
    pub issuer: String,
    /// The serial number.
    pub serial: Serial,
    /// Unix seconds, inclusive.
    pub not_before: i64,
    /// Unix seconds, inclusive.
    pub not_after: i64,
    /// Whether it is a CA's.
    pub is_authority: bool,
    /// CAs that may be below it; `None` for any number.
    pub path_length: Option<u32>,
    /// Such as `P-256` or `RSA 2048`.
    pub key: String,
    /// Such as `ECDSA with SHA-256`, or the OID.
    pub signature: String,
    /// Such as `digitalSignature`.
    pub key_usages: Vec<&'static str>,
    /// Such as `clientAuth`, or the OID.
    pub extended_key_usages: Vec<String>,
    /// Such as `URI:spiffe://gov.example/tax`.
    pub alternative_names: Vec<String>,
    /// SHA-256 of the whole, lower-case hexadecimal.
    pub fingerprint: String,
    /// SHA-256 of the SubjectPublicKeyInfo, lower-case hexadecimal.
    pub key_fingerprint: String,
    /// Who the gateway would take its holder for.
    pub identity: Result<Identity, IdentityError>,
    /// Why the gateway would not accept it at that time and for that purpose; its issuer, signature and revocation left aside.
    pub problems: Vec<String>,
}

impl CertificateSummary {
    /// Reads a certificate (DER) that is to serve a purpose at `now` (Unix seconds).
    ///
    /// # Errors
    /// When it is no clean X.509 version 3 certificate, so that nothing of it can be relied on.
    pub fn of(der: &[u8], purpose: Purpose, now: i64) -> Result<CertificateSummary, Malformed> {
        let certificate = Certificate::parse(der)?;
        let constraints = certificate.extensions.basic_constraints.as_ref();
        let identity = Identity::from_chain(&[der.into()]);
        let problems = problems(&certificate, identity.as_ref().err(), purpose, now);
        Ok(CertificateSummary {
            subject: name::display(&certificate.subject),
            issuer: name::display(&certificate.issuer),
            serial: certificate.serial,
            not_before: certificate.not_before,
            not_after: certificate.not_after,
            is_authority: certificate.is_ca(),
            path_length: constraints.and_then(|constraints| constraints.path_len_constraint),
            key: key_text(signature::kind(&certificate.key)),
            signature: signature_text(certificate.signature_algorithm),
            key_usages: key_usages(
                certificate
                    .extensions
                    .key_usage
                    .map_or(0, |usage| usage.flags),
            ),
            extended_key_usages: extended_key_usages(&certificate),
            alternative_names: alternative_names(&certificate.extensions.subject_alt_names),
            fingerprint: name::hex(&sha256(certificate.der)),
            key_fingerprint: name::hex(&sha256(certificate.key.raw)),
            identity,
            problems,
        })
    }
}

fn problems(
    certificate: &Certificate<'_>,
    identity: Option<&IdentityError>,
    purpose: Purpose,
    now: i64,
) -> Vec<String> {
    let mut problems = Vec::new();
    if certificate.is_ca() {
        let check = if certificate.is_self_issued() {
            check_issuer
        } else {
            check_intermediate
        };
        problems.extend(
            check(certificate, purpose)
                .err()
                .map(|reason| reason.to_string()),
        );
    } else {
        problems.extend(
            check_leaf_usage(certificate, purpose)
                .err()
                .map(str::to_owned),
        );
        problems.extend(identity.map(ToString::to_string));
    }
    problems.extend(
        check_any(certificate, now)
            .err()
            .map(|reason| reason.to_string()),
    );
    problems
}

fn key_text(kind: KeyKind) -> String {
    match kind {
        KeyKind::P256 => "P-256".to_owned(),
        KeyKind::P384 => "P-384".to_owned(),
        KeyKind::Ed25519 => "Ed25519".to_owned(),
        KeyKind::Rsa { bits } => format!("RSA {bits}"),
        KeyKind::Other => "of a kind that is not supported".to_owned(),
    }
}

fn signature_text(algorithm: &[u8]) -> String {
    let oid = Reader::new(algorithm).expect(der::OID).unwrap_or_default();
    let known = SIGNATURES.iter().find(|(known, _)| *known == oid);
    known.map_or_else(|| name::dotted(oid), |(_, text)| (*text).to_owned())
}

fn key_usages(granted: u16) -> Vec<&'static str> {
    KEY_USAGES
        .iter()
        .enumerate()
        .filter(|(bit, _)| granted & (1 << bit) != 0)
        .map(|(_, usage)| *usage)
        .collect()
}

/// What a certificate says that its key is for; empty when it says nothing.
pub(crate) fn extended_key_usages(certificate: &Certificate<'_>) -> Vec<String> {
    let Some(granted) = &certificate.extensions.extended_key_usage else {
        return Vec::new();
    };
    let known = [
        (granted.client_auth, "clientAuth"),
        (granted.server_auth, "serverAuth"),
        (granted.code_signing, "codeSigning"),
        (granted.email_protection, "emailProtection"),
        (granted.time_stamping, "timeStamping"),
        (granted.ocsp_signing, "OCSPSigning"),
        (granted.any, "any"),
    ];
    let known = known
        .into_iter()
        .filter(|(is_granted, _)| *is_granted)
        .map(|(_, usage)| usage.to_owned());
    let others = granted.other.iter().map(|oid| name::dotted(oid.as_bytes()));
    known.chain(others).collect()
}

fn alternative_names(names: &[GeneralName<'_>]) -> Vec<String> {
    names.iter().map(alternative_name).collect()
}

fn alternative_name(name: &GeneralName<'_>) -> String {
    match name {
        GeneralName::URI(uri) => format!("URI:{}", visible(uri)),
        GeneralName::DNSName(dns) => format!("DNS:{}", visible(dns)),
        GeneralName::RFC822Name(email) => format!("email:{}", visible(email)),
        GeneralName::IPAddress(address) => format!("IP:{}", crate::names::ip_text(address)),
        GeneralName::DirectoryName(directory) => format!("directory:{}", name::display(directory)),
        GeneralName::OtherName(oid, _) => format!("other:{}", name::dotted(oid.as_bytes())),
        GeneralName::X400Address(_)
        | GeneralName::EDIPartyName(_)
        | GeneralName::RegisteredID(_)
        | GeneralName::Invalid(_, _) => "of another kind".to_owned(),
    }
}

/// Text that should be ASCII, with everything else escaped.
fn visible(text: &str) -> String {
    text.as_bytes().escape_ascii().to_string()
}

impl fmt::Display for CertificateSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |values: &[String]| {
            if values.is_empty() {
                "none".to_owned()
            } else {
                values.join(", ")
            }
        };
        let usages: Vec<String> = self
            .key_usages
            .iter()
            .map(|usage| (*usage).to_owned())
            .collect();
        writeln!(f, "subject:      {}", self.subject)?;
        writeln!(f, "issuer:       {}", self.issuer)?;
        writeln!(f, "serial:       {}", self.serial)?;
        writeln!(
            f,
            "valid:        {} to {}",
            crate::moment(self.not_before),
            crate::moment(self.not_after)
        )?;
        match (self.is_authority, self.path_length) {
            (false, _) => writeln!(f, "authority:    no")?,
            (true, None) => writeln!(f, "authority:    yes")?,
            (true, Some(length)) => {
                writeln!(f, "authority:    yes, with at most {length} more below it")?
            }
        }
        writeln!(
            f,
            "key:          {}, sha256 {}",
            self.key, self.key_fingerprint
        )?;
        writeln!(f, "signature:    {}", self.signature)?;
        writeln!(
            f,
            "usages:       {}; {}",
            list(&usages),
            list(&self.extended_key_usages)
        )?;
        writeln!(f, "names:        {}", list(&self.alternative_names))?;
        writeln!(f, "fingerprint:  {}", self.fingerprint)?;
        write!(f, "problems:     {}", list(&self.problems))
    }
}

/// What a revocation list says.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ListSummary {
    /// In RFC 4514 form.
    pub issuer: String,
    /// The list's number; 0 when it has none.
    pub number: CrlNumber,
    /// Unix seconds.
    pub this_update: i64,
    /// Unix seconds.
    pub next_update: Option<i64>,
    /// Revoked certificates.
    pub entries: usize,
    /// Which certificates of its issuer it speaks about.
    pub covers: &'static str,
    /// Such as `ECDSA with SHA-256`, or the OID.
    pub signature: String,
}

impl ListSummary {
    /// Reads a list (DER), every entry too.
    ///
    /// # Errors
    /// When it is malformed or of a kind that is not supported.
    pub fn of(der: &[u8]) -> Result<ListSummary, CrlProblem> {
        let list = RevocationList::parse(der).map_err(CrlProblem::of)?;
        let mut entries = 0;
        list.for_each(|_serial, _revoked_at, _reason| entries += 1)
            .map_err(CrlProblem::of)?;
        let covers = match (list.scope.kinds, list.scope.points.is_empty()) {
            (Kinds::All, true) => "all certificates",
            (Kinds::LeavesOnly, true) => "end entities",
            (Kinds::AuthoritiesOnly, true) => "CAs",
            (Kinds::All, false) => "certificates of one distribution point",
            (Kinds::LeavesOnly, false) => "end entities of one distribution point",
            (Kinds::AuthoritiesOnly, false) => "CAs of one distribution point",
        };
        Ok(ListSummary {
            issuer: name::display(&list.issuer),
            number: list.number,
            this_update: list.this_update,
            next_update: list.next_update,
            entries,
            covers,
            signature: signature_text(list.signature_algorithm),
        })
    }
}

impl fmt::Display for ListSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let until = self
            .next_update
            .map_or_else(|| "no end".to_owned(), crate::moment);
        writeln!(f, "issuer:       {}", self.issuer)?;
        writeln!(f, "number:       {}", self.number)?;
        writeln!(
            f,
            "valid:        {} to {until}",
            crate::moment(self.this_update)
        )?;
        writeln!(f, "entries:      {}", self.entries)?;
        writeln!(f, "covers:       {}", self.covers)?;
        write!(f, "signature:    {}", self.signature)
    }
}

/// By bit, the first the least significant (RFC 5280 section 4.2.1.3).
const KEY_USAGES: [&str; 9] = [
    "digitalSignature",
    "nonRepudiation",
    "keyEncipherment",
    "dataEncipherment",
    "keyAgreement",
    "keyCertSign",
    "cRLSign",
    "encipherOnly",
    "decipherOnly",
];

const SIGNATURES: [(&[u8], &str); 11] = [
    (
        &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2],
        "ECDSA with SHA-256",
    ),
    (
        &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 3],
        "ECDSA with SHA-384",
    ),
    (
        &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 4],
        "ECDSA with SHA-512",
    ),
    (
        &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 1],
        "ECDSA with SHA-1, which is not accepted",
    ),
    (
        &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 5],
        "RSA with SHA-1, which is not accepted",
    ),
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 10], "RSA-PSS"),
    (
        &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 11],
        "RSA with SHA-256",
    ),
    (
        &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 12],
        "RSA with SHA-384",
    ),
    (
        &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 13],
        "RSA with SHA-512",
    ),
    (&[0x2b, 0x65, 0x70], "Ed25519"),
    (
        &[0x2a, 0x81, 0x1c, 0xcf, 0x55, 1, 0x83, 0x75],
        "SM2 with SM3, which is not accepted",
    ),
];
