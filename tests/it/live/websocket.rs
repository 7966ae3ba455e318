//! WebSockets that are ended from outside hear why, in their own words; with a client and a server that know nothing of the gateway.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use hangu_tests::{RunningGateway, Tls, wait_until};
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::{Error, Message, WebSocket};

use super::{hangu, told};
use crate::support::{field, gateway};

/// A server for one WebSocket after the other, that does `serve` with each; gives what each came to.
pub(super) fn server<T: Send + 'static>(
    serve: impl Fn(WebSocket<TcpStream>) -> T + Send + 'static,
) -> (SocketAddr, Receiver<T>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let (tell, told) = channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(socket) = tungstenite::accept(stream.unwrap()) else {
                continue;
            };
            if tell.send(serve(socket)).is_err() {
                return;
            }
        }
    });
    (address, told)
}

fn echo(mut socket: WebSocket<TcpStream>) -> Error {
    loop {
        match socket.read().and_then(|message| socket.send(message)) {
            Ok(()) => {}
            Err(error) => return error,
        }
    }
}

pub(super) fn open(gateway: &RunningGateway, who: &str) -> WebSocket<Tls> {
    let tls = gateway.client(who).connect_tls().unwrap();
    tungstenite::client("wss://records.test/feed", tls)
        .unwrap()
        .0
}

fn revoke(gateway: &RunningGateway, who: &str) {
    let subject = format!("spiffe://gov.test/{who}");
    let revoke = ["revoke", "--subject", &subject, "--reason", "test"];
    assert!(told(&hangu(gateway, &revoke)).contains("1 open connections end"));
}

/// Reads to the end: the code and the reason of the close frame, and what came before it.
pub(super) fn close_of(socket: &mut WebSocket<Tls>) -> (Option<(CloseCode, String)>, Vec<Message>) {
    let (mut close, mut before) = (None, Vec::new());
    loop {
        match socket.read() {
            Ok(Message::Close(frame)) => {
                close = frame.map(|frame| (frame.code, frame.reason.to_string()));
            }
            Ok(message) => before.push(message),
            Err(_) => return (close, before),
        }
    }
}

#[test]
fn a_websocket_that_is_ended_is_told_1008_and_why_and_its_neighbour_goes_on() {
    let (address, ended) = server(|mut socket| {
        // Two at once: each in a thread of its own.
        thread::spawn(move || {
            while socket
                .read()
                .and_then(|message| socket.send(message))
                .is_ok()
            {}
        })
    });
    let gateway = gateway().records(address).start();
    let (mut clerk, mut reader) = (open(&gateway, "clerk"), open(&gateway, "reader"));
    let threads = [ended.recv().unwrap(), ended.recv().unwrap()];
    for socket in [&mut clerk, &mut reader] {
        socket.send(Message::text("hello")).unwrap();
        assert_eq!(socket.read().unwrap(), Message::text("hello"));
    }
    revoke(&gateway, "clerk");
    let (close, _) = close_of(&mut clerk);
    assert_eq!(
        close,
        Some((CloseCode::Policy, "access revoked".to_owned()))
    );
    wait_until("the server to lose its client", || {
        threads.iter().any(thread::JoinHandle::is_finished)
    });
    reader.send(Message::text("still there")).unwrap();
    assert_eq!(reader.read().unwrap(), Message::text("still there"));

    let record = gateway.audit().wait_for("the end of the tunnel", |record| {
        field(record, "kind") == "end"
    });
    assert_eq!(field(&record, "decision"), "aborted", "{record:#}");
    assert_eq!(field(&record, "reason"), "endpoint.revoked", "{record:#}");
    let ended = [("reason", "endpoint.revoked")];
    gateway.wait_for_metric("hangu_connections_closed_total", &ended, 1.0);
}

#[test]
fn the_close_frame_stands_between_two_frames_also_under_load() {
    let (address, _ended) = server(|mut socket| {
        // As fast as it is taken: the close frame has to find a gap.
        let long = Message::binary(vec![7; 200_000]);
        while socket.send(long.clone()).is_ok() {}
    });
    let gateway = gateway().records(address).start();
    let mut clerk = open(&gateway, "clerk");
    assert_eq!(clerk.read().unwrap().len(), 200_000);
    revoke(&gateway, "clerk");
    let (close, before) = close_of(&mut clerk);
    assert!(before.iter().all(|message| message.len() == 200_000));
    assert_eq!(
        close,
        Some((CloseCode::Policy, "access revoked".to_owned()))
    );
}

#[test]
fn a_frame_that_does_not_end_is_cut() {
    let (address, ended) = server(|mut socket| {
        // Once the handshake is over on the other side too.
        socket.read().unwrap();
        let stream = socket.get_mut();
        // A frame of a megabyte, of which little comes.
        let mut part = vec![0x82, 127];
        part.extend(1_000_000_u64.to_be_bytes());
        part.extend([7; 100]);
        stream.write_all(&part).unwrap();
        stream.read_to_end(&mut Vec::new())
    });
    let gateway = gateway().records(address).start();
    let mut clerk = open(&gateway, "clerk");
    clerk.send(Message::text("go on")).unwrap();
    let stream = clerk.get_mut();
    let mut part = [0; 110];
    stream.read_exact(&mut part).unwrap();
    revoke(&gateway, "clerk");
    let mut rest = Vec::new();
    // Closed cleanly or not: nothing came.
    drop(stream.read_to_end(&mut rest));
    assert!(rest.is_empty(), "{rest:?}");
    assert!(ended.recv().unwrap().is_ok(), "the application is told too");
}

#[test]
fn what_the_client_sends_after_the_end_reaches_nobody() {
    let (address, ended) = server(|mut socket| {
        let first = socket.read().unwrap();
        (first, echo(socket))
    });
    let gateway = gateway().records(address).start();
    let mut clerk = open(&gateway, "clerk");
    clerk.send(Message::text("before")).unwrap();
    revoke(&gateway, "clerk");
    // It may or may not be taken by the connection, which is being closed.
    drop(clerk.send(Message::text("after")));
    let (first, error) = ended.recv().unwrap();
    assert_eq!(first, Message::text("before"));
    assert!(
        matches!(error, Error::Protocol(_) | Error::Io(_)),
        "no message and no close of the client's: {error:?}"
    );
}
