//! `hangu policy bundle`, `sign` and `verify`: one file with all that a gateway needs to take a policy, signed by as many
//! people as the gateway's operator wants to have agreed.
//!
//! A bundle is a tar file: model, rules, labels, tests, and a manifest with the digest of each, the epoch and the time
//! in which it may serve. Signatures are made over the manifest's text in the format of signed notes (C2SP), the same
//! as those of the audit log, and are kept beside it: signing changes nothing that was signed.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use clap::Args;
use hangu_audit::key::{KeyKind, KeyName, Signer, Verifier};
use hangu_policy::bounds;
use ring::rand::{SecureRandom, SystemRandom};
use serde_json::json;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::files::{Naming, PolicyFiles, read_bounded};
use super::test::TEST_BYTES_MAX;
use super::{Done, Outcome, print_json};
use crate::bundle::archive::{self, Files};
use crate::bundle::manifest::{Listed, Manifest, seconds};
use crate::bundle::newest::Newest;
use crate::bundle::open::{
    self, Demands, FORM, LABELS, MANIFEST, MODEL, Opened, RULES, SHADOW, SIGNATURES, TESTS, open,
    text,
};
use crate::cli::{complain, say};
use crate::config::{self, PolicySource};

#[derive(Debug, Args)]
#[command(after_help = "Example:
  hangu policy bundle --policy policy.csv --tests tests/clerks.toml --epoch 7 --days 90 --out policy-7.bundle
  tar tf policy-7.bundle

The policy must load and its tests must pass. Then let people sign it with `hangu policy sign`.")]
pub(in crate::cli) struct BundleOptions {
    #[command(flatten)]
    files: PolicyFiles,
    /// Files of tests; they are run now, and by every gateway that takes the bundle
    #[arg(long, value_name = "FILE", num_args = 1..)]
    tests: Vec<PathBuf>,
    /// File with the labels that the policy is for: `order = ["public", …]`, the lowest first
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,
    /// Rules to be tried behind the policy's own: decided, counted and recorded, and binding nobody
    #[arg(long, value_name = "FILE", requires = "shadow_expires")]
    shadow: Option<PathBuf>,
    /// Until when they are tried, such as `2027-01-31T00:00:00Z`
    #[arg(long, value_name = "TIME", requires = "shadow")]
    shadow_expires: Option<String>,
    /// Number of this bundle: higher than that of the one before
    #[arg(long, value_name = "N")]
    epoch: u64,
    /// From when it may serve, such as `2027-01-31T00:00:00Z`; now, if left out
    #[arg(long, value_name = "TIME")]
    not_before: Option<String>,
    /// For how many days from then
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=3660))]
    days: u16,
    /// Where to write the bundle
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:
  hangu policy sign --make-key li.security.example --key li.key > li.pub       # once for each person
  hangu policy sign --key li.key policy-7.bundle

What is signed is opened first: the policy must load, its tests must pass.")]
pub(in crate::cli) struct SignOptions {
    /// The bundle; its signature is added to it
    #[arg(required_unless_present = "make_key")]
    bundle: Option<PathBuf>,
    /// File of the secret key
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// Make a key of this name, write it to --key, and print its public half
    #[arg(long, value_name = "NAME", conflicts_with = "bundle")]
    make_key: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:
  cat li.pub chen.pub > signers
  hangu policy verify --keys signers --signatures 2 --epoch-min 7 policy-7.bundle
  hangu policy verify --config /etc/hangu/hangu.toml policy-7.bundle      # as that gateway demands it

Exit code: 0 when a gateway would take the bundle, 1 when it would refuse it, 2 when a file cannot be read.")]
pub(in crate::cli) struct VerifyOptions {
    /// The bundle
    bundle: PathBuf,
    /// File of public keys, one a line, `#` for comments
    #[arg(long, value_name = "FILE", required_unless_present = "config")]
    keys: Option<PathBuf>,
    /// Configuration of a gateway: its keys, signatures, labels and newest bundle count
    #[arg(long, value_name = "FILE", conflicts_with_all = ["keys", "signatures", "epoch_min"])]
    config: Option<PathBuf>,
    /// How many different keys must have signed
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=32))]
    signatures: u16,
    /// The lowest epoch that is taken
    #[arg(long, value_name = "N", default_value_t = 0)]
    epoch_min: u64,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Makes a bundle without signatures.
