//! From who asks for what to the counts that concern it.

use std::fmt::Write as _;
use std::hash::{BuildHasher, Hash, RandomState};
use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use hangu_limits::{Cell, Cells, Full, Held, Keyed, Limit, Limited, Mode, Nanos, Quota, Slots};
use http::HeaderValue;
use ring::digest::{Context, SHA256};

use super::connections::Refused;
use super::plan::{CountRule, QuotaRule, RateRule, Rule, Unit};
use super::shared::{ClosedUntil, SharedLimits};
use super::target::Target;
use crate::config::Part;

/// Two 64-bit hashes of what a limit counts by.
pub(super) type Key = [u64; 2];

/// What was counted, of everybody, by every limit. Keys are two 64-bit hashes under two keys of this process: the tables hold no names,
/// and nobody can aim at the entry of another.
#[derive(Debug)]
pub struct LimitState {
    rates: Cells<Key>,
    quotas: Keyed<Key, Quota>,
    requests: Keyed<Key, Slots>,
    pub(super) connections: Keyed<Key, Slots>,
    closed: Keyed<Key, ClosedUntil>,
    /// The server by which several gateways hold limits together.
    pub shared: SharedLimits,
    pub(super) refused: Refused,
    hashers: [RandomState; 2],
    start: Instant,
}

/// Who is counted on one connection, and the counts that it has needed so far under one generation.
#[derive(Debug)]
pub struct CallerCounts {
    pub(super) subject: Arc<str>,
    pub(super) organisation: Box<str>,
    pub(super) address: IpAddr,
    pub(super) proven: Proven,
    known: OnceLock<Box<Known>>,
}

/// Whether a caller has shown a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proven {
    /// He has; he is told how near to his limits he is.
    ByCertificate,
    /// He has not, and is told nothing that would help him to come as near as he can.
    Not,
}

/// A list that only grows: reading it takes no lock.
#[derive(Debug)]
struct Known {
    target: usize,
    counts: Arc<Counts>,
    next: OnceLock<Box<Known>>,
}

/// The counts of one caller for one target.
#[derive(Debug)]
pub(super) struct Counts {
    /// Of limits that refuse.
    pub(super) rates: Vec<RateCount>,
    /// Of limits that only say that they would.
    pub(super) shadow_rates: Vec<RateCount>,
    pub(super) requests: Vec<(Arc<CountRule>, Held<Key, Slots>)>,
    pub(super) quotas: Vec<(Arc<QuotaRule>, Held<Key, Quota>)>,
    pub(super) counts_bytes: bool,
    /// Whether any rate is held by several gateways together.
    pub(super) is_shared: bool,
    pub(super) policy: Option<HeaderValue>,
}

/// A rate and how much of it was used.
#[derive(Debug)]
pub(super) struct RateCount {
    pub(super) rule: Arc<RateRule>,
    pub(super) cell: Held<Key, Cell>,
    pub(super) shared: Option<SharedCount>,
}

/// Where a rate that several gateways hold together is counted.
#[derive(Debug)]
pub(super) struct SharedCount {
    /// At the server.
    pub(super) key: Box<str>,
    /// Here, while the server does not answer.
    pub(super) share: Held<Key, Cell>,
    /// Until when the server has refused it.
    pub(super) closed: Held<Key, ClosedUntil>,
}

impl Limited for RateCount {
    fn limit(&self) -> Limit<'_> {
        Limit {
            cell: &self.cell,
            rate: &self.rule.rate,
            mode: self.rule.rule.mode,
        }
    }
}

impl LimitState {
    /// Nobody has been counted; room for a million keys of each kind, surely.
    #[must_use]
    pub fn new() -> Self {
        Self::of(KEYS_MAX)
    }

    /// Room for so many keys of each kind.
    fn of(keys_max: NonZeroUsize) -> Self {
        Self {
            rates: Cells::new(keys_max),
            quotas: Keyed::new(keys_max),
            requests: Keyed::new(keys_max),
            connections: Keyed::new(keys_max),
            closed: Keyed::new(keys_max),
            shared: SharedLimits::default(),
            refused: Refused::default(),
            hashers: [RandomState::new(), RandomState::new()],
            start: Instant::now(),
        }
    }

