//! The refusals that the metrics count, one of the self-test's witnesses.

use std::collections::BTreeMap;

/// How often each reason was counted.
pub(super) fn refusals(metrics: &str) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for line in metrics.lines() {
        let Some((labels, value)) = line
            .strip_prefix("hangu_layer_verdicts_total{")
            .and_then(|rest| rest.split_once("} "))
        else {
            continue;
        };
        let reason = labels
            .split_once("reason=\"")
            .and_then(|(_, rest)| rest.split_once('"'))
            .map(|(reason, _)| reason)
            .filter(|reason| !reason.is_empty());
        if let (Some(reason), Ok(value)) = (reason, value.parse::<u64>()) {
            *counts.entry(reason.to_owned()).or_default() += value;
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_summed_over_applications_and_passes_are_left_out() {
        let text = "# TYPE hangu_layer_verdicts_total counter\n\
            hangu_layer_verdicts_total{app=\"a\",layer=\"data\",reason=\"\",result=\"pass\"} 7\n\
            hangu_layer_verdicts_total{app=\"a\",layer=\"data\",reason=\"data.label\",result=\"refuse\"} 2\n\
            hangu_layer_verdicts_total{app=\"b\",layer=\"data\",reason=\"data.label\",result=\"refuse\"} 1\n";
        assert_eq!(
            refusals(text),
            BTreeMap::from([("data.label".to_owned(), 3)])
        );
    }
}
