//! The rights to read and to write, each with its origin.

use super::audit::AuditEntry;
use crate::authz::{Authorized, Receipt};

/// The right to read, with its origin.
#[derive(Clone, Copy, Debug)]
pub struct ReadPermit(());

impl ReadPermit {
    /// From a proof.
    pub fn proven<O>(_: &Authorized<O>) -> Self {
        Self(())
    }

    /// For the policy information point, which needs access control lists and agreements to decide at all; and for
    /// the server's own bookkeeping. `reason` is there so that every use can be found and judged.
    #[must_use]
    pub const fn without_proof(_reason: &'static str) -> Self {
        Self(())
    }
}

/// The right to write, with its audit entry.
#[derive(Debug)]
pub struct Warrant {
    pub(crate) entry: Option<AuditEntry>,
}

impl Warrant {
    /// From a proof: the entry of the receipt commits with the write.
    #[must_use]
    pub fn from_receipt(receipt: Receipt) -> Self {
        Self {
            entry: receipt.into_entry(),
        }
    }

    /// For the server's own bookkeeping and for the operator's commands on a stopped server.
    #[must_use]
    pub const fn without_proof(_reason: &'static str) -> Self {
        Self { entry: None }
    }
}
