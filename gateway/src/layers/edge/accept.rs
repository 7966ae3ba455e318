//! From an accepted socket to requests: handshake slots, the handshake's own deadline, the identity, then HTTP.
//!
//! Pingora's TLS listener cannot do this (one configuration for every name, sixty seconds for a handshake, no way to carry an
//! identity), so a plain TCP listener hands its sockets here. What comes out is Pingora's HTTP proxy over a stream that is
//! ours; see docs/adr/0002-own-tls-accept.md.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use pingora::apps::{HttpServerApp, ServerApp};
use pingora::protocols::Stream;
use pingora::protocols::http::ServerSession;
use pingora::protocols::l4::stream::Stream as TcpStream;
use pingora::proxy::HttpProxy;
use pingora::server::ShutdownWatch;
use rustls::server::Acceptor;
use tokio::time::timeout;
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

use crate::config::Listener;
use crate::connection::{Connection, Handshake, Live};
use crate::denial::Denial;
use crate::events::{
    Refused, ended_connection, ended_http2, refused_connection, refused_handshake, refused_head,
};
use crate::layers::edge::counted::{Newcomer, Open};
use crate::layers::edge::hang_up::{hang_up, nothing_follows};
use crate::layers::edge::head::{HeadLimits, told_line};
use crate::layers::edge::hop::{client_address, client_behind};
use crate::layers::edge::http2::{Guard, ListLimits};
use crate::layers::edge::send_rate::SendRate;
use crate::layers::edge::stream::{ClientStream, HeadDeadlines, HeadRead};
use crate::layers::edge::streams::serve_streams;
use crate::layers::edge::tls_error::{denial_of, lists_wanted, refused_chain};
use crate::live::{Judgement, Registered, Session, judge};
use crate::pipeline::Gateway;
use crate::refusal::raw_answer;
use crate::request_deadlines::keeping;
use crate::request_id::RequestId;
use crate::shared::Shared;
use crate::snapshot::{ListenerState, Snapshot};

/// One listener's connections.
pub struct Accept {
    shared: Arc<Shared>,
    /// Index of the listener in the configuration.
    listener: usize,
    proxy: Arc<HttpProxy<Gateway>>,
}

impl Accept {
    /// Serves the listener at `index` of the configuration.
    #[must_use]
    pub fn new(shared: Arc<Shared>, index: usize, proxy: Arc<HttpProxy<Gateway>>) -> Self {
        Self {
            shared,
            listener: index,
            proxy,
        }
    }

    async fn serve(&self, tcp: TcpStream, shutdown: &ShutdownWatch) {
        let snapshot = self.shared.snapshot.load_full();
        let Some(config) = snapshot.config.listeners.get(self.listener) else {
            return;
        };
        let hop = client_address(&tcp);
        let open = self
            .shared
            .metrics
            .connections
            .with_label_values(&[config.name.as_str()]);
        let _open = Open::new(open);
        let newcomer = Newcomer::new(Arc::clone(&self.shared));
        let mut tcp = tcp;
        let client = match client_behind(&mut tcp, hop, config).await {
            Ok(client) => client,
            Err(denial) => {
                refused_handshake(&self.shared, &snapshot, config, hop, &denial.into());
                return;
            }
        };
        let limits = &self.shared.limits;
        let _place = match limits.connect(&snapshot.limits, client.ip()) {
            Ok(place) => place,
            Err((denial, limit)) => {
                refused_connection(&self.shared, &snapshot, config, client, denial, &limit);
                return;
            }
        };
        // In a box of its own, as is what follows: what an idle connection holds is no larger than what it waits for.
        let shaken = Box::pin(self.handshake(tcp, &snapshot, config, client)).await;
        match shaken {
            Ok((stream, registered)) => {
                self.shared.metrics.handshake(config.name.as_str(), None);
                let session = Arc::clone(registered.session());
                tokio::select! {
                    () = self.serve_http((stream, &session), newcomer, shutdown) => {}
                    // What is still being served is dropped, and records itself with the reason.
                    () = overdue(&session) => {}
                }
                drop(registered);
                if let (Some(ended), Some(effect)) = (session.ended(), session.effect()) {
                    self.shared.metrics.live.closed(ended.denial, effect);
                    // The sockets of all who were told with this one are shut before the first of them is written down.
                    tokio::task::yield_now().await;
                    ended_connection(&self.shared, &session.connection.load(), ended.denial);
                }
            }
            Err(Ended { refused, tcp }) => {
                refused_handshake(&self.shared, &snapshot, config, client, &refused);
                if let Some(tcp) = tcp {
                    Box::pin(hang_up(*tcp)).await;
                }
            }
        }
    }

