//! A small certificate authority: for the quickstart, for tests and for small sites.
//!
//! ECDSA P-256 throughout, random serial numbers of 16 bytes, and for each kind of certificate exactly the extensions that the
//! gateway's own strict validation asks for. It keeps no state: which serials were issued or revoked is the caller's to remember.

use std::fmt;
use std::net::IpAddr;

use rcgen::string::Ia5String;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CrlDistributionPoint,
    DistinguishedName, DnType, DnValue, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod,
    KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, RevocationReason, RevokedCertParams, SanType,
    SerialNumber,
};
use ring::rand::{SecureRandom, SystemRandom};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use time::OffsetDateTime;
use x509_parser::extensions::KeyUsage;
use x509_parser::x509::X509Name;

use crate::certificate::Certificate;
use crate::der::{self, Malformed};
use crate::issue::{AuthorityError, ClientRequest, Issued, Reason, Revoked, UnixSeconds, Validity};
use crate::name;
use crate::pem;
use crate::serial::Serial;
use crate::spiffe::SpiffeId;

/// A certificate authority: its certificate, those above it, and its key.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    key_id: Vec<u8>,
    certificate_pem: String,
    /// PEM of the certificates between the root and what this authority issues; empty for a root.
    intermediates_pem: String,
    key_pem: String,
    depth: Depth,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Depth {
    /// It may issue intermediates.
    Root,
    /// It issues end entities only.
    Intermediate,
}

impl Authority {
    /// Makes a self-signed root. `name` becomes its common name.
    pub fn new_root(name: &str, validity: Validity) -> Result<Authority, AuthorityError> {
        let params = ca_params(name, validity, BasicConstraints::Unconstrained)?;
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let certificate_pem = params.self_signed(&key)?.pem();
        Ok(Authority::assemble(
            params,
            key,
            certificate_pem,
            String::new(),
            Depth::Root,
        ))
    }

    /// Makes an intermediate below this root; it issues end entities only (path length 0).
    pub fn new_intermediate(
        &self,
        name: &str,
        validity: Validity,
    ) -> Result<Authority, AuthorityError> {
        if self.depth != Depth::Root {
            return Err(AuthorityError::NotARoot);
        }
        let mut params = ca_params(name, validity, BasicConstraints::Constrained(0))?;
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let certificate_pem = params.signed_by(&key, &self.issuer)?.pem();
        let intermediates_pem = format!("{certificate_pem}{}", self.intermediates_pem);
        Ok(Authority::assemble(
            params,
            key,
            certificate_pem,
            intermediates_pem,
            Depth::Intermediate,
        ))
    }

    fn assemble(
        params: CertificateParams,
        key: KeyPair,
        certificate_pem: String,
        intermediates_pem: String,
        depth: Depth,
    ) -> Authority {
        let key_id = params.key_identifier(&key);
        let key_pem = key.serialize_pem();
        Authority {
            issuer: Issuer::new(params, key),
            key_id,
            certificate_pem,
            intermediates_pem,
            key_pem,
            depth,
        }
    }

    /// Loads an authority from its certificate (PEM, followed by the intermediates above it, if any) and its key (PEM, PKCS #8).
    pub fn from_pem(certificate_pem: &str, key_pem: &str) -> Result<Authority, AuthorityError> {
        let chain: Vec<CertificateDer<'_>> =
            CertificateDer::pem_slice_iter(certificate_pem.as_bytes())
                .collect::<Result<_, _>>()
                .map_err(|_why| AuthorityError::Load("the certificate is not readable as PEM"))?;
        let first = chain
            .first()
            .ok_or(AuthorityError::Load("there is no `CERTIFICATE` block"))?;
        let own = Certificate::parse(first)
            .map_err(|_why| AuthorityError::Load("the certificate is malformed"))?;
        if !own.is_ca() || !own.may(KeyUsage::key_cert_sign) {
            return Err(AuthorityError::Load("the certificate is not a CA's"));
        }
        let key = KeyPair::from_pem(key_pem).map_err(|_why| {
            AuthorityError::Load("the key is not a PEM block `PRIVATE KEY` (PKCS #8, unencrypted)")
        })?;
        if rcgen::PublicKeyData::subject_public_key_info(&key) != own.key.raw {
            return Err(AuthorityError::Load("the key is not the certificate's"));
        }
        let mut params = CertificateParams::default();
        params.distinguished_name = distinguished_name(&own.subject)?;
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        if let Some(key_id) = own.extensions.subject_key_id {
            params.key_identifier_method = KeyIdMethod::PreSpecified(key_id.to_vec());
        }
        let depth = if own
            .extensions
            .basic_constraints
            .as_ref()
            .and_then(|constraints| constraints.path_len_constraint)
            == Some(0)
        {
            Depth::Intermediate
        } else {
            Depth::Root
        };
        let own_pem = pem::encode("CERTIFICATE", first);
        let above = chain
            .iter()
            .filter(|der| Certificate::parse(der).is_ok_and(|parsed| !parsed.is_self_issued()));
        let intermediates_pem = above.map(|der| pem::encode("CERTIFICATE", der)).collect();
        Ok(Authority::assemble(
            params,
            key,
            own_pem,
            intermediates_pem,
            depth,
        ))
    }

