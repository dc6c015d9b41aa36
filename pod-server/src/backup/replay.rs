//! Ending, in a restored store, what had ended before it was lost (T115).
//!
//! It runs before the store can be served, on the same code that ends things for people, with an audit entry each. Nothing is
//! ever given back: of what is in doubt, less counts.

use std::sync::Arc;

use policies::audit::{AuditAction, Outcome};
use policies::consent::ConsentEvent;
use policies::contract::{AgreementEvent, AgreementState};
use serde::Serialize;

use super::BackupError;
use super::journal::{Line, What};
use crate::audit::{Event, Purging};
use crate::authz::AuthorizationSystem;
use crate::consent::stored;
use crate::dataspace::Node;
use crate::dataspace::agreement::{self, StateChange};
use crate::dataspace::uses;
use crate::ldp::provision;
use crate::log::witness;
use crate::name::{Auxiliary, ResourceName};
use crate::store::{
    CommitError, ReadPermit, RecordKind, Snapshot, Storage, Store, StoreError, Transaction, Warrant, commit_blocking,
};

/// Records and resources looked at in one view.
const AT_ONCE: usize = 500;

/// Why agreements and consents end, for those who read it.
const REASON: &str = "the server was restored from a backup";

/// What was ended in the restored store.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Replayed {
    /// Consents and requests for one, by storage and identifier.
    pub consents: Vec<String>,
    /// Mandates to decide for someone, by record key.
    pub mandates: Vec<String>,
    /// Agreements, by IRI.
    pub agreements: Vec<String>,
    /// Client credentials, and ways to log in besides the password, by identifier.
    pub credentials: Vec<String>,
    /// Accounts, by login name: closed until their holder chooses a new password, or deleted.
    pub accounts: Vec<String>,
    /// Resources that only the owner of their storage may use now, until the owner gives access anew.
    pub closed: Vec<String>,
    /// Storages that were deleted again.
    pub storages: Vec<String>,
}

/// Ends things in a store that is not served.
pub(super) struct Replaying {
    pub(super) node: Node,
    pub(super) replayed: Replayed,
}

impl Replaying {
    /// Plays the lines of a journal back, in their order.
    pub(super) fn lines(&mut self, lines: &[Line]) -> Result<(), BackupError> {
        for line in lines {
            match &line.what {
                What::Begins(_) | What::Seen => {}
                What::Consent(key) => self.consent(key, false)?,
                What::Mandate(key) => self.mandate(key)?,
                What::Agreement(iri, state) => self.agreement(iri, *state)?,
                What::Uses(iri, uses) => self.uses(iri, *uses)?,
                What::Credential(id) => self.credential(id)?,
                What::Login(key) => self.login(key)?,
                What::Account(id, generation) => self.account(id, *generation)?,
                What::AccountGone(id) => self.account_gone(id)?,
                What::Access(name) => self.close(name)?,
                What::Storage(root) => self.storage(root)?,
            }
        }
        self.end_sessions()
    }

    /// Ends everything that may have been revoked, when nobody knows what was. With `keep_rules`, access rules stay as they
    /// are in the backup.
    pub(super) fn everything(&mut self, keep_rules: bool) -> Result<(), BackupError> {
        for (key, _) in self.records(RecordKind::Consent)? {
            self.consent(&key, true)?;
        }
        for (key, _) in self.records(RecordKind::Mandate)? {
            self.mandate(&key)?;
        }
        for (iri, _) in self.records(RecordKind::Agreement)? {
            self.agreement(&iri, AgreementState::Terminated)?;
        }
        for (id, _) in self.records(RecordKind::ClientCredential)? {
            self.credential(&id)?;
        }
        if !keep_rules {
            for storage in self.storages()? {
                self.close_all(&storage)?;
            }
        }
        self.end_sessions()
    }

    fn records(&self, kind: RecordKind) -> Result<Vec<(String, Vec<u8>)>, BackupError> {
        let mut found: Vec<(String, Vec<u8>)> = Vec::new();
        loop {
            let view = self.view()?;
            let after = found.last().map(|(key, _)| key.clone());
            let more = view.records(kind, "", after.as_deref(), AT_ONCE)?;
            if more.is_empty() {
                return Ok(found);
            }
            found.extend(more);
        }
    }