    async fn handshake(
        &self,
        tcp: TcpStream,
        snapshot: &Snapshot,
        config: &Listener,
        client: SocketAddr,
    ) -> Result<(ClientStream, Registered), Ended> {
        let state = snapshot
            .listeners
            .get(self.listener)
            .ok_or(Refused::from(Denial::Internal))?;
        let (source, handshakes) = (client.ip(), &self.shared.handshakes);
        if let Some(limit) = &snapshot.limits.handshake
            && handshakes.is_over(source, &limit.rate)
            && limit.refuses()
        {
            return Err(Refused::from(Denial::HandshakeRate).into());
        }
        let _turn = handshakes
            .begin(source, config.handshakes_per_source)
            .map_err(Refused::from)?;
        let accepted = timeout(config.handshake_timeout, async {
            let _slot = timeout(config.handshake_timeout / 2, state.handshakes.acquire())
                .await
                .ok()
                .and_then(Result::ok)
                .ok_or(Refused::from(Denial::HandshakeSlots))?;
            accept_tls(tcp, state, &self.shared).await
        });
        let tls = accepted
            .await
            .map_err(|_| Refused::from(Denial::HandshakeTimeout))??;
        let connection = match self.connection(&tls, snapshot, client) {
            Ok(connection) => Arc::new(connection),
            Err(refused) => return Err(refuse_resumed(tls, refused).await),
        };
        let registered = self.register(&connection, snapshot);
        let session = Arc::clone(registered.session());
        let digest =
            Live::into_digest(Arc::clone(&session)).map_err(|_| Refused::from(Denial::Internal))?;
        let send_rate = SendRate::new(config.body_rate_min.bytes(), config.idle_timeout / 4);
        Ok((
            ClientStream::new(tls, digest, session, send_rate),
            registered,
        ))
    }

    /// From here on whoever revokes or reloads finds the connection; what changed during its handshake is looked at now.
    fn register(&self, connection: &Arc<Connection>, admitted_by: &Snapshot) -> Registered {
        let now = unix_seconds();
        let registered = self.shared.live.register(Arc::clone(connection), now);
        let (snapshot, pushed) = (self.shared.snapshot.load(), self.shared.pushed.load());
        let how = if snapshot.generation == admitted_by.generation {
            Judgement::Certificates
        } else {
            Judgement::All
        };
        if let Some(denial) = judge(connection, &snapshot, &pushed, how, now) {
            registered.end(denial, Instant::now());
        }
        registered
    }

    /// Takes the identity from the handshake, once for all requests of the connection.
    fn connection(
        &self,
        tls: &TlsStream<TcpStream>,
        snapshot: &Snapshot,
        client: SocketAddr,
    ) -> Result<Connection, Refused> {
        let session = tls.get_ref().1;
        let sni = session.server_name().map(str::to_ascii_lowercase);
        let group = snapshot.listeners.get(self.listener).and_then(|state| {
            let group = state.group_of(sni.as_deref())?;
            state.groups.get(group)
        });
        // Also for a session that was resumed, and so brings back a chain that nobody has verified since.
        let chain = match (session.peer_certificates(), group) {
            (Some(presented), Some(group)) => {
                let chain = group.verifier.chain(presented, unix_seconds());
                Some(chain.map_err(|error| refused_chain(&error))?)
            }
            (None, _) => None,
            (Some(_), None) => return Err(Denial::Internal.into()),
        };
        let handshake = Handshake {
            listener: self.listener,
            client,
            sni: sni.map(Into::into),
            channel: channel(session.protocol_version(), session.alpn_protocol()),
            chain,
            proved_at: unix_seconds(),
        };
        Ok(Connection::new(handshake, snapshot))
    }

