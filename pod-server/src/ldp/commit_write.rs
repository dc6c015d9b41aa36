//! The transaction of a write: checks again what the decision rested on, evaluates the preconditions, and changes the
//! store whole or not at all (solid#57; invariants 4 and 8).

use std::sync::Arc;

use crate::authz::{
    Authorized, Dependency, Receipt, creators_are_noted, dependencies_hold, forget_creator, note_creator,
};
use crate::error::Error;
use crate::http::conditional::Preconditions;
use crate::store::{self, CommitError, Store, StoreError, Transaction, Warrant};

use super::operation::Operation;
use super::owner_room::OwnerRoom;
use super::profile_guard::{ProfileGuard, Writer};
use super::situation::{Shape, Situation};
use super::target::Target;

/// Why nothing was committed.
pub(super) enum Refusal {
    /// What the decision rested on has changed: decide anew.
    Stale,
    /// The request is at fault.
    Error(Error),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Self::Error(error.into())
    }
}

/// What must still be so when the write takes place.
#[derive(Clone)]
pub(super) struct Basis {
    /// Target of the write.
    pub(super) target: Target,
    /// Policy documents behind the decision.
    pub(super) dependencies: Vec<Dependency>,
    /// What was there.
    pub(super) shape: Shape,
    /// What the client demands.
    pub(super) conditions: Preconditions,
    /// Who writes.
    pub(super) writer: Writer,
}

/// Keeps in step who made what. A POST makes a resource that only it knows the name of, and notes that itself.
fn note_creators(transaction: &mut dyn Transaction, basis: &Basis, before: &Situation) -> Result<(), StoreError> {
    let target = &basis.target;
    if target.auxiliary().is_some() {
        return Ok(());
    }
    match &before.existing {
        Some(existing) if transaction.resource(&target.name)?.is_none() => forget_creator(transaction, existing.id),
        Some(_) => Ok(()),
        None => {
            let web_id = basis.writer.agent.web_id().map(|web_id| web_id.as_str());
            for made in before.missing.iter().chain([&target.name]) {
                note_creator(transaction, made, web_id)?;
            }
            Ok(())
        }
    }
}

/// Outcome of a commit.
pub(super) enum Outcome<T> {
    /// It is durable.
    Done(T),
    /// Decide anew.
    Again,
}

/// Carries out an authorized write.
pub(super) async fn commit_write<T: Send + 'static>(
    store: &Arc<dyn Store>,
    proof: Authorized<Operation>,
    basis: Basis,
    change: impl FnOnce(&mut dyn Transaction, &Situation) -> Result<T, Refusal> + Send + 'static,
) -> Result<Outcome<T>, Error> {
    let (_, receipt): (Operation, Receipt) = proof.into_parts();
    let work = move |transaction: &mut dyn Transaction| {
        let refused = CommitError::Refused;
        if !dependencies_hold(&basis.dependencies, &*transaction)? {
            return Err(refused(Refusal::Stale));
        }
        let now = Situation::read(&*transaction, &basis.target)?;
        if now.shape() != basis.shape {
            return Err(refused(Refusal::Stale));
        }
        basis
            .conditions
            .evaluate_write(now.current())
            .map_err(|condition| refused(Refusal::Error(Error::Precondition(condition))))?;
        let guard = ProfileGuard::before(&*transaction, &basis.target, &basis.writer).map_err(refused)?;
        let room = OwnerRoom::before(&*transaction, &basis.target, &basis.writer)?;
        let changed = change(transaction, &now).map_err(refused)?;
        if creators_are_noted(&basis.dependencies) {
            note_creators(transaction, &basis, &now)?;
        }
        if let Some(room) = room {
            room.after(&*transaction)?;
        }
        if let Some(guard) = guard {
            guard.after(&*transaction).map_err(refused)?;
        }
        Ok(changed)
    };
    match store::commit(store.as_ref(), Warrant::from_receipt(receipt), Box::new(work)).await {
        Ok((value, _)) => Ok(Outcome::Done(value)),
        Err(CommitError::Refused(Refusal::Stale)) => Ok(Outcome::Again),
        Err(CommitError::Refused(Refusal::Error(error))) => Err(error),
        Err(CommitError::Store(error)) => Err(error.into()),
    }
}
