//! The head of an HTTP/1 request.

use hangu_gateway::layers::edge::head::{HeadLimits, check_head, head_end};

/// What the strict reading accepts, a lenient parser reads to the same end and with the same fields, and the length of
/// the message has one source.
///
/// # Panics
/// When it does not.
pub fn request_head(bytes: &[u8]) {
    if let Some(end) = head_end(bytes, 0) {
        assert!(
            bytes
                .get(..end)
                .is_some_and(|head| head.ends_with(b"\r\n\r\n")),
            "the end is not at a blank line"
        );
    }
    if check_head(bytes, LIMITS).is_err() {
        return;
    }
    assert!(bytes.len() <= LIMITS.bytes_max, "larger than its bound");
    assert_eq!(
        head_end(bytes, 0),
        Some(bytes.len()),
        "something follows the blank line"
    );
    let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
    let mut request = httparse::Request::new(&mut fields);
    let parsed = request.parse(bytes);
    assert_eq!(
        parsed,
        Ok(httparse::Status::Complete(bytes.len())),
        "another parser reads it differently"
    );
    assert_eq!(
        request.headers.len(),
        field_lines(bytes),
        "another parser sees other fields"
    );
    let count = |name: &str| {
        request
            .headers
            .iter()
            .filter(|field| field.name.eq_ignore_ascii_case(name))
            .count()
    };
    assert_eq!(count("host"), 1, "not one Host");
    assert!(
        count("content-length") + count("transfer-encoding") <= 1,
        "the length of the message has two sources"
    );
}

/// Lines between the request line and the blank line.
fn field_lines(head: &[u8]) -> usize {
    head.windows(2)
        .filter(|pair| pair == b"\r\n")
        .count()
        .saturating_sub(2)
}

const FIELDS_MAX: usize = 100;
const LIMITS: HeadLimits = HeadLimits {
    bytes_max: 32 * 1024,
    fields_max: FIELDS_MAX,
};
