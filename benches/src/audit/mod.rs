//! What the audit log costs a request, bears, and how fast it is read: all figures by one command.
//!
//! The log is written as the gateway writes it and read as `hangu audit` reads it. Beside what it reaches stands what the disk could do
//! with the same batches, in a file that grows and in one that was written before: the difference is all that preallocated
//! segments could give.

mod disk;
#[cfg(feature = "gateway")]
mod place;
mod read;
pub(crate) mod replay;
mod write;

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use hangu_audit::{
    Basis, Connection, Decision, Exchange, Judgement, Kind, Origin, Record, Step, Target, Timestamp,
};

use crate::measure::{machine, say};

#[derive(Args)]
pub(crate) struct Arguments {
    /// Records of the log that is verified, searched and proven; of 400 bytes each
    #[arg(long, default_value_t = 10_000_000)]
    records: u64,
    /// A folder on the disk to be measured; what is written there is removed
    #[arg(long, value_name = "DIR", default_value = ".")]
    disk: PathBuf,
    /// Only how fast the log is read
    #[arg(long)]
    reading: bool,
    /// How long each way of writing is measured
    #[arg(long, value_name = "SECONDS", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, Box<dyn Error>> {
    say(&machine())?;
    let time = Duration::from_secs(arguments.seconds);
    if !arguments.reading {
        #[cfg(feature = "gateway")]
        place::run(&arguments.disk)?;
        disk::run(&arguments.disk, time)?;
        write::durable(&arguments.disk, time)?;
    }
    let log = write::long(&arguments.disk, arguments.records)?;
    read::run(log.path())?;
    say(&machine())?;
    Ok(ExitCode::SUCCESS)
}

/// A folder that goes away with its value.
fn folder(disk: &std::path::Path) -> std::io::Result<tempfile::TempDir> {
    tempfile::Builder::new()
        .prefix(".hangu-benches-")
        .tempdir_in(disk)
}

/// The parts of records that requests share.
struct Parts {
    origin: Arc<Origin>,
    basis: Arc<Basis>,
    connection: Arc<Connection>,
    target: Arc<Target>,
    rule: Arc<str>,
    upstream: Arc<str>,
}

impl Parts {
    fn new() -> Self {
        Self {
            origin: Arc::new(Origin {
                node: "gate-1.gov.example".to_owned(),
                boot: "579aa740775c7d86".to_owned(),
            }),
            basis: Arc::new(Basis {
                config_generation: 12,
                policy_epoch: 41,
                policy_generation: 9,
                policy_digest: "9f86d081884c7d65".repeat(4),
            }),
            connection: Arc::new(Connection {
                listener: "edge".to_owned(),
                client: "10.20.1.9:36024".to_owned(),
                zone: "offices".to_owned(),
                channel: "TLSv1.3/http/1.1".to_owned(),
                subject: "spiffe://gov.example/clerk/li".to_owned(),
                organisation: "civil-affairs".to_owned(),
                device: "managed".to_owned(),
                certificate: "2c26b46b68ffc68f".repeat(4),
                serial: "4f1a9c".to_owned(),
                issuer: "CN=Government Clients CA,O=gov".to_owned(),
                proved_at: 1_764_000_000,
            }),
            target: Arc::new(Target {
                application: "resident-records".to_owned(),
                tenant: "civil-affairs".to_owned(),
                route: "/residents".to_owned(),
                label: "internal".to_owned(),
                policy_context: 0,
            }),
            rule: "policy.csv:2".into(),
            upstream: "10.30.0.7:8443".into(),
        }
    }

    /// The id of a request, and of its trace.
    fn id(number: u64) -> String {
        format!("579aa740775c7d86{number:016x}")
    }

    /// A request as the gateway writes it, with everything that it knows.
    fn request(&self, number: u64) -> Record {
        let now = Timestamp::from_unix_ms(1_795_504_222_000 + number / 100);
        let mut record = Record::event(Kind::Request, now, Arc::clone(&self.origin), "");
        record.monotonic_us = number * 10 + 1;
        record.basis = Some(Arc::clone(&self.basis));
        record.connection = Some(Arc::clone(&self.connection));
        record.target = Some(Arc::clone(&self.target));
        record.exchange = Some(Exchange {
            request_id: Self::id(number),
            trace_id: Self::id(number),
            method: "GET".into(),
            path: "/residents/7".to_owned(),
            status: Some(200),
            bytes_out: 2_048,
            duration_us: 2_020,
            upstream: Some(Arc::clone(&self.upstream)),
            ..Exchange::default()
        });
        record.judgement = Some(Judgement {
            rule: Some(Arc::clone(&self.rule)),
            layers: [Step::Pass; 6],
            ..Judgement::new(Decision::Allowed)
        });
        record
    }

    /// A record of some 400 bytes: an id, a subject, a path, a status.
    fn short(&self, number: u64) -> Record {
        let now = Timestamp::from_unix_ms(1_795_504_222_000 + number / 100);
        let mut record = Record::event(Kind::End, now, Arc::clone(&self.origin), "");
        record.monotonic_us = number * 10 + 1;
        record.exchange = Some(Exchange {
            request_id: Self::id(number),
            method: "GET".into(),
            path: "/residents/7".to_owned(),
            status: Some(200),
            bytes_out: 2_048,
            duration_us: 2_020,
            ..Exchange::default()
        });
        record
    }
}
