//! One request head or trailer section of HTTP/2, judged field by field as it is decompressed (RFC 9113 section 8).
//!
//! What agrees is written down again without compression; the HTTP/2 library reads that, so it sees exactly what was judged.
//! A head that is refused is replaced by one that says so: the stream then walks the usual way to an answer, a metric and an
//! audit record, and the client's fields are never seen again.

use std::ops::Range;

use super::hpack::push_field;
use crate::denial::Denial;
use crate::layers::edge::authority::host_of;
use crate::layers::edge::head::{CONTINUE, TOLD_PATH_BYTES_MAX, decimal, is_target_byte, is_token};

/// The field by which a refused head is known behind the HTTP/2 library. From a client it is removed like every claim in our name.
pub const REFUSED_HEAD: &str = "x-hangu-refused-head";

/// Bounds of a head, as RFC 9113 section 6.5.2 counts them.
#[derive(Clone, Copy, Debug)]
pub struct ListLimits {
    /// Bytes of all names and values, and 32 for each field.
    pub bytes_max: usize,
    /// Number of fields.
    pub fields_max: usize,
}

/// A head that is being read.
#[derive(Debug)]
pub(super) struct HeadCheck {
    limits: ListLimits,
    /// What is handed on, uncompressed.
    staged: Vec<u8>,
    bytes: usize,
    fields: usize,
    is_past_pseudo: bool,
    method: Option<Range<usize>>,
    scheme: bool,
    authority: Option<Range<usize>>,
    path: Option<Range<usize>>,
    host: Option<Range<usize>>,
    length: Option<u64>,
    denial: Option<Denial>,
}

impl HeadCheck {
    pub(super) fn new(limits: ListLimits) -> Self {
        Self {
            limits,
            staged: Vec::new(),
            bytes: 0,
            fields: 0,
            is_past_pseudo: false,
            method: None,
            scheme: false,
            authority: None,
            path: None,
            host: None,
            length: None,
            denial: None,
        }
    }

    /// Takes the next field. After the first fault nothing is kept.
    pub(super) fn field(&mut self, name: &[u8], value: &[u8]) {
        self.fields += 1;
        self.bytes = self
            .bytes
            .saturating_add(name.len() + value.len() + FIELD_OVERHEAD);
        if self.fields > self.limits.fields_max + PSEUDO_FIELDS
            || self.bytes > self.limits.bytes_max
        {
            self.refuse(Denial::HeadTooLarge);
        }
        if self.denial.is_some() {
            return;
        }
        let judged = match name.strip_prefix(b":") {
            Some(pseudo) => self.pseudo_field(pseudo, name, value),
            None => self.plain_field(name, value),
        };
        if let Err(denial) = judged {
            self.refuse(denial);
        }
    }

    /// The header block that the library reads instead of the client's. `ends` tells whether the head is the whole request.
    pub(super) fn finish(mut self, ends: bool) -> Vec<u8> {
        if self.denial.is_none()
            && let Err(denial) = self.whole(ends)
        {
            self.refuse(denial);
        }
        match self.denial {
            None => self.staged,
            Some(denial) => self.refused(denial),
        }
    }

    fn refuse(&mut self, denial: Denial) {
        self.denial.get_or_insert(denial);
    }

    /// RFC 9113 section 8.3.1: four of them, each once, in front of all fields. Others, such as `:protocol`, open tunnels that
    /// the gateway does not offer.
    fn pseudo_field(&mut self, pseudo: &[u8], name: &[u8], value: &[u8]) -> Result<(), Denial> {
        if self.is_past_pseudo {
            return Err(Denial::HeadMalformed);
        }
        let is_again = match pseudo {
            b"method" => {
                if value == b"CONNECT" {
                    return Err(Denial::MethodUnknown);
                }
                if value.is_empty() || !value.iter().all(|byte| is_token(*byte)) {
                    return Err(Denial::HeadMalformed);
                }
                let place = self.stage(name, value);
                self.method.replace(place).is_some()
            }
            b"scheme" => {
                if value != b"https" {
                    return Err(Denial::HeadMalformed);
                }
                self.stage(name, value);
                std::mem::replace(&mut self.scheme, true)
            }
            b"authority" => {
                let place = self.stage(name, value);
                self.authority.replace(place).is_some()
            }
            b"path" => {
                let place = self.stage(name, value);
                self.path.replace(place).is_some()
            }
            _ => return Err(Denial::HeadMalformed),
        };
        if is_again {
            Err(Denial::HeadMalformed)
        } else {
            Ok(())
        }
    }

