//! Distinguished names: read strictly where they say who somebody is, shown leniently where they are only for the operator.
//!
//! A subject decides what its holder may do, so whatever two programs could read differently is refused: several values in one
//! place, characters that cannot be seen, encodings with more than one reading.

use std::fmt::Write;

use x509_parser::asn1_rs::FromDer;
use x509_parser::x509::{AttributeTypeAndValue, X509Name};

use crate::der::{self, Malformed};
use crate::shape;

/// One attribute of a name, such as `CN` = `alice`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attribute<'a> {
    /// The OID's DER value.
    pub(crate) oid: &'a [u8],
    /// The tag of the value's string type.
    pub(crate) tag: u8,
    pub(crate) value: &'a [u8],
    /// How many attributes share this relative distinguished name; 1 is usual.
    pub(crate) siblings: usize,
}

/// Reads a name, given the whole DER element.
pub(crate) fn read(raw: &[u8]) -> Result<X509Name<'_>, Malformed> {
    shape::NAME.check(raw)?;
    let (_rest, name) =
        X509Name::from_der(raw).map_err(|_why| Malformed("a name is not readable"))?;
    check(&name)?;
    Ok(name)
}

/// Whether x509-parser has read the whole of a name, and it is of bearable size.
pub(crate) fn check(name: &X509Name<'_>) -> Result<(), Malformed> {
    der::only(name.as_raw(), der::SEQUENCE)?;
    if name.iter_attributes().count() > ATTRIBUTES_MAX {
        Err(Malformed("a name has more than 64 attributes"))
    } else {
        Ok(())
    }
}

/// Whether it has no attribute at all.
pub(crate) fn is_empty(name: &X509Name<'_>) -> bool {
    name.iter_rdn().next().is_none()
}

/// Every attribute of a name, in order.
pub(crate) fn attributes<'n>(name: &'n X509Name<'_>) -> impl Iterator<Item = Attribute<'n>> {
    name.iter_rdn()
        .flat_map(|relative| of_relative(relative.iter()))
}

fn of_relative<'n>(
    members: impl Iterator<Item = &'n AttributeTypeAndValue<'n>>,
) -> Vec<Attribute<'n>> {
    let mut found: Vec<Attribute<'n>> = members.map(Attribute::of).collect();
    let siblings = found.len();
    found
        .iter_mut()
        .for_each(|attribute| attribute.siblings = siblings);
    found
}

impl<'a> Attribute<'a> {
    fn of(attribute: &'a AttributeTypeAndValue<'_>) -> Attribute<'a> {
        let value = attribute.attr_value();
        let tag = value.header.raw_tag().and_then(|tag| tag.first());
        Attribute {
            oid: attribute.attr_type().as_bytes(),
            tag: tag.copied().unwrap_or_default(),
            value: value.data,
            siblings: 1,
        }
    }

    /// The value as text that means one thing only.
    pub(crate) fn text(&self) -> Result<String, Malformed> {
        let text = decode(self.tag, self.value)?;
        check_text(&text, ATTRIBUTE_BYTES_MAX)?;
        Ok(text)
    }
}

/// The form in which names are compared (RFC 5280 section 7.1, less the Unicode folding of RFC 4518): string types do not matter, nor
/// letter case, nor how many spaces stand where one does. What is no text is compared byte by byte.
pub(crate) fn canonical(name: &X509Name<'_>) -> Vec<Vec<u8>> {
    name.iter_rdn()
        .map(|relative| canonical_relative(relative.iter()))
        .collect()
}

/// One relative name.
pub(crate) fn canonical_relative<'n>(
    members: impl Iterator<Item = &'n AttributeTypeAndValue<'n>>,
) -> Vec<u8> {
    let mut members: Vec<Vec<u8>> = members
        .map(|member| canonical_attribute(&Attribute::of(member)))
        .collect();
    members.sort_unstable();
    members.concat()
}

