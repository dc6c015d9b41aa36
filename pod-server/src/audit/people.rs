//! The secrets that tie audit records to people. A person's secret salts every commitment about them; erasing it erases
//! the link from the log to the person, and leaves the log whole (AUD-6).

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use parking_lot::RwLock;
use roaring::RoaringBitmap;
use server_kit::random::Random;

use crate::origins::Origins;
use crate::store::{
    Change, CommitListener, ErasedWork, Event, RecordKind, Snapshot, StorageId, Store, StoreError, Transaction, Warrant,
};

/// A person, known by the storage that is theirs.
#[derive(Clone, PartialEq, Eq)]
pub struct Person {
    /// IRI of the storage.
    pub iri: String,
    /// Root of the storage: the key of the secret.
    root: String,
    secret: [u8; 32],
}

/// People as an entry needs them.
#[derive(Default)]
pub struct Gathered {
    /// In order of their IRIs.
    pub people: Vec<Arc<Person>>,
    /// Those among them whose secret was made just now and must be kept.
    pub fresh: Vec<Arc<Person>>,
}

/// The people seen so far, in memory.
pub struct People {
    origins: Origins,
    known: RwLock<HashMap<u32, Arc<Person>>>,
}

impl People {
    /// Nobody yet.
    #[must_use]
    pub fn new(origins: Origins) -> Self {
        Self {
            origins,
            known: RwLock::default(),
        }
    }

    /// The people behind storages. A storage that no longer exists is nobody.
    ///
    /// # Errors
    /// When the store fails or a kept secret is damaged.
    pub fn gather(
        &self,
        storages: &RoaringBitmap,
        snapshot: &dyn Snapshot,
        random: &dyn Random,
    ) -> Result<Gathered, StoreError> {
        let mut people = Vec::with_capacity(usize::try_from(storages.len()).unwrap_or(0));
        let mut missing = Vec::new();
        {
            let known = self.known.read();
            for storage in storages {
                match known.get(&storage) {
                    Some(person) => people.push(Arc::clone(person)),
                    None => missing.push(storage),
                }
            }
        }
        let mut fresh = Vec::new();
        for storage in missing {
            let Some(found) = snapshot.storage_by_id(StorageId(i64::from(storage)))? else {
                continue;
            };
            let root = found.root.as_str().to_owned();
            let kept = secret(snapshot, &root)?;
            // Two threads may come here at once: the first one's secret stands for both.
            let mut known = self.known.write();
            let person = known.entry(storage).or_insert_with(|| {
                let secret = kept.unwrap_or_else(|| {
                    let mut secret = [0; 32];
                    random.fill(&mut secret);
                    secret
                });
                let person = Arc::new(Person {
                    iri: found.root.iri(&self.origins),
                    root,
                    secret,
                });
                if kept.is_none() {
                    fresh.push(Arc::clone(&person));
                }
                person
            });
            people.push(Arc::clone(person));
        }
        people.sort_by(|a, b| a.iri.cmp(&b.iri));
        Ok(Gathered { people, fresh })
    }

    /// The people behind storages, or none if the secret of one of them was erased: then nothing about this set can be
    /// proved any more.
    ///
    /// # Errors
    /// When the store fails or a kept secret is damaged.
    pub fn known(
        &self,
        storages: &RoaringBitmap,
        snapshot: &dyn Snapshot,
    ) -> Result<Option<Vec<Arc<Person>>>, StoreError> {
        let mut people = Vec::with_capacity(usize::try_from(storages.len()).unwrap_or(0));
        for storage in storages {
            if let Some(person) = self.known.read().get(&storage) {
                people.push(Arc::clone(person));
                continue;
            }
            let Some(found) = snapshot.storage_by_id(StorageId(i64::from(storage)))? else {
                continue;
            };
            let Some(secret) = secret(snapshot, found.root.as_str())? else {
                return Ok(None);
            };
            people.push(Arc::new(Person {
                iri: found.root.iri(&self.origins),
                root: found.root.as_str().to_owned(),
                secret,
            }));
        }
        people.sort_by(|a, b| a.iri.cmp(&b.iri));
        Ok(Some(people))
    }

    /// Queues a commit that keeps new secrets. If it fails they are forgotten, so that none is used that would be lost.
    pub fn keep(self: &Arc<Self>, store: &dyn Store, fresh: Vec<Arc<Person>>) {
        let people = Arc::clone(self);
        let again = fresh.clone();
        store.enqueue(
            Warrant::without_proof("secrets of people, made when they first appear in the log"),
            ErasedWork {
                run: Box::new(move |transaction| Self::keep_within(transaction, &fresh).is_ok()),
                done: Box::new(move |outcome| {
                    if let Err(error) = outcome {
                        tracing::error!(%error, "secrets of people could not be kept");
                        let roots: Vec<&str> = again.iter().map(|person| person.root.as_str()).collect();
                        people.forget(&roots);
                    }
                }),
            },
        );
    }

    /// Keeps new secrets in a transaction.
    ///
    /// # Errors
    /// When the store fails.
    pub fn keep_within(transaction: &mut dyn Transaction, fresh: &[Arc<Person>]) -> Result<(), StoreError> {
        for person in fresh {
            if transaction.record(RecordKind::PersonSecret, &person.root)?.is_none() {
                transaction.record_put(RecordKind::PersonSecret, &person.root, &person.secret)?;
            }
        }
        Ok(())
    }

    fn forget(&self, roots: &[&str]) {
        self.known
            .write()
            .retain(|_, person| !roots.contains(&person.root.as_str()));
    }
}

impl CommitListener for People {
    fn committed(&self, _: &dyn Snapshot, events: &[Event]) {
        for event in events {
            if let Change::Record {
                kind: RecordKind::PersonSecret,
                key,
                deleted: true,
            } = &event.change
            {
                self.forget(&[key]);
            }
        }
    }
}

/// People as the commitments need them.
#[must_use]
pub fn by_iri(people: &[Arc<Person>]) -> BTreeMap<&str, &[u8; 32]> {
    people
        .iter()
        .map(|person| (person.iri.as_str(), &person.secret))
        .collect()
}

fn secret(snapshot: &dyn Snapshot, root: &str) -> Result<Option<[u8; 32]>, StoreError> {
    snapshot
        .record(RecordKind::PersonSecret, root)?
        .map(|bytes| {
            <[u8; 32]>::try_from(bytes)
                .map_err(|_| StoreError::Damaged(format!("the secret of `{root}` is not 32 bytes")))
        })
        .transpose()
}
