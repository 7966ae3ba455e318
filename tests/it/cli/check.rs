//! `hangu check`: every problem, each with its place and its remedy.

use std::fs;
use std::path::Path;

use hangu_certs::Validity;
use hangu_tests::{GatewayFolder, UpstreamCertificate, now};

use super::{folder, said, stderr, stdout};
use crate::support::first;

#[test]
fn a_good_configuration_is_said_to_be_good() {
    let folder = folder();
    let output = folder.check();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let expected = format!(
        "{}: good; 1 listeners, 1 applications, 4 rules\n",
        folder.config().display()
    );
    assert_eq!(stdout(&output), expected);
}

#[test]
fn check_prints_every_problem_with_its_place_and_its_remedy() {
    let folder = folder();
    let config = folder
        .read("hangu.toml")
        .replace("threads = 2", "threads = 0\nthread = 2")
        .replace(
            "client_ca = \"certs/clients-ca.pem\"",
            "client_ca = \"certs/nobody.pem\"",
        )
        .replace("label = \"internal\"", "label = \"intern\"")
        .replace("bureau = [\"127.0.0.0/8\"", "bureau = [\"127.0.0.1/8\"");
    folder.write("hangu.toml", &config);
    let output = folder.check();
    assert_eq!(output.status.code(), Some(1));
    insta::assert_snapshot!(said(&folder, &output));
}

#[test]
fn check_looks_into_every_file_that_the_configuration_names() {
    let folder = folder();
    folder.write(
        "policy/policy.csv",
        "p, clerk, civil, /*, *, allow\np, clerk, civil, /*\ng, x\n",
    );
    folder.write("certs/clients-ca.pem", "nothing\n");
    folder.write(
        "certs/server.key",
        "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
    );
    let output = folder.check();
    assert_eq!(output.status.code(), Some(1));
    insta::assert_snapshot!(said(&folder, &output));
}

#[test]
fn a_broken_policy_is_told_beside_a_broken_configuration() {
    let folder = folder();
    let config = folder
        .read("hangu.toml")
        .replace("threads = 2", "threads = 0");
    folder.write("hangu.toml", &config);
    folder.write("policy/policy.csv", "p, clerk, civil, /*\n");
    let output = folder.check();
    assert_eq!(output.status.code(), Some(1));
    let said = stderr(&output);
    assert!(
        said.contains("hangu.toml:2:11: `0` is out of bounds"),
        "{said}"
    );
    assert!(said.contains("policy.csv:1:"), "{said}");
    assert!(said.ends_with("2 problems\n"), "{said}");
}

#[test]
fn a_missing_file_is_named_at_the_line_that_asks_for_it() {
    for (file, key) in [
        ("certs/clients-ca.pem", "client_ca"),
        ("certs/clients.crl.pem", "crls"),
        ("certs/server.pem", "chain"),
        ("certs/server.key", "key"),
        ("policy/model.conf", "model"),
        ("policy/policy.csv", "rules"),
    ] {
        let folder = folder();
        fs::remove_file(folder.path(file)).unwrap();
        let output = folder.check();
        assert_eq!(output.status.code(), Some(1), "{file}");
        let config = folder.read("hangu.toml");
        let line = 1 + config
            .lines()
            .position(|line| line.starts_with(&format!("{key} = ")))
            .unwrap();
        let said = said(&folder, &output);
        assert!(
            said.contains(&format!("hangu.toml:{line}:")) && said.contains(file),
            "{file}: {said}"
        );
    }
    let folder = folder();
    let output = folder.hangu(&["check", "--config", "/nowhere/hangu.toml"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).contains("/nowhere/hangu.toml"),
        "{}",
        stderr(&output)
    );
}

