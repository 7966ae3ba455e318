//! The limits of a generation: which of them a request meets is worked out when the snapshot is built.
//!
//! Routes that meet the same limits, counted by the same keys, share one [`Target`]: a connection that visits a thousand routes
//! without limits of their own looks up its counts once.

use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;

use hangu_limits::{Allowance, AllowanceError, Mode, Rate, RateError, Sketch};

use super::sources::SourceRule;
use super::target::{Target, Targets};
use crate::config::{
    self, ConcurrencyBy, Config, Fallback, Held, Network, Part, QuotaOf, Scope, SourceClients,
};
use crate::denial::Denial;
use crate::observe::limits::LimitMetrics;
use crate::observe::metrics::Metrics;

/// All limits of a generation.
#[derive(Debug, Default)]
pub struct LimitPlan {
    /// Handshakes of each source.
    pub handshake: Option<HandshakeRule>,
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

/// How often one source may begin a handshake.
#[derive(Debug)]
pub struct HandshakeRule {
    /// How often.
    pub rate: Rate,
    mode: Mode,
    metrics: LimitMetrics,
}

impl HandshakeRule {
    /// Counts a handshake over the rate, and says whether it is to be refused.
    #[must_use]
    pub fn refuses(&self) -> bool {
        match self.mode {
            Mode::Enforced => self.metrics.refused.inc(),
            Mode::Shadow => self.metrics.would_refuse.inc(),
        }
        self.mode == Mode::Enforced
    }
}

/// How often.
#[derive(Debug)]
pub(super) struct RateRule {
    pub(super) rule: Rule,
    pub(super) rate: Rate,
    /// How it is held by several gateways together.
    pub(super) shared: Option<SharedRule>,
}

/// A rate that several gateways hold together.
#[derive(Debug)]
pub(super) struct SharedRule {
    /// Begins its keys.
    pub(super) prefix: Box<str>,
    /// What decides without the server.
    pub(super) fallback: Fallback,
    /// This gateway's part of the rate.
    pub(super) share: Rate,
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
        let mut counts = rules.counts(&config.limits);
        counts.extend(rules.shares(config));
        let connections = rules.connections(&config.limits);
        let sources = rules.sources(&config.limits, before);
        let handshake = rules.handshake(&config.limits);
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
pub(super) type Scoped<R> = (Arc<R>, Scope);

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

    fn handshake(&mut self, limits: &config::Limits) -> Option<HandshakeRule> {
        let limit = limits.handshake?;
        Some(HandshakeRule {
            rate: self.rate("handshake", limit.rate)?,
            mode: limit.mode,
            metrics: self.metrics.limits.of("handshake"),
        })
    }

    fn rates(&mut self, limits: &config::Limits) -> Vec<Scoped<RateRule>> {
        let mut rules = Vec::with_capacity(limits.rates.len() + 1);
        if let Some(limit) = limits.identity
            && let Some(rate) = self.rate("identity", limit.rate)
        {
            let scope = everywhere(vec![Part::Identity]);
            let rule = self.rule(
                "identity",
                scope.by.clone(),
                limit.mode,
                Denial::RateIdentity,
            );
            let shared = None;
            rules.push((Arc::new(RateRule { rule, rate, shared }), scope));
        }
        for limit in &limits.rates {
            let name = limit.name.as_str();
            if let Some(rate) = self.rate(name, limit.rate) {
                let by = limit.scope.by.clone();
                let denial = rate_denial(&by);
                let rule = self.rule(name, by, limit.mode, denial);
                let shared = match (limit.held, &limits.shared) {
                    (Held::Together, Some(shared)) => self.shared(name, limit.rate, shared),
                    _ => None,
                };
                let rule = RateRule { rule, rate, shared };
                rules.push((Arc::new(rule), limit.scope.clone()));
            }
        }
        rules
    }

    fn shared(
        &mut self,
        name: &str,
        rate: config::Rate,
        shared: &config::SharedLimits,
    ) -> Option<SharedRule> {
        let gateways = shared.gateways.get();
        let part = config::Rate {
            per: rate.per.saturating_mul(gateways),
            burst: NonZeroU32::new(rate.burst.get() / gateways).unwrap_or(NonZeroU32::MIN),
            ..rate
        };
        Some(SharedRule {
            prefix: format!("{}:{name}:", shared.prefix.as_str()).into(),
            fallback: shared.fallback,
            share: self.rate(name, part)?,
        })
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

    /// Of what is bounded in flight at the upstreams of an application one caller has at most half: slow bodies, each as fast as it must be,
    /// would otherwise take every place from all others. Where the operator limits callers himself, his limit holds instead.
    fn shares(&self, config: &Config) -> Vec<Scoped<CountRule>> {
        let share = |application: &config::Application| {
            let limits = &config.limits.concurrency;
            if limits.iter().any(|limit| is_by_caller(limit, application)) {
                return None;
            }
            let tightest = limits
                .iter()
                .filter(|limit| is_of_upstreams(limit, application))
                .min_by_key(|limit| (limit.mode != Mode::Enforced, limit.max))?;
            let upstreams = u32::try_from(application.upstreams.len()).unwrap_or(u32::MAX);
            let max = (tightest.max.get().saturating_mul(upstreams) / 2).max(1);
            let by = vec![Part::Identity, Part::Application];
            let scope = Scope {
                applications: Some(vec![application.name.clone()]),
                ..everywhere(by.clone())
            };
            let name = tightest.name.as_str();
            let rule = self.rule(name, by, tightest.mode, Denial::Concurrency);
            Some((Arc::new(CountRule { rule, max }), scope))
        };
        config.applications.iter().filter_map(share).collect()
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
        let short = limits.source.map(|limit| {
            let (network, clients) = (Network::Address, SourceClients::All);
            ("source", limit.rate, network, clients, limit.mode)
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

/// Whether it bounds each caller at every route of the application.
fn is_by_caller(limit: &config::ConcurrencyLimit, application: &config::Application) -> bool {
    let ConcurrencyBy::Requests(scope) = &limit.by else {
        return false;
    };
    let named = scope.applications.as_ref();
    limit.mode == Mode::Enforced
        && scope.routes.is_none()
        && scope.by.contains(&Part::Identity)
        && named.is_none_or(|names| names.contains(&application.name))
}

fn is_of_upstreams(limit: &config::ConcurrencyLimit, application: &config::Application) -> bool {
    match &limit.by {
        ConcurrencyBy::Upstream(Some(names)) => names.contains(&application.name),
        ConcurrencyBy::Upstream(None) => true,
        ConcurrencyBy::Requests(_) | ConcurrencyBy::Source => false,
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
