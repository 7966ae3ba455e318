//! Applications: hosts, headers, routes, upstreams.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::num::NonZeroU8;

use http::HeaderName;

use super::Names;
use super::obligations::{obligations, query_parameters};
use super::reader::{Reader, parse_address};
use super::route::{RouteDefaults, routes};
use super::trust::{crl_urls, crls, expected_server};
use crate::config::bounds;
use crate::config::checked::{
    Acknowledge, Application, Balance, ClientCertificate, HeaderRule, Health, Listener, Upstream,
    UpstreamProtocol, UpstreamTls,
};
use crate::config::file::{self, File, Named, Text};
use crate::config::problem::Fault;
use crate::config::values::{Host, HostPattern, Name, Tenant, parse_template};
use crate::layers::edge::authority::host_of;

/// In the order of the file; those that lack something are left out, after a report.
pub(super) fn applications(
    reader: &mut Reader<'_, '_>,
    names: Names<'_>,
    written: &[file::Application],
) -> Vec<Application> {
    let places = written
        .iter()
        .filter_map(|application| application.name.as_ref());
    reader.no_two(places.map(|name| (name, name.get_ref())), |name| {
        Fault::new(
            format!("there is an application `{name}` above"),
            "give each application its own name",
        )
    });
    let hosts = written
        .iter()
        .filter_map(|application| application.hosts.as_ref());
    let hosts = hosts
        .flat_map(|hosts| hosts.get_ref())
        .map(|host| (host, host.get_ref()));
    reader.no_two(hosts, |host| {
        Fault::new(
            format!("host `{host}` is claimed above"),
            "keep it in one application only, and once",
        )
    });
    written
        .iter()
        .filter_map(|application| one(reader, names, application))
        .collect()
}

fn one(
    reader: &mut Reader<'_, '_>,
    names: Names<'_>,
    written: &file::Application,
) -> Option<Application> {
    let name = reader.read(written.name.as_ref(), Name::parse);
    let tenant = reader.read(written.tenant.as_ref(), Tenant::parse);
    let hosts = reader.read_each(written.hosts.as_ref(), Host::parse);
    let label = written
        .label
        .as_ref()
        .and_then(|label| names.label(reader, label));
    let acknowledge = reader.choice(
        written.acknowledge.as_ref(),
        &ACKNOWLEDGE,
        Acknowledge::Durable,
    );
    let balance = reader.choice(written.balance.as_ref(), &BALANCES, Balance::RoundRobin);
    let connect_timeout =
        reader.duration(written.connect_timeout.as_ref(), &bounds::CONNECT_TIMEOUT);
    let read_timeout = reader.duration(written.read_timeout.as_ref(), &bounds::READ_TIMEOUT);
    let write_timeout = reader.duration(written.write_timeout.as_ref(), &bounds::WRITE_TIMEOUT);
    let context = reader.count(written.policy_context.as_ref(), &bounds::POLICY_CONTEXT);
    let upstream_protocol = protocol(reader, written.upstream_protocol.as_ref());
    let obligations = obligations(reader, written.obligations.as_ref());
    let headers = headers(reader, &written.headers);
    let defaults = RouteDefaults::new(reader, label, written);
    let routes = routes(reader, names, &defaults, &written.routes);
    let strict_transport_security = reader.duration(
        written.strict_transport_security.as_ref(),
        &bounds::STRICT_TRANSPORT_SECURITY,
    );
    let websocket_origins = reader.read_each(written.websocket_origins.as_ref(), parse_origin);
    let upstreams = upstreams(reader, &written.upstreams);
    let upstream_tls = written
        .upstream_tls
        .as_ref()
        .map(|tls| upstream_tls(reader, tls));
    let health = Health {
        failures: reader.count(written.health.failures.as_ref(), &bounds::FAILURES),
        retry_after: reader.duration(written.health.retry_after.as_ref(), &bounds::RETRY_AFTER),
    };
    Some(Application {
        name: name?,
        tenant: tenant?,
        hosts: hosts.into_iter().map(|(_, host)| host).collect(),
        label: label?,
        request_body_max: defaults.request_body_max,
        acknowledge,
        balance,
        connect_timeout,
        read_timeout,
        write_timeout,
        policy_context: NonZeroU8::try_from(context)
            .ok()
            .filter(|context| context.get() > 1),
        upstream_protocol,
        obligations,
        query_parameters: query_parameters(reader, written.query_parameters.as_ref()),
        purposes: Vec::new(),
        strict_transport_security,
        websocket_origins: websocket_origins
            .into_iter()
            .map(|(_, origin)| origin)
            .collect(),
        headers,
        routes,
        upstreams,
        upstream_tls: match upstream_tls {
            Some(tls) => Some(tls?),
            None => None,
        },
        health,
    })
}

