//! The chain: each line names the hash of the line before it, and that hash is the line's leaf in the tree.
//!
//! One hash for both, so that whoever writes or verifies hashes each byte once. See the crate's doc for the exact bytes. Here is
//! all the code that knows them: [`seal`] writes, [`follow`] checks.

use std::fmt;

use thiserror::Error;

use crate::tree::{hash_of, leaf_hash};

/// A SHA-256 hash; shown as 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Hash([u8; 32]);

impl Hash {
    /// What the first record names as its predecessor.
    pub const ZERO: Self = Self([0; 32]);

    /// From the output of SHA-256. Bytes beyond 32 are cut off and missing ones are zero, neither of which it gives.
    pub(crate) fn from_digest(digest: &[u8]) -> Self {
        let mut hash = [0; 32];
        match digest.first_chunk() {
            Some(whole) => hash = *whole,
            None => hash
                .iter_mut()
                .zip(digest)
                .for_each(|(to, from)| *to = *from),
        }
        Self(hash)
    }

    /// The 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    pub(crate) fn hex(&self) -> [u8; HEX_BYTES] {
        let mut hex = [0; HEX_BYTES];
        let (pairs, _) = hex.as_chunks_mut::<2>();
        for (pair, byte) in pairs.iter_mut().zip(self.0) {
            *pair = [digit(byte >> 4), digit(byte & 0xf)];
        }
        hex
    }

    /// From exactly 64 lower-case hexadecimal digits.
    #[must_use]
    pub fn from_hex(hex: &[u8]) -> Option<Self> {
        let nibble = |digit: &u8| match digit {
            b'0'..=b'9' => Some(digit - b'0'),
            b'a'..=b'f' => Some(digit - b'a' + 10),
            _ => None,
        };
        let mut hash = [0; 32];
        if hex.len() != HEX_BYTES {
            return None;
        }
        for (byte, pair) in hash.iter_mut().zip(hex.chunks_exact(2)) {
            if let [high, low] = pair {
                *byte = nibble(high)? << 4 | nibble(low)?;
            }
        }
        Some(Self(hash))
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

/// By what the records, and the tree over them, are hashed. Named in the first record of each segment, so that another one can
/// follow without anybody having to guess.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Algorithm {
    Sha256,
}

impl Algorithm {
    /// As it stands in the log.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
        }
    }
}

/// The hexadecimal digit of 0 to 15. Without branch and check, so that the compiler does it for many at once.
const fn digit(nibble: u8) -> u8 {
    let letters = (nibble / 10).wrapping_mul(LETTERS);
    nibble.wrapping_add(b'0').wrapping_add(letters)
}

/// One end of the chain: the last record and its hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// Sequence number of the record; 0 before the first.
    pub sequence: u64,
    /// Its hash; zero before the first.
    pub hash: Hash,
}

impl Link {
    /// Before the first record.
    pub const GENESIS: Self = Self {
        sequence: 0,
        hash: Hash::ZERO,
    };
}

/// What is wrong with a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum LineFault {
    /// It does not have the frame of a record at all.
    #[error("it is not a record of this log")]
    Frame,
    /// Its bytes do not give its hash.
    #[error("its bytes were changed after it was written")]
    Hash,
    /// It is a good record, of another place.
    #[error("record `{found}` stands there instead; records were deleted, swapped or put in")]
    Sequence {
        /// The sequence number that it carries.
        found: u64,
    },
    /// It has the right number but another past.
    #[error("it does not follow from the record before it; that one was replaced")]
    Previous,
    /// It has another version of the format.
    #[error(
        "it is of another version of the log's format than `2`; verify it with the release that wrote it, or it was changed"
    )]
    Version,
    /// It names a hash that this program does not know.
    #[error(
        "it is hashed by another algorithm than `sha256`; verify it with a newer release, or it was changed"
    )]
    Algorithm,
    /// The compressed segment cannot be unpacked from here on.
    #[error("the compressed segment is damaged from here on; take it from the archive")]
    Packed,
}

/// Closes the line that starts at `start` of `out` and has its fields already: adds `prev`, `hash`, brace and newline.
/// `start` past the end gives the hash of nothing; the caller owns the buffer and cannot mean that.
pub(crate) fn seal(out: &mut Vec<u8>, start: usize, previous: &Hash) -> Hash {
    out.extend_from_slice(PREVIOUS);
    out.extend_from_slice(&previous.hex());
    out.push(b'"');
    let hash = leaf_hash(out.get(start..).unwrap_or_default());
    out.extend_from_slice(HASH);
    out.extend_from_slice(&hash.hex());
    out.extend_from_slice(END);
    out.push(b'\n');
    hash
}

