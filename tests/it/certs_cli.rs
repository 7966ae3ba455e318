//! `hangu certs`: what an operator types, what a script gets, and what lies in the files afterwards.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};
use std::{fs, str};

use hangu_certs::ChainReason;
use serde_json::Value;
use tempfile::TempDir;

#[test]
fn every_command_of_the_guide_does_what_it_says() {
    let site = Site::empty();
    let guide = fs::read_to_string(Path::new(ROOT).join("docs/certificates.md")).unwrap();
    let commands: Vec<&str> = guide
        .split("```sh\n")
        .skip(1)
        .flat_map(|rest| rest.split("```").next().unwrap().lines())
        .collect();
    assert!(commands.len() >= 15, "{commands:?}");
    for command in commands {
        let expected = command
            .split_once("# exit code ")
            .map_or(0, |(_, code)| code.trim().parse().unwrap());
        let script = format!("hangu() {{ '{BINARY}' \"$@\"; }}\n{command}");
        let output = Command::new("sh")
            .args(["-c", &script])
            .current_dir(site.0.path())
            .output()
            .unwrap();
        assert_eq!(
            output.status.code(),
            Some(expected),
            "{command}\n{}",
            all(&output)
        );
    }
}

#[test]
fn the_guide_explains_every_reason() {
    let guide = fs::read_to_string(Path::new(ROOT).join("docs/certificates.md")).unwrap();
    let explained: Vec<&str> = guide
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once("` | "))
        .map(|(reason, _)| reason)
        .filter(|reason| !reason.contains('.'))
        .collect();
    assert_eq!(explained, ChainReason::CODES);
}

#[test]
fn keys_are_private_and_kept() {
    let site = Site::with_authority();
    site.run(
        &[
            "issue", "client", "--ca", "ca", "--name", "alice", "--out", "alice",
        ],
        0,
    );
    for file in ["ca/ca.key", "ca/issued.csv", "ca/revoked.csv", "alice.key"] {
        assert_eq!(site.mode(file), 0o600, "{file}");
    }
    assert_eq!(site.mode("ca"), 0o700);
    assert_eq!(site.mode("alice.pem") & 0o600, 0o600);
    assert!(
        site.read("alice.key")
            .starts_with("-----BEGIN PRIVATE KEY-----")
    );

    let (key, root) = (site.read("alice.key"), site.read("ca/ca.key"));
    let refused = site.run(
        &[
            "issue", "client", "--ca", "ca", "--name", "mallory", "--out", "alice",
        ],
        2,
    );
    assert!(
        all(&refused).contains("alice.pem: it is there already"),
        "{}",
        all(&refused)
    );
    let refused = site.run(&["ca", "--dir", "ca", "--name", "Another"], 2);
    assert!(all(&refused).contains("`--force`"), "{}", all(&refused));
    assert_eq!(
        (site.read("alice.key"), site.read("ca/ca.key")),
        (key.clone(), root)
    );

    site.run(
        &[
            "issue", "client", "--ca", "ca", "--name", "alice", "--out", "alice", "--force",
        ],
        0,
    );
    assert_ne!(site.read("alice.key"), key);

    fs::set_permissions(site.path("ca/ca.key"), fs::Permissions::from_mode(0o640)).unwrap();
    let refused = site.run(&["crl", "--ca", "ca"], 2);
    assert!(all(&refused).contains("chmod 600"), "{}", all(&refused));
}

/// Arguments of `verify` and the one reason that they give.
const REFUSED: &[(&str, &str)] = &[
    ("--trust foreign/ca.pem --cert alice.pem", "unknown_issuer"),
    ("--trust ca/ca.pem --cert server.pem", "bad_usage"),
    (
        "--trust ca/ca.pem --cert alice.pem --at 2001-01-01T00:00:00Z",
        "not_yet_valid",
    ),
    (
        "--trust ca/ca.pem --cert alice.pem --at 2060-01-01T00:00:00+08:00",
        "expired",
    ),
    (
        "--trust ca/ca.pem --cert alice.pem --require-crl",
        "revocation_unknown",
    ),
    (
        "--trust ca/ca.pem --cert alice.pem --crl foreign/revoked.crl.pem",
        "revocation_unknown",
    ),
];