    /// Issues a server certificate for DNS names (wildcards too) and IP addresses; the first becomes the common name.
    pub fn issue_server(
        &self,
        hosts: &[&str],
        validity: Validity,
    ) -> Result<Issued, AuthorityError> {
        let first = hosts.first().ok_or(AuthorityError::Nobody)?;
        let mut params = leaf_params(validity, ExtendedKeyUsagePurpose::ServerAuth)?;
        // X.520 allows 64 characters in a common name; the alternative names are what counts.
        if first.len() <= COMMON_NAME_CHARACTERS_MAX {
            params.distinguished_name.push(DnType::CommonName, *first);
        }
        params.subject_alt_names = host_names(hosts)?;
        self.issue(params, None)
    }

    /// Issues a workload's certificate (an X.509-SVID): its SPIFFE id, and the hosts that it serves, if any; good for both ends of
    /// a connection.
    pub fn issue_workload(
        &self,
        id: &SpiffeId,
        hosts: &[&str],
        validity: Validity,
    ) -> Result<Issued, AuthorityError> {
        if id.path().is_empty() {
            return Err(AuthorityError::Nobody);
        }
        let mut params = leaf_params(validity, ExtendedKeyUsagePurpose::ClientAuth)?;
        params
            .extended_key_usages
            .push(ExtendedKeyUsagePurpose::ServerAuth);
        params.subject_alt_names = host_names(hosts)?;
        params
            .subject_alt_names
            .push(SanType::URI(ia5(id.as_str())?));
        self.issue(params, None)
    }

    /// Issues a client certificate.
    pub fn issue_client(&self, request: &ClientRequest) -> Result<Issued, AuthorityError> {
        let validity = request.validity.ok_or(AuthorityError::Validity)?;
        let mut params = leaf_params(validity, ExtendedKeyUsagePurpose::ClientAuth)?;
        let attributes = [
            (DnType::CountryName, &request.country),
            (DnType::OrganizationName, &request.organisation),
            (DnType::OrganizationalUnitName, &request.organisational_unit),
            (
                DnType::CustomDnType(vec![2, 5, 4, 97]),
                &request.organisation_identifier,
            ),
            (
                DnType::CustomDnType(vec![2, 5, 4, 5]),
                &request.device_number,
            ),
            (DnType::CommonName, &request.common_name),
        ];
        for (kind, value) in attributes {
            if let Some(value) = value {
                params
                    .distinguished_name
                    .push(kind.clone(), attribute(&kind, value)?);
            }
        }
        for uri in &request.uris {
            if uri.to_ascii_lowercase().starts_with("spiffe:") {
                SpiffeId::parse(uri).map_err(|why| AuthorityError::Spiffe {
                    id: uri.clone(),
                    why,
                })?;
            }
            params.subject_alt_names.push(SanType::URI(ia5(uri)?));
        }
        params.crl_distribution_points = distribution_points(&request.crl_urls);
        for dns in &request.dns {
            params.subject_alt_names.push(SanType::DnsName(ia5(dns)?));
        }
        for email in &request.emails {
            params
                .subject_alt_names
                .push(SanType::Rfc822Name(ia5(email)?));
        }
        if params.subject_alt_names.is_empty() && params.distinguished_name.iter().next().is_none()
        {
            return Err(AuthorityError::Nobody);
        }
        self.issue(params, request.serial)
    }

