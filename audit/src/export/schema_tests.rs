//! What the public schemas demand of an event, held against one record of each kind: attributes that a class requires, numbers of its
//! enumerations, words of its lists, types of addresses.

use serde_json::{Value, json};

use super::*;

/// One record of each kind, with and without pseudonyms, as fields of its line.
fn records() -> Vec<Value> {
    let connection = json!({"listener": "edge", "client": "10.1.2.3:4242", "zone": "office", "channel": "TLSv1.3/h2",
        "subject": "wang.li", "certificate": "ab12", "serial": "3f", "issuer": "CN=ca"});
    let hidden = json!({"listener": "edge", "client": "p:5e1cbd9c9e0652a568db6f2d6290bf4b", "channel": "TLSv1.3/h2",
        "subject": "p:5e1cbd9c9e0652a568db6f2d6290bf4c", "certificate": "p:5e1cbd9c9e0652a568db6f2d6290bf4d", "serial": "p:5e1cbd9c9e0652a568db6f2d6290bf4e",
        "issuer": "CN=ca", "path_hash": "p:5e1cbd9c9e0652a568db6f2d6290bf4f"});
    let request = json!({"method": "GET", "path": "/residents/7", "request_id": "r1", "trace_id": "t1", "status": 200, "bytes_in": 1, "bytes_out": 17,
        "duration_us": 1812, "upstream": "10.0.0.9:8080", "application": "residents", "tenant": "civil", "route": "/residents",
        "rule": "policy.csv:2", "policy_digest": "cd34", "policy_generation": 7, "config_generation": 3, "label": "personal",
        "layers": {"endpoint": "pass"}, "purpose": "audit", "obligations": ["mask:id"], "mode": "enforced"});
    let unanswered = json!({"method": "PATCH", "path": "/a", "request_id": "r2"});
    let admin = json!({"actor": "root", "action": "revoke", "object": "serial:3f", "outcome": "revoked (stolen); 1 open connections end"});
    let refused =
        json!({"actor": "uid 1000", "action": "end sessions", "outcome": "refused: you may not"});
    [
        ("request", "allowed", vec![&connection, &request]),
        ("request", "denied", vec![&connection, &request]),
        ("request", "denied", vec![&hidden, &unanswered]),
        ("request", "aborted", vec![&connection, &unanswered]),
        ("end", "aborted", vec![&connection]),
        ("handshake", "refused", vec![&connection]),
        ("handshake", "refused", vec![&hidden]),
        ("connection", "aborted", vec![&connection]),
        ("admin", "", vec![&admin]),
        ("admin", "", vec![&refused]),
        ("start", "", vec![]),
        ("stop", "", vec![]),
        ("reload", "", vec![]),
        ("recovered", "", vec![]),
        ("dropped", "", vec![]),
        ("retention", "", vec![]),
        ("restored", "", vec![]),
    ]
    .into_iter()
    .map(|(kind, decision, parts)| {
        let mut record = json!({"v": 2, "seq": 12, "time": "2026-11-24T07:10:22.123Z", "kind": kind, "node": "gate-1", "boot": "b7",
            "decision": decision, "prev": "00", "hash": "ff"});
        for part in parts {
            let fields = part.as_object().unwrap().clone();
            record.as_object_mut().unwrap().extend(fields);
        }
        record
    })
    .collect()
}

fn exported(record: &Value, format: Format) -> Value {
    let text = export(&record.to_string(), format).unwrap();
    serde_json::from_str(&text).unwrap()
}

#[track_caller]
fn demand(event: &Value, pointers: &[&str]) {
    for pointer in pointers {
        let found = event.pointer(pointer);
        let is_there = match found {
            None | Some(Value::Null) => false,
            Some(Value::String(text)) => !text.is_empty(),
            Some(Value::Array(list)) => !list.is_empty(),
            Some(Value::Object(fields)) => !fields.is_empty(),
            Some(Value::Number(_) | Value::Bool(_)) => true,
        };
        assert!(is_there, "`{pointer}` is required: {event:#}");
    }
}

