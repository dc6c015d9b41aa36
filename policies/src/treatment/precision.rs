//! Values made less precise: numbers, dates and times, places.

use std::fmt;
use std::str::FromStr;

use oxrdf::{Literal, NamedNode};
use oxsdatatypes::{Date, DateTime, Decimal, Double, Duration, GYear, GYearMonth, Integer, Time, TimezoneOffset};
use serde::{Deserialize, Serialize};
use vocab::xsd;

const WKT: &str = "http://www.opengis.net/ont/geosparql#wktLiteral";
const CRS: &str = "http://www.opengis.net/def/crs/";
/// Metres of a degree of latitude.
const DEGREE: f64 = 111_320.0;
/// Nearer to the poles than this cosine, degrees of longitude no longer get larger.
const COSINE_MIN: f64 = 0.01;

/// How fine a value may stay.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Precision {
    /// Numbers become multiples of a step, rounded down. The step is an `xsd:decimal`.
    Number(String),
    /// Dates and times become the begin of the step that they lie in, by their own clock.
    Time(TimeStep),
    /// Points become the middle of a cell of a grid this many metres wide.
    Place(u32),
}

/// A step of the calendar or of the clock that divides the next larger one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TimeStep {
    /// So many years.
    Years(u16),
    /// 1, 2, 3, 4 or 6 months.
    Months(u8),
    /// One day.
    Day,
    /// So many hours, a divisor of 24.
    Hours(u8),
    /// So many minutes, a divisor of 60.
    Minutes(u8),
    /// So many seconds, a divisor of 60.
    Seconds(u8),
}

impl TimeStep {
    /// The step of a duration; none for one that does not divide the calendar or the clock evenly.
    #[must_use]
    pub fn of(duration: &Duration) -> Option<Self> {
        let parts = [
            duration.years(),
            duration.months(),
            duration.days(),
            duration.hours(),
            duration.minutes(),
        ];
        let seconds = duration.seconds();
        let whole = floor(seconds)?;
        if Decimal::from(whole) != seconds {
            return None;
        }
        let divides = |value: i64, whole: i64| whole.checked_rem(value) == Some(0);
        Some(match (parts, whole) {
            ([years, 0, 0, 0, 0], 0) if years > 0 => Self::Years(u16::try_from(years).ok()?),
            ([0, months, 0, 0, 0], 0) if months > 0 && divides(months, 12) => Self::Months(u8::try_from(months).ok()?),
            ([0, 0, 1, 0, 0], 0) => Self::Day,
            ([0, 0, 0, hours, 0], 0) if hours > 0 && divides(hours, 24) => Self::Hours(u8::try_from(hours).ok()?),
            ([0, 0, 0, 0, minutes], 0) if minutes > 0 && divides(minutes, 60) => {
                Self::Minutes(u8::try_from(minutes).ok()?)
            }
            ([0, 0, 0, 0, 0], seconds) if seconds > 0 && divides(seconds, 60) => {
                Self::Seconds(u8::try_from(seconds).ok()?)
            }
            _ => return None,
        })
    }

    fn year(self, year: i64) -> i64 {
        match self {
            Self::Years(step) => year.div_euclid(i64::from(step).max(1)) * i64::from(step),
            _ => year,
        }
    }

    fn month(self, month: u8) -> u8 {
        match self {
            Self::Years(_) => 1,
            Self::Months(step) => month.saturating_sub(1) / step.max(1) * step + 1,
            _ => month,
        }
    }

    fn day(self, day: u8) -> u8 {
        match self {
            Self::Years(_) | Self::Months(_) => 1,
            _ => day,
        }
    }

    /// Hour, minute and second.
    fn clock(self, hour: u8, minute: u8, second: Decimal) -> (u8, u8, Decimal) {
        let down = |value: u8, step: u8| value / step.max(1) * step;
        let zero = Decimal::from(0);
        match self {
            Self::Years(_) | Self::Months(_) | Self::Day => (0, 0, zero),
            Self::Hours(step) => (down(hour, step), 0, zero),
            Self::Minutes(step) => (hour, down(minute, step), zero),
            Self::Seconds(step) => {
                let whole = floor(second).and_then(|whole| u8::try_from(whole).ok()).unwrap_or(0);
                (hour, minute, Decimal::from(down(whole, step)))
            }
        }
    }
}

impl fmt::Display for TimeStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Years(step) => write!(f, "P{step}Y"),
            Self::Months(step) => write!(f, "P{step}M"),
            Self::Day => f.write_str("P1D"),
            Self::Hours(step) => write!(f, "PT{step}H"),
            Self::Minutes(step) => write!(f, "PT{step}M"),
            Self::Seconds(step) => write!(f, "PT{step}S"),
        }
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(step) => f.write_str(step),
            Self::Time(step) => step.fmt(f),
            Self::Place(metres) => write!(f, "{metres} m"),
        }
    }
}

