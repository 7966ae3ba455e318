//! The one canonical form of a request path, computed once.
//!
//! Authorisation is worth as much as the agreement between what was judged and what the upstream sees. A path that two
//! parsers could read differently (dot segments, an encoded slash, a backslash, `;` parameters, empty segments, NUL,
//! bad UTF-8, double encoding) is refused, not repaired. What is left has one spelling (RFC 3986 section 6.2.2:
//! upper-case escapes, and only where a path cannot hold the character itself): that spelling is judged and forwarded,
//! byte for byte.

use std::borrow::Cow;

use icu_normalizer::ComposingNormalizerBorrowed;

use crate::denial::Denial;

/// Longest path, and longest query, that is taken, in bytes.
pub const PATH_BYTES_MAX: usize = 8 * 1024;

/// A path with one reading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CanonicalPath<'a> {
    encoded: Cow<'a, str>,
    decoded: Option<String>,
    has_encoded_slash: bool,
}

impl CanonicalPath<'_> {
    /// The spelling that goes to the upstream.
    #[must_use]
    pub fn as_sent(&self) -> &str {
        &self.encoded
    }

    /// Whether a segment holds `%2F`, which only a route whose profile keeps it may take.
    #[must_use]
    pub fn has_encoded_slash(&self) -> bool {
        self.has_encoded_slash
    }

    /// The characters that the policy sees: the same path with its escapes undone, but for `%2F`, which stays as it is: a slash
    /// inside a segment is not one between two.
    #[must_use]
    pub fn as_judged(&self) -> &str {
        self.decoded.as_deref().unwrap_or(&self.encoded)
    }
}

/// Gives the canonical form of `path` (origin-form without the query), or refuses it. Allocates only where an escape stands.
///
/// # Errors
/// [`Denial::PathAmbiguous`] or [`Denial::PathTooLong`].
pub fn canonical_path(path: &[u8]) -> Result<CanonicalPath<'_>, Denial> {
    if path.len() > PATH_BYTES_MAX {
        return Err(Denial::PathTooLong);
    }
    if path.first() != Some(&b'/') {
        return Err(Denial::PathAmbiguous);
    }
    let canonical = if path.contains(&b'%') {
        without_needless_escapes(path)?
    } else {
        plain(path)?
    };
    check_segments(canonical.as_judged())?;
    if canonical.has_encoded_slash {
        // Whoever undoes it must find neither a dot segment nor an empty one, not even the last: many servers drop that one, and
        // would serve another name than the one that was judged.
        if canonical.as_judged().ends_with(ENCODED_SLASH) {
            return Err(Denial::PathAmbiguous);
        }
        check_segments(&canonical.as_judged().replace(ENCODED_SLASH, "/"))?;
    }
    Ok(canonical)
}

/// Checks a query: bounded, visible ASCII, no fragment. It is forwarded untouched.
///
/// # Errors
/// [`Denial::PathAmbiguous`] or [`Denial::PathTooLong`].
pub fn check_query(query: &[u8]) -> Result<(), Denial> {
    if query.len() > PATH_BYTES_MAX {
        return Err(Denial::PathTooLong);
    }
    let clean = query
        .iter()
        .all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'#' | b'\\'));
    if clean {
        Ok(())
    } else {
        Err(Denial::PathAmbiguous)
    }
}

fn plain(path: &[u8]) -> Result<CanonicalPath<'_>, Denial> {
    if !path.iter().all(|byte| is_plain(*byte)) {
        return Err(Denial::PathAmbiguous);
    }
    let encoded = std::str::from_utf8(path).map_err(|_| Denial::PathAmbiguous)?;
    Ok(CanonicalPath {
        encoded: Cow::Borrowed(encoded),
        decoded: None,
        has_encoded_slash: false,
    })
}

fn without_needless_escapes(path: &[u8]) -> Result<CanonicalPath<'_>, Denial> {
    let mut encoded = String::with_capacity(path.len());
    let mut decoded = Vec::with_capacity(path.len());
    let mut rest = path.iter();
    let mut has_encoded_slash = false;
    while let Some(byte) = rest.next() {
        if *byte != b'%' {
            if !is_plain(*byte) {
                return Err(Denial::PathAmbiguous);
            }
            encoded.push(char::from(*byte));
            decoded.push(*byte);
            continue;
        }
        let value = escape_value(rest.next(), rest.next()).ok_or(Denial::PathAmbiguous)?;
        if value == b'/' {
            has_encoded_slash = true;
            encoded.push_str(ENCODED_SLASH);
            decoded.extend_from_slice(ENCODED_SLASH.as_bytes());
            continue;
        }
        if is_unsafe_when_escaped(value) {
            return Err(Denial::PathAmbiguous);
        }
        if is_plain(value) {
            encoded.push(char::from(value));
        } else {
            push_escape(&mut encoded, value);
        }
        decoded.push(value);
    }
    let decoded = String::from_utf8(decoded).map_err(|_| Denial::PathAmbiguous)?;
    if has_other_spelling(&decoded) {
        return Err(Denial::PathAmbiguous);
    }
    Ok(CanonicalPath {
        encoded: Cow::Owned(encoded),
        decoded: Some(decoded),
        has_encoded_slash,
    })
}

