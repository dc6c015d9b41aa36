//! Typed values of operands and how they compare: three-valued, because what cannot be compared must not be guessed.

use std::cmp::Ordering;
use std::str::FromStr;

use oxrdf::{Literal, Term};
use oxsdatatypes::{DayTimeDuration, Decimal, Double, Duration, YearMonthDuration};
use time::OffsetDateTime;
use vocab::xsd;

use super::model::Operator;
use super::moment::Moment;
use super::operand::ValueKind;

/// A value of an operand.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Iri(Box<str>),
    /// `xsd:integer`, `xsd:decimal` and what derives from them.
    Exact(Decimal),
    /// `xsd:double` and `xsd:float`, and integers too large for the exact form.
    Double(f64),
    Moment(Moment),
    Duration(Duration),
    Boolean(bool),
    Text(Box<str>, Option<Box<str>>),
}

/// How a stated value relates to a named one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Likeness {
    Same,
    Narrower,
    Other,
    /// Values of different kinds.
    Unlike,
}

/// A value that the world states, with the concepts above it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Stated {
    pub(super) value: Value,
    /// Unit of measure, an IRI.
    pub(super) unit: Option<Box<str>>,
    /// All wider concepts and collections, sorted.
    pub(super) wider: Vec<Box<str>>,
}

const DOUBLES: [&str; 2] = [xsd::DOUBLE, xsd::FLOAT];

impl Value {
    /// Reads a term; `data_type` says what untyped text is. `None` for what has no value here.
    pub(super) fn read(term: &Term, data_type: Option<&str>) -> Option<Self> {
        match term {
            Term::NamedNode(node) => Some(Self::Iri(node.as_str().into())),
            Term::Literal(literal) => Self::literal(literal, data_type),
            Term::BlankNode(_) | Term::Triple(_) => None,
        }
    }

    fn literal(literal: &Literal, data_type: Option<&str>) -> Option<Self> {
        let text = literal.value();
        if let Some(language) = literal.language() {
            return Some(Self::Text(text.into(), Some(language.to_ascii_lowercase().into())));
        }
        let own = literal.datatype();
        let own = own.as_str();
        let wanted = match data_type {
            Some(wanted) if own == xsd::STRING => wanted,
            // Two datatypes that are not of one kind contradict each other.
            Some(wanted) if wanted != own && !(is_number(wanted) && is_number(own)) => return None,
            _ => own,
        };
        match wanted {
            xsd::STRING | xsd::ANY_URI => Some(Self::Text(text.into(), None)),
            xsd::BOOLEAN => match text.trim() {
                "true" | "1" => Some(Self::Boolean(true)),
                "false" | "0" => Some(Self::Boolean(false)),
                _ => None,
            },
            xsd::DATE_TIME | xsd::DATE_TIME_STAMP => Moment::parse(text, false).map(Self::Moment),
            xsd::DATE => Moment::parse(text, true).map(Self::Moment),
            xsd::DURATION => Duration::from_str(text.trim()).ok().map(Self::Duration),
            xsd::DAY_TIME_DURATION => Some(Self::Duration(DayTimeDuration::from_str(text.trim()).ok()?.into())),
            xsd::YEAR_MONTH_DURATION => Some(Self::Duration(YearMonthDuration::from_str(text.trim()).ok()?.into())),
            other if DOUBLES.contains(&other) => Double::from_str(text.trim()).ok().map(|d| Self::Double(d.into())),
            xsd::DECIMAL => Decimal::from_str(text.trim()).ok().map(Self::Exact),
            other if is_number(other) && !text.contains('.') => Decimal::from_str(text.trim()).ok().map(Self::Exact),
            _ => None,
        }
    }

    /// The instant of a decision.
    pub(super) fn now(now: OffsetDateTime) -> Self {
        Self::Moment(Moment::instant(now))
    }