fn protocol(reader: &mut Reader<'_, '_>, written: Option<&Text>) -> UpstreamProtocol {
    reader.choice(written, &UPSTREAM_PROTOCOLS, UpstreamProtocol::Http1)
}

fn headers(reader: &mut Reader<'_, '_>, written: &Named<Text>) -> Vec<HeaderRule> {
    let mut rules = Vec::with_capacity(written.len());
    let mut places = Vec::with_capacity(written.len());
    for (name, value) in written {
        let place = name;
        let name = reader.read(Some(name), parse_header_name);
        let value = reader.read(Some(value), parse_template);
        if let (Some(name), Some(value)) = (name, value) {
            places.push((place, name.as_str().to_owned()));
            rules.push(HeaderRule { name, value });
        }
    }
    places.sort_by_key(|(place, _)| place.span().start);
    reader.no_two(places, |name| {
        Fault::new(
            format!("header `{name}` is set above"),
            "keep it once; case makes no difference",
        )
    });
    rules
}

pub(super) fn parse_header_name(text: &str) -> Result<HeaderName, Fault> {
    let name = HeaderName::from_bytes(text.as_bytes()).map_err(|_| {
        Fault::new(
            format!("`{text}` is not a header name"),
            "use letters, digits and -, as in `X-Client-Identity`",
        )
    })?;
    if text.contains('_') {
        let what =
            format!("header `{text}` holds an underscore, which some applications read as `-`");
        return Err(Fault::new(
            what,
            format!("write `{}`", text.replace('_', "-")),
        ));
    }
    if MESSAGE_HEADERS.contains(&name.as_str()) {
        let what = format!("header `{text}` belongs to the connection or to the message itself");
        return Err(Fault::new(
            what,
            "choose another name, as in `X-Client-Identity`",
        ));
    }
    if name.as_str().starts_with(OWN_PREFIX) || OWN_HEADERS.contains(&name.as_str()) {
        let what = format!("header `{text}` is set by the gateway itself");
        return Err(Fault::new(
            what,
            "choose another name, as in `X-Client-Identity`",
        ));
    }
    Ok(name)
}

/// A web origin as browsers write it (RFC 6454 section 6.2): scheme, host in lower case, port unless it is the scheme's own.
fn parse_origin(text: &str) -> Result<String, Fault> {
    let host = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"));
    let is_origin = host.is_some_and(|host| host_of(host).is_ok())
        && !text.bytes().any(|byte| byte.is_ascii_uppercase());
    if is_origin {
        return Ok(text.to_owned());
    }
    Err(Fault::new(
        format!("`{text}` is not an origin"),
        "write scheme and host in lower case and no path, as in `https://portal.example`",
    ))
}

fn upstreams(reader: &mut Reader<'_, '_>, written: &[file::Upstream]) -> Vec<Upstream> {
    let mut upstreams = Vec::with_capacity(written.len());
    for text in written
        .iter()
        .filter_map(|upstream| upstream.address.as_ref())
    {
        if let Some(address) = reader.read(Some(text), parse_upstream) {
            upstreams.push((text, address));
        }
    }
    reader.no_two(upstreams.iter().copied(), |address| {
        Fault::new(
            format!("upstream `{address}` stands here for the second time"),
            "remove it",
        )
    });
    upstreams
        .into_iter()
        .map(|(_, address)| Upstream { address })
        .collect()
}

fn parse_upstream(text: &str) -> Result<SocketAddr, Fault> {
    let address = parse_address(text)?;
    if address.port() == 0 || address.ip().is_unspecified() || address.ip().is_multicast() {
        let what = format!("`{text}` is not an address that can be connected to");
        return Err(Fault::new(
            what,
            "write the address and port of one instance",
        ));
    }
    Ok(address)
}

