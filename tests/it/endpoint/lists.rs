//! Where revocation lists come from: files, folders, and what is fetched.

use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use hangu_tests::{Answer, GatewayFolder, RunningGateway, TestUpstream, now, wait_until};

use crate::support::{assert_allowed, assert_refused, gateway};

/// A server that publishes whatever it is given, with an ETag.
struct Publisher {
    server: TestUpstream,
    list: Arc<Mutex<(u32, Answer)>>,
}

impl Publisher {
    fn new(list: &str) -> Self {
        let list = Arc::new(Mutex::new((0, of(list))));
        let published = Arc::clone(&list);
        let server = TestUpstream::answering(move |request| {
            let (version, answer) = published.lock().unwrap().clone();
            let etag = format!("\"{version}\"");
            if request.fields.get("if-none-match") == Some(&etag) {
                return Answer::Reply(304, Vec::new(), Vec::new());
            }
            if let Answer::Reply(status, mut fields, body) = answer {
                fields.push(("etag".to_owned(), etag));
                return Answer::Reply(status, fields, body);
            }
            answer
        });
        Self { server, list }
    }

    fn publish(&self, answer: Answer) {
        let mut list = self.list.lock().unwrap();
        *list = (list.0 + 1, answer);
    }
}

fn of(list: &str) -> Answer {
    Answer::Reply(200, Vec::new(), list.as_bytes().to_vec())
}

/// A gateway whose lists come from `crls`, lines of its listener.
fn folder(
    crls: &str,
    publish: impl FnOnce(&hangu_tests::TestPki) -> String,
) -> (GatewayFolder, Publisher) {
    let upstream = TestUpstream::named("records");
    let address = upstream.address();
    // It lives as long as the test process.
    std::mem::forget(upstream);
    let folder = gateway()
        .records(address)
        .table("[crl_fetch]\nevery = \"1s\"\nsize_max = \"64KiB\"\ntimeout = \"5s\"")
        .prepare();
    let publisher = Publisher::new(&publish(folder.pki()));
    let crls = crls.replace(
        "URL",
        &format!("http://{}/clients.crl", publisher.server.address()),
    );
    let configuration = folder
        .read("hangu.toml")
        .replace("crls = [\"certs/clients.crl.pem\"]", &crls);
    folder.write("hangu.toml", &configuration);
    (folder, publisher)
}

fn is_let_in(gateway: &RunningGateway, client: &hangu_tests::Credentials) -> bool {
    let response = gateway.client_with(Some(client)).get("/");
    response.is_ok_and(|response| response.status == 200)
}

/// Where the one list is kept that was fetched.
fn kept(folder: &GatewayFolder) -> PathBuf {
    std::fs::read_dir(folder.path("crl-cache"))
        .unwrap()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.extension().is_some_and(|extension| extension == "crl"))
        .unwrap()
}

fn fetches(gateway: &RunningGateway, result: &str) -> f64 {
    gateway
        .metrics()
        .sum("hangu_crl_fetches_total", &[("result", result)])
}

#[test]
fn a_list_is_fetched_asked_for_anew_and_kept_for_a_restart_without_a_network() {
    let (folder, publisher) = folder("crl_urls = [\"URL\"]", |pki| pki.crl_pem(&[], 1));
    let (clerk, mole) = (folder.pki().client("clerk"), folder.pki().client("clerk"));
    let gateway = folder.start();
    wait_until("the first list", || is_let_in(&gateway, &clerk));
    assert!(is_let_in(&gateway, &mole));
    publisher.publish(of(&gateway.pki().crl_pem(&[&mole], 2)));
    wait_until("the revocation to count", || !is_let_in(&gateway, &mole));
    wait_until("the word that nothing is new", || {
        fetches(&gateway, "unchanged") >= 1.0
    });
    assert!(is_let_in(&gateway, &clerk));
    assert_eq!(fetches(&gateway, "new"), 2.0);

    publisher.server.stop();
    let gateway = gateway.into_folder().start();
    wait_until("a failed fetch", || fetches(&gateway, "failed") >= 1.0);
    assert!(is_let_in(&gateway, &clerk));
    assert!(!is_let_in(&gateway, &mole));
}

