//! Client credentials: how a machine gets tokens that act under an account's WebID (solid#101).
//!
//! Both parts are random. The store keeps the digest of the secret, which is shown once.

use serde::{Deserialize, Serialize};
use server_kit::clock::Clock;
use server_kit::random::Random;

use crate::store::{RecordKind, Snapshot, Store, Transaction};
use crate::ui::visit::same;

use super::account;
use super::error::IdentityError;
use super::grant;
use super::record;
use super::session::run;

/// Longest label, in characters.
pub const LABEL_CHARACTERS_MAX: usize = 100;

/// What the names of grants to client credentials begin with.
pub(super) const GRANT_PREFIX: &str = "credential/";

/// Client credentials as the store keeps them, under the client id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientCredential {
    /// Client id: the account's id, a dot, and a random part.
    pub id: String,
    /// Digest of the secret.
    pub digest: String,
    /// What the account holder calls it.
    pub label: String,
    /// Account that it acts for.
    pub account: String,
    /// Whether it may give consent in the account holder's name.
    #[serde(default)]
    pub consents: bool,
    /// Counts up when the tokens that were given for it must end.
    #[serde(default)]
    pub generation: u64,
    /// Unix seconds.
    pub created: i64,
}

/// Client credentials of another server that go on here, with the same id and secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FormerCredential {
    /// The client id that they had.
    pub id: String,
    /// The secret, long and random.
    pub secret: String,
}

/// Where credentials are found by the id that they had elsewhere.
fn former(id: &str) -> String {
    format!("former/{}", record::digest(id))
}

/// Stores client credentials of another server for an account. They have an id of ours and are known by the old one too.
pub(super) fn take_over(
    transaction: &mut dyn Transaction,
    account: &str,
    suffix: &str,
    credential: &FormerCredential,
    now: i64,
) -> Result<(), IdentityError> {
    let label = credential.id.chars().filter(|c| !c.is_control());
    let stored = ClientCredential {
        id: format!("{account}.{suffix}"),
        digest: record::digest(&credential.secret),
        label: label.take(LABEL_CHARACTERS_MAX).collect(),
        account: account.to_owned(),
        consents: false,
        generation: 0,
        created: now,
    };
    record::write(transaction, RecordKind::ClientCredential, &stored.id, &stored)?;
    record::write(
        transaction,
        RecordKind::ClientCredential,
        &former(&credential.id),
        &stored.id,
    )
}

/// New client credentials, with the secret that is shown this once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewCredential {
    /// Client id.
    pub id: String,
    /// The secret.
    pub secret: String,
}

/// Makes client credentials for an account. `None` when the account has `credentials_max` already or is unknown.
///
/// # Errors
/// When the store fails.
pub async fn create(
    store: &dyn Store,
    account_id: &str,
    label: &str,
    credentials_max: usize,
    clock: &dyn Clock,
    random: &dyn Random,
) -> Result<Option<NewCredential>, IdentityError> {
    make(store, account_id, (label, false), credentials_max, clock, random).await
}

/// As [`create`], for a program that may give consent in the account holder's name (scope `consent`).
///
/// # Errors
/// As [`create`].
pub async fn create_for_consent(
    store: &dyn Store,
    account_id: &str,
    label: &str,
    credentials_max: usize,
    clock: &dyn Clock,
    random: &dyn Random,
) -> Result<Option<NewCredential>, IdentityError> {
    make(store, account_id, (label, true), credentials_max, clock, random).await
}

async fn make(
    store: &dyn Store,
    account_id: &str,
    (label, consents): (&str, bool),
    credentials_max: usize,
    clock: &dyn Clock,
    random: &dyn Random,
) -> Result<Option<NewCredential>, IdentityError> {
    let label: String = label
        .chars()
        .filter(|c| !c.is_control())
        .take(LABEL_CHARACTERS_MAX)
        .collect();
    let new = NewCredential {
        id: format!("{account_id}.{}", random.token(16)),
        secret: random.token(32),
    };
    let stored = ClientCredential {
        id: new.id.clone(),
        digest: record::digest(&new.secret),
        label,
        account: account_id.to_owned(),
        consents,
        generation: 0,
        created: clock.unix(),
    };
    let made = run(store, move |transaction: &mut dyn Transaction| {
        let held = transaction.records(
            RecordKind::ClientCredential,
            &prefix(&stored.account),
            None,
            credentials_max,
        )?;
        if held.len() >= credentials_max || account::load(transaction, &stored.account)?.is_none() {
            return Ok(false);
        }
        record::write(transaction, RecordKind::ClientCredential, &stored.id, &stored)?;
        Ok(true)
    })
    .await?;
    Ok(made.then_some(new))
}

