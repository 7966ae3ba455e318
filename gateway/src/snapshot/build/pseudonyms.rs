//! The key that identifiers in the audit log are hashed with.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use hangu_audit::Pseudonyms;

use super::{LoadError, Loader};
use crate::config::Config;

impl Loader {
    /// `None` where the log names people, or after a problem.
    pub(super) fn pseudonyms(&mut self, config: &Config) -> Option<Pseudonyms> {
        let wanted = config.pseudonyms.as_ref()?;
        let text = self.text(&wanted.key)?;
        match Pseudonyms::parse(&text, wanted.hidden) {
            Ok(pseudonyms) if !is_open(&wanted.key) => Some(pseudonyms),
            Ok(_) => self.no_key(
                &wanted.key,
                &"everybody may read it; `chmod 600` it, and make a new one if it was read",
            ),
            Err(error) => self.no_key(&wanted.key, &error),
        }
    }

    fn no_key(&mut self, path: &Path, why: &dyn std::fmt::Display) -> Option<Pseudonyms> {
        let error = LoadError::Pseudonyms {
            path: path.to_owned(),
            why: why.to_string().into(),
        };
        self.wrong(path, error);
        None
    }
}

/// Whoever can read the key can find out who is meant.
fn is_open(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|meta| meta.mode() & OTHERS != 0)
}

const OTHERS: u32 = 0o007;
