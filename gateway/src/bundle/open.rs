//! Opening a bundle: every check, in an order in which nothing unsigned is believed.

use hangu_audit::key::{KeyKind, Verifier};
use hangu_audit::note::{Note, NoteError};
use hangu_policy::analysis::Coverage;
use hangu_policy::{Policy, Problem, Source};
use thiserror::Error;

use super::archive::{self, ArchiveError, Files};
use super::manifest::{Listed, Manifest, seconds, sha256};
use super::suite;

/// What a bundle must satisfy.
#[derive(Clone, Debug)]
pub(crate) struct Demands {
    /// Who may sign.
    pub(crate) keys: Vec<Verifier>,
    /// How many of them must have signed; 0 looks at no signature, for those who are about to sign.
    pub(crate) signatures: usize,
    /// The lowest epoch that is taken: that of the bundle that serves, or the next.
    pub(crate) epoch_min: u64,
    /// The time, in seconds since 1970.
    pub(crate) now: i64,
}

/// A bundle that satisfies what was demanded.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) manifest: Manifest,
    /// The digest of the manifest's text: it stands for the whole bundle.
    pub(crate) digest: String,
    pub(crate) policy: Policy,
    /// The names of the keys that signed.
    pub(crate) signers: Vec<String>,
    /// How many requests its tests asked.
    pub(crate) tests: usize,
}

/// Why a bundle is refused.
#[derive(Debug, Error)]
pub(crate) enum BundleError {
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    #[error("the bundle has no file `{0}`; make it anew with `hangu policy bundle`")]
    Missing(&'static str),
    #[error("`{0}` is not UTF-8; make the bundle anew")]
    NotText(String),
    #[error("the manifest cannot be read: {0}; make the bundle anew")]
    Manifest(String),
    #[error(
        "{signed} of {wanted} signatures are there ({names}); let one more of the keys sign with `hangu policy sign`"
    )]
    TooFewSignatures {
        signed: usize,
        wanted: usize,
        names: String,
    },
    #[error(transparent)]
    Signature(#[from] NoteError),
    #[error("`{0}` is not what was signed; fetch the bundle again")]
    Changed(String),
    #[error("`{0}` is in the bundle and not in its manifest; make the bundle anew")]
    Unlisted(String),
    #[error("epoch {found} is older than {wanted}; sign a bundle with a higher epoch")]
    Old { found: u64, wanted: u64 },
    #[error("the bundle may serve from {0} on; wait, or correct the clock")]
    Early(String),
    #[error("the bundle was good until {0}; sign a newer one")]
    Late(String),
    #[error("the policy has {found} rules, the manifest says {said}; make the bundle anew")]
    RuleCount { found: usize, said: usize },
    #[error("{0}")]
    Policy(Problem),
    #[error("a test fails: {0}; correct policy or test and make the bundle anew")]
    Test(String),
}

/// Opens a bundle.
///
/// # Errors
/// The first demand that is not met; all problems of a policy that does not load.
pub(crate) fn open(bytes: &[u8], demands: &Demands) -> Result<Opened, Vec<BundleError>> {
    let one = |error: BundleError| vec![error];
    let files = archive::read(bytes).map_err(|error| one(error.into()))?;
    let manifest_text = text(&files, MANIFEST).map_err(one)?;
    let signers = signers(&files, &manifest_text, demands).map_err(one)?;
    let manifest: Manifest = toml::from_str(&manifest_text)
        .map_err(|error| one(BundleError::Manifest(error.message().to_owned())))?;
    if manifest.bundle != FORM {
        let what = format!("form {} is not known, this is form {FORM}", manifest.bundle);
        return Err(one(BundleError::Manifest(what)));
    }
    check_files(&files, &manifest).map_err(one)?;
    check_time(&manifest, demands).map_err(one)?;
    let (model, rules) = (
        text(&files, MODEL).map_err(one)?,
        text(&files, RULES).map_err(one)?,
    );
    let (model, rules) = (
        Source {
            name: MODEL,
            text: &model,
        },
        Source {
            name: RULES,
            text: &rules,
        },
    );
    let policy = Policy::compile(model, rules).map_err(|problems| {
        problems
            .into_iter()
            .map(BundleError::Policy)
            .collect::<Vec<_>>()
    })?;
    if policy.rule_count() != manifest.rules {
        return Err(one(BundleError::RuleCount {
            found: policy.rule_count(),
            said: manifest.rules,
        }));
    }
    let tests = run_tests(&policy, &files, demands)?;
    Ok(Opened {
        digest: sha256(manifest_text.as_bytes()),
        manifest,
        policy,
        signers,
        tests,
    })
}

