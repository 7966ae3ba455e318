//! `hangu policy explain`, `who-can` and `what-can`: questions about single requests, and readers who leave early.

use std::process::Command;

use crate::policy_cli::{Desk, WANG};
use crate::support::gateway;

/// A directory in which one role is written wrong.
const PEOPLE: &str =
    "match,roles,clearance\nspiffe://gov.test/li,clerk,internal\nspiffe://gov.test/wang,clark,\n";

#[test]
fn explain_who_and_what_agree_about_a_mistake() {
    let desk = Desk::new();
    let asked = [
        "explain",
        "--policy",
        "policy.csv",
        "--subject",
        WANG,
        "--domain",
        "civil-affairs",
        "GET",
        "/residents/7",
    ];
    let (code, said) = desk.said(&asked);
    assert_eq!(code, 0, "{said}");
    assert!(
        said.contains("permitted by policy.csv:19: p, partner"),
        "{said}"
    );
    assert!(said.contains("  remove  line 19: p, partner"), "{said}");
    let labelled = [&asked[..], &["--label", "sensitive"]].concat();
    let (code, said) = desk.said(&labelled);
    assert_eq!(code, 1, "{said}");
    assert!(
        said.contains("is not cleared for `sensitive`: the data layer refuses"),
        "{said}"
    );
    let who = desk.json(&[
        "who-can",
        "--policy",
        "policy.csv",
        "--json",
        "GET",
        "/residents/7",
    ]);
    let named = who["allowed"]
        .as_array()
        .unwrap()
        .iter()
        .any(|one| one["subject"] == WANG);
    assert!(named && who["complete"] == true, "{who:#}");
    let (code, said) = desk.said(&["what-can", "--policy", "policy.csv", WANG]);
    assert_eq!(code, 0);
    assert!(
        said.contains("allow GET /residents/:id in civil-affairs  as `partner`  policy.csv:19"),
        "{said}"
    );
    let (code, _) = desk.said(&["what-can", "--policy", "policy.csv", "nobody"]);
    assert_eq!(code, 1);
}

#[test]
fn a_list_says_whether_clearance_was_asked() {
    let desk = Desk::new();
    desk.write("policy.csv", "p, clerk, tax, /a, GET, allow\np, visitor, tax, /a, GET, allow\ng, alice, clerk, tax\ng, bob, visitor, tax\ng2, clerk, internal\n");
    let who = [
        "who-can",
        "--policy",
        "policy.csv",
        "--domain",
        "tax",
        "GET",
        "/a",
    ];
    let what = ["what-can", "--policy", "policy.csv", "bob"];
    for question in [&who[..], &what] {
        let (code, said) = desk.said(question);
        assert_eq!(code, 0, "{said}");
        assert!(
            said.ends_with("clearance was not asked; --label NAME asks for it too\n"),
            "{said}"
        );
    }
    let label = ["--label", "internal"];
    let (code, said) = desk.said(&[&who[..], &label].concat());
    assert_eq!(code, 0, "{said}");
    assert!(
        said.contains("alice in tax") && !said.contains("bob"),
        "{said}"
    );
    assert!(
        said.ends_with("2 more would be allowed by a rule and are not cleared for `internal`\n"),
        "{said}"
    );
    let (code, said) = desk.said(&[&what[..], &label].concat());
    assert_eq!(code, 1, "{said}");
    assert!(said.contains(", but not cleared for the label"), "{said}");
}

#[test]
fn a_request_is_judged_as_the_gateway_reads_it() {
    let desk = Desk::new();
    desk.write("policy.csv", "p, clerk, tax, /returns/:id, GET, allow\np, clerk, tax, /returns/9, *, deny\ng, alice, clerk, tax\n");
    let explain = |method: &str, path: &str| {
        desk.said(&[
            "explain",
            "--policy",
            "policy.csv",
            "--subject",
            "alice",
            "--domain",
            "tax",
            method,
            path,
        ])
    };
    for path in ["/returns/%39", "/returns/9?page=2"] {
        let (code, said) = explain("GET", path);
        assert_eq!(code, 1, "{said}");
        assert!(said.contains("obj = `/returns/9`"), "{said}");
        assert!(said.contains("refused by policy.csv:2"), "{said}");
    }
    for (method, path, reason) in [
        ("GET", "/returns/../7", "edge.path_ambiguous"),
        ("get", "/returns/7", "edge.method_unknown"),
    ] {
        let who = desk.said(&["who-can", "--policy", "policy.csv", method, path]);
        for (code, said) in [explain(method, path), who] {
            assert_eq!(code, 2, "{said}");
            assert!(said.contains(reason), "{said}");
        }
    }
}

