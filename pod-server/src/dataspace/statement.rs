//! What an owner states about the world and about those with whom it deals: the facts on which conditions of agreements
//! can rest, such as an event that has come, a place, a payment (ENF-6, ENF-16, ENF-23).
//!
//! One RDF document for each storage, at `/{storage}/.dataspace/facts`, which only the owner reads and writes. A change
//! counts from the next decision on, and running answers are decided anew.

use std::str::FromStr;

use http::{Method, StatusCode};
use oxrdf::{Graph, NamedOrBlankNode, NamedOrBlankNodeRef, Term, TermRef};
use policies::audit::AuditAction;
use policies::odrl::Statements;
use policies::odrl::circumstance::STATED;
use serde::{Deserialize, Serialize};
use vocab::{odrl, rdf, skos};

use super::agreement::{self, Agreement};
use super::api::Dataspace;
use super::dataset::Fault;
use super::edge::{self, Answer, Call};
use super::exchange::storage_name;
use super::graph::{self, Syntax};
use crate::audit::Event;
use crate::origins::Origins;
use crate::store::{RecordKind, Snapshot, Storage, StoreError};

/// The statements of one storage as they are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stated {
    /// What is stated, one by one.
    values: Vec<Statement>,
    /// Narrower and wider concepts.
    below: Vec<(String, String)>,
    /// The whole document, as N-Triples.
    triples: String,
}

/// One statement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Statement {
    /// The storage, a dataset, an agreement or a party.
    about: String,
    /// The left operand.
    operand: String,
    /// The value in the syntax of N-Triples.
    value: String,
    /// Its unit.
    unit: Option<String>,
}

/// The record key of a storage's statements.
#[must_use]
pub fn key(storage: &str) -> String {
    format!("{}/facts", storage_name(storage))
}

/// What an owner states that concerns an agreement; none when the owner states nothing at all.
///
/// # Errors
/// If the store fails or is damaged.
pub fn about(
    snapshot: &dyn Snapshot,
    origins: &Origins,
    agreement: &Agreement,
) -> Result<Option<Statements>, StoreError> {
    let key = key(&agreement.storage);
    let Some(stated) = agreement::read_json::<Stated>(snapshot.record(RecordKind::Statement, &key)?, &key)? else {
        return Ok(None);
    };
    let root = origins.root(storage_name(&agreement.storage));
    let about = [&root, &agreement.dataset, &agreement.iri, &agreement.assignee];
    let mut found = Statements {
        values: Vec::new(),
        below: stated.below,
    };
    for statement in stated.values {
        if about.contains(&&statement.about) {
            let value = Term::from_str(&statement.value)
                .map_err(|error| StoreError::Damaged(format!("record `{key}`: {error}")))?;
            found.values.push((statement.operand, value, statement.unit));
        }
    }
    Ok(Some(found))
}

/// Reads a document of statements.
///
/// # Errors
/// Every statement that no condition could rest on.
pub fn parse(document: &Graph) -> Result<Stated, Vec<Fault>> {
    let (mut stated, mut faults) = (Stated::default(), Vec::new());
    for triple in document {
        let property = triple.predicate.as_str();
        let NamedOrBlankNodeRef::NamedNode(subject) = triple.subject else {
            // A value with a unit hangs on a node without a name.
            continue;
        };
        let subject = subject.as_str();
        match (property, triple.object) {
            (skos::BROADER | odrl::PART_OF, TermRef::NamedNode(wide)) => {
                stated.below.push((subject.to_owned(), wide.as_str().to_owned()));
            }
            (operand, object) if STATED.contains(&operand) => match value(document, object) {
                Some((value, unit)) => stated.values.push(Statement {
                    about: subject.to_owned(),
                    operand: operand.to_owned(),
                    value: value.to_string(),
                    unit,
                }),
                None => faults.push(fault(
                    subject,
                    property,
                    "is an IRI, a literal, or `[ rdf:value … ; odrl:unit … ]`",
                )),
            },
            _ => faults.push(fault(
                subject,
                property,
                "no condition of an agreement can rest on it; the README names what can be stated",
            )),
        }
    }
    stated
        .values
        .sort_by(|a, b| (&a.about, &a.operand, &a.value).cmp(&(&b.about, &b.operand, &b.value)));
    stated.below.sort();
    let triples: Vec<oxrdf::Triple> = document.iter().map(oxrdf::TripleRef::into_owned).collect();
    match graph::canonical(triples) {
        Ok(text) => stated.triples = text,
        Err(error) => faults.push(fault("document", rdf::VALUE, &format!("it cannot be kept: {error}"))),
    }
    if faults.is_empty() { Ok(stated) } else { Err(faults) }
}

fn fault(focus: &str, property: &str, message: &str) -> Fault {
    Fault {
        focus: focus.to_owned(),
        path: Some(property.to_owned()),
        message: message.to_owned(),
    }
}

