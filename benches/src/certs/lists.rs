//! What does a revocation list of a million entries cost: its load, the memory of its index, and what it adds to a handshake and to a
//! request?

use std::error::Error;
use std::hint::black_box;
use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::Arc;

use hangu_certs::{
    Authority, ClientAuthentication, ClientRequest, ClientVerifier, Identity, Link,
    RevocationIndex, Serial, TrustBundle, Uncovered, Validity, verify_client_chain,
};
use rustls_pki_types::CertificateDer;

use super::{DAY, NOW, certificates, each, report, root, trust};
use crate::measure::{Random, processor_time, say};

pub(super) fn run(entries: u32) -> Result<(), Box<dyn Error>> {
    let (root, validity) = root()?;
    let mut random = Random::new(7);
    let revoked: Vec<(Serial, i64)> = (0..entries)
        .filter_map(|_| Some((serial(&mut random)?, NOW - DAY)))
        .collect();
    let pem = root.crl(&revoked, NOW - DAY, NOW + DAY, 1)?;
    let bundle = trust(root.certificate_pem())?;
    in_a_process_of_its_own(root.certificate_pem(), &pem)?;
    let index = load(&pem, &bundle)?;

    let chain = client(&root, validity)?;
    let links = Identity::from_chain(&chain)?.links;
    let template = links.first().copied().ok_or("the chain has no link")?;
    let strangers: Vec<Link> = (0..65_536)
        .filter_map(|_| Some(template.with_serial(serial(&mut random)?)))
        .collect();
    let listed: Vec<Link> = revoked
        .iter()
        .map(|(serial, _)| template.with_serial(*serial))
        .collect();
    look_up("a request's check, not revoked", &strangers, |link| {
        index.check(link, NOW).is_ok()
    })?;
    look_up("a request's check, revoked", &listed, |link| {
        index.check(link, NOW).is_err()
    })?;
    handshake(&chain, bundle, index)
}

fn load(pem: &str, bundle: &TrustBundle) -> Result<RevocationIndex, Box<dyn Error>> {
    let index = RevocationIndex::load(&[("root.crl", pem.as_bytes())], bundle, NOW);
    Ok(index.map_err(|problems| format!("{problems:?}"))?)
}

/// What a process says of itself that has held nothing before, so that the system's count of its memory is that of the list.
fn in_a_process_of_its_own(root: &str, list: &str) -> Result<(), Box<dyn Error>> {
    let mut child = Command::new(std::env::current_exe()?)
        .args(["certs", "--load"])
        .stdin(Stdio::piped())
        .spawn()?;
    let mut input = child.stdin.take().ok_or("it has no standard input")?;
    input.write_all(root.as_bytes())?;
    input.write_all(list.as_bytes())?;
    drop(input);
    if child.wait()?.success() {
        Ok(())
    } else {
        Err("the process that loads the list failed".into())
    }
}

/// Loads the list that comes over standard input behind the certificate of its authority, and prints how long that takes and what stays.
pub(super) fn load_given() -> Result<(), Box<dyn Error>> {
    let given = std::io::read_to_string(std::io::stdin())?;
    let at = given.find("-----BEGIN X509 CRL").ok_or("no list came")?;
    let (root, pem) = given.split_at(at);
    let bundle = trust(root)?;
    let resident = resident_kib("VmRSS:");
    let before = processor_time();
    let index = load(pem, &bundle)?;
    let took = (processor_time() - before).as_millis();
    let more = |name| resident_kib(name).saturating_sub(resident) >> 10;
    say(&format!(
        "load: {} entries out of {} MiB of PEM in {took} ms; index {} MiB, resident +{} MiB, at most +{} MiB meanwhile",
        index.entry_count(),
        pem.len() >> 20,
        index.heap_bytes() >> 20,
        more("VmRSS:"),
        more("VmHWM:")
    ))?;
    Ok(())
}

/// Other links one after the other, in no order that the processor could foresee.
fn look_up(
    what: &str,
    links: &[Link],
    check: impl Fn(&[Link]) -> bool,
) -> Result<(), Box<dyn Error>> {
    let work = |number: u32| {
        let at = (u64::from(number) * 0x9e37_79b9) % links.len().max(1) as u64;
        let link = usize::try_from(at).ok().and_then(|at| links.get(at));
        link.is_some_and(|link| check(black_box(std::slice::from_ref(link))))
    };
    report(what, LOOK_UPS, work).map(|_| ())
}

/// What the list adds to the judgement of a chain, of one that comes the first time and of one that comes back.
fn handshake(
    chain: &[CertificateDer<'static>],
    bundle: TrustBundle,
    index: RevocationIndex,
) -> Result<(), Box<dyn Error>> {
    let (leaf, above) = chain.split_first().ok_or("the chain is empty")?;
    let none = RevocationIndex::empty(Uncovered::Accepted);
    let first = |index: &RevocationIndex| {
        each("a handshake's chain", CHAINS, |_| {
            verify_client_chain(&bundle, index, leaf, above, NOW).is_ok()
        })
    };
    added(
        "a handshake's chain, the first time",
        first(&none)?,
        first(&index)?,
    )?;

    let bundle = Arc::new(bundle);
    let again = |index: RevocationIndex| {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let required = ClientAuthentication::Required;
        let verifier =
            ClientVerifier::new(Arc::clone(&bundle), Arc::new(index), required, provider);
        each("a chain that comes back", LOOK_UPS / 10, |_| {
            verifier.chain(chain, NOW).is_ok()
        })
    };
    added(
        "a handshake's chain that comes back",
        again(none)?,
        again(index)?,
    )
}

fn added(what: &str, without: u128, with: u128) -> Result<(), Box<dyn Error>> {
    say(&format!(
        "{what}: {with} ns with the list, {without} ns without any"
    ))?;
    Ok(())
}

fn client(
    root: &Authority,
    validity: Validity,
) -> Result<Vec<CertificateDer<'static>>, Box<dyn Error>> {
    let issued = root.issue_client(&ClientRequest::named("alice", validity))?;
    certificates(&issued.certificate_pem)
}

/// A random serial number of 16 bytes, positive and without leading zeros.
fn serial(random: &mut Random) -> Option<Serial> {
    let number = u128::from(random.next()) << 64 | u128::from(random.next());
    let positive = number & (u128::MAX >> 2) | 1 << 126;
    Serial::from_bytes(&positive.to_be_bytes())
}

/// Resident memory of this process: now (`VmRSS:`), or at most so far (`VmHWM:`).
fn resident_kib(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok())
        .unwrap_or(0)
}

const LOOK_UPS: u32 = 2_000_000;
const CHAINS: u32 = 1_000;
