//! Instants in policies: `xsd:dateTime` and `xsd:date`, with or without a zone.
//!
//! A value without a zone could be meant anywhere on Earth, so it stands for a range of instants, 14 hours either way
//! (XML Schema's own rule); inside that range a comparison has no answer.

use time::format_description::well_known::{Iso8601, Rfc3339};
use time::{Date, Duration, OffsetDateTime, PrimitiveDateTime, Time};

use super::Operator;

const ZONE_MAX: Duration = Duration::hours(14);

/// A point or a day in time whose start is known exactly or within a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moment {
    start_min: OffsetDateTime,
    start_max: OffsetDateTime,
    /// Zero for an instant, 24 hours for a date.
    length: Duration,
}

impl Moment {
    /// Reads an `xsd:dateTime` (`date` false) or `xsd:date` (`date` true).
    pub(super) fn parse(text: &str, date: bool) -> Option<Self> {
        let text = text.trim();
        if date {
            Self::parse_date(text)
        } else {
            Self::parse_date_time(text)
        }
    }

    /// An instant that is known exactly.
    pub(super) fn instant(at: OffsetDateTime) -> Self {
        Self {
            start_min: at,
            start_max: at,
            length: Duration::ZERO,
        }
    }

    /// The instant, when it is one and known exactly.
    pub(super) fn exact(&self) -> Option<OffsetDateTime> {
        (self.start_min == self.start_max && self.length == Duration::ZERO).then_some(self.start_min)
    }

    fn parse_date_time(text: &str) -> Option<Self> {
        if let Ok(instant) = OffsetDateTime::parse(text, &Rfc3339) {
            return Some(Self {
                start_min: instant,
                start_max: instant,
                length: Duration::ZERO,
            });
        }
        let local = PrimitiveDateTime::parse(text, &Iso8601::PARSING).ok()?;
        // The parser ignores nothing, yet a zone would have been read above: this one has none.
        if text.ends_with('Z') {
            return None;
        }
        Self::anywhere(local, Duration::ZERO)
    }

    fn parse_date(text: &str) -> Option<Self> {
        let day = text.get(..10)?;
        let date = Date::parse(day, &Iso8601::PARSING).ok()?;
        let zone = text.get(10..)?;
        if zone.is_empty() {
            return Self::anywhere(PrimitiveDateTime::new(date, Time::MIDNIGHT), Duration::DAY);
        }
        let start = OffsetDateTime::parse(&format!("{day}T00:00:00{zone}"), &Rfc3339).ok()?;
        Some(Self {
            start_min: start,
            start_max: start,
            length: Duration::DAY,
        })
    }

    fn anywhere(local: PrimitiveDateTime, length: Duration) -> Option<Self> {
        let utc = local.assume_utc();
        Some(Self {
            start_min: utc.checked_sub(ZONE_MAX)?,
            start_max: utc.checked_add(ZONE_MAX)?,
            length,
        })
    }

    /// `now operator self`; `None` when it cannot be said or the operator is not defined for time.
    pub(super) fn compare(&self, now: OffsetDateTime, operator: &Operator) -> Option<bool> {
        let exact = self.start_min == self.start_max;
        let before = Self::three_way(now < self.start_min, now >= self.start_max);
        // The last instant that still belongs to it: for a day, everything before the next midnight.
        let not_after = if self.length == Duration::ZERO {
            Self::three_way(now <= self.start_min, now > self.start_max)
        } else {
            Self::three_way(now < self.end_min()?, now >= self.end_max()?)
        };
        match operator {
            Operator::Lt => before,
            Operator::Gteq => before.map(|before| !before),
            Operator::Lteq => not_after,
            Operator::Gt => not_after.map(|not_after| !not_after),
            Operator::Eq | Operator::Neq => {
                let within = match (before, not_after) {
                    (Some(true), _) | (_, Some(false)) => Some(false),
                    (Some(false), Some(true)) if exact || self.length != Duration::ZERO => Some(true),
                    _ => None,
                }?;
                Some(if *operator == Operator::Eq { within } else { !within })
            }
            _ => None,
        }
    }

    /// The instants at which a comparison with this value can change its answer.
    pub(super) fn turning_points(&self) -> impl Iterator<Item = OffsetDateTime> {
        let ends = [self.end_min(), self.end_max()].into_iter().flatten();
        [self.start_min, self.start_max].into_iter().chain(ends)
    }

    fn end_min(&self) -> Option<OffsetDateTime> {
        self.start_min.checked_add(self.length)
    }

    fn end_max(&self) -> Option<OffsetDateTime> {
        self.start_max.checked_add(self.length)
    }

    fn three_way(surely: bool, surely_not: bool) -> Option<bool> {
        match (surely, surely_not) {
            (true, _) => Some(true),
            (_, true) => Some(false),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    /// ODR-7: what is compared, how, at which instant, and the answer.
    #[test]
    fn comparisons() {
        let noon = datetime!(2026-06-01 12:00 UTC);
        let cases: &[(&str, bool, Operator, OffsetDateTime, Option<bool>)] = &[
            ("2026-06-01T12:00:00Z", false, Operator::Lt, noon, Some(false)),
            ("2026-06-01T12:00:00Z", false, Operator::Lteq, noon, Some(true)),
            ("2026-06-01T12:00:00Z", false, Operator::Gteq, noon, Some(true)),
            ("2026-06-01T12:00:00Z", false, Operator::Gt, noon, Some(false)),
            ("2026-06-01T12:00:00Z", false, Operator::Eq, noon, Some(true)),
            ("2026-06-01T12:00:00Z", false, Operator::Neq, noon, Some(false)),
            ("2026-06-01T14:00:00+02:00", false, Operator::Eq, noon, Some(true)),
            ("2026-06-01T14:00:00.5+02:00", false, Operator::Lt, noon, Some(true)),
            ("2026-06-01T12:00:00Z", false, Operator::IsA, noon, None),
            // Without a zone: 14 hours of doubt.
            ("2026-06-01T12:00:00", false, Operator::Lt, noon, None),
            ("2026-06-03T12:00:00", false, Operator::Lt, noon, Some(true)),
            ("2026-05-30T12:00:00", false, Operator::Lt, noon, Some(false)),
            ("2026-06-01T12:00:00", false, Operator::Eq, noon, None),
            ("2026-06-03T12:00:00", false, Operator::Eq, noon, Some(false)),
            // A date is the whole day.
            ("2026-06-01Z", true, Operator::Lteq, noon, Some(true)),
            ("2026-06-01Z", true, Operator::Lt, noon, Some(false)),
            ("2026-06-01Z", true, Operator::Eq, noon, Some(true)),
            (
                "2026-06-01Z",
                true,
                Operator::Gt,
                datetime!(2026-06-02 00:00 UTC),
                Some(true),
            ),
            ("2026-06-01", true, Operator::Gt, noon, None),
            ("2026-05-29", true, Operator::Gt, noon, Some(true)),
        ];
        for (text, date, operator, now, expected) in cases {
            let moment = Moment::parse(text, *date).unwrap_or_else(|| panic!("{text} does not parse"));
            assert_eq!(moment.compare(*now, operator), *expected, "{now} {operator:?} {text}");
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for (text, date) in [
            ("tomorrow", false),
            ("2026-13-01T00:00:00Z", false),
            ("2026-06-01", false),
            ("2026-06", true),
            ("2026-06-01T12:00:00Z", true),
            ("", true),
            ("2026-06-01é", true),
        ] {
            assert_eq!(Moment::parse(text, date), None, "{text}");
        }
    }
}