    /// Whether it is a value of this kind.
    pub(super) fn is(&self, kind: ValueKind) -> bool {
        match kind {
            ValueKind::Number => matches!(self, Self::Exact(_) | Self::Double(_)),
            ValueKind::Moment => matches!(self, Self::Moment(_)),
            ValueKind::Duration => matches!(self, Self::Duration(_)),
            ValueKind::Iri => matches!(self, Self::Iri(_)),
            ValueKind::Concept => matches!(self, Self::Iri(_) | Self::Text(..)),
            ValueKind::Text => matches!(self, Self::Text(..)),
            ValueKind::Position => !matches!(self, Self::Iri(_) | Self::Boolean(_)),
        }
    }

    /// The same amount in another unit; `None` when these units are not known to be of one kind.
    pub(super) fn in_unit(&self, from: &str, to: &str) -> Option<Self> {
        if from == to {
            return Some(self.clone());
        }
        let (kind, factor) = unit(from)?;
        let (other, divisor) = unit(to)?;
        match self {
            Self::Exact(number) if kind == other => {
                Some(Self::Exact(number.checked_mul(factor)?.checked_div(divisor)?))
            }
            _ => None,
        }
    }

    /// `self ? named` for numbers, moments and durations; `None` when it cannot be said.
    fn order(&self, named: &Self) -> Option<Ordering> {
        match (self, named) {
            (Self::Exact(a), Self::Exact(b)) => Some(a.cmp(b)),
            (Self::Double(a), Self::Double(b)) => a.partial_cmp(b),
            (Self::Exact(a), Self::Double(b)) => f64::from(Double::from(*a)).partial_cmp(b),
            (Self::Double(a), Self::Exact(b)) => a.partial_cmp(&f64::from(Double::from(*b))),
            (Self::Duration(a), Self::Duration(b)) => a.partial_cmp(b),
            _ => None,
        }
    }
}

