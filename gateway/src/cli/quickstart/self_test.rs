//! `hangu quickstart --self-test`: sends every request of the demonstration over real sockets and believes nothing.
//!
//! What was seen is put together from four witnesses: the client (status, headers), the audit log (decision, layers, reason), the
//! application (what reached it) and the metrics.

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::path::Path;
use std::process::ExitCode;
use std::sync::PoisonError;
use std::thread;
use std::time::{Duration, Instant};

use hangu_audit::{Entry, VerifyError, verify};
use hangu_certs::{Identity, Serial};
use rustls::AlertDescription;

use super::cases::{CASES, Case, Course, Door, Expect};
use super::certificates::{CRL, authority, credentials, list};
use super::client::{Answer, Connection, settings};
use super::error::{QuickstartError, at};
use super::folder::{Folder, Reader, make_folder, write_file};
use super::people::Person;
use super::refusals::refusals;
use super::stage::{AuditLog, PutBack, Scratch, Stage, metrics, wait_for};
use super::table::{Row, WHOLE, heading};
use super::unix_seconds;
use super::words::glyph;
use crate::cli::say;
use crate::denial::Denial;

/// Runs it; success only if every row holds.
pub(super) fn run(dir: Option<&Path>, port: Option<u16>) -> Result<ExitCode, QuickstartError> {
    let began = Instant::now();
    let scratch = match dir {
        Some(_) => None,
        None => Some(Scratch::new()?),
    };
    let path = scratch.as_ref().map(Scratch::path).or(dir);
    let folder = Folder::open(path.unwrap_or(Path::new(".")))?;
    let mut test = Test {
        log: None,
        stage: Stage::set(&folder, port)?,
        sent: 0,
        rows: Vec::new(),
    };
    say(format_args!(
        "Hangu self-test: {} requests and connections over real sockets\n",
        CASES.len()
    ));
    say(
        "Signs: 端 endpoint  边 edge  网 network  云 cloud  数 data  用 application, 关 the gateway as a whole; --- no connection\n",
    );
    say(heading());
    test.run()?;
    let failed = test.rows.iter().filter(|row| !row.holds()).count();
    let seconds = began.elapsed().as_secs_f32();
    if failed == 0 {
        say(format_args!(
            "\nAll {} rows hold ({seconds:.1} s).",
            test.rows.len()
        ));
        Ok(ExitCode::SUCCESS)
    } else {
        say(format_args!(
            "\n{failed} of {} rows do not hold ({seconds:.1} s).",
            test.rows.len()
        ));
        Ok(ExitCode::FAILURE)
    }
}

struct Test {
    log: Option<AuditLog>,
    stage: Stage,
    /// Requests, and connections that were refused: each must be in the audit log once.
    sent: usize,
    rows: Vec<Row>,
}

/// What a case came to, as the client saw it.
enum Outcome {
    Answered(Answer),
    /// The connection was refused; what the gateway knows it by.
    NoConnection(std::net::SocketAddr),
    /// The connection was ended between two requests.
    Ended(std::net::SocketAddr),
    /// Something that no case expects, in words.
    Odd(String),
}

impl Test {
    fn run(&mut self) -> Result<(), QuickstartError> {
        self.log = Some(AuditLog::open(&self.stage.audit)?);
        for case in CASES {
            if self.stage.has_ended() {
                return Err(QuickstartError::Ended);
            }
            let outcome = self.perform(case)?;
            let seen = self.describe(case, &outcome)?;
            self.add(
                glyph(case.layer),
                case.story.to_owned(),
                expected(case),
                seen,
            );
        }
        self.check_application()?;
        self.check_log()?;
        self.check_metrics()?;
        self.check_tampering()
    }

    fn add(&mut self, sign: &'static str, story: String, expected: String, seen: String) {
        let row = Row {
            sign,
            story,
            expected,
            seen,
        };
        say(row.line());
        self.rows.push(row);
    }

