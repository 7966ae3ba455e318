//! `hangu policy`: what a policy author types, reads, and what a script gets as an exit code.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use hangu_tests::TestUpstream;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::gateway;

/// The policy of the quickstart, beside a file that a test gives.
pub(crate) struct Desk(pub(crate) TempDir);

impl Desk {
    pub(crate) fn new() -> Self {
        let desk = Self(tempfile::tempdir().unwrap());
        desk.write("policy.csv", &quickstart());
        desk
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.0.path().join(name), text).unwrap();
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.0.path().join(name)).unwrap()
    }

    fn policy(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_hangu-under-test"))
            .current_dir(self.0.path())
            .arg("policy")
            .args(arguments)
            .output()
            .unwrap()
    }

    /// The exit code and all that was printed.
    pub(crate) fn said(&self, arguments: &[&str]) -> (i32, String) {
        let output = self.policy(arguments);
        let text = [output.stdout, output.stderr].concat();
        (
            output.status.code().unwrap(),
            String::from_utf8(text).unwrap(),
        )
    }

    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let output = self.policy(arguments);
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
    }
}

fn quickstart() -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    fs::read_to_string(root.join("gateway/src/cli/quickstart/files/policy.csv")).unwrap()
}

const LI: &str = "spiffe://gov.hangu.test/civil-affairs/clerk/li";
pub(crate) const WANG: &str = "spiffe://gov.hangu.test/tax/clerk/wang";

#[test]
fn each_tool_has_help_with_an_example() {
    let desk = Desk::new();
    let (_, help) = desk.said(&["--help"]);
    for tool in [
        "check", "eval", "explain", "who-can", "what-can", "test", "diff", "replay", "fmt",
        "import", "graph", "bundle", "sign", "verify", "hits",
    ] {
        assert!(help.contains(tool), "{tool}: {help}");
        let (code, help) = desk.said(&[tool, "--help"]);
        assert_eq!(code, 0, "{tool}");
        assert!(
            help.contains(&format!("hangu policy {tool}")),
            "{tool}: {help}"
        );
    }
}

#[test]
fn a_policy_that_is_refused_ends_every_tool_with_2_and_the_reason() {
    let desk = Desk::new();
    desk.write("bad.csv", "p, clerk, tax, /a, GET, Allow\n");
    desk.write("none.jsonl", "");
    for arguments in [
        &["check", "--policy", "bad.csv"][..],
        &["eval", "--policy", "bad.csv", "--requests", "none.jsonl"],
        &["who-can", "--policy", "bad.csv", "GET", "/a"],
        &["what-can", "--policy", "bad.csv", "alice"],
        &["diff", "policy.csv", "bad.csv"],
        &["check", "--policy", "nowhere.csv"],
    ] {
        let (code, said) = desk.said(arguments);
        assert_eq!(code, 2, "{arguments:?}: {said}");
        assert!(
            said.contains("bad.csv:1:25: `Allow` is no effect") || said.contains("nowhere.csv"),
            "{said}"
        );
    }
}

