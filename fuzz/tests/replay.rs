//! Every file of the corpus, and with it every input that once broke a law, keeps all laws.

use std::fs;
use std::panic::catch_unwind;
use std::path::Path;

#[test]
fn the_canonicaliser_keeps_its_laws_for_the_whole_corpus() -> Outcome {
    replay("canonicalise", hangu_fuzz::canonicalise)
}

#[test]
fn archives_keep_their_laws_for_the_whole_corpus() -> Outcome {
    replay("backup", hangu_fuzz::backup)
}

#[test]
fn the_request_head_keeps_its_laws_for_the_whole_corpus() -> Outcome {
    replay("request_head", hangu_fuzz::request_head)
}

#[test]
fn chunked_bodies_keep_their_laws_for_the_whole_corpus() -> Outcome {
    replay("chunked_body", hangu_fuzz::chunked_body)
}

#[test]
fn the_proxy_header_keeps_its_laws_for_the_whole_corpus() -> Outcome {
    replay("proxy_header", hangu_fuzz::proxy_header)
}

#[test]
fn http2_frames_keep_their_laws_for_the_whole_corpus() -> Outcome {
    replay("http2_frames", hangu_fuzz::http2_frames)
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