    fn perform(&mut self, case: &Case) -> Result<Outcome, QuickstartError> {
        let door = match case.door {
            Door::Office => self.stage.addresses.office,
            Door::Internet => self.stage.addresses.internet,
        };
        let config = settings(&self.stage.certs, case.who)?;
        let mut connection = match Connection::open(door, config) {
            Ok(connection) => connection,
            Err(error) => return Ok(Outcome::Odd(error.to_string())),
        };
        let request = case.bytes();
        if let Expect::NoConnection(_, alert) = case.expect {
            self.sent += 1;
            return Ok(match connection.ask(&request) {
                Ok(answer) => Outcome::Answered(answer),
                Err(error) if alert_of(&error) == Some(alert) => {
                    Outcome::NoConnection(connection.local)
                }
                Err(error) => Outcome::Odd(error.to_string()),
            });
        }
        let local = connection.local;
        let mut ask = || {
            self.sent += 1;
            match connection.ask(&request) {
                Ok(answer) => Outcome::Answered(answer),
                Err(error) => Outcome::Odd(error.to_string()),
            }
        };
        let first = ask();
        match case.course {
            Course::Once => Ok(first),
            Course::Burst => Ok(until_refused(first, ask, BURST_MAX, Duration::ZERO)),
            Course::RevokedMeanwhile => {
                let list = self.stage.certs.join(CRL);
                let _put_back = PutBack::of(&list)?;
                revoke(&self.stage.certs, case.who)?;
                let mut last = first;
                for _ in 0..REVOKED_TRIES_MAX {
                    if !matches!(last, Outcome::Answered(_)) {
                        break;
                    }
                    thread::sleep(REVOKED_TRY_EVERY);
                    last = ask();
                }
                Ok(if matches!(last, Outcome::Odd(_)) {
                    Outcome::Ended(local)
                } else {
                    last
                })
            }
        }
    }

    /// The client's answer, with what the audit log says about it.
    fn describe(&mut self, case: &Case, outcome: &Outcome) -> Result<String, QuickstartError> {
        let Some(log) = &mut self.log else {
            return Ok("no audit log".to_owned());
        };
        let (status, entry) = match outcome {
            Outcome::Odd(words) => return Ok(words.clone()),
            Outcome::NoConnection(local) => {
                let local = local.to_string();
                let is_it = |entry: &Entry| entry.kind == "handshake" && entry.client == local;
                (NO_ANSWER.to_owned(), log.wait_for(is_it)?)
            }
            Outcome::Ended(local) => {
                let local = local.to_string();
                let is_it = |entry: &Entry| entry.kind == "connection" && entry.client == local;
                (NO_ANSWER.to_owned(), log.wait_for(is_it)?)
            }
            Outcome::Answered(answer) => {
                let id = answer.header("x-hangu-request-id").unwrap_or("none");
                let is_it = |entry: &Entry| entry.request_id == id;
                (answer.status.to_string(), log.wait_for(is_it)?)
            }
        };
        let Some(entry) = entry else {
            return Ok(format!("{status}, not in the audit log"));
        };
        if !entry.reason.is_empty() && !refusing_layer_is(&entry, case) {
            return Ok(format!("{status} {} of another layer", entry.reason));
        }
        if let (Outcome::Answered(answer), Expect::Denied(Denial::RateIdentity)) =
            (outcome, case.expect)
            && !answer
                .header("retry-after")
                .is_some_and(|wait| wait.parse::<u32>().is_ok_and(|wait| wait > 0))
        {
            return Ok(format!("{status} {} without Retry-After", entry.reason));
        }
        if let Outcome::Answered(answer) = outcome
            && entry.decision == "allowed"
            && !answer
                .body
                .contains(&format!("\"x-hangu-subject\": \"{}\"", entry.subject))
        {
            return Ok(format!("{status} with another identity"));
        }
        Ok(format!("{status} {}", entry.reason).trim_end().to_owned())
    }

