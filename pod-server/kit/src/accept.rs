//! Proactive content negotiation (RFC 9110 §12.5.1).

use http::HeaderMap;
use http::header::ACCEPT;

/// The best of the offered media types for the caller: that with the highest weight, and of equal ones the first. The first when the
/// caller accepts whatever comes; `None` when nothing that is accepted can be given.
#[must_use]
pub fn negotiate<'a>(headers: &HeaderMap, offered: &[&'a str]) -> Option<&'a str> {
    let fields = headers.get_all(ACCEPT).iter();
    let fields = fields.filter_map(|value| value.to_str().ok());
    let mut fields = fields.filter(|field| !field.trim().is_empty()).peekable();
    if fields.peek().is_none() {
        return offered.first().copied();
    }
    let ranges: Vec<(&str, u16)> = fields.flat_map(|field| field.split(',')).filter_map(range).collect();
    let mut best: Option<(u16, &'a str)> = None;
    for media_type in offered {
        // The most specific range that fits counts, whatever its weight.
        let fitting = ranges
            .iter()
            .filter_map(|(range, weight)| Some((fits(range, media_type)?, *weight)));
        let Some((_, weight)) = fitting.max_by_key(|(specific, _)| *specific) else {
            continue;
        };
        if weight > 0 && best.is_none_or(|(highest, _)| weight > highest) {
            best = Some((weight, media_type));
        }
    }
    best.map(|(_, media_type)| media_type)
}

/// A media range and its weight in thousandths.
fn range(text: &str) -> Option<(&str, u16)> {
    let mut parts = text.split(';').map(str::trim);
    let range = parts.next().filter(|range| !range.is_empty())?;
    let mut weight = 1_000;
    for parameter in parts {
        if let Some((name, value)) = parameter.split_once('=')
            && name.trim().eq_ignore_ascii_case("q")
        {
            let value: f32 = value.trim().parse().ok()?;
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // between 0 and 1000 after the clamp
            let thousandths = (value.clamp(0.0, 1.0) * 1_000.0) as u16;
            weight = thousandths;
        }
    }
    Some((range, weight))
}

/// How specifically a range names a media type; none if it does not.
fn fits(range: &str, media_type: &str) -> Option<u8> {
    if range.eq_ignore_ascii_case(media_type) {
        return Some(2);
    }
    let (major, minor) = range.split_once('/')?;
    match minor {
        "*" if major == "*" => Some(0),
        "*" if media_type
            .split_once('/')
            .is_some_and(|(of, _)| of.eq_ignore_ascii_case(major)) =>
        {
            Some(1)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    const ROWS: &[&str] = &[
        "application/sparql-results+json",
        "application/sparql-results+xml",
        "text/csv",
        "text/tab-separated-values",
        "application/json",
    ];
    const GRAPHS: &[&str] = &["text/turtle", "application/n-triples", "application/json"];

    #[test]
    fn the_caller_gets_the_format_it_prefers() {
        for (accept, offered, expected) in [
            (&[][..], ROWS, Some("application/sparql-results+json")),
            (&[" "], ROWS, Some("application/sparql-results+json")),
            (&["*/*"], GRAPHS, Some("text/turtle")),
            (
                &["text/*;q=0.9, application/sparql-results+xml"],
                ROWS,
                Some("application/sparql-results+xml"),
            ),
            (&["text/*"], ROWS, Some("text/csv")),
            (
                &["text/csv;q=0.1, */*;q=0.2"],
                ROWS,
                Some("application/sparql-results+json"),
            ),
            (
                &["application/sparql-results+json;q=0, */*"],
                ROWS,
                Some("application/sparql-results+xml"),
            ),
            (&["TEXT/TAB-SEPARATED-VALUES"], ROWS, Some("text/tab-separated-values")),
            (&["application/json"], GRAPHS, Some("application/json")),
            (&["image/png"], GRAPHS, None),
            (&["image/png", "text/turtle"], GRAPHS, Some("text/turtle")),
            (&["text/turtle"], ROWS, None),
            (
                &["text/turtle;q=x, application/n-triples;q=0.1"],
                GRAPHS,
                Some("application/n-triples"),
            ),
            (
                &["text/csv; header=present ; Q=0.5, application/json;q=0.4"],
                ROWS,
                Some("text/csv"),
            ),
        ] {
            let mut headers = HeaderMap::new();
            for field in accept {
                headers.append(ACCEPT, HeaderValue::from_static(field));
            }
            assert_eq!(negotiate(&headers, offered), expected, "{accept:?}");
        }
    }
}
