//! What the record says of a request's head.

use std::borrow::Cow;

use pingora::http::RequestHeader;

use crate::config;
use crate::request_id::{RequestId, is_traceparent};

/// The path of a request target.
pub(super) fn without_query(target: &[u8]) -> &[u8] {
    target
        .split(|byte| *byte == b'?')
        .next()
        .unwrap_or_default()
}

/// The query of a request target, without its question mark.
pub(super) fn query_of(target: &[u8]) -> Option<&[u8]> {
    let mark = target.iter().position(|byte| *byte == b'?')?;
    target.get(mark + 1..)
}

/// Names of the query's parameters, never their values; bounded, the rest is not named.
pub(super) fn query_keys(query: &[u8]) -> Vec<String> {
    query
        .split(|byte| *byte == b'&')
        .filter_map(|pair| pair.split(|byte| *byte == b'=').next())
        .filter(|key| !key.is_empty())
        .take(QUERY_KEYS_MAX)
        .map(|key| String::from_utf8_lossy(key).into_owned())
        .collect()
}

/// The standard methods cost no allocation.
pub(super) fn method_name(method: &http::Method) -> Cow<'static, str> {
    match config::Method::from_wire(method.as_str()) {
        Some(known) => Cow::Borrowed(known.as_str()),
        None => Cow::Owned(method.as_str().to_owned()),
    }
}

/// The trace id of a well-formed `traceparent`, or the request's own.
pub(super) fn trace_id(header: &RequestHeader, id: RequestId) -> String {
    header
        .headers
        .get("traceparent")
        .filter(|value| is_traceparent(value.as_bytes()))
        .and_then(|value| value.to_str().ok()?.get(TRACE_ID).map(str::to_owned))
        .unwrap_or_else(|| id.to_string())
}

/// Where the trace id stands in a `traceparent` of version 00.
const TRACE_ID: std::ops::Range<usize> = 3..35;
const QUERY_KEYS_MAX: usize = 32;
