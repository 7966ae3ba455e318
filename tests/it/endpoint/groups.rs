//! Hosts of one listener that let in different clients: each is asked for in the handshake by its name, and nobody gets from one to the
//! other.

use hangu_certs::{ClientRequest, SpiffeId, Validity};
use hangu_tests::{
    Application, Client, ClientError, RunningGateway, TestPki, TestUpstream, now, wait_until,
};
use rustls::AlertDescription;

use super::assert_ended;
use crate::support::{assert_allowed, assert_refused, field, gateway, head};

/// A listener with `records.test` for our own clients, and `guests.test` for those of another PKI, or for anybody when `guests` says so.
struct World {
    gateway: RunningGateway,
    guests: TestPki,
    records: TestUpstream,
    open: TestUpstream,
}

const GUEST_LISTS: &str = "client_ca = \"certs/guests-ca.pem\"\ncrls = [\"certs/guests.crl.pem\"]";

/// The guests' authority is ours under another key.
const ONE_AUTHORITY: &str =
    "[identity]\n[identity.authorities]\nclients = [\"CN=Test clients root\"]";
/// It is somebody else's: callers are known by what only one of the two may write.
const BY_SPIFFE: &str = "[identity]\nsubject = \"{spiffe}\"";

fn world(trust: &str) -> World {
    world_of(trust, ONE_AUTHORITY)
}

fn world_of(trust: &str, identity: &str) -> World {
    let (records, open) = (
        TestUpstream::named("records"),
        TestUpstream::named("guests"),
    );
    let guests = TestPki::new();
    let folder = gateway()
        .records(records.address())
        .application(Application::new("guests").upstream(open.address()))
        .table(identity)
        .prepare();
    folder.write("certs/guests-ca.pem", &guests.clients_ca_pem());
    folder.write("certs/guests.crl.pem", &guests.crl_pem(&[], 1));
    let of_guests = format!(
        "[[listeners.certificates]]\nhosts = [\"guests.test\"]\nchain = \"certs/server.pem\"\nkey = \"certs/server.key\"\n{trust}\n\n[zones]"
    );
    let configuration = folder
        .read("hangu.toml")
        .replace("[\"records.test\", \"guests.test\"]", "[\"records.test\"]")
        .replace("[zones]", &of_guests);
    folder.write("hangu.toml", &configuration);
    World {
        gateway: folder.start(),
        guests,
        records,
        open,
    }
}

impl World {
    fn guest(&self) -> Client {
        self.gateway.client_with(Some(&self.guests.client("clerk")))
    }

    /// One that sends no server name.
    fn nameless(&self, client: &TestPki) -> Client {
        let credentials = client.client("clerk");
        Client::new(
            self.gateway.pki(),
            self.gateway.address(),
            "127.0.0.1",
            Some(&credentials),
        )
    }
}

#[test]
fn each_host_lets_in_the_clients_of_its_own_authorities_and_no_others() {
    let world = world(GUEST_LISTS);
    let ours = world.gateway.client("clerk");
    assert_allowed(&world.gateway, &ours.get("/").unwrap());
    assert_allowed(
        &world.gateway,
        &world.guest().named("guests.test").get("/").unwrap(),
    );
    for stranger in [ours.named("guests.test"), world.guest()] {
        match stranger.get("/") {
            Err(ClientError::Alert(AlertDescription::CertificateUnknown)) => {}
            other => panic!("{other:?}"),
        }
    }
    wait_until("both strangers in the log", || {
        let records = world.gateway.audit().of_kind("handshake");
        let untrusted = |record: &&serde_json::Value| {
            field(record, "reason") == "endpoint.certificate_untrusted"
        };
        records.iter().filter(untrusted).count() == 2
    });
    assert_eq!((world.records.count(), world.open.count()), (1, 1));
}

