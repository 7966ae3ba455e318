//! The policy of a generation: from files that are believed, or from a bundle that is opened only as its signatures allow.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use hangu_audit::Basis;
use hangu_policy::{PartitionedPolicy, Problem, Source};
use ring::digest::{Context, SHA256};

use super::{LoadError, Loader, file_name, hex};
use crate::bundle::PolicyRefusal;
use crate::bundle::manifest::seconds;
use crate::bundle::newest::Newest;
use crate::bundle::open::{BundleError, Demands, Opened, Signed};
use crate::config::{self, Config, PolicyBundle, PolicySource};
use crate::layers::application::duties::Duties;
use crate::layers::application::hits::Hits;
use crate::layers::application::shadow::ShadowPolicy;
use crate::layers::endpoint::caller::Callers;
use crate::observe::metrics::Metrics;
use crate::snapshot::{BundleInForce, Snapshot};

/// A policy that may serve.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) policy: Arc<PartitionedPolicy>,
    /// What its rules demand besides; filled in by [`Loader::policy`].
    pub(super) duties: Arc<Duties>,
    /// Its counters; filled in by [`Loader::policy`].
    pub(super) hits: Arc<Hits>,
    /// A policy under trial; filled in by [`Loader::policy`].
    pub(super) shadow: Option<Arc<ShadowPolicy>>,
    /// Rules that its bundle brings to be tried, and until when.
    pub(super) tried: Option<(String, i64)>,
    /// Its model and rules, with rows from the directory.
    pub(super) texts: (String, String),
    /// Of its files or its manifest.
    pub(super) digest: String,
    /// The bundle that it came in.
    pub(super) bundle: Option<BundleInForce>,
    /// Digest of all that it was compiled from.
    pub(super) inputs: String,
}

impl Loaded {
    /// What records say of the generation that it serves in.
    pub(super) fn basis(&self, generation: u64) -> Arc<Basis> {
        Arc::new(Basis {
            config_generation: generation,
            policy_epoch: self.bundle.as_ref().map_or(0, |own| own.epoch),
            policy_generation: generation,
            policy_digest: self.digest.clone(),
        })
    }
}

impl Loader {
    /// Loads the policy. What is wrong with it is counted; the policy of `before` is taken over where it is the same.
    pub(super) fn policy(
        &mut self,
        config: &Config,
        callers: Option<&Callers>,
        before: Option<&Snapshot>,
        metrics: &Metrics,
    ) -> Option<Loaded> {
        let first = self.problems.len();
        let mut loaded = match &config.policy.source {
            PolicySource::Files { model, rules } => {
                self.policy_files((model, rules), config, callers, before)
            }
            PolicySource::Bundle(bundle) => self.policy_bundle(bundle, config, callers, before),
        };
        if let Some(loaded) = &mut loaded {
            loaded.duties = self.duties(config, loaded, before);
            loaded.hits = hits(loaded, before, self.now);
            loaded.shadow = self.shadow(config, callers, loaded, before);
            self.check_facts(config, &loaded.policy);
            self.check_clearances(config, &loaded.policy);
            if before.is_some() && loaded.policy.rule_count() == 0 {
                self.problems.push(LoadError::NoRules {
                    path: config.policy.source.rules().to_owned(),
                });
            }
        }
        let found = self.problems.iter().skip(first);
        let mut refusals: Vec<_> = found.map(LoadError::policy_refusal).collect();
        refusals.sort_unstable();
        refusals.dedup();
        metrics.policy.loaded(&refusals);
        loaded
    }

