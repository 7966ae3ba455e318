//! `hangu quickstart`: a government application behind the gateway, in one command, with everything real.
//!
//! A newcomer's first ten minutes: a folder with certificates, rules and a configuration to look into and to edit, a small
//! application to protect, the gateway itself (the code that `hangu run` runs, in the same process, over real sockets),
//! commands to try, and a line for each request that shows what the six layers said. `--self-test` sends the same requests
//! itself and compares.
//!
//! Deliberately not here: anything that production would use. The CA's key lies beside its certificates.

mod bureau;
mod cases;
mod certificates;
mod client;
mod error;
mod folder;
mod guide;
mod people;
mod ports;
mod refusals;
mod self_test;
mod stage;
mod table;
mod tail;
mod words;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use clap::Args;
use pingora::apps::http_app::HttpServer;
use pingora::server::{RunArgs, Server, ShutdownSignal, ShutdownSignalWatch};
use pingora::services::listening::Service;
use tokio::signal::unix::{SignalKind, signal};

use self::bureau::{Bureau, Seen};
use self::error::QuickstartError;
use self::folder::Folder;
use self::guide::guide;
use self::ports::Addresses;
use super::{complain, say};
use crate::config;
use crate::observe::log;
use crate::server::{Start, run_beside};

/// What the newcomer may choose.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// Folder for certificates, rules, configuration and audit log [default: hangu-quickstart]
    #[arg(long, value_name = "FOLDER")]
    dir: Option<PathBuf>,
    /// First of four ports in a row on 127.0.0.1: two doors of the gateway, demo application, metrics [default: 8443]
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..=65532))]
    port: Option<u16>,
    /// Send every request of the demonstration, compare the answers with what is expected, and leave
    ///
    /// Uses free ports and a temporary folder unless told otherwise; exits 0 only if every row of its table holds.
    #[arg(long)]
    self_test: bool,
}

pub(super) fn quickstart(options: &Options) -> ExitCode {
    // The audit log's lines and the messages here say what a newcomer needs; the operators' log is there on request.
    if std::env::var_os("HANGU_LOG").is_some() {
        log::start();
    }
    let ended = if options.self_test {
        self_test::run(options.dir.as_deref(), options.port)
    } else {
        let folder = options.dir.as_deref().unwrap_or(Path::new(FOLDER));
        serve(folder, options.port)
    };
    ended.unwrap_or_else(|error| {
        complain(error);
        ExitCode::FAILURE
    })
}

fn serve(path: &Path, port: Option<u16>) -> Result<ExitCode, QuickstartError> {
    let folder = Folder::open(path)?;
    let mut done = folder.fill(unix_seconds())?;
    let addresses = folder.addresses(port, &mut done)?;
    addresses.check()?;
    let audit = config::load(&folder.config())?.audit.folder;
    let hangu = std::env::current_exe().unwrap_or_else(|_| "hangu".into());
    let text = guide(&hangu, &folder.absolute(), &addresses, &done);
    let ending = Arc::new(AtomicBool::new(false));
    let teller = {
        let ending = Arc::clone(&ending);
        thread::spawn(move || tell(&text, &addresses, &audit, &ending))
    };
    let until = RunArgs {
        shutdown_signal: Box::new(Farewell(format!(
            "\nStopping. The folder {} stays as it is: run again to go on, delete it to start anew.",
            path.display()
        ))),
    };
    run_beside(&folder.config(), Start::Fresh, until, |server| {
        add_application(server, &addresses, Arc::default());
    })?;
    ending.store(true, Ordering::Release);
    if let Ok(Err(error)) = teller.join() {
        complain(error);
    }
    Ok(ExitCode::SUCCESS)
}

/// Says goodbye, and lets the gateway end as it does in service: requests under way are finished, the audit log is closed.
struct Farewell(String);

#[async_trait]
impl ShutdownSignalWatch for Farewell {
    async fn recv(&self) -> ShutdownSignal {
        stop_signal().await;
        say(&self.0);
        ShutdownSignal::GracefulTerminate
    }
}

/// Waits for Ctrl-C, or for the SIGTERM of a supervisor.
async fn stop_signal() {
    match (
        signal(SignalKind::interrupt()),
        signal(SignalKind::terminate()),
    ) {
        (Ok(mut interrupt), Ok(mut terminate)) => {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        }
        // Without handlers the signals end the process by themselves.
        (Err(_), _) | (_, Err(_)) => std::future::pending().await,
    }
}

/// Once everything answers: the guide, and from then on a line a request.
fn tell(
    guide: &str,
    addresses: &Addresses,
    audit: &Path,
    ending: &AtomicBool,
) -> Result<(), QuickstartError> {
    while client::get_plain(addresses.admin, "/readyz").is_err() {
        if ending.load(Ordering::Acquire) {
            return Ok(());
        }
        thread::sleep(LOOK_EVERY);
    }
    let mut reader = tail::reader(audit)?;
    say(guide);
    tail::follow(&mut reader, ending)
}

/// The demo application as one more service of the process, on its own socket.
fn add_application(server: &mut Server, addresses: &Addresses, seen: Arc<Mutex<Vec<Seen>>>) {
    let application = HttpServer::new_app(Bureau::new(seen));
    let mut service = Service::new("demo application".to_owned(), application);
    service.add_tcp(&addresses.application.to_string());
    service.threads = Some(1);
    server.add_service(service);
}

fn unix_seconds() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

const LOOK_EVERY: Duration = Duration::from_millis(20);
const FOLDER: &str = "hangu-quickstart";
