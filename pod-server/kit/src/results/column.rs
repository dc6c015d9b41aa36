//! What a column holds, found out from all its values: the narrowest description that loses none of them.

use super::calendar;
use oxrdf::vocab::xsd;
use oxrdf::{Literal, NamedNode, Term};

/// Most digits of a decimal column.
pub(super) const DECIMAL_DIGITS_MAX: u8 = 38;

/// The kind of terms in a column.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// No value in any row.
    #[default]
    Unbound,
    /// IRIs.
    Iri,
    /// Blank nodes.
    Blank,
    /// Literals of one datatype and one language.
    Literal {
        /// The datatype.
        datatype: NamedNode,
        /// The language tag, of `rdf:langString`.
        language: Option<String>,
        /// How their values are represented.
        shape: Shape,
    },
    /// Triple terms (RDF 1.2).
    Triple,
    /// Terms of several kinds, datatypes or languages.
    Mixed,
}

/// How the values of literals are represented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// 64 bits with sign.
    Integer,
    /// Exact decimals with so many digits before and after the point.
    Decimal {
        /// Digits before the point.
        whole: u8,
        /// Digits after it.
        fraction: u8,
    },
    /// 64-bit floating point.
    Double,
    /// 32-bit floating point.
    Float,
    /// True or false.
    Boolean,
    /// Microseconds since 1970 in UTC.
    Instant,
    /// Microseconds since 1970 on a clock that does not say where it stands.
    Local,
    /// Days since 1970.
    Day,
    /// Their text: strings, and whatever would lose something otherwise.
    Text,
}

/// A column while its values are looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Column {
    /// What they have in common so far.
    pub kind: Kind,
}

impl Column {
    /// Looks at one more value.
    pub fn see(&mut self, term: &Term) {
        if self.kind != Kind::Mixed {
            let before = std::mem::take(&mut self.kind);
            self.kind = before.joined(Kind::of(term));
        }
    }
}

impl Kind {
    /// The kind of one term.
    #[must_use]
    pub fn of(term: &Term) -> Self {
        match term {
            Term::NamedNode(_) => Self::Iri,
            Term::BlankNode(_) => Self::Blank,
            Term::Triple(_) => Self::Triple,
            // A base direction has no place beside a language tag.
            Term::Literal(literal) if literal.direction().is_some() => Self::Mixed,
            Term::Literal(literal) => Self::Literal {
                datatype: literal.datatype().into_owned(),
                language: literal.language().map(str::to_owned),
                shape: Shape::of(literal),
            },
        }
    }

    /// Whether a literal has the datatype and the language of this kind.
    pub(super) fn takes(&self, literal: &Literal) -> bool {
        match self {
            Self::Literal { datatype, language, .. } => {
                literal.direction().is_none()
                    && literal.datatype() == datatype.as_ref()
                    && literal.language() == language.as_deref()
            }
            _ => false,
        }
    }

    /// What holds values of both kinds.
    #[must_use]
    fn joined(self, other: Self) -> Self {
        match (self, other) {
            (Self::Unbound, kind) | (kind, Self::Unbound) => kind,
            (
                Self::Literal {
                    datatype,
                    language,
                    shape,
                },
                Self::Literal {
                    datatype: other_datatype,
                    language: other_language,
                    shape: other,
                },
            ) if datatype == other_datatype && language == other_language => Self::Literal {
                datatype,
                language,
                shape: shape.joined(other),
            },
            (one, other) if one == other => one,
            _ => Self::Mixed,
        }
    }
}

impl Shape {
    /// The shape that keeps the value of one literal.
    #[must_use]
    fn of(literal: &Literal) -> Self {
        let (text, datatype) = (literal.value(), literal.datatype());
        let shape = if is_integer(datatype.as_str()) {
            integer(text).map(|_| Self::Integer)
        } else if datatype == xsd::DECIMAL {
            decimal_digits(text).map(|(whole, fraction)| Self::Decimal { whole, fraction })
        } else if datatype == xsd::DOUBLE {
            double(text).map(|_| Self::Double)
        } else if datatype == xsd::FLOAT {
            float(text).map(|_| Self::Float)
        } else if datatype == xsd::BOOLEAN {
            boolean(text).map(|_| Self::Boolean)
        } else if datatype == xsd::DATE_TIME || datatype == xsd::DATE_TIME_STAMP {
            calendar::moment(text).map(|moment| if moment.zoned { Self::Instant } else { Self::Local })
        } else if datatype == xsd::DATE {
            calendar::day(text).map(|_| Self::Day)
        } else {
            None
        };
        shape.unwrap_or(Self::Text)
    }

