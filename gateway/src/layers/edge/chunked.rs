//! The chunked coding of HTTP/1.1 (RFC 9112 section 7.1), read strictly before the lenient parser behind sees it.
//!
//! Where a body ends is where the next request begins, so two readers that disagree about a chunk are a way to smuggle one.
//! Parsers forgive extensions with any byte in them, an empty size, spaces, a bare line feed. Here a size is hexadecimal digits and a
//! line end, data is followed by a line end, and trailers are fields that say nothing about the message. Extensions, which nothing
//! in use needs, are refused.

use crate::layers::edge::head::split_field;
use crate::layers::edge::http2::is_for_heads_only;

/// A body that breaks its coding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the body breaks the chunked coding of RFC 9112 section 7.1")]
pub struct BrokenBody;

/// One chunked body, until its end.
#[derive(Debug)]
pub struct Chunked {
    state: State,
    /// Bytes of the trailer section so far.
    trailer_bytes: usize,
}

#[derive(Debug)]
enum State {
    Size {
        value: u64,
        digits: usize,
    },
    SizeLineFeed {
        value: u64,
    },
    Data {
        left: u64,
    },
    DataEnd,
    DataLineFeed,
    /// A line of the trailer section; an empty one ends the body.
    Trailer {
        line: Vec<u8>,
    },
    Done,
}

impl Chunked {
    /// Before the first chunk.
    #[must_use]
    pub fn new() -> Self {
        Self {
            state: State::NEXT,
            trailer_bytes: 0,
        }
    }

    /// Whether fields stood behind the body: more than the empty line that ends it.
    #[must_use]
    pub fn has_trailers(&self) -> bool {
        self.trailer_bytes > b"\r\n".len()
    }

    /// Whether the body is whole.
    #[must_use]
    pub fn is_done(&self) -> bool {
        matches!(self.state, State::Done)
    }

    /// Reads on and gives how many of `bytes` belong to the body: all of them, until it is whole.
    ///
    /// # Errors
    /// At the first byte that is wrong.
    pub fn read(&mut self, bytes: &[u8]) -> Result<usize, BrokenBody> {
        let mut rest = bytes;
        while !self.is_done() {
            if let State::Data { left } = &mut self.state {
                let most = usize::try_from(*left).unwrap_or(usize::MAX).min(rest.len());
                rest = rest.get(most..).unwrap_or_default();
                *left -= u64::try_from(most).unwrap_or(*left);
                if *left > 0 {
                    break;
                }
                self.state = State::DataEnd;
            }
            let Some((byte, after)) = rest.split_first() else {
                break;
            };
            rest = after;
            self.step(*byte)?;
        }
        Ok(bytes.len() - rest.len())
    }

    fn step(&mut self, byte: u8) -> Result<(), BrokenBody> {
        let next = match &mut self.state {
            State::Size { value, digits } => match (byte, char::from(byte).to_digit(16)) {
                (_, Some(digit)) if *digits < SIZE_DIGITS_MAX => State::Size {
                    value: *value << 4 | u64::from(digit),
                    digits: *digits + 1,
                },
                (b'\r', None) if *digits > 0 => State::SizeLineFeed { value: *value },
                _ => return Err(BrokenBody),
            },
            State::SizeLineFeed { value } => match (byte, *value) {
                (b'\n', 0) => State::Trailer { line: Vec::new() },
                (b'\n', left) => State::Data { left },
                _ => return Err(BrokenBody),
            },
            State::DataEnd if byte == b'\r' => State::DataLineFeed,
            State::DataLineFeed if byte == b'\n' => State::NEXT,
            State::Trailer { line } => {
                self.trailer_bytes += 1;
                if self.trailer_bytes > TRAILER_BYTES_MAX {
                    return Err(BrokenBody);
                }
                line.push(byte);
                let Some(field) = line.strip_suffix(b"\r\n") else {
                    return Ok(());
                };
                if field.is_empty() {
                    State::Done
                } else {
                    check_trailer(field)?;
                    State::Trailer { line: Vec::new() }
                }
            }
            State::DataEnd | State::DataLineFeed | State::Data { .. } | State::Done => {
                return Err(BrokenBody);
            }
        };
        self.state = next;
        Ok(())
    }
}

