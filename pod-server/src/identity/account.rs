//! Accounts: who may log in, which WebID they act under, which storages are theirs.
//!
//! An account id is random and says nothing about the person (T43). One account is a person or an organisation; its first
//! storage holds its WebID profile.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use server_kit::clock::Clock;
use server_kit::random::Random;

use crate::name::ResourceName;
use crate::store::{self, ReadPermit, RecordKind, Snapshot, Store, Transaction, Warrant};
use crate::ui::visit::same;

use super::client::turns_text;
use super::error::{AccountError, IdentityError};
use super::password::Passwords;
use super::record;
use super::site::{Site, check_name};
use super::storage;
use super::webid::{self, Proof};

/// Accounts that are made in one commit; larger sets are split, so that the writer is never held for long.
const ACCOUNTS_PER_COMMIT_MAX: usize = 500;

/// Longest label, in characters.
pub const LABEL_CHARACTERS_MAX: usize = 200;

/// Longest login name or address, in characters (RFC 5321 §4.5.3).
pub const LOGIN_CHARACTERS_MAX: usize = 254;

/// Storages that one account may have.
pub const STORAGES_MAX: usize = 1_000;

/// Whether an account is a person or an organisation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AccountKind {
    /// A natural person.
    Person,
    /// A municipality, an agency, a company.
    Organisation,
}

/// An account as the store keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Random id.
    pub id: String,
    /// Login name, also the name of the first storage.
    pub name: String,
    /// How the account calls itself.
    pub label: String,
    /// Person or organisation.
    pub kind: AccountKind,
    /// WebID.
    pub webid: String,
    /// Root containers of its storages, such as `/gent/`.
    pub storages: Vec<String>,
    /// PHC string of the password; none until one is chosen.
    pub password: Option<String>,
    /// The link for the first password, while it is open.
    pub setup: Option<Setup>,
    /// Counts up when everything that was given out must end: sessions, refresh tokens, codes (T40).
    pub generation: u64,
    /// Unix seconds.
    pub created: i64,
    /// WebIDs besides the first: of further storages, and external ones that were proved.
    #[serde(default)]
    pub webids: Vec<String>,
    /// A proof that an external WebID is the holder's, while it is under way.
    #[serde(default)]
    pub proof: Option<Proof>,
    /// When the account is erased, Unix seconds; none unless its holder wants to leave.
    #[serde(default)]
    pub leaving: Option<i64>,
    /// Electronic mail address in small letters that the holder also logs in with; of accounts that came from elsewhere.
    #[serde(default)]
    pub email: Option<String>,
}

impl Account {
    /// All WebIDs, the first one first.
    pub fn all_webids(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.webid).chain(&self.webids).map(String::as_str)
    }

    /// The WebID that something was granted for, as long as it is one of the account's; the first where none was named.
    #[must_use]
    pub fn acting_as(&self, named: Option<&str>) -> Option<&str> {
        match named {
            None => Some(&self.webid),
            Some(named) => self.all_webids().find(|known| *known == named),
        }
    }
}

/// Whom a further storage of an account belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StorageOwner {
    /// One of the account's WebIDs.
    Known(String),
    /// A new WebID, whose profile lies in the storage.
    New,
}

/// An open one-time link for choosing the first password.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setup {
    /// Digest of the link's secret.
    pub digest: String,
    /// Until when it counts, Unix seconds.
    pub expires: i64,
}

impl Setup {
    /// Whether this digest is that of the link, and the link still counts.
    #[must_use]
    pub fn admits(&self, digest: &str, now: i64) -> bool {
        same(self.digest.as_bytes(), digest.as_bytes()) && self.expires > now
    }
}

/// How a new account's holder gets in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FirstLogin {
    /// With this password.
    Password(String),
    /// With a one-time link on which the holder chooses a password. Quick to make in large numbers.
    SetupLink,
}

/// An account to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewAccount {
    /// Login name, also the name of the first storage.
    pub name: String,
    /// How the account calls itself.
    pub label: String,
    /// Person or organisation.
    pub kind: AccountKind,
    /// How its holder gets in.
    pub first_login: FirstLogin,
}

/// An account that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreatedAccount {
    /// The account.
    pub account: Account,
    /// URL of the one-time link, if that is how its holder gets in. It is not kept anywhere: hand it over.
    pub setup_url: Option<String>,
}

/// What making accounts needs besides the store.
#[derive(Clone, Copy)]
pub struct AccountTools<'a> {
    /// Origins.
    pub site: &'a Site,
    /// Password hashing and rules.
    pub passwords: &'a Passwords,
    /// How long a setup link counts, in days.
    pub setup_days: u32,
    /// Time.
    pub clock: &'a dyn Clock,
    /// Randomness.
    pub random: &'a dyn Random,
}

