//! HTTP/2 frames by hand, for heads that no library would send.

use std::io;

use crate::client::{Client, ClientError, Tls};
use crate::message::Wire;

/// A connection whose frames the test writes itself. The preface and SETTINGS have been sent.
#[derive(Debug)]
pub struct RawH2 {
    wire: Wire<Tls>,
}

/// What the gateway did with a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RawH2Answer {
    /// It answered with this status.
    Status(u16),
    /// It reset the stream with this error code (RFC 9113 section 7).
    Reset(u32),
    /// It ended the connection with this error code.
    GoAway(u32),
    /// It closed the connection without a word.
    Closed,
}

impl Client {
    /// Opens an HTTP/2 connection for frames by hand.
    ///
    /// # Errors
    /// Why not.
    pub fn connect_raw_h2(&self) -> Result<RawH2, ClientError> {
        let mut wire = Wire::new(self.clone().alpn(&["h2"]).connect_tls()?);
        wire.send(PREFACE)?;
        wire.send(&frame(SETTINGS, 0, 0, &[]))?;
        Ok(RawH2 { wire })
    }
}

impl RawH2 {
    /// Sends one HEADERS frame that ends stream 1, each field literal and never indexed (RFC 7541 section 6.2.3), and waits for what
    /// comes of it.
    ///
    /// # Errors
    /// When nothing comes of it.
    pub fn request(&mut self, fields: &[(&[u8], &[u8])]) -> Result<RawH2Answer, ClientError> {
        self.wire.send(&frame(
            HEADERS,
            END_HEADERS | END_STREAM,
            1,
            &header_block(fields),
        ))?;
        self.answer()
    }

    /// Sends any bytes.
    ///
    /// # Errors
    /// When the gateway no longer takes them.
    pub fn send(&mut self, bytes: &[u8]) -> Result<(), ClientError> {
        Ok(self.wire.send(bytes)?)
    }

    /// Sends frames until the gateway has ended the connection; how it did, when it does before so many were sent.
    ///
    /// # Errors
    /// When it neither ends it nor says anything more.
    pub fn flood(&mut self, one: &[u8], most: usize) -> Result<RawH2Answer, ClientError> {
        for _ in 0..most {
            if self.wire.send(one).is_err() {
                break;
            }
        }
        self.end()
    }

    /// Waits for the end of the connection, whatever comes before it.
    ///
    /// # Errors
    /// When it does not come.
    pub fn end(&mut self) -> Result<RawH2Answer, ClientError> {
        loop {
            match self.answer()? {
                end @ (RawH2Answer::GoAway(1..) | RawH2Answer::Closed) => return Ok(end),
                RawH2Answer::Status(_) | RawH2Answer::Reset(_) | RawH2Answer::GoAway(0) => {}
            }
        }
    }

    /// Waits for the first answer, reset or end.
    ///
    /// # Errors
    /// When nothing comes.
    pub fn next_answer(&mut self) -> Result<RawH2Answer, ClientError> {
        self.answer()
    }

    fn answer(&mut self) -> Result<RawH2Answer, ClientError> {
        loop {
            let head = match self.wire.exactly(FRAME_HEAD_BYTES) {
                Ok(head) => head,
                Err(error) => {
                    let error = ClientError::from(error);
                    return if matches!(error, ClientError::Closed) {
                        Ok(RawH2Answer::Closed)
                    } else {
                        Err(error)
                    };
                }
            };
            let [length @ .., kind, flags, _, _, _, _] = head.as_slice() else {
                return Err(ClientError::Other(io::Error::other(
                    "a frame head of another length",
                )));
            };
            let length = length
                .iter()
                .fold(0, |sum, byte| sum * 256 + usize::from(*byte));
            let payload = self.wire.exactly(length)?;
            match *kind {
                HEADERS => return Ok(RawH2Answer::Status(status(&payload).unwrap_or(0))),
                RST_STREAM => return Ok(RawH2Answer::Reset(number(&payload, 0))),
                GOAWAY => return Ok(RawH2Answer::GoAway(number(&payload, 4))),
                SETTINGS if flags & ACK == 0 => self.wire.send(&frame(SETTINGS, ACK, 0, &[]))?,
                _ => {}
            }
        }
    }
}

