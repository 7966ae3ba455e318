//! An HTTP/2 client over the same TLS, blocking on the outside.

use std::future::{Future, poll_fn};
use std::sync::Arc;

use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use h2::{RecvStream, SendStream};
use http::{Request, Uri};
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::client::{Client, Response};
use crate::h2_upstream::fields;
use crate::message::Fields;
use crate::wait::{DEADLINE, must};

/// One open HTTP/2 connection.
#[derive(Debug)]
pub struct H2Connection {
    runtime: Runtime,
    sender: SendRequest<Bytes>,
    name: String,
}

/// A request with all that HTTP/2 lets a client choose.
#[derive(Clone, Debug)]
pub struct H2Request {
    /// Method.
    pub method: String,
    /// `:authority`.
    pub authority: String,
    /// `:path`.
    pub path: String,
    /// Further fields.
    pub fields: Vec<(String, String)>,
    /// Body; empty: the head ends the stream.
    pub body: Vec<u8>,
}

impl Client {
    /// Opens an HTTP/2 connection.
    ///
    /// # Errors
    /// Why not, in words.
    pub fn connect_h2(&self) -> Result<H2Connection, String> {
        let runtime = must(
            tokio::runtime::Builder::new_multi_thread()
                .worker_threads(1)
                .enable_all()
                .build(),
            "make a runtime",
        );
        let tcp = self.connect_tcp().map_err(|error| error.to_string())?;
        let config = Arc::new(self.clone().alpn(&["h2"]).tls_config());
        let name = must(
            ServerName::try_from(self.name().to_owned()),
            "read a server name",
        );
        let connecting = async {
            must(tcp.set_nonblocking(true), "make a socket non-blocking");
            let tcp = TcpStream::from_std(tcp).map_err(|error| error.to_string())?;
            let tls = TlsConnector::from(config)
                .connect(name, tcp)
                .await
                .map_err(|error| error.to_string())?;
            if tls.get_ref().1.alpn_protocol() != Some(b"h2") {
                return Err("the gateway does not speak h2".to_owned());
            }
            let (sender, connection) = h2::client::handshake(tls)
                .await
                .map_err(|error| error.to_string())?;
            tokio::spawn(async move {
                // How it ends is seen by the requests.
                drop(connection.await);
            });
            Ok(sender)
        };
        let sender = runtime.block_on(async {
            timeout(DEADLINE, connecting)
                .await
                .map_err(|_| "deadline".to_owned())?
        })?;
        Ok(H2Connection {
            runtime,
            sender,
            name: self.name().to_owned(),
        })
    }
}

impl H2Connection {
    /// A GET for the name of the connection.
    #[must_use]
    pub fn get(&self, path: &str) -> H2Request {
        H2Request {
            method: "GET".to_owned(),
            authority: self.name.clone(),
            path: path.to_owned(),
            fields: Vec::new(),
            body: Vec::new(),
        }
    }

    /// Sends a request and waits for the whole answer.
    ///
    /// # Errors
    /// Why there is none, in words.
    pub fn send(&mut self, request: &H2Request) -> Result<Response, String> {
        let mut sender = self.sender.clone();
        let exchange = exchange(&mut sender, request);
        self.runtime.block_on(async {
            timeout(DEADLINE, exchange)
                .await
                .map_err(|_| "deadline".to_owned())?
        })
    }

    /// Sends a request and waits for the head of its answer only; gives the status and what follows.
    ///
    /// # Errors
    /// Why there is none, in words.
    pub fn open(&mut self, request: &H2Request) -> Result<(u16, RecvStream), String> {
        let mut sender = self.sender.clone();
        self.runtime.block_on(async {
            let answer = begin(&mut sender, request);
            let answer = timeout(DEADLINE, answer).await;
            let (parts, body) = answer.map_err(|_| "deadline".to_owned())??.into_parts();
            Ok((parts.status.as_u16(), body))
        })
    }

    /// What comes next of an answer; `None` at its end.
    ///
    /// # Errors
    /// Why nothing comes, in words.
    pub fn next_of(&self, body: &mut RecvStream) -> Result<Option<Vec<u8>>, String> {
        let next = self.runtime.block_on(async {
            timeout(DEADLINE, body.data())
                .await
                .map_err(|_| "deadline".to_owned())
        })?;
        let Some(data) = next.transpose().map_err(|error| error.to_string())? else {
            return Ok(None);
        };
        body.flow_control()
            .release_capacity(data.len())
            .map_err(|error| error.to_string())?;
        Ok(Some(data.to_vec()))
    }
}

impl H2Request {
    /// One more field.
    #[must_use]
    pub fn field(mut self, name: &str, value: &str) -> Self {
        self.fields.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Another method.
    #[must_use]
    pub fn method(mut self, method: &str) -> Self {
        method.clone_into(&mut self.method);
        self
    }

    /// Another authority.
    #[must_use]
    pub fn authority(mut self, authority: &str) -> Self {
        authority.clone_into(&mut self.authority);
        self
    }

    /// A body.
    #[must_use]
    pub fn body(mut self, body: &[u8]) -> Self {
        self.body = body.to_vec();
        self
    }
}

/// A request that is still open, and its answer as it comes.
#[derive(Debug)]
pub struct H2Stream<'c> {
    runtime: &'c Runtime,
    body: SendStream<Bytes>,
    answer: Option<ResponseFuture>,
    incoming: Option<RecvStream>,
}

