//! `/{storage}/.log`: each storage's own part of the audit log, every entry with the proof that it is in the log.
//!
//! A data subject also gets the proof that an entry concerns them, and nothing about the others whom it concerns but
//! their number (AUD-7). Reading the log is itself recorded (AUD-15).

use std::sync::Arc;

use http::{Method, StatusCode, header};
use policies::audit::{AuditAction, SubjectProof, to_prov};
use policies::decision::ReasonCode;
use roaring::RoaringBitmap;
use serde::{Deserialize, Serialize};
use server_kit::problem::Problem;

use super::checkpoint::Checkpoints;
use super::gather::Witnesses;
use super::witness::Witness;
use crate::audit::{Event, Sealed, by_iri};
use crate::dataspace::config::DataspaceConfig;
use crate::dataspace::edge::{self, Answer, Call};
use crate::dataspace::graph::{self, Syntax};
use crate::dataspace::node::Node;
use crate::store::{Snapshot, Storage, StoreError, StoredAuditEntry};

/// People in one entry up to whose number the proofs of a whole page are made; beyond it a proof is made on demand.
const PAGE_SUBJECTS_MAX: u64 = 1_000;

/// Entries on a page unless the caller asks for another number.
const PAGE_ENTRIES: usize = 50;

/// A part of the log that anyone can check offline.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LogExport {
    /// Public key of the log.
    pub vkey: String,
    /// The signed note that all proofs lead to.
    pub checkpoint: String,
    /// The entries, newest first.
    pub entries: Vec<ProvenEntry>,
    /// The `before` of the next page; none on the last one.
    #[serde(default)]
    pub next: Option<u64>,
    /// Proof that the log still contains an earlier checkpoint, when one was named.
    #[serde(default)]
    pub consistency: Option<Consistency>,
}

/// One entry with its proofs. Hashes are hexadecimal.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ProvenEntry {
    /// Position in the log.
    pub leaf: u64,
    /// The readable record with its salt.
    #[serde(flatten)]
    pub sealed: Sealed,
    /// Inclusion path to the root of the checkpoint.
    pub proof: Vec<String>,
    /// Proof that the entry concerns the reader.
    #[serde(default)]
    pub subject: Option<ProvenSubject>,
}

/// That an entry concerns a person.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ProvenSubject {
    /// IRI of the person's storage.
    pub person: String,
    /// The proof.
    #[serde(flatten)]
    pub proof: SubjectProof,
}

/// That the log contains an earlier state of itself (RFC 9162 §2.1.4).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Consistency {
    /// Leaves of the earlier state.
    pub from: u64,
    /// Path, hexadecimal.
    pub proof: Vec<String>,
}

/// What is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// Only entries before this position.
    pub before: Option<u64>,
    /// Only this entry.
    pub leaf: Option<u64>,
    /// At most this many.
    pub limit: Option<usize>,
    /// Also prove that a state of this many leaves is contained.
    pub from: Option<u64>,
}

/// The readers' side of the audit log.
#[derive(Clone)]
pub struct OwnLog {
    /// What it stands on.
    pub node: Node,
    /// Bounds and choices.
    pub config: Arc<DataspaceConfig>,
    /// Where proofs lead to.
    pub checkpoints: Arc<Checkpoints>,
    /// Who cosigns them.
    pub witnesses: Arc<Witnesses>,
    /// This server's word on the logs of others, if it is to give it.
    pub witness: Option<Arc<Witness>>,
}

impl OwnLog {
    /// Answers a call on `/{storage}/.log` or below `/log/`; none for any other path.
    pub async fn respond(&self, call: &Call) -> Option<Answer> {
        if let Some(answer) = super::publish::respond(self, call).await {
            return Some(answer);
        }
        let segments: Vec<&str> = call.path.trim_start_matches('/').split('/').collect();
        match segments.as_slice() {
            [storage, ".log"] => Some(self.own(call, storage).await),
            _ => None,
        }
    }

