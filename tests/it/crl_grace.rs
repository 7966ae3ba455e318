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

/// A gateway that has started once with a grace and has a copy of its list; and the list's path.
fn copied(grace: &str, mole: bool) -> (hangu_tests::GatewayFolder, hangu_tests::Credentials) {
    let upstream = TestUpstream::named("records");
    let world = gateway().records(upstream.address()).listener(grace);
    // It lives as long as the test process.
    std::mem::forget(upstream);
    let revoked = world.pki().client("mole");
    let named: &[&hangu_tests::Credentials] = if mole { &[&revoked] } else { &[] };
    let list = world.pki().crl_pem(named, 2);
    let gateway = world.crl(&list).start();
    assert_eq!(gateway.client("clerk").get("/").unwrap().status, 200);
    wait_until("a copy of the list", || note(gateway.folder()).is_some());
    (gateway.into_folder(), revoked)
}

/// Where it is noted when the list was last there.
fn note(folder: &hangu_tests::GatewayFolder) -> Option<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder.path("crl-cache/files")).ok()?;
    let mut paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    paths.find(|path| {
        path.extension()
            .is_some_and(|extension| extension == "seen")
    })
}

const LIST: &str = "certs/clients.crl.pem";

#[test]
fn a_list_that_is_gone_at_a_start_counts_by_grace_and_alarms() {
    let (folder, mole) = copied("crl_grace = \"1h\"", true);
    let list = folder.read(LIST);
    std::fs::remove_file(folder.path(LIST)).unwrap();
    let gateway = folder.start();
    let edge = [("listener", "edge")];
    gateway.wait_for_metric("hangu_crl_missing", &edge, 1.0);
    assert_eq!(gateway.client("clerk").get("/").unwrap().status, 200);
    assert!(gateway.client_with(Some(&mole)).get("/").is_err());
    gateway.folder().write(LIST, &list);
    gateway.wait_for_metric("hangu_crl_missing", &edge, 0.0);
    assert!(gateway.client_with(Some(&mole)).get("/").is_err());
}

#[test]
fn a_list_that_gets_lost_counts_until_its_grace_ends_and_is_taken_again() {
    let (folder, mole) = copied("crl_grace = \"3s\"", false);
    let list = folder.read(LIST);
    let gateway = folder.start();
    let mut kept = gateway.client("clerk").connect().unwrap();
    assert_eq!(kept.get("/").unwrap().status, 200);
    std::fs::remove_file(gateway.folder().path(LIST)).unwrap();
    gateway.wait_for_metric("hangu_crl_missing", &[("listener", "edge")], 1.0);
    wait_until("the grace to end", || kept.get("/").is_err());
    assert!(gateway.client("clerk").get("/").is_err());
    gateway.wait_for_metric("hangu_crl_missing", &[("listener", "edge")], 1.0);
    gateway.folder().write(LIST, &list);
    wait_until("the list to be taken again", || {
        gateway.client_with(Some(&mole)).get("/").is_ok()
    });
}

#[test]
fn a_copy_stands_in_only_where_it_is_whole_and_within_its_grace() {
    let (folder, _) = copied("crl_grace = \"1h\"", false);
    let note = note(&folder).unwrap();
    let seen = std::fs::read_to_string(&note).unwrap();
    let copy = note.with_extension("crl");
    let is_good = |what: &str, expected: bool, complaint: &str| {
        let checked = folder.check();
        let said = String::from_utf8_lossy(&checked.stderr);
        assert_eq!(checked.status.success(), expected, "{what}: {said}");
        assert!(said.contains(complaint), "{what}: {said}");
    };
    folder.write(LIST, "no list");
    is_good("an unreadable list", true, "");
    std::fs::remove_file(folder.path(LIST)).unwrap();
    is_good("a list that is gone", true, "");

    let age = |seconds: i64| {
        let mut lines: Vec<String> = seen.lines().map(str::to_owned).collect();
        lines[1] = (hangu_tests::now() - seconds).to_string();
        std::fs::write(&note, lines.join("\n")).unwrap();
    };
    age(7200);
    is_good("last seen two hours ago", false, "clients.crl.pem");
    age(-7200);
    is_good("last seen in two hours", true, "");

    let bytes = std::fs::read(&copy).unwrap();
    std::fs::write(&copy, &bytes[1..]).unwrap();
    is_good("a damaged copy", false, "clients.crl.pem");
    std::fs::write(&copy, &bytes).unwrap();
    is_good("a whole one", true, "");
    let configuration = folder.read("hangu.toml");
    folder.write(
        "hangu.toml",
        &configuration.replace("crl_grace = \"1h\"", "crl_grace = \"0ms\""),
    );
    is_good("no grace", false, "clients.crl.pem");
}