#[track_caller]
fn demand_address(event: &Value, pointer: &str) {
    if let Some(address) = event.pointer(pointer) {
        let address = address.as_str().unwrap();
        assert!(address.parse::<IpAddr>().is_ok(), "`{pointer}`: {address}");
    }
}

/// OCSF 1.3: `events/`, `objects/`, `profiles/security_control` and `profiles/host` of its schema.
#[test]
fn every_kind_has_what_its_ocsf_class_requires() {
    for record in records() {
        let event = exported(&record, Format::Ocsf);
        base_event(&event);
        match number(&event, "class_uid") {
            4001 => {}
            4002 => demand(&event, &["/http_request"]),
            6002 => demand(&event, &["/app/name", "/app/vendor_name"]),
            6003 => demand(
                &event,
                &["/actor/user/name", "/api/operation", "/src_endpoint"],
            ),
            other => panic!("class {other}"),
        }
        security_control(&event);
        objects(&event);
    }
}

#[track_caller]
fn number(event: &Value, name: &str) -> u64 {
    event[name].as_u64().unwrap()
}

fn base_event(event: &Value) {
    let (class, activity) = (number(event, "class_uid"), number(event, "activity_id"));
    demand(
        event,
        &[
            "/metadata/version",
            "/metadata/product/name",
            "/metadata/product/vendor_name",
            "/time",
            "/device/type_id",
            "/device/hostname",
            // What is not in the enumeration is named.
            "/activity_name",
        ],
    );
    assert_eq!(number(event, "category_uid"), class / 1_000);
    assert_eq!(number(event, "type_uid"), class * 100 + activity);
    assert!((1..=6).contains(&number(event, "severity_id")));
    assert!((1..=2).contains(&number(event, "status_id")));
    let most = match class {
        4001 => 7,
        6003 => 4,
        _ => 8,
    };
    assert!(
        activity == 99 || (1..=most).contains(&activity),
        "{event:#}"
    );
}

fn security_control(event: &Value) {
    let profiles = event["metadata"]["profiles"].as_array().unwrap();
    let decides = profiles
        .iter()
        .any(|profile| *profile == "security_control");
    assert_eq!(decides, number(event, "category_uid") == 4);
    assert_eq!(decides, event.get("action_id").is_some());
    if decides {
        assert!(number(event, "action_id") <= 2, "{event:#}");
        assert!(number(event, "disposition_id") <= 27, "{event:#}");
        demand(event, &["/src_endpoint"]);
    }
}

/// Objects that are there are whole.
fn objects(event: &Value) {
    for (object, required) in [
        ("/http_response", &["/code"][..]),
        ("/tls", &["/version"]),
        (
            "/tls/certificate",
            &[
                "/fingerprints/0/algorithm_id",
                "/fingerprints/0/value",
                "/issuer",
                "/serial_number",
            ],
        ),
        ("/firewall_rule", &["/name"]),
        ("/resources/0", &["/name"]),
    ] {
        if let Some(object) = event.pointer(object) {
            demand(object, required);
        }
    }
    for endpoint in ["/src_endpoint/ip", "/dst_endpoint/ip"] {
        demand_address(event, endpoint);
    }
}

