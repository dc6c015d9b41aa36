//! Passkeys: keys on a person's own devices that prove who logs in, bound to this console's origin (WebAuthn Level 3).
//!
//! The verification is `webauthn-rs`; this module keeps what it needs. A ceremony that has begun lies in bounded memory
//! under a random ticket, counts once and for five minutes; a restart of the server ends it, and the person begins anew.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use quick_cache::sync::Cache;
use serde::{Deserialize, Serialize};
use server_kit::random::Random;
use url::Url;
use uuid::Uuid;
use webauthn_rs::prelude::{
    CredentialID, DiscoverableAuthentication, DiscoverableKey, Passkey, PasskeyRegistration, PublicKeyCredential,
    RegisterPublicKeyCredential, WebauthnError,
};
use webauthn_rs::{Webauthn, WebauthnBuilder};
use webauthn_rs_proto::ResidentKeyRequirement;

use crate::store::{RecordKind, Store, Transaction};

use super::account::{self, Account};
use super::error::IdentityError;
use super::record;
use super::session::run;

const PREFIX: &str = "passkey/";

/// How long a ceremony may take, in seconds.
const CEREMONY_SECONDS_MAX: i64 = 300;

/// Longest answer of a browser, in bytes.
const ANSWER_BYTES_MAX: usize = 32 * 1024;

/// Longest name of a passkey, in characters.
pub const LABEL_CHARACTERS_MAX: usize = 100;

/// A passkey as the store keeps it.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct StoredPasskey {
    label: String,
    created: i64,
    used: Option<i64>,
    passkey: Passkey,
}

/// A passkey as its holder sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldPasskey {
    /// Id of the credential, base64url.
    pub id: String,
    /// What its holder calls it.
    pub label: String,
    /// When it was registered, Unix seconds.
    pub created: i64,
    /// When it was last used, Unix seconds.
    pub used: Option<i64>,
}

