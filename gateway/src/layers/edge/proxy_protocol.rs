//! The PROXY protocol, versions 1 and 2, by which a balancer in front says where a client really is.
//!
//! Whoever may say that chooses his own address, and with it his zone and his rates. So a listener either requires the header,
//! from the balancers that its configuration lists and nobody else, or takes none: never both. The header is read to its exact
//! end, under a deadline and a bound, and every byte of it has one reading; extensions (TLVs) are stepped over.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::timeout;

use crate::denial::Denial;

/// What a header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    /// The client is here.
    Client(SocketAddr),
    /// The balancer speaks for itself: a health check.
    Local,
}

/// Reads one header and not a byte more.
///
/// # Errors
/// [`Denial::ProxyMalformed`] for what is no header, is too long or names no client; [`Denial::ProxyTimeout`] when it does not come
/// within `deadline`.
pub async fn read_header<R: AsyncRead + Unpin>(
    from: &mut R,
    deadline: Duration,
) -> Result<Said, Denial> {
    let mut header = Vec::with_capacity(V1_BYTES_MAX);
    match timeout(deadline, read_whole(from, &mut header)).await {
        Ok(Ok(())) => parse(&header).ok_or(Denial::ProxyMalformed),
        Ok(Err(_)) => Err(Denial::ProxyMalformed),
        Err(_) => Err(Denial::ProxyTimeout),
    }
}

/// Reads what makes up a header by its form; whether it is right, `parse` says.
async fn read_whole<R: AsyncRead + Unpin>(from: &mut R, header: &mut Vec<u8>) -> io::Result<()> {
    let malformed = || io::Error::from(io::ErrorKind::InvalidData);
    // Both versions are longer than the signature of the second.
    read_exactly(from, header, SIGNATURE.len()).await?;
    if *header == SIGNATURE {
        read_exactly(from, header, V2_HEAD_BYTES - SIGNATURE.len()).await?;
        let length = v2_length(header).ok_or_else(malformed)?;
        if V2_HEAD_BYTES + length > V2_BYTES_MAX {
            return Err(malformed());
        }
        return read_exactly(from, header, length).await;
    }
    if !header.starts_with(V1_BEGIN) {
        return Err(malformed());
    }
    while !header.ends_with(b"\n") {
        if header.len() >= V1_BYTES_MAX {
            return Err(malformed());
        }
        read_exactly(from, header, 1).await?;
    }
    Ok(())
}

async fn read_exactly<R: AsyncRead + Unpin>(
    from: &mut R,
    header: &mut Vec<u8>,
    bytes: usize,
) -> io::Result<()> {
    let begin = header.len();
    header.resize(begin + bytes, 0);
    let room = header.get_mut(begin..).unwrap_or_default();
    from.read_exact(room).await.map(drop)
}

/// Reads a whole header; `None` for what is none, or says nothing that can be used.
#[must_use]
pub fn parse(header: &[u8]) -> Option<Said> {
    if header.starts_with(&SIGNATURE) {
        parse_v2(header)
    } else {
        parse_v1(header)
    }
}

/// `PROXY TCP4 192.0.2.1 192.0.2.2 56324 443` and a line end. `UNKNOWN` names no client: nobody could be judged by it.
fn parse_v1(header: &[u8]) -> Option<Said> {
    if header.len() > V1_BYTES_MAX {
        return None;
    }
    let line = std::str::from_utf8(header.strip_suffix(b"\r\n")?).ok()?;
    let mut words = line.strip_prefix("PROXY ")?.split(' ');
    let mut next = || words.next();
    let (family, source, destination) = (next()?, next()?, next()?);
    let (source_port, destination_port) = (port(next()?)?, port(next()?)?);
    if next().is_some() {
        return None;
    }
    let address: fn(&str) -> Option<IpAddr> = match family {
        "TCP4" => |text| text.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
        "TCP6" => |text| text.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
        _ => return None,
    };
    address(destination)?;
    let _port = destination_port;
    client(address(source)?, source_port)
}

/// Decimal without leading zeros.
fn port(text: &str) -> Option<u16> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit())
        && (text.len() == 1 || !text.starts_with('0'));
    is_plain.then(|| text.parse().ok()).flatten()
}

