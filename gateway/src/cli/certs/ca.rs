//! `hangu certs ca`, and the folder that a certificate authority lives in.
//!
//! The folder holds the authority's certificate and key, a register of what it issued, what of it is revoked, and the newest
//! revocation list. The register is what makes a revocation reliable: a mistyped serial number is told apart from a right one.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use clap::Args;
use hangu_certs::{
    Authority, CertificateSummary, Issued, Purpose, Reason, Revoked, Serial, Validity,
};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use serde_json::json;

use super::files::{self, Existing, Reader};
use super::{CertsError, Done, Outcome, moment, now, parse_moment, print_json};
use crate::cli::say;

#[derive(Debug, Args)]
#[command(after_help = "Example:
  hangu certs ca --dir root --name 'Tax Office Root'
  hangu certs ca --dir issuing --name 'Tax Office Issuing' --issuer root

The folder gets ca.pem, ca.key (mode 0600), issued.csv, revoked.csv and revoked.crl.pem. Keep a root's folder offline.
Exit code: 0 made; 2 not made.")]
pub(in crate::cli) struct Options {
    /// The folder to make the authority in
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// Its common name
    #[arg(long)]
    name: String,
    /// Make an intermediate below the root in this folder, instead of a root
    #[arg(long, value_name = "DIR")]
    issuer: Option<PathBuf>,
    /// Days that it is good for; 3650 for a root and 1825 for an intermediate if not said
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=DAYS_MAX))]
    days: Option<u32>,
    /// Replace an authority that is there, key and all
    #[arg(long)]
    force: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn make(options: &Options) -> Done {
    let existing = Existing::forced(options.force);
    let paths = Paths::of(&options.dir);
    files::check_free(&paths.all(), existing)?;
    let now = now();
    let authority = match &options.issuer {
        None => {
            let validity = validity(now, options.days.unwrap_or(ROOT_DAYS));
            Authority::new_root(&options.name, validity).map_err(CertsError::new)?
        }
        Some(dir) => intermediate(options, dir, now)?,
    };
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&options.dir)
        .map_err(|why| {
            CertsError(format!(
                "{}: {why}; name another place",
                options.dir.display()
            ))
        })?;
    files::write(&paths.key, authority.key_pem(), Reader::Owner, existing)?;
    files::write(
        &paths.certificate,
        authority.chain_pem(),
        Reader::Anyone,
        existing,
    )?;
    files::write(
        &paths.issued,
        ISSUED_HEADER,
        Reader::Owner,
        Existing::Replace,
    )?;
    files::write(
        &paths.revoked,
        REVOKED_HEADER,
        Reader::Owner,
        Existing::Replace,
    )?;
    let folder = CaFolder::open(&options.dir)?;
    let list = folder.publish(&[], now, LIST_DAYS)?;
    let (certificate, key) = (files::name(&paths.certificate), files::name(&paths.key));
    let (subject, end) = (folder.subject.as_str(), moment(folder.not_after));
    if options.json {
        print_json(&json!({
            "subject": subject, "certificate": certificate, "key": key, "not_after": end, "list": list,
        }))?;
    } else {
        say(format_args!("{certificate}: `{subject}`, good until {end}"));
        say(format_args!("{key}: its key; keep it to yourself"));
        say(format_args!(
            "{list}: its list of revoked certificates, empty"
        ));
    }
    Ok(Outcome::Good)
}

fn intermediate(options: &Options, dir: &Path, now: i64) -> Result<Authority, CertsError> {
    let root = CaFolder::open(dir)?;
    let validity = root.validity(now, options.days.unwrap_or(INTERMEDIATE_DAYS))?;
    let authority = root
        .authority
        .new_intermediate(&options.name, validity)
        .map_err(CertsError::new)?;
    let summary = first_certificate(authority.certificate_pem().as_bytes(), dir)?;
    root.register(summary.serial, "authority", &options.name, validity)?;
    Ok(authority)
}

/// Where things are.
struct Paths {
    certificate: PathBuf,
    key: PathBuf,
    issued: PathBuf,
    revoked: PathBuf,
    list: PathBuf,
}

impl Paths {
    fn of(dir: &Path) -> Paths {
        Paths {
            certificate: dir.join("ca.pem"),
            key: dir.join("ca.key"),
            issued: dir.join("issued.csv"),
            revoked: dir.join("revoked.csv"),
            list: dir.join("revoked.crl.pem"),
        }
    }

