//! Proactive negotiation by `Accept` with quality values (RFC 9110 §12.5.1; solid#30, solid#61).

use http::{HeaderMap, header};

use super::media_type::Syntax;

/// Ranges read from one `Accept`; more are ignored.
const RANGES_MAX: usize = 32;

/// One media range of `Accept`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Range<'h> {
    kind: &'h str,
    subtype: &'h str,
    /// Thousandths.
    quality: u16,
    /// Other parameters make a range more specific; none of ours has any.
    parameters: bool,
}

/// Which syntax of an RDF document to send. Without `Accept`, and for equal quality, `stored` wins: its bytes need no
/// conversion. None when the client accepts none of them.
#[must_use]
pub fn choose_syntax(headers: &HeaderMap, stored: Syntax) -> Option<Syntax> {
    let Some(ranges) = ranges(headers) else {
        return Some(stored);
    };
    let order = std::iter::once(stored).chain(Syntax::ALL.into_iter().filter(|syntax| *syntax != stored));
    let mut best = None;
    for syntax in order {
        let quality = quality_of(&ranges, syntax.media_type());
        if quality > best.map_or(0, |(_, best)| best) {
            best = Some((syntax, quality));
        }
    }
    best.map(|(syntax, _)| syntax)
}

/// Whether the client names a media type that is sent only on demand, and names no RDF syntax that it likes better.
#[must_use]
pub fn names(headers: &HeaderMap, essence: &str) -> bool {
    let Some(ranges) = ranges(headers) else {
        return false;
    };
    let named = |essence: &str| {
        let (kind, subtype) = essence.split_once('/').unwrap_or((essence, ""));
        ranges
            .iter()
            .filter(|range| range.kind.eq_ignore_ascii_case(kind) && range.subtype.eq_ignore_ascii_case(subtype))
            .map(|range| range.quality)
            .max()
            .unwrap_or(0)
    };
    let wanted = named(essence);
    wanted > 0 && Syntax::ALL.iter().all(|syntax| named(syntax.media_type()) <= wanted)
}

/// Whether the client takes this media type at all.
#[must_use]
pub fn accepts(headers: &HeaderMap, essence: &str) -> bool {
    ranges(headers).is_none_or(|ranges| quality_of(&ranges, essence) > 0)
}

/// The ranges; none when the header is absent or empty, which means anything.
fn ranges(headers: &HeaderMap) -> Option<Vec<Range<'_>>> {
    let mut ranges = Vec::new();
    for value in headers.get_all(header::ACCEPT) {
        let Ok(text) = value.to_str() else { continue };
        ranges.extend(text.split(',').filter_map(parse_range).take(RANGES_MAX));
    }
    (!ranges.is_empty()).then_some(ranges)
}

fn parse_range(text: &str) -> Option<Range<'_>> {
    let mut parts = text.split(';').map(str::trim);
    let (kind, subtype) = parts.next()?.split_once('/')?;
    let (mut quality, mut parameters) = (1_000, false);
    for part in parts {
        match part.split_once('=') {
            Some((name, value)) if name.trim().eq_ignore_ascii_case("q") => {
                quality = parse_quality(value.trim())?;
                // What follows `q` are extensions of Accept, not of the media type.
                break;
            }
            _ => parameters |= !part.is_empty(),
        }
    }
    Some(Range {
        kind: kind.trim(),
        subtype: subtype.trim(),
        quality,
        parameters,
    })
}

/// `0.123` as 123; none if it is not a quality value.
fn parse_quality(text: &str) -> Option<u16> {
    let value: f32 = text.parse().ok()?;
    if !(0.0..=1.0).contains(&value) {
        return None;
    }
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    Some((value * 1_000.0).round() as u16)
}

/// Quality of a type: that of the most specific range that matches it.
fn quality_of(ranges: &[Range<'_>], essence: &str) -> u16 {
    let (kind, subtype) = essence.split_once('/').unwrap_or((essence, ""));
    let mut best = (0_u8, 0_u16);
    for range in ranges {
        let specificity = if range.kind.eq_ignore_ascii_case(kind) && range.subtype.eq_ignore_ascii_case(subtype) {
            // A profile that we do not tell apart still asks for this type, but a plain mention is the better match.
            if range.parameters { 3 } else { 4 }
        } else if range.kind.eq_ignore_ascii_case(kind) && range.subtype == "*" {
            2
        } else if range.kind == "*" && range.subtype == "*" {
            1
        } else {
            continue;
        };
        if specificity > best.0 || (specificity == best.0 && range.quality > best.1) {
            best = (specificity, range.quality);
        }
    }
    best.1
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use Syntax::{JsonLd, NTriples, Turtle};

    /// Requirements solid 30, 61.
    #[test]
    fn choices_for_a_turtle_document() {
        let cases = [
            (None, Some(Turtle)),
            (Some(""), Some(Turtle)),
            (Some("*/*"), Some(Turtle)),
            (Some("text/*"), Some(Turtle)),
            (Some("application/ld+json"), Some(JsonLd)),
            (Some("APPLICATION/LD+JSON"), Some(JsonLd)),
            (Some("application/*"), Some(JsonLd)),
            (Some("application/n-triples"), Some(NTriples)),
            (Some("application/ld+json;q=0.9, text/turtle;q=0.8"), Some(JsonLd)),
            (Some("application/ld+json;q=0.8, text/turtle;q=0.9"), Some(Turtle)),
            (Some("application/ld+json, text/turtle"), Some(Turtle)),
            (Some("text/turtle;q=0, */*;q=0.1"), Some(JsonLd)),
            (Some("text/html, */*;q=0.1"), Some(Turtle)),
            (
                Some("application/ld+json;profile=\"http://www.w3.org/ns/json-ld#compacted\""),
                Some(JsonLd),
            ),
            (Some("text/html"), None),
            (Some("text/turtle;q=0"), None),
            (Some("text/turtle;q=2"), Some(Turtle)),
        ];
        for (accept, expected) in cases {
            let mut headers = HeaderMap::new();
            if let Some(accept) = accept {
                headers.insert(header::ACCEPT, accept.parse().unwrap());
            }
            assert_eq!(choose_syntax(&headers, Turtle), expected, "{accept:?}");
        }
    }

    #[test]
    fn the_stored_syntax_wins_a_tie() {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, "text/turtle, application/ld+json".parse().unwrap());
        assert_eq!(choose_syntax(&headers, JsonLd), Some(JsonLd));
    }

    #[test]
    fn types_on_demand_are_named() {
        for (accept, named) in [
            ("application/lws+json", true),
            ("application/LWS+json;q=0.9, */*", true),
            ("application/lws+json, text/turtle;q=0.5", true),
            ("application/lws+json;q=0.5, text/turtle", false),
            ("application/lws+json;q=0", false),
            ("application/*", false),
            ("*/*", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, accept.parse().unwrap());
            assert_eq!(names(&headers, "application/lws+json"), named, "{accept}");
        }
        assert!(!names(&HeaderMap::new(), "application/lws+json"));
    }

    #[test]
    fn other_types() {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, "image/*;q=0.5, text/plain".parse().unwrap());
        assert!(accepts(&headers, "image/png"));
        assert!(accepts(&headers, "text/plain"));
        assert!(!accepts(&headers, "text/css"));
    }
}
