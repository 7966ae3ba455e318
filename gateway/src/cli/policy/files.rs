//! The files that every tool reads: a model and a policy.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::num::NonZeroU8;
use std::path::{Path, PathBuf};

use clap::Args;
use hangu_policy::{Policy, RBAC_WITH_DOMAINS, Source, bounds};

use super::request::now_unix_ms;
use crate::config;
use crate::snapshot::directory_rights;

/// A model and a policy, as given on the command line.
#[derive(Clone, Debug, Args)]
pub(super) struct PolicyFiles {
    /// The Casbin model; without it the one that Hangu ships: roles in organisations, path patterns, deny wins
    #[arg(long, value_name = "FILE")]
    pub(super) model: Option<PathBuf>,
    /// The Casbin policy: rules and roles, CSV
    #[arg(long, value_name = "FILE")]
    pub(super) policy: PathBuf,
}

/// Both, read.
#[derive(Clone, Debug)]
pub(super) struct Texts {
    pub(super) model_name: String,
    pub(super) model: String,
    pub(super) rules_name: String,
    pub(super) rules: String,
    /// A directory whose rows stand behind the file's own.
    pub(super) directory: Option<DirectoryRows>,
    /// Which context decides for each application, where a configuration says so.
    pub(super) contexts: Option<BTreeMap<String, Option<NonZeroU8>>>,
}

/// Rows that a directory adds.
#[derive(Clone, Debug)]
pub(super) struct DirectoryRows {
    /// The directory's name.
    pub(super) file: String,
    /// The line of the first of them behind the rules.
    pub(super) first: usize,
    /// Where each of them comes from: lines of the directory.
    pub(super) lines: Vec<usize>,
}

/// How files are called in what is printed.
#[derive(Clone, Copy, Debug)]
pub(super) enum Naming {
    /// As on the command line: to be clicked on and opened.
    AsGiven,
    /// By their last name alone, as the gateway does.
    LastName,
}

impl PolicyFiles {
    /// Reads both files.
    pub(super) fn read(&self, naming: Naming) -> Result<Texts, Vec<String>> {
        let (model_name, model) = match &self.model {
            Some(path) => (
                name(path, naming),
                read_bounded(path, bounds::MODEL_BYTES_MAX)?,
            ),
            None => (SHIPPED.to_owned(), RBAC_WITH_DOMAINS.to_owned()),
        };
        Ok(Texts {
            model_name,
            model,
            rules_name: name(&self.policy, naming),
            rules: read_bounded(&self.policy, bounds::RULES_BYTES_MAX)?,
            directory: None,
            contexts: None,
        })
    }
}

impl Texts {
    /// With the roles and clearances that the directory of a configuration gives people, as its gateway adds them.
    pub(super) fn with_directory(mut self, config: Option<&Path>) -> Result<Self, Vec<String>> {
        let Some(path) = config else {
            return Ok(self);
        };
        let config = config::load(path).map_err(|errors| lines(errors.problems()))?;
        let now = now_unix_ms().unwrap_or_default() / 1_000;
        let (rows, from) =
            directory_rights(&config, &self.model, now).map_err(|errors| lines(&errors))?;
        let applications = config.applications.iter();
        let contexts = applications.map(|application| {
            let context = application.policy_context;
            (application.name.as_str().to_owned(), context)
        });
        self.contexts = Some(contexts.collect());
        if let Some(directory) = config.identity.directory.filter(|_| !rows.is_empty()) {
            if !self.rules.ends_with('\n') {
                self.rules.push('\n');
            }
            let first = self.rules.matches('\n').count() + 1;
            self.rules.push_str(rows.trim_start_matches('\n'));
            self.directory = Some(DirectoryRows {
                file: directory.display().to_string(),
                first,
                lines: from,
            });
        }
        Ok(self)
    }

    /// The context that decides for an application: the one that was named, else the one of the configuration, else none is
    /// said.
    pub(super) fn context_of(
        &self,
        application: &str,
        named: Option<usize>,
    ) -> Result<Option<usize>, Vec<String>> {
        let (None, Some(contexts)) = (named, &self.contexts) else {
            return Ok(named);
        };
        let found = contexts.get(application);
        let number = |context: &Option<NonZeroU8>| context.map(|number| number.get().into());
        found.map(number).ok_or_else(|| {
            vec![format!(
                "`{application}` is no application of the configuration; say with --context which context decides for it"
            )]
        })
    }

    pub(super) fn model(&self) -> Source<'_> {
        Source {
            name: &self.model_name,
            text: &self.model,
        }
    }

    pub(super) fn rules(&self) -> Source<'_> {
        Source {
            name: &self.rules_name,
            text: &self.rules,
        }
    }

    /// Compiles for requests as the gateway makes them: the names of the model's `r` must be ones that it knows.
    pub(super) fn compile_named(&self) -> Result<Policy, Vec<String>> {
        Policy::compile(self.model(), self.rules()).map_err(|problems| lines(&problems))
    }

    /// Compiles for requests whose arguments come in the model's order, whatever they are called.
    pub(super) fn compile(&self) -> Result<Policy, Vec<String>> {
        Policy::compile_positional(self.model(), self.rules()).map_err(|problems| lines(&problems))
    }
}

/// Each problem as one line.
pub(super) fn lines(problems: &[impl ToString]) -> Vec<String> {
    problems.iter().map(ToString::to_string).collect()
}

/// A whole text file of at most so many bytes.
pub(super) fn read_bounded(path: &Path, bytes_max: usize) -> Result<String, Vec<String>> {
    let refused = |what: &dyn std::fmt::Display, fix: &str| {
        vec![format!("{}: {what}; {fix}", path.display())]
    };
    let file =
        File::open(path).map_err(|error| refused(&error, "name a file that you may read"))?;
    let mut bytes = Vec::new();
    let room = u64::try_from(bytes_max)
        .unwrap_or(u64::MAX)
        .saturating_add(1);
    file.take(room)
        .read_to_end(&mut bytes)
        .map_err(|error| refused(&error, "name a file that you may read"))?;
    if bytes.len() > bytes_max {
        let what = format!("the file is larger than {bytes_max} bytes");
        return Err(refused(&what, "split it"));
    }
    String::from_utf8(bytes).map_err(|error| {
        let line = error
            .as_bytes()
            .iter()
            .take(error.utf8_error().valid_up_to())
            .filter(|byte| **byte == b'\n')
            .count();
        let what = format!("line {} is not UTF-8", line + 1);
        refused(&what, "save the file as UTF-8")
    })
}

fn name(path: &Path, naming: Naming) -> String {
    let last = path
        .file_name()
        .filter(|_| matches!(naming, Naming::LastName));
    match last {
        Some(last) => last.to_string_lossy().into_owned(),
        None => path.display().to_string(),
    }
}

/// What the shipped model is called where no file was named.
const SHIPPED: &str = "the shipped model";
