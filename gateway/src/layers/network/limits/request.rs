//! The limits of one request.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use hangu_limits::{
    Full, Held, Mode, Nanos, Outcome, Slot, Slots, Use, Verdict, check_all, peek_all,
};

use super::counts::{CallerCounts, Counts, Key, LimitState, Proven, RateCount, SharedCount};
use super::plan::{LimitPlan, QuotaRule, Rule, Unit};
use super::shared::{Answer, SharedLimits, Unavailable};
use crate::config::{Fallback, REQUEST_CONCURRENCY_MAX, SourceClients};
use crate::denial::Denial;
use crate::refusal::Refusal;

/// What the limits made of one request; the places that it holds are free again when this is dropped, at whatever end.
#[derive(Debug, Default)]
pub struct Limited {
    pub(super) counts: Option<Arc<Counts>>,
    places: [Option<Slot<Held<Key, Slots>>>; PLACES_MAX],
    /// The rate that is nearest, or the limit that refused.
    pub(super) nearest: Option<Nearest>,
    /// The quota that is nearest.
    pub(super) nearest_quota: Option<Nearest>,
    /// After how long a refused client may come again, where he is told.
    wait: Option<Duration>,
    /// Whether the client is told of his limits.
    pub(super) tells: bool,
    notes: Vec<Note>,
}

/// How near a limit is, as a client is told.
#[derive(Clone, Debug)]
pub(super) struct Nearest {
    pub(super) name: Arc<str>,
    pub(super) remaining: u64,
    pub(super) full_after: Duration,
}

/// A limit that refused or would have, as a record tells.
#[derive(Clone, Debug)]
struct Note {
    name: Arc<str>,
    mode: Mode,
}

/// One reading of both clocks.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    /// Monotonic.
    pub instant: Instant,
    /// On the wall: a day ends at midnight.
    pub wall: SystemTime,
}

impl LimitState {
    /// Asks every limit that a request to this route (indexes of application and route) meets.
    ///
    /// # Errors
    /// The refusal of the tightest limit; `limited` knows its name.
    pub async fn admit(
        &self,
        plan: &LimitPlan,
        (application, route): (usize, usize),
        caller: &CallerCounts,
        clock: Clock,
        limited: &mut Limited,
    ) -> Result<(), Refusal> {
        let now = self.now(clock.instant);
        limited.tells = caller.proven == Proven::ByCertificate;
        for source in &plan.sources {
            let is_concerned = match source.clients {
                SourceClients::All => true,
                SourceClients::Unauthenticated => caller.proven == Proven::Not,
            };
            if is_concerned
                && let Verdict::Refuse { retry_after } = source.check(caller.address, now)
            {
                limited.over(&source.rule, retry_after)?;
            }
        }
        let (index, target) = plan.target(application, route).ok_or(Denial::Internal)?;
        if target.is_empty() {
            return Ok(());
        }
        let counts = self.counts(caller, index, target, now).map_err(keys_full)?;
        limited.take_places(&counts)?;
        let wall = since_1970(clock.wall);
        limited.ask_quotas(&counts, wall, WHETHER_ANY_IS_LEFT)?;
        if counts.is_shared {
            limited.look_at_rates(&counts, now)?;
            for limits in [&counts.rates, &counts.shadow_rates] {
                limited.ask_server(&self.shared, limits, now).await?;
            }
        }
        limited.ask_rates(&counts, now)?;
        limited.ask_quotas(&counts, wall, FOR_ONE_REQUEST)?;
        limited.counts = Some(counts);
        Ok(())
    }
}

/// Who is new is refused: to forget somebody else would let him begin anew.
pub(super) fn keys_full(Full { .. }: Full) -> Denial {
    Denial::RateKeysFull
}

impl Limited {
    /// Counts body bytes that flow, either way, at this moment.
    ///
    /// # Errors
    /// When a quota is used up: what is under way is to be cut off.
    pub fn flow(&mut self, bytes: usize) -> Result<(), Denial> {
        let Some(counts) = self.counts.as_ref().filter(|counts| counts.counts_bytes) else {
            return Ok(());
        };
        let counts = Arc::clone(counts);
        let now = since_1970(SystemTime::now());
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        for (rule, quota) in of_unit(&counts, Unit::Bytes) {
            if let Use::Spent { resets_in } = quota.add(&rule.allowance, bytes, now) {
                let is_told_already = self.notes.iter().any(|note| note.name == rule.rule.name);
                if !is_told_already {
                    self.over(&rule.rule, resets_in)
                        .map_err(|refusal| refusal.denial)?;
                }
            }
        }
        Ok(())
    }

