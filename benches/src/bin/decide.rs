//! How long does a policy decision take at the size of the national platform, what does a rule weigh, how long does
//! loading take, and what does the casbin enforcer take for the same?
//!
//! `cargo run -p hangu-benches --profile dist --bin decide [RULES …]`. The generated policy: 84 organisations, in each
//! 200 roles; a rule gives a role a path pattern (60 % exact, 22 % with a parameter, 18 % the rest of a path) and a
//! method, 5 % of them denials; 100,000 identities hold 1 to 3 roles in their organisation. 70 % of the requests are
//! made by a holder of the role that a rule names, in random order. Percentiles include one reading of the clock.

use hangu_policy::{Decision, Policy, Problem, RBAC_WITH_DOMAINS, Request, Source};
use hangu_policy_casbin::Oracle;
use std::cell::Cell;
use std::fmt::Write as _;
use std::hint::black_box;
use std::io::{self, Write};
use std::time::Instant;

fn main() -> io::Result<()> {
    let mut sizes: Vec<usize> = std::env::args()
        .skip(1)
        .filter_map(|a| a.parse().ok())
        .collect();
    if sizes.is_empty() {
        sizes = vec![20_600, 504_504, 1_000_000];
    }
    let mut out = io::stdout().lock();
    writeln!(out, "clock: {} ns a reading", clock_ns())?;
    for size in sizes {
        let national = National::generate(size);
        match ours(&national) {
            Ok(line) => writeln!(out, "hangu  {size:>9} rules: {line}")?,
            Err(problems) => writeln!(out, "hangu  {size:>9} rules: {}", shown(&problems))?,
        }
    }
    for size in [1_000, 20_600] {
        writeln!(
            out,
            "casbin {size:>9} rules: {}",
            casbin(&National::generate(size))
        )?;
    }
    Ok(())
}

fn shown(problems: &[Problem]) -> String {
    problems
        .first()
        .map(ToString::to_string)
        .unwrap_or_default()
}

/// A generated policy, and requests for it.
struct National {
    rules: String,
    requests: Vec<Asked>,
}

struct Asked {
    subject: String,
    domain: String,
    path: String,
    method: String,
}

impl National {
    fn generate(size: usize) -> Self {
        let mut random = Random(0x9e37_79b9_7f4a_7c15);
        let mut rules = String::new();
        let mut wanted = Vec::new();
        for number in 0..size {
            let (organisation, role) = (random.below(ORGANISATIONS), random.below(ROLES));
            let (pattern, path) = random.place();
            let method = random.of(&["GET", "POST", "PUT", "DELETE", "*"]);
            let effect = if random.below(100) < 5 {
                "deny"
            } else {
                "allow"
            };
            row(
                &mut rules,
                format_args!("p, role{role}, org{organisation}, {pattern}, {method}, {effect}"),
            );
            if number % 4 == 0 {
                wanted.push((
                    organisation,
                    role,
                    path,
                    if method == "*" { "PATCH" } else { method },
                ));
            }
        }
        let mut holders = vec![Vec::new(); ORGANISATIONS * ROLES];
        for identity in 0..IDENTITIES {
            let organisation = random.below(ORGANISATIONS);
            for _ in 0..1 + random.below(3) {
                let role = random.below(ROLES);
                row(
                    &mut rules,
                    format_args!("g, user{identity}, role{role}, org{organisation}"),
                );
                if let Some(holders) = holders.get_mut(organisation * ROLES + role) {
                    holders.push(identity);
                }
            }
        }
        let requests = (0..REQUESTS)
            .filter_map(|_| {
                let (organisation, role, path, method) = wanted.get(random.below(wanted.len()))?;
                let holders = holders.get(organisation * ROLES + role)?;
                let holder = holders.get(random.below(holders.len().max(1))).copied();
                let identity = match holder {
                    Some(holder) if random.below(100) < 70 => holder,
                    _ => random.below(IDENTITIES),
                };
                Some(Asked {
                    subject: format!("user{identity}"),
                    domain: format!("org{organisation}"),
                    path: path.clone(),
                    method: (*method).to_owned(),
                })
            })
            .collect();
        Self { rules, requests }
    }
}

