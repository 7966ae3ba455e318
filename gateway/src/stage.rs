//! How far a request has come, as values that cannot be had without the step before: Received → Canonical → Routed →
//! Admitted → Permitted. A check that is forgotten does not compile.

use std::borrow::Cow;

use hangu_certs::PushedRevocations;
use hangu_policy::{Overridden, Permit, Request, Value};
use pingora::http::RequestHeader;

mod again;
mod taken;

pub use again::check_under_way;

use crate::config::{Application, LabelId, Method, Route};
use crate::connection::{Connection, Subject};
use crate::denial::Denial;
use crate::layers::application::shadow::Trial;
use crate::layers::cloud::routes::route_of;
use crate::layers::edge::authority::{host_matches_sni, host_of};
use crate::layers::edge::canonical::{CanonicalPath, canonical_path, check_query};
use crate::layers::edge::headers::values_of;
use crate::layers::endpoint::validity::check_still_valid;
use crate::layers::network::limits::{Clock, LimitState, Limited};
use crate::layers::{application, data};
use crate::refusal::Refusal;
use crate::snapshot::{ApplicationState, Snapshot};

/// A request as it came, over a connection that the edge admitted.
#[derive(Debug)]
pub struct Received<'r> {
    header: &'r RequestHeader,
    connection: &'r Connection,
}

/// A request with one reading: method, host, path.
#[derive(Debug)]
#[must_use = "a canonical request has not been judged yet"]
pub struct Canonical<'r> {
    method: Method,
    host: Cow<'r, str>,
    path: CanonicalPath<'r>,
    query: Option<&'r [u8]>,
    body_bytes: Option<u64>,
    header: &'r RequestHeader,
    connection: &'r Connection,
}

/// A request with an application and a route, and the label of what it asks for.
#[derive(Debug)]
#[must_use = "a routed request has not been judged yet"]
pub struct Routed<'r, 's> {
    canonical: Canonical<'r>,
    snapshot: &'s Snapshot,
    config: &'s Application,
    state: &'s ApplicationState,
    application: usize,
    route: usize,
    label: LabelId,
    /// What rules may read of the query.
    query: Vec<(String, Value)>,
}

/// A routed request of a certificate that is good now.
#[derive(Debug)]
#[must_use = "a valid request has not been judged yet"]
pub struct Valid<'r, 's> {
    routed: Routed<'r, 's>,
    subject: &'r Subject,
    /// Seconds since 1970.
    now: i64,
}

/// A request that the network layer lets in: its zone may reach the label, and its callers are within their rates.
#[derive(Debug)]
#[must_use = "an admitted request has not been judged yet"]
pub struct Admitted<'r, 's> {
    valid: Valid<'r, 's>,
}

/// A request whose subject may receive data of the label.
#[derive(Debug)]
#[must_use = "a cleared request has not been judged yet"]
pub struct Cleared<'r, 's> {
    admitted: Admitted<'r, 's>,
    purpose: &'s str,
}

/// All that was judged agreed. Choosing an upstream takes one of these; there is no other way to make one.
#[derive(Debug)]
#[must_use = "a permitted request is to be forwarded"]
pub struct Permitted {
    permit: Permit,
    overridden: Overridden,
    application: usize,
    route: usize,
    /// What is sent in place of the client's request target, where that differs from the canonical one.
    rewritten: Option<Vec<u8>>,
}

impl<'r> Received<'r> {
    /// A request just read.
    pub fn new(header: &'r RequestHeader, connection: &'r Connection) -> Self {
        Self { header, connection }
    }