pub(super) fn make(options: &BundleOptions) -> Done {
    let texts = options.files.read(Naming::LastName)?;
    let policy = texts.compile_named()?;
    let mut files: Files = vec![
        (MODEL.to_owned(), texts.model.into_bytes()),
        (RULES.to_owned(), texts.rules.into_bytes()),
    ];
    if let Some(path) = &options.labels {
        files.push((
            LABELS.to_owned(),
            read_bounded(path, TEST_BYTES_MAX)?.into_bytes(),
        ));
    }
    for path in &options.tests {
        let last = path.file_name().unwrap_or_default().to_string_lossy();
        let text = read_bounded(path, TEST_BYTES_MAX)?;
        files.push((format!("{TESTS}{last}"), text.into_bytes()));
    }
    if let Some(path) = &options.shadow {
        let text = read_bounded(path, bounds::RULES_BYTES_MAX)?;
        files.push((SHADOW.to_owned(), text.into_bytes()));
    }
    let not_before = options.not_before.as_deref().map(time).transpose()?;
    let not_before = not_before.unwrap_or_else(now);
    let shadow_expires = options.shadow_expires.as_deref().map(time).transpose()?;
    let manifest = Manifest {
        bundle: FORM,
        epoch: options.epoch,
        not_before: written(not_before)?,
        not_after: written(not_before.saturating_add(i64::from(options.days) * SECONDS_A_DAY))?,
        rules: policy.rule_count(),
        shadow_expires: shadow_expires.map(written).transpose()?,
        file: files
            .iter()
            .map(|(name, bytes)| Listed::of(name, bytes))
            .collect(),
    };
    let manifest = manifest
        .to_text()
        .map_err(|error| vec![error.to_string()])?;
    files.insert(0, (MANIFEST.to_owned(), manifest.into_bytes()));
    let archive = archive::write(&files).map_err(|error| vec![error.to_string()])?;
    let demands = Demands {
        now: not_before,
        ..Demands::default()
    };
    let opened = open(&archive, &demands).map_err(|errors| words(&options.out, &errors))?;
    replace(&options.out, &archive)?;
    if options.json {
        print_json(&as_json(&options.out, &opened, None))?;
    } else {
        say(told(&options.out, &opened));
    }
    if opened.policy.rule_count() == 0 {
        complain("warning: the bundle has no rules; a gateway that serves it permits nothing");
    }
    if opened.tests == 0 {
        complain("warning: the bundle has no tests; give them with --tests");
    }
    Ok(Outcome::Clean)
}

/// Seconds since 1970 of a time as people write it.
fn time(written: &str) -> Result<i64, Vec<String>> {
    seconds(written).ok_or_else(|| {
        vec![format!(
            "`{written}` is no time; write it as `2027-01-31T00:00:00Z`"
        )]
    })
}

/// Adds a signature, or makes a key.
pub(super) fn sign(options: &SignOptions) -> Done {
    let Some(path) = &options.bundle else {
        let name = options.make_key.as_deref().unwrap_or_default();
        return make_key(name, &options.key, options.json);
    };
    let key = read_bounded(&options.key, KEY_BYTES_MAX)?;
    let signer = Signer::parse(key.trim()).map_err(|error| words(&options.key, &[error]))?;
    if signer.verifier().kind() != KeyKind::Note {
        return Err(words(
            &options.key,
            &["this key signs checkpoints, not bundles; make one with --make-key"],
        ));
    }
    let archive = read_bundle(path)?;
    let mut files = archive::read(&archive).map_err(|error| words(path, &[error]))?;
    let manifest = text(&files, MANIFEST).map_err(|error| words(path, &[error]))?;
    let opened = look(&archive, &manifest).map_err(|errors| words(path, &errors))?;
    let line = signer.sign(&manifest, 0).to_string();
    let mut lines = text(&files, SIGNATURES).unwrap_or_default();
    if lines.lines().any(|known| known == line) {
        if options.json {
            print_json(&as_json(path, &opened, Some(&signer)))?;
        } else {
            say(format_args!(
                "{}: already signed by `{}`",
                path.display(),
                signer.verifier().name()
            ));
        }
        return Ok(Outcome::Clean);
    }
    lines.push_str(&line);
    lines.push('\n');
    files.retain(|(name, _)| name != SIGNATURES);
    files.push((SIGNATURES.to_owned(), lines.into_bytes()));
    let signed = archive::write(&files).map_err(|error| words(path, &[error]))?;
    replace(path, &signed)?;
    if options.json {
        print_json(&as_json(path, &opened, Some(&signer)))?;
    } else {
        say(told(path, &opened));
        say(format_args!("signed by `{}`", signer.verifier().name()));
    }
    Ok(Outcome::Clean)
}

