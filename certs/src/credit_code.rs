//! Unified social credit codes (统一社会信用代码, GB 32100-2015): the one number of every organisation in China.
//!
//! Eighteen characters: who registered it, what kind it is, where (six digits), the organisation code (nine characters with a check
//! character of its own, GB 11714), and a check character over all. A certificate carries it in organizationIdentifier, serialNumber or the
//! like; a mistyped or invented one does not survive both checks.

use std::fmt;

/// A code whose check characters are right.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CreditCode([u8; CREDIT_CODE_CHARACTERS]);

/// Why some text is no unified social credit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CreditCodeError {
    /// Not eighteen characters.
    #[error("a unified social credit code has 18 characters")]
    Length,
    /// A character outside the standard's set, or a letter where a digit belongs.
    #[error(
        "a unified social credit code has digits and capital letters without I, O, S, V and Z, and digits at places 3 to 8"
    )]
    Character,
    /// The organisation code's own check character is wrong.
    #[error(
        "the check character at place 17 does not fit the organisation code at places 9 to 16; look for a typing error"
    )]
    OrganisationCheck,
    /// The last character is wrong.
    #[error("the check character at place 18 does not fit; look for a typing error")]
    Check,
}

impl CreditCode {
    /// Reads a code as printed: capital letters, no spaces.
    pub fn parse(text: &str) -> Result<CreditCode, CreditCodeError> {
        let code: [u8; CREDIT_CODE_CHARACTERS] = text
            .as_bytes()
            .try_into()
            .map_err(|_why| CreditCodeError::Length)?;
        let region_is_digits = code
            .iter()
            .skip(REGION_START)
            .take(REGION_DIGITS)
            .all(u8::is_ascii_digit);
        let values: Vec<u32> = code
            .iter()
            .map(|character| value(*character))
            .collect::<Option<_>>()
            .ok_or(CreditCodeError::Character)?;
        if !region_is_digits {
            return Err(CreditCodeError::Character);
        }
        check_organisation(&code)?;
        let sum: u32 = values
            .iter()
            .zip(WEIGHTS)
            .map(|(value, weight)| value * weight)
            .sum();
        let expected = (MODULUS - sum % MODULUS) % MODULUS;
        if values.last() == Some(&expected) {
            Ok(CreditCode(code))
        } else {
            Err(CreditCodeError::Check)
        }
    }

    /// Finds a code in a certificate's field: by itself, or behind a scheme as ETSI EN 319 412-1 writes it (`NTRCN-9135…`).
    pub fn find(field: &str) -> Option<CreditCode> {
        let tail = field.rsplit(['-', ':', '=', ' ']).next()?;
        CreditCode::parse(tail).ok()
    }

    /// The eighteen characters.
    pub fn as_str(&self) -> &str {
        str::from_utf8(&self.0).unwrap_or_default()
    }

    /// The six digits of the place of registration (GB/T 2260), such as `110000` for Beijing.
    pub fn region(&self) -> &str {
        self.as_str()
            .get(REGION_START..ORGANISATION_START)
            .unwrap_or_default()
    }

    /// The nine characters of the organisation code (GB 11714).
    pub fn organisation_code(&self) -> &str {
        self.as_str()
            .get(ORGANISATION_START..CREDIT_CODE_CHARACTERS - 1)
            .unwrap_or_default()
    }
}

/// GB 11714: eight characters of base 36, and one check character of base 11 whose ten is `X`.
fn check_organisation(code: &[u8; CREDIT_CODE_CHARACTERS]) -> Result<(), CreditCodeError> {
    let organisation = code.iter().skip(ORGANISATION_START);
    let mut sum = 0;
    for (character, weight) in organisation.clone().zip(ORGANISATION_WEIGHTS) {
        sum += char::from(*character)
            .to_digit(36)
            .ok_or(CreditCodeError::Character)?
            * weight;
    }
    let expected = match (11 - sum % 11) % 11 {
        10 => b'X',
        digit => b'0' + u8::try_from(digit).unwrap_or(0),
    };
    if organisation.clone().nth(ORGANISATION_WEIGHTS.len()) == Some(&expected) {
        Ok(())
    } else {
        Err(CreditCodeError::OrganisationCheck)
    }
}

fn value(character: u8) -> Option<u32> {
    ALPHABET
        .iter()
        .position(|known| *known == character)
        .and_then(|value| u32::try_from(value).ok())
}

impl fmt::Display for CreditCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for CreditCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CreditCode({self})")
    }
}

/// Characters of a code.
pub const CREDIT_CODE_CHARACTERS: usize = 18;

/// The digits and capital letters without I, O, S, V and Z; a character's place is its value.
const ALPHABET: &[u8; 31] = b"0123456789ABCDEFGHJKLMNPQRTUWXY";
const MODULUS: u32 = 31;
/// Powers of 3 modulo 31.
const WEIGHTS: [u32; 17] = [
    1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28,
];
/// Powers of 2 in reverse, as GB 11714 lists them.
const ORGANISATION_WEIGHTS: [u32; 8] = [3, 7, 9, 10, 5, 8, 4, 2];
const REGION_START: usize = 2;
const REGION_DIGITS: usize = 6;
const ORGANISATION_START: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn real_codes_are_accepted() {
        // As printed on the licences of well-known companies.
        for code in [
            "91350100M000100Y43",
            "914403001922038216",
            "91440300708461136T",
            "91110000802100433B",
        ] {
            assert_eq!(
                CreditCode::parse(code)
                    .map(|code| code.to_string())
                    .as_deref(),
                Ok(code)
            );
        }
        let code = CreditCode::parse("91440300708461136T").unwrap();
        assert_eq!(
            (code.region(), code.organisation_code()),
            ("440300", "708461136")
        );
    }

    #[test]
    fn every_single_wrong_character_is_found() {
        let right = "91350100M000100Y43";
        for at in 0..right.len() {
            for wrong in ALPHABET
                .iter()
                .filter(|character| **character != right.as_bytes()[at])
            {
                let mut code = right.as_bytes().to_vec();
                code[at] = *wrong;
                assert!(
                    CreditCode::parse(str::from_utf8(&code).unwrap()).is_err(),
                    "{at}"
                );
            }
        }
    }

    #[test]
    fn text_that_is_no_code_is_refused() {
        for (text, why) in [
            ("", CreditCodeError::Length),
            ("91350100M000100Y4", CreditCodeError::Length),
            ("91350100M000100Y430", CreditCodeError::Length),
            ("91350100m000100Y43", CreditCodeError::Character),
            ("9135O100M000100Y43", CreditCodeError::Character),
            ("91A50100M000100Y43", CreditCodeError::Character),
            ("91350100M000100X43", CreditCodeError::OrganisationCheck),
            ("91350100M000100Y44", CreditCodeError::Check),
            ("税务总局税务总局", CreditCodeError::Length),
            ("税务总局税务", CreditCodeError::Character),
        ] {
            assert_eq!(CreditCode::parse(text), Err(why), "{text}");
        }
    }

    #[test]
    fn a_code_is_found_behind_a_scheme() {
        for field in [
            "91350100M000100Y43",
            "NTRCN-91350100M000100Y43",
            "USCC:91350100M000100Y43",
        ] {
            assert!(CreditCode::find(field).is_some(), "{field}");
        }
        for field in ["", "NTRCN-", "91350100M000100Y43-1", "x91350100M000100Y43"] {
            assert_eq!(CreditCode::find(field), None, "{field}");
        }
    }
}
