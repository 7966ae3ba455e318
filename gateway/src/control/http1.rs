//! One HTTP/1.1 request and its answer on one connection: enough for a command line and for `curl --unix-socket`.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::call::{Call, Refused, Reply};
use crate::layers::edge::head::{Body, HeadLimits, check_head, head_end};

/// Reads a whole request; `None` when the peer closed before it sent one.
///
/// # Errors
/// What is wrong with it, as the caller shall hear it.
pub(crate) async fn read<S: AsyncRead + Unpin>(stream: &mut S) -> Result<Option<Call>, Refused> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = head_end(&bytes, 0) {
            break end;
        }
        if bytes.len() > LIMITS.bytes_max {
            return Err(Refused::new(431, "the head is too large"));
        }
        if read_some(stream, &mut bytes).await? == 0 {
            if bytes.is_empty() {
                return Ok(None);
            }
            return Err(Refused::new(400, "the request ends in its head"));
        }
    };
    let head = bytes.get(..end).unwrap_or_default();
    let body = check_head(head, LIMITS).map_err(|denial| {
        Refused::new(
            denial.status(),
            format!("the head is not HTTP/1.1: {}", denial.code()),
        )
    })?;
    let (method, path, query) = request_line(head)?;
    let length = match body {
        Body::Fixed(length) if length <= BODY_BYTES_MAX => usize::try_from(length).unwrap_or(0),
        Body::Fixed(_) => {
            return Err(Refused::new(
                413,
                format!("the body has more than {BODY_BYTES_MAX} bytes"),
            ));
        }
        Body::Chunked | Body::Tunnel => {
            return Err(Refused::new(411, "send the body with a Content-Length"));
        }
    };
    let mut body = bytes.split_off(end);
    while body.len() < length {
        if read_some(stream, &mut body).await? == 0 {
            return Err(Refused::new(400, "the request ends in its body"));
        }
    }
    body.truncate(length);
    Ok(Some(Call {
        method,
        path,
        query,
        body,
    }))
}

/// Writes the answer and says that nothing follows.
///
/// # Errors
/// What the system says.
pub(super) async fn write<S: AsyncWrite + Unpin>(stream: &mut S, reply: &Reply) -> io::Result<()> {
    let mut body = serde_json::to_vec(&reply.body)?;
    body.push(b'\n');
    let head = format!(
        "HTTP/1.1 {} {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        reply.status,
        title(reply.status),
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(&body).await?;
    stream.shutdown().await
}

async fn read_some<S: AsyncRead + Unpin>(
    stream: &mut S,
    bytes: &mut Vec<u8>,
) -> Result<usize, Refused> {
    let mut chunk = [0; READ_BYTES];
    let read = stream
        .read(&mut chunk)
        .await
        .map_err(|error| Refused::new(400, format!("the request broke off: {error}")))?;
    bytes.extend_from_slice(chunk.get(..read).unwrap_or_default());
    Ok(read)
}

type RequestLine = (String, String, Vec<(String, String)>);

/// Method, path and query of a head that `check_head` has judged.
fn request_line(head: &[u8]) -> Result<RequestLine, Refused> {
    let malformed = || Refused::new(400, "the request target is malformed");
    let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let line = str::from_utf8(line).map_err(|_| malformed())?;
    let mut words = line.split(' ');
    let (Some(method), Some(target)) = (words.next(), words.next()) else {
        return Err(malformed());
    };
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let pairs = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Some((decoded(name)?, decoded(value)?))
        });
    let query = pairs.collect::<Option<Vec<_>>>().ok_or_else(malformed)?;
    Ok((method.to_owned(), path.to_owned(), query))
}

/// Percent-decoding (RFC 3986 section 2.1); `None` for what is no UTF-8 or no two hexadecimal digits.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut out = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
        let (high, low) = (digit(bytes.next())?, digit(bytes.next())?);
        out.push(u8::try_from(high * 16 + low).ok()?);
    }
    String::from_utf8(out).ok()
}

fn title(status: u16) -> &'static str {
    match status {
        200 => "OK",
        400 => "Bad Request",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        409 => "Conflict",
        411 => "Length Required",
        413 => "Content Too Large",
        431 => "Request Header Fields Too Large",
        503 => "Service Unavailable",
        _ => "Error",
    }
}

const LIMITS: HeadLimits = HeadLimits {
    bytes_max: 8 * 1024,
    fields_max: 64,
};
/// Of one request.
pub(super) const BODY_BYTES_MAX: u64 = 64 * 1024;
const READ_BYTES: usize = 4 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    async fn read_bytes(bytes: &[u8]) -> Result<Option<Call>, u16> {
        let mut bytes = bytes;
        read(&mut bytes).await.map_err(|refused| refused.status)
    }

    #[tokio::test]
    async fn a_request_is_read_with_its_query_and_body() {
        let bytes = b"POST /v1/a?subject=spiffe%3A%2F%2Fgov&all HTTP/1.1\r\nHost: hangu\r\nContent-Length: 2\r\n\r\n{}";
        let call = read_bytes(bytes).await.unwrap().unwrap();
        assert_eq!(
            (call.method.as_str(), call.path.as_str()),
            ("POST", "/v1/a")
        );
        assert_eq!(call.parameter("subject"), Some("spiffe://gov"));
        assert_eq!(call.parameter("all"), Some(""));
        assert_eq!(call.body, b"{}");
        assert!(read_bytes(b"").await.unwrap().is_none());
    }

    #[tokio::test]
    async fn what_is_not_one_bounded_request_is_refused() {
        let long = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(9000));
        for (bytes, status) in [
            ("GET / HTTP/1.1\r\nHost: a\r\n", 400),
            ("GET / HTTP/1.1\r\n\r\n", 400),
            ("GET /?a=%g0 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
            ("GET /?a=%ff HTTP/1.1\r\nHost: a\r\n\r\n", 400),
            (
                "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n{}",
                400,
            ),
            (
                "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999\r\n\r\n{}",
                413,
            ),
            (
                "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                411,
            ),
            (long.as_str(), 431),
        ] {
            let read = read_bytes(bytes.as_bytes()).await;
            assert_eq!(read.map(drop), Err(status), "{bytes}");
        }
    }
}
