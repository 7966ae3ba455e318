//! A call and its answer, apart from how they are written on the wire.

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// What a caller asks.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    /// `GET` or `POST`; others are never found.
    pub(crate) method: String,
    /// The path without its query.
    pub(crate) path: String,
    /// The parameters of the query, decoded, in their order.
    pub(crate) query: Vec<(String, String)>,
    /// The body, at most [`super::http1::BODY_BYTES_MAX`] long.
    pub(crate) body: Vec<u8>,
}

impl Call {
    /// A parameter of the query; the first, where it stands twice.
    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        let found = self.query.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The body as JSON of this shape.
    ///
    /// # Errors
    /// 400 with the place of what does not fit.
    pub(super) fn json<T: DeserializeOwned>(&self) -> Result<T, Refused> {
        serde_json::from_slice(&self.body).map_err(|error| {
            Refused::new(
                400,
                format!("the body is not what this call takes: {error}"),
            )
        })
    }
}

/// What a change came to.
#[derive(Debug)]
pub(super) struct Done {
    /// For the caller.
    pub(super) body: Value,
    /// For the record: to what it was done.
    pub(super) object: String,
    /// For the record: what came of it, `done` and more.
    pub(super) outcome: String,
}

/// Why a call came to nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    /// As HTTP says it.
    pub(crate) status: u16,
    /// For the caller and the record: what is wrong, how to fix it.
    pub(crate) why: String,
}

impl Refused {
    pub(super) fn new(status: u16, why: impl Into<String>) -> Self {
        Self {
            status,
            why: why.into(),
        }
    }
}

/// What is sent back.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) body: Value,
}

impl Reply {
    pub(super) fn ok(body: Value) -> Self {
        Self { status: 200, body }
    }
}

impl From<Refused> for Reply {
    fn from(refused: Refused) -> Self {
        Self {
            status: refused.status,
            body: json!({ "error": refused.why }),
        }
    }
}
