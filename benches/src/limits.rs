//! What a limit costs: a check, a key, and a flood of keys that nobody has seen before.

use std::collections::hash_map::RandomState;
use std::error::Error;
use std::hash::BuildHasher;
use std::hint::black_box;
use std::num::{NonZeroU32, NonZeroUsize};
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use hangu_limits::{Cell, Cells, Held, Limit, Mode, Nanos, Rate, Sketch, check_all};

use crate::measure::{self, Random, say};

/// What a limit costs.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Keys that are being counted at once
    #[arg(long, default_value = "1000000")]
    keys: NonZeroUsize,
    /// Rounds of each question; the least time counts
    #[arg(long, default_value = "5")]
    rounds: NonZeroUsize,
}

/// # Errors
/// When memory cannot be read or the rates are refused.
pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, Box<dyn Error>> {
    say(&format!("{}\n", measure::machine()))?;
    let keys = arguments.keys.get();
    let before = resident_bytes()?;
    let rates = Rates::new()?;
    let mut house = House::new(arguments.keys);
    house.fill(keys, &rates);
    let filled = resident_bytes()?.saturating_sub(before);
    house.hold(keys);
    let rounds = arguments.rounds.get();
    let order = order(keys);
    say("| what | figure |\n|---|---|")?;
    let megabytes = filled / 1_000_000;
    let each = filled / keys as u64;
    row(
        &format!("{keys} live keys in memory"),
        &format!("{megabytes} MB, {each} bytes a key"),
    )?;
    let find = least(rounds, &order, |key| house.find_and_check(key, &rates.wide));
    row(
        "find a key among them and check it, random order",
        &ns(find),
    )?;
    let held = least(rounds, &order, |key| house.check(key, &rates.wide));
    row(
        "check a key that its connection holds, random order",
        &ns(held),
    )?;
    let three = least(rounds, &order, |key| house.check_three(key, &rates));
    row(
        "three limits at once, held, random order (identity, organisation, route)",
        &ns(three),
    )?;
    let hot = least(rounds, &order, |_| house.check(0, &rates.wide));
    row("check one key again and again", &ns(hot))?;
    let sketch = Sketch::new(arguments.keys);
    let source = least(rounds, &order, |key| {
        spend(sketch.check(&key, &rates.wide, house.now()));
    });
    row("check an unproven source in the sketch", &ns(source))?;
    let (one, two) = house.on_two_threads(&rates.wide, rounds, &order);
    row(
        "two threads at once, a check each, held, against one thread",
        &format!("{} against {}", ns(two), ns(one)),
    )?;
    churn(keys, &house, &rates)?;
    Ok(ExitCode::SUCCESS)
}

/// Ten times as many keys as there is room for, each once.
fn churn(keys: usize, house: &House, rates: &Rates) -> Result<(), Box<dyn Error>> {
    let before = resident_bytes()?;
    let floods = keys.saturating_mul(10);
    let mut refused = 0_usize;
    let started = Instant::now();
    for key in keys..keys + floods {
        match house.cells.find(house.key(key), house.now()) {
            Ok(cell) => spend(cell.check(&rates.slow, house.now())),
            Err(_) => refused += 1,
        }
    }
    let each = measure::nanoseconds(started) as f64 / floods as f64;
    let grown = resident_bytes()?.saturating_sub(before);
    row(
        &format!("{floods} new keys while all places are taken"),
        &format!(
            "{} each, {refused} refused, memory grew by {} MB, {} keys known",
            ns(each),
            grown / 1_000_000,
            house.cells.len()
        ),
    )
}

/// The table of keys as the gateway has it, and what its connections hold.
struct House {
    cells: Cells<[u64; 2]>,
    held: Vec<Held<[u64; 2], Cell>>,
    organisations: Vec<Cell>,
    hashers: [RandomState; 2],
    start: Instant,
}

impl House {
    fn new(keys: NonZeroUsize) -> Self {
        Self {
            // All of them fit: a shard that fills early has its reserve (see `Keyed::new`).
            cells: Cells::new(keys.saturating_add(keys.get() / 10)),
            held: Vec::new(),
            organisations: (0..ORGANISATIONS).map(|_| Cell::new()).collect(),
            hashers: [RandomState::new(), RandomState::new()],
            start: Instant::now(),
        }
    }

