//! The corpus of `tests/corpus/`, every case over a real socket: raw requests, paths and header fields, each with the answer that
//! it must get. What is refused never reaches the application, and what is not arrives as it was judged.

use std::collections::HashMap;
use std::path::Path;

use hangu_tests::{
    Client, ClientConnection, RawH2, RawH2Answer, Response, RunningGateway, TestUpstream, frame,
    header_block, wait_until,
};

use crate::support::{field, gateway, head, records};

/// One line of a file: what must come of it, what is sent, and why.
struct Case {
    answer: String,
    sent: String,
    why: String,
}

fn cases(file: &str) -> Vec<Case> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpus")
        .join(file);
    let text = std::fs::read_to_string(path).unwrap();
    let lines = text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with("# ") && *line != "#");
    lines
        .map(|line| {
            let (answer, rest) = line.split_once(" | ").expect(line);
            let (sent, why) = rest.rsplit_once(" | ").expect(line);
            Case {
                answer: answer.to_owned(),
                sent: sent.to_owned(),
                why: why.to_owned(),
            }
        })
        .collect()
}

/// `\r`, `\n`, `\t`, `\\` and `\xNN` as bytes.
fn unescaped(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        bytes.push(match rest.next().unwrap() {
            b'r' => b'\r',
            b'n' => b'\n',
            b't' => b'\t',
            b'x' => hexadecimal(&mut rest) * 16 + hexadecimal(&mut rest),
            other => other,
        });
    }
    bytes
}

fn id_of(response: &Response) -> Option<String> {
    response.fields.get("x-hangu-request-id").map(str::to_owned)
}

fn hexadecimal(rest: &mut impl Iterator<Item = u8>) -> u8 {
    let digit = char::from(rest.next().unwrap()).to_digit(16).unwrap();
    u8::try_from(digit).unwrap()
}

/// Reason by request id, once all these requests have their records.
fn reasons(gateway: &RunningGateway, ids: &[String]) -> HashMap<String, String> {
    let mut reasons = HashMap::new();
    wait_until("the records of all requests", || {
        let records = gateway.audit().of_kind("request");
        reasons = records
            .iter()
            .map(|record| {
                let reason = field(record, "reason");
                (field(record, "request_id").to_owned(), reason.to_owned())
            })
            .collect();
        ids.iter().all(|id| reasons.contains_key(id))
    });
    reasons
}

