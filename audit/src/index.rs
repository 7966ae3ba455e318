//! Which segment may hold a record: the times of its records, and a Bloom filter of the request and trace ids, of each finished segment.
//!
//! `hangu explain REQUEST_ID` must answer at once, also in a log of a year. A filter of 12 bits an id says of a segment either
//! *surely not here* or, wrongly once in some three hundred, *perhaps*; only the latter are read. The files follow from the
//! segments: one that is missing costs a longer search, and the verifier compares every one, because a filter that
//! was tampered with would hide a record.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use memchr::memmem::Finder;

use crate::segment::Segment;
use crate::time::Timestamp;

/// The ids of the segment that is being written, and when its records were made.
#[derive(Debug)]
pub(crate) struct Ids(Vec<u64>, Times);

impl Default for Ids {
    fn default() -> Self {
        Self(Vec::new(), Times::NONE)
    }
}

/// The earliest and the latest of some times, as they are written: all have the same length, so their order is that of their bytes.
#[derive(Clone, Copy, Debug)]
struct Times {
    first: [u8; TIME_BYTES],
    last: [u8; TIME_BYTES],
}

impl Times {
    const NONE: Self = Self {
        first: [u8::MAX; TIME_BYTES],
        last: [0; TIME_BYTES],
    };
    const ALL: Self = Self {
        first: [0; TIME_BYTES],
        last: [u8::MAX; TIME_BYTES],
    };

    /// The time of a line; all times when it does not stand where it should.
    fn of(line: &[u8]) -> Self {
        let line = line.get(..line.len().min(TIME_WITHIN_BYTES));
        let time = line.and_then(|line| {
            let (time, _) = line
                .get(TIME.find(line)? + TIME.needle().len()..)?
                .split_first_chunk::<{ TIME_BYTES + 1 }>()?;
            time.strip_suffix(b"\"")?.first_chunk().copied()
        });
        time.map_or(Self::ALL, |time| Self {
            first: time,
            last: time,
        })
    }

    fn add(&mut self, other: &Self) {
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
    }
}

impl Ids {
    /// Adds those of a line.
    pub(crate) fn add(&mut self, line: &[u8]) {
        self.1.add(&Times::of(line));
        let line = line
            .get(..line.len().min(SEARCHED_BYTES))
            .unwrap_or_default();
        let Some((request, after)) = value(line, &REQUEST_ID) else {
            self.0
                .extend(value(line, &TRACE_ID).map(|(trace, _)| hash(trace)));
            return;
        };
        self.0.push(hash(request));
        // It stands right behind or nowhere: the rest of the line, which is most of it, need not be looked through.
        let behind = after.strip_prefix(b"\"").unwrap_or_default();
        if behind.starts_with(TRACE_ID.needle()) {
            self.0
                .extend(value(behind, &TRACE_ID).map(|(trace, _)| hash(trace)));
        }
    }

    /// Takes those of `other` over.
    pub(crate) fn append(&mut self, other: &mut Self) {
        self.0.append(&mut other.0);
        self.1.add(&other.1);
        other.1 = Times::NONE;
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
        self.1 = Times::NONE;
    }

    /// The file for these ids.
    pub(crate) fn filter(&self) -> Vec<u8> {
        let words = (self.0.len() * BITS_AN_ID).div_ceil(64).max(1);
        let mut bits = vec![0_u64; words];
        for id in &self.0 {
            for place in places(*id, words * 64) {
                if let Some(word) = bits.get_mut(place / 64) {
                    *word |= 1 << (place % 64);
                }
            }
        }
        MAGIC
            .iter()
            .copied()
            .chain(self.1.first)
            .chain(self.1.last)
            .chain(bits.into_iter().flat_map(u64::to_le_bytes))
            .collect()
    }
}

/// The filter of one finished segment.
pub(crate) struct Filter(Vec<u8>);

