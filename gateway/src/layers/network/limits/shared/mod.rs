//! Limits that several gateways hold together, counted in Redis or Valkey.
//!
//! A shared limit is asked here first, at its full rate: what one gateway alone must refuse never reaches the server, and neither does
//! what the server has just refused. What is left is asked there, within a hard deadline. When no answer comes in time, the fallback
//! that the operator has stated decides at once; after a few such failures nobody waits any more until the server answers again.

mod client;
mod script;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwapOption;
use hangu_limits::{Blank, Nanos};

use self::client::Client;
pub(super) use self::script::Answer;
use super::counts::{RateCount, SharedCount};
use crate::config;
use crate::observe::limits::SharedMetrics;

/// The one server that the limits of this process are shared by, if any.
#[derive(Debug, Default)]
pub struct SharedLimits {
    client: ArcSwapOption<Client>,
}

/// No answer within the deadline.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unavailable;

/// Until when the server has shut a key out: nobody needs to ask it before.
#[derive(Debug, Default)]
pub(super) struct ClosedUntil(AtomicU64);

impl SharedLimits {
    /// Connects as this configuration says; keeps the connections when it says what it said before.
    pub fn apply(&self, settings: Option<&config::SharedLimits>, metrics: &SharedMetrics) {
        let before = self.client.load_full();
        if before.as_ref().map(|client| client.settings()) == settings {
            return;
        }
        let client = settings.and_then(|settings| Client::start(settings.clone(), metrics.clone()));
        self.client.store(client.map(Arc::new));
    }

    /// Asks for one request under all these limits, each with its key: all count it, or none.
    pub(super) async fn ask(
        &self,
        limits: &[(&RateCount, &SharedCount)],
    ) -> Result<Answer, Unavailable> {
        let client = self.client.load_full().ok_or(Unavailable)?;
        client.ask(limits).await
    }
}

impl ClosedUntil {
    /// Shut until then.
    pub(super) fn close(&self, until: Nanos) {
        self.0.fetch_max(until.0, Ordering::Relaxed);
    }

    /// How long it is shut still; `None` when it is not.
    pub(super) fn wait(&self, now: Nanos) -> Option<std::time::Duration> {
        let left = self.0.load(Ordering::Relaxed).saturating_sub(now.0);
        (left > 0).then(|| std::time::Duration::from_nanos(left))
    }
}

impl Blank for ClosedUntil {
    fn is_blank(&self, now: Nanos) -> bool {
        self.wait(now).is_none()
    }
}
