//! The one writer: takes what waits, commits it as a group with one sync, and tells everyone.
//!
//! Nobody hears of a commit before its group is durable. When a group cannot be made durable for any reason other than
//! a full disk, the store stops for good: a sync is never tried a second time (invariant 4).

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::Shared;
use super::blobs::BlobDirectory;
use super::cache::Caches;
use super::checkpoint::Checkpoints;
use super::failure::{self, Meaning};
use super::group::{Group, Waiting};
use super::lock::DirectoryLock;
use super::queue::{Queue, Queued};
use super::read::Reads;
use super::reserve::Reserve;
use super::sweep;
use super::write::Surroundings;
use crate::store::{Event, Sequence, StoreError};

/// How often the writer looks after the store when nothing else calls it.
const ROUND: Duration = Duration::from_secs(1);

/// Everything that only the writer's thread touches.
pub(super) struct Writer {
    pub(super) connection: Connection,
    pub(super) shared: Arc<Shared>,
    pub(super) queue: Arc<Queue>,
    /// Commits that were taken from the queue and did not fit into the last group.
    pub(super) taken: VecDeque<Queued>,
    pub(super) checkpoints: Checkpoints,
    pub(super) reserve: Reserve,
    pub(super) sequence: Sequence,
    pub(super) events_after: Sequence,
    /// Leaves of the audit log, as far as they were counted.
    pub(super) leaves: Option<u64>,
    /// Commits in the group before this one.
    pub(super) last_group: usize,
    /// When they were told.
    pub(super) last_told: Instant,
    pub(super) last_round: Instant,
    /// Released last, when nothing is written any more.
    pub(super) _lock: DirectoryLock,
}

/// Why a group is not durable.
struct GroupFailure {
    meaning: Meaning,
    reason: String,
}

impl GroupFailure {
    fn of(error: &rusqlite::Error) -> Self {
        Self {
            meaning: failure::meaning(error),
            reason: error.to_string(),
        }
    }

    fn of_store(error: &StoreError) -> Self {
        match error {
            StoreError::Database(error) => Self::of(error),
            StoreError::Full(_) => Self {
                meaning: Meaning::Full,
                reason: error.to_string(),
            },
            other => Self {
                meaning: Meaning::Fatal,
                reason: other.to_string(),
            },
        }
    }

    fn told(&self) -> StoreError {
        match self.meaning {
            Meaning::Full => failure::full(),
            Meaning::Busy => StoreError::Busy("another program holds the database"),
            Meaning::Fatal => StoreError::Stopped,
        }
    }
}

impl Writer {
    /// As [`Writer::run`]; should the writer itself panic, the store stops.
    pub(super) fn run_guarded(self) {
        let (health, queue) = (Arc::clone(&self.shared.health), Arc::clone(&self.queue));
        if catch_unwind(AssertUnwindSafe(|| self.run())).is_err() {
            health.stop("the writer panicked");
        }
        // Nobody may wait for a writer that is gone.
        queue.close();
        for queued in queue.take(0, usize::MAX, Duration::ZERO) {
            queued.refuse(StoreError::Stopped);
        }
    }

    /// Works until nobody can queue any more, or until the store has stopped.
    fn run(mut self) {
        while !self.taken.is_empty() || !self.queue.has_ended() {
            if self.taken.is_empty() {
                let taken_max = self.shared.config.group_commits_max.max(1);
                self.taken = self.queue.take(1, taken_max, ROUND);
            }
            if self.shared.health.is_stopped() {
                for queued in self.taken.drain(..) {
                    queued.refuse(StoreError::Stopped);
                }
            } else if !self.taken.is_empty() {
                self.group();
                if self.shared.health.is_full() {
                    // The background copy may have found the disk full before any commit did.
                    self.reserve.release();
                }
                self.checkpoints.between_groups(&self.connection);
            }
            if self.last_round.elapsed() >= ROUND {
                self.round();
                self.last_round = Instant::now();
            }
        }
        self.checkpoints.end();
        Checkpoints::everything(&self.connection, &self.shared.health);
    }