/// What a line says: its fields behind number and algorithm, up to its chain. `None` if it does not look like a line.
pub(crate) fn fields(line: &[u8]) -> Option<&[u8]> {
    let (body, _) = framed(line)?;
    let (body, _) = body.strip_suffix(b"\"")?.split_last_chunk::<HEX_BYTES>()?;
    let body = body.strip_suffix(PREVIOUS)?.strip_prefix(START)?;
    let number = body.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let rest = body.get(number..)?;
    let Some(named) = rest.strip_prefix(ALGORITHM) else {
        return Some(rest);
    };
    let end = named.iter().position(|byte| *byte == b'"')?;
    named.get(end + 1..)
}

/// Checks that `line`, without its newline, is the record right after `before`.
pub(crate) fn follow(line: &[u8], before: &Link) -> Result<Link, LineFault> {
    follow_by(line, before, leaf_hash)
}

/// As [`follow`], of a line that has a zero byte in front of it: what the RFC hashes for a leaf stands in one piece then.
pub(crate) fn follow_behind_zero(line: &[u8], before: &Link) -> Result<Link, LineFault> {
    let (_, record) = line.split_first().ok_or(LineFault::Frame)?;
    follow_by(record, before, |body| {
        let leaf = line.get(..=body.len());
        leaf.map_or_else(|| leaf_hash(body), hash_of)
    })
}

fn follow_by(
    line: &[u8],
    before: &Link,
    hash: impl FnOnce(&[u8]) -> Hash,
) -> Result<Link, LineFault> {
    let (found, previous) = judge(line, hash)?;
    let sequence = before.sequence.saturating_add(1);
    if found.sequence != sequence {
        return Err(LineFault::Sequence {
            found: found.sequence,
        });
    }
    // Digits are compared and not read: the verifier does this for every record.
    if *previous == before.hash.hex() {
        return Ok(found);
    }
    match Hash::from_hex(previous) {
        Some(_) => Err(LineFault::Previous),
        None => Err(LineFault::Frame),
    }
}

/// Checks a line by itself: its own link and the hash that it names as its predecessor's.
pub(crate) fn open(line: &[u8]) -> Result<(Link, Hash), LineFault> {
    let (link, previous) = judge(line, leaf_hash)?;
    let previous = Hash::from_hex(previous).ok_or(LineFault::Frame)?;
    Ok((link, previous))
}

/// A line's link, and what stands where the hash of its predecessor should.
fn judge(
    line: &[u8],
    hash: impl FnOnce(&[u8]) -> Hash,
) -> Result<(Link, &[u8; HEX_BYTES]), LineFault> {
    let (body, named) = framed(line).ok_or(LineFault::Frame)?;
    if is_other_version(body) {
        return Err(LineFault::Version);
    }
    if !is_known(body) {
        return Err(LineFault::Algorithm);
    }
    let hash = hash(body);
    if *named != hash.hex() {
        // The frame is judged first, so that a changed byte in it is not called a changed record; then the bytes.
        return Err(Hash::from_hex(named).map_or(LineFault::Frame, |_| LineFault::Hash));
    }
    let previous = body
        .strip_suffix(b"\"")
        .and_then(|rest| rest.split_last_chunk::<HEX_BYTES>())
        .filter(|(rest, _)| rest.ends_with(PREVIOUS))
        .map(|(_, previous)| previous)
        .ok_or(LineFault::Frame)?;
    let sequence = sequence(body).ok_or(LineFault::Frame)?;
    Ok((Link { sequence, hash }, previous))
}

/// The bytes that are hashed, and what stands where their hash should.
fn framed(line: &[u8]) -> Option<(&[u8], &[u8; HEX_BYTES])> {
    let (rest, named) = line.strip_suffix(END)?.split_last_chunk::<HEX_BYTES>()?;
    Some((rest.strip_suffix(HASH)?, named))
}

/// Whether a line, or a head, begins as one of another version of this format.
pub(crate) fn is_other_version(line: &[u8]) -> bool {
    !line.starts_with(START)
        && line.strip_prefix(VERSION).is_some_and(|rest| {
            let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
            digits > 0
                && rest
                    .get(digits..)
                    .is_some_and(|rest| rest.starts_with(SEQUENCE))
        })
}

/// Whether the algorithm that a line names, if it names one, is known.
fn is_known(body: &[u8]) -> bool {
    let digits = |rest: &[u8]| rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let named = body
        .strip_prefix(START)
        .and_then(|rest| rest.get(digits(rest)..)?.strip_prefix(ALGORITHM));
    named.is_none_or(|name| {
        let known = Algorithm::Sha256.name().as_bytes();
        name.strip_prefix(known)
            .is_some_and(|rest| rest.starts_with(b"\""))
    })
}