#[test]
fn a_verdict_has_one_reason_and_says_whose() {
    let site = Site::with_authority();
    site.run(
        &[
            "issue", "client", "--ca", "ca", "--name", "alice", "--out", "alice",
        ],
        0,
    );
    site.run(
        &[
            "issue",
            "server",
            "--ca",
            "ca",
            "--host",
            "a.example",
            "--out",
            "server",
        ],
        0,
    );
    site.run(&["ca", "--dir", "foreign", "--name", "Foreign Root"], 0);

    let accepted = site.json(
        &["verify", "--trust", "ca/ca.pem", "--cert", "alice.pem"],
        0,
    );
    assert_eq!(accepted["verdict"], "accepted");
    assert_eq!(
        accepted["chain"],
        serde_json::json!(["CN=alice", "CN=Root"])
    );
    assert_eq!(
        accepted["identity"]["subject.cn"],
        serde_json::json!(["alice"])
    );

    for (arguments, reason) in REFUSED {
        let arguments: Vec<&str> = arguments.split(' ').collect();
        let refused = site.json(&[&["verify"], arguments.as_slice()].concat(), 1);
        assert_eq!(refused["verdict"], "refused", "{arguments:?}");
        assert_eq!(
            (&refused["reason"], &refused["depth"]),
            (&(*reason).into(), &0.into()),
            "{arguments:?}"
        );
    }
    let said = site.run(
        &["verify", "--trust", "foreign/ca.pem", "--cert", "alice.pem"],
        1,
    );
    assert_eq!(
        str::from_utf8(&said.stdout).unwrap(),
        "refused: certificate 0 of the chain (`CN=alice`): its issuer is not trusted\nreason: unknown_issuer\n"
    );
}

