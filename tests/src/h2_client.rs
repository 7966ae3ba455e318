//! An HTTP/2 client over the same TLS, blocking on the outside.

use std::sync::Arc;

use bytes::Bytes;
use h2::RecvStream;
use h2::client::SendRequest;
use http::{Request, Uri};
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::client::{Client, Response};
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

async fn begin(
    sender: &mut SendRequest<Bytes>,
    request: &H2Request,
) -> Result<http::Response<RecvStream>, String> {
    let uri = Uri::builder()
        .scheme("https")
        .authority(request.authority.as_str())
        .path_and_query(request.path.as_str());
    let uri = uri.build().map_err(|error| error.to_string())?;
    let mut head = Request::builder().method(request.method.as_str()).uri(uri);
    for (name, value) in &request.fields {
        head = head.header(name, value);
    }
    let head = head.body(()).map_err(|error| error.to_string())?;
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
    let field = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
        (
            name.as_str().to_owned(),
            String::from_utf8_lossy(value.as_bytes()).into_owned(),
        )
    };
    Ok(Response {
        status: parts.status.as_u16(),
        fields: Fields(parts.headers.iter().map(field).collect()),
        body: bytes,
    })
}

async fn futures_ready(sender: &mut SendRequest<Bytes>) -> Result<(), String> {
    std::future::poll_fn(|context| sender.poll_ready(context))
        .await
        .map_err(|error| error.to_string())
}
