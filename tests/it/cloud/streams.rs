//! Answers and requests that come bit by bit, or are larger than anybody's memory.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::thread;

use hangu_tests::{
    Application, ClientConnection, H2Stream, HandUpstream, RunningGateway, resident_bytes,
    wait_until,
};

use crate::support::{field, gateway, head};

fn serving(upstream: SocketAddr, more: &str) -> RunningGateway {
    let records = Application::new("records")
        .key("request_body_max = \"2GiB\"")
        .route(&format!("prefix = \"/\"{more}"))
        .upstream(upstream);
    gateway().application(records).start()
}

#[test]
fn an_event_reaches_its_reader_before_the_next_one_is_made() {
    let upstream = HandUpstream::new();
    let gateway = serving(
        upstream.address(),
        ", streaming = true, response_timeout = \"300ms\"",
    );
    let mut reader = gateway.client("clerk").connect().unwrap();
    reader
        .send(
            format!(
                "{}Accept: text/event-stream\r\n\r\n",
                head("GET", "/events")
            )
            .as_bytes(),
        )
        .unwrap();
    let mut application = upstream.accept();
    application.head();
    application.send(EVENT_STREAM).unwrap();
    let answer = reader.read_head().unwrap();
    assert!(answer.contains("text/event-stream"), "{answer}");
    let begun = std::time::Instant::now();
    for number in 0..5 {
        // Longer than the whole answer might have taken elsewhere.
        wait_until("a pause", || begun.elapsed().as_millis() > number * 100);
        let event = format!("data: {number}\n\n");
        let chunk = format!("{:x}\r\n{event}\r\n", event.len());
        application.send(chunk.as_bytes()).unwrap();
        let got = read_until(&mut reader, &event);
        assert!(got.contains(&event), "{got}");
    }
    let mut h2 = gateway.client("clerk").connect_h2().unwrap();
    let request = h2.get("/events");
    let mut stream = h2.stream(&request).unwrap();
    stream.finish().unwrap();
    let mut application = upstream.accept();
    application.head();
    application.send(EVENT_STREAM).unwrap();
    assert_eq!(stream.head().unwrap().0, 200);
    for number in 0..5 {
        let event = format!("data: {number}\n\n");
        let chunk = format!("{:x}\r\n{event}\r\n", event.len());
        application.send(chunk.as_bytes()).unwrap();
        assert_eq!(next_part(&mut stream), event.as_bytes());
    }
    reader.abort();
    let begun = gateway
        .audit()
        .wait_for("the reader", |record| field(record, "path") == "/events");
    let end = gateway.audit().end_of_request(field(&begun, "request_id"));
    assert_eq!(field(&end, "reason"), "client.gone", "{end:#}");
}

fn read_until(reader: &mut ClientConnection, event: &str) -> String {
    let mut got = String::new();
    while !got.contains(event) {
        got.push_str(&String::from_utf8_lossy(&reader.read_some().unwrap()));
    }
    got
}

fn next_part(stream: &mut H2Stream<'_>) -> Vec<u8> {
    stream.data().unwrap().unwrap().to_vec()
}