    /// How many keys are known, by kind. Locks each part of each table in turn: for metrics.
    #[must_use]
    pub fn keys(&self) -> [(&'static str, usize); 4] {
        [
            ("rate", self.rates.len()),
            ("quota", self.quotas.len()),
            ("requests", self.requests.len()),
            ("connections", self.connections.len()),
        ]
    }

    /// The counts of a caller for a target: those that its connection holds, or else those of the tables.
    ///
    /// # Errors
    /// When all places of a table are taken by callers that are still being counted.
    pub(super) fn counts(
        &self,
        caller: &CallerCounts,
        index: usize,
        target: &Target,
        now: Nanos,
    ) -> Result<Arc<Counts>, Full> {
        let mut end = &caller.known;
        let mut length = 0_usize;
        while let Some(known) = end.get() {
            if known.target == index {
                return Ok(Arc::clone(&known.counts));
            }
            end = &known.next;
            length += 1;
        }
        let counts = Arc::new(self.find(caller, target, now)?);
        if length < KNOWN_MAX {
            // When another request was faster, this one just is not remembered.
            let _lost = end.set(Box::new(Known {
                target: index,
                counts: Arc::clone(&counts),
                next: OnceLock::new(),
            }));
        }
        Ok(counts)
    }

    fn find(&self, caller: &CallerCounts, target: &Target, now: Nanos) -> Result<Counts, Full> {
        let key = |rule: &Rule, part: &str| self.key(caller, rule, part);
        let mut counts = Counts {
            rates: Vec::with_capacity(target.rates.len()),
            shadow_rates: Vec::new(),
            requests: Vec::with_capacity(target.counts.len()),
            quotas: Vec::with_capacity(target.quotas.len()),
            is_shared: target.rates.iter().any(|(rate, _)| rate.shared.is_some()),
            counts_bytes: target
                .quotas
                .iter()
                .any(|(quota, _)| quota.unit == Unit::Bytes),
            policy: target.policy.clone(),
        };
        for (rule, part) in &target.rates {
            let count = RateCount {
                cell: self.rates.find(key(&rule.rule, part), now)?,
                shared: self.shared_count(caller, rule, part, now)?,
                rule: Arc::clone(rule),
            };
            match rule.rule.mode {
                Mode::Enforced => counts.rates.push(count),
                Mode::Shadow => counts.shadow_rates.push(count),
            }
        }
        for (rule, part) in &target.counts {
            let slots = self.requests.find(key(&rule.rule, part), now)?;
            counts.requests.push((Arc::clone(rule), slots));
        }
        for (rule, part) in &target.quotas {
            let quota = self.quotas.find(key(&rule.rule, part), now)?;
            counts.quotas.push((Arc::clone(rule), quota));
        }
        Ok(counts)
    }

    fn shared_count(
        &self,
        caller: &CallerCounts,
        rule: &RateRule,
        part: &str,
        now: Nanos,
    ) -> Result<Option<SharedCount>, Full> {
        let Some(shared) = &rule.shared else {
            return Ok(None);
        };
        let key = self.key(caller, &rule.rule, part);
        Ok(Some(SharedCount {
            key: shared_key(&shared.prefix, caller, &rule.rule, part),
            share: self.rates.find(self.hash(&(key, "share")), now)?,
            closed: self.closed.find(key, now)?,
        }))
    }

    /// What a limit counts by, with the route's part of it. All who have no organisation are one.
    fn key(&self, caller: &CallerCounts, rule: &Rule, part: &str) -> Key {
        let of = |wanted, value| rule.by.contains(&wanted).then_some(value);
        self.hash(&(
            &*rule.name,
            of(Part::Identity, &*caller.subject),
            of(Part::Organisation, &*caller.organisation),
            part,
        ))
    }

    pub(super) fn hash(&self, key: &impl Hash) -> Key {
        self.hashers.each_ref().map(|hasher| hasher.hash_one(key))
    }

    pub(super) fn now(&self, instant: Instant) -> Nanos {
        let since = instant.saturating_duration_since(self.start).as_nanos();
        Nanos(u64::try_from(since).unwrap_or(u64::MAX))
    }
}

impl Default for LimitState {
    fn default() -> Self {
        Self::new()
    }
}

impl CallerCounts {
    /// Nothing looked up yet.
    #[must_use]
    pub fn new(
        subject: Arc<str>,
        organisation: Option<&str>,
        address: IpAddr,
        proven: Proven,
    ) -> Self {
        Self {
            subject,
            organisation: organisation.unwrap_or_default().into(),
            address,
            proven,
            known: OnceLock::new(),
        }
    }
}

/// The same key in every gateway, without a name in it: parts by their length, so that no two callers have one text.
fn shared_key(prefix: &str, caller: &CallerCounts, rule: &Rule, part: &str) -> Box<str> {
    let of = |wanted, value| rule.by.contains(&wanted).then_some(value);
    let mut context = Context::new(&SHA256);
    for value in [
        of(Part::Identity, &*caller.subject),
        of(Part::Organisation, &*caller.organisation),
        Some(part),
    ] {
        let bytes = value.map_or(u64::MAX, |value| value.len() as u64);
        context.update(&bytes.to_be_bytes());
        context.update(value.unwrap_or_default().as_bytes());
    }
    let mut key = prefix.to_owned();
    for byte in context.finish().as_ref().iter().take(SHARED_KEY_BYTES) {
        // Writing to a `String` cannot fail.
        let _written = write!(key, "{byte:02x}");
    }
    key.into()
}

/// Bytes of a hash that tell two callers apart.
const SHARED_KEY_BYTES: usize = 16;
/// A million, and what one of the table's parts may hold more than another.
const KEYS_MAX: NonZeroUsize = NonZeroUsize::MIN.saturating_add(1_150_000 - 1);
/// Lists of counts that a connection remembers; who visits routes with more different limits than these looks the others up each time.
const KNOWN_MAX: usize = 16;

#[cfg(test)]
mod tests {
    use super::super::request::keys_full;
    use super::*;
    use crate::denial::Denial;
    use crate::observe::metrics::Metrics;