impl Filter {
    /// `None` when there is none, or a file that is no filter.
    pub(crate) fn read(dir: &Path, segment: &Segment) -> io::Result<Option<Self>> {
        match fs::read(path(dir, segment)) {
            Ok(bytes)
                if bytes.starts_with(MAGIC)
                    && bytes.len() > HEAD_BYTES
                    && bytes.len().is_multiple_of(8) =>
            {
                Ok(Some(Self(bytes)))
            }
            Ok(_) => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether the segment may hold a record with this id, as it is written in the line.
    pub(crate) fn may_hold(&self, id: &[u8]) -> bool {
        let bits = self.0.get(HEAD_BYTES..).unwrap_or_default();
        places(hash(id), bits.len() * 8).all(|place| {
            bits.get(place / 8)
                .is_some_and(|byte| byte >> (place % 8) & 1 == 1)
        })
    }

    /// Whether the segment may hold a record of this time: not before the one and before the other.
    pub(crate) fn may_be_of(&self, since: Option<Timestamp>, until: Option<Timestamp>) -> bool {
        let times = self.0.get(MAGIC.len()..HEAD_BYTES).unwrap_or_default();
        let (first, last) = times.split_at(times.len() / 2);
        since.is_none_or(|since| last >= since.to_string().as_bytes())
            && until.is_none_or(|until| first < until.to_string().as_bytes())
    }

    /// Whether it is the filter of exactly these ids.
    pub(crate) fn is_of(&self, ids: &Ids) -> bool {
        self.0 == ids.filter()
    }
}

pub(crate) fn folder(dir: &Path) -> PathBuf {
    dir.join("index")
}

pub(crate) fn path(dir: &Path, segment: &Segment) -> PathBuf {
    folder(dir).join(format!("{:012}.ids", segment.first))
}

/// The value of `key` in a line, with its escapes, and what follows. A quote inside a string is always escaped, so no value
/// can imitate a key.
fn value<'a>(line: &'a [u8], key: &Finder<'_>) -> Option<(&'a [u8], &'a [u8])> {
    let text = line.get(key.find(line)? + key.needle().len()..)?;
    let mut is_escaped = false;
    let end = text.iter().position(|byte| {
        let is_end = *byte == b'"' && !is_escaped;
        is_escaped = *byte == b'\\' && !is_escaped;
        is_end
    })?;
    text.split_at_checked(end)
}

/// Eight bytes at a time, each group mixed in. Ids are drawn by the gateway itself, so nobody can choose them to collide,
/// and a collision costs only time.
fn hash(id: &[u8]) -> u64 {
    let (groups, rest) = id.as_chunks::<8>();
    let mut last = [0; 8];
    last.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
    let groups = groups
        .iter()
        .chain([&last])
        .map(|group| u64::from_le_bytes(*group));
    groups.fold(id.len() as u64, |hash, group| mix(hash ^ group))
}

/// Spreads a hash over all its bits.
const fn mix(hash: u64) -> u64 {
    let hash = (hash ^ hash >> 32).wrapping_mul(0xd6e8_feb8_6659_fd93);
    hash ^ hash >> 32
}

/// Where an id has its bits in a filter of so many.
fn places(id: u64, bits: usize) -> impl Iterator<Item = usize> {
    let step = mix(id ^ 0x9e37_79b9_7f4a_7c15) | 1;
    (0..BITS_SET).map(move |turn| {
        // The part of all numbers below this one, of all bits: a division would cost the verifier more than the hash.
        let part = u128::from(id.wrapping_add(step.wrapping_mul(turn))) * bits as u128;
        usize::try_from(part >> u64::BITS).unwrap_or_default()
    })
}

const MAGIC: &[u8] = b"HANGUID2";
/// What stands before the filter: the mark and two times.
const HEAD_BYTES: usize = MAGIC.len() + 2 * TIME_BYTES;
/// `2026-11-24T07:10:22.123Z`.
const TIME_BYTES: usize = 24;
/// The time stands behind version, number and algorithm.
const TIME_WITHIN_BYTES: usize = 128;
static TIME: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b",\"time\":\""));
static REQUEST_ID: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b",\"request_id\":\""));
static TRACE_ID: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b",\"trace_id\":\""));
/// The ids stand behind the node's and the boot's name, which are short.
const SEARCHED_BYTES: usize = 2048;
const BITS_AN_ID: usize = 12;
const BITS_SET: u64 = 8;

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(count: usize) -> Ids {
        let mut ids = Ids::default();
        for id in 0..count {
            ids.add(format!("{{\"v\":2,\"kind\":\"request\",\"request_id\":\"r{id}\",\"trace_id\":\"t{id}\",\"x\":1").as_bytes());
        }
        ids
    }

    #[test]
    fn every_id_is_found_and_hardly_any_other() {
        let filter = Filter(ids(2_000).filter());
        for id in 0..2_000 {
            assert!(
                filter.may_hold(format!("r{id}").as_bytes())
                    && filter.may_hold(format!("t{id}").as_bytes())
            );
        }
        let wrong = (2_000..12_000)
            .filter(|id| filter.may_hold(format!("r{id}").as_bytes()))
            .count();
        assert!(wrong < 100, "{wrong} of 10,000");
        assert!(!Filter(ids(0).filter()).may_hold(b"r1"));
    }

    #[test]
    fn values_are_taken_with_their_escapes_and_never_from_inside_another() {
        for (line, found) in [
            (r#"{"v":2,"request_id":"a","trace_id":"b","#, Some("a")),
            (r#"{"v":2,"request_id":"a\"b\\","x":1"#, Some(r#"a\"b\\"#)),
            (
                r#"{"v":2,"node":"x,\"request_id\":\"no","request_id":"yes""#,
                Some("yes"),
            ),
            (r#"{"v":2,"node":",","trace_id":"b""#, None),
            (r#"{"v":2,"request_id":"endless"#, None),
            ("", None),
        ] {
            let found_now = value(line.as_bytes(), &REQUEST_ID)
                .map(|(value, _)| str::from_utf8(value).unwrap());
            assert_eq!(found_now, found, "{line}");
        }
    }
}
