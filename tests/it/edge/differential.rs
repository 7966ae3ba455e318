//! What we judged against what a real nginx read: requests that are made of good parts and bad ones, by a seed. Whatever is
//! forwarded, nginx must have read as the strict reading of the bytes has it; whatever the strict reading refuses, nginx must
//! never have seen; and nginx must not have seen one request more than was answered.

use std::collections::HashMap;

use hangu_tests::{Application, Client, Response, RunningGateway, TestNginx, wait_until};
use serde_json::Value;

use crate::support::{field, gateway};

/// Fields that the requests are made of, in lower case.
const NAMES: [&str; 6] = [
    "x-a",
    "x-b",
    "content-type",
    "cookie",
    "accept",
    "authorization",
];

#[test]
fn nginx_reads_each_forwarded_request_as_it_was_judged_and_no_other() {
    let Some(nginx) = TestNginx::start(&[&NAMES[..], &["x-hangu-request-id"]].concat()) else {
        return;
    };
    let records = Application::new("records").upstream(nginx.address());
    let gateway = gateway()
        .application(records)
        .listener("header_timeout = \"250ms\"")
        .start();
    let from_environment = |name: &str, default: u64| {
        let written = std::env::var(name).ok();
        written.map_or(default, |written| written.parse().expect(name))
    };
    let seed = from_environment("HANGU_DIFFERENTIAL_SEED", 1);
    let count = from_environment("HANGU_DIFFERENTIAL_COUNT", COUNT);
    let sent: Vec<Vec<u8>> = (0..count)
        .map(|number| Dice::new(seed.wrapping_mul(1_000_003).wrapping_add(number)).request())
        .collect();
    let answers = send_all(&gateway, &sent);
    let forwarded: Vec<(&Vec<u8>, &Response)> = sent
        .iter()
        .zip(&answers)
        .filter_map(|(bytes, answer)| Some((bytes, answer.as_ref().filter(|a| a.status == 200)?)))
        .collect();
    // It also writes down those whose body broke off, which it does not answer.
    let answered_by_nginx = || -> Vec<Value> {
        let all = nginx.requests().into_iter();
        all.filter(|seen| field(seen, "status") == "200").collect()
    };
    wait_until("nginx to have written all requests", || {
        answered_by_nginx().len() >= forwarded.len()
    });
    let seen = answered_by_nginx();
    let ids: Vec<&str> = seen
        .iter()
        .map(|seen| field(seen, "x-hangu-request-id"))
        .collect();
    let records = wait_for_records(&gateway, &ids);
    let mut wrong = wrongly_read(&forwarded, &seen, &records);
    let answered = sent.iter().zip(&answers);
    wrong.extend(answered.filter_map(|(bytes, answer)| wrongly_answered(bytes, answer.as_ref())));
    println!(
        "seed {seed}: {count} requests, {} forwarded",
        forwarded.len()
    );
    assert!(
        wrong.is_empty(),
        "{} are wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    // What follows a whole request on its connection is the next one, judged by itself; anything else that nginx saw was smuggled.
    for seen in &seen {
        let record = records.get(field(seen, "x-hangu-request-id"));
        let path = record.map_or("", |record| field(record, "path"));
        let line = field(seen, "line");
        let is_judged = !path.is_empty() && line.contains(&format!(" {path}"));
        assert!(
            is_judged,
            "nginx saw what nobody judged: {line} {record:#?}"
        );
    }
    let share = forwarded.len() * 100 / sent.len();
    assert!(
        (10..90).contains(&share),
        "{share} % forwarded: the generator says little"
    );
}

/// What nginx read otherwise than it was judged.
fn wrongly_read(
    forwarded: &[(&Vec<u8>, &Response)],
    seen: &[Value],
    records: &HashMap<String, Value>,
) -> Vec<String> {
    let problem = |bytes: &[u8], id: &str| {
        let of_id = seen
            .iter()
            .filter(|seen| field(seen, "x-hangu-request-id") == id);
        let of_id: Vec<_> = of_id.collect();
        match (of_id.as_slice(), read_strictly(bytes)) {
            ([seen], Some(reading)) => reading.difference(seen, &records[id]),
            (_, None) => Some("the strict reading refuses it".to_owned()),
            (all, _) => Some(format!("nginx saw {} requests of it", all.len())),
        }
    };
    let found = forwarded.iter().filter_map(|(bytes, answer)| {
        let problem = problem(bytes, &answer.request_id())?;
        Some(format!("{problem}: {}", bytes.escape_ascii()))
    });
    found.collect()
}

/// Whatever is sent is served, refused, or left without an answer; nothing is a failure of ours.
fn wrongly_answered(bytes: &[u8], answer: Option<&Response>) -> Option<String> {
    let answer = answer.filter(|answer| answer.status != 200)?;
    let is_refused = (400..500).contains(&answer.status);
    (!is_refused).then(|| format!("{}: {}", answer.status, bytes.escape_ascii()))
}

fn send_all(gateway: &RunningGateway, sent: &[Vec<u8>]) -> Vec<Option<Response>> {
    let client = gateway.client("clerk");
    let exchange = |client: &Client, bytes: &Vec<u8>| client.exchange(bytes).ok();
    std::thread::scope(|scope| {
        let parts: Vec<_> = sent
            .chunks(sent.len().div_ceil(8))
            .map(|part| {
                let client = &client;
                scope.spawn(move || {
                    let answers = part.iter().map(|bytes| exchange(client, bytes));
                    answers.collect::<Vec<_>>()
                })
            })
            .collect();
        let answers = parts.into_iter().flat_map(|part| part.join().unwrap());
        answers.collect()
    })
}

/// The records of these requests, by their ids.
fn wait_for_records(gateway: &RunningGateway, ids: &[&str]) -> HashMap<String, Value> {
    let mut records = HashMap::new();
    wait_until("all records", || {
        let of_requests = gateway.audit().of_kind("request");
        records = of_requests
            .into_iter()
            .map(|record| (field(&record, "request_id").to_owned(), record))
            .collect();
        ids.iter().all(|id| records.contains_key(*id))
    });
    records
}

/// The one reading of a request that RFC 9112 allows; written apart from the gateway's.
#[derive(Debug)]
struct Reading {
    method: String,
    query: Option<String>,
    host: String,
    fields: Vec<(String, String)>,
    body: Vec<u8>,
}

/// `None`: there is not exactly one.
fn read_strictly(bytes: &[u8]) -> Option<Reading> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head: String = bytes[..end].iter().map(|byte| char::from(*byte)).collect();
    let rest = &bytes[end + 4..];
    let mut lines = head.split("\r\n");
    let mut words = lines.next()?.split(' ');
    let (method, target, version) = (words.next()?, words.next()?, words.next()?);
    let is_line = words.next().is_none() && matches!(version, "HTTP/1.1" | "HTTP/1.0");
    let mut fields = Vec::new();
    for line in lines {
        let (name, value) = line.split_once(':')?;
        let is_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
        let is_text = |c: char| c == '\t' || !(c.is_control() && c.is_ascii());
        if name.is_empty() || !name.chars().all(is_token) || !value.chars().all(is_text) {
            return None;
        }
        let value = value.trim_matches([' ', '\t']).chars();
        let value: Vec<u8> = value.map(|c| u8::try_from(c).unwrap()).collect();
        fields.push((name.to_ascii_lowercase(), text_of(&value)));
    }
    let all = |wanted: &str| -> Vec<String> {
        let own = fields.iter().filter(|(name, _)| name == wanted);
        own.map(|(_, value)| value.clone()).collect()
    };
    let [host] = &all("host")[..] else {
        return None;
    };
    let body = match (&all("content-length")[..], &all("transfer-encoding")[..]) {
        ([], []) => Vec::new(),
        ([length], []) if length.bytes().all(|byte| byte.is_ascii_digit()) => {
            rest.get(..length.parse().ok()?)?.to_vec()
        }
        ([], [coding]) if coding.eq_ignore_ascii_case("chunked") => unchunked(rest)?,
        _ => return None,
    };
    let target = match target.strip_prefix("https://") {
        Some(absolute) => absolute.strip_prefix(host.as_str())?,
        None => target,
    };
    let query = target.split_once('?').map(|(_, query)| query.to_owned());
    let is_host = host.to_ascii_lowercase().starts_with("records.test");
    let is_good = is_line && target.starts_with('/') && is_host;
    is_good.then(|| Reading {
        method: method.to_owned(),
        query,
        host: host.clone(),
        fields,
        body,
    })
}

