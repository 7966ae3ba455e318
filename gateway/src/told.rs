//! What the application is told: the canonical target, who is calling and from where, and nothing that the client said in our name.

use http::header;
use pingora::http::RequestHeader;
use pingora::prelude::{Error, ErrorType};

use crate::context::Context;
use crate::layers::edge::headers::{header_value, remove_claims};
use crate::request_id::{is_traceparent, new_traceparent};
use crate::stage::Permitted;

/// Sets what the application is told, and removes what the client told in our name.
pub(crate) fn speak_for_the_client(
    request: &mut RequestHeader,
    context: &mut Context,
) -> pingora::Result<()> {
    let (Some((config, state)), Some(connection)) =
        (context.application(), context.connection.as_deref())
    else {
        return Err(Error::new(ErrorType::InternalError));
    };
    remove_claims(request, &state.reserved_headers);
    if let Some(target) = context.permitted.as_ref().and_then(Permitted::rewritten) {
        request.set_raw_path(target)?;
    }
    let mut traceparents = request.headers.get_all("traceparent").iter();
    let (first, second) = (traceparents.next(), traceparents.next());
    let passable = first.is_some_and(|value| is_traceparent(value.as_bytes())) && second.is_none();
    if !passable {
        request.insert_header("traceparent", new_traceparent(context.id))?;
        request.remove_header("tracestate");
    }
    join_cookies(request)?;
    let introduction = &connection.introduction;
    request.insert_header("X-Hangu-Subject", introduction.subject.clone())?;
    request.insert_header("X-Hangu-Tenant", state.tenant.clone())?;
    request.insert_header("X-Hangu-Request-Id", &context.id.digits()[..])?;
    let rule = context.permitted.as_ref().map(|own| own.permit().rule());
    let duty = rule.and_then(|rule| context.snapshot.duties.of(rule));
    if let Some(duty) = duty.filter(|duty| !duty.told.is_empty()) {
        request.insert_header("X-Hangu-Obligations", duty.told.join(", "))?;
    }
    request.insert_header("X-Forwarded-For", introduction.address.clone())?;
    request.insert_header("X-Forwarded-Proto", HTTPS)?;
    let host = request
        .headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok())
        .unwrap_or_default();
    let forwarded = forwarded(connection.client_address(), host);
    request.insert_header("Forwarded", forwarded)?;
    if let Some(identity) = connection.identity() {
        let authority = context.snapshot.callers.authority(identity);
        for rule in &config.headers {
            if let Some(value) = rule.value.render_under(identity, authority) {
                request.insert_header(&rule.name, header_value(&value))?;
            }
        }
    }
    Ok(())
}

/// RFC 9113 section 8.2.3: HTTP/2 may split the cookies, HTTP/1.1 knows one field.
fn join_cookies(request: &mut RequestHeader) -> pingora::Result<()> {
    let mut cookies = request.headers.get_all(header::COOKIE).iter();
    let (Some(first), Some(second)) = (cookies.next(), cookies.next()) else {
        return Ok(());
    };
    // One that is empty would leave a space at an end, which no two parsers keep alike.
    let all = [first, second].into_iter().chain(cookies);
    let all: Vec<&[u8]> = all
        .map(http::HeaderValue::as_bytes)
        .filter(|cookie| !cookie.is_empty())
        .collect();
    let joined = all.join(&b"; "[..]);
    request.insert_header(header::COOKIE, joined)
}

/// RFC 7239 section 4: an IPv6 address stands in brackets and quotes.
fn forwarded(client: &str, host: &str) -> String {
    let (before, after) = if client.contains(':') {
        ("for=\"[", "]\"")
    } else {
        ("for=", "")
    };
    [before, client, after, ";host=\"", host, "\";proto=https"].concat()
}

const HTTPS: http::HeaderValue = http::HeaderValue::from_static("https");
