//! How long does a policy decision take at the size of the national platform, what does a rule weigh, how long do loading and
//! replacing one organisation take, and what does the casbin enforcer take for the same?
//!
//! `cargo run -p hangu-benches --no-default-features --profile dist -- decide`. Times include one reading of the clock, which
//! is told. Rounds of random and of repeated requests take turns; the least of each is told, for others may use the machine
//! too. The texts of a request are read before the clock starts: a gateway has just parsed them.

use super::national::{Asked, National};
use crate::measure::{Best, clock_ns, machine, nanoseconds, percentile, say, times, times_after};
use hangu_policy::{Decision, PartitionedPolicy, Problem, RBAC_WITH_DOMAINS, Request, Source};
use hangu_policy_casbin::Oracle;
use std::error::Error;
use std::hint::black_box;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Instant;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Numbers of rules; three sizes of the national platform without.
    rules: Vec<usize>,
    /// Rounds of each kind of request; the least is told.
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// Leave the casbin enforcer out.
    #[arg(long)]
    without_casbin: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, Box<dyn Error>> {
    say(&format!(
        "{}; one reading of the clock takes {} ns and is part of each time",
        machine(),
        clock_ns()
    ))?;
    say("")?;
    say(HEAD)?;
    let sizes: &[usize] = match &*arguments.rules {
        [] => &[20_600, 504_504, 1_000_000],
        given => given,
    };
    for size in sizes {
        let line = ours(&National::generate(*size), arguments.rounds)?;
        say(&format!("| hangu | {size} | {line} |"))?;
    }
    if !arguments.without_casbin {
        for size in [1_000, 20_600] {
            let line = casbin(&National::generate(size));
            say(&format!("| casbin | {size} | {line} |"))?;
        }
    }
    say("")?;
    say(&format!("afterwards: {}", machine()))?;
    Ok(ExitCode::SUCCESS)
}

const HEAD: &str = "\
| engine | rules | random p50 | random p99 | hot p50 | hot p99 | bytes a rule | and identities | load from CSV | reload, 1 of 84 changed | swap of 1 of 84: p50, max | p99 while swapping | permitted |
|---|---|---|---|---|---|---|---|---|---|---|---|---|";

fn first(problems: Vec<Problem>) -> Box<dyn Error> {
    let first = problems.into_iter().next();
    first.map_or_else(|| "refused".into(), Into::into)
}

fn model() -> Source<'static> {
    Source {
        name: "model.conf",
        text: RBAC_WITH_DOMAINS,
    }
}

fn rules(text: &str) -> Source<'_> {
    Source {
        name: "policy.csv",
        text,
    }
}

fn decide(policy: &PartitionedPolicy, asked: &Asked) -> bool {
    let request = Request {
        subject: &asked.subject,
        domain: &asked.domain,
        path: &asked.path,
        method: &asked.method,
        ..Request::default()
    };
    matches!(policy.decide(black_box(&request)), Decision::Permit(_))
}

fn ours(national: &National, rounds: usize) -> Result<String, Box<dyn Error>> {
    let started = Instant::now();
    let policy = PartitionedPolicy::compile(model(), rules(&national.rules)).map_err(first)?;
    let load = started.elapsed();
    let holders = PartitionedPolicy::compile(model(), rules(&national.holders)).map_err(first)?;

    let mut permitted = 0;
    let (mut random, mut hot) = (Best::NONE, Best::NONE);
    let hot_requests = || {
        let few = national.requests.iter().take(16).cycle();
        few.take(national.requests.len())
    };
    for _ in 0..rounds.max(1) {
        random.take(&times_after(
            national.requests.iter(),
            Asked::read,
            |asked| {
                permitted += usize::from(decide(&policy, asked));
            },
        ));
        hot.take(&times_after(hot_requests(), Asked::read, |asked| {
            black_box(decide(&policy, asked));
        }));
    }
    let count = policy.rule_count().max(1);
    let permitted = permitted * 100 / (national.requests.len() * rounds.max(1)).max(1);
    let identities = holders.memory_bytes();
    let own = policy.memory_bytes().saturating_sub(identities) as f64 / count as f64;
    let (reload, reloaded) = reload(&policy, national)?;
    let swaps = swaps(&policy, national)?;
    let during = while_swapping(reloaded, national)?;
    Ok(format!(
        "{} ns | {} ns | {} ns | {} ns | {own:.0} | {:.1} MB | {} ms | {} ms | {:.1} ms, {:.1} ms | {} ns | {permitted} %",
        random.p50,
        random.p99,
        hot.p50,
        hot.p99,
        identities as f64 / 1e6,
        load.as_millis(),
        reload / 1_000_000,
        percentile(&swaps, 50) as f64 / 1e6,
        percentile(&swaps, 100) as f64 / 1e6,
        during,
    ))
}

