//! No value, whatever it holds, can forge a line, break one, or make one too long.

use std::borrow::Cow;
use std::sync::Arc;

use proptest::prelude::*;
use tempfile::TempDir;

use super::disk::Failing;
use super::{at, event, origin};
use crate::encode::body;
use crate::*;

/// A record with every field filled by `text`.
fn full(text: &str) -> Record {
    let own = || text.to_owned();
    Record {
        kind: Kind::Request,
        basis: Some(Arc::new(Basis {
            config_generation: 3,
            policy_epoch: 4,
            policy_generation: u64::MAX,
            policy_digest: own(),
        })),
        connection: Some(Arc::new(Connection {
            listener: own(),
            client: own(),
            zone: own(),
            channel: own(),
            subject: own(),
            organisation: own(),
            device: own(),
            certificate: own(),
            serial: own(),
            issuer: own(),
            proved_at: 6,
        })),
        target: Some(Arc::new(Target {
            application: own(),
            tenant: own(),
            route: own(),
            label: own(),
            policy_context: 2,
        })),
        exchange: Some(Exchange {
            request_id: own(),
            trace_id: own(),
            method: Cow::Owned(own()),
            path: own(),
            path_hash: own(),
            query_keys: vec![own(); 3],
            purpose: own(),
            approval: own(),
            status: Some(200),
            bytes_in: 1,
            bytes_out: u64::MAX,
            duration_us: 1_234,
            upstream: Some(text.into()),
        }),
        judgement: Some(judgement(text)),
        monotonic_us: 9,
        admin: Some(Box::new(Admin {
            actor: own(),
            action: own(),
            object: own(),
            outcome: own(),
        })),
        origin: Arc::new(Origin {
            node: own(),
            boot: own(),
        }),
        ..event(text)
    }
}

fn judgement(text: &str) -> Judgement {
    Judgement {
        decision: Decision::Denied,
        reason: Some(Cow::Owned(text.to_owned())),
        rule: Some(text.into()),
        layers: [
            Step::Pass,
            Step::Pass,
            Step::Refuse,
            Step::NotReached,
            Step::NotReached,
            Step::NotReached,
        ],
        mode: Mode::Shadow,
        decided_at: 8,
        inputs: Some(
            ["posture", "hour"]
                .map(|name| (name.into(), text.into()))
                .into(),
        ),
        overridden: vec![text.into(); 2],
        obligations: vec![text.into(); 2],
        mask_hits: 5,
        shadow: Some(Box::new(Shadow {
            decision: Decision::Allowed,
            rule: Some(text.into()),
            policy: text.into(),
        })),
    }
}

fn written(record: &Record) -> String {
    let mut out = Vec::new();
    body(record, 7, None, &mut out);
    out.push(b'}');
    String::from_utf8(out).unwrap()
}

fn texts(entry: &Entry) -> Vec<&String> {
    let Entry {
        node,
        boot,
        request_id,
        trace_id,
        reason,
        rule,
        listener,
        client,
        zone,
        channel,
        ..
    } = entry;
    let Entry {
        subject,
        certificate,
        serial,
        issuer,
        application,
        tenant,
        route,
        label,
        ..
    } = entry;
    let Entry {
        method,
        path,
        upstream,
        policy_digest,
        detail,
        query_keys,
        ..
    } = entry;
    let Entry {
        organisation,
        device,
        path_hash,
        purpose,
        approval,
        shadow_rule,
        shadow_policy,
        actor,
        action,
        object,
        outcome,
        inputs,
        overridden,
        obligations,
        ..
    } = entry;
    let mut all = vec![
        node, boot, request_id, trace_id, reason, rule, listener, client, zone, channel,
    ];
    all.extend([
        subject,
        certificate,
        serial,
        issuer,
        application,
        tenant,
        route,
        label,
    ]);
    all.extend([method, path, upstream, policy_digest, detail]);
    all.extend(query_keys);
    all.extend([organisation, device, path_hash, purpose, approval]);
    all.extend([shadow_rule, shadow_policy, actor, action, object, outcome]);
    all.extend(inputs.values());
    all.extend(overridden.iter().chain(obligations));
    all
}

