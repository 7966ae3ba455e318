//! Which upstream serves a request: balancing among the healthy ones, and passive health.
//!
//! An upstream that fails so many times in a row is taken out; after a while one request at a time may try it again, and its
//! first success brings it back. When all are out the request is refused at once: a queue in front of a dead application helps
//! nobody.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::config::{Balance, Health, Mode};
use crate::observe::limits::LimitMetrics;

/// The upstreams of one application.
#[derive(Debug)]
pub struct Upstreams {
    members: Vec<Arc<Member>>,
    balance: Balance,
    health: Health,
    turn: AtomicUsize,
    bounds: Vec<InFlightBound>,
}

/// How many requests may be in flight at one upstream.
#[derive(Clone, Debug)]
pub struct InFlightBound {
    /// The limit's name.
    pub name: Arc<str>,
    /// Most at the same time.
    pub max: u32,
    /// Whether it refuses.
    pub mode: Mode,
    /// Its counters.
    pub metrics: LimitMetrics,
}

/// Why no upstream was chosen.
#[derive(Clone, Debug)]
pub enum NoUpstream {
    /// Every one is out after failures, or was tried.
    Out,
    /// Some are in, and each of these has as many requests as this limit lets it have.
    Busy(Arc<str>),
}

/// One upstream: where it is, and how it does. Lives on over reloads that keep its address.
#[derive(Debug)]
pub struct Member {
    address: SocketAddr,
    /// The address as the audit log writes it.
    name: Arc<str>,
    in_flight: AtomicU32,
    failures_in_a_row: AtomicU32,
    /// Milliseconds since `start` until which it stays out; zero when it is in.
    out_until_ms: AtomicU64,
    start: Instant,
}

/// A request's hold on an upstream; counted as in flight until dropped.
#[derive(Debug)]
pub struct Chosen(Arc<Member>);

impl Upstreams {
    /// Members for `addresses`; one that `before` knows keeps its health and its count.
    #[must_use]
    pub fn new(
        addresses: &[SocketAddr],
        balance: Balance,
        health: Health,
        before: Option<&Upstreams>,
    ) -> Self {
        let known = |address: SocketAddr| {
            before
                .and_then(|before| {
                    before
                        .members
                        .iter()
                        .find(|member| member.address == address)
                })
                .cloned()
        };
        let members = addresses
            .iter()
            .map(|a| known(*a).unwrap_or_else(|| Arc::new(Member::new(*a))))
            .collect();
        Self {
            members,
            balance,
            health,
            turn: AtomicUsize::new(0),
            bounds: Vec::new(),
        }
    }

    /// The same, with bounds on what is in flight at each.
    #[must_use]
    pub fn bounded_by(mut self, bounds: Vec<InFlightBound>) -> Self {
        self.bounds = bounds;
        self
    }

    /// One that is in, or whose time out is over, other than those in `tried`, with room for one more request.
    ///
    /// # Errors
    /// Why there is none.
    pub fn choose(&self, now: Instant, tried: &[SocketAddr]) -> Result<Chosen, NoUpstream> {
        let first = self.turn.fetch_add(1, Ordering::Relaxed);
        let count = self.members.len();
        let in_turn =
            (0..count).filter_map(|step| self.members.get((first.wrapping_add(step)) % count));
        let fresh = in_turn.filter(|member| !tried.contains(&member.address));
        match self.balance {
            Balance::RoundRobin => self.first_free(fresh, now),
            Balance::LeastConnections => {
                let mut by_load: Vec<_> = fresh.collect();
                by_load.sort_by_key(|member| member.in_flight.load(Ordering::Relaxed));
                self.first_free(by_load.into_iter(), now)
            }
        }
    }

    fn first_free<'m>(
        &self,
        members: impl Iterator<Item = &'m Arc<Member>>,
        now: Instant,
    ) -> Result<Chosen, NoUpstream> {
        let enforced = self.bounds.iter().filter(|b| b.mode == Mode::Enforced);
        let tightest = enforced.min_by_key(|bound| bound.max);
        let mut none = NoUpstream::Out;
        for member in members.filter(|member| member.may_serve(now, self.health.retry_after)) {
            if member.enter(tightest.map_or(u32::MAX, |bound| bound.max)) {
                self.report_shadows(member);
                return Ok(Chosen(Arc::clone(member)));
            }
            if let Some(bound) = tightest {
                none = NoUpstream::Busy(Arc::clone(&bound.name));
            }
        }
        if let (NoUpstream::Busy(_), Some(bound)) = (&none, tightest) {
            bound.metrics.refused.inc();
        }
        Err(none)
    }

    fn report_shadows(&self, member: &Member) {
        let in_flight = member.in_flight.load(Ordering::Relaxed);
        for bound in self.bounds.iter().filter(|b| b.mode == Mode::Shadow) {
            if in_flight > bound.max {
                bound.metrics.would_refuse.inc();
            }
        }
    }

    /// How many members there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether there is no member at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Notes a failure (connect, identity, deadline, broken answer) of the chosen one. True when that takes it out.
    pub fn failed(&self, chosen: &Chosen, now: Instant) -> bool {
        let member = &chosen.0;
        let failures = member
            .failures_in_a_row
            .fetch_add(1, Ordering::Relaxed)
            .saturating_add(1);
        let out = failures >= self.health.failures.get();
        if out {
            member
                .out_until_ms
                .store(member.ms(now + self.health.retry_after), Ordering::Relaxed);
        }
        out
    }

    /// Notes an answer of the chosen one: it is in.
    pub fn succeeded(&self, chosen: &Chosen) {
        let member = &chosen.0;
        if member.failures_in_a_row.load(Ordering::Relaxed) != 0 {
            member.failures_in_a_row.store(0, Ordering::Relaxed);
            member.out_until_ms.store(0, Ordering::Relaxed);
        }
    }

    /// How many are out at `now`.
    #[must_use]
    pub fn out_count(&self, now: Instant) -> usize {
        self.members
            .iter()
            .filter(|member| member.out_until_ms.load(Ordering::Relaxed) > member.ms(now))
            .count()
    }
}

