//! Whom a message is addressed to: the Host field or `:authority`, which must be the name that TLS was opened for.

use crate::denial::Denial;

/// Longest host name (RFC 1035 section 2.3.4).
const HOST_BYTES_MAX: usize = 253;

/// Splits `host[:port]`, checks it and gives the host alone, as written.
///
/// # Errors
/// [`Denial::HostMissing`] for an empty one, [`Denial::HostMalformed`] for user information, a bad port or other characters
/// than those of a registered name or an IP literal (RFC 3986 section 3.2.2).
pub fn host_of(authority: &str) -> Result<&str, Denial> {
    if authority.is_empty() {
        return Err(Denial::HostMissing);
    }
    let (host, port) = split_port(authority).ok_or(Denial::HostMalformed)?;
    let port_is_good = port.is_none_or(|port| {
        (1..=5).contains(&port.len()) && port.bytes().all(|b| b.is_ascii_digit())
    });
    if port_is_good && is_host(host) {
        Ok(host)
    } else {
        Err(Denial::HostMalformed)
    }
}

/// Whether the host of a message is the name of the TLS session. A client that sent no name (it dialled an address)
/// may use any host of the certificates: the route decides.
#[must_use]
pub fn host_matches_sni(host: &str, sni: Option<&str>) -> bool {
    sni.is_none_or(|sni| sni.eq_ignore_ascii_case(host))
}

fn split_port(authority: &str) -> Option<(&str, Option<&str>)> {
    if let Some(rest) = authority.strip_prefix('[') {
        let (address, after) = rest.split_once(']')?;
        let whole = authority.get(..address.len() + 2)?;
        return match after {
            "" => Some((whole, None)),
            _ => Some((whole, Some(after.strip_prefix(':')?))),
        };
    }
    match authority.split_once(':') {
        Some((host, port)) => Some((host, Some(port))),
        None => Some((authority, None)),
    }
}

fn is_host(host: &str) -> bool {
    if let Some(literal) = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
    {
        return literal.parse::<std::net::Ipv6Addr>().is_ok();
    }
    let labels_are_good = host.split('.').all(|label| {
        !label.is_empty()
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    });
    host.len() <= HOST_BYTES_MAX && labels_are_good
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_read_with_or_without_its_port() {
        for (authority, host) in [
            ("a.example", "a.example"),
            ("a.example:8443", "a.example"),
            ("127.0.0.1:1", "127.0.0.1"),
            ("[::1]", "[::1]"),
            ("[::1]:443", "[::1]"),
        ] {
            assert_eq!(host_of(authority), Ok(host), "{authority}");
        }
    }

    #[test]
    fn what_is_no_plain_authority_is_refused() {
        assert_eq!(host_of(""), Err(Denial::HostMissing));
        for authority in [
            "a@b", "a:b@c", "a:", "a:123456", "a:1:2", "a b", "a..b", ".a", "a.", "a/b", "[::1",
            "[::1]x", "[a]", "a,b", "\u{8bb0}",
        ] {
            assert_eq!(
                host_of(authority),
                Err(Denial::HostMalformed),
                "{authority}"
            );
        }
    }

    #[test]
    fn the_host_is_the_name_that_tls_was_opened_for() {
        assert!(host_matches_sni("A.example", Some("a.example")));
        assert!(!host_matches_sni("b.example", Some("a.example")));
        assert!(host_matches_sni("127.0.0.1", None));
    }
}