#[test]
fn a_fetched_list_that_is_not_good_changes_nothing() {
    let (folder, publisher) = folder("crl_urls = [\"URL\"]", |pki| pki.crl_pem(&[], 5));
    let clerk = folder.pki().client("clerk");
    let gateway = folder.start();
    wait_until("the first list", || is_let_in(&gateway, &clerk));
    let strangers = hangu_tests::TestPki::new();
    let pki = gateway.pki();
    for (answer, result, why) in [
        (of("not a list"), "refused", "no list"),
        (of(&pki.crl_pem(&[&clerk], 4)), "refused", "an older number"),
        (of(&strangers.crl_pem(&[], 6)), "refused", "a stranger's"),
        (
            of(&pki.crl_pem_until(&[], 6, now() - 60)),
            "refused",
            "past its end",
        ),
        (of(&"x".repeat(70_000)), "failed", "too large"),
        (
            Answer::Reply(
                302,
                vec![("location".to_owned(), "http://127.0.0.1:1/".to_owned())],
                Vec::new(),
            ),
            "failed",
            "a redirect",
        ),
        (
            Answer::Raw([b"HTTP/1.0 200 OK\r\n\r\n".as_slice(), &[b'x'; 1 << 20]].concat()),
            "failed",
            "one that does not end where it may",
        ),
        (Answer::Close, "failed", "no answer"),
    ] {
        let before = fetches(&gateway, result);
        publisher.publish(answer);
        wait_until(why, || fetches(&gateway, result) > before);
        assert!(is_let_in(&gateway, &clerk), "{why}");
    }
    assert_eq!(fetches(&gateway, "new"), 1.0);
}

#[test]
fn until_a_list_has_come_nobody_whom_it_covers_is_let_in() {
    let (folder, publisher) = folder("crl_urls = [\"URL\"]", |_| String::new());
    let clerk = folder.pki().client("clerk");
    let gateway = folder.start();
    wait_until("an empty answer to be refused", || {
        fetches(&gateway, "refused") >= 1.0
    });
    assert!(!is_let_in(&gateway, &clerk));
    publisher.publish(of(&gateway.pki().crl_pem(&[], 1)));
    wait_until("the list", || is_let_in(&gateway, &clerk));

    // A list that was damaged where it is kept counts as not fetched, and comes anew.
    publisher.publish(Answer::Close);
    let folder = gateway.into_folder();
    std::fs::write(kept(&folder), "damaged").unwrap();
    let gateway = folder.start();
    assert!(!is_let_in(&gateway, &clerk));
    publisher.publish(of(&gateway.pki().crl_pem(&[], 2)));
    wait_until("the list again", || is_let_in(&gateway, &clerk));
}

#[test]
fn a_kept_list_that_was_damaged_comes_anew_though_its_publisher_has_no_newer_one() {
    let (folder, _publisher) = folder("crl_urls = [\"URL\"]", |pki| pki.crl_pem(&[], 1));
    let clerk = folder.pki().client("clerk");
    let gateway = folder.start();
    wait_until("the list", || is_let_in(&gateway, &clerk));
    let folder = gateway.into_folder();
    std::fs::write(kept(&folder), "damaged").unwrap();
    let gateway = folder.start();
    wait_until("the list again", || is_let_in(&gateway, &clerk));
    assert_eq!(fetches(&gateway, "new"), 1.0);
}

#[test]
fn a_publisher_that_does_not_answer_delays_the_lists_of_no_other() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let hangs = format!("http://{}/a.crl", silent.local_addr().unwrap());
    let urls = format!("crl_urls = [\"{hangs}\", \"URL\"]");
    let (folder, publisher) = folder(&urls, |pki| pki.crl_pem(&[], 1));
    // Behind the other one in the order in which they are asked.
    let address = publisher.server.address();
    let by_name = format!("localhost:{}", address.port());
    let configuration = folder.read("hangu.toml");
    folder.write(
        "hangu.toml",
        &configuration.replace(
            &format!("{address}/clients.crl"),
            &format!("{by_name}/clients.crl"),
        ),
    );
    let clerk = folder.pki().client("clerk");
    let gateway = folder.start();
    wait_until("the list", || is_let_in(&gateway, &clerk));
    assert_eq!(
        fetches(&gateway, "failed"),
        0.0,
        "the silent one still has its time"
    );
}

