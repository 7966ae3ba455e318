//! The policy under trial of a generation.

use std::path::Path;
use std::sync::Arc;

use hangu_policy::{PartitionedPolicy, Source};

use super::policy::{Loaded, sha256};
use super::{LoadError, Loader, file_name};
use crate::bundle::BundleError;
use crate::bundle::open::{Demands, Signed};
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
        let shadow = config.policy.shadow.as_ref()?;
        let mut texts = self.shadow_texts(shadow, config, in_force)?;
        if texts.extra.is_none() {
            let mut rights = String::new();
            self.append_rights(config, callers?, &texts.model.text, &mut rights)?;
            texts.rules.text.push_str(&rights);
        }
        let Texts { model, rules, .. } = &texts;
        let inputs = sha256(&[&model.text, "\0", &rules.text, "\0", &rules.name]);
        self.expires("shadow", shadow.source.file(), shadow.expires);
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
            Err(problems) => {
                let problems = problems.into_iter().map(LoadError::Policy);
                self.problems.extend(problems);
                return None;
            }
        };
        self.check_facts(config, &policy);
        Some(Arc::new(ShadowPolicy {
            policy,
            name: texts.name.unwrap_or_else(|| inputs.clone()).into(),
            expires: shadow.expires,
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
        let (model, rules) = &in_force.texts;
        let own_model = || Named {
            name: file_name(config.policy.source.model()),
            text: model.clone(),
        };
        match &shadow.source {
            ShadowSource::Files { model, rules } => Some(Texts {
                model: match model {
                    Some(path) => self.named(path)?,
                    None => own_model(),
                },
                rules: self.named(rules)?,
                name: None,
                extra: None,
            }),
            ShadowSource::Extra(path) => {
                let extra = self.named(path)?;
                let mut both = rules.clone();
                if !both.ends_with('\n') {
                    both.push('\n');
                }
                let lines = both.matches('\n').count();
                both.push_str(&extra.text);
                Some(Texts {
                    model: own_model(),
                    rules: Named {
                        name: file_name(config.policy.source.rules()),
                        text: both,
                    },
                    name: None,
                    extra: Some((extra.name, lines)),
                })
            }
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
