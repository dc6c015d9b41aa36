//! From events of the store to the changes that subscribers hear of (solid#107).
//!
//! A commit that makes a member is told twice: to those who follow the member (`Create`) and to those who follow its
//! container (`Add`). The container's own event, which only says that its listing moved, is then left out.

use std::collections::HashSet;

use vocab::as2;

use crate::name::ResourceName;
use crate::store::{Change as Stored, Event, Sequence};

/// Place of a change in the order of everything that happened: the commit, and the number inside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Position {
    /// Commit.
    pub sequence: Sequence,
    /// Number of the change in its commit.
    pub ordinal: u32,
}

impl Position {
    /// Reads the text of [`Display`](std::fmt::Display), as it comes back in `Last-Event-ID`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (sequence, ordinal) = text.split_once('.')?;
        Some(Self {
            sequence: Sequence(sequence.parse().ok()?),
            ordinal: ordinal.parse().ok()?,
        })
    }
}

impl std::fmt::Display for Position {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.sequence.0, self.ordinal)
    }
}

/// Activity types of Activity Streams that notifications use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Activity {
    /// The topic is new.
    Create,
    /// The topic has a new state.
    Update,
    /// The topic is gone.
    Delete,
    /// The topic, a container, has a new member.
    Add,
    /// The topic, a container, has lost a member.
    Remove,
}

impl Activity {
    /// Its name in Activity Streams.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Create => "Create",
            Self::Update => "Update",
            Self::Delete => "Delete",
            Self::Add => "Add",
            Self::Remove => "Remove",
        }
    }

    /// Its IRI.
    #[must_use]
    pub const fn iri(self) -> &'static str {
        match self {
            Self::Create => as2::CREATE,
            Self::Update => as2::UPDATE,
            Self::Delete => as2::DELETE,
            Self::Add => as2::ADD,
            Self::Remove => as2::REMOVE,
        }
    }
}

/// One change of one topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Place in the order of changes.
    pub position: Position,
    /// What those who hear of it follow.
    pub topic: ResourceName,
    /// What happened.
    pub activity: Activity,
    /// To which resource; the topic itself, or its member.
    pub object: ResourceName,
}

/// The changes of some events, in order. All events of a commit must be among them.
#[must_use]
pub fn changes(events: &[Event]) -> Vec<Change> {
    let mut changes = Vec::new();
    for commit in events.chunk_by(|a, b| a.sequence == b.sequence) {
        of_commit(commit, &mut changes);
    }
    changes
}

fn of_commit(events: &[Event], changes: &mut Vec<Change>) {
    let relisted: HashSet<ResourceName> = events
        .iter()
        .filter_map(|event| match &event.change {
            Stored::Created { name, .. } | Stored::Deleted { name, .. } => container_of(name),
            _ => None,
        })
        .collect();
    let mut ordinal = 0;
    let mut tell = |event: &Event, topic: &ResourceName, activity, object: &ResourceName| {
        changes.push(Change {
            position: Position {
                sequence: event.sequence,
                ordinal,
            },
            topic: topic.clone(),
            activity,
            object: object.clone(),
        });
        ordinal += 1;
    };
    for event in events {
        let (name, own, membership) = match &event.change {
            Stored::Created { name, .. } => (name, Activity::Create, Some(Activity::Add)),
            Stored::Deleted { name, .. } => (name, Activity::Delete, Some(Activity::Remove)),
            Stored::Updated { name, .. } if relisted.contains(name) => continue,
            Stored::Updated { name, .. } => (name, Activity::Update, None),
            Stored::Record { .. } => continue,
        };
        tell(event, name, own, name);
        if let (Some(membership), Some(container)) = (membership, container_of(name)) {
            tell(event, &container, membership, name);
        }
    }
}

/// The container whose listing shows a resource; none for auxiliary resources and for the root of a storage.
#[must_use]
pub fn container_of(name: &ResourceName) -> Option<ResourceName> {
    if name.auxiliary_subject().is_some() {
        return None;
    }
    name.parent().filter(|parent| !parent.is_root())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::store::{RecordKind, ResourceId};

    fn name(path: &str) -> ResourceName {
        ResourceName::parse(path).unwrap()
    }

    fn told(events: Vec<(u64, Stored)>) -> Vec<String> {
        let events: Vec<Event> = events
            .into_iter()
            .map(|(sequence, change)| Event {
                sequence: Sequence(sequence),
                change,
            })
            .collect();
        changes(&events)
            .iter()
            .map(|change| {
                let Change {
                    position,
                    topic,
                    activity,
                    object,
                } = change;
                format!("{position} {topic} {} {object}", activity.name())
            })
            .collect()
    }

    fn created(path: &str) -> Stored {
        Stored::Created {
            id: ResourceId(1),
            name: name(path),
        }
    }

    fn updated(path: &str) -> Stored {
        Stored::Updated {
            id: ResourceId(1),
            name: name(path),
        }
    }

    /// solid#107: a member is added to its container; the container's listing is not told twice.
    #[test]
    fn a_commit_is_told_to_the_resource_and_to_its_container() {
        let events = vec![
            (7, created("/a/b/")),
            (7, updated("/a/")),
            (7, created("/a/b/c")),
            (8, created("/a/b/c.acl")),
            (9, updated("/a/")),
            (
                9,
                Stored::Record {
                    kind: RecordKind::Server,
                    key: "x".into(),
                    deleted: false,
                },
            ),
            (
                10,
                Stored::Deleted {
                    id: ResourceId(1),
                    name: name("/a/b/c"),
                },
            ),
        ];
        assert_eq!(
            told(events),
            [
                "7.0 /a/b/ Create /a/b/",
                "7.1 /a/ Add /a/b/",
                "7.2 /a/b/c Create /a/b/c",
                "7.3 /a/b/ Add /a/b/c",
                "8.0 /a/b/c.acl Create /a/b/c.acl",
                "9.0 /a/ Update /a/",
                "10.0 /a/b/c Delete /a/b/c",
                "10.1 /a/b/ Remove /a/b/c",
            ]
        );
        assert_eq!(
            Position::parse("7.3").map(|position| position.to_string()).as_deref(),
            Some("7.3")
        );
        assert_eq!(Position::parse("7"), None);
    }
}