#[test]
fn every_raw_request_gets_its_answer_and_none_that_is_refused_reaches_the_application() {
    let cases = cases("requests.txt");
    assert!(cases.len() >= 400, "{}", cases.len());
    let (gateway, upstream) = records();
    let client = gateway.client("clerk");
    let answered: Vec<Option<Response>> = std::thread::scope(|scope| {
        let parts: Vec<_> = cases
            .chunks(cases.len().div_ceil(4))
            .map(|part| {
                let client = &client;
                let send = move |case: &Case| client.exchange(&unescaped(&case.sent)).ok();
                scope.spawn(move || part.iter().map(send).collect::<Vec<_>>())
            })
            .collect();
        parts
            .into_iter()
            .flat_map(|part| part.join().unwrap())
            .collect()
    });
    let ids: Vec<String> = answered.iter().flatten().filter_map(id_of).collect();
    let reasons = reasons(&gateway, &ids);
    let mut wrong = Vec::new();
    for (case, response) in cases.iter().zip(&answered) {
        let got = match response {
            Some(response) => {
                let reason = id_of(response).and_then(|id| reasons.get(&id));
                let reason = reason.map_or("no record", String::as_str);
                format!("{} {reason}", response.status).trim().to_owned()
            }
            // The answer may be lost with the rest of a body that was still on its way; the record is not.
            None if case.answer.ends_with("edge.body_malformed") => case.answer.clone(),
            None => "no answer".to_owned(),
        };
        if got != case.answer {
            wrong.push(format!(
                "{}: {got} for {} ({})",
                case.answer, case.sent, case.why
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} are wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    let broken = |wanted: &str| {
        cases
            .iter()
            .filter(|case| case.answer.ends_with(wanted))
            .count()
    };
    let recorded = reasons
        .values()
        .filter(|reason| *reason == "edge.body_malformed")
        .count();
    assert_eq!(recorded, broken("edge.body_malformed"));
    assert_one_full_record(&gateway, &ids);
    assert_eq!(upstream.count(), broken("200"));
    for seen in upstream.seen() {
        assert_eq!(
            seen.fields.get("x-hangu-subject"),
            Some("spiffe://gov.test/clerk")
        );
    }
}

/// Each request has one record, and that says who asked, from where, for what where that can be told, and what became of it.
fn assert_one_full_record(gateway: &RunningGateway, ids: &[String]) {
    let records = gateway.audit().of_kind("request");
    let mut by_id: HashMap<&str, Vec<&serde_json::Value>> = HashMap::new();
    for record in &records {
        by_id
            .entry(field(record, "request_id"))
            .or_default()
            .push(record);
    }
    for id in ids {
        let [record] = by_id[id.as_str()][..] else {
            panic!("not one record: {:#?}", by_id[id.as_str()]);
        };
        for name in [
            "time", "listener", "client", "zone", "channel", "subject", "serial",
        ] {
            assert_ne!(field(record, name), "", "{name} of {record:#}");
        }
        assert!(record["status"].is_u64() && record["layers"].is_object());
        let is_denied = field(record, "decision") == "denied";
        assert_eq!(is_denied, !field(record, "reason").is_empty(), "{record:#}");
    }
    let told = records
        .iter()
        .filter(|record| field(record, "path").starts_with('/'));
    assert!(told.count() * 2 > ids.len(), "most paths can be told");
}

#[test]
fn every_path_is_refused_or_forwarded_in_its_one_spelling() {
    let cases = cases("paths.txt");
    assert!(cases.len() >= 600, "{}", cases.len());
    let (gateway, upstream) = records();
    let client = gateway.client("clerk");
    let mut connection = client.connect().unwrap();
    let mut wrong = Vec::new();
    let mut ids = Vec::new();
    for case in &cases {
        let before = upstream.count();
        let response = get(&client, &mut connection, &case.sent);
        let expected_status = case.answer.split(' ').next().unwrap();
        if response.status.to_string() != expected_status {
            wrong.push(format!(
                "{}: {} for {} ({})",
                case.answer, response.status, case.sent, case.why
            ));
            continue;
        }
        if let Some(forwarded) = case.answer.strip_prefix("200 ") {
            let target = upstream.last().target;
            if target != forwarded {
                wrong.push(format!(
                    "{forwarded}: {target} for {} ({})",
                    case.sent, case.why
                ));
            }
        } else {
            assert_eq!(upstream.count(), before, "{}", case.sent);
            ids.push((response.request_id(), case));
        }
    }
    let sent: Vec<String> = ids.iter().map(|(id, _)| id.clone()).collect();
    let reasons = reasons(&gateway, &sent);
    for (id, case) in &ids {
        let reason = reasons.get(id).map_or("no record", String::as_str);
        if format!("400 {reason}") != case.answer {
            wrong.push(format!(
                "{}: {reason} for {} ({})",
                case.answer, case.sent, case.why
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} are wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
fn every_path_has_the_same_answer_over_http2() {
    let cases = cases("paths.txt");
    let (gateway, upstream) = records();
    let mut connection = RawStreams::new(&gateway);
    let mut wrong = Vec::new();
    for case in &cases {
        let got = connection.ask(&[(b":path", case.sent.as_bytes())]);
        let expected = case.answer.split(' ').next().unwrap();
        if got.to_string() != expected {
            let line = format!("{}: {got} for {} ({})", case.answer, case.sent, case.why);
            wrong.push(line);
        } else if let Some(forwarded) = case.answer.strip_prefix("200 ") {
            let target = upstream.last().target;
            if target != forwarded {
                let line = format!("{forwarded}: {target} for {} ({})", case.sent, case.why);
                wrong.push(line);
            }
        }
    }
    let forwarded = cases.iter().filter(|case| case.answer.starts_with("200 "));
    assert_eq!(upstream.count(), forwarded.count());
    assert!(
        wrong.is_empty(),
        "{} are wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
fn every_claim_in_our_name_is_gone_over_http2_too() {
    let cases = cases("fields.txt");
    let upstream = TestUpstream::named("records");
    let gateway = gateway()
        .records(upstream.address())
        .listener("headers_max = 256")
        .start();
    let mut connection = RawStreams::new(&gateway);
    // Only HTTP/1.1 can spell a name in capitals.
    for part in cases.chunks(80) {
        let names: Vec<String> = part
            .iter()
            .map(|case| case.sent.to_ascii_lowercase())
            .collect();
        let values: Vec<String> = (0..part.len())
            .map(|number| format!("said-{number}"))
            .collect();
        let mut fields: Vec<(&[u8], &[u8])> = vec![(b":path", b"/")];
        let said = names.iter().zip(&values);
        fields.extend(said.map(|(name, value)| (name.as_bytes(), value.as_bytes())));
        assert_eq!(connection.ask(&fields), 200);
        assert_seen(&upstream, part);
    }
}

#[test]
fn naming_a_claim_in_connection_neither_keeps_it_nor_takes_our_own_word_away() {
    let cases = cases("fields.txt");
    let upstream = TestUpstream::named("records");
    let gateway = gateway()
        .records(upstream.address())
        .listener("headers_max = 256")
        .start();
    // Those that a next hop needs are refused there; see the tests of `Connection`.
    let is_needed = |name: &str| {
        let name = name.to_ascii_lowercase();
        name == "forwarded" || name.starts_with("x-forwarded-")
    };
    let claims: Vec<&Case> = cases
        .iter()
        .filter(|case| case.answer == "gone" && !is_needed(&case.sent))
        .collect();
    assert!(claims.len() > 100, "{}", claims.len());
    // The library behind takes ten names.
    for part in claims.chunks(8) {
        let fields: String = part
            .iter()
            .map(|case| format!("{}: said\r\nConnection: {}\r\n", case.sent, case.sent))
            .collect();
        let request = format!("{}{fields}\r\n", head("GET", "/"));
        let response = gateway
            .client("clerk")
            .exchange(request.as_bytes())
            .unwrap();
        assert_eq!(response.status, 200, "{}", response.text());
        let seen = upstream.last();
        let said = seen.fields.0.iter().filter(|(_, value)| value == "said");
        assert_eq!(said.count(), 0, "{:?}", seen.fields);
        for name in ["x-hangu-subject", "x-hangu-tenant", "x-forwarded-for"] {
            assert_eq!(seen.fields.count(name), 1, "{name} in {:?}", seen.fields);
        }
        assert_eq!(
            seen.fields.get("x-hangu-subject"),
            Some("spiffe://gov.test/clerk")
        );
    }
}

/// Streams of one HTTP/2 connection, one after another.
struct RawStreams<'g> {
    gateway: &'g RunningGateway,
    connection: RawH2,
    next: u32,
}

impl<'g> RawStreams<'g> {
    fn new(gateway: &'g RunningGateway) -> Self {
        let mut connection = gateway.client("clerk").connect_raw_h2().unwrap();
        // Room for all answers.
        connection.send(&frame(8, 0, 0, &[0, 0x40, 0, 0])).unwrap();
        Self {
            gateway,
            connection,
            next: 1,
        }
    }

    /// The status of a GET with these further fields.
    fn ask(&mut self, fields: &[(&[u8], &[u8])]) -> u16 {
        let good: [(&[u8], &[u8]); 3] = [
            (b":method", b"GET"),
            (b":scheme", b"https"),
            (b":authority", b"records.test"),
        ];
        let block = header_block(&[&good, fields].concat());
        // HEADERS that end head and stream.
        let sent = self.connection.send(&frame(1, 4 | 1, self.next, &block));
        sent.unwrap();
        self.next += 2;
        loop {
            match self.connection.next_answer().unwrap() {
                RawH2Answer::Status(status) => return status,
                RawH2Answer::Reset(_) => {}
                ended @ (RawH2Answer::GoAway(_) | RawH2Answer::Closed) => {
                    panic!("{ended:?} of {}", self.gateway.stderr());
                }
            }
        }
    }
}

/// Over the connection as long as it stays open, and over a new one after that.
fn get(client: &Client, connection: &mut ClientConnection, path: &str) -> Response {
    let request = format!("{}\r\n", head("GET", path));
    if let Ok(response) = connection.exchange(request.as_bytes()) {
        if response
            .fields
            .get("connection")
            .is_some_and(|value| value.eq_ignore_ascii_case("close"))
        {
            *connection = client.connect().unwrap();
        }
        return response;
    }
    *connection = client.connect().unwrap();
    connection.exchange(request.as_bytes()).unwrap()
}

#[test]
fn every_claim_in_our_name_is_gone_in_every_spelling_and_nothing_else_is() {
    let cases = cases("fields.txt");
    assert!(cases.len() >= 200, "{}", cases.len());
    let upstream = TestUpstream::named("records");
    let gateway = gateway()
        .records(upstream.address())
        .listener("headers_max = 256")
        .start();
    for part in cases.chunks(80) {
        let fields: String = part
            .iter()
            .enumerate()
            .map(|(number, case)| format!("{}: said-{number}\r\n", case.sent))
            .collect();
        let request = format!("{}{fields}\r\n", head("GET", "/"));
        let response = gateway
            .client("clerk")
            .exchange(request.as_bytes())
            .unwrap();
        assert_eq!(response.status, 200, "{}", response.text());
        assert_seen(&upstream, part);
    }
}

fn assert_seen(upstream: &TestUpstream, cases: &[Case]) {
    let seen = upstream.last();
    for (number, case) in cases.iter().enumerate() {
        let said = format!("said-{number}");
        let is_there = seen.fields.0.iter().any(|(_, value)| *value == said);
        assert_eq!(
            is_there,
            case.answer == "kept",
            "{} ({})",
            case.sent,
            case.why
        );
    }
    let ours = ["x-hangu-subject", "x-hangu-tenant", "x-forwarded-for"];
    assert!(
        ours.iter().all(|name| seen.fields.count(name) == 1),
        "{:?}",
        seen.fields
    );
}
