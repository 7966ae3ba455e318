//! What does a client's certificate cost: the judgement of a chain of leaf, intermediate and root (P-256), the first time and when it
//! comes back, and the same chain in the TLS library's own verifier?

use std::error::Error;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use hangu_certs::{
    Authority, ClientAuthentication, ClientRequest, ClientVerifier, Identity, RevocationIndex,
    Uncovered, verify_client_chain,
};
use rustls_pki_types::{CertificateDer, UnixTime};

use super::{DAY, NOW, certificates, report, root, trust};

pub(super) fn run() -> Result<(), Box<dyn Error>> {
    let (root, validity) = root()?;
    let issuing = root.new_intermediate("Issuing", validity)?;
    let issued = issuing.issue_client(&ClientRequest::named("alice", validity))?;
    let chain = certificates(&issued.certificate_pem)?;
    let (leaf, above) = chain.split_first().ok_or("the chain is empty")?;
    let both = format!("{}{}", root.certificate_pem(), issuing.certificate_pem());
    let bundle = trust(&both)?;
    let lists = [
        root.crl(&[], NOW - 60, NOW + DAY, 1)?,
        issuing.crl(&[], NOW - 60, NOW + DAY, 1)?,
    ];
    let files: Vec<(&str, &[u8])> = lists
        .iter()
        .map(|list| ("ca.crl", list.as_bytes()))
        .collect();
    let index =
        RevocationIndex::load(&files, &bundle, NOW).map_err(|problems| format!("{problems:?}"))?;

    let identity = verify_client_chain(&bundle, &index, leaf, above, NOW)?.identity;
    report("judge a chain with an intermediate", 1_000, |_| {
        verify_client_chain(&bundle, &index, leaf, above, NOW).is_ok()
    })?;
    report(
        "the library's own verifier",
        1_000,
        library(&root, leaf, above)?,
    )?;
    report("read an identity", 20_000, |_| {
        Identity::from_chain(black_box(&chain)).is_ok()
    })?;
    report("a request's check of both certificates", 2_000_000, |_| {
        index.check(black_box(&identity.links), NOW).is_ok()
    })?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let index = RevocationIndex::empty(Uncovered::Accepted);
    let required = ClientAuthentication::Required;
    let verifier = ClientVerifier::new(Arc::new(bundle), Arc::new(index), required, provider);
    report("judge a chain that comes back", 200_000, |_| {
        verifier.chain(&chain, NOW).is_ok()
    })?;
    Ok(())
}

fn library<'a>(
    root: &Authority,
    leaf: &'a CertificateDer<'a>,
    above: &'a [CertificateDer<'a>],
) -> Result<impl Fn(u32) -> bool + 'a, Box<dyn Error>> {
    let roots = certificates(root.certificate_pem())?;
    let anchor =
        webpki::anchor_from_trusted_cert(roots.first().ok_or("there is no root")?)?.to_owned();
    let now = UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(NOW)?));
    Ok(move |_| {
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
