//! The casbin enforcer as an oracle: what Rust casbin itself answers, to compare our compiled answers with.
//!
//! For tests and `hangu policy check --oracle` only: it walks every row through a script interpreter and panics on
//! input that it does not like. Here a panic is an error like any other, and nothing it says permits a request.

use casbin::rhai::serde::to_dynamic;
use casbin::{CoreApi, DefaultModel, EnforceContext, Enforcer, StringAdapter};
use serde::Serialize;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use thiserror::Error;

/// A casbin enforcer with its model and policy loaded.
pub struct Oracle {
    enforcer: Enforcer,
}

/// What casbin answers instead of yes or no.
#[derive(Debug, Error)]
pub enum OracleError {
    /// It could not load the model or the policy.
    #[error("casbin cannot load the model or the policy: {0}; compare with a model that it ships")]
    Load(#[source] casbin::Error),
    /// It could not decide.
    #[error("casbin cannot decide: {0}; look at the matcher and the request")]
    Decide(#[source] casbin::Error),
    /// It panicked.
    #[error("casbin panicked; look for patterns or addresses that it cannot read")]
    Panic,
    /// There is no runtime to load with.
    #[error("no runtime for casbin: {0}; free some threads or file handles")]
    Runtime(#[source] std::io::Error),
}

impl Oracle {
    /// Loads a model and a policy, both as text.
    ///
    /// # Errors
    /// When casbin returns an error or panics.
    pub fn new(model: &str, policy: &str) -> Result<Self, OracleError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .map_err(OracleError::Runtime)?;
        let load = async {
            let model = DefaultModel::from_str(model).await?;
            Enforcer::new(model, StringAdapter::new(policy)).await
        };
        match catch_unwind(AssertUnwindSafe(|| runtime.block_on(load))) {
            Ok(Ok(enforcer)) => Ok(Self { enforcer }),
            Ok(Err(error)) => Err(OracleError::Load(error)),
            Err(_) => Err(OracleError::Panic),
        }
    }

    /// What casbin decides for arguments in the order of the model's `r`.
    ///
    /// # Errors
    /// When casbin returns an error or panics: the right answer is then to deny.
    pub fn decide(&self, arguments: &[&str]) -> Result<bool, OracleError> {
        let arguments: Vec<String> = arguments.iter().map(|a| (*a).to_owned()).collect();
        match catch_unwind(AssertUnwindSafe(|| self.enforcer.enforce(arguments))) {
            Ok(Ok(permitted)) => Ok(permitted),
            Ok(Err(error)) => Err(OracleError::Decide(error)),
            Err(_) => Err(OracleError::Panic),
        }
    }

    /// What casbin decides with `r, p, e, m` for context 1, `r2, p2, e2, m2` for 2, and so on; an argument may be an object
    /// of attributes.
    ///
    /// # Errors
    /// As [`Self::decide`].
    pub fn decide_values<T: Serialize>(
        &self,
        context: usize,
        arguments: &[T],
    ) -> Result<bool, OracleError> {
        let decide = || {
            let values: Result<Vec<_>, _> = arguments.iter().map(to_dynamic).collect();
            let values = values.map_err(casbin::Error::from)?;
            if context == 1 {
                self.enforcer.enforce(values)
            } else {
                let context = EnforceContext::new(&context.to_string());
                self.enforcer.enforce_with_context(context, values)
            }
        };
        match catch_unwind(AssertUnwindSafe(decide)) {
            Ok(Ok(permitted)) => Ok(permitted),
            Ok(Err(error)) => Err(OracleError::Decide(error)),
            Err(_) => Err(OracleError::Panic),
        }
    }
}

impl fmt::Debug for Oracle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Oracle").finish_non_exhaustive()
    }
}
