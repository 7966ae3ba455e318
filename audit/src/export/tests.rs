//! What an analyst's tools are told, and what no value can make them believe.

use super::*;

/// A record with `text` wherever a client has a say.
fn line(text: &str) -> String {
    let text = serde_json::Value::from(text);
    format!(
        "{{\"v\":2,\"seq\":12,\"time\":\"2026-11-24T07:10:22.123Z\",\"kind\":\"request\",\"node\":\"gate-1\",\"boot\":\"b7\",\
         \"request_id\":\"r1\",\"trace_id\":\"t1\",\"decision\":\"denied\",\"reason\":\"network.rate_limited\",\
         \"layers\":{{\"endpoint\":\"pass\",\"edge\":\"pass\",\"network\":\"refuse\",\"cloud\":\"not_reached\",\
         \"data\":\"not_reached\",\"application\":\"not_reached\"}},\"listener\":\"edge\",\"client\":\"[2001:db8::1]:4242\",\
         \"zone\":\"office\",\"channel\":\"TLSv1.3/h2\",\"subject\":{text},\"certificate\":\"ab12\",\"serial\":\"3f\",\
         \"issuer\":{text},\"application\":\"residents\",\"tenant\":\"civil\",\"route\":\"/residents\",\"label\":\"personal\",\
         \"method\":\"GET\",\"path\":{text},\"query_keys\":[\"page\"],\"status\":429,\"bytes_in\":0,\"bytes_out\":17,\
         \"duration_us\":812,\"upstream\":\"10.0.0.9:8080\",\"config_generation\":3,\"policy_generation\":7,\
         \"policy_digest\":\"cd34\",\"detail\":{text},\"prev\":\"00\",\"hash\":\"ff\"}}"
    )
}

#[test]
fn every_format_says_who_did_what_and_what_came_of_it() {
    for (format, pieces) in [
        (
            Format::Ocsf,
            &[
                "\"class_uid\":4002",
                "\"type_uid\":400203",
                "\"time\":1795504222123",
                "\"action_id\":2",
                "\"status_detail\":\"network.rate_limited\"",
                "\"http_method\":\"GET\"",
                "\"code\":429",
                "\"ip\":\"2001:db8::1\"",
                "\"port\":4242",
                "\"sequence\":12",
            ][..],
        ),
        (
            Format::Ecs,
            &[
                "\"@timestamp\":\"2026-11-24T07:10:22.123Z\"",
                "\"outcome\":\"failure\"",
                "\"status_code\":429",
                "\"duration\":812000",
                "\"ip\":\"2001:db8::1\"",
                "\"sequence\":12",
            ],
        ),
        (
            Format::Cef,
            &[
                "CEF:0|Hangu|hangu|",
                "|network.rate_limited|request denied|5|",
                "rt=1795504222123",
                "c6a2=2001:db8::1",
                "spt=4242",
                "requestMethod=GET",
            ],
        ),
        (
            Format::Rfc5424,
            &[
                "<109>1 2026-11-24T07:10:22.123Z gate-1 hangu b7 request [hangu@32473 seq=\"12\" decision=\"denied\"",
                "] {\"v\":2",
            ],
        ),
    ] {
        let line = export(&line("wang.li"), format).unwrap();
        for piece in pieces {
            assert!(line.contains(piece), "{format:?}: {piece} in {line}");
        }
        assert!(line.matches("wang.li").count() >= 2, "{line}");
    }
}

#[test]
fn hostile_values_forge_no_field_and_no_line_in_any_format() {
    for text in [
        "a\nCEF:0|x|y|z|1|2|3|act=allowed",
        "x|y\\|z act=allowed src=1.2.3.4",
        "a\" decision=\"allowed\"] [b c=\"d",
        "\",\"decision\":\"allowed",
        "\u{1b}[2J\u{85}\u{2028}\u{202e}\u{feff}\u{e0041}",
    ] {
        let line = line(text);
        for (word, format) in Format::ALL {
            let exported = export(&line, format).unwrap();
            if format != Format::Native {
                assert!(!exported.contains(is_hidden), "{word}: {exported}");
            }
            match format {
                Format::Ocsf | Format::Ecs => {
                    let value: serde_json::Value = serde_json::from_str(&exported).unwrap();
                    let user = if format == Format::Ocsf {
                        &value["actor"]["user"]["name"]
                    } else {
                        &value["user"]["name"]
                    };
                    assert_eq!(user, text);
                }
                Format::Cef => {
                    assert_eq!(unescaped(&exported, '|'), 7, "{exported}");
                    assert_eq!(exported.matches(" act=denied ").count(), 1, "{exported}");
                    assert!(
                        !exported.contains(" act=allowed") && !exported.contains(" src=1"),
                        "{exported}"
                    );
                }
                Format::Rfc5424 => {
                    let (data, message) = exported.split_once("] {").unwrap();
                    assert_eq!(unescaped(data, '"') % 2, 0, "{data}");
                    assert_eq!(unescaped(data, ']'), 0, "{data}");
                    assert!(line.ends_with(message) || text.contains('\u{1b}'));
                }
                Format::Native => assert_eq!(exported, line),
            }
        }
    }
}

/// How often `character` stands without a backslash before it.
fn unescaped(text: &str, character: char) -> usize {
    let (mut count, mut escaped) = (0, false);
    for found in text.chars() {
        count += usize::from(found == character && !escaped);
        escaped = found == '\\' && !escaped;
    }
    count
}

#[test]
fn every_kind_has_a_class_of_its_own() {
    for (kind, decision, class, activity) in [
        ("request", "allowed", 4002, 99),
        ("handshake", "refused", 4001, 5),
        ("connection", "refused", 4001, 5),
        ("start", "", 6002, 3),
        ("stop", "", 6002, 4),
        ("reload", "", 6002, 99),
        ("admin", "", 6003, 99),
        ("recovered", "", 6002, 99),
        ("dropped", "", 6002, 99),
    ] {
        let line = format!(
            "{{\"seq\":1,\"time\":\"2026-11-24T07:10:22.123Z\",\"kind\":\"{kind}\",\"decision\":\"{decision}\",\"method\":\"BREW\"}}"
        );
        let event: serde_json::Value =
            serde_json::from_str(&export(&line, Format::Ocsf).unwrap()).unwrap();
        assert_eq!(
            (&event["class_uid"], &event["activity_id"]),
            (&class.into(), &activity.into()),
            "{kind}"
        );
        assert_eq!(event["type_uid"], class * 100 + activity);
        assert_eq!(event["category_uid"], class / 1000);
    }
    assert!(export("{", Format::Cef).is_err());
}

#[test]
fn addresses_are_parted_from_their_ports() {
    for (client, parts) in [
        ("10.1.2.3:4242", ("10.1.2.3", Some(4242))),
        ("[2001:db8::1]:4242", ("2001:db8::1", Some(4242))),
        ("2001:db8::1", ("2001:db8::1", None)),
        ("10.1.2.3", ("10.1.2.3", None)),
        ("", ("", None)),
    ] {
        assert_eq!(address_and_port(client), parts);
    }
}
