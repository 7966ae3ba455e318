//! How soon a revocation is felt by whoever is connected: the gateway's own registry, snapshot and lists, without sockets.
//!
//! Each connection has a task that waits to be told, as those of real connections do; a time ends when the last task that was hit has
//! run. What shutting the sockets takes is measured with real ones, in `tests/it/live/many.rs`.

use std::error::Error;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use clap::Args;
use hangu_certs::{PushedRevocation, PushedRevocations, Serial, Target, VerifiedChain};
use hangu_gateway::connection::{Connection, Handshake};
use hangu_gateway::live::{Judgement, Registered, Registry, end_pushed, end_refused_connections};
use hangu_gateway::observe::metrics::Metrics;
use hangu_gateway::reload::load;
use hangu_gateway::snapshot::Snapshot;
use hangu_tests::{GatewayFolder, TestGateway, TestPki, now};
use tokio::runtime::{Builder, Runtime};

use crate::measure::{machine, percentile, processor_time, say, times};

type Failure = Box<dyn Error>;

/// How many of what.
#[derive(Args)]
pub(crate) struct Arguments {
    /// Open connections.
    #[arg(long, default_value_t = 100_000)]
    connections: usize,
    /// Entries of the list that is published.
    #[arg(long, default_value_t = 1_000_000)]
    entries: usize,
    /// Connections that the subject hits, and as many others that the list does.
    #[arg(long, default_value_t = 5_000)]
    hit: usize,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    say(&machine())?;
    let mut world = World::new()?;
    let (connections, hit) = (arguments.connections, arguments.hit);
    let at_first = resident_bytes();
    let known = world.connections(connections, hit)?;
    let before = resident_bytes();
    let mut registered = Vec::with_capacity(connections);
    let all = times(known.into_iter(), |connection| {
        registered.push(world.live.register(connection, now()));
    });
    let each = |bytes: usize| bytes / connections.max(1);
    say(&format!(
        "register: p50 {} ns, p99 {} ns; a connection takes {} bytes of the registry and {} for what is known of it",
        percentile(&all, 50),
        percentile(&all, 99),
        each(resident_bytes().saturating_sub(before)),
        each(before.saturating_sub(at_first)),
    ))?;

    let told = Told::wait(registered)?;
    let took = world.push(&Target::Serial(serial(0)?), &told, 1)?;
    say(&format!(
        "push of a serial: 1 of {connections} told in {took}"
    ))?;
    let subject = Target::Subject(MOLE.into());
    let took = world.push(&subject, &told, hit.saturating_sub(1))?;
    let others = hit.saturating_sub(1);
    say(&format!("push of a subject: {others} told in {took}"))?;

    let listed = (hit..hit * 2).chain(connections..connections + arguments.entries - hit);
    let serials = listed.map(serial).collect::<Result<Vec<_>, _>>()?;
    let pem = world.pki().crl_pem_of(&serials, 2);
    let (loaded, swept) = world.publish(&pem, &told, hit)?;
    say(&format!(
        "list of {} entries: loaded in {loaded}; then {hit} of {connections} told in {swept}",
        serials.len()
    ))?;
    say(&machine())?;
    Ok(ExitCode::SUCCESS)
}

/// A gateway that never listens.
struct World {
    folder: GatewayFolder,
    metrics: Metrics,
    snapshot: Snapshot,
    pushed: PushedRevocations,
    live: Arc<Registry>,
}

impl World {
    fn new() -> Result<Self, Failure> {
        let nobody = SocketAddr::from((Ipv4Addr::LOCALHOST, 9));
        let folder = TestGateway::new("").records(nobody).prepare();
        let metrics = Metrics::new()?;
        let snapshot = load(&folder.config(), None, &metrics).map_err(|errors| words(&errors))?;
        Ok(Self {
            folder,
            metrics,
            snapshot,
            pushed: PushedRevocations::default(),
            live: Arc::new(Registry::new()),
        })
    }

    fn pki(&self) -> &TestPki {
        self.folder.pki()
    }

    /// The first `moles` are of one subject, the others of another; each has a certificate of its own.
    fn connections(&self, all: usize, moles: usize) -> Result<Vec<Arc<Connection>>, Failure> {
        let group = self
            .snapshot
            .listeners
            .first()
            .and_then(|listener| listener.groups.first());
        let verifier = &group.ok_or("no group of hosts")?.verifier;
        let chain = |name: &str| {
            let (presented, _) = self.pki().client(name).parse();
            verifier.chain(&presented, now())
        };
        let (mole, clerk) = (chain("mole")?, chain("clerk")?);
        (0..all)
            .map(|number| {
                let chain = if number < moles { &mole } else { &clerk };
                let connection = self.connection(own(chain, number)?, number);
                Ok(Arc::new(connection))
            })
            .collect()
    }

    fn connection(&self, chain: VerifiedChain, number: usize) -> Connection {
        let port = u16::try_from(number % 60_000).unwrap_or(0);
        let handshake = Handshake {
            listener: 0,
            client: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
            sni: Some("records.test".into()),
            channel: "TLSv1.3/h2",
            chain: Some(Arc::new(chain)),
            proved_at: now(),
        };
        Connection::new(handshake, &self.snapshot)
    }

