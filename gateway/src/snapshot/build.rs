//! Building a generation: every file read, checked and cross-checked, every problem reported at once.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use hangu_certs::{CrlError, DirectoryError, ServerCertificateError, TrustError};
use hangu_limits::{Rate, RateError};
use hangu_policy::{Policy, Source};
use ring::digest::{SHA256, digest};

use self::places::Places;
use super::{ApplicationState, Expiry, ListenerState, Rates, Snapshot};
use crate::config::{self, Application, Config};
use crate::layers::cloud::peer::PeerSettings;
use crate::layers::cloud::upstreams::Upstreams;
use crate::layers::endpoint::caller::Callers;
use crate::layers::network::zones::ZoneTable;
use crate::observe::metrics::Metrics;

mod callers;
mod listener;
mod places;
mod upstream_tls;

/// One thing wrong with what the configuration names. Shown as one line: where, what, how to fix.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// Of the configuration file.
    #[error(transparent)]
    Config(#[from] config::Problem),
    /// What is wrong with a file, at the place that names it.
    #[error("{}:{line}:{column}: {source}", file.display())]
    Named {
        /// The configuration file.
        file: PathBuf,
        /// Counted from 1.
        line: usize,
        /// Counted in characters from 1.
        column: usize,
        /// What is wrong.
        source: Box<LoadError>,
    },
    /// Of the model or the rules.
    #[error(transparent)]
    Policy(#[from] hangu_policy::Problem),
    /// Of a client CA or upstream CA.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// Of a revocation list.
    #[error(transparent)]
    Crl(#[from] CrlError),
    /// Of a server certificate.
    #[error(transparent)]
    ServerCertificate(#[from] ServerCertificateError),
    /// Of the directory.
    #[error("{0}")]
    Directory(#[from] DirectoryError),
    /// The directory gives roles or clearance that the policy cannot take.
    #[error("directory `{}`: {what}", path.display())]
    DirectoryRights {
        /// The directory.
        path: PathBuf,
        /// What is wrong, and how to mend it.
        what: Box<str>,
    },
    /// A file cannot be read.
    #[error("{}: cannot be read: {source}; let the gateway's user read it", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A file is larger than any of its kind should be.
    #[error("{}: holds {bytes} bytes, more than {FILE_BYTES_MAX}; is it the right file", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its length.
        bytes: u64,
    },
    /// A model or rules file is not UTF-8.
    #[error("{}: is not UTF-8; save it as UTF-8", path.display())]
    NotUtf8 {
        /// The file.
        path: PathBuf,
    },
    /// The certificate that we show to an upstream cannot be used.
    #[error("{}: cannot be used as a client certificate: {why}; give a PEM chain, leaf first, and its key", path.display())]
    UpstreamClient {
        /// The chain.
        path: PathBuf,
        /// What is wrong.
        why: Box<str>,
    },
    /// TLS could not be set up.
    #[error(
        "listener `{listener}`: TLS cannot be set up: {source}; check `tls_min` and the certificates"
    )]
    Tls {
        /// The listener.
        listener: String,
        /// Why.
        #[source]
        source: rustls::Error,
    },
    /// A rate that cannot be counted.
    #[error("`limits.{which}`: {source}; choose a shorter `per` or a smaller `burst`")]
    Rate {
        /// `identity` or `source`.
        which: &'static str,
        /// Why.
        #[source]
        source: RateError,
    },
    /// A setting of the process changed at a reload.
    #[error("{}: {what} cannot change while the gateway runs; put it back, or restart or upgrade the gateway", file.display())]
    Fixed {
        /// The configuration file.
        file: PathBuf,
        /// Which setting.
        what: Box<str>,
    },
    /// The policy knows no rule any more.
    #[error("{}: has no rule, and a running gateway does not reload to deny everybody; restart it to do that on purpose", path.display())]
    NoRules {
        /// The rules file.
        path: PathBuf,
    },
    /// The model asks for something about a request that the gateway cannot tell.
    #[error("{}: `r` names `{fact}`, which the gateway does not know of a request; known are {}", path.display(), FACTS_KNOWN.join(", "))]
    UnknownFact {
        /// The model file.
        path: PathBuf,
        /// The name.
        fact: Box<str>,
    },
    /// The policy clears nobody for a label in use.
    #[error("{}: gives nobody clearance for the label `{label}`, so the routes that carry it serve nobody; add a row such as `g2, ROLE, {label}`", path.display())]
    LabelWithoutClearance {
        /// The rules file.
        path: PathBuf,
        /// The label.
        label: String,
    },
}

/// Builds generation `generation` from `config` at `now` (seconds since 1970). Health of upstreams and free handshake slots
/// carry over from `before`.
///
/// # Errors
/// Everything that is wrong.
pub fn build(
    config: Config,
    generation: u64,
    before: Option<&Snapshot>,
    metrics: &Metrics,
    now: i64,
) -> Result<Snapshot, Vec<LoadError>> {
    let mut loader = Loader {
        places: Places::of(&config.file),
        now,
        problems: Vec::new(),
        expiries: Vec::new(),
    };
    let listeners: Vec<_> = config
        .listeners
        .iter()
        .enumerate()
        .map(|(index, listener)| {
            let last = before.and_then(|before| before.listeners.get(index));
            let last = last.map(|state| &*state.revocation);
            loader.listener(listener, &config.applications, last)
        })
        .collect();
    let applications: Vec<_> = config
        .applications
        .iter()
        .map(|application| loader.application(&config, application, before, metrics))
        .collect();
    let callers = loader.callers(&config);
    let policy = loader.policy(&config, callers.as_ref());
    let rates = loader.rates(&config);
    if let (Some((policy, _)), Some(_)) = (&policy, before)
        && policy.rule_count() == 0
    {
        loader.problems.push(LoadError::NoRules {
            path: config.policy.rules.clone(),
        });
    }
    let listeners: Option<Vec<ListenerState>> = listeners.into_iter().collect();
    let applications: Option<Vec<ApplicationState>> = applications.into_iter().collect();
    let (Some(listeners), Some(applications), Some((policy, policy_digest)), Some(callers), true) = (
        listeners,
        applications,
        policy,
        callers,
        loader.problems.is_empty(),
    ) else {
        return Err(loader.problems);
    };
    Ok(Snapshot {
        generation,
        listeners,
        applications,
        zones: zone_table(&config),
        policy,
        rates,
        callers,
        basis: Arc::new(hangu_audit::Basis {
            config_generation: generation,
            policy_epoch: 0,
            policy_generation: generation,
            policy_digest,
        }),
        expiries: loader.expiries,
        decision_seconds: metrics.decision_seconds.clone(),
        config,
    })
}

/// What is wrong with the policy that a configuration names, however wrong the configuration is itself: who repairs both wants one
/// round. Empty where the policy cannot be found or read; the configuration's own problems say that.
#[must_use]
pub fn policy_problems(file: &Path) -> Vec<LoadError> {
    let policy = || {
        let table: toml::Table = std::fs::read_to_string(file).ok()?.parse().ok()?;
        let folder = file.parent()?;
        let named = |key| Some(folder.join(table.get("policy")?.get(key)?.as_str()?));
        let (model, rules) = (named("model")?, named("rules")?);
        let texts = (
            std::fs::read_to_string(&model),
            std::fs::read_to_string(&rules),
        );
        let (Ok(model_text), Ok(rules_text)) = texts else {
            return None;
        };
        compile((&model, &model_text), (&rules, &rules_text)).err()
    };
    policy()
        .unwrap_or_default()
        .into_iter()
        .map(LoadError::Policy)
        .collect()
}

/// Compiles a model and its rules, each with its path and its text.
fn compile(
    model: (&Path, &str),
    rules: (&Path, &str),
) -> Result<Policy, Vec<hangu_policy::Problem>> {
    let (model_name, rules_name) = (file_name(model.0), file_name(rules.0));
    let model = Source {
        name: &model_name,
        text: model.1,
    };
    let rules = Source {
        name: &rules_name,
        text: rules.1,
    };
    Policy::compile(model, rules)
}

/// Reads files and remembers what was wrong with them.
struct Loader {
    places: Places,
    now: i64,
    problems: Vec<LoadError>,
    expiries: Vec<Expiry>,
}

impl Loader {
    fn application(
        &mut self,
        config: &Config,
        application: &Application,
        before: Option<&Snapshot>,
        metrics: &Metrics,
    ) -> Option<ApplicationState> {
        let tls = match &application.upstream_tls {
            Some(tls) => Some(self.upstream_tls(tls)?),
            None => None,
        };
        let addresses: Vec<_> = application
            .upstreams
            .iter()
            .map(|upstream| upstream.address)
            .collect();
        let known = before.and_then(|before| before.upstreams_of(application.name.as_str()));
        let label = |id| {
            config
                .label(id)
                .map_or_else(String::new, |label| label.as_str().to_owned())
        };
        let target = |route: &config::Route| {
            Arc::new(hangu_audit::Target {
                application: application.name.as_str().to_owned(),
                tenant: application.tenant.as_str().to_owned(),
                route: route.prefix.as_str().to_owned(),
                label: label(route.label),
            })
        };
        Some(ApplicationState {
            upstreams: Upstreams::new(&addresses, application.balance, application.health, known),
            peer_settings: PeerSettings::new(application, tls),
            metrics: metrics.application(application.name.as_str()),
            targets: application.routes.iter().map(target).collect(),
            reserved_headers: application
                .headers
                .iter()
                .map(|rule| rule.name.clone())
                .collect(),
        })
    }

    fn policy(&mut self, config: &Config, callers: Option<&Callers>) -> Option<(Policy, String)> {
        let model = self.text(&config.policy.model);
        let rules = self.text(&config.policy.rules);
        let (model, mut rules) = (model?, rules?);
        let digest = hex(digest(&SHA256, format!("{model}\0{rules}").as_bytes()).as_ref());
        self.append_rights(config, callers?, &model, &mut rules)?;
        match compile(
            (&config.policy.model, &model),
            (&config.policy.rules, &rules),
        ) {
            Ok(policy) => {
                self.check_facts(config, &policy);
                self.check_clearances(config, &policy);
                Some((policy, digest))
            }
            Err(problems) => {
                self.problems
                    .extend(problems.into_iter().map(LoadError::Policy));
                None
            }
        }
    }

    /// A fact that the gateway does not know would be empty, and `!= "…"` of nothing is true: such a model is refused.
    fn check_facts(&mut self, config: &Config, policy: &Policy) {
        let mut unknown: Vec<&str> = policy
            .facts_read()
            .filter(|fact| !FACTS_KNOWN.contains(fact))
            .collect();
        unknown.sort_unstable();
        unknown.dedup();
        self.problems
            .extend(unknown.into_iter().map(|fact| LoadError::UnknownFact {
                path: config.policy.model.clone(),
                fact: fact.into(),
            }));
    }

    /// A label that routes carry and nobody is cleared for is a mistake, unless the policy is empty and denies all anyway.
    fn check_clearances(&mut self, config: &Config, policy: &Policy) {
        if policy.rule_count() == 0 {
            return;
        }
        let used = config
            .applications
            .iter()
            .flat_map(|application| application.routes.iter().map(|route| route.label));
        let mut missing: Vec<&str> = used
            .filter_map(|id| config.label(id))
            .map(config::Name::as_str)
            .filter(|label| !policy.clearance_labels().any(|cleared| cleared == *label))
            .collect();
        missing.sort_unstable();
        missing.dedup();
        self.problems.extend(
            missing
                .into_iter()
                .map(|label| LoadError::LabelWithoutClearance {
                    path: config.policy.rules.clone(),
                    label: label.to_owned(),
                }),
        );
    }

    fn rates(&mut self, config: &Config) -> Rates {
        Rates {
            identity: self.rate("identity", config.limits.identity),
            source: self.rate("source", config.limits.source),
        }
    }

    fn rate(&mut self, which: &'static str, rate: Option<config::Rate>) -> Option<Rate> {
        let rate = rate?;
        match Rate::new(rate.requests, rate.per, rate.burst) {
            Ok(rate) => Some(rate),
            Err(source) => {
                self.problems.push(LoadError::Rate { which, source });
                None
            }
        }
    }

    fn text(&mut self, path: &Path) -> Option<String> {
        let bytes = self.bytes(path)?;
        match String::from_utf8(bytes) {
            Ok(text) => Some(text),
            Err(_) => {
                self.wrong(
                    path,
                    LoadError::NotUtf8 {
                        path: path.to_owned(),
                    },
                );
                None
            }
        }
    }

    fn bytes(&mut self, path: &Path) -> Option<Vec<u8>> {
        let read = std::fs::metadata(path).and_then(|meta| match meta.len() {
            bytes if bytes > FILE_BYTES_MAX => Ok(Err(bytes)),
            _ => std::fs::read(path).map(Ok),
        });
        match read {
            Ok(Ok(bytes)) => Some(bytes),
            Ok(Err(bytes)) => {
                self.wrong(
                    path,
                    LoadError::TooLarge {
                        path: path.to_owned(),
                        bytes,
                    },
                );
                None
            }
            Err(source) => {
                self.wrong(
                    path,
                    LoadError::Read {
                        path: path.to_owned(),
                        source,
                    },
                );
                None
            }
        }
    }

    /// Notes what is wrong with a file.
    fn wrong(&mut self, path: &Path, error: LoadError) {
        self.problems.push(self.places.tell(path, error));
    }

    fn expires(&mut self, kind: &'static str, name: &Path, at: i64) {
        self.expiries.push(Expiry {
            kind,
            name: name.display().to_string(),
            listener: String::new(),
            at,
        });
    }
}

fn zone_table(config: &Config) -> ZoneTable {
    let numbered: Vec<_> = config.numbered_zones().collect();
    ZoneTable::new(&numbered)
}

/// The name of a file without its folders: what errors and metrics call it.
fn file_name(path: &Path) -> String {
    path.file_name().map_or_else(
        || path.display().to_string(),
        |name| name.to_string_lossy().into_owned(),
    )
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What a request can be asked for by a model, by the policy's first name for it.
const FACTS_KNOWN: &[&str] = &[
    "sub",
    "dom",
    "obj",
    "act",
    "label",
    "zone",
    "address",
    "application",
    "device",
];
/// A revocation list of a million entries has about 40 MB, a policy of a million rules about 60.
const FILE_BYTES_MAX: u64 = 512 * 1024 * 1024;
