//! Models with several contexts (`r2, p2, e2, m2`), on the command line and in a gateway; and models of plain names.

use hangu_tests::{Application, TestUpstream};

use crate::policy_cli::Desk;
use crate::support::{assert_allowed, assert_refused, gateway};

const MODEL: &str = "[request_definition]\nr = sub, obj, act\nr2 = sub, zone\n\
    [policy_definition]\np = sub, obj, act\np2 = sub, zone\n[role_definition]\ng = _, _\ng2 = _, _\n\
    [policy_effect]\ne = some(where (p.eft == allow))\ne2 = some(where (p.eft == allow))\n\
    [matchers]\nm = g(r.sub, p.sub) && keyMatch2(r.obj, p.obj) && r.act == p.act\nm2 = r2.sub == p2.sub && r2.zone == p2.zone\n";
const RULES: &str =
    "p, clerk, /returns/:id, GET\np2, bob, office\ng, alice, clerk\ng2, clerk, internal\n";

fn desk() -> Desk {
    let desk = Desk::new();
    desk.write("model.conf", MODEL);
    desk.write("rules.csv", RULES);
    desk
}

const FILES: [&str; 4] = ["--model", "model.conf", "--policy", "rules.csv"];

#[test]
fn each_tool_asks_the_context_that_is_named_and_says_which_it_asked() {
    let desk = desk();
    let ask = |tool: &str, more: &[&str]| desk.said(&[&[tool], &FILES[..], more].concat());
    let (code, said) = ask("explain", &["--subject", "alice", "GET", "/returns/7"]);
    assert_eq!(code, 0, "{said}");
    assert!(
        said.contains("context 1 was asked (`r`, `p`); `--context 2` asks another"),
        "{said}"
    );
    let office = ["--subject", "bob", "--set", "zone=office", "--context"];
    let (code, said) = ask("explain", &[&office[..], &["2", "GET", "/"]].concat());
    assert!(
        code == 0 && said.contains("permitted by rules.csv:2: p2, bob, office"),
        "{said}"
    );
    let (code, said) = ask("explain", &[&office[..], &["3", "GET", "/"]].concat());
    assert!(
        code == 2 && said.contains("the model has no context 3; name one of 1, 2"),
        "{said}"
    );
    let who = ["--context", "2", "--set", "zone=office", "GET", "/"];
    let (code, said) = ask("who-can", &who);
    assert!(code == 0 && said.contains("bob  by rules.csv:2"), "{said}");
    let (code, said) = ask("what-can", &["--context", "2", "bob"]);
    assert!(code == 0 && said.contains("rules.csv:2"), "{said}");
    let (code, said) = ask("what-can", &["bob"]);
    assert!(
        code == 1 && said.contains("0 rules are for `bob`"),
        "{said}"
    );
}

#[test]
fn tests_of_every_context_count_for_coverage() {
    let desk = desk();
    desk.write(
        "tests.toml",
        "[[test]]\nname = \"a clerk reads\"\nwhen = { subject = \"alice\", method = \"GET\", path = \"/returns/7\" }\nexpect = \"allow\"\n\
         [[test]]\nname = \"from the office\"\ncontext = 2\nwhen = [{ subject = \"bob\", zone = \"office\" }]\nexpect = \"allow\"\nrule = \"rules.csv:2\"\n",
    );
    let (code, said) = desk.said(
        &[
            &["test"],
            &FILES[..],
            &["--coverage-min", "100", "tests.toml"],
        ]
        .concat(),
    );
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("2 of 2 rules reached"), "{said}");
    desk.write(
        "tests.toml",
        "context = 3\n[[test]]\nname = \"x\"\nwhen = { subject = \"bob\" }\nexpect = \"deny\"\n",
    );
    let (code, said) = desk.said(&[&["test"], &FILES[..], &["tests.toml"]].concat());
    assert!(
        code == 2 && said.contains("tests.toml:2: the model has no context 3"),
        "{said}"
    );
}

