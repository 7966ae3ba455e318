//! What a client that asks fifty times as often as it may costs the others: their waiting times while it floods, beside those
//! while it does not, over real TLS sockets and in turns, so that a noisy machine is as noisy for both.

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use hangu_tests::{
    Application, Client, ClientConnection, RunningGateway, TestGateway, TestUpstream,
};

use crate::measure::{self, percentile, say};

/// What a flood costs others.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The gateway to measure, as it is shipped
    #[arg(long, value_name = "FILE", default_value = "target/dist/hangu")]
    binary: PathBuf,
    /// Pairs of a quiet and a flooded turn
    #[arg(long, default_value_t = 6)]
    rounds: usize,
    /// How long a turn is
    #[arg(long, value_name = "SECONDS", default_value_t = 4)]
    seconds: u64,
}

/// # Errors
/// When the gateway does not answer, or the flood is not refused.
pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, Box<dyn Error>> {
    let binary = arguments
        .binary
        .to_str()
        .ok_or("the binary's path is no text")?;
    let upstream = TestUpstream::named("records");
    let mut gateway = start(binary, &upstream);
    say(&format!("{}\n", measure::machine()))?;
    say(&format!(
        "{NEIGHBOURS} neighbours ask {NEIGHBOUR_RATE} times a second each; a flooder that may ask {LIMIT} times asks {} times\n",
        LIMIT * EXCESS
    ))?;
    let turn = Duration::from_secs(arguments.seconds);
    let (mut quiet, mut flooded) = (Turns::default(), Turns::default());
    for _ in 0..arguments.rounds {
        quiet.take(&take_turn(&mut gateway, turn, false)?);
        flooded.take(&take_turn(&mut gateway, turn, true)?);
    }
    quiet.waits.sort_unstable();
    flooded.waits.sort_unstable();
    report(&quiet, &flooded)?;
    if flooded.refused == 0 || quiet.refused > 0 {
        return Err("the limit refused the wrong ones".into());
    }
    Ok(ExitCode::SUCCESS)
}

fn start(binary: &str, upstream: &TestUpstream) -> RunningGateway {
    let records = Application::new("records")
        .upstream(upstream.address())
        .key("acknowledge = \"counted\"");
    TestGateway::new(binary)
        .policy(&policy())
        .application(records)
        .table(&format!(
            "[limits]\nidentity = {{ requests = {LIMIT}, per = \"1s\", burst = {LIMIT} }}"
        ))
        .start()
}

/// Everybody may read.
fn policy() -> String {
    let names = (0..NEIGHBOURS).map(neighbour).chain([FLOODER.to_owned()]);
    let mut policy = "p, reader, civil, /*, GET, allow\ng2, reader, internal\n".to_owned();
    for name in names {
        policy.push_str(&format!("g, spiffe://gov.test/{name}, reader, civil\n"));
    }
    policy
}

fn neighbour(number: usize) -> String {
    format!("neighbour-{number}")
}

/// What happened in the turns of one kind.
#[derive(Default)]
struct Turns {
    /// Microseconds that a neighbour waited for its answer, from when it was due to ask.
    waits: Vec<u64>,
    refused: usize,
    /// Requests of neighbours and flooder.
    requests: usize,
    cpu: Duration,
}

impl Turns {
    fn take(&mut self, turn: &Self) {
        self.waits.extend(&turn.waits);
        self.refused += turn.refused;
        self.requests += turn.requests;
        self.cpu += turn.cpu;
    }
}

