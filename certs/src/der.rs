//! A strict reader of DER, the encoding of certificates and revocation lists.
//!
//! Certificates arrive before the peer has proven anything, so their parser is the most exposed code of this crate. It
//! borrows, never recurses, never allocates, and refuses what X.690 section 10 refuses: indefinite and non-minimal lengths,
//! booleans other than 00 and FF, integers with padding. High tag numbers do not occur in X.509 and are refused too.

/// Why some bytes are not the structure that was expected there; the text completes "the certificate is malformed: …".
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub(crate) &'static str);

/// One element: its tag, its value and the whole of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Element<'a> {
    pub(crate) tag: u8,
    pub(crate) value: &'a [u8],
    /// Tag, length and value: what is hashed, compared or signed.
    pub(crate) raw: &'a [u8],
}

/// Reads elements one after the other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { rest: bytes }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The tag of the next element, if there is one.
    pub(crate) fn tag(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// The next element, whatever its tag.
    pub(crate) fn any(&mut self) -> Result<Element<'a>, Malformed> {
        let (&tag, after_tag) = self
            .rest
            .split_first()
            .ok_or(Malformed("an element is missing"))?;
        if tag & 0x1f == 0x1f {
            return Err(Malformed("a tag number above 30 is used"));
        }
        let (length, after_length) = read_length(after_tag)?;
        let (value, rest) = after_length
            .split_at_checked(length)
            .ok_or(Malformed("an element is longer than what holds it"))?;
        let raw_len = self.rest.len() - rest.len();
        let raw = self
            .rest
            .get(..raw_len)
            .ok_or(Malformed("an element is cut short"))?;
        self.rest = rest;
        Ok(Element { tag, value, raw })
    }

    /// The value of the next element, which must have this tag.
    pub(crate) fn expect(&mut self, tag: u8) -> Result<&'a [u8], Malformed> {
        self.expect_element(tag).map(|element| element.value)
    }

    /// The next element, which must have this tag.
    pub(crate) fn expect_element(&mut self, tag: u8) -> Result<Element<'a>, Malformed> {
        let element = self.any()?;
        if element.tag == tag {
            Ok(element)
        } else {
            Err(Malformed(
                "an element has another type than the standard says",
            ))
        }
    }

    /// The value of the next element if it has this tag.
    pub(crate) fn optional(&mut self, tag: u8) -> Result<Option<&'a [u8]>, Malformed> {
        if self.tag() == Some(tag) {
            self.expect(tag).map(Some)
        } else {
            Ok(None)
        }
    }

    /// Nothing may follow.
    pub(crate) fn finish(&self) -> Result<(), Malformed> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(Malformed("bytes follow where the structure ends"))
        }
    }
}

/// The value of the one element with this tag that `bytes` must consist of.
pub(crate) fn only(bytes: &[u8], tag: u8) -> Result<&[u8], Malformed> {
    let mut reader = Reader::new(bytes);
    let value = reader.expect(tag)?;
    reader.finish()?;
    Ok(value)
}

fn read_length(bytes: &[u8]) -> Result<(usize, &[u8]), Malformed> {
    let (&first, rest) = bytes
        .split_first()
        .ok_or(Malformed("a length is missing"))?;
    if first < 0x80 {
        return Ok((usize::from(first), rest));
    }
    let count = usize::from(first & 0x7f);
    if count == 0 || count > LENGTH_BYTES_MAX {
        return Err(Malformed("a length is indefinite or over 4 GiB"));
    }
    let (digits, rest) = rest
        .split_at_checked(count)
        .ok_or(Malformed("a length is cut short"))?;
    let length = digits
        .iter()
        .fold(0_u64, |sum, &digit| (sum << 8) | u64::from(digit));
    if length < 0x80 || digits.first() == Some(&0) {
        return Err(Malformed("a length is not written in its shortest form"));
    }
    let length = usize::try_from(length)
        .map_err(|_too_long| Malformed("a length is over the address space"))?;
    Ok((length, rest))
}

/// A BOOLEAN's value.
pub(crate) fn boolean(value: &[u8]) -> Result<bool, Malformed> {
    match value {
        [0x00] => Ok(false),
        [0xff] => Ok(true),
        _ => Err(Malformed("a boolean is neither 00 nor ff")),
    }
}

/// The magnitude of an INTEGER that must not be negative, without its leading zero.
pub(crate) fn unsigned(value: &[u8]) -> Result<&[u8], Malformed> {
    match value {
        [] => Err(Malformed("an integer is empty")),
        [0x80..=0xff, ..] => Err(Malformed("an integer is negative")),
        [0x00, 0x00..=0x7f, ..] => Err(Malformed("an integer is not written in its shortest form")),
        [0x00, rest @ ..] if !rest.is_empty() => Ok(rest),
        _ => Ok(value),
    }
}

/// The bytes of a BIT STRING that must have no unused bits (keys and signatures).
pub(crate) fn whole_bits(value: &[u8]) -> Result<&[u8], Malformed> {
    match value {
        [0, bits @ ..] => Ok(bits),
        _ => Err(Malformed("a bit string has unused bits")),
    }
}

