//! A number that changes whenever a policy document changes, so that cached decisions die at the next request
//! (invariant 8).

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::RwLock;

use crate::name::{Auxiliary, ResourceName};
use crate::store::{Change, CommitListener, Event, RecordKind, Snapshot};

/// Counts changes of policy documents. What was computed under an older number is void.
#[derive(Debug, Default)]
pub struct PolicyEpoch {
    current: AtomicU64,
    groups: RwLock<HashSet<ResourceName>>,
}

impl PolicyEpoch {
    /// Local group documents that are followed; beyond it every commit counts as a change of policy.
    const GROUPS_MAX: usize = 100_000;

    /// The present number. Read it before the snapshot that a computation rests on.
    pub fn now(&self) -> u64 {
        self.current.load(Ordering::Acquire)
    }

    /// From now on a change of this document is a change of policy.
    pub fn follow_group(&self, document: &ResourceName) {
        if self.groups.read().contains(document) {
            return;
        }
        self.groups.write().insert(document.clone());
        // Changes between the caller's snapshot and this moment went unseen.
        self.current.fetch_add(1, Ordering::AcqRel);
    }

    /// Whether a document is a group on which decisions rest.
    pub fn follows(&self, document: &ResourceName) -> bool {
        self.groups.read().contains(document)
    }

    fn concerns(&self, change: &Change, groups: &HashSet<ResourceName>) -> bool {
        match change {
            // A list that goes with its subject has an event of its own.
            Change::Created { name, .. } | Change::Updated { name, .. } | Change::Deleted { name, .. } => {
                name.as_str().ends_with(Auxiliary::Acl.suffix()) || groups.contains(name)
            }
            // What a decision rests on is kept when it is made: once it was purged, the decision has to be made anew.
            Change::Record { kind, deleted, .. } => {
                *kind == RecordKind::AuthorizationSystem || (*deleted && *kind == RecordKind::Evidence)
            }
        }
    }
}

impl CommitListener for PolicyEpoch {
    fn committed(&self, _: &dyn Snapshot, events: &[Event]) {
        let groups = self.groups.read();
        let many = groups.len() > Self::GROUPS_MAX;
        if many || events.iter().any(|event| self.concerns(&event.change, &groups)) {
            self.current.fetch_add(1, Ordering::AcqRel);
        }
    }
}
