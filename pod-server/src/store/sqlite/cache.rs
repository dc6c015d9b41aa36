//! What the store remembers in memory, so that a hot read needs no database.
//!
//! It must never show a state after a newer one was acknowledged or seen. Two rules hold that: the writer strikes out
//! every name that a group touches *before* the group commits, and a reader may enter what it read only if no
//! later commit is known to have touched the name since its view began.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use parking_lot::Mutex;
use quick_cache::Weighter;
use quick_cache::sync::Cache;

use super::config::StoreConfig;
use crate::name::{Auxiliary, ResourceName};
use crate::store::{Resource, Sequence};

/// Touched names that are remembered to judge late readers.
const TOUCHED_MAX: usize = 16_384;

/// Rough cost of one entry beside its text and bytes.
const ENTRY_BYTES: u64 = 192;

/// A remembered answer: the resource, or that there is none.
#[derive(Clone)]
struct Entry {
    resource: Option<Arc<Resource>>,
    /// The answer holds for views of this commit and later ones.
    valid_from: Sequence,
}

#[derive(Clone)]
struct EntryWeighter;

impl Weighter<ResourceName, Entry> for EntryWeighter {
    fn weight(&self, name: &ResourceName, entry: &Entry) -> u64 {
        let text = name.as_str().len() as u64;
        let resource = entry
            .resource
            .as_ref()
            .map_or(0, |resource| 128 + resource.media_type.len() as u64);
        ENTRY_BYTES + text + resource
    }
}

#[derive(Clone)]
struct BodyWeighter;

impl Weighter<BodyKey, Bytes> for BodyWeighter {
    fn weight(&self, _: &BodyKey, bytes: &Bytes) -> u64 {
        ENTRY_BYTES + bytes.len() as u64
    }
}

/// Identity and version of a body: its bytes never change.
type BodyKey = (i64, u64);

/// Which commit touched a name last, for as many names as fit.
#[derive(Default)]
struct Touched {
    last: HashMap<ResourceName, u64>,
    order: VecDeque<(u64, ResourceName)>,
    /// Everything touched after this commit is in `last`.
    complete_after: u64,
}

impl Touched {
    fn touch(&mut self, name: &ResourceName, sequence: u64) {
        self.last.insert(name.clone(), sequence);
        self.order.push_back((sequence, name.clone()));
        while self.order.len() > TOUCHED_MAX {
            let Some((dropped, name)) = self.order.pop_front() else {
                break;
            };
            self.complete_after = self.complete_after.max(dropped);
            if self.last.get(&name) == Some(&dropped) {
                self.last.remove(&name);
            }
        }
    }

    fn unchanged_since(&self, name: &ResourceName, view: u64) -> bool {
        view >= self.complete_after && self.last.get(name).is_none_or(|&touched| touched <= view)
    }
}

/// The caches of one store.
pub(super) struct Caches {
    resources: Cache<ResourceName, Entry, EntryWeighter>,
    bodies: Cache<BodyKey, Bytes, BodyWeighter>,
    touched: Mutex<Touched>,
    /// Counts the groups that touched an access control list.
    acl_changes: AtomicU64,
}

impl Caches {
    pub(super) fn new(config: &StoreConfig, committed: Sequence) -> Self {
        let entries = usize::try_from(config.resource_cache_bytes_max / 512).unwrap_or(usize::MAX);
        let bodies = usize::try_from(config.body_cache_bytes_max / 4_096).unwrap_or(usize::MAX);
        Self {
            resources: Cache::with_weighter(entries, config.resource_cache_bytes_max, EntryWeighter),
            bodies: Cache::with_weighter(bodies, config.body_cache_bytes_max, BodyWeighter),
            touched: Mutex::new(Touched {
                complete_after: committed.0,
                ..Touched::default()
            }),
            acl_changes: AtomicU64::new(0),
        }
    }

    /// The answer as of now, if it is remembered: `Some(None)` means that there is no such resource.
    pub(super) fn latest(&self, name: &ResourceName) -> Option<Option<Arc<Resource>>> {
        self.resources.get(name).map(|entry| entry.resource)
    }

    /// The answer for a view of an earlier commit.
    pub(super) fn as_of(&self, name: &ResourceName, view: Sequence) -> Option<Option<Arc<Resource>>> {
        self.resources
            .get(name)
            .filter(|entry| entry.valid_from <= view)
            .map(|entry| entry.resource)
    }

    /// Remembers what a view found, unless that may be out of date.
    pub(super) fn remember(&self, name: &ResourceName, resource: Option<Arc<Resource>>, view: Sequence) {
        // The lock spans the check and the entry, so that no strike can fall between them.
        let touched = self.touched.lock();
        if touched.unchanged_since(name, view.0) {
            let valid_from = resource.as_ref().map_or(view, |resource| resource.version);
            self.resources.insert(name.clone(), Entry { resource, valid_from });
        }
    }

    /// Strikes out names that the commits up to `sequence` touch. Called before these commit.
    pub(super) fn strike<'n>(&self, names: impl Iterator<Item = &'n ResourceName>, sequence: Sequence) {
        let mut touched = self.touched.lock();
        let mut acl = false;
        for name in names {
            touched.touch(name, sequence.0);
            self.resources.remove(name);
            acl |= name.as_str().ends_with(Auxiliary::Acl.suffix());
        }
        if acl {
            self.acl_changes.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// Number of groups so far that touched an access control list: equal before and after several look-ups, these
    /// belong to one moment.
    pub(super) fn acl_changes(&self) -> u64 {
        self.acl_changes.load(Ordering::SeqCst)
    }

    pub(super) fn body(&self, resource: &Resource) -> Option<Bytes> {
        self.bodies.get(&(resource.id.0, resource.version.0))
    }

    pub(super) fn remember_body(&self, resource: &Resource, bytes: &Bytes) {
        self.bodies.insert((resource.id.0, resource.version.0), bytes.clone());
    }
}
