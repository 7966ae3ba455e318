//! Opening a bundle: every check, in an order in which nothing unsigned is believed.

use hangu_audit::key::{KeyKind, Verifier};
use hangu_audit::note::{Note, NoteError};
use hangu_policy::analysis::Coverage;
use hangu_policy::{PartitionedPolicy, Policy, Problem, Source};
use thiserror::Error;

use super::archive::{self, ArchiveError, Files};
use super::labels::{self, LabelsError};
use super::manifest::{Listed, Manifest, seconds, sha256};
use super::newest::{Newest, NewestError};
use super::refusal::PolicyRefusal;
use super::suite;
use crate::config::{Config, PolicyBundle};

/// What a bundle must satisfy.
#[derive(Clone, Debug, Default)]
pub(crate) struct Demands {
    /// Who may sign.
    pub(crate) keys: Vec<Verifier>,
    /// How many of them must have signed; 0 looks at no signature, for those who are about to sign.
    pub(crate) signatures: usize,
    /// The newest bundle so far: no older one is taken, and no other one of its epoch.
    pub(crate) newest: Option<Newest>,
    /// The digest of the bundle that serves: it serves on beyond its end.
    pub(crate) serving: Option<String>,
    /// Whether the bundle is only tried, whenever that is.
    pub(crate) trial: bool,
    /// The labels of the gateway, the lowest first; `None` holds a bundle's labels against nothing.
    pub(crate) labels: Option<Vec<String>>,
    /// The time, in seconds since 1970.
    pub(crate) now: i64,
}

impl Demands {
    /// What a gateway of this configuration demands, before it serves anything.
    ///
    /// # Errors
    /// When its newest bundle cannot be read.
    pub(crate) fn of_gateway(
        bundle: &PolicyBundle,
        config: &Config,
        now: i64,
    ) -> Result<Self, NewestError> {
        let labels = config.labels.iter().map(|label| label.as_str().to_owned());
        Ok(Self {
            keys: bundle.keys.clone(),
            signatures: bundle.signatures,
            newest: Newest::read(&bundle.state)?,
            serving: None,
            trial: false,
            labels: Some(labels.collect()),
            now,
        })
    }
}

/// A bundle whose signatures, files, epoch and times are as demanded; its policy has not been looked at.
#[derive(Debug)]
pub(crate) struct Signed {
    pub(crate) manifest: Manifest,
    /// The digest of the manifest's text: it stands for the whole bundle.
    pub(crate) digest: String,
    /// The names of the keys that signed.
    pub(crate) signers: Vec<String>,
    files: Files,
    now: i64,
}

/// A bundle that satisfies what was demanded.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) manifest: Manifest,
    /// The digest of the manifest's text: it stands for the whole bundle.
    pub(crate) digest: String,
    pub(crate) policy: PartitionedPolicy,
    /// The names of the keys that signed.
    pub(crate) signers: Vec<String>,
    /// How many requests its tests asked.
    pub(crate) tests: usize,
}

/// Why a bundle is refused.
#[derive(Debug, Error)]
pub enum BundleError {
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
    #[error(
        "epoch {epoch} was taken already with the digest {taken}, and this bundle has {found}; sign it with a higher epoch"
    )]
    Other {
        epoch: u64,
        taken: String,
        found: String,
    },
    #[error(transparent)]
    Labels(#[from] LabelsError),
    #[error("the bundle may serve from {0} on; wait, or correct the clock")]
    Early(String),
    #[error("the bundle was good until {0}; sign a newer one")]
    Late(String),
    #[error("the policy has {found} rules, the manifest says {said}; make the bundle anew")]
    RuleCount { found: usize, said: usize },
    #[error("{0}")]
    Policy(Problem),
    #[error(
        "the rules of `shadow.csv` are to be tried, and the manifest does not say until when; make the bundle anew with `--shadow-expires`"
    )]
    Endless,
    #[error("a test fails: {0}; correct policy or test and make the bundle anew")]
    Test(String),
}