fn row(rules: &mut String, line: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    if writeln!(rules, "{line}").is_err() {
        rules.clear();
    }
}

/// Marsaglia's xorshift: the same policy in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, end: usize) -> usize {
        ((u128::from(self.next()) * end as u128) >> 64) as usize
    }

    fn of(&mut self, texts: &[&'static str]) -> &'static str {
        texts
            .get(self.below(texts.len()))
            .copied()
            .unwrap_or_default()
    }

    /// A pattern, and a path that it matches.
    fn place(&mut self) -> (String, String) {
        let (catalogue, resource) = (self.below(6_006), self.below(20_600));
        let kind = self.below(100);
        let exact = format!("/catalogues/{catalogue}/resources/{resource}");
        if kind < 60 {
            (exact.clone(), exact)
        } else if kind < 82 {
            (format!("/catalogues/{catalogue}/resources/:id"), exact)
        } else {
            (
                format!("/catalogues/{catalogue}/*"),
                format!("{exact}/rows"),
            )
        }
    }
}

fn ours(national: &National) -> Result<String, Vec<Problem>> {
    let model = Source {
        name: "model.conf",
        text: RBAC_WITH_DOMAINS,
    };
    let rules = Source {
        name: "policy.csv",
        text: &national.rules,
    };
    let started = Instant::now();
    let policy = Policy::compile(model, rules)?;
    let load = started.elapsed();
    let permits = Cell::new(0_usize);
    let decide = |asked: &Asked| {
        let request = Request {
            subject: &asked.subject,
            domain: &asked.domain,
            path: &asked.path,
            method: &asked.method,
            ..Request::default()
        };
        let permitted = matches!(policy.decide(black_box(&request)), Decision::Permit(_));
        permits.set(permits.get() + usize::from(permitted));
    };
    let random = times(national.requests.iter(), decide);
    let permitted = permits.get() * 100 / national.requests.len().max(1);
    let few = national.requests.iter().take(16).cycle().take(REQUESTS);
    let hot = times(few, decide);
    let bytes = policy.memory_bytes() as f64 / policy.rule_count() as f64;
    Ok(format!(
        "random p50 {} ns, p99 {} ns; hot p50 {} ns, p99 {} ns; load {} ms; {bytes:.0} bytes a rule; {permitted} % permitted",
        percentile(&random, 50),
        percentile(&random, 99),
        percentile(&hot, 50),
        percentile(&hot, 99),
        load.as_millis(),
    ))
}

fn casbin(national: &National) -> String {
    let oracle = match Oracle::new(RBAC_WITH_DOMAINS, &national.rules) {
        Ok(oracle) => oracle,
        Err(error) => return error.to_string(),
    };
    let decided = times(national.requests.iter().take(20), |asked| {
        let arguments = [
            &*asked.subject,
            &*asked.domain,
            &*asked.path,
            &*asked.method,
        ];
        black_box(oracle.decide(&arguments).is_ok());
    });
    format!("p50 {} µs", percentile(&decided, 50) / 1_000)
}

/// Nanoseconds for each item, sorted.
fn times<'a>(items: impl Iterator<Item = &'a Asked>, mut work: impl FnMut(&'a Asked)) -> Vec<u128> {
    let mut times: Vec<_> = items
        .map(|item| {
            let started = Instant::now();
            work(item);
            started.elapsed().as_nanos()
        })
        .collect();
    times.sort_unstable();
    times
}

fn percentile(sorted: &[u128], percent: usize) -> u128 {
    let last = sorted.len().saturating_sub(1);
    sorted
        .get(last * percent / 100)
        .copied()
        .unwrap_or_default()
}

fn clock_ns() -> u128 {
    let mut times: Vec<_> = (0..1_001)
        .map(|_| Instant::now().elapsed().as_nanos())
        .collect();
    times.sort_unstable();
    percentile(&times, 50)
}

const ORGANISATIONS: usize = 84;
const ROLES: usize = 200;
const IDENTITIES: usize = 100_000;
const REQUESTS: usize = 200_000;