    /// Stop 5: one reading of method, host and path; the host is the name that TLS was opened for.
    ///
    /// # Errors
    /// A denial of the edge layer.
    pub fn canonical(self, fields_max: u32) -> Result<Canonical<'r>, Denial> {
        let fields = u32::try_from(self.header.headers.len()).unwrap_or(u32::MAX);
        if fields > fields_max {
            return Err(Denial::HeadTooLarge);
        }
        let method = Method::from_wire(self.header.method.as_str()).ok_or(Denial::MethodUnknown)?;
        let host = self.host()?;
        if !host_matches_sni(&host, self.connection.sni.as_deref()) {
            return Err(Denial::HostMismatch);
        }
        let (path, query) = self.target()?;
        if let Some(query) = query {
            check_query(query)?;
        }
        let body_bytes = self
            .header
            .headers
            .get(http::header::CONTENT_LENGTH)
            .and_then(|value| value.to_str().ok()?.parse().ok());
        Ok(Canonical {
            method,
            host,
            path: canonical_path(path)?,
            query,
            body_bytes,
            header: self.header,
            connection: self.connection,
        })
    }

    /// RFC 9112 section 3.2 and RFC 9113 section 8.3.1: Host and `:authority` (or an absolute-form target) must agree.
    fn host(&self) -> Result<Cow<'r, str>, Denial> {
        let mut fields = self.header.headers.get_all(http::header::HOST).iter();
        let field = fields
            .next()
            .map(|value| value.to_str().map_err(|_| Denial::HostMalformed))
            .transpose()?;
        if fields.next().is_some() {
            return Err(Denial::HostDuplicate);
        }
        let authority = self
            .header
            .uri
            .authority()
            .map(http::uri::Authority::as_str);
        if let (Some(field), Some(authority)) = (field, authority)
            && !field.eq_ignore_ascii_case(authority)
        {
            return Err(Denial::HostMismatch);
        }
        let written = authority.or(field).ok_or(Denial::HostMissing)?;
        host_of(written).map(Cow::Borrowed)
    }

    /// Path and query of the request target: origin-form, or the absolute-form that RFC 9112 section 3.2.2 makes servers take.
    fn target(&self) -> Result<(&'r [u8], Option<&'r [u8]>), Denial> {
        let raw = self.header.raw_path();
        let origin = if raw.starts_with(b"/") {
            raw
        } else {
            let after_scheme = raw.strip_prefix(b"https://").ok_or(Denial::PathAmbiguous)?;
            let slash = after_scheme
                .iter()
                .position(|byte| matches!(byte, b'/' | b'?'));
            slash
                .and_then(|slash| after_scheme.get(slash..))
                .unwrap_or(b"/")
        };
        match origin.iter().position(|byte| *byte == b'?') {
            Some(mark) => Ok((
                origin.get(..mark).unwrap_or_default(),
                origin.get(mark + 1..),
            )),
            None => Ok((origin, None)),
        }
    }
}

impl<'r> Canonical<'r> {
    /// The one reading of the path.
    pub fn path(&self) -> &CanonicalPath<'r> {
        &self.path
    }

    /// The query without its question mark.
    #[must_use]
    pub fn query(&self) -> Option<&'r [u8]> {
        self.query
    }

    /// Stop 6: the application of the host, the route of path and method, the label.
    ///
    /// # Errors
    /// A denial of the cloud layer, or [`Denial::BodyTooLarge`] for a declared length over the application's bound. The index
    /// of the application comes along where one was found.
    pub fn routed(self, snapshot: &Snapshot) -> Result<Routed<'r, '_>, (Denial, Option<usize>)> {
        let listener = snapshot.listeners.get(self.connection.listener);
        if listener.is_some_and(|listener| self.is_of_another_group(listener)) {
            return Err((Denial::HostMismatch, None));
        }
        let index = listener
            .and_then(|listener| listener.hosts.application_of(&self.host))
            .ok_or((self.unless_ambiguous(Denial::NoApplication), None))?;
        let (Some(config), Some(state)) = (
            snapshot.config.applications.get(index),
            snapshot.applications.get(index),
        ) else {
            return Err((Denial::Internal, None));
        };
        let found = |denial| (denial, Some(index));
        let route = route_of(&config.routes, self.path.as_sent(), self.method)
            .map_err(|denial| found(self.unless_ambiguous(denial)))?;
        let settings: &Route = config.routes.get(route).ok_or(found(Denial::Internal))?;
        let label = settings.label;
        self.taken_by(config, settings).map_err(found)?;
        let query = self.parameters_of(config).map_err(found)?;
        Ok(Routed {
            canonical: self,
            snapshot,
            config,
            state,
            application: index,
            route,
            label,
            query,
        })
    }
}