fn unchunked(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = rest.windows(2).position(|two| two == b"\r\n")?;
        let size = std::str::from_utf8(&rest[..end]).ok()?;
        if size.is_empty() || !size.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        let size = usize::from_str_radix(size, 16).ok()?;
        rest = &rest[end + 2..];
        if size == 0 {
            return Some(body);
        }
        body.extend_from_slice(rest.get(..size)?);
        rest = rest.get(size..)?.strip_prefix(b"\r\n")?;
    }
}

impl Reading {
    /// What nginx read otherwise, or what was judged otherwise than nginx read it.
    fn difference(&self, seen: &Value, judged: &Value) -> Option<String> {
        let path = field(judged, "path");
        let query = self.query.as_ref().map(|query| format!("?{query}"));
        let line = format!(
            "{} {path}{} HTTP/1.1",
            self.method,
            query.unwrap_or_default()
        );
        let pairs = [
            ("request line", line, field(seen, "line")),
            ("path", decoded(path), field(seen, "uri")),
            ("host", self.host.clone(), field(seen, "host")),
            ("body", text_of(&self.body), field(seen, "body")),
        ];
        for (what, ours, theirs) in pairs {
            if ours != theirs {
                return Some(format!("{what} is {ours:?} and for nginx {theirs:?}"));
            }
        }
        NAMES.iter().find_map(|name| {
            let own = self.fields.iter().filter(|(own, _)| own == name);
            let mut own: Vec<&str> = own.map(|(_, value)| value.as_str()).collect();
            if *name == "cookie" && own.len() > 1 {
                // Sent on as one field.
                own.retain(|value| !value.is_empty());
            }
            let (theirs, joint) = (
                field(seen, name),
                if *name == "cookie" { "; " } else { ", " },
            );
            // Of several fields nginx gives the first or all, as its version has it.
            let is_same = own.join(joint) == theirs || own.first().copied() == Some(theirs);
            (!is_same).then(|| format!("{name} is {own:?} and for nginx {theirs:?}"))
        })
    }
}

