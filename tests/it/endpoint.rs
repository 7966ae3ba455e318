//! 端 endpoint, over real sockets: which certificate is speaking, and whether it is still good.

use hangu_certs::{ClientRequest, Validity};
use hangu_tests::{
    Application, Client, ClientConnection, ClientError, RunningGateway, TestUpstream, now,
    wait_until,
};
use rustls::AlertDescription;

use crate::support::{
    assert_allowed, assert_refused, field, gateway, records, records_with, walked,
};

mod groups;
mod identity;
mod listeners;
mod lists;
mod naming;
mod openssl;
mod points;
mod trust;

#[test]
fn a_good_certificate_is_let_in_under_its_own_name() {
    let (gateway, upstream) = records();
    let response = gateway.client("clerk").get("/residents/7").unwrap();
    assert_allowed(&gateway, &response);
    assert_eq!(response.text(), "the records");

    let seen = upstream.last();
    assert_eq!(
        seen.fields.get("x-hangu-subject"),
        Some("spiffe://gov.test/clerk")
    );
    assert_eq!(seen.fields.get("x-hangu-tenant"), Some("civil"));
    assert_eq!(
        seen.fields.get("x-hangu-request-id"),
        Some(response.request_id().as_str())
    );

    let record = gateway.audit().of_request(&response.request_id());
    assert_eq!(field(&record, "subject"), "spiffe://gov.test/clerk");
    assert_eq!(field(&record, "channel"), "TLSv1.3/http/1.1");
    assert_eq!(field(&record, "zone"), "bureau");
    assert_eq!(field(&record, "path"), "/residents/7");
    assert_eq!(field(&record, "upstream"), upstream.address().to_string());
    assert_eq!(field(&record, "certificate").len(), 64);
    gateway.wait_for_metric(
        "hangu_handshakes_total",
        &[("listener", "edge"), ("result", "ok")],
        1.0,
    );
}

#[test]
fn a_certificate_that_is_not_good_ends_the_handshake() {
    let upstream = TestUpstream::named("records");
    let world = gateway().records(upstream.address());
    let revoked = world.pki().client("clerk");
    let crl = world.pki().crl_pem(&[&revoked], 2);
    let gateway = world.crl(&crl).start();
    let pki = gateway.pki();
    let unknown = AlertDescription::CertificateUnknown;
    for (what, credentials, alert, reason) in [
        (
            "none",
            None,
            AlertDescription::CertificateRequired,
            "endpoint.certificate_required",
        ),
        (
            "foreign CA",
            Some(pki.foreign_client("clerk")),
            unknown,
            "endpoint.certificate_untrusted",
        ),
        (
            "expired",
            Some(pki.expired_client("clerk")),
            unknown,
            "endpoint.certificate_expired",
        ),
        (
            "not yet valid",
            Some(pki.future_client("clerk")),
            unknown,
            "endpoint.certificate_not_yet_valid",
        ),
        (
            "for servers",
            Some(pki.server_certificate_as_client()),
            unknown,
            "endpoint.certificate_unfit",
        ),
        ("revoked", Some(revoked), unknown, "endpoint.revoked"),
    ] {
        let client = gateway.client_with(credentials.as_ref());
        assert_handshake_refused(&gateway, &client, alert, reason, what);
    }
    assert_eq!(upstream.count(), 0, "nothing may reach the application");
    assert_eq!(
        gateway.client("clerk").get("/").unwrap().status,
        200,
        "the next good one is served"
    );
}

#[test]
fn the_alert_does_not_tell_why_a_certificate_is_refused() {
    let world = gateway().records(TestUpstream::named("records").address());
    let revoked = world.pki().client("clerk");
    let crl = world.pki().crl_pem(&[&revoked], 2);
    let gateway = world.crl(&crl).start();
    let alert = |client: &Client| match client.get("/") {
        Err(ClientError::Alert(alert)) => alert,
        other => panic!("{other:?}"),
    };
    let of_revoked = alert(&gateway.client_with(Some(&revoked)));
    let of_foreign = alert(&gateway.client_with(Some(&gateway.pki().foreign_client("clerk"))));
    assert_eq!(of_revoked, of_foreign);
}

/// An open connection on which nothing is asked ends, orderly and with its reason.
#[track_caller]
pub(crate) fn assert_ended(
    gateway: &RunningGateway,
    connection: &mut ClientConnection,
    reason: &str,
) {
    connection.expect_close().unwrap();
    gateway.wait_for_metric("hangu_connections_closed_total", &[("reason", reason)], 1.0);
    let record = gateway
        .audit()
        .wait_for("the end of a connection", |record| {
            field(record, "kind") == "connection" && field(record, "reason") == reason
        });
    assert_eq!(field(&record, "decision"), "aborted", "{record:#}");
}

