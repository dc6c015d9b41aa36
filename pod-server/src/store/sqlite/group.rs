//! One group: commits that share a transaction of the database, and its one sync.

use std::panic::{AssertUnwindSafe, catch_unwind};

use rusqlite::{Transaction as DatabaseTransaction, params};

use super::rows::signed;
use super::write::{Surroundings, WriteTransaction};
use crate::name::ResourceName;
use crate::store::{
    AuditEntry, Committed, ErasedDone, ErasedRun, ErasedWork, Event, Sequence, StoreError, Transaction,
};

/// A commit that waits in the queue.
pub(super) struct Queued {
    pub(super) entry: Option<AuditEntry>,
    pub(super) work: ErasedWork,
}

/// What became of one commit, provided that its group becomes durable.
enum Fate {
    Kept(Committed),
    RolledBack,
    Failed(StoreError),
}

/// Events that are deleted at a time when they are too old, in commits.
const FORGET_COMMITS: u64 = 4_096;

/// A group that is still open.
pub(super) struct Group<'g> {
    transaction: &'g DatabaseTransaction<'g>,
    around: &'g Surroundings<'g>,
    now: i64,
    sequence: Sequence,
    told: Vec<(ErasedDone, Fate)>,
    pub(super) events: Vec<Event>,
    pub(super) touched: Vec<ResourceName>,
    pub(super) bytes: u64,
    changed: bool,
}

/// Those who wait for a group.
pub(super) struct Waiting(Vec<(ErasedDone, Fate)>);

impl<'g> Group<'g> {
    pub(super) fn new(
        transaction: &'g DatabaseTransaction<'g>,
        around: &'g Surroundings<'g>,
        sequence: Sequence,
        now: i64,
    ) -> Self {
        Self {
            transaction,
            around,
            now,
            sequence,
            told: Vec::new(),
            events: Vec::new(),
            touched: Vec::new(),
            bytes: 0,
            changed: false,
        }
    }

    /// Number of commits so far, refused ones included.
    pub(super) fn len(&self) -> usize {
        self.told.len()
    }

    /// The last commit of the group.
    pub(super) fn sequence(&self) -> Sequence {
        self.sequence
    }

    /// Whether there is anything to make durable.
    pub(super) fn changed(&self) -> bool {
        self.changed
    }

    /// Whether the database has given up the whole group by itself, as it may on a full disk.
    pub(super) fn is_lost(&self) -> bool {
        self.transaction.is_autocommit()
    }

    /// Carries out one commit in a savepoint of its own.
    pub(super) fn run(&mut self, queued: Queued) {
        let Queued { entry, work } = queued;
        let fate = match self.attempt(entry.as_ref(), work.run) {
            Ok(fate) => fate,
            Err(error) => Fate::Failed(error),
        };
        self.told.push((work.done, fate));
    }

    fn attempt(&mut self, entry: Option<&AuditEntry>, run: ErasedRun) -> Result<Fate, StoreError> {
        self.statement("SAVEPOINT one")?;
        let mut inside = WriteTransaction::new(self.transaction, self.around, self.sequence, self.now);
        // A panic inside the work concerns that commit alone; what it touched is rolled back with it.
        let outcome = catch_unwind(AssertUnwindSafe(|| run(&mut inside)));
        let fate = match outcome {
            Ok(true) if inside.broken => Err(StoreError::Misuse("a write inside the commit had failed".to_owned())),
            Ok(true) => finish(&mut inside, entry).map(Some),
            Ok(false) => Ok(None),
            Err(_) => Err(StoreError::Misuse("the work of the commit panicked".to_owned())),
        };
        let changes = inside.changes;
        if self.is_lost() {
            return Err(fate.err().unwrap_or_else(super::failure::full));
        }
        match fate {
            Ok(Some(leaf)) => {
                self.statement("RELEASE one")?;
                if !changes.is_empty() {
                    self.sequence = Sequence(self.sequence.0 + 1);
                    self.changed = true;
                }
                let (events, touched, bytes) = changes.into_parts(self.sequence);
                self.events.extend(events);
                self.touched.extend(touched);
                self.bytes += bytes;
                let sequence = self.sequence;
                Ok(Fate::Kept(Committed { sequence, leaf }))
            }
            Ok(None) => self.undo().map(|()| Fate::RolledBack),
            Err(error) => {
                self.undo()?;
                Ok(Fate::Failed(error))
            }
        }
    }

    fn undo(&self) -> Result<(), StoreError> {
        self.statement("ROLLBACK TO one")?;
        self.statement("RELEASE one")
    }

    fn statement(&self, sql: &str) -> Result<(), StoreError> {
        self.transaction.prepare_cached(sql)?.execute([])?;
        Ok(())
    }

    /// Writes the number of the last commit, and forgets events that are too old. Answers the commit after which events
    /// are still kept.
    pub(super) fn close(&self, events_after: Sequence, commits_kept: u64) -> Result<Sequence, StoreError> {
        let mut after = events_after;
        if self.sequence.0.saturating_sub(after.0) > commits_kept.saturating_add(FORGET_COMMITS) {
            after = Sequence(after.0 + FORGET_COMMITS);
            self.transaction
                .prepare_cached("DELETE FROM events WHERE sequence <= ?1")?
                .execute(params![signed(after.0)])?;
        }
        self.transaction
            .prepare_cached("UPDATE state SET sequence = ?1, events_after = ?2 WHERE id = 1")?
            .execute(params![signed(self.sequence.0), signed(after.0)])?;
        Ok(after)
    }

    /// Those who wait for the outcome.
    pub(super) fn into_waiting(self) -> (Waiting, Vec<Event>) {
        (Waiting(self.told), self.events)
    }
}

/// The audit leaf and the outbox of a commit whose work succeeded.
fn finish(inside: &mut WriteTransaction<'_>, entry: Option<&AuditEntry>) -> Result<Option<u64>, StoreError> {
    let leaf = entry.map(|entry| inside.audit(entry)).transpose()?;
    inside.store_changes()?;
    Ok(leaf)
}

impl Waiting {
    /// The group is durable up to `sequence`.
    pub(super) fn durable(self, sequence: Sequence) {
        for (done, fate) in self.0 {
            tell(
                done,
                match fate {
                    Fate::Kept(committed) => Ok(committed),
                    Fate::RolledBack => Ok(Committed { sequence, leaf: None }),
                    Fate::Failed(error) => Err(error),
                },
            );
        }
    }

    /// Nothing of the group is stored.
    pub(super) fn failed(self, reason: impl Fn() -> StoreError) {
        for (done, fate) in self.0 {
            tell(
                done,
                Err(match fate {
                    Fate::Failed(error) => error,
                    Fate::Kept(_) | Fate::RolledBack => reason(),
                }),
            );
        }
    }
}

/// Tells one commit its outcome; what the listener does with it must not end the writer.
pub(super) fn tell(done: ErasedDone, outcome: Result<Committed, StoreError>) {
    if catch_unwind(AssertUnwindSafe(|| done(outcome))).is_err() {
        tracing::error!("a caller panicked on hearing the outcome of its commit");
    }
}
