//! The pure side of the audit log: what a record holds, how it is committed to, and the proofs about the tree.
//!
//! A leaf of the log commits to a record and, separately, to the people whose data was used, without naming either.
//! Whoever holds a record and its salt can show that it is in the log; each person can show their own part and nobody
//! else's; forgetting a salt or a person's secret cuts the link while the log stays whole (AUD-6, AUD-7).

pub mod basis;
pub mod commitment;
mod duties;
pub mod merkle;
mod prov;
mod record;

pub use basis::{Apart, Basis, Document, Known, Question};
pub use commitment::{
    SubjectProof, leaf, person_commitment, person_salt, position_of, record_commitment, subjects_root,
};
pub use duties::{DutyLog, DutyStep, Standing};
pub use merkle::Hash;
pub use prov::{ProvError, to_prov};
pub use record::{AuditAction, AuditRecord, Outcome, Purged, canonical_json};