#[test]
fn a_revocation_meets_a_connection_that_is_open_and_no_other() {
    let (mut gateway, upstream) = records();
    let (mole, clerk) = (gateway.pki().client("clerk"), gateway.pki().client("clerk"));
    let mut revoked = gateway.client_with(Some(&mole)).connect().unwrap();
    let mut neighbour = gateway.client_with(Some(&clerk)).connect().unwrap();
    assert_eq!(revoked.get("/").unwrap().status, 200);
    assert_eq!(neighbour.get("/").unwrap().status, 200);

    let crl = gateway.pki().crl_pem(&[&mole], 2);
    gateway.change(|world| world.crl(&crl));

    assert_ended(&gateway, &mut revoked, "endpoint.revoked");
    assert_eq!(upstream.count(), 2);
    assert_eq!(
        neighbour.get("/").unwrap().status,
        200,
        "the neighbour's connection is not cut"
    );
    let again = gateway.client_with(Some(&mole));
    assert_handshake_refused(
        &gateway,
        &again,
        AlertDescription::CertificateUnknown,
        "endpoint.revoked",
        "anew",
    );
}

#[test]
fn a_revocation_meets_an_open_http2_connection() {
    let (mut gateway, upstream) = records();
    let mole = gateway.pki().client("clerk");
    let mut connection = gateway.client_with(Some(&mole)).connect_h2().unwrap();
    let request = connection.get("/");
    assert_eq!(connection.send(&request).unwrap().status, 200);
    let crl = gateway.pki().crl_pem(&[&mole], 2);
    gateway.change(|world| world.crl(&crl));
    wait_until("the connection to end", || {
        connection.send(&request).is_err()
    });
    let ended = [("reason", "endpoint.revoked")];
    gateway.wait_for_metric("hangu_connections_closed_total", &ended, 1.0);
    assert_eq!(upstream.count(), 1);
}

#[test]
fn a_certificate_that_ends_while_its_connection_is_open_is_refused() {
    let (gateway, _upstream) = records();
    let soon = Validity {
        not_before: now() - 60,
        not_after: now() + 2,
    };
    let mut connection = gateway
        .client_with(Some(&gateway.pki().client_valid("clerk", soon)))
        .connect()
        .unwrap();
    assert_eq!(connection.get("/").unwrap().status, 200);
    wait_until("the certificate to end", || connection.get("/").is_err());
    let ended = [("reason", "endpoint.certificate_expired")];
    gateway.wait_for_metric("hangu_connections_closed_total", &ended, 1.0);
}

#[test]
fn a_revocation_list_that_is_overdue_lets_nobody_in() {
    let upstream = TestUpstream::named("records");
    let world = gateway().records(upstream.address());
    let crl = world.pki().crl_pem_until(&[], 2, now() + 3);
    let gateway = world.crl(&crl).start();
    let mut connection = gateway.client("clerk").connect().unwrap();
    let response = connection.get("/").unwrap();
    assert_eq!(response.status, 200, "as long as the list is current");
    assert_ended(&gateway, &mut connection, "endpoint.revocation_unknown");
    let client = gateway.client("clerk");
    let alert = AlertDescription::CertificateUnknown;
    assert_handshake_refused(
        &gateway,
        &client,
        alert,
        "endpoint.revocation_unknown",
        "overdue list",
    );
}

#[test]
fn no_session_is_resumed_so_that_every_connection_proves_itself_anew() {
    let (gateway, _upstream) = records_with(|world| world.listener("tls_min = \"1.2\""));
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let client = gateway.client("clerk").tls_version(version).resuming();
        for attempt in 0..3 {
            let mut connection = client.connect().unwrap();
            assert_eq!(connection.get("/").unwrap().status, 200);
            assert!(!connection.is_resumed(), "{version:?}, attempt {attempt}");
        }
    }
}

