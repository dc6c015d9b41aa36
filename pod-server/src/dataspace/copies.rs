//! Which copy of an agreement is the one that was concluded. Each party keeps one; the hash of the policy stands in the audit
//! log since both were bound, so whoever changed a word of theirs is named, by anyone and offline (NEG-6, T102).

use oxrdf::{GraphName, Literal, NamedNode, Quad, Triple};
use policies::audit::AuditAction;
use policies::odrl::{CanonicalError, canonical_hash};
use server_kit::audit_log::VerifierKey;
use vocab::{dcterms, meent, odrl as term};

use super::graph::{self, GraphError, Syntax};
use crate::log::own::LogExport;
use crate::log::verify::{self, LogFault};

/// How a hash stands among the targets of a record.
const HASH: &str = "urn:sha-256:";

/// Most triples of a copy.
const TRIPLES_MAX: usize = 20_000;

/// The target under which the log keeps the hash of an agreement.
#[must_use]
pub fn hash_target(hash: &str) -> String {
    format!("{HASH}{hash}")
}

/// What the log says about an agreement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Concluded {
    /// Its IRI.
    pub agreement: String,
    /// Hash of its policy, in hexadecimal.
    pub hash: String,
}

/// Why nothing can be said about copies.
#[derive(Debug, thiserror::Error)]
pub enum CopyFault {
    /// The export of the log is not sound.
    #[error(transparent)]
    Log(#[from] LogFault),
    /// The log does not tell of the agreement.
    #[error("the log does not tell of the conclusion of `{0}`")]
    NotLogged(String),
    /// The copy is no description of an agreement.
    #[error("the copy cannot be read: {0}")]
    Unreadable(#[from] GraphError),
    /// The copy cannot be brought to its canonical form.
    #[error("the copy has no canonical form: {0}")]
    NotCanonical(#[from] CanonicalError),
}

/// What the export of an owner's or a consumer's log proves about an agreement. Without a `key` from elsewhere, the reader has
/// to compare that of the export with the one that the server publishes.
///
/// # Errors
/// [`CopyFault::Log`] for an export that is not sound, [`CopyFault::NotLogged`] when it does not hold the conclusion.
pub fn concluded(export: &LogExport, key: Option<&VerifierKey>, agreement: &str) -> Result<Concluded, CopyFault> {
    verify::export(export, key, None)?;
    let records = export.entries.iter().map(|entry| &entry.sealed.record);
    let mut about = records
        .filter(|record| record.action == AuditAction::Agreement && record.agreement.as_deref() == Some(agreement));
    let hash = about.find_map(|record| record.targets.iter().find_map(|target| target.strip_prefix(HASH)));
    match hash {
        Some(hash) => Ok(Concluded {
            agreement: agreement.to_owned(),
            hash: hash.to_owned(),
        }),
        None => Err(CopyFault::NotLogged(agreement.to_owned())),
    }
}

impl Concluded {
    /// Whether a copy, as its party keeps it in Turtle, says what was concluded, to the last term.
    ///
    /// # Errors
    /// When it cannot be read at all.
    pub fn is_said_by(&self, copy: &str) -> Result<bool, CopyFault> {
        let graph = graph::read(copy.as_bytes(), Syntax::Turtle, &self.agreement, TRIPLES_MAX)?;
        // What the server says about the agreement beside its policy.
        let beside = [term::UID, meent::AGREEMENT_STATE, meent::AGREEMENT_HASH];
        let itself = NamedNode::new_unchecked(self.agreement.as_str());
        let mut claimed = true;
        let mut said: Vec<Triple> = Vec::new();
        for triple in graph.iter().map(oxrdf::TripleRef::into_owned) {
            let own = triple.subject == itself.clone().into();
            match triple.predicate.as_str() {
                predicate if !own || !beside.contains(&predicate) => said.push(triple),
                meent::AGREEMENT_HASH => claimed &= triple.object == Literal::new_simple_literal(&self.hash).into(),
                term::UID => claimed &= triple.object == itself.clone().into(),
                // Where it stands now is no part of what was agreed.
                _ => {}
            }
        }
        let with_changes = hash_of(&said)?;
        said.retain(|triple| triple.predicate != NamedNode::new_unchecked(dcterms::MODIFIED));
        Ok(claimed && (with_changes == self.hash || hash_of(&said)? == self.hash))
    }
}

fn hash_of(triples: &[Triple]) -> Result<String, CopyFault> {
    let quads: Vec<Quad> = triples
        .iter()
        .map(|triple| triple.clone().in_graph(GraphName::DefaultGraph))
        .collect();
    Ok(hex::encode(canonical_hash(&quads)?))
}
