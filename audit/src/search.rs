//! All records of a log that match a filter, in order.
//!
//! Finished segments that surely do not hold the request, trace or time that is looked for are not opened.

use std::io;
use std::path::{Path, PathBuf};

use crate::entry::Entry;
use crate::filter::Filter;
use crate::index;
use crate::reader::{Position, ReadError, Reader};
use crate::segment;

/// A search through the log in a folder. Ends at what was there when it came to the end; start another to go on.
#[derive(Debug)]
pub struct Search {
    dir: PathBuf,
    filter: Filter,
    /// First record of each stretch to read, and the record it ends before; the last stretch first.
    stretches: Vec<(u64, u64)>,
    open: Option<(Reader, u64)>,
}

impl Search {
    /// Looks for what matches `filter`.
    ///
    /// # Errors
    /// When the folder or an index cannot be read.
    pub fn open(dir: &Path, filter: Filter) -> Result<Self, ReadError> {
        let at = |source| ReadError::Io {
            path: dir.to_owned(),
            source,
        };
        let segments = segment::list(dir).map_err(at)?;
        let ends = segments
            .iter()
            .skip(1)
            .map(|segment| segment.first)
            .chain([u64::MAX]);
        let mut stretches = Vec::new();
        for (segment, end) in segments.iter().zip(ends) {
            if end == u64::MAX || may_hold(dir, segment, &filter).map_err(at)? {
                stretches.push((segment.first, end));
            }
        }
        stretches.reverse();
        Ok(Self {
            dir: dir.to_owned(),
            filter,
            stretches,
            open: None,
        })
    }

    /// The next record that matches, with its line; `None` at the end.
    ///
    /// # Errors
    /// When records are missing or not in order, or a file cannot be read.
    pub fn next_match(&mut self) -> Result<Option<(Entry, String)>, ReadError> {
        loop {
            let Some((reader, end)) = &mut self.open else {
                let Some((first, end)) = self.stretches.pop() else {
                    return Ok(None);
                };
                self.open = Some((Reader::open(&self.dir, Position::Sequence(first))?, end));
                continue;
            };
            let Some(line) = reader.next_line()? else {
                self.open = None;
                continue;
            };
            // Not asked beyond its stretch: the next segment may be one that need not be opened.
            if line.sequence.saturating_add(1) >= *end {
                self.open = None;
            }
            if let Some(entry) = self.filter.find(&line.json) {
                return Ok(Some((entry, line.json)));
            }
        }
    }
}

fn may_hold(dir: &Path, segment: &segment::Segment, filter: &Filter) -> io::Result<bool> {
    let mut ids = filter.ids().peekable();
    let (since, until) = filter.window();
    if ids.peek().is_none() && since.is_none() && until.is_none() {
        return Ok(true);
    }
    let index = index::Filter::read(dir, segment)?;
    Ok(index.is_none_or(|index| index.may_be_of(since, until) && ids.all(|id| index.may_hold(id))))
}
