//! One segment from its first byte to its last, checked against the chain in constant memory.

use std::io::{self, BufRead, BufReader, Read};

use crate::chain::{LineFault, Link, follow};
use crate::encode::LINE_BYTES_MAX;
use crate::packed;
use crate::segment::Segment;

/// What a segment holds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Walked {
    /// Its last good record, or the link it began from.
    pub(crate) last: Link,
    /// Bytes and lines up to the end of the last good record.
    pub(crate) good_bytes: u64,
    pub(crate) lines: u64,
    /// Why the rest is not good, when there is a rest.
    pub(crate) rest: Option<Rest>,
}

/// What stands after the last good record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rest {
    /// What a crash leaves: a line without its end, or bytes that were never written and read as zero.
    Torn,
    /// What no crash leaves.
    Damaged(LineFault),
}

/// Reads the segment that goes on from `before`. `each` is given every good line, without its newline, and its link.
pub(crate) fn walk(
    segment: &Segment,
    before: Link,
    each: &mut dyn FnMut(&[u8], &Link),
) -> io::Result<Walked> {
    let reader = BufReader::with_capacity(READ_BYTES, packed::open(segment)?);
    let is_damage = |error: &io::Error| packed::is_damage(segment, error);
    walk_through(reader, is_damage, before, each)
}

/// As [`walk`], of the bytes that `reader` gives; `is_damage` says of an error that the bytes are to blame.
pub(crate) fn walk_through(
    mut reader: impl BufRead,
    is_damage: impl Fn(&io::Error) -> bool,
    before: Link,
    each: &mut dyn FnMut(&[u8], &Link),
) -> io::Result<Walked> {
    let mut walked = Walked {
        last: before,
        good_bytes: 0,
        lines: 0,
        rest: None,
    };
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = reader
            .by_ref()
            .take(LINE_BYTES_MAX as u64)
            .read_until(b'\n', &mut line);
        let bytes = match read {
            Ok(bytes) => bytes,
            Err(error) if is_damage(&error) => {
                walked.rest = Some(Rest::Damaged(LineFault::Packed));
                return Ok(walked);
            }
            Err(error) => return Err(error),
        };
        if bytes == 0 {
            return Ok(walked);
        }
        walked.rest = match line.strip_suffix(b"\n") {
            Some(record) => match follow(record, &walked.last) {
                Ok(link) => {
                    walked.last = link;
                    walked.lines += 1;
                    walked.good_bytes += bytes as u64;
                    each(record, &link);
                    continue;
                }
                // A record never holds a zero byte (it is written as an escape): the file had been made longer, but
                // its bytes had not reached the disk.
                Err(_) if line.contains(&0) => Some(Rest::Torn),
                Err(fault) => Some(Rest::Damaged(fault)),
            },
            None if line.contains(&0) || bytes < LINE_BYTES_MAX => Some(Rest::Torn),
            None => Some(Rest::Damaged(LineFault::Frame)),
        };
        return Ok(walked);
    }
}

const READ_BYTES: usize = 256 * 1024;
