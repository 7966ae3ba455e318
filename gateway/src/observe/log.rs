//! The operators' log: on standard error, one line an event, `HANGU_LOG` chooses the level (default `info` for ours and
//! `error` for the libraries').

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// Sets up the log of the process; a second call does nothing.
pub fn start() {
    let filter = EnvFilter::try_from_env("HANGU_LOG")
        .unwrap_or_else(|_| EnvFilter::new("error,hangu_gateway=info"));
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false);
    // Fails only when a log is already set up.
    drop(log.try_init());
}