    /// What reached the application, and what it was told.
    fn check_application(&mut self) -> Result<(), QuickstartError> {
        let seen = self
            .stage
            .seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let reached: BTreeSet<&str> = seen.iter().filter_map(|seen| seen.request_id()).collect();
        let claims = seen
            .iter()
            .flat_map(|seen| &seen.headers)
            .filter(|(name, value)| {
                name.contains('_') || CLAIMED.iter().any(|claim| value.contains(claim))
            })
            .count();
        let (mut allowed, mut strangers) = (0, 0);
        if let Some(log) = &mut self.log {
            let decisions = log.decisions()?;
            let permitted: BTreeSet<&str> = decisions
                .iter()
                .filter(|entry| entry.decision == "allowed")
                .map(|entry| entry.request_id.as_str())
                .collect();
            allowed = permitted.len();
            strangers = reached.difference(&permitted).count();
        }
        let requests = |number: usize| format!("{number} requests");
        self.add(
            WHOLE,
            "allowed requests reach the application".to_owned(),
            requests(allowed),
            requests(seen.len()),
        );
        self.add(
            WHOLE,
            "refused requests reach it".to_owned(),
            requests(0),
            requests(strangers),
        );
        self.add(
            WHOLE,
            "claims of a client about itself reach it".to_owned(),
            "0 headers".to_owned(),
            format!("{claims} headers"),
        );
        Ok(())
    }

    /// One record a request, and a chain that holds.
    fn check_log(&mut self) -> Result<(), QuickstartError> {
        let Some(log) = &mut self.log else {
            return Ok(());
        };
        let records = wait_for(&self.sent, || {
            log.decisions().map(|decisions| decisions.len())
        })?;
        let count = |number: usize| format!("{number} records");
        self.add(
            WHOLE,
            "every decision is in the audit log, once".to_owned(),
            count(self.sent),
            count(records),
        );
        let verdict = match verify(&self.stage.audit, |_| ()) {
            Ok(_) => "good".to_owned(),
            Err(error) => error.to_string(),
        };
        self.add(
            WHOLE,
            "the chain of the audit log".to_owned(),
            "good".to_owned(),
            verdict,
        );
        Ok(())
    }

    /// The metrics agree with the audit log, reason by reason.
    fn check_metrics(&mut self) -> Result<(), QuickstartError> {
        let Some(log) = &mut self.log else {
            return Ok(());
        };
        let mut reasons: BTreeMap<String, u64> = BTreeMap::new();
        for entry in log.decisions()? {
            if !entry.reason.is_empty() {
                *reasons.entry(entry.reason.clone()).or_default() += 1;
            }
        }
        let admin = self.stage.addresses.admin;
        let counted = wait_for(&reasons, || metrics(admin).map(|text| refusals(&text)))?;
        let told = |reasons: &BTreeMap<String, u64>| {
            format!(
                "{} refusals, {} reasons",
                reasons.values().sum::<u64>(),
                reasons.len()
            )
        };
        let agree = if counted == reasons {
            ""
        } else {
            ", not the same ones"
        };
        self.add(
            WHOLE,
            "refusals in the metrics, as in the audit log".to_owned(),
            told(&reasons),
            told(&counted) + agree,
        );
        let dropped = metrics(admin)?
            .lines()
            .find_map(|line| {
                line.strip_prefix("hangu_audit_dropped_total ")
                    .map(str::to_owned)
            })
            .unwrap_or_default();
        self.add(WHOLE, "records lost".to_owned(), "0".to_owned(), dropped);
        Ok(())
    }

    /// One flipped bit in a copy of the log is found and named.
    fn check_tampering(&mut self) -> Result<(), QuickstartError> {
        let copy = self.stage.audit.with_extension("copy");
        make_folder(&copy)?;
        for name in [SEGMENT, HEAD] {
            let from = self.stage.audit.join(name);
            std::fs::copy(&from, copy.join(name)).map_err(at(&from))?;
        }
        let file = copy.join(SEGMENT);
        let mut bytes = std::fs::read(&file).map_err(at(&file))?;
        let middle = bytes.len() / 2;
        let line = 1 + bytes
            .iter()
            .take(middle)
            .filter(|byte| **byte == b'\n')
            .count();
        if let Some(byte) = bytes.get_mut(middle) {
            // In a line's middle no flip of the lowest bit makes or removes a line's end.
            *byte ^= 1;
        }
        std::fs::write(&file, &bytes).map_err(at(&file))?;
        let found = match verify(&copy, |_| ()) {
            Ok(_) => "nothing found".to_owned(),
            Err(VerifyError::Damage(damage)) => format!("found in line {}", damage.line),
            Err(error) => error.to_string(),
        };
        self.add(
            WHOLE,
            "one bit of the audit log changed afterwards".to_owned(),
            format!("found in line {line}"),
            found,
        );
        Ok(())
    }
}

