//! Hearing of commits: the store tells this listener of each durable commit, and it keeps what concerns somebody until
//! the deliverers take it.
//!
//! It runs on the store's writer and therefore only looks up and queues. If the queue is full, nothing is lost: from
//! there on the events are read from the outbox.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::records;
use super::registry::Registry;
use crate::authz::PolicyEpoch;
use crate::name::{Auxiliary, ResourceName};
use crate::store::{Change as Stored, CommitListener, Event, RecordKind, Sequence, Snapshot};

/// Policy documents that are remembered one by one; beyond it every right is looked at again.
const SCOPES_MAX: usize = 64;

/// What there is to do.
#[derive(Debug)]
pub enum Work {
    /// Tell of these events, which are whole commits.
    Tell(Vec<Event>),
    /// Read the outbox after this commit.
    Read(Sequence),
}

/// Whose rights are to be looked at again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Everyone's.
    All,
    /// Those on these resources, and on what lies below those that are containers.
    Below(Vec<ResourceName>),
}

impl Scope {
    /// Whether a topic is meant.
    #[must_use]
    pub fn covers(&self, topic: &ResourceName) -> bool {
        match self {
            Self::All => true,
            Self::Below(names) => names.iter().any(|name| {
                let subject = topic.auxiliary_subject().map(|(subject, _)| subject);
                let governed = subject.as_ref().unwrap_or(topic);
                governed == name || governed.is_within(name)
            }),
        }
    }
}

#[derive(Debug, Default)]
struct Waiting {
    events: VecDeque<Event>,
    /// From here the outbox has to be read: the queue was full, or the server has just started.
    read_after: Option<Sequence>,
    /// The last commit that was heard of.
    heard: Sequence,
    scope: Option<Scope>,
    epoch: u64,
    /// Work was given out and is not finished.
    given_out: bool,
}

/// The listener, and the queue behind it.
#[derive(Debug)]
pub struct Intake {
    registry: Arc<Registry>,
    epoch: Arc<PolicyEpoch>,
    events_max: usize,
    waiting: Mutex<Waiting>,
    told: Notify,
    rights_changed: Notify,
}

impl Intake {
    /// A listener that looks people up in a registry. Register it with the store after `epoch`, which it reads.
    #[must_use]
    pub fn new(registry: Arc<Registry>, epoch: Arc<PolicyEpoch>, events_max: usize) -> Self {
        let waiting = Waiting {
            epoch: epoch.now(),
            ..Waiting::default()
        };
        Self {
            registry,
            epoch,
            events_max,
            waiting: Mutex::new(waiting),
            told: Notify::new(),
            rights_changed: Notify::new(),
        }
    }

    /// Waits for work.
    pub async fn work(&self) -> Work {
        loop {
            {
                let mut waiting = self.waiting.lock();
                // Who asks for more has finished with what was given out before.
                waiting.given_out = false;
                if !waiting.events.is_empty() {
                    waiting.given_out = true;
                    return Work::Tell(std::mem::take(&mut waiting.events).into());
                }
                if let Some(after) = waiting.read_after {
                    waiting.given_out = true;
                    return Work::Read(after);
                }
            }
            self.told.notified().await;
        }
    }

    /// The commit up to which everything has been handed on; none while something is being handed on.
    #[must_use]
    pub fn settled(&self) -> Option<Sequence> {
        let waiting = self.waiting.lock();
        if waiting.given_out {
            return None;
        }
        let first = waiting
            .events
            .front()
            .map(|event| Sequence(event.sequence.0.saturating_sub(1)));
        Some(first.or(waiting.read_after).unwrap_or(waiting.heard))
    }

    /// Nobody takes work any more, and what was given out is finished.
    pub fn rest(&self) {
        self.waiting.lock().given_out = false;
    }

    /// The listener is registered: from here on it hears of every commit.
    pub fn begin(&self, newest: Sequence) {
        let mut waiting = self.waiting.lock();
        waiting.heard = waiting.heard.max(newest);
    }

    /// The outbox was read up to a commit. Once everything that was heard of is read, events come from memory again.
    pub fn read_up_to(&self, sequence: Sequence, all: bool) {
        let mut waiting = self.waiting.lock();
        waiting.read_after = if all && waiting.heard <= sequence {
            None
        } else {
            Some(sequence)
        };
    }

    /// Waits until policies have changed, and tells whose rights that concerns.
    pub async fn rights_changed(&self) -> Scope {
        loop {
            if let Some(scope) = self.waiting.lock().scope.take() {
                return scope;
            }
            self.rights_changed.notified().await;
        }
    }

    fn note_policies(&self, waiting: &mut Waiting, events: &[Event]) {
        let mut names = Vec::new();
        let mut all = false;
        for event in events {
            match &event.change {
                Stored::Created { name, .. } | Stored::Updated { name, .. } | Stored::Deleted { name, .. } => {
                    match name.auxiliary_subject() {
                        Some((subject, Auxiliary::Acl)) => names.push(subject),
                        // Anyone may be a member of a group.
                        _ => all |= self.epoch.follows(name),
                    }
                }
                Stored::Record { kind, .. } => all |= *kind == RecordKind::AuthorizationSystem,
            }
        }
        let scope = match waiting.scope.take() {
            Some(Scope::Below(mut before)) => {
                before.append(&mut names);
                Scope::Below(before)
            }
            None if !names.is_empty() => Scope::Below(names),
            // Something changed that is not known here.
            Some(Scope::All) | None => Scope::All,
        };
        waiting.scope = Some(match scope {
            Scope::Below(names) if !all && names.len() <= SCOPES_MAX => Scope::Below(names),
            _ => Scope::All,
        });
    }
}

impl CommitListener for Intake {
    fn committed(&self, _: &dyn Snapshot, events: &[Event]) {
        let Some(last) = events.last() else { return };
        for event in events {
            if let Stored::Record {
                kind: RecordKind::Notification,
                key,
                deleted: true,
            } = &event.change
                && let Some(id) = records::channel_of(key)
            {
                self.registry.end_gone(id);
            }
        }
        let concerned = events.iter().any(|event| self.registry.concerns(event));
        let epoch = self.epoch.now();
        let mut waiting = self.waiting.lock();
        waiting.heard = last.sequence;
        if epoch != waiting.epoch {
            waiting.epoch = epoch;
            self.note_policies(&mut waiting, events);
            self.rights_changed.notify_one();
        }
        if !concerned {
            return;
        }
        if waiting.read_after.is_none() {
            for commit in events.chunk_by(|a, b| a.sequence == b.sequence) {
                let Some(first) = commit.first() else { continue };
                let after = Sequence(first.sequence.0.saturating_sub(1));
                if waiting.events.len() + commit.len() > self.events_max {
                    waiting.read_after = Some(after);
                    break;
                }
                waiting.events.extend(commit.iter().cloned());
            }
        }
        drop(waiting);
        self.told.notify_one();
    }
}
