//! The walk of a request: each phase of Pingora calls the layers in order.
//!
//! Refusal before effect: nothing reaches an upstream without a [`Permitted`], and nothing is permitted without a place in the
//! audit log. Every request reads one snapshot, once.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use hangu_audit::Exchange;
use hangu_policy::LogLevel;
use http::header;
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::prelude::{Error, ErrorSource, ErrorType, HttpPeer};
use pingora::protocols::Digest;
use pingora::proxy::{FailToProxy, ProxyHttp, Session};
use tracing::error;

use crate::audit_trail::AuditTrail;
use crate::blame::{connect_denial, final_denial, proxy_denial};
use crate::config::Acknowledge;
use crate::connection::{Connection, Live};
use crate::context::Context;
use crate::denial::Denial;
use crate::layers::Layer;
use crate::layers::edge::headers::{
    clean_interim, clean_response, clean_trailers, remove_hop_by_hop,
};
use crate::layers::edge::http2::refused_head;
use crate::observe::metrics::Metrics;
use crate::proof::{agree_on_version, prove_upstream, unfit};
use crate::refusal::{REQUEST_ID_HEADER, Refusal, answer, problem_body};
use crate::shared::Shared;
use crate::stage::{Admitted, Permitted, Received};
use crate::told::speak_for_the_client;

/// The gateway as Pingora's proxy logic.
#[derive(Debug)]
pub struct Gateway {
    shared: Arc<Shared>,
}

impl Gateway {
    /// A gateway over the process's shared state.
    #[must_use]
    pub fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    fn metrics(&self) -> &Metrics {
        &self.shared.metrics
    }

    fn trail(&self) -> &AuditTrail {
        &self.shared.trail
    }

    /// Stops 5 to 10, cheap before dear.
    async fn judge(
        &self,
        header: &RequestHeader,
        connection: &Connection,
        context: &mut Context,
    ) -> Result<Permitted, Refusal> {
        let snapshot = Arc::clone(&context.snapshot);
        let fields_max = snapshot.header_fields_max(connection.listener);
        let canonical = Received::new(header, connection).canonical(fields_max)?;
        context.note_canonical(&canonical);
        context.pass(Layer::Edge);

        let rewritten = canonical.rewritten_target();
        let routed = canonical
            .routed(&snapshot)
            .map_err(|(denial, application)| {
                context.application = application;
                denial
            })?;
        context.note_route(&routed);
        context.pass(Layer::Cloud);

        let valid = routed.valid(&self.shared.pushed.load(), context.unix_seconds())?;
        context.pass(Layer::Endpoint);
        let clock = context.clock();
        let admit = valid.admitted(&self.shared.limits, clock, &mut context.limited);
        let admitted = admit.await?;
        context.pass(Layer::Network);

        let tried = admitted.tried();
        let decided = self.decide(header, connection, admitted, context);
        context.note_trial(tried, &decided);
        Ok(decided?.with_target(rewritten))
    }

    /// Stops 9 and 10: the data layer and the policy.
    fn decide(
        &self,
        header: &RequestHeader,
        connection: &Connection,
        admitted: Admitted<'_, '_>,
        context: &mut Context,
    ) -> Result<Permitted, Refusal> {
        let cleared = admitted.cleared()?;
        context.note_purpose(cleared.purpose());
        context.pass(Layer::Data);

        let permitted = cleared.permitted();
        let rule = match &permitted {
            Ok(permitted) => Some(permitted.permit().rule()),
            Err(refusal) => refusal.rule,
        };
        let duty = rule.and_then(|rule| context.snapshot.duties.of(rule));
        if duty.is_some_and(|duty| duty.log_level == LogLevel::Detailed) {
            context.note_details(header, connection);
        }
        let permitted = permitted?;
        context.pass(Layer::Application);
        Ok(permitted)
    }