#[test]
fn every_file_of_a_folder_is_a_list() {
    let (folder, _publisher) = folder("crls = [\"lists\"]", |_| String::new());
    let (clerk, mole) = (folder.pki().client("clerk"), folder.pki().client("clerk"));
    folder.write("lists/1.pem", &folder.pki().crl_pem(&[], 1));
    folder.write("lists/.half-written", "not a list");
    let gateway = folder.start();
    assert!(is_let_in(&gateway, &clerk) && is_let_in(&gateway, &mole));
    gateway
        .folder()
        .write("lists/2.pem", &gateway.pki().crl_pem(&[&mole], 2));
    wait_until("the new file to be seen", || !is_let_in(&gateway, &mole));
    assert!(is_let_in(&gateway, &clerk));
    gateway.folder().write("lists/3.pem", "not a list");
    gateway.wait_for_metric("hangu_config_reloads_total", &[("result", "refused")], 1.0);
    assert!(is_let_in(&gateway, &clerk) && !is_let_in(&gateway, &mole));
}

#[test]
fn an_overdue_list_does_not_keep_a_reload_from_being_taken() {
    let upstream = TestUpstream::named("records");
    let world = gateway().records(upstream.address());
    let list = world.pki().crl_pem_until(&[], 2, now() + 3);
    let mut gateway = world.crl(&list).start();
    let mut connection = gateway.client("clerk").connect().unwrap();
    assert_allowed(&gateway, &connection.get("/").unwrap());
    gateway.wait_for_metric("hangu_crl_overdue", &[("listener", "edge")], 1.0);
    gateway.change(|world| world.policy("p, nobody, civil, /*, GET, allow\ng2, nobody, public\ng2, nobody, internal\ng2, nobody, sensitive\n"));
    assert!(gateway.client("clerk").get("/").is_err());
    let overdue = [("result", "endpoint.revocation_unknown")];
    gateway.wait_for_metric("hangu_handshakes_total", &overdue, 1.0);
    let current = gateway.pki().crl_pem(&[], 3);
    gateway.change(|world| world.crl(&current));
    let response = gateway.client("clerk").get("/").unwrap();
    assert_refused(&gateway, &response, 403, "data.label");
}

/// A gateway whose `client_ca` has the root alone, with this line about intermediates beside it.
fn under_the_root(line: &str, intermediates: &str) -> GatewayFolder {
    let upstream = TestUpstream::named("records");
    let address = upstream.address();
    std::mem::forget(upstream);
    let folder = gateway().records(address).listener(line).prepare();
    folder.write("certs/clients-ca.pem", folder.pki().clients_root_pem());
    folder.write("certs/issuing.pem", intermediates);
    folder
}

const ISSUING: &str = "client_intermediates = \"certs/issuing.pem\"";

#[test]
fn the_list_of_an_intermediate_that_is_no_anchor_counts() {
    let ended = under_the_root("", "").run_to_end();
    assert!(!ended.status.success(), "its list cannot be verified");
    assert!(
        ended.stderr.contains("`CN=Test clients`"),
        "{}",
        ended.stderr
    );

    let folder = under_the_root(ISSUING, "");
    folder.write("certs/issuing.pem", folder.pki().clients_intermediate_pem());
    let (clerk, mole) = (folder.pki().client("clerk"), folder.pki().client("clerk"));
    let gateway = folder.start();
    assert!(is_let_in(&gateway, &clerk) && is_let_in(&gateway, &mole));
    let leaf_only = hangu_tests::Credentials {
        issued: hangu_certs::Issued {
            certificate_pem: first_certificate(&clerk.issued.certificate_pem),
            ..clerk.issued.clone()
        },
    };
    assert!(is_let_in(&gateway, &leaf_only), "the chain is completed");
    let list = gateway.pki().crl_pem(&[&mole], 2);
    gateway.folder().write("certs/clients.crl.pem", &list);
    wait_until("the revocation to count", || !is_let_in(&gateway, &mole));
    assert!(is_let_in(&gateway, &clerk));
}

#[test]
fn an_intermediate_that_no_anchor_vouches_for_is_refused() {
    let stranger = hangu_tests::TestPki::new();
    let ended = under_the_root(ISSUING, stranger.clients_root_pem()).run_to_end();
    assert!(!ended.status.success());
    let says = "certificate 1 (`CN=Test clients root`): no authority of the bundle has signed it";
    assert!(ended.stderr.contains(says), "{}", ended.stderr);
}

fn first_certificate(pem: &str) -> String {
    let end = "-----END CERTIFICATE-----\n";
    let (first, _) = pem.split_once(end).unwrap();
    format!("{first}{end}")
}