/// No empty segment but the last, no dot segment, no segment that some systems read as one (`...`, `a.`).
fn check_segments(path: &str) -> Result<(), Denial> {
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        let empty_inside = segment.is_empty() && !last;
        if empty_inside || segment.ends_with('.') || segment.ends_with(' ') {
            return Err(Denial::PathAmbiguous);
        }
    }
    Ok(())
}

/// RFC 3986 section 3.3 `pchar` and `/`, less `;` (path parameters are read by some servers and not by others).
fn is_plain(byte: u8) -> bool {
    is_unreserved(byte)
        || matches!(
            byte,
            b'/' | b'!'
                | b'$'
                | b'&'
                | b'\''
                | b'('
                | b')'
                | b'*'
                | b'+'
                | b','
                | b'='
                | b':'
                | b'@'
        )
}

/// RFC 3986 section 2.3.
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// A percent sign is never left otherwise, so this means one thing.
const ENCODED_SLASH: &str = "%2F";

/// Escapes that change a path's structure once somebody undoes them: control characters, `\`, `%`, `;`, `?`, `#`.
fn is_unsafe_when_escaped(value: u8) -> bool {
    value.is_ascii_control() || matches!(value, b'\\' | b'%' | b';' | b'?' | b'#')
}

/// Whether a text could be read as another one, or shows less than it holds.
fn has_other_spelling(text: &str) -> bool {
    !text.is_ascii() && (!NFKC.is_normalized(text) || text.chars().any(is_lookalike))
}

/// The form of Unicode that has one spelling for what looks or counts alike (UAX #15): full-width and half-width letters, composed
/// and decomposed ones, U+FE30 that stands for two dots, U+2100 that holds a slash.
const NFKC: ComposingNormalizerBorrowed<'static> = ComposingNormalizerBorrowed::new_nfkc();

/// A character that normalisation replaces, for one that a path may hold or not, a combining mark (a decomposed spelling of another
/// path), a slash of another script, an invisible one.
pub(crate) fn is_lookalike(c: char) -> bool {
    matches!(c,
        '\u{0080}'..='\u{009F}'
        | '\u{00AD}'
        | '\u{0300}'..='\u{036F}'
        | '\u{1160}'
        | '\u{200B}'..='\u{200F}'
        | '\u{2028}'..='\u{202E}'
        | '\u{2044}'
        | '\u{2060}'..='\u{206F}'
        | '\u{20D0}'..='\u{20FF}'
        | '\u{2215}' | '\u{2216}' | '\u{29F5}' | '\u{29F8}' | '\u{29F9}'
        | '\u{3099}' | '\u{309A}'
        | '\u{FE00}'..='\u{FE0F}'
        | '\u{FE20}'..='\u{FE2F}'
        | '\u{FEFF}'
        | '\u{FFF0}'..='\u{FFFF}'
        | '\u{E0000}'..='\u{E0FFF}')
        || !NFKC.is_normalized(c.encode_utf8(&mut [0; 4]))
}

fn escape_value(high: Option<&u8>, low: Option<&u8>) -> Option<u8> {
    let digit = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
    let value = digit(high)? * 16 + digit(low)?;
    u8::try_from(value).ok()
}

