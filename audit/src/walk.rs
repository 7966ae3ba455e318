//! One segment from its first byte to its last, checked against the chain in constant memory.

use std::io::{self, Read};

use memchr::memchr;

use crate::chain::{LineFault, Link, follow_behind_zero};
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
    let is_damage = |error: &io::Error| packed::is_damage(segment, error);
    walk_through(packed::open(segment)?, is_damage, before, each)
}

/// As [`walk`], of the bytes that `reader` gives; `is_damage` says of an error that the bytes are to blame.
pub(crate) fn walk_through(
    reader: impl Read,
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
    let mut lines = Lines::of(reader);
    loop {
        let line = match lines.next() {
            Ok(line) => line,
            Err(error) if is_damage(&error) => {
                walked.rest = Some(Rest::Damaged(LineFault::Packed));
                return Ok(walked);
            }
            Err(error) => return Err(error),
        };
        walked.rest = match line {
            Next::Line(line) => match follow_behind_zero(line, &walked.last) {
                Ok(link) => {
                    walked.last = link;
                    walked.lines += 1;
                    // The newline in place of the zero.
                    walked.good_bytes += line.len() as u64;
                    each(line.get(1..).unwrap_or_default(), &link);
                    continue;
                }
                // A record never holds a zero byte (it is written as an escape): the file had been made longer, but
                // its bytes had not reached the disk.
                Err(_) if line.iter().skip(1).any(|byte| *byte == 0) => Some(Rest::Torn),
                Err(fault) => Some(Rest::Damaged(fault)),
            },
            Next::Unfinished([]) => None,
            Next::Unfinished(rest) if rest.contains(&0) || rest.len() < LINE_BYTES_MAX => {
                Some(Rest::Torn)
            }
            Next::Unfinished(_) => Some(Rest::Damaged(LineFault::Frame)),
        };
        return Ok(walked);
    }
}

/// Lines in one buffer that is never moved but for its last, unfinished line.
struct Lines<R> {
    reader: R,
    /// Before its first byte there is room for the zero of the first line.
    buffer: Vec<u8>,
    /// Where the next line begins, how far it was looked through for its end, and where what was read ends.
    start: usize,
    searched: usize,
    end: usize,
    is_over: bool,
}

/// What comes next.
enum Next<'a> {
    /// A zero byte and a line without its newline.
    Line(&'a [u8]),
    /// What stands at the end without a newline, or the beginning of a line that is too long; empty at the end of the last line.
    Unfinished(&'a [u8]),
}

impl<R: Read> Lines<R> {
    fn of(reader: R) -> Self {
        Self {
            reader,
            buffer: vec![0; 1 + LINE_BYTES_MAX + READ_BYTES],
            start: 1,
            searched: 1,
            end: 1,
            is_over: false,
        }
    }

    fn next(&mut self) -> io::Result<Next<'_>> {
        loop {
            let unsearched = self.buffer.get(self.searched..self.end);
            let found = unsearched.and_then(|bytes| memchr(b'\n', bytes));
            if let Some(newline) = found.map(|at| self.searched + at)
                && newline - self.start < LINE_BYTES_MAX
            {
                // It stands where the newline of the line before was.
                let zero = self.start - 1;
                if let Some(byte) = self.buffer.get_mut(zero) {
                    *byte = 0;
                }
                self.start = newline + 1;
                self.searched = self.start;
                return Ok(Next::Line(
                    self.buffer.get(zero..newline).unwrap_or_default(),
                ));
            }
            self.searched = self.end;
            let unfinished = self.end - self.start;
            if self.is_over || unfinished >= LINE_BYTES_MAX {
                let end = self.start + unfinished.min(LINE_BYTES_MAX);
                return Ok(Next::Unfinished(
                    self.buffer.get(self.start..end).unwrap_or_default(),
                ));
            }
            self.fill()?;
        }
    }

    /// Reads once more behind what is there, which is less than a line.
    fn fill(&mut self) -> io::Result<()> {
        // Before that there is room for the rest of the longest line.
        if self.start > READ_BYTES {
            self.buffer.copy_within(self.start..self.end, 1);
            self.end -= self.start - 1;
            self.start = 1;
        }
        self.searched = self.end;
        let room = self.buffer.get_mut(self.end..).unwrap_or_default();
        match self.reader.read(room) {
            Ok(0) => self.is_over = true,
            Ok(bytes) => self.end += bytes,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

/// Read at once; it stays in a processor's own cache.
const READ_BYTES: usize = 256 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chain::seal;

    /// Gives at most so many bytes at once.
    struct Slow<'a>(&'a [u8], usize);

    impl Read for Slow<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let bytes = self.1.min(buffer.len());
            self.0.take(bytes as u64).read(buffer).inspect(|read| {
                self.0 = &self.0[*read..];
            })
        }
    }

    /// Records with details of these lengths.
    fn log(details: &[usize]) -> Vec<u8> {
        let (mut out, mut last) = (Vec::new(), Link::GENESIS);
        for (sequence, length) in (1..).zip(details) {
            let start = out.len();
            let detail = "x".repeat(*length);
            let fields = format!("{{\"v\":2,\"seq\":{sequence},\"detail\":\"{detail}\"");
            out.extend_from_slice(fields.as_bytes());
            let hash = seal(&mut out, start, &last.hash);
            last = Link { sequence, hash };
        }
        out
    }

    fn walked(bytes: &[u8], at_once: usize) -> (Walked, Vec<usize>) {
        let mut lengths = Vec::new();
        let reader = Slow(bytes, at_once);
        let each: &mut dyn FnMut(&[u8], &Link) = &mut |line, _| lengths.push(line.len());
        let walked = walk_through(reader, |_| false, Link::GENESIS, each).unwrap();
        (walked, lengths)
    }

    #[test]
    fn however_the_bytes_come_the_lines_are_the_same() {
        let frame = log(&[0]).len();
        // The number of the last records has a digit more.
        let longest = LINE_BYTES_MAX - frame - 1;
        let details: Vec<_> = (0..40).map(|number| number * 7_919 % longest).collect();
        let bytes = log(&[&details[..], &[longest, 1, longest]].concat());
        assert!(bytes.len() > 3 * READ_BYTES);
        for at_once in [1, 4_096, READ_BYTES - 1, usize::MAX] {
            let (walked, lengths) = walked(&bytes, at_once);
            assert_eq!(walked.rest, None, "{at_once}");
            assert_eq!(walked.good_bytes, bytes.len() as u64, "{at_once}");
            assert_eq!((walked.lines, lengths.len()), (43, 43), "{at_once}");
            assert_eq!(lengths.iter().sum::<usize>() + 43, bytes.len());
        }
    }

    #[test]
    fn a_line_that_is_too_long_is_no_record_and_an_unfinished_one_is_torn() {
        let longest = LINE_BYTES_MAX - log(&[0]).len();
        let long = log(&[5, longest + 1]);
        for (bytes, lines, rest) in [
            (&long[..], 1, Rest::Damaged(LineFault::Frame)),
            (&long[..LINE_BYTES_MAX], 1, Rest::Torn),
            (&log(&[5, 6])[..200], 1, Rest::Torn),
            (&[0; 9], 0, Rest::Torn),
        ] {
            let (walked, _) = walked(bytes, 1_000);
            assert_eq!((walked.lines, walked.rest), (lines, Some(rest)));
        }
    }
}
