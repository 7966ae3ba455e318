//! The rules that would have decided otherwise: those that match a request and lost to the rule that decided.
//!
//! Asked after the decision, and only where there can be any: a permit under a model in which every denial wins has none, and
//! costs nothing.

use crate::decision::RuleId;
use crate::engine::early::Early;
use crate::engine::eval::Argument;
use crate::engine::verdict::{OVERRIDDEN_MAX, Others};
use crate::model::check::Effect;
use crate::policy::{Policy, Section};
use crate::request::{Fact, Request};
use std::fmt;

/// Rules that match a request and were overridden, in the order in which they count; at most [`Self::MAX`] of them.
#[derive(Clone, Copy, Default, Eq, PartialEq)]
pub struct Overridden {
    rules: [Option<RuleId>; OVERRIDDEN_MAX],
}

impl Overridden {
    /// Rules that are named, at most.
    pub const MAX: usize = OVERRIDDEN_MAX;

    /// Each of them.
    pub fn rules(&self) -> impl Iterator<Item = RuleId> + '_ {
        self.rules.iter().flatten().copied()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.rules.iter().all(Option::is_none)
    }

    /// The same, of a policy whose rules are numbered on from `first`.
    pub(crate) fn numbered_from(self, first: u32) -> Self {
        Self {
            rules: self.rules.map(|rule| rule.map(|rule| rule.after(first))),
        }
    }
}

impl fmt::Debug for Overridden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.rules()).finish()
    }
}

impl Policy {
    /// The rules that match a request and lost to `rule`, which decided it: the permits that a denial overrode, or the denials
    /// that a permit did. None for a line of the model. Takes no lock, allocates nothing, and costs a decision once more.
    pub fn overridden(&self, request: &Request<'_>, rule: RuleId) -> Overridden {
        let Some((section, denies)) = self.decided_by(rule) else {
            return Overridden::default();
        };
        if !denies && !section.permits_may_override() {
            return Overridden::default();
        }
        let mut arguments = [Argument::NONE; Fact::COUNT];
        section.fill(&mut arguments, request, 0);
        let arguments = arguments.get_mut(..section.facts.len()).unwrap_or_default();
        let mut early = Early::default();
        self.number(section, arguments, &mut early);
        let scene = self.scene(section, arguments, request.time_unix_ms);
        let others = Others::new(!denies);
        let others = (section.index).others(others, &scene, section.ruled(), early.taken());
        let mut found = Overridden::default();
        for (place, row) in found.rules.iter_mut().zip(others.rows()) {
            *place = Some(section.rule(*row));
        }
        found
    }

    /// Whether a permit can override a denial at all.
    pub fn permits_may_override(&self) -> bool {
        self.sections.iter().any(Section::permits_may_override)
    }

    /// The section of a row, and whether the row denies.
    fn decided_by(&self, rule: RuleId) -> Option<(&Section, bool)> {
        self.sections.iter().find_map(|section| {
            let row = rule.0.checked_sub(section.first)? as usize;
            (row < section.rows.len())
                .then(|| (section, section.ruled().denies(section.rows.row(row))))
        })
    }
}

impl Section {
    fn permits_may_override(&self) -> bool {
        let a_permit_wins = match self.context.effect {
            Effect::AllowOverride | Effect::Priority | Effect::SubjectPriority => true,
            Effect::DenyOverride | Effect::AllowAndDeny => false,
        };
        a_permit_wins && self.index.denies_somewhere()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Decision, PartitionedPolicy, RBAC_WITH_DOMAINS, Refusal, Source};

    fn source<'a>(name: &'static str, text: &'a str) -> Source<'a> {
        Source { name, text }
    }

    fn request(path: &'static str) -> Request<'static> {
        Request {
            subject: "alice",
            domain: "tax",
            path,
            method: "GET",
            ..Request::default()
        }
    }

    fn lines(policy: &PartitionedPolicy, path: &'static str) -> (Option<usize>, Vec<usize>) {
        let rule = match policy.decide(&request(path)) {
            Decision::Permit(permit) => Some(permit.rule()),
            Decision::Deny(Refusal::ExplicitDeny(rule)) => Some(rule),
            Decision::Deny(_) => None,
        };
        let found = rule.map(|rule| policy.overridden(&request(path), rule));
        let found = found.unwrap_or_default();
        let line = |rule| policy.rule(rule).line;
        (rule.map(line), found.rules().map(line).collect())
    }

    #[test]
    fn a_denial_names_the_permits_that_it_overrides_and_a_permit_has_none() {
        let rules = "p, other, land, /a/*, GET, allow\np, clerk, tax, /a/:id, GET, allow\np, clerk, tax, /a/9, *, deny\np, clerk, tax, /a/9, GET, allow\n\
            p, alice, tax, /*, GET, allow\np, clerk, tax, /a/*, GET, allow\np, clerk, tax, /a/:x, *, allow\np, head, tax, /*, *, allow\ng, alice, clerk, tax\n";
        let model = source("model.conf", RBAC_WITH_DOMAINS);
        let policy = PartitionedPolicy::compile(model, source("policy.csv", rules)).unwrap();
        assert!(policy.partition_count() > 1);
        assert_eq!(lines(&policy, "/a/9"), (Some(3), vec![2, 4, 5, 6]));
        assert_eq!(lines(&policy, "/a/7"), (Some(2), vec![]));
        assert!(!policy.permits_may_override());
    }

    #[test]
    fn under_priority_and_where_a_permit_wins_the_denials_that_lost_are_named() {
        let model = |effect: &str, matcher: &str| {
            format!(
                "[request_definition]\nr = sub, obj, act\n[policy_definition]\np = sub, obj, act, eft\n\
                 [policy_effect]\ne = {effect}\n[matchers]\nm = {matcher}\n"
            )
        };
        let (priority, allow) = ("priority(p.eft) || deny", "some(where (p.eft == allow))");
        let plain = "r.sub == p.sub && keyMatch2(r.obj, p.obj) && r.act == p.act";
        let walked =
            "!(r.sub != p.sub) && !(r.act != p.act) && (keyMatch(r.obj, p.obj) || r.obj == \"/z\")";
        let rules = "p, alice, /a/*, GET, allow\np, alice, /a/9, GET, deny\np, alice, /*, GET, deny\np, alice, /*, PUT, deny\n\
            p, alice, /b, GET, deny\np, alice, /b, GET, allow\n";
        for (effect, matcher, path, expected) in [
            (priority, plain, "/a/9", (Some(1), vec![2, 3])),
            (priority, plain, "/b", (Some(3), vec![6])),
            (priority, plain, "/c", (Some(3), vec![])),
            (allow, plain, "/a/9", (Some(1), vec![2, 3])),
            (allow, plain, "/b", (Some(6), vec![3, 5])),
            (allow, walked, "/a/9", (Some(1), vec![2, 3])),
            (priority, walked, "/b", (Some(3), vec![6])),
        ] {
            let model = model(effect, matcher);
            let model = source("model.conf", &model);
            let policy = PartitionedPolicy::compile(model, source("policy.csv", rules)).unwrap();
            assert!(policy.permits_may_override());
            assert_eq!(lines(&policy, path), expected, "{effect} {matcher} {path}");
        }
    }

    #[test]
    fn a_decision_of_no_row_overrides_none() {
        let model = source("model.conf", RBAC_WITH_DOMAINS);
        let policy = PartitionedPolicy::compile(
            model,
            source("policy.csv", "p, bob, tax, /a, GET, allow\n"),
        );
        assert_eq!(lines(&policy.unwrap(), "/a"), (None, vec![]));
    }
}