fn canonical_attribute(attribute: &Attribute<'_>) -> Vec<u8> {
    let (kind, value) = match decode(attribute.tag, attribute.value) {
        Ok(text) => {
            let words: Vec<String> = text.split_whitespace().map(str::to_lowercase).collect();
            (der::UTF8_STRING, words.join(" ").into_bytes())
        }
        Err(_) => (attribute.tag, attribute.value.to_vec()),
    };
    // Lengths in front, so that no value can pretend to be two.
    let mut out = Vec::with_capacity(attribute.oid.len() + value.len() + 17);
    out.extend_from_slice(&(attribute.oid.len() as u64).to_be_bytes());
    out.extend_from_slice(attribute.oid);
    out.push(kind);
    out.extend_from_slice(&(value.len() as u64).to_be_bytes());
    out.extend(value);
    out
}

/// Whether two names are the same in canonical form.
pub(crate) fn same(one: &X509Name<'_>, other: &X509Name<'_>) -> bool {
    one.as_raw() == other.as_raw() || canonical(one) == canonical(other)
}

/// Whether a name begins with all of another's relative names.
pub(crate) fn is_below(name: &X509Name<'_>, base: &X509Name<'_>) -> bool {
    canonical(name).starts_with(&canonical(base))
}

/// What a string type's bytes say. Teletex and Universal strings are refused: programs disagree on how they read.
pub(crate) fn decode(tag: u8, value: &[u8]) -> Result<String, Malformed> {
    let utf8 = || {
        str::from_utf8(value)
            .map(str::to_owned)
            .map_err(|_why| Malformed("a name is not valid UTF-8"))
    };
    match tag {
        der::UTF8_STRING => utf8(),
        der::PRINTABLE_STRING if value.iter().copied().all(is_printable_string) => utf8(),
        der::PRINTABLE_STRING => Err(Malformed(
            "a PrintableString has characters outside its set",
        )),
        der::IA5_STRING if value.is_ascii() => utf8(),
        der::IA5_STRING => Err(Malformed("an IA5String is not ASCII")),
        der::BMP_STRING => decode_bmp(value),
        _ => Err(Malformed(
            "a name is not a UTF8String, PrintableString, IA5String or BMPString",
        )),
    }
}

fn decode_bmp(value: &[u8]) -> Result<String, Malformed> {
    if !value.len().is_multiple_of(2) {
        return Err(Malformed("a BMPString has an odd length"));
    }
    let units = value.chunks_exact(2).map(|pair| {
        pair.iter()
            .fold(0_u16, |sum, &byte| (sum << 8) | u16::from(byte))
    });
    char::decode_utf16(units)
        .collect::<Result<_, _>>()
        .map_err(|_why| Malformed("a BMPString has half a character"))
}

// The asterisk, ampersand, at sign and underscore are not in PrintableString, though CAs have written them there; a name
// that needs them is a UTF8String.
fn is_printable_string(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b" '()+,-./:=?".contains(&byte)
}

/// Refuses text that is empty, over `bytes_max` bytes, padded, or holds characters that a reader cannot see.
pub(crate) fn check_text(text: &str, bytes_max: usize) -> Result<(), Malformed> {
    if text.is_empty() {
        return Err(Malformed("a name is empty"));
    }
    if text.len() > bytes_max {
        return Err(Malformed("a name is too long"));
    }
    if text.chars().any(is_invisible) {
        return Err(Malformed("a name has control or invisible characters"));
    }
    if text.trim() != text {
        return Err(Malformed("a name begins or ends with a space"));
    }
    Ok(())
}

