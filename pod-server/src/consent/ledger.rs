//! Whose consent covers a use, for everyone on this server at once (CON-12, CON-13).
//!
//! The ledger holds no truth of its own: it is built from the records and follows their commits, on the writer's thread
//! and before anyone hears that a commit is durable, so that a withdrawal counts before it is acknowledged (invariant
//! 8). What covers what is decided in `policies::consent`, once for each kind of consent; time is kept apart, in
//! [`Coverage`]. A consent takes some forty bytes, so that a million people with twenty each fit into a gigabyte: its key is
//! kept as a digest with a secret. Two keys with one digest, which one in a hundred thousand servers of that size would
//! have, count for less than both, never for more.

use std::collections::{BTreeSet, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use parking_lot::RwLock;
use policies::consent::{ConsentRecord, ConsentStatus, ConsentedData, Recipients, Use, covers};
use policies::purpose::Hierarchy;
use policies::request::WebId;
use quick_cache::sync::Cache;
use roaring::RoaringBitmap;
use time::OffsetDateTime;

use super::coverage::{Coverage, Span, nanoseconds};
use super::covering::{Covering, WantedUse};
use super::stored::{StoredConsent, load};
use crate::name::ResourceName;
use crate::store::{Change, CommitListener, Event, ReadPermit, RecordKind, Snapshot, Store, StoreError};

/// Records read at a time while the ledger is built.
const BATCH: usize = 1_000;

/// Stands for the storage in the one record that is asked about for a whole kind of consents.
const ANY_STORAGE: &str = "https://any.invalid/";

/// A use whose consent is looked up.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// WebID of the one who receives the data.
    pub recipient: &'a str,
    /// The stated purpose.
    pub purpose: &'a str,
    /// IRI of the dataset under whose agreement the data is used.
    pub dataset: &'a str,
    /// Unix seconds since when the dataset has covered no more than it does now. A consent to the dataset that was given
    /// before was given to less, and does not count.
    pub dataset_since: i64,
    /// Path of the container below the root of each storage (`telraam/`), or none when only a consent to the whole
    /// dataset counts.
    pub container: Option<&'a str>,
    /// The predicates that would be shown; none for all. A consent to some predicates covers nothing that shows others.
    pub properties: Option<&'a BTreeSet<String>>,
}

/// Uses for which it is kept who consents.
const COVERINGS_MAX: usize = 64;

/// All consents of this server, arranged for look-up.
pub struct ConsentLedger {
    held: RwLock<Held>,
    coverings: Cache<WantedUse, Arc<Covering>>,
}

impl Default for ConsentLedger {
    fn default() -> Self {
        Self {
            held: RwLock::default(),
            coverings: Cache::new(COVERINGS_MAX),
        }
    }
}

#[derive(Default)]
struct Held {
    hasher: RandomState,
    kinds: Vec<Option<Kind>>,
    /// The place of each kind, by its content.
    places: HashMap<String, u32>,
    /// Which storage a name stands for, by the digest of the name.
    storages: HashMap<u64, u32>,
    people: HashMap<u32, Vec<Placed>>,
    /// Changes with each kind that comes or goes.
    epoch: u64,
}

/// A consent of a person.
#[derive(Clone, Copy)]
struct Placed {
    record: u64,
    span: Span,
    kind: u32,
}

/// Consents that differ only in the person and in time.
struct Kind {
    /// Their common content, valid at every instant.
    sample: ConsentRecord,
    coverage: Coverage,
}

/// A use, matched with the kinds of consent that cover it, so that one person after the other can be looked up.
#[derive(Clone, Debug)]
pub struct Matched {
    epoch: u64,
    kinds: Vec<(u32, By)>,
    since: i64,
}

impl ConsentLedger {
    /// Builds the ledger from the records of a store.
    ///
    /// # Errors
    /// When the store fails or a record is damaged: a server that does not know who consents does not start.
    pub fn build(store: &dyn Store) -> Result<Self, StoreError> {
        let ledger = Self::default();
        let snapshot = store.snapshot(ReadPermit::without_proof(
            "the ledger of consents is built when the server starts",
        ))?;
        let mut after: Option<String> = None;
        loop {
            let batch = snapshot.records(RecordKind::Consent, "", after.as_deref(), BATCH)?;
            let last = batch.len() < BATCH;
            for (key, bytes) in batch {
                let consent: Option<StoredConsent> = crate::dataspace::agreement::read_json(Some(bytes), &key)?;
                ledger.held.write().place(&*snapshot, &key, consent.as_ref())?;
                after = Some(key);
            }
            if last {
                return Ok(ledger);
            }
        }
    }

