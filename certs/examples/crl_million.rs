//! How long does a revocation list of a million entries take to load, how much memory does its index hold, and what does a look-up
//! cost? Prints one line for each answer, in processor time.
//!
//! `cargo run --release -p hangu-certs --example crl_million [ENTRIES]`

use std::error::Error;
use std::hint::black_box;
use std::io::Write;

use hangu_certs::{Authority, Link, RevocationIndex, Serial, TrustBundle, Validity};

const NOW: i64 = 1_790_000_000;
const DAY: i64 = 86_400;
const LOOK_UPS: u32 = 2_000_000;

fn main() -> Result<(), Box<dyn Error>> {
    let mut out = std::io::stdout().lock();
    let entries: u64 = std::env::args()
        .nth(1)
        .map_or(Ok(1_000_000), |text| text.parse())?;
    let root = Authority::new_root("Root", Validity::days(NOW - DAY, 30))?;
    let mut random = Mixer(7);
    let revoked: Vec<(Serial, i64)> = (0..entries)
        .filter_map(|_| Some((random.serial()?, NOW - DAY)))
        .collect();
    let pem = root.crl(&revoked, NOW - DAY, NOW + DAY, 1)?;
    let trust = TrustBundle::from_pem("clients", root.certificate_pem().as_bytes(), NOW)
        .map_err(|problems| format!("{problems:?}"))?;

    let before = resident_kib();
    let started = cpu_nanos();
    let index = RevocationIndex::load(&[("root.crl", pem.as_bytes())], &trust, NOW)
        .map_err(|problems| format!("{problems:?}"))?;
    let took = (cpu_nanos() - started) / 1_000_000;
    writeln!(
        out,
        "load: {} entries from {} MiB of PEM in {took} ms; index {} MiB, resident +{} MiB",
        index.entry_count(),
        pem.len() >> 20,
        index.heap_bytes() >> 20,
        resident_kib().saturating_sub(before) >> 10
    )?;

    let issuer = hangu_certs::Identity::from_chain(&certificates(&root)?)?.links;
    let template = issuer.first().copied().ok_or("the root has no link")?;
    let strangers: Vec<Link> = (0..65_536)
        .filter_map(|_| Some(template.with_serial(random.serial()?)))
        .collect();
    let listed: Vec<Link> = revoked
        .iter()
        .map(|(serial, _)| template.with_serial(*serial))
        .collect();
    for (what, asked) in [("not revoked", &strangers), ("revoked", &listed)] {
        let mut refused = 0_u32;
        let started = cpu_nanos();
        for number in 0..LOOK_UPS {
            let at = (u64::from(number) * 0x9e37_79b9) % asked.len() as u64;
            if let Some(link) = asked.get(at as usize) {
                refused += u32::from(
                    index
                        .check(black_box(std::slice::from_ref(link)), NOW)
                        .is_err(),
                );
            }
        }
        let each = (cpu_nanos() - started) / u64::from(LOOK_UPS);
        writeln!(
            out,
            "look-up, {what}: {each} ns each ({refused} of {LOOK_UPS} refused)"
        )?;
    }
    Ok(())
}

fn certificates(
    root: &Authority,
) -> Result<Vec<rustls_pki_types::CertificateDer<'static>>, Box<dyn Error>> {
    use rustls_pki_types::pem::PemObject;
    let leaf = root.issue_server(&["gate.example"], Validity::days(NOW - DAY, 30))?;
    let pem = format!("{}{}", leaf.certificate_pem, root.certificate_pem());
    Ok(
        rustls_pki_types::CertificateDer::pem_slice_iter(pem.as_bytes())
            .collect::<Result<_, _>>()?,
    )
}

/// Processor time of this thread: other programs on the machine do not count.
fn cpu_nanos() -> u64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    stat.split_whitespace()
        .next()
        .and_then(|nanos| nanos.parse().ok())
        .unwrap_or(0)
}

/// Resident memory of this process.
fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok())
        .unwrap_or(0)
}

/// A small generator (splitmix64), so that every run asks the same.
struct Mixer(u64);

impl Mixer {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn serial(&mut self) -> Option<Serial> {
        let mut bytes = [0; 16];
        bytes
            .iter_mut()
            .zip(
                self.next()
                    .to_be_bytes()
                    .into_iter()
                    .chain(self.next().to_be_bytes()),
            )
            .for_each(|(to, from)| *to = from);
        if let Some(first) = bytes.first_mut() {
            *first = (*first & 0x3f) | 0x40;
        }
        Serial::from_bytes(&bytes)
    }
}