/// As nginx writes bytes into JSON.
fn text_of(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn decoded(path: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = path.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digits = [rest.next().unwrap(), rest.next().unwrap()];
                u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap()
            }
            other => other,
        });
    }
    text_of(&bytes)
}

/// A generator of requests (xorshift).
struct Dice(u64);

impl Dice {
    fn new(seed: u64) -> Self {
        let mut dice = Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        for _ in 0..8 {
            dice.roll(2);
        }
        dice
    }

    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % sides
    }

    fn one<'t>(&mut self, of: &[&'t str]) -> &'t str {
        of[self.roll(of.len())]
    }

    /// Mostly the first, sometimes one of the others.
    fn mostly<'t>(&mut self, usual: &'t str, others: &[&'t str]) -> &'t str {
        if self.roll(100) < 92 {
            usual
        } else {
            self.one(others)
        }
    }

    fn request(&mut self) -> Vec<u8> {
        let usual = self.one(&["GET", "POST", "PUT", "DELETE"]);
        let method = self.mostly(usual, &["HEAD", "GE T", "get", "POST\t"]);
        let mut target = String::new();
        for _ in 0..=self.roll(3) {
            target.push_str(self.one(SEGMENTS));
        }
        if self.roll(3) == 0 {
            target.push_str(self.one(QUERIES));
        }
        if self.roll(20) == 0 {
            target.insert_str(
                0,
                self.one(&["https://records.test", "http://records.test", "x"]),
            );
        }
        let space = self.mostly(" ", &["  ", "\t", ""]);
        let version = self.mostly(
            "HTTP/1.1",
            &["HTTP/1.0", "HTTP/1.2", "http/1.1", "HTTP/2.0"],
        );
        let mut request = format!("{method}{space}{target} {version}{}", self.line_end());
        let mut fields = vec![self.mostly("Host: records.test", HOSTS).to_owned()];
        for _ in 0..self.roll(5) {
            fields.push(self.field());
        }
        let body = self.body(&mut fields);
        let last = fields.len() - 1;
        fields.swap(0, self.roll(last + 1));
        for line in fields {
            request.push_str(&line);
            request.push_str(self.line_end());
        }
        request.push_str(self.line_end());
        let mut bytes = request.into_bytes();
        if self.roll(12) == 0 {
            let at = self.roll(bytes.len());
            bytes[at] = [0, b'\n', b'\r', b'\t', b' ', 0x7f, 0xff, b':', b';'][self.roll(9)];
        }
        bytes.extend(body);
        if self.roll(20) == 0 {
            bytes.extend(b"GET /smuggled HTTP/1.1\r\nHost: records.test\r\n\r\n");
        }
        bytes
    }

    fn line_end(&mut self) -> &'static str {
        if self.roll(150) == 0 {
            self.one(&["\n", "\r", "\r\r\n", "\n\r\n"])
        } else {
            "\r\n"
        }
    }

    fn field(&mut self) -> String {
        let name = self.one(&[
            "X-A",
            "x-b",
            "Content-Type",
            "Cookie",
            "ACCEPT",
            "Authorization",
        ]);
        let colon = self.mostly(": ", &[":", " : ", ":\t", ":  ", "\t:", ""]);
        let value = self.one(VALUES);
        format!("{name}{colon}{value}")
    }

    /// The body, after the fields that give its length.
    fn body(&mut self, fields: &mut Vec<String>) -> Vec<u8> {
        let (coding, length) = match self.roll(10) {
            0..=4 => return Vec::new(),
            5..=7 => (
                false,
                self.mostly("5", &["+5", "5, 5", "05", "4", "6", "0x5", "5 5", "-1"]),
            ),
            _ => (true, ""),
        };
        if self.roll(25) == 0 {
            fields.push(
                self.one(&["Content-Length: 5", "Transfer-Encoding: chunked"])
                    .to_owned(),
            );
        }
        if coding {
            let coding = self.mostly(
                "chunked",
                &["Chunked", "xchunked", "chunked, identity", "\x0bchunked"],
            );
            fields.push(format!("Transfer-Encoding: {coding}"));
            let end = self.mostly(
                "0\r\n\r\n",
                &[
                    "0\r\nX-Sum: 1\r\n\r\n",
                    "00\r\n\r\n",
                    "0;x\r\n\r\n",
                    "0\n\n",
                ],
            );
            let size = self.mostly("5", &["05", "5;a=b", "0x5", "5 ", "4", "6", "+5"]);
            format!("{size}\r\nhello\r\n{end}").into_bytes()
        } else {
            fields.push(format!("Content-Length: {length}"));
            b"hello".to_vec()
        }
    }
}

