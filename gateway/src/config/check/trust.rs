//! Whom the hosts of a certificate let in, and whom an upstream must be.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use hangu_certs::{ExpectedServer, SpiffeId};

use super::identity::trust_domains;
use super::reader::Reader;
use crate::config::bounds;
use crate::config::checked::{ClientAuthentication, ClientTrust, CrlFetch};
use crate::config::file::{self, Named, Text, Texts};
use crate::config::problem::Fault;
use crate::config::values::{CrlHost, CrlUrl};

/// Files and folders of lists that count beyond their end for `grace`.
pub(super) fn crls(
    reader: &mut Reader<'_, '_>,
    written: Option<&Texts>,
    grace: Option<&Text>,
) -> Vec<PathBuf> {
    let crls = written.map_or(&[][..], |crls| crls.get_ref());
    crls.iter()
        .filter_map(|crl| reader.lists(crl, grace))
        .collect()
}

/// Where lists are fetched from.
pub(super) fn crl_urls(reader: &mut Reader<'_, '_>, written: Option<&Texts>) -> Vec<CrlUrl> {
    let urls = reader.read_each(written, CrlUrl::parse);
    urls.into_iter().map(|(_, url)| url).collect()
}

/// Whose distribution points are followed.
pub(super) fn crl_hosts(reader: &mut Reader<'_, '_>, written: Option<&Texts>) -> Vec<CrlHost> {
    let hosts = reader.read_each(written, CrlHost::parse);
    hosts.into_iter().map(|(_, host)| host).collect()
}

pub(super) fn crl_fetch(reader: &mut Reader<'_, '_>, written: &file::CrlFetch) -> Option<CrlFetch> {
    let default = Text::new(0..0, DEFAULT_FOLDER.to_owned());
    let folder = reader.folder(written.folder.as_ref().unwrap_or(&default));
    Some(CrlFetch {
        every: reader.duration(written.every.as_ref(), &bounds::CRL_FETCH_EVERY),
        timeout: reader.duration(written.timeout.as_ref(), &bounds::CRL_FETCH_TIMEOUT),
        size_max: reader.size(written.size_max.as_ref(), &bounds::CRL_FETCH_SIZE),
        folder: folder?,
    })
}

/// The grace of single issuers; whether there are such is known when the authorities have been read.
pub(super) fn crl_grace(
    reader: &mut Reader<'_, '_>,
    written: &Named<Text>,
) -> BTreeMap<String, Duration> {
    let grace = |reader: &mut Reader<'_, '_>, text| reader.duration(Some(text), &bounds::CRL_GRACE);
    written
        .iter()
        .map(|(issuer, text)| (issuer.get_ref().clone(), grace(reader, text)))
        .collect()
}

/// Whom the hosts of a certificate let in: authorities and their lists go together, so that no list is looked for in vain.
pub(super) fn own_trust(
    reader: &mut Reader<'_, '_>,
    listener: &ClientTrust,
    written: &file::ServerCertificate,
) -> ClientTrust {
    let client_authentication = reader.choice(
        written.client_authentication.as_ref(),
        &CLIENT_AUTHENTICATION,
        listener.client_authentication,
    );
    let lists = written.crls.as_ref().or(written.crl_urls.as_ref());
    let lists = lists.or(written.crl_hosts.as_ref());
    let lists = lists.map(Texts::span);
    let texts = written
        .crl_grace
        .as_ref()
        .or(written.client_intermediates.as_ref());
    let alone = lists.or(texts.map(Text::span));
    if written.client_ca.is_none()
        && let Some(place) = alone
    {
        reader.fault(
            &Text::new(place, String::new()),
            Fault::new(
                "revocation lists or intermediates stand here without the authorities that they are of",
                "add `client_ca`, or move them to the listener",
            ),
        );
    }
    let domains = trust_domains(reader, written.spiffe_trust_domains.as_ref());
    match &written.client_ca {
        None => ClientTrust {
            client_authentication,
            spiffe_trust_domains: domains.or_else(|| listener.spiffe_trust_domains.clone()),
            ..listener.clone()
        },
        Some(_) => ClientTrust {
            client_authentication,
            client_ca: reader.file(written.client_ca.as_ref()).unwrap_or_default(),
            intermediates: reader.file(written.client_intermediates.as_ref()),
            crls: crls(reader, written.crls.as_ref(), written.crl_grace.as_ref()),
            crl_urls: crl_urls(reader, written.crl_urls.as_ref()),
            crl_hosts: crl_hosts(reader, written.crl_hosts.as_ref()),
            crl_grace: reader.duration(written.crl_grace.as_ref(), &bounds::CRL_GRACE),
            spiffe_trust_domains: domains,
        },
    }
}

/// Who an upstream must be: by one name only.
pub(super) fn expected_server(
    reader: &mut Reader<'_, '_>,
    written: &file::UpstreamTls,
) -> Option<ExpectedServer> {
    let spiffe = |text: &str| {
        SpiffeId::parse(text).map_err(|why| {
            Fault::new(
                format!("`{text}` is not a SPIFFE id: {why}"),
                "write it as in `spiffe://gov.example/tax/api`",
            )
        })
    };
    match (&written.spiffe_id, &written.uri) {
        (None, None) => Some(ExpectedServer::RequestedName),
        (Some(id), None) => reader.read(Some(id), spiffe).map(ExpectedServer::Spiffe),
        (None, Some(uri)) => Some(ExpectedServer::Uri(uri.get_ref().clone())),
        (Some(_), Some(uri)) => {
            let fault = Fault::new("`uri` stands beside `spiffe_id`", "keep one of them");
            reader.fault(uri, fault);
            None
        }
    }
}

pub(super) const CLIENT_AUTHENTICATION: [(&str, ClientAuthentication); 2] = [
    ("required", ClientAuthentication::Required),
    ("optional", ClientAuthentication::Optional),
];
const DEFAULT_FOLDER: &str = "crl-cache";