impl Member {
    fn new(address: SocketAddr) -> Self {
        Self {
            address,
            name: address.to_string().into(),
            in_flight: AtomicU32::new(0),
            failures_in_a_row: AtomicU32::new(0),
            out_until_ms: AtomicU64::new(0),
            start: Instant::now(),
        }
    }

    /// Counts one more request in flight, unless there are `max`.
    fn enter(&self, max: u32) -> bool {
        let below = |in_flight: u32| (in_flight < max).then_some(in_flight + 1);
        self.in_flight
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, below)
            .is_ok()
    }

    /// In, or the one request that may try it again now: taking that turn pushes the next one back by `retry_after`.
    fn may_serve(&self, now: Instant, retry_after: Duration) -> bool {
        let until = self.out_until_ms.load(Ordering::Relaxed);
        if until == 0 {
            return true;
        }
        let next = self.ms(now + retry_after);
        until <= self.ms(now)
            && self
                .out_until_ms
                .compare_exchange(until, next, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }

    fn ms(&self, at: Instant) -> u64 {
        let ms = at.saturating_duration_since(self.start).as_millis();
        // Zero means "in", so a time out never ends at zero.
        u64::try_from(ms).unwrap_or(u64::MAX).max(1)
    }
}

impl Chosen {
    /// Where to connect.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.0.address
    }

    /// The address as text, shared.
    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        &self.0.name
    }
}

impl Drop for Chosen {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    const RETRY_AFTER: Duration = Duration::from_secs(5);

    fn address(port: u16) -> SocketAddr {
        ([127, 0, 0, 1], port).into()
    }

    fn upstreams(balance: Balance) -> Upstreams {
        let health = Health {
            failures: NonZeroU32::new(2).unwrap(),
            retry_after: RETRY_AFTER,
        };
        Upstreams::new(&[address(1), address(2)], balance, health, None)
    }

    #[test]
    fn healthy_upstreams_take_turns() {
        let upstreams = upstreams(Balance::RoundRobin);
        let ports: Vec<u16> = (0..4)
            .map(|_| {
                upstreams
                    .choose(Instant::now(), &[])
                    .unwrap()
                    .address()
                    .port()
            })
            .collect();
        assert_eq!(ports, [1, 2, 1, 2]);
    }

    #[test]
    fn the_least_busy_one_is_chosen() {
        let upstreams = upstreams(Balance::LeastConnections);
        let held = upstreams.choose(Instant::now(), &[]).unwrap();
        for _ in 0..3 {
            assert_ne!(
                upstreams.choose(Instant::now(), &[]).unwrap().address(),
                held.address()
            );
        }
    }

    #[test]
    fn one_that_fails_in_a_row_is_out_until_one_request_may_try_it_again() {
        let upstreams = upstreams(Balance::RoundRobin);
        let now = Instant::now();
        let first = upstreams.choose(now, &[address(2)]).unwrap();
        assert!(!upstreams.failed(&first, now));
        assert!(upstreams.failed(&first, now));
        assert_eq!(upstreams.out_count(now), 1);
        assert!(upstreams.choose(now, &[address(2)]).is_err());
        let later = now + RETRY_AFTER;
        assert!(upstreams.choose(later, &[address(2)]).is_ok(), "one probe");
        assert!(upstreams.choose(later, &[address(2)]).is_err(), "only one");
        upstreams.succeeded(&first);
        assert!(upstreams.choose(later, &[address(2)]).is_ok());
    }

    #[test]
    fn health_outlives_a_reload_that_keeps_the_address() {
        let before = upstreams(Balance::RoundRobin);
        let now = Instant::now();
        let chosen = before.choose(now, &[address(2)]).unwrap();
        before.failed(&chosen, now);
        before.failed(&chosen, now);
        let after = Upstreams::new(
            &[address(1), address(3)],
            before.balance,
            before.health,
            Some(&before),
        );
        assert_eq!(after.out_count(now), 1);
    }
}