    /// Revokes at once, and waits until so many have been told.
    fn push(&mut self, target: &Target, told: &Told, hit: usize) -> Result<Took, Failure> {
        let expected = told.count() + hit;
        let revocation = PushedRevocation {
            target: target.clone(),
            by: "bench".to_owned(),
            reason: "to see".to_owned(),
            at: now(),
            until: None,
        };
        let clock = Clock::start();
        self.pushed.push(revocation)?;
        end_pushed(&self.live, target, &self.pushed, clock.began, now());
        let used = clock.used();
        told.until(expected)?;
        Ok(clock.took(used))
    }

    /// Publishes a list, loads it as a reload does and ends whom it hits: how long the one and the other took.
    fn publish(&mut self, pem: &str, told: &Told, hit: usize) -> Result<(Took, Took), Failure> {
        let expected = told.count() + hit;
        self.folder.write("certs/clients.crl.pem", pem);
        let clock = Clock::start();
        let snapshot = load(&self.folder.config(), Some(&self.snapshot), &self.metrics);
        self.snapshot = snapshot.map_err(|errors| words(&errors))?;
        let loaded = clock.took(clock.used());
        let clock = Clock::start();
        let judged = (&self.snapshot, &self.pushed);
        let how = Judgement::Certificates;
        end_refused_connections(&self.live, judged, how, clock.began, now());
        let used = clock.used();
        told.until(expected)?;
        Ok((loaded, clock.took(used)))
    }
}

/// What a step took: by the clock, and of the processor for the one thread that does it.
struct Took {
    all: Duration,
    used: Duration,
}

impl fmt::Display for Took {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2?} ({:.2?} of the processor)", self.all, self.used)
    }
}

struct Clock {
    began: Instant,
    used_before: Duration,
}

impl Clock {
    fn start() -> Self {
        Self {
            began: Instant::now(),
            used_before: processor_time(),
        }
    }

    fn used(&self) -> Duration {
        processor_time().saturating_sub(self.used_before)
    }

    fn took(&self, used: Duration) -> Took {
        Took {
            all: self.began.elapsed(),
            used,
        }
    }
}

/// The tasks of the connections.
struct Told {
    count: Arc<AtomicUsize>,
    /// They run as long as it lives.
    runtime: Runtime,
}

impl Told {
    /// One task for each, waiting.
    fn wait(registered: Vec<Registered>) -> Result<Self, Failure> {
        let runtime = Builder::new_multi_thread().worker_threads(1).build()?;
        let (count, begun) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let all = registered.len();
        for one in registered {
            let (count, begun) = (Arc::clone(&count), Arc::clone(&begun));
            runtime.spawn(async move {
                begun.fetch_add(1, Ordering::AcqRel);
                one.session().until_ended().await;
                drop(one);
                count.fetch_add(1, Ordering::AcqRel);
            });
        }
        let waiting = Self {
            count: begun,
            runtime,
        };
        waiting.until(all)?;
        let runtime = waiting.runtime;
        Ok(Self { count, runtime })
    }

    fn count(&self) -> usize {
        self.count.load(Ordering::Acquire)
    }

    fn until(&self, all: usize) -> Result<(), Failure> {
        let deadline = Instant::now() + DEADLINE;
        while self.count() < all {
            if Instant::now() > deadline {
                return Err(format!("{} of {all} were told", self.count()).into());
            }
            std::thread::sleep(LOOK_EVERY);
        }
        Ok(())
    }
}

/// The same holder with a certificate of another number.
fn own(chain: &VerifiedChain, number: usize) -> Result<VerifiedChain, Failure> {
    let mut chain = chain.clone();
    let identity = &mut chain.identity;
    for print in [&mut identity.fingerprint, &mut identity.key_fingerprint] {
        for (byte, own) in print.iter_mut().zip(number.to_be_bytes()) {
            *byte = own;
        }
    }
    let link = identity.links.first_mut().ok_or("no link")?;
    *link = link.with_serial(serial(number)?);
    Ok(chain)
}

fn serial(number: usize) -> Result<Serial, Failure> {
    // Spread as those of real authorities are, and never the same twice: the factor is odd.
    let mixed = (number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut bytes = [0x5a; 16];
    for (byte, own) in bytes.iter_mut().skip(8).zip(mixed.to_be_bytes()) {
        *byte = own;
    }
    Serial::from_bytes(&bytes).ok_or_else(|| "no serial number".into())
}

fn words(errors: &[hangu_gateway::snapshot::LoadError]) -> String {
    let words: Vec<String> = errors.iter().map(ToString::to_string).collect();
    words.join("; ")
}

/// Of this process, as the system counts it.
fn resident_bytes() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm.split(' ').nth(1).and_then(|pages| pages.parse().ok());
    pages.unwrap_or(0_usize) * PAGE_BYTES
}

const MOLE: &str = "spiffe://gov.test/mole";
const PAGE_BYTES: usize = 4_096;
const LOOK_EVERY: Duration = Duration::from_micros(50);
const DEADLINE: Duration = Duration::from_secs(30);
