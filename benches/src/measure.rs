//! Times, percentiles, and what the machine was doing meanwhile.

use std::io::{self, Write};
use std::time::Instant;

/// Nanoseconds that `work` takes for each item, sorted.
pub(crate) fn times<T>(items: impl Iterator<Item = T>, mut work: impl FnMut(T)) -> Vec<u64> {
    let mut times: Vec<_> = items
        .map(|item| {
            let started = Instant::now();
            work(item);
            nanoseconds(started)
        })
        .collect();
    times.sort_unstable();
    times
}

/// As [`times`], with what is to be done before each item and not counted.
pub(crate) fn times_after<T: Copy>(
    items: impl Iterator<Item = T>,
    before: impl Fn(T),
    mut work: impl FnMut(T),
) -> Vec<u64> {
    let mut times: Vec<_> = items
        .map(|item| {
            before(item);
            let started = Instant::now();
            work(item);
            nanoseconds(started)
        })
        .collect();
    times.sort_unstable();
    times
}

/// Nanoseconds since `started`.
pub(crate) fn nanoseconds(started: Instant) -> u64 {
    u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

/// Processor time of this thread so far: whatever else the machine is doing is not in it.
#[cfg(feature = "certs")]
pub(crate) fn processor_time() -> std::time::Duration {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let used = stat.split(' ').next().and_then(|used| used.parse().ok());
    std::time::Duration::from_nanos(used.unwrap_or(0))
}

/// The value that `percent` of a hundred do not exceed.
pub(crate) fn percentile(sorted: &[u64], percent: usize) -> u64 {
    let last = sorted.len().saturating_sub(1);
    sorted
        .get(last * percent / 100)
        .copied()
        .unwrap_or_default()
}

/// The least median and 99th percentile of several rounds: what the machine can do when nothing disturbs it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Best {
    pub(crate) p50: u64,
    pub(crate) p99: u64,
}

impl Best {
    pub(crate) const NONE: Self = Self {
        p50: u64::MAX,
        p99: u64::MAX,
    };

    pub(crate) fn take(&mut self, sorted: &[u64]) {
        self.p50 = self.p50.min(percentile(sorted, 50));
        self.p99 = self.p99.min(percentile(sorted, 99));
    }
}

/// What one reading of the clock takes; it is part of every time.
pub(crate) fn clock_ns() -> u64 {
    percentile(&times(0..1_001, drop), 50)
}

/// The processor and how busy the machine is, as the system tells.
pub(crate) fn machine() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let cpu = read("/proc/cpuinfo");
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name"));
    let model = model.map_or("unknown processor", |name| {
        name.trim_start_matches([' ', '\t', ':'])
    });
    let load = read("/proc/loadavg");
    let load = load.split(' ').next().unwrap_or("?");
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    format!("{model}, {cores} cores, load {load}")
}

/// Prints a line.
pub(crate) fn say(line: &str) -> io::Result<()> {
    writeln!(io::stdout().lock(), "{line}")
}

/// Prints a line for people; if that fails there is nobody to tell.
pub(crate) fn complain(line: &str) {
    drop(writeln!(io::stderr().lock(), "{line}"));
}

/// Marsaglia's xorshift: the same numbers in every run with the same seed.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        // A state of zero would stay zero.
        let mut random = Self(seed ^ 0x9e37_79b9_7f4a_7c15 | 1);
        random.next();
        random
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        ((u128::from(self.next()) * end as u128) >> 64) as usize
    }

    /// Whether something of `percent` in a hundred happens.
    pub(crate) fn percent(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// One of `items`; the default of an empty list.
    pub(crate) fn of<T: Copy + Default>(&mut self, items: &[T]) -> T {
        items
            .get(self.below(items.len().max(1)))
            .copied()
            .unwrap_or_default()
    }
}