    /// After how long a client whose request was refused or cut off may come again; `None` when no limit did that, or he is not told.
    #[must_use]
    pub fn wait(&self) -> Option<Duration> {
        self.wait
    }

    /// A limit of another layer refused the request.
    pub fn refused_by(&mut self, limit: Arc<str>) {
        let mode = Mode::Enforced;
        self.notes.push(Note { name: limit, mode });
    }

    /// The limits that refused the request or would have, for its record; empty when there is none.
    #[must_use]
    pub fn detail(&self) -> String {
        let mut detail = String::new();
        for note in &self.notes {
            let separator = if detail.is_empty() { "" } else { "; " };
            let what = match note.mode {
                Mode::Enforced => "refused by limit",
                Mode::Shadow => "would be refused by shadow limit",
            };
            // Writing to a `String` cannot fail.
            let _written = write!(detail, "{separator}{what} `{}`", note.name);
        }
        detail
    }

    /// A limit is reached: its refusal, unless it only says so.
    fn over(&mut self, rule: &Rule, retry_after: Duration) -> Result<(), Refusal> {
        let name = &rule.name;
        self.notes.push(Note {
            name: Arc::clone(name),
            mode: rule.mode,
        });
        match rule.mode {
            Mode::Shadow => {
                rule.metrics.would_refuse.inc();
                Ok(())
            }
            Mode::Enforced => {
                rule.metrics.refused.inc();
                self.nearest_quota = None;
                self.nearest = Some(Nearest {
                    name: Arc::clone(name),
                    remaining: 0,
                    full_after: retry_after,
                });
                self.wait = self.tells.then_some(retry_after);
                Err(Refusal {
                    retry_after: self.wait,
                    ..rule.denial.into()
                })
            }
        }
    }

    fn take_places(&mut self, counts: &Counts) -> Result<(), Refusal> {
        for (at, (limit, slots)) in counts.requests.iter().enumerate() {
            let (place, is_over) = match limit.rule.mode {
                Mode::Enforced => {
                    let place = Slots::take(slots, limit.max);
                    let is_over = place.is_none();
                    (place, is_over)
                }
                // It counts all, also those that it would not let in.
                Mode::Shadow => (Slots::take(slots, u32::MAX), slots.in_use() > limit.max),
            };
            if let Some(held) = self.places.get_mut(at) {
                *held = place;
            }
            if is_over {
                self.over(&limit.rule, PLACE_WAIT)?;
            }
        }
        Ok(())
    }

    fn ask_quotas(&mut self, counts: &Counts, now: Nanos, requests: u64) -> Result<(), Refusal> {
        for (limit, quota) in &counts.quotas {
            let cost = match limit.unit {
                Unit::Requests => requests,
                Unit::Bytes => WHETHER_ANY_IS_LEFT,
            };
            match quota.take(&limit.allowance, cost, now) {
                Use::Granted { remaining } if requests == FOR_ONE_REQUEST => {
                    self.see_quota(limit, remaining, now);
                }
                // A shadow quota speaks once, when it is really asked for.
                Use::Spent { .. }
                    if limit.rule.mode == Mode::Shadow && requests == WHETHER_ANY_IS_LEFT => {}
                Use::Spent { resets_in } => self.over(&limit.rule, resets_in)?,
                Use::Granted { .. } => {}
            }
        }
        Ok(())
    }

    /// Remembers the quota that has least left.
    fn see_quota(&mut self, limit: &QuotaRule, remaining: u64, now: Nanos) {
        if !self.tells || !limit.rule.is_told() {
            return;
        }
        let seen = self.nearest_quota.as_ref().map(|nearest| nearest.remaining);
        if seen.is_none_or(|seen| remaining < seen) {
            self.nearest_quota = Some(Nearest {
                name: Arc::clone(&limit.rule.name),
                remaining,
                full_after: limit.allowance.resets_in(now),
            });
        }
    }

    /// Refuses what can be refused here, before any server is asked, and counts nothing.
    fn look_at_rates(&mut self, counts: &Counts, now: Nanos) -> Result<(), Refusal> {
        for limit in &counts.rates {
            let closed = limit.shared.as_ref();
            if let Some(wait) = closed.and_then(|shared| shared.closed.wait(now)) {
                self.over(&limit.rule.rule, wait)?;
            }
        }
        let Some((at, wait)) = peek_all(&counts.rates, now) else {
            return Ok(());
        };
        let limit = counts.rates.get(at).ok_or(Denial::Internal)?;
        self.over(&limit.rule.rule, wait)
    }

