//! Where a revocation list is published.

use std::fmt;

use http::Uri;

use crate::config::problem::Fault;

/// An `http:` URL without user, query-free or not, fragment-free. Plain HTTP is what RFC 5280 section 8 recommends for lists: each is
/// signed, and fetching it over TLS would need lists to judge the server by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CrlUrl {
    text: String,
    host: String,
    port: u16,
    target: String,
}

impl CrlUrl {
    /// Takes a URL.
    ///
    /// # Errors
    /// Another scheme, no host, a user, a fragment.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        let refused = |fix: &str| Fault::new(format!("`{text}` is not the URL of a list"), fix);
        let uri: Uri = text
            .parse()
            .map_err(|_| refused("write it as in `http://pki.gov.example/tax.crl`"))?;
        if uri.scheme_str() != Some("http") {
            return Err(refused(
                "write an `http:` URL: a list is signed, and TLS would need one to judge the server by",
            ));
        }
        let authority = uri
            .authority()
            .filter(|authority| !authority.as_str().contains('@') && !text.contains('#'))
            .ok_or_else(|| refused("leave user and fragment away"))?;
        if text.len() > URL_BYTES_MAX || authority.host().is_empty() {
            return Err(refused("write a host and at most 1024 bytes"));
        }
        Ok(Self {
            host: authority.host().to_ascii_lowercase(),
            port: authority.port_u16().unwrap_or(80),
            target: uri
                .path_and_query()
                .map_or_else(|| "/".to_owned(), |target| target.as_str().to_owned()),
            text: text.to_owned(),
        })
    }

    /// A URL that a certificate names, in the one form of it: two that lead to the same place are one. `None` for what is no such URL.
    #[must_use]
    pub fn canonical(text: &str) -> Option<Self> {
        let url = Self::parse(text).ok()?;
        Self::parse(&format!("http://{}{}", url.server(), url.target())).ok()
    }

    /// As written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Host, with brackets around an IPv6 address, and port.
    #[must_use]
    pub fn server(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// Path and query.
    #[must_use]
    pub fn target(&self) -> &str {
        &self.target
    }
}

impl fmt::Display for CrlUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// A host whose distribution points are followed, with its port.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CrlHost(String);

impl CrlHost {
    /// Takes a host, with a port if it is not 80.
    ///
    /// # Errors
    /// Anything more than that.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        let is_host = !text.is_empty() && !text.contains(['/', '?', '#', '@']);
        match CrlUrl::parse(&format!("http://{text}/")) {
            Ok(url) if is_host => Ok(Self(url.server())),
            Ok(_) | Err(_) => Err(Fault::new(
                format!("`{text}` is not a host"),
                "write it as in `pki.gov.example`, or `pki.gov.example:8080` if its port is not 80",
            )),
        }
    }

    /// Whether a URL is one of this host and port.
    #[must_use]
    pub fn serves(&self, url: &CrlUrl) -> bool {
        url.server() == self.0
    }
}

const URL_BYTES_MAX: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_urls_are_taken() {
        let url = CrlUrl::parse("http://pki.gov.example/a/b.crl?x=1").unwrap();
        assert_eq!(
            (url.server().as_str(), url.target()),
            ("pki.gov.example:80", "/a/b.crl?x=1")
        );
        let url = CrlUrl::parse("http://[::1]:8080").unwrap();
        assert_eq!((url.server().as_str(), url.target()), ("[::1]:8080", "/"));
        for text in [
            "",
            "pki.gov.example/a.crl",
            "https://pki.gov.example/a.crl",
            "ftp://pki.gov.example/a.crl",
            "ldap://pki.gov.example/cn=a",
            "http://user@pki.gov.example/a.crl",
            "http://pki.gov.example/a.crl#b",
            "http:///a.crl",
            "http://pki.gov.example/a b.crl",
            "file:///etc/passwd",
        ] {
            assert!(CrlUrl::parse(text).is_err(), "{text}");
        }
    }
}
