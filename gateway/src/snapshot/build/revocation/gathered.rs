//! The files of lists that are there, and what stands in for those that are not.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use hangu_certs::{CrlError, CrlProblem, RevocationIndex};

use super::super::{LoadError, Loader};
use super::{is_anothers, lists_at};
use crate::crl_fetch::{Copy, ListFile};

/// What is to be loaded for one trust bundle.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    /// Name and bytes.
    pub(super) files: Vec<(String, Vec<u8>)>,
    /// Names of those that were fetched.
    pub(super) fetched: BTreeSet<String>,
    /// Those that a copy stands in for.
    stand_ins: BTreeMap<String, StandIn>,
    /// Of which files there are copies; none where no grace was given.
    copies: BTreeMap<PathBuf, Copy>,
}

/// A copy in place of a file.
#[derive(Debug)]
struct StandIn {
    /// Unix seconds at which the file was last there.
    last_seen: i64,
    /// What is wrong with the file, should the copy not do; nothing where a file of a folder is gone, which is no error by itself.
    instead_of: Option<LoadError>,
}

impl Gathered {
    pub(super) fn with(copies: BTreeMap<PathBuf, Copy>) -> Self {
        Self {
            copies,
            ..Self::default()
        }
    }

    /// When the files were last there that copies stand in for. A file that `last` had was there just now.
    pub(super) fn missing_since(
        &self,
        last: Option<&RevocationIndex>,
        now: i64,
    ) -> BTreeMap<String, i64> {
        let known = |file: &str| {
            let lists = last.map_or(&[][..], RevocationIndex::next_updates);
            let list = lists.iter().find(|list| list.file == file)?;
            Some(list.missing_since.unwrap_or(now))
        };
        self.stand_ins
            .iter()
            .map(|(file, own)| {
                let since = known(file).unwrap_or(own.last_seen);
                (file.clone(), since.min(now))
            })
            .collect()
    }

    /// What was read out of files themselves.
    pub(super) fn own_files(&self) -> impl Iterator<Item = ListFile> {
        let is_own =
            |name: &str| !self.fetched.contains(name) && !self.stand_ins.contains_key(name);
        self.files
            .iter()
            .filter(move |(name, _)| is_own(name))
            .map(|(name, bytes)| ListFile::of(PathBuf::from(name), bytes))
    }

    /// Lets the copies of a file, or of those in a folder, stand in for it. Without any its error is given back.
    fn stand_in(&mut self, path: &Path, error: LoadError) -> Option<LoadError> {
        let mut error = Some(error);
        for (source, copy) in self.copies.clone() {
            if source == path || source.parent() == Some(path) {
                self.add_copy(&source, &copy, &mut error);
            }
        }
        error
    }

    /// Lets the copies of what is no longer in a folder stand in for it.
    fn stand_in_for_others(&mut self, folder: &Path, found: &[PathBuf]) {
        for (source, copy) in self.copies.clone() {
            if source.parent() == Some(folder) && !found.contains(&source) {
                self.add_copy(&source, &copy, &mut None);
            }
        }
    }

    fn add_copy(&mut self, source: &Path, copy: &Copy, error: &mut Option<LoadError>) {
        let name = source.display().to_string();
        if let Some(bytes) = copy.bytes()
            && !self.stand_ins.contains_key(&name)
        {
            self.files.push((name.clone(), bytes));
            let own = StandIn {
                last_seen: copy.last_seen,
                instead_of: error.take(),
            };
            self.stand_ins.insert(name, own);
        }
    }

    /// Does without the file of a problem, or with its copy; what then is still wrong.
    pub(super) fn mend(&mut self, problem: CrlError) -> Option<LoadError> {
        let name = problem.file.clone();
        if let Some(own) = self.stand_ins.remove(&name) {
            self.files.retain(|(file, _)| *file != name);
            return own.instead_of;
        }
        if self.fetched.contains(&name) {
            // What was damaged where it was kept is as good as not fetched: whom it covers is refused until it comes anew.
            if !is_anothers(&problem) {
                tracing::error!("{problem}");
            }
            self.files.retain(|(file, _)| *file != name);
            return None;
        }
        if !is_unreadable(&problem.problem) {
            return Some(problem.into());
        }
        self.files.retain(|(file, _)| *file != name);
        self.stand_in(Path::new(&name), problem.into())
    }
}

impl Loader {
    /// Each file, and each file of each folder.
    pub(super) fn gather_files(&mut self, paths: &[PathBuf], gathered: &mut Gathered) {
        for path in paths {
            let found = match lists_at(path) {
                Ok(found) => found,
                Err(source) => {
                    let error = LoadError::Read {
                        path: path.clone(),
                        source,
                    };
                    self.do_without(path, error, gathered);
                    continue;
                }
            };
            gathered.stand_in_for_others(path, &found);
            for file in found {
                match Loader::read(&file) {
                    Ok(bytes) => gathered.files.push((file.display().to_string(), bytes)),
                    Err(error) => self.do_without(&file, error, gathered),
                }
            }
        }
    }

    fn do_without(&mut self, path: &Path, error: LoadError, gathered: &mut Gathered) {
        if let Some(error) = gathered.stand_in(path, error) {
            self.wrong(path, error);
        }
    }
}

/// Whether a file does not say anything at all.
fn is_unreadable(problem: &CrlProblem) -> bool {
    matches!(
        problem,
        CrlProblem::Empty | CrlProblem::Pem(_) | CrlProblem::Malformed(_)
    )
}