impl<'r, 's> Routed<'r, 's> {
    /// Where it goes: indexes of application and route.
    #[must_use]
    pub fn indexes(&self) -> (usize, usize) {
        (self.application, self.route)
    }

    /// Counters and audit parts of the application.
    #[must_use]
    pub fn state(&self) -> &'s ApplicationState {
        self.state
    }

    /// Stop 7: the certificate is good right now, and there is a name to judge.
    ///
    /// # Errors
    /// A denial of the endpoint layer.
    pub fn valid(self, pushed: &PushedRevocations, now: i64) -> Result<Valid<'r, 's>, Denial> {
        let connection = self.canonical.connection;
        if let Some(denial) = connection.refused {
            return Err(denial);
        }
        if pushed
            .check(connection.identity(), connection.names(), now)
            .is_err()
        {
            return Err(Denial::Revoked);
        }
        if let Some(identity) = connection.identity() {
            let group = self
                .snapshot
                .trust_of(connection)
                .ok_or(Denial::HostMismatch)?;
            check_still_valid(identity, &group.revocation, now)?;
        }
        let subject = connection.subject.as_ref().ok_or(Denial::NoName)?;
        Ok(Valid {
            routed: self,
            subject,
            now,
        })
    }
}

impl<'r, 's> Valid<'r, 's> {
    /// Stop 8: the zone may reach the label; every limit that the request meets lets it through.
    ///
    /// # Errors
    /// A denial of the network layer, with the time to wait for a limit.
    pub async fn admitted(
        self,
        limits: &LimitState,
        clock: Clock,
        limited: &mut Limited,
    ) -> Result<Admitted<'r, 's>, Refusal> {
        let (routed, snapshot) = (&self.routed, self.routed.snapshot);
        let connection = routed.canonical.connection;
        let zone = snapshot.zone_of(connection).ok_or(Denial::NoZone)?;
        if !snapshot.config.matrix.allows(zone, routed.label) {
            return Err(Denial::ZoneLabel.into());
        }
        let (target, counts) = (routed.indexes(), &self.subject.counts);
        limits
            .admit(&snapshot.limits, target, counts, clock, limited)
            .await?;
        Ok(Admitted { valid: self })
    }
}

impl<'s> Valid<'_, 's> {
    /// What the data are for, as one of the configuration's words.
    fn purpose(&self) -> Result<&'s str, Denial> {
        let routed = &self.routed;
        match &routed.snapshot.config.purpose {
            None => Ok(""),
            Some(rules) => {
                let values = values_of(routed.canonical.header, rules.header.as_str());
                data::purpose::stated(values, &routed.config.purposes)
            }
        }
    }

    /// The request in the words of the policy.
    fn request<'a>(&'a self, purpose: &'a str) -> Request<'a> {
        let routed = &self.routed;
        let canonical = &routed.canonical;
        let audited = &canonical.connection.audited;
        let label = routed.snapshot.config.label(routed.label);
        let route = routed.config.routes.get(routed.route);
        Request {
            subject: &self.subject.name,
            domain: routed.config.tenant.as_str(),
            path: canonical.path.as_judged(),
            route: route.map_or("", |route| route.prefix.as_judged()),
            route_parameters: route.map_or(&[], |route| route.prefix.parameters()),
            method: canonical.method.as_str(),
            label: label.map_or("", |label| label.as_str()),
            zone: &audited.zone,
            address: canonical.connection.client_address(),
            application: routed.config.name.as_str(),
            device: canonical.connection.caller.device_class(),
            subject_attributes: canonical.connection.caller.attributes(self.now),
            purpose,
            query_parameters: &routed.query,
            time_unix_ms: self.now.checked_mul(1_000),
            context: routed.config.policy_context,
        }
    }
}