#[test]
fn who_waits_to_be_told_to_continue_is_told_by_the_application() {
    let upstream = HandUpstream::new();
    let gateway = serving(upstream.address(), "");
    let mut client = gateway.client("clerk").connect().unwrap();
    let request = format!(
        "{}Expect: 100-continue\r\nContent-Length: 5\r\n\r\n",
        head("PUT", "/expect")
    );
    client.send(request.as_bytes()).unwrap();
    let mut application = upstream.accept();
    let seen = application.head().to_ascii_lowercase();
    assert!(seen.contains("expect: 100-continue"), "{seen}");
    application.send(b"HTTP/1.1 100 Continue\r\n\r\n").unwrap();
    let told = client.read_head().unwrap();
    assert_eq!(told, "HTTP/1.1 100 Continue\r\n\r\n");
    client.send(b"hello").unwrap();
    assert_eq!(application.exactly(5).unwrap(), b"hello");
    application
        .send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
        .unwrap();
    assert_eq!(client.read_response(true).unwrap().text(), "ok");
    // The application may also say no before it has seen anything.
    let mut client = gateway.client("clerk").connect().unwrap();
    client.send(request.as_bytes()).unwrap();
    let mut application = upstream.accept();
    application.head();
    application
        .send(b"HTTP/1.1 413 Too Much\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        .unwrap();
    assert_eq!(client.read_response(true).unwrap().status, 413);
}

#[test]
fn an_answer_before_the_body_is_whole_reaches_the_client() {
    let upstream = HandUpstream::new();
    let gateway = serving(upstream.address(), "");
    let refused =
        b"HTTP/1.1 413 Too Much\r\nContent-Length: 8\r\nConnection: close\r\n\r\ntoo much";
    for framing in ["Content-Length: 1000000", "Transfer-Encoding: chunked"] {
        let mut client = gateway.client("clerk").connect().unwrap();
        let request = format!("{}{framing}\r\n\r\n5\r\nhello\r\n", head("POST", "/early"));
        client.send(request.as_bytes()).unwrap();
        let mut application = upstream.accept();
        application.head();
        application.send(refused).unwrap();
        let response = client.read_response(true).unwrap();
        assert_eq!((response.status, &*response.text()), (413, "too much"));
        let record = gateway.audit().of_request(&response.request_id());
        assert_eq!(record["status"], 413, "{record:#}");
        drop(client);
        drop(application);
    }
    let mut h2 = gateway.client("clerk").connect_h2().unwrap();
    let request = h2.get("/early").method("POST");
    let mut stream = h2.stream(&request).unwrap();
    stream.send(b"hello").unwrap();
    let mut application = upstream.accept();
    application.head();
    application.send(refused).unwrap();
    assert_eq!(stream.head().unwrap().0, 413);
    assert_eq!(next_part(&mut stream), b"too much");
}

#[test]
fn a_large_body_goes_through_both_ways_in_little_memory() {
    let bytes = match std::env::var("HANGU_LARGE_BYTES") {
        Ok(written) => written.parse().unwrap(),
        Err(_) => LARGE_BYTES,
    };
    let upstream = large_upstream();
    let gateway = serving(upstream, "");
    // What the first request of each kind brings with it for good does not count.
    for target in ["/down/1000", "/up"] {
        transfer(&gateway, target, 1_000);
        transfer_h2(&gateway, target, 1_000);
    }
    let before = resident_bytes(gateway.process_id());
    let mut most = before;
    let less = bytes / 8;
    let h1: Transfer = transfer;
    for (transfer, target, bytes) in [
        (h1, format!("/down/{bytes}"), bytes),
        (h1, "/up".to_owned(), bytes),
        (transfer_h2, format!("/down/{less}"), less),
        (transfer_h2, "/up".to_owned(), less),
    ] {
        thread::scope(|scope| {
            let transferring = scope.spawn(|| transfer(&gateway, &target, bytes));
            let process = gateway.process_id();
            while !transferring.is_finished() {
                most = most.max(resident_bytes(process));
                thread::yield_now();
            }
            transferring.join().unwrap();
        });
    }
    let grown = most - before;
    println!(
        "{bytes} bytes each way, and an eighth of it over HTTP/2: {} KiB more in memory",
        grown / 1024
    );
    assert!(grown < GROWTH_BYTES_MAX, "grown by {grown} bytes");
    let records = gateway.audit().of_kind("request");
    let moved = |name: &str| {
        let all = records.iter().filter_map(|record| record[name].as_u64());
        all.max().unwrap()
    };
    assert_eq!((moved("bytes_in"), moved("bytes_out")), (bytes, bytes));
}

type Transfer = fn(&RunningGateway, &str, u64);

/// The same as [`transfer`] over HTTP/2.
fn transfer_h2(gateway: &RunningGateway, target: &str, bytes: u64) {
    let mut client = gateway.client("clerk").connect_h2().unwrap();
    let mut left = bytes;
    if target == "/up" {
        let length = bytes.to_string();
        let request = client.get(target).method("PUT");
        let mut stream = client
            .stream(&request.field("content-length", &length))
            .unwrap();
        while left > 0 {
            let part = usize::try_from(left).unwrap().min(PART.len());
            stream.send(&PART[..part]).unwrap();
            left -= u64::try_from(part).unwrap();
        }
        stream.finish().unwrap();
        let head = stream.head().unwrap();
        assert_eq!(head.0, 200, "{head:?}");
        assert_eq!(next_part(&mut stream), length.as_bytes());
        return;
    }
    let request = client.get(target);
    let mut stream = client.stream(&request).unwrap();
    stream.finish().unwrap();
    assert_eq!(stream.head().unwrap().0, 200);
    while let Some(part) = stream.data().unwrap() {
        left -= u64::try_from(part.len()).unwrap();
    }
    assert_eq!(left, 0);
}

/// One request whose body, or whose answer's, has so many bytes.
fn transfer(gateway: &RunningGateway, target: &str, bytes: u64) {
    let mut client = gateway.client("clerk").connect().unwrap();
    let mut left = bytes;
    if target == "/up" {
        let request = format!("{}Content-Length: {bytes}\r\n\r\n", head("PUT", target));
        client.send(request.as_bytes()).unwrap();
        while left > 0 {
            let part = usize::try_from(left).unwrap().min(PART.len());
            client.send(&PART[..part]).unwrap();
            left -= u64::try_from(part).unwrap();
        }
        let response = client.read_response(true).unwrap();
        assert_eq!(response.text(), bytes.to_string());
    } else {
        let request = format!("{}\r\n", head("GET", target));
        client.send(request.as_bytes()).unwrap();
        client.read_head().unwrap();
        while left > 0 {
            let part = client.read_some().unwrap();
            assert!(!part.is_empty(), "it closed with {left} bytes to come");
            left -= u64::try_from(part.len()).unwrap();
        }
    }
}

/// `/down/N` answers so many bytes, `/up` counts what it is sent; neither keeps anything.
fn large_upstream() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            // The gateway may close whenever it likes.
            drop(stream.and_then(serve_large));
        }
    });
    address
}

