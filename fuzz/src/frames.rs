//! The frames of an HTTP/2 connection.

use std::time::{Duration, Instant};

use hangu_gateway::layers::edge::http2::{Guard, ListLimits};
use prometheus::{IntCounterVec, Opts};

/// However the bytes are cut, the same is handed on and the connection ends for the same reason; and what is handed on is read
/// again without an end.
///
/// # Panics
/// When one of these does not hold.
pub fn http2_frames(bytes: &[u8]) {
    let whole = guarded(bytes, bytes.len().max(1));
    assert_eq!(
        whole,
        guarded(bytes, 1),
        "the answer depends on how the bytes are cut"
    );
    let (out, ended) = whole;
    if ended.is_none() && bytes.len() < 8_000 {
        assert_eq!(
            guarded(&out, out.len().max(1)).1,
            None,
            "what was judged is judged differently"
        );
    }
}

fn guarded(bytes: &[u8], size: usize) -> (Vec<u8>, Option<&'static str>) {
    let now = Instant::now();
    let Ok(resets) = IntCounterVec::new(Opts::new("resets", "streams"), &["code"]) else {
        return (Vec::new(), None);
    };
    let limits = ListLimits {
        bytes_max: 8 * 1024,
        fields_max: 50,
    };
    let mut guard = Guard::new(limits, Duration::from_secs(10), now, resets);
    guard.take(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", now);
    for part in bytes.chunks(size) {
        guard.take(part, now);
    }
    let mut all = Vec::new();
    while guard.has_output() {
        let mut room = [0; 4_096];
        let mut room = tokio::io::ReadBuf::new(&mut room);
        guard.give(&mut room);
        all.extend_from_slice(room.filled());
    }
    let ended = guard.verdict().get().map(|ending| ending.name());
    (all.split_off(all.len().min(24)), ended)
}
