//! The state of one request while it walks through Pingora's phases.

mod body;
mod head;

use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use hangu_audit::{
    Decision, Exchange, Inputs, Judgement, Kind, Origin, Record, Shadow, Step, Timestamp,
};
use hangu_policy::{Overridden, Value};
use pingora::http::RequestHeader;
use pingora::prelude::{Error, ErrorType, HttpPeer};

use crate::audit_trail::Place;
use crate::config;
use crate::connection::Connection;
use crate::denial::Denial;
use crate::layers::Layer;
use crate::layers::application::shadow::Trial;
use crate::layers::cloud::peer::Silence;
use crate::layers::cloud::upstreams::{Chosen, NoUpstream};
use crate::layers::network::limits::{Clock, Limited};
use crate::live::{Running, Session as LiveSession};
use crate::observe::metrics::{Metrics, NO_APPLICATION};
use crate::refusal::Refusal;
use crate::request_deadlines::RequestDeadlines;
use crate::request_id::RequestId;
use crate::shared::Shared;
use crate::snapshot::{ApplicationState, Snapshot};
use crate::stage::{Canonical, Permitted, Routed};
use head::{method_name, query_keys, trace_id, without_query};

mod cut;
mod told;

use told::Told;

/// One request.
#[derive(Debug)]
pub struct Context {
    /// Its name.
    pub id: RequestId,
    /// When its head was whole.
    pub started: Instant,
    /// The generation that judges it, from beginning to end.
    pub snapshot: Arc<Snapshot>,
    /// Over which connection it came.
    pub connection: Option<Arc<Connection>>,
    /// Its place in the audit log.
    pub place: Option<Place>,
    /// The proof that it may be forwarded.
    pub permitted: Option<Permitted>,
    /// Index of its application, once known.
    pub application: Option<usize>,
    /// What went wrong on the way through, where a phase knows better than Pingora's error.
    pub failure: Option<Denial>,
    /// What the limits made of it; holds its places among those under way.
    pub limited: Limited,
    /// The whole body has come: whatever the upstream is late with then is its own.
    pub body_is_whole: bool,
    /// Body bytes taken from the client.
    pub bytes_in: u64,
    /// Bytes of the answer's body that were given to the client's connection.
    pub bytes_out: u64,
    shared: Arc<Shared>,
    /// Until when body and answer must have come; kept by whoever serves the connection.
    deadlines: Arc<RequestDeadlines>,
    /// The open connection that it came over, once the request counts as one of its.
    session: Option<Arc<LiveSession>>,
    /// Its place among those under way there, once it is permitted.
    running: Option<Running>,
    clock: SystemTime,
    steps: [Step; 6],
    shadow: Option<Box<Shadow>>,
    refusal: Option<Refusal>,
    /// The refusal came from outside, when the request had been permitted.
    is_cut: bool,
    chosen: Option<Chosen>,
    tried: Vec<SocketAddr>,
    /// What its record has said already.
    told: Option<Told>,
}

impl Context {
    /// A request that has just been read.
    #[must_use]
    pub fn new(shared: Arc<Shared>) -> Self {
        shared.in_flight.fetch_add(1, Ordering::AcqRel);
        let snapshot = shared.snapshot.load_full();
        Self {
            shared,
            id: RequestId::next(),
            started: Instant::now(),
            clock: SystemTime::now(),
            snapshot,
            connection: None,
            place: None,
            permitted: None,
            application: None,
            failure: None,
            limited: Limited::default(),
            body_is_whole: false,
            bytes_in: 0,
            bytes_out: 0,
            deadlines: RequestDeadlines::current(),
            session: None,
            running: None,
            steps: [Step::NotReached; 6],
            shadow: None,
            refusal: None,
            is_cut: false,
            chosen: None,
            tried: Vec::new(),
            told: None,
        }
    }

    /// The wall clock when the request came, in seconds since 1970.
    #[must_use]
    pub fn unix_seconds(&self) -> i64 {
        let since = self.clock.duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
    }

