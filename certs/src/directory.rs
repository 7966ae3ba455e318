//! Layer: 端 endpoint. The directory: what the organisation knows about a holder beyond the certificate.
//!
//! A certificate says who; roles, clearance and the state of a device change faster than certificates are issued. The directory is a
//! CSV file that a personnel or device management system writes, in which a row finds its holder by certificate, by key or by
//! subject. The closer match wins, whole rows are used, and a row that could mean two things is refused with its line.

use std::collections::HashMap;
use std::sync::Arc;

use crate::csv;
use crate::directory_error::{DirectoryError, DirectoryProblem};
use crate::identity::Identity;
use crate::name;

/// What the organisation knows about holders, ready to be asked. Immutable.
#[derive(Clone, Debug, Default)]
pub struct Directory {
    holders: Vec<Arc<Holder>>,
    certificates: HashMap<[u8; 32], usize>,
    keys: HashMap<[u8; 32], usize>,
    subjects: HashMap<String, usize>,
    /// The first row of each policy subject.
    members: HashMap<String, usize>,
    /// Where each row stands in the file, from 1.
    lines: Vec<usize>,
}

/// One holder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Holder {
    /// The policy subject to use in place of the certificate's.
    pub subject: Option<String>,
    /// The organisation to use in place of the certificate's.
    pub organisation: Option<String>,
    /// Roles, in the file's order.
    pub roles: Vec<String>,
    /// Clearance, in the words of the labels that the data layer uses.
    pub clearance: Option<String>,
    /// What kind of device it is.
    pub device_class: Option<String>,
    /// The posture, 0 (worst) to 100, with the Unix seconds at which it was measured.
    posture: Option<(u8, i64)>,
}

impl Directory {
    /// Reads a directory: CSV (RFC 4180) in UTF-8 whose first line names its columns.
    ///
    /// A row is found by `certificate` or `key` (SHA-256 in hexadecimal) or `match` (the policy subject as the template renders it);
    /// exactly one of the three is filled in. Roles and clearance need a policy subject: the row's `match` or `subject`. The other columns are `subject`, `organisation`, `roles` (separated by `;`),
    /// `clearance`, `device_class`, `posture` (0 to 100) and `posture_at` (RFC 3339); all may be left out or empty.
    ///
    /// # Errors
    /// Every line that is wrong, up to 100; `file` is how operators know it.
    pub fn from_csv(file: &str, bytes: &[u8]) -> Result<Directory, Vec<DirectoryError>> {
        let at = |line| {
            move |problem| DirectoryError {
                file: file.to_owned(),
                line,
                problem,
            }
        };
        let mut rows = csv::rows(bytes, DIRECTORY_BYTES_MAX)
            .map_err(|(line, problem)| vec![at(line)(problem)])?
            .into_iter();
        let (_line, header) = rows
            .next()
            .ok_or_else(|| vec![at(1)(DirectoryProblem::NoHeader)])?;
        let columns = columns(&header).map_err(|problem| vec![at(1)(problem)])?;
        let mut directory = Directory::default();
        let mut problems = Vec::new();
        for (line, row) in rows {
            let result = if directory.holders.len() >= ENTRIES_MAX {
                Err(DirectoryProblem::TooLarge)
            } else {
                read_row(&columns, &row).and_then(|(key, holder)| directory.add(key, holder))
            };
            if result.is_ok() {
                directory.lines.push(line);
            }
            problems.extend(result.map_err(at(line)).err());
            if problems.len() >= PROBLEMS_MAX {
                break;
            }
        }
        if problems.is_empty() {
            Ok(directory)
        } else {
            Err(problems)
        }
    }

    /// The row of a holder, whose policy subject (as the template renders it) is `subject`: by certificate, else by key, else by
    /// subject. At most three look-ups; allocates nothing.
    pub fn find(&self, identity: &Identity, subject: &str) -> Option<&Arc<Holder>> {
        let number = self
            .certificates
            .get(&identity.fingerprint)
            .or_else(|| self.keys.get(&identity.key_fingerprint))
            .or_else(|| self.subjects.get(subject))?;
        self.holders.get(*number)
    }