#[test]
fn a_request_is_one_flat_object_in_a_fixed_order() {
    let mut record = full("x");
    record.exchange.as_mut().unwrap().query_keys = vec!["page".into(), "size".into()];
    assert_eq!(
        written(&record),
        "{\"v\":2,\"seq\":7,\"time\":\"2026-11-24T07:10:22.000Z\",\"monotonic_us\":9,\"kind\":\"request\",\"node\":\"x\",\"boot\":\"x\",\
         \"request_id\":\"x\",\"trace_id\":\"x\",\"decision\":\"denied\",\"reason\":\"x\",\"rule\":\"x\",\
         \"layers\":{\"endpoint\":\"pass\",\"edge\":\"pass\",\"network\":\"refuse\",\"cloud\":\"not_reached\",\
         \"data\":\"not_reached\",\"application\":\"not_reached\"},\"mode\":\"shadow\",\"decided_at\":8,\"inputs\":{\"posture\":\"x\",\"hour\":\"x\"},\
         \"overridden\":[\"x\",\"x\"],\"obligations\":[\"x\",\"x\"],\"mask_hits\":5,\"shadow_decision\":\"allowed\",\"shadow_rule\":\"x\",\"shadow_policy\":\"x\",\
         \"listener\":\"x\",\"client\":\"x\",\"zone\":\"x\",\
         \"channel\":\"x\",\"subject\":\"x\",\"organisation\":\"x\",\"device\":\"x\",\"certificate\":\"x\",\"serial\":\"x\",\"issuer\":\"x\",\"proved_at\":6,\
         \"application\":\"x\",\"tenant\":\"x\",\"route\":\"x\",\"label\":\"x\",\"policy_context\":2,\"method\":\"x\",\"path\":\"x\",\"path_hash\":\"x\",\
         \"query_keys\":[\"page\",\"size\"],\"purpose\":\"x\",\"approval\":\"x\",\"status\":200,\"bytes_in\":1,\"bytes_out\":18446744073709551615,\
         \"duration_us\":1234,\"upstream\":\"x\",\"config_generation\":3,\"policy_epoch\":4,\"policy_generation\":18446744073709551615,\
         \"policy_digest\":\"x\",\"actor\":\"x\",\"action\":\"x\",\"object\":\"x\",\"outcome\":\"x\",\"detail\":\"x\"}"
    );
}

#[test]
fn an_event_has_only_what_it_has() {
    assert_eq!(
        written(&Record::event(Kind::Start, at(0), origin(), "")),
        "{\"v\":2,\"seq\":7,\"time\":\"2026-11-24T07:10:22.000Z\",\"kind\":\"start\",\"node\":\"gate-1\",\"boot\":\"b7\"}"
    );
}

#[test]
fn hostile_values_stay_inside_their_field() {
    for text in [
        "\",\"decision\":\"allowed",
        "a\nb\r\nc\0d\u{7f}",
        "\u{1b}[2J\u{9b}31m",
        "next\u{85}line\u{2028}and\u{2029}paragraph",
        "\u{202e}gnp.exe\u{2066}\u{200b}\u{feff}",
        "\\u0022\\\\\"",
        "\u{e0041}\u{10ffff}户籍",
        &String::from_utf8_lossy(b"\xff\xfe\xc3\x28/..%00"),
    ] {
        let line = written(&full(text));
        let splits = |character: char| {
            character.is_control() || "\u{2028}\u{2029}\u{202e}\u{feff}".contains(character)
        };
        assert!(!line.contains(splits), "{text:?}");
        let entry = Entry::parse(&line).unwrap();
        assert!(
            texts(&entry).iter().all(|found| *found == text),
            "{text:?} in {line}"
        );
        assert_eq!((entry.decision.as_str(), entry.cut.len()), ("denied", 0));
        assert!(!entry.render().contains(splits), "{text:?}");
    }
}

