//! A revocation list that is past its end: refused, unless the operator has said how long it may still count.

use hangu_tests::{TestUpstream, wait_until};

use crate::support::gateway;

#[test]
fn a_list_past_its_end_counts_for_the_grace_that_was_given() {
    let upstream = TestUpstream::named("records");
    for (line, past_seconds, is_good) in [
        ("", 60, false),
        ("crl_grace = \"1h\"", 60, true),
        ("crl_grace = \"1h\"", 2 * 3600, false),
    ] {
        let world = gateway().records(upstream.address()).listener(line);
        let list = world
            .pki()
            .crl_pem_until(&[], 2, hangu_tests::now() - past_seconds);
        let checked = world.crl(&list).prepare().check();
        let said = String::from_utf8_lossy(&checked.stderr);
        assert_eq!(
            checked.status.success(),
            is_good,
            "{line}, {past_seconds} s past: {said}"
        );
        assert_eq!(said.contains("it expired at"), !is_good, "{said}");
    }
}

#[test]
fn an_issuer_has_a_grace_of_its_own() {
    let upstream = TestUpstream::named("records");
    for (of_all, of_issuer, complaint) in [
        ("", "\"CN=Test clients\" = \"1h\"", None),
        (
            "",
            "\"CN=Test clients root\" = \"1h\"",
            Some("it expired at"),
        ),
        (
            "crl_grace = \"1h\"",
            "\"CN=Test clients\" = \"0ms\"",
            Some("it expired at"),
        ),
        (
            "crl_grace = \"1h\"",
            "\"CN=Test client\" = \"1h\"",
            Some(
                "`[crl_grace]` names the issuer `CN=Test client`, and no authority has this name; \
                 known are `CN=Test clients`, `CN=Test clients root`",
            ),
        ),
    ] {
        let world = gateway()
            .records(upstream.address())
            .listener(of_all)
            .table(&format!("[crl_grace]\n{of_issuer}\n"));
        let list = world.pki().crl_pem_until(&[], 2, hangu_tests::now() - 60);
        let checked = world.crl(&list).prepare().check();
        let said = String::from_utf8_lossy(&checked.stderr);
        assert_eq!(
            checked.status.success(),
            complaint.is_none(),
            "{of_issuer}: {said}"
        );
        assert!(said.contains(complaint.unwrap_or_default()), "{said}");
    }
}

#[test]
fn an_issuer_on_grace_is_served_with_an_alarm_until_its_grace_ends() {
    let upstream = TestUpstream::named("records");
    let world = gateway()
        .records(upstream.address())
        .table("[crl_grace]\n\"CN=Test clients\" = \"4s\"\n");
    let list = world.pki().crl_pem_until(&[], 2, hangu_tests::now() - 1);
    let gateway = world.crl(&list).start();
    let mut kept = gateway.client("clerk").connect().unwrap();
    assert_eq!(kept.get("/").unwrap().status, 200);
    gateway.wait_for_metric("hangu_crl_overdue", &[("listener", "edge")], 1.0);
    wait_until("the grace to end", || kept.get("/").is_err());
    let ended = [("reason", "endpoint.revocation_unknown")];
    gateway.wait_for_metric("hangu_connections_closed_total", &ended, 1.0);
    assert!(gateway.client("clerk").get("/").is_err());
}

#[test]
fn grace_does_not_help_who_is_revoked() {
    let upstream = TestUpstream::named("records");
    let world = gateway()
        .records(upstream.address())
        .listener("crl_grace = \"1h\"");
    let (clerk, other) = (world.pki().client("clerk"), world.pki().client("other"));
    let list = world
        .pki()
        .crl_pem_until(&[&other], 2, hangu_tests::now() - 60);
    let gateway = world.crl(&list).start();
    assert!(gateway.client_with(Some(&clerk)).get("/").is_ok());
    assert!(gateway.client_with(Some(&other)).get("/").is_err());
}
