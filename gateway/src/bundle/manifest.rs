//! What a bundle says about itself, and who signs: the text under the signatures.

use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

/// The manifest, as TOML.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The form of the bundle: 1.
    pub bundle: u32,
    /// Grows with every bundle of a policy; an older one never replaces a newer one.
    pub epoch: u64,
    /// From when it may serve, RFC 3339.
    pub not_before: String,
    /// Until when.
    pub not_after: String,
    /// How many rules there are, so that a cut policy is found.
    pub rules: usize,
    /// Until when the rules of `shadow.csv` are tried, RFC 3339; there is such a file or neither.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shadow_expires: Option<String>,
    /// Every other file, in the order of the bundle.
    pub file: Vec<Listed>,
}

/// One file of the bundle.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Listed {
    pub name: String,
    pub bytes: usize,
    /// 64 lower-case hexadecimal digits.
    pub sha256: String,
}

impl Manifest {
    /// Its text, as it is signed.
    ///
    /// # Errors
    /// Never for numbers that fit TOML: an epoch is at most 9,223,372,036,854,775,807.
    pub fn to_text(&self) -> Result<String, toml::ser::Error> {
        toml::to_string(self)
    }
}

impl Listed {
    /// What is to be said of a file.
    pub fn of(name: &str, bytes: &[u8]) -> Self {
        Self {
            name: name.to_owned(),
            bytes: bytes.len(),
            sha256: sha256(bytes),
        }
    }
}

/// The SHA-256 of some bytes in hexadecimal digits.
pub fn sha256(bytes: &[u8]) -> String {
    let digest = digest(&SHA256, bytes);
    digest
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// Seconds since 1970 of a time in RFC 3339.
pub fn seconds(time: &str) -> Option<i64> {
    let format = &time::format_description::well_known::Rfc3339;
    time::OffsetDateTime::parse(time, format)
        .ok()
        .map(time::OffsetDateTime::unix_timestamp)
}
