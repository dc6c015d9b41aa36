//! The documents that recorded decisions rest on, each state once: access rules, agreements, datasets. A decision can be
//! made again as long as they are kept (AUD-9).

use std::sync::Arc;

use quick_cache::sync::Cache;
use sha2::{Digest, Sha256};

use crate::store::{
    Change, CommitListener, ErasedWork, Event, RecordKind, Snapshot, Store, StoreError, Transaction, Warrant,
};

/// States that are known to be kept.
const KNOWN_MAX: usize = 100_000;

/// In place of a storage's root: what decisions rest on whose records several owners see.
pub const APART: &str = "~apart/";

/// Keeps states of documents.
pub struct Evidence {
    store: Arc<dyn Store>,
    known: Arc<Known>,
}

struct Known(Cache<String, ()>);

impl Evidence {
    /// Knows nothing yet. It listens to the store, so that what was purged is kept anew when it is used again.
    #[must_use]
    pub fn new(store: Arc<dyn Store>) -> Self {
        let known = Arc::new(Known(Cache::new(KNOWN_MAX)));
        store.listen(Arc::clone(&known) as _);
        Self { store, known }
    }

    /// Where a state of a document is kept that lies in the storage with this root.
    #[must_use]
    pub fn key(root: &str, bytes: &[u8]) -> String {
        format!("{root}{}", hex::encode(Sha256::digest(bytes)))
    }

    /// Whether a state is known to be kept.
    #[must_use]
    pub fn is_kept(&self, key: &str) -> bool {
        self.known.0.get(key).is_some()
    }

    /// Keeps a state, if it is not kept yet, and says where. It is durable no later than any entry of the log that is
    /// appended after this call: the queue of commits keeps its order.
    ///
    /// # Errors
    /// When the store fails.
    pub fn keep(&self, snapshot: &dyn Snapshot, root: &str, bytes: &[u8]) -> Result<String, StoreError> {
        let key = Self::key(root, bytes);
        if self.is_kept(&key) {
            return Ok(key);
        }
        if snapshot.record(RecordKind::Evidence, &key)?.is_none() {
            // Nobody waits here for room in the queue: that would hold up a thread.
            let room = self.store.admission().try_acquire_owned();
            let room = room.map_err(|_| StoreError::Busy("the audit log cannot be written now"))?;
            let (known, bytes, owned, again) = (Arc::clone(&self.known), bytes.to_vec(), key.clone(), key.clone());
            self.store.enqueue(
                Warrant::without_proof("documents that recorded decisions rest on are kept beside the log"),
                ErasedWork {
                    run: Box::new(move |transaction: &mut dyn Transaction| {
                        transaction.record_put(RecordKind::Evidence, &owned, &bytes).is_ok()
                    }),
                    done: Box::new(move |outcome| {
                        drop(room);
                        if let Err(error) = outcome {
                            tracing::error!(%error, "what a decision rests on could not be kept");
                            known.0.remove(&again);
                        }
                    }),
                },
            );
        }
        self.known.0.insert(key.clone(), ());
        Ok(key)
    }
}

impl CommitListener for Known {
    fn committed(&self, _: &dyn Snapshot, events: &[Event]) {
        for event in events {
            if let Change::Record {
                kind: RecordKind::Evidence,
                key,
                deleted: true,
            } = &event.change
            {
                self.0.remove(key);
            }
        }
    }
}
