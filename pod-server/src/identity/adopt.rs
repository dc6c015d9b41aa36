//! Accounts for storages that came from elsewhere: out of an archive, or from another server.
//!
//! The storage and its profile are there already; what is made is a way to log in.

use crate::name::ResourceName;
use crate::store::{self, RecordKind, Store, Transaction, Warrant};

use super::account::{self, Account, AccountTools, CreatedAccount, NewAccount, check_label, prepare, save};
use super::credential::{self, FormerCredential};
use super::error::{AccountError, IdentityError};
use super::site::check_name;
use super::{record, webid};

/// An account to be made for storages that exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Adoption {
    /// Login name, label, kind and first login.
    pub new: NewAccount,
    /// WebID that the account acts under.
    pub webid: String,
    /// Its further WebIDs.
    pub webids: Vec<String>,
    /// Roots of its storages, such as `/gent/`. One of the WebIDs owns each of them.
    pub storages: Vec<String>,
    /// Electronic mail address that the holder also logs in with.
    pub email: Option<String>,
    /// A password hash that the holder's old server kept, in a form that [`Passwords`](super::Passwords) understands. The
    /// holder goes on with the old password then, and there is no link for choosing one.
    pub password_hash: Option<String>,
    /// Client credentials that go on.
    pub credentials: Vec<FormerCredential>,
    /// What the account was elsewhere. An account that came from there before is not made again.
    pub came_from: Option<String>,
}

/// Key under which it is noted that an account came from elsewhere.
fn came_from_key(from: &str) -> String {
    format!("account/{}", record::digest(from))
}

/// The account that came from elsewhere before.
///
/// # Errors
/// When the store fails or a record is damaged.
pub fn adopted(store: &dyn Store, from: &str) -> Result<Option<Account>, IdentityError> {
    let snapshot = store.snapshot(account::permit())?;
    let id: Option<String> = record::read(snapshot.as_ref(), RecordKind::Import, &came_from_key(from))?;
    id.map_or(Ok(None), |id| account::load(snapshot.as_ref(), &id))
}

/// Whether an account has a WebID beside its first.
///
/// # Errors
/// When the store fails.
pub fn has_webid(store: &dyn Store, webid: &str) -> Result<bool, IdentityError> {
    let snapshot = store.snapshot(account::permit())?;
    Ok(snapshot.record(RecordKind::Issuer, &webid::key(webid))?.is_some())
}

/// Whether somebody has a login name, an address, or the name of a storage.
///
/// # Errors
/// When the store fails.
pub fn is_taken(store: &dyn Store, login: &str) -> Result<bool, IdentityError> {
    let snapshot = store.snapshot(account::permit())?;
    Ok(snapshot.record(RecordKind::Login, login)?.is_some())
}

/// Makes an account for storages that exist, in one commit.
///
/// # Errors
/// [`AccountError`]: the name cannot be used or is taken, or a storage is not the WebID's.
pub async fn adopt(
    store: &dyn Store,
    tools: AccountTools<'_>,
    adoption: Adoption,
) -> Result<CreatedAccount, AccountError> {
    check_name(&adoption.new.name)?;
    check_label(&adoption.new.label)?;
    let mut created = prepare(tools, adoption.new).await?;
    let account = &mut created.account;
    account.webid = adoption.webid;
    account.webids = adoption.webids;
    account.storages = adoption.storages;
    account.email = adoption.email;
    if let Some(hash) = adoption.password_hash {
        account.password = Some(hash);
        account.setup = None;
        created.setup_url = None;
    }
    let account = created.account.clone();
    let (credentials, came_from) = (adoption.credentials, adoption.came_from);
    let first = format!("{}profile/card#me", tools.site.origins().root(&account.name));
    let now = tools.clock.unix();
    let suffixes: Vec<String> = credentials.iter().map(|_| tools.random.token(16)).collect();
    let work = move |transaction: &mut dyn Transaction| -> Result<(), AccountError> {
        claim(transaction, &account)?;
        let names = account.storages.iter().map(|root| root.trim_matches('/'));
        for login in names.chain([account.name.as_str()]).chain(account.email.as_deref()) {
            record::write(transaction, RecordKind::Login, login, &account.id)?;
        }
        for webid in account.all_webids().filter(|webid| *webid != first) {
            webid::claim(transaction, webid, &account.id)?;
        }
        for (former, suffix) in credentials.iter().zip(&suffixes) {
            credential::take_over(transaction, &account.id, suffix, former, now)?;
        }
        if let Some(from) = &came_from {
            record::write(transaction, RecordKind::Import, &came_from_key(from), &account.id)?;
        }
        Ok(save(transaction, &account)?)
    };
    store::commit(
        store,
        Warrant::without_proof("the operator makes a login for a storage that came from elsewhere"),
        Box::new(move |transaction: &mut dyn Transaction| work(transaction).map_err(store::CommitError::Refused)),
    )
    .await
    .map_err(|error: store::CommitError<AccountError>| AccountError::from(error))?;
    Ok(created)
}

/// Sees to it that nobody else has the names, the address and the WebIDs, and that the storages are the account's.
fn claim(transaction: &dyn Transaction, account: &Account) -> Result<(), AccountError> {
    let name = &account.name;
    let own = format!("/{name}/");
    let names = account.storages.iter().map(|root| root.trim_matches('/'));
    for login in names.chain([name.as_str()]).chain(account.email.as_deref()) {
        if transaction.record(RecordKind::Login, login)?.is_some() {
            return Err(AccountError::Taken(login.to_owned()));
        }
    }
    for webid in account.all_webids() {
        if transaction.record(RecordKind::Issuer, &webid::key(webid))?.is_some() {
            return Err(AccountError::Taken(webid.to_owned()));
        }
    }
    if storage(transaction, &own)?.is_some() && !account.storages.contains(&own) {
        return Err(AccountError::Taken(name.clone()));
    }
    for root in &account.storages {
        if storage(transaction, root)?.is_none_or(|storage| account.all_webids().all(|webid| webid != storage.owner)) {
            return Err(AccountError::Unknown(format!(
                "{}` with the storage `{root}",
                account.webid
            )));
        }
    }
    Ok(())
}

fn storage(transaction: &dyn Transaction, root: &str) -> Result<Option<store::Storage>, AccountError> {
    match ResourceName::parse(root) {
        Ok(root) => Ok(transaction.storage(&root)?),
        Err(_) => Ok(None),
    }
}
