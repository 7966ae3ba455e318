//! Times as sets: when something holds that holds for a time only.

/// Disjoint spans of milliseconds since 1970, in order; of each the first counts and the last does not.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Spans(Vec<(i64, i64)>);

impl Spans {
    /// At all times.
    pub(crate) fn always() -> Self {
        Self(vec![(i64::MIN, i64::MAX)])
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each span as the moments between which it lies, neither of them in it; `None` where it has no end.
    pub(crate) fn bounds(&self) -> impl Iterator<Item = (Option<i64>, Option<i64>)> {
        self.0.iter().map(|(first, end)| {
            let after = (*first != i64::MIN).then(|| first.saturating_sub(1));
            (after, (*end != i64::MAX).then_some(*end))
        })
    }

    /// The part of it after one moment and before another.
    pub(crate) fn within(&self, after: i64, before: i64) -> Self {
        let from = match after {
            i64::MIN => i64::MIN,
            after => after.saturating_add(1),
        };
        let cut = self
            .0
            .iter()
            .map(|(first, end)| ((*first).max(from), (*end).min(before)));
        Self(cut.filter(|(first, end)| first < end).collect())
    }

    /// Adds what another has.
    pub(crate) fn add(&mut self, other: &Self) {
        self.0.extend(&other.0);
        self.0.sort_unstable();
        let mut joined: Vec<(i64, i64)> = Vec::with_capacity(self.0.len());
        for (first, end) in self.0.drain(..) {
            match joined.last_mut() {
                Some(last) if first <= last.1 => last.1 = last.1.max(end),
                _ => joined.push((first, end)),
            }
        }
        self.0 = joined;
    }

    /// What of it another has not.
    pub(crate) fn without(&self, other: &Self) -> Self {
        let mut left = Vec::new();
        for (first, end) in &self.0 {
            let mut from = *first;
            for (hole, over) in other
                .0
                .iter()
                .filter(|span| span.1 > *first && span.0 < *end)
            {
                if from < *hole {
                    left.push((from, *hole));
                }
                from = from.max(*over);
            }
            if from < *end {
                left.push((from, *end));
            }
        }
        Self(left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn spans() -> impl Strategy<Value = Spans> {
        proptest::collection::vec((-9..9_i64, -9..9_i64), 0..5).prop_map(|pairs| {
            let mut all = Spans::default();
            for (after, before) in pairs {
                all.add(&Spans::always().within(after, before));
            }
            all
        })
    }

    fn holds(spans: &Spans, at: i64) -> bool {
        let is_in = |(after, before): (Option<i64>, Option<i64>)| {
            after.is_none_or(|after| after < at) && before.is_none_or(|before| at < before)
        };
        spans.bounds().any(is_in)
    }

    proptest! {
        #[test]
        fn sums_and_differences_hold_when_they_should(a in spans(), b in spans()) {
            let mut sum = a.clone();
            sum.add(&b);
            for at in -12..12 {
                prop_assert_eq!(holds(&sum, at), holds(&a, at) || holds(&b, at));
                prop_assert_eq!(holds(&a.without(&b), at), holds(&a, at) && !holds(&b, at));
            }
            prop_assert!(a.without(&a).is_empty() && a.without(&sum).is_empty());
        }
    }
}
