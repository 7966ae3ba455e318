//! Header hygiene: what a client may not say in our name, and what the application is told instead.

use http::{HeaderName, HeaderValue, header};
use pingora::http::{RequestHeader, ResponseHeader};

use crate::layers::edge::http2::is_for_heads_only;

/// The prefix of every header that the gateway speaks in.
pub const OUR_PREFIX: &str = "x-hangu-";

/// Families of headers by which proxies, and we, tell an application who is calling, from where and for what: whatever begins so.
/// Lists of single names leave gaps (`SSL_CLIENT_S_DN`, `SSL_CLIENT_I_DN`, `SSL_CLIENT_SAN_DNS_0` and so on).
const CLAIM_FAMILIES: &[&str] = &[
    OUR_PREFIX,
    "x-forwarded",
    "ssl-client-",
    "x-ssl-",
    "client-cert",
    "x-client-cert",
    "x-original-",
    "x-rewrite-",
    "x-remote-",
    "x-auth-request-",
    "x-envoy-",
];

/// Single such headers. Whatever a client sends under one of these names, in any case and with any sign for `-` (CGI-style servers
/// fold them all to `_`), is removed.
const CLAIMS: &[&str] = &[
    "forwarded",
    "forwarded-for",
    "x-forward-for",
    "x-real-ip",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-originating-ip",
    "x-proxyuser-ip",
    "x-custom-ip-authorization",
    "x-azure-clientip",
    "x-appengine-user-ip",
    "client-ip",
    "cluster-client-ip",
    "fastly-client-ip",
    "proxy-client-ip",
    "wl-proxy-client-ip",
    "true-client-ip",
    "cf-connecting-ip",
    "x-host",
    "x-http-host-override",
    "x-scheme",
    "x-url-scheme",
    "front-end-https",
    // CGI makes it `HTTP_PROXY`, which HTTP clients take for their own proxy.
    "proxy",
    "x-client-dn",
    "x-client-verify",
    "remote-user",
    "x-user",
    "x-user-id",
    "x-auth-user",
    "x-authenticated-user",
    "x-webauth-user",
    "x-http-method-override",
    "x-http-method",
    "x-method-override",
];

/// Fields that say where a body ends. Under their own names the boundary has judged them; another spelling is one more length for
/// a server that folds names.
const FRAMING: &[&str] = &["content-length", "transfer-encoding"];

/// Whether a client's header of this name claims what only the gateway may say. `reserved` are the names that the application's
/// own configuration sets, in lower case.
#[must_use]
pub fn is_claim(name: &str, reserved: &[HeaderName]) -> bool {
    let folded = Folded(name);
    CLAIM_FAMILIES
        .iter()
        .any(|family| folded.starts_with(family))
        || CLAIMS.iter().any(|claim| folded.equals(claim))
        || reserved.iter().any(|own| folded.equals(own.as_str()))
        || FRAMING
            .iter()
            .any(|own| folded.equals(own) && !name.eq_ignore_ascii_case(own))
}

/// Every value of the field `name` (in lower case), under whatever spelling of the name: an application that folds them
/// would read them all.
pub fn values_of<'r>(request: &'r RequestHeader, name: &str) -> impl Iterator<Item = &'r [u8]> {
    request
        .headers
        .iter()
        .filter(move |(key, _)| Folded(key.as_str()).equals(name))
        .map(|(_, value)| value.as_bytes())
}

/// Removes every claim from a request on its way to the application; gives how many.
pub fn remove_claims(request: &mut RequestHeader, reserved: &[HeaderName]) -> usize {
    let claims: Vec<HeaderName> = request
        .headers
        .keys()
        .filter(|name| is_claim(name.as_str(), reserved))
        .cloned()
        .collect();
    for claim in &claims {
        request.remove_header(claim);
    }
    claims.len()
}

