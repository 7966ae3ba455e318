//! Counts over a log: what was decided when, and why, as a table and as a picture.
//!
//! Memory is bounded whatever the log holds: so many different values a field are counted, the rest together.

use std::collections::HashMap;
use std::fmt::{self, Write};
use std::num::NonZeroU64;

use serde_json::{Map, Value, json};

use crate::encode::is_hidden;
use crate::entry::Entry;
use crate::time::Timestamp;

mod timeline;

use timeline::Timeline;

/// Outcomes in the order in which they are shown, with their colour.
const OUTCOMES: [(&str, &str); 4] = [
    ("allowed", "#4c9f70"),
    ("denied", "#d1495b"),
    ("refused", "#edae49"),
    ("aborted", "#8d99ae"),
];

/// What was counted so far. Shown as a table.
#[derive(Clone, Debug)]
pub struct Stats {
    records: u64,
    first: Option<Timestamp>,
    last: Option<Timestamp>,
    outcomes: [u64; OUTCOMES.len()],
    kinds: Tally,
    reasons: Tally,
    applications: Tally,
    subjects_denied: Tally,
    timeline: Timeline,
}

impl Stats {
    /// Nothing counted; the timeline in steps of so many seconds.
    #[must_use]
    pub fn new(bucket_seconds: NonZeroU64) -> Self {
        Self {
            records: 0,
            first: None,
            last: None,
            outcomes: [0; OUTCOMES.len()],
            kinds: Tally::default(),
            reasons: Tally::default(),
            applications: Tally::default(),
            subjects_denied: Tally::default(),
            timeline: Timeline::new(bucket_seconds.get().saturating_mul(1_000)),
        }
    }

    /// Counts one record.
    pub fn add(&mut self, entry: &Entry) {
        self.records += 1;
        self.kinds.add(&entry.kind);
        self.reasons.add(&entry.reason);
        self.applications.add(&entry.application);
        if entry.decision == "denied" {
            self.subjects_denied.add(&entry.subject);
        }
        let outcome = OUTCOMES
            .iter()
            .position(|(word, _)| *word == entry.decision);
        if let Some(count) = outcome.and_then(|at| self.outcomes.get_mut(at)) {
            *count += 1;
        }
        let Some(time) = Timestamp::parse(&entry.time) else {
            return;
        };
        self.first = Some(self.first.map_or(time, |first| first.min(time)));
        self.last = Some(self.last.map_or(time, |last| last.max(time)));
        if let Some(outcome) = outcome {
            self.timeline.add(time, outcome, &entry.reason);
        }
    }

    /// All counts as one JSON object; the timeline as a list of steps with their counts.
    #[must_use]
    pub fn json(&self) -> Value {
        let outcomes = |counts: &[u64]| -> Value {
            let named = OUTCOMES.iter().zip(counts);
            named
                .map(|((word, _), count)| ((*word).to_owned(), Value::from(*count)))
                .collect::<Map<_, _>>()
                .into()
        };
        let top = |tally: &Tally| -> Value {
            let rows = tally.top().into_iter();
            rows.map(|(name, count)| json!({ "value": name, "count": count }))
                .collect()
        };
        let timeline = self.timeline.steps.iter().map(|(start, step)| {
            let reason = step.top_reason();
            json!({
                "start": Timestamp::from_unix_ms(*start).to_string(),
                "counts": outcomes(&step.outcomes),
                "top_reason": reason.map(|(reason, count)| json!({ "value": reason, "count": count })),
            })
        });
        json!({
            "records": self.records,
            "first": self.first.map(|time| time.to_string()),
            "last": self.last.map(|time| time.to_string()),
            "decisions": outcomes(&self.outcomes),
            "kinds": top(&self.kinds),
            "reasons": top(&self.reasons),
            "applications": top(&self.applications),
            "subjects_denied_most": top(&self.subjects_denied),
            "step_seconds": self.timeline.step_ms / 1_000,
            "timeline": timeline.collect::<Value>(),
        })
    }

    /// How many records were counted.
    #[must_use]
    pub const fn records(&self) -> u64 {
        self.records
    }

    /// How many records had this decision.
    #[must_use]
    pub fn decided(&self, decision: &str) -> u64 {
        let at = OUTCOMES.iter().position(|(word, _)| *word == decision);
        at.and_then(|at| self.outcomes.get(at))
            .copied()
            .unwrap_or_default()
    }