    fn issue(
        &self,
        mut params: CertificateParams,
        serial: Option<Serial>,
    ) -> Result<Issued, AuthorityError> {
        let serial = match serial {
            Some(serial) => serial,
            None => random_serial()?,
        };
        params.serial_number = Some(SerialNumber::from_slice(serial.as_bytes()));
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok(Issued {
            certificate_pem: format!("{}{}", certificate.pem(), self.intermediates_pem),
            key_pem: key.serialize_pem(),
            serial,
        })
    }

    /// Makes this authority's revocation list (PEM) without saying why certificates were revoked: see
    /// [`Authority::revocation_list`].
    pub fn crl(
        &self,
        revoked: &[(Serial, UnixSeconds)],
        this_update: UnixSeconds,
        next_update: UnixSeconds,
        number: u64,
    ) -> Result<String, AuthorityError> {
        let unspecified = |&(serial, at): &(Serial, UnixSeconds)| Revoked {
            serial,
            at,
            reason: Reason::Unspecified,
        };
        let revoked: Vec<Revoked> = revoked.iter().map(unspecified).collect();
        self.revocation_list(&revoked, this_update, next_update, number)
    }

    /// Makes this authority's revocation list (PEM). `revoked` holds every certificate that is revoked, not only the newest;
    /// `number` must grow from list to list.
    pub fn revocation_list(
        &self,
        revoked: &[Revoked],
        this_update: UnixSeconds,
        next_update: UnixSeconds,
        number: u64,
    ) -> Result<String, AuthorityError> {
        let entry = |revoked: &Revoked| {
            Ok(RevokedCertParams {
                serial_number: SerialNumber::from_slice(revoked.serial.as_bytes()),
                revocation_time: moment(revoked.at)?,
                reason_code: reason_code(revoked.reason),
                invalidity_date: None,
            })
        };
        if next_update <= this_update {
            return Err(AuthorityError::Validity);
        }
        let list = CertificateRevocationListParams {
            this_update: moment(this_update)?,
            next_update: moment(next_update)?,
            crl_number: SerialNumber::from(number),
            issuing_distribution_point: None,
            revoked_certs: revoked
                .iter()
                .map(entry)
                .collect::<Result<_, AuthorityError>>()?,
            key_identifier_method: KeyIdMethod::PreSpecified(self.key_id.clone()),
        };
        Ok(list.signed_by(&self.issuer)?.pem()?)
    }

    /// This authority's own certificate, PEM: for a root, the trust bundle.
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// What [`Authority::from_pem`] takes back: its own certificate, then the intermediates above it.
    pub fn chain_pem(&self) -> &str {
        if self.intermediates_pem.is_empty() {
            &self.certificate_pem
        } else {
            &self.intermediates_pem
        }
    }

    /// This authority's key, PEM (PKCS #8), unencrypted: keep the file's mode at 0600.
    pub fn key_pem(&self) -> &str {
        &self.key_pem
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority")
            .field("depth", &self.depth)
            .finish_non_exhaustive()
    }
}

/// The standard: a list leaves "unspecified" out.
fn reason_code(reason: Reason) -> Option<RevocationReason> {
    match reason {
        Reason::Unspecified => None,
        Reason::KeyCompromise => Some(RevocationReason::KeyCompromise),
        Reason::AffiliationChanged => Some(RevocationReason::AffiliationChanged),
        Reason::Superseded => Some(RevocationReason::Superseded),
        Reason::CessationOfOperation => Some(RevocationReason::CessationOfOperation),
        Reason::CertificateHold => Some(RevocationReason::CertificateHold),
        Reason::PrivilegeWithdrawn => Some(RevocationReason::PrivilegeWithdrawn),
    }
}

fn host_names(hosts: &[&str]) -> Result<Vec<SanType>, AuthorityError> {
    let name = |host: &&str| match host.parse::<IpAddr>() {
        Ok(address) => Ok(SanType::IpAddress(address)),
        Err(_) => ia5(host).map(SanType::DnsName),
    };
    hosts.iter().map(name).collect()
}

fn ca_params(
    common_name: &str,
    validity: Validity,
    constraints: BasicConstraints,
) -> Result<CertificateParams, AuthorityError> {
    let mut params = dated_params(validity)?;
    params.distinguished_name.push(
        DnType::CommonName,
        attribute(&DnType::CommonName, common_name)?,
    );
    params.is_ca = IsCa::Ca(constraints);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.serial_number = Some(SerialNumber::from_slice(random_serial()?.as_bytes()));
    Ok(params)
}

