//! A record has everything: what the SOC asks for, and what a decision can be made again from.

use hangu_certs::{ClientRequest, SpiffeId, Validity};
use hangu_tests::{Answer, RunningGateway, TestUpstream, now, wait_until};
use serde_json::Value;

use crate::support::{field, gateway, records};

/// Reads every fact that a request can have.
const MODEL: &str = r#"
[request_definition]
r = sub, dom, obj, act, label, zone, device, purpose, address, app, time
[policy_definition]
p = sub, dom, obj, act, purpose, network
[role_definition]
g = _, _, _
g2 = _, _
[policy_effect]
e = some(where (p.eft == allow))
[matchers]
m = g(r.sub, p.sub, r.dom) && r.dom == p.dom && keyMatch2(r.obj, p.obj) && r.act == p.act && r.purpose == p.purpose && ipMatch(r.address, p.network) && r.time > 1700000000 && r.zone == "bureau" && r.label == "internal" && r.app == "records" && r.device == "laptop" && r.sub.posture >= 60 && r.sub.organisation == "Tax" && r.sub.grade == "high"
"#;
const POLICY: &str = "\
p, clerk, civil, /residents/:id, GET, audit, 127.0.0.0/8
p, clerk, civil, /户籍/:id,      GET, audit, 127.0.0.0/8
p, clerk, civil, /far/:id,       GET, audit, 10.0.0.0/8
g, spiffe://gov.test/clerk, clerk, civil
g2, clerk, sensitive
g2, sensitive, internal
g2, internal, public
";

fn start() -> (RunningGateway, TestUpstream) {
    let upstream = TestUpstream::answering(|_| Answer::ok("the records"));
    let identity = "[identity]\ndirectory = \"people.csv\"\norganisation = \"{subject.o}\"\n\
         [identity.attributes]\ngrade = \"{subject.cn}\"";
    let folder = gateway()
        .records(upstream.address())
        .model(MODEL)
        .policy(POLICY)
        .table(identity)
        .table("[purpose]\nheader = \"X-Purpose\"\nnames = [\"audit\", \"statistics\"]")
        .prepare();
    let measured = time::OffsetDateTime::from_unix_timestamp(now() - 60).unwrap();
    let measured = measured
        .format(&time::format_description::well_known::Rfc3339)
        .unwrap();
    folder.write(
        "people.csv",
        &format!(
            "match,device_class,posture,posture_at\nspiffe://gov.test/clerk,laptop,80,{measured}\n"
        ),
    );
    (folder.start(), upstream)
}

/// Asks as the clerk of an organisation and a grade.
fn ask(
    gateway: &RunningGateway,
    (organisation, grade): (&str, &str),
    path: &str,
    purpose: &str,
) -> Value {
    let mut request = ClientRequest::spiffe(
        &SpiffeId::parse("spiffe://gov.test/clerk").unwrap(),
        Validity::days(now() - 60, 1),
    );
    request.organisation = Some(organisation.to_owned());
    request.common_name = Some(grade.to_owned());
    let client = gateway.client_with(Some(&gateway.pki().client_of(&request)));
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: records.test\r\nX-Purpose: {purpose}\r\n\
         traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n\r\n"
    );
    let response = client.exchange(request.as_bytes()).unwrap();
    gateway.audit().of_request(&response.request_id())
}

#[test]
fn the_record_of_a_request_has_every_field() {
    let (gateway, _upstream) = start();
    let record = ask(
        &gateway,
        ("Tax", "high"),
        "/residents/7?page=2&name=Li",
        "audit",
    );
    for (name, value) in [
        ("kind", "request"),
        ("trace_id", "0af7651916cd43dd8448eb211c80319c"),
        ("tenant", "civil"),
        ("application", "records"),
        ("route", "/"),
        ("zone", "bureau"),
        ("channel", "TLSv1.3/http/1.1"),
        ("listener", "edge"),
        ("subject", "spiffe://gov.test/clerk"),
        ("organisation", "Tax"),
        ("device", "laptop"),
        ("method", "GET"),
        ("path", "/residents/7"),
        ("purpose", "audit"),
        ("label", "internal"),
        ("decision", "allowed"),
        ("mode", "enforced"),
        ("rule", "policy.csv:1"),
    ] {
        assert_eq!(field(&record, name), value, "{name}: {record:#}");
    }
    for (name, length) in [
        ("certificate", 64),
        ("policy_digest", 64),
        ("prev", 64),
        ("hash", 64),
        ("request_id", 32),
    ] {
        assert_eq!(field(&record, name).len(), length, "{name}: {record:#}");
    }
    for name in [
        "node", "boot", "serial", "issuer", "client", "upstream", "time",
    ] {
        assert!(!field(&record, name).is_empty(), "{name}: {record:#}");
    }
    for name in [
        "v",
        "seq",
        "monotonic_us",
        "config_generation",
        "policy_generation",
        "duration_us",
    ] {
        assert!(record[name].as_u64() > Some(0), "{name}: {record:#}");
    }
    assert_eq!(record["query_keys"], serde_json::json!(["page", "name"]));
    assert_eq!(
        (&record["status"], &record["bytes_out"]),
        (&200.into(), &11.into())
    );
    assert_eq!(record["bytes_in"], 0);
    assert_eq!(
        record["inputs"],
        serde_json::json!({"posture": "80", "grade": "high"})
    );
    assert!(is_recent(&record, "proved_at") && is_recent(&record, "decided_at"));
    let layers = record["layers"].as_object().unwrap();
    assert!(
        layers.len() == 6 && layers.values().all(|step| step == "pass"),
        "{layers:?}"
    );
}