/// Removes from an upstream's answer what concerns only the connection to it: what its `Connection` names, and the fields that
/// RFC 9110 section 7.6.1 lists. `Connection` itself and the fields that give the body's length are the proxy's to rewrite.
pub fn remove_hop_by_hop(response: &mut ResponseHeader) {
    let named: Vec<HeaderName> = response
        .headers
        .get_all(header::CONNECTION)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok())
        .filter(|name| !KEPT_FOR_THE_PROXY.contains(&name.as_str()))
        .collect();
    for name in &named {
        response.remove_header(name);
    }
    remove_listed(response, HOP_BY_HOP);
}

/// Most answers have none of these: looking through their few names is less work than asking two maps for each.
fn remove_listed(response: &mut ResponseHeader, listed: &[&str]) {
    for name in listed {
        if response.headers.keys().any(|key| key.as_str() == *name) {
            response.remove_header(*name);
        }
    }
}

/// Leaves in an interim answer (1xx) only what such answers are for (RFC 8297).
pub fn clean_interim(response: &mut ResponseHeader) {
    let others: Vec<HeaderName> = response
        .headers
        .keys()
        .filter(|name| **name != header::LINK)
        .cloned()
        .collect();
    for name in &others {
        response.remove_header(name);
    }
}

/// Removes from the fields behind an answer's body what may only stand in front of it (RFC 9110 section 6.5.1), and what is ours to say.
pub fn clean_trailers(trailers: &mut http::HeaderMap) {
    let wrong: Vec<HeaderName> = trailers
        .keys()
        .filter(|name| {
            is_for_heads_only(name.as_str().as_bytes())
                || Folded(name.as_str()).starts_with(OUR_PREFIX)
        })
        .cloned()
        .collect();
    for name in &wrong {
        trailers.remove(name);
    }
}

/// Removes what tells an attacker which software answers, says that the host is only spoken to over TLS, and keeps what is not for
/// everybody out of every cache.
///
/// # Errors
/// Never for these values.
pub fn clean_response(response: &mut ResponseHeader, hygiene: &Hygiene) -> pingora::Result<()> {
    remove_listed(response, BANNERS);
    match &hygiene.strict_transport_security {
        Some(value) => response.insert_header(header::STRICT_TRANSPORT_SECURITY, value.clone())?,
        None => drop(response.remove_header(&header::STRICT_TRANSPORT_SECURITY)),
    }
    if hygiene.is_confidential {
        response.insert_header(header::CACHE_CONTROL, "no-store")?;
        response.remove_header(&header::EXPIRES);
    }
    Ok(())
}

/// What an answer must say of itself.
#[derive(Clone, Debug)]
pub struct Hygiene {
    /// The whole value of the field (RFC 6797); `None`: nothing is said.
    pub strict_transport_security: Option<HeaderValue>,
    /// The route's label is above the lowest one.
    pub is_confidential: bool,
}

/// The origin of the page from which a browser opens a WebSocket; empty for an unclear one, `None` when it is no such request.
#[must_use]
pub fn websocket_origin(headers: &http::HeaderMap) -> Option<&[u8]> {
    headers.get(header::UPGRADE)?;
    let mut origins = headers.get_all(header::ORIGIN).iter();
    let first = origins.next()?;
    Some(match origins.next() {
        None => first.as_bytes(),
        Some(_) => b"",
    })
}

