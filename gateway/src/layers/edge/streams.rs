//! The streams of one HTTP/2 connection: accepted here and not by Pingora, so that they can be ended from outside.

use std::collections::HashMap;
use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use h2::Reason;
use pingora::apps::HttpServerApp;
use pingora::protocols::http::ServerSession;
use pingora::protocols::http::v2::server::{H2Accept, HttpSession, handshake};
use pingora::protocols::{
    Digest, GetProxyDigest, GetSocketDigest, GetTimingDigest, Ssl, Stream as PingoraStream,
};
use pingora::proxy::HttpProxy;
use pingora::server::ShutdownWatch;
use tokio::task::{AbortHandle, Id, JoinError, JoinSet};
use tokio::time::{sleep, timeout};

use crate::layers::edge::http2::{Ending, Verdict};
use crate::layers::edge::stream::ClientStream;
use crate::live::{Session, Word};
use crate::pipeline::Gateway;
use crate::request_deadlines::until_overdue;

/// Serves the streams of a connection until it ends: by the client, by `idle` time without a stream, or by its session's end. Then
/// every stream is dropped, which resets it, and GOAWAY tells the client that no other will be served. So does a client that lets one
/// answer after the other stall: a stream that is reset costs it nothing, and the next holds an upstream as long again.
pub(super) async fn serve_streams(
    proxy: &Arc<HttpProxy<Gateway>>,
    stream: Box<ClientStream>,
    session: &Arc<Session>,
    verdict: &Verdict,
    idle: Duration,
    mut shutdown: ShutdownWatch,
) {
    let digest = digest_of(&stream);
    let Ok(mut connection) = handshake(stream, proxy.h2_options()).await else {
        return;
    };
    // Dropped with the connection when it is cut.
    let mut streams = JoinSet::new();
    let mut handles: HashMap<Id, AbortHandle> = HashMap::new();
    let (mut malformed, mut heard) = (0, 0);
    let mut draining = *shutdown.borrow();
    if draining {
        connection.graceful_shutdown();
    }
    loop {
        let accepted = tokio::select! {
            biased;
            word = session.until_told(heard) => match word {
                Word::Ended => {
                    streams.shutdown().await;
                    say_goodbye(&mut connection, Reason::NO_ERROR).await;
                    return;
                }
                Word::Requests(told) => {
                    heard = told;
                    cut_told(session, &handles);
                    continue;
                }
            },
            _ = shutdown.changed(), if !draining => {
                connection.graceful_shutdown();
                draining = true;
                continue;
            }
            Some(done) = streams.join_next_with_id(), if !streams.is_empty() => {
                handles.remove(&done.map_or_else(|error: JoinError| error.id(), |(id, ())| id));
                if !stalls_too_often(session) {
                    continue;
                }
                let _ends_for_this = verdict.set(Ending::StallFlood);
                streams.shutdown().await;
                say_goodbye(&mut connection, Reason::ENHANCE_YOUR_CALM).await;
                return;
            }
            accepted = HttpSession::from_h2_conn(&mut connection, Arc::clone(&digest)) => accepted,
            // Nobody asks anything: closed without waiting for a peer that may be gone.
            () = sleep(idle), if streams.is_empty() && !draining => break,
        };
        match accepted {
            Ok(Some(H2Accept::Session(stream))) => {
                let (proxy, shutdown) = (Arc::clone(proxy), shutdown.clone());
                let handle = streams.spawn(until_overdue(async move {
                    // Never reusable: a stream of HTTP/2 carries one request.
                    drop(
                        proxy
                            .process_new_http(ServerSession::new_http2(stream), &shutdown)
                            .await,
                    );
                }));
                handles.insert(handle.id(), handle);
            }
            Ok(Some(H2Accept::Rejected)) => {
                malformed += 1;
                if malformed > MALFORMED_MAX {
                    break;
                }
            }
            Ok(None) | Err(_) => break,
        }
    }
    // The client is gone; each request finds that out by itself and records it.
    streams.detach_all();
}

/// What every stream knows of its connection.
fn digest_of(stream: &ClientStream) -> Arc<Digest> {
    Arc::new(Digest {
        ssl_digest: stream.get_ssl_digest(),
        timing_digest: stream.get_timing_digest(),
        proxy_digest: stream.get_proxy_digest(),
        socket_digest: stream.get_socket_digest(),
    })
}

/// Drops the streams whose requests were told to end, which resets them.
fn cut_told(session: &Session, handles: &HashMap<Id, AbortHandle>) {
    for request in session.under_way().filter(|one| one.ended().is_some()) {
        if let Some(handle) = request.task().and_then(|task| handles.get(&task)) {
            handle.abort();
        }
    }
}

/// Whether more answers stalled than happens to who reads them.
fn stalls_too_often(session: &Session) -> bool {
    let borne = STALLS_MAX.saturating_add(session.requests() / REQUESTS_EACH_STALL);
    session.stalls() > borne
}

/// GOAWAY, then the end.
async fn say_goodbye(
    connection: &mut h2::server::Connection<PingoraStream, bytes::Bytes>,
    reason: Reason,
) {
    connection.abrupt_shutdown(reason);
    // Whoever does not take it in time is cut off without.
    drop(timeout(GOODBYE, poll_fn(|cx| connection.poll_closed(cx))).await);
}

/// Malformed streams of one connection: as many as Pingora bears.
const MALFORMED_MAX: usize = 32;
/// Answers of one connection that may stall until their deadline: a reader who pauses a few downloads is none who attacks.
const STALLS_MAX: u64 = 10;
/// So many requests allow one more: a connection that serves many readers for days has slow ones among them.
const REQUESTS_EACH_STALL: u64 = 100;
/// How long the goodbye may take to leave.
const GOODBYE: Duration = Duration::from_millis(200);