    async fn serve_http(
        &self,
        (stream, session): (ClientStream, &Arc<Session>),
        newcomer: Newcomer,
        shutdown: &ShutdownWatch,
    ) {
        let stream = Box::new(stream);
        if stream.is_http2() {
            Box::pin(self.serve_http2(stream, session, newcomer, shutdown)).await;
        } else {
            Box::pin(self.serve_http1(stream, session, newcomer, shutdown.clone())).await;
        }
    }

    async fn serve_http2(
        &self,
        mut stream: Box<ClientStream>,
        session: &Arc<Session>,
        newcomer: Newcomer,
        shutdown: &ShutdownWatch,
    ) {
        let Some((limits, deadlines)) = self.head_bounds() else {
            return;
        };
        let boundary = &self.shared.metrics.boundary;
        let guard = Guard::new(
            ListLimits {
                bytes_max: limits.bytes_max,
                fields_max: limits.fields_max,
            },
            deadlines.head,
            Instant::now(),
            boundary.http2_resets.clone(),
        )
        .counting_trailers(&boundary.trailers.http2_request);
        let Some(verdict) = stream.guard_http2(guard, deadlines.head).await else {
            return;
        };
        drop(newcomer);
        serve_streams(
            &self.proxy,
            stream,
            session,
            &verdict,
            deadlines.idle,
            shutdown.clone(),
        )
        .await;
        if let Some(ending) = verdict.get() {
            ended_http2(&self.shared, &session.connection.load(), *ending);
        }
    }

    async fn serve_http1(
        &self,
        mut stream: Box<ClientStream>,
        client: &Session,
        newcomer: Newcomer,
        mut shutdown: ShutdownWatch,
    ) {
        let mut settings = None;
        let mut newcomer = Some(newcomer);
        loop {
            let Some((limits, deadlines)) = self.head_bounds() else {
                return;
            };
            let waited = tokio::select! {
                biased;
                _ = client.until_ended() => {
                    stream.say_goodbye().await;
                    return;
                }
                read = stream.read_head(limits, deadlines) => read,
                () = shut_down(&mut shutdown, newcomer.as_ref()) => HeadRead::Gone,
            };
            match waited {
                HeadRead::Ready => {}
                HeadRead::Gone => return,
                HeadRead::Refused(denial) => {
                    let id = RequestId::next();
                    let line = told_line(stream.refused_bytes());
                    refused_head(&self.shared, &client.connection.load(), denial, id, line);
                    let answer = raw_answer(denial, id);
                    Box::pin(stream.answer_and_close(answer.as_bytes())).await;
                    return;
                }
            }
            let deadlines = Arc::clone(stream.deadlines());
            let mut session = ServerSession::new_http1(stream);
            session.set_keepalive((!*shutdown.borrow()).then_some(KEEPALIVE_SECONDS));
            if let Some(settings) = settings.take() {
                pingora::apps::HttpPersistentSettings::apply_to_session(settings, &mut session);
            }
            let served = self.proxy.process_new_http(session, &shutdown);
            let Some(reused) = keeping(&deadlines, served).await else {
                return;
            };
            newcomer = None;
            let (next, next_settings) = reused.consume();
            let Some(next) = client_of(next) else { return };
            stream = next;
            settings = next_settings;
        }
    }

    fn head_bounds(&self) -> Option<(HeadLimits, HeadDeadlines)> {
        let snapshot = self.shared.snapshot.load();
        let config = snapshot.config.listeners.get(self.listener)?;
        let limits = HeadLimits {
            bytes_max: config.header_bytes_max.as_usize(),
            fields_max: usize::try_from(config.headers_max.get()).unwrap_or(usize::MAX),
        };
        Some((
            limits,
            HeadDeadlines {
                idle: config.idle_timeout,
                head: config.header_timeout,
            },
        ))
    }
}

impl std::fmt::Debug for Accept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Accept")
            .field("listener", &self.listener)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl ServerApp for Accept {
    async fn process_new(
        self: &Arc<Self>,
        stream: Stream,
        shutdown: &ShutdownWatch,
    ) -> Option<Stream> {
        let tcp = tcp_of(stream)?;
        let (accept, shutdown) = (Arc::clone(self), shutdown.clone());
        // Pingora's task is as large as a handshake of its own, which never happens here, and as long as it lives: it ends at once.
        tokio::spawn(async move {
            let mut cut = accept.shared.cut.subscribe();
            tokio::select! {
                () = accept.serve(tcp, &shutdown) => {}
                // Whatever is being served is dropped, and records itself as aborted.
                _ = cut.wait_for(|cut| *cut) => {}
            }
        });
        None
    }

    async fn cleanup(&self) {
        self.proxy.http_cleanup().await;
    }
}