    /// The timeline as an SVG picture: one stacked bar a step, the outcomes in their colours, with a legend.
    #[must_use]
    pub fn svg(&self) -> String {
        let highest = self
            .timeline
            .steps
            .values()
            .map(|step| step.outcomes.iter().sum::<u64>())
            .max()
            .unwrap_or(1)
            .max(1);
        let (start, end) = match (
            self.timeline.steps.first_key_value(),
            self.timeline.steps.last_key_value(),
        ) {
            (Some((start, _)), Some((end, _))) => (*start, *end),
            _ => (0, 0),
        };
        let step_ms = self.timeline.step_ms;
        let steps = (end - start) / step_ms + 1;
        let width = CHART_WIDTH as f64 / steps as f64;
        let mut out = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {}\" font-family=\"sans-serif\" font-size=\"12\">\n\
             <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n",
            CHART_WIDTH + 2 * MARGIN,
            CHART_HEIGHT + 3 * MARGIN
        );
        for (begin, step) in &self.timeline.steps {
            let left = MARGIN as f64 + ((begin - start) / step_ms) as f64 * width;
            let mut bottom = (MARGIN + CHART_HEIGHT) as f64;
            let counts = step.outcomes.iter().zip(OUTCOMES);
            for (count, (_, colour)) in counts.filter(|(count, _)| **count > 0) {
                let height = *count as f64 / highest as f64 * CHART_HEIGHT as f64;
                bottom -= height;
                // Writing into a string cannot fail.
                let _written = writeln!(
                    out,
                    "<rect x=\"{left:.2}\" y=\"{bottom:.2}\" width=\"{:.2}\" height=\"{height:.2}\" fill=\"{colour}\"/>",
                    (width * 0.9).max(0.1)
                );
            }
        }
        self.label(&mut out, highest, start, end);
        out.push_str("</svg>\n");
        out
    }

    fn label(&self, out: &mut String, highest: u64, start: u64, end: u64) {
        let (baseline, right) = (MARGIN + CHART_HEIGHT + 16, MARGIN + CHART_WIDTH);
        let floor = MARGIN + CHART_HEIGHT;
        let times = [
            (MARGIN, "start", start),
            (right, "end", end.saturating_add(self.timeline.step_ms)),
        ];
        let _written = writeln!(
            out,
            "<text x=\"{MARGIN}\" y=\"{}\">records in steps of {} s; the highest has {highest}</text>\n\
             <line x1=\"{MARGIN}\" y1=\"{floor}\" x2=\"{right}\" y2=\"{floor}\" stroke=\"#888888\"/>",
            MARGIN - 8,
            self.timeline.step_ms / 1_000
        );
        for (x, anchor, ms) in times {
            let time = Timestamp::from_unix_ms(ms);
            let _written = writeln!(
                out,
                "<text x=\"{x}\" y=\"{baseline}\" text-anchor=\"{anchor}\">{time}</text>"
            );
        }
        for (position, ((word, colour), count)) in OUTCOMES.iter().zip(self.outcomes).enumerate() {
            let (x, y) = (MARGIN + position * 160, baseline + 24);
            let _written = writeln!(
                out,
                "<rect x=\"{x}\" y=\"{}\" width=\"10\" height=\"10\" fill=\"{colour}\"/><text x=\"{}\" y=\"{y}\">{word} {count}</text>",
                y - 9,
                x + 16
            );
        }
    }
}

impl fmt::Display for Stats {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} records", self.records)?;
        if let (Some(first), Some(last)) = (self.first, self.last) {
            write!(formatter, " from {first} to {last}")?;
        }
        writeln!(formatter)?;
        let outcomes = OUTCOMES
            .iter()
            .zip(self.outcomes)
            .filter(|(_, count)| *count > 0);
        section(
            formatter,
            "decisions",
            outcomes.map(|((word, _), count)| (*word, count)),
        )?;
        section(formatter, "kinds", self.kinds.top())?;
        section(formatter, "reasons", self.reasons.top())?;
        section(formatter, "applications", self.applications.top())?;
        section(
            formatter,
            "subjects denied most",
            self.subjects_denied.top(),
        )?;
        write!(formatter, "{}", self.timeline)
    }
}

fn section<'a>(
    formatter: &mut fmt::Formatter<'_>,
    title: &str,
    rows: impl IntoIterator<Item = (&'a str, u64)>,
) -> fmt::Result {
    let mut rows = rows.into_iter().peekable();
    if rows.peek().is_some() {
        writeln!(formatter, "\n{title}")?;
    }
    rows.try_for_each(|(name, count)| writeln!(formatter, "{count:>12}  {}", Shown(name)))
}

/// Text for a terminal.
struct Shown<'a>(&'a str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|character| {
            if is_hidden(character) {
                write!(formatter, "\\u{{{:x}}}", u32::from(character))
            } else {
                formatter.write_char(character)
            }
        })
    }
}

