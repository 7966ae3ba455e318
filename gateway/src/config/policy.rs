//! `[policy]` as it is meant: where the policy comes from, and what is tried beside it.

use std::path::{Path, PathBuf};

use hangu_audit::key::Verifier;

/// `[policy]`: where the policy comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Its files.
    pub source: PolicySource,
    /// A policy under trial.
    pub shadow: Option<Shadow>,
}

/// `[policy.shadow]`: a policy under trial.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shadow {
    /// Its files.
    pub source: ShadowSource,
    /// Until when it is asked, in seconds since 1970.
    pub expires: i64,
}

/// The files of a policy under trial.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ShadowSource {
    /// A whole policy.
    Files {
        /// Its model; that of the policy in force, if it has none of its own.
        model: Option<PathBuf>,
        /// Its rules.
        rules: PathBuf,
    },
    /// The policy in force, with these rules behind its own.
    Extra(PathBuf),
    /// A bundle, signed as that of the policy in force.
    Bundle(PathBuf),
}

impl ShadowSource {
    /// The file that it is called by.
    #[must_use]
    pub fn file(&self) -> &Path {
        match self {
            Self::Files { rules: file, .. } | Self::Extra(file) | Self::Bundle(file) => file,
        }
    }

    /// Every file that is read.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        let model = match self {
            Self::Files { model, .. } => model.as_deref(),
            Self::Extra(_) | Self::Bundle(_) => None,
        };
        model.into_iter().chain([self.file()])
    }
}

/// The files of a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PolicySource {
    /// A model and rules, believed as they are.
    Files {
        /// Casbin model.
        model: PathBuf,
        /// Casbin rules, CSV.
        rules: PathBuf,
    },
    /// A signed bundle.
    Bundle(PolicyBundle),
}

impl PolicySource {
    /// The file whose rules these are, for what is to be said of them.
    #[must_use]
    pub fn rules(&self) -> &Path {
        match self {
            Self::Files { rules, .. } => rules,
            Self::Bundle(bundle) => &bundle.file,
        }
    }

    /// The file whose model it is.
    #[must_use]
    pub fn model(&self) -> &Path {
        match self {
            Self::Files { model, .. } => model,
            Self::Bundle(bundle) => &bundle.file,
        }
    }

    /// Every file that is read.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        match self {
            Self::Files { model, rules } => [Some(&**model), Some(&**rules)],
            Self::Bundle(bundle) => [Some(&*bundle.file), None],
        }
        .into_iter()
        .flatten()
    }
}

/// A bundle and what it must satisfy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyBundle {
    /// The bundle.
    pub file: PathBuf,
    /// Who may sign; at least as many different keys as must.
    pub keys: Vec<Verifier>,
    /// How many different keys must have signed, 1 to 32.
    pub signatures: usize,
    /// Remembers the newest bundle that was taken; may not exist yet.
    pub state: PathBuf,
}
