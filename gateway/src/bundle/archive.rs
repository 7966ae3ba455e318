//! The container of a bundle: a tar file (POSIX ustar) of plain files, always written in one way.
//!
//! Anybody can look into it with `tar`. What is read back must be byte for byte what we would have written: one
//! archive has one content, and no second reader sees another.

use thiserror::Error;

/// Files by name, in the order of the archive.
pub type Files = Vec<(String, Vec<u8>)>;

/// An archive cannot be read or written.
#[derive(Debug, Error)]
pub enum ArchiveError {
    /// It is not of our form.
    #[error("the bundle is damaged at byte {at}: {what}; fetch it again")]
    Damaged { at: usize, what: &'static str },
    /// A name that the form cannot hold.
    #[error("file name `{}` cannot stand in a bundle; use up to 99 letters, digits and -_./", .0.escape_debug())]
    Name(String),
}

/// Writes files, one after the other.
pub fn write(files: &Files) -> Result<Vec<u8>, ArchiveError> {
    let mut out = Vec::new();
    for (name, bytes) in files {
        let header = header(name, bytes.len()).ok_or_else(|| ArchiveError::Name(name.clone()))?;
        out.extend_from_slice(&header);
        out.extend_from_slice(bytes);
        out.resize(out.len().next_multiple_of(BLOCK), 0);
    }
    out.resize(out.len() + 2 * BLOCK, 0);
    Ok(out)
}

/// Reads the files of an archive that [`write()`] has written.
pub fn read(archive: &[u8]) -> Result<Files, ArchiveError> {
    let mut files = Files::new();
    let mut at = 0;
    loop {
        let damaged = |what| ArchiveError::Damaged { at, what };
        let block = archive
            .get(at..at + BLOCK)
            .ok_or(damaged("it ends too early"))?;
        if block.iter().all(|byte| *byte == 0) {
            let rest = archive.get(at..).unwrap_or_default();
            if rest.len() != 2 * BLOCK || rest.iter().any(|byte| *byte != 0) {
                return Err(damaged("something follows its end"));
            }
            return Ok(files);
        }
        let (name, size) = parse(block).ok_or(damaged("this is no header of a plain file"))?;
        if header(&name, size).is_none_or(|header| header != *block) {
            return Err(damaged("this header is not as we write it"));
        }
        if files.iter().any(|(known, _)| *known == name) {
            return Err(damaged("this file is there twice"));
        }
        let end = (at + BLOCK)
            .checked_add(size)
            .ok_or(damaged("this file is too large"))?;
        let bytes = archive
            .get(at + BLOCK..end)
            .ok_or(damaged("this file ends too early"))?;
        let next = end.next_multiple_of(BLOCK);
        let padding = archive.get(end..next).ok_or(damaged("it ends too early"))?;
        if padding.iter().any(|byte| *byte != 0) {
            return Err(damaged("something stands behind this file"));
        }
        files.push((name, bytes.to_vec()));
        at = next;
    }
}

/// The one header for a name and a size; `None` for names and sizes that do not fit.
pub(crate) fn header(name: &str, size: usize) -> Option<[u8; BLOCK]> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte);
    let walks = name.split('/').any(|part| matches!(part, "" | "." | ".."));
    if name.len() > NAME_BYTES_MAX || !name.bytes().all(plain) || walks {
        return None;
    }
    let size = format!("{size:011o}");
    if size.len() != 11 {
        return None;
    }
    let mut block = [0; BLOCK];
    let mut put = |at: usize, text: &[u8]| {
        for (byte, letter) in block.iter_mut().skip(at).zip(text) {
            *byte = *letter;
        }
    };
    put(0, name.as_bytes());
    put(100, b"0000644");
    put(108, b"0000000");
    put(116, b"0000000");
    put(124, size.as_bytes());
    put(136, b"00000000000");
    put(148, b"        ");
    put(156, b"0");
    put(257, b"ustar\x0000");
    put(329, b"0000000");
    put(337, b"0000000");
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    for (byte, letter) in block
        .iter_mut()
        .skip(148)
        .zip(format!("{sum:06o}\0 ").bytes())
    {
        *byte = letter;
    }
    Some(block)
}

/// The name and the size in a header.
pub(crate) fn parse(block: &[u8]) -> Option<(String, usize)> {
    let name = block.get(..100)?;
    let end = name.iter().position(|byte| *byte == 0)?;
    let name = std::str::from_utf8(name.get(..end)?).ok()?.to_owned();
    let size = std::str::from_utf8(block.get(124..135)?).ok()?;
    Some((name, usize::from_str_radix(size, 8).ok()?))
}

pub(crate) const BLOCK: usize = 512;
const NAME_BYTES_MAX: usize = 99;

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Vec<u8> {
        let files = vec![
            ("manifest".to_owned(), b"epoch = 1\n".to_vec()),
            ("tests/a.toml".to_owned(), vec![b'x'; 512]),
            ("empty".to_owned(), Vec::new()),
        ];
        let archive = write(&files).unwrap();
        assert_eq!(read(&archive).unwrap(), files);
        archive
    }

    #[test]
    fn every_changed_byte_outside_the_contents_is_found() {
        let archive = sample();
        let contents = [512..522, 1536..2048];
        for at in 0..archive.len() {
            if contents.iter().any(|range| range.contains(&at)) {
                continue;
            }
            let mut changed = archive.clone();
            changed[at] ^= 1;
            let same = read(&changed).is_ok_and(|files| write(&files).unwrap() == archive);
            assert!(read(&changed).is_err() || !same, "{at}");
        }
        for end in (0..archive.len()).step_by(256) {
            assert!(read(&archive[..end]).is_err(), "{end}");
        }
        assert!(read(&[archive, vec![0; 512]].concat()).is_err());
    }

    #[test]
    fn names_that_walk_out_or_do_not_fit_are_refused() {
        for name in ["", "../a", "/a", "a//b", "a b", "a\nb", &"a".repeat(100)] {
            assert!(
                write(&vec![(name.to_owned(), Vec::new())]).is_err(),
                "{name}"
            );
        }
    }
}