/// What is done to a good folder: files and their new texts.
type Damage = fn(&GatewayFolder) -> Vec<(&'static str, String)>;

/// What, how, and what the complaint must name.
const DAMAGES: [(&str, Damage, &str); 7] = [
    (
        "a rule that breaks off",
        |_| {
            vec![(
                "policy/policy.csv",
                "p, clerk, civil, /*, *, allow\np, clerk, ci".to_owned(),
            )]
        },
        "policy.csv:2:",
    ),
    (
        "a model that breaks off",
        |folder| vec![shortened(folder, "policy/model.conf")],
        "model.conf:",
    ),
    (
        "a list that breaks off",
        |folder| vec![shortened(folder, "certs/clients.crl.pem")],
        "clients.crl.pem",
    ),
    (
        "a chain that breaks off",
        |folder| vec![shortened(folder, "certs/server.pem")],
        "server.pem",
    ),
    (
        "a certificate that has ended",
        |folder| server_files(folder.pki().server_valid(&["records.test"], ended())),
        "server.pem",
    ),
    (
        "a certificate for another host",
        |folder| server_files(folder.pki().server(&["elsewhere.test"])),
        "records.test",
    ),
    (
        "an overdue list",
        |folder| {
            vec![(
                "certs/clients.crl.pem",
                folder.pki().crl_pem_until(&[], 1, now() - 10),
            )]
        },
        "clients.crl.pem",
    ),
];

fn shortened(folder: &GatewayFolder, file: &'static str) -> (&'static str, String) {
    let text = folder.read(file);
    (file, first(&text, text.len() * 3 / 4).to_owned())
}

fn server_files(certificate: UpstreamCertificate) -> Vec<(&'static str, String)> {
    vec![
        ("certs/server.pem", certificate.chain_pem),
        ("certs/server.key", certificate.key_pem),
    ]
}

fn ended() -> Validity {
    Validity {
        not_before: now() - 120,
        not_after: now() - 60,
    }
}

#[test]
fn a_file_that_breaks_off_or_does_not_fit_is_refused() {
    for (what, damage, names) in DAMAGES {
        let folder = folder();
        assert_eq!(folder.check().status.code(), Some(0), "{what}: good before");
        for (file, text) in damage(&folder) {
            folder.write(file, &text);
        }
        let output = folder.check();
        let said = said(&folder, &output);
        assert_eq!(output.status.code(), Some(1), "{what}: {said}");
        assert!(said.contains(names), "{what}: {said}");
    }
}

#[test]
fn a_policy_without_rules_is_good_with_a_warning() {
    let folder = folder();
    folder.write("policy/policy.csv", "# nothing yet\n");
    let output = folder.check();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(
        stdout(&output).contains("warning: the policy has no rule"),
        "{}",
        stdout(&output)
    );
}

#[test]
fn the_examples_of_the_deploy_folder_are_good() {
    for example in ["edge", "sidecar"] {
        let folder = folder();
        let from = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../deploy/examples")
            .join(example);
        copy_folder(&from, &folder.path(example));
        write_certificates(&folder.path(example));
        let config = folder
            .path(example)
            .join("hangu.toml")
            .display()
            .to_string();
        let output = folder.hangu(&["check", "--config", &config]);
        assert_eq!(
            output.status.code(),
            Some(0),
            "{example}: {}",
            stderr(&output)
        );
    }
}

/// Everything that the examples name under `certs/`, as deploy/examples/certificates.sh would make it.
fn write_certificates(folder: &Path) {
    let certs = folder.join("certs");
    fs::create_dir_all(&certs).unwrap();
    let pki = hangu_tests::TestPki::new();
    let server = pki.server(&[
        "records.civil.example",
        "data.civil.example",
        "records.internal.civil.example",
    ]);
    let gateway = pki.client("gateway").issued;
    for (name, text) in [
        ("clients-ca.pem", pki.clients_ca_pem()),
        ("clients.crl.pem", pki.crl_pem(&[], 1)),
        ("workloads-ca.pem", pki.clients_ca_pem()),
        ("workloads.crl.pem", pki.crl_pem(&[], 1)),
        ("applications-ca.pem", pki.servers_ca_pem().to_owned()),
        ("server.pem", server.chain_pem),
        ("server.key", server.key_pem),
        ("gateway-client.pem", gateway.certificate_pem),
        ("gateway-client.key", gateway.key_pem),
    ] {
        fs::write(certs.join(name), text).unwrap();
    }
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}