impl Precision {
    /// What a literal says: a duration for dates and times, metres for places where `metres` is the unit, and otherwise
    /// a step for numbers. None when it is not a step.
    #[must_use]
    pub fn read(literal: &Literal, metres: bool) -> Option<Self> {
        let text = literal.value().trim();
        match literal.datatype().as_str() {
            xsd::DURATION | xsd::YEAR_MONTH_DURATION | xsd::DAY_TIME_DURATION if !metres => {
                TimeStep::of(&Duration::from_str(text).ok()?).map(Self::Time)
            }
            xsd::INTEGER | xsd::DECIMAL => {
                let step = Decimal::from_str(text).ok().filter(|step| *step > Decimal::from(0))?;
                if metres {
                    let whole = u32::try_from(floor(step)?).ok()?;
                    return (Decimal::from(whole) == step).then_some(Self::Place(whole));
                }
                Some(Self::Number(step.to_string()))
            }
            _ => None,
        }
    }

    /// The value made less precise; none for a value of another kind.
    #[must_use]
    pub fn apply(&self, literal: &Literal) -> Option<Literal> {
        match self {
            Self::Number(step) => number(literal, Decimal::from_str(step).ok()?),
            Self::Time(step) => time(literal, *step),
            Self::Place(metres) => place(literal, f64::from(*metres)),
        }
    }
}

fn floor(number: Decimal) -> Option<i64> {
    let whole = Integer::try_from(number.checked_floor()?).ok()?;
    Some(whole.into())
}

fn typed(text: impl Into<String>, datatype: &str) -> Literal {
    Literal::new_typed_literal(text, NamedNode::new_unchecked(datatype))
}

fn down(value: Decimal, step: Decimal) -> Option<Decimal> {
    // A quotient may be rounded, a remainder is not.
    value.checked_sub(value.checked_rem_euclid(step)?)
}

fn number(literal: &Literal, step: Decimal) -> Option<Literal> {
    let text = literal.value().trim();
    match literal.datatype().as_str() {
        xsd::DOUBLE | xsd::FLOAT => {
            let value = Decimal::try_from(Double::from_str(text).ok()?).ok()?;
            let value = Double::from(down(value, step)?);
            Some(typed(value.to_string(), literal.datatype().as_str()))
        }
        xsd::DECIMAL => {
            let value = down(Decimal::from_str(text).ok()?, step)?;
            Some(typed(value.to_string(), xsd::DECIMAL))
        }
        datatype if is_integer(datatype) && !text.contains('.') => {
            let value = down(Decimal::from_str(text).ok()?, step)?;
            let whole = value.checked_floor()? == value;
            // The multiple may be none of the positive numbers any more.
            Some(typed(
                value.to_string(),
                if whole { xsd::INTEGER } else { xsd::DECIMAL },
            ))
        }
        _ => None,
    }
}

fn is_integer(datatype: &str) -> bool {
    [
        xsd::INTEGER,
        xsd::NON_NEGATIVE_INTEGER,
        xsd::POSITIVE_INTEGER,
        xsd::LONG,
        xsd::INT,
        xsd::SHORT,
        xsd::BYTE,
        xsd::UNSIGNED_LONG,
        xsd::UNSIGNED_INT,
        xsd::UNSIGNED_SHORT,
        xsd::UNSIGNED_BYTE,
    ]
    .contains(&datatype)
}

fn zone(offset: Option<TimezoneOffset>) -> String {
    offset.map(|offset| offset.to_string()).unwrap_or_default()
}

/// A year as XML Schema writes it, within the years that people mean.
fn year(year: i64) -> Option<String> {
    (0..=9999).contains(&year).then(|| format!("{year:04}"))
}

fn clock(hour: u8, minute: u8, second: Decimal) -> String {
    let whole = floor(second).unwrap_or(0);
    format!("{hour:02}:{minute:02}:{whole:02}")
}