#[test]
fn what_is_revoked_stays_revoked_and_numbers_grow() {
    let site = Site::with_authority();
    for name in ["alice", "bob", "carol"] {
        site.run(
            &[
                "issue", "client", "--ca", "ca", "--name", name, "--out", name,
            ],
            0,
        );
    }
    let verify = |name: &str, code| {
        let cert = format!("{name}.pem");
        site.json(
            &[
                "verify",
                "--trust",
                "ca/ca.pem",
                "--cert",
                &cert,
                "--crl",
                "ca/revoked.crl.pem",
            ],
            code,
        )
    };
    let number = || {
        let list = site.json(&["inspect", "ca/revoked.crl.pem"], 0);
        list[0]["number"].as_str().unwrap().parse::<u64>().unwrap()
    };
    verify("alice", 0);
    let first = number();

    site.run(
        &[
            "crl",
            "--ca",
            "ca",
            "--cert",
            "alice.pem",
            "--reason",
            "keyCompromise",
        ],
        0,
    );
    let second = number();
    let bob = site.json(&["inspect", "bob.pem"], 0)[0]["serial"]
        .as_str()
        .unwrap()
        .to_owned();
    let published = site.json(&["crl", "--ca", "ca", "--serial", &bob], 0);
    assert_eq!(
        (&published["entries"], &published["new"]),
        (&2.into(), &1.into())
    );
    let again = site.json(&["crl", "--ca", "ca", "--cert", "alice.pem"], 0);
    assert_eq!((&again["entries"], &again["new"]), (&2.into(), &0.into()));
    assert!(first < second && second < number());

    assert_eq!(verify("alice", 1)["reason"], "revoked");
    let why = verify("alice", 1)["explanation"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(why.ends_with("(key compromise)"), "{why}");
    assert_eq!(verify("bob", 1)["reason"], "revoked");
    verify("carol", 0);
}

#[test]
fn a_list_is_made_of_what_was_issued_and_of_a_whole_register() {
    let site = Site::with_authority();
    let unknown = site.run(&["crl", "--ca", "ca", "--serial", "0bad"], 2);
    assert!(
        all(&unknown).contains("has issued no certificate `0bad`"),
        "{}",
        all(&unknown)
    );
    fs::write(
        site.path("ca/revoked.csv"),
        "serial,revoked_at,reason\nnonsense\n",
    )
    .unwrap();
    let broken = site.run(&["crl", "--ca", "ca"], 2);
    assert!(all(&broken).contains("revoked.csv:2:"), "{}", all(&broken));
}

#[test]
fn inspect_shows_what_the_gateway_makes_of_it() {
    let site = Site::with_authority();
    let uri = "spiffe://gov.example/tax/api";
    site.run(
        &[
            "issue", "workload", "--ca", "ca", "--spiffe", uri, "--out", "api",
        ],
        0,
    );
    let both = format!("{}{}", site.read("api.key"), site.read("api.pem"));
    fs::write(site.path("both.pem"), both).unwrap();
    let shown = all(&site.run(&["inspect", "both.pem", "--subject", "{spiffe.path[1]}"], 0));
    for line in [
        "policy subject: api",
        "problems:     none",
        "{spiffe.trust_domain}        gov.example",
    ] {
        assert!(
            shown.lines().any(|shown| shown == line),
            "{line} in:\n{shown}"
        );
    }
    assert!(!shown.contains("PRIVATE KEY"), "{shown}");

    let late = site.json(&["inspect", "api.pem", "--at", "2060-01-01T00:00:00Z"], 1);
    assert!(
        late[0]["problems"][0]
            .as_str()
            .unwrap()
            .starts_with("it expired at"),
        "{late}"
    );
    fs::write(site.path("bad.der"), [0x30, 0]).unwrap();
    let bad = site.json(&["inspect", "bad.der"], 1);
    assert!(
        bad[0]["problems"][0]
            .as_str()
            .unwrap()
            .starts_with("it is malformed"),
        "{bad}"
    );
}

#[test]
fn unusable_input_is_told_apart_from_a_refusal() {
    let site = Site::with_authority();
    fs::write(site.path("empty"), "").unwrap();
    for (arguments, said) in [
        (
            &["verify", "--trust", "ca/ca.pem", "--cert", "nowhere.pem"][..],
            "nowhere.pem",
        ),
        (
            &["verify", "--trust", "empty", "--cert", "ca/ca.pem"],
            "`empty` holds no certificate",
        ),
        (
            &[
                "verify",
                "--trust",
                "ca/ca.pem",
                "--cert",
                "ca/ca.pem",
                "--at",
                "yesterday",
            ],
            "2026-11-24T07:00:00Z",
        ),
        (&["inspect", "empty"], "empty: it holds no certificate"),
        (&["inspect"], "FILE"),
        (
            &[
                "issue", "client", "--ca", "nowhere", "--name", "a", "--out", "a",
            ],
            "hangu certs ca",
        ),
        (
            &[
                "issue", "client", "--ca", "ca", "--name", "a", "--days", "4000", "--out", "a",
            ],
            "fewer `--days`",
        ),
        (
            &[
                "issue", "client", "--ca", "ca", "--name", " a", "--out", "a",
            ],
            "begins or ends with a space",
        ),
        (
            &[
                "issue",
                "workload",
                "--ca",
                "ca",
                "--spiffe",
                "spiffe://A/b",
                "--out",
                "a",
            ],
            "trust domain",
        ),
        (&["crl", "--ca", "ca", "--serial", "xyz"], "hexadecimal"),
    ] {
        let output = site.run(arguments, 2);
        assert!(
            all(&output).contains(said),
            "{arguments:?}: {}",
            all(&output)
        );
    }
    assert!(!site.path("a.key").exists() && !site.path("a.pem").exists());
}

/// A folder to work in.
struct Site(TempDir);

impl Site {
    fn empty() -> Site {
        Site(tempfile::tempdir().unwrap())
    }

    /// With an authority in `ca`.
    fn with_authority() -> Site {
        let site = Site::empty();
        site.run(&["ca", "--dir", "ca", "--name", "Root"], 0);
        site
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.0.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    fn mode(&self, name: &str) -> u32 {
        fs::metadata(self.path(name)).unwrap().permissions().mode() & 0o777
    }

    #[track_caller]
    fn run(&self, arguments: &[&str], code: i32) -> Output {
        let output = Command::new(BINARY)
            .arg("certs")
            .args(arguments)
            .current_dir(self.0.path())
            .output()
            .unwrap();
        assert_eq!(
            output.status.code(),
            Some(code),
            "{arguments:?}\n{}",
            all(&output)
        );
        output
    }

    #[track_caller]
    fn json(&self, arguments: &[&str], code: i32) -> Value {
        let output = self.run(&[arguments, &["--json"]].concat(), code);
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

fn all(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

const BINARY: &str = env!("CARGO_BIN_EXE_hangu-under-test");
const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