impl BundleError {
    /// What it is counted as.
    pub(crate) fn refusal(&self) -> PolicyRefusal {
        match self {
            Self::Archive(_)
            | Self::Missing(_)
            | Self::NotText(_)
            | Self::Manifest(_)
            | Self::Endless => PolicyRefusal::Damaged,
            Self::TooFewSignatures { .. } | Self::Signature(_) => PolicyRefusal::Signature,
            Self::Changed(_) | Self::Unlisted(_) => PolicyRefusal::Changed,
            Self::Old { .. } | Self::Other { .. } => PolicyRefusal::Epoch,
            Self::Early(_) => PolicyRefusal::Early,
            Self::Late(_) => PolicyRefusal::Late,
            Self::RuleCount { .. } => PolicyRefusal::RuleCount,
            Self::Policy(_) => PolicyRefusal::Policy,
            Self::Labels(_) => PolicyRefusal::Label,
            Self::Test(_) => PolicyRefusal::Test,
        }
    }
}

/// Opens a bundle.
///
/// # Errors
/// The first demand that is not met; all problems of a policy that does not load.
pub(crate) fn open(bytes: &[u8], demands: &Demands) -> Result<Opened, Vec<BundleError>> {
    let signed = Signed::read(bytes, demands).map_err(|error| vec![error])?;
    signed.check_shadow()?;
    signed.compile("", None)
}

/// Puts rules behind others; gives how many lines stand before them.
pub(crate) fn append(rules: &mut String, tried: &str) -> usize {
    if !rules.ends_with('\n') {
        rules.push('\n');
    }
    let before = rules.matches('\n').count();
    rules.push_str(tried);
    before
}

impl Signed {
    /// Reads a bundle and holds everything but its policy against what is demanded.
    ///
    /// # Errors
    /// The first demand that is not met.
    pub(crate) fn read(bytes: &[u8], demands: &Demands) -> Result<Self, BundleError> {
        let files = archive::read(bytes)?;
        let manifest_text = text(&files, MANIFEST)?;
        let signers = signers(&files, &manifest_text, demands)?;
        let manifest: Manifest = toml::from_str(&manifest_text)
            .map_err(|error| BundleError::Manifest(error.message().to_owned()))?;
        if manifest.bundle != FORM {
            let what = format!("form {} is not known, this is form {FORM}", manifest.bundle);
            return Err(BundleError::Manifest(what));
        }
        check_files(&files, &manifest)?;
        let digest = sha256(manifest_text.as_bytes());
        check_epoch(&manifest, &digest, demands)?;
        check_time(&manifest, &digest, demands)?;
        if files.iter().any(|(name, _)| name == LABELS) {
            labels::check(&text(&files, LABELS)?, demands.labels.as_deref())?;
        }
        Ok(Self {
            manifest,
            digest,
            signers,
            files,
            now: demands.now,
        })
    }

    /// Its model.
    ///
    /// # Errors
    /// When there is none, or it is not UTF-8.
    pub(crate) fn model(&self) -> Result<String, BundleError> {
        text(&self.files, MODEL)
    }

    /// Its rules.
    ///
    /// # Errors
    /// When there are none, or they are not UTF-8.
    pub(crate) fn rules(&self) -> Result<String, BundleError> {
        text(&self.files, RULES)
    }

    /// The rules that it brings to be tried, and until when, in seconds since 1970.
    ///
    /// # Errors
    /// When only one of both is there, or either cannot be read.
    pub(crate) fn shadow(&self) -> Result<Option<(String, i64)>, BundleError> {
        let is_there = self.files.iter().any(|(name, _)| name == SHADOW);
        match &self.manifest.shadow_expires {
            None if is_there => Err(BundleError::Endless),
            None => Ok(None),
            Some(time) => {
                let wrong = || BundleError::Manifest(format!("`{time}` is no time of RFC 3339"));
                let expires = seconds(time).ok_or_else(wrong)?;
                Ok(Some((text(&self.files, SHADOW)?, expires)))
            }
        }
    }

    /// Whether the rules that it brings to be tried load, behind its own.
    fn check_shadow(&self) -> Result<(), Vec<BundleError>> {
        let one = |error: BundleError| vec![error];
        let Some((tried, _)) = self.shadow().map_err(one)? else {
            return Ok(());
        };
        let (model, mut rules) = (self.model().map_err(one)?, self.rules().map_err(one)?);
        let before = append(&mut rules, &tried);
        let (model, rules) = sources(&model, &rules);
        let done = Policy::compile(model, rules);
        done.map(drop).map_err(|mut problems| {
            for problem in &mut problems {
                if problem.file == RULES && problem.line > before {
                    SHADOW.clone_into(&mut problem.file);
                    problem.line -= before;
                }
            }
            refused(problems)
        })
    }

