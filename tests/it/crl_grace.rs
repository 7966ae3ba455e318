//! A revocation list that is past its end: refused, unless the operator has said how long it may still count.

use hangu_tests::TestUpstream;

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