fn parse_v2(header: &[u8]) -> Option<Said> {
    let (head, body) = header.split_at_checked(V2_HEAD_BYTES)?;
    if header.len() > V2_BYTES_MAX || v2_length(head)? != body.len() {
        return None;
    }
    let version_and_command = *head.get(SIGNATURE.len())?;
    let family = *head.get(SIGNATURE.len() + 1)?;
    match (version_and_command, family) {
        (0x20, _) => Some(Said::Local),
        (0x21, TCP4) => {
            let (addresses, rest) = body.split_at_checked(12)?;
            let source: [u8; 4] = addresses.get(..4)?.try_into().ok()?;
            tlvs_are_whole(rest)?;
            client(Ipv4Addr::from(source).into(), port_at(addresses, 8)?)
        }
        (0x21, TCP6) => {
            let (addresses, rest) = body.split_at_checked(36)?;
            let source: [u8; 16] = addresses.get(..16)?.try_into().ok()?;
            tlvs_are_whole(rest)?;
            client(Ipv6Addr::from(source).into(), port_at(addresses, 32)?)
        }
        _ => None,
    }
}

fn v2_length(head: &[u8]) -> Option<usize> {
    let length = head.get(V2_HEAD_BYTES - 2..V2_HEAD_BYTES)?;
    Some(usize::from(u16::from_be_bytes(length.try_into().ok()?)))
}

fn port_at(addresses: &[u8], at: usize) -> Option<u16> {
    let bytes = addresses.get(at..at + 2)?;
    Some(u16::from_be_bytes(bytes.try_into().ok()?))
}

/// Extensions: a type, a length of two bytes, and so many bytes, until the end.
fn tlvs_are_whole(mut rest: &[u8]) -> Option<()> {
    while !rest.is_empty() {
        let (head, after) = rest.split_at_checked(3)?;
        let length = u16::from_be_bytes(head.get(1..)?.try_into().ok()?);
        rest = after.get(usize::from(length)..)?;
    }
    Some(())
}

/// An address that somebody can have.
fn client(address: IpAddr, port: u16) -> Option<Said> {
    let is_somebody = !address.is_unspecified() && !address.to_canonical().is_multicast();
    is_somebody.then(|| Said::Client(SocketAddr::new(address, port)))
}

const V1_BEGIN: &[u8] = b"PROXY ";
/// The longest line of version 1, with its end.
const V1_BYTES_MAX: usize = 107;
const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// Signature, version and command, family, length.
const V2_HEAD_BYTES: usize = 16;
/// What the shortest path that IPv4 allows carries in one piece (576 less two headers of 20). More is only room for a slow sender.
const V2_BYTES_MAX: usize = 536;
const TCP4: u8 = 0x11;
const TCP6: u8 = 0x21;

#[cfg(test)]
mod tests {
    use super::*;

    fn v2(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
        let length = u16::try_from(body.len()).unwrap().to_be_bytes();
        [&SIGNATURE[..], &[command, family], &length, body].concat()
    }

    fn four(more: &[u8]) -> Vec<u8> {
        [&[192, 0, 2, 1, 192, 0, 2, 2, 0xdc, 0x04, 1, 0xbb], more].concat()
    }

    #[test]
    fn a_client_is_where_its_balancer_says() {
        let six = [&[0x20; 16][..], &[0x20; 16], &[0xdc, 0x04, 1, 0xbb]].concat();
        let tlv = four(&[4, 0, 2, 9, 9, 3, 0, 0]);
        for (header, at) in [
            (
                b"PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\n".to_vec(),
                "192.0.2.1:56324",
            ),
            (
                b"PROXY TCP6 2001:db8::1 ::1 1 443\r\n".to_vec(),
                "[2001:db8::1]:1",
            ),
            (v2(0x21, TCP4, &four(&[])), "192.0.2.1:56324"),
            (v2(0x21, TCP4, &tlv), "192.0.2.1:56324"),
            (
                v2(0x21, TCP6, &six),
                "[2020:2020:2020:2020:2020:2020:2020:2020]:56324",
            ),
        ] {
            assert_eq!(parse(&header), Some(Said::Client(at.parse().unwrap())));
        }
        assert_eq!(parse(&v2(0x20, 0, &[])), Some(Said::Local));
        assert_eq!(parse(&v2(0x20, TCP4, &four(&[]))), Some(Said::Local));
    }

