//! `hangu audit witness`: the second party as a process.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use hangu_audit::key::KeyKind;

use super::super::say;
use super::verify::read_keys;
use super::{Failure, unable};
use crate::audit_trail::key_file::read_key;
use crate::observe::log;
use crate::witness::{Settings, serve};

#[derive(Debug, Args)]
pub(in crate::cli) struct Options {
    /// Where to listen
    #[arg(long, value_name = "ADDRESS")]
    listen: SocketAddr,
    /// The witness's key, from `hangu audit key --witness`
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// Folder of what it remembers
    #[arg(long, value_name = "FOLDER")]
    memory: PathBuf,
    /// Key of a log to watch: `NAME+ID+KEY`, or a file that holds it; may be given again
    #[arg(long = "log", value_name = "KEY", required = true)]
    logs: Vec<String>,
}

pub(super) fn witness(options: &Options) -> Result<(), Failure> {
    log::start();
    let settings = Settings {
        listen: options.listen,
        folder: options.memory.clone(),
        signer: read_key(&options.key, KeyKind::Cosignature).map_err(unable)?,
        logs: read_keys(&options.logs)?,
    };
    let name = settings.signer.verifier().to_string();
    serve(settings, |address| {
        say(format_args!("witness {name} listens on {address}"));
    })
    .map_err(unable)
}