    /// When it came, by both clocks.
    #[must_use]
    pub fn clock(&self) -> Clock {
        Clock {
            instant: self.started,
            wall: self.clock,
        }
    }

    /// Its application, once known.
    #[must_use]
    pub fn application(&self) -> Option<(&config::Application, &ApplicationState)> {
        let index = self.application?;
        Some((
            self.snapshot.config.applications.get(index)?,
            self.snapshot.applications.get(index)?,
        ))
    }

    /// The record as it stands when the request comes in: should nothing else ever be known, this is written as aborted.
    #[must_use]
    pub fn draft(
        &self,
        header: &RequestHeader,
        connection: &Connection,
        origin: &Arc<Origin>,
    ) -> Box<Record> {
        let mut record = Box::new(Record::event(
            Kind::Request,
            Timestamp::from(self.clock),
            Arc::clone(origin),
            String::new(),
        ));
        record.basis = Some(Arc::clone(&self.snapshot.basis));
        record.connection = Some(Arc::clone(&connection.audited));
        let mut exchange = Exchange {
            request_id: self.id.to_string(),
            trace_id: trace_id(header, self.id),
            method: method_name(&header.method),
            ..Exchange::default()
        };
        let path = String::from_utf8_lossy(without_query(header.raw_path()));
        put_path(&self.snapshot, &path, &mut exchange);
        record.exchange = Some(exchange);
        record.judgement = Some(Judgement {
            layers: self.steps,
            ..Judgement::new(Decision::Aborted)
        });
        record
    }

    /// A layer agreed.
    pub fn pass(&mut self, layer: Layer) {
        self.set(layer, Step::Pass);
    }

    /// The request is refused. A later refusal (the client left while it was told) does not replace the first.
    pub fn refuse(&mut self, refusal: Refusal) {
        if self.refusal.is_some() {
            return;
        }
        if let Some(layer) = refusal.denial.layer() {
            self.set(layer, Step::Refuse);
        }
        self.refusal = Some(refusal);
    }

    /// The one reading of the request goes into the record.
    pub fn note_canonical(&mut self, canonical: &Canonical<'_>) {
        let snapshot = Arc::clone(&self.snapshot);
        if let Some(exchange) = self.exchange() {
            put_path(&snapshot, canonical.path().as_sent(), exchange);
            exchange.query_keys = canonical.query().map(query_keys).unwrap_or_default();
        }
    }

    /// What the data are for goes into the record.
    pub fn note_purpose(&mut self, purpose: &str) {
        if let Some(exchange) = self.exchange() {
            purpose.clone_into(&mut exchange.purpose);
        }
    }

    /// Compares what a policy under trial would have said with what was decided, counts it and puts it into the record.
    pub fn note_trial(&mut self, tried: Option<Trial>, decided: &Result<Permitted, Refusal>) {
        let (Some(tried), Some(shadow)) = (tried, self.snapshot.shadow.as_deref()) else {
            return;
        };
        let permitted = match decided {
            Ok(_) => true,
            // The policy had permitted.
            Err(refusal) => matches!(refusal.denial, Denial::StepUp | Denial::Obligation),
        };
        if let Some((_, state)) = self.application() {
            state.metrics.tried(tried.compared(permitted));
        }
        let (yes, no) = (Decision::Allowed, Decision::Denied);
        self.shadow = Some(Box::new(Shadow {
            decision: if tried.permits { yes } else { no },
            rule: tried.rule.map(|rule| shadow.rule_name(rule)),
            policy: Arc::clone(&shadow.name),
        }));
    }

    /// What the decision looked at goes into the record, where its rule asks for that.
    pub fn note_details(&mut self, header: &RequestHeader, connection: &Connection) {
        let agent = header.headers.get(http::header::USER_AGENT);
        let agent = agent.map(|value| String::from_utf8_lossy(value.as_bytes()));
        let mut detail = format!("user_agent={}", agent.unwrap_or_default());
        for (name, value) in connection.caller.attributes(self.unix_seconds()) {
            let value = attribute(value);
            let hides = self.snapshot.pseudonyms.as_ref();
            let value = match hides.filter(|pseudonyms| pseudonyms.hides_names()) {
                Some(pseudonyms) => pseudonyms.of("attribute", &value).into(),
                None => value,
            };
            detail.push_str(&format!("; {name}={value}"));
        }
        if let Some(record) = self.place.as_mut().and_then(Place::draft) {
            record.detail = detail;
        }
    }