    fn policy_files(
        &mut self,
        (model, rules): (&Path, &Path),
        config: &Config,
        callers: Option<&Callers>,
        before: Option<&Snapshot>,
    ) -> Option<Loaded> {
        let (model_text, rules_text) = (self.text(model), self.text(rules));
        let (model_text, mut rules_text) = (model_text?, rules_text?);
        let digest = sha256(&[&model_text, "\0", &rules_text]);
        let mut rights = String::new();
        self.append_rights(config, callers?, &model_text, &mut rights)?;
        let inputs = sha256(&[&digest, &rights]);
        let same = before.filter(|before| {
            before.policy_inputs == inputs && before.config.policy.source == config.policy.source
        });
        rules_text.push_str(&rights);
        let policy = match same {
            Some(before) => Arc::clone(&before.policy),
            None => match compile(before, (model, &model_text), (rules, &rules_text)) {
                Ok(policy) => Arc::new(policy),
                Err(problems) => {
                    let problems = problems.into_iter().map(LoadError::Policy);
                    self.problems.extend(problems);
                    return None;
                }
            },
        };
        Some(Loaded {
            policy,
            duties: Arc::default(),
            hits: Arc::default(),
            shadow: None,
            tried: None,
            texts: (model_text, rules_text),
            digest,
            bundle: None,
            inputs,
        })
    }

    fn policy_bundle(
        &mut self,
        bundle: &PolicyBundle,
        config: &Config,
        callers: Option<&Callers>,
        before: Option<&Snapshot>,
    ) -> Option<Loaded> {
        let mut demands = match Demands::of_gateway(bundle, config, self.now) {
            Ok(demands) => demands,
            Err(error) => {
                self.problems.push(error.into());
                return None;
            }
        };
        let serving = before.and_then(|before| Some((before, before.bundle.as_ref()?)));
        if let Some((_, own)) = serving {
            demands.serving = Some(own.digest.clone());
            // The file may have been lost or put back meanwhile.
            if demands
                .newest
                .as_ref()
                .is_none_or(|newest| newest.epoch < own.epoch)
            {
                demands.newest = Some(own.newest());
            }
        }
        let bytes = self.bytes(&bundle.file)?;
        let loaded = Signed::read(&bytes, &demands)
            .and_then(|signed| Ok((signed.model()?, signed.rules()?, signed.shadow()?, signed)))
            .map_err(|error| vec![error]);
        let loaded = match loaded {
            Ok((model, rules, tried, signed)) => {
                let mut rights = String::new();
                self.append_rights(config, callers?, &model, &mut rights)?;
                let inputs = sha256(&[&signed.digest, &rights]);
                let same = serving.filter(|(before, _)| before.policy_inputs == inputs);
                let opened = match same {
                    Some((before, own)) => Ok((Arc::clone(&before.policy), own.clone())),
                    None => {
                        let before = before.map(|before| &*before.policy);
                        signed.compile(&rights, before).and_then(in_force)
                    }
                };
                opened.map(|(policy, own)| Loaded {
                    policy,
                    duties: Arc::default(),
                    hits: Arc::default(),
                    shadow: None,
                    tried,
                    texts: (model, [rules, rights].concat()),
                    digest: own.digest.clone(),
                    bundle: Some(own),
                    inputs,
                })
            }
            Err(errors) => Err(errors),
        };
        match loaded {
            Ok(loaded) => {
                let not_after = loaded.bundle.as_ref().map_or(0, |own| own.not_after);
                self.expires("bundle", &bundle.file, not_after);
                Some(loaded)
            }
            Err(errors) => {
                for error in errors {
                    let error = LoadError::Bundle {
                        path: bundle.file.clone(),
                        source: Box::new(error),
                    };
                    self.wrong(&bundle.file, error);
                }
                None
            }
        }
    }