    fn plain_field(&mut self, name: &[u8], value: &[u8]) -> Result<(), Denial> {
        self.is_past_pseudo = true;
        if !is_field_name(name) || !is_field_value(value) || is_of_the_connection(name, value) {
            return Err(Denial::HeadMalformed);
        }
        if name == REFUSED_HEAD.as_bytes() {
            return Ok(());
        }
        let place = self.stage(name, value);
        match name {
            b"host" if self.host.replace(place).is_some() => Err(Denial::HostDuplicate),
            b"expect" if !value.eq_ignore_ascii_case(CONTINUE) => Err(Denial::ExpectationUnknown),
            b"content-length" => {
                let length = decimal(value).ok_or(Denial::FramingAmbiguous)?;
                match self.length.replace(length) {
                    None => Ok(()),
                    Some(_) => Err(Denial::FramingAmbiguous),
                }
            }
            _ => Ok(()),
        }
    }

    /// What only the whole head tells.
    fn whole(&self, ends: bool) -> Result<(), Denial> {
        let (Some(_), true, Some(path)) = (&self.method, self.scheme, &self.path) else {
            return Err(Denial::HeadMalformed);
        };
        let path = self.staged(path);
        // An absolute-form or asterisk-form target has no place in `:path` of the methods that are forwarded.
        let begins_well = path.starts_with(b"/") && !matches!(path.get(1), Some(b'/' | b'\\'));
        if !begins_well || !path.iter().all(|byte| is_target_byte(*byte)) {
            return Err(Denial::PathAmbiguous);
        }
        let authority = match (&self.authority, &self.host) {
            (None, None) => return Err(Denial::HostMissing),
            (Some(one), None) | (None, Some(one)) => self.staged(one),
            (Some(authority), Some(host)) => {
                let authority = self.staged(authority);
                if !authority.eq_ignore_ascii_case(self.staged(host)) {
                    return Err(Denial::HostMismatch);
                }
                authority
            }
        };
        let authority = std::str::from_utf8(authority).map_err(|_| Denial::HostMalformed)?;
        host_of(authority)?;
        if ends && self.length.is_some_and(|length| length > 0) {
            return Err(Denial::FramingAmbiguous);
        }
        Ok(())
    }

    /// A head that asks for nothing and carries the refusal; with the client's method and path where those can be told apart.
    fn refused(&self, denial: Denial) -> Vec<u8> {
        let is_clean = |path: &[u8]| {
            path.starts_with(b"/")
                && path.len() <= TOLD_PATH_BYTES_MAX
                && path.iter().all(|byte| is_target_byte(*byte))
        };
        let method = self.method.as_ref().map(|place| self.staged(place));
        let path = self.path.as_ref().map(|place| self.staged(place));
        let told = method.zip(path.filter(|path| is_clean(path)));
        let (method, path) = told.unwrap_or((b"GET", b"/"));
        let mut block = Vec::new();
        push_field(&mut block, b":method", method);
        push_field(&mut block, b":scheme", b"https");
        push_field(&mut block, b":authority", b"refused");
        push_field(&mut block, b":path", path);
        let mark = if told.is_some() { "told" } else { "untold" };
        let value = format!("{mark} {}", denial.code());
        push_field(&mut block, REFUSED_HEAD.as_bytes(), value.as_bytes());
        block
    }

    /// Writes a field down and gives the place of its value.
    fn stage(&mut self, name: &[u8], value: &[u8]) -> Range<usize> {
        push_field(&mut self.staged, name, value);
        let end = self.staged.len();
        end - value.len()..end
    }

