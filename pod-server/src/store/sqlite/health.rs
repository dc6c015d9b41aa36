//! Whether the store may still promise anything.
//!
//! After a failed sync nobody knows what the disk holds, and asking again may report success wrongly. So the store
//! stops for good; the process ends, and the next start recovers from what is really there (invariant 4).

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::watch;

use crate::store::StoreError;

/// The state of a store's promises.
pub(super) struct Health {
    stopped: watch::Sender<bool>,
    /// The disk is full: only deletions, records and audit entries are taken.
    full: AtomicBool,
}

impl Health {
    pub(super) fn new() -> Self {
        Self {
            stopped: watch::Sender::new(false),
            full: AtomicBool::new(false),
        }
    }

    pub(super) fn watch(&self) -> watch::Receiver<bool> {
        self.stopped.subscribe()
    }

    pub(super) fn is_stopped(&self) -> bool {
        *self.stopped.borrow()
    }

    /// Stops the store for good.
    pub(super) fn stop(&self, reason: &str) {
        if !self.stopped.send_replace(true) {
            tracing::error!(reason, "the store has stopped; the process must end and start again");
        }
    }

    /// Stops the store because a sync failed; answers the error to hand on.
    pub(super) fn sync_failed(&self, what: &str, error: std::io::Error) -> StoreError {
        self.stop(&format!("syncing {what} failed: {error}"));
        StoreError::File(error)
    }

    pub(super) fn is_full(&self) -> bool {
        self.full.load(Ordering::Relaxed)
    }

    pub(super) fn set_full(&self, full: bool) {
        if self.full.swap(full, Ordering::Relaxed) != full {
            tracing::warn!(full, "room on the disk changed");
        }
    }

    /// Refuses while nothing may grow.
    pub(super) fn check_room(&self) -> Result<(), StoreError> {
        if self.is_stopped() {
            return Err(StoreError::Stopped);
        }
        if self.is_full() {
            return Err(StoreError::Full("the disk is full".to_owned()));
        }
        Ok(())
    }
}