fn take_turn(
    gateway: &mut RunningGateway,
    time: Duration,
    flood: bool,
) -> Result<Turns, Box<dyn Error>> {
    let floods = if flood { FLOODER_CONNECTIONS } else { 0 };
    let (refused, asked) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let together = Barrier::new(NEIGHBOURS + floods + 1);
    let process = gateway.process().id();
    let clients: Vec<_> = (0..NEIGHBOURS)
        .map(|number| gateway.client(&neighbour(number)))
        .collect();
    let flooder = gateway.client(FLOODER);
    thread::scope(|scope| {
        let neighbours: Vec<_> = clients
            .iter()
            .map(|client| {
                scope.spawn(|| {
                    ask(client, NEIGHBOUR_RATE, time, &together, |_, wait| {
                        Some(wait)
                    })
                })
            })
            .collect();
        for _ in 0..floods {
            scope.spawn(|| {
                let counted = ask(&flooder, FLOODER_RATE, time, &together, |status, _| {
                    asked.fetch_add(1, Ordering::Relaxed);
                    if status == 429 {
                        refused.fetch_add(1, Ordering::Relaxed);
                    }
                    None
                });
                drop(counted);
            });
        }
        together.wait();
        let before = cpu(process)?;
        let mut waits = Vec::new();
        for neighbour in neighbours {
            waits.extend(
                neighbour
                    .join()
                    .map_err(|_| "a neighbour was not served")??,
            );
        }
        let cpu = cpu(process)?.saturating_sub(before);
        Ok(Turns {
            requests: waits.len() + asked.load(Ordering::Relaxed),
            refused: refused.load(Ordering::Relaxed),
            waits,
            cpu,
        })
    })
}

/// Asks so many times a second over one connection, whether or not the answers keep pace, and gives what `keep` makes of each.
fn ask(
    client: &Client,
    rate: usize,
    time: Duration,
    together: &Barrier,
    mut keep: impl FnMut(u16, u64) -> Option<u64>,
) -> Result<Vec<u64>, String> {
    let connected = client.connect();
    together.wait();
    let mut connection = connected.map_err(|error| format!("{error:?}"))?;
    let gap = Duration::from_secs(1) / u32::try_from(rate).unwrap_or(u32::MAX);
    let (start, mut due) = (Instant::now(), Duration::ZERO);
    let mut kept = Vec::new();
    while due < time {
        thread::sleep(due.saturating_sub(start.elapsed()));
        let status = get(&mut connection)?;
        let wait = start.elapsed().saturating_sub(due);
        kept.extend(keep(
            status,
            u64::try_from(wait.as_micros()).unwrap_or(u64::MAX),
        ));
        due += gap;
    }
    Ok(kept)
}

fn get(connection: &mut ClientConnection) -> Result<u16, String> {
    let answer = connection.get("/file");
    Ok(answer.map_err(|error| format!("{error:?}"))?.status)
}

fn report(quiet: &Turns, flooded: &Turns) -> Result<(), Box<dyn Error>> {
    say("| | quiet | flooded | ratio |\n|---|---|---|---|")?;
    for (name, percent) in [("p50", 50), ("p90", 90), ("p99", 99)] {
        let (one, other) = (
            percentile(&quiet.waits, percent),
            percentile(&flooded.waits, percent),
        );
        say(&format!(
            "| a neighbour waits, {name} | {one} us | {other} us | {:.2} |",
            other as f64 / one.max(1) as f64
        ))?;
    }
    let each = |turns: &Turns| turns.cpu.as_secs_f64() * 1e6 / turns.requests.max(1) as f64;
    say(&format!(
        "| CPU time of the gateway, a request of anybody | {:.1} us | {:.1} us | {:.2} |",
        each(quiet),
        each(flooded),
        each(flooded) / each(quiet)
    ))?;
    say(&format!(
        "| requests, of them refused | {}, {} | {}, {} | |",
        quiet.requests, quiet.refused, flooded.requests, flooded.refused
    ))?;
    Ok(())
}

/// CPU time of a process so far, all its threads (`proc_pid_stat(5)`: utime and stime, in hundredths of a second).
fn cpu(process: u32) -> Result<Duration, Box<dyn Error>> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    let behind_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks: u64 = behind_name
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse::<u64>().ok())
        .sum();
    Ok(Duration::from_millis(ticks * 10))
}

const NEIGHBOURS: usize = 8;
/// Requests a second of each neighbour: half of what it may.
const NEIGHBOUR_RATE: usize = 50;
/// Requests a second that an identity may.
const LIMIT: usize = 100;
const EXCESS: usize = 50;
const FLOODER: &str = "flooder";
const FLOODER_CONNECTIONS: usize = 5;
/// Requests a second on each of them.
const FLOODER_RATE: usize = LIMIT * EXCESS / FLOODER_CONNECTIONS;
