//! Functions that mapping files may call besides those of SPARQL 1.1, in the namespace
//! `https://w3id.org/meent/fn#`. They are pure: the same arguments give the same value on every machine.

use oxrdf::vocab::xsd;
use oxrdf::{Literal, NamedNode, Term};
use spareval::QueryEvaluator;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use time::{OffsetDateTime, PrimitiveDateTime};
use time_tz::{OffsetDateTimeExt, PrimitiveDateTimeExt, timezones};

/// Namespace of the functions.
pub const NAMESPACE: &str = "https://w3id.org/meent/fn#";

/// Adds the functions to an evaluator:
/// - `fn:brusselsTime(text)`: a moment as `xsd:dateTime` in the civil time of Brussels. A text without an offset is
///   taken to be civil time already.
/// - `fn:weekday(text)`: the day of the week of that moment, as an individual of OWL-Time (`time:Monday` …).
/// - `fn:slug(text)`: lower-case letters, digits and single hyphens, for use in an IRI.
#[must_use]
pub fn with_functions(evaluator: QueryEvaluator) -> QueryEvaluator {
    evaluator
        .with_custom_function(name("brusselsTime"), |arguments| {
            let text = moment(arguments)?.format(&Rfc3339).ok()?;
            Some(Literal::new_typed_literal(text, xsd::DATE_TIME).into())
        })
        .with_custom_function(name("weekday"), |arguments| {
            let day = format!("http://www.w3.org/2006/time#{}", moment(arguments)?.weekday());
            Some(NamedNode::new(day).ok()?.into())
        })
        .with_custom_function(name("slug"), |arguments| {
            Some(Literal::new_simple_literal(slug(text_of(arguments)?)).into())
        })
}

fn name(local: &str) -> NamedNode {
    NamedNode::new_unchecked(format!("{NAMESPACE}{local}"))
}

fn text_of(arguments: &[Term]) -> Option<&str> {
    match arguments {
        [Term::Literal(literal)] => Some(literal.value()),
        [Term::NamedNode(node)] => Some(node.as_str()),
        _ => None,
    }
}

/// Reads `2022-01-01T00:00:00+01:00`, `2022-01-01 00:00:00`, `2022-01-01T00:00` or `2022-01-01` as a moment in Brussels.
fn moment(arguments: &[Term]) -> Option<OffsetDateTime> {
    let text = text_of(arguments)?.trim().replacen(' ', "T", 1);
    let brussels = timezones::db::europe::BRUSSELS;
    if let Ok(moment) = OffsetDateTime::parse(&text, &Rfc3339) {
        return Some(moment.to_timezone(brussels));
    }
    let seconds = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]");
    let padded = match text.len() {
        10 => format!("{text}T00:00:00"),
        16 => format!("{text}:00"),
        _ => text,
    };
    // In the hour that happens twice in autumn the earlier reading is taken; the hour that spring skips names nothing.
    PrimitiveDateTime::parse(&padded, &seconds)
        .ok()?
        .assume_timezone(brussels)
        .take_first()
}

fn slug(text: &str) -> String {
    let mut slug = String::with_capacity(text.len());
    for character in text.chars() {
        let plain = match character.to_ascii_lowercase() {
            'à' | 'á' | 'â' | 'ä' => 'a',
            'è' | 'é' | 'ê' | 'ë' => 'e',
            'ì' | 'í' | 'î' | 'ï' => 'i',
            'ò' | 'ó' | 'ô' | 'ö' => 'o',
            'ù' | 'ú' | 'û' | 'ü' => 'u',
            'ç' => 'c',
            other => other,
        };
        if plain.is_ascii_alphanumeric() {
            slug.push(plain);
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    slug.trim_end_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_in_brussels() {
        for (text, expected) in [
            ("2022-01-01T00:00:00+01:00", Some("2022-01-01T00:00:00+01:00")),
            ("2025-11-10T13:00:00.000Z", Some("2025-11-10T14:00:00+01:00")),
            ("2021-12-31 23:00:00+00:00", Some("2022-01-01T00:00:00+01:00")),
            ("2020-07-01 10:00:00", Some("2020-07-01T10:00:00+02:00")),
            ("2020-07-01", Some("2020-07-01T00:00:00+02:00")),
            ("yesterday", None),
        ] {
            let term = Term::from(Literal::new_simple_literal(text));
            let read = moment(&[term]).map(|moment| moment.format(&Rfc3339).unwrap());
            assert_eq!(read.as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn slugs_are_plain() {
        assert_eq!(slug("P+R Gentbrugge – Zuid"), "p-r-gentbrugge-zuid");
        assert_eq!(slug("Sint-Mărtens Laan "), "sint-m-rtens-laan");
    }
}
