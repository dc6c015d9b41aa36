//! The proof that an operation was decided and audited (ARCHITECTURE invariants 2 and 5).
//!
//! An [`Authorized`] value has private fields and is minted only by the policy enforcement point beside this module,
//! which hands over the audit receipt. Whoever touches protected data takes the proof as an argument; there is no
//! other way to get one.
//!
//! ```compile_fail
//! // A proof cannot be forged: its fields and its maker are private.
//! let forged = pod_server::authz::Authorized { operation: (), receipt: () };
//! ```
//!
//! ```compile_fail
//! let forged = pod_server::authz::Authorized::mint((), pod_server::authz::Receipt::durable(0));
//! ```

use crate::store::AuditEntry;

/// An operation that the decision point permitted and the audit log knows of.
#[derive(Debug)]
pub struct Authorized<O> {
    operation: O,
    receipt: Receipt,
}

impl<O> Authorized<O> {
    /// Only the enforcement point makes proofs, and only with a receipt.
    pub(super) const fn mint(operation: O, receipt: Receipt) -> Self {
        Self { operation, receipt }
    }

    /// What was permitted.
    pub const fn operation(&self) -> &O {
        &self.operation
    }

    /// How the decision was recorded.
    pub const fn receipt(&self) -> &Receipt {
        &self.receipt
    }

    /// Splits the proof for the transaction that carries the operation out and records it.
    pub fn into_parts(self) -> (O, Receipt) {
        (self.operation, self.receipt)
    }
}

/// How a decision reached the audit log.
#[derive(Debug)]
pub struct Receipt(ReceiptKind);

#[derive(Debug)]
enum ReceiptKind {
    Durable(u64),
    WithCommit(Box<AuditEntry>),
    Exempt(Exemption),
}

/// The listed reasons for which a permitted read writes no audit leaf. Nothing else goes unrecorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exemption {
    /// Anyone at all may read the resource, so that no use of protected data takes place.
    PublicRead,
}

impl Receipt {
    /// The leaf with this index is durable.
    pub(super) const fn durable(leaf: u64) -> Self {
        Self(ReceiptKind::Durable(leaf))
    }

    /// The leaf commits in the same transaction as the write that it records.
    pub(super) fn with_commit(entry: AuditEntry) -> Self {
        Self(ReceiptKind::WithCommit(Box::new(entry)))
    }

    /// No leaf is owed, for a listed reason.
    pub(super) const fn exempt(reason: Exemption) -> Self {
        Self(ReceiptKind::Exempt(reason))
    }

    /// The index of the durable leaf, where there is one already.
    #[must_use]
    pub const fn leaf(&self) -> Option<u64> {
        match self.0 {
            ReceiptKind::Durable(leaf) => Some(leaf),
            _ => None,
        }
    }

    /// The listed reason for writing no leaf, where that is the case.
    #[must_use]
    pub const fn exemption(&self) -> Option<Exemption> {
        match self.0 {
            ReceiptKind::Exempt(reason) => Some(reason),
            _ => None,
        }
    }

    /// The entry that the write's own transaction has to append.
    #[must_use]
    pub fn into_entry(self) -> Option<AuditEntry> {
        match self.0 {
            ReceiptKind::WithCommit(entry) => Some(*entry),
            _ => None,
        }
    }
}