/// A frame as bytes.
#[must_use]
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap_or(0).to_be_bytes();
    let mut bytes = length.get(1..).unwrap_or_default().to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// A header block without compression.
#[must_use]
pub fn header_block(fields: &[(&[u8], &[u8])]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(NEVER_INDEXED);
        push_string(&mut block, name);
        push_string(&mut block, value);
    }
    block
}

/// RFC 7541 section 5.2, without Huffman coding; section 5.1 for the length.
fn push_string(block: &mut Vec<u8>, text: &[u8]) {
    match u8::try_from(text.len()) {
        Ok(length) if length < 127 => block.push(length),
        _ => {
            block.push(127);
            let mut rest = text.len() - 127;
            while rest >= 128 {
                block.push(u8::try_from(rest % 128).unwrap_or(0) | 128);
                rest /= 128;
            }
            block.push(u8::try_from(rest).unwrap_or(0));
        }
    }
    block.extend(text);
}

fn number(payload: &[u8], at: usize) -> u32 {
    payload
        .get(at..at + 4)
        .and_then(|bytes| bytes.try_into().ok())
        .map_or(0, u32::from_be_bytes)
}

/// `:status` out of a header block, where it always comes first: indexed (RFC 7541 appendix A), or literal with its static name.
fn status(block: &[u8]) -> Option<u16> {
    let block = match block.first()? {
        update if update & 0xe0 == 0x20 => block.get(1..)?,
        _ => block,
    };
    let (first, rest) = block.split_first()?;
    match first {
        0x88..=0x8e => [200, 204, 206, 304, 400, 404, 500]
            .get(usize::from(first - 0x88))
            .copied(),
        0x48 | 0x08 | 0x18 => {
            let (length, text) = rest.split_first()?;
            let text = text.get(..usize::from(length & 0x7f))?;
            let digits = if length & 0x80 == 0 {
                text.to_vec()
            } else {
                huffman_digits(text)
            };
            String::from_utf8(digits).ok()?.parse().ok()
        }
        _ => None,
    }
}

/// The ten digits of RFC 7541 appendix B: five bits for 0 to 2, six for 3 to 9.
fn huffman_digits(text: &[u8]) -> Vec<u8> {
    let bits: Vec<u8> = text
        .iter()
        .flat_map(|byte| (0..8).rev().map(move |shift| byte >> shift & 1))
        .collect();
    let value = |bits: &[u8]| bits.iter().fold(0, |sum, bit| sum * 2 + bit);
    let mut digits = Vec::new();
    let mut rest = bits.as_slice();
    while let Some(five) = rest.get(..5).map(value) {
        let taken = if five <= 2 { 5 } else { 6 };
        let Some(code) = rest.get(..taken).map(value) else {
            break;
        };
        let digit = if five <= 2 {
            code
        } else {
            code.wrapping_sub(0x19).wrapping_add(3)
        };
        if digit > 9 {
            break;
        }
        digits.push(b'0' + digit);
        rest = rest.get(taken..).unwrap_or_default();
    }
    digits
}

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const FRAME_HEAD_BYTES: usize = 9;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const ACK: u8 = 1;
const NEVER_INDEXED: u8 = 0x10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_read_from_every_form_that_servers_use() {
        assert_eq!(status(&[0x88]), Some(200));
        assert_eq!(status(&[0x20, 0x8c]), Some(400));
        assert_eq!(status(b"\x48\x03403"), Some(403));
        // RFC 7541 appendix C.6.1: 302 in Huffman code.
        assert_eq!(status(&[0x48, 0x82, 0x64, 0x02]), Some(302));
    }
}