    /// The last of the disk is for denials and events: nothing is permitted that fills it.
    fn room_for(&self, permitted: Permitted, context: &mut Context) -> Result<Permitted, Refusal> {
        if self.trail().may_permit(context.acknowledge()) {
            return Ok(permitted);
        }
        if context.acknowledge() == Acknowledge::Counted {
            if let Some(place) = context.place.take() {
                place.forgo();
            }
            return Ok(permitted);
        }
        self.metrics().audit.refused.inc();
        Err(Denial::AuditUnavailable.into())
    }

    /// The log has no place: only an application that lets its records be dropped and counted is still judged.
    async fn without_a_place(
        &self,
        header: &RequestHeader,
        connection: &Connection,
        context: &mut Context,
    ) -> Result<Permitted, Refusal> {
        let judged = self.judge(header, connection, context).await;
        if context.acknowledge() == Acknowledge::Counted {
            self.metrics().audit.dropped.inc();
            return judged;
        }
        self.metrics().audit.refused.inc();
        Err(Denial::AuditUnavailable.into())
    }

    async fn refuse(
        &self,
        session: &mut Session,
        context: &mut Context,
        refusal: Refusal,
    ) -> pingora::Result<()> {
        context.refuse(refusal);
        self.answer(session, context, refusal).await
    }

    /// Answers a refused request once its record is where it must be; one that the log does not take is told so instead.
    async fn answer(
        &self,
        session: &mut Session,
        context: &mut Context,
        mut refusal: Refusal,
    ) -> pingora::Result<()> {
        let status = refusal.denial.status();
        let bytes = match session.req_header().method {
            http::Method::HEAD => 0,
            _ => problem_body(refusal.denial, context.id).len(),
        };
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        if context.tell_of(status, bytes).await.is_err() {
            self.metrics().audit.refused.inc();
            refusal = Denial::AuditUnavailable.into();
        }
        answer(session, refusal, context.id, &context.limited).await
    }
}

#[async_trait]
impl ProxyHttp for Gateway {
    type CTX = Context;

    fn new_ctx(&self) -> Context {
        Context::new(Arc::clone(&self.shared))
    }

    fn init_downstream_modules(&self, _: &mut pingora::modules::http::HttpModules) {
        // None: the gateway compresses nothing.
    }

    async fn request_filter(
        &self,
        session: &mut Session,
        context: &mut Context,
    ) -> pingora::Result<bool> {
        let Some(live) = Live::session_of(session).cloned() else {
            error!("a request came over a connection that the gateway did not admit");
            self.refuse(session, context, Denial::Internal.into())
                .await?;
            return Ok(true);
        };
        let connection = live.seen_by(&context.snapshot, context.unix_seconds());
        let refused_head =
            refused_head(&session.req_header().headers).filter(|_| session.is_http2());
        let mut draft = context.draft(session.req_header(), &connection, self.trail().origin());
        if refused_head.is_some_and(|(_, is_told)| !is_told) {
            // What stands in for the head is not what the client asked for.
            draft.exchange = draft.exchange.take().map(without_request_line);
        }
        let judged = match self.trail().reserve(draft) {
            Ok(place) => {
                context.place = Some(place);
                match refused_head {
                    Some((denial, _)) => Err(denial.into()),
                    None => self
                        .judge(session.req_header(), &connection, context)
                        .await
                        .and_then(|permitted| self.room_for(permitted, context)),
                }
            }
            Err(_) => {
                self.without_a_place(session.req_header(), &connection, context)
                    .await
            }
        };
        context.connection = Some(connection);
        context.begin(live);
        match judged {
            Ok(permitted) => {
                context.permitted = Some(permitted);
                context.note_judgement();
                context.run(session.req_header());
                context.body_is_whole = session.is_body_empty();
                context.set_deadlines();
                session.set_write_timeout(context.client_write_timeout());
                Ok(false)
            }
            Err(refusal) => {
                self.refuse(session, context, refusal).await?;
                Ok(true)
            }
        }
    }

