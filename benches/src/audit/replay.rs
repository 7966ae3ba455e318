//! How many records a second does `hangu policy replay` read and decide again?
//!
//! A log of requests of the [national](crate::policy::national) platform, each as full as the gateway writes it, is asked with the
//! tool itself: first as it was written, then with its finished segments compressed. The tool prints the rate. It uses all
//! processors that it may: for the rate of one, `taskset -c 0` before the command.

use std::error::Error;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use hangu_audit::{Connection, Target, pack};
use hangu_policy::{Decision, PartitionedPolicy, RBAC_WITH_DOMAINS, Request, Source};

use super::write::{bytes_of, open};
use super::{Parts, folder};
use crate::measure::{machine, say};
use crate::policy::national::{Asked, National};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Records of the log
    #[arg(long, default_value_t = 1_000_000)]
    records: u64,
    /// Rules of the policy that is asked
    #[arg(long, default_value_t = 20_600)]
    rules: usize,
    /// A folder for the log; what is written there is removed
    #[arg(long, value_name = "DIR", default_value = ".")]
    disk: PathBuf,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, Box<dyn Error>> {
    say(&machine())?;
    let mut national = National::generate(arguments.rules);
    national.clear_all_roles("internal");
    let folder = folder(&arguments.disk)?;
    let policy = folder.path().join("policy.csv");
    std::fs::write(&policy, &national.rules)?;
    let log = folder.path().join("audit");
    std::fs::create_dir(&log)?;
    write(&log, &national, arguments.records)?;
    let bytes = bytes_of(&log)? / arguments.records.max(1);
    say(&format!(
        "a log of {} records of {bytes} bytes, {} rules",
        arguments.records, arguments.rules
    ))?;
    replay(&log, &policy)?;
    let packed = pack(&log, || true)?;
    say(&format!("with finished segments compressed: {packed:?}"))?;
    replay(&log, &policy)?;
    say(&machine())?;
    Ok(ExitCode::SUCCESS)
}

/// Requests that the policy permits, so that nothing changes and one line is printed.
fn write(log: &Path, national: &National, records: u64) -> Result<(), Box<dyn Error>> {
    let model = Source {
        name: "model.conf",
        text: RBAC_WITH_DOMAINS,
    };
    let rules = Source {
        name: "policy.csv",
        text: &national.rules,
    };
    let policy = PartitionedPolicy::compile(model, rules)
        .map_err(|problems| format!("refused: {problems:?}"))?;
    let permitted = |asked: &&Asked| {
        let request = Request {
            subject: &asked.subject,
            domain: &asked.domain,
            path: &asked.path,
            method: &asked.method,
            ..Request::default()
        };
        matches!(policy.decide(&request), Decision::Permit(_))
    };
    let parts = Parts::new();
    let made: Vec<_> = (national.requests.iter().filter(permitted))
        .map(|asked| {
            let mut record = parts.request(0);
            record.connection = Some(Arc::new(Connection {
                subject: asked.subject.clone(),
                ..Connection::clone(&parts.connection)
            }));
            record.target = Some(Arc::new(Target {
                tenant: asked.domain.clone(),
                ..Target::clone(&parts.target)
            }));
            if let Some(exchange) = &mut record.exchange {
                exchange.path.clone_from(&asked.path);
                exchange.method = asked.method.clone().into();
            }
            record
        })
        .collect();
    let mut log = open(&parts, log)?;
    for (record, number) in made.iter().cycle().zip(0..records) {
        log.append(record)?;
        if number % 4_000 == 0 {
            log.commit()?;
        }
    }
    log.commit()?;
    log.close().map_err(|(_, error)| error)?;
    Ok(())
}

fn replay(log: &Path, policy: &Path) -> Result<(), Box<dyn Error>> {
    let words = ["hangu", "policy", "replay", "--audit"].map(OsStr::new);
    let files = [log.as_os_str(), OsStr::new("--policy"), policy.as_os_str()];
    let code = hangu_gateway::cli::main_of(words.into_iter().chain(files));
    if code != ExitCode::SUCCESS {
        return Err("the tool found a change where there is none".into());
    }
    Ok(())
}
