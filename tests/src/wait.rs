//! Waiting for what becomes true a moment later, and giving up loudly.

use std::fmt::Debug;
use std::thread;
use std::time::{Duration, Instant};

/// How long anything may take to become true. Generous: it is only ever reached by a failing test.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// The value, or the end of the test.
#[track_caller]
#[expect(
    clippy::panic,
    reason = "a test whose world cannot be set up has failed, and there is nobody to tell but the test runner"
)]
pub fn must<T, E: Debug>(result: Result<T, E>, what: &str) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("{what}: {error:?}"),
    }
}

/// Asks again and again until there is an answer, for at most [`DEADLINE`].
#[track_caller]
pub fn wait_for<T>(what: &str, mut attempt: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    let mut pause = Duration::from_millis(1);
    loop {
        if let Some(value) = attempt() {
            return value;
        }
        if start.elapsed() > DEADLINE {
            return must(
                Err("the deadline has passed"),
                &format!("waiting for {what}"),
            );
        }
        thread::sleep(pause);
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

/// Asks again and again until the answer is yes, for at most [`DEADLINE`].
#[track_caller]
pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    wait_for(what, || condition().then_some(()));
}

const PAUSE_MAX: Duration = Duration::from_millis(25);