#[test]
fn tests_can_be_written_in_yaml_too_and_travel_in_bundles() {
    let desk = desk();
    desk.write(
        "tests.yaml",
        "test:\n  - name: a clerk reads\n    when: { subject: alice, method: GET, path: /returns/7 }\n    expect: allow\n    rule: rules.csv:1\n\
         \x20 - name: from the office\n    context: 2\n    when: { subject: bob, zone: office }\n    expect: deny\n",
    );
    let (code, said) = desk.said(&[&["test"], &FILES[..], &["tests.yaml"]].concat());
    assert_eq!(code, 1, "{said}");
    assert!(
        said.starts_with(
            "tests.yaml:6: failed: from the office: expected deny, got allow by rules.csv:2"
        ),
        "{said}"
    );
    let bundle = [
        "--tests",
        "tests.yaml",
        "--epoch",
        "1",
        "--days",
        "1",
        "--out",
        "b",
    ];
    let (code, said) = desk.said(&[&["bundle"], &FILES[..], &bundle].concat());
    assert!(code != 0 && said.contains("tests.yaml:6"), "{said}");
    desk.write("tests.yaml", "test: [{name: x, colour: red}]\n");
    let (code, said) = desk.said(&[&["test"], &FILES[..], &["tests.yaml"]].concat());
    assert!(code == 2 && said.starts_with("tests.yaml:1: "), "{said}");
}

#[test]
fn explain_names_what_a_denial_overrides() {
    let desk = Desk::new();
    desk.write(
        "rules.csv",
        "p, alice, tax, /*, GET, allow\np, alice, tax, /a, GET, deny\n",
    );
    let ask = [
        "explain",
        "--policy",
        "rules.csv",
        "--subject",
        "alice",
        "--domain",
        "tax",
    ];
    let (code, said) = desk.said(&[&ask[..], &["GET", "/a"]].concat());
    assert_eq!(code, 1, "{said}");
    assert!(
        said.contains(
            "refused by rules.csv:2: p, alice, tax, /a, GET, deny\nthese would permit it, and that rule overrides them:\n  rules.csv:1: p, alice"
        ),
        "{said}"
    );
    let told = desk.json(&[&ask[..], &["--json", "GET", "/a"]].concat());
    assert_eq!(told["overridden"][0]["line"], 1, "{told:#}");
}

#[test]
fn a_change_is_told_in_the_context_in_which_it_is_one() {
    let desk = desk();
    desk.write("new.csv", &RULES.replace("bob, office", "bob, home"));
    let (code, said) = desk.said(&["diff", "--model", "model.conf", "rules.csv", "new.csv"]);
    assert_eq!(code, 1, "{said}");
    let first = said.split("context 2:").next().unwrap();
    assert!(first.contains("0 gains, 0 losses"), "{said}");
    assert!(said.contains("1 gains, 1 losses"), "{said}");
    let one = ["--context", "1", "rules.csv", "new.csv"];
    let (code, said) = desk.said(&[&["diff", "--model", "model.conf"], &one[..]].concat());
    assert_eq!(code, 0, "{said}");
}

