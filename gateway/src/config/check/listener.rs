//! Listeners and the certificates that they show.

use std::net::{IpAddr, SocketAddr};

use super::Names;
use super::identity::trust_domains;
use super::reader::{Reader, parse_address};
use super::trust::{CLIENT_AUTHENTICATION, crl_hosts, crl_urls, crls, own_trust};
use crate::config::bounds;
use crate::config::checked::{
    ClientAuthentication, ClientTrust, Listener, ServerCertificate, TlsVersion,
};
use crate::config::file::{self, File, Text};
use crate::config::problem::Fault;
use crate::config::values::{HostPattern, IpPrefix, Name};

/// In the order of the file; those that lack something are left out, after a report.
pub(super) fn listeners(
    reader: &mut Reader<'_, '_>,
    names: Names<'_>,
    written: &[file::Listener],
) -> Vec<Listener> {
    let places = written.iter().filter_map(|listener| listener.name.as_ref());
    reader.no_two(places.map(|name| (name, name.get_ref())), |name| {
        Fault::new(
            format!("there is a listener `{name}` above"),
            "give each listener its own name",
        )
    });
    written
        .iter()
        .filter_map(|listener| one(reader, names, listener))
        .collect()
}

fn one(
    reader: &mut Reader<'_, '_>,
    names: Names<'_>,
    written: &file::Listener,
) -> Option<Listener> {
    let name = reader.read(written.name.as_ref(), Name::parse);
    let address = reader.read(written.address.as_ref(), parse_address);
    let zone = written
        .zone
        .as_ref()
        .and_then(|zone| names.zone(reader, zone));
    let client_authentication = reader.choice(
        written.client_authentication.as_ref(),
        &CLIENT_AUTHENTICATION,
        ClientAuthentication::Required,
    );
    let client_ca = reader.file(written.client_ca.as_ref());
    let trust = ClientTrust {
        client_authentication,
        intermediates: reader.file(written.client_intermediates.as_ref()),
        crls: crls(reader, written.crls.as_ref(), written.crl_grace.as_ref()),
        crl_urls: crl_urls(reader, written.crl_urls.as_ref()),
        crl_hosts: crl_hosts(reader, written.crl_hosts.as_ref()),
        crl_grace: reader.duration(written.crl_grace.as_ref(), &bounds::CRL_GRACE),
        spiffe_trust_domains: trust_domains(reader, written.spiffe_trust_domains.as_ref()),
        client_ca: client_ca.clone().unwrap_or_default(),
    };
    let certificates = certificates(reader, &trust, &written.certificates);
    let session_resumption = written.session_resumption.as_ref().map(|_| {
        reader.count(
            written.session_resumption.as_ref(),
            &bounds::SESSION_RESUMPTION,
        )
    });
    let handshakes_per_source = reader.count(
        written.handshakes_per_source.as_ref(),
        &bounds::HANDSHAKES_PER_SOURCE,
    );
    let tls_min = reader.choice(written.tls_min.as_ref(), &TLS_VERSIONS, TlsVersion::Tls13);
    let proxy_protocol = proxy_protocol(reader, written);
    let proxy_timeout = reader.duration(written.proxy_timeout.as_ref(), &bounds::PROXY_TIMEOUT);
    let handshake_timeout = reader.duration(
        written.handshake_timeout.as_ref(),
        &bounds::HANDSHAKE_TIMEOUT,
    );
    let handshakes_max = reader.count(written.handshakes_max.as_ref(), &bounds::HANDSHAKES_MAX);
    let header_timeout = reader.duration(written.header_timeout.as_ref(), &bounds::HEADER_TIMEOUT);
    let idle_timeout = reader.duration(written.idle_timeout.as_ref(), &bounds::IDLE_TIMEOUT);
    let body_rate_min = reader.size(written.body_rate_min.as_ref(), &bounds::BODY_RATE_MIN);
    let headers_max = reader.count(written.headers_max.as_ref(), &bounds::HEADERS_MAX);
    let header_bytes_max =
        reader.size(written.header_bytes_max.as_ref(), &bounds::HEADER_BYTES_MAX);
    client_ca?;
    Some(Listener {
        name: name?,
        address: address?,
        zone,
        trust,
        session_resumption,
        tls_min,
        proxy_protocol,
        proxy_timeout,
        handshake_timeout,
        handshakes_max,
        handshakes_per_source,
        header_timeout,
        idle_timeout,
        body_rate_min,
        headers_max,
        header_bytes_max,
        certificates,
    })
}

