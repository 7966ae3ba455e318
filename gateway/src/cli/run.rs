//! `hangu run`: serve until told to stop.

use std::path::Path;
use std::process::ExitCode;

use super::complain;
use crate::observe::log;
use crate::server::{self, Start};

pub(super) fn run(config: &Path, upgrade: bool) -> ExitCode {
    log::start();
    let start = if upgrade {
        Start::Upgrade
    } else {
        Start::Fresh
    };
    match server::run(config, start) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(error);
            ExitCode::FAILURE
        }
    }
}
