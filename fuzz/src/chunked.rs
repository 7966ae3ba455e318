//! A chunked body of HTTP/1.1.

use hangu_gateway::layers::edge::chunked::Chunked;

/// However the bytes are cut, they are read alike; and a body that is accepted ends where a lenient parser lets it end, with the
/// same data.
///
/// # Panics
/// When one of these does not hold.
pub fn chunked_body(bytes: &[u8]) {
    let whole = read(bytes, bytes.len().max(1));
    assert_eq!(
        whole,
        read(bytes, 1),
        "the answer depends on how the bytes are cut"
    );
    let Some(end) = whole.flatten() else { return };
    let followed = [bytes.get(..end).unwrap_or_default(), b"GET / HTTP/1.1\r\n"].concat();
    assert_eq!(
        read(&followed, followed.len()),
        Some(Some(end)),
        "what follows changes where it ends"
    );
    assert_eq!(
        leniently(bytes),
        Some(end),
        "another parser lets it end elsewhere"
    );
}

/// Where the body ends; `None`: it is broken, `Some(None)`: it has not ended.
fn read(bytes: &[u8], size: usize) -> Option<Option<usize>> {
    let mut chunked = Chunked::new();
    let mut end = 0;
    for part in bytes.chunks(size) {
        end += chunked.read(part).ok()?;
        if chunked.is_done() {
            return Some(Some(end));
        }
    }
    Some(None)
}

/// Where the body ends for a parser that forgives.
fn leniently(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        let rest = bytes.get(at..)?;
        let Ok(httparse::Status::Complete((head, size))) = httparse::parse_chunk_size(rest) else {
            return None;
        };
        at += head;
        if size == 0 {
            break;
        }
        at = at.checked_add(usize::try_from(size).ok()?)?;
        if bytes.get(at..at + 2)? != b"\r\n" {
            return None;
        }
        at += 2;
    }
    let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
    match httparse::parse_headers(bytes.get(at..)?, &mut fields) {
        Ok(httparse::Status::Complete((end, _))) => Some(at + end),
        Ok(httparse::Status::Partial) | Err(_) => None,
    }
}

/// As many as the bound of a trailer section holds.
const FIELDS_MAX: usize = 4_096;
