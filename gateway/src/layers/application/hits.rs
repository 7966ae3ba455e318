//! How often each rule has decided: one counter a rule, kept over reloads for rules that say the same as before.
//!
//! A metric for each of a million rules would be no metric; `hangu policy hits` asks for these. A counter is an atomic of
//! eight bytes that a decision adds one to, without order or lock.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use hangu_policy::{PartitionedPolicy, RuleId, RuleView};

/// The counters of one policy.
#[derive(Debug, Default)]
pub struct Hits {
    /// Since when, in seconds since 1970.
    pub since: i64,
    counts: Box<[AtomicU64]>,
    /// Where counts still come from: decisions under way when this policy began to serve count at the one before.
    inherited: Mutex<Option<Inherited>>,
}

#[derive(Debug)]
struct Inherited {
    from: Arc<Hits>,
    /// Number here, number there, of rules that say the same.
    pairs: Vec<(usize, usize)>,
    /// How often they were taken over.
    taken: u8,
}

impl Hits {
    /// Counters for a policy that nobody has asked yet.
    #[must_use]
    pub fn new(policy: &PartitionedPolicy, since: i64) -> Self {
        let counts = (0..policy.rule_numbers()).map(|_| AtomicU64::new(0));
        Self {
            since,
            counts: counts.collect(),
            inherited: Mutex::new(None),
        }
    }

    /// Counters for a policy that takes the place of another: rules with the same text go on counting.
    #[must_use]
    pub fn after(policy: &PartitionedPolicy, before: (&PartitionedPolicy, &Arc<Self>)) -> Self {
        let (old, hits) = before;
        hits.settle();
        hits.forget();
        let mut known: HashMap<u64, usize> = HashMap::new();
        for (rule, view) in old.rules() {
            known.entry(of_text(&view)).or_insert(rule.number());
        }
        // Each is given away once: of two rules with one text, the first decides.
        let pairs = policy.rules().filter_map(|(rule, view)| {
            let there = known.remove(&of_text(&view))?;
            Some((rule.number(), there))
        });
        let inherited = Inherited {
            pairs: pairs.collect(),
            from: Arc::clone(hits),
            taken: 0,
        };
        Self {
            inherited: Mutex::new(Some(inherited)),
            ..Self::new(policy, hits.since)
        }
    }

    /// A rule has decided.
    pub fn count(&self, rule: RuleId) {
        if let Some(count) = self.counts.get(rule.number()) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How often a rule has decided.
    #[must_use]
    pub fn of(&self, rule: RuleId) -> u64 {
        let count = self.counts.get(rule.number());
        count.map_or(0, |count| count.load(Ordering::Relaxed))
    }

    /// Takes over what was counted before this policy began to serve, and what decisions that were under way have counted
    /// since. After some times there are none any more, and the counters before are let go.
    pub fn settle(&self) {
        let mut inherited = self.lock();
        let Some(own) = &mut *inherited else {
            return;
        };
        for (here, there) in &own.pairs {
            let (Some(here), Some(there)) = (self.counts.get(*here), own.from.counts.get(*there))
            else {
                continue;
            };
            if there.load(Ordering::Relaxed) > 0 {
                here.fetch_add(there.swap(0, Ordering::Relaxed), Ordering::Relaxed);
            }
        }
        own.taken = own.taken.saturating_add(1);
        if own.taken >= SETTLES_MAX {
            *inherited = None;
        }
    }

    fn forget(&self) {
        *self.lock() = None;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Inherited>> {
        // What is in it is whole at every moment.
        self.inherited
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

fn of_text(view: &RuleView<'_>) -> u64 {
    let mut hasher = DefaultHasher::new();
    view.hash_text(&mut hasher);
    hasher.finish()
}

/// Twice a second: a decision that was under way five seconds ago has counted.
const SETTLES_MAX: u8 = 10;

#[cfg(test)]
mod tests {
    use super::*;
    use hangu_policy::{RBAC_WITH_DOMAINS, Source};

    fn policy(rules: &str) -> PartitionedPolicy {
        let source = |name, text| Source { name, text };
        PartitionedPolicy::compile(
            source("model.conf", RBAC_WITH_DOMAINS),
            source("policy.csv", rules),
        )
        .unwrap()
    }

    fn rule(policy: &PartitionedPolicy, text: &str) -> RuleId {
        let found = policy.rules().find(|(_, view)| view.text() == text);
        found.unwrap().0
    }

    #[test]
    fn rules_that_say_the_same_go_on_counting_wherever_they_stand() {
        const A: &str = "p, clerk, civil, /a, GET, allow";
        const B: &str = "p, clerk, civil, /b, GET, allow";
        const C: &str = "p, clerk, land, /c, GET, allow";
        let old = policy(&format!("{A}\n{B}\n"));
        let before = Arc::new(Hits::new(&old, 7));
        before.count(rule(&old, A));
        before.count(rule(&old, B));
        before.count(rule(&old, B));
        let new = policy(&format!("{C}\n# moved\n{B}\n"));
        let after = Hits::after(&new, (&old, &before));
        after.count(rule(&new, B));
        after.settle();
        // A decision that had begun under the old policy.
        before.count(rule(&old, B));
        after.settle();
        let counted = |text| after.of(rule(&new, text));
        assert_eq!((counted(B), counted(C), after.since), (4, 0, 7));
        for _ in 0..SETTLES_MAX {
            after.settle();
        }
        assert!(after.lock().is_none());
    }
}
