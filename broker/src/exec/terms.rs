//! What answers come with: links that name the terms of an agreement, the source, whom to name, and the policy for whoever
//! gets the data next (ENF-18). They go on, source by source, to the consumer.

use crate::member::terms::Terms;
use http::HeaderMap;
use http::header::{HeaderValue, LINK};
use serde::Serialize;
use std::collections::BTreeSet;
use vocab::{dcterms, odrl, prov};

/// Most terms of one answer; an owner that sends more is not heard out.
const TERMS_MAX: usize = 32;
/// Longest target, in bytes.
const TARGET_BYTES_MAX: usize = 2_048;
/// The relations that go on.
const RELATIONS: [&str; 4] = [
    odrl::HAS_POLICY,
    dcterms::SOURCE,
    odrl::NEXT_POLICY,
    prov::WAS_ATTRIBUTED_TO,
];

/// One link.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Term {
    /// The relation.
    pub rel: String,
    /// The target.
    pub href: String,
}

/// The terms in the header of an answer, in the form in which pod servers send them: one link to a field, one relation to a link.
#[must_use]
pub fn read(headers: &HeaderMap) -> BTreeSet<Term> {
    let fields = headers.get_all(LINK).iter().filter_map(|value| value.to_str().ok());
    fields.filter_map(term).take(TERMS_MAX).collect()
}

fn term(field: &str) -> Option<Term> {
    let (href, rest) = field.trim().strip_prefix('<')?.split_once('>')?;
    let (_, rel) = rest.split_once("rel=\"")?;
    let (rel, _) = rel.split_once('"')?;
    let sound = !href.is_empty() && href.len() <= TARGET_BYTES_MAX && href.bytes().all(|byte| byte.is_ascii_graphic());
    (sound && RELATIONS.contains(&rel)).then(|| Term {
        rel: rel.to_owned(),
        href: href.to_owned(),
    })
}

/// What the owner of a member grants that cannot send its terms along: the licence, the source, whom to name.
#[must_use]
pub fn granted(terms: &Terms, dataset: &str) -> BTreeSet<Term> {
    let publisher = terms
        .publisher
        .as_ref()
        .map(|publisher| (prov::WAS_ATTRIBUTED_TO, publisher.as_str()));
    [(dcterms::LICENSE, terms.licence.as_str()), (dcterms::SOURCE, dataset)]
        .into_iter()
        .chain(publisher)
        .map(|(rel, href)| Term {
            rel: rel.to_owned(),
            href: href.to_owned(),
        })
        .collect()
}

/// A link of the broker's own answer.
#[must_use]
pub fn link(term: &Term) -> Option<HeaderValue> {
    HeaderValue::from_str(&format!("<{}>; rel=\"{}\"", term.href, term.rel)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Requirements ENF-18: only what is understood goes on, and only so much of it.
    #[test]
    fn terms_are_read_from_links() {
        let mut headers = HeaderMap::new();
        for field in [
            "<urn:x:next>; rel=\"http://www.w3.org/ns/odrl/2/nextPolicy\"",
            "<urn:x:next>; rel=\"http://www.w3.org/ns/odrl/2/nextPolicy\"",
            "<urn:x:style>; rel=\"stylesheet\"",
            "urn:x:bare; rel=\"http://purl.org/dc/terms/source\"",
            "<>; rel=\"http://purl.org/dc/terms/source\"",
        ] {
            headers.append(LINK, HeaderValue::from_static(field));
        }
        let found = read(&headers);
        assert_eq!(
            found.iter().map(|term| term.href.as_str()).collect::<Vec<_>>(),
            ["urn:x:next"]
        );
        for number in 0..100 {
            let field = format!("<urn:x:{number}>; rel=\"{}\"", odrl::NEXT_POLICY);
            headers.append(LINK, HeaderValue::from_str(&field).unwrap());
        }
        assert!(read(&headers).len() <= TERMS_MAX);
    }
}
