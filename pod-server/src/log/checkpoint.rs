//! Checkpoints of the audit log: signed when the log has grown, and only when the grown log still contains what was
//! signed before (T108, T109).

use std::path::Path;

use policies::audit::{AuditAction, Outcome};
use roaring::RoaringBitmap;
use server_kit::audit_log::{Checkpoint, CheckpointError, LogKey, VerifierKey};
use server_kit::problem::Problem;

use super::rotation::{self, Handover};
use crate::dataspace::agreement;
use crate::dataspace::edge;
use crate::dataspace::node::Node;
use crate::store::{RecordKind, Snapshot, StoreError};

/// Key of the record that keeps the last signed note.
pub const RECORD: &str = "log/checkpoint";

/// Signs and remembers checkpoints.
pub struct Checkpoints {
    node: Node,
    key: LogKey,
    last: tokio::sync::Mutex<Option<(u64, String)>>,
}

impl Checkpoints {
    /// Loads the key, or makes it on first use, and checks that the log still contains the last checkpoint.
    ///
    /// # Errors
    /// When the key file cannot be used or belongs to another log, or when the log was rolled back or rewritten.
    pub fn open(node: Node, key_file: &Path, origin: &str) -> Result<Self, OpenError> {
        let key = {
            let permit = crate::store::ReadPermit::without_proof("the log is checked before the server starts");
            let snapshot = node.store.snapshot(permit)?;
            let last = kept(&*snapshot)?;
            let key = rotation::load(key_file, origin, last.as_deref(), &*node.random)?;
            if let Some(last) = last {
                key.verifier().verify(&last)?;
                contains(&*snapshot, &last)?;
            }
            key
        };
        Ok(Self {
            node,
            key,
            last: tokio::sync::Mutex::new(None),
        })
    }

    /// The public key of the log, as `/log/vkey` shows it.
    #[must_use]
    pub fn verifier(&self) -> &VerifierKey {
        self.key.verifier()
    }

    /// Signs a document with the key of the log, so that whoever can check the log can check it too.
    #[must_use]
    pub fn sign_document(&self, kind: &str, payload: &[u8]) -> String {
        self.key.sign_document(kind, payload)
    }

    /// Hands the log over to a new key: both sign the tree as it is now, and the new key signs from now on (T114). For a server
    /// that is not running. Answers the new public key.
    ///
    /// # Errors
    /// When the log is damaged, a key cannot be written, or the store fails; then the old key stands.
    pub async fn rotate(&self, key_file: &Path) -> Result<VerifierKey, Problem> {
        let failed = |error: &dyn std::fmt::Display| {
            tracing::error!(%error, "the key of the log could not be replaced");
            Problem::internal()
        };
        // Whatever is signed until now is signed by the old key.
        self.current().await?;
        let next = rotation::next_to(key_file);
        if next.exists() {
            std::fs::remove_file(&next).map_err(|error| failed(&error))?;
        }
        let new = LogKey::load_or_generate(&next, self.key.verifier().name(), &*self.node.random);
        let new = new.map_err(|error| failed(&error))?;
        let (handover, signed) = {
            let snapshot = self.node.snapshot()?;
            let size = snapshot.audit_size().map_err(|error| edge::store_problem(&error))?;
            let root = snapshot.audit_root(size).map_err(|error| edge::store_problem(&error))?;
            (Handover::sign(&self.key, &new, size, &root), new.sign(size, &root))
        };
        let names = [handover.old.clone(), handover.new.clone()];
        self.node
            .commit(move |node, transaction| {
                let store = |error: StoreError| edge::store_problem(&error);
                let mut handovers = rotation::kept(&*transaction as &dyn Snapshot).map_err(store)?;
                handovers.push(handover);
                let bytes = agreement::to_json(&handovers).map_err(store)?;
                transaction
                    .record_put(RecordKind::Server, rotation::RECORD, &bytes)
                    .map_err(store)?;
                transaction
                    .record_put(RecordKind::Server, RECORD, signed.as_bytes())
                    .map_err(store)?;
                let mut record = node.audit.blank(AuditAction::Control, Outcome::Permit);
                record.targets = names.to_vec();
                let appended = node
                    .audit
                    .append_within(record, &[], &RoaringBitmap::new(), transaction);
                appended.map(drop).map_err(store)
            })
            .await?;
        std::fs::rename(&next, key_file).map_err(|error| failed(&error))?;
        Ok(new.verifier().clone())
    }