/// Whether a field is a second of the last minute.
fn is_recent(record: &Value, name: &str) -> bool {
    let second = record[name].as_i64().unwrap();
    (now() - 60..=now()).contains(&second)
}

#[test]
fn every_decision_can_be_made_again_from_its_record() {
    let (gateway, _upstream) = start();
    let tax = ("Tax", "high");
    let asked = [
        (tax, "/residents/7", "audit", "allowed"),
        (tax, "/residents/%37", "audit", "allowed"),
        (tax, "/%E6%88%B7%E7%B1%8D/7", "audit", "allowed"),
        (tax, "/residents/7", "statistics", "denied"),
        (tax, "/far/7", "audit", "denied"),
        (("Land", "high"), "/residents/7", "audit", "denied"),
        (("Tax", "low"), "/residents/7", "audit", "denied"),
    ];
    let mut ids = Vec::new();
    for (caller, path, purpose, decision) in asked {
        let record = ask(&gateway, caller, path, purpose);
        assert_eq!(field(&record, "decision"), decision, "{record:#}");
        ids.push(field(&record, "request_id").to_owned());
    }
    let folder = gateway.into_folder();
    let path = |name: &str| folder.path(name).display().to_string();
    for ((_, asked_for, _, decision), id) in asked.iter().zip(&ids) {
        let explained = folder.hangu(&[
            "policy",
            "explain",
            "--json",
            "--audit",
            &path("audit"),
            "--request-id",
            id,
            "--model",
            &path("policy/model.conf"),
            "--policy",
            &path("policy/policy.csv"),
        ]);
        let found: Value = serde_json::from_slice(&explained.stdout)
            .unwrap_or_else(|error| panic!("{error}: {explained:?}"));
        let expected = match *decision {
            "allowed" => ("allow", 0),
            _ => ("deny", 1),
        };
        let answer = found["decision"].as_str().unwrap();
        let answer = (answer, explained.status.code().unwrap());
        assert_eq!(answer, expected, "{asked_for}: {found:#}");
        assert_eq!(found["error"], Value::Null, "{asked_for}: {found:#}");
        assert_eq!(found["request"]["sub.posture"], "80", "{found:#}");
    }
    let replayed = folder.hangu(&[
        "policy",
        "replay",
        "--json",
        "--audit",
        &path("audit"),
        "--model",
        &path("policy/model.conf"),
        "--policy",
        &path("policy/policy.csv"),
    ]);
    let found: Value = serde_json::from_slice(&replayed.stdout)
        .unwrap_or_else(|error| panic!("{error}: {replayed:?}"));
    assert_eq!(found["decided"], asked.len(), "{found:#}");
    assert_eq!(
        (&found["gained"], &found["lost"], &found["undecidable"]),
        (&0.into(), &0.into(), &0.into()),
        "{found:#}"
    );
    assert_eq!(replayed.status.code(), Some(0));
}

#[test]
fn hostile_bytes_come_into_the_log_as_escapes_or_not_at_all() {
    let (mut gateway, _upstream) = records();
    let long = "k".repeat(64 * 1024);
    let ask = |target: &[u8], fields: &[u8]| {
        let head: [&[u8]; 6] = [
            b"GET ",
            target,
            b" HTTP/1.1\r\nHost: records.test\r\n",
            fields,
            b"\r\n",
            b"\r\n",
        ];
        head.concat()
    };
    let hostile = [
        ask(b"/a\x01\x1b[2Jb", b"A: b"),
        ask(b"/%0d%0a%1b%5b2J", b"A: b"),
        ask(b"/\xff\xfe?\xc3\x28=1", b"A: b"),
        ask(b"/sealed/?%0a{\"seq\":1}%e2%80%ae=x", b"A: b"),
        ask(
            format!("/sealed/?{}=1", "k".repeat(4_000)).as_bytes(),
            b"A: b",
        ),
        ask(b"/sealed/1", b"traceparent: 00-\xff\xfe-\x80-01"),
        ask(b"/sealed/1", format!("A: {long}").as_bytes()),
        ask(b"/sealed/1", b"A: b\x07\x00"),
    ];
    for request in &hostile {
        // An answer, or an end of the connection: what counts is the record.
        let _answer = gateway.client("clerk").exchange(request);
    }
    wait_until("a record of each", || {
        let records = gateway.audit().records();
        let refused = |record: &&Value| field(record, "decision") == "denied";
        records.iter().filter(refused).count() == hostile.len()
    });
    gateway.signal("TERM");
    assert_eq!(gateway.wait_for_end().status.code(), Some(0));
    hangu_audit::verify(gateway.audit().folder(), |_| ()).unwrap();
    for segment in gateway.audit().segments() {
        let text = std::fs::read_to_string(segment).unwrap();
        for line in text.lines() {
            assert!(line.starts_with("{\"v\":2,\"seq\":") && line.ends_with("\"}"));
            assert!(!line.contains(|c: char| c.is_control() || c == '\u{202e}'));
            let shown = hangu_audit::render(line).unwrap();
            assert!(!shown.contains(char::is_control), "{shown}");
        }
    }
}
