//! Leaving: an account and everything in it is deleted, after a time in which its holder may come back.
//!
//! From the wish on, sessions, tokens and keys for programs count no more. When the time is over, storages, records and
//! the secrets that salt the audit log's commitments are erased, a little at a time. The names stay taken for ever: whoever
//! got one later would be taken for the person who left (T43).

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use server_kit::random::SystemRandom;
use time::OffsetDateTime;

use crate::audit::Purging;
use crate::authz::forget_creator;
use crate::name::ResourceName;
use crate::notify::records as notifications;
use crate::origins::Origins;
use crate::store::{RecordKind, Snapshot, Store, StoreError, Transaction, quota};

use super::account::{self, Account};
use super::error::{AccountError, IdentityError};
use super::session::run;
use super::{external_link, record, webid};

/// Accounts that leave, by the moment at which they are erased.
const PREFIX: &str = "leaving/";

/// Resources or records that one commit erases, so that nobody waits long.
const ERASED_PER_COMMIT: usize = 200;

/// Accounts that one sweep looks at.
const ACCOUNTS_PER_SWEEP: usize = 20;

/// Who leaves when.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Leaving {
    account: String,
}

/// Notes that an account is to be erased at a moment, and ends everything that was given out.
///
/// # Errors
/// [`AccountError::Unknown`], or the store fails.
pub async fn leave(store: &dyn Store, id: &str, due: i64) -> Result<Account, AccountError> {
    change(store, id, Some(due)).await
}

/// The holder stays after all.
///
/// # Errors
/// As [`leave`].
pub async fn stay(store: &dyn Store, id: &str) -> Result<Account, AccountError> {
    change(store, id, None).await
}

async fn change(store: &dyn Store, id: &str, due: Option<i64>) -> Result<Account, AccountError> {
    let name = id.to_owned();
    let changed = run(store, {
        let id = id.to_owned();
        move |transaction: &mut dyn Transaction| {
            let Some(mut account) = account::load(transaction, &id)? else {
                return Ok(None);
            };
            if let Some(before) = account.leaving.take() {
                transaction.record_delete(RecordKind::Issuer, &key(before, &id))?;
            }
            if let Some(due) = due {
                record::write(
                    transaction,
                    RecordKind::Issuer,
                    &key(due, &id),
                    &Leaving { account: id.clone() },
                )?;
                account.generation += 1;
                account.leaving = Some(due);
            }
            account::save(transaction, &account)?;
            Ok(Some(account))
        }
    })
    .await?;
    changed.ok_or(AccountError::Unknown(name))
}

/// Erases accounts whose time is over, as far as one sweep goes. Gives the number of things erased.
///
/// # Errors
/// When the store fails.
pub async fn sweep(store: &dyn Store, origins: &Origins, now: i64) -> Result<usize, IdentityError> {
    let due: Vec<(String, Vec<u8>)> = {
        let snapshot = store.snapshot(account::permit())?;
        snapshot.records(RecordKind::Issuer, PREFIX, None, ACCOUNTS_PER_SWEEP)?
    };
    let mut erased = 0;
    for (key, bytes) in due {
        if moment(&key).is_none_or(|due| due > now) {
            break;
        }
        let leaving: Leaving = record::decode(RecordKind::Issuer, &key, &bytes)?;
        let origins = origins.clone();
        let count = run(store, move |transaction: &mut dyn Transaction| {
            erase(transaction, &leaving.account, &key, &origins, now)
        })
        .await?;
        erased += count;
        if count >= ERASED_PER_COMMIT {
            // The rest of this account comes with the next sweep.
            break;
        }
    }
    Ok(erased)
}

