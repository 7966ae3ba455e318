//! The structures of RFC 5280 and what may stand in them, as tables.
//!
//! x509-parser takes certificates apart, and it is kind to them: it passes over whatever follows what it knows inside a SEQUENCE, ends a
//! name where it stops understanding it, takes `01` for a true BOOLEAN, times with offsets, negative and padded integers,
//! subtrees with a `minimum`. What one program passes over another may act on; so before it reads, every element is held against
//! these tables, and nothing may stand where the standard has no place for it.

use Field::{Optional, Required};
use Shape::{Anything, Choice, Fields, Filled, List, Opaque, Plain};

use crate::der::{self, Element, Malformed, Reader, context, context_constructed};

/// What an element looks like.
#[derive(Debug)]
pub(crate) enum Shape {
    /// With this tag, its content as the rule says.
    Plain(u8, Rule),
    /// With this tag, whatever is in it.
    Opaque(u8),
    /// Any one element.
    Anything,
    /// With this tag, in it these fields in this order.
    Fields(u8, &'static [Field]),
    /// With this tag, in it any number of elements of one shape.
    List(u8, &'static Shape),
    /// With this tag, in it at least one element of one shape.
    Filled(u8, &'static Shape),
    /// One of these, told apart by their tags.
    Choice(&'static [Shape]),
}

#[derive(Debug)]
pub(crate) enum Field {
    Required(Shape),
    Optional(Shape),
}

/// What DER asks of a primitive element's content.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Rule {
    Bytes,
    Boolean,
    /// Not negative.
    Integer,
    /// Of any sign: the serial number, which is judged elsewhere.
    Number,
    /// A BIT STRING without unused bits: a key or a signature.
    WholeBits,
    /// In UTC with seconds, and nothing else.
    Time,
}

impl Shape {
    /// Whether `bytes` are one element of this shape.
    pub(crate) fn check(&self, bytes: &[u8]) -> Result<(), Malformed> {
        let mut reader = Reader::new(bytes);
        self.check_element(reader.any()?)?;
        reader.finish()
    }

    fn check_element(&self, element: Element<'_>) -> Result<(), Malformed> {
        if !self.has_tag(element.tag) {
            return Err(Malformed(
                "an element has another type than the standard says",
            ));
        }
        let mut content = Reader::new(element.value);
        match self {
            Plain(_, rule) => rule.check(element.value),
            Opaque(_) | Anything => Ok(()),
            Fields(_, fields) => {
                fields
                    .iter()
                    .try_for_each(|field| field.check(&mut content))?;
                content.finish()
            }
            Filled(_, _) if content.is_empty() => {
                Err(Malformed("a list that needs an element has none"))
            }
            List(_, each) | Filled(_, each) => {
                while !content.is_empty() {
                    each.check_element(content.any()?)?;
                }
                Ok(())
            }
            Choice(shapes) => shapes
                .iter()
                .find(|shape| shape.has_tag(element.tag))
                .map_or(Ok(()), |shape| shape.check_element(element)),
        }
    }

    fn has_tag(&self, tag: u8) -> bool {
        match self {
            Plain(own, _) | Opaque(own) | Fields(own, _) | List(own, _) | Filled(own, _) => {
                *own == tag
            }
            Anything => true,
            Choice(shapes) => shapes.iter().any(|shape| shape.has_tag(tag)),
        }
    }
}

impl Field {
    fn check(&self, content: &mut Reader<'_>) -> Result<(), Malformed> {
        match self {
            Required(shape) => shape.check_element(content.any()?),
            Optional(shape) if content.tag().is_some_and(|tag| shape.has_tag(tag)) => {
                shape.check_element(content.any()?)
            }
            Optional(_) => Ok(()),
        }
    }
}

impl Rule {
    fn check(self, value: &[u8]) -> Result<(), Malformed> {
        match self {
            Rule::Bytes | Rule::Number => Ok(()),
            Rule::Boolean => der::boolean(value).map(drop),
            Rule::Integer => der::unsigned(value).map(drop),
            Rule::WholeBits => der::whole_bits(value).map(drop),
            Rule::Time => check_time(value),
        }
    }
}

fn check_time(value: &[u8]) -> Result<(), Malformed> {
    match value.split_last() {
        Some((b'Z', digits))
            if matches!(digits.len(), 12 | 14) && digits.iter().all(u8::is_ascii_digit) =>
        {
            Ok(())
        }
        _ => Err(Malformed("a time is not in UTC with seconds")),
    }
}

const ALGORITHM: Shape = Fields(der::SEQUENCE, &[Required(IDENTIFIER), Optional(Anything)]);
const IDENTIFIER: Shape = Plain(der::OID, Rule::Bytes);
const TIME: Shape = Choice(&[
    Plain(der::UTC_TIME, Rule::Time),
    Plain(der::GENERALIZED_TIME, Rule::Time),
]);
/// A distinguished name.
pub(crate) const NAME: Shape = List(der::SEQUENCE, &Filled(der::SET, &ATTRIBUTE));
/// One attribute of a name.
pub(crate) const ATTRIBUTE: Shape =
    Fields(der::SEQUENCE, &[Required(IDENTIFIER), Required(Anything)]);

const EXTENSION: Shape = Fields(
    der::SEQUENCE,
    &[
        Required(IDENTIFIER),
        Optional(Plain(der::BOOLEAN, Rule::Boolean)),
        Required(Plain(der::OCTET_STRING, Rule::Bytes)),
    ],
);

/// What is signed. Unique identifiers are obsolete and have no place in it.
const TO_BE_SIGNED: Shape = Fields(
    der::SEQUENCE,
    &[
        Optional(Fields(
            context_constructed(0),
            &[Required(Plain(der::INTEGER, Rule::Integer))],
        )),
        Required(Plain(der::INTEGER, Rule::Number)),
        Required(ALGORITHM),
        Required(NAME),
        Required(Fields(der::SEQUENCE, &[Required(TIME), Required(TIME)])),
        Required(NAME),
        Required(Fields(
            der::SEQUENCE,
            &[
                Required(ALGORITHM),
                Required(Plain(der::BIT_STRING, Rule::WholeBits)),
            ],
        )),
        Optional(Fields(
            context_constructed(3),
            &[Required(Filled(der::SEQUENCE, &EXTENSION))],
        )),
    ],
);

pub(crate) const CERTIFICATE: Shape = Fields(
    der::SEQUENCE,
    &[
        Required(TO_BE_SIGNED),
        Required(ALGORITHM),
        Required(Plain(der::BIT_STRING, Rule::WholeBits)),
    ],
);

/// One of the names of a subject, a subtree or a distribution point.
pub(crate) const GENERAL_NAME: Shape = Choice(&[
    Fields(
        context_constructed(0),
        &[
            Required(IDENTIFIER),
            Required(Fields(context_constructed(0), &[Required(Anything)])),
        ],
    ),
    Plain(context(1), Rule::Bytes),
    Plain(context(2), Rule::Bytes),
    Opaque(context_constructed(3)),
    Fields(context_constructed(4), &[Required(NAME)]),
    Opaque(context_constructed(5)),
    Plain(context(6), Rule::Bytes),
    Plain(context(7), Rule::Bytes),
    Plain(context(8), Rule::Bytes),
]);

pub(crate) const SUBJECT_KEY_ID: Shape = Plain(der::OCTET_STRING, Rule::Bytes);
pub(crate) const KEY_USAGE: Shape = Plain(der::BIT_STRING, Rule::Bytes);
pub(crate) const ALTERNATIVE_NAMES: Shape = Filled(der::SEQUENCE, &GENERAL_NAME);
pub(crate) const BASIC_CONSTRAINTS: Shape = Fields(
    der::SEQUENCE,
    &[
        Optional(Plain(der::BOOLEAN, Rule::Boolean)),
        Optional(Plain(der::INTEGER, Rule::Integer)),
    ],
);

/// `minimum` and `maximum` are not used: the one is left out when it is 0, the other always.
const SUBTREE: Shape = Fields(der::SEQUENCE, &[Required(GENERAL_NAME)]);
pub(crate) const NAME_CONSTRAINTS: Shape = Fields(
    der::SEQUENCE,
    &[
        Optional(Filled(context_constructed(0), &SUBTREE)),
        Optional(Filled(context_constructed(1), &SUBTREE)),
    ],
);

pub(crate) const POLICY_MAPPINGS: Shape = Filled(
    der::SEQUENCE,
    &Fields(der::SEQUENCE, &[Required(IDENTIFIER), Required(IDENTIFIER)]),
);
pub(crate) const AUTHORITY_KEY_ID: Shape = Fields(
    der::SEQUENCE,
    &[
        Optional(Plain(context(0), Rule::Bytes)),
        Optional(Filled(context_constructed(1), &GENERAL_NAME)),
        Optional(Plain(context(2), Rule::Number)),
    ],
);
pub(crate) const POLICY_CONSTRAINTS: Shape = Fields(
    der::SEQUENCE,
    &[
        Optional(Plain(context(0), Rule::Integer)),
        Optional(Plain(context(1), Rule::Integer)),
    ],
);
pub(crate) const EXTENDED_KEY_USAGE: Shape = Filled(der::SEQUENCE, &IDENTIFIER);
pub(crate) const INHIBIT_ANY_POLICY: Shape = Plain(der::INTEGER, Rule::Integer);

#[cfg(test)]
mod tests {
    use x509_parser::asn1_rs::FromDer;
    use x509_parser::extensions::{
        AuthorityKeyIdentifier, NameConstraints, SubjectAlternativeName,
    };
    use x509_parser::x509::X509Name;

    use super::*;
    use crate::tests::craft::{CN, UTF8, common_name, pair, seq, tlv};

    #[test]
    fn what_x509_parser_passes_over_is_refused() {
        let junk = tlv(0x05, b"");
        let set = tlv(0x31, &[pair(&(CN, UTF8, b"alice")), junk.clone()].concat());
        let dns = tlv(0x82, b"a.example");
        let minimum = seq(&[&tlv(0xa0, &seq(&[&dns, &tlv(0x80, &[1])]))]);
        let two_lists = seq(&[&tlv(0xa0, &seq(&[&dns])), &tlv(0xa2, &seq(&[&dns]))]);
        let no_flag = seq(&[&tlv(0x80, &[1]), &junk]);
        for (shape, value, reads, why) in [
            (
                &NAME,
                seq(&[&set]),
                reads::<X509Name<'_>> as fn(&[u8]) -> bool,
                "behind an attribute",
            ),
            (
                &NAME,
                seq(&[&common_name("a")[2..], &junk]),
                reads::<X509Name<'_>>,
                "behind a name",
            ),
            (
                &NAME_CONSTRAINTS,
                minimum,
                reads::<NameConstraints<'_>>,
                "a minimum",
            ),
            (
                &NAME_CONSTRAINTS,
                two_lists,
                reads::<NameConstraints<'_>>,
                "a list of no kind",
            ),
            (
                &AUTHORITY_KEY_ID,
                no_flag,
                reads::<AuthorityKeyIdentifier<'_>>,
                "behind a key id",
            ),
            (
                &ALTERNATIVE_NAMES,
                seq(&[&tlv(0xa2, b"a.example")]),
                reads::<SubjectAlternativeName<'_>>,
                "a name in the form of a structure",
            ),
        ] {
            assert!(reads(&value), "x509-parser refuses it too: {why}");
            assert!(shape.check(&value).is_err(), "{why}");
        }
    }

    fn reads<'a, T: FromDer<'a, x509_parser::error::X509Error>>(value: &[u8]) -> bool {
        // The value outlives the question.
        T::from_der(Box::leak(value.to_vec().into_boxed_slice())).is_ok()
    }

    #[test]
    fn times_are_in_utc_with_seconds() {
        for good in ["261124081200Z", "20261124081200Z"] {
            assert_eq!(check_time(good.as_bytes()), Ok(()), "{good}");
        }
        for bad in [
            "",
            "Z",
            "2611240812Z",
            "261124081200+0800",
            "20261124081200.5Z",
            "20261124081200",
        ] {
            assert!(check_time(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
