//! Every refusal once: its reason code, its HTTP status, its layer.
//!
//! The client learns the status and a request id (RFC 9457), the code only of a malformed message; the audit record and the metrics
//! carry it always.
//! The list is closed: a code that is not here cannot be counted or written.

use crate::layers::Layer;

/// Why the gateway refused a connection or a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Denial {
    /// The listener requires a client certificate and none was sent.
    CertificateRequired,
    /// The certificate or its chain is not well-formed DER.
    CertificateMalformed,
    /// No path leads to a trust anchor of the listener.
    CertificateUntrusted,
    /// A certificate of the chain is past its notAfter.
    CertificateExpired,
    /// A certificate of the chain is before its notBefore.
    CertificateNotYetValid,
    /// Wrong usage, weak key or algorithm, or a constraint is broken.
    CertificateUnfit,
    /// A certificate of the chain is on the issuer's revocation list.
    Revoked,
    /// The issuer's revocation list is missing or past its nextUpdate.
    RevocationUnknown,
    /// The certificate carries no name that the subject template can use.
    NoName,
    /// The SPIFFE id is of a trust domain that is not ours.
    TrustDomain,
    /// The directory or the configuration knows the holder of the certificate as somebody else since.
    IdentityChanged,
    /// An operator ended the session.
    SessionEnded,
    /// The listener takes connections from its balancers only, and this is none.
    ProxyUntrusted,
    /// The connection does not begin with a PROXY header that names a client.
    ProxyMalformed,
    /// The PROXY header did not arrive within its deadline.
    ProxyTimeout,
    /// The TLS handshake did not end within its deadline.
    HandshakeTimeout,
    /// Too many handshakes are under way on the listener.
    HandshakeSlots,
    /// Too many handshakes of the source are under way.
    HandshakesPerSource,
    /// The source begins handshakes faster than its rate.
    HandshakeRate,
    /// The TLS handshake failed for a reason of protocol: version, cipher, SNI, alert.
    TlsFailed,
    /// The request head breaks RFC 9112 or RFC 9113.
    HeadMalformed,
    /// The request head has too many fields or too many bytes.
    HeadTooLarge,
    /// The whole request head did not arrive within its deadline.
    HeadTimeout,
    /// The frames of an HTTP/2 connection break RFC 9113; the connection ends.
    Http2Malformed,
    /// An HTTP/2 connection sends too much of what costs only us; the connection ends.
    Http2Flood,
    /// Content-Length and Transfer-Encoding do not give one message length (RFC 9112 section 6.3).
    FramingAmbiguous,
    /// Neither HTTP/1.0, HTTP/1.1 nor HTTP/2.
    VersionUnsupported,
    /// A method that the gateway forwards to nobody, such as TRACE or CONNECT.
    MethodUnknown,
    /// An Expect field that asks for something else than 100-continue (RFC 9110 section 10.1.1).
    ExpectationUnknown,
    /// No Host field, or an empty one (RFC 9112 section 3.2).
    HostMissing,
    /// More than one Host field (RFC 9112 section 3.2).
    HostDuplicate,
    /// The Host field or :authority is not a host with an optional port.
    HostMalformed,
    /// Host or :authority is not the name that TLS was opened for (RFC 9110 section 15.5.20).
    HostMismatch,
    /// Two parsers could read the path differently.
    PathAmbiguous,
    /// The path or the query is longer than the gateway takes.
    PathTooLong,
    /// A parameter of the query that rules read stands twice, or in a spelling that not everybody reads alike.
    QueryAmbiguous,
    /// A browser opens a WebSocket from a page of an origin that the application does not list (RFC 6454).
    OriginRefused,
    /// The request body is larger than the application takes.
    BodyTooLarge,
    /// The client stopped sending its body while the upstream waited for it.
    BodyTimeout,
    /// The body breaks its framing: a chunk that is none (RFC 9112 section 7.1).
    BodyMalformed,
    /// The client's address is in no zone.
    NoZone,
    /// The matrix does not let this zone reach this label.
    ZoneLabel,
    /// The identity is over its rate.
    RateIdentity,
    /// The organisation is over its rate.
    RateOrganisation,
    /// The application is over its rate.
    RateApplication,
    /// The route is over its rate.
    RateRoute,
    /// So many requests as may be under way are.
    Concurrency,
    /// The source has as many connections open as it may.
    ConnectionsSource,
    /// What may be used in the present window is used up.
    Quota,
    /// The server of shared limits does not answer, and the fallback is to refuse.
    SharedLimitUnavailable,
    /// The source address is over its rate.
    RateSource,
    /// The table of rate-limited callers is full of live ones.
    RateKeysFull,
    /// No application has this host.
    NoApplication,
    /// The application has no route for this path.
    NoRoute,
    /// The route does not take this method.
    MethodNotAllowed,
    /// Every upstream of the application has as many requests in flight as it may.
    UpstreamsBusy,
    /// Every upstream of the application is out after failures.
    NoHealthyUpstream,
    /// No connection to an upstream could be made.
    UpstreamConnect,
    /// The upstream could not prove that it is the workload.
    UpstreamIdentity,
    /// The upstream agreed to another version of HTTP than its application names.
    UpstreamProtocol,
    /// The upstream did not answer within its deadline.
    UpstreamTimeout,
    /// The upstream closed early or answered what is not HTTP.
    UpstreamBroken,
    /// The answer was not whole within the time that the route gives it.
    ResponseTimeout,
    /// The policy gives the subject no clearance for the label.
    Label,
    /// The request states a purpose that the application does not take.
    PurposeUnknown,
    /// The request states its purpose more than once.
    PurposeMalformed,
    /// No rule of the policy permits the request.
    NoRule,
    /// A deny rule of the policy matches the request.
    ExplicitDeny,
    /// The policy could not be evaluated for the request.
    EvaluationError,
    /// The rule asks for a proof of identity that is fresher than the connection's.
    StepUp,
    /// The rule demands what the application does not carry out.
    Obligation,
    /// The audit log cannot take the record of this request.
    AuditUnavailable,
    /// The client went away before the answer was complete.
    ClientGone,
    /// The client took its answer so slowly that it was cut off.
    ClientSlow,
    /// A fault of the gateway itself; the request was refused.
    Internal,
}