    /// Where it goes goes into the record.
    pub fn note_route(&mut self, routed: &Routed<'_, '_>) {
        let (application, route) = routed.indexes();
        self.application = Some(application);
        let target = routed.state().targets.get(route).cloned();
        if let Some(record) = self.place.as_mut().and_then(Place::draft) {
            record.target = target;
        }
    }

    /// Body bytes go through, either way.
    ///
    /// # Errors
    /// A quota is used up: the request is to be cut off.
    pub fn flow(&mut self, body: Option<&Bytes>) -> pingora::Result<()> {
        let Some(bytes) = body else { return Ok(()) };
        self.limited.flow(bytes.len()).map_err(|denial| {
            self.failure = Some(denial);
            Error::new(ErrorType::HTTPStatus(denial.status()))
        })
    }

    /// Chooses an upstream for a permitted request.
    ///
    /// # Errors
    /// [`Denial::NoHealthyUpstream`]; [`Denial::Internal`] for a request that nobody permitted.
    pub fn choose_upstream(&mut self, silence: Silence) -> Result<HttpPeer, Denial> {
        let permitted = self.permitted.as_ref().ok_or(Denial::Internal)?;
        let state = self
            .snapshot
            .applications
            .get(permitted.application())
            .ok_or(Denial::Internal)?;
        let left = self.answer_time_left();
        // What an upstream is tried with again does not stand in its own way.
        drop(self.chosen.take());
        let chosen = match state.upstreams.choose(self.started, &self.tried) {
            Ok(chosen) => chosen,
            Err(NoUpstream::Out) => return Err(Denial::NoHealthyUpstream),
            Err(NoUpstream::Busy(limit)) => {
                self.limited.refused_by(limit);
                return Err(Denial::UpstreamsBusy);
            }
        };
        let peer = state
            .peer_settings
            .peer(chosen.address(), silence, left, permitted);
        self.tried.push(chosen.address());
        self.chosen = Some(chosen);
        Ok(peer)
    }

    /// Where the chosen upstream is.
    #[must_use]
    pub fn chosen_address(&self) -> Option<SocketAddr> {
        self.chosen.as_ref().map(Chosen::address)
    }

    /// Whether another upstream may be asked.
    #[must_use]
    pub fn has_untried_upstream(&self) -> bool {
        self.application()
            .is_some_and(|(_, state)| self.tried.len() < state.upstreams.len())
    }

    /// The last try does not count: the upstream may be chosen again.
    pub fn forget_last_try(&mut self) {
        self.tried.pop();
    }

    /// The chosen upstream failed; should no other answer, this is why.
    pub fn upstream_failed(&mut self, denial: Denial, metrics: &Metrics) {
        self.failure = Some(denial);
        let now = Instant::now();
        let Some((config, state)) = self.application() else {
            return;
        };
        metrics.upstream_failed(config.name.as_str(), denial);
        if let Some(chosen) = &self.chosen {
            if state.upstreams.failed(chosen, now) {
                tracing::warn!(
                    "upstream {} of {} is out after failures",
                    chosen.address(),
                    config.name.as_str()
                );
            }
            state
                .metrics
                .upstreams_out
                .set(i64::try_from(state.upstreams.out_count(now)).unwrap_or(i64::MAX));
        }
    }

    /// The chosen upstream answered.
    pub fn upstream_answered(&mut self) {
        self.failure = None;
        let Some((_, state)) = self.application() else {
            return;
        };
        state.metrics.upstream_ok.inc();
        if let Some(chosen) = &self.chosen {
            state.upstreams.succeeded(chosen);
            if state.metrics.upstreams_out.get() != 0 {
                let out = state.upstreams.out_count(Instant::now());
                state
                    .metrics
                    .upstreams_out
                    .set(i64::try_from(out).unwrap_or(i64::MAX));
            }
        }
    }

