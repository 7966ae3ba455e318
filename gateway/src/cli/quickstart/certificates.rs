//! A throw-away PKI: one CA, the gateway's certificate, a clerk for each way in which a certificate can be good or bad.
//!
//! The set is judged by the very code that judges clients: it is kept while each certificate gets the verdict that the
//! demonstration promises, today and tomorrow, and is issued anew as a whole otherwise. The CA is kept as long as it is good, so
//! a browser that was told to trust it goes on doing so.

use std::fs;
use std::path::Path;

use hangu_certs::{
    Authority, ChainReason, ClientRequest, Issued, Purpose, Revocation, RevocationIndex, Serial,
    TrustBundle, Validity, verify_chain, verify_client_chain,
};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::error::{QuickstartError, at};
use super::folder::{Reader, make_folder, write_file};
use super::people::{Fate, Person};

/// What had to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Made {
    New,
    Kept,
    Again { why: String },
}

/// Makes the set in `folder`, or keeps it while it is good at `now` (Unix seconds) and a day later.
pub(super) fn ensure(folder: &Path, now: i64) -> Result<Made, QuickstartError> {
    let is_new = !folder.exists();
    let Err(why) = check(folder, now) else {
        return Ok(Made::Kept);
    };
    issue_all(folder, now)?;
    Ok(if is_new {
        Made::New
    } else {
        Made::Again { why }
    })
}

/// Loads the CA of the set.
pub(super) fn authority(folder: &Path) -> Result<Authority, QuickstartError> {
    let read = |name: &str| {
        let path = folder.join(name);
        fs::read_to_string(&path).map_err(at(&path))
    };
    Ok(Authority::from_pem(&read(CA)?, &read(CA_KEY)?)?)
}

/// Certificates and key in one file, as text in PEM.
pub(super) fn credentials(
    pem: &[u8],
) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), String> {
    let chain: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|error| error.to_string())?;
    let key = PrivateKeyDer::from_pem_slice(pem).map_err(|error| error.to_string())?;
    if chain.is_empty() {
        return Err("there is no certificate".to_owned());
    }
    Ok((chain, key))
}

/// Every certificate gets the verdict that it should, now and in a day.
fn check(folder: &Path, now: i64) -> Result<(), String> {
    authority(folder).map_err(|error| error.to_string())?;
    for moment in [now, now + DAY] {
        let set = Set::load(folder, moment)?;
        set.check_server(folder)?;
        for person in Person::ALL {
            set.check_person(folder, person)?;
        }
    }
    Ok(())
}

/// What certificates are judged by, at one moment.
struct Set {
    trust: TrustBundle,
    revocation: RevocationIndex,
    moment: i64,
}

impl Set {
    fn load(folder: &Path, moment: i64) -> Result<Self, String> {
        let trust = TrustBundle::from_pem(CA, &read(folder, CA)?, moment).map_err(|e| first(&e))?;
        let list = read(folder, CRL)?;
        let revocation = RevocationIndex::load(&[(CRL, list.as_slice())], &trust, moment)
            .map_err(|e| first(&e))?;
        Ok(Self {
            trust,
            revocation,
            moment,
        })
    }

    fn check_server(&self, folder: &Path) -> Result<(), String> {
        let pem = [read(folder, SERVER)?, read(folder, SERVER_KEY)?].concat();
        let (chain, _) = credentials(&pem).map_err(|error| format!("{SERVER}: {error}"))?;
        let (leaf, above) = chain.split_first().ok_or("there is no certificate")?;
        verify_chain(
            &self.trust,
            &self.revocation,
            leaf,
            above,
            Purpose::Server,
            self.moment,
        )
        .map(drop)
        .map_err(|error| format!("{SERVER}: {error}"))
    }

