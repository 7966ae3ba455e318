//! Names: of listeners, zones, labels, applications, tenants.

use crate::config::problem::Fault;

/// A name that we give ourselves: 1 to 64 of `a-z`, `0-9` and `-`, so that it is safe in a metric and in a path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Box<str>);

impl Name {
    /// Takes a name.
    ///
    /// # Errors
    /// Empty, too long, or another character.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        let known = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if text.is_empty() || text.len() > NAME_BYTES_MAX || !text.bytes().all(known) {
            return Err(Fault::new(
                format!("`{text}` is not a name"),
                format!("use 1 to {NAME_BYTES_MAX} of the characters a-z, 0-9 and -"),
            ));
        }
        Ok(Self(text.into()))
    }

    /// The name as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The Casbin domain of an application: 1 to 128 bytes without space, control character, comma, quote or `#`,
/// which a policy file could not hold unquoted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tenant(Box<str>);

impl Tenant {
    /// Takes a tenant.
    ///
    /// # Errors
    /// Empty, too long, or a character that a policy file could not hold.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        let refused =
            |c: char| c.is_whitespace() || c.is_control() || matches!(c, ',' | '"' | '\'' | '#');
        if text.is_empty() || text.len() > TENANT_BYTES_MAX || text.chars().any(refused) {
            return Err(Fault::new(
                format!("`{text}` is not a tenant"),
                format!("use 1 to {TENANT_BYTES_MAX} bytes without spaces, commas, quotes and #"),
            ));
        }
        Ok(Self(text.into()))
    }

    /// The tenant as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Bytes of a [`Name`].
const NAME_BYTES_MAX: usize = 64;
/// Bytes of a [`Tenant`].
const TENANT_BYTES_MAX: usize = 128;
