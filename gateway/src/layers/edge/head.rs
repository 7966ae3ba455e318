//! The raw HTTP/1.x request head, judged before any lenient parser has smoothed it.
//!
//! Request smuggling lives in what parsers forgive: two lengths, a space before the colon, a bare line feed, a folded
//! line. Here the bytes themselves are read against RFC 9112 and RFC 9110, and whatever is not exactly right ends the
//! connection. The parser that builds the request afterwards reads the same bytes and has nothing left to forgive.

use crate::denial::Denial;
use crate::layers::edge::authority::host_of;

/// Bounds of a request head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadLimits {
    /// Bytes of the request line and all fields, with their line ends.
    pub bytes_max: usize,
    /// Number of fields.
    pub fields_max: usize,
}

/// How many bytes follow a head as its body (RFC 9112 section 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// Exactly so many; none for most requests.
    Fixed(u64),
    /// Until the last chunk.
    Chunked,
    /// For as long as the connection lasts, should the other side agree to leave HTTP.
    Tunnel,
}

/// Where a head ends in `bytes`: the length up to and with the blank line, or `None` when more is needed.
/// `from` is how much of `bytes` an earlier call has searched.
#[must_use]
pub fn head_end(bytes: &[u8], from: usize) -> Option<usize> {
    const BLANK_LINE: &[u8] = b"\r\n\r\n";
    let start = from.saturating_sub(BLANK_LINE.len() - 1);
    let searched = bytes.get(start..)?;
    let found = searched
        .windows(BLANK_LINE.len())
        .position(|window| window == BLANK_LINE)?;
    Some(start + found + BLANK_LINE.len())
}

/// Judges one whole head, its blank line included, and says what follows it.
///
/// # Errors
/// The denial that names the first thing wrong.
pub fn check_head(head: &[u8], limits: HeadLimits) -> Result<Body, Denial> {
    if head.len() > limits.bytes_max {
        return Err(Denial::HeadTooLarge);
    }
    let body = head
        .strip_suffix(b"\r\n\r\n")
        .ok_or(Denial::HeadMalformed)?;
    let mut lines = Lines(Some(body));
    let request = RequestLine::read(lines.next().ok_or(Denial::HeadMalformed)?)?;
    let mut fields = Fields::default();
    for line in lines {
        fields.count += 1;
        if fields.count > limits.fields_max {
            return Err(Denial::HeadTooLarge);
        }
        let (name, value) = split_field(line)?;
        fields.read(name, value)?;
    }
    let body = fields.framing(request.version)?;
    request.check_target(fields.host()?)?;
    Ok(body)
}

/// Splits at CRLF; a bare CR or LF inside a line is caught by the byte checks of the line.
struct Lines<'a>(Option<&'a [u8]>);

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let rest = self.0?;
        match rest.windows(2).position(|pair| pair == b"\r\n") {
            Some(end) => {
                self.0 = rest.get(end + 2..);
                rest.get(..end)
            }
            None => self.0.take(),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    Http10,
    Http11,
}

/// RFC 9112 section 3: method SP request-target SP HTTP-version, single spaces.
struct RequestLine<'a> {
    target: &'a [u8],
    version: Version,
}

impl<'a> RequestLine<'a> {
    fn read(line: &'a [u8]) -> Result<Self, Denial> {
        let mut parts = line.split(|byte| *byte == b' ');
        let (Some(method), Some(target), Some(version), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(Denial::HeadMalformed);
        };
        if method.is_empty() || !method.iter().all(|byte| is_token(*byte)) {
            return Err(Denial::HeadMalformed);
        }
        if method == b"CONNECT" {
            return Err(Denial::MethodUnknown);
        }
        if target.is_empty() || !target.iter().all(|byte| is_target_byte(*byte)) {
            return Err(Denial::PathAmbiguous);
        }
        let version = match version {
            b"HTTP/1.1" => Version::Http11,
            b"HTTP/1.0" => Version::Http10,
            _ if version.starts_with(b"HTTP/") => return Err(Denial::VersionUnsupported),
            _ => return Err(Denial::HeadMalformed),
        };
        Ok(Self { target, version })
    }

    /// Origin-form, or the absolute-form that RFC 9112 section 3.2.2 makes servers take, with the very host of the Host field.
    fn check_target(&self, host: &[u8]) -> Result<(), Denial> {
        if self.target.starts_with(b"/") {
            // `//host/path` is a path here and another server's address elsewhere.
            let second = self.target.get(1);
            return match second {
                Some(b'/' | b'\\') => Err(Denial::PathAmbiguous),
                _ => Ok(()),
            };
        }
        let after_scheme = self
            .target
            .strip_prefix(b"https://")
            .ok_or(Denial::PathAmbiguous)?;
        let end = after_scheme
            .iter()
            // Not at a backslash: who reads one as a slash would find another host behind it.
            .position(|byte| matches!(byte, b'/' | b'?'))
            .unwrap_or(after_scheme.len());
        match after_scheme.get(..end) {
            Some(authority) if authority == host => Ok(()),
            _ => Err(Denial::HostMismatch),
        }
    }
}

/// RFC 9112 section 5: a token, a colon right behind it, a value without control characters. No folded lines.
pub(super) fn split_field(line: &[u8]) -> Result<(&[u8], &[u8]), Denial> {
    let colon = line
        .iter()
        .position(|byte| *byte == b':')
        .ok_or(Denial::HeadMalformed)?;
    let (name, value) = line.split_at_checked(colon).ok_or(Denial::HeadMalformed)?;
    let value = value.get(1..).ok_or(Denial::HeadMalformed)?;
    let name_is_token = !name.is_empty() && name.iter().all(|byte| is_token(*byte));
    let value_is_clean = value
        .iter()
        .all(|byte| *byte == b'\t' || !byte.is_ascii_control());
    if name_is_token && value_is_clean {
        Ok((name, value.trim_ascii()))
    } else {
        Err(Denial::HeadMalformed)
    }
}