    /// Takes in a consent of a storage, as the commit of its record does.
    ///
    /// # Errors
    /// When its content cannot be written down.
    pub fn hold(&self, key: &str, storage: u32, record: &ConsentRecord) -> Result<(), StoreError> {
        let mut held = self.held.write();
        held.displace(key);
        held.insert(key, storage, record)
    }

    /// The storages (identities) whose owners consent to a use at an instant.
    #[must_use]
    pub fn covering(&self, wanted: &Wanted<'_>, now: OffsetDateTime) -> Arc<RoaringBitmap> {
        let (key, at) = (WantedUse::of(wanted), nanoseconds(now));
        let held = self.held.read();
        if let Some(known) = self.coverings.get(&key)
            && known.holds(held.epoch, &|number| Some(held.kind(number)?.coverage.changes()), at)
        {
            return Arc::clone(&known.storages);
        }
        let (mut storages, mut kinds, mut until) = (RoaringBitmap::new(), Vec::new(), i64::MAX);
        for (number, by) in held.matched(wanted, now) {
            storages |= held.covered(number, by, wanted.dataset_since, now);
            if let Some(kind) = held.kind(number) {
                kinds.push((number, kind.coverage.changes()));
                until = until.min(kind.coverage.next_change(at, &|storage| held.spans_of(storage, number)));
            }
        }
        let storages = Arc::new(storages);
        let covering = Covering {
            epoch: held.epoch,
            kinds,
            from: at,
            until,
            storages: Arc::clone(&storages),
        };
        self.coverings.insert(key, Arc::new(covering));
        storages
    }

    /// The kinds of consent that cover a use.
    #[must_use]
    pub fn matched(&self, wanted: &Wanted<'_>, now: OffsetDateTime) -> Matched {
        let held = self.held.read();
        let matched = Matched {
            epoch: held.epoch,
            kinds: held.matched(wanted, now),
            since: wanted.dataset_since.saturating_mul(1_000_000_000),
        };
        let now = nanoseconds(now);
        let settled = |number: u32| held.kind(number).is_none_or(|kind| kind.coverage.is_settled_for(now));
        if matched.kinds.iter().any(|(number, _)| !settled(*number)) {
            drop(held);
            self.held.write().settle(&matched, now);
        }
        matched
    }

    /// Whether the owner of a storage consents to a use at an instant; none when the kinds of consent are others by now,
    /// and the use has to be matched again.
    #[must_use]
    pub fn covers(&self, matched: &Matched, storage: u32, now: OffsetDateTime) -> Option<bool> {
        let held = self.held.read();
        if held.epoch != matched.epoch {
            return None;
        }
        let now = nanoseconds(now);
        let counts = |(number, by): &(u32, By)| {
            let settled = held.kind(*number).and_then(|kind| kind.coverage.settled(storage, now));
            match (settled, by) {
                (Some(false), _) => false,
                (Some(true), By::Container) => true,
                _ => {
                    let since = if *by == By::Container { i64::MIN } else { matched.since };
                    let spans = held.people.get(&storage).map_or(&[][..], Vec::as_slice);
                    let ours = spans.iter().filter(|placed| placed.kind == *number);
                    ours.into_iter()
                        .any(|placed| placed.span.contains(now) && placed.span.from >= since)
                }
            }
        };
        Some(matched.kinds.iter().any(counts))
    }

    /// The storages whose owners consent, at an instant, to some use by somebody of a container of a dataset.
    #[must_use]
    pub fn reaching(&self, dataset: &str, dataset_since: i64, container: &str, now: OffsetDateTime) -> RoaringBitmap {
        let held = self.held.read();
        let mut reached = RoaringBitmap::new();
        for (number, kind) in held.numbered() {
            let recipient = match &kind.sample.recipients {
                Recipients::Any => ANY_STORAGE,
                Recipients::These(these) => these.iter().next().map_or(ANY_STORAGE, WebId::as_str),
            };
            let Some(purpose) = kind.sample.purposes.iter().next() else {
                continue;
            };
            let wanted = Wanted {
                recipient,
                purpose,
                dataset,
                dataset_since,
                container: Some(container),
                properties: kind.sample.data.properties.as_ref(),
            };
            if let Some(by) = kind.covers(&wanted, now) {
                reached |= held.covered(number, by, dataset_since, now);
            }
        }
        reached
    }

    /// Number of kinds of consents, for the operator.
    #[must_use]
    pub fn kinds(&self) -> usize {
        self.held.read().places.len()
    }
}

