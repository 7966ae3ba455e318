//! Revocation lists: out of files, folders and what was fetched, verified and indexed.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hangu_certs::{
    CrlError, CrlExpiry, CrlProblem, Grace, RevocationIndex, TrustBundle, Uncovered,
};

use self::gathered::Gathered;
use super::{LoadError, Loader};
use crate::config::{Config, CrlHost, CrlUrl};
use crate::crl_fetch::{ListFile, cached, copies, kept_points};
use crate::snapshot::Expiry;

mod gathered;

/// Where the lists of one trust bundle are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lists<'a> {
    /// The listener or application that they are for.
    pub(super) of: &'a str,
    /// Files, and folders of files.
    pub(super) files: &'a [PathBuf],
    /// What is fetched.
    pub(super) urls: &'a [CrlUrl],
    /// Whose distribution points are followed.
    pub(super) hosts: &'a [CrlHost],
    /// How long one counts beyond its end, unless `[crl_grace]` has something of its own for the issuer.
    pub(super) grace: Duration,
}

/// A grace in seconds.
pub(super) fn seconds(grace: Duration) -> u32 {
    u32::try_from(grace.as_secs()).unwrap_or(u32::MAX)
}

impl Loader {
    /// The index of some lists, which must not go back behind those of `last`.
    pub(super) fn revocation(
        &mut self,
        lists: Lists<'_>,
        trust: &TrustBundle,
        last: Option<&RevocationIndex>,
    ) -> Option<Arc<RevocationIndex>> {
        if lists.files.is_empty() && lists.urls.is_empty() && lists.hosts.is_empty() {
            return Some(Arc::new(RevocationIndex::empty(Uncovered::Accepted)));
        }
        let grace = seconds(lists.grace);
        let may_miss = grace > 0 || self.grace_of.values().any(|own| *own > 0);
        let copies = may_miss.then(|| copies(&self.crl_fetch));
        let mut gathered = Gathered::with(copies.unwrap_or_default());
        let before = self.problems.len();
        self.gather_files(lists.files, &mut gathered);
        self.gather_fetched(lists, &mut gathered);
        if self.problems.len() > before {
            return None;
        }
        let index = self.index(&mut gathered, grace, trust, last)?;
        if may_miss {
            let counts = |file: &ListFile| {
                let mut lists = index.next_updates().iter();
                lists.any(|list| Path::new(&list.file) == file.path)
            };
            self.list_files.extend(gathered.own_files().filter(counts));
        }
        self.tell_lists(lists.of, &index);
        Some(Arc::new(index))
    }

    /// The index of what was gathered. What can be done without is left out, round after round, until the rest is good.
    fn index(
        &mut self,
        gathered: &mut Gathered,
        seconds: u32,
        trust: &TrustBundle,
        last: Option<&RevocationIndex>,
    ) -> Option<RevocationIndex> {
        let mut grace = Grace {
            seconds,
            of_issuers: self.grace_of.clone(),
            missing_since: BTreeMap::new(),
        };
        // Each round takes a file away, or puts its copy in its place, so there is a last one.
        loop {
            grace.missing_since = gathered.missing_since(last, self.now);
            let problems = match self.index_of(gathered, &grace, trust, last) {
                Ok(index) => return Some(index),
                Err(problems) => problems,
            };
            let mut mended = BTreeSet::new();
            let mut is_mended = true;
            for problem in problems {
                let file = problem.file.clone();
                if mended.contains(&file) {
                    continue;
                }
                match gathered.mend(problem) {
                    None => drop(mended.insert(file)),
                    Some(error) => {
                        self.wrong(Path::new(&file), error);
                        is_mended = false;
                    }
                }
            }
            if !is_mended {
                return None;
            }
        }
    }

