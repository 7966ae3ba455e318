//! Limits: how often, how much at once, how much a day.

mod shared;

use std::collections::BTreeSet;
use std::num::NonZeroU64;

use toml::Spanned;

use super::reader::Reader;
use crate::config::bounds;
use crate::config::checked::Application;
use crate::config::file::{self, Text, Texts};
use crate::config::limits::{
    ConcurrencyBy, ConcurrencyLimit, Limits, Mode, Network, Part, QuotaLimit, QuotaOf,
    REQUEST_CONCURRENCY_MAX, Rate, RateLimit, Scope, ShortLimit, SourceClients, SourceLimit,
};
use crate::config::problem::Fault;
use crate::config::values::{Name, RoutePrefix};

pub(super) fn limits(
    reader: &mut Reader<'_, '_>,
    applications: &[Application],
    written: &file::Limits,
) -> Limits {
    names(reader, written);
    let shared = written
        .shared
        .as_ref()
        .and_then(|written| shared::shared(reader, written));
    let mut rates = Vec::with_capacity(written.rates.len());
    for limit in &written.rates {
        let scope = scope(reader, applications, Written::of_rate(limit));
        let rate = numbers(
            reader,
            limit.requests.as_ref(),
            limit.per.as_ref(),
            limit.burst.as_ref(),
        );
        if let (Some(name), Some(scope)) = (reader.read(limit.name.as_ref(), Name::parse), scope) {
            rates.push(RateLimit {
                name,
                scope,
                rate,
                mode: mode(limit.shadow),
                held: shared::held(reader, limit, written.shared.is_some()),
            });
        }
    }
    Limits {
        identity: written
            .identity
            .as_ref()
            .map(|written| short(reader, written)),
        source: written
            .source
            .as_ref()
            .map(|written| short(reader, written)),
        handshake: written
            .handshake
            .as_ref()
            .map(|written| short(reader, written)),
        utc_offset: reader
            .read(written.utc_offset.as_ref(), parse_offset)
            .unwrap_or_default(),
        rates,
        sources: sources(reader, &written.sources),
        concurrency: concurrency(reader, applications, &written.concurrency),
        quotas: quotas(reader, applications, &written.quotas),
        shared,
    }
}

/// Records and metrics know a limit by its name alone.
fn names(reader: &mut Reader<'_, '_>, written: &file::Limits) {
    let mut names: Vec<&Text> = Vec::new();
    names.extend(written.rates.iter().filter_map(|limit| limit.name.as_ref()));
    names.extend(
        written
            .sources
            .iter()
            .filter_map(|limit| limit.name.as_ref()),
    );
    names.extend(
        written
            .concurrency
            .iter()
            .filter_map(|limit| limit.name.as_ref()),
    );
    names.extend(
        written
            .quotas
            .iter()
            .filter_map(|limit| limit.name.as_ref()),
    );
    for (form, is_used) in [
        ("identity", written.identity.is_some()),
        ("source", written.source.is_some()),
        ("handshake", written.handshake.is_some()),
    ] {
        for name in names
            .iter()
            .filter(|name| is_used && name.get_ref() == form)
        {
            reader.fault(
                name,
                Fault::new(
                    format!("`[limits.{form}]` is a limit of this name"),
                    "choose another name, or write that limit out in full too",
                ),
            );
        }
    }
    names.sort_by_key(|name| name.span().start);
    reader.no_two(
        names.into_iter().map(|name| (name, name.get_ref())),
        |name| {
            Fault::new(
                format!("there is a limit `{name}` above"),
                "give each limit its own name",
            )
        },
    );
}

fn short(reader: &mut Reader<'_, '_>, written: &file::Rate) -> ShortLimit {
    ShortLimit {
        rate: numbers(
            reader,
            written.requests.as_ref(),
            written.per.as_ref(),
            written.burst.as_ref(),
        ),
        mode: mode(written.shadow),
    }
}

fn numbers(
    reader: &mut Reader<'_, '_>,
    requests: Option<&Spanned<i64>>,
    per: Option<&Text>,
    burst: Option<&Spanned<i64>>,
) -> Rate {
    Rate {
        requests: reader.count(requests, &bounds::RATE_REQUESTS),
        per: reader.duration(per, &bounds::RATE_PER),
        burst: reader.count(burst, &bounds::RATE_BURST),
    }
}

