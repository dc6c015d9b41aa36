//! Which account a person of another provider is: links between (issuer, subject) and accounts.
//!
//! The subject may be a number that the state gives to people, so only a digest of issuer and subject is kept (T43).

use serde::{Deserialize, Serialize};

use crate::store::{RecordKind, Snapshot, Store, Transaction};

use super::account;
use super::error::IdentityError;
use super::record;
use super::session::run;

const LINK_PREFIX: &str = "external/";
const ACCOUNT_PREFIX: &str = "external-of/";

/// Links that one account may have.
pub const LINKS_MAX: usize = 20;

/// A link as the store keeps it, twice: under the person's digest, and under the account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExternalLink {
    /// The account.
    pub account: String,
    /// Name of the provider in the configuration.
    pub provider: String,
    /// Digest of issuer and subject.
    pub person: String,
    /// Unix seconds.
    pub since: i64,
}

/// What came of linking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Linked {
    /// The link stands.
    Done,
    /// The person is linked to another account.
    Taken,
    /// The account has as many links as it may.
    Full,
}

/// The digest under which a person of a provider is known.
#[must_use]
pub fn person(issuer: &str, subject: &str) -> String {
    record::digest(&serde_json::json!([issuer, subject]).to_string())
}

/// The link of a person, if the account still exists.
///
/// # Errors
/// When the store fails or a record is damaged.
pub fn find(store: &dyn Store, person: &str) -> Result<Option<account::Account>, IdentityError> {
    let snapshot = store.snapshot(account::permit())?;
    let link: Option<ExternalLink> = record::read(snapshot.as_ref(), RecordKind::Issuer, &link_key(person))?;
    link.map_or(Ok(None), |link| account::load(snapshot.as_ref(), &link.account))
}

/// Links a person to an account. A link to an account that is gone gives way.
///
/// # Errors
/// When the store fails or a record is damaged.
pub async fn link(store: &dyn Store, link: ExternalLink) -> Result<Linked, IdentityError> {
    run(store, move |transaction: &mut dyn Transaction| {
        let known: Option<ExternalLink> = record::read(transaction, RecordKind::Issuer, &link_key(&link.person))?;
        if let Some(known) = known.filter(|known| known.account != link.account) {
            if account::load(transaction, &known.account)?.is_some() {
                return Ok(Linked::Taken);
            }
            transaction.record_delete(RecordKind::Issuer, &account_key(&known))?;
        }
        let prefix = format!("{ACCOUNT_PREFIX}{}/", link.account);
        if transaction.records(RecordKind::Issuer, &prefix, None, LINKS_MAX)?.len() >= LINKS_MAX {
            return Ok(Linked::Full);
        }
        record::write(transaction, RecordKind::Issuer, &link_key(&link.person), &link)?;
        record::write(transaction, RecordKind::Issuer, &account_key(&link), &link)?;
        Ok(Linked::Done)
    })
    .await
}

/// Takes a link of an account away; false when the account has none to this person.
///
/// # Errors
/// When the store fails.
pub async fn unlink(store: &dyn Store, account: &str, person: &str) -> Result<bool, IdentityError> {
    let (account, person) = (account.to_owned(), person.to_owned());
    run(store, move |transaction: &mut dyn Transaction| {
        let key = format!("{ACCOUNT_PREFIX}{account}/{person}");
        let held = transaction.record_delete(RecordKind::Issuer, &key)?;
        if held {
            transaction.record_delete(RecordKind::Issuer, &link_key(&person))?;
        }
        Ok(held)
    })
    .await
}

/// Takes all links of an account away, inside a commit that deletes it.
///
/// # Errors
/// When the store fails or a record is damaged.
pub fn forget(transaction: &mut dyn Transaction, account: &str) -> Result<(), IdentityError> {
    for link in of_account(transaction, account)? {
        transaction.record_delete(RecordKind::Issuer, &link_key(&link.person))?;
        transaction.record_delete(RecordKind::Issuer, &account_key(&link))?;
    }
    Ok(())
}

/// The links of an account.
///
/// # Errors
/// When the store fails or a record is damaged.
pub fn of_account(snapshot: &(impl Snapshot + ?Sized), account: &str) -> Result<Vec<ExternalLink>, IdentityError> {
    snapshot
        .records(
            RecordKind::Issuer,
            &format!("{ACCOUNT_PREFIX}{account}/"),
            None,
            LINKS_MAX,
        )?
        .into_iter()
        .map(|(key, bytes)| record::decode(RecordKind::Issuer, &key, &bytes))
        .collect()
}

fn link_key(person: &str) -> String {
    format!("{LINK_PREFIX}{person}")
}

fn account_key(link: &ExternalLink) -> String {
    format!("{ACCOUNT_PREFIX}{}/{}", link.account, link.person)
}
