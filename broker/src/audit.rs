//! The broker's own log: who asked what of whom through it. The record is durable before the first byte of an answer leaves
//! (ARCHITECTURE invariant 5); data never appears in it.

use crate::state::{State, StateError};
use policies::audit::{AuditRecord, leaf, merkle, record_commitment};
use rusqlite::params;
use server_kit::audit_log::{self, LogKey, parse_tile_path};
use server_kit::random::Random;
use std::sync::Arc;

/// Writes records and publishes the tree.
pub struct Auditor {
    state: Arc<State>,
    key: LogKey,
    random: Arc<dyn Random>,
}

/// Proof that a record is durable. Only the auditor makes it; an answer cannot be sent without one.
#[derive(Debug)]
pub struct Receipt {
    leaf: u64,
}

impl Receipt {
    /// Position of the record in the log.
    #[must_use]
    pub fn leaf(&self) -> u64 {
        self.leaf
    }
}

impl Auditor {
    /// An auditor over the broker's database.
    #[must_use]
    pub fn new(state: Arc<State>, key: LogKey, random: Arc<dyn Random>) -> Self {
        Self { state, key, random }
    }

    /// Writes a record, durably. Blocks on the disk.
    ///
    /// # Errors
    /// When the database fails: nothing may be answered then.
    pub fn write(&self, record: &AuditRecord) -> Result<Receipt, StateError> {
        let mut salt = [0_u8; 32];
        self.random.fill(&mut salt);
        let content = record
            .canonical_bytes()
            .map_err(|error| StateError::Database(rusqlite::Error::ToSqlConversionFailure(Box::new(error))))?;
        let entry = leaf(&record_commitment(&salt, &content), &merkle::empty_root());
        let hash = merkle::leaf_hash(&entry);
        self.state.with(|connection| {
            let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
            let index = audit_log::append(&transaction, &hash)?;
            transaction.execute(
                "INSERT INTO record (leaf, salt, content) VALUES (?1, ?2, ?3)",
                params![i64::try_from(index).unwrap_or(i64::MAX), salt, content],
            )?;
            transaction.commit()?;
            Ok(Receipt { leaf: index })
        })
    }

    /// The signed note over the present tree.
    ///
    /// # Errors
    /// When the log is damaged or the database fails.
    pub fn checkpoint(&self) -> Result<String, StateError> {
        self.state.with(|connection| {
            let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
            let note = audit_log::sign_checkpoint(&transaction, &self.key)?;
            transaction.commit()?;
            Ok(note)
        })
    }

    /// The key that checkpoints are verified with, as text.
    #[must_use]
    pub fn verifier(&self) -> String {
        self.key.verifier().to_string()
    }

    /// The bytes of a tile below `/log/`; `None` when there is no such tile yet.
    ///
    /// # Errors
    /// When the database fails.
    pub fn tile(&self, path: &str) -> Result<Option<Vec<u8>>, StateError> {
        let Some(tile) = parse_tile_path(path) else {
            return Ok(None);
        };
        self.state.with(
            |connection| match audit_log::tile(connection, tile.level, tile.index, tile.width) {
                Ok(bytes) => Ok(Some(bytes)),
                Err(audit_log::AuditLogError::OutOfRange { .. }) => Ok(None),
                Err(error) => Err(error.into()),
            },
        )
    }
}

impl std::fmt::Debug for Auditor {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Auditor").finish_non_exhaustive()
    }
}
