//! Terms in canonical form: one text for each value, whatever way it is written.

use super::Rows;
use oxrdf::vocab::xsd;
use oxrdf::{NamedNode, Term};
use oxsdatatypes::{Date, DateTime, TimezoneOffset};
use std::str::FromStr;
use time::macros::format_description;
use time::{Date as Day, Duration, OffsetDateTime};

/// A term in canonical form: numbers and times by their value, all else as it is written.
#[must_use]
pub fn canonical(term: &Term) -> String {
    match term {
        Term::Literal(literal) if literal.direction().is_none() => {
            let (text, datatype) = (literal.value(), literal.datatype());
            let value = value(text, datatype.as_str()).unwrap_or_else(|| text.to_owned());
            format!(
                "{value}^^{}@{}",
                datatype.as_str(),
                literal.language().unwrap_or_default()
            )
        }
        other => other.to_string(),
    }
}

/// A cell of a table in the same form.
pub(super) fn described(kind: &str, text: &str, datatype: Option<&str>, language: Option<&str>) -> String {
    match kind {
        "iri" => format!("<{text}>"),
        "blank" => format!("_:{text}"),
        "triple" | "mixed" => canonical(&Term::from_str(text).expect("a term in N-Triples")),
        "literal" => {
            let datatype = datatype.expect("a datatype");
            let value = value(text, datatype).unwrap_or_else(|| text.to_owned());
            format!("{value}^^{datatype}@{}", language.unwrap_or_default())
        }
        other => panic!("an unexpected kind `{other}`"),
    }
}

/// A number or time by its value; `None` when the text is none.
fn value(text: &str, datatype: &str) -> Option<String> {
    let is = |other: oxrdf::NamedNodeRef<'_>| datatype == other.as_str();
    if is(xsd::DOUBLE) || is(xsd::FLOAT) {
        let number = match text {
            "INF" | "+INF" => f64::INFINITY,
            "-INF" => f64::NEG_INFINITY,
            "NaN" => f64::NAN,
            _ if text.to_ascii_lowercase().contains(['n', 'i']) => return None,
            _ if is(xsd::FLOAT) => f64::from(text.parse::<f32>().ok()?),
            _ => text.parse().ok()?,
        };
        return Some(double(number));
    }
    if is(xsd::DATE_TIME) {
        let moment = DateTime::from_str(text).ok()?;
        let zone = moment.timezone_offset().map(|_| TimezoneOffset::UTC);
        return Some(moment.adjust(zone)?.to_string());
    }
    if is(xsd::DATE) {
        return Some(Date::from_str(text).ok()?.to_string());
    }
    if is(xsd::BOOLEAN) {
        return match text {
            "true" | "1" => Some("true".to_owned()),
            "false" | "0" => Some("false".to_owned()),
            _ => None,
        };
    }
    let decimal = is(xsd::DECIMAL);
    if decimal || is(xsd::INTEGER) || is(xsd::INT) || is(xsd::LONG) || is(xsd::UNSIGNED_LONG) {
        let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let sound = whole.chars().chain(fraction.chars()).all(|c| c.is_ascii_digit());
        if !sound || (whole.is_empty() && fraction.is_empty()) || (!decimal && digits.contains('.')) {
            return None;
        }
        let (whole, fraction) = (whole.trim_start_matches('0'), fraction.trim_end_matches('0'));
        let zero = whole.is_empty() && fraction.is_empty();
        let sign = if text.starts_with('-') && !zero { "-" } else { "" };
        return Some(format!("{sign}{whole}.{fraction}"));
    }
    None
}

pub(super) fn double(number: f64) -> String {
    match number {
        _ if number.is_nan() => "NaN".to_owned(),
        f64::INFINITY => "INF".to_owned(),
        f64::NEG_INFINITY => "-INF".to_owned(),
        _ => format!("{number:e}"),
    }
}

/// Microseconds since 1970 as an `xsd:dateTime`.
pub(super) fn moment(microseconds: i64, zoned: bool) -> String {
    let at = OffsetDateTime::UNIX_EPOCH + Duration::microseconds(microseconds);
    let written = at
        .format(format_description!(
            "[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6]"
        ))
        .expect("a time");
    format!("{written}{}", if zoned { "Z" } else { "" })
}

/// Days since 1970 as an `xsd:date`.
pub(super) fn day(days: i32) -> String {
    let epoch = Day::from_ordinal_date(1970, 1).expect("a day");
    let day = epoch + Duration::days(i64::from(days));
    day.format(format_description!("[year]-[month]-[day]")).expect("a day")
}

/// SPARQL JSON results as a table.
///
/// # Panics
/// When they are none.
#[must_use]
pub fn table_of_json(results: &serde_json::Value) -> Rows {
    let columns: Vec<String> = results["head"]["vars"]
        .as_array()
        .expect("variables")
        .iter()
        .map(|name| name.as_str().expect("a name").to_owned())
        .collect();
    let bindings = results["results"]["bindings"].as_array().expect("bindings");
    let rows = bindings
        .iter()
        .map(|row| {
            columns
                .iter()
                .map(|name| row.get(name).map(|value| canonical(&term(value))))
                .collect()
        })
        .collect();
    Rows { columns, rows }
}

fn term(value: &serde_json::Value) -> Term {
    let text = |name: &str| value[name].as_str();
    let node = |iri: &str| NamedNode::new(iri).expect("an IRI");
    let word = text("value");
    match text("type").expect("a type") {
        "uri" => node(word.expect("a value")).into(),
        "bnode" => oxrdf::BlankNode::new(word.expect("a value")).expect("a label").into(),
        "triple" => {
            let inner = &value["value"];
            let subject = match term(&inner["subject"]) {
                Term::NamedNode(node) => oxrdf::NamedOrBlankNode::from(node),
                Term::BlankNode(node) => node.into(),
                other => panic!("{other} as a subject"),
            };
            let Term::NamedNode(predicate) = term(&inner["predicate"]) else {
                panic!("a predicate that is no IRI")
            };
            oxrdf::Triple::new(subject, predicate, term(&inner["object"])).into()
        }
        "literal" => {
            let word = word.expect("a value");
            match (text("xml:lang"), text("datatype")) {
                (Some(language), _) => oxrdf::Literal::new_language_tagged_literal(word, language)
                    .expect("a tag")
                    .into(),
                (None, Some(datatype)) => oxrdf::Literal::new_typed_literal(word, node(datatype)).into(),
                (None, None) => oxrdf::Literal::from(word).into(),
            }
        }
        other => panic!("an unexpected type `{other}`"),
    }
}
