//! What happened, in the terms in which this crate's own interfaces tell it.

use policies::audit::{AuditAction, DutyStep, Outcome};
use policies::decision::ReasonCode;
use roaring::RoaringBitmap;

use crate::store::StorageId;

/// Something that happened or was refused, on its way into the log.
#[derive(Clone, Debug)]
pub struct Event<'a> {
    /// WebID of who did it; none for someone without credentials.
    pub actor: Option<&'a str>,
    /// Application through which they did it.
    pub client: Option<&'a str>,
    /// What.
    pub action: AuditAction,
    /// On what.
    pub targets: Vec<&'a str>,
    /// For what purpose.
    pub purpose: Option<&'a str>,
    /// Under which agreement.
    pub agreement: Option<&'a str>,
    /// How it ended.
    pub outcome: Outcome,
    /// Why.
    pub reasons: Vec<ReasonCode>,
    /// The step of a duty that it is.
    pub duty: Option<DutyStep>,
    /// Storages whose owners see it.
    pub owners: Vec<StorageId>,
    /// Storages of the people that it concerns.
    pub subjects: Vec<StorageId>,
}

impl<'a> Event<'a> {
    /// Something that was permitted, in a storage.
    #[must_use]
    pub fn done(action: AuditAction, actor: &'a str, storage: StorageId) -> Self {
        Self {
            actor: Some(actor),
            client: None,
            action,
            targets: Vec::new(),
            purpose: None,
            agreement: None,
            outcome: Outcome::Permit,
            reasons: Vec::new(),
            duty: None,
            owners: vec![storage],
            subjects: Vec::new(),
        }
    }

    /// Something that was refused, in a storage.
    #[must_use]
    pub fn refused(action: AuditAction, actor: Option<&'a str>, storage: StorageId, reasons: Vec<ReasonCode>) -> Self {
        Self {
            actor,
            outcome: Outcome::Deny,
            reasons,
            ..Self::done(action, "", storage)
        }
    }

    /// The same, on something.
    #[must_use]
    pub fn on(mut self, target: &'a str) -> Self {
        self.targets.push(target);
        self
    }

    /// The same, for a purpose.
    #[must_use]
    pub fn purpose(mut self, purpose: &'a str) -> Self {
        self.purpose = Some(purpose);
        self
    }

    /// The same, under an agreement.
    #[must_use]
    pub fn under(mut self, agreement: Option<&'a str>) -> Self {
        self.agreement = agreement;
        self
    }

    /// The people concerned, as a set.
    #[must_use]
    pub fn subject_set(&self) -> RoaringBitmap {
        self.subjects
            .iter()
            .filter_map(|storage| u32::try_from(storage.0).ok())
            .collect()
    }
}
