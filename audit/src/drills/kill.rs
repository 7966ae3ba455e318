//! A writer in a process of its own is killed, again and again, and has never acknowledged what is not there.

use std::env;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::{at, event, options};
use crate::*;

const FOLDER: &str = "HANGU_AUDIT_KILL_DRILL";
const KILLS: u64 = 6;

/// Not a claim by itself: the process that the drill below starts, and kills.
#[test]
fn writer() {
    let Some(dir) = env::var_os(FOLDER).map(PathBuf::from) else {
        return;
    };
    let options = Options {
        segment_bytes_max: 20_000,
        ..options()
    };
    let mut log = Log::open(&dir, options, at(0)).unwrap();
    let mut out = std::io::stdout().lock();
    loop {
        for _ in 0..5 {
            log.append(&event("x")).unwrap();
        }
        let committed = log.commit().unwrap();
        if committed.is_multiple_of(3) {
            log.write_head().unwrap();
        }
        writeln!(out, "acknowledged {committed}").unwrap();
        out.flush().unwrap();
    }
}

/// Starts the writer, kills it after so many acknowledgements, and gives the last.
fn killed_after(dir: &Path, acknowledgements: u64) -> u64 {
    let mut child = Command::new(env::current_exe().unwrap())
        .args([
            "--exact",
            "drills::kill::writer",
            "--nocapture",
            "--test-threads=1",
        ])
        .env(FOLDER, dir)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut last = 0;
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let acknowledged = lines.map_while(Result::ok).filter_map(|line| {
        line.rsplit_once("acknowledged ")
            .map(|(_, number)| number.parse::<u64>().unwrap())
    });
    for (seen, number) in (0..).zip(acknowledged) {
        last = number;
        if seen == acknowledgements {
            // It is in the middle of whatever comes next.
            child.kill().unwrap();
        }
    }
    child.wait().unwrap();
    last
}

#[test]
fn a_killed_writer_has_acknowledged_nothing_that_is_lost() {
    let dir = TempDir::new().unwrap();
    let mut before = 0;
    for kill in 0..KILLS {
        let acknowledged = killed_after(dir.path(), kill * 7 % 11);
        assert!(
            acknowledged > before,
            "the writer went on where it was killed"
        );
        before = acknowledged;
        // Read first as the kill left it: what was acknowledged is whole.
        let mut reader = Reader::open(dir.path(), Position::Sequence(1)).unwrap();
        let read = std::iter::from_fn(|| reader.next_line().unwrap()).count() as u64;
        assert!(read >= acknowledged, "{read} of {acknowledged}");
    }
    let log = Log::open(dir.path(), options(), at(1)).unwrap();
    assert!(log.committed().sequence >= before);
    log.close().unwrap();
    let verified = verify(dir.path(), |_| {}).unwrap();
    assert!(
        verified.records >= before && verified.segments > 1,
        "{verified:?}"
    );
}
