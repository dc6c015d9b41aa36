//! `Link` headers (RFC 8288): reading the types that a request asks for, writing the links of a resource.

use http::{HeaderMap, header};

/// The IRIs that a request links to with `rel="type"`, as a creation request does to ask for a container (solid#25).
/// At most 16 are read.
#[must_use]
pub fn requested_types(headers: &HeaderMap) -> Vec<&str> {
    let mut types = Vec::new();
    for value in headers
        .get_all(header::LINK)
        .iter()
        .filter_map(|value| value.to_str().ok())
    {
        for link in split_links(value) {
            if types.len() >= 16 {
                return types;
            }
            if let Some((target, parameters)) = parse_link(link)
                && is_type(parameters)
            {
                types.push(target);
            }
        }
    }
    types
}

/// Splits at commas outside `<…>` and outside quotes.
fn split_links(value: &str) -> impl Iterator<Item = &str> {
    let (mut in_iri, mut in_quotes) = (false, false);
    value.split(move |character: char| {
        match character {
            '<' if !in_quotes => in_iri = true,
            '>' if !in_quotes => in_iri = false,
            '"' if !in_iri => in_quotes = !in_quotes,
            ',' => return !in_iri && !in_quotes,
            _ => {}
        }
        false
    })
}

fn parse_link(link: &str) -> Option<(&str, &str)> {
    let rest = link.trim().strip_prefix('<')?;
    rest.split_once('>')
}

fn is_type(parameters: &str) -> bool {
    parameters
        .split(';')
        .filter_map(|parameter| parameter.split_once('='))
        .any(|(name, value)| {
            name.trim().eq_ignore_ascii_case("rel")
                && value
                    .trim()
                    .trim_matches('"')
                    .split_ascii_whitespace()
                    .any(|rel| rel.eq_ignore_ascii_case("type"))
        })
}

/// Collects links into one header line.
#[derive(Clone, Debug, Default)]
pub struct Links(String);

impl Links {
    /// Adds a link. Target and relation are our own IRIs, which hold neither `>` nor `"`.
    #[must_use]
    pub fn with(mut self, target: &str, relation: &str) -> Self {
        self.push(target, relation);
        self
    }

    /// Adds a link in place, with a hint at the media type of its target.
    pub fn push_typed(&mut self, target: &str, relation: &str, media_type: &str) {
        self.push(target, relation);
        self.0.push_str("; type=\"");
        self.0.push_str(media_type);
        self.0.push('"');
    }

    /// Adds a link in place.
    pub fn push(&mut self, target: &str, relation: &str) {
        if !self.0.is_empty() {
            self.0.push_str(", ");
        }
        self.0.push('<');
        self.0.push_str(target);
        self.0.push_str(">; rel=\"");
        self.0.push_str(relation);
        self.0.push('"');
    }

    /// The header line.
    #[must_use]
    pub fn into_string(self) -> String {
        self.0
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn types_are_found_in_every_spelling() {
        let container = "http://www.w3.org/ns/ldp#BasicContainer";
        for (value, found) in [
            (format!("<{container}>; rel=\"type\""), true),
            (format!("<{container}>; rel=type"), true),
            (format!("<{container}>;title=\"a, b\";rel=\"x type\""), true),
            (
                format!("<https://x.example/a,b>; rel=\"acl\", <{container}>; REL=\"Type\""),
                true,
            ),
            (format!("<{container}>; rel=\"describedby\""), false),
            (container.to_owned(), false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::LINK, value.parse().unwrap());
            assert_eq!(requested_types(&headers).contains(&container), found, "{value}");
        }
    }

    #[test]
    fn links_are_one_line() {
        let links = Links::default()
            .with("https://a.example/x.acl", "acl")
            .with("https://a.example/x.meta", "describedby");
        assert_eq!(
            links.into_string(),
            "<https://a.example/x.acl>; rel=\"acl\", <https://a.example/x.meta>; rel=\"describedby\""
        );
    }
}
