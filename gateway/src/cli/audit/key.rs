//! `hangu audit key`: a key for a log, or for a witness.

use std::path::PathBuf;

use clap::Args;
use hangu_audit::key::KeyKind;

use super::super::say;
use super::{Failure, unable};
use crate::audit_trail::key_file::{make_key, public_path};

#[derive(Debug, Args)]
pub(in crate::cli) struct Options {
    /// Where to write it; what others check it with goes to the same name and `.pub`
    file: PathBuf,
    /// The log's or witness's name, such as `gate-1.example/audit`; it cannot be changed later
    #[arg(long)]
    name: String,
    /// The key of a witness instead of a log's
    #[arg(long)]
    witness: bool,
}

pub(super) fn key(options: &Options) -> Result<(), Failure> {
    let kind = if options.witness {
        KeyKind::Cosignature
    } else {
        KeyKind::Note
    };
    let signer = make_key(&options.file, &options.name, kind).map_err(unable)?;
    say(signer.verifier());
    say(format_args!(
        "the key is in {}, what others check it with in {}",
        options.file.display(),
        public_path(&options.file).display()
    ));
    Ok(())
}
