//! The table of all keys: what may stand where, of which type, within which bounds, with which default.
//!
//! One table serves three readers, so that they cannot disagree: `shape` holds a file against it, `check` uses the
//! same [`bounds`], and a test holds `docs/configuration.md` against it.

use std::num::NonZeroU32;
use std::time::Duration;

use super::bounds::{self, Bounds, Entries};
use super::values::ByteSize;

/// One key of the file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Key {
    /// Names joined by dots; `[]` behind a list of tables; `*` for a name that the operator chooses.
    pub(super) path: &'static str,
    pub(super) kind: Kind,
    pub(super) need: Need,
    /// One sentence for the documentation.
    pub(super) meaning: &'static str,
}

/// What a key holds.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// A table with known keys.
    Table,
    /// A list of tables with known keys.
    Tables(Entries),
    /// A table whose keys the operator chooses.
    Named(Entries),
    /// A text; here is said of what.
    Text(&'static str),
    /// A list of texts; here is said of what each is.
    Texts(&'static str, Entries),
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A text such as `10s`.
    Duration(Bounds<Duration>),
    /// A text such as `64KiB`.
    Size(Bounds<ByteSize>),
    /// A whole number.
    Count(Bounds<NonZeroU32>),
    /// A list of whole numbers, each within the bounds.
    Counts(Bounds<NonZeroU32>, Entries),
    /// `true` or `false`.
    Flag,
}

/// What it means when the key is absent.
#[derive(Clone, Copy, Debug)]
pub(super) enum Need {
    /// The table around it is not complete.
    Required,
    /// The default of its bounds.
    Bounds,
    /// This value, as TOML.
    Default(&'static str),
    /// No value, and this instead.
    Otherwise(&'static str),
}

impl Key {
    /// Whether it has keys of its own.
    pub(super) fn is_table(&self) -> bool {
        matches!(self.kind, Kind::Table | Kind::Tables(_) | Kind::Named(_))
    }

    /// The path of the table that it stands in; empty for the file itself.
    pub(super) fn parent(&self) -> &'static str {
        self.path.rsplit_once('.').map_or("", |(parent, _)| parent)
    }

    /// Its own name, without `[]`.
    pub(super) fn name(&self) -> &'static str {
        let name = self
            .path
            .rsplit_once('.')
            .map_or(self.path, |(_, name)| name);
        name.strip_suffix("[]").unwrap_or(name)
    }
}

/// The keys that may stand in the table of this path, in the order of the documentation.
pub(super) fn inside(parent: &str) -> impl Iterator<Item = &'static Key> {
    KEYS.iter().filter(move |key| key.parent() == parent)
}

/// How the table of this path is written in a file: `[audit]`, `[[applications.routes]]`.
pub(super) fn header(path: &str) -> String {
    match path.strip_suffix("[]") {
        Some(name) => format!("[[{}]]", name.replace("[]", "")),
        None => format!("[{}]", path.replace("[]", "")),
    }
}

const fn key(path: &'static str, kind: Kind, need: Need, meaning: &'static str) -> Key {
    Key {
        path,
        kind,
        need,
        meaning,
    }
}

const fn required(path: &'static str, kind: Kind, meaning: &'static str) -> Key {
    key(path, kind, Need::Required, meaning)
}

const fn text(path: &'static str, of: &'static str, meaning: &'static str) -> Key {
    key(path, Kind::Text(of), Need::Required, meaning)
}

const fn time(path: &'static str, bounds: Bounds<Duration>, meaning: &'static str) -> Key {
    key(path, Kind::Duration(bounds), Need::Bounds, meaning)
}

const fn size(path: &'static str, bounds: Bounds<ByteSize>, meaning: &'static str) -> Key {
    key(path, Kind::Size(bounds), Need::Bounds, meaning)
}

const fn count(path: &'static str, bounds: Bounds<NonZeroU32>, meaning: &'static str) -> Key {
    key(path, Kind::Count(bounds), Need::Bounds, meaning)
}

const fn rate(path: &'static str, meaning: &'static str) -> Key {
    key(path, Kind::Table, Need::Otherwise("no limit"), meaning)
}

const fn limits(path: &'static str, meaning: &'static str) -> Key {
    let need = Need::Otherwise("none of the kind");
    key(path, Kind::Tables(bounds::LIMITS), need, meaning)
}

const NAME: &str = "a name";
const BY: &str = "`identity`, `organisation`, `application` or `route`";
const BY_CONCURRENCY: &str =
    "`identity`, `organisation`, `application`, `route`, `upstream` or `source`";
const AN_APPLICATION: &str = "the name of an application";
const ALL_APPLICATIONS: &str = "all applications";
const ONLY_APPLICATIONS: &str = "Applications that it applies to.";
const A_ROUTE: &str = "the prefix of a route";
const ALL_ROUTES: &str = "all routes";
const ONLY_ROUTES: &str = "Routes that it applies to, by their `prefix`.";
const SHADOW: &str = "`true`: what it would refuse is counted and recorded, and goes on.";
const FILE: &str = "a file";
const FOLDER: &str = "a folder";
const HOST: &str = "a host name";
const ADDRESS: &str = "an address and port";
const TEMPLATE: &str = "a template";