    fn storages(&self) -> Result<Vec<Storage>, BackupError> {
        let mut found: Vec<Storage> = Vec::new();
        loop {
            let after = found.last().map(|storage| storage.root.clone());
            let more = self.view()?.storages(after.as_ref(), AT_ONCE)?;
            if more.is_empty() {
                return Ok(found);
            }
            found.extend(more);
        }
    }

    fn view(&self) -> Result<Box<dyn Snapshot + Send + '_>, StoreError> {
        self.node.store.snapshot(ReadPermit::without_proof(
            "a restored store is looked through before it is served",
        ))
    }

    fn commit<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Node, &mut dyn Transaction) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, BackupError> {
        let node = self.node.clone();
        let warrant =
            Warrant::without_proof("what had ended ends again in a restored store; the entry is appended inside");
        let work = Box::new(move |transaction: &mut dyn Transaction| Ok(work(&node, transaction)?));
        match commit_blocking::<T, std::convert::Infallible>(self.node.store.as_ref(), warrant, work) {
            Ok((value, _)) => Ok(value),
            Err(CommitError::Store(error)) => Err(error.into()),
            Err(CommitError::Refused(never)) => match never {},
        }
    }

    /// Ends a consent: as withdrawn or refused, or as expired when nobody knows what its giver wanted.
    fn consent(&mut self, key: &str, in_doubt: bool) -> Result<(), BackupError> {
        let owned = key.to_owned();
        let ended = self.commit(move |node, transaction| {
            let Some(mut consent) = stored::load(&*transaction as &dyn Snapshot, &owned)? else {
                return Ok(false);
            };
            let now = node.clock.now();
            let events = if in_doubt {
                [ConsentEvent::Expire, ConsentEvent::Expire]
            } else {
                [ConsentEvent::Withdraw, ConsentEvent::Refuse]
            };
            // What has ended in another way stays as it is.
            if !events.into_iter().any(|event| consent.step(event, now).is_ok()) {
                return Ok(false);
            }
            if let Some(storage) = storage_of(transaction, &owned)? {
                let current = consent.current();
                let targets = [
                    current.map_or_else(String::new, |record| record.id.clone()),
                    current.map_or_else(String::new, |record| record.status.iri().to_owned()),
                ];
                note(node, transaction, AuditAction::Consent, &storage, &targets)?;
            }
            stored::save(transaction, &owned, &consent)?;
            Ok(true)
        })?;
        if ended {
            self.replayed.consents.push(key.to_owned());
        }
        Ok(())
    }

    fn agreement(&mut self, iri: &str, state: AgreementState) -> Result<(), BackupError> {
        let event = match state {
            AgreementState::Active => return Ok(()),
            AgreementState::Suspended => AgreementEvent::Suspend,
            AgreementState::Terminated => AgreementEvent::Terminate,
            AgreementState::Expired => AgreementEvent::Expire,
        };
        let owned = iri.to_owned();
        let ended = self.commit(move |node, transaction| {
            let Some(mut agreement) = agreement::load(&*transaction as &dyn Snapshot, &owned)? else {
                return Ok(false);
            };
            let change = StateChange {
                at: node.clock.unix(),
                by: agreement.assigner.clone(),
                reason: Some(REASON.to_owned()),
            };
            if agreement.step(event, change).is_err() {
                return Ok(false);
            }
            let root = ResourceName::parse(&agreement.storage).ok();
            if let Some(storage) = root.map(|root| transaction.storage(&root)).transpose()?.flatten() {
                let targets = [owned.clone(), agreement.dataset.clone()];
                note(node, transaction, AuditAction::Agreement, &storage, &targets)?;
            }
            transaction.record_put(RecordKind::Agreement, &owned, &agreement::to_json(&agreement)?)?;
            Ok(true)
        })?;
        if ended {
            self.replayed.agreements.push(iri.to_owned());
        }
        Ok(())
    }

    /// What was used stays used.
    fn uses(&mut self, iri: &str, uses: u64) -> Result<(), BackupError> {
        let owned = iri.to_owned();
        self.commit(move |_, transaction| uses::at_least(transaction, &owned, uses))
            .map(drop)
    }

    fn credential(&mut self, id: &str) -> Result<(), BackupError> {
        let owned = id.to_owned();
        if self.commit(move |_, transaction| transaction.record_delete(RecordKind::ClientCredential, &owned))? {
            self.replayed.credentials.push(id.to_owned());
        }
        Ok(())
    }

    fn mandate(&mut self, key: &str) -> Result<(), BackupError> {
        let owned = key.to_owned();
        if self.commit(move |_, transaction| transaction.record_delete(RecordKind::Mandate, &owned))? {
            self.replayed.mandates.push(key.to_owned());
        }
        Ok(())
    }

    fn login(&mut self, key: &str) -> Result<(), BackupError> {
        let owned = key.to_owned();
        if self.commit(move |_, transaction| transaction.record_delete(RecordKind::Issuer, &owned))? {
            self.replayed.credentials.push(key.to_owned());
        }
        Ok(())
    }

    /// An account whose password or sessions were ended after the backup: the password of the backup may be the one that was
    /// given up, so it does not count any more.
    fn account(&mut self, id: &str, generation: u64) -> Result<(), BackupError> {
        let name = self.change_account(id, move |account| {
            let known = account
                .get("generation")
                .and_then(serde_json::Value::as_u64)
                .unwrap_or(0);
            if known >= generation {
                return false;
            }
            account.insert("generation".to_owned(), generation.into());
            account.insert("password".to_owned(), serde_json::Value::Null);
            true
        })?;
        self.replayed.accounts.extend(name);
        Ok(())
    }

    fn account_gone(&mut self, id: &str) -> Result<(), BackupError> {
        let owned = id.to_owned();
        let name = self.commit(move |_, transaction| {
            let Some(account) = transaction.record(RecordKind::Account, &owned)? else {
                return Ok(None);
            };
            let name = serde_json::from_slice::<serde_json::Value>(&account)
                .ok()
                .and_then(|account| Some(account.get("name")?.as_str()?.to_owned()));
            // The name stays taken, as when the person left: whoever got it now would be taken for them (T43).
            transaction.record_delete(RecordKind::Account, &owned)?;
            Ok(name.or(Some(owned)))
        })?;
        self.replayed.accounts.extend(name);
        Ok(())
    }

    /// Ends the sessions and tokens of all accounts: those of the backup may have been ended since.
    fn end_sessions(&mut self) -> Result<(), BackupError> {
        for (id, _) in self.records(RecordKind::Account)? {
            self.change_account(&id, |account| {
                let generation = account
                    .get("generation")
                    .and_then(serde_json::Value::as_u64)
                    .unwrap_or(0);
                account.insert("generation".to_owned(), generation.saturating_add(1).into());
                true
            })?;
        }
        for (key, _) in self.records(RecordKind::Session)? {
            self.commit(move |_, transaction| transaction.record_delete(RecordKind::Session, &key))?;
        }
        Ok(())
    }

    /// Changes an account's record; answers its name if it was there and `change` did something.
    fn change_account(
        &self,
        id: &str,
        change: impl FnOnce(&mut serde_json::Map<String, serde_json::Value>) -> bool + Send + 'static,
    ) -> Result<Option<String>, BackupError> {
        let id = id.to_owned();
        self.commit(move |_, transaction| {
            let Some(bytes) = transaction.record(RecordKind::Account, &id)? else {
                return Ok(None);
            };
            let damaged = |error: serde_json::Error| StoreError::Damaged(format!("account `{id}`: {error}"));
            let mut account: serde_json::Map<String, serde_json::Value> =
                serde_json::from_slice(&bytes).map_err(damaged)?;
            if !change(&mut account) {
                return Ok(None);
            }
            let name = account
                .get("name")
                .and_then(|name| name.as_str())
                .unwrap_or(&id)
                .to_owned();
            let bytes = serde_json::to_vec(&account).map_err(damaged)?;
            transaction.record_put(RecordKind::Account, &id, &bytes)?;
            Ok(Some(name))
        })
    }

    /// Leaves a resource to the owner of its storage alone.
    fn close(&mut self, name: &str) -> Result<(), BackupError> {
        let Ok(name) = ResourceName::parse(name) else {
            return Ok(());
        };
        let shown = name.to_string();
        if self.replayed.closed.contains(&shown) {
            return Ok(());
        }
        let closed = self.commit(move |node, transaction| {
            let root = name.storage_root();
            let storage = root.map(|root| transaction.storage(&root)).transpose()?.flatten();
            let (Some(storage), Some(_)) = (storage, transaction.resource(&name)?) else {
                return Ok(false);
            };
            let system = AuthorizationSystem::of(&*transaction as &dyn Snapshot, &storage.root)?;
            let rules = provision::owners_only(system, &storage.owner, &name);
            transaction.put(&name.auxiliary(Auxiliary::Acl), rules)?;
            let targets = [name.auxiliary(Auxiliary::Acl).iri(&node.origins)];
            note(node, transaction, AuditAction::Control, &storage, &targets)?;
            Ok(true)
        })?;
        if closed {
            self.replayed.closed.push(shown);
        }
        Ok(())
    }

    /// Closes everything of a storage that has access rules of its own, except the document that the owner's WebID names:
    /// without it the owner could not log in to give access anew.
    fn close_all(&mut self, storage: &Storage) -> Result<(), BackupError> {
        let profile = storage.owner.split('#').next().unwrap_or_default();
        let mut after = None;
        loop {
            let rows = self.view()?.descendants(&storage.root, after.as_ref(), AT_ONCE)?;
            let Some(last) = rows.last() else { return Ok(()) };
            after = Some(last.name.clone());
            for row in rows {
                if let Some((subject, kind)) = row.name.auxiliary_subject()
                    && kind != Auxiliary::Description
                    && subject.iri(&self.node.origins) != profile
                {
                    self.close(subject.as_str())?;
                }
            }
        }
    }

    /// Takes what the log tells about a storage out of it again, with the secret that ties the log to its owner (CON-21).
    fn forget(&self, root: &ResourceName) -> Result<(), BackupError> {
        loop {
            let root = root.clone();
            let done = self.commit(move |node, transaction| {
                let Some(storage) = transaction.storage(&root)? else {
                    return Ok(true);
                };
                let purging = Purging {
                    origins: &node.origins,
                    random: &*node.random,
                    now: node.clock.now(),
                };
                let mut room = AT_ONCE;
                purging.forget(transaction, &storage, &mut room)?;
                if room > 0 {
                    transaction.record_delete(RecordKind::PersonSecret, root.as_str())?;
                }
                Ok(room > 0)
            })?;
            if done {
                return Ok(());
            }
        }
    }

    /// Notes that this store was put back from a backup, so that it no longer knows what it cosigned since (AUD-4).
    pub(super) fn doubt(&self) -> Result<(), BackupError> {
        self.commit(|node, transaction| witness::doubt(transaction, &node.random.uuid()))
    }

    /// Deletes a storage with all that is in it, from the inside out.
    fn storage(&mut self, root: &str) -> Result<(), BackupError> {
        let Ok(root) = ResourceName::parse(root) else {
            return Ok(());
        };
        if self.view()?.storage(&root)?.is_none() {
            return Ok(());
        }
        let mut names = vec![root.clone()];
        loop {
            let rows = self.view()?.descendants(&root, names.last(), AT_ONCE)?;
            if rows.is_empty() {
                break;
            }
            names.extend(rows.into_iter().map(|row| row.name));
        }
        self.forget(&root)?;
        names.reverse();
        for batch in names.chunks(AT_ONCE) {
            let batch = batch.to_vec();
            self.commit(move |_, transaction| {
                for name in batch {
                    transaction.remove(&name)?;
                }
                Ok(())
            })?;
        }
        self.replayed.storages.push(root.to_string());
        Ok(())
    }
}

