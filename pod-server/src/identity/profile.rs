//! Protection of WebID profile documents (solid#114).
//!
//! Whoever controls the `solid:oidcIssuer` statements of a WebID can log in as it. A right to write the document is not
//! enough to change them: that is for the owner. This module only compares; it reads and writes nothing.

use std::collections::BTreeSet;

use oxrdf::{NamedOrBlankNodeRef, TermRef, TripleRef};

/// `solid:oidcIssuer`: which issuer speaks for a WebID.
const OIDC_ISSUER: &str = "http://www.w3.org/ns/solid/terms#oidcIssuer";

/// `pim:preferencesFile`: at most one for a WebID.
const PREFERENCES_FILE: &str = "http://www.w3.org/ns/pim/space#preferencesFile";

/// `pim:storage`: where an application finds the storages of a WebID.
const STORAGE: &str = "http://www.w3.org/ns/pim/space#storage";

/// Statements that only the owner may change.
const PROTECTED: [&str; 2] = [OIDC_ISSUER, STORAGE];

/// Why a profile document may not become what it would.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProfileFault {
    /// Statements change that only the owner may change. 409.
    #[error("only the owner may change the `{property}` statements of `{subject}`")]
    Protected {
        /// Whose statements.
        subject: String,
        /// Which property.
        property: &'static str,
    },
    /// The profile would contradict itself. 422.
    #[error("`{subject}` may have only one `{PREFERENCES_FILE}`")]
    Ambiguous {
        /// Whose statements.
        subject: String,
    },
}

/// The document that a WebID lies in: the WebID without its fragment.
#[must_use]
pub fn document_of(webid: &str) -> &str {
    webid.split_once('#').map_or(webid, |(document, _)| document)
}

/// Whether a write by somebody other than the owner would change protected statements. `before` is empty when the
/// document is new. Call it for the document of the storage owner's WebID, and for its deletion with an empty `after`.
///
/// # Errors
/// [`ProfileFault::Protected`].
pub fn protects<'a>(
    before: impl IntoIterator<Item = TripleRef<'a>>,
    after: impl IntoIterator<Item = TripleRef<'a>>,
) -> Result<(), ProfileFault> {
    let (before, after) = (protected(before), protected(after));
    match before.symmetric_difference(&after).next() {
        None => Ok(()),
        Some((subject, property, _)) => Err(ProfileFault::Protected {
            subject: subject.clone(),
            property,
        }),
    }
}

/// Whether a profile document makes sense, whoever writes it.
///
/// # Errors
/// [`ProfileFault::Ambiguous`].
pub fn check<'a>(webid: &str, after: impl IntoIterator<Item = TripleRef<'a>>) -> Result<(), ProfileFault> {
    let files: BTreeSet<String> = after
        .into_iter()
        .filter(|triple| {
            triple.predicate.as_str() == PREFERENCES_FILE
                && matches!(triple.subject, NamedOrBlankNodeRef::NamedNode(node) if node.as_str() == webid)
        })
        .map(|triple| triple.object.to_string())
        .collect();
    if files.len() > 1 {
        return Err(ProfileFault::Ambiguous {
            subject: webid.to_owned(),
        });
    }
    Ok(())
}

fn protected<'a>(triples: impl IntoIterator<Item = TripleRef<'a>>) -> BTreeSet<(String, &'static str, String)> {
    triples
        .into_iter()
        .filter_map(|triple| {
            let property = PROTECTED
                .into_iter()
                .find(|property| *property == triple.predicate.as_str())?;
            let subject = match triple.subject {
                NamedOrBlankNodeRef::NamedNode(node) => node.as_str().to_owned(),
                // A blank node speaks for no WebID.
                NamedOrBlankNodeRef::BlankNode(_) => return None,
            };
            let object = match triple.object {
                TermRef::NamedNode(node) => node.as_str().to_owned(),
                other => other.to_string(),
            };
            Some((subject, property, object))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use oxrdf::Triple;

    use super::*;

    fn parse(text: &str) -> Vec<Triple> {
        let prefixed = format!(
            "@prefix solid: <http://www.w3.org/ns/solid/terms#>. @prefix pim: <http://www.w3.org/ns/pim/space#>. \
             @prefix foaf: <http://xmlns.com/foaf/0.1/>. {text}"
        );
        let parser = oxttl::TurtleParser::new()
            .with_base_iri("https://pod.example/a/profile/card")
            .unwrap();
        parser.for_slice(prefixed.as_bytes()).map(Result::unwrap).collect()
    }

    /// solid#114
    #[test]
    fn issuer_and_storage_statements_are_the_owners() {
        let before = "<#me> solid:oidcIssuer <https://issuer.example/>; foaf:name \"A\"; pim:storage </a/>.";
        let cases = [
            (
                "<#me> pim:storage </a/>; solid:oidcIssuer <https://issuer.example/>; foaf:name \"B\".",
                true,
            ),
            (
                "<#me> pim:storage </a/>; solid:oidcIssuer <https://issuer.example/>, <https://evil.example/>.",
                false,
            ),
            (
                "<#me> pim:storage </a/>; solid:oidcIssuer <https://evil.example/>.",
                false,
            ),
            ("<#me> pim:storage </a/>.", false),
            (
                "<#me> solid:oidcIssuer <https://issuer.example/>; pim:storage </evil/>.",
                false,
            ),
            (
                "<#other> solid:oidcIssuer <https://evil.example/>. <#me> solid:oidcIssuer <https://issuer.example/>; pim:storage </a/>.",
                false,
            ),
            ("", false),
        ];
        let before = parse(before);
        for (after, allowed) in cases {
            let triples = parse(after);
            let verdict = protects(before.iter().map(Triple::as_ref), triples.iter().map(Triple::as_ref));
            assert_eq!(verdict.is_ok(), allowed, "{after}: {verdict:?}");
        }
    }

    #[test]
    fn a_profile_has_one_preferences_file() {
        let one = parse("<#me> pim:preferencesFile </a/p>. <#other> pim:preferencesFile </a/q>.");
        let two = parse("<#me> pim:preferencesFile </a/p>, </a/q>.");
        let me = "https://pod.example/a/profile/card#me";
        assert!(check(me, one.iter().map(Triple::as_ref)).is_ok());
        assert!(check(me, two.iter().map(Triple::as_ref)).is_err());
        assert_eq!(document_of(me), "https://pod.example/a/profile/card");
    }
}