/// How often each value came; the empty one is not counted.
#[derive(Clone, Debug, Default)]
struct Tally {
    counts: HashMap<String, u64>,
    /// Of values that came when there was no room for another.
    others: u64,
}

impl Tally {
    fn add(&mut self, value: &str) {
        if value.is_empty() {
            return;
        }
        if let Some(count) = self.counts.get_mut(value) {
            *count += 1;
        } else if self.counts.len() < VALUES_MAX {
            self.counts.insert(value.to_owned(), 1);
        } else {
            self.others += 1;
        }
    }

    /// The most frequent, and all others together.
    fn top(&self) -> Vec<(&str, u64)> {
        let mut counts: Vec<_> = self
            .counts
            .iter()
            .map(|(value, count)| (value.as_str(), *count))
            .collect();
        counts.sort_by(|(one, few), (other, many)| many.cmp(few).then(one.cmp(other)));
        let rest: u64 = counts.iter().skip(TOP).map(|(_, count)| count).sum::<u64>() + self.others;
        counts.truncate(TOP);
        if rest > 0 {
            counts.push(("(all others)", rest));
        }
        counts
    }
}

const VALUES_MAX: usize = 10_000;
const TOP: usize = 10;
const CHART_WIDTH: usize = 960;
const CHART_HEIGHT: usize = 240;
const MARGIN: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(decision: &str, reason: &str, subject: &str, second: u64) -> Entry {
        Entry {
            time: Timestamp::from_unix_ms(1_795_504_222_000 + second * 1_000).to_string(),
            kind: "request".into(),
            decision: decision.into(),
            reason: reason.into(),
            subject: subject.into(),
            application: "residents".into(),
            ..Entry::default()
        }
    }

    fn stats(entries: &[Entry]) -> Stats {
        let mut stats = Stats::new(NonZeroU64::new(60).unwrap());
        entries.iter().for_each(|entry| stats.add(entry));
        stats
    }

    #[test]
    fn the_table_tells_what_happened_most() {
        let stats = stats(&[
            entry("allowed", "", "li", 0),
            entry("denied", "network.rate_limited", "wang", 1),
            entry("denied", "network.rate_limited", "wang", 2),
            entry("denied", "endpoint.revoked", "a\u{1b}[2J", 90),
        ]);
        assert_eq!(
            (
                stats.records(),
                stats.decided("denied"),
                stats.decided("refused")
            ),
            (4, 3, 0)
        );
        assert_eq!(
            stats.to_string(),
            "4 records from 2026-11-24T07:10:22.000Z to 2026-11-24T07:11:52.000Z\n\n\
             decisions\n           1  allowed\n           3  denied\n\n\
             kinds\n           4  request\n\n\
             reasons\n           2  network.rate_limited\n           1  endpoint.revoked\n\n\
             applications\n           4  residents\n\n\
             subjects denied most\n           2  wang\n           1  a\\u{1b}[2J\n\n\
             over time, in steps of 60 s\n\
             \x20                          allowed    denied   refused   aborted  most for\n\
             2026-11-24T07:10:00.000Z         1         2         0         0  network.rate_limited (2)\n\
             2026-11-24T07:11:00.000Z         0         1         0         0  endpoint.revoked (1)\n"
        );
    }

    #[test]
    fn the_picture_has_a_bar_for_each_outcome_of_each_step() {
        let svg = stats(&[
            entry("allowed", "", "", 0),
            entry("denied", "r", "", 0),
            entry("allowed", "", "", 500),
        ])
        .svg();
        assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
        assert_eq!(svg.matches("<rect x=").count(), 3 + OUTCOMES.len());
        assert!(
            svg.contains("allowed 2")
                && svg.contains("denied 1")
                && svg.contains("the highest has 2")
        );
        assert!(
            stats(&[]).svg().contains("allowed 0"),
            "an empty log has a picture too"
        );
    }

    #[test]
    fn memory_is_bounded_whatever_the_log_holds() {
        let mut stats = stats(&[]);
        for number in 0..30_000 {
            stats.add(&entry(
                "denied",
                "r",
                &format!("subject {number}"),
                number * 60,
            ));
        }
        assert!(
            stats.timeline.steps.len() <= 1_000 && stats.subjects_denied.counts.len() <= VALUES_MAX
        );
        let steps = stats.timeline.steps.values();
        assert_eq!(
            steps.flat_map(|step| step.outcomes).sum::<u64>(),
            30_000,
            "no record is lost from the picture"
        );
        let shown = stats.to_string();
        assert!(shown.contains("29990  (all others)"), "{shown}");
        let (_, table) = shown.split_once("over time").unwrap();
        assert!(table.lines().count() <= 26, "it fits a screen: {table}");
    }
}