fn push_escape(out: &mut String, value: u8) {
    const DIGITS: [char; 16] = [
        '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F',
    ];
    out.push('%');
    for nibble in [value >> 4, value & 15] {
        if let Some(digit) = DIGITS.get(usize::from(nibble)) {
            out.push(*digit);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn paths_that_two_parsers_read_differently_are_refused() {
        for (path, why) in [
            ("", "empty"),
            ("a", "no leading slash"),
            ("*", "asterisk-form"),
            ("/a/../b", "dot segment"),
            ("/a/./b", "dot segment"),
            ("/..", "dot segment at the end"),
            ("/a/%2e%2e/b", "encoded dot segment"),
            ("/a/.%2E/b", "half-encoded dot segment"),
            ("/a/..;/b", "dot segment with a parameter"),
            ("/a%2f%2fb", "empty segment behind an encoded slash"),
            ("/a/%2fb", "empty segment in front of an encoded slash"),
            ("/a%2f", "empty segment at the end, behind an encoded slash"),
            ("/a%2f..%2fb", "dot segment between encoded slashes"),
            ("/a%2f%2e%2e/b", "dot segment behind an encoded slash"),
            ("/..%2fb", "dot segment in front of an encoded slash"),
            ("/a\\b", "backslash"),
            ("/a%5cb", "encoded backslash"),
            ("/a;v=1/b", "parameter"),
            ("/a%3bv/b", "encoded parameter"),
            ("//a", "empty segment"),
            ("/a//b", "empty segment"),
            ("/a%00", "NUL"),
            ("/a\0", "raw NUL"),
            ("/a%0d%0aX: y", "encoded line break"),
            ("/a%7f", "encoded DEL"),
            ("/a b", "space"),
            ("/a%20", "trailing space"),
            ("/a%", "cut escape"),
            ("/a%2", "cut escape"),
            ("/a%zz", "no hexadecimal"),
            ("/a%252e", "double encoding"),
            ("/a%3Fb", "encoded question mark"),
            ("/a%23b", "encoded hash"),
            ("/a%c0%af", "overlong UTF-8"),
            ("/a%ff", "bad UTF-8"),
            ("/a%ed%a0%80", "surrogate"),
            ("/a%ef%bc%8fb", "full-width slash"),
            ("/a%e2%80%a6", "ellipsis"),
            ("/e%cc%81", "decomposed letter"),
            ("/%e1%84%80%e1%85%a1", "decomposed syllable"),
            ("/a/%ef%b8%b0/b", "two dots in one character"),
            ("/a%e2%84%80b", "a slash in one character"),
            ("/%e2%84%aa", "Kelvin sign for K"),
            ("/%ef%a4%80", "compatibility ideograph"),
            ("/%ef%bd%b6", "half-width kana"),
            ("/a%e2%80%8b", "zero-width space"),
            ("/a./b", "trailing dot"),
            ("/a/...", "three dots"),
            ("/a#b", "fragment"),
            ("/a\"b", "quote"),
            ("/a|b", "bar"),
            ("/\u{8bb0}", "raw non-ASCII"),
        ] {
            assert_eq!(
                canonical_path(path.as_bytes()),
                Err(Denial::PathAmbiguous),
                "{why}: {path:?}"
            );
        }
    }

    #[test]
    fn one_path_has_one_spelling() {
        for (path, sent, judged) in [
            ("/", "/", "/"),
            ("/a/b", "/a/b", "/a/b"),
            ("/a/", "/a/", "/a/"),
            ("/%61/b", "/a/b", "/a/b"),
            ("/a%2d%7Eb", "/a-~b", "/a-~b"),
            ("/a%21%40b", "/a!@b", "/a!@b"),
            ("/%e8%ae%b0", "/%E8%AE%B0", "/\u{8bb0}"),
            ("/a%20b", "/a%20b", "/a b"),
            ("/a:b@c,d=e", "/a:b@c,d=e", "/a:b@c,d=e"),
            ("/.well-known/x", "/.well-known/x", "/.well-known/x"),
        ] {
            let canonical = canonical_path(path.as_bytes()).expect(path);
            assert_eq!(
                (canonical.as_sent(), canonical.as_judged()),
                (sent, judged),
                "{path}"
            );
        }
    }

    #[test]
    fn an_encoded_slash_stays_in_its_segment_and_is_told() {
        for path in ["/a%2fb/c", "/a%2Fb/c"] {
            let canonical = canonical_path(path.as_bytes()).expect(path);
            assert_eq!(
                (canonical.as_sent(), canonical.as_judged()),
                ("/a%2Fb/c", "/a%2Fb/c")
            );
            assert!(canonical.has_encoded_slash());
        }
        assert!(!canonical_path(b"/a%20b").expect("good").has_encoded_slash());
    }

    #[test]
    fn a_path_or_query_over_the_bound_is_too_long() {
        let long = format!("/{}", "a".repeat(PATH_BYTES_MAX));
        assert_eq!(canonical_path(long.as_bytes()), Err(Denial::PathTooLong));
        assert_eq!(check_query(long.as_bytes()), Err(Denial::PathTooLong));
    }

    proptest! {
        #[test]
        fn any_bytes_are_refused_or_canonical(path in proptest::collection::vec(any::<u8>(), 0..64)) {
            if let Ok(canonical) = canonical_path(&path) {
                let again = canonical_path(canonical.as_sent().as_bytes()).expect("canonical stays accepted");
                prop_assert_eq!(again.as_sent(), canonical.as_sent());
                prop_assert_eq!(again.as_judged(), canonical.as_judged());
            }
        }

        #[test]
        fn two_spellings_that_are_sent_alike_are_judged_alike(path in "/[ab%21e!/.]{0,8}", other in "/[ab%21e!/.]{0,8}") {
            let (a, b) = (canonical_path(path.as_bytes()), canonical_path(other.as_bytes()));
            if let (Ok(a), Ok(b)) = (a, b) {
                prop_assert_eq!(a.as_sent() == b.as_sent(), a.as_judged() == b.as_judged());
            }
        }
    }
}