fn sources(reader: &mut Reader<'_, '_>, written: &[file::SourceLimit]) -> Vec<SourceLimit> {
    let mut limits = Vec::with_capacity(written.len());
    for limit in written {
        let network = reader.choice(limit.by.as_ref(), &NETWORKS, Network::Address);
        let clients = reader.choice(
            limit.clients.as_ref(),
            &CLIENTS,
            SourceClients::Unauthenticated,
        );
        let rate = numbers(
            reader,
            limit.requests.as_ref(),
            limit.per.as_ref(),
            limit.burst.as_ref(),
        );
        if let Some(name) = reader.read(limit.name.as_ref(), Name::parse) {
            limits.push(SourceLimit {
                name,
                network,
                clients,
                rate,
                mode: mode(limit.shadow),
            });
        }
    }
    limits
}

fn concurrency(
    reader: &mut Reader<'_, '_>,
    applications: &[Application],
    written: &[file::ConcurrencyLimit],
) -> Vec<ConcurrencyLimit> {
    let mut limits = Vec::with_capacity(written.len());
    let mut of_requests = 0_usize;
    for limit in written {
        let max = reader.count(limit.max.as_ref(), &bounds::CONCURRENCY);
        let by = concurrency_by(reader, applications, limit);
        let Some((name, by)) = reader.read(limit.name.as_ref(), Name::parse).zip(by) else {
            continue;
        };
        of_requests += usize::from(matches!(by, ConcurrencyBy::Requests(_)));
        if let Some(name) = limit
            .name
            .as_ref()
            .filter(|_| of_requests > REQUEST_CONCURRENCY_MAX)
        {
            reader.fault(
                name,
                Fault::new(
                    format!("more than {REQUEST_CONCURRENCY_MAX} limits count requests under way"),
                    "join some of them",
                ),
            );
        }
        limits.push(ConcurrencyLimit {
            name,
            by,
            max,
            mode: mode(limit.shadow),
        });
    }
    limits
}

fn concurrency_by(
    reader: &mut Reader<'_, '_>,
    applications: &[Application],
    limit: &file::ConcurrencyLimit,
) -> Option<ConcurrencyBy> {
    let written = limit.by.as_ref()?;
    let alone = |word: &str| matches!(&written.get_ref()[..], [only] if only.get_ref() == word);
    let fault = |reader: &mut Reader<'_, '_>, filter: Option<&Texts>, what: &str| {
        if let Some(filter) = filter {
            let fault = Fault::new(format!("a limit by {what} has no such filter"), "remove it");
            reader.fault(filter, fault);
        }
    };
    if alone("source") {
        fault(reader, limit.applications.as_ref(), "`source`");
        fault(reader, limit.routes.as_ref(), "`source`");
        return Some(ConcurrencyBy::Source);
    }
    if alone("upstream") {
        fault(reader, limit.routes.as_ref(), "`upstream`");
        let named = of_applications(reader, applications, limit.applications.as_ref());
        return Some(ConcurrencyBy::Upstream(named));
    }
    scope(reader, applications, Written::of_concurrency(limit)).map(ConcurrencyBy::Requests)
}

fn quotas(
    reader: &mut Reader<'_, '_>,
    applications: &[Application],
    written: &[file::QuotaLimit],
) -> Vec<QuotaLimit> {
    let mut limits = Vec::with_capacity(written.len());
    for limit in written {
        let scope = scope(reader, applications, Written::of_quota(limit));
        let hours = reader.count(limit.hours.as_ref(), &bounds::QUOTA_HOURS);
        let of = match (&limit.requests, &limit.bytes) {
            (Some(requests), None) => {
                let requests = reader.count(Some(requests), &bounds::QUOTA_REQUESTS);
                Some(QuotaOf::Requests(requests.into()))
            }
            (None, Some(bytes)) => {
                let bytes = reader.size(Some(bytes), &bounds::QUOTA_BYTES);
                NonZeroU64::new(bytes.bytes()).map(QuotaOf::Bytes)
            }
            _ => {
                if let Some(name) = &limit.name {
                    let what = "a quota is of `requests` or of `bytes`, and of one of them only";
                    let fix = "write one of them, and another quota for the other";
                    reader.fault(name, Fault::new(what, fix));
                }
                None
            }
        };
        let name = reader.read(limit.name.as_ref(), Name::parse);
        if let (Some(name), Some(scope), Some(of)) = (name, scope, of) {
            limits.push(QuotaLimit {
                name,
                scope,
                of,
                hours,
                mode: mode(limit.shadow),
            });
        }
    }
    limits
}

/// The keys that say what a limit counts.
#[derive(Clone, Copy)]
struct Written<'f> {
    by: Option<&'f Texts>,
    applications: Option<&'f Texts>,
    routes: Option<&'f Texts>,
}