    /// Compiles its policy and runs its tests. `rights` are rows of a gateway's own that are added to the rules; the tests
    /// are about the bundle alone. What `before` has compiled already is taken from it.
    ///
    /// # Errors
    /// All problems of a policy that does not load; the first test that fails.
    pub(crate) fn compile(
        self,
        rights: &str,
        before: Option<&PartitionedPolicy>,
    ) -> Result<Opened, Vec<BundleError>> {
        let one = |error: BundleError| vec![error];
        let model = text(&self.files, MODEL).map_err(one)?;
        let mut rules = text(&self.files, RULES).map_err(one)?;
        let tests = run_tests(&model, &rules, &self.files, self.now)?;
        rules.push_str(rights);
        let (model, rules) = sources(&model, &rules);
        let policy = PartitionedPolicy::compile_after(before, model, rules).map_err(refused)?;
        if policy.rule_count() != self.manifest.rules {
            return Err(one(BundleError::RuleCount {
                found: policy.rule_count(),
                said: self.manifest.rules,
            }));
        }
        Ok(Opened {
            manifest: self.manifest,
            digest: self.digest,
            policy,
            signers: self.signers,
            tests,
        })
    }
}

fn sources<'a>(model: &'a str, rules: &'a str) -> (Source<'a>, Source<'a>) {
    let source = |name, text| Source { name, text };
    (source(MODEL, model), source(RULES, rules))
}

fn refused(problems: Vec<Problem>) -> Vec<BundleError> {
    problems.into_iter().map(BundleError::Policy).collect()
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
                .any(|known| known.public_key() == key.public_key())
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

fn check_epoch(manifest: &Manifest, digest: &str, demands: &Demands) -> Result<(), BundleError> {
    let Some(newest) = &demands.newest else {
        return Ok(());
    };
    if manifest.epoch < newest.epoch {
        return Err(BundleError::Old {
            found: manifest.epoch,
            wanted: newest.epoch,
        });
    }
    match &newest.digest {
        Some(taken) if manifest.epoch == newest.epoch && taken != digest => {
            Err(BundleError::Other {
                epoch: manifest.epoch,
                taken: taken.clone(),
                found: digest.to_owned(),
            })
        }
        Some(_) | None => Ok(()),
    }
}

fn check_time(manifest: &Manifest, digest: &str, demands: &Demands) -> Result<(), BundleError> {
    if demands.trial {
        return Ok(());
    }
    let parsed = |time: &str| {
        seconds(time)
            .ok_or_else(|| BundleError::Manifest(format!("`{time}` is no time of RFC 3339")))
    };
    if demands.now < parsed(&manifest.not_before)? {
        return Err(BundleError::Early(manifest.not_before.clone()));
    }
    let serves = demands.serving.as_deref() == Some(digest);
    if demands.now > parsed(&manifest.not_after)? && !serves {
        return Err(BundleError::Late(manifest.not_after.clone()));
    }
    Ok(())
}

fn run_tests(model: &str, rules: &str, files: &Files, now: i64) -> Result<usize, Vec<BundleError>> {
    if !files.iter().any(|(name, _)| name.starts_with(TESTS)) {
        return Ok(0);
    }
    let (model, rules) = sources(model, rules);
    let policy = Policy::compile(model, rules).map_err(refused)?;
    let mut coverage = Coverage::new(&policy);
    let mut count = 0;
    for (name, bytes) in files.iter().filter(|(name, _)| name.starts_with(TESTS)) {
        let text =
            std::str::from_utf8(bytes).map_err(|_| vec![BundleError::NotText(name.clone())])?;
        let now = now.checked_mul(1_000);
        let ran = suite::run(&policy, (name, text), now, &mut coverage).map_err(|errors| {
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
/// Rules that are tried.
pub(crate) const SHADOW: &str = "shadow.csv";
pub(crate) const LABELS: &str = "labels.toml";
pub(crate) const TESTS: &str = "tests/";
