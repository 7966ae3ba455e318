//! A policy under trial: asked beside the one in force, counted and recorded, never enforced.
//!
//! Only the configuration can set one, and only until a day that it names: a trial that nobody ends is a second policy that
//! nobody reads.

use std::sync::Arc;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use hangu_policy::{Decision, PartitionedPolicy, Refusal, Request, RuleId};

/// A policy under trial.
#[derive(Debug)]
pub struct ShadowPolicy {
    /// It, compiled.
    pub policy: Arc<PartitionedPolicy>,
    /// SHA-256 of its files, or its bundle's epoch: what records call it.
    pub name: Arc<str>,
    /// Until when it is asked, in seconds since 1970.
    pub expires: i64,
    /// Digest of all that it was compiled from.
    pub inputs: String,
    /// Where its additional rules begin, if it is the policy in force with some: their file, and the line before their first.
    pub extra: Option<(String, usize)>,
}

/// What a policy under trial would have said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trial {
    /// Whether it would have permitted.
    pub permits: bool,
    /// The rule that would have decided.
    pub rule: Option<RuleId>,
}

/// How a trial compares to what was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compared {
    /// Both alike.
    Same,
    /// It would have denied what was permitted.
    WouldDeny,
    /// It would have permitted what was denied.
    WouldAllow,
}

impl ShadowPolicy {
    /// What it would say of a request for data of the request's label, at `now` in seconds since 1970; `None` once it has expired.
    #[must_use]
    pub fn ask(&self, request: &Request<'_>, now: i64) -> Option<Trial> {
        if now >= self.expires {
            return None;
        }
        let cleared = self.policy.clears(
            request.subject,
            request.domain,
            request.label,
            request.time_unix_ms,
        );
        if !cleared {
            return Some(Trial {
                permits: false,
                rule: None,
            });
        }
        let (permits, rule) = match self.policy.decide(request) {
            Decision::Permit(permit) => (true, Some(permit.rule())),
            Decision::Deny(Refusal::NoRule) => (false, None),
            Decision::Deny(Refusal::ExplicitDeny(rule) | Refusal::EvaluationError(rule, _)) => {
                (false, Some(rule))
            }
        };
        Some(Trial { permits, rule })
    }

    /// What to say of a trial that has ended and still stands there.
    #[must_use]
    pub fn expired(&self, now: i64) -> Option<String> {
        let ended = OffsetDateTime::from_unix_timestamp(self.expires).ok();
        let ended = ended.and_then(|ended| ended.format(&Rfc3339).ok());
        (now >= self.expires).then(|| {
            format!(
                "the policy under trial expired at {} and is not asked any more; put it in force, set a later day, or take it out",
                ended.unwrap_or_default()
            )
        })
    }

    /// A rule of it as records name it: file and line.
    #[must_use]
    pub fn rule_name(&self, rule: RuleId) -> Arc<str> {
        let view = self.policy.rule(rule);
        match &self.extra {
            Some((file, before)) if view.is_row() && view.line > *before => {
                format!("{file}:{}", view.line - before).into()
            }
            Some(_) | None => view.to_string().into(),
        }
    }
}

impl Trial {
    /// How it compares to what was decided.
    #[must_use]
    pub fn compared(self, permitted: bool) -> Compared {
        match (self.permits, permitted) {
            (true, true) | (false, false) => Compared::Same,
            (false, true) => Compared::WouldDeny,
            (true, false) => Compared::WouldAllow,
        }
    }
}

impl Compared {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::Same, Self::WouldDeny, Self::WouldAllow];

    /// The word in metrics.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::WouldDeny => "would_deny",
            Self::WouldAllow => "would_allow",
        }
    }
}