/// The balancers of a listener that requires them; both keys say the same or neither is written.
fn proxy_protocol(reader: &mut Reader<'_, '_>, written: &file::Listener) -> Option<Vec<IpPrefix>> {
    let required = reader.choice(
        written.proxy_protocol.as_ref(),
        &[("none", false), ("required", true)],
        false,
    );
    let prefixes = reader.read_each(written.balancers.as_ref(), IpPrefix::parse);
    let prefixes: Vec<_> = prefixes.into_iter().map(|(_, prefix)| prefix).collect();
    if let (Some(text), true, true) = (&written.proxy_protocol, required, prefixes.is_empty()) {
        reader.fault(
            text,
            Fault::new(
                "`required` without balancers would believe nobody",
                "list their addresses: `balancers = [\"10.0.0.7/32\"]`",
            ),
        );
    }
    if let (Some(texts), false, false) = (&written.balancers, required, prefixes.is_empty()) {
        reader.fault(
            texts,
            Fault::new(
                "balancers are listed, but no PROXY header is taken",
                "write `proxy_protocol = \"required\"`, or delete the line",
            ),
        );
    }
    required.then_some(prefixes)
}

fn certificates(
    reader: &mut Reader<'_, '_>,
    trust: &ClientTrust,
    written: &[file::ServerCertificate],
) -> Vec<ServerCertificate> {
    let mut everywhere = Vec::new();
    let mut certificates = Vec::with_capacity(written.len());
    for certificate in written {
        let hosts = reader.read_each(certificate.hosts.as_ref(), HostPattern::parse);
        everywhere.extend(hosts.iter().cloned());
        let chain = reader.file(certificate.chain.as_ref());
        let key = reader.file(certificate.key.as_ref());
        let trust = own_trust(reader, trust, certificate);
        if let (Some(chain), Some(key)) = (chain, key) {
            let hosts = hosts.into_iter().map(|(_, host)| host).collect();
            certificates.push(ServerCertificate {
                hosts,
                chain,
                key,
                trust,
            });
        }
    }
    reader.no_two(everywhere, |host| {
        Fault::new(
            format!("`{host}` stands here for the second time in this listener"),
            "keep it in one certificate only",
        )
    });
    certificates
}

/// Two sockets on one address cannot both be opened: neither of two listeners nor of a listener and `[admin]`.
pub(super) fn no_address_twice(reader: &mut Reader<'_, '_>, file: &File) {
    let listeners = file
        .listeners
        .iter()
        .filter_map(|listener| listener.address.as_ref());
    let admin = file.admin.iter().filter_map(|admin| admin.address.as_ref());
    let mut taken: Vec<SocketAddr> = Vec::new();
    for text in listeners.chain(admin) {
        let Ok(address) = parse_address(text.get_ref()) else {
            continue;
        };
        if let Some(other) = taken.iter().find(|other| clash(**other, address)) {
            reader.fault(text, already_open(text, *other));
        }
        taken.push(address);
    }
}

fn already_open(text: &Text, other: SocketAddr) -> Fault {
    let what = if text.get_ref().parse() == Ok(other) {
        format!("`{other}` is listened on above")
    } else {
        format!(
            "`{}` overlaps `{other}`, which is listened on above",
            text.get_ref()
        )
    };
    Fault::new(what, "give it another port")
}

fn clash(one: SocketAddr, other: SocketAddr) -> bool {
    let all = |address: IpAddr| address.is_unspecified();
    one.port() != 0
        && one.port() == other.port()
        && one.is_ipv4() == other.is_ipv4()
        && (one.ip() == other.ip() || all(one.ip()) || all(other.ip()))
}

const TLS_VERSIONS: [(&str, TlsVersion); 2] =
    [("1.3", TlsVersion::Tls13), ("1.2", TlsVersion::Tls12)];