    fn all(&self) -> [&PathBuf; 5] {
        [
            &self.certificate,
            &self.key,
            &self.issued,
            &self.revoked,
            &self.list,
        ]
    }
}

/// An authority in its folder, held against other commands as long as this lives.
pub(super) struct CaFolder {
    paths: Paths,
    pub(super) authority: Authority,
    pub(super) subject: String,
    not_after: i64,
    _lock: File,
}

impl CaFolder {
    pub(super) fn open(dir: &Path) -> Result<CaFolder, CertsError> {
        let paths = Paths::of(dir);
        let refused = |why: &dyn std::fmt::Display| {
            CertsError(format!(
                "{}: {why}; name a folder that `hangu certs ca` made",
                dir.display()
            ))
        };
        let lock = File::open(&paths.certificate).map_err(|why| refused(&why))?;
        lock.lock().map_err(|why| refused(&why))?;
        let certificate = files::read_text(&paths.certificate)?;
        let key = files::read_key(&paths.key)?;
        let authority = Authority::from_pem(&certificate, &key).map_err(|why| refused(&why))?;
        let own = first_certificate(certificate.as_bytes(), &paths.certificate)?;
        Ok(CaFolder {
            paths,
            authority,
            subject: own.subject,
            not_after: own.not_after,
            _lock: lock,
        })
    }

    /// From a little before now on, so that clocks that are not quite right accept it; never longer than the authority itself.
    pub(super) fn validity(&self, now: i64, days: u32) -> Result<Validity, CertsError> {
        let validity = validity(now, days);
        if validity.not_after > self.not_after {
            return Err(CertsError(format!(
                "{}: the authority itself ends at {}; give fewer `--days`, or make a new authority",
                self.paths.certificate.display(),
                moment(self.not_after)
            )));
        }
        Ok(validity)
    }

    /// Notes what is about to be handed out: whatever exists can be revoked.
    pub(super) fn register(
        &self,
        serial: Serial,
        kind: &str,
        name: &str,
        validity: Validity,
    ) -> Result<(), CertsError> {
        let refused = |why| CertsError(format!("{}: {why}", self.paths.issued.display()));
        let name = name.replace('"', "\"\"");
        let line = format!(
            "{serial},{kind},{},\"{name}\"\n",
            moment(validity.not_after)
        );
        let mut file = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(&self.paths.issued)
            .map_err(refused)?;
        file.write_all(line.as_bytes()).map_err(refused)?;
        file.sync_all().map_err(refused)
    }

    /// Issues by a closure, registers, and gives both back.
    pub(super) fn issue(
        &self,
        kind: &str,
        name: &str,
        validity: Validity,
        issue: impl FnOnce(&Authority) -> Result<Issued, hangu_certs::AuthorityError>,
    ) -> Result<Issued, CertsError> {
        let issued = issue(&self.authority).map_err(CertsError::new)?;
        self.register(issued.serial, kind, name, validity)?;
        Ok(issued)
    }

    pub(super) fn has_issued(&self, serial: Serial) -> Result<bool, CertsError> {
        let text = files::read_text(&self.paths.issued)?;
        let serial = serial.to_string();
        Ok(text
            .lines()
            .any(|line| line.split(',').next() == Some(&serial)))
    }

    /// What is revoked so far.
    pub(super) fn revoked(&self) -> Result<Vec<Revoked>, CertsError> {
        let text = files::read_text(&self.paths.revoked)?;
        let mut lines = text.lines().enumerate();
        let broken = |number: usize| {
            CertsError(format!(
                "{}:{}: it is not `serial,revoked_at,reason`; put the line right, for nothing that is revoked may be forgotten",
                self.paths.revoked.display(),
                number + 1
            ))
        };
        match lines.next() {
            Some((_, header)) if header == REVOKED_HEADER.trim_end() => {}
            _ => return Err(broken(0)),
        }
        lines
            .map(|(number, line)| parse_revoked(line).ok_or_else(|| broken(number)))
            .collect()
    }

