//! What a refused client is told: a status, a request id, which rule a malformed message breaks, and nothing else that helps an attacker
//! (RFC 9457).

use std::time::Duration;

use bytes::Bytes;
use hangu_policy::{Overridden, RuleId};
use pingora::http::ResponseHeader;
use pingora::proxy::Session;

use crate::denial::{Denial, public_title};
use crate::layers::network::limits::Limited;
use crate::request_id::RequestId;

/// A refused request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Why.
    pub denial: Denial,
    /// When the client may try again, for a rate.
    pub retry_after: Option<Duration>,
    /// The rule that denied, where one did.
    pub rule: Option<RuleId>,
    /// The rules that it overrode.
    pub overridden: Overridden,
}

impl Refusal {
    /// Refused by a rule.
    #[must_use]
    pub fn by(denial: Denial, rule: RuleId) -> Self {
        Self {
            rule: Some(rule),
            ..denial.into()
        }
    }
}

impl From<Denial> for Refusal {
    fn from(denial: Denial) -> Self {
        Self {
            denial,
            retry_after: None,
            rule: None,
            overridden: Overridden::default(),
        }
    }
}

/// The problem body of a refusal; of a message that is malformed with the rule that it breaks.
#[must_use]
pub fn problem_body(denial: Denial, id: RequestId) -> String {
    let status = denial.status();
    let title = public_title(status);
    let reason = denial
        .public_code()
        .map_or_else(String::new, |code| format!(",\"reason\":\"{code}\""));
    format!(
        "{{\"type\":\"about:blank\",\"title\":\"{title}\",\"status\":{status}{reason},\"request_id\":\"{id}\"}}\n"
    )
}

/// A whole HTTP/1.1 answer for a head that was refused before Pingora saw it; the connection closes.
#[must_use]
pub fn raw_answer(denial: Denial, id: RequestId) -> String {
    let status = denial.status();
    let (title, body) = (public_title(status), problem_body(denial, id));
    format!(
        "HTTP/1.1 {status} {title}\r\ncontent-type: {PROBLEM_TYPE}\r\ncontent-length: {}\r\n{REQUEST_ID_HEADER}: {id}\r\n\
         cache-control: no-store\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
}

/// Answers a refused request. A request whose body has not been read closes the connection behind it: what follows on it
/// could be read as another request.
///
/// # Errors
/// When the client cannot be written to.
pub async fn answer(
    session: &mut Session,
    refusal: Refusal,
    id: RequestId,
    limited: &Limited,
) -> pingora::Result<()> {
    let status = refusal.denial.status();
    let body = problem_body(refusal.denial, id);
    let mut header = ResponseHeader::build(status, Some(5))?;
    header.insert_header("content-type", PROBLEM_TYPE)?;
    header.insert_header("content-length", body.len().to_string())?;
    header.insert_header("cache-control", "no-store")?;
    header.insert_header(REQUEST_ID_HEADER, &id.digits()[..])?;
    if let Some(wait) = refusal.retry_after {
        header.insert_header("retry-after", whole_seconds(wait).to_string())?;
    }
    limited.tell(&mut header)?;
    // A fresh proof of identity takes a new handshake.
    if !session.is_body_empty() || refusal.denial == Denial::StepUp {
        session.set_keepalive(None);
    }
    let is_head = session.req_header().method == http::Method::HEAD;
    session
        .write_response_header(Box::new(header), is_head)
        .await?;
    if !is_head {
        session
            .write_response_body(Some(Bytes::from(body)), true)
            .await?;
    }
    Ok(())
}

/// RFC 9110 section 10.2.3 counts whole seconds: rounded up, so that who waits as told is let in.
fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}

/// The header by which client and operator name a request.
pub const REQUEST_ID_HEADER: &str = "x-hangu-request-id";
const PROBLEM_TYPE: &str = "application/problem+json";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_body_is_json_with_status_and_request_id_alone() {
        let id = RequestId::next();
        let body = problem_body(Denial::NoRule, id);
        let body: serde_json::Value = serde_json::from_str(&body).unwrap();
        let expected = serde_json::json!({
            "type": "about:blank", "title": "Forbidden", "status": 403, "request_id": id.to_string()
        });
        assert_eq!(body, expected);
    }

    #[test]
    fn a_malformed_message_is_told_its_rule_and_nobody_else_is_told_anything() {
        let id = RequestId::next();
        let body = problem_body(Denial::FramingAmbiguous, id);
        let body: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert_eq!(body["reason"], "edge.framing_ambiguous");
        for denial in Denial::ALL {
            let is_told = problem_body(*denial, id).contains("reason");
            let may_be = denial.code().starts_with("edge.")
                && !matches!(
                    denial,
                    Denial::QueryAmbiguous | Denial::OriginRefused | Denial::HostMismatch
                );
            assert!(!is_told || may_be, "{denial:?}");
        }
    }

    #[test]
    fn waiting_is_rounded_up_to_whole_seconds() {
        assert_eq!(whole_seconds(Duration::from_millis(1)), 1);
        assert_eq!(whole_seconds(Duration::from_secs(2)), 2);
    }
}
