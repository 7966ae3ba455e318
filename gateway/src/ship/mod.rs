//! Sending the audit log to others: a SOC's syslog, an HTTP collector, an agent's folder.
//!
//! Each sink has a thread and a place in the log of its own. It reads what is durable from the segments, as any reader of the folder
//! does, so no request waits for a sink and a sink that is down costs no memory: its records stay where they are. Its place is moved on after
//! the delivery; a crash in between sends some records twice and none never. The receiver knows them apart by the
//! record's hash, or by log and sequence number.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use async_trait::async_trait;
use pingora::server::ShutdownWatch;
use pingora::services::background::BackgroundService;
use tracing::{error, info};

use self::delivery::Delivery;
use crate::shared::Shared;

mod delivery;
mod error;
mod folder;
mod http;
mod place;
mod plan;
mod syslog;
mod under_way;

pub use self::place::delivered;
pub use self::plan::{Plan, PlanError};

/// The service that keeps one thread for each sink of the configuration that serves.
#[derive(Debug)]
pub struct Shipper {
    shared: Arc<Shared>,
    audit: PathBuf,
}

impl Shipper {
    /// Ships the log in `audit`.
    #[must_use]
    pub fn new(shared: Arc<Shared>, audit: PathBuf) -> Self {
        Self { shared, audit }
    }

    /// Starts what is new, stops what is gone, replaces what is different or has died.
    fn settle(&self, running: &mut BTreeMap<String, Running>) {
        let snapshot = self.shared.snapshot.load();
        running.retain(|name, thread| {
            let stays = snapshot.sinks.iter().any(|plan| plan.name() == name);
            if !stays {
                thread.stop.store(true, Ordering::Release);
                self.shared.metrics.shipping.forget(name);
                info!("audit sink `{name}`: taken out");
            }
            stays
        });
        for plan in &snapshot.sinks {
            let known = running.get(plan.name());
            let died = known.is_some_and(|thread| thread.handle.is_finished());
            if let Some(known) = known
                && known.plan.is_same(plan)
                && !died
            {
                continue;
            }
            if let Some(old) = known {
                old.stop.store(true, Ordering::Release);
            }
            match self.start(plan) {
                Ok(thread) => drop(running.insert(plan.name().to_owned(), thread)),
                Err(error) => error!("audit sink `{}`: no thread: {error}", plan.name()),
            }
        }
    }

    fn start(&self, plan: &Arc<Plan>) -> std::io::Result<Running> {
        let stop = Arc::new(AtomicBool::new(false));
        let delivery = Delivery::new(
            Arc::clone(plan),
            &self.audit,
            &self.shared.metrics,
            Arc::clone(&stop),
        );
        let handle = thread::Builder::new()
            .name(format!("ship-{}", plan.name()))
            .spawn(move || delivery.run())?;
        Ok(Running {
            plan: Arc::clone(plan),
            stop,
            handle,
        })
    }
}

#[async_trait]
impl BackgroundService for Shipper {
    /// While the process drains, its sinks go on: the last records are the ones that somebody asks for.
    async fn start(&self, mut shutdown: ShutdownWatch) {
        let mut running = BTreeMap::new();
        loop {
            self.settle(&mut running);
            tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY) => {}
                _ = shutdown.wait_for(|stopping| *stopping) => return,
            }
        }
    }
}

/// One sink's thread.
#[derive(Debug)]
struct Running {
    plan: Arc<Plan>,
    stop: Arc<AtomicBool>,
    handle: JoinHandle<()>,
}

/// How soon a reload reaches the sinks.
const LOOK_EVERY: Duration = Duration::from_millis(250);
