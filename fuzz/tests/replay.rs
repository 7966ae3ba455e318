//! Every file of the corpus, and with it every input that once broke a law, keeps all laws.

use std::fs;
use std::panic::catch_unwind;
use std::path::Path;

#[test]
fn the_canonicaliser_keeps_its_laws_for_the_whole_corpus() -> Outcome {
    replay_and_vary("canonicalise", hangu_fuzz::canonicalise)
}

#[test]
fn archives_keep_their_laws_for_the_whole_corpus() -> Outcome {
    replay("backup", hangu_fuzz::backup)
}

#[test]
fn the_request_head_keeps_its_laws_for_the_whole_corpus() -> Outcome {
    replay_and_vary("request_head", hangu_fuzz::request_head)
}

#[test]
fn chunked_bodies_keep_their_laws_for_the_whole_corpus() -> Outcome {
    replay_and_vary("chunked_body", hangu_fuzz::chunked_body)
}

#[test]
fn the_proxy_header_keeps_its_laws_for_the_whole_corpus() -> Outcome {
    replay_and_vary("proxy_header", hangu_fuzz::proxy_header)
}

#[test]
fn http2_frames_keep_their_laws_for_the_whole_corpus() -> Outcome {
    replay_and_vary("http2_frames", hangu_fuzz::http2_frames)
}

#[test]
fn the_policy_loader_keeps_its_laws_for_the_whole_corpus() -> Outcome {
    replay("policy_csv", hangu_fuzz::policy_csv)
}

#[test]
fn the_model_loader_keeps_its_laws_for_the_whole_corpus() -> Outcome {
    replay("model", hangu_fuzz::model)
}

#[test]
fn certificates_keep_their_laws_for_the_whole_corpus() -> Outcome {
    replay("certificate_identity", hangu_fuzz::certificate_identity)
}

#[test]
fn revocation_lists_keep_their_laws_for_the_whole_corpus() -> Outcome {
    replay("revocation_list", hangu_fuzz::revocation_list)
}

#[test]
fn spiffe_ids_keep_their_laws_for_the_whole_corpus() -> Outcome {
    replay("spiffe_id", hangu_fuzz::spiffe_id)
}

#[test]
fn name_templates_keep_their_laws_for_the_whole_corpus() -> Outcome {
    replay("name_template", hangu_fuzz::name_template)
}

#[test]
fn directories_keep_their_laws_for_the_whole_corpus() -> Outcome {
    replay("directory", hangu_fuzz::directory)
}

#[test]
fn every_target_has_its_program_and_its_corpus() -> Outcome {
    let names = |folder: &str| -> std::io::Result<Vec<String>> {
        let entries = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder))?;
        let paths = entries
            .map(|entry| Ok(entry?.path()))
            .collect::<std::io::Result<Vec<_>>>()?;
        let stems = paths.iter().filter_map(|path| path.file_stem());
        let mut names: Vec<String> = stems
            .map(|stem| stem.to_string_lossy().into_owned())
            .collect();
        names.sort();
        Ok(names)
    };
    let expected = [
        "backup",
        "canonicalise",
        "certificate_identity",
        "chunked_body",
        "directory",
        "http2_frames",
        "model",
        "name_template",
        "policy_csv",
        "proxy_header",
        "request_head",
        "revocation_list",
        "spiffe_id",
    ];
    assert_eq!(names("fuzz_targets")?, expected);
    assert_eq!(names("corpus")?, expected);
    Ok(())
}

type Outcome = std::io::Result<()>;

/// As [`replay`], and on variations of each file, made by a seed: what a fuzzer does first, in every run of the tests.
fn replay_and_vary(target: &str, laws: fn(&[u8])) -> Outcome {
    replay(target, laws)?;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpus")
        .join(target);
    let entries = fs::read_dir(folder)?;
    let mut paths = entries
        .map(|entry| Ok(entry?.path()))
        .collect::<std::io::Result<Vec<_>>>()?;
    paths.sort();
    let files = paths
        .iter()
        .map(fs::read)
        .collect::<std::io::Result<Vec<_>>>()?;
    let rounds = std::env::var("HANGU_FUZZ_ROUNDS").ok();
    let rounds = rounds.and_then(|rounds| rounds.parse().ok()).unwrap_or(30);
    let mut dice = Dice(0x5EED);
    for _ in 0..rounds {
        for file in &files {
            let other = files.get(dice.roll(files.len())).unwrap_or(file);
            let bytes = dice.vary(file, other);
            let kept = catch_unwind(|| laws(&bytes));
            assert!(kept.is_ok(), "{target}: {}", bytes.escape_ascii());
        }
    }
    Ok(())
}

/// A generator (xorshift).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap_or(0) % sides.max(1)
    }

    /// A few changes of one file, some with parts of another.
    fn vary(&mut self, file: &[u8], other: &[u8]) -> Vec<u8> {
        let mut bytes = file.to_vec();
        for _ in 0..=self.roll(4) {
            let at = self.roll(bytes.len() + 1);
            let end = (at + self.roll(8)).min(bytes.len());
            match self.roll(5) {
                0 => {
                    let byte = u8::try_from(self.roll(256)).unwrap_or(0);
                    bytes.insert(at, byte);
                }
                1 => drop(bytes.drain(at..end)),
                2 => {
                    let again = bytes.get(at..end).unwrap_or_default().to_vec();
                    bytes.splice(at..at, again);
                }
                3 => {
                    let from = self.roll(other.len() + 1);
                    let to = (from + self.roll(32)).min(other.len());
                    let part = other.get(from..to).unwrap_or_default().to_vec();
                    bytes.splice(at..end, part);
                }
                _ => {
                    let odd = [0, 9, 10, 13, 32, 37, 58, 59, 127, 255];
                    let byte = odd.get(self.roll(odd.len())).copied().unwrap_or(0);
                    if let Some(place) = bytes.get_mut(at) {
                        *place = byte;
                    }
                }
            }
        }
        bytes
    }
}

/// Runs a target on each file of its corpus and names every file that breaks a law.
fn replay(target: &str, laws: fn(&[u8])) -> Outcome {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpus")
        .join(target);
    let mut broken = Vec::new();
    let mut count = 0;
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let bytes = fs::read(&path)?;
        count += 1;
        if catch_unwind(|| laws(&bytes)).is_err() {
            broken.push(path);
        }
    }
    assert!(count >= 15, "only {count} files: is the corpus there?");
    assert!(
        broken.is_empty(),
        "{target}: laws are broken by {broken:#?}"
    );
    Ok(())
}