fn time(literal: &Literal, step: TimeStep) -> Option<Literal> {
    let text = literal.value().trim();
    let datatype = literal.datatype();
    let shown = match datatype.as_str() {
        xsd::DATE_TIME | xsd::DATE_TIME_STAMP => {
            let value = DateTime::from_str(text).ok()?;
            let (hour, minute, second) = step.clock(value.hour(), value.minute(), value.second());
            format!(
                "{}-{:02}-{:02}T{}{}",
                year(step.year(value.year()))?,
                step.month(value.month()),
                step.day(value.day()),
                clock(hour, minute, second),
                zone(value.timezone_offset())
            )
        }
        xsd::DATE => {
            let value = Date::from_str(text).ok()?;
            let (month, day) = (step.month(value.month()), step.day(value.day()));
            let year = year(step.year(value.year()))?;
            format!("{year}-{month:02}-{day:02}{}", zone(value.timezone_offset()))
        }
        xsd::G_YEAR_MONTH => {
            let value = GYearMonth::from_str(text).ok()?;
            let (year, month) = (year(step.year(value.year()))?, step.month(value.month()));
            format!("{year}-{month:02}{}", zone(value.timezone_offset()))
        }
        xsd::G_YEAR => {
            let value = GYear::from_str(text).ok()?;
            format!("{}{}", year(step.year(value.year()))?, zone(value.timezone_offset()))
        }
        xsd::TIME if !matches!(step, TimeStep::Years(_) | TimeStep::Months(_) | TimeStep::Day) => {
            let value = Time::from_str(text).ok()?;
            let (hour, minute, second) = step.clock(value.hour(), value.minute(), value.second());
            format!("{}{}", clock(hour, minute, second), zone(value.timezone_offset()))
        }
        _ => return None,
    };
    Some(typed(shown, datatype.as_str()))
}

/// How a reference system counts.
enum Axes {
    /// Longitude, then latitude, in degrees.
    LongitudeFirst,
    /// Latitude, then longitude, in degrees.
    LatitudeFirst,
    /// Metres.
    Metres,
}

fn place(literal: &Literal, metres: f64) -> Option<Literal> {
    if literal.datatype().as_str() != WKT {
        return None;
    }
    let text = literal.value().trim();
    let (system, geometry) = match text.strip_prefix('<') {
        Some(rest) => rest.split_once('>').map(|(iri, rest)| (Some(iri), rest.trim()))?,
        None => (None, text),
    };
    let axes = match system.map(|iri| iri.strip_prefix(CRS)) {
        None | Some(Some("OGC/1.3/CRS84")) => Axes::LongitudeFirst,
        Some(Some("EPSG/0/4326" | "EPSG/0/4258")) => Axes::LatitudeFirst,
        // Belgian Lambert 72 and 2008, ETRS89 UTM 31.
        Some(Some("EPSG/0/31370" | "EPSG/0/3812" | "EPSG/0/25831")) => Axes::Metres,
        _ => return None,
    };
    let (first, second) = point(geometry)?;
    let middle = |value: f64, step: f64| ((value / step).floor() + 0.5) * step;
    let (first, second) = match axes {
        Axes::Metres => (middle(first, metres), middle(second, metres)),
        Axes::LongitudeFirst => {
            let (latitude, longitude) = cell(second, first, metres)?;
            (longitude, latitude)
        }
        Axes::LatitudeFirst => cell(first, second, metres)?,
    };
    let system = system.map(|iri| format!("<{iri}> ")).unwrap_or_default();
    Some(typed(format!("{system}POINT({first:.6} {second:.6})"), WKT))
}

/// The middle of the cell that a place lies in. Cells of one row of latitude are equally wide.
fn cell(latitude: f64, longitude: f64, metres: f64) -> Option<(f64, f64)> {
    if !(-90.0..=90.0).contains(&latitude) || !(-180.0..=180.0).contains(&longitude) {
        return None;
    }
    let tall = metres / DEGREE;
    let row = (((latitude / tall).floor() + 0.5) * tall).clamp(-90.0, 90.0);
    let wide = tall / row.to_radians().cos().max(COSINE_MIN);
    let column = ((longitude / wide).floor() + 0.5) * wide;
    Some((row, column.clamp(-180.0, 180.0)))
}

