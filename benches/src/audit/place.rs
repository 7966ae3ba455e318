//! What the audit log costs a request: a place before it is forwarded, its record afterwards.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use hangu_audit::Record;
use hangu_gateway::audit_trail::{AuditTrail, Settings, WhenLocked};
use hangu_gateway::config::Audit;
use hangu_gateway::observe::metrics::Metrics;

use super::{Parts, folder};
use crate::measure::{nanoseconds, percentile, say};

/// One and several workers at once, each handing in bursts with pauses in between, so that what is measured is a worker's part and not
/// how fast the writer is.
pub(super) fn run(disk: &Path) -> Result<(), Box<dyn Error>> {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    for workers in [1, cores] {
        let folder = folder(disk)?;
        let parts = Parts::new();
        let settings = Settings {
            audit: Audit::in_folder(&folder.path().join("audit")).ok_or("no default")?,
            origin: Arc::clone(&parts.origin),
            when_locked: WhenLocked::Fail,
        };
        let trail = AuditTrail::start(settings, None, Arc::new(Metrics::new()?))?;
        let (mut build, mut place) = (Vec::new(), Vec::new());
        thread::scope(|scope| {
            let work = || worker(&trail, &parts);
            let all: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
            for (built, placed) in all.into_iter().filter_map(|worker| worker.join().ok()) {
                build.extend(built);
                place.extend(placed);
            }
        });
        trail.close();
        build.sort_unstable();
        place.sort_unstable();
        say(&format!(
            "a request's part, {workers} at once: reserve and commit p50 {} ns, p99 {} ns; its record made p50 {} ns (means of bursts of {BURST})",
            percentile(&place, 50),
            percentile(&place, 99),
            percentile(&build, 50),
        ))?;
    }
    Ok(())
}

/// Nanoseconds for each record, of each burst: to make it, and to reserve its place and hand it in.
fn worker(trail: &AuditTrail, parts: &Parts) -> (Vec<u64>, Vec<u64>) {
    let (mut build, mut place) = (Vec::new(), Vec::new());
    for burst in 0..BURSTS {
        let started = Instant::now();
        let drafts: Vec<Box<Record>> = (0..BURST)
            .map(|number| Box::new(parts.request(burst * BURST + number)))
            .collect();
        build.push(nanoseconds(started) / BURST);
        let started = Instant::now();
        for draft in drafts {
            if let Ok(reserved) = trail.reserve(draft) {
                reserved.hand_in();
            }
        }
        place.push(nanoseconds(started) / BURST);
        while trail.places_taken() > 0 {
            thread::park_timeout(Duration::from_millis(1));
        }
    }
    (build, place)
}

const BURSTS: u64 = 500;
const BURST: u64 = 100;
