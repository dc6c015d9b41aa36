//! Sessions of the console: a random token in a `__Host-` cookie, of which the store knows only the digest (T45).
//!
//! A session ends when it expires, when its holder logs out, and when the account's generation counts up. A new one is made
//! at every login; none is ever taken over from before. Content origins never see or accept it.

use http::HeaderMap;
use serde::{Deserialize, Serialize};

use crate::store::{self, RecordKind, Store, Transaction, Warrant};
use crate::ui::Session;
use crate::ui::visit::{SESSION_COOKIE, cookie};

use super::account::{self, Account};
use super::error::IdentityError;
use super::record;

/// A session as the store keeps it, under the digest of its token.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct StoredSession {
    account: String,
    generation: u64,
    authenticated_at: i64,
    expires: i64,
}

/// The session that a request's cookie stands for, with the cookie's value.
///
/// # Errors
/// When the store fails or a record is damaged.
pub fn find(store: &dyn Store, headers: &HeaderMap, now: i64) -> Result<Option<(Session, String)>, IdentityError> {
    let Some(token) = cookie(headers, SESSION_COOKIE) else {
        return Ok(None);
    };
    let snapshot = store.snapshot(account::permit())?;
    let stored: Option<StoredSession> = record::read(snapshot.as_ref(), RecordKind::Session, &record::digest(token))?;
    let Some(stored) = stored.filter(|stored| stored.expires > now) else {
        return Ok(None);
    };
    let account = account::load(snapshot.as_ref(), &stored.account)?;
    let account = account.filter(|account| account.generation == stored.generation);
    Ok(account.map(|account| (session(account, stored.authenticated_at), token.to_owned())))
}

fn session(account: Account, authenticated_at: i64) -> Session {
    Session {
        account: account.id,
        name: account.name,
        label: account.label,
        webid: account.webid,
        storages: account.storages,
        authenticated_at,
    }
}

/// Starts a session under a fresh token, and ends the one that the browser had, if any.
///
/// # Errors
/// When the store fails.
pub async fn start(
    store: &dyn Store,
    account: &Account,
    token: &str,
    replaced: Option<&str>,
    now: i64,
    seconds: i64,
) -> Result<(), IdentityError> {
    let stored = StoredSession {
        account: account.id.clone(),
        generation: account.generation,
        authenticated_at: now,
        expires: now + seconds,
    };
    let (key, old) = (record::digest(token), replaced.map(record::digest));
    let work = move |transaction: &mut dyn Transaction| -> Result<(), IdentityError> {
        if let Some(old) = old {
            transaction.record_delete(RecordKind::Session, &old)?;
        }
        record::write(transaction, RecordKind::Session, &key, &stored)
    };
    run(store, work).await
}

/// Ends the session of a token.
///
/// # Errors
/// When the store fails.
pub async fn end(store: &dyn Store, token: &str) -> Result<(), IdentityError> {
    let key = record::digest(token);
    run(
        store,
        move |transaction: &mut dyn Transaction| -> Result<(), IdentityError> {
            transaction.record_delete(RecordKind::Session, &key)?;
            Ok(())
        },
    )
    .await
}

/// Carries out a commit of identity's own records.
pub(super) async fn run<T: Send + 'static>(
    store: &dyn Store,
    work: impl FnOnce(&mut dyn Transaction) -> Result<T, IdentityError> + Send + 'static,
) -> Result<T, IdentityError> {
    let (value, _) = store::commit(
        store,
        Warrant::without_proof("identity keeps its own records: sessions, codes, tokens, credentials"),
        Box::new(move |transaction: &mut dyn Transaction| work(transaction).map_err(store::CommitError::Refused)),
    )
    .await
    .map_err(|error: store::CommitError<IdentityError>| IdentityError::from(error))?;
    Ok(value)
}

/// Until when a stored session counts; for sweeping.
pub(super) fn expires(bytes: &[u8]) -> Option<i64> {
    serde_json::from_slice::<StoredSession>(bytes)
        .ok()
        .map(|stored| stored.expires)
}