impl H2Connection {
    /// Sends the head of a request; its body follows through the stream.
    ///
    /// # Errors
    /// Why not, in words.
    pub fn stream(&mut self, request: &H2Request) -> Result<H2Stream<'_>, String> {
        let mut sender = self.sender.clone();
        let head = head_of(request)?;
        let (answer, body) = self.runtime.block_on(async {
            futures_ready(&mut sender).await?;
            let sent = sender.send_request(head, false);
            sent.map_err(|error| error.to_string())
        })?;
        Ok(H2Stream {
            runtime: &self.runtime,
            body,
            answer: Some(answer),
            incoming: None,
        })
    }
}

impl H2Stream<'_> {
    /// Sends a part of the body, as soon as the gateway's window takes it.
    ///
    /// # Errors
    /// Why not, in words.
    pub fn send(&mut self, bytes: &[u8]) -> Result<(), String> {
        let body = &mut self.body;
        let mut left = Bytes::copy_from_slice(bytes);
        let sending = async {
            while !left.is_empty() {
                body.reserve_capacity(left.len());
                let room = poll_fn(|cx| body.poll_capacity(cx)).await;
                let room = room.ok_or("the stream is closed")?.map_err(in_words)?;
                let part = left.split_to(room.min(left.len()));
                body.send_data(part, false).map_err(in_words)?;
            }
            Ok(())
        };
        within_deadline(self.runtime, sending)
    }

    /// The body is whole.
    ///
    /// # Errors
    /// Why that cannot be said, in words.
    pub fn finish(&mut self) -> Result<(), String> {
        self.body.send_data(Bytes::new(), true).map_err(in_words)
    }

    /// The body is whole, and these fields follow it.
    ///
    /// # Errors
    /// Why that cannot be said, in words.
    pub fn finish_with(&mut self, trailers: http::HeaderMap) -> Result<(), String> {
        self.body.send_trailers(trailers).map_err(in_words)
    }

    /// Waits for the head of the answer.
    ///
    /// # Errors
    /// Why there is none, in words.
    pub fn head(&mut self) -> Result<(u16, Fields), String> {
        let answer = self.answer.take().ok_or("it was read before")?;
        let answer = async { answer.await.map_err(in_words) };
        let (parts, incoming) = within_deadline(self.runtime, answer)?.into_parts();
        self.incoming = Some(incoming);
        Ok((parts.status.as_u16(), fields(&parts.headers)))
    }

    /// Waits for the next part of the answer; `None` at its end.
    ///
    /// # Errors
    /// Why it does not come, in words.
    pub fn data(&mut self) -> Result<Option<Bytes>, String> {
        let incoming = self.incoming.as_mut().ok_or("no head yet")?;
        let part = async { incoming.data().await.transpose().map_err(in_words) };
        let part = within_deadline(self.runtime, part)?;
        if let Some(part) = &part {
            let window = incoming.flow_control();
            window.release_capacity(part.len()).map_err(in_words)?;
        }
        Ok(part)
    }

    /// Waits for the fields behind the answer.
    ///
    /// # Errors
    /// Why they do not come, in words.
    pub fn trailers(&mut self) -> Result<Fields, String> {
        let incoming = self.incoming.as_mut().ok_or("no head yet")?;
        let trailers = async { incoming.trailers().await.map_err(in_words) };
        let trailers = within_deadline(self.runtime, trailers)?;
        Ok(fields(&trailers.unwrap_or_default()))
    }
}

fn within_deadline<T>(
    runtime: &Runtime,
    wait: impl Future<Output = Result<T, String>>,
) -> Result<T, String> {
    runtime.block_on(async {
        timeout(DEADLINE, wait)
            .await
            .map_err(|_| "deadline".to_owned())?
    })
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "the shape that map_err asks for"
)]
fn in_words(error: h2::Error) -> String {
    error.to_string()
}

fn head_of(request: &H2Request) -> Result<Request<()>, String> {
    let uri = Uri::builder()
        .scheme("https")
        .authority(request.authority.as_str())
        .path_and_query(request.path.as_str());
    let uri = uri.build().map_err(|error| error.to_string())?;
    let mut head = Request::builder().method(request.method.as_str()).uri(uri);
    for (name, value) in &request.fields {
        head = head.header(name, value);
    }
    head.body(()).map_err(|error| error.to_string())
}

async fn begin(
    sender: &mut SendRequest<Bytes>,
    request: &H2Request,
) -> Result<http::Response<RecvStream>, String> {
    let head = head_of(request)?;
    futures_ready(sender).await?;
    let (response, mut body) = sender
        .send_request(head, request.body.is_empty())
        .map_err(|error| error.to_string())?;
    if !request.body.is_empty() {
        body.send_data(Bytes::from(request.body.clone()), true)
            .map_err(|error| error.to_string())?;
    }
    response.await.map_err(|error| error.to_string())
}

async fn exchange(
    sender: &mut SendRequest<Bytes>,
    request: &H2Request,
) -> Result<Response, String> {
    let (parts, mut body) = begin(sender, request).await?.into_parts();
    let mut bytes = Vec::new();
    while let Some(data) = body.data().await {
        let data = data.map_err(|error| error.to_string())?;
        body.flow_control()
            .release_capacity(data.len())
            .map_err(|error| error.to_string())?;
        bytes.extend_from_slice(&data);
    }
    Ok(Response {
        status: parts.status.as_u16(),
        fields: fields(&parts.headers),
        body: bytes,
    })
}

async fn futures_ready(sender: &mut SendRequest<Bytes>) -> Result<(), String> {
    poll_fn(|context| sender.poll_ready(context))
        .await
        .map_err(|error| error.to_string())
}