const SEGMENTS: &[&str] = &[
    "/a",
    "/b",
    "/a/b",
    "/%61",
    "/a%20b",
    "/%E5%86%85",
    "/a:b",
    "/a@b",
    "/x+y",
    "/~x",
    "/a%2Fb",
    "/..",
    "/.",
    "//",
    "/%2e",
    "/a;b",
    "/a%00",
    "/a\\b",
    "/%c0%af",
    "/a%3Fb",
    "/A",
    "/a.b",
    "/a!b",
];
const QUERIES: &[&str] = &[
    "?", "?a=b", "?a=b&a=c", "?q=%20x", "?/../x", "?a=%2F", "?a#b", "?a=b c", "?a?b",
];
const HOSTS: &[&str] = &[
    "host:records.test",
    "HOST: records.test:443",
    "Host: RECORDS.test",
    "Host: other.test",
    "Host: records.test\r\nHost: records.test",
    "Host: records.test\r\nHost: other.test",
    "Host:",
    "Host: a@records.test",
    "Host : records.test",
    "X-No: host",
    "Host: records.test\r\n x",
];
const VALUES: &[&str] = &[
    "1",
    "a b",
    "",
    "a, b",
    "\"q\"",
    "a\tb",
    "text/plain; charset=utf-8",
    "k=v; l=w",
    "\u{e9}",
    "a\x01b",
    "x  ",
    "1\r\n 2",
    "{}",
    "Basic eA==",
];
/// In the suite; more by `HANGU_DIFFERENTIAL_COUNT`, other ones by `HANGU_DIFFERENTIAL_SEED`.
const COUNT: u64 = 400;