/// The coordinates of `POINT(x y)`; a third or fourth one is left out.
fn point(geometry: &str) -> Option<(f64, f64)> {
    let name = geometry.get(..5).filter(|name| name.eq_ignore_ascii_case("POINT"))?;
    let (kind, rest) = geometry.get(name.len()..)?.split_once('(')?;
    if !["", "Z", "M", "ZM"].contains(&kind.trim().to_ascii_uppercase().as_str()) {
        return None;
    }
    let inside = rest.trim_end().strip_suffix(')')?;
    let mut numbers = inside
        .split_whitespace()
        .map(|number| number.parse::<f64>().ok().filter(|n| n.is_finite()));
    let (first, second) = (numbers.next()??, numbers.next()??);
    let rest: Option<Vec<f64>> = numbers.collect();
    (rest?.len() <= 2).then_some((first, second))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn precision(text: &str) -> Precision {
        let literal = if text.starts_with('P') {
            typed(text, xsd::DURATION)
        } else {
            typed(text.trim_end_matches(" m"), xsd::DECIMAL)
        };
        Precision::read(&literal, text.ends_with(" m")).unwrap()
    }

    /// Each row: precision, value, datatype, what is shown; empty where nothing is.
    #[test]
    fn values() {
        let crs = "<http://www.opengis.net/def/crs/EPSG/0/31370>";
        for (step, value, datatype, expected) in [
            ("10", "37", xsd::INTEGER, "30"),
            ("10", "-37", xsd::INTEGER, "-40"),
            ("10", "7", xsd::POSITIVE_INTEGER, "0"),
            ("0.5", "3.74", xsd::DECIMAL, "3.5"),
            ("0.1", "3.74", xsd::DOUBLE, "3.7"),
            ("2.5", "8", xsd::INTEGER, "7.5"),
            ("10", "NaN", xsd::DOUBLE, ""),
            ("10", "x", xsd::INTEGER, ""),
            ("10", "37", xsd::STRING, ""),
            (
                "P1Y",
                "2022-03-31T08:15:30.5+01:00",
                xsd::DATE_TIME,
                "2022-01-01T00:00:00+01:00",
            ),
            ("P10Y", "1987-06-02", xsd::DATE, "1980-01-01"),
            ("P3M", "2022-12-31", xsd::DATE, "2022-10-01"),
            ("P1M", "2022-03-31T08:15:30Z", xsd::DATE_TIME, "2022-03-01T00:00:00Z"),
            ("P1D", "2022-03-31T08:15:30", xsd::DATE_TIME, "2022-03-31T00:00:00"),
            ("PT6H", "2022-03-31T08:15:30Z", xsd::DATE_TIME, "2022-03-31T06:00:00Z"),
            (
                "PT15M",
                "2022-03-31T08:29:59.9Z",
                xsd::DATE_TIME,
                "2022-03-31T08:15:00Z",
            ),
            ("PT30S", "08:29:59.9", xsd::TIME, "08:29:30"),
            ("P1Y", "08:29:59", xsd::TIME, ""),
            ("PT1H", "2022-03-31", xsd::DATE, "2022-03-31"),
            ("P1Y", "2022-03", xsd::G_YEAR_MONTH, "2022-01"),
            ("P5Y", "2022", xsd::G_YEAR, "2020"),
            ("P1Y", "2022-02-30", xsd::DATE, ""),
            ("P1Y", "-0044-03-15", xsd::DATE, ""),
            ("P1Y", "PT3S", xsd::DURATION, ""),
            ("1000 m", "POINT(3.2645 50.8279)", WKT, "POINT(3.264074 50.830938)"),
            (
                "1000 m",
                "point z (3.2645 50.8279 17)",
                WKT,
                "POINT(3.264074 50.830938)",
            ),
            ("1000 m", "LINESTRING(3 50, 4 51)", WKT, ""),
            ("1000 m", "POINT(3.2 91)", WKT, ""),
            ("1000 m", "<http://example.org/crs> POINT(3 50)", WKT, ""),
            ("1000 m", "50.8", xsd::DECIMAL, ""),
        ] {
            let shown = precision(step).apply(&typed(value, datatype));
            assert_eq!(shown.as_ref().map_or("", Literal::value), expected, "{value} by {step}");
        }
        let lambert = precision("100 m")
            .apply(&typed(format!("{crs} POINT(71234.5 167890)"), WKT))
            .unwrap();
        assert_eq!(lambert.value(), format!("{crs} POINT(71250.000000 167850.000000)"));
    }

    /// Nothing is gained by asking twice: what was made less precise stays as it is.
    #[test]
    fn twice_is_once() {
        for (step, value, datatype) in [
            ("7", "12345", xsd::INTEGER),
            ("0.3", "-1.7", xsd::DECIMAL),
            ("P7Y", "2022-03-31", xsd::DATE),
            ("250 m", "POINT(3.2645 50.8279)", WKT),
            ("5000 m", "POINT(-179.99 -33.3)", WKT),
        ] {
            let precision = precision(step);
            let once = precision.apply(&typed(value, datatype)).unwrap();
            assert_eq!(precision.apply(&once), Some(once), "{value} by {step}");
        }
    }

    #[test]
    fn what_is_no_step_is_not_read() {
        for (text, datatype, metres) in [
            ("0", xsd::INTEGER, false),
            ("-5", xsd::INTEGER, false),
            ("P5M", xsd::DURATION, false),
            ("P2D", xsd::DURATION, false),
            ("PT7H", xsd::DURATION, false),
            ("P1Y2M", xsd::DURATION, false),
            ("-P1Y", xsd::DURATION, false),
            ("PT0.5S", xsd::DURATION, false),
            ("P1Y", xsd::DURATION, true),
            ("2.5", xsd::DECIMAL, true),
            ("year", xsd::STRING, false),
        ] {
            assert_eq!(Precision::read(&typed(text, datatype), metres), None, "{text}");
        }
    }
}
