//! A small HTTP/2 application behind the gateway, in plain or over TLS: for what only HTTP/2 can say.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use h2::server::SendResponse;
use http::{HeaderMap, Request, Response};
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio_rustls::TlsAcceptor;

use crate::message::Fields;
use crate::upstream::{UpstreamTls, server_config};
use crate::wait::must;

/// Runs until it is dropped.
#[derive(Debug)]
pub struct H2Upstream {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<H2Seen>>>,
    _runtime: Runtime,
}

/// One request as it came in.
#[derive(Clone, Debug)]
pub struct H2Seen {
    /// Method.
    pub method: String,
    /// `:authority`.
    pub authority: String,
    /// `:path`.
    pub path: String,
    /// Fields.
    pub fields: Fields,
    /// Body; empty where the answer did not wait for it.
    pub body: Vec<u8>,
    /// Fields behind the body.
    pub trailers: Fields,
}

/// What it answers.
#[derive(Clone, Debug, Default)]
pub struct H2Answer {
    /// Status.
    pub status: u16,
    /// Fields.
    pub fields: Vec<(&'static str, &'static str)>,
    /// Body.
    pub body: Vec<u8>,
    /// Fields behind the body.
    pub trailers: Vec<(&'static str, &'static str)>,
    /// Answers without waiting for the request's body.
    pub is_early: bool,
    /// Ends the stream with this error instead of what follows the head.
    pub reset: Option<h2::Reason>,
}

type Script = dyn Fn(&H2Seen) -> H2Answer + Send + Sync;

impl H2Upstream {
    /// Answers as the script says.
    #[must_use]
    pub fn answering(script: impl Fn(&H2Seen) -> H2Answer + Send + Sync + 'static) -> Self {
        Self::start(Arc::new(script), None)
    }

    /// The same over TLS, where it agrees to nothing but HTTP/2.
    #[must_use]
    pub fn tls(
        tls: &UpstreamTls,
        script: impl Fn(&H2Seen) -> H2Answer + Send + Sync + 'static,
    ) -> Self {
        let mut config = (*server_config(tls)).clone();
        config.alpn_protocols = vec![b"h2".to_vec()];
        Self::start(Arc::new(script), Some(Arc::new(config)))
    }

    /// Everything it got so far.
    #[must_use]
    pub fn seen(&self) -> Vec<H2Seen> {
        lock(&self.seen).clone()
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    fn start(script: Arc<Script>, tls: Option<Arc<ServerConfig>>) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build();
        let runtime = must(runtime, "make a runtime");
        let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)));
        let listener = must(listener, "bind an upstream");
        let address = must(listener.local_addr(), "read the upstream's address");
        let seen = Arc::<Mutex<Vec<H2Seen>>>::default();
        let kept = Arc::clone(&seen);
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (script, seen, tls) = (Arc::clone(&script), Arc::clone(&kept), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => serve(stream, script, seen).await,
                        Some(tls) => {
                            if let Ok(stream) = TlsAcceptor::from(tls).accept(stream).await {
                                serve(stream, script, seen).await;
                            }
                        }
                    }
                });
            }
        });
        Self {
            address,
            seen,
            _runtime: runtime,
        }
    }
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    script: Arc<Script>,
    seen: Arc<Mutex<Vec<H2Seen>>>,
) {
    let Ok(mut connection) = h2::server::handshake(stream).await else {
        return;
    };
    while let Some(Ok((request, respond))) = connection.accept().await {
        let (script, seen) = (Arc::clone(&script), Arc::clone(&seen));
        tokio::spawn(async move {
            // The gateway may leave whenever it likes.
            drop(answer(request, respond, script, seen).await);
        });
    }
}

async fn answer(
    request: Request<h2::RecvStream>,
    mut respond: SendResponse<Bytes>,
    script: Arc<Script>,
    seen: Arc<Mutex<Vec<H2Seen>>>,
) -> Result<(), h2::Error> {
    let (parts, mut incoming) = request.into_parts();
    let mut got = H2Seen {
        method: parts.method.to_string(),
        authority: parts
            .uri
            .authority()
            .map(ToString::to_string)
            .unwrap_or_default(),
        path: parts
            .uri
            .path_and_query()
            .map(ToString::to_string)
            .unwrap_or_default(),
        fields: fields(&parts.headers),
        body: Vec::new(),
        trailers: Fields::default(),
    };
    if !script(&got).is_early {
        while let Some(data) = incoming.data().await {
            let data = data?;
            incoming.flow_control().release_capacity(data.len())?;
            got.body.extend_from_slice(&data);
        }
        let trailers = incoming.trailers().await?;
        got.trailers = fields(&trailers.unwrap_or_default());
    }
    let answer = script(&got);
    lock(&seen).push(got);
    let mut head = Response::builder().status(answer.status);
    for (name, value) in &answer.fields {
        head = head.header(*name, *value);
    }
    let head = must(head.body(()), "build an answer");
    let is_alone = answer.body.is_empty() && answer.trailers.is_empty() && answer.reset.is_none();
    let mut body = respond.send_response(head, is_alone)?;
    if let Some(reason) = answer.reset {
        body.send_data(Bytes::from(answer.body), false)?;
        body.send_reset(reason);
        return Ok(());
    }
    if is_alone {
        return Ok(());
    }
    body.send_data(Bytes::from(answer.body), answer.trailers.is_empty())?;
    if !answer.trailers.is_empty() {
        let mut trailers = HeaderMap::new();
        for (name, value) in &answer.trailers {
            trailers.append(*name, http::HeaderValue::from_static(value));
        }
        body.send_trailers(trailers)?;
    }
    Ok(())
}

pub(crate) fn fields(headers: &HeaderMap) -> Fields {
    let field = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
        (
            name.as_str().to_owned(),
            String::from_utf8_lossy(value.as_bytes()).into_owned(),
        )
    };
    Fields(headers.iter().map(field).collect())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
