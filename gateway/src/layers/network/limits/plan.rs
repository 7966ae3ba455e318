//! The limits of a generation: which of them a request meets is worked out when the snapshot is built.
//!
//! Routes that meet the same limits, counted by the same keys, share one [`Target`]: a connection that visits a thousand routes
//! without limits of their own looks up its counts once.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::num::NonZeroUsize;
use std::sync::Arc;

use hangu_limits::{Allowance, AllowanceError, Mode, Rate, RateError, Sketch};
use http::HeaderValue;

use super::sources::SourceRule;
use super::whole_seconds;
use crate::config::{
    self, Application, ConcurrencyBy, Config, Name, Network, Part, QuotaOf, Route, Scope,
    SourceClients,
};
use crate::denial::Denial;
use crate::observe::limits::LimitMetrics;
use crate::observe::metrics::Metrics;

/// All limits of a generation.
#[derive(Debug, Default)]
pub struct LimitPlan {
    /// Handshakes of each source.
    pub handshake: Option<Rate>,
    pub(super) sources: Vec<SourceRule>,
    pub(super) connections: Vec<CountRule>,
    pub(super) targets: Vec<Target>,
    /// By index of application and route: an index into `targets`.
    by_route: Vec<Vec<usize>>,
}

/// What every limit has.
#[derive(Debug)]
pub struct Rule {
    /// Its name in the configuration.
    pub name: Arc<str>,
    /// What it counts by.
    pub(super) by: Vec<Part>,
    /// Whether it refuses.
    pub(super) mode: Mode,
    /// What it refuses with.
    pub(super) denial: Denial,
    pub(super) metrics: LimitMetrics,
}

/// How often.
#[derive(Debug)]
pub(super) struct RateRule {
    pub(super) rule: Rule,
    pub(super) rate: Rate,
}

/// How many at once.
#[derive(Debug)]
pub(super) struct CountRule {
    pub(super) rule: Rule,
    pub(super) max: u32,
}

/// How much in a window.
#[derive(Debug)]
pub(super) struct QuotaRule {
    pub(super) rule: Rule,
    pub(super) allowance: Allowance,
    pub(super) unit: Unit,
}

/// What a quota counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    /// Requests.
    Requests,
    /// Bytes of bodies.
    Bytes,
}

/// The limits that the requests of some routes meet, each with the part of its key that the route decides.
#[derive(Debug, Default)]
pub(super) struct Target {
    pub(super) rates: Vec<(Arc<RateRule>, Box<str>)>,
    pub(super) counts: Vec<(Arc<CountRule>, Box<str>)>,
    pub(super) quotas: Vec<(Arc<QuotaRule>, Box<str>)>,
    /// `RateLimit-Policy`; `None` when no limit is the caller's own.
    pub(super) policy: Option<HeaderValue>,
}

/// Numbers that make no limit.
#[derive(Debug, thiserror::Error)]
pub enum LimitError {
    /// Of a rate.
    #[error("limit `{name}`: {source}; choose a shorter `per` or a smaller `burst`")]
    Rate {
        /// Which.
        name: String,
        /// Why.
        #[source]
        source: RateError,
    },
    /// Of a quota.
    #[error("limit `{name}`: {source}")]
    Quota {
        /// Which.
        name: String,
        /// Why.
        #[source]
        source: AllowanceError,
    },
}

impl LimitPlan {
    /// The plan of `config`. Sources that `before` has counted stay counted.
    ///
    /// # Errors
    /// Everything that makes no limit.
    pub fn build(
        config: &Config,
        before: Option<&LimitPlan>,
        metrics: &Metrics,
    ) -> Result<Self, Vec<LimitError>> {
        let mut rules = Rules {
            metrics,
            errors: Vec::new(),
        };
        let rates = rules.rates(&config.limits);
        let quotas = rules.quotas(&config.limits);
        let counts = rules.counts(&config.limits);
        let connections = rules.connections(&config.limits);
        let sources = rules.sources(&config.limits, before);
        let handshake = config.limits.handshake;
        let handshake = handshake.and_then(|rate| rules.rate("handshake", rate));
        if !rules.errors.is_empty() {
            return Err(rules.errors);
        }
        let mut targets = Targets::default();
        let by_route = config
            .applications
            .iter()
            .map(|application| {
                let target = |route| targets.of(application, route, &rates, &counts, &quotas);
                application.routes.iter().map(target).collect()
            })
            .collect();
        Ok(Self {
            handshake,
            sources,
            connections,
            targets: targets.list,
            by_route,
        })
    }

    /// What the requests of a route meet; `None` for indexes of another generation.
    pub(super) fn target(&self, application: usize, route: usize) -> Option<(usize, &Target)> {
        let index = *self.by_route.get(application)?.get(route)?;
        Some((index, self.targets.get(index)?))
    }
}

/// A rule with what it applies to.
type Scoped<R> = (Arc<R>, Scope);

/// Makes rules and remembers what makes none.
struct Rules<'m> {
    metrics: &'m Metrics,
    errors: Vec<LimitError>,
}