#[test]
fn a_reader_who_has_seen_enough_ends_a_tool_quietly() {
    let desk = Desk::new();
    for arguments in [
        "what-can --policy policy.csv nobody",
        "graph --policy policy.csv",
    ] {
        // The reader is gone before the tool says its first word.
        let script = format!(
            "mkfifo pipe; (exec 3<pipe; exec 3<&-; : > gone) & exec 4>pipe; wait; '{}' policy {arguments} >&4; echo $?; rm pipe gone",
            env!("CARGO_BIN_EXE_hangu-under-test")
        );
        let output = Command::new("sh")
            .current_dir(desk.0.path())
            .args(["-c", &script])
            .output()
            .unwrap();
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert_eq!(said, "141\n", "{arguments}");
    }
}

#[test]
fn tools_that_write_files_tell_machines_what_they_wrote() {
    let desk = Desk::new();
    desk.write("rows.csv", "p,clerk,tax,/a,GET,allow\n");
    let tidy = desk.json(&["fmt", "--check", "--json", "rows.csv"]);
    assert_eq!(tidy["files"][0]["tidy"], false, "{tidy:#}");
    let imported = desk.json(&["import", "--json", "rows.csv"]);
    assert_eq!(imported["policy"], "p, clerk, tax, /a, GET, allow\n");
    let drawn = desk.json(&["graph", "--json", "--policy", "rows.csv", "--out", "g.svg"]);
    assert_eq!(drawn["out"], "g.svg");
    let key = desk.json(&["sign", "--json", "--make-key", "li", "--key", "li"]);
    assert_eq!(key["name"], "li", "{key:#}");
    let made = desk.json(&[
        "bundle", "--json", "--policy", "rows.csv", "--epoch", "7", "--days", "9", "--out", "b",
    ]);
    assert_eq!((&made["epoch"], &made["rules"]), (&7.into(), &1.into()));
    let signed = desk.json(&["sign", "--json", "--key", "li", "b"]);
    assert_eq!(signed["signed_by"], "li", "{signed:#}");
}

#[test]
fn check_finds_characters_that_the_gateway_takes_in_no_path() {
    let desk = Desk::new();
    for path in ["/\u{ff41}", "/e\u{301}", "/a\u{202e}b"] {
        desk.write(
            "policy.csv",
            &format!("p, clerk, tax, {path}, GET, allow\ng, alice, clerk, tax\n"),
        );
        let found = desk.json(&["check", "--policy", "policy.csv", "--json"]);
        assert_eq!(
            found["findings"][0]["kind"], "unreachable-path",
            "{found:#}"
        );
    }
}

#[test]
fn the_policies_that_are_shipped_are_tidy() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap();
    let desk = Desk::new();
    for file in [
        "gateway/src/cli/quickstart/files/policy.csv",
        "deploy/examples/edge/policy/policy.csv",
        "deploy/examples/sidecar/policy/policy.csv",
    ] {
        let path = root.join(file).display().to_string();
        let (code, said) = desk.said(&["fmt", "--check", &path]);
        assert_eq!(code, 0, "{said}");
    }
}