impl Denial {
    /// Every denial.
    pub const ALL: &'static [Denial] = &[
        Denial::CertificateRequired,
        Denial::CertificateMalformed,
        Denial::CertificateUntrusted,
        Denial::CertificateExpired,
        Denial::CertificateNotYetValid,
        Denial::CertificateUnfit,
        Denial::Revoked,
        Denial::RevocationUnknown,
        Denial::NoName,
        Denial::TrustDomain,
        Denial::IdentityChanged,
        Denial::SessionEnded,
        Denial::ProxyUntrusted,
        Denial::ProxyMalformed,
        Denial::ProxyTimeout,
        Denial::HandshakeTimeout,
        Denial::HandshakeSlots,
        Denial::HandshakesPerSource,
        Denial::HandshakeRate,
        Denial::TlsFailed,
        Denial::HeadMalformed,
        Denial::HeadTooLarge,
        Denial::HeadTimeout,
        Denial::Http2Malformed,
        Denial::Http2Flood,
        Denial::FramingAmbiguous,
        Denial::VersionUnsupported,
        Denial::MethodUnknown,
        Denial::ExpectationUnknown,
        Denial::HostMissing,
        Denial::HostDuplicate,
        Denial::HostMalformed,
        Denial::HostMismatch,
        Denial::PathAmbiguous,
        Denial::PathTooLong,
        Denial::QueryAmbiguous,
        Denial::OriginRefused,
        Denial::BodyTooLarge,
        Denial::BodyTimeout,
        Denial::BodyMalformed,
        Denial::NoZone,
        Denial::ZoneLabel,
        Denial::RateIdentity,
        Denial::RateOrganisation,
        Denial::RateApplication,
        Denial::RateRoute,
        Denial::Concurrency,
        Denial::ConnectionsSource,
        Denial::Quota,
        Denial::SharedLimitUnavailable,
        Denial::RateSource,
        Denial::RateKeysFull,
        Denial::NoApplication,
        Denial::NoRoute,
        Denial::MethodNotAllowed,
        Denial::UpstreamsBusy,
        Denial::NoHealthyUpstream,
        Denial::UpstreamConnect,
        Denial::UpstreamIdentity,
        Denial::UpstreamProtocol,
        Denial::UpstreamTimeout,
        Denial::UpstreamBroken,
        Denial::ResponseTimeout,
        Denial::Label,
        Denial::PurposeUnknown,
        Denial::PurposeMalformed,
        Denial::NoRule,
        Denial::ExplicitDeny,
        Denial::EvaluationError,
        Denial::StepUp,
        Denial::Obligation,
        Denial::AuditUnavailable,
        Denial::ClientGone,
        Denial::ClientSlow,
        Denial::Internal,
    ];

    /// The reason code: `layer.reason` in records and metrics.
    #[must_use]
    pub fn code(self) -> &'static str {
        self.facts().0
    }

    /// The HTTP status that a client gets. Refused handshakes never send one; there it only sorts reports.
    #[must_use]
    pub fn status(self) -> u16 {
        self.facts().1
    }

    /// The layer that refused; `None` for the gateway itself (audit log full, client gone, internal fault).
    #[must_use]
    pub fn layer(self) -> Option<Layer> {
        let (prefix, _) = self.code().split_once('.')?;
        Layer::ALL.into_iter().find(|layer| layer.name() == prefix)
    }

    /// The code that the client may read: of what breaks a rule that everybody can look up and check on his own message, and of bounds
    /// that the status names anyway. `None` for whatever depends on who asks, on policy or on configuration. See
    /// docs/adr/0070-malformed-requests-are-told-their-rule.md.
    #[must_use]
    pub fn public_code(self) -> Option<&'static str> {
        let is_of_the_standard = matches!(
            self,
            Denial::HeadMalformed
                | Denial::HeadTooLarge
                | Denial::HeadTimeout
                | Denial::FramingAmbiguous
                | Denial::VersionUnsupported
                | Denial::MethodUnknown
                | Denial::ExpectationUnknown
                | Denial::HostMissing
                | Denial::HostDuplicate
                | Denial::HostMalformed
                | Denial::PathAmbiguous
                | Denial::PathTooLong
                | Denial::BodyTooLarge
                | Denial::BodyTimeout
                | Denial::BodyMalformed
        );
        is_of_the_standard.then(|| self.code())
    }

    #[expect(clippy::too_many_lines, reason = "one row for each denial")]
    fn facts(self) -> (&'static str, u16) {
        match self {
            Denial::CertificateRequired => ("endpoint.certificate_required", 403),
            Denial::CertificateMalformed => ("endpoint.certificate_malformed", 403),
            Denial::CertificateUntrusted => ("endpoint.certificate_untrusted", 403),
            Denial::CertificateExpired => ("endpoint.certificate_expired", 403),
            Denial::CertificateNotYetValid => ("endpoint.certificate_not_yet_valid", 403),
            Denial::CertificateUnfit => ("endpoint.certificate_unfit", 403),
            Denial::Revoked => ("endpoint.revoked", 403),
            Denial::RevocationUnknown => ("endpoint.revocation_unknown", 403),
            Denial::NoName => ("endpoint.no_name", 403),
            Denial::TrustDomain => ("endpoint.trust_domain", 403),
            Denial::IdentityChanged => ("endpoint.identity_changed", 403),
            Denial::SessionEnded => ("endpoint.session_ended", 403),
            Denial::ProxyUntrusted => ("edge.proxy_untrusted", 403),
            Denial::ProxyMalformed => ("edge.proxy_malformed", 400),
            Denial::ProxyTimeout => ("edge.proxy_timeout", 408),
            Denial::HandshakeTimeout => ("edge.handshake_timeout", 408),
            Denial::HandshakeSlots => ("edge.handshake_slots", 503),
            Denial::HandshakesPerSource => ("edge.handshakes_per_source", 429),
            Denial::HandshakeRate => ("edge.handshake_rate", 429),
            Denial::TlsFailed => ("edge.tls_failed", 400),
            Denial::HeadMalformed => ("edge.head_malformed", 400),
            Denial::HeadTooLarge => ("edge.head_too_large", 431),
            Denial::HeadTimeout => ("edge.head_timeout", 408),
            Denial::Http2Malformed => ("edge.http2_malformed", 400),
            Denial::Http2Flood => ("edge.http2_flood", 429),
            Denial::FramingAmbiguous => ("edge.framing_ambiguous", 400),
            Denial::VersionUnsupported => ("edge.version_unsupported", 400),
            Denial::MethodUnknown => ("edge.method_unknown", 405),
            Denial::ExpectationUnknown => ("edge.expectation_unknown", 417),
            Denial::HostMissing => ("edge.host_missing", 400),
            Denial::HostDuplicate => ("edge.host_duplicate", 400),
            Denial::HostMalformed => ("edge.host_malformed", 400),
            Denial::HostMismatch => ("edge.host_mismatch", 421),
            Denial::PathAmbiguous => ("edge.path_ambiguous", 400),
            Denial::PathTooLong => ("edge.path_too_long", 414),
            Denial::QueryAmbiguous => ("edge.query_ambiguous", 400),
            Denial::OriginRefused => ("edge.origin_refused", 403),
            Denial::BodyTooLarge => ("edge.body_too_large", 413),
            Denial::BodyTimeout => ("edge.body_timeout", 408),
            Denial::BodyMalformed => ("edge.body_malformed", 400),
            Denial::NoZone => ("network.no_zone", 403),
            Denial::ZoneLabel => ("network.zone_label", 403),
            Denial::RateIdentity => ("network.rate_identity", 429),
            Denial::RateOrganisation => ("network.rate_organisation", 429),
            Denial::RateApplication => ("network.rate_application", 429),
            Denial::RateRoute => ("network.rate_route", 429),
            Denial::Concurrency => ("network.concurrency", 429),
            Denial::ConnectionsSource => ("network.connections_source", 429),
            Denial::Quota => ("network.quota", 429),
            Denial::SharedLimitUnavailable => ("network.shared_limit_unavailable", 503),
            Denial::RateSource => ("network.rate_source", 429),
            Denial::RateKeysFull => ("network.rate_keys_full", 429),
            Denial::NoApplication => ("cloud.no_application", 404),
            Denial::NoRoute => ("cloud.no_route", 404),
            Denial::MethodNotAllowed => ("cloud.method_not_allowed", 405),
            Denial::UpstreamsBusy => ("cloud.upstreams_busy", 503),
            Denial::NoHealthyUpstream => ("cloud.no_healthy_upstream", 503),
            Denial::UpstreamConnect => ("cloud.upstream_connect", 502),
            Denial::UpstreamIdentity => ("cloud.upstream_identity", 502),
            Denial::UpstreamProtocol => ("cloud.upstream_protocol", 502),
            Denial::UpstreamTimeout => ("cloud.upstream_timeout", 504),
            Denial::UpstreamBroken => ("cloud.upstream_broken", 502),
            Denial::ResponseTimeout => ("cloud.response_timeout", 504),
            Denial::Label => ("data.label", 403),
            Denial::PurposeUnknown => ("data.purpose_unknown", 403),
            Denial::PurposeMalformed => ("data.purpose_malformed", 400),
            Denial::NoRule => ("application.no_rule", 403),
            Denial::ExplicitDeny => ("application.explicit_deny", 403),
            Denial::EvaluationError => ("application.evaluation_error", 403),
            Denial::StepUp => ("application.step_up", 403),
            Denial::Obligation => ("application.obligation", 403),
            Denial::AuditUnavailable => ("audit.unavailable", 503),
            Denial::ClientGone => ("client.gone", 499),
            Denial::ClientSlow => ("client.slow", 499),
            Denial::Internal => ("internal.error", 500),
        }
    }
}

/// The title of a problem body for a status (RFC 9110 section 15), and nothing that helps an attacker.
#[must_use]
pub fn public_title(status: u16) -> &'static str {
    match status {
        400 => "Bad Request",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        413 => "Content Too Large",
        414 => "URI Too Long",
        417 => "Expectation Failed",
        421 => "Misdirected Request",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "Internal Server Error",
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_code_is_unique_and_every_status_is_an_error() {
        let codes: HashSet<_> = Denial::ALL.iter().map(|denial| denial.code()).collect();
        assert_eq!(codes.len(), Denial::ALL.len());
        for denial in Denial::ALL {
            assert!((400..600).contains(&denial.status()), "{denial:?}");
        }
    }

    #[test]
    fn a_code_names_its_layer() {
        assert_eq!(Denial::Revoked.layer(), Some(Layer::Endpoint));
        assert_eq!(Denial::NoRule.layer(), Some(Layer::Application));
        assert_eq!(Denial::AuditUnavailable.layer(), None);
    }
}
