//! What permits demand besides: carried out, told to an application that carries it out, or refused.

use hangu_policy::RBAC_WITH_DOMAINS;
use hangu_tests::{Application, RunningGateway, TestGateway, TestUpstream, now, wait_until};

use crate::support::{assert_allowed, assert_refused, field, gateway, head};

const POLICY: &str = "\
p, clerk, civil, /masked/*, GET, allow, resident-id, subject, -,  -
p, clerk, civil, /other/*,  GET, allow, phone,       -,       -,  -
p, clerk, civil, /fresh/*,  GET, allow, -,           -,       1s, -
p, clerk, civil, /noted/*,  GET, allow, -,           -,       -,  detailed
p, clerk, civil, /plain/*,  GET, allow, -,           -,       -,  -
g, spiffe://gov.test/clerk, clerk, civil
g2, clerk, sensitive
g2, sensitive, internal
g2, internal, public
";

fn world(upstream: &TestUpstream) -> TestGateway {
    let columns = "p = sub, dom, obj, act, eft, mask, watermark, step_up, log_level";
    let model = RBAC_WITH_DOMAINS.replace("p = sub, dom, obj, act, eft", columns);
    assert!(model.contains(columns));
    let records = Application::new("records")
        .key("obligations = [\"mask:resident-id\", \"watermark:subject\"]")
        .upstream(upstream.address());
    let calls = Application::new("calls")
        .key("obligations = [\"mask:phone\"]")
        .upstream(upstream.address());
    gateway()
        .application(records)
        .application(calls)
        .model(&model)
        .policy(POLICY)
}

fn served() -> (RunningGateway, TestUpstream) {
    let upstream = TestUpstream::named("records");
    (world(&upstream).start(), upstream)
}

fn obligations(record: &serde_json::Value) -> String {
    record["obligations"].to_string()
}

#[test]
fn an_application_is_told_what_it_has_promised_to_carry_out() {
    let (gateway, upstream) = served();
    let client = gateway.client("clerk");
    let request = format!(
        "{}X-Hangu-Obligations: none\r\nx_hangu_obligations: none\r\n\r\n",
        head("GET", "/masked/7")
    );
    let response = client.exchange(request.as_bytes()).unwrap();
    assert_allowed(&gateway, &response);
    let told = upstream.last();
    assert_eq!(
        told.fields.get("x-hangu-obligations"),
        Some("mask:resident-id, watermark:subject")
    );
    let record = gateway.audit().of_request(&response.request_id());
    assert_eq!(
        obligations(&record),
        r#"["mask:resident-id","watermark:subject"]"#
    );
    let plain = client.get("/plain/7").unwrap();
    assert_allowed(&gateway, &plain);
    assert_eq!(upstream.last().fields.get("x-hangu-obligations"), None);
    let record = gateway.audit().of_request(&plain.request_id());
    assert_eq!(obligations(&record), "null");
}

#[test]
fn a_permit_whose_obligation_nobody_carries_out_is_none() {
    let (gateway, upstream) = served();
    let response = gateway.client("clerk").get("/other/7").unwrap();
    assert_refused(&gateway, &response, 403, "application.obligation");
    let record = gateway.audit().of_request(&response.request_id());
    assert_eq!(field(&record, "rule"), "policy.csv:2");
    assert_eq!(obligations(&record), r#"["mask:phone"]"#);
    let elsewhere = gateway.client("clerk").named("calls.test");
    assert_eq!(elsewhere.get("/other/7").unwrap().status, 200);
    assert_eq!(upstream.count(), 1);
}

#[test]
fn a_step_up_asks_for_a_new_handshake_and_is_content_with_it() {
    let (gateway, upstream) = served();
    let client = gateway.client("clerk");
    let begun = now();
    let mut connection = client.connect().unwrap();
    assert_eq!(connection.get("/plain/7").unwrap().status, 200);
    wait_until("the handshake to be old", || now() > begun + 3);
    assert_eq!(connection.get("/plain/7").unwrap().status, 200);
    let response = connection.get("/fresh/7").unwrap();
    assert_refused(&gateway, &response, 403, "application.step_up");
    assert_eq!(response.fields.get("connection"), Some("close"));
    assert_eq!(upstream.count(), 2);
    assert_allowed(&gateway, &client.get("/fresh/7").unwrap());
}

#[test]
fn a_rule_can_ask_for_more_in_the_record() {
    let (gateway, _upstream) = served();
    for (path, noted) in [("/noted/7", "user_agent=probe; "), ("/plain/7", "")] {
        let request = format!("{}User-Agent: probe\r\n\r\n", head("GET", path));
        let response = gateway
            .client("clerk")
            .exchange(request.as_bytes())
            .unwrap();
        assert_allowed(&gateway, &response);
        let record = gateway.audit().of_request(&response.request_id());
        assert!(field(&record, "detail").starts_with(noted), "{record:#}");
        assert_eq!(field(&record, "detail").is_empty(), noted.is_empty());
    }
}

#[test]
fn a_rule_that_demands_what_no_application_carries_out_is_refused_at_load() {
    let (mut gateway, _upstream) = served();
    for (wrong, reason, what) in [
        (
            "resdent-id, ",
            "obligation",
            "a rule demands `mask:resdent-id`, which no application carries out",
        ),
        (
            "Resident, ",
            "policy",
            "policy.csv:1:1: `Resident` is no obligation `mask`",
        ),
    ] {
        let policy = POLICY.replace("resident-id, ", wrong);
        gateway.change_refused(|world| world.policy(&policy));
        gateway.wait_for_metric("hangu_policy_refused_total", &[("reason", reason)], 1.0);
        let checked = gateway.folder().check();
        let said = String::from_utf8_lossy(&checked.stderr).into_owned();
        assert!(said.contains(what), "{said}");
    }
}
