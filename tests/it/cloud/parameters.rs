//! Routes with parameters: which of them takes a path, what rules read of it, and what the record says.

use hangu_certs::{ClientRequest, SpiffeId, Validity};
use hangu_tests::{Application, Response, RunningGateway, TestUpstream, now};

use crate::support::{assert_allowed, assert_refused, field, gateway};

const MODEL: &str = "\
[request_definition]
r = sub, dom, obj, act, route
[policy_definition]
p = sub, dom, obj, act, when
[role_definition]
g = _, _, _
g2 = _, _
[policy_effect]
e = some(where (p.eft == allow))
[matchers]
m = g(r.sub, p.sub, r.dom) && r.dom == p.dom && keyMatch2(r.obj, p.obj) && r.act == p.act && eval(p.when)
";
const POLICY: &str = "\
p, citizen, civil, /citizens/:who/records, GET, \"r.route.id == r.sub\"
p, citizen, civil, /citizens/*, GET, \"r.route == '/citizens/all'\"
g, 7, citizen, civil
g, 8, citizen, civil
g, a%2Fb, citizen, civil
g, \u{5c45}, citizen, civil
g2, citizen, sensitive
g2, sensitive, internal
";

fn start() -> (RunningGateway, TestUpstream) {
    let upstream = TestUpstream::named("records");
    let records = Application::new("records")
        .route("prefix = \"/citizens/:id/records\", methods = [\"GET\"], path_profile = \"keep-encoded-slash\"")
        .route("prefix = \"/citizens/:number/records\", methods = [\"PUT\"]")
        .route("prefix = \"/citizens/:id\"")
        .route("prefix = \"/citizens/all\"")
        .upstream(upstream.address());
    let gateway = gateway()
        .application(records)
        .model(MODEL)
        .policy(POLICY)
        .table("[identity]\nsubject = \"{subject.cn}\"")
        .start();
    (gateway, upstream)
}

fn ask(gateway: &RunningGateway, citizen: &str, target: &str) -> Response {
    let name = SpiffeId::parse("spiffe://gov.test/citizen").unwrap();
    let mut request = ClientRequest::spiffe(&name, Validity::days(now() - 60, 1));
    request.common_name = Some(citizen.to_owned());
    let client = gateway.client_with(Some(&gateway.pki().client_of(&request)));
    client.get(target).unwrap()
}

#[test]
fn a_citizen_reads_his_own_record_and_no_other() {
    let (gateway, upstream) = start();
    for (citizen, target) in [
        ("7", "/citizens/7/records"),
        ("7", "/citizens/%37/records?id=8"),
        ("8", "/citizens/8/records"),
        ("\u{5c45}", "/citizens/%E5%B1%85/records"),
        ("a%2Fb", "/citizens/a%2Fb/records"),
    ] {
        let response = ask(&gateway, citizen, target);
        assert_allowed(&gateway, &response);
        let record = gateway.audit().of_request(&response.request_id());
        assert_eq!(
            field(&record, "route"),
            "/citizens/:id/records",
            "{record:#}"
        );
    }
    let served = upstream.count();
    for (citizen, target) in [
        ("7", "/citizens/8/records"),
        ("8", "/citizens/7/records"),
        ("7", "/citizens/07/records"),
    ] {
        let response = ask(&gateway, citizen, target);
        assert_refused(&gateway, &response, 403, "application.no_rule");
    }
    assert_eq!(upstream.count(), served);
}

#[test]
fn the_route_with_most_segments_decides_and_a_literal_one_goes_before_a_parameter() {
    let (gateway, _upstream) = start();
    for (target, status, route) in [
        ("/citizens/all", 200, "/citizens/all"),
        ("/citizens/all/9", 200, "/citizens/all"),
        ("/citizens/all/records", 403, "/citizens/:id/records"),
        ("/citizens/9", 403, "/citizens/:id"),
        ("/citizens/9/taxes", 403, "/citizens/:id"),
        // An application that looks at no case would serve another route.
        ("/citizens/ALL", 400, ""),
        ("/citizens/7/Records", 400, ""),
        // A parameter is never empty.
        ("/citizens/", 404, ""),
        ("/citizens", 404, ""),
        ("/Citizens/7", 404, ""),
        // The route that would take it keeps no encoded slash.
        ("/citizens/a%2Fb", 400, ""),
    ] {
        let response = ask(&gateway, "7", target);
        assert_eq!(response.status, status, "{target}");
        let record = gateway.audit().of_request(&response.request_id());
        let found = record["route"].as_str().unwrap_or_default();
        assert_eq!(found, route, "{target}: {record:#}");
    }
}

#[test]
fn a_parameter_that_no_route_has_is_refused_at_load() {
    let upstream = TestUpstream::named("records");
    let records = Application::new("records")
        .route("prefix = \"/citizens/:number\"")
        .upstream(upstream.address());
    let folder = gateway()
        .application(records)
        .model(MODEL)
        .policy(POLICY)
        .prepare();
    let checked = folder.hangu(&[
        "check",
        "--config",
        &folder.path("hangu.toml").display().to_string(),
    ]);
    let said = String::from_utf8_lossy(&checked.stderr) + String::from_utf8_lossy(&checked.stdout);
    assert!(!checked.status.success(), "{said}");
    let expected = "reads `r.route.id`, and no route of an application that asks context 1 has such a parameter; \
        correct the name, or give a route the segment `:id`";
    assert!(said.contains(expected), "{said}");
}

#[test]
fn what_a_rule_read_of_the_path_can_be_read_again_from_the_record() {
    let (gateway, _upstream) = start();
    for (citizen, target) in [
        ("7", "/citizens/7/records"),
        ("7", "/citizens/8/records"),
        ("\u{5c45}", "/citizens/%E5%B1%85/records"),
        ("8", "/citizens/all"),
        ("8", "/citizens/9"),
    ] {
        ask(&gateway, citizen, target);
    }
    let id = ask(&gateway, "8", "/citizens/7/records").request_id();
    let folder = gateway.into_folder();
    let path = |name: &str| folder.path(name).display().to_string();
    let (model, policy) = (path("policy/model.conf"), path("policy/policy.csv"));
    let files = ["--json", "--model", &model, "--policy", &policy];
    let audit = path("audit");
    let ask = |words: &[&str]| {
        let output = folder.hangu(&[words, &files].concat());
        let found: serde_json::Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{error}: {output:?}"));
        found
    };
    let found = ask(&["policy", "replay", "--audit", &audit]);
    for (name, number) in [
        ("decided", 6),
        ("gained", 0),
        ("lost", 0),
        ("undecidable", 0),
    ] {
        assert_eq!(found[name], number, "{name}: {found:#}");
    }
    let found = ask(&["policy", "explain", "--audit", &audit, "--request-id", &id]);
    assert_eq!(found["decision"], "deny", "{found:#}");
    assert_eq!(
        found["request"]["route"], "/citizens/:id/records",
        "{found:#}"
    );
    assert_eq!(found["request"]["route.id"], "7", "{found:#}");
}