/// A header value that is safe to send: visible ASCII stays, every other byte becomes a percent escape.
#[must_use]
pub fn header_value(text: &str) -> HeaderValue {
    let is_safe = |byte: u8| byte == b' ' || (byte.is_ascii_graphic() && byte != b'%');
    let value = if text.bytes().all(is_safe) {
        HeaderValue::from_str(text)
    } else {
        let mut escaped = String::with_capacity(text.len() * 3);
        for byte in text.bytes() {
            if is_safe(byte) {
                escaped.push(char::from(byte));
            } else {
                escaped.push_str(&format!("%{byte:02X}"));
            }
        }
        HeaderValue::try_from(escaped)
    };
    // Every byte is one that a value may hold.
    value.unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// Fields by which servers and frameworks name themselves.
const BANNERS: &[&str] = &[
    "server",
    "via",
    "x-aspnet-version",
    "x-aspnetmvc-version",
    "x-generator",
    "x-powered-by",
    "x-powered-by-plesk",
    "x-runtime",
];

const HOP_BY_HOP: &[&str] = &[
    "keep-alive",
    "proxy-connection",
    "proxy-authenticate",
    "te",
    "upgrade",
];
const KEPT_FOR_THE_PROXY: &[&str] = &["connection", "content-length", "transfer-encoding"];

/// A header name as CGI-style servers read it: without case, and with one sign for all that are neither letter nor digit.
struct Folded<'a>(&'a str);

impl Folded<'_> {
    fn equals(&self, other: &str) -> bool {
        self.0.len() == other.len() && self.starts_with(other)
    }

    fn starts_with(&self, prefix: &str) -> bool {
        let mut own = self.0.bytes().map(fold);
        prefix.bytes().all(|byte| own.next() == Some(fold(byte)))
    }
}

fn fold(byte: u8) -> u8 {
    if byte.is_ascii_alphanumeric() {
        byte.to_ascii_lowercase()
    } else {
        b'-'
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_is_seen_in_every_case_and_underscore_variant() {
        let reserved = [HeaderName::from_static("x-client-identity")];
        for name in [
            "X-Hangu-Subject",
            "x_hangu_subject",
            "X-HANGU_TENANT",
            "x-hangu-anything",
            "X_Forwarded-For",
            "FORWARDED",
            "SSL_CLIENT_S_DN",
            "X-SSL-Client-I-DN",
            "X-Client-Cert-Chain",
            "x-client_identity",
            "X_Client_Identity",
            "X-HTTP-Method-Override",
            "X.Hangu.Subject",
            "X~Hangu-Subject",
            "x.client|identity",
            "X-Forwarded",
            "Proxy",
            "Content_Length",
            "transfer.encoding",
        ] {
            assert!(is_claim(name, &reserved), "{name}");
        }
    }

    #[test]
    fn other_headers_stay() {
        for name in [
            "accept",
            "x-hang",
            "x-forward",
            "x-request-id",
            "traceparent",
            "forwarded-for-me",
            "Content-Length",
            "transfer-encoding",
        ] {
            assert!(!is_claim(name, &[]), "{name}");
        }
    }

    #[test]
    fn claims_are_removed_and_counted() {
        let mut request = RequestHeader::build("GET", b"/", None).unwrap();
        for name in ["X_Hangu_Subject", "x-forwarded-for", "accept"] {
            request.append_header(name.to_owned(), "x").unwrap();
        }
        assert_eq!(remove_claims(&mut request, &[]), 2);
        assert!(request.headers.contains_key("accept"));
        assert_eq!(request.headers.len(), 1);
    }

    #[test]
    fn what_concerns_only_the_connection_is_removed_from_an_answer() {
        let mut response = ResponseHeader::build(200, None).unwrap();
        for (name, value) in [
            ("Connection", "close, X-Internal"),
            ("Connection", "Content-Length"),
            ("X-Internal", "10.0.0.7"),
            ("Keep-Alive", "timeout=5"),
            ("Content-Length", "2"),
            ("X-App", "1"),
        ] {
            response.append_header(name, value).unwrap();
        }
        remove_hop_by_hop(&mut response);
        let mut left: Vec<&str> = response.headers.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["connection", "content-length", "x-app"]);
    }

    #[test]
    fn a_header_value_cannot_carry_a_line_break() {
        assert_eq!(header_value("a b\r\nX: 1"), "a b%0D%0AX: 1");
        assert_eq!(header_value("spiffe://a/b"), "spiffe://a/b");
        assert_eq!(header_value("100%"), "100%25");
    }
}
