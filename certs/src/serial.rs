//! Serial numbers of certificates.

use std::fmt;

use crate::der::{self, Malformed};

/// A certificate's serial number: a positive integer of at most 20 bytes (RFC 5280 section 4.1.2.2).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Serial {
    /// Left-aligned; zero after `len`.
    bytes: [u8; SERIAL_BYTES_MAX],
    len: u8,
}

impl Serial {
    /// From big-endian bytes; leading zeros are dropped. `None` for zero, nothing, or more than 20 bytes.
    pub fn from_bytes(bytes: &[u8]) -> Option<Serial> {
        let start = bytes.iter().position(|&byte| byte != 0)?;
        let magnitude = bytes.get(start..)?;
        let mut serial = Serial {
            bytes: [0; SERIAL_BYTES_MAX],
            len: u8::try_from(magnitude.len()).ok()?,
        };
        serial
            .bytes
            .get_mut(..magnitude.len())?
            .copy_from_slice(magnitude);
        Some(serial)
    }

    /// From hexadecimal, as operators write it: upper or lower case, optionally with colons between bytes.
    pub fn from_hex(text: &str) -> Option<Serial> {
        let digits: Vec<u8> = text
            .bytes()
            .filter(|&byte| byte != b':')
            .map(|byte| {
                char::from(byte)
                    .to_digit(16)
                    .and_then(|digit| u8::try_from(digit).ok())
            })
            .collect::<Option<_>>()?;
        if digits.len() > 2 * SERIAL_BYTES_MAX + 2 {
            return None;
        }
        let bytes: Vec<u8> = digits
            .rchunks(2)
            .rev()
            .map(|pair| pair.iter().fold(0, |sum, digit| (sum << 4) | digit))
            .collect();
        Serial::from_bytes(&bytes)
    }

    /// Big-endian, without leading zeros, never empty.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes
            .get(..usize::from(self.len))
            .unwrap_or(&self.bytes)
    }

    /// From the value of a DER INTEGER.
    pub(crate) fn from_der(value: &[u8]) -> Result<Serial, Malformed> {
        if value.len() > SERIAL_BYTES_MAX {
            return Err(Malformed("its serial number is longer than 20 bytes"));
        }
        let magnitude = der::unsigned(value)
            .map_err(|_why| Malformed("its serial number is negative or badly encoded"))?;
        Serial::from_bytes(magnitude).ok_or(Malformed("its serial number is zero"))
    }
}

impl fmt::Display for Serial {
    /// Lower-case hexadecimal, two digits a byte.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_bytes()
            .iter()
            .try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Serial({self})")
    }
}

/// Bytes of the longest serial number.
pub const SERIAL_BYTES_MAX: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hexadecimal_is_read_as_operators_write_it() {
        for (text, shown) in [
            ("0A", "0a"),
            ("a", "0a"),
            ("00:ff:01", "ff01"),
            ("123", "0123"),
        ] {
            assert_eq!(Serial::from_hex(text).unwrap().to_string(), shown);
        }
        for bad in ["", "0", "g1", "0x12", &"ff".repeat(21)] {
            assert_eq!(Serial::from_hex(bad), None, "{bad}");
        }
    }

    #[test]
    fn serials_that_rfc_5280_forbids_are_refused() {
        for bad in [&[][..], &[0], &[0x80], &[0, 1], &[1; 21]] {
            assert!(Serial::from_der(bad).is_err(), "{bad:?}");
        }
        assert_eq!(Serial::from_der(&[0, 0x80]).unwrap().as_bytes(), [0x80]);
    }
}
