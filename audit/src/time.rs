//! A moment, as the log writes it.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970-01-01T00:00:00Z, without leap seconds; at most the end of the year 9999.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

impl Timestamp {
    /// A moment in milliseconds since the Unix epoch; later than the year 9999 becomes its end.
    #[must_use]
    pub const fn from_unix_ms(ms: u64) -> Self {
        if ms > MS_MAX { Self(MS_MAX) } else { Self(ms) }
    }

    /// Milliseconds since the Unix epoch.
    #[must_use]
    pub const fn unix_ms(self) -> u64 {
        self.0
    }

    /// Reads the one form that a log writes, `2026-11-24T07:10:22.123Z`; `None` for any other.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let number = |from: usize, to: usize| -> Option<u64> {
            let digits = text.get(from..to)?;
            digits
                .bytes()
                .all(|byte| byte.is_ascii_digit())
                .then(|| digits.parse().ok())?
        };
        let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
        let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
        let ms = days(year, month, day)?
            .checked_mul(DAY_MS)?
            .checked_add(((hour * 60 + minute) * 60 + second) * 1_000 + number(20, 23)?)?;
        let (parsed, mut written) = (Self::from_unix_ms(ms), Vec::with_capacity(24));
        // What does not come back alike was no moment of the calendar, or had other separators.
        parsed.write(&mut written);
        (written == text.as_bytes()).then_some(parsed)
    }

    /// Appends the moment as RFC 3339 in UTC with milliseconds: always 24 bytes, `2026-11-24T07:10:22.123Z`.
    pub(crate) fn write(self, out: &mut Vec<u8>) {
        let (days, ms) = (self.0 / DAY_MS, self.0 % DAY_MS);
        let (year, month, day) = date(days);
        for (number, width, after) in [
            (year, 4, b'-'),
            (month, 2, b'-'),
            (day, 2, b'T'),
            (ms / 3_600_000, 2, b':'),
            (ms / 60_000 % 60, 2, b':'),
            (ms / 1_000 % 60, 2, b'.'),
            (ms % 1_000, 3, b'Z'),
        ] {
            let mut unit = [1, 10, 100, 1_000].get(width - 1).copied().unwrap_or(1);
            while unit > 0 {
                out.push(b'0' + u8::try_from(number / unit % 10).unwrap_or_default());
                unit /= 10;
            }
            out.push(after);
        }
    }
}

impl fmt::Display for Timestamp {
    /// As in the log: RFC 3339 in UTC with milliseconds.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = Vec::with_capacity(24);
        self.write(&mut text);
        f.write_str(&String::from_utf8_lossy(&text))
    }
}

impl From<SystemTime> for Timestamp {
    /// A clock before 1970 gives the epoch itself.
    fn from(time: SystemTime) -> Self {
        let ms = time
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_millis();
        Self::from_unix_ms(u64::try_from(ms).unwrap_or(MS_MAX))
    }
}

/// Days since the epoch → Gregorian year, month and day.
fn date(days: u64) -> (u64, u64, u64) {
    // Counted from 1 March of the year 0, so that the leap day is the last of its year; 146,097 days are 400 years.
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    // Months from March have 31, 30, 31, 30, 31 days and again, which is a line of slope 153/5.
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

/// Gregorian date → days since the epoch; `None` before it. A day that the month does not have gives one of the next.
fn days(year: u64, month: u64, day: u64) -> Option<u64> {
    let (year, month_from_march) = if month > 2 {
        (year, month - 3)
    } else {
        (year.checked_sub(1)?, month + 9)
    };
    let (era, year_of_era) = (year / 400, year % 400);
    let day_of_year = (153 * month_from_march + 2) / 5 + day.checked_sub(1)?;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    (era * 146_097 + day_of_era).checked_sub(719_468)
}

const DAY_MS: u64 = 24 * 3600 * 1000;
/// 9999-12-31T23:59:59.999Z.
const MS_MAX: u64 = 253_402_300_799_999;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use time::OffsetDateTime;
    use time::format_description::well_known::Rfc3339;

    use super::*;

    fn written(ms: u64) -> String {
        let mut out = Vec::new();
        Timestamp::from_unix_ms(ms).write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn moments_are_written_in_rfc_3339_with_milliseconds() {
        for (ms, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_001, "2000-02-29T00:00:00.001Z"),
            (1_795_504_222_123, "2026-11-24T07:10:22.123Z"),
            (4_107_542_399_999, "2100-02-28T23:59:59.999Z"),
            (u64::MAX, "9999-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(written(ms), text);
        }
    }

    #[test]
    fn only_the_one_form_is_read() {
        for text in [
            "",
            "2026-11-24T07:10:22Z",
            "2026-11-24T07:10:22.123",
            "2026-11-24T07:10:22.123+00:00",
            "2026-11-24 07:10:22.123Z",
            "2026-02-30T07:10:22.123Z",
            "2026-00-10T07:10:22.123Z",
            "2026-13-10T07:10:22.123Z",
            "2026-11-24T24:10:22.123Z",
            "2026-11-24T07:60:22.123Z",
            "1969-12-31T23:59:59.999Z",
            "2026-11-24T07:10:22.123Z ",
            "２026-11-24T07:10:22.1Z",
        ] {
            assert_eq!(Timestamp::parse(text), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn a_written_moment_is_read_back(ms in 0..=MS_MAX) {
            prop_assert_eq!(Timestamp::parse(&written(ms)), Some(Timestamp::from_unix_ms(ms)));
        }

        #[test]
        fn the_calendar_agrees_with_another_one(ms in 0..=MS_MAX) {
            let parsed = OffsetDateTime::parse(&written(ms), &Rfc3339).unwrap();
            prop_assert_eq!(parsed.unix_timestamp_nanos(), i128::from(ms) * 1_000_000);
        }
    }
}
