//! `[[audit.sinks]]`: which keys belong to which kind of sink, and what they hold.

use std::net::IpAddr;

use hangu_audit::Format;
use http::Uri;
use rustls_pki_types::ServerName;

use super::reader::Reader;
use crate::config::bounds;
use crate::config::checked::ClientCertificate;
use crate::config::file::{self, Text};
use crate::config::problem::Fault;
use crate::config::sinks::{Sink, SinkTarget, SinkTls};
use crate::config::values::Name;

pub(super) fn sinks(reader: &mut Reader<'_, '_>, written: &[file::Sink]) -> Vec<Sink> {
    let names = written.iter().filter_map(|sink| sink.name.as_ref());
    reader.no_two(names.map(|name| (name, name.get_ref())), |name| {
        Fault::new(
            format!("there is a sink `{name}` above"),
            "give each sink its own name",
        )
    });
    written
        .iter()
        .filter_map(|sink| one(reader, sink))
        .collect()
}

fn one(reader: &mut Reader<'_, '_>, written: &file::Sink) -> Option<Sink> {
    let name = reader.read(written.name.as_ref(), Name::parse);
    let kind = written.kind.as_ref()?;
    let chosen = reader.choice(Some(kind), KINDS, None)?;
    no_strangers(reader, chosen, written);
    let target = match chosen {
        SinkKind::Syslog => syslog(reader, kind, written),
        SinkKind::Http => http(reader, kind, written),
        SinkKind::Folder => {
            let folder = needed(reader, kind, "folder", written.folder.as_ref());
            folder
                .and_then(|folder| reader.folder(folder))
                .map(SinkTarget::Folder)
        }
    };
    let default = match chosen {
        SinkKind::Syslog => Format::Rfc5424,
        SinkKind::Http | SinkKind::Folder => Format::Native,
    };
    let format = reader.choice(written.format.as_ref(), &Format::ALL, default);
    if let (SinkKind::Http, Format::Cef | Format::Rfc5424, Some(text)) =
        (chosen, format, &written.format)
    {
        let what = format!("`{}` is not JSON", text.get_ref());
        reader.fault(
            text,
            Fault::new(
                what,
                "write `native`, `ocsf` or `ecs`, or use a syslog sink",
            ),
        );
    }
    Some(Sink {
        name: name?,
        format,
        batch: reader.count(written.batch.as_ref(), &bounds::SINK_BATCH),
        timeout: reader.duration(written.timeout.as_ref(), &bounds::SINK_TIMEOUT),
        to: target?,
    })
}

fn syslog(reader: &mut Reader<'_, '_>, kind: &Text, written: &file::Sink) -> Option<SinkTarget> {
    let address = needed(reader, kind, "address", written.address.as_ref());
    let place = address.and_then(|text| reader.read(Some(text), parse_host_and_port));
    let name = reader.read(written.server_name.as_ref(), parse_server_name);
    let tls = tls(reader, kind, written);
    let settle = reader.duration(written.settle.as_ref(), &bounds::SINK_SETTLE);
    let (host, port) = place?;
    Some(SinkTarget::Syslog {
        server_name: name.unwrap_or_else(|| host.clone()),
        host,
        port,
        tls: tls?,
        settle,
    })
}

fn http(reader: &mut Reader<'_, '_>, kind: &Text, written: &file::Sink) -> Option<SinkTarget> {
    let text = needed(reader, kind, "url", written.url.as_ref())?;
    let secure = reader.read(Some(text), parse_url)?;
    let token = match &written.token {
        Some(token) => Some(reader.file(Some(token))?),
        None => None,
    };
    let tls = match secure {
        Transport::Tls => Some(tls(reader, kind, written)?),
        Transport::Plain => {
            let given = [&written.ca, &written.certificate, &written.key];
            for text in given.into_iter().flatten() {
                let fix = "write `https://` in `url`, or take it out";
                reader.fault(text, Fault::new("there is no TLS to `http://`", fix));
            }
            None
        }
    };
    Some(SinkTarget::Http {
        url: text.get_ref().clone(),
        tls,
        token,
    })
}

