//! What OpenSSL's client sees of the gateway: an alert and nothing behind it, and no version or cipher that is not spoken.

use std::io::Write;
use std::process::{Command, Stdio};

use hangu_tests::{Credentials, RunningGateway};

use crate::support::{field, gateway, records_with};

/// What `openssl s_client` prints of a request, every message of TLS included.
fn s_client(gateway: &RunningGateway, who: Option<&Credentials>, more: &[&str]) -> String {
    let folder = gateway.folder();
    folder.write("s.pem", gateway.pki().servers_ca_pem());
    let mut command = Command::new("openssl");
    command.current_dir(folder.path(""));
    command.args(["s_client", "-msg", "-ign_eof", "-CAfile", "s.pem"]);
    command.args(["-connect", &gateway.address().to_string()]);
    command.args(["-servername", "records.test"]).args(more);
    if let Some(who) = who {
        folder.write("c.pem", &who.issued.certificate_pem);
        folder.write("c.key", &who.issued.key_pem);
        command.args(["-cert", "c.pem", "-cert_chain", "c.pem", "-key", "c.key"]);
    }
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let request = b"GET / HTTP/1.1\r\nHost: records.test\r\nConnection: close\r\n\r\n";
    // A client that is refused may have gone.
    drop(child.stdin.take().unwrap().write_all(request));
    let output = child.wait_with_output().unwrap();
    let both = [output.stdout, output.stderr].concat();
    String::from_utf8_lossy(&both).into_owned()
}

/// The messages that came from the gateway, in order.
fn received(printed: &str) -> Vec<&str> {
    let messages = printed
        .lines()
        .filter_map(|line| line.strip_prefix("<<< "))
        .filter(|line| !line.contains("RecordHeader") && !line.contains("InnerContent"));
    messages
        .map(|line| line.split_once("], ").map_or(line, |(_, message)| message))
        .collect()
}

#[test]
fn a_client_that_is_not_good_gets_an_alert_and_nothing_more_for_every_reason() {
    let upstream = hangu_tests::TestUpstream::named("records");
    let world = gateway().records(upstream.address());
    let revoked = world.pki().client("clerk");
    let list = world.pki().crl_pem(&[&revoked], 2);
    let gateway = world.crl(&list).start();
    let pki = gateway.pki();
    let good = s_client(&gateway, Some(&pki.client("clerk")), &[]);
    assert!(good.contains("HTTP/1.1 200"), "{good}");
    let unknown = "fatal certificate_unknown";
    for (who, alert, reason) in [
        (
            None,
            "fatal certificate_required",
            "endpoint.certificate_required",
        ),
        (
            Some(pki.foreign_client("clerk")),
            unknown,
            "endpoint.certificate_untrusted",
        ),
        (
            Some(pki.expired_client("clerk")),
            unknown,
            "endpoint.certificate_expired",
        ),
        (
            Some(pki.future_client("clerk")),
            unknown,
            "endpoint.certificate_not_yet_valid",
        ),
        (
            Some(pki.server_certificate_as_client()),
            unknown,
            "endpoint.certificate_unfit",
        ),
        (Some(revoked), unknown, "endpoint.revoked"),
    ] {
        let printed = s_client(&gateway, who.as_ref(), &[]);
        let received = received(&printed);
        let (last, before) = received.split_last().unwrap();
        assert_eq!(*last, alert, "{reason}: {printed}");
        assert_eq!(
            before.last(),
            Some(&"Finished"),
            "{reason}: after the gateway's own part of the handshake: {received:?}"
        );
        assert!(!printed.contains("HTTP/1.1"), "{reason}: {printed}");
        let result = [("result", reason)];
        gateway.wait_for_metric("hangu_handshakes_total", &result, 1.0);
        let record = gateway
            .audit()
            .wait_for("the record", |record| field(record, "reason") == reason);
        let is_certificates = who.is_some();
        assert_eq!(
            field(&record, "detail").contains("certificate 0 of the chain"),
            is_certificates,
            "{record:#}"
        );
    }
    assert_eq!(upstream.count(), 1);
}

#[test]
fn only_ciphers_with_forward_secrecy_and_authentication_are_spoken() {
    let (gateway, _upstream) = records_with(|gateway| gateway.listener("tls_min = \"1.2\""));
    let clerk = gateway.pki().client("clerk");
    let weak = "@SECLEVEL=0";
    for (version, ciphers, is_spoken) in [
        ("-tls1_3", "", true),
        ("-tls1_2", "ECDHE-ECDSA-AES128-GCM-SHA256", true),
        ("-tls1_2", "ECDHE-ECDSA-AES256-GCM-SHA384", true),
        ("-tls1_2", "ECDHE-ECDSA-CHACHA20-POLY1305", true),
        ("-tls1_2", "ECDHE-ECDSA-AES128-SHA256", false),
        ("-tls1_2", "ECDHE-ECDSA-AES256-SHA", false),
        ("-tls1_2", "ECDHE-ECDSA-AES128-CCM", false),
        ("-tls1_2", "DHE-RSA-AES128-GCM-SHA256", false),
        ("-tls1_2", "AES128-GCM-SHA256", false),
        ("-tls1_1", "ALL", false),
        ("-tls1", "ALL", false),
    ] {
        let list = format!("{ciphers}:{weak}");
        let mut more = vec![version];
        if !ciphers.is_empty() {
            more.extend(["-cipher", &list]);
        }
        let printed = s_client(&gateway, Some(&clerk), &more);
        let what = format!("{version} {ciphers}: {printed}");
        assert_eq!(printed.contains("HTTP/1.1 200"), is_spoken, "{what}");
        // It was said, and not refused by the client's own settings.
        assert!(printed.contains(">>> "), "{what}");
    }
    let (strict, _upstream) = records_with(|gateway| gateway);
    let clerk = strict.pki().client("clerk");
    let printed = s_client(&strict, Some(&clerk), &["-tls1_2"]);
    assert_eq!(received(&printed), ["fatal protocol_version"], "{printed}");
}
