//! XML Schema dates and times as numbers, exactly or not at all.

use oxsdatatypes::{Date, DateTime, Decimal};
use std::str::FromStr;

/// 10^-18 is the step of [`Decimal`]; so many of them make a microsecond.
const STEPS_PER_MICROSECOND: i128 = 1_000_000_000_000;
const SECONDS_PER_DAY: i64 = 86_400;

/// A point in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Microseconds since 1970-01-01T00:00:00, in UTC when there is a time zone.
    pub microseconds: i64,
    /// Whether it says in which time zone.
    pub zoned: bool,
}

/// Reads an `xsd:dateTime`; `None` when it is none, is finer than a microsecond, or lies beyond what 64 bits hold.
#[must_use]
pub fn moment(lexical: &str) -> Option<Moment> {
    let parsed = DateTime::from_str(lexical).ok()?;
    let zoned = parsed.timezone_offset().is_some();
    let epoch = if zoned {
        "1970-01-01T00:00:00Z"
    } else {
        "1970-01-01T00:00:00"
    };
    let since = parsed.checked_sub(DateTime::from_str(epoch).ok()?)?.as_seconds();
    Some(Moment {
        microseconds: i64::try_from(steps(since, STEPS_PER_MICROSECOND)?).ok()?,
        zoned,
    })
}

/// Reads an `xsd:date` without time zone as days since 1970-01-01; `None` for any other.
#[must_use]
pub fn day(lexical: &str) -> Option<i32> {
    let parsed = Date::from_str(lexical).ok()?;
    if parsed.timezone_offset().is_some() {
        return None;
    }
    let since = parsed.checked_sub(Date::from_str("1970-01-01").ok()?)?.as_seconds();
    let seconds = i64::try_from(steps(since, 1_000_000 * STEPS_PER_MICROSECOND)?).ok()?;
    (seconds % SECONDS_PER_DAY == 0).then(|| i32::try_from(seconds / SECONDS_PER_DAY).ok())?
}

/// How many times `size` steps fit exactly.
fn steps(number: Decimal, size: i128) -> Option<i128> {
    let all = i128::from_be_bytes(number.to_be_bytes());
    (all % size == 0).then_some(all / size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_exact() {
        for (lexical, expected) in [
            ("1970-01-01T00:00:00Z", Some((0, true))),
            ("1970-01-01T01:00:00+01:00", Some((0, true))),
            ("1969-12-31T23:59:59.999999Z", Some((-1, true))),
            ("2026-03-29T02:30:00", Some((1_774_751_400_000_000, false))),
            ("2026-03-29T02:30:00.1234567Z", None),
            ("2026-02-30T00:00:00Z", None),
            ("999999-01-01T00:00:00Z", None),
            ("yesterday", None),
        ] {
            let found = moment(lexical).map(|moment| (moment.microseconds, moment.zoned));
            assert_eq!(found, expected, "{lexical}");
        }
    }

    #[test]
    fn days_are_exact() {
        for (lexical, expected) in [
            ("1970-01-01", Some(0)),
            ("1969-12-31", Some(-1)),
            ("2026-11-22", Some(20_779)),
            ("2026-11-22Z", None),
            ("2026-11-31", None),
        ] {
            assert_eq!(day(lexical), expected, "{lexical}");
        }
    }
}