    async fn request_body_filter(
        &self,
        session: &mut Session,
        body: &mut Option<Bytes>,
        end_of_body: bool,
        context: &mut Context,
    ) -> pingora::Result<()> {
        context.body_is_whole |= end_of_body;
        context.flow(body.as_ref())?;
        context.took(body.as_ref());
        if session.was_upgraded() {
            return Ok(());
        }
        context.bytes_in += body
            .as_ref()
            .map_or(0, |bytes| u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        context.body_has_come();
        context.keep_deadlines()?;
        if context.bytes_in > context.request_body_max() {
            context.failure = Some(Denial::BodyTooLarge);
            return Err(Error::new(ErrorType::HTTPStatus(
                Denial::BodyTooLarge.status(),
            )));
        }
        Ok(())
    }

    async fn upstream_peer(
        &self,
        session: &mut Session,
        context: &mut Context,
    ) -> pingora::Result<Box<HttpPeer>> {
        context.body_is_whole |= session.is_body_empty();
        context
            .choose_upstream(context.silence(session.is_upgrade_req()))
            .map(Box::new)
            .map_err(|denial| {
                // An upstream that was asked and failed says more than that no other is left.
                context.failure.get_or_insert(denial);
                Error::new(ErrorType::HTTPStatus(denial.status()))
            })
    }

    async fn upstream_request_filter(
        &self,
        session: &mut Session,
        request: &mut RequestHeader,
        context: &mut Context,
    ) -> pingora::Result<()> {
        if session.is_http2() {
            // The library cannot pass 100 on: who waits for it would wait in vain.
            request.remove_header(&header::EXPECT);
        }
        agree_on_version(context, request.version)?;
        speak_for_the_client(request, context)
    }

    fn fail_to_connect(
        &self,
        _: &mut Session,
        _: &HttpPeer,
        context: &mut Context,
        mut error: Box<Error>,
    ) -> Box<Error> {
        let denial = connect_denial(error.etype());
        context.upstream_failed(denial, self.metrics());
        // Nothing has been sent: another member may be asked.
        error.set_retry(context.has_untried_upstream());
        error
    }

    async fn connected_to_upstream(
        &self,
        _: &mut Session,
        _: bool,
        _: &HttpPeer,
        _: std::os::unix::io::RawFd,
        digest: Option<&Digest>,
        context: &mut Context,
    ) -> pingora::Result<()> {
        // Nothing has been sent yet, over a new connection and over one from the pool alike.
        prove_upstream(context, digest).await.map_err(|why| {
            tracing::warn!("an upstream is not who it must be: {why}");
            Error::explain(ErrorType::InvalidCert, why.to_string()).into_up()
        })
    }

    fn error_while_proxy(
        &self,
        _: &HttpPeer,
        session: &mut Session,
        mut error: Box<Error>,
        context: &mut Context,
        reused: bool,
    ) -> Box<Error> {
        if let Some(denial) = unfit(error.etype()) {
            // Nothing was sent: another member may be asked, whatever the request is.
            context.upstream_failed(denial, self.metrics());
            error.set_retry(context.has_untried_upstream());
            return error;
        }
        let sent_twice_is_harmless = session.req_header().method.is_idempotent()
            && !session.as_ref().retry_buffer_truncated();
        if sent_twice_is_harmless {
            error.retry.decide_reuse(reused);
            if error.retry() {
                // A pooled connection had died: that says nothing of the upstream, which may be asked again.
                context.forget_last_try();
            }
        } else {
            error.set_retry(false);
        }
        if *error.esource() != ErrorSource::Upstream || error.retry() || session.was_upgraded() {
            return error;
        }
        if context.keep_deadlines().is_err() {
            return error;
        }
        if context.body_is_whole {
            context.upstream_failed(proxy_denial(error.etype()), self.metrics());
        } else if matches!(error.etype(), ErrorType::ReadTimedout) {
            // The upstream waited for the client: that is no failure of the upstream, or one client could take it from all.
            context.failure = Some(Denial::BodyTimeout);
        }
        error
    }

    async fn upstream_response_filter(
        &self,
        _: &mut Session,
        response: &mut ResponseHeader,
        context: &mut Context,
    ) -> pingora::Result<()> {
        if !response.status.is_informational() {
            remove_hop_by_hop(response);
            context.upstream_answered();
        }
        Ok(())
    }

    async fn response_filter(
        &self,
        session: &mut Session,
        response: &mut ResponseHeader,
        context: &mut Context,
    ) -> pingora::Result<()> {
        context.keep_deadlines()?;
        let is_tunnel = response.status == http::StatusCode::SWITCHING_PROTOCOLS;
        if response.status.is_informational() && !is_tunnel {
            clean_interim(response);
            return Ok(());
        }
        context.answer_begins(response.status);
        context.limited.tell(response)?;
        if context.is_last() {
            session.set_keepalive(None);
        }
        context.note_status(response.status.as_u16());
        if let Some(hygiene) = context.hygiene() {
            clean_response(response, &hygiene)?;
        }
        response.insert_header(REQUEST_ID_HEADER, &context.id.digits()[..])?;
        if context.tell(session, response).await.is_err() {
            self.metrics().audit.refused.inc();
            let denial = *context.failure.insert(Denial::AuditUnavailable);
            return Err(Error::new(ErrorType::HTTPStatus(denial.status())));
        }
        Ok(())
    }

    fn response_body_filter(
        &self,
        _: &mut Session,
        body: &mut Option<Bytes>,
        _: bool,
        context: &mut Context,
    ) -> pingora::Result<Option<Duration>> {
        context.keep_deadlines()?;
        context.flow(body.as_ref())?;
        context.gave(body.as_ref());
        context.bytes_out += body.as_ref().map_or(0, |bytes| bytes.len() as u64);
        Ok(None)
    }

    async fn response_trailer_filter(
        &self,
        session: &mut Session,
        trailers: &mut http::HeaderMap,
        _: &mut Context,
    ) -> pingora::Result<Option<Bytes>> {
        if !session.is_http2() {
            self.metrics().boundary.trailers.http2_answer.inc();
        }
        clean_trailers(trailers);
        Ok(None)
    }

    async fn fail_to_proxy(
        &self,
        session: &mut Session,
        error: &Error,
        context: &mut Context,
    ) -> FailToProxy {
        if session.was_upgraded() {
            // However a tunnel ends, it was allowed and it is over; ended from outside, the record says why.
            context.end_from_outside();
            return FailToProxy {
                error_code: 0,
                can_reuse_downstream: false,
            };
        }
        let denial = context.failure.unwrap_or_else(|| final_denial(error));
        let refusal = Refusal {
            retry_after: context.limited.wait(),
            ..denial.into()
        };
        context.refuse(refusal);
        if denial == Denial::ClientSlow
            && let Some(live) = Live::session_of(session)
        {
            live.stalled();
        }
        let is_lost = matches!(denial, Denial::ClientGone | Denial::ClientSlow);
        let answered = session.response_written().is_some() || is_lost;
        if !answered && self.answer(session, context, refusal).await.is_err() {
            context.refuse(Denial::ClientGone.into());
        }
        FailToProxy {
            error_code: denial.status(),
            can_reuse_downstream: false,
        }
    }

    async fn logging(&self, session: &mut Session, _: Option<&Error>, context: &mut Context) {
        context.finish(session, self.metrics());
    }

    fn suppress_error_log(&self, _: &Session, _: &Context, _: &Error) -> bool {
        // Everything is in the audit log and the metrics; Pingora's own line would carry the path.
        true
    }
}

fn without_request_line(exchange: Exchange) -> Exchange {
    Exchange {
        method: "".into(),
        path: String::new(),
        ..exchange
    }
}