/// What the fields say of the message's length and addressee.
#[derive(Default)]
struct Fields<'a> {
    count: usize,
    hosts: usize,
    host: &'a [u8],
    lengths: usize,
    length: u64,
    codings: usize,
    upgrades: bool,
}

impl<'a> Fields<'a> {
    fn read(&mut self, name: &[u8], value: &'a [u8]) -> Result<(), Denial> {
        if name.eq_ignore_ascii_case(b"host") {
            self.hosts += 1;
            self.host = value;
        } else if name.eq_ignore_ascii_case(b"content-length") {
            self.lengths += 1;
            self.length = decimal(value).ok_or(Denial::FramingAmbiguous)?;
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            self.codings += 1;
            if !value.eq_ignore_ascii_case(b"chunked") {
                return Err(Denial::FramingAmbiguous);
            }
        } else if name.eq_ignore_ascii_case(b"connection") {
            if value.split(|byte| *byte == b',').any(is_protected) {
                return Err(Denial::HeadMalformed);
            }
        } else if name.eq_ignore_ascii_case(b"upgrade") {
            self.upgrades = true;
        } else if name.eq_ignore_ascii_case(b"expect") && !value.eq_ignore_ascii_case(CONTINUE) {
            return Err(Denial::ExpectationUnknown);
        }
        Ok(())
    }

    /// RFC 9112 section 6.3.
    fn framing(&self, version: Version) -> Result<Body, Denial> {
        let chunked_1_0 = self.codings > 0 && version == Version::Http10;
        if self.lengths + self.codings > 1 || chunked_1_0 {
            return Err(Denial::FramingAmbiguous);
        }
        match (self.codings > 0, self.upgrades) {
            (false, false) => Ok(Body::Fixed(self.length)),
            (true, false) => Ok(Body::Chunked),
            // What follows a head that asks to leave HTTP is either its body or the tunnel; with both it would take guessing.
            (false, true) if self.length == 0 => Ok(Body::Tunnel),
            (_, true) => Err(Denial::FramingAmbiguous),
        }
    }

    /// RFC 9112 section 3.2.
    fn host(&self) -> Result<&'a [u8], Denial> {
        match self.hosts {
            0 => Err(Denial::HostMissing),
            1 => {
                let text = std::str::from_utf8(self.host).map_err(|_| Denial::HostMalformed)?;
                host_of(text).map(|_| self.host)
            }
            _ => Err(Denial::HostDuplicate),
        }
    }
}

/// Fields that a `Connection` field may not declare to be between two hops only: without them a message has no addressee, no
/// length or no origin (RFC 9110 section 7.6.1).
fn is_protected(nominated: &[u8]) -> bool {
    const PROTECTED: [&[u8]; 7] = [
        b"host",
        b"content-length",
        b"transfer-encoding",
        b"forwarded",
        b"x-forwarded-for",
        b"x-forwarded-host",
        b"x-forwarded-proto",
    ];
    let nominated = nominated.trim_ascii();
    PROTECTED
        .iter()
        .any(|field| field.eq_ignore_ascii_case(nominated))
}

/// A fragment never belongs in a request (RFC 9112 section 3.2); a lenient parser would cut it off without a word. The other
/// four stand in no URI (RFC 3986 section 2), and the parser behind would refuse them without our answer or record.
pub(super) fn is_target_byte(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'#' | b'"' | b'<' | b'>' | b'`')
}

/// RFC 9110 section 8.6: digits alone.
pub(super) fn decimal(value: &[u8]) -> Option<u64> {
    if value.is_empty()
        || value.len() > CONTENT_LENGTH_DIGITS_MAX
        || !value.iter().all(u8::is_ascii_digit)
    {
        return None;
    }
    std::str::from_utf8(value).ok()?.parse().ok()
}

/// RFC 9110 section 5.6.2.
pub(super) fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#'
                | b'$'
                | b'%'
                | b'&'
                | b'\''
                | b'*'
                | b'+'
                | b'-'
                | b'.'
                | b'^'
                | b'_'
                | b'`'
                | b'|'
                | b'~'
        )
}

/// The one expectation that there is (RFC 9110 section 10.1.1).
pub(super) const CONTINUE: &[u8] = b"100-continue";

/// Enough for 2^63 - 1.
const CONTENT_LENGTH_DIGITS_MAX: usize = 19;

/// Method and path of a head that was refused, where they can be told apart: for its record, not for a judgement.
#[must_use]
pub fn told_line(head: &[u8]) -> Option<(&str, &str)> {
    let end = head.windows(2).position(|two| two == b"\r\n")?;
    let mut words = head.get(..end)?.split(|byte| *byte == b' ');
    let (method, target, _, None) = (words.next()?, words.next()?, words.next()?, words.next())
    else {
        return None;
    };
    let path = target.split(|byte| *byte == b'?').next()?;
    let is_clean = !method.is_empty()
        && method.len() <= TOLD_METHOD_BYTES_MAX
        && method.iter().all(|byte| is_token(*byte))
        && path.starts_with(b"/")
        && path.len() <= TOLD_PATH_BYTES_MAX
        && path.iter().all(|byte| is_target_byte(*byte));
    if !is_clean {
        return None;
    }
    Some((
        std::str::from_utf8(method).ok()?,
        std::str::from_utf8(path).ok()?,
    ))
}

const TOLD_METHOD_BYTES_MAX: usize = 32;
/// A longer path of a refused head is not told.
pub(super) const TOLD_PATH_BYTES_MAX: usize = 2_048;

#[cfg(test)]
mod tests;