    fn staged(&self, place: &Range<usize>) -> &[u8] {
        self.staged.get(place.clone()).unwrap_or_default()
    }
}

/// The fields behind a body: nothing that says how the message is read, to whom it goes or who sends it (RFC 9110 section 6.5.1).
#[derive(Debug)]
pub(super) struct TrailerCheck {
    limits: ListLimits,
    staged: Vec<u8>,
    bytes: usize,
    fields: usize,
    is_good: bool,
}

impl TrailerCheck {
    pub(super) fn new(limits: ListLimits) -> Self {
        Self {
            limits,
            staged: Vec::new(),
            bytes: 0,
            fields: 0,
            is_good: true,
        }
    }

    pub(super) fn field(&mut self, name: &[u8], value: &[u8]) {
        self.fields += 1;
        self.bytes = self
            .bytes
            .saturating_add(name.len() + value.len() + FIELD_OVERHEAD);
        self.is_good = self.is_good
            && self.fields <= self.limits.fields_max
            && self.bytes <= self.limits.bytes_max
            && is_field_name(name)
            && is_field_value(value)
            && !is_of_the_connection(name, value)
            && !is_for_heads_only(name);
        if self.is_good {
            push_field(&mut self.staged, name, value);
        }
    }

    /// The block, when every field may stand in a trailer section.
    pub(super) fn finish(self) -> Option<Vec<u8>> {
        self.is_good.then_some(self.staged)
    }
}

/// Whether a field, in lower case, may not stand in a trailer section: it says how the message is read, to whom it goes or who sends it.
pub(in crate::layers::edge) fn is_for_heads_only(name: &[u8]) -> bool {
    NOT_IN_TRAILERS.contains(&name) || is_of_the_connection(name, b"")
}

/// What a head says that was refused below: why, and whether its method and path are the client's.
#[must_use]
pub fn refused_head(headers: &http::HeaderMap) -> Option<(Denial, bool)> {
    let value = headers.get(REFUSED_HEAD)?.to_str().ok()?;
    let (told, code) = value.split_once(' ')?;
    let denial = Denial::ALL.iter().find(|denial| denial.code() == code);
    Some((denial.copied().unwrap_or(Denial::Internal), told == "told"))
}

/// RFC 9113 section 8.2.1: a token without capitals.
fn is_field_name(name: &[u8]) -> bool {
    !name.is_empty()
        && name
            .iter()
            .all(|byte| is_token(*byte) && !byte.is_ascii_uppercase())
}

/// RFC 9113 section 8.2.1, and as strict as HTTP/1.1 here: no control character but the tab, no space at either end.
fn is_field_value(value: &[u8]) -> bool {
    let is_space = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    !is_space(value.first())
        && !is_space(value.last())
        && value
            .iter()
            .all(|byte| *byte == b'\t' || !byte.is_ascii_control())
}

/// RFC 9113 section 8.2.2.
fn is_of_the_connection(name: &[u8], value: &[u8]) -> bool {
    match name {
        b"connection" | b"proxy-connection" | b"keep-alive" | b"transfer-encoding" | b"upgrade" => {
            true
        }
        b"te" => value != b"trailers",
        _ => false,
    }
}

const NOT_IN_TRAILERS: [&[u8]; 18] = [
    b"authorization",
    b"cache-control",
    b"content-encoding",
    b"content-length",
    b"content-range",
    b"content-type",
    b"cookie",
    b"expect",
    b"forwarded",
    b"host",
    b"if-match",
    b"if-none-match",
    b"max-forwards",
    b"proxy-authorization",
    b"range",
    b"set-cookie",
    b"te",
    b"trailer",
];
/// RFC 9113 section 6.5.2.
const FIELD_OVERHEAD: usize = 32;
/// The pseudo-header fields of a request are its request line: they do not count as fields.
const PSEUDO_FIELDS: usize = 4;

#[cfg(test)]
mod tests;