impl CommitListener for ConsentLedger {
    fn committed(&self, snapshot: &dyn Snapshot, events: &[Event]) {
        for event in events {
            let Change::Record {
                kind: RecordKind::Consent,
                key,
                deleted,
            } = &event.change
            else {
                continue;
            };
            let mut held = self.held.write();
            let consent = if *deleted { Ok(None) } else { load(snapshot, key) };
            let placed = consent.and_then(|consent| held.place(snapshot, key, consent.as_ref()));
            if let Err(error) = placed {
                // What cannot be read covers nothing.
                held.displace(key);
                tracing::error!(%key, %error, "a consent cannot be read and counts as withdrawn");
            }
        }
    }
}

impl Held {
    /// Puts a record where its present version belongs.
    fn place(&mut self, snapshot: &dyn Snapshot, key: &str, consent: Option<&StoredConsent>) -> Result<(), StoreError> {
        self.displace(key);
        let Some(record) = consent.and_then(StoredConsent::current) else {
            return Ok(());
        };
        match storage_of(snapshot, key)? {
            Some(storage) => self.insert(key, storage, record),
            None => Ok(()),
        }
    }

    /// Puts a record of a storage where it belongs, if it is given.
    fn insert(&mut self, key: &str, storage: u32, record: &ConsentRecord) -> Result<(), StoreError> {
        let (Some(from), true) = (record.given_at, record.status.permits()) else {
            return Ok(());
        };
        let sample = sample(record);
        let content = serde_json::to_string(&sample).map_err(|error| StoreError::Damaged(error.to_string()))?;
        let kind = match self.places.get(&content) {
            Some(place) => *place,
            None => self.add_kind(content, sample)?,
        };
        let (name, id) = self.digests(key);
        self.storages.insert(name, storage);
        let consents = self.people.entry(storage).or_default();
        let before = spans(consents, kind);
        consents.reserve_exact(1);
        consents.push(Placed {
            record: id,
            span: Span::new(from, record.expires_at),
            kind,
        });
        let after = spans(consents, kind);
        if let Some(Some(kind)) = self.kinds.get_mut(kind as usize) {
            kind.coverage.forget(storage, &before);
            kind.coverage.note(storage, &after);
        }
        Ok(())
    }

    fn add_kind(&mut self, content: String, sample: ConsentRecord) -> Result<u32, StoreError> {
        let place = self.kinds.iter().position(Option::is_none).unwrap_or(self.kinds.len());
        let number = u32::try_from(place).map_err(|error| StoreError::Damaged(error.to_string()))?;
        let kind = Some(Kind {
            sample,
            coverage: Coverage::default(),
        });
        match self.kinds.get_mut(place) {
            Some(free) => *free = kind,
            None => self.kinds.push(kind),
        }
        self.places.insert(content, number);
        self.epoch += 1;
        Ok(number)
    }

    /// Takes a record out.
    fn displace(&mut self, key: &str) {
        let (name, id) = self.digests(key);
        let Some(storage) = self.storages.get(&name).copied() else {
            return;
        };
        let Some(consents) = self.people.get_mut(&storage) else {
            return;
        };
        let Some(position) = consents.iter().position(|placed| placed.record == id) else {
            return;
        };
        let number = consents.get(position).map_or(0, |placed| placed.kind);
        let before = spans(consents, number);
        consents.remove(position);
        let after = spans(consents, number);
        if consents.is_empty() {
            self.people.remove(&storage);
            self.storages.remove(&name);
        }
        if let Some(Some(kind)) = self.kinds.get_mut(number as usize) {
            kind.coverage.forget(storage, &before);
            kind.coverage.note(storage, &after);
            if kind.coverage.is_empty() {
                self.drop_kind(number);
            }
        }
    }

    fn drop_kind(&mut self, number: u32) {
        if let Some(place) = self.kinds.get_mut(number as usize) {
            *place = None;
        }
        self.places.retain(|_, place| *place != number);
        self.epoch += 1;
    }

    /// The digests of the storage's name and of the whole of a key.
    fn digests(&self, key: &str) -> (u64, u64) {
        let name = key.split('/').next().unwrap_or_default();
        (self.hasher.hash_one(name), self.hasher.hash_one(key))
    }

    fn kind(&self, number: u32) -> Option<&Kind> {
        self.kinds.get(number as usize).and_then(Option::as_ref)
    }

    fn spans_of(&self, storage: u32, kind: u32) -> Vec<Span> {
        let consents = self.people.get(&storage);
        consents.map_or_else(Vec::new, |consents| spans(consents, kind))
    }