impl Rules<'_> {
    fn rule(&self, name: &str, by: Vec<Part>, mode: Mode, denial: Denial) -> Rule {
        Rule {
            name: name.into(),
            by,
            mode,
            denial,
            metrics: self.metrics.limits.of(name),
        }
    }

    fn rate(&mut self, name: &str, rate: config::Rate) -> Option<Rate> {
        Rate::new(rate.requests, rate.per, rate.burst)
            .map_err(|source| {
                let name = name.to_owned();
                self.errors.push(LimitError::Rate { name, source });
            })
            .ok()
    }

    fn rates(&mut self, limits: &config::Limits) -> Vec<Scoped<RateRule>> {
        let mut rules = Vec::with_capacity(limits.rates.len() + 1);
        if let Some(rate) = limits.identity.and_then(|rate| self.rate("identity", rate)) {
            let scope = everywhere(vec![Part::Identity]);
            let rule = self.rule(
                "identity",
                scope.by.clone(),
                Mode::Enforced,
                Denial::RateIdentity,
            );
            rules.push((Arc::new(RateRule { rule, rate }), scope));
        }
        for limit in &limits.rates {
            let name = limit.name.as_str();
            if let Some(rate) = self.rate(name, limit.rate) {
                let by = limit.scope.by.clone();
                let denial = rate_denial(&by);
                let rule = self.rule(name, by, limit.mode, denial);
                rules.push((Arc::new(RateRule { rule, rate }), limit.scope.clone()));
            }
        }
        rules
    }

    fn quotas(&mut self, limits: &config::Limits) -> Vec<Scoped<QuotaRule>> {
        let mut rules = Vec::with_capacity(limits.quotas.len());
        for limit in &limits.quotas {
            let (amount, unit) = match limit.of {
                QuotaOf::Requests(amount) => (amount, Unit::Requests),
                QuotaOf::Bytes(amount) => (amount, Unit::Bytes),
            };
            let name = limit.name.as_str();
            match Allowance::new(amount, limit.hours, limits.utc_offset) {
                Ok(allowance) => {
                    let rule = self.rule(name, limit.scope.by.clone(), limit.mode, Denial::Quota);
                    let rule = QuotaRule {
                        rule,
                        allowance,
                        unit,
                    };
                    rules.push((Arc::new(rule), limit.scope.clone()));
                }
                Err(source) => self.errors.push(LimitError::Quota {
                    name: name.to_owned(),
                    source,
                }),
            }
        }
        rules
    }

    fn counts(&self, limits: &config::Limits) -> Vec<Scoped<CountRule>> {
        let of_requests = |limit: &config::ConcurrencyLimit| {
            let ConcurrencyBy::Requests(scope) = &limit.by else {
                return None;
            };
            let name = limit.name.as_str();
            let rule = self.rule(name, scope.by.clone(), limit.mode, Denial::Concurrency);
            let max = limit.max.get();
            Some((Arc::new(CountRule { rule, max }), scope.clone()))
        };
        limits.concurrency.iter().filter_map(of_requests).collect()
    }

    fn connections(&self, limits: &config::Limits) -> Vec<CountRule> {
        let by_source = limits
            .concurrency
            .iter()
            .filter(|limit| limit.by == ConcurrencyBy::Source);
        by_source
            .map(|limit| CountRule {
                rule: self.rule(
                    limit.name.as_str(),
                    Vec::new(),
                    limit.mode,
                    Denial::ConnectionsSource,
                ),
                max: limit.max.get(),
            })
            .collect()
    }

    fn sources(&mut self, limits: &config::Limits, before: Option<&LimitPlan>) -> Vec<SourceRule> {
        let short = limits.source.map(|rate| {
            let (network, clients) = (Network::Address, SourceClients::All);
            ("source", rate, network, clients, Mode::Enforced)
        });
        let long = limits.sources.iter().map(|limit| {
            let name = limit.name.as_str();
            (name, limit.rate, limit.network, limit.clients, limit.mode)
        });
        let mut rules = Vec::with_capacity(limits.sources.len() + 1);
        for (name, rate, network, clients, mode) in short.into_iter().chain(long) {
            let Some(rate) = self.rate(name, rate) else {
                continue;
            };
            let known = before.and_then(|before| {
                let same = |old: &&SourceRule| *old.rule.name == *name && old.network == network;
                before.sources.iter().find(same)
            });
            rules.push(SourceRule {
                rule: self.rule(name, Vec::new(), mode, Denial::RateSource),
                rate,
                network,
                clients,
                counts: known.map_or_else(
                    || Arc::new(Sketch::new(SKETCH_WIDTH)),
                    |known| Arc::clone(&known.counts),
                ),
            });
        }
        rules
    }
}

/// The name of a limit, and the route's part of its key.
type Applied = (Arc<str>, Box<str>);

/// Lists of limits, each once.
#[derive(Default)]
struct Targets {
    list: Vec<Target>,
    known: HashMap<Vec<Applied>, usize>,
}

impl Targets {
    fn of(
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

impl Rule {
    /// Whether the caller is told of it.
    pub(super) fn is_told(&self) -> bool {
        let of_the_caller = self
            .by
            .iter()
            .any(|part| matches!(part, Part::Identity | Part::Organisation));
        of_the_caller && self.mode == Mode::Enforced
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

fn everywhere(by: Vec<Part>) -> Scope {
    Scope {
        by,
        applications: None,
        routes: None,
    }
}

/// By the narrowest thing that the rate counts.
fn rate_denial(by: &[Part]) -> Denial {
    if by.contains(&Part::Identity) {
        Denial::RateIdentity
    } else if by.contains(&Part::Organisation) {
        Denial::RateOrganisation
    } else if by.contains(&Part::Route) {
        Denial::RateRoute
    } else {
        Denial::RateApplication
    }
}

/// 2 MiB a limit: while 6,500 sources flood at once, one other in ten thousand is refused wrongly.
const SKETCH_WIDTH: NonZeroUsize = NonZeroUsize::MIN.saturating_add(65_536 - 1);
