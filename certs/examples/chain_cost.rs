//! What does a client's certificate cost? Processor time of judging a chain of leaf, intermediate and root (P-256), the first time and
//! when it comes back; of the check that every request pays; and of the same chain in the TLS library's own verifier.
//!
//! `cargo run --release -p hangu-certs --example chain_cost`

use std::error::Error;
use std::hint::black_box;
use std::io::Write;
use std::sync::Arc;

use hangu_certs::{
    Authority, ClientAuthentication, ClientRequest, ClientVerifier, Identity, RevocationIndex,
    TrustBundle, Uncovered, Validity, verify_client_chain,
};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, UnixTime};

const NOW: i64 = 1_790_000_000;
const DAY: i64 = 86_400;

fn main() -> Result<(), Box<dyn Error>> {
    let validity = Validity::days(NOW - DAY, 30);
    let root = Authority::new_root("Root", validity)?;
    let issuing = root.new_intermediate("Issuing", validity)?;
    let issued = issuing.issue_client(&ClientRequest::named("alice", validity))?;
    let chain = certificates(&issued.certificate_pem)?;
    let (leaf, above) = chain.split_first().ok_or("the chain is empty")?;
    let both = format!("{}{}", root.certificate_pem(), issuing.certificate_pem());
    let problem = |problems| format!("{problems:?}");
    let trust = TrustBundle::from_pem("clients", both.as_bytes(), NOW).map_err(problem)?;
    let lists = [
        root.crl(&[], NOW - 60, NOW + DAY, 1)?,
        issuing.crl(&[], NOW - 60, NOW + DAY, 1)?,
    ];
    let files: Vec<(&str, &[u8])> = lists
        .iter()
        .map(|list| ("ca.crl", list.as_bytes()))
        .collect();
    let index =
        RevocationIndex::load(&files, &trust, NOW).map_err(|problems| format!("{problems:?}"))?;

    let identity = verify_client_chain(&trust, &index, leaf, above, NOW)?.identity;
    report("judge a chain", 2_000, || {
        verify_client_chain(&trust, &index, leaf, above, NOW).is_ok()
    })?;
    report("read an identity", 20_000, || {
        Identity::from_chain(black_box(&chain)).is_ok()
    })?;
    report("check a request", 2_000_000, || {
        index.check(black_box(&identity.links), NOW).is_ok()
    })?;
    let theirs = library(&root, leaf, above)?;
    report("the library's own verifier", 2_000, theirs)?;

    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let index = RevocationIndex::empty(Uncovered::Accepted);
    let required = ClientAuthentication::Required;
    let verifier = ClientVerifier::new(Arc::new(trust), Arc::new(index), required, provider);
    report("judge a chain that comes back", 200_000, || {
        verifier.chain(&chain, NOW).is_ok()
    })
}

fn library<'a>(
    root: &Authority,
    leaf: &'a CertificateDer<'a>,
    above: &'a [CertificateDer<'a>],
) -> Result<impl Fn() -> bool + 'a, Box<dyn Error>> {
    let roots = certificates(root.certificate_pem())?;
    let anchor =
        webpki::anchor_from_trusted_cert(roots.first().ok_or("there is no root")?)?.to_owned();
    let now = UnixTime::since_unix_epoch(std::time::Duration::from_secs(u64::try_from(NOW)?));
    Ok(move || {
        let anchors = std::slice::from_ref(&anchor);
        webpki::EndEntityCert::try_from(leaf).is_ok_and(|leaf| {
            let usage = webpki::KeyUsage::client_auth();
            leaf.verify_for_usage(
                webpki::ALL_VERIFICATION_ALGS,
                anchors,
                above,
                now,
                usage,
                None,
                None,
            )
            .is_ok()
        })
    })
}

fn report(what: &str, times: u64, mut run: impl FnMut() -> bool) -> Result<(), Box<dyn Error>> {
    let started = cpu_nanos();
    for _ in 0..times {
        if !black_box(run()) {
            return Err(format!("{what}: it failed").into());
        }
    }
    let each = (cpu_nanos() - started) / times;
    writeln!(
        std::io::stdout(),
        "{what}: {}.{:03} µs",
        each / 1000,
        each % 1000
    )?;
    Ok(())
}

fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, Box<dyn Error>> {
    Ok(CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<_, _>>()?)
}

/// Processor time of this thread: other programs on the machine do not count.
fn cpu_nanos() -> u64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    stat.split_whitespace()
        .next()
        .and_then(|nanos| nanos.parse().ok())
        .unwrap_or(0)
}
