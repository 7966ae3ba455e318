//! Files that anybody could have put there: every parser says no, none panics, none runs away.

use std::fs;

use proptest::prelude::*;
use tempfile::TempDir;

use super::{at, closed_log, options, rewrite};
use crate::note::Note;
use crate::witness::Submission;
use crate::*;

/// Pieces of real files among noise, so that the parsers are taken past their first lines.
fn hostile() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..40),
        Just(b"{\"v\":2,\"seq\":".to_vec()),
        Just(b",\"prev\":\"".to_vec()),
        Just(b",\"hash\":\"".to_vec()),
        Just("0".repeat(64).into_bytes()),
        Just(b"\"}\n".to_vec()),
        Just(b"\n\n".to_vec()),
        Just(b"old 0\n".to_vec()),
        Just(b"c2sp.org/tlog-proof@v1\nindex 0\n".to_vec()),
        Just("— gate AAAAAAAA\n".as_bytes().to_vec()),
        any::<u64>().prop_map(|number| number.to_string().into_bytes()),
        Just(vec![0; 300]),
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn hostile_segments_are_neither_good_nor_fatal(bytes in hostile(), after in any::<bool>()) {
        let dir = TempDir::new().unwrap();
        closed_log(dir.path(), 2, 9);
        let path = dir.path().join("audit-000000000001.jsonl");
        let good = if after { fs::read(&path).unwrap() } else { Vec::new() };
        rewrite(&path, [&good[..], &bytes].concat());
        prop_assert_eq!(verify(dir.path(), |_| {}).is_ok(), after && bytes.is_empty());
        let mut reader = Reader::open(dir.path(), Position::Sequence(1)).unwrap();
        while let Ok(Some(line)) = reader.next_line() {
            let _readable = render(&line.json);
        }
        let disk = Box::new(super::disk::Failing::new());
        if let Ok(log) = Log::open_on(dir.path(), options(), at(0), disk) {
            prop_assert!(after, "what vouches for two records does not open without them");
            drop(log);
            prop_assert!(verify(dir.path(), |_| {}).is_ok(), "what was opened is sound again");
        }
    }

    #[test]
    fn hostile_files_beside_the_segments_are_refused(bytes in hostile(), name in 0usize..3) {
        let dir = TempDir::new().unwrap();
        closed_log(dir.path(), 2, 9);
        let name = ["head.json", "checkpoint", "audit-000000000003.jsonl"][name];
        rewrite(dir.path().join(name), &bytes);
        prop_assert_eq!(verify(dir.path(), |_| {}).is_ok(), name.starts_with("audit") && bytes.is_empty());
    }

    #[test]
    fn hostile_texts_do_not_parse(bytes in hostile()) {
        let text = String::from_utf8_lossy(&bytes);
        prop_assert!(RecordProof::parse(&text).is_err());
        prop_assert!(Submission::parse(&text).is_err());
        if let Ok(note) = Note::parse(&text) {
            prop_assert!(note.to_string() == text, "what is read is written alike");
        }
        let _entry = Entry::parse(&text);
    }
}