    /// How many holders it has.
    pub fn len(&self) -> usize {
        self.holders.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.holders.is_empty()
    }

    /// Every policy subject that has roles or clearance, each once, with the row that says so and its line: what a policy has to
    /// be told.
    pub fn members(&self) -> impl Iterator<Item = (&str, &Holder, usize)> {
        self.members.iter().filter_map(|(subject, number)| {
            let holder = self.holders.get(*number)?;
            let line = self.lines.get(*number).copied().unwrap_or(1);
            let has_rights = !holder.roles.is_empty() || holder.clearance.is_some();
            has_rights.then_some((subject.as_str(), &**holder, line))
        })
    }

    fn add(&mut self, key: FoundBy, holder: Holder) -> Result<(), DirectoryProblem> {
        let number = self.holders.len();
        self.add_member(&key, &holder, number)?;
        let before = match key {
            FoundBy::Certificate(fingerprint) => self.certificates.insert(fingerprint, number),
            FoundBy::PublicKey(fingerprint) => self.keys.insert(fingerprint, number),
            FoundBy::Subject(subject) => self.subjects.insert(subject, number),
        };
        self.holders.push(Arc::new(holder));
        if before.is_some() {
            Err(DirectoryProblem::Repeated)
        } else {
            Ok(())
        }
    }

    /// Roles and clearance belong to a policy subject, so rows of one subject cannot differ in them: of two devices of one person,
    /// the lesser would get what the other has.
    fn add_member(
        &mut self,
        key: &FoundBy,
        holder: &Holder,
        number: usize,
    ) -> Result<(), DirectoryProblem> {
        let own = match key {
            FoundBy::Subject(subject) => Some(subject),
            FoundBy::Certificate(_) | FoundBy::PublicKey(_) => None,
        };
        let has_rights = !holder.roles.is_empty() || holder.clearance.is_some();
        let Some(subject) = holder.subject.as_ref().or(own) else {
            return if has_rights {
                Err(DirectoryProblem::NoSubject)
            } else {
                Ok(())
            };
        };
        let first = *self.members.entry(subject.clone()).or_insert(number);
        match self.holders.get(first) {
            Some(other)
                if (&other.roles, &other.clearance) != (&holder.roles, &holder.clearance) =>
            {
                Err(DirectoryProblem::Differs)
            }
            Some(_) | None => Ok(()),
        }
    }
}

impl Holder {
    /// Whether a posture was measured, and is neither older than `age_seconds_max` at `now` (Unix seconds) nor from the future.
    pub fn posture_is_known(&self, now: i64, age_seconds_max: u32) -> bool {
        self.posture.is_some_and(|(_, at)| {
            at <= now && now.saturating_sub(at) <= i64::from(age_seconds_max)
        })
    }

    /// The posture as it was measured, however long ago.
    pub fn posture_measured(&self) -> Option<u8> {
        self.posture.map(|(posture, _)| posture)
    }

    /// The posture at `now` (Unix seconds), 0 (worst) to 100: 0 when none was ever measured, when the measurement is older than
    /// `age_seconds_max`, and when it claims to come from the future. Not knowing is never better than knowing.
    pub fn posture(&self, now: i64, age_seconds_max: u32) -> u8 {
        match self.posture {
            Some((posture, _)) if self.posture_is_known(now, age_seconds_max) => posture,
            Some(_) | None => 0,
        }
    }
}

enum FoundBy {
    Certificate([u8; 32]),
    PublicKey([u8; 32]),
    Subject(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Column {
    Certificate,
    Key,
    Match,
    Subject,
    Organisation,
    Roles,
    Clearance,
    DeviceClass,
    Posture,
    PostureAt,
}

const COLUMNS: [(&str, Column); 10] = [
    ("certificate", Column::Certificate),
    ("key", Column::Key),
    ("match", Column::Match),
    ("subject", Column::Subject),
    ("organisation", Column::Organisation),
    ("roles", Column::Roles),
    ("clearance", Column::Clearance),
    ("device_class", Column::DeviceClass),
    ("posture", Column::Posture),
    ("posture_at", Column::PostureAt),
];

fn columns(header: &[String]) -> Result<Vec<Column>, DirectoryProblem> {
    let mut found = Vec::new();
    for name in header {
        let known = COLUMNS
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, column)| *column);
        let column = known.ok_or_else(|| DirectoryProblem::UnknownColumn {
            column: name.clone(),
        })?;
        if found.contains(&column) {
            return Err(DirectoryProblem::RepeatedColumn {
                column: name.clone(),
            });
        }
        found.push(column);
    }
    let finds = [Column::Certificate, Column::Key, Column::Match];
    if found.iter().any(|column| finds.contains(column)) {
        Ok(found)
    } else {
        Err(DirectoryProblem::NoKeyColumn)
    }
}

