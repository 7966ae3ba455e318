//! Plain words for newcomers: what the layers ask, what the commonest reason codes mean.

use crate::layers::Layer;

/// The layer's sign.
pub(super) fn glyph(layer: Layer) -> &'static str {
    match layer {
        Layer::Endpoint => "端",
        Layer::Edge => "边",
        Layer::Network => "网",
        Layer::Cloud => "云",
        Layer::Data => "数",
        Layer::Application => "用",
    }
}

/// The layer's question.
pub(super) fn question(layer: Layer) -> &'static str {
    match layer {
        Layer::Endpoint => "whose certificate is this, and is it still good right now?",
        Layer::Edge => "is the request well formed, with one meaning, and meant for us?",
        Layer::Network => "may clients of this zone reach this class of data, and how fast?",
        Layer::Cloud => "which application answers, and is it there?",
        Layer::Data => "is this person cleared for this class of data?",
        Layer::Application => "do the rules allow this person this action on this object?",
    }
}

/// A reason code in words; empty for the rarer ones, which speak for themselves.
pub(super) fn in_words(code: &str) -> &'static str {
    match code {
        "endpoint.certificate_required" => "no certificate was shown",
        "endpoint.certificate_untrusted" => "its CA is not ours",
        "endpoint.certificate_expired" => "the certificate has expired",
        "endpoint.revoked" => "the certificate is on the revocation list",
        "endpoint.revocation_unknown" => "the revocation list is missing or too old",
        "edge.tls_failed" => "no TLS was agreed on",
        "edge.path_ambiguous" => "the path can be read in two ways",
        "edge.host_mismatch" => "Host is not the name that TLS was opened for",
        "edge.framing_ambiguous" => "two lengths: where would the next request begin?",
        "network.zone_label" => "this zone may not reach this class of data",
        "network.rate_identity" => "too many requests of one person",
        "network.rate_source" => "too many requests from one address",
        "cloud.no_route" => "no application has this path",
        "cloud.no_application" => "no application has this host",
        "cloud.method_not_allowed" => "the route does not take this method",
        "cloud.upstream_connect" => "the application does not answer",
        "data.label" => "not cleared for this class of data",
        "application.no_rule" => "no rule allows it",
        "application.explicit_deny" => "a rule denies it",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::super::cases::{CASES, Expect};
    use super::*;

    #[test]
    fn every_reason_that_the_demonstration_shows_has_words() {
        for case in CASES {
            if let Expect::Denied(denial)
            | Expect::NoConnection(denial, _)
            | Expect::Ended(denial) = case.expect
            {
                assert_ne!(in_words(denial.code()), "", "{}", denial.code());
            }
        }
    }
}
