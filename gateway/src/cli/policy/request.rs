//! A request, as it is given on the command line.

use std::time::{SystemTime, UNIX_EPOCH};

use clap::Args;

use crate::bundle::known::Known;

/// What a request is besides its method and path.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct Facts {
    /// Organisation whose data are asked for
    #[arg(long, value_name = "NAME")]
    pub(super) domain: Option<String>,
    /// Any other argument of the model's `r`, such as `zone=office`; may be given several times
    #[arg(long = "set", value_name = "NAME=VALUE")]
    pub(super) others: Vec<String>,
    /// When it is asked, in milliseconds since 1970; now, if left out
    #[arg(long, value_name = "MS")]
    pub(super) time_unix_ms: Option<i64>,
}

impl Facts {
    /// All facts by name, `sub`, `dom`, `obj` and `act` among them.
    pub(super) fn with(
        &self,
        subject: &str,
        method: &str,
        path: &str,
    ) -> Result<Known, Vec<String>> {
        let mut known = Known::default();
        for (name, value) in [("sub", subject), ("obj", path), ("act", method)] {
            known.add(name, value);
        }
        known.add("dom", self.domain.as_deref().unwrap_or_default());
        for other in &self.others {
            let Some((name, value)) = other.split_once('=') else {
                return Err(vec![format!(
                    "`--set {other}`: there is no `=`; write for example `--set zone=office`"
                )]);
            };
            known.add(name, value);
        }
        Ok(known)
    }

    /// When it is asked.
    pub(super) fn time(&self) -> Option<i64> {
        self.time_unix_ms.or_else(now_unix_ms)
    }
}

/// Milliseconds since 1970.
pub(super) fn now_unix_ms() -> Option<i64> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
    i64::try_from(now.as_millis()).ok()
}
