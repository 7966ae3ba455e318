//! The audit folder as a reader sees it while the gateway runs.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::wait::{must, wait_for};

/// Reads the segments of one folder.
#[derive(Clone, Debug)]
pub struct Audit {
    folder: PathBuf,
}

impl Audit {
    /// Of this folder.
    #[must_use]
    pub fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
        }
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The segments, in order.
    #[must_use]
    pub fn segments(&self) -> Vec<PathBuf> {
        let Ok(entries) = std::fs::read_dir(&self.folder) else {
            return Vec::new();
        };
        let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
        let mut segments: Vec<PathBuf> = paths
            .filter(|path| path.extension().is_some_and(|end| end == "jsonl"))
            .collect();
        segments.sort();
        segments
    }

    /// Every whole record so far.
    #[must_use]
    pub fn records(&self) -> Vec<Value> {
        let mut records = Vec::new();
        for segment in self.segments() {
            let text = must(std::fs::read_to_string(&segment), "read an audit segment");
            let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
            records.extend(whole.lines().map(|line| {
                must(
                    serde_json::from_str::<Value>(line),
                    "read an audit record as JSON",
                )
            }));
        }
        records
    }

    /// Waits for a record and gives the first that fits.
    #[track_caller]
    pub fn wait_for(&self, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
        wait_for(&format!("the audit record of {what}"), || {
            self.records().into_iter().find(&fits)
        })
    }

    /// Waits for the record of a request.
    #[track_caller]
    pub fn of_request(&self, request_id: &str) -> Value {
        self.wait_for(request_id, |record| {
            text(record, "request_id") == request_id
        })
    }

    /// Waits for the record of what came of a request after the record of its beginning.
    #[track_caller]
    pub fn end_of_request(&self, request_id: &str) -> Value {
        self.wait_for(&format!("the end of {request_id}"), |record| {
            text(record, "kind") == "end" && text(record, "request_id") == request_id
        })
    }

    /// All records of one kind.
    #[must_use]
    pub fn of_kind(&self, kind: &str) -> Vec<Value> {
        self.records()
            .into_iter()
            .filter(|record| text(record, "kind") == kind)
            .collect()
    }
}

fn text<'v>(record: &'v Value, field: &str) -> &'v str {
    record
        .get(field)
        .and_then(Value::as_str)
        .unwrap_or_default()
}
