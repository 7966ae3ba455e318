//! SPIFFE ids: the names of workloads.

use std::fmt;

/// A SPIFFE id, such as `spiffe://gov.example/tax/api`, in the strict form of the SPIFFE-ID standard: lower-case trust domain, no
/// port, user, query, fragment or percent-encoding, no empty, `.` or `..` segment, at most 2,048 bytes.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct SpiffeId {
    text: String,
    /// Where the path begins in `text`; its length when there is none.
    path_start: usize,
}

/// Why a URI is no SPIFFE id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpiffeError {
    /// Not `spiffe://` in lower case.
    #[error("it does not begin with `spiffe://` in lower case")]
    Scheme,
    /// Over 2,048 bytes.
    #[error("it is longer than 2048 bytes")]
    TooLong,
    /// Empty, over 255 bytes, or other characters than `a-z 0-9 . - _`.
    #[error("its trust domain is not 1 to 255 of the characters `a-z`, `0-9`, `.`, `-` and `_`")]
    TrustDomain,
    /// An empty, `.` or `..` segment, or other characters than `A-Z a-z 0-9 . - _`.
    #[error(
        "its path has an empty, `.` or `..` segment or characters other than `A-Z`, `a-z`, `0-9`, `.`, `-` and `_`"
    )]
    Path,
}

impl SpiffeId {
    /// Reads a SPIFFE id. The path may be absent (the id of a trust domain); see [`SpiffeId::path`].
    pub fn parse(text: &str) -> Result<SpiffeId, SpiffeError> {
        if text.len() > SPIFFE_ID_BYTES_MAX {
            return Err(SpiffeError::TooLong);
        }
        let rest = text.strip_prefix(SCHEME).ok_or(SpiffeError::Scheme)?;
        let (trust_domain, path) = match rest.split_once('/') {
            Some((trust_domain, path)) => (trust_domain, Some(path)),
            None => (rest, None),
        };
        let in_domain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' | b'_');
        if trust_domain.is_empty()
            || trust_domain.len() > TRUST_DOMAIN_BYTES_MAX
            || !trust_domain.bytes().all(in_domain)
        {
            return Err(SpiffeError::TrustDomain);
        }
        let in_path = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
        let is_segment =
            |segment: &str| !matches!(segment, "" | "." | "..") && segment.bytes().all(in_path);
        if path.is_some_and(|path| !path.split('/').all(is_segment)) {
            return Err(SpiffeError::Path);
        }
        Ok(SpiffeId {
            text: text.to_owned(),
            path_start: SCHEME.len() + trust_domain.len(),
        })
    }

    /// The whole id.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The trust domain, such as `gov.example`.
    pub fn trust_domain(&self) -> &str {
        self.text
            .get(SCHEME.len()..self.path_start)
            .unwrap_or_default()
    }

    /// The path with its leading slash, such as `/tax/api`; empty for a trust domain's own id, which no workload may carry.
    pub fn path(&self) -> &str {
        self.text.get(self.path_start..).unwrap_or_default()
    }

    /// One segment of the path, counted from 0: of `/tax/api`, segment 1 is `api`.
    pub fn segment(&self, index: usize) -> Option<&str> {
        self.path().strip_prefix('/')?.split('/').nth(index)
    }
}

impl fmt::Display for SpiffeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for SpiffeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SpiffeId({})", self.text)
    }
}

const SCHEME: &str = "spiffe://";

/// Bytes of the longest SPIFFE id (SPIFFE-ID standard, section 2.3).
pub const SPIFFE_ID_BYTES_MAX: usize = 2048;

/// Bytes of the longest trust domain (SPIFFE-ID standard, section 2.3).
const TRUST_DOMAIN_BYTES_MAX: usize = 255;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_comes_apart_into_trust_domain_and_path() {
        let id = SpiffeId::parse("spiffe://gov.example/tax/api_2.1").unwrap();
        assert_eq!(
            (id.trust_domain(), id.path()),
            ("gov.example", "/tax/api_2.1")
        );
        assert_eq!(
            (id.segment(0), id.segment(1), id.segment(2)),
            (Some("tax"), Some("api_2.1"), None)
        );
        let domain = SpiffeId::parse("spiffe://gov.example").unwrap();
        assert_eq!(
            (domain.trust_domain(), domain.path(), domain.segment(0)),
            ("gov.example", "", None)
        );
    }

    #[test]
    fn forms_that_two_parsers_read_differently_are_refused() {
        let long = format!("spiffe://a/{}", "x".repeat(2048));
        let long_domain = format!("spiffe://{}/x", "a".repeat(256));
        for (text, why) in [
            ("https://a/b", SpiffeError::Scheme),
            ("SPIFFE://a/b", SpiffeError::Scheme),
            ("spiffe:/a/b", SpiffeError::Scheme),
            ("spiffe:///b", SpiffeError::TrustDomain),
            ("spiffe://A/b", SpiffeError::TrustDomain),
            ("spiffe://a:1/b", SpiffeError::TrustDomain),
            ("spiffe://u@a/b", SpiffeError::TrustDomain),
            ("spiffe://a?x", SpiffeError::TrustDomain),
            ("spiffe://é/b", SpiffeError::TrustDomain),
            (&long_domain, SpiffeError::TrustDomain),
            ("spiffe://a/", SpiffeError::Path),
            ("spiffe://a/b/", SpiffeError::Path),
            ("spiffe://a//b", SpiffeError::Path),
            ("spiffe://a/./b", SpiffeError::Path),
            ("spiffe://a/../b", SpiffeError::Path),
            ("spiffe://a/b%2fc", SpiffeError::Path),
            ("spiffe://a/b?c", SpiffeError::Path),
            ("spiffe://a/b#c", SpiffeError::Path),
            ("spiffe://a/b c", SpiffeError::Path),
            (&long, SpiffeError::TooLong),
        ] {
            assert_eq!(SpiffeId::parse(text), Err(why), "{text}");
        }
    }
}