    /// Each key comes once and is in use from then on.
    fn fill(&self, keys: usize, rates: &Rates) {
        (0..keys).for_each(|key| self.find_and_check(key, &rates.slow));
    }

    fn hold(&mut self, keys: usize) {
        self.held = (0..keys)
            .filter_map(|key| self.cells.find(self.key(key), self.now()).ok())
            .collect();
    }

    fn key(&self, key: usize) -> [u64; 2] {
        self.hashers.each_ref().map(|hasher| hasher.hash_one(key))
    }

    fn now(&self) -> Nanos {
        Nanos(measure::nanoseconds(self.start))
    }

    fn find_and_check(&self, key: usize, rate: &Rate) {
        if let Ok(cell) = self.cells.find(self.key(key), self.now()) {
            spend(cell.check(rate, self.now()));
        }
    }

    fn check(&self, key: usize, rate: &Rate) {
        if let Some(cell) = self.held.get(key) {
            spend(check_all(&[limit(cell, rate)], self.now()));
        }
    }

    fn check_three(&self, key: usize, rates: &Rates) {
        let cells = (
            self.held.get(key),
            self.organisations.get(key % ORGANISATIONS),
            self.held.first(),
        );
        if let (Some(identity), Some(organisation), Some(route)) = cells {
            let limits = [
                limit(identity, &rates.wide),
                limit(organisation, &rates.wide),
                limit(route, &rates.wide),
            ];
            spend(check_all(&limits, self.now()));
        }
    }

    /// Nanoseconds a check on one thread and on each of two at once.
    fn on_two_threads(&self, rate: &Rate, rounds: usize, order: &[u32]) -> (f64, f64) {
        let one = least(rounds, order, |key| self.check(key, rate));
        let two = thread::scope(|scope| {
            let run = || scope.spawn(|| least(rounds, order, |key| self.check(key, rate)));
            let both = [run(), run()];
            both.into_iter()
                .filter_map(|thread| thread.join().ok())
                .fold(0.0, f64::max)
        });
        (one, two)
    }
}

struct Rates {
    /// A million a second, and so many at once that nobody is refused here.
    wide: Rate,
    /// One an hour: who has come once is counted for longer than the bench runs.
    slow: Rate,
}

impl Rates {
    fn new() -> Result<Self, Box<dyn Error>> {
        let million = NonZeroU32::MIN.saturating_add(999_999);
        Ok(Self {
            wide: Rate::new(million, Duration::from_secs(1), NonZeroU32::MAX)?,
            slow: Rate::new(NonZeroU32::MIN, Duration::from_hours(1), NonZeroU32::MIN)?,
        })
    }
}

fn limit<'a>(cell: &'a Cell, rate: &'a Rate) -> Limit<'a> {
    Limit {
        cell,
        rate,
        mode: Mode::Enforced,
    }
}

/// Nanoseconds a call in the fastest round; the clock that each call reads is part of it.
fn least(rounds: usize, order: &[u32], mut work: impl FnMut(usize)) -> f64 {
    let round = |_| {
        let started = Instant::now();
        for key in order {
            work(*key as usize);
        }
        measure::nanoseconds(started) as f64 / order.len().max(1) as f64
    };
    (0..rounds).map(round).fold(f64::MAX, f64::min)
}

/// A million keys in random order.
fn order(keys: usize) -> Vec<u32> {
    let mut random = Random::new(1);
    (0..1_000_000)
        .map(|_| u32::try_from(random.below(keys)).unwrap_or_default())
        .collect()
}

/// Lets the compiler think that an answer is read.
fn spend<T>(answer: T) {
    let _answer = black_box(answer);
}

fn row(what: &str, figure: &str) -> Result<(), Box<dyn Error>> {
    Ok(say(&format!("| {what} | {figure} |"))?)
}

fn ns(nanoseconds: f64) -> String {
    format!("{nanoseconds:.0} ns")
}

/// Memory of this process that is in use, by the system's word.
fn resident_bytes() -> Result<u64, Box<dyn Error>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
    let kilobytes: u64 = kilobytes
        .ok_or("`/proc/self/status` has no VmRSS")?
        .parse()?;
    Ok(kilobytes * 1_024)
}

const ORGANISATIONS: usize = 84;