#[test]
fn a_connection_of_one_host_is_never_used_for_a_host_of_another_group() {
    let world = world(GUEST_LISTS);
    let other = |host: &str| format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
    let mut guest = world.guest().named("guests.test").connect().unwrap();
    let response = guest.exchange(other("records.test").as_bytes()).unwrap();
    assert_refused(&world.gateway, &response, 421, "edge.host_mismatch");

    let mut coalescing = world.guest().named("guests.test").connect_h2().unwrap();
    let request = coalescing.get("/").authority("records.test");
    let response = coalescing.send(&request).unwrap();
    assert_refused(&world.gateway, &response, 421, "edge.host_mismatch");
    let request = coalescing.get("/");
    assert_eq!(coalescing.send(&request).unwrap().status, 200);

    // Without a server name, the first certificate's authorities are asked for, and its hosts are all there is.
    let nameless = world.nameless(world.gateway.pki());
    let mut connection = nameless.connect().unwrap();
    let response = connection.exchange((head("GET", "/") + "\r\n").as_bytes());
    assert_allowed(&world.gateway, &response.unwrap());
    let response = connection.exchange(other("guests.test").as_bytes());
    assert_refused(
        &world.gateway,
        &response.unwrap(),
        421,
        "edge.host_mismatch",
    );
    assert!(world.nameless(&world.guests).get("/").is_err());
    assert_eq!((world.records.count(), world.open.count()), (1, 1));
}

/// The authorities of guests may vouch for guests: not for those who have rights here, though the policy knows both by name only.
#[test]
fn the_authorities_of_one_host_cannot_name_the_callers_of_another() {
    let pinned = format!("{GUEST_LISTS}\nspiffe_trust_domains = [\"guests.test\"]");
    let world = world_of(&pinned, BY_SPIFFE);
    let guest_of = |id: &str| {
        let id = SpiffeId::parse(id).unwrap();
        let request = ClientRequest::spiffe(&id, Validity::days(now() - 60, 1));
        let credentials = world.guests.client_of(&request);
        let client = world.gateway.client_with(Some(&credentials));
        client.named("guests.test")
    };
    let impostor = guest_of("spiffe://gov.test/clerk").get("/").unwrap();
    assert_refused(&world.gateway, &impostor, 403, "endpoint.trust_domain");
    let guest = guest_of("spiffe://guests.test/clerk").get("/").unwrap();
    assert_refused(&world.gateway, &guest, 403, "data.label");
    let ours = world.gateway.client("clerk");
    assert_allowed(&world.gateway, &ours.get("/").unwrap());
    assert_eq!((world.records.count(), world.open.count()), (1, 0));
}

#[test]
fn a_host_that_pins_its_trust_domain_ends_open_connections_of_others() {
    let world = world(GUEST_LISTS);
    let mut impostor = world.guest().named("guests.test").connect().unwrap();
    assert_allowed(&world.gateway, &impostor.get("/").unwrap());
    let folder = world.gateway.folder();
    let pinned = format!("{GUEST_LISTS}\nspiffe_trust_domains = [\"guests.test\"]");
    folder.write(
        "hangu.toml",
        &folder.read("hangu.toml").replace(GUEST_LISTS, &pinned),
    );
    world.gateway.reload();
    assert_ended(&world.gateway, &mut impostor, "endpoint.trust_domain");
}

#[test]
fn a_host_can_ask_for_no_certificate_where_the_others_do() {
    let world = world("client_authentication = \"optional\"");
    let anonymous = world.gateway.client_with(None);
    let response = anonymous.clone().named("guests.test").get("/").unwrap();
    assert_refused(&world.gateway, &response, 403, "data.label");
    let record = world.gateway.audit().of_request(&response.request_id());
    assert_eq!(field(&record, "subject"), "anonymous");
    match anonymous.get("/open/laws") {
        Err(ClientError::Alert(AlertDescription::CertificateRequired)) => {}
        other => panic!("{other:?}"),
    }
    assert_eq!((world.records.count(), world.open.count()), (0, 0));
}

#[test]
fn a_revocation_counts_for_the_hosts_of_its_own_authorities() {
    let world = world(GUEST_LISTS);
    let credentials = world.guests.client("clerk");
    let guest = world
        .gateway
        .client_with(Some(&credentials))
        .named("guests.test");
    let mut open = guest.connect().unwrap();
    assert_eq!(open.get("/").unwrap().status, 200);
    world.gateway.folder().write(
        "certs/guests.crl.pem",
        &world.guests.crl_pem(&[&credentials], 2),
    );
    world.gateway.reload();
    assert_ended(&world.gateway, &mut open, "endpoint.revoked");
    assert!(guest.get("/").is_err());
    assert_eq!(world.gateway.client("clerk").get("/").unwrap().status, 200);
}

