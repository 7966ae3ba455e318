//! Quantities with a unit: sizes and durations.

use std::fmt;
use std::time::Duration;

use crate::config::problem::Fault;

/// A number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteSize(u64);

impl ByteSize {
    /// So many bytes.
    #[must_use]
    pub const fn of(bytes: u64) -> Self {
        Self(bytes)
    }

    /// The number of bytes.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        self.0
    }

    /// The number of bytes; on a machine with small pointers, the largest number that fits.
    #[must_use]
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }

    /// Takes a whole number and `B`, `KiB`, `MiB` or `GiB`.
    ///
    /// # Errors
    /// Another unit, or a number that does not fit.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        number_with_unit(text, &SIZE_UNITS)
            .map(Self)
            .ok_or_else(|| {
                Fault::new(
                    format!("`{text}` is not a size"),
                    "write a whole number and B, KiB, MiB or GiB, as in `64KiB`",
                )
            })
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        with_largest_unit(out, self.0, &SIZE_UNITS)
    }
}

const SIZE_UNITS: [(&str, u64); 4] = [
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("B", 1),
];
const TIME_UNITS_MS: [(&str, u64); 4] = [("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Takes a whole number and `ms`, `s`, `m` or `h`.
///
/// # Errors
/// Another unit, or a number that does not fit.
pub(in crate::config) fn parse_duration(text: &str) -> Result<Duration, Fault> {
    number_with_unit(text, &TIME_UNITS_MS)
        .map(Duration::from_millis)
        .ok_or_else(|| {
            Fault::new(
                format!("`{text}` is not a duration"),
                "write a whole number and ms, s, m or h, as in `10s`",
            )
        })
}

/// A duration as it is written in the file.
#[derive(Clone, Copy, Debug)]
pub(in crate::config) struct Written(pub(in crate::config) Duration);

impl fmt::Display for Written {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        with_largest_unit(out, ms, &TIME_UNITS_MS)
    }
}

fn number_with_unit(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits)?;
    let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

fn with_largest_unit(
    out: &mut fmt::Formatter<'_>,
    number: u64,
    units: &[(&str, u64)],
) -> fmt::Result {
    let fits = |factor: u64| factor <= number && number.is_multiple_of(factor);
    match units
        .iter()
        .find(|(_, factor)| fits(*factor))
        .or(units.last())
    {
        Some((name, factor)) => write!(
            out,
            "{}{name}",
            number.checked_div(*factor).unwrap_or(number)
        ),
        None => write!(out, "{number}"),
    }
}