/// Reads the file anew after one organisation got one more rule.
fn reload(
    policy: &PartitionedPolicy,
    national: &National,
) -> Result<(u64, PartitionedPolicy), Box<dyn Error>> {
    let text = format!("p, role1, org1, /new, GET, allow\n{}", national.rules);
    let started = Instant::now();
    let reloaded = PartitionedPolicy::compile_after(Some(policy), model(), rules(&text));
    let reloaded = reloaded.map_err(first)?;
    let took = nanoseconds(started);
    let shared = reloaded.partitions_shared_with(policy);
    if shared + 1 != policy.partition_count() {
        return Err(format!("a reload kept {shared} partitions").into());
    }
    Ok((took, reloaded))
}

/// Replaces each organisation's rows once.
fn swaps(policy: &PartitionedPolicy, national: &National) -> Result<Vec<u64>, Box<dyn Error>> {
    let mut refused = None;
    let all = national.organisations.iter().enumerate();
    let times = times(all, |(number, rows)| {
        match policy.with_partition(&format!("org{number}"), rules(rows)) {
            Ok(policy) => drop(black_box(policy)),
            Err(problems) => refused = Some(first(problems)),
        }
    });
    refused.map_or(Ok(times), Err)
}

/// The 99th percentile of decisions while another thread replaces one organisation after the other. The pointer is
/// behind a lock here that is held for the time of a copy, as a reader of a gateway would not.
fn while_swapping(policy: PartitionedPolicy, national: &National) -> Result<u64, Box<dyn Error>> {
    let current = Mutex::new(Arc::new(policy));
    let read = || current.lock().ok().map(|current| Arc::clone(&current));
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let swapping = scope.spawn(|| -> Result<(), String> {
            for (number, rows) in national.organisations.iter().enumerate().cycle() {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                let Some(before) = read() else { break };
                let next = before.with_partition(&format!("org{number}"), rules(rows));
                let next = Arc::new(next.map_err(|problems| first(problems).to_string())?);
                if let Ok(mut current) = current.lock() {
                    *current = next;
                }
            }
            Ok(())
        });
        let mut best = Best::NONE;
        for _ in 0..3 {
            best.take(&times_after(
                national.requests.iter(),
                Asked::read,
                |asked| {
                    if let Some(policy) = read() {
                        black_box(decide(&policy, asked));
                    }
                },
            ));
        }
        stop.store(true, Ordering::Relaxed);
        match swapping.join() {
            Ok(done) => done?,
            Err(_) => return Err("the swapping thread panicked".into()),
        }
        Ok(best.p99)
    })
}

fn casbin(national: &National) -> String {
    let started = Instant::now();
    let oracle = match Oracle::new(RBAC_WITH_DOMAINS, &national.rules) {
        Ok(oracle) => oracle,
        Err(error) => return error.to_string(),
    };
    let load = started.elapsed().as_millis();
    let decided = times(national.requests.iter().take(40), |asked| {
        let arguments = [
            &*asked.subject,
            &*asked.domain,
            &*asked.path,
            &*asked.method,
        ];
        black_box(oracle.decide(&arguments).is_ok());
    });
    let micro = |percent| percentile(&decided, percent) / 1_000;
    format!(
        "{} µs | {} µs | – | – | – | – | {load} ms | – | – | – | – |",
        micro(50),
        micro(99)
    )
}