    async fn own(&self, call: &Call, storage: &str) -> Answer {
        if call.method != Method::GET {
            return Err(edge::method_not_allowed(&call.method, "GET"));
        }
        let caller = call.web_id()?.as_str();
        let storage = self.node.storage(&*self.node.snapshot()?, storage)?;
        if caller != storage.owner {
            let reasons = vec![ReasonCode::AclDoesNotGrant];
            let event = Event::refused(AuditAction::Audit, Some(caller), storage.id, reasons).on(&call.iri);
            self.node.note(event).await?;
            return Err(edge::not_found(&call.iri));
        }
        let page = Page {
            before: number(call, "before")?,
            leaf: number(call, "leaf")?,
            limit: number(call, "limit")?.map(|limit| usize::try_from(limit).unwrap_or(usize::MAX)),
            from: number(call, "from")?,
        };
        let export = self.read(&storage, caller, page).await?;
        match wanted_rdf(call) {
            Some(syntax) => provenance(&export, syntax),
            None => edge::json(StatusCode::OK, &export),
        }
    }

    /// Reads a page of a storage's log for its owner, and records that.
    ///
    /// # Errors
    /// 404 for a single entry that does not concern the storage; 503 or 500 if the store fails.
    pub async fn read(&self, storage: &Storage, reader: &str, page: Page) -> Result<LogExport, Problem> {
        let iri = format!("{}.log", storage.root.iri(&self.node.origins));
        self.node
            .note(Event::done(AuditAction::Audit, reader, storage.id).on(&iri))
            .await?;
        let (size, note) = self.checkpoints.current().await?;
        let snapshot = self.node.snapshot()?;
        self.assemble(&*snapshot, storage, page, size, note)
            .map_err(|error| edge::store_problem(&error))?
            .ok_or_else(|| edge::not_found(&format!("{iri}?leaf={}", page.leaf.unwrap_or_default())))
    }

    /// One entry of a storage's log with its proof, for somebody whom it also concerns, and records that they read it. Whose
    /// data it was is not proved in it.
    ///
    /// # Errors
    /// 404 if the storage has no such entry; 503 or 500 if the store fails.
    pub async fn entry(&self, storage: &Storage, leaf: u64, reader: &str, about: &str) -> Result<LogExport, Problem> {
        self.node
            .note(Event::done(AuditAction::Audit, reader, storage.id).on(about))
            .await?;
        let (size, note) = self.checkpoints.current().await?;
        let snapshot = self.node.snapshot()?;
        let page = Page {
            leaf: Some(leaf),
            ..Page::default()
        };
        let mut found = self
            .assemble(&*snapshot, storage, page, size, note)
            .map_err(|error| edge::store_problem(&error))?
            .ok_or_else(|| edge::not_found(about))?;
        for entry in &mut found.entries {
            entry.subject = None;
        }
        Ok(found)
    }

    fn assemble(
        &self,
        snapshot: &dyn Snapshot,
        storage: &Storage,
        page: Page,
        size: u64,
        note: String,
    ) -> Result<Option<LogExport>, StoreError> {
        let (before, limit) = match page.leaf {
            Some(leaf) => (leaf.saturating_add(1), 1),
            None => (
                page.before.unwrap_or(u64::MAX),
                page.limit
                    .unwrap_or(PAGE_ENTRIES)
                    .clamp(1, self.config.page_entries_max),
            ),
        };
        let found = snapshot.audit_entries(storage.id, Some(before.min(size)), limit)?;
        if let Some(leaf) = page.leaf
            && found.first().is_none_or(|entry| entry.leaf_index != leaf)
        {
            return Ok(None);
        }
        let next = (page.leaf.is_none() && found.len() == limit)
            .then(|| found.last().map(|entry| entry.leaf_index))
            .flatten();
        let mut entries = Vec::with_capacity(found.len());
        for entry in &found {
            entries.push(self.prove(snapshot, storage, entry, size, page.leaf.is_some())?);
        }
        let consistency = match page.from {
            Some(from) if from <= size => Some(Consistency {
                from,
                proof: texts(&snapshot.audit_consistency(from, size)?),
            }),
            _ => None,
        };
        Ok(Some(LogExport {
            vkey: self.checkpoints.verifier().to_string(),
            checkpoint: note,
            entries,
            next,
            consistency,
        }))
    }