/// Makes one account with its storage, WebID profile, inbox and settings, in one commit.
///
/// # Errors
/// [`AccountError`] says which rule the name, label or password breaks, or that the name is taken. Nothing is then stored.
pub async fn create_account(
    store: &dyn Store,
    tools: AccountTools<'_>,
    new: NewAccount,
) -> Result<CreatedAccount, AccountError> {
    let name = new.name.clone();
    create_accounts(store, tools, vec![new])
        .await?
        .pop()
        .ok_or(AccountError::Unknown(name))
}

/// Makes many accounts. All names are checked first; then they are stored some hundred to a commit, in order. On an error,
/// earlier commits stand.
///
/// # Errors
/// As [`create_account`].
pub async fn create_accounts(
    store: &dyn Store,
    tools: AccountTools<'_>,
    new: Vec<NewAccount>,
) -> Result<Vec<CreatedAccount>, AccountError> {
    let mut names = BTreeSet::new();
    for account in &new {
        check(account, tools.passwords)?;
        if !names.insert(account.name.as_str()) {
            return Err(AccountError::Taken(account.name.clone()));
        }
    }
    let mut created = Vec::with_capacity(new.len());
    let mut pending = Vec::with_capacity(new.len().min(ACCOUNTS_PER_COMMIT_MAX));
    for account in new {
        pending.push(prepare(tools, account).await?);
        if pending.len() == ACCOUNTS_PER_COMMIT_MAX {
            insert(store, tools.site, std::mem::take(&mut pending), &mut created).await?;
        }
    }
    insert(store, tools.site, pending, &mut created).await?;
    Ok(created)
}

fn check(new: &NewAccount, passwords: &Passwords) -> Result<(), AccountError> {
    check_name(&new.name)?;
    check_label(&new.label)?;
    if let FirstLogin::Password(password) = &new.first_login {
        passwords.check_new(&new.name, password)?;
    }
    Ok(())
}

/// Checks how an account calls itself.
///
/// # Errors
/// [`AccountError::Label`].
pub fn check_label(label: &str) -> Result<(), AccountError> {
    let fits = !label.trim().is_empty() && label.chars().count() <= LABEL_CHARACTERS_MAX;
    if fits && !label.chars().any(|letter| letter.is_control() || turns_text(letter)) {
        Ok(())
    } else {
        Err(AccountError::Label)
    }
}

pub(super) async fn prepare(tools: AccountTools<'_>, new: NewAccount) -> Result<CreatedAccount, AccountError> {
    let now = tools.clock.unix();
    let (password, setup, setup_url) = match &new.first_login {
        FirstLogin::Password(password) => (Some(tools.passwords.hash(password, tools.random).await?), None, None),
        FirstLogin::SetupLink => {
            let (setup, url) = open_setup(tools, &new.name);
            (None, Some(setup), Some(url))
        }
    };
    let account = Account {
        id: tools.random.token(16),
        webid: tools.site.webid(&new.name),
        storages: vec![Site::root(&new.name)],
        name: new.name,
        label: new.label.trim().to_owned(),
        kind: new.kind,
        password,
        setup,
        generation: 0,
        created: now,
        webids: Vec::new(),
        proof: None,
        leaving: None,
        email: None,
    };
    Ok(CreatedAccount { account, setup_url })
}

async fn insert(
    store: &dyn Store,
    site: &Site,
    pending: Vec<CreatedAccount>,
    created: &mut Vec<CreatedAccount>,
) -> Result<(), AccountError> {
    if pending.is_empty() {
        return Ok(());
    }
    let site = site.clone();
    let (pending, _) = store::commit(
        store,
        Warrant::without_proof("accounts are made by the operator or by the registration page"),
        Box::new(move |transaction: &mut dyn Transaction| {
            for new in &pending {
                insert_one(transaction, &site, &new.account).map_err(store::CommitError::Refused)?;
            }
            Ok(pending)
        }),
    )
    .await
    .map_err(|error: store::CommitError<AccountError>| AccountError::from(error))?;
    created.extend(pending);
    Ok(())
}

fn insert_one(transaction: &mut dyn Transaction, site: &Site, account: &Account) -> Result<(), AccountError> {
    claim(transaction, site, &account.name)?;
    storage::create(
        transaction,
        site,
        &account.name,
        &account.webid,
        Some((&account.label, account.kind)),
    )?;
    record::write(transaction, RecordKind::Login, &account.name, &account.id)?;
    save(transaction, account)?;
    Ok(())
}