    fn rule(name: &str, by: Vec<Part>) -> Rule {
        Rule {
            name: name.into(),
            by,
            mode: Mode::Enforced,
            denial: Denial::Concurrency,
            metrics: Metrics::new().unwrap().limits.of(name),
        }
    }

    fn caller(subject: &str, organisation: Option<&str>) -> CallerCounts {
        let address = "127.0.0.1".parse().unwrap();
        CallerCounts::new(subject.into(), organisation, address, Proven::ByCertificate)
    }

    #[test]
    fn a_caller_too_many_is_refused_and_those_who_are_known_are_not() {
        let state = LimitState::of(NonZeroUsize::MIN);
        let limit = CountRule {
            rule: rule("a", vec![Part::Identity]),
            max: 1,
        };
        let target = Target {
            counts: vec![(Arc::new(limit), "".into())],
            ..Target::default()
        };
        let (wei, li) = (caller("wei", None), caller("li", None));
        let counts = state.counts(&wei, 0, &target, Nanos(0)).unwrap();
        let place = Slots::take(&counts.requests[0].1, 1);
        let refused = state.counts(&li, 0, &target, Nanos(0));
        let denial = refused.map_err(keys_full).unwrap_err();
        assert_eq!(
            (denial.code(), denial.status()),
            ("network.rate_keys_full", 429)
        );
        assert!(state.counts(&wei, 0, &target, Nanos(0)).is_ok());
        drop((place, counts));
    }

    #[test]
    fn a_key_is_what_the_limit_counts_by() {
        let state = LimitState::new();
        let (wei, li) = (caller("wei", Some("tax")), caller("li", Some("tax")));
        let by_identity = rule("a", vec![Part::Identity]);
        let by_organisation = rule("a", vec![Part::Organisation]);
        let by_both = rule("a", vec![Part::Identity, Part::Organisation]);
        let key = |caller: &CallerCounts, rule: &Rule| state.key(caller, rule, "");
        assert_ne!(key(&wei, &by_identity), key(&li, &by_identity));
        assert_eq!(key(&wei, &by_organisation), key(&li, &by_organisation));
        assert_ne!(key(&wei, &by_both), key(&li, &by_both));
        assert_ne!(key(&wei, &by_both), key(&wei, &by_identity));
        assert_ne!(
            key(&wei, &by_identity),
            key(&wei, &rule("b", vec![Part::Identity]))
        );
        assert_ne!(
            state.key(&wei, &by_identity, "records"),
            state.key(&wei, &by_identity, "tax")
        );
        let named_as_an_organisation = caller("tax", None);
        assert_ne!(
            key(&named_as_an_organisation, &by_identity),
            key(&wei, &by_organisation)
        );
    }

    #[test]
    fn a_connection_looks_its_counts_up_once_and_remembers_so_many() {
        let (state, wei) = (LimitState::new(), caller("wei", None));
        let limit = CountRule {
            rule: rule("a", vec![Part::Identity]),
            max: 1,
        };
        let limit = Arc::new(limit);
        let target = |part: usize| Target {
            counts: vec![(Arc::clone(&limit), part.to_string().into())],
            ..Target::default()
        };
        let counts = |index| state.counts(&wei, index, &target(index), Nanos(0)).unwrap();
        for index in 0..KNOWN_MAX + 4 {
            let (first, second) = (counts(index), counts(index));
            assert_eq!(Arc::ptr_eq(&first, &second), index < KNOWN_MAX, "{index}");
            let [(_, first)] = &first.requests[..] else {
                panic!("one limit")
            };
            let [(_, second)] = &second.requests[..] else {
                panic!("one limit")
            };
            assert!(
                std::ptr::eq(&raw const **first, &raw const **second),
                "remembered or not, one count"
            );
        }
    }
}