impl State {
    const NEXT: Self = Self::Size {
        value: 0,
        digits: 0,
    };
}

impl Default for Chunked {
    fn default() -> Self {
        Self::new()
    }
}

/// RFC 9110 section 6.5.1: a trailer says nothing about how the message is read, to whom it goes or who sends it.
fn check_trailer(line: &[u8]) -> Result<(), BrokenBody> {
    let (name, _) = split_field(line).map_err(|_| BrokenBody)?;
    if is_for_heads_only(&name.to_ascii_lowercase()) {
        Err(BrokenBody)
    } else {
        Ok(())
    }
}

/// Fifteen digits are a petabyte of petabytes, and fit.
const SIZE_DIGITS_MAX: usize = 15;
const TRAILER_BYTES_MAX: usize = 8 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    /// How many bytes belong to the body, when it is whole.
    fn whole(bytes: &[u8]) -> Result<Option<usize>, BrokenBody> {
        let mut chunked = Chunked::new();
        let read = chunked.read(bytes)?;
        Ok(chunked.is_done().then_some(read))
    }

    #[test]
    fn a_body_ends_where_its_last_chunk_ends() {
        for (body, why) in [
            (&b"0\r\n\r\n"[..], "nothing"),
            (b"5\r\nhello\r\n0\r\n\r\n", "a chunk"),
            (
                b"5\r\nhello\r\n00A\r\n0123456789\r\n0000\r\n\r\n",
                "zeros in front",
            ),
            (
                b"a\r\n0123456789\r\n0\r\nX-Sum: 1\r\nx-other:2\r\n\r\n",
                "trailers",
            ),
            (b"2\r\n\r\n\r\n0\r\n\r\n", "line ends as data"),
        ] {
            let followed = [body, b"GET / HTTP/1.1\r\n"].concat();
            assert_eq!(whole(&followed), Ok(Some(body.len())), "{why}");
            for cut in 0..body.len() {
                assert_eq!(whole(&body[..cut]), Ok(None), "{why}, cut at {cut}");
            }
            let mut bytewise = Chunked::new();
            for byte in body {
                assert_eq!(bytewise.read(&[*byte]), Ok(1), "{why}");
            }
            assert!(bytewise.is_done(), "{why}");
        }
    }

    #[test]
    #[rustfmt::skip]
    fn what_parsers_forgive_in_a_chunk_is_refused() {
        for (body, why) in [
            (&b"\r\n\r\n"[..], "no size"), (b"5;a=b\r\nhello\r\n", "an extension"), (b"5 \r\nhello\r\n", "a space behind the size"),
            (b" 5\r\nhello\r\n", "a space in front of the size"), (b"5\nhello\r\n", "a bare line feed"), (b"5\r\rhello", "a bare carriage return"),
            (b"0x5\r\nhello\r\n", "a prefix"), (b"+5\r\nhello\r\n", "a sign"), (b"-5\r\nhello\r\n", "a minus"), (b"g\r\n", "no hexadecimal"),
            (b"5\r\nhelloX", "data longer than its size"), (b"5\r\nhello\n", "a bare line feed behind data"), (b"5\r\nhello\rX", "half a line end"),
            (b"ffffffffffffffff\r\n", "a size over its digits"), (b"0000000000000005\r\nhello", "many zeros"),
            (b"0;x\r\n\r\n", "an extension of the last chunk"), (b"0\r\nHost: other.test\r\n\r\n", "a forbidden trailer"),
            (b"0\r\ncontent-length: 5\r\n\r\n", "a length as a trailer"), (b"0\r\nTransfer-Encoding: x\r\n\r\n", "a coding as a trailer"),
            (b"0\r\nX : 1\r\n\r\n", "a space before the colon"), (b"0\r\nno colon\r\n\r\n", "no field"), (b"0\r\n folded\r\n\r\n", "a folded line"),
            (b"0\r\nX: \0\r\n\r\n", "NUL in a trailer"), (b"0\r\nX: 1\nY: 2\r\n\r\n", "a bare line feed in a trailer"),
        ] {
            assert_eq!(whole(body), Err(BrokenBody), "{why}");
        }
        let endless = [&b"0\r\n"[..], &b"X: 1\r\n".repeat(2_000)].concat();
        assert_eq!(whole(&endless), Err(BrokenBody));
    }
}