#[test]
fn the_longest_record_fits_its_line_and_says_what_was_cut() {
    for unit in ["\u{1}", "\u{e0001}", "a", "户", "\""] {
        let text = unit.repeat(64 * 1024 / unit.len());
        let mut record = full(&text);
        record.exchange.as_mut().unwrap().query_keys = vec![text.clone(); 1_000];
        let judgement = record.judgement.as_mut().unwrap();
        let many = (0..1_000).map(|at| (format!("{at}{text}").into(), text.as_str().into()));
        judgement.inputs = Some(many.collect());
        judgement.overridden = vec![text.as_str().into(); 1_000];
        judgement.obligations = vec![text.as_str().into(); 1_000];
        let dir = TempDir::new().unwrap();
        let mut log = Failing::new().log(dir.path(), u64::MAX);
        log.append(&record).unwrap();
        assert!(
            log.pending_bytes() <= LINE_BYTES_MAX,
            "{} bytes",
            log.pending_bytes()
        );
        log.close().unwrap();
        assert_eq!(verify(dir.path(), |_| {}).unwrap().records, 1);

        let entry = Entry::parse(&super::lines(dir.path())[0]).unwrap();
        assert_eq!(entry.cut.len(), 38, "each field once: {:?}", entry.cut);
        assert!(entry.path.len() > PATH_BYTES_MAX - 4 && entry.path.len() <= PATH_BYTES_MAX);
        assert_eq!(entry.query_keys.len(), QUERY_KEYS_MAX);
        assert!(
            texts(&entry)
                .iter()
                .all(|found| text.starts_with(*found) && !found.is_empty())
        );
    }
}

#[test]
fn a_value_at_its_bound_is_whole_and_a_byte_more_is_told() {
    for (length, cut) in [(PATH_BYTES_MAX, 0), (PATH_BYTES_MAX + 1, 1)] {
        let mut record = full("x");
        record.exchange.as_mut().unwrap().path = "p".repeat(length);
        let entry = Entry::parse(&written(&record)).unwrap();
        assert_eq!((entry.path.len(), entry.cut.len()), (PATH_BYTES_MAX, cut));
    }
}

#[test]
fn a_record_reads_well() {
    let mut record = full("");
    record.connection = Some(Arc::new(Connection {
        subject: "wang.li".into(),
        client: "10.1.2.3:4242".into(),
        ..Default::default()
    }));
    let exchange = record.exchange.as_mut().unwrap();
    (exchange.method, exchange.path) = ("GET".into(), "/residents/42".into());
    (exchange.status, exchange.request_id) = (Some(429), "r1".into());
    record.judgement.as_mut().unwrap().reason = Some("network.rate_limited".into());
    assert_eq!(
        render(&written(&record)).unwrap(),
        "2026-11-24T07:10:22.000Z DENIED   端✓ 边✓ 网✗ 云· 数· 用· wang.li 10.1.2.3:4242 GET /residents/42 → 429 \
         network.rate_limited 1.234ms [r1]"
    );
    assert_eq!(
        render(&written(&Record::event(
            Kind::Start,
            at(0),
            origin(),
            "version 0.1.0"
        )))
        .unwrap(),
        "2026-11-24T07:10:22.000Z START    version 0.1.0"
    );
    assert!(
        render("not a record")
            .unwrap_err()
            .to_string()
            .contains("hangu audit verify")
    );
}

proptest! {
    #[test]
    fn whatever_is_written_is_read_back(text in "\\PC{1,40}|[\\x00-\\xff]{1,60}|.{1,30}", detail in ".{0,80}") {
        let mut record = full(&text);
        record.detail.clone_from(&detail);
        record.exchange.as_mut().unwrap().query_keys = vec!["k".into()];
        let entry = Entry::parse(&written(&record)).unwrap();
        prop_assert_eq!(&entry.detail, &detail);
        prop_assert_eq!(entry.seq, 7);
        prop_assert_eq!(entry.layers.unwrap().network, "refuse");
        for found in [&entry.subject, &entry.path, &entry.reason, &entry.upstream, &entry.boot, &entry.method] {
            if text.len() <= WORD_BYTES_MAX {
                prop_assert_eq!(found, &text);
            }
        }
    }
}
