//! `[audit.retention.store]` and the `archive` that is in it.

use std::net::IpAddr;

use http::Uri;

use super::reader::Reader;
use crate::config::checked::{Archive, ObjectStore, StoreAddress};
use crate::config::file::{self, Text};
use crate::config::problem::Fault;

/// `s3://BUCKET/PREFIX` with its table, or a folder without one.
pub(super) fn archive(
    reader: &mut Reader<'_, '_>,
    text: &Text,
    store: Option<&file::Store>,
) -> Option<Archive> {
    match (text.get_ref().strip_prefix("s3://"), store) {
        (Some(place), Some(store)) => one(reader, text, place, store).map(Archive::Store),
        (Some(_), None) => {
            let fix =
                "add `[audit.retention.store]` with `endpoint`, `region`, `key_id` and `secret`";
            reader.fault(text, Fault::new("nothing says where this bucket is", fix));
            None
        }
        (None, Some(_)) => {
            let fix = "write `s3://BUCKET/PREFIX`, or take `[audit.retention.store]` out";
            reader.fault(
                text,
                Fault::new("a folder beside the table of a store", fix),
            );
            None
        }
        (None, None) => reader.folder(text).map(Archive::Folder),
    }
}

fn one(
    reader: &mut Reader<'_, '_>,
    text: &Text,
    place: &str,
    store: &file::Store,
) -> Option<ObjectStore> {
    let split = split(place);
    if split.is_none() {
        let fix =
            "write one like `s3://audit-archive/gate-1`, in letters, digits, `.`, `-` and `_`";
        reader.fault(text, Fault::new("this is no place in a store", fix));
    }
    let is_https = reader.read(store.endpoint.as_ref(), endpoint);
    if let (Some(true), None, Some(endpoint)) = (is_https, &store.ca, &store.endpoint) {
        let fix = "name the authorities with `ca`";
        reader.fault(
            endpoint,
            Fault::new("nothing says who signs its server", fix),
        );
    }
    let ca = match &store.ca {
        Some(text) => Some(reader.file(Some(text))?),
        None => None,
    };
    let address = reader.choice(store.address.as_ref(), ADDRESSES, StoreAddress::Path);
    let region = reader.read(store.region.as_ref(), word);
    let key_id = reader.read(store.key_id.as_ref(), word);
    let secret = reader.file(store.secret.as_ref());
    let (bucket, prefix) = split?;
    is_https?;
    Some(ObjectStore {
        bucket,
        prefix,
        endpoint: store.endpoint.as_ref()?.get_ref().clone(),
        region: region?,
        address,
        key_id: key_id?,
        secret: secret?,
        ca,
    })
}

/// Bucket and prefix; each part of the prefix a plain name, or an object could be put beside it.
fn split(place: &str) -> Option<(String, String)> {
    let place = place.trim_end_matches('/');
    let plain =
        |character: char| character.is_ascii_alphanumeric() || matches!(character, '.' | '-' | '_');
    let is_name =
        |part: &str| !part.is_empty() && !matches!(part, "." | "..") && part.chars().all(plain);
    if !place.split('/').all(is_name) {
        return None;
    }
    let (bucket, prefix) = place.split_once('/').unwrap_or((place, ""));
    let prefix = match prefix {
        "" => String::new(),
        prefix => format!("{prefix}/"),
    };
    Some((bucket.to_owned(), prefix))
}

/// Whether it is TLS.
fn endpoint(text: &str) -> Result<bool, Fault> {
    let wrong = |fix| Fault::new(format!("`{text}` is no place of a store"), fix);
    let uri: Uri = text
        .parse()
        .map_err(|_| wrong("write a URL such as `https://s3.example`"))?;
    let is_bare = uri.path() == "/" && uri.query().is_none();
    let authority = uri.authority().map(http::uri::Authority::as_str);
    let (Some(host), Some(scheme), true, false) = (
        uri.host(),
        uri.scheme_str(),
        is_bare,
        authority.is_some_and(|authority| authority.contains('@')),
    ) else {
        return Err(wrong("write a URL such as `https://s3.example`"));
    };
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    match scheme {
        "https" => Ok(true),
        "http" if bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback()) => Ok(false),
        _ => Err(wrong(
            "write `https://`; `http://` is for loopback addresses only",
        )),
    }
}

fn word(text: &str) -> Result<String, Fault> {
    if !text.is_empty() && text.chars().all(|character| character.is_ascii_graphic()) {
        return Ok(text.to_owned());
    }
    Err(Fault::new(
        format!("`{text}` is no such name"),
        "write it in visible ASCII without spaces, as the store's operator gave it",
    ))
}

const ADDRESSES: &[(&str, StoreAddress)] =
    &[("path", StoreAddress::Path), ("host", StoreAddress::Host)];