/// Control characters, zero-width characters, and those that turn the direction of writing.
pub(crate) fn is_invisible(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// A name for operators, most specific attribute first, escaped as in RFC 4514: `CN=alice,O=Tax Office,C=CN`.
/// Never fails: what is not text is shown as `#` and hexadecimal.
pub(crate) fn display(name: &X509Name<'_>) -> String {
    let attributes: Vec<Attribute<'_>> = attributes(name).collect();
    let mut shown = String::new();
    for attribute in attributes.iter().rev() {
        if shown.len() > DISPLAY_BYTES_MAX {
            shown.push_str(",…");
            break;
        }
        if !shown.is_empty() {
            shown.push(',');
        }
        display_attribute(attribute, &mut shown);
    }
    shown
}

fn display_attribute(attribute: &Attribute<'_>, shown: &mut String) {
    match short_name(attribute.oid) {
        Some(short) => shown.push_str(short),
        None => shown.push_str(&dotted(attribute.oid)),
    }
    shown.push('=');
    match attribute.text() {
        Ok(text) => escape(&text, shown),
        Err(_) => {
            shown.push('#');
            attribute
                .value
                .iter()
                .take(HEX_BYTES_MAX)
                .for_each(|byte| push_hex(*byte, shown));
        }
    }
}

fn escape(text: &str, shown: &mut String) {
    for (index, character) in text.chars().enumerate() {
        if matches!(character, ',' | '+' | '"' | '\\' | '<' | '>' | ';' | '=')
            || (index == 0 && character == '#')
        {
            shown.push('\\');
        }
        shown.push(character);
    }
}

/// An OID in dotted form, or `?` when its encoding is broken or an arc is over 64 bits.
pub(crate) fn dotted(oid: &[u8]) -> String {
    let mut shown = String::new();
    let mut arc: u64 = 0;
    for byte in oid {
        if arc > u64::MAX >> 7 {
            return "?".to_owned();
        }
        arc = (arc << 7) | u64::from(byte & 0x7f);
        if byte & 0x80 != 0 {
            continue;
        }
        if shown.is_empty() {
            let root = (arc / 40).min(2);
            shown = format!("{root}.{}", arc - 40 * root);
        } else {
            shown.push_str(&format!(".{arc}"));
        }
        arc = 0;
    }
    if shown.is_empty() || oid.last().is_some_and(|byte| byte & 0x80 != 0) {
        "?".to_owned()
    } else {
        shown
    }
}

/// Two lower-case hexadecimal digits.
pub(crate) fn push_hex(byte: u8, out: &mut String) {
    // Writing to a String cannot fail.
    let _written = write!(out, "{byte:02x}");
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(2 * bytes.len());
    bytes.iter().for_each(|&byte| push_hex(byte, &mut out));
    out
}

/// 32 bytes out of 64 hexadecimal digits, in either case and optionally with colons between bytes.
pub(crate) fn unhex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0_u8; 32];
    let mut digits = text
        .chars()
        .filter(|character| *character != ':')
        .map(|digit| digit.to_digit(16));
    for byte in &mut bytes {
        let (high, low) = (digits.next()??, digits.next()??);
        *byte = u8::try_from(high << 4 | low).ok()?;
    }
    digits.next().is_none().then_some(bytes)
}

fn short_name(oid: &[u8]) -> Option<&'static str> {
    SHORT_NAMES
        .iter()
        .find(|(known, _)| *known == oid)
        .map(|(_, short)| *short)
}

pub(crate) const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
pub(crate) const SERIAL_NUMBER: &[u8] = &[0x55, 0x04, 0x05];
pub(crate) const COUNTRY: &[u8] = &[0x55, 0x04, 0x06];
pub(crate) const LOCALITY: &[u8] = &[0x55, 0x04, 0x07];
pub(crate) const STATE: &[u8] = &[0x55, 0x04, 0x08];
pub(crate) const ORGANISATION: &[u8] = &[0x55, 0x04, 0x0a];
pub(crate) const ORGANISATIONAL_UNIT: &[u8] = &[0x55, 0x04, 0x0b];
pub(crate) const TITLE: &[u8] = &[0x55, 0x04, 0x0c];
/// 2.5.4.97, where a unified social credit code may stand.
pub(crate) const ORGANISATION_IDENTIFIER: &[u8] = &[0x55, 0x04, 0x61];
/// 0.9.2342.19200300.100.1.25
pub(crate) const DOMAIN_COMPONENT: &[u8] =
    &[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 0x01, 0x19];