    /// Writes the list of everything that is revoked, with a number higher than the last one's, good for so many days; gives its place.
    pub(super) fn publish(
        &self,
        revoked: &[Revoked],
        now: i64,
        days: u32,
    ) -> Result<String, CertsError> {
        let mut register = REVOKED_HEADER.to_owned();
        for one in revoked {
            let reason = reason_name(one.reason);
            register.push_str(&format!("{},{},{reason}\n", one.serial, moment(one.at)));
        }
        files::write(
            &self.paths.revoked,
            &register,
            Reader::Owner,
            Existing::Replace,
        )?;
        let until = now.saturating_add(i64::from(days) * DAY);
        let pem = self
            .authority
            .revocation_list(revoked, now - SKEW, until, self.next_number(now)?)
            .map_err(CertsError::new)?;
        files::write(&self.paths.list, &pem, Reader::Anyone, Existing::Replace)?;
        Ok(files::name(&self.paths.list))
    }

    /// The time, which grows by itself even if the last list is lost; one more than the last list's where that is not enough.
    fn next_number(&self, now: i64) -> Result<u64, CertsError> {
        let time = u64::try_from(now).unwrap_or_default();
        let Ok(pem) = std::fs::read(&self.paths.list) else {
            return Ok(time);
        };
        let unusable = || {
            CertsError(format!(
                "{}: it is not readable, so its number is not known; move it away to publish a new one",
                self.paths.list.display()
            ))
        };
        let list = rustls_pki_types::CertificateRevocationListDer::from_pem_slice(&pem)
            .map_err(|_why| unusable())?;
        let last = hangu_certs::ListSummary::of(&list).map_err(|_why| unusable())?;
        let last: u64 = last.number.to_string().parse().map_err(|_why| unusable())?;
        Ok(time.max(last.saturating_add(1)))
    }
}

/// What the first certificate of a file says.
pub(super) fn first_certificate(pem: &[u8], path: &Path) -> Result<CertificateSummary, CertsError> {
    let der = CertificateDer::from_pem_slice(pem).map_err(|_why| {
        CertsError(format!(
            "{}: it holds no certificate; expected PEM blocks starting `-----BEGIN CERTIFICATE-----`",
            path.display()
        ))
    })?;
    CertificateSummary::of(&der, Purpose::Client, now())
        .map_err(|why| CertsError(format!("{}: it is malformed: {why}", path.display())))
}

fn parse_revoked(line: &str) -> Option<Revoked> {
    let mut cells = line.split(',');
    let revoked = Revoked {
        serial: Serial::from_hex(cells.next()?)?,
        at: parse_moment(cells.next()?).ok()?,
        reason: reason_of(cells.next()?)?,
    };
    cells.next().is_none().then_some(revoked)
}

fn validity(now: i64, days: u32) -> Validity {
    Validity {
        not_before: now - SKEW,
        ..Validity::days(now, days)
    }
}

fn reason_name(reason: Reason) -> &'static str {
    REASONS
        .iter()
        .find(|(known, _)| *known == reason)
        .map_or("unspecified", |(_, name)| name)
}

fn reason_of(name: &str) -> Option<Reason> {
    REASONS
        .iter()
        .find(|(_, known)| *known == name)
        .map(|(reason, _)| *reason)
}

/// The words of RFC 5280 for why a certificate is revoked.
pub(super) const REASONS: [(Reason, &str); 7] = [
    (Reason::Unspecified, "unspecified"),
    (Reason::KeyCompromise, "keyCompromise"),
    (Reason::AffiliationChanged, "affiliationChanged"),
    (Reason::Superseded, "superseded"),
    (Reason::CessationOfOperation, "cessationOfOperation"),
    (Reason::CertificateHold, "certificateHold"),
    (Reason::PrivilegeWithdrawn, "privilegeWithdrawn"),
];

const ISSUED_HEADER: &str = "serial,kind,not_after,name\n";
const REVOKED_HEADER: &str = "serial,revoked_at,reason\n";

/// Days that anything may be good for: a hundred years.
pub(super) const DAYS_MAX: i64 = 36_500;
const ROOT_DAYS: u32 = 3650;
const INTERMEDIATE_DAYS: u32 = 1825;
/// Days that a list is good for.
pub(super) const LIST_DAYS: u32 = 30;
const DAY: i64 = 86_400;
/// Seconds that clocks may differ.
const SKEW: i64 = 300;