#[test]
fn check_finds_what_is_hardly_meant() {
    let desk = Desk::new();
    let (code, said) = desk.said(&["check", "--policy", "policy.csv", "--oracle"]);
    assert_eq!(code, 0, "{said}");
    assert!(
        said.ends_with("policy.csv: 8 rules; 0 errors, 0 warnings\n"),
        "{said}"
    );
    assert!(said.contains(" 0 answered otherwise by casbin"), "{said}");
    desk.write("policy.csv", &(quickstart() + "p, clerk, civil-affairs, /residents/7, get, allow\np, clerk, civil-affairs, /residents/7, GET, allow\n"));
    let found = desk.json(&["check", "--policy", "policy.csv", "--json"]);
    let kinds: Vec<_> = found["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["kind"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["method-typo", "shadowed"], "{found:#}");
    assert_eq!(
        desk.policy(&["check", "--policy", "policy.csv"])
            .status
            .code(),
        Some(1)
    );
}

#[test]
fn check_holds_the_rules_against_what_the_gateway_serves() {
    let upstream = TestUpstream::named("records");
    let folder = gateway().records(upstream.address()).prepare();
    let policy = folder.read("policy/policy.csv");
    let config = folder.config().display().to_string();
    let file = folder.path("policy/policy.csv").display().to_string();
    let kinds = |rule: &str| -> Vec<String> {
        folder.write("policy/policy.csv", &format!("{policy}{rule}\n"));
        let arguments = [
            "policy", "check", "--json", "--policy", &file, "--config", &config,
        ];
        let found: Value = serde_json::from_slice(&folder.hangu(&arguments).stdout).unwrap();
        let findings = found["findings"].as_array().unwrap().iter();
        let kinds = findings.map(|one| one["kind"].as_str().unwrap().to_owned());
        kinds
            .filter(|kind| kind != "over-broad" && kind != "shadowed")
            .collect()
    };
    assert_eq!(kinds(""), Vec::<String>::new());
    assert_eq!(
        kinds("p, clerk, elsewhere, /a, GET, allow\ng, x/y, clerk, elsewhere"),
        ["no-such-organisation"]
    );
    assert_eq!(
        kinds("p, visitor, civil, /a, GET, allow\ng, x/y, visitor, civil"),
        ["label-not-cleared"]
    );
}

#[test]
fn eval_answers_line_by_line() {
    let desk = Desk::new();
    desk.write(
        "requests.jsonl",
        &format!(
            "{{\"args\": [\"{LI}\", \"civil-affairs\", \"/residents/7\", \"GET\"]}}\nnonsense\n{{\"args\": [\"{LI}\", \"civil-affairs\", \"/residents/9001\", \"GET\"]}}\n"
        ),
    );
    let (code, said) = desk.said(&[
        "eval",
        "--policy",
        "policy.csv",
        "--requests",
        "requests.jsonl",
    ]);
    let lines: Vec<_> = said.lines().collect();
    assert_eq!((code, lines.len()), (0, 3), "{said}");
    assert_eq!(
        lines[0],
        "{\"decision\":\"allow\",\"rule\":\"policy.csv:7\",\"error\":null}"
    );
    assert!(
        lines[1].starts_with("{\"decision\":\"deny\",\"rule\":null,\"error\":\"line 2: "),
        "{said}"
    );
    assert_eq!(
        lines[2],
        "{\"decision\":\"deny\",\"rule\":\"policy.csv:13\",\"error\":null}"
    );
}

#[test]
fn diff_tells_who_gains_and_who_loses() {
    let desk = Desk::new();
    let mended = quickstart().replace(
        "p, partner, civil-affairs, /residents/:id,    GET, allow\n",
        "",
    );
    desk.write("mended.csv", &mended);
    let (code, said) = desk.said(&["diff", "policy.csv", "mended.csv"]);
    assert_eq!(code, 1);
    assert!(
        said.starts_with(&format!(
            "civil-affairs / partner loses GET /residents/:any: {WANG}\n"
        )),
        "{said}"
    );
    let (code, said) = desk.said(&["diff", "policy.csv", "policy.csv"]);
    assert_eq!(
        (code, said.as_str()),
        (0, "0 gains, 0 losses, 0 changes of clearance\n")
    );
}

#[test]
fn tests_pass_fail_and_count_what_they_reach() {
    let desk = Desk::new();
    let test = |expect: &str| {
        format!(
            "[given]\nsubject = \"{LI}\"\ndomain = \"civil-affairs\"\n[[test]]\nname = \"reads\"\nwhen = {{ method = \"GET\", path = \"/residents/7\" }}\nexpect = \"{expect}\"\n"
        )
    };
    desk.write("good.toml", &test("allow"));
    desk.write("bad.toml", &test("deny"));
    let (code, said) = desk.said(&["test", "--policy", "policy.csv", "good.toml"]);
    assert_eq!(code, 0, "{said}");
    assert!(
        said.ends_with("1 passed, 0 failed; 1 of 8 rules reached (12 %)\n"),
        "{said}"
    );
    let (code, _) = desk.said(&[
        "test",
        "--policy",
        "policy.csv",
        "--coverage-min",
        "50",
        "good.toml",
    ]);
    assert_eq!(code, 1);
    let (code, said) = desk.said(&["test", "--policy", "policy.csv", "bad.toml"]);
    assert_eq!(code, 1);
    assert!(
        said.starts_with("bad.toml:4: failed: reads: expected deny, got allow by policy.csv:7"),
        "{said}"
    );
}

#[test]
fn dumps_become_tidy_policies_and_pictures() {
    let desk = Desk::new();
    desk.write("dump.sql", "INSERT INTO casbin_rule VALUES (1,'p','clerk','tax','/a','GET','allow',NULL),(2,'g','alice','clerk','tax',NULL,NULL,NULL);\n");
    assert_eq!(
        desk.said(&["import", "dump.sql", "--out", "imported.csv"]),
        (0, String::new())
    );
    assert_eq!(
        desk.read("imported.csv"),
        "p, clerk, tax, /a, GET, allow\ng, alice, clerk, tax\n"
    );
    assert_eq!(desk.said(&["fmt", "--check", "imported.csv"]).0, 0);
    assert_eq!(desk.said(&["check", "--policy", "imported.csv"]).0, 0);
    let (code, drawn) = desk.said(&["graph", "--policy", "imported.csv"]);
    assert!(
        code == 0 && drawn.starts_with("<svg ") && drawn.contains(">clerk<"),
        "{drawn}"
    );
    desk.write("untidy.csv", "p,clerk,tax,/a,GET,allow\n");
    assert_eq!(desk.said(&["fmt", "--check", "untidy.csv"]).0, 1);
    assert_eq!(desk.said(&["fmt", "untidy.csv"]).0, 0);
    assert_eq!(desk.read("untidy.csv"), "p, clerk, tax, /a, GET, allow\n");
}

#[test]
fn a_bundle_is_good_when_two_people_have_signed_it() {
    let desk = Desk::new();
    let mut signers = String::new();
    for person in ["li", "chen"] {
        let (code, public) = desk.said(&["sign", "--make-key", person, "--key", person]);
        assert_eq!(code, 0, "{public}");
        signers += &public;
    }
    desk.write("signers", &signers);
    let made = desk.said(&[
        "bundle",
        "--policy",
        "policy.csv",
        "--epoch",
        "7",
        "--days",
        "9",
        "--out",
        "b",
    ]);
    assert_eq!(made.0, 0, "{}", made.1);
    assert!(
        made.1.contains("warning: the bundle has no tests"),
        "{}",
        made.1
    );
    let verify = ["verify", "--keys", "signers", "--epoch-min", "7", "b"];
    for (person, code) in [("li", 1), ("chen", 0)] {
        let signed = desk.said(&["sign", "--key", person, "b"]);
        assert_eq!(signed.0, 0, "{}", signed.1);
        let (found, said) = desk.said(&verify);
        assert_eq!(found, code, "{said}");
    }
    let (code, said) = desk.said(&["verify", "--keys", "signers", "--epoch-min", "8", "b"]);
    assert_eq!(code, 1);
    assert!(said.contains("epoch 7 is older than 8"), "{said}");
}

#[test]
fn recorded_requests_are_explained_and_replayed() {
    let upstream = TestUpstream::named("records");
    let mut gateway = gateway().records(upstream.address()).start();
    let mut connection = gateway.client("clerk").connect().unwrap();
    let allowed = connection.get("/").unwrap();
    assert_eq!(allowed.status, 200);
    let id = allowed.request_id();
    gateway.signal("TERM");
    assert!(gateway.wait_for_end().status.success());
    let folder = gateway.into_folder();
    let log = folder.path("audit").display().to_string();
    let policy = folder.path("policy/policy.csv").display().to_string();
    let explained = folder.hangu(&[
        "policy",
        "explain",
        "--policy",
        &policy,
        "--audit",
        &log,
        "--request-id",
        &id,
    ]);
    let said = String::from_utf8(explained.stdout).unwrap();
    assert_eq!(explained.status.code(), Some(0), "{said}");
    assert!(
        said.starts_with("recorded: ") && said.contains("\npermitted by "),
        "{said}"
    );
    let same = folder.hangu(&["policy", "replay", "--audit", &log, "--policy", &policy]);
    assert_eq!(same.status.code(), Some(0), "{same:?}");
    folder.write("empty.csv", "p, nobody, nowhere, /, GET, allow\n");
    let empty = folder.path("empty.csv").display().to_string();
    let changed = folder.hangu(&[
        "policy", "replay", "--json", "--audit", &log, "--policy", &empty,
    ]);
    assert_eq!(changed.status.code(), Some(1), "{changed:?}");
    let found: Value = serde_json::from_slice(&changed.stdout).unwrap();
    assert_eq!(
        (&found["gained"], &found["lost"]),
        (&0.into(), &1.into()),
        "{found:#}"
    );
}

#[test]
fn every_example_of_the_guide_prints_what_it_says() {
    let desk = Desk::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let guide = fs::read_to_string(root.join("docs/policy-tools.md")).unwrap();
    let mut ran = 0;
    for block in guide.split("\n```").skip(1).step_by(2) {
        let (kind, text) = block.split_once('\n').unwrap();
        if let Some((_, name)) = kind.split_once(' ') {
            desk.write(name, &format!("{text}\n"));
        }
        if kind != "console" {
            continue;
        }
        for example in format!("\n{text}\n").split("\n$ hangu policy ").skip(1) {
            let (command, expected) = example.split_once('\n').unwrap();
            let arguments: Vec<_> = command.split_whitespace().collect();
            let (_, said) = desk.said(&arguments);
            assert_eq!(said.trim_end(), expected.trim_end(), "{command}");
            ran += 1;
        }
    }
    assert!(ran >= 8, "{ran}");
}
