//! One GET of a file that somebody else signed: bounded in bytes and in time, no redirects, nothing kept.
//!
//! HTTP/1.0 on purpose: its answer is a head and then bytes to the end, with no chunks and no second answer.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::config::CrlUrl;

/// What an answer says to ask with next time (RFC 9110 section 13.1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Validators {
    pub(super) etag: Option<String>,
    pub(super) last_modified: Option<String>,
}

/// What came of it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fetched {
    /// What we have is current.
    Unchanged,
    /// The file.
    New(Vec<u8>, Validators),
}

/// Why there is no file.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    #[error("it did not come within {} s", .0.as_secs())]
    Late(Duration),
    #[error("{0}")]
    Io(#[from] std::io::Error),
    #[error("the answer is not HTTP")]
    NotHttp,
    #[error("the answer has status {0}; redirects are not followed")]
    Status(u16),
    #[error("it is larger than {0} bytes; raise `size_max` of `[crl_fetch]` if it should be")]
    TooLarge(usize),
    #[error("it broke off: {read} of {length} bytes came")]
    Cut { read: usize, length: usize },
}

/// Fetches a file, unless the server says that it is what `known` speaks of.
pub(super) async fn get(
    url: &CrlUrl,
    known: &Validators,
    bytes_max: usize,
    within: Duration,
) -> Result<Fetched, FetchError> {
    match timeout(within, exchange(url, known, bytes_max)).await {
        Ok(answer) => read(&answer?, bytes_max),
        Err(_) => Err(FetchError::Late(within)),
    }
}

async fn exchange(
    url: &CrlUrl,
    known: &Validators,
    bytes_max: usize,
) -> Result<Vec<u8>, FetchError> {
    let mut request = format!(
        "GET {} HTTP/1.0\r\nHost: {}\r\nAccept: application/pkix-crl\r\nUser-Agent: hangu\r\nConnection: close\r\n",
        url.target(),
        url.server()
    );
    for (name, value) in [
        ("If-None-Match", &known.etag),
        ("If-Modified-Since", &known.last_modified),
    ] {
        if let Some(value) = value {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
    }
    request.push_str("\r\n");
    let mut stream = TcpStream::connect(url.server()).await?;
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    // One byte more than may come, to tell too much from just enough.
    let most = u64::try_from(bytes_max + HEAD_BYTES_MAX + 1).unwrap_or(u64::MAX);
    let mut stream = stream.take(most);
    let mut end = None;
    // A server that keeps the connection open all the same is not waited for.
    while end.is_none_or(|end| answer.len() < end) && stream.read_buf(&mut answer).await? > 0 {
        end = end.or_else(|| end_of(&answer));
    }
    Ok(answer)
}

/// Where the answer ends by its own word, once its head is whole.
fn end_of(answer: &[u8]) -> Option<usize> {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
    let mut head = httparse::Response::new(&mut fields);
    let httparse::Status::Complete(start) = head.parse(answer).ok()? else {
        return None;
    };
    if head.code == Some(304) {
        return Some(start);
    }
    let length = head
        .headers
        .iter()
        .find(|field| field.name.eq_ignore_ascii_case("content-length"))?;
    let length: usize = std::str::from_utf8(length.value).ok()?.parse().ok()?;
    start.checked_add(length)
}

fn read(answer: &[u8], bytes_max: usize) -> Result<Fetched, FetchError> {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
    let mut head = httparse::Response::new(&mut fields);
    let body = match head.parse(answer) {
        Ok(httparse::Status::Complete(length)) if length <= HEAD_BYTES_MAX => answer.get(length..),
        Ok(_) | Err(_) => None,
    };
    let (Some(body), Some(status)) = (body, head.code) else {
        return Err(FetchError::NotHttp);
    };
    let field = |name: &str| {
        let field = head
            .headers
            .iter()
            .find(|field| field.name.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(field.value).ok()
    };
    match status {
        200 => {}
        304 => return Ok(Fetched::Unchanged),
        other => return Err(FetchError::Status(other)),
    }
    if field("transfer-encoding").is_some() {
        return Err(FetchError::NotHttp);
    }
    if body.len() > bytes_max {
        return Err(FetchError::TooLarge(bytes_max));
    }
    if let Some(length) = field("content-length") {
        let length: usize = length.parse().map_err(|_| FetchError::NotHttp)?;
        if length > bytes_max {
            return Err(FetchError::TooLarge(bytes_max));
        }
        if body.len() != length {
            let read = body.len();
            return Err(FetchError::Cut { read, length });
        }
    }
    let validator = |name| {
        let is_plain = |value: &&str| {
            value.len() <= VALIDATOR_BYTES_MAX
                && value.bytes().all(|byte| (b' '..=b'~').contains(&byte))
        };
        field(name).filter(is_plain).map(str::to_owned)
    };
    let validators = Validators {
        etag: validator("etag"),
        last_modified: validator("last-modified"),
    };
    Ok(Fetched::New(body.to_vec(), validators))
}

const HEAD_BYTES_MAX: usize = 16 * 1024;
const FIELDS_MAX: usize = 64;
const VALIDATOR_BYTES_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_whole_or_refused() {
        let good = |answer: &str| match read(answer.as_bytes(), 4).unwrap() {
            Fetched::New(bytes, validators) => (bytes, validators.etag),
            Fetched::Unchanged => panic!("unchanged"),
        };
        let etag = Some("\"1\"".to_owned());
        assert_eq!(
            good("HTTP/1.0 200 OK\r\nETag: \"1\"\r\n\r\nlist"),
            (b"list".to_vec(), etag)
        );
        assert_eq!(
            good("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nlist").0,
            b"list"
        );
        for (answer, why) in [
            ("", "not HTTP"),
            ("HTTP/1.0 200 OK\r\n", "not HTTP"),
            ("list", "not HTTP"),
            (
                "HTTP/1.0 302 Found\r\nLocation: http://x/\r\n\r\n",
                "status 302",
            ),
            ("HTTP/1.0 200 OK\r\n\r\nlists", "larger"),
            ("HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nlist", "larger"),
            ("HTTP/1.0 200 OK\r\nContent-Length: 4\r\n\r\nlis", "3 of 4"),
            (
                "HTTP/1.0 200 OK\r\nContent-Length: x\r\n\r\nlist",
                "not HTTP",
            ),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n",
                "not HTTP",
            ),
        ] {
            let said = read(answer.as_bytes(), 4).unwrap_err().to_string();
            assert!(said.contains(why), "{answer:?}: {said}");
        }
        let unchanged = read(b"HTTP/1.1 304 Not Modified\r\n\r\n", 4).unwrap();
        assert_eq!(unchanged, Fetched::Unchanged);
    }
}
