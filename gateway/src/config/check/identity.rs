//! `[identity]`: who a certificate speaks for, and what else is known of its holder.

use hangu_certs::SpiffeId;

use super::reader::Reader;
use crate::config::bounds;
use crate::config::checked::{Attribute, Identity};
use crate::config::file::{self, Named, Text, Texts};
use crate::config::problem::Fault;
use crate::config::values::{Name, parse_template};
use crate::layers::endpoint::caller::OWN_ATTRIBUTES;

pub(super) fn identity(reader: &mut Reader<'_, '_>, written: &file::Identity) -> Option<Identity> {
    let default = Text::new(0..0, DEFAULT_SUBJECT.to_owned());
    let subject = reader.read(
        Some(written.subject.as_ref().unwrap_or(&default)),
        parse_template,
    );
    let organisation = reader.read(written.organisation.as_ref(), parse_template);
    let mut attributes = Vec::with_capacity(written.attributes.len());
    for (name, value) in &written.attributes {
        let name = reader.read(Some(name), parse_attribute);
        let value = reader.read(Some(value), parse_template);
        if let (Some(name), Some(value)) = (name, value) {
            attributes.push(Attribute { name, value });
        }
    }
    let domains = trust_domains(reader, written.spiffe_trust_domains.as_ref());
    let authorities = authorities(reader, &written.authorities);
    Some(Identity {
        subject: subject?,
        organisation,
        attributes,
        spiffe_trust_domains: domains,
        authorities,
        directory: reader.file(written.directory.as_ref()),
        posture_max_age: reader
            .duration(written.posture_max_age.as_ref(), &bounds::POSTURE_MAX_AGE),
    })
}

/// Which anchors are one authority; none is of two.
fn authorities(reader: &mut Reader<'_, '_>, written: &Named<Texts>) -> Vec<(Name, Vec<String>)> {
    let anchors = || written.values().flat_map(Texts::get_ref);
    reader.no_two(
        anchors().map(|anchor| (anchor, anchor.get_ref())),
        |anchor| {
            Fault::new(
                format!("`{anchor}` stands here for the second time"),
                "an anchor is of one authority only",
            )
        },
    );
    written
        .iter()
        .filter_map(|(name, anchors)| {
            let name = reader.read(Some(name), Name::parse)?;
            let anchors = anchors.get_ref().iter().map(|text| text.get_ref().clone());
            Some((name, anchors.collect()))
        })
        .collect()
}

/// Trust domains, if any are written.
pub(super) fn trust_domains(
    reader: &mut Reader<'_, '_>,
    written: Option<&Texts>,
) -> Option<Vec<String>> {
    written?;
    let domains = reader.read_each(written, parse_trust_domain);
    Some(domains.into_iter().map(|(_, domain)| domain).collect())
}

/// A name as a policy can write it behind `r.sub.`.
fn parse_attribute(text: &str) -> Result<String, Fault> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    let begins = text
        .bytes()
        .next()
        .is_some_and(|byte| byte.is_ascii_lowercase());
    if !begins || text.len() > ATTRIBUTE_BYTES_MAX || !text.bytes().all(plain) {
        return Err(Fault::new(
            format!("`{text}` is not the name of an attribute"),
            "use 1 to 64 of a-z, 0-9 and _, a letter first",
        ));
    }
    if OWN_ATTRIBUTES.contains(&text) {
        return Err(Fault::new(
            format!("`{text}` is an attribute that the gateway gives itself"),
            "choose another name",
        ));
    }
    Ok(text.to_owned())
}

fn parse_trust_domain(text: &str) -> Result<String, Fault> {
    match SpiffeId::parse(&format!("spiffe://{text}")) {
        Ok(id) if id.trust_domain() == text => Ok(text.to_owned()),
        Ok(_) | Err(_) => Err(Fault::new(
            format!("`{text}` is not a trust domain"),
            "write it without scheme and path, as in `gov.example`",
        )),
    }
}

const DEFAULT_SUBJECT: &str = "{san.uri}";
const ATTRIBUTE_BYTES_MAX: usize = 64;