/// Opens a bundle that is about to be signed, at the time from which it may serve.
fn look(archive: &[u8], manifest: &str) -> Result<Opened, Vec<open::BundleError>> {
    let starts = toml::from_str::<Manifest>(manifest).ok();
    let starts = starts.and_then(|manifest| seconds(&manifest.not_before));
    let demands = Demands {
        now: starts.unwrap_or_default().max(now()),
        ..Demands::default()
    };
    open(archive, &demands)
}

fn make_key(name: &str, path: &Path, json: bool) -> Done {
    let name = KeyName::new(name).map_err(|error| vec![error.to_string()])?;
    let mut seed = [0; 32];
    SystemRandom::new()
        .fill(&mut seed)
        .map_err(|_| vec!["the system gives no random bytes; try again".to_owned()])?;
    let signer = Signer::from_seed(name.clone(), KeyKind::Note, &seed)
        .map_err(|error| vec![error.to_string()])?;
    let public = signer.verifier().to_string();
    let id = public.split('+').nth(1).unwrap_or_default().to_owned();
    let secret = format!("PRIVATE+KEY+{name}+{id}+{}\n", encode_seed(&seed));
    let mut file = OpenOptions::new();
    file.write(true).create_new(true).mode(0o600);
    let written = file
        .open(path)
        .and_then(|mut file| file.write_all(secret.as_bytes()));
    written.map_err(|error| words(path, &[error]))?;
    if json {
        print_json(&json!({"name": name.to_string(), "public": public}))?;
    } else {
        say(public);
    }
    Ok(Outcome::Clean)
}

/// The type of the key and its seed in base 64.
fn encode_seed(seed: &[u8; 32]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    // 33 bytes: eleven groups of three, no padding.
    let bytes: Vec<u8> = std::iter::once(1).chain(seed.iter().copied()).collect();
    let groups = bytes.chunks(3).map(|group| {
        group
            .iter()
            .fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte))
    });
    groups
        .flat_map(|bits| [18, 12, 6, 0].map(|shift| (bits >> shift & 63) as usize))
        .filter_map(|digit| DIGITS.get(digit).copied().map(char::from))
        .collect()
}

/// Does what a gateway does before it takes a bundle.
pub(super) fn verify(options: &VerifyOptions) -> Done {
    let demands = match &options.config {
        Some(config) => of_gateway(config)?,
        None => of_command_line(options)?,
    };
    let archive = read_bundle(&options.bundle)?;
    match open(&archive, &demands) {
        Ok(opened) => {
            if options.json {
                print_json(&json!({
                            "good": true,
                            "epoch": opened.manifest.epoch,
                            "digest": opened.digest,
                            "rules": opened.policy.rule_count(),
                            "tests": opened.tests,
                            "signers": opened.signers,
                            "not_before": opened.manifest.not_before,
                            "not_after": opened.manifest.not_after,
                "shadow_expires": opened.manifest.shadow_expires,
                        }))?;
            } else {
                say(told(&options.bundle, &opened));
                say(format_args!("signed by {}", opened.signers.join(", ")));
            }
            Ok(Outcome::Clean)
        }
        Err(errors) => {
            let errors = words(&options.bundle, &errors);
            if options.json {
                print_json(&json!({"good": false, "refused_because": errors}))?;
            } else {
                errors.iter().for_each(say);
            }
            Ok(Outcome::Found)
        }
    }
}