fn read_row(columns: &[Column], row: &[String]) -> Result<(FoundBy, Holder), DirectoryProblem> {
    if row.len() != columns.len() {
        return Err(DirectoryProblem::Fields {
            expected: columns.len(),
            found: row.len(),
        });
    }
    let mut keys = Vec::new();
    let mut holder = Holder::default();
    let (mut posture, mut posture_at) = (None, None);
    for (column, text) in columns.iter().zip(row).filter(|(_, text)| !text.is_empty()) {
        name::check_text(text, FIELD_BYTES_MAX).map_err(DirectoryProblem::Text)?;
        let fingerprint = || {
            name::unhex(text).ok_or_else(|| DirectoryProblem::Fingerprint { text: text.clone() })
        };
        match column {
            Column::Certificate => keys.push(FoundBy::Certificate(fingerprint()?)),
            Column::Key => keys.push(FoundBy::PublicKey(fingerprint()?)),
            Column::Match => keys.push(FoundBy::Subject(text.clone())),
            Column::Subject => holder.subject = Some(text.clone()),
            Column::Organisation => holder.organisation = Some(text.clone()),
            Column::Roles => holder.roles = roles(text)?,
            Column::Clearance => holder.clearance = Some(text.clone()),
            Column::DeviceClass => holder.device_class = Some(text.clone()),
            Column::Posture => posture = Some(percent(text)?),
            Column::PostureAt => posture_at = Some(moment(text)?),
        }
    }
    holder.posture = match (posture, posture_at) {
        (Some(posture), Some(at)) => Some((posture, at)),
        (None, None) => None,
        (Some(_), None) | (None, Some(_)) => return Err(DirectoryProblem::HalfPosture),
    };
    match (keys.pop(), keys.is_empty()) {
        (Some(key), true) => Ok((key, holder)),
        (Some(_), false) | (None, _) => Err(DirectoryProblem::NotOneKey),
    }
}

fn roles(text: &str) -> Result<Vec<String>, DirectoryProblem> {
    let mut roles: Vec<String> = Vec::new();
    for role in text.split(';').map(str::trim) {
        if role.is_empty() || roles.iter().any(|known| known == role) || roles.len() >= ROLES_MAX {
            return Err(DirectoryProblem::Roles);
        }
        roles.push(role.to_owned());
    }
    Ok(roles)
}

fn percent(text: &str) -> Result<u8, DirectoryProblem> {
    let posture = text
        .parse()
        .ok()
        .filter(|posture: &u8| *posture <= 100 && posture.to_string() == text);
    posture.ok_or_else(|| DirectoryProblem::Posture {
        text: text.to_owned(),
    })
}

fn moment(text: &str) -> Result<i64, DirectoryProblem> {
    let rfc3339 = &time::format_description::well_known::Rfc3339;
    let moment = time::OffsetDateTime::parse(text, rfc3339);
    moment
        .map(time::OffsetDateTime::unix_timestamp)
        .map_err(|_why| DirectoryProblem::Time {
            text: text.to_owned(),
        })
}

/// Bytes of one directory file.
const DIRECTORY_BYTES_MAX: usize = 256 * 1024 * 1024;
/// Holders of one directory.
const ENTRIES_MAX: usize = 2_000_000;
/// Bytes of one field.
const FIELD_BYTES_MAX: usize = 2048;
/// Roles of one holder.
const ROLES_MAX: usize = 64;
/// Problems after which the rest of the file is not read.
const PROBLEMS_MAX: usize = 100;
