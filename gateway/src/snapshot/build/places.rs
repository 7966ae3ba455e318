//! Where a configuration names a file: what is wrong with the file is told at that place.

use std::path::{Path, PathBuf};

use super::LoadError;

/// The text of a configuration, to find file names in.
#[derive(Debug)]
pub(super) struct Places {
    file: PathBuf,
    text: String,
}

impl Places {
    /// Of the configuration in `file`. One that can no longer be read has no places.
    pub(super) fn of(file: &Path) -> Self {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        Self {
            file: file.to_owned(),
            text,
        }
    }

    /// The error with the first place that names `path`, or alone when none does.
    pub(super) fn tell(&self, path: &Path, error: LoadError) -> LoadError {
        match self.find(path) {
            Some((line, column)) => LoadError::Named {
                file: self.file.clone(),
                line,
                column,
                source: Box::new(error),
            },
            None => error,
        }
    }

    /// Line and column, in characters from 1, of the string that stands for `path`.
    fn find(&self, path: &Path) -> Option<(usize, usize)> {
        let folder = self.file.parent()?;
        self.text.lines().enumerate().find_map(|(index, line)| {
            let mut strings = line.match_indices(['"', '\'']);
            strings.find_map(|(at, quote)| {
                let rest = line.get(at + 1..)?;
                let value = rest.get(..rest.find(quote)?)?;
                let before = line.get(..at)?;
                (folder.join(value) == path).then(|| (index + 1, before.chars().count() + 1))
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_found_where_it_is_named() {
        let places = Places {
            file: PathBuf::from("/etc/hangu/hangu.toml"),
            text: "# \"certs/a\n[x]\nchain = \"certs/a.pem\"\ncrls = ['b.pem', \"/c.pem\"]\n"
                .to_owned(),
        };
        for (path, place) in [
            ("/etc/hangu/certs/a.pem", Some((3, 9))),
            ("/etc/hangu/b.pem", Some((4, 9))),
            ("/c.pem", Some((4, 18))),
            ("/etc/hangu/certs/a", None),
        ] {
            assert_eq!(places.find(Path::new(path)), place, "{path}");
        }
    }
}