/// The TLS alert in an error, in the words of `CASES`.
fn alert_of(error: &std::io::Error) -> Option<&'static str> {
    let tls = error.get_ref()?.downcast_ref::<rustls::Error>()?;
    [
        (
            AlertDescription::CertificateRequired,
            "certificate required",
        ),
        (AlertDescription::CertificateUnknown, "certificate unknown"),
    ]
    .into_iter()
    .find(|(alert, _)| *tls == rustls::Error::AlertReceived(*alert))
    .map(|(_, words)| words)
}

/// Asks again while the application answers.
fn until_refused(
    first: Outcome,
    mut ask: impl FnMut() -> Outcome,
    tries: usize,
    pause: Duration,
) -> Outcome {
    let mut last = first;
    for _ in 0..tries {
        if !matches!(&last, Outcome::Answered(answer) if answer.status == 200) {
            break;
        }
        thread::sleep(pause);
        last = ask();
    }
    last
}

/// Puts a person's certificate on the revocation list, beside those that are on it.
fn revoke(certs: &Path, person: Option<Person>) -> Result<(), QuickstartError> {
    let now = unix_seconds();
    let mut revoked = Vec::new();
    for person in [Some(Person::Zhou), person].into_iter().flatten() {
        let file = certs.join(person.file());
        let pem = std::fs::read(&file).map_err(at(&file))?;
        let serial = credentials(&pem)
            .ok()
            .and_then(|(chain, _)| Identity::from_chain(&chain).ok())
            .and_then(|identity| Serial::from_hex(&identity.serial))
            .ok_or(std::io::Error::from(ErrorKind::InvalidData))
            .map_err(at(&file))?;
        revoked.push((serial, now));
    }
    let text = list(&authority(certs)?, &revoked, now + 1)?;
    write_file(&certs.join(CRL), text.as_bytes(), Reader::Anyone)
}

fn expected(case: &Case) -> String {
    match case.expect {
        Expect::Allowed(status) => status.to_string(),
        Expect::Denied(denial) => format!("{} {}", denial.status(), denial.code()),
        Expect::NoConnection(denial, _) | Expect::Ended(denial) => {
            format!("{NO_ANSWER} {}", denial.code())
        }
    }
}

/// The record's refusing layer is the one that the case shows, and the only one.
fn refusing_layer_is(entry: &Entry, case: &Case) -> bool {
    let Some(layers) = &entry.layers else {
        return false;
    };
    let steps = [
        &layers.endpoint,
        &layers.edge,
        &layers.network,
        &layers.cloud,
        &layers.data,
        &layers.application,
    ];
    steps
        .iter()
        .enumerate()
        .all(|(index, step)| (*step == "refuse") == (index == case.layer.index()))
}

/// In place of a status where there is no answer.
const NO_ANSWER: &str = "---";
/// What the cases claim in headers that are the gateway's to set.
const CLAIMED: &[&str] = &["mayor", "10.9.9.9"];
const SEGMENT: &str = "audit-000000000001.jsonl";
const HEAD: &str = "head.json";
const BURST_MAX: usize = 300;
const REVOKED_TRIES_MAX: usize = 40;
const REVOKED_TRY_EVERY: Duration = Duration::from_millis(150);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_expects_status_and_reason() {
        let texts: Vec<_> = CASES.iter().map(expected).collect();
        for text in [
            "200",
            "201",
            "403 data.label",
            "--- endpoint.revoked",
            "429 network.rate_identity",
        ] {
            assert!(texts.iter().any(|own| own == text), "{text}");
        }
    }
}
