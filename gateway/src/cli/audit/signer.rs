//! `hangu audit signer`: the process that has the log's key.

use std::fs;
use std::path::PathBuf;

use clap::Args;
use hangu_audit::key::KeyKind;

use super::super::say;
use super::{Failure, unable};
use crate::audit_trail::key_file::read_key;
use crate::observe::log;
use crate::signer::{Settings, serve};

#[derive(Debug, Args)]
pub(in crate::cli) struct Options {
    /// The log's key, from `hangu audit key`; the gateway's user should not be able to read it
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// Where to listen: a Unix socket
    #[arg(long, value_name = "PATH")]
    socket: PathBuf,
    /// Folder of what it remembers
    #[arg(long, value_name = "FOLDER")]
    memory: PathBuf,
    /// User of the gateway, by name or number; may be given again. The signer's own user may always ask
    #[arg(long = "user", value_name = "USER")]
    users: Vec<String>,
}

pub(super) fn signer(options: &Options) -> Result<(), Failure> {
    log::start();
    let settings = Settings {
        socket: options.socket.clone(),
        memory: options.memory.clone(),
        signer: read_key(&options.key, KeyKind::Note).map_err(unable)?,
        uids: options
            .users
            .iter()
            .map(|user| uid_of(user))
            .collect::<Result<_, _>>()?,
    };
    let name = settings.signer.verifier().to_string();
    serve(settings, || {
        say(format_args!(
            "signer {name} listens on {}",
            options.socket.display()
        ));
    })
    .map_err(unable)
}

/// The number of a user of this machine.
fn uid_of(user: &str) -> Result<u32, Failure> {
    if let Ok(uid) = user.parse() {
        return Ok(uid);
    }
    let users =
        fs::read_to_string(USERS).map_err(|error| unable(format_args!("{USERS}: {error}")))?;
    let uid = users.lines().find_map(|line| {
        let mut parts = line.split(':');
        (parts.next() == Some(user)).then(|| parts.nth(1)?.parse().ok())?
    });
    uid.ok_or_else(|| {
        unable(format_args!(
            "there is no user `{user}` in {USERS}; give its number"
        ))
    })
}

const USERS: &str = "/etc/passwd";