#[test]
fn where_certificates_are_optional_nobody_is_anonymous_and_somebody_is_checked() {
    let (gateway, upstream) =
        records_with(|world| world.listener("client_authentication = \"optional\""));
    let anonymous = gateway.client_with(None);
    let response = anonymous.get("/open/laws").unwrap();
    assert_allowed(&gateway, &response);
    assert_eq!(
        upstream.last().fields.get("x-hangu-subject"),
        Some("anonymous")
    );
    let record = gateway.audit().of_request(&response.request_id());
    assert_eq!(field(&record, "subject"), "anonymous");
    assert!(record.get("certificate").is_none());

    assert_refused(
        &gateway,
        &anonymous.get("/residents/7").unwrap(),
        403,
        "data.label",
    );
    assert_eq!(upstream.count(), 1);

    let foreign = gateway.client_with(Some(&gateway.pki().foreign_client("clerk")));
    let alert = AlertDescription::CertificateUnknown;
    assert_handshake_refused(
        &gateway,
        &foreign,
        alert,
        "endpoint.certificate_untrusted",
        "foreign",
    );
    assert_eq!(
        gateway.client("clerk").get("/residents/7").unwrap().status,
        200
    );
}

#[test]
fn a_certificate_without_the_name_that_the_template_asks_for_is_refused() {
    let (gateway, upstream) = records();
    let nameless = ClientRequest {
        common_name: Some("clerk".to_owned()),
        ..ClientRequest::default()
    };
    let client = gateway.client_with(Some(&gateway.pki().client_of(&nameless)));
    assert_refused(&gateway, &client.get("/").unwrap(), 403, "endpoint.no_name");
    assert_eq!(upstream.count(), 0);
}

#[test]
fn nobody_can_have_himself_certified_as_anonymous() {
    let upstream = TestUpstream::named("records");
    let gateway = gateway()
        .records(upstream.address())
        .table("[identity]\nsubject = \"{subject.cn}\"")
        .listener("client_authentication = \"optional\"")
        .start();
    for name in ["anonymous", "Anonymous"] {
        let request = ClientRequest {
            common_name: Some(name.to_owned()),
            ..ClientRequest::default()
        };
        let client = gateway.client_with(Some(&gateway.pki().client_of(&request)));
        assert_refused(
            &gateway,
            &client.get("/open/laws").unwrap(),
            403,
            "endpoint.no_name",
        );
    }
    assert_eq!(upstream.count(), 0);
}

#[test]
fn a_new_subject_template_ends_the_connections_of_those_whom_it_renames() {
    let upstream = TestUpstream::named("records");
    let mut gateway = gateway()
        .application(Application::new("records").upstream(upstream.address()))
        .policy(
            "p, clerk, civil, /*, *, allow\ng, spiffe://gov.test/clerk, clerk, civil\ng, /clerk, clerk, civil\n\
             g2, clerk, internal\n",
        )
        .start();
    let mut connection = gateway.client("clerk").connect().unwrap();
    assert_eq!(connection.get("/").unwrap().status, 200);
    gateway.change(|world| world.table("[identity]\nsubject = \"/{spiffe.path[0]}\""));
    assert_ended(&gateway, &mut connection, "endpoint.identity_changed");
    let response = gateway.client("clerk").get("/").unwrap();
    assert_allowed(&gateway, &response);
    assert_eq!(
        upstream.last().fields.get("x-hangu-subject"),
        Some("/clerk"),
        "the application hears the new name"
    );
    let record = gateway.audit().of_request(&response.request_id());
    assert_eq!(field(&record, "subject"), "/clerk", "and so does the log");
}

#[test]
fn connections_are_counted_while_they_are_open() {
    let (gateway, _upstream) = records();
    let open = |count: f64| {
        wait_until("the number of open connections", || {
            gateway
                .metrics()
                .sum("hangu_connections", &[("listener", "edge")])
                == count
        });
    };
    let mut first = gateway.client("clerk").connect().unwrap();
    let mut second = gateway.client("reader").connect().unwrap();
    first.get("/").unwrap();
    second.get("/").unwrap();
    open(2.0);
    first.abort();
    open(1.0);
    second.abort();
    open(0.0);
}

/// The client hears this alert and nothing else; the log and the metric hold the reason.
#[track_caller]
fn assert_handshake_refused(
    gateway: &RunningGateway,
    client: &Client,
    alert: AlertDescription,
    reason: &str,
    what: &str,
) {
    match client.get("/") {
        Err(ClientError::Alert(heard)) => assert_eq!(heard, alert, "{what}"),
        other => panic!("{what}: {other:?}"),
    }
    let record = gateway.audit().wait_for(what, |record| {
        field(record, "reason") == reason && field(record, "kind") == "handshake"
    });
    assert_eq!(field(&record, "decision"), "refused", "{what}");
    assert_eq!(walked(&record), "r-----", "{what}");
    assert_eq!(field(&record, "listener"), "edge");
    assert!(
        !field(&record, "detail").is_empty(),
        "{what}: the log says exactly why"
    );
    gateway.wait_for_metric(
        "hangu_handshakes_total",
        &[("listener", "edge"), ("result", reason)],
        1.0,
    );
}
