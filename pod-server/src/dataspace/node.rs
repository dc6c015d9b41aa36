//! What every part of the dataspace stands on: the store, the clock, randomness, the audit writer and the server's name.

use std::sync::Arc;

use server_kit::clock::Clock;
use server_kit::problem::Problem;
use server_kit::random::Random;

use super::edge;
use crate::audit::{AuditWriter, Event};
use crate::name::ResourceName;
use crate::origins::Origins;
use crate::store::{CommitError, ReadPermit, Snapshot, Storage, Store, Transaction, Warrant, commit};

/// The surroundings of the dataspace, consent and log interfaces.
#[derive(Clone)]
pub struct Node {
    /// The truth.
    pub store: Arc<dyn Store>,
    /// The time of day.
    pub clock: Arc<dyn Clock>,
    /// Identifiers and salts.
    pub random: Arc<dyn Random>,
    /// Where every decision is recorded.
    pub audit: Arc<AuditWriter>,
    /// Where the resources of the server are.
    pub origins: Origins,
}

impl Node {
    /// A view of the store for the server's own records, which are no resources and have rules of their own here.
    ///
    /// # Errors
    /// 503 or 500 if the store fails.
    pub fn snapshot(&self) -> Result<Box<dyn Snapshot + Send + '_>, Problem> {
        self.store
            .snapshot(ReadPermit::without_proof(
                "dataspace, consent and log records are guarded by their own rules",
            ))
            .map_err(|error| edge::store_problem(&error))
    }

    /// The storage with a name.
    ///
    /// # Errors
    /// 404 if there is none.
    pub fn storage(&self, snapshot: &dyn Snapshot, name: &str) -> Result<Storage, Problem> {
        let missing = || edge::not_found(&format!("/{name}/"));
        let root = ResourceName::parse(&format!("/{name}/")).map_err(|_| missing())?;
        snapshot
            .storage(&root)
            .map_err(|error| edge::store_problem(&error))?
            .ok_or_else(missing)
    }

    /// Records something inside a transaction.
    ///
    /// # Errors
    /// 503 or 500 if it cannot be recorded: no audit, no effect (invariant 5).
    pub fn record(&self, transaction: &mut dyn Transaction, event: &Event<'_>) -> Result<(), Problem> {
        self.record_leaf(transaction, event).map(drop)
    }

    /// The same, with the position that the entry has in the log.
    ///
    /// # Errors
    /// As [`record`](Self::record).
    pub fn record_leaf(&self, transaction: &mut dyn Transaction, event: &Event<'_>) -> Result<u64, Problem> {
        self.audit
            .append_within(
                self.audit.record(event),
                &event.owners,
                &event.subject_set(),
                transaction,
            )
            .map_err(|error| edge::store_problem(&error))
    }

    /// Records something that writes nothing else, such as a refusal or the reading of a log, and waits until that is
    /// durable.
    ///
    /// # Errors
    /// 503 or 500 if it cannot be recorded.
    pub async fn note(&self, event: Event<'_>) -> Result<u64, Problem> {
        let entry = {
            let snapshot = self.snapshot()?;
            self.audit
                .entry(
                    self.audit.record(&event),
                    &event.owners,
                    &event.subject_set(),
                    &*snapshot,
                )
                .map_err(|error| edge::store_problem(&error))?
        };
        self.audit
            .append(entry)
            .await
            .map_err(|error| edge::store_problem(&error))
    }

    /// Carries out one transaction of records. `work` gets the node itself, so that it can make audit entries inside.
    ///
    /// # Errors
    /// The problem that `work` gives, or that of the store.
    pub async fn commit<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self, &mut dyn Transaction) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let node = self.clone();
        commit::<T, Problem>(
            &*self.store,
            Warrant::without_proof("dataspace, consent and log records; the entry is appended inside"),
            Box::new(move |transaction| work(&node, transaction).map_err(CommitError::Refused)),
        )
        .await
        .map(|(value, _)| value)
        .map_err(edge::commit_problem)
    }
}