#[test]
fn roles_of_the_directory_count_where_a_configuration_is_named() {
    let folder = gateway()
        .records(std::net::SocketAddr::from(([127, 0, 0, 1], 9)))
        .policy("p, clerk, civil, /a, GET, allow\ng2, clerk, internal\n")
        .table("[identity]\ndirectory = \"people.csv\"")
        .prepare();
    folder.write("people.csv", PEOPLE);
    let config = folder.config().display().to_string();
    let policy = folder.path("policy/policy.csv").display().to_string();
    let ask = |tool: &str, config: &[&str], more: &[&str]| {
        let arguments = [&["policy", tool, "--policy", &policy], config, more].concat();
        let output = folder.hangu(&arguments);
        let text = [output.stdout, output.stderr].concat();
        (
            output.status.code().unwrap(),
            String::from_utf8(text).unwrap(),
        )
    };
    let with = ["--config", &config];
    let li = [
        "--subject",
        "spiffe://gov.test/li",
        "--domain",
        "civil",
        "GET",
        "/a",
    ];
    assert_eq!(ask("explain", &[], &li).0, 1);
    assert_eq!(ask("explain", &with, &li).0, 0);
    let (_, said) = ask("who-can", &[], &["GET", "/a"]);
    assert!(!said.contains("spiffe://"), "{said}");
    let (_, said) = ask("who-can", &with, &["GET", "/a"]);
    assert!(
        said.contains("spiffe://gov.test/li in civil") && said.contains("1 subjects"),
        "{said}"
    );
    let (code, said) = ask("what-can", &with, &["spiffe://gov.test/li"]);
    assert!(
        code == 0 && said.contains("allow GET /a in civil  as `clerk`"),
        "{said}"
    );
    folder.write("tests.yaml", "test:\n  - name: li reads\n    when: { subject: spiffe://gov.test/li, domain: civil, method: GET, path: /a, label: internal }\n    expect: allow\n");
    folder.write(
        "asked.jsonl",
        "{\"args\": [\"spiffe://gov.test/li\", \"civil\", \"/a\", \"GET\"]}\n",
    );
    let tests = folder.path("tests.yaml").display().to_string();
    let asked = folder.path("asked.jsonl").display().to_string();
    assert_eq!(ask("test", &[], &[&tests]).0, 1);
    assert_eq!(ask("test", &with, &[&tests]).0, 0);
    let (_, said) = ask("eval", &[], &["--requests", &asked]);
    assert!(said.contains("\"deny\""), "{said}");
    let (_, said) = ask("eval", &with, &["--requests", &asked]);
    assert!(said.contains("\"allow\""), "{said}");
    let (_, said) = ask("check", &with, &[]);
    assert!(!said.contains("role-nobody-holds"), "{said}");
    assert!(
        said.contains("people.csv:3:1: warning[unused-role]"),
        "{said}"
    );
}

#[test]
fn what_is_known_of_a_subject_besides_its_name_can_be_said_in_tests_and_questions() {
    let desk = Desk::new();
    desk.write("model.conf", "[request_definition]\nr = sub, obj, act\n[policy_definition]\np = sub, obj, act\n\
        [policy_effect]\ne = some(where (p.eft == allow))\n\
        [matchers]\nm = r.sub == p.sub && keyMatch2(r.obj, p.obj) && r.act == p.act && r.sub.posture >= 60 && r.sub.device_class == 'laptop'\n");
    desk.write("rules.csv", "p, alice, /returns/:id, GET\n");
    desk.write(
        "tests.toml",
        "[given]\nsubject = \"alice\"\nmethod = \"GET\"\npath = \"/returns/7\"\n\
         [[test]]\nname = \"from a good laptop\"\nwhen = { \"subject.posture\" = \"80\", \"subject.device_class\" = \"laptop\" }\nexpect = \"allow\"\n\
         [[test]]\nname = \"from a bad one\"\nwhen = { \"subject.posture\" = \"20\", \"subject.device_class\" = \"laptop\" }\nexpect = \"deny\"\n",
    );
    let files = ["--model", "model.conf", "--policy", "rules.csv"];
    let ask = |tool: &str, more: &[&str]| desk.said(&[&[tool], &files[..], more].concat());
    let (code, said) = ask("test", &["tests.toml"]);
    assert!(code == 0 && said.contains("2 passed, 0 failed"), "{said}");
    let alice = [
        "--subject",
        "alice",
        "--set",
        "sub.device_class=laptop",
        "--set",
    ];
    let (code, said) = ask(
        "explain",
        &[&alice[..], &["sub.posture=60", "GET", "/returns/7"]].concat(),
    );
    assert!(code == 0 && said.contains("sub.posture = `60`"), "{said}");
    let (code, said) = ask(
        "explain",
        &[&alice[..], &["sub.posture=59", "GET", "/returns/7"]].concat(),
    );
    assert_eq!(code, 1, "{said}");
    let (code, said) = ask(
        "explain",
        &[&alice[..], &["obj.posture=59", "GET", "/returns/7"]].concat(),
    );
    assert!(
        code == 2 && said.contains("`obj.posture` is no argument of the model"),
        "{said}"
    );
}

#[test]
fn explain_says_what_would_clear_a_subject() {
    let desk = Desk::new();
    desk.write(
        "rules.csv",
        "p, clerk, tax, /a, GET, allow\ng, alice, clerk, tax\ng2, clerk, public\n",
    );
    let ask = [
        "explain",
        "--policy",
        "rules.csv",
        "--subject",
        "alice",
        "--domain",
        "tax",
        "--label",
        "internal",
        "GET",
        "/a",
    ];
    let (code, said) = desk.said(&ask);
    assert!(
        code == 1
            && said.contains("each of these rows alone would clear it:\n  add     g2, alice, internal\n  add     g2, clerk, internal\n"),
        "{said}"
    );
}
