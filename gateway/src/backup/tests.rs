//! Hostile archives: nothing of them is written.

use std::fs;
use std::io::Cursor;
use std::path::Path;

use hangu_audit::key::{KeyKind, KeyName, Signer, Verifier};
use hangu_audit::note::Note;
use proptest::prelude::*;
use tempfile::TempDir;

use super::archive::Writer;
use super::gather::signed_text;
use super::manifest::{Item, Manifest, below, place_of};
use super::*;
use crate::bundle::archive::BLOCK;

fn signer() -> Signer {
    let name = KeyName::new("gate.test/backup").unwrap();
    Signer::from_seed(name, KeyKind::Note, &[7; 32]).unwrap()
}

fn known() -> Vec<Verifier> {
    vec![signer().verifier().clone()]
}

fn item(number: usize, place: &str, content: &[u8]) -> Item {
    Item {
        name: manifest::name_of(number),
        place: place.to_owned(),
        bytes: content.len() as u64,
        sha256: hex(ring::digest::digest(&ring::digest::SHA256, content).as_ref()),
        sealed: false,
    }
}

fn manifest(files: Vec<Item>) -> Manifest {
    Manifest {
        v: 1,
        hangu: "0".into(),
        made: "2026-11-24T00:00:00.000Z".into(),
        node: "gate-1".into(),
        config: "hangu.toml".into(),
        folder: "/etc/hangu".into(),
        audit: "audit".into(),
        run: "run".into(),
        log: None,
        sealed: None,
        files,
        keys_left_out: Vec::new(),
    }
}

/// An archive as somebody with the key could write it.
fn archive(manifest: &Manifest, files: &[(&str, &[u8])]) -> Vec<u8> {
    let text = serde_json::to_vec(manifest).unwrap();
    let note = Note::sign(signed_text(&text), &signer(), 0).unwrap();
    let mut writer = Writer::new(Vec::new());
    let note = note.to_string();
    let all = [("manifest", &*text), ("signature", note.as_bytes())];
    for (name, bytes) in all.iter().chain(files) {
        writer
            .file(name, bytes.len() as u64, &mut Cursor::new(bytes))
            .unwrap();
    }
    writer.finish().unwrap()
}

fn good() -> Vec<u8> {
    let config = b"[server]\n";
    let files = vec![item(1, "hangu.toml", config), item(2, "a/empty", b"")];
    archive(
        &manifest(files),
        &[("files/00001", config), ("files/00002", b"")],
    )
}

/// Proves and restores into a fresh folder; gives what came of it and whether the folder is there.
fn try_restore(bytes: &[u8]) -> (Result<Restored, BackupError>, bool) {
    let folder = TempDir::new().unwrap();
    let (file, to) = (folder.path().join("a.backup"), folder.path().join("to"));
    fs::write(&file, bytes).unwrap();
    let target = Target {
        folder: &to,
        replace: false,
        passphrase: None,
    };
    let done = prove(&file, &known()).and_then(|proven| restore(proven, &target));
    let left = fs::read_dir(folder.path()).unwrap().count();
    assert!(left == 1 + usize::from(to.exists()), "nothing else is left");
    (done, to.exists())
}

#[test]
fn a_good_archive_is_restored_whole() {
    let (done, is_there) = try_restore(&good());
    assert_eq!(done.unwrap().files, 2);
    assert!(is_there);
}

#[test]
fn every_flipped_bit_and_every_cut_of_an_archive_is_refused_and_nothing_is_written() {
    let good = good();
    for byte in 0..good.len() {
        let mut bad = good.clone();
        bad[byte] ^= 1 << (byte % 8);
        let (done, is_there) = try_restore(&bad);
        assert!(done.is_err() && !is_there, "byte {byte}");
    }
    for end in (0..good.len()).step_by(97) {
        let (done, is_there) = try_restore(good.get(..end).unwrap());
        assert!(done.is_err() && !is_there, "cut to {end}");
    }
    let (done, _) = try_restore(&[&*good, &[0; BLOCK]].concat());
    assert!(done.is_err(), "something behind the end");
}

#[test]
fn a_signed_archive_that_leads_out_of_its_folder_is_refused() {
    for place in [
        "../evil",
        "/etc/evil",
        "a/../../evil",
        "a//b",
        "./a",
        "",
        "a/",
        "a\0b",
        "..",
    ] {
        let files = vec![item(1, place, b"x")];
        let bytes = archive(&manifest(files), &[("files/00001", b"x")]);
        let (done, is_there) = try_restore(&bytes);
        assert!(
            matches!(done, Err(BackupError::Manifest(_))) && !is_there,
            "{place:?}"
        );
    }
    for (config, audit) in [("../hangu.toml", "audit"), ("hangu.toml", "/var/audit")] {
        let bad = Manifest {
            config: config.into(),
            audit: audit.into(),
            ..manifest(Vec::new())
        };
        assert!(try_restore(&archive(&bad, &[])).0.is_err());
    }
}

