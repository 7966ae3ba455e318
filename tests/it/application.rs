//! 用 application, over real sockets: may this subject do this action on this object now.

mod bundles;
mod facts;
mod obligations;
mod shadow;
mod shadow_bundles;

use hangu_tests::{Application, RunningGateway, TestUpstream};

use crate::support::{assert_allowed, assert_refused, field, gateway};

/// Two bureaus of one tenant, each with its own records; a seal that no role may break; an auditor who may read all that.
const POLICY: &str = "\
p, civil-clerk,  gov, /civil/*,         GET,  allow
p, civil-clerk,  gov, /civil/*,         POST, allow
p, land-clerk,   gov, /land/:parcel,    GET,  allow
p, auditor,      gov, /*,               GET,  allow
p, auditor,      gov, /civil/sealed/*,  *,    deny
g, spiffe://gov.test/li,   civil-clerk, gov
g, spiffe://gov.test/wang, land-clerk,  gov
g, spiffe://gov.test/zhao, auditor,     gov
g, spiffe://gov.test/zhao, civil-clerk, gov
g2, civil-clerk, internal
g2, land-clerk,  internal
g2, auditor,     internal
g2, spiffe://gov.test/idle, internal
";

fn bureaus(policy: &str) -> (RunningGateway, TestUpstream) {
    let upstream = TestUpstream::named("records");
    let records = Application::new("records")
        .tenant("gov")
        .upstream(upstream.address());
    (
        gateway().application(records).policy(policy).start(),
        upstream,
    )
}

#[test]
fn each_request_gets_the_answer_of_the_policy() {
    let (gateway, upstream) = bureaus(POLICY);
    for (name, method, path, reason, rule) in [
        ("li", "GET", "/civil/7", "", "policy.csv:1"),
        ("li", "POST", "/civil/7", "", "policy.csv:2"),
        ("li", "DELETE", "/civil/7", "application.no_rule", ""),
        ("li", "GET", "/land/7", "application.no_rule", ""),
        ("li", "GET", "/civil", "application.no_rule", ""),
        ("wang", "GET", "/land/7", "", "policy.csv:3"),
        ("wang", "GET", "/land/7/owner", "application.no_rule", ""),
        ("wang", "GET", "/civil/7", "application.no_rule", ""),
        ("zhao", "GET", "/land/7", "", "policy.csv:4"),
        ("zhao", "POST", "/land/7", "application.no_rule", ""),
        (
            "zhao",
            "GET",
            "/civil/sealed/1",
            "application.explicit_deny",
            "policy.csv:5",
        ),
        (
            "zhao",
            "POST",
            "/civil/sealed/1",
            "application.explicit_deny",
            "policy.csv:5",
        ),
        ("idle", "GET", "/civil/7", "application.no_rule", ""),
    ] {
        let before = upstream.count();
        let request =
            format!("{method} {path} HTTP/1.1\r\nHost: records.test\r\nContent-Length: 0\r\n\r\n");
        let response = gateway.client(name).exchange(request.as_bytes()).unwrap();
        let what = format!("{name} {method} {path}");
        if reason.is_empty() {
            assert_allowed(&gateway, &response);
            assert_eq!(upstream.count(), before + 1, "{what}");
        } else {
            assert_refused(&gateway, &response, 403, reason);
            assert_eq!(upstream.count(), before, "{what}");
        }
        let record = gateway.audit().of_request(&response.request_id());
        assert_eq!(field(&record, "rule"), rule, "{what}");
        assert_eq!(field(&record, "tenant"), "gov");
    }
}

#[test]
fn a_record_names_the_rules_that_would_have_decided_otherwise() {
    let (gateway, _upstream) = bureaus(POLICY);
    let overridden = |gateway: &RunningGateway, name: &str, path: &str| {
        let response = gateway.client(name).get(path).unwrap();
        gateway.audit().of_request(&response.request_id())["overridden"].clone()
    };
    let sealed = overridden(&gateway, "zhao", "/civil/sealed/1");
    assert_eq!(sealed, serde_json::json!(["policy.csv:1", "policy.csv:4"]));
    assert!(overridden(&gateway, "zhao", "/civil/7").is_null());
    assert!(overridden(&gateway, "idle", "/civil/7").is_null());

    let model = hangu_policy::RBAC_WITH_DOMAINS.replace(
        "some(where (p.eft == allow)) && !some(where (p.eft == deny))",
        "priority(p.eft) || deny",
    );
    let rules = "p, clerk, gov, /a, GET, allow\np, clerk, gov, /a, GET, deny\np, clerk, gov, /*, GET, deny\n\
        g, spiffe://gov.test/li, clerk, gov\ng2, clerk, internal\n";
    let upstream = TestUpstream::named("records");
    let records = Application::new("records")
        .tenant("gov")
        .upstream(upstream.address());
    let gateway = crate::support::gateway()
        .application(records)
        .model(&model)
        .policy(rules)
        .start();
    let permitted = overridden(&gateway, "li", "/a");
    assert_eq!(
        permitted,
        serde_json::json!(["policy.csv:2", "policy.csv:3"])
    );
}

#[test]
fn a_policy_without_rules_denies_everything_and_says_so_loudly() {
    let (gateway, upstream) = bureaus("");
    let response = gateway.client("li").get("/civil/7").unwrap();
    assert_eq!(response.status, 403);
    assert_eq!(upstream.count(), 0);
    assert!(
        gateway.stderr().contains("the policy has no rule"),
        "{}",
        gateway.stderr()
    );
    assert_eq!(gateway.metrics().sum("hangu_policy_rules", &[]), 0.0);
}

#[test]
fn a_new_policy_counts_from_the_next_request_on_the_same_connection() {
    let (mut gateway, upstream) = bureaus(POLICY);
    let mut connection = gateway.client("li").connect().unwrap();
    assert_eq!(connection.get("/civil/7").unwrap().status, 200);
    gateway.change(|world| {
        world.policy(&POLICY.replace("p, civil-clerk,  gov, /civil/*,         GET,  allow\n", ""))
    });
    assert_refused(
        &gateway,
        &connection.get("/civil/7").unwrap(),
        403,
        "application.no_rule",
    );
    gateway.change(|world| world.policy(POLICY));
    let response = connection.get("/civil/7").unwrap();
    assert_allowed(&gateway, &response);
    assert_eq!(upstream.count(), 2);
    let record = gateway.audit().of_request(&response.request_id());
    assert_eq!(record["config_generation"], 3);
}

#[test]
fn rows_that_a_reload_keeps_are_named_by_their_new_lines() {
    let (mut gateway, _upstream) = bureaus(POLICY);
    let mut connection = gateway.client("li").connect().unwrap();
    for added in [
        "",
        "p, other, elsewhere, /x, GET, allow\n# of another organisation\n",
    ] {
        let policy = format!("{added}{POLICY}");
        gateway.change(|world| world.policy(&policy));
        let response = connection.get("/civil/7").unwrap();
        assert_allowed(&gateway, &response);
        let record = gateway.audit().of_request(&response.request_id());
        let rule = "p, civil-clerk,  gov, /civil/*,";
        let line = policy.lines().position(|line| line.starts_with(rule));
        let expected = format!("policy.csv:{}", line.unwrap() + 1);
        assert_eq!(field(&record, "rule"), expected);
    }
}

#[test]
fn a_name_that_imitates_a_role_gets_nothing_of_it() {
    let (gateway, upstream) = bureaus(POLICY);
    for name in ["civil-clerk", "li/x", "LI", "l", "li2", "auditor"] {
        let response = gateway.client(name).get("/civil/7").unwrap();
        assert_eq!(response.status, 403, "{name}");
    }
    assert_eq!(upstream.count(), 0);
}
