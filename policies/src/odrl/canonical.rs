//! The canonical hash of a policy: RDFC-1.0 (RDF Dataset Canonicalization) with SHA-256.
//!
//! Two documents with the same statements have the same hash, whatever their syntax, order or blank node labels.

use std::collections::HashSet;

use oxrdf::{GraphName, NamedOrBlankNode, Quad, Term};
use sha2::{Digest, Sha256};
use sophia_api::term::bnode_id::BnodeId;
use sophia_api::term::language_tag::LanguageTag;
use sophia_api::term::{IriRef, SimpleTerm};
use sophia_c14n::rdfc10::normalize_with;

/// Bounds against poisoned datasets (RDFC-1.0, section on dataset poisoning).
const QUADS_MAX: usize = 20_000;
const DEPTH_FACTOR: f32 = 1.0;
const PERMUTATIONS_MAX: usize = 6;

/// Why there is no canonical form.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CanonicalError {
    /// Too much to canonicalize.
    #[error("more than {QUADS_MAX} quads (`quads_max`)")]
    TooLarge,
    /// The blank nodes are entangled in a way that would cost too much.
    #[error("the blank nodes cannot be told apart at reasonable cost: {0}")]
    Entangled(String),
    /// Triple terms have no canonical form in RDFC-1.0.
    #[error("triple terms have no canonical form")]
    TripleTerm,
}

type SimpleQuad<'q> = ([SimpleTerm<'q>; 3], Option<SimpleTerm<'q>>);

/// The canonical N-Quads of a dataset.
///
/// # Errors
/// See [`CanonicalError`].
pub fn canonical_n_quads(quads: &[Quad]) -> Result<String, CanonicalError> {
    if quads.len() > QUADS_MAX {
        return Err(CanonicalError::TooLarge);
    }
    let dataset: HashSet<SimpleQuad<'_>> = quads.iter().map(simple_quad).collect::<Result<_, _>>()?;
    let mut canonical = Vec::new();
    normalize_with::<sophia_c14n::hash::Sha256, _, _>(&dataset, &mut canonical, DEPTH_FACTOR, PERMUTATIONS_MAX)
        .map_err(|error| CanonicalError::Entangled(error.to_string()))?;
    String::from_utf8(canonical).map_err(|error| CanonicalError::Entangled(error.to_string()))
}

/// SHA-256 of the canonical N-Quads.
///
/// # Errors
/// See [`CanonicalError`].
pub fn canonical_hash(quads: &[Quad]) -> Result<[u8; 32], CanonicalError> {
    Ok(Sha256::digest(canonical_n_quads(quads)?).into())
}

fn simple_quad(quad: &Quad) -> Result<SimpleQuad<'_>, CanonicalError> {
    let subject = match &quad.subject {
        NamedOrBlankNode::NamedNode(node) => iri(node.as_str()),
        NamedOrBlankNode::BlankNode(node) => blank(node.as_str()),
    };
    let graph = match &quad.graph_name {
        GraphName::NamedNode(node) => Some(iri(node.as_str())),
        GraphName::BlankNode(node) => Some(blank(node.as_str())),
        GraphName::DefaultGraph => None,
    };
    Ok(([subject, iri(quad.predicate.as_str()), object(&quad.object)?], graph))
}

fn object(term: &Term) -> Result<SimpleTerm<'_>, CanonicalError> {
    Ok(match term {
        Term::NamedNode(node) => iri(node.as_str()),
        Term::BlankNode(node) => blank(node.as_str()),
        Term::Literal(literal) => match literal.language() {
            Some(language) => SimpleTerm::LiteralLanguage(
                literal.value().into(),
                LanguageTag::new_unchecked(language.into()),
                None,
            ),
            None => SimpleTerm::LiteralDatatype(
                literal.value().into(),
                IriRef::new_unchecked(literal.datatype().as_str().to_owned().into()),
            ),
        },
        Term::Triple(_) => return Err(CanonicalError::TripleTerm),
    })
}

fn iri(iri: &str) -> SimpleTerm<'_> {
    SimpleTerm::Iri(IriRef::new_unchecked(iri.into()))
}

fn blank(label: &str) -> SimpleTerm<'_> {
    SimpleTerm::BlankNode(BnodeId::new_unchecked(label.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use oxttl::NQuadsParser;

    fn quads(text: &str) -> Vec<Quad> {
        NQuadsParser::new().for_slice(text).map(Result::unwrap).collect()
    }

    #[test]
    fn labels_and_order_do_not_matter_and_statements_do() {
        let a = "_:x <http://a.example/p> _:y .\n_:y <http://a.example/q> \"1\" .\n<http://a.example/s> <http://a.example/p> _:x .\n";
        let b = "<http://a.example/s> <http://a.example/p> _:n .\n_:m <http://a.example/q> \"1\" .\n_:n <http://a.example/p> _:m .\n";
        let c = b.replace("\"1\"", "\"1\"@nl");
        assert_eq!(canonical_hash(&quads(a)), canonical_hash(&quads(b)));
        assert_ne!(canonical_hash(&quads(b)), canonical_hash(&quads(&c)));
    }

    /// An example small enough to work out by hand: one blank node gets the first canonical label.
    #[test]
    fn canonical_form() {
        let text = "_:z <http://a.example/p> \"v\"@en .\n<http://a.example/s> <http://a.example/p> _:z <http://a.example/g> .\n";
        assert_eq!(
            canonical_n_quads(&quads(text)).unwrap(),
            "<http://a.example/s> <http://a.example/p> _:c14n0 <http://a.example/g> .\n_:c14n0 <http://a.example/p> \"v\"@en .\n"
        );
    }

    /// ODR-24: a clique of look-alike blank nodes is refused, quickly.
    #[test]
    fn a_poisoned_dataset_is_refused() {
        let mut text = String::new();
        for i in 0..12 {
            for j in 0..12 {
                if i != j {
                    text.push_str(&format!("_:n{i} <http://a.example/p> _:n{j} .\n"));
                }
            }
        }
        assert!(matches!(
            canonical_hash(&quads(&text)),
            Err(CanonicalError::Entangled(_))
        ));
    }
}