impl<'r, 's> Admitted<'r, 's> {
    /// What a policy under trial would say; `None` where there is none, or the request does not even state its purpose well.
    #[must_use]
    pub fn tried(&self) -> Option<Trial> {
        let shadow = self.valid.routed.snapshot.shadow.as_ref()?;
        let request = self.valid.request(self.valid.purpose().ok()?);
        shadow.ask(&request, self.valid.now)
    }

    /// Stop 9: the policy gives the subject clearance for the label, and the purpose is one that may be stated.
    ///
    /// # Errors
    /// A denial of the data layer.
    pub fn cleared(self) -> Result<Cleared<'r, 's>, Denial> {
        let routed = &self.valid.routed;
        let label = routed
            .snapshot
            .config
            .label(routed.label)
            .ok_or(Denial::Internal)?;
        let tenant = routed.config.tenant.as_str();
        data::check_clearance(
            &routed.snapshot.policy,
            &self.valid.subject.name,
            tenant,
            label.as_str(),
            self.valid.now.checked_mul(1_000),
        )?;
        let purpose = self.valid.purpose()?;
        Ok(Cleared {
            admitted: self,
            purpose,
        })
    }
}

impl Cleared<'_, '_> {
    /// What the data are for, in the words of the configuration; empty where the request does not say.
    #[must_use]
    pub fn purpose(&self) -> &str {
        self.purpose
    }

    /// Stop 10: the policy decides.
    ///
    /// # Errors
    /// A denial of the application layer, with the rule that denied.
    pub fn permitted(self) -> Result<Permitted, Refusal> {
        let valid = &self.admitted.valid;
        let routed = &valid.routed;
        let canonical = &routed.canonical;
        let request = valid.request(self.purpose);
        let decided = {
            let _timer = routed.snapshot.decision_timer();
            application::decide(&routed.snapshot.policy, &request)
        };
        let hits = &routed.snapshot.hits;
        let (permit, overridden) = decided.inspect_err(|refusal| {
            if let Some(rule) = refusal.rule {
                hits.count(rule);
            }
        })?;
        hits.count(permit.rule());
        if let Some(duty) = routed.snapshot.duties.of(permit.rule()) {
            let connection = canonical.connection;
            let proved_at = connection.chain.as_ref().map(|_| connection.proved_at);
            duty.check(proved_at, valid.now, &routed.config.obligations)
                .map_err(|denial| Refusal::by(denial, permit.rule()))?;
        }
        Ok(Permitted {
            permit,
            overridden,
            application: routed.application,
            route: routed.route,
            rewritten: None,
        })
    }
}

impl Permitted {
    /// Notes the request target that goes out instead of the client's: what is forwarded is what was judged.
    pub fn with_target(mut self, rewritten: Option<Vec<u8>>) -> Self {
        self.rewritten = rewritten;
        self
    }

    /// The policy's word.
    pub fn permit(&self) -> &Permit {
        &self.permit
    }

    /// The rules that it overrode.
    #[must_use]
    pub fn overridden(&self) -> Overridden {
        self.overridden
    }

    /// Index of the application in the configuration.
    #[must_use]
    pub fn application(&self) -> usize {
        self.application
    }

    /// Index of the route in the application.
    #[must_use]
    pub fn route(&self) -> usize {
        self.route
    }

    /// The request target to send, where it differs from the client's.
    #[must_use]
    pub fn rewritten(&self) -> Option<&[u8]> {
        self.rewritten.as_deref()
    }
}