/// The storage that a record's key begins with.
fn storage_of(transaction: &dyn Transaction, key: &str) -> Result<Option<Storage>, StoreError> {
    let name = key.split('/').next().unwrap_or_default();
    match ResourceName::parse(&format!("/{name}/")) {
        Ok(root) => transaction.storage(&root),
        Err(_) => Ok(None),
    }
}

/// Writes into the audit log that something ended again.
fn note(
    node: &Node,
    transaction: &mut dyn Transaction,
    action: AuditAction,
    storage: &Storage,
    targets: &[String],
) -> Result<(), StoreError> {
    let event = Event {
        actor: None,
        client: None,
        action,
        targets: targets.iter().map(String::as_str).collect(),
        purpose: None,
        agreement: None,
        outcome: Outcome::Permit,
        reasons: Vec::new(),
        duty: None,
        owners: vec![storage.id],
        subjects: vec![storage.id],
    };
    node.record(transaction, &event)
        .map_err(|problem| StoreError::Damaged(format!("the audit log cannot be written: {problem:?}")))
}

/// A node over a store that is not served.
pub(super) fn replaying(node: &Node, store: &Arc<dyn Store>) -> Replaying {
    Replaying {
        node: Node {
            store: Arc::clone(store),
            ..node.clone()
        },
        replayed: Replayed::default(),
    }
}
