//! The one writer of the index: numbers terms and documents, builds runs and merges them.
//!
//! Runs shrink from the first to the last by at least a factor, so that there are logarithmically many and each row is
//! copied logarithmically often.

use std::collections::HashMap;
use std::sync::Arc;

use oxrdf::{BlankNode, NamedNode, NamedOrBlankNode, Term, Triple};
use roaring::RoaringBitmap;

use super::append::AppendOnly;
use super::dictionary::{Batch, Dictionary};
use super::run::{Quad, Run};
use super::term::TermId;
use super::{Document, DocumentId, DocumentSet, IndexFailure, IndexSnapshot, Mentions, Names};
use crate::name::ResourceName;
use crate::store::{ResourceId, Sequence, StorageId};

/// A run is merged with the next when it is not at least this many times as large.
const SHRINK: usize = 4;
/// Below this many superseded rows a full merge or rebuild is not worth its time.
const GARBAGE_MIN: u64 = 200_000;

/// A change for the index.
#[derive(Clone, Debug)]
pub enum Change {
    /// A document has a new state.
    Put {
        /// The resource.
        resource: ResourceId,
        /// Its storage.
        storage: StorageId,
        /// Its name.
        name: ResourceName,
        /// The commit that made the state.
        version: Sequence,
        /// Its IRI.
        graph: NamedNode,
        /// Its triples; blank node labels count inside the document only.
        triples: Vec<Triple>,
    },
    /// A document is gone, or is no longer RDF.
    Remove {
        /// The resource.
        resource: ResourceId,
    },
    /// An access control list came or changed.
    PutList {
        /// The resource that the list is for.
        subject: ResourceName,
        /// The list.
        list: ResourceId,
        /// The commit that made its state.
        version: Sequence,
        /// Whom it mentions, and how far it reaches.
        mentions: Mentions,
    },
    /// An access control list is gone.
    RemoveList {
        /// The resource that the list was for.
        subject: ResourceName,
    },
}

/// Changes that have been numbered and sorted and wait for [`Writer::commit`].
#[derive(Debug)]
pub struct Staged {
    changes: Vec<Numbered>,
    run: Run,
}

#[derive(Debug)]
enum Numbered {
    Put {
        document: DocumentId,
        resource: ResourceId,
        storage: StorageId,
        version: Sequence,
        name: ResourceName,
    },
    Remove(ResourceId),
    PutList(ResourceName, ResourceId, Sequence, Mentions),
    RemoveList(ResourceName),
}

/// Builds the contents of an index.
#[derive(Debug)]
pub struct Writer {
    dictionary: Arc<Dictionary>,
    documents: Arc<AppendOnly<Document>>,
    runs: Vec<Arc<Run>>,
    current: RoaringBitmap,
    superseded_rows: u64,
    triples_max: u64,
}

impl Writer {
    /// Nothing yet.
    #[must_use]
    pub fn new(triples_max: u64) -> Self {
        Self {
            dictionary: Arc::default(),
            documents: Arc::default(),
            runs: Vec::new(),
            current: RoaringBitmap::new(),
            superseded_rows: 0,
            triples_max,
        }
    }

    /// Numbers and sorts changes; readers see nothing of it yet.
    ///
    /// # Errors
    /// [`IndexFailure`]; then nothing has changed that a reader could notice.
    pub fn stage(&mut self, changes: Vec<Change>) -> Result<Staged, IndexFailure> {
        let dictionary = Arc::clone(&self.dictionary);
        let mut batch = dictionary.batch();
        let mut quads = Vec::new();
        let mut numbered = Vec::with_capacity(changes.len());
        let rows: u64 = self.runs.iter().map(|run| run.len() as u64).sum();
        for change in changes {
            numbered.push(match change {
                Change::Put {
                    resource,
                    storage,
                    name,
                    version,
                    graph,
                    triples,
                } => {
                    let total = rows + quads.len() as u64 + triples.len() as u64;
                    if total > self.triples_max.saturating_add(self.superseded_rows) {
                        return Err(IndexFailure::Triples(total));
                    }
                    let document = DocumentId(self.documents.len());
                    let graph = batch.number(&graph.into())?;
                    let entry = Document {
                        resource,
                        storage,
                        name: name.clone(),
                        version,
                        graph,
                        triples: u32::try_from(triples.len()).unwrap_or(u32::MAX),
                    };
                    self.documents.push(entry).map_err(|_| IndexFailure::Documents)?;
                    number_triples(&mut batch, document, &triples, &mut quads)?;
                    Numbered::Put {
                        document,
                        resource,
                        storage,
                        version,
                        name,
                    }
                }
                Change::Remove { resource } => Numbered::Remove(resource),
                Change::PutList {
                    subject,
                    list,
                    version,
                    mentions,
                } => Numbered::PutList(subject, list, version, mentions),
                Change::RemoveList { subject } => Numbered::RemoveList(subject),
            });
        }
        batch.publish()?;
        Ok(Staged {
            changes: numbered,
            run: Run::new(&quads),
        })
    }

    /// Makes staged changes part of the next snapshot and of the names.
    pub fn commit(&mut self, staged: Staged, names: &mut Names) {
        for change in staged.changes {
            match change {
                Numbered::Put {
                    document,
                    resource,
                    storage,
                    version,
                    name,
                } => {
                    self.supersede(resource, names);
                    names.put(name, (resource, storage), document, version);
                    self.current.insert(document.0);
                }
                Numbered::Remove(resource) => self.supersede(resource, names),
                Numbered::PutList(subject, list, version, mentions) => {
                    names.put_list(&subject, list, version, mentions);
                }
                Numbered::RemoveList(subject) => names.remove_list(&subject),
            }
        }
        if !staged.run.is_empty() {
            self.runs.push(Arc::new(staged.run));
        }
        self.merge();
    }