    /// One group, from its first commit to the last one told.
    fn group(&mut self) {
        let shared = Arc::clone(&self.shared);
        let around = Surroundings {
            blobs: &shared.blobs,
            caches: &shared.caches,
            health: &shared.health,
            inline_bytes_max: shared.config.inline_bytes_max,
            quota_bytes_max: shared.config.quota_bytes_max,
        };
        let transaction = match Transaction::new_unchecked(&self.connection, TransactionBehavior::Immediate) {
            Ok(transaction) => transaction,
            Err(error) => {
                let failure = GroupFailure::of(&error);
                for queued in self.taken.drain(..) {
                    queued.refuse(failure.told());
                }
                self.after_failure(&failure);
                return;
            }
        };
        let mut group = Group::new(&transaction, &around, self.sequence, self.leaves, shared.clock.unix());
        let likely_back = self.likely_back();
        fill(&mut group, &mut self.taken, &self.queue, &shared, likely_back);
        self.last_group = group.len();
        let (sequence, changed, leaves) = (group.sequence(), group.changed(), group.leaves());
        let closed = if group.is_lost() {
            Err(group.why_lost())
        } else if changed {
            // Struck out before the commit, so that no reader can see the new state first and the old one after.
            shared.caches.strike(group.touched.iter(), sequence);
            group.close(self.events_after, shared.config.event_commits_max)
        } else {
            Ok(self.events_after)
        };
        let (waiting, events) = group.into_waiting();
        let began = Instant::now();
        let durable = match closed {
            Ok(after) if changed => transaction
                .commit()
                .map(|()| after)
                .map_err(|error| GroupFailure::of(&error)),
            Ok(after) => transaction
                .rollback()
                .map(|()| after)
                .map_err(|error| GroupFailure::of(&error)),
            Err(error) => {
                drop(transaction);
                Err(GroupFailure::of_store(&error))
            }
        };
        match durable {
            Ok(after) => {
                self.events_after = after;
                self.leaves = leaves;
                if changed {
                    metrics::histogram!("store_sync_seconds").record(began.elapsed().as_secs_f64());
                    metrics::histogram!("store_group_commits").record(self.last_group as f64);
                }
                self.announce(waiting, &events, sequence);
            }
            Err(failure) => {
                self.leaves = None;
                waiting.failed(|| failure.told());
                self.after_failure(&failure);
            }
        }
    }

    /// The group is durable: listeners first, then those who follow, then those who wait.
    fn announce(&mut self, waiting: Waiting, events: &[Event], sequence: Sequence) {
        let advanced = sequence > self.sequence;
        self.sequence = sequence;
        if !events.is_empty() {
            let view = AfterCommit {
                connection: &self.connection,
                shared: &self.shared,
                sequence,
            };
            for listener in self.shared.listeners.read().iter() {
                // A listener keeps caches that decide about access: one that failed may be out of date for ever.
                if catch_unwind(AssertUnwindSafe(|| listener.committed(&view, events))).is_err() {
                    self.shared.health.stop("a listener panicked");
                }
            }
        }
        if advanced {
            self.shared.committed.send_replace(sequence);
        }
        waiting.durable(sequence);
        self.last_told = Instant::now();
    }

    /// How many of those who were told of the last group may come back at any moment: nobody, if that is long ago.
    fn likely_back(&self) -> usize {
        let wait_max = Duration::from_micros(self.shared.config.group_wait_micros_max);
        match self.last_told.elapsed() <= wait_max {
            true => self.last_group,
            false => 0,
        }
    }

    fn after_failure(&self, failure: &GroupFailure) {
        tracing::warn!(reason = failure.reason, meaning = ?failure.meaning, "a group of commits failed");
        match failure.meaning {
            Meaning::Full => {
                self.shared.health.set_full(true);
                self.reserve.release();
            }
            Meaning::Busy => {}
            Meaning::Fatal => self
                .shared
                .health
                .stop(&format!("committing failed: {}", failure.reason)),
        }
    }

    /// Looks after the store: takes unused blobs away, and sees whether a full disk has room again.
    fn round(&self) {
        let shared = &self.shared;
        if shared.health.is_stopped() {
            return;
        }
        let grace = Duration::from_secs(shared.config.blob_grace_seconds);
        if let Err(error) = sweep::round(&self.connection, &shared.blobs, grace) {
            tracing::warn!(%error, "unused blobs could not be removed");
        }
        if shared.health.is_full() && self.reserve.hold().is_ok() {
            shared.health.set_full(false);
        }
    }
}

/// Carries out what was taken and what comes while the group is open. What does not fit stays in `taken`.
fn fill(group: &mut Group<'_>, taken: &mut VecDeque<Queued>, queue: &Queue, shared: &Shared, likely_back: usize) {
    let config = &shared.config;
    let began = Instant::now();
    let wait_max = Duration::from_micros(config.group_wait_micros_max);
    let pause_max = Duration::from_micros(config.group_pause_micros_max);
    loop {
        while let Some(queued) = taken.pop_front() {
            group.run(queued);
            if group.is_lost() || group.len() >= config.group_commits_max || group.bytes >= config.group_bytes_max {
                return;
            }
        }
        // Those who were told of the last group are likely to be back in a moment: one sync serves them all.
        let missing = likely_back.saturating_sub(group.len());
        let wait = if missing > 0 {
            wait_max.saturating_sub(began.elapsed()).min(pause_max)
        } else {
            Duration::ZERO
        };
        *taken = queue.take(missing, config.group_commits_max - group.len(), wait);
        if taken.is_empty() {
            return;
        }
    }
}

/// What listeners see: the state that the group has just made.
struct AfterCommit<'w> {
    connection: &'w Connection,
    shared: &'w Shared,
    sequence: Sequence,
}

impl Reads for AfterCommit<'_> {
    fn connection(&self) -> Result<&Connection, StoreError> {
        Ok(self.connection)
    }

    fn as_of(&self) -> Sequence {
        self.sequence
    }

    fn blobs(&self) -> &BlobDirectory {
        &self.shared.blobs
    }

    fn caches(&self) -> Option<&Caches> {
        None
    }
}
