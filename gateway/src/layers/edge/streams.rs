//! The streams of one HTTP/2 connection: accepted here and not by Pingora, so that one of them, or all, can be ended from outside.

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
use tokio::task::{self, AbortHandle, JoinSet};
use tokio::time::{sleep, timeout};

use crate::layers::edge::stream::ClientStream;
use crate::live::Session;
use crate::pipeline::Gateway;

/// Serves the streams of a connection until it ends: by the client, by `idle` time without a stream, or by its session's end. Then
/// every stream is dropped, which resets it, and GOAWAY tells the client that no other will be served.
pub(super) async fn serve_streams(
    proxy: &Arc<HttpProxy<Gateway>>,
    stream: Box<ClientStream>,
    session: &Arc<Session>,
    idle: Duration,
    mut shutdown: ShutdownWatch,
) {
    let digest = Arc::new(Digest {
        ssl_digest: stream.get_ssl_digest(),
        timing_digest: stream.get_timing_digest(),
        proxy_digest: stream.get_proxy_digest(),
        socket_digest: stream.get_socket_digest(),
    });
    let Ok(mut connection) = handshake(stream, proxy.h2_options()).await else {
        return;
    };
    let mut streams = Streams::default();
    let mut malformed = 0;
    let mut draining = *shutdown.borrow();
    if draining {
        connection.graceful_shutdown();
    }
    loop {
        let accepted = tokio::select! {
            biased;
            _ = session.until_ended() => {
                streams.drop_all().await;
                say_goodbye(&mut connection).await;
                return;
            }
            cut = session.until_cut() => {
                streams.drop_some(&cut);
                session.forget_cut(&cut);
                continue;
            }
            _ = shutdown.changed(), if !draining => {
                connection.graceful_shutdown();
                draining = true;
                continue;
            }
            () = streams.one_is_over(), if !streams.is_empty() => continue,
            accepted = HttpSession::from_h2_conn(&mut connection, Arc::clone(&digest)) => accepted,
            // Nobody asks anything: closed without waiting for a peer that may be gone.
            () = sleep(idle), if streams.is_empty() && !draining => break,
        };
        match accepted {
            Ok(Some(H2Accept::Session(stream))) => {
                let (proxy, shutdown) = (Arc::clone(proxy), shutdown.clone());
                streams.spawn(async move {
                    // Never reusable: a stream of HTTP/2 carries one request.
                    drop(
                        proxy
                            .process_new_http(ServerSession::new_http2(stream), &shutdown)
                            .await,
                    );
                });
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
    streams.tasks.detach_all();
}

/// The tasks that serve the streams. Dropped with the connection, and they with it.
#[derive(Debug, Default)]
struct Streams {
    tasks: JoinSet<()>,
    handles: HashMap<task::Id, AbortHandle>,
}

impl Streams {
    fn spawn(&mut self, stream: impl Future<Output = ()> + Send + 'static) {
        let handle = self.tasks.spawn(stream);
        self.handles.insert(handle.id(), handle);
    }

    fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    async fn one_is_over(&mut self) {
        let over = match self.tasks.join_next_with_id().await {
            Some(Ok((id, ()))) => id,
            // Ended by us, or by a panic that has cost this one stream.
            Some(Err(error)) => error.id(),
            None => return,
        };
        self.handles.remove(&over);
    }

    fn drop_some(&mut self, which: &[task::Id]) {
        for handle in which.iter().filter_map(|id| self.handles.get(id)) {
            handle.abort();
        }
    }

    async fn drop_all(&mut self) {
        self.tasks.abort_all();
        while self.tasks.join_next().await.is_some() {}
        self.handles.clear();
    }
}

/// GOAWAY, then the end.
async fn say_goodbye(connection: &mut h2::server::Connection<PingoraStream, bytes::Bytes>) {
    connection.abrupt_shutdown(Reason::NO_ERROR);
    // Whoever does not take it in time is cut off without.
    drop(timeout(GOODBYE, poll_fn(|cx| connection.poll_closed(cx))).await);
}

/// Malformed streams of one connection: as many as Pingora bears.
const MALFORMED_MAX: usize = 32;
/// How long the goodbye may take to leave.
const GOODBYE: Duration = Duration::from_millis(200);
