//! What becomes of values before they are shown: made less precise, hashed, or replaced by codes (ENF-13, ENF-14).
//!
//! A policy asks for it with duties on properties. Whoever enforces the policy changes the values where the data is
//! read, so that nothing that looks at them, not even a filter, ever meets the value itself. A value that cannot be
//! changed as asked is not shown at all.

mod precision;
mod pseudonym;

use std::collections::BTreeMap;

use oxrdf::{Literal, Term};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

pub use precision::{Precision, TimeStep};
pub use pseudonym::{PSEUDONYM_IRI, PseudonymKey, is_pseudonym};

/// What becomes of the values of a property.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "change")]
pub enum Change {
    /// No finer than this.
    Generalise {
        /// How fine.
        precision: Precision,
    },
    /// The SHA-256 of the text, as SPARQL's `SHA256(STR(?value))` has it. Whoever can guess a value can check the guess.
    Hash,
    /// A code that stands for the value under one agreement, for one purpose.
    Pseudonymise,
}

impl Change {
    /// The value that is shown; none when it cannot be changed like this, and then must not be shown.
    ///
    /// Names (IRIs and blank nodes) are replaced wherever they stand, so [`Change::Pseudonymise`] leaves them to
    /// [`PseudonymKey::name`] and answers with the name itself.
    #[must_use]
    pub fn apply(&self, value: &Term, key: Option<&PseudonymKey>) -> Option<Term> {
        match self {
            Self::Generalise { precision } => match value {
                Term::Literal(literal) => precision.apply(literal).map(Into::into),
                _ => None,
            },
            Self::Hash => {
                let text = match value {
                    Term::NamedNode(node) => node.as_str(),
                    Term::Literal(literal) => literal.value(),
                    _ => return None,
                };
                Some(Literal::new_simple_literal(hex::encode(Sha256::digest(text))).into())
            }
            Self::Pseudonymise => match value {
                Term::Literal(literal) => key?.literal(literal).map(Into::into),
                Term::NamedNode(_) | Term::BlankNode(_) => Some(value.clone()),
                Term::Triple(_) => None,
            },
        }
    }
}

/// Everything that becomes of the values in a view.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Treatment {
    /// By property.
    pub values: BTreeMap<String, Change>,
    /// Whether the names that the server itself gives out are replaced by codes: those of storages, documents and
    /// everything described under their names, and blank nodes.
    pub names: bool,
}

impl Treatment {
    /// Whether everything is shown as it is.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.values.is_empty() && !self.names
    }

    /// Whether codes are made.
    #[must_use]
    pub fn pseudonymises(&self) -> bool {
        self.names || self.values.values().any(|change| *change == Change::Pseudonymise)
    }

    /// Adds what becomes of a property; false when something else was asked for already, so that no value of it can do
    /// both.
    #[must_use]
    pub fn add(&mut self, property: &str, change: &Change) -> bool {
        match self.values.get(property) {
            Some(known) => known == change,
            None => {
                self.values.insert(property.to_owned(), change.clone());
                true
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use oxrdf::{BlankNode, NamedNode};

    use super::*;

    #[test]
    fn hashes_are_those_of_sparql() {
        let expected = "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae";
        for term in [
            Term::from(Literal::from("foo")),
            Literal::new_language_tagged_literal("foo", "nl").unwrap().into(),
        ] {
            assert_eq!(Change::Hash.apply(&term, None), Some(Literal::from(expected).into()));
        }
        assert_eq!(Change::Hash.apply(&BlankNode::default().into(), None), None);
        let iri = NamedNode::new("https://example.org/").unwrap();
        assert!(Change::Hash.apply(&iri.into(), None).is_some());
    }

    #[test]
    fn what_needs_a_key_and_has_none_is_not_shown() {
        assert_eq!(Change::Pseudonymise.apply(&Literal::from("Jan").into(), None), None);
    }

    #[test]
    fn two_changes_of_one_property_do_not_mix() {
        let mut treatment = Treatment::default();
        assert!(treatment.is_none());
        assert!(treatment.add("p", &Change::Hash) && treatment.add("p", &Change::Hash));
        assert!(!treatment.add("p", &Change::Pseudonymise));
        assert!(!treatment.is_none() && !treatment.pseudonymises());
    }
}