    fn check_person(&self, folder: &Path, person: Person) -> Result<(), String> {
        let file = person.file();
        let (chain, _) =
            credentials(&read(folder, file)?).map_err(|error| format!("{file}: {error}"))?;
        let (leaf, above) = chain.split_first().ok_or("there is no certificate")?;
        let verdict = verify_client_chain(&self.trust, &self.revocation, leaf, above, self.moment);
        let reason = verdict.err().map(|error| error.reason);
        let as_told = match person.fate() {
            Fate::Good => reason.is_none(),
            Fate::Revoked => matches!(
                reason,
                Some(ChainReason::Revocation(Revocation::Revoked { .. }))
            ),
            Fate::Expired => matches!(reason, Some(ChainReason::Expired { .. })),
            Fate::Foreign => matches!(reason, Some(ChainReason::UnknownIssuer)),
        };
        match (as_told, reason) {
            (true, _) => Ok(()),
            (false, Some(reason)) => Err(format!("{file}: {reason}")),
            (false, None) => Err(format!("{file} is good and should not be")),
        }
    }
}

/// Writes a whole new set beside the old one and puts it in its place.
fn issue_all(folder: &Path, now: i64) -> Result<(), QuickstartError> {
    let new = folder.with_extension("new");
    let old = folder.with_extension("old");
    remove(&new)?;
    remove(&old)?;
    make_folder(&new)?;

    let ca = good_authority(folder, now).map_or_else(
        || {
            let validity = Validity {
                not_before: now - 90 * DAY,
                not_after: now + 365 * DAY,
            };
            Authority::new_root("Hangu quickstart throw-away CA", validity)
        },
        Ok,
    )?;
    write_file(
        &new.join(CA),
        ca.certificate_pem().as_bytes(),
        Reader::Anyone,
    )?;
    write_file(&new.join(CA_KEY), ca.key_pem().as_bytes(), Reader::Owner)?;

    let server = ca.issue_server(HOSTS, good(now))?;
    write_file(
        &new.join(SERVER),
        server.certificate_pem.as_bytes(),
        Reader::Anyone,
    )?;
    write_file(
        &new.join(SERVER_KEY),
        server.key_pem.as_bytes(),
        Reader::Owner,
    )?;

    let foreign = Authority::new_root("Some other CA", good(now))?;
    let mut revoked = Vec::new();
    for person in Person::ALL {
        let issuer = match person.fate() {
            Fate::Foreign => &foreign,
            Fate::Good | Fate::Revoked | Fate::Expired => &ca,
        };
        let issued = issue(issuer, person, now)?;
        if person.fate() == Fate::Revoked {
            revoked.push((issued.serial, now - HOUR));
        }
        let both = [issued.certificate_pem.as_str(), &issued.key_pem].concat();
        write_file(&new.join(person.file()), both.as_bytes(), Reader::Owner)?;
    }
    let list = list(&ca, &revoked, now)?;
    write_file(&new.join(CRL), list.as_bytes(), Reader::Anyone)?;

    if folder.exists() {
        fs::rename(folder, &old).map_err(at(folder))?;
    }
    fs::rename(&new, folder).map_err(at(folder))?;
    remove(&old)
}

fn issue(issuer: &Authority, person: Person, now: i64) -> Result<Issued, QuickstartError> {
    let validity = match person.fate() {
        Fate::Expired => Validity {
            not_before: now - 60 * DAY,
            not_after: now - DAY,
        },
        Fate::Good | Fate::Revoked | Fate::Foreign => good(now),
    };
    let request = ClientRequest {
        organisation: Some(person.organisation().to_owned()),
        uris: vec![person.spiffe().to_owned()],
        ..ClientRequest::named(person.name(), validity)
    };
    Ok(issuer.issue_client(&request)?)
}

/// A revocation list of these serial numbers, good for thirty days from `now`.
pub(super) fn list(
    ca: &Authority,
    revoked: &[(Serial, i64)],
    now: i64,
) -> Result<String, QuickstartError> {
    let number = u64::try_from(now).unwrap_or_default();
    Ok(ca.crl(revoked, now - HOUR, now + 30 * DAY, number)?)
}