/// The numeric datatypes of XML Schema.
fn is_number(datatype: &str) -> bool {
    DOUBLES.contains(&datatype)
        || [
            xsd::DECIMAL,
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

/// Kind and size of the units that are converted: those of QUDT for bytes, lengths and times.
fn unit(iri: &str) -> Option<(&'static str, i64)> {
    let name = iri.strip_prefix("http://qudt.org/vocab/unit/")?;
    Some(match name {
        "BYTE" => ("byte", 1),
        "KiloBYTE" => ("byte", 1_000),
        "MegaBYTE" => ("byte", 1_000_000),
        "GigaBYTE" => ("byte", 1_000_000_000),
        "CentiM" => ("length", 1),
        "M" => ("length", 100),
        "KiloM" => ("length", 100_000),
        "SEC" => ("time", 1),
        "MIN" => ("time", 60),
        "HR" => ("time", 3_600),
        "DAY" => ("time", 86_400),
        _ => return None,
    })
}

impl Stated {
    fn likeness(&self, named: &Value) -> Likeness {
        let same = match (&self.value, named) {
            (Value::Iri(a), Value::Iri(b)) => {
                if a == b {
                    return Likeness::Same;
                }
                let narrower = self.wider.binary_search(b).is_ok();
                return if narrower { Likeness::Narrower } else { Likeness::Other };
            }
            (Value::Text(a, x), Value::Text(b, y)) => Some(a == b && x == y),
            (Value::Boolean(a), Value::Boolean(b)) => Some(a == b),
            (Value::Moment(a), Value::Moment(b)) => a.exact().and_then(|a| b.compare(a, &Operator::Eq)),
            (a, b) => a.order(b).map(|order| order == Ordering::Equal),
        };
        match same {
            Some(true) => Likeness::Same,
            Some(false) => Likeness::Other,
            None => Likeness::Unlike,
        }
    }

    fn compare(&self, operator: &Operator, named: &Value) -> Option<bool> {
        match operator {
            Operator::Eq | Operator::Neq => match self.likeness(named) {
                Likeness::Same => Some(*operator == Operator::Eq),
                Likeness::Other => Some(*operator == Operator::Neq),
                Likeness::Narrower | Likeness::Unlike => None,
            },
            Operator::IsA | Operator::IsPartOf => match (self.likeness(named), &self.value) {
                (Likeness::Same | Likeness::Narrower, Value::Iri(_)) => Some(true),
                (Likeness::Other, Value::Iri(_)) => Some(false),
                _ => None,
            },
            _ => {
                if let (Value::Moment(stated), Value::Moment(named)) = (&self.value, named) {
                    return named.compare(stated.exact()?, operator);
                }
                let order = self.value.order(named)?;
                match operator {
                    Operator::Lt => Some(order == Ordering::Less),
                    Operator::Lteq => Some(order != Ordering::Greater),
                    Operator::Gt => Some(order == Ordering::Greater),
                    Operator::Gteq => Some(order != Ordering::Less),
                    _ => None,
                }
            }
        }
    }
}

/// Whether `stated operator named` holds; `None` when it cannot be said.
///
/// The set operators look at all values together: *any of* asks for one in common, *none of* for none, *all of* for all
/// of the named ones. Every other operator has one named value and needs all stated values to agree. Where only a
/// narrower concept than the named one is stated, the plain operators have no answer; `isA` and `isPartOf` do.
/// Without a stated value nothing holds but `isNoneOf`, and `neq` has no answer.
pub(super) fn holds(
    stated: &[Stated],
    operator: &Operator,
    named: &[Value],
    narrower: &dyn Fn(&str, &str) -> bool,
) -> Option<bool> {
    match operator {
        Operator::IsAnyOf => any_of(stated, named),
        Operator::IsNoneOf => any_of(stated, named).map(|any| !any),
        Operator::IsAllOf => all_of(stated, named),
        Operator::HasPart => has_part(stated, named, narrower),
        _ => {
            let [one] = named else { return None };
            agreed(stated, *operator == Operator::Neq, |value| value.compare(operator, one))
        }
    }
}

fn agreed(stated: &[Stated], negative: bool, answer: impl Fn(&Stated) -> Option<bool>) -> Option<bool> {
    let mut answers = stated.iter().map(answer);
    match answers.next() {
        None => (!negative).then_some(false),
        Some(first) => {
            let first = first?;
            answers.all(|other| other == Some(first)).then_some(first)
        }
    }
}

fn any_of(stated: &[Stated], named: &[Value]) -> Option<bool> {
    if named.is_empty() {
        return None;
    }
    let mut certain = true;
    for value in stated {
        for name in named {
            match value.likeness(name) {
                Likeness::Same => return Some(true),
                Likeness::Narrower | Likeness::Unlike => certain = false,
                Likeness::Other => {}
            }
        }
    }
    certain.then_some(false)
}

fn all_of(stated: &[Stated], named: &[Value]) -> Option<bool> {
    if named.is_empty() {
        return None;
    }
    let mut certain = true;
    let mut missing = false;
    for name in named {
        let found = stated.iter().map(|value| value.likeness(name));
        let mut best = Likeness::Other;
        for likeness in found {
            match likeness {
                Likeness::Same => best = Likeness::Same,
                Likeness::Narrower | Likeness::Unlike if best == Likeness::Other => best = likeness,
                _ => {}
            }
        }
        match best {
            Likeness::Same => {}
            Likeness::Other => missing = true,
            Likeness::Narrower | Likeness::Unlike => certain = false,
        }
    }
    match (missing, certain) {
        (true, _) => Some(false),
        (false, true) => Some(true),
        (false, false) => None,
    }
}

fn has_part(stated: &[Stated], named: &[Value], narrower: &dyn Fn(&str, &str) -> bool) -> Option<bool> {
    let [Value::Iri(part)] = named else { return None };
    agreed(stated, false, |value| match &value.value {
        Value::Iri(whole) => Some(part == whole || narrower(part, whole)),
        _ => None,
    })
}
