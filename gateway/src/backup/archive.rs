//! The archive as a stream: files of any length, written and read piece by piece, and read back only if each header is byte for byte
//! what we would have written.

use std::io::{self, Read, Write};

use super::BackupError;
use crate::bundle::archive::{BLOCK, header, parse};

/// Writes an archive.
pub(super) struct Writer<W>(W);

impl<W: Write> Writer<W> {
    pub(super) const fn new(to: W) -> Self {
        Self(to)
    }

    /// Writes a file of exactly `bytes` bytes, taken from `content`.
    pub(super) fn file(
        &mut self,
        name: &str,
        bytes: u64,
        content: &mut impl Read,
    ) -> io::Result<()> {
        let header = usize::try_from(bytes)
            .ok()
            .and_then(|bytes| header(name, bytes))
            .ok_or_else(|| io::Error::other("this file is too large for the archive"))?;
        self.0.write_all(&header)?;
        let copied = io::copy(&mut content.take(bytes), &mut self.0)?;
        if copied != bytes {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.0.write_all(padding(bytes))
    }

    /// Writes the end.
    pub(super) fn finish(mut self) -> io::Result<W> {
        self.0.write_all(&[0; 2 * BLOCK])?;
        self.0.flush()?;
        Ok(self.0)
    }
}

/// Reads an archive, file by file.
pub(super) struct Reader<R> {
    from: R,
    at: u64,
}

impl<R: Read> Reader<R> {
    pub(super) const fn new(from: R) -> Self {
        Self { from, at: 0 }
    }

    /// The name and length of the next file, whose content must be [taken](Self::content) next; `None` at the end.
    pub(super) fn next_file(&mut self) -> Result<Option<(String, u64)>, BackupError> {
        let block = self.block()?;
        if block == [0; BLOCK] {
            let damaged = Err(self.damaged("something follows its end"));
            if self.block()? != [0; BLOCK] || self.from.read(&mut [0]).map_or(true, |read| read > 0)
            {
                return damaged;
            }
            return Ok(None);
        }
        let (name, bytes) =
            parse(&block).ok_or_else(|| self.damaged("this is no header of a plain file"))?;
        if header(&name, bytes).is_none_or(|header| header != block) {
            return Err(self.damaged("this header is not as we write it"));
        }
        Ok(Some((name, bytes as u64)))
    }

    /// Gives the content of a file to `take`, piece by piece.
    pub(super) fn content(
        &mut self,
        bytes: u64,
        mut take: impl FnMut(&[u8]) -> Result<(), BackupError>,
    ) -> Result<(), BackupError> {
        let (mut left, mut buffer) = (bytes, vec![0; PIECE_BYTES]);
        while left > 0 {
            let most = usize::try_from(left).unwrap_or(usize::MAX).min(PIECE_BYTES);
            let piece = buffer.get_mut(..most).unwrap_or_default();
            let read = match self.from.read(piece) {
                Ok(0) => return Err(self.damaged("it ends too early")),
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => return Err(self.damaged("it cannot be read")),
            };
            take(piece.get(..read).unwrap_or_default())?;
            left = left.saturating_sub(read as u64);
            self.at += read as u64;
        }
        let mut rest = vec![0; padding(bytes).len()];
        self.exactly(&mut rest)?;
        if rest.iter().any(|byte| *byte != 0) {
            return Err(self.damaged("something stands behind this file"));
        }
        Ok(())
    }

    /// A whole file that must be the next one, of this name and at most so long.
    pub(super) fn whole(&mut self, name: &str, bytes_max: u64) -> Result<Vec<u8>, BackupError> {
        match self.next_file()? {
            Some((found, bytes)) if found == name && bytes <= bytes_max => {
                let mut content = Vec::new();
                self.content(bytes, |piece| {
                    content.extend_from_slice(piece);
                    Ok(())
                })?;
                Ok(content)
            }
            _ => Err(self.damaged("another file was to stand here")),
        }
    }

    fn block(&mut self) -> Result<[u8; BLOCK], BackupError> {
        let mut block = [0; BLOCK];
        self.exactly(&mut block)?;
        Ok(block)
    }

    fn exactly(&mut self, buffer: &mut [u8]) -> Result<(), BackupError> {
        if self.from.read_exact(buffer).is_err() {
            return Err(self.damaged("it ends too early"));
        }
        self.at += buffer.len() as u64;
        Ok(())
    }

    fn damaged(&self, what: &'static str) -> BackupError {
        BackupError::Damaged { at: self.at, what }
    }
}

/// What fills the last block of a file.
fn padding(bytes: u64) -> &'static [u8] {
    const ZEROS: &[u8] = &[0; BLOCK];
    let used = usize::try_from(bytes % BLOCK as u64).unwrap_or_default();
    let length = if used == 0 { 0 } else { BLOCK - used };
    ZEROS.get(..length).unwrap_or_default()
}

const PIECE_BYTES: usize = 256 * 1024;
