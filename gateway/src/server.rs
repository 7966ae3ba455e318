//! The process: loads, opens, binds, serves, drains.

use std::collections::HashMap;
use std::fs::DirBuilder;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use hangu_audit::{Kind, Origin};
use pingora::apps::http_app::HttpServer;
use pingora::proxy::HttpProxy;
use pingora::server::configuration::{Opt, ServerConf};
use pingora::server::{ExecutionPhase, RunArgs, Server};
use pingora::services::background::background_service;
use tracing::info;

use crate::access_log::AccessLog;
use crate::admin::Admin;
use crate::audit_trail::{AuditTrail, Settings, TrailError, WhenLocked};
use crate::bound::{Bound, bind};
use crate::config::Config;
use crate::control::{self, Control};
use crate::crl_fetch::Fetcher;
use crate::layers::edge::accept::Accept;
use crate::live::{PushedFileError, PushedStore, Watcher};
use crate::observe::metrics::Metrics;
use crate::pipeline::Gateway;
use crate::reload::{Reloader, announce, load};
use crate::request_id::boot_id;
use crate::retention::Keeper;
use crate::shared::Shared;
use crate::ship::Shipper;
use crate::snapshot::{LoadError, remember};
use crate::stop;

/// Why the gateway does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration, or what it names, is not good.
    #[error("{}", lines(.0))]
    Load(Vec<LoadError>),
    /// The audit log cannot be written.
    #[error(transparent)]
    Audit(#[from] TrailError),
    /// The access log cannot be opened.
    #[error("access log: {0}; choose a file that the gateway's user can write")]
    AccessLog(#[source] io::Error),
    /// An address is taken or may not be used.
    #[error(
        "{what}: cannot listen on `{address}`: {source}; choose a free address or stop what listens there"
    )]
    Bind {
        /// Which listener.
        what: String,
        /// The address.
        address: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The folder of the upgrade socket cannot be made or is open to others.
    #[error("run folder `{}`: {source}; choose one that the gateway's user owns", path.display())]
    RunFolder {
        /// The folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Nobody knows who is revoked.
    #[error(transparent)]
    Pushed(#[from] PushedFileError),
    /// The control socket cannot be made.
    #[error("control socket `{}`: {source}", path.display())]
    Control {
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The metrics cannot be registered.
    #[error("metrics: {0}")]
    Metrics(#[from] prometheus::Error),
}

/// How the process comes by its sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// It opens them.
    Fresh,
    /// It takes them over from a running gateway that is then sent SIGQUIT.
    Upgrade,
}

/// Serves the configuration in `file` until the process is told to stop.
///
/// # Errors
/// Why it does not start; once it serves, it ends without one.
pub fn run(file: &Path, start: Start) -> Result<(), StartError> {
    run_beside(file, start, stop::Signals::args(), |_| ())
}

/// As [`run`], with services of the caller's own in the same process, and an end of the caller's own choice.
///
/// # Errors
/// As [`run`].
pub fn run_beside(
    file: &Path,
    start: Start,
    until: RunArgs,
    add_services: impl FnOnce(&mut Server),
) -> Result<(), StartError> {
    let metrics = Arc::new(Metrics::new()?);
    let snapshot = load(file, None, &metrics).map_err(StartError::Load)?;
    remember(&snapshot, &metrics).map_err(StartError::Load)?;
    let config = snapshot.config.clone();
    make_run_folder(&config.server.run_dir)?;
    let mut sockets = match start {
        Start::Fresh => bind_all(&config)?,
        Start::Upgrade => HashMap::new(),
    };
    let control = match start {
        Start::Fresh => Some(bind_control(&config, start)?),
        Start::Upgrade => None,
    };
    let reopen_access_log = Arc::new(AtomicBool::new(false));
    let when_locked = match start {
        Start::Fresh => WhenLocked::Fail,
        Start::Upgrade => WhenLocked::Wait,
    };
    let pushed = PushedStore::open(&config.control.revocations)?;
    let trail = open_trail(
        &config,
        when_locked,
        Arc::clone(&reopen_access_log),
        Arc::clone(&metrics),
    )?;
    announce(&snapshot, None, &metrics);
    metrics.config_last_reload_successful.set(1);
    let shared = Arc::new(Shared::new(snapshot, trail, metrics, pushed));
    let server = shared.snapshot.load().config.limits.shared.clone();
    let limits = &shared.limits;
    limits
        .shared
        .apply(server.as_ref(), &shared.metrics.limits.shared);
    let pseudonyms = shared.snapshot.load().pseudonym_key();
    let started = format!("hangu {} starts{pseudonyms}", env!("CARGO_PKG_VERSION"));
    shared.trail.note_event(Kind::Start, started);

    let mut server = Server::new_with_opt_and_conf(
        Opt {
            upgrade: start == Start::Upgrade,
            ..Opt::default()
        },
        server_conf(&config),
    );
    server.bootstrap();
    add_listeners(&mut server, &shared, &config, &mut sockets);
    add_operators(&mut server, &shared, &config, &mut sockets);
    let reloader = Reloader::new(Arc::clone(&shared), config.file.clone(), reopen_access_log);
    add_background(&mut server, &shared, &config, reloader);
    // Taken over last: until here the old process can be asked, should this one not come up.
    let control = match control {
        Some(control) => control,
        None => bind_control(&config, start)?,
    };
    let control = Control::new(Arc::clone(&shared), config.control.socket.path(), control);
    server.add_service(background_service("control", control));
    add_services(&mut server);
    leave_when_drained(&server, Arc::clone(&shared), config.server.drain);
    info!(
        "{} listeners, {} applications",
        config.listeners.len(),
        config.applications.len()
    );
    server.run(until);
    end(&shared);
    Ok(())
}

fn add_listeners(
    server: &mut Server,
    shared: &Arc<Shared>,
    config: &Config,
    sockets: &mut HashMap<SocketAddr, OwnedFd>,
) {
    for (index, listener) in config.listeners.iter().enumerate() {
        let mut proxy = HttpProxy::new(
            Gateway::new(Arc::clone(shared)),
            Arc::clone(&server.configuration),
        );
        proxy.handle_init_modules();
        let mut options = pingora::apps::HttpServerOptions::default();
        options.h2_idle_timeout = Some(listener.idle_timeout);
        proxy.server_options = Some(options);
        proxy.h2_options = Some(http2_options(listener.header_bytes_max.as_usize()));
        let accept = Accept::new(Arc::clone(shared), index, Arc::new(proxy));
        let name = format!("listener {}", listener.name.as_str());
        let socket = sockets.remove(&listener.address);
        server.add_service(Bound::new(&name, accept, listener.address, socket));
    }
}

/// What operators and their tools speak to over TCP.
fn add_operators(
    server: &mut Server,
    shared: &Arc<Shared>,
    config: &Config,
    sockets: &mut HashMap<SocketAddr, OwnedFd>,
) {
    if let Some(admin) = &config.admin {
        let app = HttpServer::new_app(Admin::new(Arc::clone(shared)));
        let socket = sockets.remove(&admin.address);
        server.add_service(Bound::new("admin", app, admin.address, socket).with_threads(1));
    }
    if let Some(remote) = &config.control.remote {
        let app = control::Remote::new(Arc::clone(shared));
        let socket = sockets.remove(&remote.address);
        let service = Bound::new("control.remote", app, remote.address, socket);
        server.add_service(service.with_threads(1));
    }
}

/// What goes on beside the listeners.
fn add_background(server: &mut Server, shared: &Arc<Shared>, config: &Config, reloader: Reloader) {
    let watcher = Watcher::new(Arc::clone(shared));
    server.add_service(background_service("live", watcher));
    server.add_service(background_service("reload", reloader));
    let keeper = Keeper::new(Arc::clone(shared), config.audit.folder.clone());
    server.add_service(background_service("retention", keeper));
    let shipper = Shipper::new(Arc::clone(shared), config.audit.folder.clone());
    server.add_service(background_service("ship", shipper));
    server.add_service(background_service("crl", Fetcher::new(Arc::clone(shared))));
}

fn http2_options(header_bytes_max: usize) -> pingora::protocols::http::v2::server::H2Options {
    let mut options = pingora::protocols::http::v2::server::default_h2_options();
    options.max_header_list_size(u32::try_from(header_bytes_max).unwrap_or(u32::MAX));
    // A client that opens a large window and takes nothing: a hundred streams hold 6 MiB, not 40.
    options.max_send_buffer_size(SEND_BUFFER_BYTES);
    options
}

fn server_conf(config: &Config) -> ServerConf {
    let run_dir = &config.server.run_dir;
    ServerConf {
        threads: config.server.threads.get(),
        work_stealing: false,
        upgrade_sock: run_dir.join("upgrade.sock").display().to_string(),
        grace_period_seconds: Some(config.server.drain.as_secs()),
        graceful_shutdown_timeout_seconds: Some(0),
        max_retries: UPSTREAM_TRIES_MAX,
        ..ServerConf::default()
    }
}

fn open_trail(
    config: &Config,
    when_locked: WhenLocked,
    reopen: Arc<AtomicBool>,
    metrics: Arc<Metrics>,
) -> Result<AuditTrail, StartError> {
    let access_log = match &config.access_log {
        Some(to) => {
            Some(AccessLog::open(to, reopen, Arc::clone(&metrics)).map_err(StartError::AccessLog)?)
        }
        None => None,
    };
    let origin = Origin {
        node: node_name(),
        boot: format!("{:016x}", boot_id()),
    };
    let settings = Settings {
        audit: config.audit.clone(),
        origin: Arc::new(origin),
        when_locked,
    };
    Ok(AuditTrail::start(settings, access_log, metrics)?)
}

/// The machine's name.
pub(crate) fn node_name() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .unwrap_or_default()
        .trim()
        .to_owned()
}

/// The folder of the upgrade socket: whoever can connect to that socket gets our listening sockets, so nobody else may enter.
fn make_run_folder(path: &Path) -> Result<(), StartError> {
    let error = |source| StartError::RunFolder {
        path: path.to_owned(),
        source,
    };
    if !path.is_dir() {
        let mut folder = DirBuilder::new();
        return folder
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(error);
    }
    let mode = std::fs::metadata(path).map_err(error)?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        let open = format!(
            "it is open to others (mode {mode:o}); `chmod 700` it if it is the gateway's own"
        );
        return Err(error(io::Error::other(open)));
    }
    Ok(())
}

/// Binds every address, or says which one cannot be had.
fn bind_all(config: &Config) -> Result<HashMap<SocketAddr, OwnedFd>, StartError> {
    let listeners = config
        .listeners
        .iter()
        .map(|l| (format!("listener `{}`", l.name.as_str()), l.address));
    let admin = config
        .admin
        .iter()
        .map(|admin| ("admin listener".to_owned(), admin.address));
    let control = config
        .control
        .remote
        .iter()
        .map(|remote| ("control.remote".to_owned(), remote.address));
    let bound = listeners
        .chain(admin)
        .chain(control)
        .map(|(what, address)| match bind(address) {
            Ok(socket) => Ok((address, socket)),
            Err(source) => Err(StartError::Bind {
                what,
                address,
                source,
            }),
        });
    bound.collect()
}

fn bind_control(config: &Config, start: Start) -> Result<UnixListener, StartError> {
    let socket = &config.control.socket;
    control::socket::bind(socket, start).map_err(|source| StartError::Control {
        path: socket.path().to_owned(),
        source,
    })
}

/// Pingora waits out the whole grace period; when nothing is left to wait for, the process leaves at once.
fn leave_when_drained(server: &Server, shared: Arc<Shared>, drain: Duration) {
    let mut phases = server.watch_execution_phase();
    thread::spawn(move || {
        loop {
            match phases.blocking_recv() {
                Ok(ExecutionPhase::ShutdownGracePeriod) => break,
                Ok(_) => {}
                Err(_) => return,
            }
        }
        let deadline = Instant::now() + drain;
        // Idle connections are closed by their own tasks; what is waited for is an answer that somebody waits for. Twice, since
        // a request may have been about to begin at the first look.
        let mut quiet = 0;
        while !stop::hurries() && Instant::now() < deadline && quiet < 2 {
            let idle = shared.in_flight.load(Ordering::Acquire) == 0;
            quiet = if idle { quiet + 1 } else { 0 };
            thread::sleep(DRAIN_LOOK_EVERY);
        }
        end(&shared);
        #[expect(
            clippy::exit,
            reason = "Pingora's main thread sleeps through the grace period and cannot be woken"
        )]
        std::process::exit(0);
    });
}

