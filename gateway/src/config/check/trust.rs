//! Whom the hosts of a certificate let in.

use std::path::PathBuf;

use super::reader::Reader;
use crate::config::bounds;
use crate::config::checked::{ClientAuthentication, ClientTrust};
use crate::config::file::{self, Text, Texts};
use crate::config::problem::Fault;

pub(super) fn crls(reader: &mut Reader<'_, '_>, written: Option<&Texts>) -> Vec<PathBuf> {
    let crls = written.map_or(&[][..], |crls| crls.get_ref());
    crls.iter()
        .filter_map(|crl| reader.file(Some(crl)))
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
    let lists = written.crls.as_ref().map(Texts::span);
    let alone = lists.or(written.crl_grace.as_ref().map(Text::span));
    if written.client_ca.is_none()
        && let Some(place) = alone
    {
        reader.fault(
            &Text::new(place, String::new()),
            Fault::new(
                "revocation lists stand here without the authorities that they are of",
                "add `client_ca`, or move them to the listener",
            ),
        );
    }
    match &written.client_ca {
        None => ClientTrust {
            client_authentication,
            ..listener.clone()
        },
        Some(_) => ClientTrust {
            client_authentication,
            client_ca: reader.file(written.client_ca.as_ref()).unwrap_or_default(),
            crls: crls(reader, written.crls.as_ref()),
            crl_grace: reader.duration(written.crl_grace.as_ref(), &bounds::CRL_GRACE),
        },
    }
}

pub(super) const CLIENT_AUTHENTICATION: [(&str, ClientAuthentication); 2] = [
    ("required", ClientAuthentication::Required),
    ("optional", ClientAuthentication::Optional),
];