#[test]
fn an_open_connection_is_seen_by_the_group_that_its_host_moves_to() {
    let world = world(GUEST_LISTS);
    let mut open = world.guest().named("guests.test").connect().unwrap();
    assert_eq!(open.get("/").unwrap().status, 200);
    let configuration = world.gateway.folder().read("hangu.toml");
    let moved = configuration.replace(GUEST_LISTS, "");
    world.gateway.folder().write("hangu.toml", &moved);
    world.gateway.reload();
    assert_ended(&world.gateway, &mut open, "endpoint.certificate_untrusted");
}

#[test]
fn a_session_that_is_kept_is_resumed_and_verified_all_the_same() {
    let (gateway, upstream) = crate::support::records_with(|gateway| {
        gateway.listener("session_resumption = 16\ntls_min = \"1.2\"")
    });
    let soon = Validity {
        not_before: now() - 60,
        not_after: now() + 3,
    };
    let ending = gateway.pki().client_valid("clerk", soon);
    let clients: Vec<Client> = [&rustls::version::TLS12, &rustls::version::TLS13]
        .map(|version| {
            gateway
                .client_with(Some(&ending))
                .tls_version(version)
                .resuming()
        })
        .into();
    for client in &clients {
        for resumed in [false, true] {
            let mut connection = client.connect().unwrap();
            let response = connection.get("/").unwrap();
            assert_eq!(connection.is_resumed(), resumed);
            let record = gateway.audit().of_request(&response.request_id());
            assert_eq!(field(&record, "subject"), "spiffe://gov.test/clerk");
        }
    }
    wait_until("the certificate to end", || now() > soon.not_after);
    for client in &clients {
        assert!(
            client.get("/").is_err(),
            "a session outlived its certificate"
        );
    }
    let expired = [("result", "endpoint.certificate_expired")];
    gateway.wait_for_metric("hangu_handshakes_total", &expired, 2.0);
    assert_eq!(upstream.count(), 4);
}

#[test]
fn a_revoked_certificate_resumes_no_session() {
    let (mut gateway, upstream) =
        crate::support::records_with(|gateway| gateway.listener("session_resumption = 16"));
    let mole = gateway.pki().client("clerk");
    let client = gateway.client_with(Some(&mole)).resuming();
    assert_eq!(client.get("/").unwrap().status, 200);
    let crl = gateway.pki().crl_pem(&[&mole], 2);
    gateway.change(|world| world.crl(&crl));
    match client.get("/") {
        Err(ClientError::Alert(AlertDescription::CertificateUnknown)) => {}
        other => panic!("{other:?}"),
    }
    assert_eq!(upstream.count(), 1);
}

/// OpenSSL's own client, with a session in a file as a stolen one would be.
#[test]
fn openssl_resumes_a_session_until_its_certificate_ends() {
    let (gateway, _upstream) =
        crate::support::records_with(|gateway| gateway.listener("session_resumption = 16"));
    let soon = Validity {
        not_before: now() - 60,
        not_after: now() + 3,
    };
    let ending = gateway.pki().client_valid("clerk", soon);
    let folder = gateway.folder();
    folder.write("c.pem", &ending.issued.certificate_pem);
    folder.write("c.key", &ending.issued.key_pem);
    folder.write("s.pem", gateway.pki().servers_ca_pem());
    let run = |session: &str| {
        let script = format!(
            "cd {} && (printf 'GET / HTTP/1.1\\r\\nHost: records.test\\r\\nConnection: close\\r\\n\\r\\n'; sleep 1) | \
             openssl s_client -connect {} -servername records.test -cert c.pem -key c.key -CAfile s.pem -ign_eof {session} 2>&1",
            folder.path("").display(),
            gateway.address()
        );
        let output = std::process::Command::new("sh")
            .args(["-c", &script])
            .output()
            .unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let first = run("-sess_out session");
    assert!(first.contains("HTTP/1.1 200"), "{first}");
    let second = run("-sess_in session -sess_out session2");
    assert!(
        second.contains("Reused, TLSv1.3") && second.contains("HTTP/1.1 200"),
        "{second}"
    );
    wait_until("the certificate to end", || now() > soon.not_after);
    let third = run("-sess_in session2");
    assert!(!third.contains("HTTP/1.1"), "{third}");
    assert!(
        !third.contains("unexpected eof"),
        "it is told that nothing follows: {third}"
    );
    let expired = [("result", "endpoint.certificate_expired")];
    gateway.wait_for_metric("hangu_handshakes_total", &expired, 1.0);
}