/// The old CA, when it is good for as long as what it is to issue.
fn good_authority(folder: &Path, now: i64) -> Option<Authority> {
    let ca = authority(folder).ok()?;
    let pem = read(folder, CA).ok()?;
    TrustBundle::from_pem(CA, &pem, now + LEAF_DAYS * DAY).ok()?;
    Some(ca)
}

/// From an hour ago, for clocks that are not quite right.
fn good(now: i64) -> Validity {
    Validity {
        not_before: now - HOUR,
        not_after: now + LEAF_DAYS * DAY,
    }
}

fn read(folder: &Path, name: &str) -> Result<Vec<u8>, String> {
    fs::read(folder.join(name)).map_err(|error| format!("{name}: {error}"))
}

fn remove(folder: &Path) -> Result<(), QuickstartError> {
    if folder.exists() {
        fs::remove_dir_all(folder).map_err(at(folder))?;
    }
    Ok(())
}

fn first<E: ToString>(errors: &[E]) -> String {
    errors.first().map(E::to_string).unwrap_or_default()
}

/// The CA's certificate: what curl is to trust, and what the gateway trusts for clients.
pub(super) const CA: &str = "ca.pem";
/// The revocation list.
pub(super) const CRL: &str = "revoked.crl.pem";
const CA_KEY: &str = "ca.key";
const SERVER: &str = "server.pem";
const SERVER_KEY: &str = "server.key";
const HOSTS: &[&str] = &["records.civil.hangu.test", "localhost", "127.0.0.1"];
const LEAF_DAYS: i64 = 90;
const DAY: i64 = 24 * HOUR;
const HOUR: i64 = 3600;

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_795_000_000;

    fn made() -> (tempfile::TempDir, std::path::PathBuf) {
        let parent = tempfile::tempdir().unwrap();
        let certs = parent.path().join("certs");
        assert_eq!(ensure(&certs, NOW).unwrap(), Made::New);
        (parent, certs)
    }

    #[test]
    fn a_good_set_is_kept() {
        let (_parent, certs) = made();
        let before = fs::read(certs.join("li.pem")).unwrap();
        assert_eq!(ensure(&certs, NOW + 10 * DAY).unwrap(), Made::Kept);
        assert_eq!(fs::read(certs.join("li.pem")).unwrap(), before);
    }

    #[test]
    fn an_expired_list_renews_the_set_under_the_same_authority() {
        let (_parent, certs) = made();
        let (ca, li) = (
            fs::read(certs.join(CA)).unwrap(),
            fs::read(certs.join("li.pem")).unwrap(),
        );
        let again = ensure(&certs, NOW + 31 * DAY).unwrap();
        assert!(
            matches!(&again, Made::Again { why } if why.contains(CRL)),
            "{again:?}"
        );
        assert_eq!(fs::read(certs.join(CA)).unwrap(), ca);
        assert_ne!(fs::read(certs.join("li.pem")).unwrap(), li);
        assert_eq!(ensure(&certs, NOW + 31 * DAY).unwrap(), Made::Kept);
    }

    #[test]
    fn an_authority_near_its_end_is_replaced() {
        let (_parent, certs) = made();
        let ca = fs::read(certs.join(CA)).unwrap();
        ensure(&certs, NOW + 300 * DAY).unwrap();
        assert_ne!(fs::read(certs.join(CA)).unwrap(), ca);
    }

    #[test]
    fn a_damaged_or_half_written_set_is_made_anew() {
        for broken in [
            CA,
            CA_KEY,
            CRL,
            SERVER,
            SERVER_KEY,
            "li.pem",
            "zhou-revoked.pem",
        ] {
            let (_parent, certs) = made();
            fs::write(certs.join(broken), "-----BEGIN").unwrap();
            assert!(
                matches!(ensure(&certs, NOW).unwrap(), Made::Again { .. }),
                "{broken}"
            );
            fs::remove_file(certs.join(broken)).unwrap();
            assert!(
                matches!(ensure(&certs, NOW).unwrap(), Made::Again { .. }),
                "{broken}"
            );
            assert_eq!(ensure(&certs, NOW).unwrap(), Made::Kept, "{broken}");
        }
    }
}