/// All keys.
#[rustfmt::skip]
pub(super) const KEYS: &[Key] = &[
    key("server", Kind::Table, Need::Otherwise("all defaults"), "The process."),
    key("server.threads", Kind::Count(bounds::THREADS), Need::Otherwise("number of cores, at most 64"), "Worker threads."),
    key("server.run_dir", Kind::Text(FOLDER), Need::Default("\"run\""), "Holds the upgrade socket; created with mode 0700, and refused when others may enter it."),
    time("server.drain", bounds::DRAIN, "How long a graceful stop (SIGTERM) waits for requests in flight."),

    required("listeners[]", Kind::Tables(bounds::LISTENERS), "The addresses that clients speak to."),
    text("listeners[].name", NAME, "Names the listener in metrics and audit records; unique."),
    text("listeners[].address", ADDRESS, "Where it listens; no two listeners may share an address; port 0 takes a free one."),
    key("listeners[].zone", Kind::Text("a zone"), Need::Otherwise("such clients are refused"), "Zone of a client that no prefix in `[zones]` covers."),
    key("listeners[].client_authentication", Kind::Choice(&["required", "optional"]), Need::Default("\"required\""), "`optional`: a client without a certificate is the subject `anonymous`; one that shows a certificate is verified all the same."),
    text("listeners[].client_ca", FILE, "PEM bundle of the authorities that sign clients."),
    key("listeners[].client_intermediates", Kind::Text(FILE), Need::Otherwise("none beside those in `client_ca`"), "PEM of intermediates below these authorities, which vouch for nobody by themselves: they complete chains, and their revocation lists can be verified."),
    key("listeners[].crls", Kind::Texts(FILE, bounds::CRLS), Need::Default("[]"), "Revocation lists of these authorities: PEM or DER, or folders whose files are all lists. With any list, or URL of one, every issuer needs one."),
    key("listeners[].crl_urls", Kind::Texts("an `http:` URL", bounds::CRLS), Need::Default("[]"), "Where lists of these authorities are fetched from; see `[crl_fetch]`."),
    key("listeners[].crl_hosts", Kind::Texts("a host, with a port if it is not 80", bounds::CRL_HOSTS), Need::Default("[]"), "Hosts from which lists are fetched that certificates of these authorities name as distribution points. With any, every issuer needs a list."),
    time("listeners[].crl_grace", bounds::CRL_GRACE, "How long a revocation list counts beyond its end, with a warning; after that nobody whom it covers is let in."),
    key("listeners[].spiffe_trust_domains", Kind::Texts("a trust domain", bounds::TRUST_DOMAINS), Need::Otherwise("those of `[identity]`"), "Of which trust domains these authorities may vouch for SPIFFE ids; a certificate with another one is refused."),
    key("listeners[].tls_min", Kind::Choice(&["1.3", "1.2"]), Need::Default("\"1.3\""), "Oldest TLS version that is spoken."),
    key("listeners[].proxy_protocol", Kind::Choice(&["none", "required"]), Need::Default("\"none\""), "`required`: every connection begins with a PROXY header, version 1 or 2, and its client is where that says; `none`: none may."),
    key("listeners[].balancers", Kind::Texts("an address prefix", bounds::BALANCERS), Need::Default("[]"), "Whose PROXY headers are believed; with `proxy_protocol = \"required\"` at least one, and all others are refused."),
    time("listeners[].proxy_timeout", bounds::PROXY_TIMEOUT, "From accept to the end of the PROXY header."),
    time("listeners[].handshake_timeout", bounds::HANDSHAKE_TIMEOUT, "From accept to the end of the TLS handshake."),
    count("listeners[].handshakes_max", bounds::HANDSHAKES_MAX, "Handshakes under way at once."),
    count("listeners[].handshakes_per_source", bounds::HANDSHAKES_PER_SOURCE, "Handshakes of one source under way at once: one IPv4 address, or one IPv6 /64."),
    key("listeners[].session_resumption", Kind::Count(bounds::SESSION_RESUMPTION), Need::Otherwise("no session is resumed"), "Sessions that are kept to be resumed, for each trust; a resumed session is verified again, and none outlives a reload."),
    time("listeners[].header_timeout", bounds::HEADER_TIMEOUT, "From the first byte of a request to the end of its head."),
    time("listeners[].idle_timeout", bounds::IDLE_TIMEOUT, "How long a kept-alive connection may be silent between requests, and how long a client may take nothing of its answer."),
    size("listeners[].body_rate_min", bounds::BODY_RATE_MIN, "Bytes a second that a request body must bring on average once `header_timeout` has passed, and that a client must take of its answer; less is cut, `0B` bears all. Routes that are `streaming` are exempt."),
    count("listeners[].headers_max", bounds::HEADERS_MAX, "Header fields in one request."),
    size("listeners[].header_bytes_max", bounds::HEADER_BYTES_MAX, "Bytes of one whole request head."),
    required("listeners[].certificates[]", Kind::Tables(bounds::CERTIFICATES), "What clients are shown, chosen by SNI."),
    required("listeners[].certificates[].hosts", Kind::Texts("a host name or `*.` and a domain", bounds::CERTIFICATE_HOSTS), "SNI names that it serves; unique in the listener."),
    text("listeners[].certificates[].chain", FILE, "PEM chain, leaf first."),
    text("listeners[].certificates[].key", FILE, "PEM private key of the leaf."),
    key("listeners[].certificates[].client_authentication", Kind::Choice(&["required", "optional"]), Need::Otherwise("the listener's"), "Whether a client of these hosts must show a certificate."),
    key("listeners[].certificates[].client_ca", Kind::Text(FILE), Need::Otherwise("the listener's"), "Authorities that sign clients of these hosts, in place of the listener's; with it come its own `crls` and `crl_grace`."),
    key("listeners[].certificates[].client_intermediates", Kind::Text(FILE), Need::Otherwise("the listener's; none with a `client_ca` of its own"), "As for the listener, below the authorities in `client_ca` beside it."),
    key("listeners[].certificates[].crls", Kind::Texts(FILE, bounds::CRLS), Need::Otherwise("the listener's; none with a `client_ca` of its own"), "Revocation lists of the authorities in `client_ca` beside it."),
    key("listeners[].certificates[].crl_urls", Kind::Texts("an `http:` URL", bounds::CRLS), Need::Otherwise("the listener's; none with a `client_ca` of its own"), "Where lists of the authorities in `client_ca` beside it are fetched from."),
    key("listeners[].certificates[].crl_hosts", Kind::Texts("a host, with a port if it is not 80", bounds::CRL_HOSTS), Need::Otherwise("the listener's; none with a `client_ca` of its own"), "As for the listener, for the authorities in `client_ca` beside it."),
    key("listeners[].certificates[].crl_grace", Kind::Duration(bounds::CRL_GRACE), Need::Otherwise("the listener's; 0 with a `client_ca` of its own"), "As for the listener, for the lists in `crls` beside it."),
    key("listeners[].certificates[].spiffe_trust_domains", Kind::Texts("a trust domain", bounds::TRUST_DOMAINS), Need::Otherwise("the listener's; those of `[identity]` with a `client_ca` of its own"), "As for the listener, for the authorities of these hosts."),

    key("zones", Kind::Named(bounds::ZONES), Need::Otherwise("no zones"), "Where clients are, by address; the longest prefix wins."),
    key("zones.*", Kind::Texts("an address prefix", bounds::ZONE_PREFIXES), Need::Otherwise("no such zone"), "Prefixes of one zone, IPv4 or IPv6, without host bits; each prefix once in the file."),

    required("labels", Kind::Table, "Classes of data."),
    required("labels.order", Kind::Texts(NAME, bounds::LABELS), "All labels, the lowest first."),

    key("matrix", Kind::Named(bounds::ZONES), Need::Otherwise("no zone reaches anything"), "Which labels the clients of a zone may reach."),
    key("matrix.*", Kind::Texts("a label", bounds::MATRIX_LABELS), Need::Otherwise("that zone reaches nothing"), "Labels that one zone may reach."),

    key("identity", Kind::Table, Need::Otherwise("all defaults"), "From certificate to policy subject, and what else is known of its holder."),
    key("identity.subject", Kind::Text(TEMPLATE), Need::Default("\"{san.uri}\""), "The policy subject of a client certificate; one for which it gives nothing is refused, unless the directory knows it."),
    key("identity.organisation", Kind::Text(TEMPLATE), Need::Otherwise("the directory's, or none"), "The organisation that a client acts for: in audit records, and `r.sub.organisation` in the policy."),
    key("identity.spiffe_trust_domains", Kind::Texts("a trust domain", bounds::TRUST_DOMAINS), Need::Otherwise("required where a template may hold a SPIFFE id, unless every listener has its own"), "A certificate with the SPIFFE id of another trust domain is refused; `[]`: with any."),
    key("identity.directory", Kind::Text(FILE), Need::Otherwise("no directory"), "CSV of what the organisation knows about holders of certificates: subject, organisation, roles, clearance, device class, posture."),
    time("identity.posture_max_age", bounds::POSTURE_MAX_AGE, "How long a posture counts after it was measured; then it is 0, the worst."),
    key("identity.authorities", Kind::Named(bounds::AUTHORITIES), Need::Otherwise("each anchor in a `client_ca` is an authority by itself"), "Which anchors are one authority, and what `{authority}` calls it."),
    key("identity.authorities.*", Kind::Texts("the subject of an anchor as in RFC 4514, or SHA-256 of its key", bounds::AUTHORITY_ANCHORS), Need::Otherwise("no such authority"), "The anchors of one authority, such as its old and its new root."),
    key("identity.attributes", Kind::Named(bounds::ATTRIBUTES), Need::Otherwise("none"), "What the policy may read of a subject besides, as `r.sub.NAME`."),
    key("identity.attributes.*", Kind::Text(TEMPLATE), Need::Otherwise("no such attribute"), "Value of the attribute of that name; absent, so that a rule that reads it refuses, where the certificate lacks a field of it."),

    key("purpose", Kind::Table, Need::Otherwise("no request states a purpose"), "How a request states what the data are for."),
    text("purpose.header", "a header name", "The field in which a request states its purpose."),
    required("purpose.names", Kind::Texts(NAME, bounds::PURPOSES), "All purposes that may be stated; another one is refused."),
    key("purpose.forward", Kind::Flag, Need::Default("true"), "Whether the application sees the field."),

    required("applications[]", Kind::Tables(bounds::APPLICATIONS), "What is protected."),
    text("applications[].name", NAME, "Names the application in metrics and audit records; unique."),
    text("applications[].tenant", "a tenant", "The Casbin domain."),
    required("applications[].hosts", Kind::Texts(HOST, bounds::APPLICATION_HOSTS), "What Host, `:authority` and SNI must be; exact; each in one application only and covered by a certificate of some listener."),
    text("applications[].label", "a label", "Label of routes that name none of their own."),
    size("applications[].request_body_max", bounds::REQUEST_BODY_MAX, "Bytes of one request body."),
    key("applications[].acknowledge", Kind::Choice(&["durable", "written", "counted"]), Need::Default("\"durable\""), "When an answer may go out: once its record is on the disk; once the system has it; or at any time, and under pressure the record is dropped and counted."),
    key("applications[].balance", Kind::Choice(&["round_robin", "least_connections"]), Need::Default("\"round_robin\""), "How a healthy upstream is chosen."),
    time("applications[].connect_timeout", bounds::CONNECT_TIMEOUT, "To connect to an upstream, TLS included."),
    time("applications[].read_timeout", bounds::READ_TIMEOUT, "Longest wait for the next bytes of the upstream."),
    time("applications[].write_timeout", bounds::WRITE_TIMEOUT, "Longest wait for the upstream to take the next bytes."),
    time("applications[].response_timeout", bounds::RESPONSE_TIMEOUT, "From the head of a request to the last byte of its answer, unless the route is `streaming`; tunnels such as WebSockets are exempt."),
    key("applications[].upstream_protocol", Kind::Choice(&["http/1.1", "h2"]), Need::Default("\"http/1.1\""), "What all upstreams speak; `h2`: HTTP/2 without negotiation, or agreed on in TLS, as gRPC needs it."),
    key("applications[].purposes", Kind::Texts("a purpose", bounds::PURPOSES), Need::Otherwise("all of `[purpose]`"), "Purposes that may be stated to the application."),
    count("applications[].policy_context", bounds::POLICY_CONTEXT, "Which context of the policy's model decides: 2 is `r2`, `p2`, `e2` and `m2`."),
    key("applications[].query_parameters", Kind::Texts("a parameter name", bounds::QUERY_PARAMETERS), Need::Default("[]"), "Query parameters that rules may read, as `r.query.NAME`; one that stands twice, in whatever spelling, is refused with 400."),
    key("applications[].obligations", Kind::Texts("`mask:NAME` or `watermark:NAME`", bounds::OBLIGATIONS), Need::Default("[]"), "Obligations of rules that the application carries out when it is told; a permit that demands another is refused."),
    time("applications[].strict_transport_security", bounds::STRICT_TRANSPORT_SECURITY, "How long browsers are told to use TLS only (`Strict-Transport-Security`); `0ms`: nothing is said."),
    key("applications[].websocket_origins", Kind::Texts("an origin", bounds::WEBSOCKET_ORIGINS), Need::Otherwise("its own hosts"), "Origins whose pages may open a WebSocket, as in `https://portal.example`; a client that is no browser names none and is not asked."),
    key("applications[].headers", Kind::Named(bounds::HEADERS), Need::Otherwise("none is added"), "Header fields that are set on requests to the application."),
    key("applications[].headers.*", Kind::Text(TEMPLATE), Need::Otherwise("not added"), "Value of the field of that name; never a hop-by-hop or framing field, nor Host, nor one that the gateway sets itself."),
    required("applications[].routes[]", Kind::Tables(bounds::ROUTES), "Which paths exist; the longest prefix decides alone, a literal segment before a parameter; a path under none is no such route."),
    text("applications[].routes[].prefix", "a path prefix", "Matches whole segments: `/a` is `/a` and `/a/…`, `/` is all; `:name` is a parameter, one segment that is not empty. A path that it would match but for the case of letters, and that another prefix then takes, is refused as ambiguous."),
    key("applications[].routes[].methods", Kind::Texts("GET, HEAD, POST, PUT, PATCH, DELETE or OPTIONS", bounds::METHODS), Need::Otherwise("all seven methods"), "Methods of the route; each once for one prefix."),
    key("applications[].routes[].label", Kind::Text("a label"), Need::Otherwise("the application's"), "Label of what lies under the prefix."),
    key("applications[].routes[].path_profile", Kind::Choice(&["strict", "keep-encoded-slash"]), Need::Default("\"strict\""), "`keep-encoded-slash`: `%2F` may stand inside a segment and is judged and forwarded as it is; for an application that needs it."),
    key("applications[].routes[].request_body_max", Kind::Size(bounds::REQUEST_BODY_MAX), Need::Otherwise("the application's"), "Bytes of one request body under the prefix."),
    key("applications[].routes[].response_timeout", Kind::Duration(bounds::RESPONSE_TIMEOUT), Need::Otherwise("the application's"), "As there, under the prefix."),
    key("applications[].routes[].streaming", Kind::Flag, Need::Default("false"), "`true`: bodies may go on for ever and pause for an hour, as server-sent events and streams of gRPC do; `response_timeout` then bounds the wait for the head, and `body_rate_min` does not apply to the request."),
    required("applications[].upstreams[]", Kind::Tables(bounds::UPSTREAMS), "Where the application runs."),
    text("applications[].upstreams[].address", ADDRESS, "Address of one instance; each once in the application."),
    key("applications[].upstream_tls", Kind::Table, Need::Otherwise("plain HTTP to all upstreams"), "TLS to all upstreams."),
    text("applications[].upstream_tls.ca", FILE, "PEM bundle of the authorities that sign upstreams."),
    text("applications[].upstream_tls.server_name", HOST, "SNI that is sent, and name that the upstream's certificate must carry unless `spiffe_id` or `uri` says otherwise."),
    key("applications[].upstream_tls.spiffe_id", Kind::Text("a SPIFFE id"), Need::Otherwise("the name counts"), "SPIFFE id that the upstream's certificate must have, in place of the name."),
    key("applications[].upstream_tls.uri", Kind::Text("a URI"), Need::Otherwise("the name counts"), "URI that must be among its alternative names, byte for byte, in place of the name."),
    key("applications[].upstream_tls.intermediates", Kind::Text(FILE), Need::Otherwise("none beside those in `ca`"), "PEM of intermediates below the authorities in `ca`, so that their revocation lists can be verified; upstreams send them all the same."),
    key("applications[].upstream_tls.crls", Kind::Texts(FILE, bounds::CRLS), Need::Default("[]"), "Revocation lists of the authorities in `ca`, as for a listener."),
    key("applications[].upstream_tls.crl_urls", Kind::Texts("an `http:` URL", bounds::CRLS), Need::Default("[]"), "Where lists of these authorities are fetched from."),
    time("applications[].upstream_tls.crl_grace", bounds::CRL_GRACE, "As for a listener."),
    key("applications[].upstream_tls.certificate", Kind::Text(FILE), Need::Otherwise("none is shown"), "PEM chain that the gateway shows to upstreams; together with `key`."),
    key("applications[].upstream_tls.key", Kind::Text(FILE), Need::Otherwise("none is shown"), "PEM private key of `certificate`."),
    key("applications[].health", Kind::Table, Need::Otherwise("all defaults"), "Passive health of upstreams."),
    count("applications[].health.failures", bounds::FAILURES, "Failures in a row that take an upstream out."),
    time("applications[].health.retry_after", bounds::RETRY_AFTER, "How long an upstream stays out before it is tried again."),

    required("policy", Kind::Table, "The Casbin policy."),
    key("policy.model", Kind::Text(FILE), Need::Otherwise("the bundle's"), "Casbin model; together with `rules`, and not with `bundle`."),
    key("policy.rules", Kind::Text(FILE), Need::Otherwise("the bundle's"), "Casbin rules, CSV; together with `model`."),
    key("policy.bundle", Kind::Text(FILE), Need::Otherwise("`model` and `rules`"), "A signed bundle in place of `model` and `rules`; needs `keys` and `state`."),
    key("policy.keys", Kind::Texts("a public key", bounds::POLICY_KEYS), Need::Otherwise("required with `bundle`"), "Who may sign bundles: lines that `hangu policy sign --make-key` prints."),
    key("policy.signatures", Kind::Count(bounds::SIGNATURES), Need::Bounds, "How many different keys must have signed a bundle."),
    key("policy.state", Kind::Text(FILE), Need::Otherwise("required with `bundle`"), "Where the gateway remembers the newest bundle that it has taken; in a folder that it may write and that survives a reboot."),

    key("policy.shadow", Kind::Table, Need::Otherwise("no policy is under trial"), "A policy under trial: asked, counted and recorded, never enforced."),
    text("policy.shadow.expires", "a time such as `2027-01-31T00:00:00Z`", "Until when it is asked."),
    key("policy.shadow.rules", Kind::Text(FILE), Need::Otherwise("`extra` or `bundle`"), "Rules of a whole policy."),
    key("policy.shadow.model", Kind::Text(FILE), Need::Otherwise("that of the policy in force"), "The model of `rules`."),
    key("policy.shadow.extra", Kind::Text(FILE), Need::Otherwise("`rules` or `bundle`"), "Rules that are added to those in force."),
    key("policy.shadow.bundle", Kind::Text(FILE), Need::Otherwise("`rules` or `extra`"), "A bundle that has been signed as `policy.bundle` must be; its epoch and times do not count."),

    key("crl_fetch", Kind::Table, Need::Otherwise("all defaults"), "How the lists of `crl_urls` are fetched: beside the requests, verified before they count, kept for a restart without a network."),
    key("crl_fetch.folder", Kind::Text(FOLDER), Need::Default("\"crl-cache\""), "Holds the lists, and copies of those of `crls` that have a grace; created with mode 0700."),
    time("crl_fetch.every", bounds::CRL_FETCH_EVERY, "How often a newer one is asked for; after a failure at least once a minute."),
    time("crl_fetch.timeout", bounds::CRL_FETCH_TIMEOUT, "From connecting to the last byte."),
    size("crl_fetch.size_max", bounds::CRL_FETCH_SIZE, "Bytes of one list."),

    key("crl_grace", Kind::Named(bounds::CRL_ISSUERS), Need::Otherwise("every issuer's lists have the grace of their place"), "How long the lists of single issuers count beyond their end, in place of the `crl_grace` of listeners, hosts and upstreams. An issuer is named as `hangu certs inspect` shows it, as in `\"CN=Tax Office Issuing,O=Tax Office\"`; one that no bundle of authorities knows is refused."),
    key("crl_grace.*", Kind::Duration(bounds::CRL_GRACE), Need::Otherwise("the grace of the place"), "Grace of that issuer; `0ms` denies at once."),

    key("limits", Kind::Table, Need::Otherwise("no limits"), "Who may ask how often, how much at once and how much a day. The limits of a request all apply; each has a name of its own."),
    key("limits.utc_offset", Kind::Text("hours and minutes east of Greenwich"), Need::Default("\"+00:00\""), "Where quotas begin their day, in whole hours: `+08:00` is midnight in Beijing."),
    rate("limits.identity", "Rate of each policy subject: the short form of a rate `identity` by identity."),
    required("limits.identity.requests", Kind::Count(bounds::RATE_REQUESTS), "Requests in each `per`."),
    required("limits.identity.per", Kind::Duration(bounds::RATE_PER), "The time that `requests` counts for."),
    required("limits.identity.burst", Kind::Count(bounds::RATE_BURST), "Requests that may come at once after a silence."),
    key("limits.identity.shadow", Kind::Flag, Need::Default("false"), "`true`: what it would refuse is counted and recorded, and goes on."),
    rate("limits.source", "Rate of each client address: the short form of a source limit `source` of all clients."),
    required("limits.source.requests", Kind::Count(bounds::RATE_REQUESTS), "Requests in each `per`."),
    required("limits.source.per", Kind::Duration(bounds::RATE_PER), "The time that `requests` counts for."),
    required("limits.source.burst", Kind::Count(bounds::RATE_BURST), "Requests that may come at once after a silence."),
    key("limits.source.shadow", Kind::Flag, Need::Default("false"), "`true`: what it would refuse is counted and recorded, and goes on."),
    rate("limits.handshake", "Rate of TLS handshakes of each client address, before any certificate is looked at."),
    required("limits.handshake.requests", Kind::Count(bounds::RATE_REQUESTS), "Handshakes in each `per`."),
    required("limits.handshake.per", Kind::Duration(bounds::RATE_PER), "The time that `requests` counts for."),
    required("limits.handshake.burst", Kind::Count(bounds::RATE_BURST), "Handshakes that may come at once after a silence."),
    key("limits.handshake.shadow", Kind::Flag, Need::Default("false"), "`true`: what it would refuse is counted, and goes on."),
    limits("limits.rates[]", "Named rates. A request counts for every rate that applies, or for none when one refuses."),
    text("limits.rates[].name", NAME, "Names it in answers, records and metrics; unique among all limits; `identity` and `source` are those above."),
    required("limits.rates[].by", Kind::Texts(BY, bounds::LIMIT_BY), "What has a count of its own; several are counted in combination."),
    required("limits.rates[].requests", Kind::Count(bounds::RATE_REQUESTS), "Requests in each `per`."),
    required("limits.rates[].per", Kind::Duration(bounds::RATE_PER), "The time that `requests` counts for."),
    required("limits.rates[].burst", Kind::Count(bounds::RATE_BURST), "Requests that may come at once after a silence."),
    key("limits.rates[].applications", Kind::Texts(AN_APPLICATION, bounds::LIMIT_APPLICATIONS), Need::Otherwise(ALL_APPLICATIONS), ONLY_APPLICATIONS),
    key("limits.rates[].routes", Kind::Texts(A_ROUTE, bounds::LIMIT_ROUTES), Need::Otherwise(ALL_ROUTES), ONLY_ROUTES),
    key("limits.rates[].shared", Kind::Flag, Need::Default("false"), "`true`: all gateways hold it together, through the server of `[limits.shared]`."),
    key("limits.rates[].shadow", Kind::Flag, Need::Default("false"), SHADOW),
    limits("limits.sources[]", "Rates of where requests come from, in fixed memory whatever the number of sources."),
    text("limits.sources[].name", NAME, "As above."),
    key("limits.sources[].by", Kind::Choice(&["address", "prefix"]), Need::Default("\"address\""), "`address`: an IPv4 address or an IPv6 /64; `prefix`: an IPv4 /24 or an IPv6 /56."),
    key("limits.sources[].clients", Kind::Choice(&["unauthenticated", "all"]), Need::Default("\"unauthenticated\""), "Whose requests count: those of clients without a certificate, or all."),
    required("limits.sources[].requests", Kind::Count(bounds::RATE_REQUESTS), "Requests in each `per`."),
    required("limits.sources[].per", Kind::Duration(bounds::RATE_PER), "The time that `requests` counts for."),
    required("limits.sources[].burst", Kind::Count(bounds::RATE_BURST), "Requests that may come at once after a silence."),
    key("limits.sources[].shadow", Kind::Flag, Need::Default("false"), SHADOW),
    limits("limits.concurrency[]", "How many at the same time. A place is given back at every end of a request, also when it is cut off."),
    text("limits.concurrency[].name", NAME, "As above."),
    required("limits.concurrency[].by", Kind::Texts(BY_CONCURRENCY, bounds::LIMIT_BY), "As above; `upstream` alone: requests in flight at each upstream; `source` alone: open connections of each address."),
    required("limits.concurrency[].max", Kind::Count(bounds::CONCURRENCY), "Most at the same time."),
    key("limits.concurrency[].applications", Kind::Texts(AN_APPLICATION, bounds::LIMIT_APPLICATIONS), Need::Otherwise(ALL_APPLICATIONS), ONLY_APPLICATIONS),
    key("limits.concurrency[].routes", Kind::Texts(A_ROUTE, bounds::LIMIT_ROUTES), Need::Otherwise(ALL_ROUTES), ONLY_ROUTES),
    key("limits.concurrency[].shadow", Kind::Flag, Need::Default("false"), SHADOW),
    limits("limits.quotas[]", "How much in a day, or in another number of hours; kept in memory, a restart begins anew."),
    text("limits.quotas[].name", NAME, "As above."),
    required("limits.quotas[].by", Kind::Texts(BY, bounds::LIMIT_BY), "What has a count of its own; several are counted in combination."),
    key("limits.quotas[].requests", Kind::Count(bounds::QUOTA_REQUESTS), Need::Otherwise("`bytes` must stand instead"), "Requests in each window."),
    key("limits.quotas[].bytes", Kind::Size(bounds::QUOTA_BYTES), Need::Otherwise("`requests` must stand instead"), "Bytes of bodies in each window, both ways together, counted as they flow; when they are used up, what is under way is cut off."),
    count("limits.quotas[].hours", bounds::QUOTA_HOURS, "Length of the window; 24 begins at midnight."),
    key("limits.quotas[].applications", Kind::Texts(AN_APPLICATION, bounds::LIMIT_APPLICATIONS), Need::Otherwise(ALL_APPLICATIONS), ONLY_APPLICATIONS),
    key("limits.quotas[].routes", Kind::Texts(A_ROUTE, bounds::LIMIT_ROUTES), Need::Otherwise(ALL_ROUTES), ONLY_ROUTES),
    key("limits.quotas[].shadow", Kind::Flag, Need::Default("false"), SHADOW),
    key("limits.shared", Kind::Table, Need::Otherwise("no limit is shared"), "The Redis or Valkey server by which several gateways hold limits together. `shared = \"redis://…\"` in `[limits]` is short for a table with this one of `urls`."),
    required("limits.shared.urls", Kind::Texts("`redis://` or `rediss://` (TLS), host and port, for one server a number of its database", bounds::SHARED_URLS), "The server, tried in this order; or all sentinels, or some nodes of the cluster."),
    key("limits.shared.kind", Kind::Choice(&["single", "sentinel", "cluster"]), Need::Default("\"single\""), "What is at `urls`. In a cluster several shared limits of one request are asked one after the other."),
    key("limits.shared.service", Kind::Text("a name"), Need::Otherwise("required with `sentinel`"), "The service that the sentinels watch."),
    key("limits.shared.ca", Kind::Text(FILE), Need::Otherwise("the authorities of the system"), "PEM bundle of the authorities that sign the server, for `rediss://`."),
    key("limits.shared.user", Kind::Text("a user"), Need::Otherwise("the server's default user"), "Who the gateway is to the server."),
    key("limits.shared.password_file", Kind::Text(FILE), Need::Otherwise("no password"), "Holds the password; read at each connection."),
    key("limits.shared.prefix", Kind::Text(NAME), Need::Default("\"hangu\""), "Begins the server's keys; gateways with one prefix hold their limits together."),
    time("limits.shared.deadline", bounds::SHARED_DEADLINE, "Longest wait of a request for the server."),
    count("limits.shared.connections", bounds::SHARED_CONNECTIONS, "Connections to the server; each carries many requests at once."),
    key("limits.shared.fallback", Kind::Choice(&["local_share", "allow", "deny"]), Need::Default("\"local_share\""), "What decides while the server does not answer: this gateway's share of each rate, nothing, or a refusal."),
    count("limits.shared.gateways", bounds::SHARED_GATEWAYS, "How many gateways there are; with `local_share` each gets so large a part."),

    required("audit", Kind::Table, "The tamper-evident log."),
    text("audit.folder", FOLDER, "Holds the segments; created with mode 0750, its files with 0640."),
    count("audit.queue", bounds::AUDIT_QUEUE, "Records that may wait for the disk; a request that finds no place is refused."),
    size("audit.segment", bounds::AUDIT_SEGMENT, "Bytes after which a segment is closed."),
    time("audit.flush", bounds::AUDIT_FLUSH, "Longest time that a record waits for others to be synced with."),

    key("audit.key", Kind::Text(FILE), Need::Otherwise("the folder's name and `.key`, made at the first start"), "The key that signs the log's checkpoints, as `hangu audit key` makes it; read once, at the start."),
    key("audit.disk_max", Kind::Size(bounds::AUDIT_DISK_MAX), Need::Otherwise("what its file system has"), "Most bytes of the folder; at 90 and 95 % of it, or of the file system, alarms, at 99 % only denials and events are still taken."),

    key("audit.signer", Kind::Table, Need::Otherwise("the gateway signs the log itself"), "A process under another user that has the key and signs for the gateway: `hangu audit signer`. In place of `key`."),
    text("audit.signer.socket", "a Unix socket", "Where it is asked; a signer that starts later is found."),
    text("audit.signer.key", "a key", "What it signs with, `NAME+ID+KEY` as `hangu audit key` prints it."),

    key("audit.witness", Kind::Table, Need::Otherwise("nobody else watches the log"), "A second party that cosigns the log's checkpoints: `hangu audit witness` on another machine, or any that speaks C2SP tlog-witness."),
    text("audit.witness.url", "an `http://` or `https://` URL", "Where it is asked; `/add-checkpoint` is added."),
    text("audit.witness.key", "a key", "Its key, `NAME+ID+KEY` as `hangu audit key --witness` prints it."),
    time("audit.witness.interval", bounds::WITNESS_INTERVAL, "How often it is asked: so long somebody who owns host and key can rewrite unseen."),
    key("audit.witness.ca", Kind::Text(FILE), Need::Otherwise("none; required for `https://`"), "PEM bundle of the authorities that sign its server."),

    key("audit.pseudonyms", Kind::Table, Need::Otherwise("records name people as they are"), "Keyed hashes (HMAC-SHA-256) in place of identifiers, in the audit and the access log; a reload may change it."),
    text("audit.pseudonyms.key", FILE, "The key, as `hangu audit key --pseudonyms` makes it; another one begins other pseudonyms."),
    key("audit.pseudonyms.fields", Kind::Texts("`subject`, `client`, `certificate` or `path`", bounds::PSEUDONYMS), Need::Otherwise("all of them"), "What is replaced: the subject, the client's address, fingerprint and serial number of the certificate, the path (its hash is `path_hash`)."),

    key("audit.sinks[]", Kind::Tables(bounds::SINKS), Need::Otherwise("records stay in the folder"), "Who is sent the log, each with a place of its own in it: at least once, in order, never on the way of a request."),
    text("audit.sinks[].name", NAME, "Names the sink in metrics and its place in the log (`ship/NAME.json` in the audit folder); unique."),
    required("audit.sinks[].kind", Kind::Choice(&["syslog", "http", "folder"]), "`syslog`: RFC 5424 over TLS (RFC 5425); `http`: JSON lines by POST; `folder`: files for an agent, each complete once it has its name."),
    key("audit.sinks[].format", Kind::Choice(&["native", "ocsf", "ecs", "cef", "rfc5424"]), Need::Otherwise("`rfc5424` for `syslog`, else `native`"), "What a record is written as; `native` and `rfc5424` hold the line of the log itself. To `syslog` every format travels as the message of RFC 5424."),
    key("audit.sinks[].address", Kind::Text("a host and port"), Need::Otherwise("needed by `syslog`"), "The syslog receiver."),
    key("audit.sinks[].server_name", Kind::Text(HOST), Need::Otherwise("the host of `address`"), "Name that the certificate of a `syslog` receiver must carry."),
    time("audit.sinks[].settle", bounds::SINK_SETTLE, "Syslog has no acknowledgement: what was sent less than this before a connection broke is sent again."),
    key("audit.sinks[].url", Kind::Text("a URL"), Need::Otherwise("needed by `http`"), "Where batches are posted; `https://`, or `http://` to a loopback address."),
    key("audit.sinks[].token", Kind::Text(FILE), Need::Otherwise("none is sent"), "Bearer token for `http`."),
    key("audit.sinks[].folder", Kind::Text(FOLDER), Need::Otherwise("needed by `folder`"), "Where the files go; on one file system with nothing else that fills it."),
    key("audit.sinks[].ca", Kind::Text(FILE), Need::Otherwise("needed by TLS"), "PEM bundle of the authorities that sign the receiver."),
    key("audit.sinks[].certificate", Kind::Text(FILE), Need::Otherwise("none is shown"), "PEM chain that is shown to the receiver; together with `key`."),
    key("audit.sinks[].key", Kind::Text(FILE), Need::Otherwise("none is shown"), "PEM private key of `certificate`."),
    count("audit.sinks[].batch", bounds::SINK_BATCH, "Most records that are sent together."),
    time("audit.sinks[].timeout", bounds::SINK_TIMEOUT, "Longest time to connect, and to send one batch and have it acknowledged."),

    key("audit.retention", Kind::Table, Need::Otherwise("all defaults"), "How long the log is kept; a reload may change it."),
    count("audit.retention.days", bounds::RETENTION_DAYS, "Days that a record is kept at least; less than 180 only with `profile = \"development\"`."),
    key("audit.retention.profile", Kind::Choice(&["production", "development"]), Need::Default("\"production\""), "`development`: no duty to keep records holds here."),
    key("audit.retention.compress", Kind::Flag, Need::Default("true"), "Finished segments are compressed (zstd); every command reads both forms."),
    key("audit.retention.archive", Kind::Text("a folder or `s3://BUCKET/PREFIX`"), Need::Otherwise("removed segments are gone"), "Where segments are copied, and read back, before they are removed."),
    time("audit.retention.every", bounds::RETENTION_EVERY, "How often it is looked for segments to compress or remove."),

    key("audit.retention.store", Kind::Table, Need::Otherwise("`archive` is a folder"), "The S3-compatible store that `archive` is in."),
    text("audit.retention.store.endpoint", "a URL", "Where it is; `https://`, or `http://` to a loopback address."),
    text("audit.retention.store.region", "a name", "What requests are signed for, such as `us-east-1`."),
    key("audit.retention.store.address", Kind::Choice(&["path", "host"]), Need::Default("\"path\""), "Where the bucket's name stands: in the path, or before the host."),
    text("audit.retention.store.key_id", "a name", "The access key's id."),
    text("audit.retention.store.secret", FILE, "The secret access key, read at each round."),
    key("audit.retention.store.ca", Kind::Text(FILE), Need::Otherwise("none; required for `https://`"), "PEM bundle of the authorities that sign its server."),

    key("access_log", Kind::Table, Need::Otherwise("no access log"), "One JSON line for each request."),
    text("access_log.to", "`stdout` or a file", "Where it goes; a file is opened again on SIGUSR1."),

    key("admin", Kind::Table, Need::Otherwise("no admin endpoint"), "Metrics and health of the gateway itself."),
    text("admin.address", ADDRESS, "Where it listens; a loopback address unless `expose` is true."),
    key("admin.expose", Kind::Flag, Need::Default("false"), "Allows an address that is not loopback; the endpoint has no authentication of its own."),

    key("control", Kind::Table, Need::Otherwise("all defaults"), "Where operators act on the running gateway: `hangu status`, and whatever else speaks to it."),
    key("control.socket", Kind::Text(FILE), Need::Otherwise("`control.sock` in `server.run_dir`, mode 0600"), "Unix socket of its own place, mode 0666: the folder decides who reaches it, `uids` who may call."),
    key("control.revocations", Kind::Text(FILE), Need::Otherwise("`revocations.json` beside `audit.folder`"), "Where revocations by operators are kept over restarts; in a folder that the gateway may write."),
    key("control.uids", Kind::Counts(bounds::UID, bounds::UIDS), Need::Default("[]"), "Users of this machine who may call, beside root and the gateway's own user."),
    key("control.remote", Kind::Table, Need::Otherwise("the Unix socket only"), "The same over TCP with mutual TLS, for operators of other machines; nobody calls without a certificate."),
    text("control.remote.address", "an address and port", "Where it listens."),
    text("control.remote.certificate", FILE, "PEM chain that it shows, for the name that operators dial."),
    text("control.remote.key", FILE, "PEM private key of `certificate`."),
    text("control.remote.client_ca", FILE, "PEM bundle of the authorities that sign operators; best none that signs clients."),
    key("control.remote.crls", Kind::Texts(FILE, bounds::CRLS), Need::Default("[]"), "Revocation lists of these authorities, as for a listener."),
    key("control.remote.subjects", Kind::Texts("a policy subject", bounds::CONTROL_SUBJECTS), Need::Required, "Who may call: subjects, as `identity.subject` makes them of certificates."),
];