    fn index_of(
        &self,
        gathered: &Gathered,
        grace: &Grace,
        trust: &TrustBundle,
        last: Option<&RevocationIndex>,
    ) -> Result<RevocationIndex, Vec<CrlError>> {
        let lists: Vec<(&str, &[u8])> = gathered
            .files
            .iter()
            .map(|(name, bytes)| (name.as_str(), bytes.as_slice()))
            .collect();
        // One authority's late list must not keep the gateway from taking anything else: it refuses that authority's clients.
        let keep = |list: &CrlExpiry| {
            let is_known = |last: &RevocationIndex| {
                last.next_updates()
                    .iter()
                    .any(|known| known.file == list.file && known.number == list.number)
            };
            gathered.fetched.contains(&list.file) || last.is_some_and(is_known)
        };
        let index = RevocationIndex::load_keeping(&lists, trust, grace, self.now, &keep)?;
        // A file put back would forget the revocations since.
        match last {
            Some(last) => index.check_follows(last).map(|()| index),
            None => Ok(index),
        }
    }

    /// What is kept of the fetched lists. One that has not come yet is none.
    fn gather_fetched(&self, lists: Lists<'_>, gathered: &mut Gathered) {
        let mut add = |path: PathBuf, bytes: Vec<u8>| {
            let name = path.display().to_string();
            gathered.fetched.insert(name.clone());
            gathered.files.push((name, bytes));
        };
        for url in lists.urls {
            let path = cached(&self.crl_fetch, url);
            match std::fs::read(&path) {
                Ok(bytes) => add(path, bytes),
                Err(why) => tracing::warn!(
                    "`{}`: there is no revocation list from {url} yet ({why}); whom it covers is refused",
                    lists.of
                ),
            }
        }
        // Of distribution points whatever is there; those that are not there yet will come.
        for (url, path) in kept_points(&self.crl_fetch) {
            if lists.hosts.iter().any(|host| host.serves(&url))
                && let Ok(bytes) = std::fs::read(&path)
            {
                add(path, bytes);
            }
        }
    }

    /// Whoever is given grace has lists, for a name that is misspelt would be denied grace when it is needed.
    pub(super) fn each_grace_is_somebodys(&mut self, config: &Config) {
        // Authorities that could not be read may be those that are meant.
        if !self.problems.is_empty() {
            return;
        }
        let shown: Vec<String> = self
            .authorities
            .iter()
            .take(AUTHORITIES_SHOWN_MAX)
            .map(|name| format!("`{name}`"))
            .collect();
        let unknown = self
            .grace_of
            .keys()
            .filter(|issuer| !self.authorities.contains(*issuer));
        self.problems
            .extend(unknown.map(|issuer| LoadError::GraceOfNobody {
                file: config.file.clone(),
                issuer: issuer.clone(),
                known: shown.join(", "),
            }));
    }

    /// When they end, and which need somebody's hand although the gateway serves.
    fn tell_lists(&mut self, of: &str, index: &RevocationIndex) {
        for list in index.stale(self.now) {
            tracing::warn!(
                "revocation list `{}` of `{}` is past its end and counts by grace only, or refuses; fetch the current one",
                list.file,
                list.issuer
            );
        }
        for list in index.missing() {
            tracing::error!(
                "revocation list `{}` of `{}` is gone or unreadable; a copy stands in for it until its grace ends, then its clients are refused; deliver it again",
                list.file,
                list.issuer
            );
        }
        for list in index.ignored() {
            tracing::warn!("{list}");
        }
        self.expiries
            .extend(index.next_updates().iter().map(|list| Expiry {
                kind: "crl",
                name: list.file.clone(),
                listener: of.to_owned(),
                at: list.next_update,
            }));
    }
}

/// Whether a list is of no authority of these: what distribution points publish is tried with every listener that follows their host.
fn is_anothers(problem: &CrlError) -> bool {
    matches!(problem.problem, CrlProblem::UnknownIssuer { .. })
}

/// The lists at a path: itself, or the files of the folder that it is, by name. What begins with a dot is not one: so secret mounts name
/// what they are about to swap.
///
/// # Errors
/// The folder cannot be read, or holds more than 1,024 files.
pub fn lists_at(path: &Path) -> io::Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path)? {
        let entry = entry?;
        let is_hidden = entry.file_name().to_string_lossy().starts_with('.');
        if is_hidden || entry.path().is_dir() {
            continue;
        }
        files.push(entry.path());
        if files.len() > FOLDER_FILES_MAX {
            return Err(io::Error::other("it holds more than 1024 files"));
        }
    }
    files.sort();
    Ok(files)
}

const FOLDER_FILES_MAX: usize = 1024;
/// Names in an error.
const AUTHORITIES_SHOWN_MAX: usize = 8;
