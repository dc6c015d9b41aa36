//! Accounts for storages that came from elsewhere: out of an archive, or from another server.
//!
//! The storage and its profile are there already; what is made is a way to log in.

use crate::name::ResourceName;
use crate::store::{self, RecordKind, Store, Transaction, Warrant};

use super::account::{Account, AccountTools, CreatedAccount, NewAccount, check_label, prepare, save};
use super::error::AccountError;
use super::record;
use super::site::check_name;

/// An account to be made for storages that exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Adoption {
    /// Login name, label, kind and first login.
    pub new: NewAccount,
    /// WebID that the account acts under.
    pub webid: String,
    /// Roots of its storages, such as `/gent/`. The WebID owns each of them.
    pub storages: Vec<String>,
    /// A password hash that the holder's old server kept, in a form that [`Passwords`](super::Passwords) understands. The
    /// holder goes on with the old password then, and there is no link for choosing one.
    pub password_hash: Option<String>,
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
    account.storages = adoption.storages;
    if let Some(hash) = adoption.password_hash {
        account.password = Some(hash);
        account.setup = None;
        created.setup_url = None;
    }
    let account = created.account.clone();
    let work = move |transaction: &mut dyn Transaction| -> Result<(), AccountError> {
        claim(transaction, &account)?;
        record::write(transaction, RecordKind::Login, &account.name, &account.id)?;
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

/// Sees to it that nobody else has the name, and that the storages are the account's.
fn claim(transaction: &dyn Transaction, account: &Account) -> Result<(), AccountError> {
    let name = &account.name;
    let own = format!("/{name}/");
    if transaction.record(RecordKind::Login, name)?.is_some() {
        return Err(AccountError::Taken(name.clone()));
    }
    if storage(transaction, &own)?.is_some() && !account.storages.contains(&own) {
        return Err(AccountError::Taken(name.clone()));
    }
    for root in &account.storages {
        if storage(transaction, root)?.is_none_or(|storage| storage.owner != account.webid) {
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