#[test]
fn an_application_is_decided_by_the_context_that_it_names() {
    let upstream = TestUpstream::named("records");
    let application = |name: &str| {
        Application::new(name)
            .tenant("gov")
            .upstream(upstream.address())
    };
    let rules = "p, clerk, /returns/:id, GET\np2, spiffe://gov.test/bob, loopback\n\
        g, spiffe://gov.test/alice, clerk\ng2, clerk, internal\ng2, spiffe://gov.test/bob, internal\n";
    let gateway = gateway()
        .application(application("returns"))
        .application(application("gate").key("policy_context = 2"))
        .model(MODEL)
        .policy(rules)
        .zones("loopback = [\"127.0.0.0/8\"]")
        .matrix("loopback = [\"internal\"]")
        .start();
    for (who, host, allowed) in [
        ("alice", "returns.test", true),
        ("bob", "returns.test", false),
        ("alice", "gate.test", false),
        ("bob", "gate.test", true),
    ] {
        let response = gateway.client(who).named(host).get("/returns/7").unwrap();
        if allowed {
            assert_allowed(&gateway, &response);
        } else {
            assert_refused(&gateway, &response, 403, "application.no_rule");
        }
    }
    // What was recorded is asked again in its context, or where the configuration is named in that of its application.
    let ids: Vec<_> = gateway.audit().of_kind("request");
    let folder = gateway.into_folder();
    let path = |name: &str| folder.path(name).display().to_string();
    let config = folder.config().display().to_string();
    let (log, model, policy) = (
        path("audit"),
        path("policy/model.conf"),
        path("policy/policy.csv"),
    );
    let ask = |tool: &str, more: &[&str]| {
        let files = ["--audit", &log, "--model", &model, "--policy", &policy];
        let output = folder.hangu(&[&["policy", tool], &files[..], more].concat());
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(said).unwrap())
    };
    let (code, said) = ask("replay", &["--context", "1"]);
    assert!(code == Some(1) && said.contains("would lose GET"), "{said}");
    for config in [&["--config", &config][..], &[]] {
        let (code, said) = ask("replay", config);
        assert!(
            code == Some(0) && said.contains("4 decided again"),
            "{said}"
        );
        for record in &ids {
            let allowed = record["decision"] == "allowed";
            let id = record["request_id"].as_str().unwrap();
            let (code, said) = ask("explain", &[config, &["--request-id", id]].concat());
            assert_eq!(code, Some(if allowed { 0 } else { 1 }), "{said}");
        }
    }
}

#[test]
fn a_context_that_the_model_has_not_is_refused_at_load() {
    let upstream = TestUpstream::named("records");
    let application = Application::new("records")
        .key("policy_context = 2")
        .upstream(upstream.address());
    let folder = gateway().application(application).prepare();
    let output = folder.check();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_ne!(output.status.code(), Some(0), "{said}");
    assert!(
        said.contains(
            "has no context 2, which `policy_context` of the application `records` names"
        ),
        "{said}"
    );
}

#[test]
fn the_first_model_of_every_casbin_author_can_be_explained_and_tested() {
    let desk = Desk::new();
    desk.write("model.conf", "[request_definition]\nr = sub, obj, act\n[policy_definition]\np = sub, obj, act\n\
        [policy_effect]\ne = some(where (p.eft == allow))\n[matchers]\nm = r.sub == p.sub && r.obj == p.obj && r.act == p.act\n");
    desk.write("rules.csv", "p, alice, data1, read\np, bob, data2, write\n");
    desk.write(
        "tests.toml",
        "[[test]]\nname = \"alice reads\"\nwhen = { sub = \"alice\", obj = \"data1\", act = \"read\" }\nexpect = \"allow\"\n\
         [[test]]\nname = \"bob writes\"\nwhen = { sub = \"bob\", obj = \"data2\", act = \"write\" }\nexpect = \"allow\"\n",
    );
    let ask = |tool: &str, more: &[&str]| desk.said(&[&[tool], &FILES[..], more].concat());
    let (code, said) = ask("explain", &["--subject", "alice", "write", "data1"]);
    assert_eq!(code, 1, "{said}");
    for expected in [
        "the method is `write`, the rule is for `read`",
        "add     p, alice, data1, write",
        "`obj` and `act`: plain names, taken as they are",
    ] {
        assert!(said.contains(expected), "{expected}: {said}");
    }
    let (code, said) = ask("who-can", &["read", "data1"]);
    assert!(
        code == 0 && said.contains("1 subjects and 0 roles can read data1"),
        "{said}"
    );
    let (code, said) = ask("test", &["--coverage-min", "100", "tests.toml"]);
    assert_eq!(code, 0, "{said}");
    // A policy of paths has no such names.
    let (code, said) = desk.said(&["who-can", "--policy", "policy.csv", "GET", "data1"]);
    assert!(code == 2 && said.contains("edge.path_ambiguous"), "{said}");
}