    fn supersede(&mut self, resource: ResourceId, names: &mut Names) {
        let Some((document, _)) = names.version(resource) else {
            return;
        };
        self.current.remove(document.0);
        if let Some(entry) = self.documents.value(document.0) {
            self.superseded_rows += u64::from(entry.triples);
            names.forget(&entry.name, resource);
        }
    }

    /// Restores the order of sizes, and drops superseded rows when they are the larger part.
    fn merge(&mut self) {
        let rows: u64 = self.runs.iter().map(|run| run.len() as u64).sum();
        let all = self.superseded_rows > GARBAGE_MIN && self.superseded_rows > rows / 2;
        let mut first = self.runs.len();
        let mut size = 0;
        for (position, run) in self.runs.iter().enumerate().rev() {
            if !all && position + 1 < self.runs.len() && run.len() >= size * SHRINK {
                break;
            }
            first = position;
            size += run.len();
        }
        if self.runs.len() - first < 2 && !all {
            return;
        }
        let merged = {
            let tail: Vec<&Run> = self.runs.iter().skip(first).map(AsRef::as_ref).collect();
            Run::merge(&tail, |document| self.current.contains(document))
        };
        let before: u64 = self.runs.iter().skip(first).map(|run| run.len() as u64).sum();
        self.superseded_rows = self.superseded_rows.saturating_sub(before - merged.len() as u64);
        self.runs.truncate(first);
        if !merged.is_empty() {
            self.runs.push(Arc::new(merged));
        }
    }

    /// Whether most document numbers are superseded, so that a rebuild would free most of the terms too.
    #[must_use]
    pub fn wants_rebuild(&self) -> bool {
        let used = u64::from(self.documents.len());
        used > GARBAGE_MIN && self.current.len() < used / 4
    }

    /// The state as a query sees it.
    #[must_use]
    pub fn snapshot(&self, sequence: Sequence) -> IndexSnapshot {
        IndexSnapshot {
            dictionary: Arc::clone(&self.dictionary),
            documents: Arc::clone(&self.documents),
            runs: self.runs.clone(),
            current: DocumentSet::new(&self.current),
            sequence,
        }
    }
}

fn number_triples(
    batch: &mut Batch<'_>,
    document: DocumentId,
    triples: &[Triple],
    quads: &mut Vec<Quad>,
) -> Result<(), IndexFailure> {
    let mut blanks = Blanks {
        document,
        labels: HashMap::new(),
    };
    // Triples of one subject follow each other in almost every document.
    let mut last: Option<(&NamedOrBlankNode, TermId)> = None;
    for triple in triples {
        let subject = match last {
            Some((node, number)) if *node == triple.subject => number,
            _ => batch.number(&blanks.scope(&triple.subject.clone().into()))?,
        };
        last = Some((&triple.subject, subject));
        quads.push(Quad {
            subject: subject.number(),
            predicate: batch.number(&triple.predicate.clone().into())?.number(),
            object: batch.number(&blanks.scope(&triple.object))?.number(),
            document: document.0,
        });
    }
    Ok(())
}

/// The label of one blank node of one document version. The letter between the two numbers is not a hexadecimal digit,
/// so that no two nodes share a label.
fn label(document: u32, node: usize) -> BlankNode {
    BlankNode::new_unchecked(format!("d{document:x}n{node:x}"))
}

/// Gives the blank nodes of a document labels that no other document version uses.
struct Blanks {
    document: DocumentId,
    labels: HashMap<BlankNode, BlankNode>,
}

impl Blanks {
    fn label(&mut self, node: &BlankNode) -> BlankNode {
        let next = self.labels.len();
        let document = self.document.0;
        self.labels
            .entry(node.clone())
            .or_insert_with(|| label(document, next))
            .clone()
    }

    fn scope(&mut self, term: &Term) -> Term {
        match term {
            Term::BlankNode(node) => self.label(node).into(),
            Term::Triple(triple) => {
                let subject = match &triple.subject {
                    NamedOrBlankNode::BlankNode(node) => self.label(node).into(),
                    NamedOrBlankNode::NamedNode(node) => NamedOrBlankNode::from(node.clone()),
                };
                Term::Triple(Box::new(Triple::new(
                    subject,
                    triple.predicate.clone(),
                    self.scope(&triple.object),
                )))
            }
            other => other.clone(),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::{Index, IndexLimits};
    use super::*;

    const DOCUMENTS: u32 = 40;
    const NODES: u32 = 200;

    /// Blank nodes of different documents stay different nodes, however many of both there are (RDF 1.1 Concepts §3.4).
    #[test]
    fn no_two_blank_nodes_of_many_documents_become_one() {
        let index = Index::new(IndexLimits::default());
        let predicate = NamedNode::new("https://example.org/p").unwrap();
        let changes = (0..DOCUMENTS).map(|document| {
            let graph = NamedNode::new(format!("https://example.org/{document}")).unwrap();
            let triple = |node| {
                Triple::new(
                    BlankNode::new_unchecked(format!("n{node}")),
                    predicate.clone(),
                    graph.clone(),
                )
            };
            Change::Put {
                resource: ResourceId(document.into()),
                storage: StorageId(1),
                name: ResourceName::parse(&format!("/{document}")).unwrap(),
                version: Sequence(1),
                triples: (0..NODES).map(triple).collect(),
                graph,
            }
        });
        index.apply(changes.collect(), Sequence(1)).unwrap();
        let nodes_graphs_and_predicate = DOCUMENTS * NODES + DOCUMENTS + 1;
        assert_eq!(index.size().terms, nodes_graphs_and_predicate);
    }
}