    /// The size of the log now, and its signed note.
    ///
    /// # Errors
    /// 503 when the log is damaged or cannot be written; nothing is signed then.
    pub async fn current(&self) -> Result<(u64, String), Problem> {
        let mut last = self.last.lock().await;
        let (size, note) = {
            let snapshot = self.node.snapshot()?;
            let size = snapshot.audit_size().map_err(|error| edge::store_problem(&error))?;
            if let Some((signed, note)) = &*last
                && *signed == size
            {
                return Ok((size, note.clone()));
            }
            let before = kept(&*snapshot).map_err(|error| edge::store_problem(&error))?;
            if let Some(before) = &before {
                contains(&*snapshot, before).map_err(|error| not_signed(&error))?;
            }
            let root = snapshot.audit_root(size).map_err(|error| edge::store_problem(&error))?;
            (size, self.key.sign(size, &root))
        };
        let kept = note.clone();
        self.node
            .commit(move |_, transaction| {
                transaction
                    .record_put(RecordKind::Server, RECORD, kept.as_bytes())
                    .map_err(|error| edge::store_problem(&error))
            })
            .await?;
        *last = Some((size, note.clone()));
        Ok((size, note))
    }

    /// Signs what has grown, as [`current`](Self::current); says so when that fails and goes on, since the next checkpoint covers it
    /// too.
    pub async fn sign(&self) -> Option<(u64, String)> {
        match self.current().await {
            Ok(signed) => Some(signed),
            Err(problem) => {
                tracing::error!(title = %problem.title, detail = problem.detail, "the audit log could not be signed");
                None
            }
        }
    }
}

/// Why the log cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The key or the last checkpoint cannot be used.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The log is not the one that was signed.
    #[error(transparent)]
    Forked(#[from] Forked),
}

/// The log does not contain its own last checkpoint.
#[derive(Debug, thiserror::Error)]
pub enum Forked {
    /// Leaves are missing at its end.
    #[error("truncated: the audit log has {found} leaves, its checkpoint covers {signed}")]
    Truncated {
        /// Leaves there are.
        found: u64,
        /// Leaves that were signed.
        signed: u64,
    },
    /// It has another history.
    #[error("rewritten: the first {signed} leaves of the audit log are not those that were signed")]
    Rewritten {
        /// Leaves that were signed.
        signed: u64,
    },
    /// The checkpoint or the log cannot be read.
    #[error("the audit log cannot be read: {0}")]
    Unreadable(String),
}

/// The last note that was kept.
///
/// # Errors
/// When the store fails.
pub fn kept(snapshot: &dyn Snapshot) -> Result<Option<String>, StoreError> {
    snapshot
        .record(RecordKind::Server, RECORD)?
        .map(|bytes| {
            String::from_utf8(bytes).map_err(|_| StoreError::Damaged("the kept checkpoint is not text".to_owned()))
        })
        .transpose()
}

/// Checks that the log of a snapshot begins with what a note says.
fn contains(snapshot: &dyn Snapshot, note: &str) -> Result<(), Forked> {
    let unreadable = |error: &dyn std::fmt::Display| Forked::Unreadable(error.to_string());
    let checkpoint = Checkpoint::parse_unverified(note).map_err(|error| unreadable(&error))?;
    let found = snapshot.audit_size().map_err(|error| unreadable(&error))?;
    if checkpoint.size > found {
        return Err(Forked::Truncated {
            found,
            signed: checkpoint.size,
        });
    }
    let root = snapshot
        .audit_root(checkpoint.size)
        .map_err(|error| unreadable(&error))?;
    if root == checkpoint.root {
        Ok(())
    } else {
        Err(Forked::Rewritten {
            signed: checkpoint.size,
        })
    }
}

fn not_signed(error: &Forked) -> Problem {
    tracing::error!(%error, "the audit log is not signed any more");
    Problem::unavailable(
        "the audit log is damaged and is not signed any more; the operator has been told",
        300,
    )
}
