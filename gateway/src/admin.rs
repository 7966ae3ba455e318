//! The admin listener: metrics and health, in plain HTTP, on the loopback address unless the operator says otherwise.

use std::sync::Arc;

use async_trait::async_trait;
use http::{Response, StatusCode};
use pingora::apps::http_app::ServeHttp;
use pingora::protocols::http::ServerSession;

use crate::shared::Shared;

/// Answers `/metrics`, `/healthz` and `/readyz`.
#[derive(Debug)]
pub struct Admin {
    shared: Arc<Shared>,
}

impl Admin {
    /// Over the process's shared state.
    #[must_use]
    pub fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    fn metrics(&self) -> Response<Vec<u8>> {
        self.shared.trail.observe();
        for (kind, keys) in self.shared.limits.keys() {
            let gauge = self.shared.metrics.limits.keys.with_label_values(&[kind]);
            gauge.set(i64::try_from(keys).unwrap_or(i64::MAX));
        }
        match self.shared.metrics.encode() {
            Ok(text) => answer(
                StatusCode::OK,
                "text/plain; version=0.0.4; charset=utf-8",
                text,
            ),
            Err(error) => answer(
                StatusCode::INTERNAL_SERVER_ERROR,
                TEXT,
                format!("{error}\n"),
            ),
        }
    }

    /// Ready: requests would be answered by the layers, not refused for want of a log.
    fn ready(&self) -> Response<Vec<u8>> {
        if self.shared.trail.is_taking() {
            answer(StatusCode::OK, TEXT, "ready\n".to_owned())
        } else {
            answer(
                StatusCode::SERVICE_UNAVAILABLE,
                TEXT,
                "not ready: the audit log takes no record\n".to_owned(),
            )
        }
    }
}

#[async_trait]
impl ServeHttp for Admin {
    async fn response(&self, session: &mut ServerSession) -> Response<Vec<u8>> {
        let request = session.req_header();
        let readable = matches!(request.method, http::Method::GET | http::Method::HEAD);
        match (readable, request.uri.path()) {
            (true, "/metrics") => self.metrics(),
            (true, "/healthz") => answer(StatusCode::OK, TEXT, "alive\n".to_owned()),
            (true, "/readyz") => self.ready(),
            (true, _) => answer(
                StatusCode::NOT_FOUND,
                TEXT,
                "not found; there are /metrics, /healthz and /readyz\n".to_owned(),
            ),
            (false, _) => answer(
                StatusCode::METHOD_NOT_ALLOWED,
                TEXT,
                "only GET and HEAD\n".to_owned(),
            ),
        }
    }
}

fn answer(status: StatusCode, content_type: &str, body: String) -> Response<Vec<u8>> {
    let mut response = Response::new(body.into_bytes());
    *response.status_mut() = status;
    let length = response.body().len();
    let headers = response.headers_mut();
    if let Ok(value) = content_type.parse() {
        headers.insert(http::header::CONTENT_TYPE, value);
    }
    headers.insert(http::header::CONTENT_LENGTH, length.into());
    response
}

const TEXT: &str = "text/plain; charset=utf-8";
