//! The path of a request.

use hangu_gateway::denial::Denial;
use hangu_gateway::layers::edge::canonical::{PATH_BYTES_MAX, canonical_path, check_query};

/// The canonical form is a fixed point, has one reading, and can be sent as it stands.
///
/// # Panics
/// When it is not.
pub fn canonicalise(bytes: &[u8]) {
    if check_query(bytes).is_ok() {
        assert!(
            bytes.iter().all(u8::is_ascii_graphic),
            "a query with bytes that end a request line"
        );
    }
    let canonical = match canonical_path(bytes) {
        Ok(canonical) => canonical,
        Err(denial) => {
            let is_long = bytes.len() > PATH_BYTES_MAX;
            assert_eq!(
                denial,
                if is_long {
                    Denial::PathTooLong
                } else {
                    Denial::PathAmbiguous
                }
            );
            return;
        }
    };
    let (sent, judged) = (canonical.as_sent(), canonical.as_judged());
    let again = canonical_path(sent.as_bytes());
    assert_eq!(
        again
            .as_ref()
            .map(|again| (again.as_sent(), again.as_judged())),
        Ok((sent, judged)),
        "the canonical form is not a fixed point"
    );
    assert!(
        sent.bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b'?' && byte != b'#'),
        "it cannot be sent: {sent:?}"
    );
    assert!(sent.len() <= bytes.len(), "it grew");
    assert!(
        !judged.chars().any(char::is_control),
        "control characters are judged: {judged:?}"
    );
    assert_eq!(
        sent.matches('/').count(),
        judged.matches('/').count(),
        "a slash is hidden: {sent:?}"
    );
    let undone = judged.replace("%2F", "/");
    assert!(
        undone == judged || canonical.has_encoded_slash(),
        "an encoded slash is not told: {judged:?}"
    );
    assert!(
        !undone
            .split('/')
            .any(|segment| matches!(segment, "." | "..")),
        "a dot segment is hidden behind an encoded slash: {judged:?}"
    );
    let mut segments = judged.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        assert!(
            !matches!(segment, "." | ".."),
            "a dot segment is left: {judged:?}"
        );
        assert!(
            !segment.is_empty() || segments.peek().is_none(),
            "an empty segment is left: {judged:?}"
        );
    }
}