    /// Looks at the day of an instant in all kinds that cover a use.
    fn settle(&mut self, matched: &Matched, now: i64) {
        for (number, _) in &matched.kinds {
            if let Some(Some(kind)) = self.kinds.get_mut(*number as usize)
                && !kind.coverage.is_settled_for(now)
            {
                kind.coverage.settle(now);
            }
        }
    }

    fn numbered(&self) -> impl Iterator<Item = (u32, &Kind)> {
        let kinds = (0_u32..).zip(&self.kinds);
        kinds.filter_map(|(number, kind)| Some((number, kind.as_ref()?)))
    }

    fn matched(&self, wanted: &Wanted<'_>, now: OffsetDateTime) -> Vec<(u32, By)> {
        let kinds = self.numbered();
        kinds
            .filter_map(|(number, kind)| Some((number, kind.covers(wanted, now)?)))
            .collect()
    }

    fn covered(&self, number: u32, by: By, since: i64, now: OffsetDateTime) -> RoaringBitmap {
        let Some(kind) = self.kind(number) else {
            return RoaringBitmap::new();
        };
        let of = |storage: u32| self.spans_of(storage, number);
        let now = nanoseconds(now);
        match by {
            By::Container => kind.coverage.at(now, &of),
            By::Dataset => kind.coverage.given_since(since, now, &of),
        }
    }
}

/// The spans of a person's consents of a kind.
fn spans(consents: &[Placed], kind: u32) -> Vec<Span> {
    let ours = consents.iter().filter(|placed| placed.kind == kind);
    ours.map(|placed| placed.span).collect()
}

/// By what a kind of consents covers a use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    /// By the container, which says what the person meant.
    Container,
    /// By the dataset alone, whose owner says what it reaches.
    Dataset,
}

impl Kind {
    fn covers(&self, wanted: &Wanted<'_>, now: OffsetDateTime) -> Option<By> {
        let shown = match (&self.sample.data.properties, wanted.properties) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(consented), Some(shown)) => shown.is_subset(consented),
        };
        if !shown {
            return None;
        }
        let purposes = Hierarchy::default();
        // The sample is valid around the asked instant: time is decided by the coverage.
        let mut sample = self.sample.clone();
        sample.given_at = Some(now);
        sample.changed_at = now;
        sample.expires_at = now.saturating_add(time::Duration::SECOND);
        let below = wanted.container.map(|container| format!("{ANY_STORAGE}{container}"));
        let covers = |data| {
            let used = Use {
                recipient: wanted.recipient,
                purpose: wanted.purpose,
                data,
            };
            covers(&sample, &used, &purposes, now)
        };
        if below.as_deref().is_some_and(covers) {
            return Some(By::Container);
        }
        covers(wanted.dataset).then_some(By::Dataset)
    }
}

/// What a record has in common with others of its kind.
fn sample(record: &ConsentRecord) -> ConsentRecord {
    let relative = |container: &String| {
        container
            .strip_prefix(&record.storage)
            .map(|below| format!("{ANY_STORAGE}{below}"))
    };
    let mut sample = record.clone();
    ANY_STORAGE.clone_into(&mut sample.id);
    ANY_STORAGE.clone_into(&mut sample.storage);
    if let Ok(anyone) = WebId::parse(ANY_STORAGE) {
        sample.data_subject = anyone;
    }
    sample.data = ConsentedData {
        containers: record.data.containers.iter().filter_map(relative).collect(),
        ..record.data.clone()
    };
    sample.recipients = match &record.recipients {
        Recipients::Any => Recipients::Any,
        Recipients::These(these) => Recipients::These(these.clone()),
    };
    sample.given_at = None;
    sample.expires_at = OffsetDateTime::UNIX_EPOCH;
    sample.changed_at = OffsetDateTime::UNIX_EPOCH;
    sample.notice = policies::consent::Notice {
        language: String::new(),
        hash: String::new(),
    };
    sample.version = 0;
    sample.previous = None;
    // A consent given again permits as one that was given.
    sample.status = ConsentStatus::Given;
    sample.process = None;
    sample.act = None;
    sample
}

/// The identity, as bitmaps hold it, of the storage whose name begins a key.
fn storage_of(snapshot: &dyn Snapshot, key: &str) -> Result<Option<u32>, StoreError> {
    let name = key.split('/').next().unwrap_or_default();
    let Ok(root) = ResourceName::parse(&format!("/{name}/")) else {
        return Ok(None);
    };
    let found = snapshot.storage(&root)?;
    Ok(found.and_then(|storage| u32::try_from(storage.id.0).ok()))
}

#[cfg(test)]
mod tests;