    #[test]
    #[rustfmt::skip]
    fn what_is_no_header_is_refused() {
        for header in [
            &b""[..], b"GET / HTTP/1.1\r\n", b"PROXY UNKNOWN\r\n", b"PROXY UNKNOWN 1 2 3 4\r\n",
            b"PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\n", b"PROXY TCP4 192.0.2.1 192.0.2.2 56324 443",
            b"PROXY TCP4 192.0.2.1 192.0.2.2 56324\r\n", b"PROXY TCP4 192.0.2.1 192.0.2.2 56324 443 1\r\n",
            b"PROXY TCP4  192.0.2.1 192.0.2.2 56324 443\r\n", b"PROXY TCP4 192.0.2.1 192.0.2.2 056324 443\r\n",
            b"PROXY TCP4 192.0.2.1 192.0.2.2 65536 443\r\n", b"PROXY TCP4 192.0.2.1 192.0.2.2 +1 443\r\n",
            b"PROXY TCP4 192.0.2.1 192.0.2.2  443\r\n", b"PROXY TCP4 ::1 ::1 1 443\r\n", b"PROXY TCP6 192.0.2.1 ::1 1 443\r\n",
            b"PROXY TCP4 192.0.2.01 192.0.2.2 1 443\r\n", b"PROXY TCP4 0.0.0.0 192.0.2.2 1 443\r\n",
            b"PROXY UDP4 192.0.2.1 192.0.2.2 1 443\r\n", b"proxy TCP4 192.0.2.1 192.0.2.2 1 443\r\n",
            b"PROXY TCP4 192.0.2.1 192.0.2.2 1 443\r\nX", b"PROXY TCP4 224.0.0.1 192.0.2.2 1 443\r\n",
        ] {
            assert_eq!(parse(header), None, "{}", header.escape_ascii());
        }
        for (header, why) in [
            (v2(0x11, TCP4, &four(&[])), "version 1 in the form of version 2"),
            (v2(0x22, TCP4, &four(&[])), "an unknown command"),
            (v2(0x21, 0x12, &four(&[])), "datagrams"),
            (v2(0x21, 0, &[]), "no family"),
            (v2(0x21, 0x31, &[0; 216]), "a Unix socket"),
            (v2(0x21, TCP4, &[0; 11]), "half an address"),
            (v2(0x21, TCP4, &four(&[1, 0])), "half an extension"),
            (v2(0x21, TCP4, &four(&[1, 0, 2, 9])), "an extension over the end"),
            (v2(0x21, TCP4, &four(&[&[1, 2, 0][..], &[0; 512]].concat())), "too long"),
            ([v2(0x21, TCP4, &four(&[])), vec![0]].concat(), "a byte behind"),
        ] {
            assert_eq!(parse(&header), None, "{why}");
        }
    }

    #[tokio::test]
    async fn not_a_byte_behind_the_header_is_taken() {
        for header in [
            b"PROXY TCP4 192.0.2.1 192.0.2.2 1 443\r\n".to_vec(),
            v2(0x21, TCP4, &four(&[])),
        ] {
            let bytes = [&header[..], b"hello"].concat();
            let mut from = bytes.as_slice();
            assert!(read_header(&mut from, Duration::from_secs(1)).await.is_ok());
            assert_eq!(from, b"hello");
        }
        let endless = [&b"PROXY TCP4 "[..], &[b'1'; 1_000]].concat();
        let mut from = endless.as_slice();
        assert_eq!(
            read_header(&mut from, Duration::from_secs(1)).await,
            Err(Denial::ProxyMalformed)
        );
        assert_eq!(from.len(), endless.len() - V1_BYTES_MAX);
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..600)) {
            let _said = parse(&bytes);
            let _said = parse(&[&SIGNATURE[..], &bytes].concat());
        }
    }
}