    /// What holds values of both shapes.
    #[must_use]
    fn joined(self, other: Self) -> Self {
        match (self, other) {
            (
                Self::Decimal { whole, fraction },
                Self::Decimal {
                    whole: other_whole,
                    fraction: other_fraction,
                },
            ) => {
                let (whole, fraction) = (whole.max(other_whole), fraction.max(other_fraction));
                if whole.saturating_add(fraction) > DECIMAL_DIGITS_MAX {
                    Self::Text
                } else {
                    Self::Decimal { whole, fraction }
                }
            }
            (one, other) if one == other => one,
            _ => Self::Text,
        }
    }
}

/// Whether a datatype is `xsd:integer` or derived from it.
pub(super) fn is_integer(datatype: &str) -> bool {
    let Some(name) = datatype.strip_prefix("http://www.w3.org/2001/XMLSchema#") else {
        return false;
    };
    matches!(
        name,
        "integer"
            | "long"
            | "int"
            | "short"
            | "byte"
            | "unsignedLong"
            | "unsignedInt"
            | "unsignedShort"
            | "unsignedByte"
            | "positiveInteger"
            | "negativeInteger"
            | "nonPositiveInteger"
            | "nonNegativeInteger"
    )
}

/// An integer that 64 bits hold.
pub(super) fn integer(text: &str) -> Option<i64> {
    text.parse().ok()
}

/// `true` or `false` in the lexical space of `xsd:boolean`.
pub(super) fn boolean(text: &str) -> Option<bool> {
    match text {
        "true" | "1" => Some(true),
        "false" | "0" => Some(false),
        _ => None,
    }
}

/// A number in the lexical space of `xsd:double`.
pub(super) fn double(text: &str) -> Option<f64> {
    match text {
        "INF" | "+INF" => Some(f64::INFINITY),
        "-INF" => Some(f64::NEG_INFINITY),
        "NaN" => Some(f64::NAN),
        // The parser would also take `inf` and `nan`, which XML Schema does not know.
        _ if text
            .bytes()
            .any(|byte| byte.is_ascii_alphabetic() && !matches!(byte, b'e' | b'E')) =>
        {
            None
        }
        _ => text.parse().ok(),
    }
}

/// A number in the lexical space of `xsd:float`.
pub(super) fn float(text: &str) -> Option<f32> {
    match double(text)? {
        number if number.is_finite() => text.parse().ok(),
        #[allow(clippy::cast_possible_truncation)] // infinities and NaN have their likes
        other => Some(other as f32),
    }
}

/// Digits before and after the point of an `xsd:decimal`, without those that add nothing; `None` when it is none or has too many.
fn decimal_digits(text: &str) -> Option<(u8, u8)> {
    let (whole, fraction) = decimal_parts(text)?;
    let (whole, fraction) = (u8::try_from(whole.len()).ok()?, u8::try_from(fraction.len()).ok()?);
    (whole.checked_add(fraction)? <= DECIMAL_DIGITS_MAX).then_some((whole, fraction))
}

/// The digits of an `xsd:decimal`, without leading zeros before and closing zeros after the point.
fn decimal_parts(text: &str) -> Option<(&str, &str)> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let sound = all_digits(whole) && all_digits(fraction) && !(whole.is_empty() && fraction.is_empty());
    sound.then(|| (whole.trim_start_matches('0'), fraction.trim_end_matches('0')))
}