/// A handshake that came to nothing.
struct Ended {
    refused: Refused,
    /// Where the client may still be told why.
    tcp: Option<Box<TcpStream>>,
}

impl From<Refused> for Ended {
    fn from(refused: Refused) -> Self {
        Self { refused, tcp: None }
    }
}

/// Resolves once a session has ended and what it was about had its time: a request under way may be answered, a tunnel may say
/// goodbye, and neither may take longer than the second that a revocation has.
async fn overdue(session: &Session) {
    let ended = session.until_ended().await;
    tokio::time::sleep_until(ended.cut_at.into()).await;
}

/// The handshake, with the certificate and the trust of the host that the client names.
async fn accept_tls(
    tcp: TcpStream,
    state: &ListenerState,
    shared: &Shared,
) -> Result<TlsStream<TcpStream>, Ended> {
    let mut hello = pin!(LazyConfigAcceptor::new(Acceptor::default(), tcp));
    let started = match hello.as_mut().await {
        Ok(started) => started,
        Err(error) => {
            return Err(Ended {
                refused: denial_of(&error),
                tcp: hello.take_io().map(Box::new),
            });
        }
    };
    let name = started
        .client_hello()
        .server_name()
        .map(str::to_ascii_lowercase);
    // A name that no certificate covers gets none, whatever the group: the handshake ends with an alert.
    let group = state.group_of(name.as_deref()).unwrap_or_default();
    let group = state
        .groups
        .get(group)
        .ok_or(Refused::from(Denial::Internal))?;
    started
        .into_stream(Arc::clone(&group.tls))
        .into_fallible()
        .await
        .map_err(|(error, tcp)| {
            let (hosts, metrics) = (&group.trust.crl_hosts, &shared.metrics.crl);
            shared.points.learn(lists_wanted(&error), hosts, metrics);
            Ended {
                refused: denial_of(&error),
                tcp: Some(Box::new(tcp)),
            }
        })
}

/// A session was resumed whose chain is no longer good.
async fn refuse_resumed(tls: TlsStream<TcpStream>, refused: Refused) -> Ended {
    let tcp = Some(Box::new(nothing_follows(tls).await));
    Ended { refused, tcp }
}

/// Resolves once the process is asked to stop and this connection need not be waited for: at once when it is between two requests,
/// a moment later when its first one may be on the way.
async fn shut_down(shutdown: &mut ShutdownWatch, newcomer: Option<&Newcomer>) {
    // An error means that the sender is gone: the server has ended.
    drop(shutdown.wait_for(|stopping| *stopping).await);
    if newcomer.is_some() {
        tokio::time::sleep(FIRST_REQUEST).await;
    }
}

/// What a plain TCP listener hands over.
fn tcp_of(stream: Stream) -> Option<TcpStream> {
    stream.into_any().downcast().ok().map(|tcp| *tcp)
}

/// What Pingora hands back between two requests.
fn client_of(stream: Stream) -> Option<Box<ClientStream>> {
    stream.into_any().downcast().ok()
}

fn unix_seconds() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

fn channel(version: Option<rustls::ProtocolVersion>, alpn: Option<&[u8]>) -> &'static str {
    let http2 = alpn == Some(b"h2");
    match (version, http2) {
        (Some(rustls::ProtocolVersion::TLSv1_2), false) => "TLSv1.2/http/1.1",
        (Some(rustls::ProtocolVersion::TLSv1_2), true) => "TLSv1.2/h2",
        (_, false) => "TLSv1.3/http/1.1",
        (_, true) => "TLSv1.3/h2",
    }
}

/// Pingora's own wait between requests is never used: the head is read ahead, under the listener's deadlines.
const KEEPALIVE_SECONDS: u64 = 60;
/// How long a first request may be on the way when the process is told to stop. Some clients open connections in advance and send
/// nothing: they are not worth more.
const FIRST_REQUEST: Duration = Duration::from_secs(1);