fn upstream_tls(reader: &mut Reader<'_, '_>, written: &file::UpstreamTls) -> Option<UpstreamTls> {
    let ca = reader.file(written.ca.as_ref());
    let server_name = reader.read(written.server_name.as_ref(), Host::parse);
    let client = match (&written.certificate, &written.key) {
        (Some(certificate), Some(key)) => {
            let chain = reader.file(Some(certificate));
            let key = reader.file(Some(key));
            Some((chain, key))
        }
        (Some(alone), None) => {
            reader.fault(
                alone,
                Fault::new(
                    "`certificate` stands without `key`",
                    "add the `key` that belongs to it",
                ),
            );
            None
        }
        (None, Some(alone)) => {
            reader.fault(
                alone,
                Fault::new(
                    "`key` stands without `certificate`",
                    "add the `certificate` that belongs to it",
                ),
            );
            None
        }
        (None, None) => None,
    };
    let client = match client {
        Some((chain, key)) => Some(ClientCertificate {
            chain: chain?,
            key: key?,
        }),
        None => None,
    };
    Some(UpstreamTls {
        expected: expected_server(reader, written)?,
        crls: crls(reader, written.crls.as_ref(), written.crl_grace.as_ref()),
        crl_urls: crl_urls(reader, written.crl_urls.as_ref()),
        crl_grace: reader.duration(written.crl_grace.as_ref(), &bounds::CRL_GRACE),
        ca: ca?,
        intermediates: reader.file(written.intermediates.as_ref()),
        server_name: server_name?,
        client,
    })
}

/// A request that goes to one of our own listeners would come back for ever.
pub(super) fn no_request_to_ourselves(reader: &mut Reader<'_, '_>, file: &File) {
    let listeners = file
        .listeners
        .iter()
        .filter_map(|listener| listener.address.as_ref());
    let ours: Vec<SocketAddr> = listeners
        .filter_map(|text| text.get_ref().parse().ok())
        .collect();
    let upstreams = file
        .applications
        .iter()
        .flat_map(|application| &application.upstreams);
    for text in upstreams.filter_map(|upstream| upstream.address.as_ref()) {
        if text
            .get_ref()
            .parse()
            .is_ok_and(|address| ours.contains(&address))
        {
            let what = format!(
                "upstream `{}` is a listener of this gateway",
                text.get_ref()
            );
            reader.fault(
                text,
                Fault::new(what, "write the address of the application itself"),
            );
        }
    }
}

/// SNI must be the host, so a host that no certificate covers could not be reached.
pub(super) fn each_host_has_a_certificate(
    reader: &mut Reader<'_, '_>,
    written: &[file::Application],
    listeners: &[Listener],
) {
    let certificates = listeners.iter().flat_map(|listener| &listener.certificates);
    let patterns: BTreeSet<&HostPattern> = certificates
        .flat_map(|certificate| &certificate.hosts)
        .collect();
    if patterns.is_empty() {
        return; // reported already: each listener must have a certificate, and each certificate a host
    }
    let hosts = written
        .iter()
        .filter_map(|application| application.hosts.as_ref());
    for text in hosts.flat_map(|hosts| hosts.get_ref()) {
        let Ok(host) = Host::parse(text.get_ref()) else {
            continue;
        };
        if !HostPattern::all_covering(&host).any(|pattern| patterns.contains(&pattern)) {
            let what = format!(
                "no certificate of a listener is for host `{}`",
                host.as_str()
            );
            let fix = "add it to `hosts` of a `[[listeners.certificates]]`";
            reader.fault(text, Fault::new(what, fix));
        }
    }
}

const ACKNOWLEDGE: [(&str, Acknowledge); 3] = [
    ("durable", Acknowledge::Durable),
    ("written", Acknowledge::Written),
    ("counted", Acknowledge::Counted),
];
const UPSTREAM_PROTOCOLS: [(&str, UpstreamProtocol); 2] = [
    ("http/1.1", UpstreamProtocol::Http1),
    ("h2", UpstreamProtocol::Http2),
];
const BALANCES: [(&str, Balance); 2] = [
    ("round_robin", Balance::RoundRobin),
    ("least_connections", Balance::LeastConnections),
];

/// In lower case: hop-by-hop fields (RFC 9110 §7.6.1), and those that say how the body is to be read and whom the
/// request is for, which were judged as the client sent them.
const MESSAGE_HEADERS: [&str; 14] = [
    "connection",
    "content-length",
    "content-type",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// In lower case: what every application is told of a request without any configuration.
const OWN_HEADERS: [&str; 5] = [
    "forwarded",
    "traceparent",
    "tracestate",
    "x-forwarded-for",
    "x-forwarded-proto",
];
/// Of every other header that the gateway speaks in.
const OWN_PREFIX: &str = "x-hangu-";
