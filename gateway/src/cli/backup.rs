//! `hangu backup` and `hangu restore`: a node in one signed archive, and back. Exit 0 done, 1 the archive does not hold, 2 it could not
//! be done.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use hangu_audit::key::{KeyKind, Verifier};

use super::{complain, say};
use crate::audit_trail::key_file::read_key;
use crate::backup::{BackupError, Passphrase, Restored, Target, backup, prove, restore};
use crate::config;
use crate::server::node_name;

#[derive(Debug, Args)]
pub(super) struct BackupOptions {
    /// The configuration file of the node
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Where to write the archive; must not be there yet
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// The key that signs it, as `hangu audit key` makes them
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// Take the node's keys too, sealed under the passphrase
    #[arg(long, requires = "passphrase_file")]
    with_keys: bool,
    /// File whose first line is the passphrase, of 16 bytes or more
    #[arg(long, value_name = "FILE", requires = "with_keys")]
    passphrase_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct RestoreOptions {
    /// The archive
    archive: PathBuf,
    /// The folder to restore the configuration's folder to; must be empty or missing
    #[arg(long, value_name = "FOLDER", required_unless_present = "verify_only")]
    dir: Option<PathBuf>,
    /// A key that may have signed the archive, or a file with it
    #[arg(long = "key", value_name = "KEY", required = true)]
    keys: Vec<String>,
    /// Prove the archive and write nothing
    #[arg(long, visible_alias = "verify")]
    verify_only: bool,
    /// Move aside what is in the folder
    #[arg(long)]
    replace: bool,
    /// File whose first line is the passphrase of the sealed keys
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

pub(super) fn make(options: &BackupOptions) -> ExitCode {
    finish(try_make(options))
}

pub(super) fn bring_back(options: &RestoreOptions) -> ExitCode {
    finish(try_bring_back(options))
}

fn try_make(options: &BackupOptions) -> Result<(), Failure> {
    let config = config::load(&options.config).map_err(|error| unable(&error))?;
    let signer = read_key(&options.key, KeyKind::Note).map_err(|error| unable(&error))?;
    let passphrase = read_passphrase(options.passphrase_file.as_deref())?;
    let done = backup(
        &config,
        &node_name(),
        &options.out,
        &signer,
        passphrase.as_ref(),
    )?;
    say(format_args!(
        "{}: {} files, {} bytes, audit log up to record {}; signed by {}",
        options.out.display(),
        done.files,
        done.bytes,
        done.records,
        signer.verifier().name()
    ));
    for key in &done.keys_left_out {
        say(format_args!("not in it: the key `{key}`"));
    }
    Ok(())
}

fn try_bring_back(options: &RestoreOptions) -> Result<(), Failure> {
    let keys = read_keys(&options.keys)?;
    let proven = prove(&options.archive, &keys)?;
    let summary = proven.summary();
    say(format_args!(
        "{}: good; made {} on {}, {} files, {} bytes, audit log up to record {}",
        options.archive.display(),
        summary.made,
        summary.node,
        summary.files,
        summary.bytes,
        summary.records
    ));
    let Some(folder) = options.dir.as_deref().filter(|_| !options.verify_only) else {
        return Ok(());
    };
    let passphrase = read_passphrase(options.passphrase_file.as_deref())?;
    let target = Target {
        folder,
        replace: options.replace,
        passphrase: passphrase.as_ref(),
    };
    tell(folder, &restore(proven, &target)?);
    Ok(())
}

fn tell(folder: &Path, restored: &Restored) {
    say(format_args!("restored to {}", folder.display()));
    if let Some(aside) = &restored.moved_aside {
        say(format_args!("what was there is in {}", aside.display()));
    }
    for key in &restored.keys_left_out {
        say(format_args!("put back the key `{key}`"));
    }
    for place in &restored.outside {
        let original = place.split_once('/').map_or("", |(_, rest)| rest);
        say(format_args!(
            "copy `{place}` to `/{original}`, where the configuration names it"
        ));
    }
    let config = folder.join(&restored.config);
    say(format_args!(
        "then: hangu check --config {}",
        config.display()
    ));
}

fn read_passphrase(file: Option<&Path>) -> Result<Option<Passphrase>, Failure> {
    let Some(file) = file else { return Ok(None) };
    let text = fs::read_to_string(file)
        .map_err(|error| Failure::Unable(format!("{}: {error}", file.display())))?;
    Ok(Some(Passphrase::new(&text)?))
}

/// Keys as they are given: each itself, or the first line of a file.
fn read_keys(given: &[String]) -> Result<Vec<Verifier>, Failure> {
    let read = |given: &String| {
        let text = fs::read_to_string(given).unwrap_or_else(|_| given.clone());
        let line = text.lines().next().unwrap_or_default();
        Verifier::parse(line.trim()).map_err(|error| Failure::Unable(format!("`{given}`: {error}")))
    };
    given.iter().map(read).collect()
}

#[derive(Debug)]
enum Failure {
    /// The archive does not hold. Exit 1.
    No(String),
    /// It could not be done. Exit 2.
    Unable(String),
}

impl From<BackupError> for Failure {
    fn from(error: BackupError) -> Self {
        let text = error.to_string();
        match error {
            BackupError::Damaged { .. }
            | BackupError::Unsigned
            | BackupError::Content { .. }
            | BackupError::Manifest(_) => Self::No(text),
            BackupError::Io { .. }
            | BackupError::Changed { .. }
            | BackupError::Log { .. }
            | BackupError::NoPassphrase
            | BackupError::Passphrase(_)
            | BackupError::Occupied { .. }
            | BackupError::Exists { .. }
            | BackupError::Continue(_)
            | BackupError::Note(_) => Self::Unable(text),
        }
    }
}

fn unable(error: &dyn std::fmt::Display) -> Failure {
    Failure::Unable(error.to_string())
}

fn finish(done: Result<(), Failure>) -> ExitCode {
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::No(why)) => {
            complain(why);
            ExitCode::FAILURE
        }
        Err(Failure::Unable(why)) => {
            complain(why);
            ExitCode::from(UNABLE)
        }
    }
}

const UNABLE: u8 = 2;
