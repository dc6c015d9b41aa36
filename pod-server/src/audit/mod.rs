//! Writing to the audit log: readable records become salted commitments, addressed to the storages that may read them
//! (ARCHITECTURE §6, AUD-1, AUD-6).
//!
//! It never decides what is recorded: whoever decides brings the record, and hands nothing out before the entry is
//! durable (invariant 5).

mod event;
mod evidence;
mod gap;
mod observed;
mod people;
mod recorder;
mod sealed;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use policies::audit::{self, AuditRecord};
use roaring::RoaringBitmap;
use server_kit::clock::Clock;
use server_kit::random::Random;
use server_kit::trace;

pub use event::Event;
pub use evidence::{APART, Evidence};
pub use gap::{ERASURE, Purging, place};
pub use observed::{Observations, Observed, Sign};
pub use people::{Gathered, People, Person, by_iri};
pub use recorder::UseRecorder;
pub use sealed::{Sealed, SealedError, hash};

use crate::origins::Origins;
use crate::store::{
    AuditEntry, CommitError, ReadPermit, Snapshot, StorageId, Store, StoreError, Transaction, Warrant, commit, in_time,
};

/// How far behind the latest record the clock may be, in seconds, unless the operator says otherwise.
const BACK_SECONDS_MAX: i64 = 5;

/// Makes audit entries and appends those that have no other commit to ride on.
pub struct AuditWriter {
    node: String,
    store: Arc<dyn Store>,
    random: Arc<dyn Random>,
    clock: Arc<dyn Clock>,
    people: Arc<People>,
    observations: Observations,
    /// The latest time in the log, in Unix seconds, and how far behind it a record may be.
    latest: AtomicI64,
    back_seconds_max: i64,
}

impl AuditWriter {
    /// A writer for the node on these origins. It listens to the store, so that an erased secret is forgotten.
    #[must_use]
    pub fn new(origins: Origins, store: Arc<dyn Store>, random: Arc<dyn Random>, clock: Arc<dyn Clock>) -> Self {
        let node = origins.base_url().to_owned();
        let people = Arc::new(People::new(origins));
        store.listen(Arc::clone(&people) as _);
        let latest = AtomicI64::new(latest_in(&*store).unwrap_or(i64::MIN));
        Self {
            latest,
            back_seconds_max: BACK_SECONDS_MAX,
            node,
            store,
            random,
            clock,
            people,
            observations: Observations::default(),
        }
    }

    /// The same, with another bound on how far behind the latest record the clock may be, in seconds.
    #[must_use]
    pub fn with_clock_back(mut self, seconds: u32) -> Self {
        self.back_seconds_max = seconds.into();
        self
    }

    /// The secrets that tie records to people, for proofs.
    #[must_use]
    pub fn people(&self) -> &People {
        &self.people
    }

    /// What is watched for signs of misuse.
    #[must_use]
    pub const fn observations(&self) -> &Observations {
        &self.observations
    }

    /// A record of something that happened now at this node.
    #[must_use]
    pub fn record(&self, event: &Event<'_>) -> AuditRecord {
        let mut record = self.blank(event.action, event.outcome);
        record.agent = event.actor.map(str::to_owned);
        record.client = event.client.map(str::to_owned);
        record.agreement = event.agreement.map(str::to_owned);
        record.purpose = event.purpose.map(str::to_owned);
        record.targets = event.targets.iter().map(|target| (*target).to_owned()).collect();
        record.reasons = event.reasons.clone();
        record.duty.clone_from(&event.duty);
        record
    }

    /// An empty record with identity, time, node and trace filled in, for callers that fill in the rest themselves.
    #[must_use]
    pub fn blank(&self, action: audit::AuditAction, outcome: audit::Outcome) -> AuditRecord {
        let mut record = AuditRecord::new(
            self.random.uuid(),
            self.clock.now(),
            self.node.as_str(),
            action,
            outcome,
        );
        record.trace = trace::current().map(|context| context.trace_id());
        record
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
    /// When the store cannot write, or not in time. Then nothing may be handed out.
    pub async fn append(&self, entry: AuditEntry) -> Result<u64, StoreError> {
        in_time(&*self.store, self.appended(entry)).await
    }

    async fn appended(&self, entry: AuditEntry) -> Result<u64, StoreError> {
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

    /// Times in the log go forward. A clock that was put back would make the order of events doubtful, so nothing is recorded
    /// until it has caught up, and without a record nothing is done (T114).
    fn in_order(&self, time: i64) -> Result<(), StoreError> {
        let latest = self.latest.fetch_max(time, Ordering::AcqRel);
        if time.saturating_add(self.back_seconds_max) < latest {
            tracing::error!(
                behind = latest.saturating_sub(time),
                "the clock was put back: nothing is recorded until it has caught up"
            );
            return Err(StoreError::Busy(
                "the clock of the server was put back; its operator has been told",
            ));
        }
        Ok(())
    }

    fn seal(
        &self,
        mut record: AuditRecord,
        owners: &[StorageId],
        subjects: &RoaringBitmap,
        people: &[Arc<Person>],
    ) -> Result<AuditEntry, StoreError> {
        self.in_order(record.time.unix_timestamp())?;
        self.observations.record(&record, owners);
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

/// The time of the last readable record, in Unix seconds.
fn latest_in(store: &dyn Store) -> Option<i64> {
    let permit = ReadPermit::without_proof("the log goes on behind its last record");
    let snapshot = store.snapshot(permit).ok()?;
    let last = snapshot.audit_size().ok()?.checked_sub(1)?;
    let entry = snapshot.audit_details(last, 1).ok()?.pop()?;
    let sealed = Sealed::from_bytes(&entry.entry.record).ok()?;
    Some(sealed.record.time.unix_timestamp())
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
