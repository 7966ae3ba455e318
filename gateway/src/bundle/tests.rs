//! A bundle is taken when everything about it is as demanded, and refused for each thing that is not.

use hangu_audit::key::{KeyKind, KeyName, Signer};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::archive::{self, Files};
use super::manifest::{Listed, Manifest};
use super::newest::Newest;
use super::open::{BundleError, Demands, FORM, MANIFEST, MODEL, RULES, SIGNATURES, open};

const POLICY: &str = "p, clerk, tax, /a/:id, GET, allow\ng, alice, clerk, tax\n";
const TEST: &str = "[[test]]\nname = \"reads\"\nwhen = { subject = \"alice\", domain = \"tax\", method = \"GET\", path = \"/a/1\" }\nexpect = \"allow\"\n";
const NOW: i64 = 1_795_000_000;

fn rfc3339(seconds: i64) -> String {
    let time = OffsetDateTime::from_unix_timestamp(seconds).unwrap();
    time.format(&Rfc3339).unwrap()
}

fn signer(name: &str, seed: u8) -> Signer {
    Signer::from_seed(KeyName::new(name).unwrap(), KeyKind::Note, &[seed; 32]).unwrap()
}

/// A bundle of these files, signed by these.
fn bundle(files: &[(&str, &str)], change: impl Fn(&mut Manifest), signers: &[&Signer]) -> Vec<u8> {
    let mut files: Files = files
        .iter()
        .map(|(name, text)| ((*name).to_owned(), text.as_bytes().to_vec()))
        .collect();
    let mut manifest = Manifest {
        bundle: FORM,
        epoch: 7,
        not_before: rfc3339(NOW - 10),
        not_after: rfc3339(NOW + 10),
        rules: 1,
        shadow_expires: None,
        file: files
            .iter()
            .map(|(name, bytes)| Listed::of(name, bytes))
            .collect(),
    };
    change(&mut manifest);
    let manifest = toml::to_string(&manifest).unwrap();
    let lines: String = signers
        .iter()
        .map(|signer| format!("{}\n", signer.sign(&manifest, 0)))
        .collect();
    files.insert(0, (MANIFEST.to_owned(), manifest.into_bytes()));
    files.push((SIGNATURES.to_owned(), lines.into_bytes()));
    archive::write(&files).unwrap()
}

fn whole() -> Vec<(&'static str, &'static str)> {
    vec![
        (MODEL, hangu_policy::RBAC_WITH_DOMAINS),
        (RULES, POLICY),
        ("tests/a.toml", TEST),
    ]
}

fn demands(keys: &[&Signer]) -> Demands {
    Demands {
        keys: keys
            .iter()
            .map(|signer| signer.verifier().clone())
            .collect(),
        signatures: 2,
        newest: Some(Newest {
            epoch: 7,
            digest: None,
        }),
        now: NOW,
        ..Demands::default()
    }
}

#[test]
fn a_bundle_that_two_people_signed_is_taken() {
    let (li, chen, wang) = (signer("li", 1), signer("chen", 2), signer("wang", 3));
    let opened = open(
        &bundle(&whole(), |_| (), &[&li, &wang]),
        &demands(&[&li, &chen, &wang]),
    )
    .unwrap();
    assert_eq!(
        (
            opened.manifest.epoch,
            opened.tests,
            opened.policy.rule_count()
        ),
        (7, 1, 1)
    );
    assert_eq!(opened.signers, ["li", "wang"]);
}

#[test]
fn a_signature_counts_once_and_only_of_a_known_key() {
    let (li, chen, mallory, li_again) = (
        signer("li", 1),
        signer("chen", 2),
        signer("mallory", 9),
        signer("li-too", 1),
    );
    let known = demands(&[&li, &chen, &li_again]);
    for signers in [
        vec![],
        vec![&li],
        vec![&li, &li],
        vec![&li, &mallory],
        vec![&li, &li_again],
    ] {
        let refused = open(&bundle(&whole(), |_| (), &signers), &known).unwrap_err();
        assert!(
            matches!(refused[..], [BundleError::TooFewSignatures { .. }]),
            "{refused:?}"
        );
    }
}

#[test]
fn whatever_is_not_as_demanded_is_refused_and_named() {
    let (li, chen) = (signer("li", 1), signer("chen", 2));
    let signers = [&li, &chen];
    let failing = TEST.replace("\"allow\"", "\"deny\"");
    let with = |index: usize, file: (&'static str, &'static str)| {
        let mut files = whole();
        files[index] = file;
        files
    };
    let plain = |change: fn(&mut Manifest)| bundle(&whole(), change, &signers);
    let failing: &'static str = Box::leak(failing.into_boxed_str());
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (
            plain(|manifest| manifest.epoch = 6),
            "epoch 6 is older than 7",
        ),
        (
            plain(|manifest| manifest.rules = 2),
            "the policy has 1 rules, the manifest says 2",
        ),
        (plain(|manifest| manifest.bundle = 2), "form 2 is not known"),
        (
            plain(|manifest| manifest.not_after = rfc3339(NOW - 1)),
            "the bundle was good until",
        ),
        (
            plain(|manifest| manifest.not_before = rfc3339(NOW + 1)),
            "the bundle may serve from",
        ),
        (
            plain(|manifest| manifest.file[1].sha256 = "0".repeat(64)),
            "`policy.csv` is not what was signed",
        ),
        (
            plain(|manifest| manifest.file.truncate(2)),
            "`tests/a.toml` is in the bundle and not in its manifest",
        ),
        (
            plain(|manifest| manifest.file.push(Listed::of("x", b""))),
            "`x` is not what was signed",
        ),
        (
            bundle(&with(1, (RULES, "p, clerk\n")), |_| (), &signers),
            "policy.csv:1:1: row has 1 fields",
        ),
        (
            bundle(&with(2, ("tests/a.toml", failing)), |_| (), &signers),
            "a test fails: tests/a.toml:1: reads: expected deny",
        ),
    ];
    for (bundle, expected) in cases {
        let refused = open(&bundle, &demands(&signers)).unwrap_err();
        assert!(
            refused[0].to_string().contains(expected),
            "{expected}: {}",
            refused[0]
        );
    }
}

#[test]
fn any_flipped_byte_is_refused() {
    let (li, chen) = (signer("li", 1), signer("chen", 2));
    let good = bundle(&whole(), |_| (), &[&li, &chen]);
    let known = demands(&[&li, &chen]);
    assert!(open(&good, &known).is_ok());
    for at in (0..good.len()).step_by(7) {
        let mut bad = good.clone();
        bad[at] ^= 4;
        assert!(open(&bad, &known).is_err(), "byte {at}");
    }
}
