//! What one commit changed: its events in order, and every name whose state is another one now.

use std::collections::HashMap;

use rusqlite::{Connection, params};

use super::read::change;
use super::rows::{self, limit, signed};
use crate::name::ResourceName;
use crate::store::{Change, Event, RecordKind, ResourceId, Sequence, StoreError};

/// Changes of one commit on their way to the outbox.
#[derive(Default)]
pub(super) struct Changes {
    list: Vec<Change>,
    /// Resources that already have an event that tells followers to look again.
    told: HashMap<ResourceId, ()>,
    touched: Vec<ResourceName>,
    /// Something durable changed, be it without an event.
    any: bool,
    /// Bytes that this commit adds to its group.
    bytes: u64,
}

impl Changes {
    pub(super) fn created(&mut self, id: ResourceId, name: &ResourceName) {
        self.touch(name);
        self.told.insert(id, ());
        self.list.push(Change::Created { id, name: name.clone() });
    }

    pub(super) fn updated(&mut self, id: ResourceId, name: &ResourceName) {
        self.touch(name);
        if self.told.insert(id, ()).is_none() {
            self.list.push(Change::Updated { id, name: name.clone() });
        }
    }

    pub(super) fn deleted(&mut self, id: ResourceId, name: &ResourceName) {
        self.touch(name);
        self.told.remove(&id);
        self.list.push(Change::Deleted { id, name: name.clone() });
    }

    pub(super) fn record(&mut self, kind: RecordKind, key: &str, deleted: bool) {
        self.any = true;
        self.list.push(Change::Record {
            kind,
            key: key.to_owned(),
            deleted,
        });
    }

    /// A state changed without an event of its own.
    pub(super) fn touch(&mut self, name: &ResourceName) {
        self.any = true;
        self.touched.push(name.clone());
    }

    /// Something changed that no follower hears of, such as the audit log.
    pub(super) fn note(&mut self) {
        self.any = true;
    }

    pub(super) fn weigh(&mut self, bytes: usize) {
        self.bytes += bytes as u64;
    }

    pub(super) fn is_empty(&self) -> bool {
        !self.any
    }

    /// Writes the events to the outbox.
    pub(super) fn store(&self, connection: &Connection, sequence: Sequence) -> Result<(), StoreError> {
        let mut insert = connection.prepare_cached(
            "INSERT INTO events (sequence, ordinal, change, resource, record_kind, name) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?;
        for (ordinal, event) in self.list.iter().enumerate() {
            let (number, resource, kind, name) = match event {
                Change::Created { id, name } => (change::CREATED, Some(id.0), None, name.as_str()),
                Change::Updated { id, name } => (change::UPDATED, Some(id.0), None, name.as_str()),
                Change::Deleted { id, name } => (change::DELETED, Some(id.0), None, name.as_str()),
                Change::Record { kind, key, deleted } => {
                    let number = if *deleted {
                        change::RECORD_DELETED
                    } else {
                        change::RECORD_WRITTEN
                    };
                    (number, None, Some(rows::record_word(*kind)), key.as_str())
                }
            };
            insert.execute(params![
                signed(sequence.0),
                limit(ordinal),
                number,
                resource,
                kind,
                name
            ])?;
        }
        Ok(())
    }

    /// The events, the names touched, and the weight in bytes.
    pub(super) fn into_parts(self, sequence: Sequence) -> (Vec<Event>, Vec<ResourceName>, u64) {
        let events = self.list.into_iter().map(|change| Event { sequence, change }).collect();
        (events, self.touched, self.bytes)
    }
}