/// Sees to it that no login, storage or document has a name.
fn claim(transaction: &dyn Transaction, site: &Site, name: &str) -> Result<(), AccountError> {
    site.origins().check(name).map_err(|reason| AccountError::Name {
        name: name.to_owned(),
        reason,
    })?;
    let taken = || AccountError::Taken(name.to_owned());
    let root = ResourceName::parse(&Site::root(name)).map_err(|_| taken())?;
    let twin = root.slash_twin().ok_or_else(taken)?;
    let known = transaction.record(RecordKind::Login, name)?.is_some()
        || transaction.storage(&root)?.is_some()
        || transaction.resource(&twin)?.is_some();
    if known { Err(taken()) } else { Ok(()) }
}

/// Makes a further storage for an account, under its first WebID.
///
/// # Errors
/// [`AccountError`] when the name cannot be used, the account has [`STORAGES_MAX`], or is unknown.
pub async fn add_storage(store: &dyn Store, site: &Site, id: &str, name: &str) -> Result<String, AccountError> {
    let first = by_id(store, id)?
        .ok_or_else(|| AccountError::Unknown(id.to_owned()))?
        .webid;
    add_storage_of(store, site, id, name, StorageOwner::Known(first), STORAGES_MAX).await
}

/// Makes a further storage for an account, which may have `most` of them.
///
/// # Errors
/// As [`add_storage`]; [`AccountError::Unknown`] also for a WebID that is not the account's.
pub async fn add_storage_of(
    store: &dyn Store,
    site: &Site,
    id: &str,
    name: &str,
    owner: StorageOwner,
    most: usize,
) -> Result<String, AccountError> {
    check_name(name)?;
    let (site, id, name) = (site.clone(), id.to_owned(), name.to_owned());
    let work = move |transaction: &mut dyn Transaction| -> Result<String, AccountError> {
        let mut account = load(transaction, &id)?.ok_or_else(|| AccountError::Unknown(id.clone()))?;
        claim(transaction, &site, &name)?;
        if account.storages.len() >= most {
            return Err(AccountError::Full);
        }
        let webid = match owner {
            StorageOwner::Known(webid) if account.all_webids().any(|known| known == webid) => webid,
            StorageOwner::Known(webid) => return Err(AccountError::Unknown(webid)),
            StorageOwner::New => {
                let webid = site.webid(&name);
                webid::claim(transaction, &webid, &account.id)?;
                account.webids.push(webid.clone());
                webid
            }
        };
        let own = account.webids.last() == Some(&webid) && webid == site.webid(&name);
        let profile = own.then_some((account.label.as_str(), account.kind));
        storage::create(transaction, &site, &name, &webid, profile)?;
        // The name belongs to the account for ever, also when the storage is gone.
        record::write(transaction, RecordKind::Login, &name, &account.id)?;
        let root = Site::root(&name);
        account.storages.push(root.clone());
        save(transaction, &account)?;
        Ok(root)
    };
    let (root, _) = store::commit(
        store,
        Warrant::without_proof("the account holder or the operator makes a storage"),
        Box::new(move |transaction: &mut dyn Transaction| work(transaction).map_err(store::CommitError::Refused)),
    )
    .await
    .map_err(|error: store::CommitError<AccountError>| AccountError::from(error))?;
    Ok(root)
}

/// Changes an account inside one commit.
///
/// # Errors
/// [`AccountError::Unknown`], or what `change` refuses.
pub async fn update(
    store: &dyn Store,
    id: &str,
    change: impl FnOnce(&mut Account) -> Result<(), AccountError> + Send + 'static,
) -> Result<Account, AccountError> {
    let id = id.to_owned();
    let work = move |transaction: &mut dyn Transaction| -> Result<Account, AccountError> {
        let mut account = load(transaction, &id)?.ok_or(AccountError::Unknown(id))?;
        change(&mut account)?;
        save(transaction, &account)?;
        Ok(account)
    };
    let (account, _) = store::commit(
        store,
        Warrant::without_proof("the account holder or the operator changes the account"),
        Box::new(move |transaction: &mut dyn Transaction| work(transaction).map_err(store::CommitError::Refused)),
    )
    .await
    .map_err(|error: store::CommitError<AccountError>| AccountError::from(error))?;
    Ok(account)
}

/// Gives an account a new password and ends everything that was given out before (T40).
///
/// # Errors
/// [`AccountError`] when the password is weak or the account unknown.
pub async fn set_password(
    store: &dyn Store,
    tools: AccountTools<'_>,
    name: &str,
    password: &str,
) -> Result<Account, AccountError> {
    let account = by_name(store, name)?.ok_or_else(|| AccountError::Unknown(name.to_owned()))?;
    tools.passwords.check_new(&account.name, password)?;
    let hash = tools.passwords.hash(password, tools.random).await?;
    update(store, &account.id, move |account| {
        account.password = Some(hash);
        account.setup = None;
        account.generation += 1;
        Ok(())
    })
    .await
}