/// ECS 8.11: the allowed values of `event.category`, and which `event.type` each expects.
#[test]
fn every_kind_keeps_to_the_words_of_ecs() {
    let expected = |category: &str| -> &[&str] {
        match category {
            "configuration" => &["access", "change", "creation", "deletion", "info"],
            "host" => &["access", "change", "end", "info", "start"],
            "iam" => &[
                "admin", "change", "creation", "deletion", "group", "info", "user",
            ],
            "network" => &[
                "access",
                "allowed",
                "connection",
                "denied",
                "end",
                "info",
                "protocol",
                "start",
            ],
            "process" => &["access", "change", "end", "info", "start"],
            "web" => &["access", "error", "info"],
            other => panic!("no category of the schema: {other}"),
        }
    };
    for record in records() {
        let event = exported(&record, Format::Ecs);
        demand(
            &event,
            &[
                "/@timestamp",
                "/ecs/version",
                "/event/kind",
                "/event/action",
                "/event/outcome",
            ],
        );
        let words = |name: &str| -> Vec<String> {
            let list = event["event"][name].as_array().unwrap();
            list.iter()
                .map(|word| word.as_str().unwrap().to_owned())
                .collect()
        };
        let categories = words("category");
        for kind in words("type") {
            let fits = categories
                .iter()
                .any(|category| expected(category).contains(&kind.as_str()));
            assert!(fits, "{kind} in {categories:?}: {event:#}");
        }
        let outcome = event["event"]["outcome"].as_str().unwrap();
        assert!(["success", "failure", "unknown"].contains(&outcome));
        demand_address(&event, "/source/ip");
        demand_address(&event, "/client/ip");
        if record["kind"] == "admin" {
            assert_eq!(event["user"]["name"], record["actor"]);
            assert_eq!(event["event"]["action"], record["action"]);
            assert_eq!(event["hangu"]["outcome"], record["outcome"]);
        }
    }
    let request = exported(&records()[0], Format::Ecs);
    assert_eq!(request["tls"]["client"]["hash"]["sha256"], "AB12");
}

/// Keys of the extension dictionary of CEF 0.
#[test]
fn every_kind_keeps_to_the_dictionary_of_cef() {
    const KEYS: [&str; 35] = [
        "rt",
        "dvchost",
        "externalId",
        "cat",
        "act",
        "outcome",
        "reason",
        "src",
        "spt",
        "shost",
        "suser",
        "requestMethod",
        "request",
        "destinationServiceName",
        "app",
        "in",
        "out",
        "msg",
        "c6a2",
        "c6a2Label",
        "cs1",
        "cs1Label",
        "cs2",
        "cs2Label",
        "cs3",
        "cs3Label",
        "cs4",
        "cs4Label",
        "cs5",
        "cs5Label",
        "cs6",
        "cs6Label",
        "cn1",
        "cn1Label",
        "dst",
    ];
    for record in records() {
        let line = export(&record.to_string(), Format::Cef).unwrap();
        let extension = line.splitn(8, '|').nth(7).unwrap();
        // A key stands before its equals sign, behind a space.
        for part in extension.split(' ') {
            if let Some((key, value)) = part.split_once('=') {
                assert!(KEYS.contains(&key), "{key} in {line}");
                assert!(
                    key != "src" || value.parse::<std::net::Ipv4Addr>().is_ok(),
                    "{line}"
                );
            }
        }
        if record["kind"] == "admin" {
            let actor = record["actor"].as_str().unwrap();
            for part in [
                format!("suser={actor}"),
                format!("act={}", record["action"].as_str().unwrap()),
            ] {
                assert!(extension.contains(&part), "{part}: {line}");
            }
        }
    }
}

/// RFC 5424 section 6.3: a quotation mark, a backslash and a closing bracket of a value stand behind a backslash, and nothing else does.
#[test]
fn structured_data_of_admin_records_is_escaped() {
    let record = json!({"seq": 1, "time": "2026-11-24T07:10:22.123Z", "kind": "admin", "node": "gate-1", "boot": "b7",
        "actor": "o\"p", "action": "revoke", "object": "subject:a]b\\c", "outcome": "done"});
    let message = export(&record.to_string(), Format::Rfc5424).unwrap();
    let start = "<110>1 2026-11-24T07:10:22.123Z gate-1 hangu b7 admin \
                 [hangu@32473 seq=\"1\" actor=\"o\\\"p\" action=\"revoke\" object=\"subject:a\\]b\\\\c\" outcome=\"done\"] {";
    assert!(message.starts_with(start), "{message}");
}