    fn ask_rates(&mut self, counts: &Counts, now: Nanos) -> Result<(), Refusal> {
        match check_all(&counts.rates, now).outcome {
            Outcome::Refuse {
                tightest,
                retry_after,
            } => {
                let limit = counts.rates.get(tightest).ok_or(Denial::Internal)?;
                self.over(&limit.rule.rule, retry_after)?;
            }
            Outcome::Admit {
                tightest,
                remaining,
            } => {
                if let Some(limit) = tightest.and_then(|at| counts.rates.get(at)) {
                    self.see_rate(limit, remaining.into());
                }
            }
        }
        for limit in &counts.shadow_rates {
            if let Verdict::Refuse { retry_after } = limit.cell.check(&limit.rule.rate, now) {
                self.over(&limit.rule.rule, retry_after)?;
            }
        }
        Ok(())
    }

    /// Asks the server under those of these limits that several gateways hold together.
    async fn ask_server(
        &mut self,
        server: &SharedLimits,
        limits: &[RateCount],
        now: Nanos,
    ) -> Result<(), Refusal> {
        let shared = |limit| shared_of(limit).map(|shared| (limit, shared));
        let asked: Vec<(&RateCount, &SharedCount)> = limits.iter().filter_map(shared).collect();
        if asked.is_empty() {
            return Ok(());
        }
        match server.ask(&asked).await {
            Ok(Answer::Refuse { tightest, wait }) => {
                let (limit, shared) = asked.get(tightest).ok_or(Denial::Internal)?;
                shared.closed.close(now.saturating_add(wait));
                self.over(&limit.rule.rule, wait)
            }
            Ok(Answer::Admit {
                tightest,
                remaining,
            }) => {
                if let Some((limit, _)) = asked.get(tightest) {
                    self.see_rate(limit, remaining);
                }
                Ok(())
            }
            Err(Unavailable) => {
                let each = |(limit, shared)| self.fall_back(limit, shared, now);
                asked.into_iter().try_for_each(each)
            }
        }
    }

    fn fall_back(
        &mut self,
        limit: &RateCount,
        shared: &SharedCount,
        now: Nanos,
    ) -> Result<(), Refusal> {
        let Some(rule) = &limit.rule.shared else {
            return Ok(());
        };
        limit.rule.rule.metrics.fallbacks.inc();
        match (rule.fallback, limit.rule.rule.mode) {
            (Fallback::Allow, _) | (Fallback::Deny, Mode::Shadow) => Ok(()),
            (Fallback::Deny, Mode::Enforced) => {
                self.refused_by(Arc::clone(&limit.rule.rule.name));
                Err(Denial::SharedLimitUnavailable.into())
            }
            (Fallback::LocalShare, _) => match shared.share.check(&rule.share, now) {
                Verdict::Admit { .. } => Ok(()),
                Verdict::Refuse { retry_after } => self.over(&limit.rule.rule, retry_after),
            },
        }
    }

    /// Remembers the rate that has least left.
    fn see_rate(&mut self, limit: &RateCount, remaining: u64) {
        let known = self.nearest.as_ref().map(|nearest| nearest.remaining);
        if self.tells && limit.rule.rule.is_told() && known.is_none_or(|known| remaining < known) {
            let left = u32::try_from(remaining).unwrap_or(u32::MAX);
            self.nearest = Some(Nearest {
                name: Arc::clone(&limit.rule.rule.name),
                remaining,
                full_after: limit.rule.rate.full_after(left),
            });
        }
    }
}

fn shared_of(limit: &RateCount) -> Option<&SharedCount> {
    limit.shared.as_ref()
}

fn of_unit(
    counts: &Counts,
    unit: Unit,
) -> impl Iterator<Item = &(Arc<QuotaRule>, Held<Key, hangu_limits::Quota>)> {
    counts
        .quotas
        .iter()
        .filter(move |(rule, _)| rule.unit == unit)
}

fn since_1970(time: SystemTime) -> Nanos {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    Nanos(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}

const WHETHER_ANY_IS_LEFT: u64 = 0;
const FOR_ONE_REQUEST: u64 = 1;
/// Those that are configured, and the share of one caller in the upstreams.
const PLACES_MAX: usize = REQUEST_CONCURRENCY_MAX + 1;
/// When a place will be free nobody knows; this is the shortest wait that can be told.
const PLACE_WAIT: Duration = Duration::from_secs(1);