/// Why a ceremony does not count; its text is for the log alone.
#[derive(Debug, thiserror::Error)]
pub enum PasskeyFault {
    /// This console's address is no name that passkeys can be bound to.
    #[error("the console's address cannot have passkeys")]
    Unavailable,
    /// The ticket is unknown, was used, or is too old.
    #[error("the ceremony is unknown or has expired")]
    Expired,
    /// The browser's answer cannot be read.
    #[error("the answer is malformed: {0}")]
    Malformed(String),
    /// The answer does not prove what it should.
    #[error("the answer does not verify: {0}")]
    Unverified(#[from] WebauthnError),
    /// The passkey belongs to no account here, or to another one.
    #[error("the passkey is unknown")]
    Unknown,
    /// The account has as many passkeys as it may.
    #[error("the account has as many passkeys as it may")]
    Full,
    /// Our own failure.
    #[error(transparent)]
    Failed(#[from] IdentityError),
}

impl From<crate::store::StoreError> for PasskeyFault {
    fn from(error: crate::store::StoreError) -> Self {
        Self::Failed(error.into())
    }
}

/// A ceremony that has begun: what the browser is told, and the ticket that it comes back with.
#[derive(Debug, Serialize)]
pub struct Begun {
    /// Ticket.
    pub ticket: String,
    /// Options for `navigator.credentials`, in JSON.
    pub options: serde_json::Value,
}

#[derive(Clone)]
struct Registration {
    account: String,
    until: i64,
    state: PasskeyRegistration,
}

#[derive(Clone)]
struct Login {
    until: i64,
    state: DiscoverableAuthentication,
}

/// The ceremonies of one console.
pub struct Passkeys {
    verifier: Option<Webauthn>,
    registrations: Cache<String, Registration>,
    logins: Cache<String, Login>,
}

impl Passkeys {
    /// For the console at an origin; without passkeys when that is no name that they can be bound to, such as an IP
    /// address.
    #[must_use]
    pub fn new(console_url: &str, ceremonies_max: usize) -> Self {
        let verifier = Url::parse(console_url).ok().and_then(|origin| {
            let name = origin.domain()?.to_owned();
            WebauthnBuilder::new(&name, &origin).ok()?.rp_name("Meent").build().ok()
        });
        Self {
            verifier,
            registrations: Cache::new(ceremonies_max.max(1)),
            logins: Cache::new(ceremonies_max.max(1)),
        }
    }

    /// Whether passkeys can be used at this console's address.
    #[must_use]
    pub fn available(&self) -> bool {
        self.verifier.is_some()
    }

    fn verifier(&self) -> Result<&Webauthn, PasskeyFault> {
        self.verifier.as_ref().ok_or(PasskeyFault::Unavailable)
    }

    /// Begins to register a passkey for an account, one that its device can find by itself at login.
    ///
    /// # Errors
    /// [`PasskeyFault`].
    pub fn begin_registration(
        &self,
        store: &dyn Store,
        account: &Account,
        now: i64,
        random: &dyn Random,
        most: usize,
    ) -> Result<Begun, PasskeyFault> {
        let held = stored(store, &account.id, most)?;
        if held.len() >= most {
            return Err(PasskeyFault::Full);
        }
        let known: Vec<CredentialID> = held.iter().map(|(_, held)| held.passkey.cred_id().clone()).collect();
        let user = handle(&account.id).ok_or(PasskeyFault::Unknown)?;
        let (mut options, state) =
            self.verifier()?
                .start_passkey_registration(user, &account.name, &account.label, Some(known))?;
        if let Some(selection) = &mut options.public_key.authenticator_selection {
            selection.resident_key = Some(ResidentKeyRequirement::Required);
            selection.require_resident_key = true;
        }
        let ticket = random.token(32);
        let registration = Registration {
            account: account.id.clone(),
            until: now + CEREMONY_SECONDS_MAX,
            state,
        };
        self.registrations.insert(ticket.clone(), registration);
        begun(ticket, &options.public_key)
    }

    /// Registers the passkey that a browser has made.
    ///
    /// # Errors
    /// [`PasskeyFault`].
    pub async fn finish_registration(
        &self,
        store: &dyn Store,
        account: &str,
        (ticket, answer, label): (&str, &str, &str),
        now: i64,
        most: usize,
    ) -> Result<(), PasskeyFault> {
        let (_, begun) = self.registrations.remove(ticket).ok_or(PasskeyFault::Expired)?;
        if begun.account != account || begun.until <= now {
            return Err(PasskeyFault::Expired);
        }
        let answer: RegisterPublicKeyCredential = read(answer)?;
        let passkey = self.verifier()?.finish_passkey_registration(&answer, &begun.state)?;
        let new = StoredPasskey {
            label: label
                .trim()
                .chars()
                .filter(|letter| !letter.is_control())
                .take(LABEL_CHARACTERS_MAX)
                .collect(),
            created: now,
            used: None,
            passkey,
        };
        let (prefix, key) = (format!("{PREFIX}{account}/"), key(account, new.passkey.cred_id()));
        let stored = run(store, move |transaction: &mut dyn Transaction| {
            if transaction.records(RecordKind::Issuer, &prefix, None, most)?.len() >= most {
                return Ok(false);
            }
            record::write(transaction, RecordKind::Issuer, &key, &new)?;
            Ok(true)
        })
        .await?;
        if stored { Ok(()) } else { Err(PasskeyFault::Full) }
    }

    /// Begins a login with a passkey that the device finds by itself.
    ///
    /// # Errors
    /// [`PasskeyFault`].
    pub fn begin_login(&self, now: i64, random: &dyn Random) -> Result<Begun, PasskeyFault> {
        let (options, state) = self.verifier()?.start_discoverable_authentication()?;
        let ticket = random.token(32);
        let until = now + CEREMONY_SECONDS_MAX;
        self.logins.insert(ticket.clone(), Login { until, state });
        // Without its wish for a mediation: the person has pressed a button.
        begun(ticket, &options.public_key)
    }

    /// The account whose passkey has proved itself. Its counter and the time of use are durable when this returns.
    ///
    /// # Errors
    /// [`PasskeyFault`].
    pub async fn finish_login(
        &self,
        store: &dyn Store,
        ticket: &str,
        answer: &str,
        now: i64,
    ) -> Result<Account, PasskeyFault> {
        let (_, begun) = self.logins.remove(ticket).ok_or(PasskeyFault::Expired)?;
        if begun.until <= now {
            return Err(PasskeyFault::Expired);
        }
        let answer: PublicKeyCredential = read(answer)?;
        let verifier = self.verifier()?;
        let (user, id) = verifier.identify_discoverable_authentication(&answer)?;
        let account = URL_SAFE_NO_PAD.encode(user.as_bytes());
        let key = key(&account, id);
        let snapshot = store.snapshot(account::permit())?;
        let held: Option<StoredPasskey> = record::read(snapshot.as_ref(), RecordKind::Issuer, &key)?;
        let found = account::load(snapshot.as_ref(), &account)?;
        drop(snapshot);
        let (Some(mut held), Some(account)) = (held, found) else {
            return Err(PasskeyFault::Unknown);
        };
        let known = [DiscoverableKey::from(&held.passkey)];
        let proved = verifier.finish_discoverable_authentication(&answer, begun.state, &known)?;
        held.passkey.update_credential(&proved);
        held.used = Some(now);
        let there = run(store, move |transaction: &mut dyn Transaction| {
            // It may have been removed meanwhile.
            let there = transaction.record(RecordKind::Issuer, &key)?.is_some();
            if there {
                record::write(transaction, RecordKind::Issuer, &key, &held)?;
            }
            Ok(there)
        })
        .await?;
        if there { Ok(account) } else { Err(PasskeyFault::Unknown) }
    }
}

/// The passkeys of an account, at most `limit`.
///
/// # Errors
/// When the store fails or a record is damaged.
pub fn list(store: &dyn Store, account: &str, limit: usize) -> Result<Vec<HeldPasskey>, IdentityError> {
    let mut held: Vec<HeldPasskey> = stored(store, account, limit)?
        .into_iter()
        .map(|(id, stored)| HeldPasskey {
            id,
            label: stored.label,
            created: stored.created,
            used: stored.used,
        })
        .collect();
    held.sort_by_key(|held| held.created);
    Ok(held)
}

/// Removes a passkey of an account.
///
/// # Errors
/// When the store fails.
pub async fn remove(store: &dyn Store, account: &str, id: &str) -> Result<(), IdentityError> {
    let key = format!("{PREFIX}{account}/{id}");
    run(store, move |transaction: &mut dyn Transaction| {
        transaction.record_delete(RecordKind::Issuer, &key)?;
        Ok(())
    })
    .await
}

fn stored(store: &dyn Store, account: &str, limit: usize) -> Result<Vec<(String, StoredPasskey)>, IdentityError> {
    let prefix = format!("{PREFIX}{account}/");
    let snapshot = store.snapshot(account::permit())?;
    snapshot
        .records(RecordKind::Issuer, &prefix, None, limit)?
        .into_iter()
        .map(|(key, bytes)| {
            let id = key.strip_prefix(&prefix).unwrap_or_default().to_owned();
            Ok((id, record::decode(RecordKind::Issuer, &key, &bytes)?))
        })
        .collect()
}

fn key(account: &str, id: &[u8]) -> String {
    format!("{PREFIX}{account}/{}", URL_SAFE_NO_PAD.encode(id))
}

/// The handle that devices keep with a passkey: the account's random id, which says nothing about the person.
fn handle(account: &str) -> Option<Uuid> {
    let bytes = URL_SAFE_NO_PAD.decode(account).ok()?;
    Uuid::from_slice(&bytes).ok()
}

fn begun(ticket: String, options: &impl Serialize) -> Result<Begun, PasskeyFault> {
    let options = serde_json::to_value(options).map_err(|error| PasskeyFault::Malformed(error.to_string()))?;
    Ok(Begun { ticket, options })
}

fn read<T: serde::de::DeserializeOwned>(answer: &str) -> Result<T, PasskeyFault> {
    if answer.len() > ANSWER_BYTES_MAX {
        return Err(PasskeyFault::Malformed(format!("longer than {ANSWER_BYTES_MAX} bytes")));
    }
    serde_json::from_str(answer).map_err(|error| PasskeyFault::Malformed(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passkeys_are_bound_to_names_only() {
        for (url, available) in [
            ("https://console.example/", true),
            ("http://localhost:7102/", true),
            ("http://127.0.0.1:7102/", false),
            ("https://[::1]/", false),
        ] {
            assert_eq!(Passkeys::new(url, 8).available(), available, "{url}");
        }
    }

    #[test]
    fn accounts_and_handles_are_the_same_thing() {
        let id = URL_SAFE_NO_PAD.encode([7; 16]);
        assert_eq!(
            handle(&id).map(|handle| URL_SAFE_NO_PAD.encode(handle.as_bytes())),
            Some(id)
        );
        assert_eq!(handle("short"), None);
    }
}
