//! The server by which several gateways hold limits together.

use crate::config::bounds;
use crate::config::check::reader::Reader;
use crate::config::file::{self, Text};
use crate::config::limits::{Fallback, Held, SharedKind, SharedLimits};
use crate::config::problem::Fault;
use crate::config::values::Name;

pub(super) fn shared(
    reader: &mut Reader<'_, '_>,
    written: &file::SharedLimits,
) -> Option<SharedLimits> {
    let urls = reader.read_each(written.urls.as_ref(), parse_url);
    let kind = reader.choice(written.kind.as_ref(), &KINDS, Kind::Single);
    let kind = match (kind, &written.service) {
        (Kind::Single, None) => Some(SharedKind::Single),
        (Kind::Cluster, None) => Some(SharedKind::Cluster),
        (Kind::Sentinel, Some(service)) => Some(SharedKind::Sentinel {
            service: service.get_ref().clone(),
        }),
        (Kind::Sentinel, None) => {
            if let Some(kind) = &written.kind {
                let what = "sentinels watch services by name, and none is named";
                reader.fault(kind, Fault::new(what, "add `service = \"…\"`"));
            }
            None
        }
        (Kind::Single | Kind::Cluster, Some(service)) => {
            let what = "`service` is for sentinels alone";
            let fix = "remove it, or write `kind = \"sentinel\"`";
            reader.fault(service, Fault::new(what, fix));
            None
        }
    };
    let file = |reader: &mut Reader<'_, '_>, text: &Option<Text>| match text {
        Some(text) => reader.file(Some(text)).map(Some),
        None => Some(None),
    };
    let ca = file(reader, &written.ca);
    let password_file = file(reader, &written.password_file);
    let default = Text::new(0..0, DEFAULT_PREFIX.to_owned());
    let prefix = reader.read(
        Some(written.prefix.as_ref().unwrap_or(&default)),
        Name::parse,
    );
    Some(SharedLimits {
        urls: urls.into_iter().map(|(_, url)| url).collect(),
        kind: kind?,
        ca: ca?,
        user: written.user.as_ref().map(|user| user.get_ref().clone()),
        password_file: password_file?,
        prefix: prefix?,
        deadline: reader.duration(written.deadline.as_ref(), &bounds::SHARED_DEADLINE),
        connections: reader.count(written.connections.as_ref(), &bounds::SHARED_CONNECTIONS),
        fallback: reader.choice(written.fallback.as_ref(), &FALLBACKS, Fallback::LocalShare),
        gateways: reader.count(written.gateways.as_ref(), &bounds::SHARED_GATEWAYS),
    })
}

/// Whether a rate is held together; there must be a server for that.
pub(super) fn held(reader: &mut Reader<'_, '_>, limit: &file::RateLimit, has_server: bool) -> Held {
    match &limit.shared {
        Some(flag) if *flag.get_ref() => {
            if !has_server {
                let what = "a limit is shared, and there is no server to share it by";
                reader.fault(
                    flag,
                    Fault::new(what, "add `[limits.shared]` with its `urls`"),
                );
            }
            Held::Together
        }
        Some(_) | None => Held::Alone,
    }
}

fn parse_url(text: &str) -> Result<String, Fault> {
    let is_known = text.starts_with("redis://") || text.starts_with("rediss://");
    let after_scheme = text.split_once("://").map_or("", |(_, rest)| rest);
    if after_scheme.contains('@') {
        // The text may hold a password: it is not told.
        return Err(Fault::new(
            "a URL here holds a user or a password",
            "write them as `user` and in a file that `password_file` names",
        ));
    }
    if !is_known || redis::parse_redis_url(text).is_none() || text.contains('#') {
        return Err(Fault::new(
            format!("`{text}` is not the URL of a Redis server"),
            "write `redis://host:port` or, with TLS, `rediss://host:port`",
        ));
    }
    Ok(text.to_owned())
}

#[derive(Clone, Copy)]
enum Kind {
    Single,
    Sentinel,
    Cluster,
}

const KINDS: [(&str, Kind); 3] = [
    ("single", Kind::Single),
    ("sentinel", Kind::Sentinel),
    ("cluster", Kind::Cluster),
];
const FALLBACKS: [(&str, Fallback); 3] = [
    ("local_share", Fallback::LocalShare),
    ("allow", Fallback::Allow),
    ("deny", Fallback::Deny),
];
const DEFAULT_PREFIX: &str = "hangu";