fn serve_large(mut stream: std::net::TcpStream) -> std::io::Result<()> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head).to_ascii_lowercase();
    let number = |text: Option<&str>| text.and_then(|text| text.parse().ok()).unwrap_or(0);
    if let Some(rest) = head.strip_prefix("get /down/") {
        let mut left: u64 = number(rest.split(' ').next());
        write!(
            stream,
            "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {left}\r\n\r\n"
        )?;
        while left > 0 {
            let part = usize::try_from(left).unwrap_or(usize::MAX).min(PART.len());
            stream.write_all(&PART[..part])?;
            left -= u64::try_from(part).unwrap_or(0);
        }
        // Closing with something unread, the end of an empty body, would reset the connection and take bytes away again.
        stream.shutdown(std::net::Shutdown::Write)?;
        return std::io::copy(&mut stream, &mut std::io::sink()).map(drop);
    }
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    let expected: u64 = number(length);
    let mut part = [0; 64 * 1024];
    let mut seen = 0;
    while seen < expected {
        match stream.read(&mut part)? {
            0 => break,
            read => seen += u64::try_from(read).unwrap_or(0),
        }
    }
    let body = seen.to_string();
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

static PART: [u8; 64 * 1024] = [b'x'; 64 * 1024];
/// A gigabyte; less or more by `HANGU_LARGE_BYTES`.
const LARGE_BYTES: u64 = 1 << 30;
const GROWTH_BYTES_MAX: u64 = 32 << 20;
const EVENT_STREAM: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
