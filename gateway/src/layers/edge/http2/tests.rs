use prometheus::Opts;

use super::*;
use crate::layers::edge::http2::hpack::push_field;

fn guard() -> Guard {
    let resets = IntCounterVec::new(Opts::new("resets", "x"), &["code"]).unwrap();
    let limits = ListLimits {
        bytes_max: 4_000,
        fields_max: 20,
    };
    let mut guard = Guard::new(limits, Duration::from_secs(1), Instant::now(), resets);
    guard.take(PREFACE, Instant::now());
    drop(output(&mut guard));
    guard
}

fn output(guard: &mut Guard) -> Vec<u8> {
    let mut all = Vec::new();
    while guard.has_output() {
        let mut room = [0; 1_000];
        let mut room = tokio::io::ReadBuf::new(&mut room);
        guard.give(&mut room);
        all.extend_from_slice(room.filled());
    }
    all
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut bytes = length[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

fn head_block() -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in [
        (":method", "GET"),
        (":scheme", "https"),
        (":authority", "records.test"),
        (":path", "/"),
    ] {
        push_field(&mut block, name.as_bytes(), value.as_bytes());
    }
    block
}

/// What comes of these frames, and how the connection ended.
fn after(frames: &[Vec<u8>]) -> (Vec<u8>, Option<Ending>) {
    let mut guard = guard();
    guard.take(&frames.concat(), Instant::now());
    (output(&mut guard), guard.verdict().get().copied())
}

#[test]
fn frames_of_a_request_pass_however_they_are_cut() {
    let whole = [
        frame(4, 0, 0, &[0, 3, 0, 0, 0, 100]),
        frame(1, 4, 1, &head_block()),
        frame(0, 0, 1, b"a body"),
        frame(0, 1, 1, b""),
        frame(8, 0, 0, &[0, 0, 1, 0]),
        frame(6, 0, 0, &[7; 8]),
        frame(1, 5, 3, &head_block()),
    ]
    .concat();
    for size in 1..whole.len() {
        let mut guard = guard();
        for part in whole.chunks(size) {
            guard.take(part, Instant::now());
        }
        assert_eq!(output(&mut guard), whole, "in parts of {size}");
        assert!(!guard.has_ended() && guard.deadline().is_none());
    }
}

#[test]
fn padding_priority_and_continuation_are_taken_out_of_a_head() {
    let block = head_block();
    let (first, second) = block.split_at(10);
    let padded = [&[3, 0, 0, 0, 0, 16][..], first, &[0; 3]].concat();
    let (out, ended) = after(&[frame(1, 0x28, 1, &padded), frame(9, 4, 1, second)]);
    assert_eq!((out, ended), (frame(1, 4, 1, &block), None));
}

#[test]
fn ignored_frames_do_not_reach_the_library() {
    let (out, ended) = after(&[
        frame(2, 0, 1, &[0; 5]),
        frame(0xbe, 0, 7, &[1; 300]),
        frame(0xbe, 0, 0, &[]),
    ]);
    assert_eq!((out, ended), (Vec::new(), None));
}

#[test]
fn a_broken_frame_ends_the_connection() {
    for (frames, ending, why) in broken_frames() {
        let (out, ended) = after(&frames);
        assert_eq!(ended, Some(ending), "{why}");
        assert!(out.ends_with(&frame::BROKEN), "{why}");
    }
    let mut guard = Guard::new(
        ListLimits {
            bytes_max: 1,
            fields_max: 1,
        },
        Duration::from_secs(1),
        Instant::now(),
        IntCounterVec::new(Opts::new("resets", "x"), &["code"]).unwrap(),
    );
    guard.take(b"GET / HTTP/1.1\r\n", Instant::now());
    assert_eq!(guard.verdict().get(), Some(&Ending::Preface));
}

#[rustfmt::skip]
fn broken_frames() -> Vec<(Vec<Vec<u8>>, Ending, &'static str)> {
    let block = head_block();
    vec![
        (vec![frame(0, 0, 0, b"x")], Ending::Frame, "DATA on the connection"),
        (vec![frame(0, 0, 1, &[0; 16_385])], Ending::Frame, "a frame over its size"),
        (vec![frame(4, 0, 0, &[0; 5])], Ending::Frame, "half a setting"),
        (vec![frame(4, 0, 1, &[])], Ending::Frame, "SETTINGS on a stream"),
        (vec![frame(4, 1, 0, &[0; 6])], Ending::Frame, "an acknowledgement with settings"),
        (vec![frame(4, 0, 0, &[0; 600])], Ending::Frame, "a hundred settings"),
        (vec![frame(6, 0, 0, &[0; 7])], Ending::Frame, "a short PING"),
        (vec![frame(3, 0, 0, &[0; 4])], Ending::Frame, "RST_STREAM on the connection"),
        (vec![frame(8, 0, 0, &[0; 4])], Ending::Frame, "a window that opens by nothing"),
        (vec![frame(5, 4, 1, &[0; 4])], Ending::Frame, "a push of a client"),
        (vec![frame(1, 4, 2, &block)], Ending::Frame, "an even stream"),
        (vec![frame(9, 4, 1, &block)], Ending::Frame, "CONTINUATION of nothing"),
        (vec![frame(1, 0, 1, &block), frame(6, 0, 0, &[0; 8])], Ending::Frame, "PING inside a head"),
        (vec![frame(1, 0, 1, &block), frame(9, 4, 3, &block)], Ending::Frame, "CONTINUATION of another stream"),
        (vec![frame(1, 12, 1, &[200, 0])], Ending::Frame, "more padding than payload"),
        (vec![frame(1, 4, 1, &[0x80])], Ending::Compression, "a field with index zero"),
        (vec![frame(1, 4, 1, &block), frame(1, 4, 1, &[])], Ending::Trailers, "a second head"),
        (vec![frame(1, 4, 1, &block), frame(1, 5, 1, &block)], Ending::Trailers, "trailers with a path"),
    ]
}

#[test]
fn floods_end_the_connection_and_keep_little() {
    let start = frame(1, 0, 1, &[]);
    let reset = frame(3, 0, 1, &[0, 0, 0, 8]);
    for (before, again, ending) in [
        (Vec::new(), reset, Ending::ResetFlood),
        (Vec::new(), frame(6, 0, 0, &[0; 8]), Ending::PingFlood),
        (Vec::new(), frame(4, 0, 0, &[]), Ending::SettingsFlood),
        (Vec::new(), frame(4, 1, 0, &[]), Ending::PingFlood),
        (Vec::new(), frame(0, 0, 1, &[]), Ending::EmptyFlood),
        (Vec::new(), frame(2, 0, 1, &[0; 5]), Ending::IgnoredFlood),
        (
            Vec::new(),
            frame(8, 0, 1, &[0, 0, 0, 1]),
            Ending::WindowFlood,
        ),
        (start.clone(), frame(9, 0, 1, b"x"), Ending::HeadFlood),
        (start.clone(), frame(9, 0, 1, &[]), Ending::HeadFlood),
        (start, frame(9, 0, 1, &[0; 3_000]), Ending::HeadFlood),
    ] {
        let mut guard = guard();
        guard.take(&before, Instant::now());
        for _ in 0..10_000 {
            if guard.has_ended() {
                break;
            }
            guard.take(&again, Instant::now());
            assert!(
                guard
                    .block
                    .as_ref()
                    .is_none_or(|block| block.bytes.len() < 80_000)
            );
            drop(output(&mut guard));
        }
        let name = ending.name();
        assert_eq!(guard.verdict().get(), Some(&ending), "{name}");
        guard.take(&again, Instant::now());
        assert!(
            guard.out.len() <= frame::BROKEN.len(),
            "{name}: nothing more is read"
        );
    }
}

#[test]
fn a_head_that_names_one_large_field_often_is_too_large_and_costs_nothing() {
    let mut guard = guard();
    let mut block = vec![0x40, 1, b'x', 127, 0x81, 0x1e];
    block.extend([b'v'; 4_000]);
    block.truncate(6 + 127 + 0x81 - 0x80 + (0x1e << 7));
    block.extend([0xbe; 900]);
    guard.take(&frame(1, 5, 1, &block), Instant::now());
    assert!(!guard.has_ended());
    let out = output(&mut guard);
    assert!(out.len() < 300, "{}", out.len());
    assert!(String::from_utf8_lossy(&out).contains("edge.head_too_large"));
}

#[test]
fn what_our_side_resets_is_counted_and_a_client_that_provokes_it_is_cut() {
    let mut guard = guard();
    let reset = |code| frame(3, 0, 1, &[0, 0, 0, code]);
    for _ in 0..1_000 {
        guard.sent(&reset(0), Instant::now());
        guard.sent(&reset(7), Instant::now());
    }
    assert!(!guard.has_ended());
    for byte in std::iter::repeat_n(reset(1), 300).flatten() {
        guard.sent(&[byte], Instant::now());
    }
    assert_eq!(guard.verdict().get(), Some(&Ending::ResetFlood));
}

#[test]
fn an_end_by_the_library_is_told() {
    let mut first = guard();
    first.sent(&frame(7, 0, 0, &[0, 0, 0, 1, 0, 0, 0, 0]), Instant::now());
    assert_eq!(first.verdict().get(), None, "a goodbye");
    let mut second = guard();
    second.sent(&frame(7, 0, 0, &[0, 0, 0, 1, 0, 0, 0, 11]), Instant::now());
    assert_eq!(second.verdict().get(), Some(&Ending::Library));
}

#[test]
fn what_has_begun_has_a_deadline_and_a_body_has_none_here() {
    let now = Instant::now();
    let mut guard = guard();
    assert_eq!(guard.deadline(), None);
    guard.take(&frame(1, 0, 1, &head_block()), now);
    assert_eq!(guard.deadline(), Some(now + Duration::from_secs(1)));
    guard.take(&frame(9, 0, 1, &[]), now + Duration::from_millis(500));
    assert_eq!(
        guard.deadline(),
        Some(now + Duration::from_secs(1)),
        "more of it does not prolong it"
    );
    guard.take(&frame(9, 4, 1, &[]), now);
    assert_eq!(guard.deadline(), None);
    guard.take(&[0, 0, 9, 0, 0, 0, 0, 0, 1, b'x'], now);
    assert_eq!(guard.deadline(), None);
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_taken(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..2_000)) {
        let mut guard = guard();
        guard.take(&bytes, Instant::now());
        drop(output(&mut guard));
    }
}
