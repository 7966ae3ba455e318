//! The limits that a route meets, and the part of their keys that it decides.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;

use http::HeaderValue;

use super::plan::{CountRule, QuotaRule, RateRule, Rule, Scoped, Unit};
use super::whole_seconds;
use crate::config::{Application, Name, Part, Route, Scope};

/// The limits that the requests of some routes meet, each with the part of its key that the route decides.
#[derive(Debug, Default)]
pub(super) struct Target {
    pub(super) rates: Vec<(Arc<RateRule>, Box<str>)>,
    pub(super) counts: Vec<(Arc<CountRule>, Box<str>)>,
    pub(super) quotas: Vec<(Arc<QuotaRule>, Box<str>)>,
    /// `RateLimit-Policy`; `None` when no limit is the caller's own.
    pub(super) policy: Option<HeaderValue>,
}

/// The name of a limit, and the route's part of its key.
type Applied = (Arc<str>, Box<str>);

/// Lists of limits, each once.
#[derive(Default)]
pub(super) struct Targets {
    pub(super) list: Vec<Target>,
    known: HashMap<Vec<Applied>, usize>,
}

impl Targets {
    pub(super) fn of(
        &mut self,
        application: &Application,
        route: &Route,
        rates: &[Scoped<RateRule>],
        counts: &[Scoped<CountRule>],
        quotas: &[Scoped<QuotaRule>],
    ) -> usize {
        let mut target = Target {
            rates: applied(rates, application, route),
            counts: applied(counts, application, route),
            quotas: applied(quotas, application, route),
            policy: None,
        };
        let names = target.rates.iter().map(|(rate, key)| (&rate.rule, key));
        let names = names.chain(target.counts.iter().map(|(count, key)| (&count.rule, key)));
        let names = names.chain(target.quotas.iter().map(|(quota, key)| (&quota.rule, key)));
        let names: Vec<Applied> = names
            .map(|(rule, key)| (Arc::clone(&rule.name), key.clone()))
            .collect();
        if let Some(known) = self.known.get(&names) {
            return *known;
        }
        target.policy = policy_field(&target);
        self.list.push(target);
        let index = self.list.len() - 1;
        self.known.insert(names, index);
        index
    }
}

/// The rules that apply to a route, each with the part of its key that is the route's.
fn applied<R: AsRef<Rule>>(
    rules: &[Scoped<R>],
    application: &Application,
    route: &Route,
) -> Vec<(Arc<R>, Box<str>)> {
    let named = |names: &Option<Vec<Name>>| match names {
        Some(names) => names.contains(&application.name),
        None => true,
    };
    let routed = |scope: &Scope| match &scope.routes {
        Some(prefixes) => prefixes.contains(&route.prefix),
        None => true,
    };
    rules
        .iter()
        .filter(|(_, scope)| named(&scope.applications) && routed(scope))
        .map(|(rule, scope)| (Arc::clone(rule), key(scope, application, route)))
        .collect()
}

/// A route is one of its application: to count by route is to count by both.
fn key(scope: &Scope, application: &Application, route: &Route) -> Box<str> {
    let name = application.name.as_str();
    if scope.by.contains(&Part::Route) {
        format!("{name}{}", route.prefix.as_str()).into()
    } else if scope.by.contains(&Part::Application) {
        name.into()
    } else {
        "".into()
    }
}

/// `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers-10, section 3) of the limits that count the caller or his organisation:
/// how busy others are is not his to know. Of a rate it tells the burst, and how long that takes to come back.
fn policy_field(target: &Target) -> Option<HeaderValue> {
    let mut field = String::new();
    let mut add = |rule: &Rule, quota: u64, unit: Option<&str>, seconds: u64| {
        if !rule.is_told() {
            return;
        }
        let comma = if field.is_empty() { "" } else { ", " };
        let unit = unit.map_or(String::new(), |unit| format!(";qu=\"{unit}\""));
        // Writing to a `String` cannot fail.
        let _written = write!(
            field,
            "{comma}\"{}\";q={quota}{unit};w={seconds}",
            rule.name
        );
    };
    for (rate, _) in &target.rates {
        let seconds = whole_seconds(rate.rate.full_after(0));
        add(&rate.rule, rate.rate.burst().get().into(), None, seconds);
    }
    for (quota, _) in &target.quotas {
        let unit = match quota.unit {
            Unit::Requests => None,
            Unit::Bytes => Some("content-bytes"),
        };
        let seconds = whole_seconds(quota.allowance.window());
        add(&quota.rule, quota.allowance.amount(), unit, seconds);
    }
    for (count, _) in &target.counts {
        add(
            &count.rule,
            count.max.into(),
            Some("concurrent-requests"),
            0,
        );
    }
    HeaderValue::from_str(&field)
        .ok()
        .filter(|field| !field.is_empty())
}

impl Target {
    /// Whether nothing limits its requests but their source.
    pub(super) fn is_empty(&self) -> bool {
        self.rates.is_empty() && self.counts.is_empty() && self.quotas.is_empty()
    }
}

impl AsRef<Rule> for RateRule {
    fn as_ref(&self) -> &Rule {
        &self.rule
    }
}

impl AsRef<Rule> for CountRule {
    fn as_ref(&self) -> &Rule {
        &self.rule
    }
}

impl AsRef<Rule> for QuotaRule {
    fn as_ref(&self) -> &Rule {
        &self.rule
    }
}
