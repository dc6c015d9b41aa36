//! Who made a resource, for policies that ask for it (ACP's `acp:CreatorAgent`, solid#90).
//!
//! It is written down in storages under Access Control Policies only, in the commit that makes the resource.

use std::sync::Arc;

use policies::facts::Fact;

use super::dependency::Dependency;
use crate::name::ResourceName;
use crate::store::{RecordKind, ResourceId, Snapshot, StoreError, Transaction};

/// Whether a decision was made in a storage where creators are written down.
#[must_use]
pub fn creators_are_noted(dependencies: &[Dependency]) -> bool {
    dependencies
        .iter()
        .any(|dependency| matches!(dependency, Dependency::EffectivePolicies { .. }))
}

/// Writes down who made a resource that this transaction has made; nobody for whoever gave no credentials.
///
/// # Errors
/// When the store fails.
pub fn note_creator(
    transaction: &mut dyn Transaction,
    name: &ResourceName,
    web_id: Option<&str>,
) -> Result<(), StoreError> {
    let Some(resource) = transaction.resource(name)? else {
        return Ok(());
    };
    let web_id = web_id.unwrap_or_default().as_bytes();
    transaction.record_put(RecordKind::Creator, &key(resource.id), web_id)
}

/// Forgets the creator of a resource that is gone.
///
/// # Errors
/// When the store fails.
pub fn forget_creator(transaction: &mut dyn Transaction, id: ResourceId) -> Result<(), StoreError> {
    transaction.record_delete(RecordKind::Creator, &key(id)).map(drop)
}

/// Who made a resource, as a fact: absent for whoever gave no credentials, unavailable if that was not written down.
pub(super) fn creator(snapshot: &dyn Snapshot, id: ResourceId) -> Result<Fact, StoreError> {
    Ok(match snapshot.record(RecordKind::Creator, &key(id))? {
        None => Fact::Unavailable("who made the resource was not recorded".to_owned()),
        Some(web_id) if web_id.is_empty() => Fact::Absent,
        Some(web_id) => match String::from_utf8(web_id) {
            Ok(web_id) => Fact::People(Arc::new(vec![web_id])),
            Err(_) => {
                return Err(StoreError::Damaged(format!(
                    "the maker of resource {} is no text",
                    id.0
                )));
            }
        },
    })
}

/// The key of the record about a resource.
fn key(id: ResourceId) -> String {
    id.0.to_string()
}