impl<'f> Written<'f> {
    fn of_rate(limit: &'f file::RateLimit) -> Self {
        Self {
            by: limit.by.as_ref(),
            applications: limit.applications.as_ref(),
            routes: limit.routes.as_ref(),
        }
    }

    fn of_concurrency(limit: &'f file::ConcurrencyLimit) -> Self {
        Self {
            by: limit.by.as_ref(),
            applications: limit.applications.as_ref(),
            routes: limit.routes.as_ref(),
        }
    }

    fn of_quota(limit: &'f file::QuotaLimit) -> Self {
        Self {
            by: limit.by.as_ref(),
            applications: limit.applications.as_ref(),
            routes: limit.routes.as_ref(),
        }
    }
}

fn scope(
    reader: &mut Reader<'_, '_>,
    applications: &[Application],
    written: Written<'_>,
) -> Option<Scope> {
    let parts = reader.read_each(written.by, parse_part);
    reader.no_two(parts.iter().copied(), |_| {
        Fault::new("this stands here for the second time", "remove it")
    });
    let mut by: Vec<Part> = parts.into_iter().map(|(_, part)| part).collect();
    by.sort_unstable();
    by.dedup();
    let named = of_applications(reader, applications, written.applications);
    let routes = written
        .routes
        .map(|texts| routes(reader, applications, texts));
    // An empty list was reported already, or each of its entries was.
    (!by.is_empty()).then_some(Scope {
        by,
        applications: named,
        routes,
    })
}

fn of_applications(
    reader: &mut Reader<'_, '_>,
    applications: &[Application],
    written: Option<&Texts>,
) -> Option<Vec<Name>> {
    let known = |text: &str| {
        let name = Name::parse(text)?;
        if applications
            .iter()
            .any(|application| application.name == name)
        {
            return Ok(name);
        }
        Err(Fault::new(
            format!("there is no application `{text}`"),
            "write the `name` of one of `[[applications]]`",
        ))
    };
    let named = reader.read_each(Some(written?), known);
    Some(named.into_iter().map(|(_, name)| name).collect())
}

fn routes(
    reader: &mut Reader<'_, '_>,
    applications: &[Application],
    written: &Texts,
) -> Vec<RoutePrefix> {
    let existing: BTreeSet<&RoutePrefix> = applications
        .iter()
        .flat_map(|application| application.routes.iter().map(|route| &route.prefix))
        .collect();
    let known = |text: &str| {
        let prefix = RoutePrefix::parse(text)?;
        if existing.contains(&prefix) {
            return Ok(prefix);
        }
        Err(Fault::new(
            format!("there is no route `{text}`"),
            "write the `prefix` of one of `[[applications.routes]]`",
        ))
    };
    let named = reader.read_each(Some(written), known);
    named.into_iter().map(|(_, prefix)| prefix).collect()
}

fn parse_part(text: &str) -> Result<Part, Fault> {
    match text {
        "identity" => Ok(Part::Identity),
        "organisation" => Ok(Part::Organisation),
        "application" => Ok(Part::Application),
        "route" => Ok(Part::Route),
        "upstream" | "source" => Err(Fault::new(
            format!("`{text}` cannot stand here, or not beside others"),
            "use it alone, in a limit of `[[limits.concurrency]]`",
        )),
        _ => Err(Fault::new(
            format!("`{text}` is nothing that is counted by"),
            "write `identity`, `organisation`, `application` or `route`",
        )),
    }
}

/// Whole hours, as in `+08:00`.
fn parse_offset(text: &str) -> Result<i8, Fault> {
    let hours = text.strip_suffix(":00").filter(|hours| hours.len() == 3);
    let hours = hours.filter(|hours| hours.starts_with(['+', '-']));
    hours
        .and_then(|hours| hours.parse::<i8>().ok())
        .filter(|hours| (-12..=14).contains(hours))
        .ok_or_else(|| {
            Fault::new(
                format!("`{text}` is not an offset from UTC in whole hours"),
                "write `-12:00` to `+14:00`, as in `+08:00`",
            )
        })
}

fn mode(shadow: bool) -> Mode {
    if shadow { Mode::Shadow } else { Mode::Enforced }
}

const NETWORKS: [(&str, Network); 2] = [("address", Network::Address), ("prefix", Network::Prefix)];
const CLIENTS: [(&str, SourceClients); 2] = [
    ("unauthenticated", SourceClients::Unauthenticated),
    ("all", SourceClients::All),
];