/// Erases some of what an account has; the account itself goes last. No channel is added meanwhile: nobody can be this person
/// any more.
fn erase(
    transaction: &mut dyn Transaction,
    id: &str,
    key: &str,
    origins: &Origins,
    now: i64,
) -> Result<usize, IdentityError> {
    let Some(account) = account::load(transaction, id)? else {
        transaction.record_delete(RecordKind::Issuer, key)?;
        return Ok(1);
    };
    if account.leaving.is_none() {
        transaction.record_delete(RecordKind::Issuer, key)?;
        return Ok(1);
    }
    let mut room = ERASED_PER_COMMIT;
    for webid in account.all_webids() {
        notifications::forget_agent(transaction, webid, &mut room)?;
    }
    for root in &account.storages {
        let root = ResourceName::parse(root).map_err(|_| StoreError::Damaged(root.clone()))?;
        notifications::forget_storage(transaction, root.last_segment(), &mut room)?;
        if let Some(storage) = transaction.storage(&root)?.filter(|_| room > 0) {
            let purging = Purging {
                origins,
                random: &SystemRandom,
                now: OffsetDateTime::from_unix_timestamp(now).unwrap_or(OffsetDateTime::UNIX_EPOCH),
            };
            purging.forget(transaction, &storage, &mut room)?;
        }
        erase_storage(transaction, &root, &mut room)?;
    }
    let mut records = VecDeque::from(owned(&account, origins));
    while let (Some((kind, prefix)), true) = (records.pop_front(), room > 0) {
        for (key, _) in transaction.records(kind, &prefix, None, room)? {
            transaction.record_delete(kind, &key)?;
            room -= 1;
        }
    }
    if room > 0 {
        external_link::forget(transaction, id)?;
        for webid in &account.webids {
            transaction.record_delete(RecordKind::Issuer, &webid::key(webid))?;
        }
        for person in account.all_webids().chain(account.storages.iter().map(String::as_str)) {
            transaction.record_delete(RecordKind::PersonSecret, person)?;
        }
        if let Some(email) = &account.email {
            transaction.record_delete(RecordKind::Login, email)?;
        }
        transaction.record_delete(RecordKind::Account, id)?;
        transaction.record_delete(RecordKind::Issuer, key)?;
        tracing::info!(account = id, "an account was erased");
    }
    Ok(ERASED_PER_COMMIT - room)
}

/// What belongs to an account besides its storages: kinds of records, and how their keys begin.
fn owned(account: &Account, origins: &Origins) -> Vec<(RecordKind, String)> {
    let id = &account.id;
    let mut owned = vec![
        (RecordKind::Session, format!("{id}/")),
        (RecordKind::ClientCredential, format!("{id}.")),
        (RecordKind::Issuer, format!("recovery/{id}")),
    ];
    for kind in ["approval", "family", "passkey"] {
        owned.push((RecordKind::Issuer, format!("{kind}/{id}/")));
    }
    for root in &account.storages {
        let prefix = format!("{}/", root.trim_matches('/'));
        for kind in [
            RecordKind::Dataset,
            RecordKind::Negotiation,
            RecordKind::Answer,
            RecordKind::Consent,
            RecordKind::Mandate,
            RecordKind::ConsentSetting,
            RecordKind::DeleteDuty,
            RecordKind::Statement,
        ] {
            owned.push((kind, prefix.clone()));
        }
        // An agreement that is gone gives nothing any more: who holds a token of it is refused at its next use.
        let agreements = format!("{}.dataspace/agreements/", origins.root(root.trim_matches('/')));
        for kind in [RecordKind::Agreement, RecordKind::Use] {
            owned.push((kind, agreements.clone()));
        }
    }
    owned
}

/// Removes resources of a storage, the deepest first, and at last the storage.
fn erase_storage(transaction: &mut dyn Transaction, root: &ResourceName, room: &mut usize) -> Result<(), StoreError> {
    if transaction.storage(root)?.is_none() {
        return Ok(());
    }
    while *room > 0 {
        let Some(leaf) = deepest(&*transaction, root)? else {
            if let Some(resource) = transaction.resource(root)? {
                forget_creator(transaction, resource.id)?;
            }
            transaction.remove(root)?;
            transaction.record_delete(RecordKind::AuthorizationSystem, root.as_str())?;
            quota::assign(transaction, root, None)?;
            *room -= 1;
            return Ok(());
        };
        if let Some(resource) = transaction.resource(&leaf)? {
            forget_creator(transaction, resource.id)?;
        }
        transaction.remove(&leaf)?;
        *room -= 1;
    }
    Ok(())
}

/// A member of a container, or of the first container in it, and so on, that holds nothing itself.
fn deepest(snapshot: &(impl Snapshot + ?Sized), root: &ResourceName) -> Result<Option<ResourceName>, StoreError> {
    let mut found = None;
    let mut container = root.clone();
    while let Some(member) = snapshot.members(&container, None, 1)?.into_iter().next() {
        found = Some(member.name.clone());
        if !member.name.is_container() {
            break;
        }
        container = member.name;
    }
    Ok(found)
}

fn key(due: i64, id: &str) -> String {
    // Twenty digits, so that the order of keys is the order of moments.
    format!("{PREFIX}{:020}/{id}", due.max(0))
}

fn moment(key: &str) -> Option<i64> {
    key.strip_prefix(PREFIX)?.split('/').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_in_the_order_of_moments() {
        let keys: Vec<String> = [5, 50, 500, 1_795_000_000]
            .into_iter()
            .map(|due| key(due, "a"))
            .collect();
        assert!(keys.is_sorted());
        assert_eq!(
            keys.iter().filter_map(|key| moment(key)).collect::<Vec<_>>(),
            [5, 50, 500, 1_795_000_000]
        );
    }
}