fn distribution_points(urls: &[String]) -> Vec<CrlDistributionPoint> {
    let point = |url: &String| CrlDistributionPoint {
        uris: vec![url.clone()],
    };
    urls.iter().map(point).collect()
}

fn leaf_params(
    validity: Validity,
    purpose: ExtendedKeyUsagePurpose,
) -> Result<CertificateParams, AuthorityError> {
    let mut params = dated_params(validity)?;
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![purpose];
    Ok(params)
}

fn dated_params(validity: Validity) -> Result<CertificateParams, AuthorityError> {
    if validity.not_after < validity.not_before {
        return Err(AuthorityError::Validity);
    }
    let mut params = CertificateParams::default();
    params.not_before = moment(validity.not_before)?;
    params.not_after = moment(validity.not_after)?;
    params.distinguished_name = DistinguishedName::new();
    Ok(params)
}

fn moment(seconds: UnixSeconds) -> Result<OffsetDateTime, AuthorityError> {
    OffsetDateTime::from_unix_timestamp(seconds)
        .ok()
        .filter(|moment| (1950..=9999).contains(&moment.year()))
        .ok_or(AuthorityError::Validity)
}

/// Sixteen random bytes whose first bits are `01`: positive, and always of the same length.
fn random_serial() -> Result<Serial, AuthorityError> {
    let mut bytes = [0_u8; 16];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_why| AuthorityError::Random)?;
    if let Some(first) = bytes.first_mut() {
        *first = (*first & 0x3f) | 0x40;
    }
    Serial::from_bytes(&bytes).ok_or(AuthorityError::Random)
}

fn attribute(kind: &DnType, value: &str) -> Result<DnValue, AuthorityError> {
    let refused = |why| AuthorityError::Name {
        name: value.to_owned(),
        why,
    };
    name::check_text(value, name::ATTRIBUTE_BYTES_MAX).map_err(refused)?;
    if *kind != DnType::CountryName {
        return Ok(DnValue::Utf8String(value.to_owned()));
    }
    let is_code = value.len() == 2 && value.bytes().all(|byte| byte.is_ascii_uppercase());
    let code = value.try_into().ok().filter(|_code| is_code);
    code.map(DnValue::PrintableString)
        .ok_or_else(|| refused(Malformed("a country is two capital letters")))
}

fn ia5(text: &str) -> Result<Ia5String, AuthorityError> {
    let refused = |why| AuthorityError::Name {
        name: text.to_owned(),
        why,
    };
    name::check_text(text, ALTERNATIVE_NAME_BYTES_MAX).map_err(refused)?;
    Ia5String::try_from(text).map_err(|_why| refused(Malformed("it is not ASCII")))
}

/// The generator's form of a name, every attribute in its own encoding, so that what we issue bears our name byte by byte.
fn distinguished_name(subject: &X509Name<'_>) -> Result<DistinguishedName, AuthorityError> {
    let unusable = AuthorityError::Load("its subject is not one that this authority can sign for");
    let mut rebuilt = DistinguishedName::new();
    for attribute in name::attributes(subject) {
        let text = attribute
            .text()
            .map_err(|_why| AuthorityError::Load("its subject is not plain text"))?;
        let kind = dn_type(attribute.oid);
        if attribute.siblings > 1 || rebuilt.get(&kind).is_some() {
            return Err(unusable);
        }
        let value = match attribute.tag {
            der::PRINTABLE_STRING => text.as_str().try_into().map(DnValue::PrintableString),
            der::IA5_STRING => text.as_str().try_into().map(DnValue::Ia5String),
            der::BMP_STRING => text.as_str().try_into().map(DnValue::BmpString),
            _ => Ok(DnValue::Utf8String(text)),
        };
        rebuilt.push(kind, value?);
    }
    Ok(rebuilt)
}

fn dn_type(oid: &[u8]) -> DnType {
    let arcs: Vec<u64> = name::dotted(oid)
        .split('.')
        .filter_map(|arc| arc.parse().ok())
        .collect();
    DnType::from_oid(&arcs)
}

/// Characters of a common name (X.520 ub-common-name).
const COMMON_NAME_CHARACTERS_MAX: usize = 64;
/// Bytes of an alternative name.
const ALTERNATIVE_NAME_BYTES_MAX: usize = 2048;
