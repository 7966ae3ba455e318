//! `hangu audit key`: a key for a log, for a witness, or for pseudonyms.

use std::path::PathBuf;

use clap::Args;
use hangu_audit::key::KeyKind;

use super::super::say;
use super::{Failure, unable};
use crate::audit_trail::key_file::{make_key, make_pseudonym_key, public_path};

#[derive(Debug, Args)]
pub(in crate::cli) struct Options {
    /// Where to write it; what others check it with goes to the same name and `.pub`
    file: PathBuf,
    /// The log's or witness's name, such as `gate-1.example/audit`; it cannot be changed later
    #[arg(long, required_unless_present = "pseudonyms")]
    name: Option<String>,
    /// The key of a witness instead of a log's
    #[arg(long)]
    witness: bool,
    /// A key that identifiers in the log are hashed with, for `[audit.pseudonyms]`; it has no public half
    #[arg(long, conflicts_with_all = ["name", "witness"])]
    pseudonyms: bool,
}

pub(super) fn key(options: &Options) -> Result<(), Failure> {
    if options.pseudonyms {
        let made = make_pseudonym_key(&options.file).map_err(unable)?;
        say(format_args!(
            "key {} is in {}; whoever has it can find out who is meant by a pseudonym",
            made.key_id(),
            options.file.display()
        ));
        return Ok(());
    }
    let kind = if options.witness {
        KeyKind::Cosignature
    } else {
        KeyKind::Note
    };
    let signer = make_key(
        &options.file,
        options.name.as_deref().unwrap_or_default(),
        kind,
    )
    .map_err(unable)?;
    say(signer.verifier());
    say(format_args!(
        "the key is in {}, what others check it with in {}",
        options.file.display(),
        public_path(&options.file).display()
    ));
    Ok(())
}