/// The sequence number at the start of a line, which need not be checked or whole.
pub(crate) fn sequence(line: &[u8]) -> Option<u64> {
    let rest = line.strip_prefix(START)?;
    let end = rest.iter().position(|byte| *byte == b',')?;
    let digits = rest.get(..end)?;
    // One number has one spelling: no sign, no leading zeros.
    if digits.is_empty() || digits.len() > 1 && digits.starts_with(b"0") {
        return None;
    }
    digits.iter().try_fold(0_u64, |number, digit| {
        let digit = digit.is_ascii_digit().then(|| digit - b'0')?;
        number.checked_mul(10)?.checked_add(u64::from(digit))
    })
}

const HEX_BYTES: usize = 64;
/// From the character behind `9` to `a`.
const LETTERS: u8 = b'a' - b'9' - 1;
pub(crate) const START: &[u8] = b"{\"v\":2,\"seq\":";
/// What [`START`] begins with, whatever the version, and what follows the version.
const VERSION: &[u8] = b"{\"v\":";
const SEQUENCE: &[u8] = b",\"seq\":";
const PREVIOUS: &[u8] = b",\"prev\":\"";
/// Right behind the sequence number.
pub(crate) const ALGORITHM: &[u8] = b",\"algorithm\":\"";
const HASH: &[u8] = b",\"hash\":\"";
const END: &[u8] = b"\"}";

#[cfg(test)]
mod tests {
    use super::*;

    fn line(sequence: u64, previous: &Hash) -> (Vec<u8>, Hash) {
        let mut out = format!("{{\"v\":2,\"seq\":{sequence},\"kind\":\"start\"").into_bytes();
        let hash = seal(&mut out, 0, previous);
        assert_eq!(out.pop(), Some(b'\n'));
        (out, hash)
    }

    #[test]
    fn a_line_is_its_fields_then_prev_then_hash() {
        let (bytes, hash) = line(1, &Hash::ZERO);
        let text = String::from_utf8(bytes).unwrap();
        let body = format!(
            "{{\"v\":2,\"seq\":1,\"kind\":\"start\",\"prev\":\"{}\"",
            "0".repeat(64)
        );
        assert_eq!(text, format!("{body},\"hash\":\"{hash}\"}}"));
        assert_eq!(hash, leaf_hash(body.as_bytes()));
        assert_eq!(
            text.get(..text.len() - 75).unwrap(),
            body,
            "what the doc tells a script to cut off"
        );
    }

    #[test]
    fn hexadecimal_is_lower_case_and_whole_or_nothing() {
        let hash = leaf_hash(b"");
        assert_eq!(
            hash.to_string(),
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "the RFC's empty leaf"
        );
        assert_eq!(Hash::from_hex(&hash.hex()), Some(hash));
        for wrong in [
            &b""[..],
            &hash.hex()[1..],
            hash.to_string().to_uppercase().as_bytes(),
        ] {
            assert_eq!(Hash::from_hex(wrong), None);
        }
    }

    #[test]
    fn each_fault_has_its_own_name() {
        let (first, hash) = line(1, &Hash::ZERO);
        let (second, _) = line(2, &hash);
        let link = follow(&first, &Link::GENESIS).unwrap();
        assert!(follow(&second, &link).is_ok());
        assert_eq!(
            follow(&second, &Link::GENESIS),
            Err(LineFault::Sequence { found: 2 })
        );
        assert_eq!(
            follow(&line(2, &leaf_hash(b"other")).0, &link),
            Err(LineFault::Previous)
        );
        assert_eq!(follow(b"{}", &link), Err(LineFault::Frame));
        let old = [b"{\"v\":1", &first[6..]].concat();
        assert_eq!(follow(&old, &Link::GENESIS), Err(LineFault::Version));
        assert_eq!(
            follow(&line(1, &Hash::ZERO).0[1..], &Link::GENESIS),
            Err(LineFault::Hash)
        );
    }

    #[test]
    fn a_sequence_number_has_one_spelling() {
        for (text, number) in [
            ("7,", Some(7)),
            ("07,", None),
            ("+7,", None),
            ("-7,", None),
            (",", None),
            ("0,", Some(0)),
            ("00,", None),
            ("18446744073709551615,", Some(u64::MAX)),
            ("1a,", None),
            ("1", None),
            ("18446744073709551616,", None),
        ] {
            assert_eq!(
                sequence(format!("{{\"v\":2,\"seq\":{text}").as_bytes()),
                number,
                "{text}"
            );
        }
    }
}