    fn prove(
        &self,
        snapshot: &dyn Snapshot,
        storage: &Storage,
        entry: &StoredAuditEntry,
        size: u64,
        single: bool,
    ) -> Result<ProvenEntry, StoreError> {
        let sealed = Sealed::from_bytes(&entry.entry.record)
            .map_err(|error| StoreError::Damaged(format!("audit record {}: {error}", entry.leaf_index)))?;
        let subject = if single || sealed.record.subjects <= PAGE_SUBJECTS_MAX {
            self.prove_subject(snapshot, storage, entry, &sealed)?
        } else {
            None
        };
        Ok(ProvenEntry {
            leaf: entry.leaf_index,
            sealed,
            proof: texts(&snapshot.audit_inclusion(entry.leaf_index, size)?),
            subject,
        })
    }

    fn prove_subject(
        &self,
        snapshot: &dyn Snapshot,
        storage: &Storage,
        entry: &StoredAuditEntry,
        sealed: &Sealed,
    ) -> Result<Option<ProvenSubject>, StoreError> {
        if entry.entry.subjects.is_empty() {
            return Ok(None);
        }
        let subjects = RoaringBitmap::deserialize_from(entry.entry.subjects.as_slice())?;
        if !u32::try_from(storage.id.0).is_ok_and(|id| subjects.contains(id)) {
            return Ok(None);
        }
        let Some(people) = self.node.audit.people().known(&subjects, snapshot)? else {
            return Ok(None);
        };
        let person = storage.root.iri(&self.node.origins);
        let erased = snapshot.audit_erased(entry.leaf_index)?;
        let proof = SubjectProof::make_beside(&by_iri(&people), &erased, &person, &sealed.record.id);
        Ok(proof.map(|proof| ProvenSubject { person, proof }))
    }
}

/// The RDF syntax that is asked for by name; JSON with proofs is the answer to everything else.
fn wanted_rdf(call: &Call) -> Option<Syntax> {
    let accept = call
        .headers
        .get(header::ACCEPT)
        .and_then(|value| value.to_str().ok())
        .unwrap_or("");
    match accept {
        accept if accept.contains("text/turtle") => Some(Syntax::Turtle),
        accept if accept.contains("application/ld+json") => Some(Syntax::JsonLd),
        _ => None,
    }
}

/// The entries in the terms of PROV-O (AUD-2). Proofs stand in the JSON alone.
fn provenance(export: &LogExport, syntax: Syntax) -> Answer {
    let mut triples = Vec::new();
    for entry in &export.entries {
        match to_prov(&entry.sealed.record) {
            Ok(quads) => triples.extend(quads.into_iter().map(oxrdf::Triple::from)),
            // What was tried on something that is no IRI is left out of the graph; the JSON has it.
            Err(error) => tracing::warn!(leaf = entry.leaf, %error, "an audit record has no form in RDF"),
        }
    }
    let bytes = graph::write(&triples, syntax).map_err(|error| {
        tracing::error!(%error, "a log cannot be written as RDF");
        Problem::internal()
    })?;
    edge::respond(StatusCode::OK, syntax.media_type(), bytes)
}

fn texts(hashes: &[[u8; 32]]) -> Vec<String> {
    hashes.iter().map(hex::encode).collect()
}

fn number(call: &Call, name: &str) -> Result<Option<u64>, Problem> {
    call.parameter(name)
        .map(|text| {
            text.parse().map_err(|_| {
                Problem::bad_request("invalid-parameter", "A parameter is not a number")
                    .detail(format!("`{name}={text}`: give a whole number"))
            })
        })
        .transpose()
}