/// Makes a one-time link on which the holder of an account chooses a new password, and gives its URL. Until it is used, the
/// present password counts; an older link counts no more.
///
/// # Errors
/// [`AccountError::Unknown`].
pub async fn setup_link(store: &dyn Store, tools: AccountTools<'_>, name: &str) -> Result<String, AccountError> {
    let account = by_name(store, name)?.ok_or_else(|| AccountError::Unknown(name.to_owned()))?;
    let (setup, url) = open_setup(tools, name);
    update(store, &account.id, move |account| {
        account.setup = Some(setup);
        Ok(())
    })
    .await?;
    Ok(url)
}

fn open_setup(tools: AccountTools<'_>, name: &str) -> (Setup, String) {
    let secret = tools.random.token(32);
    let setup = Setup {
        digest: record::digest(&secret),
        expires: tools.clock.unix() + i64::from(tools.setup_days) * 86_400,
    };
    let url = tools.site.console(&format!("setup?account={name}&secret={secret}"));
    (setup, url)
}

/// The account with a login name.
///
/// # Errors
/// When the store fails or a record is damaged.
pub fn by_name(store: &dyn Store, name: &str) -> Result<Option<Account>, IdentityError> {
    let snapshot = store.snapshot(permit())?;
    let id: Option<String> = record::read(snapshot.as_ref(), RecordKind::Login, name)?;
    let account = id.map_or(Ok(None), |id| load(snapshot.as_ref(), &id))?;
    // Names of further storages are noted too; nobody logs in with one.
    Ok(account.filter(|account| account.name == name))
}

/// The account that logs in with a name or an address.
///
/// # Errors
/// When the store fails or a record is damaged.
pub fn by_login(store: &dyn Store, login: &str) -> Result<Option<Account>, IdentityError> {
    let snapshot = store.snapshot(permit())?;
    let id: Option<String> = record::read(snapshot.as_ref(), RecordKind::Login, login)?;
    let account = id.map_or(Ok(None), |id| load(snapshot.as_ref(), &id))?;
    Ok(account.filter(|account| account.name == login || account.email.as_deref() == Some(login)))
}

/// What failed attempts on an account are counted under, whichever of its names is said; what was said where there is none.
#[must_use]
pub(super) fn counted_as<'a>(account: Option<&'a Account>, login: &'a str) -> &'a str {
    account.map_or(login, |account| &account.name)
}

/// Puts a password's hash in another form into the place of the old one, unless the password changed meanwhile. Nothing
/// that was given out ends: the password is the same.
///
/// # Errors
/// When the store fails or the record is damaged.
pub(super) async fn rehash(store: &dyn Store, id: &str, old: String, new: String) -> Result<(), AccountError> {
    update(store, id, move |account| {
        if account.password.as_ref() == Some(&old) {
            account.password = Some(new);
        }
        Ok(())
    })
    .await
    .map(drop)
}

/// The account with an id.
///
/// # Errors
/// When the store fails or the record is damaged.
pub fn by_id(store: &dyn Store, id: &str) -> Result<Option<Account>, IdentityError> {
    load(store.snapshot(permit())?.as_ref(), id)
}

/// Accounts in order of login name, after a name, at most `limit`.
///
/// # Errors
/// When the store fails or a record is damaged.
pub fn list(store: &dyn Store, after: Option<&str>, limit: usize) -> Result<Vec<Account>, IdentityError> {
    let snapshot = store.snapshot(permit())?;
    let mut accounts = Vec::new();
    for (name, bytes) in snapshot.records(RecordKind::Login, "", after, limit)? {
        let id: String = record::decode(RecordKind::Login, &name, &bytes)?;
        accounts.extend(load(snapshot.as_ref(), &id)?.filter(|account| account.name == name));
    }
    Ok(accounts)
}

/// Reads an account in a view of the store.
pub(super) fn load(snapshot: &(impl Snapshot + ?Sized), id: &str) -> Result<Option<Account>, IdentityError> {
    record::read(snapshot, RecordKind::Account, id)
}

/// Writes an account.
pub(super) fn save(transaction: &mut dyn Transaction, account: &Account) -> Result<(), IdentityError> {
    record::write(transaction, RecordKind::Account, &account.id, account)
}

/// The right to read records of identity.
pub(super) const fn permit() -> ReadPermit {
    ReadPermit::without_proof("identity reads its own records to know who asks")
}