    /// What the rules demand besides; each must be carried out by some application, or nobody could ever use its permits.
    fn duties(
        &mut self,
        config: &Config,
        loaded: &Loaded,
        before: Option<&Snapshot>,
    ) -> Arc<Duties> {
        let same = before.filter(|before| Arc::ptr_eq(&before.policy, &loaded.policy));
        let duties = match same {
            Some(before) => Ok(Arc::clone(&before.duties)),
            None => Duties::of_policy(&loaded.policy).map(Arc::new),
        };
        let path = || config.policy.source.rules().to_owned();
        match duties {
            Ok(duties) => {
                let applications = || config.applications.iter();
                let carried_out = |word: &str| {
                    applications().any(|own| own.obligations.iter().any(|known| **known == *word))
                };
                let lost: BTreeSet<&str> =
                    duties.told().filter(|word| !carried_out(word)).collect();
                self.problems
                    .extend(lost.iter().map(|word| LoadError::Obligation {
                        path: path(),
                        what: format!("a rule demands `{word}`, which no application carries out; add it to `obligations` of one that does, or correct the rule").into(),
                    }));
                duties
            }
            Err(error) => {
                self.problems.push(LoadError::Obligation {
                    path: path(),
                    what: error.to_string().into(),
                });
                Arc::default()
            }
        }
    }

    /// A fact that the gateway does not know would be empty, and `!= "…"` of nothing is true: such a model is refused.
    pub(super) fn check_facts(&mut self, config: &Config, policy: &PartitionedPolicy) {
        let contexts: Vec<_> = policy.contexts().collect();
        let named = config.applications.iter().filter_map(|application| {
            let context = application.policy_context?.get();
            (!contexts.contains(&usize::from(context))).then(|| LoadError::UnknownContext {
                path: config.policy.source.model().to_owned(),
                application: application.name.as_str().to_owned(),
                context,
            })
        });
        self.problems.extend(named);
        self.check_parameters(config, policy);
        if config.purpose.is_none() && policy.facts_read().any(|fact| fact == "purpose") {
            let what = "`r` names `purpose`, and no request can state one; add `[purpose]` to the configuration";
            let path = config.policy.source.model().to_owned();
            self.problems.push(LoadError::Unanswered(path, what.into()));
        }
        let mut unknown: Vec<&str> = policy
            .facts_read()
            .filter(|fact| !FACTS_KNOWN.contains(fact))
            .collect();
        unknown.sort_unstable();
        unknown.dedup();
        self.problems
            .extend(unknown.into_iter().map(|fact| LoadError::UnknownFact {
                path: config.policy.source.model().to_owned(),
                fact: fact.into(),
            }));
    }

    /// A parameter that no route has is never known: what reads it refuses everything.
    fn check_parameters(&mut self, config: &Config, policy: &PartitionedPolicy) {
        for context in policy.contexts() {
            let asked = |application: &&config::Application| {
                let own = application.policy_context.map_or(1, |own| own.get().into());
                own == context
            };
            let routes = config.applications.iter().filter(asked);
            let routes = routes.flat_map(|application| &application.routes);
            let known: BTreeSet<&str> = routes
                .flat_map(|route| route.prefix.parameters())
                .map(|parameter| &*parameter.name)
                .collect();
            // Nobody is judged in a context that no application asks.
            let is_asked = config.applications.iter().any(|own| asked(&own));
            let mut read = policy.attributes_read(context, "route");
            read.retain(|name| is_asked && !known.contains(name.as_str()));
            self.problems.extend(read.into_iter().map(|name| {
                let what = format!("a condition or the model reads `r.route.{name}`, and no route of an application that asks context {context} has such a parameter; correct the name, or give a route the segment `:{name}`");
                LoadError::Unanswered(config.policy.source.rules().to_owned(), what.into())
            }));
        }
    }

    /// A label that routes carry and nobody is cleared for is a mistake, unless the policy is empty and denies all anyway.
    fn check_clearances(&mut self, config: &Config, policy: &PartitionedPolicy) {
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
                    path: config.policy.source.rules().to_owned(),
                    label: label.to_owned(),
                }),
        );
    }
}

fn hits(loaded: &Loaded, before: Option<&Snapshot>, now: i64) -> Arc<Hits> {
    match before {
        Some(before) if Arc::ptr_eq(&before.policy, &loaded.policy) => Arc::clone(&before.hits),
        Some(before) => Arc::new(Hits::after(&loaded.policy, (&before.policy, &before.hits))),
        None => Arc::new(Hits::new(&loaded.policy, now)),
    }
}

