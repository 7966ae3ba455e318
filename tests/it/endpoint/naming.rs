//! Callers of several authorities: nobody gets another's name by having it written into a certificate.

use hangu_certs::{AnchorName, ClientRequest, Serial, SpiffeId, TrustBundle, Validity};
use hangu_tests::{Application, Client, GatewayFolder, RunningGateway, TestPki, TestUpstream, now};

use super::assert_ended;
use crate::support::{assert_allowed, assert_refused, field, gateway};

/// A gateway with the authorities of two, each of which can name whomever it likes.
fn of_two(upstream: &TestUpstream, identity: &str, policy: &str) -> (GatewayFolder, TestPki) {
    let theirs = TestPki::new();
    let folder = gateway()
        .application(Application::new("records").upstream(upstream.address()))
        .policy(policy)
        .table(identity)
        .prepare();
    let both = [folder.pki(), &theirs]
        .map(TestPki::clients_ca_pem)
        .concat();
    let lists = [folder.pki(), &theirs]
        .map(|pki| pki.crl_pem(&[], 1))
        .concat();
    folder.write("certs/clients-ca.pem", &both);
    folder.write("certs/clients.crl.pem", &lists);
    (folder, theirs)
}

/// SHA-256 of the key of the anchor that signs the clients of a PKI.
fn anchor_key(pki: &TestPki) -> String {
    let bundle = TrustBundle::from_pem("ca", pki.clients_ca_pem().as_bytes(), now()).unwrap();
    let [AnchorName { key, .. }] = bundle.anchor_names().try_into().unwrap();
    key.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn named(gateway: &RunningGateway, pki: &TestPki, name: &str) -> Client {
    let request = ClientRequest {
        common_name: Some(name.to_owned()),
        validity: Some(Validity::days(now() - 60, 1)),
        ..ClientRequest::default()
    };
    gateway.client_with(Some(&pki.client_of(&request)))
}

#[test]
fn a_name_that_two_authorities_can_write_refuses_the_configuration() {
    let upstream = TestUpstream::named("records");
    for (identity, says) in [
        (
            "subject = \"{subject.cn}\"",
            "`{subject.cn}` for `identity.subject` is no name",
        ),
        (
            "subject = \"{issuer}/{subject.cn}\"",
            "can each write the same text",
        ),
        (
            "subject = \"{san.uri}\"",
            "put `{authority}` into the template",
        ),
        (
            "subject = \"{spiffe}\"",
            "may each vouch for the trust domain `gov.test`",
        ),
        ("subject = \"{spiffe.path[0]}\"", "`identity.subject"),
        (
            "subject = \"{fingerprint}\"\norganisation = \"{subject.o}\"",
            "`identity.organisation",
        ),
        (
            "subject = \"{key_fingerprint}\"\n[identity.attributes]\ngrade = \"{subject.title}\"",
            "`identity.attributes.grade",
        ),
    ] {
        let (folder, _theirs) = of_two(
            &upstream,
            &format!("[identity]\n{identity}"),
            "p, a, b, /*, *, allow",
        );
        let ended = folder.run_to_end();
        assert!(!ended.status.success(), "{identity}");
        assert!(ended.stderr.contains(says), "{identity}: {}", ended.stderr);
        assert!(
            ended.stderr.contains("`CN=Test clients root` (key "),
            "{}",
            ended.stderr
        );
    }
}

#[test]
fn a_header_that_two_authorities_can_write_refuses_the_configuration() {
    let theirs = TestPki::new();
    let upstream = TestUpstream::named("records");
    for (template, is_good) in [
        ("{subject.cn}", false),
        ("{authority}/{subject.cn}", true),
        ("{fingerprint}", true),
    ] {
        let records = Application::new("records")
            .header("X-User", template)
            .upstream(upstream.address());
        let folder = gateway()
            .application(records)
            .table("[identity]\nsubject = \"{authority}/{subject.cn}\"")
            .prepare();
        let both = [folder.pki(), &theirs].map(TestPki::clients_ca_pem);
        folder.write("certs/clients-ca.pem", &both.concat());
        let checked = folder.check();
        let said = String::from_utf8_lossy(&checked.stderr).to_lowercase();
        let says = "`{subject.cn}` for `x-user` of the application `records` is no name";
        assert_eq!(said.contains(says), !is_good, "{template}: {said}");
        assert_eq!(checked.status.success(), is_good, "{template}: {said}");
    }
}

#[test]
fn a_caller_has_his_name_under_his_own_authority_only() {
    let policy = "p, ours/li, civil, /*, *, allow\ng2, ours/li, internal\n";
    let upstream = TestUpstream::named("records");
    let (folder, theirs) = of_two(
        &upstream,
        "[identity]\nsubject = \"{authority}/{subject.cn}\"",
        policy,
    );
    let [ours, others] = [folder.pki(), &theirs].map(anchor_key);
    let authorities = format!("[identity.authorities]\nours = [\"{ours}\"]\n\n[audit]");
    let text = folder.read("hangu.toml").replace("[audit]", &authorities);
    folder.write("hangu.toml", &text);
    let gateway = folder.start();
    let response = named(&gateway, gateway.pki(), "li").get("/").unwrap();
    assert_allowed(&gateway, &response);
    let response = named(&gateway, &theirs, "li").get("/").unwrap();
    assert_refused(&gateway, &response, 403, "data.label");
    let record = gateway.audit().of_request(&response.request_id());
    assert_eq!(field(&record, "subject"), format!("{others}/li"));
}

#[test]
fn a_template_that_may_hold_a_spiffe_id_needs_its_trust_domains() {
    let upstream = TestUpstream::named("records");
    let written = "spiffe_trust_domains = [\"gov.test\"]";
    for identity in [
        "",
        "subject = \"{spiffe.path[0]}\"",
        "subject = \"{spiffe}\"",
    ] {
        let folder = gateway()
            .records(upstream.address())
            .table(&format!("[identity]\n{identity}"))
            .prepare();
        let text = folder.read("hangu.toml").replace(written, "");
        folder.write("hangu.toml", &text);
        let ended = folder.run_to_end();
        assert!(!ended.status.success(), "{identity}");
        let says =
            "of `identity.subject` may hold a SPIFFE id, and nothing says of which trust domains";
        assert!(ended.stderr.contains(says), "{}", ended.stderr);
        assert!(
            ended.stderr.contains("hangu.toml:9:13: "),
            "{}",
            ended.stderr
        );
    }
    let none = gateway()
        .records(upstream.address())
        .table("[identity]\nspiffe_trust_domains = []")
        .start();
    let response = none.client("clerk").get("/").unwrap();
    assert_refused(&none, &response, 403, "endpoint.trust_domain");
    assert_eq!(upstream.count(), 0);
}

#[test]
fn a_serial_number_is_revoked_for_the_issuer_that_is_named() {
    let upstream = TestUpstream::named("records");
    let one = "[identity]\n[identity.authorities]\nclients = [\"CN=Test clients root\"]";
    let policy =
        "p, spiffe://gov.test/clerk, civil, /*, *, allow\ng2, spiffe://gov.test/clerk, internal\n";
    let (folder, theirs) = of_two(&upstream, one, policy);
    let serial = Serial::from_hex("4f12a9").unwrap();
    let of = |pki: &TestPki| {
        let id = SpiffeId::parse("spiffe://gov.test/clerk").unwrap();
        pki.client_of(&ClientRequest {
            serial: Some(serial),
            ..ClientRequest::spiffe(&id, Validity::days(now() - 60, 1))
        })
    };
    let (ours, other) = (of(folder.pki()), of(&theirs));
    folder.write("theirs.pem", theirs.clients_intermediate_pem());
    folder.write("ours.pem", &ours.issued.certificate_pem);
    let gateway = folder.start();
    let (ours, other) = (
        gateway.client_with(Some(&ours)),
        gateway.client_with(Some(&other)),
    );
    let revoke = |whom: &[&str]| {
        let config = gateway.folder().config().display().to_string();
        let rest = ["revoke", "--config", &config, "--reason", "stolen"];
        gateway.folder().hangu(&[&rest[..], whom].concat())
    };
    let alone = revoke(&["--serial", "4f:12:a9"]);
    assert!(!alone.status.success());
    let said = String::from_utf8_lossy(&alone.stderr).into_owned();
    assert!(said.contains("--issuer ca.pem"), "{said}");
    let (mut kept, mut gone) = (ours.connect().unwrap(), other.connect().unwrap());
    assert_allowed(&gateway, &kept.get("/").unwrap());
    assert_allowed(&gateway, &gone.get("/").unwrap());
    let issuer = gateway.folder().path("theirs.pem").display().to_string();
    let done = revoke(&["--serial", "4f:12:a9", "--issuer", &issuer]);
    assert!(done.status.success(), "{done:?}");
    assert!(String::from_utf8_lossy(&done.stdout).contains("1 open connections end"));
    assert_ended(&gateway, &mut gone, "endpoint.revoked");
    assert_allowed(&gateway, &kept.get("/").unwrap());
    let file = gateway.folder().path("ours.pem").display().to_string();
    assert!(revoke(&["--file", &file]).status.success());
    assert_ended(&gateway, &mut kept, "endpoint.revoked");
}
