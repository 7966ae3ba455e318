//! The policy under trial of a generation.

use std::path::Path;
use std::sync::Arc;

use hangu_policy::{PartitionedPolicy, Source};
use tracing::warn;

use super::policy::{Loaded, sha256};
use super::{LoadError, Loader, file_name};
use crate::bundle::BundleError;
use crate::bundle::open::{Demands, MODEL, RULES, SHADOW, Signed, append};
use crate::config::{Config, PolicySource, Shadow, ShadowSource};
use crate::layers::application::shadow::ShadowPolicy;
use crate::layers::endpoint::caller::Callers;
use crate::snapshot::Snapshot;

/// What a policy under trial is compiled from.
struct Texts {
    model: Named,
    rules: Named,
    /// What records call it, if not by its digest.
    name: Option<String>,
    extra: Option<(String, usize)>,
}

/// A text and the name that problems and records give it.
struct Named {
    name: String,
    text: String,
}

impl Named {
    fn source(&self) -> Source<'_> {
        Source {
            name: &self.name,
            text: &self.text,
        }
    }
}

/// What a file of the policy in force is called: in a bundle each has one name.
fn name_in_force(config: &Config, in_bundle: &str, path: &Path) -> String {
    match &config.policy.source {
        PolicySource::Bundle(_) => in_bundle.to_owned(),
        PolicySource::Files { .. } => file_name(path),
    }
}

fn own_model(config: &Config, in_force: &Loaded) -> Named {
    Named {
        name: name_in_force(config, MODEL, config.policy.source.model()),
        text: in_force.texts.0.clone(),
    }
}

/// The policy in force with some rules behind it.
fn with_extra(config: &Config, in_force: &Loaded, extra: Named) -> Texts {
    let mut both = in_force.texts.1.clone();
    let lines = append(&mut both, &extra.text);
    Texts {
        model: own_model(config, in_force),
        rules: Named {
            name: name_in_force(config, RULES, config.policy.source.rules()),
            text: both,
        },
        name: None,
        extra: Some((extra.name, lines)),
    }
}

impl Loader {
    /// Loads the policy under trial beside the one in force; what has expired is loaded too, so that it is good when its time is
    /// set anew.
    pub(super) fn shadow(
        &mut self,
        config: &Config,
        callers: Option<&Callers>,
        in_force: &Loaded,
        before: Option<&Snapshot>,
    ) -> Option<Arc<ShadowPolicy>> {
        let bundle = config.policy.source.rules();
        let (mut texts, file, expires) = match (&config.policy.shadow, &in_force.tried) {
            (Some(shadow), tried) => {
                if tried.is_some() {
                    warn!("`[policy.shadow]` is tried, and the bundle's own `shadow.csv` is not");
                }
                let texts = self.shadow_texts(shadow, config, in_force)?;
                (texts, shadow.source.file(), shadow.expires)
            }
            (None, Some((tried, expires))) => {
                let tried = Named {
                    name: SHADOW.to_owned(),
                    text: tried.clone(),
                };
                (with_extra(config, in_force, tried), bundle, *expires)
            }
            (None, None) => return None,
        };
        if texts.extra.is_none() {
            let mut rights = String::new();
            self.append_rights(config, callers?, &texts.model.text, &mut rights)?;
            texts.rules.text.push_str(&rights);
        }
        let Texts { model, rules, .. } = &texts;
        let inputs = sha256(&[&model.text, "\0", &rules.text, "\0", &rules.name]);
        self.expires("shadow", file, expires);
        let before = before.and_then(|before| before.shadow.as_ref());
        let compiled = match before.filter(|before| before.inputs == inputs) {
            Some(same) => Ok(Arc::clone(&same.policy)),
            None => {
                let before = before.map(|before| &*before.policy);
                PartitionedPolicy::compile_after(before, model.source(), rules.source())
                    .map(Arc::new)
            }
        };
        let policy = match compiled {
            Ok(policy) => policy,
            Err(mut problems) => {
                if let Some((file, before)) = &texts.extra {
                    for problem in problems.iter_mut().filter(|found| found.line > *before) {
                        file.clone_into(&mut problem.file);
                        problem.line -= before;
                    }
                }
                let problems = problems.into_iter().map(LoadError::Policy);
                self.problems.extend(problems);
                return None;
            }
        };
        self.check_facts(config, &policy);
        Some(Arc::new(ShadowPolicy {
            policy,
            name: texts.name.unwrap_or_else(|| inputs.clone()).into(),
            expires,
            inputs,
            extra: texts.extra,
        }))
    }

    fn shadow_texts(
        &mut self,
        shadow: &Shadow,
        config: &Config,
        in_force: &Loaded,
    ) -> Option<Texts> {
        match &shadow.source {
            ShadowSource::Files { model, rules } => Some(Texts {
                model: match model {
                    Some(path) => self.named(path)?,
                    None => own_model(config, in_force),
                },
                rules: self.named(rules)?,
                name: None,
                extra: None,
            }),
            ShadowSource::Extra(path) => Some(with_extra(config, in_force, self.named(path)?)),
            ShadowSource::Bundle(path) => self.shadow_bundle(path, config),
        }
    }

    fn named(&mut self, path: &Path) -> Option<Named> {
        Some(Named {
            name: file_name(path),
            text: self.text(path)?,
        })
    }

    fn shadow_bundle(&mut self, path: &Path, config: &Config) -> Option<Texts> {
        let PolicySource::Bundle(signers) = &config.policy.source else {
            return None;
        };
        let labels = config.labels.iter().map(|label| label.as_str().to_owned());
        let demands = Demands {
            keys: signers.keys.clone(),
            signatures: signers.signatures,
            trial: true,
            labels: Some(labels.collect()),
            now: self.now,
            ..Demands::default()
        };
        let bytes = self.bytes(path)?;
        let read = || -> Result<Texts, BundleError> {
            let signed = Signed::read(&bytes, &demands)?;
            let named = |name: &str, text| Named {
                name: name.to_owned(),
                text,
            };
            Ok(Texts {
                model: named("model.conf", signed.model()?),
                rules: named("policy.csv", signed.rules()?),
                name: Some(format!("epoch {}", signed.manifest.epoch)),
                extra: None,
            })
        };
        match read() {
            Ok(texts) => Some(texts),
            Err(source) => {
                let error = LoadError::Bundle {
                    path: path.to_owned(),
                    source: Box::new(source),
                };
                self.wrong(path, error);
                None
            }
        }
    }
}
