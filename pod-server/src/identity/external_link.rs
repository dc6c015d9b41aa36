//! Which account a person of another provider is: links between (issuer, subject) and accounts.
//!
//! The subject may be a number that the state gives to people, so only a digest of issuer and subject is kept (T43). It is made
//! with a key that lies beside the store and not in it: such numbers are few enough to try them all.

use std::path::Path;

use hmac::{Hmac, Mac};
use serde::{Deserialize, Serialize};
use server_kit::random::Random;
use server_kit::secret_file;
use sha2::Sha256;

use crate::store::{RecordKind, Snapshot, Store, Transaction};

use super::account;
use super::error::IdentityError;
use super::record;
use super::session::run;

/// Name of the key's file in the store's directory.
const KEY_FILE: &str = "external-persons.key";
/// Length of the key, in bytes.
const KEY_BYTES: usize = 32;

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

/// Makes the digests under which people of other providers are known.
pub struct PersonKey([u8; KEY_BYTES]);

impl PersonKey {
    /// The key in the store's directory, which is made on first use.
    ///
    /// # Errors
    /// [`IdentityError::PersonKey`] when its file cannot be used.
    pub fn load_or_generate(directory: &Path, random: &dyn Random) -> Result<Self, IdentityError> {
        let path = directory.join(KEY_FILE);
        let failed = |reason: String| IdentityError::PersonKey(format!("`{}`: {reason}", path.display()));
        let mut key = [0; KEY_BYTES];
        match secret_file::read(&path).map_err(|error| failed(error.to_string()))? {
            Some(text) => hex::decode_to_slice(text.trim_ascii(), &mut key)
                .map_err(|_| failed(format!("it does not hold {KEY_BYTES} bytes in hexadecimal")))?,
            None => {
                random.fill(&mut key);
                secret_file::write(&path, hex::encode(key).as_bytes()).map_err(|error| failed(error.to_string()))?;
            }
        }
        Ok(Self(key))
    }

    /// The digest of a person.
    ///
    /// # Errors
    /// Never: a key of any length is accepted.
    pub fn person(&self, issuer: &str, subject: &str) -> Result<String, IdentityError> {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(&self.0).map_err(|error| IdentityError::PersonKey(error.to_string()))?;
        mac.update(named(issuer, subject).as_bytes());
        Ok(hex::encode(mac.finalize().into_bytes()))
    }
}

fn named(issuer: &str, subject: &str) -> String {
    serde_json::json!([issuer, subject]).to_string()
}

/// Gives a link that was made when digests had no key its digest with one, when its person comes by.
///
/// # Errors
/// When the store fails or a record is damaged.
pub async fn renew(store: &dyn Store, issuer: &str, subject: &str, person: &str) -> Result<(), IdentityError> {
    let old = record::digest(&named(issuer, subject));
    let known = store
        .snapshot(account::permit())?
        .record(RecordKind::Issuer, &link_key(&old))?;
    if known.is_none() {
        return Ok(());
    }
    let person = person.to_owned();
    run(store, move |transaction: &mut dyn Transaction| {
        let Some(link) = record::read::<ExternalLink>(transaction, RecordKind::Issuer, &link_key(&old))? else {
            return Ok(());
        };
        transaction.record_delete(RecordKind::Issuer, &link_key(&link.person))?;
        transaction.record_delete(RecordKind::Issuer, &account_key(&link))?;
        let link = ExternalLink { person, ..link };
        record::write(transaction, RecordKind::Issuer, &link_key(&link.person), &link)?;
        record::write(transaction, RecordKind::Issuer, &account_key(&link), &link)
    })
    .await
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