    /// What was judged so far goes into the record, should the request end without a last word.
    pub fn note_judgement(&mut self) {
        let mut judgement = self.judgement();
        judgement.decision = Decision::Aborted;
        if let Some(record) = self.place.as_mut().and_then(Place::draft) {
            record.judgement = Some(judgement);
        }
    }

    fn judgement(&self) -> Judgement {
        let (decision, reason, denying_rule) = match self.refusal {
            None => (Decision::Allowed, None, None),
            Some(Refusal {
                denial: denial @ (Denial::ClientGone | Denial::ClientSlow),
                ..
            }) => (Decision::Aborted, Some(denial.code()), None),
            Some(refusal) if self.is_cut => (Decision::Aborted, Some(refusal.denial.code()), None),
            Some(refusal) => (Decision::Denied, Some(refusal.denial.code()), refusal.rule),
        };
        let rule = self
            .permitted
            .as_ref()
            .map(|permitted| permitted.permit().rule())
            .or(denying_rule);
        let duty = rule.and_then(|rule| self.snapshot.duties.of(rule));
        let overridden = match (&self.permitted, self.refusal) {
            (Some(permitted), _) => permitted.overridden(),
            (None, Some(refusal)) => refusal.overridden,
            (None, None) => Overridden::default(),
        };
        let overridden = overridden.rules();
        Judgement {
            shadow: self.shadow.clone(),
            obligations: duty.map(|duty| duty.words.clone()).unwrap_or_default(),
            reason: reason.map(Cow::Borrowed),
            rule: rule.map(|rule| self.snapshot.rule_name(rule)),
            overridden: overridden
                .map(|rule| self.snapshot.rule_name(rule))
                .collect(),
            layers: self.steps,
            decided_at: u64::try_from(self.unix_seconds()).unwrap_or_default(),
            inputs: self.inputs(),
            ..Judgement::new(decision)
        }
    }

    /// What was known of the caller beyond what the record says of him anyway. Not where he has a pseudonym: attributes could name him, and
    /// a decision about a pseudonym cannot be made again.
    fn inputs(&self) -> Option<Inputs> {
        if self.snapshot.pseudonyms.is_some() {
            return None;
        }
        let caller = &self.connection.as_ref()?.caller;
        Some(Arc::clone(caller.inputs(self.unix_seconds())))
    }

    fn count(&self, metrics: &Metrics, seconds: f64) {
        let found = self.application();
        for layer in Layer::ALL {
            if self.steps.get(layer.index()) == Some(&Step::Pass) {
                match found {
                    Some((_, state)) => state.metrics.passed(layer),
                    None => metrics.passed_without_application(layer),
                }
            }
        }
        if let Some(refusal) = self.refusal {
            metrics.refused(
                refusal.denial,
                found.map_or(NO_APPLICATION, |(config, _)| config.name.as_str()),
            );
        }
        if let Some((_, state)) = found {
            state.metrics.request_seconds.observe(seconds);
        }
    }

    fn set(&mut self, layer: Layer, step: Step) {
        if let Some(slot) = self.steps.get_mut(layer.index()) {
            *slot = step;
        }
    }

    fn exchange(&mut self) -> Option<&mut Exchange> {
        self.place.as_mut()?.draft()?.exchange.as_mut()
    }
}

/// The path goes into the record as the configuration lets it.
fn put_path(snapshot: &Snapshot, path: &str, exchange: &mut Exchange) {
    match &snapshot.pseudonyms {
        Some(pseudonyms) => pseudonyms.put_path(path, exchange),
        None => path.clone_into(&mut exchange.path),
    }
}

/// An attribute for a person to read.
fn attribute(value: &Value) -> Cow<'_, str> {
    match value {
        Value::Text(text) | Value::Described(text, _) => Cow::Borrowed(text),
        Value::Number(number) => number.to_string().into(),
        Value::Bool(is) => is.to_string().into(),
        Value::Null | Value::List(_) | Value::Object(_) => Cow::Borrowed("…"),
    }
}