fn tls(reader: &mut Reader<'_, '_>, kind: &Text, written: &file::Sink) -> Option<SinkTls> {
    let ca = needed(reader, kind, "ca", written.ca.as_ref()).and_then(|ca| reader.file(Some(ca)));
    let client = match (&written.certificate, &written.key) {
        (Some(chain), Some(key)) => {
            let (chain, key) = (reader.file(Some(chain)), reader.file(Some(key)));
            Some(ClientCertificate {
                chain: chain?,
                key: key?,
            })
        }
        (None, None) => None,
        (Some(half), None) | (None, Some(half)) => {
            let fix = "write both `certificate` and `key`, or neither";
            reader.fault(half, Fault::new("this is one half of a pair", fix));
            None
        }
    };
    Some(SinkTls { ca: ca?, client })
}

/// A key that this kind of sink cannot do without.
fn needed<'t>(
    reader: &mut Reader<'_, '_>,
    kind: &Text,
    key: &str,
    text: Option<&'t Text>,
) -> Option<&'t Text> {
    if text.is_none() {
        let what = format!("a sink of kind `{}` needs `{key}`", kind.get_ref());
        reader.fault(kind, Fault::new(what, format!("add `{key} = \"…\"`")));
    }
    text
}

/// Reports keys that this kind of sink would not look at.
fn no_strangers(reader: &mut Reader<'_, '_>, kind: SinkKind, written: &file::Sink) {
    let keys: [(&Option<Text>, &[SinkKind]); 9] = [
        (&written.address, &[SinkKind::Syslog]),
        (&written.server_name, &[SinkKind::Syslog]),
        (&written.settle, &[SinkKind::Syslog]),
        (&written.url, &[SinkKind::Http]),
        (&written.token, &[SinkKind::Http]),
        (&written.folder, &[SinkKind::Folder]),
        (&written.ca, &[SinkKind::Syslog, SinkKind::Http]),
        (&written.certificate, &[SinkKind::Syslog, SinkKind::Http]),
        (&written.key, &[SinkKind::Syslog, SinkKind::Http]),
    ];
    for (text, _) in keys.iter().filter(|(_, kinds)| !kinds.contains(&kind)) {
        if let Some(text) = text {
            let fix = "take it out, or write another `kind`";
            reader.fault(text, Fault::new("this kind of sink has no such key", fix));
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SinkKind {
    Syslog,
    Http,
    Folder,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Transport {
    Tls,
    Plain,
}

/// `https://`, or `http://` where nobody can listen on the way: records name people.
fn parse_url(text: &str) -> Result<Transport, Fault> {
    let wrong = |fix| Err(Fault::new(format!("`{text}` cannot be sent to"), fix));
    let Ok(uri) = text.parse::<Uri>() else {
        return wrong("write a URL such as `https://soc.example/hangu`");
    };
    let authority = uri.authority().map(http::uri::Authority::as_str);
    let (Some(host), Some(scheme)) = (uri.host(), uri.scheme_str()) else {
        return wrong("write a URL such as `https://soc.example/hangu`");
    };
    if authority.is_some_and(|authority| authority.contains('@')) {
        return wrong("keep credentials out of the URL; name a file in `token`");
    }
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    match scheme {
        "https" => Ok(Transport::Tls),
        "http" if bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback()) => Ok(Transport::Plain),
        _ => wrong("write `https://`; `http://` is for loopback addresses only"),
    }
}

fn parse_host_and_port(text: &str) -> Result<(String, u16), Fault> {
    let split = text.rsplit_once(':').and_then(|(host, port)| {
        let bare = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
            .unwrap_or(host);
        let is_host =
            ServerName::try_from(bare.to_owned()).is_ok() && (bare == host) != bare.contains(':');
        let port = port.parse::<u16>().ok().filter(|port| *port > 0);
        port.filter(|_| is_host).map(|port| (bare.to_owned(), port))
    });
    split.ok_or_else(|| {
        Fault::new(
            format!("`{text}` is not a host and port"),
            "write a name or an address and a port, as in `soc.example:6514`",
        )
    })
}

fn parse_server_name(text: &str) -> Result<String, Fault> {
    match ServerName::try_from(text.to_owned()) {
        Ok(_) => Ok(text.to_owned()),
        Err(_) => Err(Fault::new(
            format!("`{text}` is no name for a certificate"),
            "write a host name or an IP address",
        )),
    }
}

/// The kinds of sinks by their words.
const KINDS: &[(&str, Option<SinkKind>)] = &[
    ("syslog", Some(SinkKind::Syslog)),
    ("http", Some(SinkKind::Http)),
    ("folder", Some(SinkKind::Folder)),
];
