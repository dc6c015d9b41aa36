//! Writing to the audit log: readable records become salted commitments, addressed to the storages that may read them
//! (ARCHITECTURE §6, AUD-1, AUD-6).
//!
//! It never decides what is recorded: whoever decides brings the record, and hands nothing out before the entry is
//! durable (invariant 5).

mod event;
mod people;
mod recorder;
mod sealed;

use std::sync::Arc;

use policies::audit::{self, AuditRecord};
use roaring::RoaringBitmap;
use server_kit::clock::Clock;
use server_kit::random::Random;

pub use event::Event;
pub use people::{Gathered, People, Person, by_iri};
pub use recorder::UseRecorder;
pub use sealed::{Sealed, SealedError, hash};

use crate::origins::Origins;
use crate::store::{AuditEntry, CommitError, Snapshot, StorageId, Store, StoreError, Transaction, Warrant, commit};

/// Makes audit entries and appends those that have no other commit to ride on.
pub struct AuditWriter {
    node: String,
    store: Arc<dyn Store>,
    random: Arc<dyn Random>,
    clock: Arc<dyn Clock>,
    people: Arc<People>,
}

impl AuditWriter {
    /// A writer for the node on these origins. It listens to the store, so that an erased secret is forgotten.
    #[must_use]
    pub fn new(origins: Origins, store: Arc<dyn Store>, random: Arc<dyn Random>, clock: Arc<dyn Clock>) -> Self {
        let node = origins.base_url().to_owned();
        let people = Arc::new(People::new(origins));
        store.listen(Arc::clone(&people) as _);
        Self {
            node,
            store,
            random,
            clock,
            people,
        }
    }

    /// The secrets that tie records to people, for proofs.
    #[must_use]
    pub fn people(&self) -> &People {
        &self.people
    }

    /// A record of something that happened now at this node.
    #[must_use]
    pub fn record(&self, event: &Event<'_>) -> AuditRecord {
        let mut record = AuditRecord::new(
            self.random.uuid(),
            self.clock.now(),
            self.node.as_str(),
            event.action,
            event.outcome,
        );
        record.agent = event.actor.map(str::to_owned);
        record.client = event.client.map(str::to_owned);
        record.agreement = event.agreement.map(str::to_owned);
        record.purpose = event.purpose.map(str::to_owned);
        record.targets = event.targets.iter().map(|target| (*target).to_owned()).collect();
        record.reasons = event.reasons.clone();
        record
    }

    /// An empty record with identity, time and node filled in, for callers that fill in the rest themselves.
    #[must_use]
    pub fn blank(&self, action: audit::AuditAction, outcome: audit::Outcome) -> AuditRecord {
        AuditRecord::new(
            self.random.uuid(),
            self.clock.now(),
            self.node.as_str(),
            action,
            outcome,
        )
    }

    /// The entry of a record: salted, with a commitment for each person concerned, addressed to the owners of `owners` and
    /// to the data subjects in `subjects` (storage identities). Secrets that do not exist yet are made, and are durable
    /// before any entry that is appended after this call.
    ///
    /// # Errors
    /// When the store cannot say who the people are. Then nothing may be handed out.
    pub fn entry(
        &self,
        record: AuditRecord,
        owners: &[StorageId],
        subjects: &RoaringBitmap,
        snapshot: &dyn Snapshot,
    ) -> Result<AuditEntry, StoreError> {
        let Gathered { people, fresh } = self.people.gather(subjects, snapshot, &*self.random)?;
        if !fresh.is_empty() {
            // The queue of commits keeps its order: these are durable no later than the entry.
            self.people.keep(&*self.store, fresh);
        }
        self.seal(record, owners, subjects, &people)
    }

    /// The entry of a record that concerns nobody but the owners who see it.
    ///
    /// # Errors
    /// When the record cannot be written.
    pub fn entry_without_subjects(&self, record: AuditRecord, owners: &[StorageId]) -> Result<AuditEntry, StoreError> {
        self.seal(record, owners, &RoaringBitmap::new(), &[])
    }

    /// The same as [`Self::entry`] inside a transaction, which then also makes the missing secrets; appends the entry.
    ///
    /// # Errors
    /// As [`Self::entry`], and when the append fails; the transaction must then not commit.
    pub fn append_within(
        &self,
        record: AuditRecord,
        owners: &[StorageId],
        subjects: &RoaringBitmap,
        transaction: &mut dyn Transaction,
    ) -> Result<u64, StoreError> {
        let Gathered { people, fresh } = {
            let snapshot: &dyn Snapshot = transaction;
            self.people.gather(subjects, snapshot, &*self.random)?
        };
        People::keep_within(transaction, &fresh)?;
        let entry = self.seal(record, owners, subjects, &people)?;
        transaction.audit(&entry)
    }

    /// Appends an entry that rides on no other commit, and waits until it is durable. Concurrent entries share a sync.
    ///
    /// # Errors
    /// When the store cannot write. Then nothing may be handed out.
    pub async fn append(&self, entry: AuditEntry) -> Result<u64, StoreError> {
        let warrant = Warrant::without_proof("an audit entry that records a refusal, a query or the reading of a log");
        let appended = commit::<u64, StoreError>(
            &*self.store,
            warrant,
            Box::new(move |transaction| transaction.audit(&entry).map_err(CommitError::Store)),
        )
        .await;
        match appended {
            Ok((leaf, _)) => Ok(leaf),
            Err(CommitError::Refused(error) | CommitError::Store(error)) => Err(error),
        }
    }

    fn seal(
        &self,
        mut record: AuditRecord,
        owners: &[StorageId],
        subjects: &RoaringBitmap,
        people: &[Arc<Person>],
    ) -> Result<AuditEntry, StoreError> {
        let root = audit::subjects_root(&by_iri(people), &record.id);
        record.subjects = subjects.len();
        record.subjects_root = (!subjects.is_empty()).then(|| hex::encode(root));
        let mut salt = [0; 32];
        self.random.fill(&mut salt);
        let (leaf, record) = Sealed::seal(&record, &salt, &root).map_err(|error| damaged(&error))?;
        Ok(AuditEntry {
            leaf,
            record,
            storages: owners.to_vec(),
            subjects: serialized(subjects)?,
        })
    }
}

fn serialized(subjects: &RoaringBitmap) -> Result<Vec<u8>, StoreError> {
    if subjects.is_empty() {
        return Ok(Vec::new());
    }
    let mut bytes = Vec::with_capacity(subjects.serialized_size());
    subjects.serialize_into(&mut bytes)?;
    Ok(bytes)
}

fn damaged(error: &dyn std::fmt::Display) -> StoreError {
    StoreError::Damaged(format!("an audit record cannot be written: {error}"))
}
