//! One group: commits that share a transaction of the database, and its one sync.

use std::panic::{AssertUnwindSafe, catch_unwind};

use rusqlite::{Transaction as DatabaseTransaction, params};
use rustc_hash::FxHashSet;

use super::queue::{Job, Queued};
use super::rows::signed;
use super::write::{Surroundings, WriteTransaction};
use crate::name::ResourceName;
use crate::store::{
    AuditEntry, Check, Committed, ErasedDone, ErasedRun, Event, Sequence, StorageSet, StoreError, Transaction,
};

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
    /// Names whose state this group changes.
    pub(super) touched: FxHashSet<ResourceName>,
    pub(super) bytes: u64,
    changed: bool,
    /// Leaves of the audit log, as far as they were counted.
    leaves: Option<u64>,
    /// Why no part of the group can be kept.
    broken: Option<StoreError>,
}

/// Those who wait for a group.
pub(super) struct Waiting(Vec<(ErasedDone, Fate)>);

impl<'g> Group<'g> {
    pub(super) fn new(
        transaction: &'g DatabaseTransaction<'g>,
        around: &'g Surroundings<'g>,
        sequence: Sequence,
        leaves: Option<u64>,
        now: i64,
    ) -> Self {
        Self {
            transaction,
            around,
            now,
            sequence,
            told: Vec::new(),
            events: Vec::new(),
            touched: FxHashSet::default(),
            bytes: 0,
            changed: false,
            leaves,
            broken: None,
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

    /// Leaves of the audit log once the group is durable, as far as they were counted.
    pub(super) fn leaves(&self) -> Option<u64> {
        self.leaves
    }

    /// Whether nothing of the group can be kept: the database has given it up by itself, as it may on a full disk, or an
    /// entry without a savepoint was written in part.
    pub(super) fn is_lost(&self) -> bool {
        self.broken.is_some() || self.transaction.is_autocommit()
    }

    /// Why the group is lost.
    pub(super) fn why_lost(&mut self) -> StoreError {
        self.broken.take().unwrap_or_else(super::failure::full)
    }

    /// Carries out one commit.
    pub(super) fn run(&mut self, queued: Queued) {
        let Queued { entry, work } = queued;
        let (done, attempted) = match work {
            Job::Write(work) => (work.done, self.attempt(entry.as_ref(), work.run)),
            Job::Use(used) => (used.done, self.record(entry.as_ref(), used.holds)),
        };
        self.told.push((done, attempted.unwrap_or_else(Fate::Failed)));
    }

    /// Appends the entry of a use. Everything that can be wrong with it is looked at before the first row is written, so
    /// that it needs no savepoint: if a row cannot be written the disk is at fault, and the group fails whole.
    fn record(&mut self, entry: Option<&AuditEntry>, holds: Check) -> Result<Fate, StoreError> {
        let Some(entry) = entry else {
            return Err(StoreError::Misuse(
                "a use without an entry was to be recorded".to_owned(),
            ));
        };
        StorageSet::from_bytes(&entry.subjects)?;
        let mut inside = self.transaction();
        let held = catch_unwind(AssertUnwindSafe(|| holds(&inside)));
        let appended = match held {
            Ok(Ok(true)) => Some(inside.audit(entry)),
            _ => None,
        };
        let leaves = inside.leaves;
        let (_, _, bytes) = self.finish(inside);
        match (held, appended) {
            (_, Some(Ok(leaf))) => {
                self.sequence = Sequence(self.sequence.0 + 1);
                self.changed = true;
                self.bytes += bytes;
                self.leaves = leaves;
                Ok(Fate::Kept(Committed {
                    sequence: self.sequence,
                    leaf: Some(leaf),
                }))
            }
            (_, Some(Err(error))) => {
                self.broken = Some(error);
                Ok(Fate::RolledBack)
            }
            (Ok(Ok(_)), None) => Ok(Fate::RolledBack),
            (Ok(Err(error)), None) => Err(error),
            (Err(_), None) => Err(StoreError::Misuse("the check of a use panicked".to_owned())),
        }
    }

    /// The inside of the next commit. It borrows what the group has touched; [`Self::finish`] gives that back.
    fn transaction(&mut self) -> WriteTransaction<'g> {
        let touched = std::mem::take(&mut self.touched);
        WriteTransaction::new(
            self.transaction,
            self.around,
            self.sequence,
            self.leaves,
            touched,
            self.now,
        )
    }

    /// Ends the inside of a commit: its events, the names that it touched, its weight in bytes.
    fn finish(&mut self, inside: WriteTransaction<'g>) -> (Vec<Event>, Vec<ResourceName>, u64) {
        self.touched = inside.touched;
        inside.changes.into_parts(Sequence(self.sequence.0 + 1))
    }

    fn attempt(&mut self, entry: Option<&AuditEntry>, run: ErasedRun) -> Result<Fate, StoreError> {
        self.statement("SAVEPOINT one")?;
        let mut inside = self.transaction();
        // A panic inside the work concerns that commit alone; what it touched is rolled back with it.
        let outcome = catch_unwind(AssertUnwindSafe(|| run(&mut inside)));
        let fate = match outcome {
            Ok(true) if inside.broken => Err(StoreError::Misuse("a write inside the commit had failed".to_owned())),
            Ok(true) => conclude(&mut inside, entry).map(Some),
            Ok(false) => Ok(None),
            Err(_) => Err(StoreError::Misuse("the work of the commit panicked".to_owned())),
        };
        let (any, leaves) = (!inside.changes.is_empty(), inside.leaves);
        let (events, touched, bytes) = self.finish(inside);
        if self.is_lost() {
            return Err(fate.err().unwrap_or_else(super::failure::full));
        }
        match fate {
            Ok(Some(leaf)) => {
                self.statement("RELEASE one")?;
                if any {
                    self.sequence = Sequence(self.sequence.0 + 1);
                    self.changed = true;
                }
                self.leaves = leaves;
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
fn conclude(inside: &mut WriteTransaction<'_>, entry: Option<&AuditEntry>) -> Result<Option<u64>, StoreError> {
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