/// The last record. Whoever comes first does it; the other waits until it is done.
fn end(shared: &Shared) {
    static END: Once = Once::new();
    END.call_once(|| {
        shared.cut.send_replace(true);
        let deadline = Instant::now() + CUT_WAIT;
        while shared.trail.places_taken() > 0 && Instant::now() < deadline {
            thread::sleep(CUT_LOOK_EVERY);
        }
        let unfinished = shared.trail.places_taken();
        if unfinished > 0 {
            let detail =
                format!("{unfinished} requests were in flight at the end and have no record");
            shared.trail.note_event(Kind::Dropped, detail);
        }
        shared.trail.note_event(Kind::Stop, "hangu stops");
        shared.trail.close();
    });
}

fn lines(problems: &[LoadError]) -> String {
    problems
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("\n")
}

/// What is kept of one answer that its client could have taken.
const SEND_BUFFER_BYTES: usize = 64 * 1024;
/// Tries of one request at different upstreams.
const UPSTREAM_TRIES_MAX: usize = 4;
const DRAIN_LOOK_EVERY: Duration = Duration::from_millis(20);
/// How long requests that are cut have to hand in their records.
const CUT_WAIT: Duration = Duration::from_secs(1);
const CUT_LOOK_EVERY: Duration = Duration::from_millis(5);
