//! What goes along with every answer under an agreement: where it comes from, under which terms, whom to name, and which
//! policy binds whoever gets it next (ENF-18). It travels as links (RFC 8288), in the words of ODRL, PROV-O and DCMI.

use http::HeaderValue;
use policies::odrl;
use vocab::{dcterms, odrl as term, prov};

use crate::dataspace::agreement::{self, Agreement};
use crate::store::StoreError;

/// Relations and targets, ready to be sent.
#[derive(Clone, Debug, Default)]
pub struct AnswerTerms {
    links: Vec<HeaderValue>,
}

impl AnswerTerms {
    /// The terms of an agreement.
    ///
    /// # Errors
    /// If the stored agreement is damaged, or names something that cannot be sent: then nothing may be answered.
    pub fn of(agreement: &Agreement) -> Result<Self, StoreError> {
        let policy = agreement::compiled(agreement)?;
        let attached = odrl::attached(&policy);
        let mut links = vec![
            link(&agreement.iri, term::HAS_POLICY)?,
            link(&agreement.dataset, dcterms::SOURCE)?,
        ];
        for next in &attached.next_policies {
            links.push(link(next, term::NEXT_POLICY)?);
        }
        for who in &attached.attributed_to {
            links.push(link(who, prov::WAS_ATTRIBUTED_TO)?);
        }
        Ok(Self { links })
    }

    /// The values of the `Link` header fields.
    #[must_use]
    pub fn links(&self) -> &[HeaderValue] {
        &self.links
    }
}

/// A link. What an IRI may hold and a header field may not is written as a URI has it (RFC 3987 §3.1).
fn link(target: &str, relation: &str) -> Result<HeaderValue, StoreError> {
    let mut uri = String::with_capacity(target.len());
    for byte in target.bytes() {
        match byte {
            b'<' | b'>' | b'"' | b' ' | 0..=0x1f | 0x7f.. => uri.push_str(&format!("%{byte:02X}")),
            plain => uri.push(char::from(plain)),
        }
    }
    HeaderValue::from_str(&format!("<{uri}>; rel=\"{relation}\""))
        .map_err(|_| StoreError::Damaged(format!("`{target}` cannot be sent along with an answer")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_hold_any_iri() {
        let value = link("https://gent.example/fietsen/é>x", term::NEXT_POLICY).unwrap();
        assert_eq!(
            value.to_str().unwrap(),
            "<https://gent.example/fietsen/%C3%A9%3Ex>; rel=\"http://www.w3.org/ns/odrl/2/nextPolicy\""
        );
    }
}
