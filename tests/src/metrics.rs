//! The admin listener's `/metrics`, parsed.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};

use crate::wait::DEADLINE;

/// One scrape.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    samples: Vec<Sample>,
    /// As it came.
    pub text: String,
}

/// One line of it.
#[derive(Clone, Debug)]
struct Sample {
    name: String,
    labels: BTreeMap<String, String>,
    value: f64,
}

impl Metrics {
    /// Parses the text format as far as the gateway uses it.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let lines = text
            .lines()
            .filter(|line| !line.starts_with('#') && !line.is_empty());
        Self {
            samples: lines.filter_map(Sample::parse).collect(),
            text: text.to_owned(),
        }
    }

    /// The sum of all samples of this name that carry these labels; zero when there is none.
    #[must_use]
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let fits = |sample: &&Sample| {
            sample.name == name
                && labels
                    .iter()
                    .all(|(label, value)| sample.labels.get(*label).is_some_and(|own| own == value))
        };
        self.samples
            .iter()
            .filter(fits)
            .map(|sample| sample.value)
            .sum()
    }

    /// Whether there is a sample of this name.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.samples.iter().any(|sample| sample.name == name)
    }

    /// Every value that a label has anywhere: `(metric, label, value)`.
    #[must_use]
    pub fn label_values(&self) -> Vec<(String, String, String)> {
        let of = |sample: &Sample| {
            let name = sample.name.clone();
            let pairs = sample.labels.clone();
            pairs
                .into_iter()
                .map(move |(label, value)| (name.clone(), label, value))
                .collect::<Vec<_>>()
        };
        self.samples.iter().flat_map(of).collect()
    }
}

impl Sample {
    fn parse(line: &str) -> Option<Self> {
        let (series, value) = line.rsplit_once(' ')?;
        let (name, labels) = match series.split_once('{') {
            Some((name, rest)) => (name, rest.strip_suffix('}')?),
            None => (series, ""),
        };
        let pair = |text: &str| {
            let (label, value) = text.split_once("=\"")?;
            Some((label.trim_start_matches(',').to_owned(), value.to_owned()))
        };
        let labels = labels.split_terminator('"').collect::<Vec<_>>();
        let labels = labels
            .chunks(2)
            .filter_map(|two| pair(&two.join("\"")))
            .collect();
        Some(Self {
            name: name.to_owned(),
            labels,
            value: value.parse().ok()?,
        })
    }
}

/// A plain GET: status and body.
pub(crate) fn get(address: SocketAddr, path: &str) -> io::Result<(u16, String)> {
    let mut stream = TcpStream::connect_timeout(&address, DEADLINE)?;
    stream.set_read_timeout(Some(DEADLINE))?;
    stream.write_all(
        format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").as_bytes(),
    )?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let text = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = text
        .split_once("\r\n\r\n")
        .ok_or(io::ErrorKind::UnexpectedEof)?;
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|digits| digits.parse().ok())
        .unwrap_or(0);
    Ok((status, body.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_found_by_their_labels() {
        let metrics =
            Metrics::parse("# HELP a b\na{x=\"1\",y=\"two words\"} 3\na{x=\"2\",y=\"\"} 4\nb 5\n");
        assert_eq!(metrics.sum("a", &[]), 7.0);
        assert_eq!(metrics.sum("a", &[("x", "1"), ("y", "two words")]), 3.0);
        assert_eq!(metrics.sum("a", &[("y", "")]), 4.0);
        assert_eq!(metrics.sum("b", &[]), 5.0);
        assert!(!metrics.has("c"));
    }
}