fn in_force(opened: Opened) -> Result<(Arc<PartitionedPolicy>, BundleInForce), Vec<BundleError>> {
    let manifest = &opened.manifest;
    let not_after = seconds(&manifest.not_after).ok_or_else(|| {
        let what = format!("`{}` is no time of RFC 3339", manifest.not_after);
        vec![BundleError::Manifest(what)]
    })?;
    let own = BundleInForce {
        epoch: manifest.epoch,
        digest: opened.digest,
        not_after,
    };
    Ok((Arc::new(opened.policy), own))
}

impl BundleInForce {
    fn newest(&self) -> Newest {
        Newest {
            epoch: self.epoch,
            digest: Some(self.digest.clone()),
        }
    }
}

/// Remembers the bundle of a generation that is about to serve, so that no older one ever replaces it.
///
/// # Errors
/// When that cannot be written: then the generation must not serve.
pub fn remember(snapshot: &Snapshot, metrics: &Metrics) -> Result<(), Vec<LoadError>> {
    let (PolicySource::Bundle(config), Some(own)) =
        (&snapshot.config.policy.source, &snapshot.bundle)
    else {
        return Ok(());
    };
    own.newest().write(&config.state).map_err(|error| {
        metrics.policy.loaded(&[PolicyRefusal::State]);
        vec![error.into()]
    })
}

impl LoadError {
    /// What a problem that was found while the policy was loaded is counted as: by its kind, or else a file could not be read.
    fn policy_refusal(&self) -> PolicyRefusal {
        if let Self::Named { source, .. } = self {
            return source.policy_refusal();
        }
        if let Self::Bundle { source, .. } = self {
            return source.refusal();
        }
        let kinds = [
            (matches!(self, Self::Policy(_)), PolicyRefusal::Policy),
            (matches!(self, Self::NoRules { .. }), PolicyRefusal::Empty),
            (
                matches!(
                    self,
                    Self::UnknownFact { .. } | Self::UnknownContext { .. } | Self::Unanswered(..)
                ),
                PolicyRefusal::Fact,
            ),
            (
                matches!(self, Self::Obligation { .. }),
                PolicyRefusal::Obligation,
            ),
            (
                matches!(self, Self::LabelWithoutClearance { .. }),
                PolicyRefusal::Label,
            ),
            (
                matches!(self, Self::DirectoryRights { .. }),
                PolicyRefusal::Directory,
            ),
            (matches!(self, Self::Newest(_)), PolicyRefusal::State),
        ];
        let kind = kinds.iter().find(|(is, _)| *is);
        kind.map_or(PolicyRefusal::Unreadable, |(_, kind)| *kind)
    }
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
        compile(None, (&model, &model_text), (&rules, &rules_text)).err()
    };
    policy()
        .unwrap_or_default()
        .into_iter()
        .map(LoadError::Policy)
        .collect()
}

/// Compiles a model and its rules, each with its path and its text; what `before` has compiled already is taken from it.
fn compile(
    before: Option<&Snapshot>,
    model: (&Path, &str),
    rules: (&Path, &str),
) -> Result<PartitionedPolicy, Vec<Problem>> {
    let (model_name, rules_name) = (file_name(model.0), file_name(rules.0));
    let model = Source {
        name: &model_name,
        text: model.1,
    };
    let rules = Source {
        name: &rules_name,
        text: rules.1,
    };
    PartitionedPolicy::compile_after(before.map(|before| &*before.policy), model, rules)
}

/// The digest of some texts, one behind the other.
pub(super) fn sha256(texts: &[&str]) -> String {
    let mut context = Context::new(&SHA256);
    for text in texts {
        context.update(text.as_bytes());
    }
    hex(context.finish().as_ref())
}

/// What a request can be asked for by a model, by the policy's first name for it.
pub(super) const FACTS_KNOWN: &[&str] = &[
    "sub",
    "dom",
    "obj",
    "act",
    "label",
    "zone",
    "address",
    "application",
    "device",
    "purpose",
    "query",
    "route",
    "time",
];