/// The client credentials of an account.
///
/// # Errors
/// When the store fails or a record is damaged.
pub fn list(store: &dyn Store, account_id: &str, limit: usize) -> Result<Vec<ClientCredential>, IdentityError> {
    let snapshot = store.snapshot(account::permit())?;
    snapshot
        .records(RecordKind::ClientCredential, &prefix(account_id), None, limit)?
        .into_iter()
        .map(|(key, bytes)| record::decode(RecordKind::ClientCredential, &key, &bytes))
        .collect()
}

/// Deletes client credentials of an account; false when the account has none with this id. Tokens that were given for
/// them and notification channels end with them.
///
/// # Errors
/// When the store fails.
pub async fn delete(store: &dyn Store, account_id: &str, id: &str) -> Result<bool, IdentityError> {
    let (account, prefix, id) = (account_id.to_owned(), prefix(account_id), id.to_owned());
    run(store, move |transaction: &mut dyn Transaction| {
        if !id.starts_with(&prefix) || !transaction.record_delete(RecordKind::ClientCredential, &id)? {
            return Ok(false);
        }
        grant::forget_channels(transaction, &account, &id)?;
        Ok(true)
    })
    .await
}

impl ClientCredential {
    /// Scopes of the tokens that are given for it.
    #[must_use]
    pub const fn scope(&self) -> &'static str {
        if self.consents { "webid consent" } else { "webid" }
    }

    /// Name of the grant that those tokens end with.
    #[must_use]
    pub fn grant(&self) -> String {
        format!("{GRANT_PREFIX}{}/{}", self.id, self.generation)
    }
}

/// Whether the credentials that a grant names stand: they were not deleted, their tokens not revoked.
///
/// # Errors
/// When the store fails or the record is damaged.
pub fn stands(snapshot: &(impl Snapshot + ?Sized), grant: &str) -> Result<bool, IdentityError> {
    let Some((id, generation)) = parts(grant) else {
        return Ok(false);
    };
    let stored: Option<ClientCredential> = record::read(snapshot, RecordKind::ClientCredential, id)?;
    let Some(stored) = stored.filter(|stored| stored.generation == generation) else {
        return Ok(false);
    };
    Ok(account::load(snapshot, &stored.account)?.is_some())
}

/// Ends the tokens that were given for the credentials which a grant names. The credentials stay.
///
/// # Errors
/// When the store fails or the record is damaged.
pub fn revoke(transaction: &mut dyn Transaction, grant: &str) -> Result<(), IdentityError> {
    let Some((id, generation)) = parts(grant) else {
        return Ok(());
    };
    let stored: Option<ClientCredential> = record::read(transaction, RecordKind::ClientCredential, id)?;
    match stored.filter(|stored| stored.generation == generation) {
        Some(mut stored) => {
            stored.generation += 1;
            record::write(transaction, RecordKind::ClientCredential, &stored.id, &stored)
        }
        None => Ok(()),
    }
}

/// Id and generation of the credentials that a grant names.
fn parts(grant: &str) -> Option<(&str, u64)> {
    let (id, generation) = grant.strip_prefix(GRANT_PREFIX)?.rsplit_once('/')?;
    Some((id, generation.parse().ok()?))
}

/// The credentials with an id and a secret, or nothing.
///
/// # Errors
/// When the store fails or the record is damaged.
pub fn verify(
    snapshot: &(impl Snapshot + ?Sized),
    id: &str,
    secret: &str,
) -> Result<Option<ClientCredential>, IdentityError> {
    let known: Option<String> = record::read(snapshot, RecordKind::ClientCredential, &former(id))?;
    let id = known.as_deref().unwrap_or(id);
    // What credentials are noted under for their old id is no credential.
    if id.contains('/') {
        return Ok(None);
    }
    let stored: Option<ClientCredential> = record::read(snapshot, RecordKind::ClientCredential, id)?;
    Ok(stored.filter(|stored| same(stored.digest.as_bytes(), record::digest(secret).as_bytes())))
}

fn prefix(account_id: &str) -> String {
    format!("{account_id}.")
}