/// A value, and its unit where it has one.
fn value(document: &Graph, object: TermRef<'_>) -> Option<(Term, Option<String>)> {
    match object {
        TermRef::NamedNode(_) | TermRef::Literal(_) => Some((object.into_owned(), None)),
        TermRef::BlankNode(node) => {
            let node = NamedOrBlankNode::from(node.into_owned());
            let one = |property| document.object_for_subject_predicate(node.as_ref(), vocab::node(property));
            let unit = match one(odrl::UNIT)? {
                TermRef::NamedNode(unit) => unit.as_str().to_owned(),
                _ => return None,
            };
            let value = one(rdf::VALUE)?;
            matches!(value, TermRef::Literal(_)).then(|| (value.into_owned(), Some(unit)))
        }
        TermRef::Triple(_) => None,
    }
}

impl Dataspace {
    /// Answers `/{storage}/.dataspace/facts`, for the owner alone.
    pub(super) async fn respond_facts(&self, call: &Call, storage: &Storage) -> Answer {
        let action = match call.method {
            Method::GET | Method::HEAD => AuditAction::Read,
            Method::PUT => AuditAction::Update,
            Method::DELETE => AuditAction::Delete,
            _ => return Err(edge::method_not_allowed(&call.method, "GET, HEAD, PUT, DELETE")),
        };
        let caller = self.owner(call, storage, action).await?.to_owned();
        let key = key(storage.root.as_str());
        if action == AuditAction::Read {
            return self.show_facts(call, &key);
        }
        let stated = match action {
            AuditAction::Update => Some(self.read_facts(call)?),
            _ => None,
        };
        let (storage_id, iri) = (storage.id, call.iri.clone());
        self.node
            .commit(move |node, transaction| {
                let put = match &stated {
                    Some(stated) => agreement::to_json(stated)
                        .and_then(|bytes| transaction.record_put(RecordKind::Statement, &key, &bytes))
                        .map(|()| true),
                    None => transaction.record_delete(RecordKind::Statement, &key),
                };
                if !put.map_err(|error| edge::store_problem(&error))? {
                    return Err(edge::not_found(&iri));
                }
                node.record(transaction, &Event::done(action, &caller, storage_id).on(&iri))
            })
            .await?;
        edge::respond(StatusCode::NO_CONTENT, "text/plain", Vec::new())
    }

    fn read_facts(&self, call: &Call) -> Result<Stated, server_kit::problem::Problem> {
        let syntax = Syntax::of_content(&call.headers).map_err(|error| edge::graph_problem(&error))?;
        let document = graph::read(&call.body, syntax, &call.iri, self.config.description_triples_max)
            .map_err(|error| edge::graph_problem(&error))?;
        parse(&document).map_err(|faults| edge::faults_problem(&faults))
    }

    fn show_facts(&self, call: &Call, key: &str) -> Answer {
        let syntax = Syntax::negotiate(&call.headers).ok_or_else(edge::not_acceptable)?;
        let snapshot = self.node.snapshot()?;
        let stated: Stated = snapshot
            .record(RecordKind::Statement, key)
            .and_then(|bytes| agreement::read_json(bytes, key))
            .map_err(|error| edge::store_problem(&error))?
            .ok_or_else(|| edge::not_found(&call.iri))?;
        let document = graph::stored(&stated.triples).map_err(|error| edge::graph_problem(&error))?;
        let triples: Vec<_> = document.iter().map(oxrdf::TripleRef::into_owned).collect();
        let bytes = graph::write(&triples, syntax).map_err(|error| {
            tracing::error!(%error, "statements could not be written");
            server_kit::problem::Problem::internal()
        })?;
        Ok(edge::revalidated(call, syntax, bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(turtle: &str) -> Result<Stated, Vec<Fault>> {
        let prefixes =
            "@prefix odrl: <http://www.w3.org/ns/odrl/2/> . @prefix skos: <http://www.w3.org/2004/02/skos/core#> .
            @prefix rdf: <http://www.w3.org/1999/02/22-rdf-syntax-ns#> . ";
        let text = format!("{prefixes}{turtle}");
        parse(
            &graph::read(
                text.as_bytes(),
                Syntax::Turtle,
                "https://gent.example/gent/.dataspace/facts",
                100,
            )
            .unwrap(),
        )
    }

    /// Requirements ENF-16, ENF-23: what can be stated, and what is refused because nothing could rest on it.
    #[test]
    fn statements_are_read_or_refused() {
        let stated = read(
            "<urn:x:d> odrl:event <urn:x:emergency> . <urn:x:a> odrl:payAmount [ rdf:value 250 ; odrl:unit <urn:x:EUR> ] .
             <urn:x:gent> skos:broader <urn:x:belgium> .",
        )
        .unwrap();
        assert_eq!((stated.values.len(), stated.below.len()), (2, 1));
        assert_eq!(stated.values[0].unit.as_deref(), Some("urn:x:EUR"));
        assert!(read("").unwrap().values.is_empty());
        for refused in [
            "<urn:x:d> odrl:purpose <urn:x:p> .",
            "<urn:x:d> odrl:dateTime '2026-01-01' .",
            "<urn:x:d> odrl:payAmount [ rdf:value 250 ] .",
            "<urn:x:d> skos:broader 'text' .",
            "<urn:x:d> <urn:x:other> 1 .",
        ] {
            assert!(read(refused).is_err(), "{refused}");
        }
    }
}