/// The next element as a time: UTCTime or GeneralizedTime, in UTC with seconds (RFC 5280 section 4.1.2.5), in Unix seconds.
pub(crate) fn time(reader: &mut Reader<'_>) -> Result<i64, Malformed> {
    let element = reader.any()?;
    let (year, rest) = match element.tag {
        UTC_TIME => {
            let (year, rest) = digits(element.value, 2)?;
            (if year < 50 { 2000 + year } else { 1900 + year }, rest)
        }
        GENERALIZED_TIME => digits(element.value, 4)?,
        _ => return Err(Malformed("a time is neither UTCTime nor GeneralizedTime")),
    };
    let (month, rest) = digits(rest, 2)?;
    let (day, rest) = digits(rest, 2)?;
    let (hour, rest) = digits(rest, 2)?;
    let (minute, rest) = digits(rest, 2)?;
    let (second, rest) = digits(rest, 2)?;
    if rest != b"Z" {
        return Err(Malformed("a time does not end in `Z`"));
    }
    let month = u8::try_from(month)
        .ok()
        .and_then(|month| time::Month::try_from(month).ok());
    let narrow = |number: i32| u8::try_from(number).unwrap_or(u8::MAX);
    month
        .and_then(|month| time::Date::from_calendar_date(year, month, narrow(day)).ok())
        .and_then(|date| {
            date.with_hms(narrow(hour), narrow(minute), narrow(second))
                .ok()
        })
        .map(|moment| moment.assume_utc().unix_timestamp())
        .ok_or(Malformed("a time is not in the calendar"))
}

fn digits(text: &[u8], count: usize) -> Result<(i32, &[u8]), Malformed> {
    let (head, rest) = text
        .split_at_checked(count)
        .ok_or(Malformed("a time is cut short"))?;
    let number = head.iter().try_fold(0_i32, |sum, digit| match digit {
        b'0'..=b'9' => Ok(sum * 10 + i32::from(digit - b'0')),
        _ => Err(Malformed("a time has something else than digits")),
    })?;
    Ok((number, rest))
}

const LENGTH_BYTES_MAX: usize = 4;

pub(crate) const BOOLEAN: u8 = 0x01;
pub(crate) const INTEGER: u8 = 0x02;
pub(crate) const BIT_STRING: u8 = 0x03;
pub(crate) const OCTET_STRING: u8 = 0x04;
pub(crate) const OID: u8 = 0x06;
pub(crate) const ENUMERATED: u8 = 0x0a;
pub(crate) const UTF8_STRING: u8 = 0x0c;
pub(crate) const PRINTABLE_STRING: u8 = 0x13;
pub(crate) const IA5_STRING: u8 = 0x16;
pub(crate) const UTC_TIME: u8 = 0x17;
pub(crate) const GENERALIZED_TIME: u8 = 0x18;
pub(crate) const BMP_STRING: u8 = 0x1e;
pub(crate) const SEQUENCE: u8 = 0x30;
pub(crate) const SET: u8 = 0x31;

/// `[number]` of a primitive type, implicitly tagged.
pub(crate) const fn context(number: u8) -> u8 {
    0x80 | number
}

/// `[number]` of a constructed type, or explicitly tagged.
pub(crate) const fn context_constructed(number: u8) -> u8 {
    0xa0 | number
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_that_der_forbids_are_refused() {
        for (bytes, why) in [
            (&[0x30, 0x80, 0x00, 0x00][..], "indefinite"),
            (&[0x30, 0x81, 0x01, 0x00], "long form of a short length"),
            (&[0x30, 0x82, 0x00, 0x80], "leading zero"),
            (&[0x30, 0x85, 0, 0, 0, 0, 1], "five bytes"),
            (&[0x30, 0x02, 0x00], "longer than the input"),
            (&[0x30], "no length"),
            (&[0x1f, 0x81, 0x00], "high tag number"),
            (&[], "nothing"),
        ] {
            assert!(Reader::new(bytes).any().is_err(), "{why}");
        }
    }

    #[test]
    fn integers_are_minimal_and_not_negative() {
        assert_eq!(unsigned(&[0x00]), Ok(&[0x00][..]));
        assert_eq!(unsigned(&[0x00, 0x80]), Ok(&[0x80][..]));
        for bad in [&[][..], &[0x80], &[0xff, 0x01], &[0x00, 0x7f]] {
            assert!(unsigned(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn times_are_utc_with_seconds_and_in_the_calendar() {
        let read = |tag: u8, text: &str| {
            let mut bytes = vec![tag, u8::try_from(text.len()).unwrap()];
            bytes.extend_from_slice(text.as_bytes());
            time(&mut Reader::new(&bytes))
        };
        assert_eq!(read(UTC_TIME, "700101000000Z"), Ok(0));
        assert_eq!(read(UTC_TIME, "491231235959Z"), Ok(2_524_607_999));
        assert_eq!(read(GENERALIZED_TIME, "20500101000000Z"), Ok(2_524_608_000));
        for bad in [
            "7001010000Z",
            "700101000000+0800",
            "701301000000Z",
            "700230000000Z",
            "700101240000Z",
            "70010100000Z",
            "",
        ] {
            assert!(read(UTC_TIME, bad).is_err(), "{bad}");
        }
        assert!(read(GENERALIZED_TIME, "20500101000000.5Z").is_err());
    }
}