/// What a gateway of this configuration demands.
fn of_gateway(file: &Path) -> Result<Demands, Vec<String>> {
    let config = config::load(file).map_err(|errors| {
        let problems = errors.problems().iter();
        problems.map(ToString::to_string).collect::<Vec<_>>()
    })?;
    match &config.policy.source {
        PolicySource::Bundle(bundle) => {
            Demands::of_gateway(bundle, &config, now()).map_err(|error| vec![error.to_string()])
        }
        PolicySource::Files { .. } => Err(words(
            file,
            &["it names no `bundle` in `[policy]`; name one there, or give --keys"],
        )),
    }
}

fn of_command_line(options: &VerifyOptions) -> Result<Demands, Vec<String>> {
    let path = options.keys.as_deref().unwrap_or(Path::new(""));
    let keys = read_bounded(path, KEY_BYTES_MAX)?;
    let lines = keys
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    let keys: Vec<Verifier> = lines
        .map(|line| Verifier::parse(line).map_err(|error| words(path, &[error])))
        .collect::<Result<_, _>>()?;
    Ok(Demands {
        keys,
        signatures: usize::from(options.signatures),
        newest: Some(Newest {
            epoch: options.epoch_min,
            digest: None,
        }),
        now: now(),
        ..Demands::default()
    })
}

/// What a bundle is, for machines.
fn as_json(path: &Path, opened: &Opened, signer: Option<&Signer>) -> serde_json::Value {
    json!({
        "bundle": path.display().to_string(),
        "epoch": opened.manifest.epoch,
        "digest": opened.digest,
        "rules": opened.policy.rule_count(),
        "tests": opened.tests,
        "not_before": opened.manifest.not_before,
        "not_after": opened.manifest.not_after,
        "signed_by": signer.map(|signer| signer.verifier().name().to_string()),
    })
}

/// What a bundle is, in one line.
fn told(path: &Path, opened: &Opened) -> String {
    let Manifest {
        epoch,
        not_before,
        not_after,
        ..
    } = &opened.manifest;
    let rules = opened.policy.rule_count();
    format!(
        "{}: epoch {epoch}, {rules} rules, {} tests passed, good from {not_before} to {not_after}, digest {}",
        path.display(),
        opened.tests,
        opened.digest
    )
}

fn read_bundle(path: &Path) -> Result<Vec<u8>, Vec<String>> {
    let size = fs::metadata(path)
        .map_err(|error| words(path, &[error]))?
        .len();
    let most = bounds::RULES_BYTES_MAX as u64 * 2;
    if size > most {
        return Err(words(
            path,
            &[format!("it is larger than {most} bytes; it is no bundle")],
        ));
    }
    fs::read(path).map_err(|error| words(path, &[error]))
}

/// Writes a whole file or none.
fn replace(path: &Path, bytes: &[u8]) -> Result<(), Vec<String>> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let beside = path.with_file_name(name);
    let written = fs::write(&beside, bytes).and_then(|()| fs::rename(&beside, path));
    written.map_err(|error| words(path, &[error]))
}

/// Each error with the file before it.
fn words(path: &Path, errors: &[impl std::fmt::Display]) -> Vec<String> {
    errors
        .iter()
        .map(|error| format!("{}: {error}", path.display()))
        .collect()
}

fn now() -> i64 {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(now.as_secs()).unwrap_or(i64::MAX)
}

fn written(seconds: i64) -> Result<String, Vec<String>> {
    OffsetDateTime::from_unix_timestamp(seconds)
        .ok()
        .and_then(|time| time.format(&Rfc3339).ok())
        .ok_or_else(|| vec!["the time is beyond the year 9999; name an earlier one".to_owned()])
}

const SECONDS_A_DAY: i64 = 24 * 60 * 60;
const KEY_BYTES_MAX: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_is_made_can_be_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("li.key");
        make_key("li.example", &path, false).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        let signer = Signer::parse(text.trim()).unwrap();
        assert_eq!(signer.verifier().name().as_str(), "li.example");
        assert!(
            make_key("li.example", &path, false).is_err(),
            "a key is never written over"
        );
    }
}
