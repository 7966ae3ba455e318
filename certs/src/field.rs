//! The closed list of identity fields that configuration can name.

/// A field of an identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    Fingerprint,
    KeyFingerprint,
    Authority,
    Issuer,
    Serial,
    CommonName,
    Organisation,
    OrganisationalUnit,
    Country,
    Locality,
    State,
    Title,
    UserId,
    SubjectSerialNumber,
    OrganisationIdentifier,
    CreditCode,
    Policy,
    ExtendedKeyUsage,
    Uri,
    Dns,
    Email,
    Ip,
    Upn,
    Spiffe,
    SpiffeTrustDomain,
    SpiffePath,
    /// One segment of the path: only with an index, `spiffe.path[1]`.
    SpiffeSegment,
}

/// A field name that is not in the list.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no field `{name}`; the fields are {}", Field::NAMES.join(", "))]
pub struct UnknownField {
    /// As written.
    pub name: String,
}

/// Before the dotted OID of a private extension, which is a field too.
pub(crate) const EXTENSION_PREFIX: &str = "extension.";
/// Before the dotted OID of a certificate policy: gives that OID, if the certificate has the policy.
pub(crate) const POLICY_PREFIX: &str = "policy.";

/// Name, field, and whether it is a list that an index may pick from.
const TABLE: [(&str, Field, Values); 26] = [
    ("subject.cn", Field::CommonName, Values::One),
    ("subject.o", Field::Organisation, Values::One),
    ("subject.ou", Field::OrganisationalUnit, Values::Many),
    ("subject.c", Field::Country, Values::One),
    ("subject.l", Field::Locality, Values::One),
    ("subject.st", Field::State, Values::One),
    ("subject.title", Field::Title, Values::One),
    ("subject.uid", Field::UserId, Values::One),
    (
        "subject.serial_number",
        Field::SubjectSerialNumber,
        Values::One,
    ),
    (
        "subject.organization_identifier",
        Field::OrganisationIdentifier,
        Values::One,
    ),
    ("credit_code", Field::CreditCode, Values::One),
    ("policy", Field::Policy, Values::Many),
    ("eku", Field::ExtendedKeyUsage, Values::Many),
    ("san.uri", Field::Uri, Values::Many),
    ("san.dns", Field::Dns, Values::Many),
    ("san.email", Field::Email, Values::Many),
    ("san.ip", Field::Ip, Values::Many),
    ("san.upn", Field::Upn, Values::Many),
    ("spiffe", Field::Spiffe, Values::One),
    ("spiffe.trust_domain", Field::SpiffeTrustDomain, Values::One),
    ("spiffe.path", Field::SpiffePath, Values::Many),
    ("issuer", Field::Issuer, Values::One),
    ("serial", Field::Serial, Values::One),
    ("fingerprint", Field::Fingerprint, Values::One),
    ("key_fingerprint", Field::KeyFingerprint, Values::One),
    ("authority", Field::Authority, Values::One),
];

/// How many values a field can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Values {
    One,
    Many,
}

impl Field {
    pub(crate) const NAMES: &[&str] = &names();

    pub(crate) fn parse(name: &str) -> Result<Field, UnknownField> {
        Field::find(name).map(|(field, _values)| field)
    }

    pub(crate) fn find(name: &str) -> Result<(Field, Values), UnknownField> {
        TABLE
            .iter()
            .find(|(known, _, _)| *known == name)
            .map(|(_, field, values)| (*field, *values))
            .ok_or_else(|| UnknownField {
                name: name.to_owned(),
            })
    }
}

#[expect(
    clippy::indexing_slicing,
    reason = "evaluated at compile time only, where an index out of range is a build error"
)]
const fn names() -> [&'static str; TABLE.len()] {
    let mut names = [""; TABLE.len()];
    let mut index = 0;
    while index < TABLE.len() {
        names[index] = TABLE[index].0;
        index += 1;
    }
    names
}
