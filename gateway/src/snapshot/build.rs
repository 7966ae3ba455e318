//! Building a generation: every file read, checked and cross-checked, every problem reported at once.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use self::authorities::Vouching;
pub use self::callers::directory_rights;
pub use self::error::LoadError;
use self::places::Places;
pub use self::policy::{policy_problems, remember};
use super::{ApplicationState, Expiry, Snapshot};
use crate::config::{self, Application, ConcurrencyBy, Config};
use crate::crl_fetch::ListFile;
use crate::layers::cloud::peer::PeerSettings;
use crate::layers::cloud::upstreams::{InFlightBound, Upstreams};
use crate::layers::edge::headers::header_value;
use crate::layers::network::limits::LimitPlan;
use crate::layers::network::zones::ZoneTable;
use crate::observe::metrics::Metrics;

mod authorities;
mod callers;
mod control;
mod error;
mod listener;
mod places;
mod policy;
mod pseudonyms;
mod revocation;
mod shadow;
mod sinks;
mod upstream_tls;

pub use revocation::lists_at;

/// Builds generation `generation` from `config` at `now` (seconds since 1970). Health of upstreams and free handshake slots
/// carry over from `before`.
///
/// # Errors
/// Everything that is wrong.
pub fn build(
    config: Config,
    generation: u64,
    before: Option<&Snapshot>,
    metrics: &Metrics,
    now: i64,
) -> Result<Snapshot, Vec<LoadError>> {
    let published = Instant::now();
    let mut loader = Loader::new(&config, now);
    let listeners: Vec<_> = config
        .listeners
        .iter()
        .enumerate()
        .map(|(index, listener)| {
            let last = before.and_then(|before| before.listeners.get(index));
            loader.listener(listener, &config.applications, last)
        })
        .collect();
    let applications = config.applications.iter();
    let applications: Vec<_> = applications
        .map(|application| loader.application(&config, application, before, metrics))
        .collect();
    loader.each_grace_is_somebodys(&config);
    let control = loader.control(config.control.remote.as_ref(), before);
    loader.each_name_is_one_authoritys(&config);
    let callers = loader.callers(&config);
    let policy = loader.policy(&config, callers.as_ref(), before, metrics);
    let sinks = loader.sinks(&config);
    let pseudonyms = loader.pseudonyms(&config);
    let limits = loader.limits(&config, before, metrics);
    let listeners: Option<Vec<_>> = listeners.into_iter().collect();
    let applications: Option<Vec<_>> = applications.into_iter().collect();
    let (
        Some(listeners),
        Some(applications),
        Some(policy),
        Some(callers),
        Some(limits),
        Some(sinks),
        Some(control),
        true,
    ) = (
        listeners,
        applications,
        policy,
        callers,
        limits,
        sinks,
        control,
        loader.problems.is_empty(),
    )
    else {
        return Err(loader.problems);
    };
    Ok(Snapshot {
        generation,
        published,
        listeners,
        control,
        applications,
        zones: zone_table(&config),
        limits,
        callers,
        sinks,
        pseudonyms,
        basis: policy.basis(generation),
        policy: policy.policy,
        duties: policy.duties,
        hits: policy.hits,
        shadow: policy.shadow,
        bundle: policy.bundle,
        policy_inputs: policy.inputs,
        expiries: loader.expiries,
        list_files: loader.list_files.into_iter().collect(),
        decision_seconds: metrics.decision_seconds.clone(),
        config,
    })
}

/// Reads files and remembers what was wrong with them.
struct Loader {
    places: Places,
    now: i64,
    crl_fetch: config::CrlFetch,
    /// Grace of single issuers, in seconds.
    grace_of: BTreeMap<String, u32>,
    /// Who may vouch for whom.
    vouching: Vec<Vouching>,
    /// Names of all authorities that were read.
    authorities: BTreeSet<String>,
    /// Lists of those who were given grace.
    list_files: BTreeSet<ListFile>,
    problems: Vec<LoadError>,
    expiries: Vec<Expiry>,
}

impl Loader {
    fn new(config: &Config, now: i64) -> Self {
        Self {
            places: Places::of(&config.file),
            now,
            crl_fetch: config.crl_fetch.clone(),
            grace_of: config
                .crl_grace
                .iter()
                .map(|(issuer, grace)| (issuer.clone(), revocation::seconds(*grace)))
                .collect(),
            vouching: Vec::new(),
            authorities: BTreeSet::new(),
            list_files: BTreeSet::new(),
            problems: Vec::new(),
            expiries: Vec::new(),
        }
    }