/// An `xsd:decimal` as a whole number of units of which 10^`scale` make one; `None` when it does not fit.
pub(super) fn decimal(text: &str, scale: u8) -> Option<i128> {
    let (whole, fraction) = decimal_parts(text)?;
    let zeros = usize::from(scale).checked_sub(fraction.len())?;
    if whole.len() + usize::from(scale) > usize::from(DECIMAL_DIGITS_MAX) {
        return None;
    }
    let mut number = 0_i128;
    let digits = whole
        .bytes()
        .chain(fraction.bytes())
        .chain(std::iter::repeat_n(b'0', zeros));
    for digit in digits {
        number = number
            .checked_mul(10)?
            .checked_add(i128::from(digit.checked_sub(b'0')?))?;
    }
    Some(if text.starts_with('-') { -number } else { number })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(text: &str, datatype: oxrdf::NamedNodeRef<'_>) -> Shape {
        Shape::of(&Literal::new_typed_literal(text, datatype))
    }

    #[test]
    fn values_choose_their_shape() {
        for (text, datatype, expected) in [
            ("9223372036854775807", xsd::INTEGER, Shape::Integer),
            ("9223372036854775808", xsd::INTEGER, Shape::Text),
            ("-0", xsd::INT, Shape::Integer),
            ("twelve", xsd::INTEGER, Shape::Text),
            ("NaN", xsd::DOUBLE, Shape::Double),
            ("-INF", xsd::DOUBLE, Shape::Double),
            ("inf", xsd::DOUBLE, Shape::Text),
            ("1e400", xsd::DOUBLE, Shape::Double),
            ("INF", xsd::FLOAT, Shape::Float),
            ("1", xsd::BOOLEAN, Shape::Boolean),
            ("True", xsd::BOOLEAN, Shape::Text),
            ("0012.500", xsd::DECIMAL, Shape::Decimal { whole: 2, fraction: 1 }),
            (".5", xsd::DECIMAL, Shape::Decimal { whole: 0, fraction: 1 }),
            (".", xsd::DECIMAL, Shape::Text),
            ("1e3", xsd::DECIMAL, Shape::Text),
            ("2026-11-22T00:00:00+01:00", xsd::DATE_TIME, Shape::Instant),
            ("2026-11-22T00:00:00", xsd::DATE_TIME, Shape::Local),
            ("2026-11-22", xsd::DATE, Shape::Day),
            ("2026", xsd::G_YEAR, Shape::Text),
            ("text", xsd::STRING, Shape::Text),
        ] {
            assert_eq!(shape(text, datatype), expected, "{text}");
        }
    }

    #[test]
    fn columns_widen_without_loss() {
        let literal = |text: &str, datatype| Term::from(Literal::new_typed_literal(text, datatype));
        let decimals = |whole, fraction| Shape::Decimal { whole, fraction };
        let tagged = |text: &str, tag: &str| Term::from(Literal::new_language_tagged_literal(text, tag).unwrap());
        for (terms, expected) in [
            (
                vec![literal("1", xsd::INTEGER), literal("9223372036854775808", xsd::INTEGER)],
                Some(Shape::Text),
            ),
            (
                vec![literal("1.25", xsd::DECIMAL), literal("300", xsd::DECIMAL)],
                Some(decimals(3, 2)),
            ),
            (vec![literal("1", xsd::INTEGER), literal("1.5", xsd::DECIMAL)], None),
            (
                vec![
                    literal("2026-11-22T00:00:00", xsd::DATE_TIME),
                    literal("2026-11-22T00:00:00Z", xsd::DATE_TIME),
                ],
                Some(Shape::Text),
            ),
            (vec![tagged("a", "nl"), tagged("b", "nl")], Some(Shape::Text)),
            (vec![tagged("a", "nl"), tagged("b", "fr")], None),
            (
                vec![literal("a", xsd::STRING), NamedNode::new("urn:a").unwrap().into()],
                None,
            ),
        ] {
            let mut column = Column::default();
            terms.iter().for_each(|term| column.see(term));
            let found = match column.kind {
                Kind::Literal { shape, .. } => Some(shape),
                _ => None,
            };
            assert_eq!(found, expected, "{terms:?}");
        }
    }

    #[test]
    fn decimals_are_exact() {
        for (text, scale, expected) in [
            ("-1.25", 3, Some(-1_250)),
            ("+0.10", 1, Some(1)),
            ("0", 0, Some(0)),
            ("1.25", 1, None),
            ("99999999999999999999999999999999999999", 0, Some(10_i128.pow(38) - 1)),
            ("100000000000000000000000000000000000000", 0, None),
        ] {
            assert_eq!(decimal(text, scale), expected, "{text}");
        }
    }
}
