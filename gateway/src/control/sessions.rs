//! `/v1/sessions`: who is connected, since when, doing what; and ending it.

use std::sync::Arc;
use std::time::Instant;

use serde::Deserialize;
use serde_json::{Value, json};

use super::call::{Call, Done, Refused};
use super::caller::Caller;
use crate::denial::Denial;
use crate::live::{Session, UnderWay};
use crate::shared::Shared;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kill {
    id: Option<u64>,
    subject: Option<String>,
    organisation: Option<String>,
}

/// The open connections, at most `limit` of them; `subject`, `organisation` and `application`, which they have a request under way to,
/// select.
pub(super) fn list(shared: &Shared, call: &Call) -> Result<Value, Refused> {
    let limit = match call.parameter("limit").map(str::parse) {
        None => SHOWN_MAX,
        Some(Ok(limit)) => limit,
        Some(Err(_)) => return Err(Refused::new(400, "`limit` is not a number")),
    };
    let (subject, organisation) = (call.parameter("subject"), call.parameter("organisation"));
    let application = call.parameter("application");
    let (mut shown, mut total) = (Vec::new(), 0_usize);
    shared.live.each(|session| {
        if is_of(session, subject, organisation) && is_at(session, application) {
            total += 1;
            if shown.len() < limit {
                shown.push(Arc::clone(session));
            }
        }
    });
    shown.sort_by_key(|session| session.id);
    let shown: Vec<Value> = shown.iter().map(|session| row(session)).collect();
    Ok(json!({ "total": total, "sessions": shown }))
}

/// Ends the connection of an id, or all of a subject or organisation. They may connect again; to keep them out, revoke.
pub(super) fn kill(shared: &Shared, call: &Call, _: &Caller) -> Result<Done, Refused> {
    let learned = Instant::now();
    let asked: Kill = call.json()?;
    let (object, hit) = match (&asked.id, &asked.subject, &asked.organisation) {
        (Some(id), None, None) => {
            let session = shared.live.session(*id);
            let session = session
                .ok_or_else(|| Refused::new(404, format!("there is no open connection {id}")))?;
            (format!("id:{id}"), vec![session])
        }
        (None, Some(name), None) | (None, None, Some(name)) => {
            let (subject, organisation) = (asked.subject.as_deref(), asked.organisation.as_deref());
            let mut hit = Vec::new();
            shared.live.each(|session| {
                if is_of(session, subject, organisation) {
                    hit.push(Arc::clone(session));
                }
            });
            let kind = if subject.is_some() {
                "subject"
            } else {
                "organisation"
            };
            (format!("{kind}:{name}"), hit)
        }
        _ => {
            return Err(Refused::new(
                400,
                "name exactly one of `id`, `subject` and `organisation`",
            ));
        }
    };
    let ended = hit
        .iter()
        .filter(|session| session.end(Denial::SessionEnded, learned))
        .count();
    Ok(Done {
        body: json!({ "connections_ended": ended }),
        object,
        outcome: format!("{ended} open connections end"),
    })
}

fn is_of(session: &Session, subject: Option<&str>, organisation: Option<&str>) -> bool {
    let connection = session.connection.load();
    let names = connection.names();
    let fits = |wanted: Option<&str>, name: Option<&str>| wanted.is_none() || wanted == name;
    fits(subject, names.subject) && fits(organisation, names.organisation)
}

fn is_at(session: &Session, application: Option<&str>) -> bool {
    application.is_none_or(|name| {
        let mut requests = session.under_way();
        requests.any(|request| {
            let target = request.target.as_ref();
            target.is_some_and(|target| target.application == name)
        })
    })
}

fn row(session: &Session) -> Value {
    let connection = session.connection.load();
    let audited = &connection.audited;
    let under_way: Vec<Value> = session.under_way().map(|one| doing(&one)).collect();
    let (bytes_in, bytes_out) = session.bytes();
    json!({
        "id": session.id,
        "subject": audited.subject,
        "organisation": audited.organisation,
        "certificate": audited.certificate,
        "serial": audited.serial,
        "client": audited.client,
        "listener": audited.listener,
        "host": connection.sni,
        "channel": connection.channel,
        "since": session.since,
        "last_request": session.last_request(),
        "requests": session.requests(),
        "in_flight": session.in_flight(),
        "bytes_in": bytes_in,
        "bytes_out": bytes_out,
        "under_way": under_way,
        "ending": session.ended().map(|ended| ended.denial.code()),
    })
}

/// A request under way. Its route, not its path: that may name persons.
fn doing(request: &UnderWay) -> Value {
    let target = request.target.as_deref();
    json!({
        "method": request.method.as_str(),
        "application": target.map(|target| &target.application),
        "route": target.map(|target| &target.route),
        "label": target.map(|target| &target.label),
        "since": request.since,
        "status": request.status(),
        "tunnel": request.is_tunnel(),
        "ending": request.ended().map(|ended| ended.denial.code()),
    })
}

/// Connections that are shown when the caller names no number.
const SHOWN_MAX: usize = 1_000;