    fn application(
        &mut self,
        config: &Config,
        application: &Application,
        before: Option<&Snapshot>,
        metrics: &Metrics,
    ) -> Option<ApplicationState> {
        let tls = match &application.upstream_tls {
            Some(tls) => {
                let last =
                    before.and_then(|before| before.application_named(application.name.as_str()));
                Some(self.upstream_tls(application, tls, last)?)
            }
            None => None,
        };
        let (tls, upstream_trust) = tls.unzip();
        let addresses: Vec<_> = application
            .upstreams
            .iter()
            .map(|upstream| upstream.address)
            .collect();
        let known = before.and_then(|before| before.upstreams_of(application.name.as_str()));
        let label = |id| {
            config
                .label(id)
                .map_or_else(String::new, |label| label.as_str().to_owned())
        };
        let target = |route: &config::Route| {
            Arc::new(hangu_audit::Target {
                application: application.name.as_str().to_owned(),
                tenant: application.tenant.as_str().to_owned(),
                route: route.prefix.as_str().to_owned(),
                label: label(route.label),
                policy_context: application
                    .policy_context
                    .map_or(0, |context| context.get().into()),
            })
        };
        Some(ApplicationState {
            upstreams: Upstreams::new(&addresses, application.balance, application.health, known)
                .bounded_by(in_flight_bounds(config, application, metrics)),
            peer_settings: PeerSettings::new(application, tls),
            upstream_trust,
            metrics: metrics.application(application.name.as_str()),
            targets: application.routes.iter().map(target).collect(),
            strict_transport_security: application.strict_transport_security(),
            tenant: header_value(application.tenant.as_str()),
            reserved_headers: application
                .headers
                .iter()
                .map(|rule| rule.name.clone())
                .chain(
                    config
                        .purpose
                        .iter()
                        .filter(|own| !own.forward)
                        .map(|own| own.header.clone()),
                )
                .collect(),
        })
    }

    fn limits(
        &mut self,
        config: &Config,
        before: Option<&Snapshot>,
        metrics: &Metrics,
    ) -> Option<LimitPlan> {
        LimitPlan::build(config, before.map(|before| &before.limits), metrics)
            .map_err(|errors| {
                let errors = errors.into_iter().map(LoadError::Limit);
                self.problems.extend(errors);
            })
            .ok()
    }

    fn text(&mut self, path: &Path) -> Option<String> {
        let bytes = self.bytes(path)?;
        match String::from_utf8(bytes) {
            Ok(text) => Some(text),
            Err(_) => {
                self.wrong(
                    path,
                    LoadError::NotUtf8 {
                        path: path.to_owned(),
                    },
                );
                None
            }
        }
    }

    fn bytes(&mut self, path: &Path) -> Option<Vec<u8>> {
        Self::read(path)
            .map_err(|error| self.wrong(path, error))
            .ok()
    }

    fn read(path: &Path) -> Result<Vec<u8>, LoadError> {
        let fail = |source| LoadError::Read {
            path: path.to_owned(),
            source,
        };
        let bytes = std::fs::metadata(path).map_err(fail)?.len();
        if bytes > FILE_BYTES_MAX {
            let path = path.to_owned();
            return Err(LoadError::TooLarge { path, bytes });
        }
        std::fs::read(path).map_err(fail)
    }

    /// Notes what is wrong with a file.
    fn wrong(&mut self, path: &Path, error: LoadError) {
        self.problems.push(self.places.tell(path, error));
    }

    fn expires(&mut self, kind: &'static str, name: &Path, at: i64) {
        self.expiries.push(Expiry {
            kind,
            name: name.display().to_string(),
            listener: String::new(),
            at,
        });
    }
}

/// The limits of `[[limits.concurrency]]` on what is in flight at an upstream of the application.
fn in_flight_bounds(
    config: &Config,
    application: &Application,
    metrics: &Metrics,
) -> Vec<InFlightBound> {
    let applies = |limit: &&config::ConcurrencyLimit| match &limit.by {
        ConcurrencyBy::Upstream(Some(named)) => named.contains(&application.name),
        ConcurrencyBy::Upstream(None) => true,
        ConcurrencyBy::Requests(_) | ConcurrencyBy::Source => false,
    };
    let bound = |limit: &config::ConcurrencyLimit| InFlightBound {
        name: limit.name.as_str().into(),
        max: limit.max.get(),
        mode: limit.mode,
        metrics: metrics.limits.of(limit.name.as_str()),
    };
    let limits = config.limits.concurrency.iter();
    limits.filter(applies).map(bound).collect()
}

fn zone_table(config: &Config) -> ZoneTable {
    let numbered: Vec<_> = config.numbered_zones().collect();
    ZoneTable::new(&numbered)
}

/// The name of a file without its folders: what errors and metrics call it.
fn file_name(path: &Path) -> String {
    path.file_name().map_or_else(
        || path.display().to_string(),
        |name| name.to_string_lossy().into_owned(),
    )
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A revocation list of a million entries has about 40 MB, a policy of a million rules about 60.
const FILE_BYTES_MAX: u64 = 512 * 1024 * 1024;