/// A file of the bundle as text.
pub(crate) fn text(files: &Files, name: &'static str) -> Result<String, BundleError> {
    let found = files.iter().find(|(known, _)| known == name);
    let (_, bytes) = found.ok_or(BundleError::Missing(name))?;
    String::from_utf8(bytes.clone()).map_err(|_| BundleError::NotText(name.to_owned()))
}

/// The keys that signed the manifest, enough of them.
fn signers(files: &Files, manifest: &str, demands: &Demands) -> Result<Vec<String>, BundleError> {
    if demands.signatures == 0 {
        return Ok(Vec::new());
    }
    let lines = text(files, SIGNATURES).unwrap_or_default();
    let too_few = |names: &[String]| BundleError::TooFewSignatures {
        signed: names.len(),
        wanted: demands.signatures,
        names: if names.is_empty() {
            "none".to_owned()
        } else {
            names.join(", ")
        },
    };
    if lines.is_empty() {
        return Err(too_few(&[]));
    }
    let note = Note::parse(&format!("{manifest}\n{lines}"))?;
    let signed = match note.verify(&demands.keys) {
        Ok(signed) => signed,
        Err(NoteError::Unsigned) => return Err(too_few(&[])),
        Err(error) => return Err(error.into()),
    };
    let mut keys: Vec<&Verifier> = Vec::new();
    let mut names = Vec::new();
    for one in signed.iter().filter(|one| one.kind == KeyKind::Note) {
        let key = demands.keys.iter().find(|key| *key.name() == one.name);
        // One key under two names is one person.
        if let Some(key) = key
            && !keys
                .iter()
                .any(|known| public_key(known) == public_key(key))
        {
            keys.push(key);
            names.push(one.name.to_string());
        }
    }
    if names.len() < demands.signatures {
        return Err(too_few(&names));
    }
    Ok(names)
}

/// The key itself, without its name and id.
fn public_key(key: &Verifier) -> Option<String> {
    key.to_string().splitn(3, '+').nth(2).map(str::to_owned)
}

fn check_files(files: &Files, manifest: &Manifest) -> Result<(), BundleError> {
    for (name, bytes) in files {
        if name == MANIFEST || name == SIGNATURES {
            continue;
        }
        let listed = manifest.file.iter().find(|listed| listed.name == *name);
        let listed = listed.ok_or_else(|| BundleError::Unlisted(name.clone()))?;
        if *listed != Listed::of(name, bytes) {
            return Err(BundleError::Changed(name.clone()));
        }
    }
    let is_there = |listed: &&Listed| files.iter().any(|(name, _)| *name == listed.name);
    match manifest.file.iter().find(|listed| !is_there(listed)) {
        Some(lost) => Err(BundleError::Changed(lost.name.clone())),
        None => Ok(()),
    }
}

fn check_time(manifest: &Manifest, demands: &Demands) -> Result<(), BundleError> {
    if manifest.epoch < demands.epoch_min {
        return Err(BundleError::Old {
            found: manifest.epoch,
            wanted: demands.epoch_min,
        });
    }
    let parsed = |time: &str| {
        seconds(time)
            .ok_or_else(|| BundleError::Manifest(format!("`{time}` is no time of RFC 3339")))
    };
    if demands.now < parsed(&manifest.not_before)? {
        return Err(BundleError::Early(manifest.not_before.clone()));
    }
    if demands.now > parsed(&manifest.not_after)? {
        return Err(BundleError::Late(manifest.not_after.clone()));
    }
    Ok(())
}

fn run_tests(policy: &Policy, files: &Files, demands: &Demands) -> Result<usize, Vec<BundleError>> {
    let mut coverage = Coverage::new(policy);
    let mut count = 0;
    for (name, bytes) in files.iter().filter(|(name, _)| name.starts_with(TESTS)) {
        let text =
            std::str::from_utf8(bytes).map_err(|_| vec![BundleError::NotText(name.clone())])?;
        let now = demands.now.checked_mul(1_000);
        let ran = suite::run(policy, (name, text), now, &mut coverage).map_err(|errors| {
            errors
                .into_iter()
                .map(BundleError::Test)
                .collect::<Vec<_>>()
        })?;
        count += ran.len();
        if let Some((ran, failure)) = ran
            .iter()
            .find_map(|ran| Some((ran, ran.failure.as_ref()?)))
        {
            let what = format!("{}: {}: {failure}", ran.place, ran.name);
            return Err(vec![BundleError::Test(what)]);
        }
    }
    Ok(count)
}

pub(crate) const FORM: u32 = 1;
pub(crate) const MANIFEST: &str = "manifest.toml";
pub(crate) const SIGNATURES: &str = "signatures";
pub(crate) const MODEL: &str = "model.conf";
pub(crate) const RULES: &str = "policy.csv";
pub(crate) const LABELS: &str = "labels.toml";
pub(crate) const TESTS: &str = "tests/";