/// 0.9.2342.19200300.100.1.1
pub(crate) const USER_ID: &[u8] = &[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 0x01, 0x01];
/// 1.2.840.113549.1.9.1
pub(crate) const EMAIL_ADDRESS: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x01];

const SHORT_NAMES: &[(&[u8], &str)] = &[
    (COMMON_NAME, "CN"),
    (SERIAL_NUMBER, "serialNumber"),
    (COUNTRY, "C"),
    (LOCALITY, "L"),
    (STATE, "ST"),
    (ORGANISATION, "O"),
    (ORGANISATIONAL_UNIT, "OU"),
    (TITLE, "title"),
    (ORGANISATION_IDENTIFIER, "organizationIdentifier"),
    (DOMAIN_COMPONENT, "DC"),
    (USER_ID, "UID"),
    (EMAIL_ADDRESS, "emailAddress"),
];

/// Attributes of one name.
const ATTRIBUTES_MAX: usize = 64;
/// Bytes of one attribute's text. X.520 allows 64 characters of most; a Chinese character takes three bytes.
pub(crate) const ATTRIBUTE_BYTES_MAX: usize = 256;
/// Bytes of a shown name after which the rest is left out.
const DISPLAY_BYTES_MAX: usize = 1024;
/// Bytes of a value that is not text that are shown.
const HEX_BYTES_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn string_types_are_read_strictly() {
        assert_eq!(decode(der::UTF8_STRING, "税务".as_bytes()).unwrap(), "税务");
        assert_eq!(
            decode(der::BMP_STRING, &[0x7a, 0x0e, 0x52, 0xa1]).unwrap(),
            "税务"
        );
        for (tag, value, why) in [
            (der::UTF8_STRING, &[0xff][..], "not UTF-8"),
            (der::UTF8_STRING, &[0xc0, 0x80], "overlong NUL"),
            (der::PRINTABLE_STRING, b"a@b", "outside the set"),
            (der::IA5_STRING, &[0x80], "not ASCII"),
            (der::BMP_STRING, &[0x00], "odd"),
            (der::BMP_STRING, &[0xd8, 0x00], "half a surrogate pair"),
            (0x14, b"abc", "teletex"),
            (0x1c, b"\0\0\0a", "universal"),
            (der::OCTET_STRING, b"abc", "not a string"),
        ] {
            assert!(decode(tag, value).is_err(), "{why}");
        }
    }

    #[test]
    fn text_that_cannot_be_seen_is_refused() {
        for bad in [
            "",
            " a",
            "a ",
            "a\0b",
            "a\nb",
            "a\u{7f}",
            "a\u{85}b",
            "a\u{202e}b",
            "a\u{200b}b",
            "a\u{feff}",
            &"x".repeat(257),
        ] {
            assert!(check_text(bad, ATTRIBUTE_BYTES_MAX).is_err(), "{bad:?}");
        }
        assert_eq!(check_text("国家税务总局 张三", ATTRIBUTE_BYTES_MAX), Ok(()));
    }

    #[test]
    fn object_identifiers_are_shown_dotted() {
        assert_eq!(dotted(COMMON_NAME), "2.5.4.3");
        assert_eq!(dotted(EMAIL_ADDRESS), "1.2.840.113549.1.9.1");
        assert_eq!(dotted(&[0x88, 0x37]), "2.999");
        for broken in [&[][..], &[0x80], &[0x55, 0x84]] {
            assert_eq!(dotted(broken), "?");
        }
        assert_eq!(dotted(&[0xff; 20]), "?");
    }
}
