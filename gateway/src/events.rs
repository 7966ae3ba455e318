//! Refusals that happen before there is a request: counted, and written to the audit log with their exact reason.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use hangu_audit::{Decision, Exchange, Judgement, Kind, Record, Step, Timestamp};

use crate::config::Listener;
use crate::connection::Connection;
use crate::denial::Denial;
use crate::layers::Layer;
use crate::layers::edge::http2::Ending;
use crate::observe::metrics::NO_APPLICATION;
use crate::request_id::RequestId;
use crate::shared::Shared;
use crate::snapshot::Snapshot;

/// Why a connection was refused: the code for the metrics, the exact words for the audit log. The wire gets neither.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The code.
    pub denial: Denial,
    /// The words.
    pub detail: String,
}

impl From<Denial> for Refused {
    fn from(denial: Denial) -> Self {
        Self {
            denial,
            detail: String::new(),
        }
    }
}

/// A handshake was refused.
pub fn refused_handshake(
    shared: &Shared,
    snapshot: &Snapshot,
    config: &Listener,
    client: SocketAddr,
    refused: &Refused,
) {
    shared
        .metrics
        .handshake(config.name.as_str(), Some(refused.denial));
    shared.metrics.refused(refused.denial, NO_APPLICATION);
    let mut detail = refused.detail.clone();
    if matches!(
        refused.denial,
        Denial::HandshakesPerSource | Denial::HandshakeRate
    ) {
        match shared.handshakes.record(unix_seconds()) {
            Some(0) => {}
            Some(others) => detail = format!("{others} more since the last such record"),
            None => return,
        }
    }
    let mut record = event(shared, snapshot, Kind::Handshake, refused.denial);
    let mut connection = hangu_audit::Connection {
        listener: config.name.as_str().to_owned(),
        client: client.to_string(),
        ..Default::default()
    };
    if let Some(pseudonyms) = &snapshot.pseudonyms {
        connection = pseudonyms.connection(connection);
        if refused.denial.layer() == Some(Layer::Endpoint) {
            detail = pseudonyms.detail(&detail);
        }
    }
    record.connection = Some(Arc::new(connection));
    record.detail = detail;
    shared.trail.note(record);
}

/// A connection was refused before its handshake, by a limit. A flood of these would crowd requests out of the log: at most one a
/// second is recorded, with the number of those that were not.
pub fn refused_connection(
    shared: &Shared,
    snapshot: &Snapshot,
    config: &Listener,
    client: SocketAddr,
    denial: Denial,
    limit: &str,
) {
    let Some(unrecorded) = shared.limits.unrecorded() else {
        shared.metrics.handshake(config.name.as_str(), Some(denial));
        shared.metrics.refused(denial, NO_APPLICATION);
        return;
    };
    let others = match unrecorded {
        0 => String::new(),
        number => format!("; {number} more connections were refused since the last such record"),
    };
    let detail = format!("refused by limit `{limit}`{others}");
    let refused = Refused { denial, detail };
    refused_handshake(shared, snapshot, config, client, &refused);
}

/// An open connection was ended from outside.
pub fn ended_connection(shared: &Shared, connection: &Connection, denial: Denial) {
    let snapshot = shared.snapshot.load();
    let mut record = event(shared, &snapshot, Kind::Connection, denial);
    record.connection = Some(Arc::clone(&connection.audited));
    if let Some(judgement) = &mut record.judgement {
        judgement.decision = Decision::Aborted;
    }
    shared.metrics.refused(denial, NO_APPLICATION);
    "ended while it was open".clone_into(&mut record.detail);
    shared.trail.note(record);
}

/// A request head was refused before it was parsed; `line` is what can be told of it, method and path.
pub fn refused_head(
    shared: &Shared,
    connection: &Connection,
    denial: Denial,
    id: RequestId,
    line: Option<(&str, &str)>,
) {
    let (method, path) = line.unwrap_or_default();
    shared.metrics.refused(denial, NO_APPLICATION);
    let snapshot = shared.snapshot.load();
    let mut record = event(shared, &snapshot, Kind::Request, denial);
    record.connection = Some(Arc::clone(&connection.audited));
    record.exchange = Some(Exchange {
        request_id: id.to_string(),
        method: method.to_owned().into(),
        path: path.to_owned(),
        status: Some(denial.status()),
        ..Exchange::default()
    });
    if let Some(judgement) = &mut record.judgement {
        judgement.decision = Decision::Denied;
    }
    shared.trail.note(record);
}

/// An HTTP/2 connection was ended for what its client sent.
pub fn ended_http2(shared: &Shared, connection: &Connection, ending: Ending) {
    let denial = ending.denial();
    shared.metrics.refused(denial, NO_APPLICATION);
    shared
        .metrics
        .boundary
        .http2_endings
        .with_label_values(&[connection.audited.listener.as_str(), ending.name()])
        .inc();
    let snapshot = shared.snapshot.load();
    let mut record = event(shared, &snapshot, Kind::Request, denial);
    record.connection = Some(Arc::clone(&connection.audited));
    record.detail = format!("the connection was ended: {}", ending.name());
    shared.trail.note(record);
}

fn unix_seconds() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

fn event(shared: &Shared, snapshot: &Snapshot, kind: Kind, denial: Denial) -> Record {
    let now = Timestamp::from(SystemTime::now());
    let mut record = Record::event(kind, now, Arc::clone(shared.trail.origin()), String::new());
    record.basis = Some(Arc::clone(&snapshot.basis));
    let mut layers = [Step::NotReached; 6];
    if let Some(step) = denial
        .layer()
        .map(Layer::index)
        .and_then(|index| layers.get_mut(index))
    {
        *step = Step::Refuse;
    }
    record.judgement = Some(Judgement {
        reason: Some(Cow::Borrowed(denial.code())),
        layers,
        ..Judgement::new(Decision::Refused)
    });
    record
}