#[test]
fn an_archive_with_more_less_or_other_than_its_manifest_is_refused() {
    let one = item(1, "hangu.toml", b"x");
    let named = |item: Item| manifest(vec![item]);
    let longer = Item {
        bytes: u64::MAX,
        ..one.clone()
    };
    let renamed = Item {
        name: "files/00002".into(),
        ..one.clone()
    };
    let twice = vec![one.clone(), item(2, "hangu.toml", b"x")];
    let through_a_file = vec![one.clone(), item(2, "hangu.toml/x", b"x")];
    let x: &[u8] = b"x";
    for (what, manifest, files) in [
        ("a file too few", named(one.clone()), vec![]),
        (
            "a file too many",
            named(one.clone()),
            vec![("files/00001", x), ("files/00002", x)],
        ),
        (
            "another file",
            named(one.clone()),
            vec![("files/00001", &b"y"[..])],
        ),
        ("an endless file", named(longer), vec![("files/00001", x)]),
        ("out of order", named(renamed), vec![("files/00002", x)]),
        (
            "one place twice",
            manifest(twice),
            vec![("files/00001", x), ("files/00002", x)],
        ),
        (
            "a file as a folder",
            manifest(through_a_file),
            vec![("files/00001", x), ("files/00002", x)],
        ),
    ] {
        let (done, is_there) = try_restore(&archive(&manifest, &files));
        assert!(done.is_err() && !is_there, "{what}");
    }
    let newer = Manifest {
        v: 2,
        ..manifest(Vec::new())
    };
    assert!(try_restore(&archive(&newer, &[])).0.is_err());
}

#[test]
fn only_a_known_key_counts() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("a.backup");
    fs::write(&file, good()).unwrap();
    let name = KeyName::new("gate.test/backup").unwrap();
    let stranger = Signer::from_seed(name, KeyKind::Note, &[8; 32]).unwrap();
    for keys in [&[][..], &[stranger.verifier().clone()]] {
        assert!(matches!(prove(&file, keys), Err(BackupError::Unsigned)));
    }
}

#[test]
fn a_folder_that_is_not_empty_is_left_alone() {
    let folder = TempDir::new().unwrap();
    let (file, to) = (folder.path().join("a.backup"), folder.path().join("to"));
    fs::write(&file, good()).unwrap();
    fs::create_dir(&to).unwrap();
    fs::write(to.join("mine"), "x").unwrap();
    let target = |replace| Target {
        folder: &to,
        replace,
        passphrase: None,
    };
    let refused = restore(prove(&file, &known()).unwrap(), &target(false));
    assert!(matches!(refused, Err(BackupError::Occupied { .. })));
    assert!(to.join("mine").exists());
    let done = restore(prove(&file, &known()).unwrap(), &target(true)).unwrap();
    assert!(done.moved_aside.unwrap().join("mine").exists());
    assert!(to.join("hangu.toml").exists() && !to.join("mine").exists());
}

#[test]
fn sealed_keys_open_with_their_passphrase_at_their_place_only() {
    let passphrase = Passphrase::new("correct horse battery\nrest\n").unwrap();
    let (sealer, derivation) = seal::Sealer::fresh(&passphrase).unwrap();
    let sealed = sealer.seal(b"secret", "certs/server.key").unwrap();
    assert!(!sealed.windows(6).any(|window| window == b"secret"));
    let again = seal::Sealer::of(&passphrase, &derivation).unwrap();
    assert_eq!(again.open(&sealed, "certs/server.key").unwrap(), b"secret");
    assert!(again.open(&sealed, "certs/other.key").is_err());
    let other = Passphrase::new("another horse battery").unwrap();
    let other = seal::Sealer::of(&other, &derivation).unwrap();
    assert!(other.open(&sealed, "certs/server.key").is_err());
    assert!(Passphrase::new("short").is_err());
}

proptest! {
    #[test]
    fn no_place_leads_out(place in "[a./\\\\ ]{0,12}|\\PC{0,12}") {
        let folder = Path::new("/srv/restored");
        if let Ok(path) = below(folder, &place) {
            prop_assert!(path.starts_with(folder) && path != folder);
            prop_assert!(!path.components().any(|part| part.as_os_str() == ".."));
        }
    }

    #[test]
    fn what_is_taken_can_be_put_back(file in "/([a-z]{1,3}/){0,3}[a-z]{1,3}") {
        let place = place_of(Path::new("/etc/hangu"), Path::new(&file)).unwrap();
        prop_assert!(below(Path::new("/srv"), &place).is_ok());
    }

    #[test]
    fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..3_000)) {
        prop_assert!(try_restore(&bytes).0.is_err());
    }
}
