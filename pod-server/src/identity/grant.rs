//! What the issuer has given out and can take back: authorization codes, families of refresh tokens, approvals.
//!
//! A code counts once and a refresh token counts once; that is decided inside one transaction of the store, so that of any
//! number of parallel redemptions exactly one wins (T37). Presenting either a second time revokes everything that came from
//! it (RFC 9700 §2.2.2, §4.14.2).

use serde::{Deserialize, Serialize};
use server_kit::random::Random;
use sha2::{Digest, Sha256};

use crate::notify::records as notifications;
use crate::store::{RecordKind, Snapshot, Store, Transaction};
use crate::ui::visit::same;

use super::account::{self, Account};
use super::credential;
use super::error::IdentityError;
use super::record;
use super::session::run;

pub(super) const CODE_PREFIX: &str = "code/";
pub(super) const FAMILY_PREFIX: &str = "family/";
const APPROVAL_PREFIX: &str = "approval/";

/// What an authorization code stands for, as the store keeps it under the code's digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodeGrant {
    /// Client that asked.
    pub client: String,
    /// Redirect URI that it asked for, byte for byte.
    pub redirect_uri: String,
    /// PKCE challenge, method S256 (RFC 7636 §4.2).
    pub challenge: String,
    /// Thumbprint of the proof key that the client announced, if it did (RFC 9449 §10).
    pub jkt: Option<String>,
    /// What it stands for.
    pub subject: GrantSubject,
    /// Until when it counts, Unix seconds.
    pub expires: i64,
    /// The family that came from it, once it was redeemed.
    pub redeemed: Option<String>,
}

/// Who logged in, when, and what the client asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrantSubject {
    /// Account id.
    pub account: String,
    /// The account's generation at that time.
    pub generation: u64,
    /// When the person gave the password, Unix seconds.
    pub authenticated_at: i64,
    /// Scopes that were granted, separated by spaces.
    pub scope: String,
    /// The client's nonce for the ID token.
    pub nonce: Option<String>,
    /// WebID that the person chose; the account's first where none is named.
    #[serde(default)]
    pub webid: Option<String>,
}

/// A family of refresh tokens: each replaces the one before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Family {
    client: String,
    subject: GrantSubject,
    /// Thumbprint of the proof key, for public clients.
    jkt: Option<String>,
    /// Digest of the one token that counts; none when the client got no refresh token.
    current: Option<String>,
    expires: i64,
    revoked: bool,
}

/// A redemption at the token endpoint, by a client that has proved who it is.
#[derive(Clone, Debug)]
pub struct Redemption<'a> {
    /// The client.
    pub client: &'a str,
    /// Whether the client has no secret.
    pub public: bool,
    /// Thumbprint of the key that signed the proof.
    pub jkt: &'a str,
    /// Present time, Unix seconds.
    pub now: i64,
    /// How long a new refresh token counts, in seconds; none if the client gets none.
    pub refresh_seconds: i64,
}

/// What a redemption gives.
#[derive(Clone, Debug)]
pub struct Granted {
    /// For whom.
    pub account: Account,
    /// What was granted.
    pub subject: GrantSubject,
    /// Name of the grant: the tokens end with it.
    pub grant: String,
    /// The next refresh token.
    pub refresh_token: Option<String>,
}

/// Why a code or refresh token does not count; told to the client as `invalid_grant`.
pub type Refusal = &'static str;

/// Stores the grant of a new code.
///
/// # Errors
/// When the store fails.
pub async fn store_code(store: &dyn Store, code: &str, grant: CodeGrant) -> Result<(), IdentityError> {
    let key = format!("{CODE_PREFIX}{}", record::digest(code));
    run(store, move |transaction: &mut dyn Transaction| {
        record::write(transaction, RecordKind::Issuer, &key, &grant)
    })
    .await
}

/// Redeems an authorization code (RFC 6749 §4.1.3, RFC 7636 §4.6).
///
/// # Errors
/// The inner error is the client's; the outer is ours.
pub async fn redeem_code(
    store: &dyn Store,
    code: &str,
    redirect_uri: &str,
    verifier: &str,
    redemption: &Redemption<'_>,
    random: &dyn Random,
) -> Result<Result<Granted, Refusal>, IdentityError> {
    let key = format!("{CODE_PREFIX}{}", record::digest(code));
    let (redirect_uri, challenge) = (redirect_uri.to_owned(), challenge(verifier));
    let (client, jkt, public) = (
        redemption.client.to_owned(),
        redemption.jkt.to_owned(),
        redemption.public,
    );
    let (now, refresh_seconds) = (redemption.now, redemption.refresh_seconds);
    let (family, secret) = (random.token(16), random.token(32));
    run(store, move |transaction: &mut dyn Transaction| {
        let Some(mut grant) = record::read::<CodeGrant>(transaction, RecordKind::Issuer, &key)? else {
            return Ok(Err("the code is unknown or has expired"));
        };
        if grant.client != client {
            return Ok(Err("the code was given to another client"));
        }
        if let Some(family) = &grant.redeemed {
            revoke(transaction, &grant.subject.account, family)?;
            return Ok(Err("the code was used before; what came from it is revoked"));
        }
        if grant.expires <= now {
            return Ok(Err("the code is unknown or has expired"));
        }
        if grant.redirect_uri != redirect_uri {
            return Ok(Err("`redirect_uri` differs from the one that was asked for"));
        }
        if !same(grant.challenge.as_bytes(), challenge.as_bytes()) {
            return Ok(Err("`code_verifier` does not fit the challenge"));
        }
        if grant.jkt.as_ref().is_some_and(|announced| *announced != jkt) {
            return Ok(Err("the proof is signed with another key than announced"));
        }
        let Some(account) = current(transaction, &grant.subject)? else {
            return Ok(Err("the log-in behind the code has ended"));
        };
        grant.redeemed = Some(family.clone());
        let refreshes = grant.subject.scope.split(' ').any(|scope| scope == "offline_access");
        let stored = Family {
            client,
            subject: grant.subject.clone(),
            jkt: public.then_some(jkt),
            current: refreshes.then(|| record::digest(&secret)),
            expires: now + refresh_seconds,
            revoked: false,
        };
        record::write(
            transaction,
            RecordKind::Issuer,
            &family_key(&account.id, &family),
            &stored,
        )?;
        record::write(transaction, RecordKind::Issuer, &key, &grant)?;
        let refresh_token = refreshes.then(|| format!("{}.{family}.{secret}", account.id));
        Ok(Ok(Granted {
            grant: family_key(&account.id, &family),
            account,
            subject: grant.subject,
            refresh_token,
        }))
    })
    .await
}

/// Redeems a refresh token for its successor (RFC 6749 §6).
///
/// # Errors
/// The inner error is the client's; the outer is ours.
pub async fn redeem_refresh(
    store: &dyn Store,
    token: &str,
    redemption: &Redemption<'_>,
    random: &dyn Random,
) -> Result<Result<Granted, Refusal>, IdentityError> {
    const UNKNOWN: Refusal = "the refresh token is unknown or has expired";
    let mut parts = token.split('.');
    let (Some(account), Some(family), Some(secret), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Ok(Err(UNKNOWN));
    };
    let (account, family, presented) = (account.to_owned(), family.to_owned(), record::digest(secret));
    let (client, jkt) = (redemption.client.to_owned(), redemption.jkt.to_owned());
    let (now, refresh_seconds) = (redemption.now, redemption.refresh_seconds);
    let secret = random.token(32);
    run(store, move |transaction: &mut dyn Transaction| {
        let key = family_key(&account, &family);
        let Some(mut stored) = record::read::<Family>(transaction, RecordKind::Issuer, &key)? else {
            return Ok(Err(UNKNOWN));
        };
        if stored.client != client {
            return Ok(Err("the refresh token was given to another client"));
        }
        if stored.revoked || stored.expires <= now {
            return Ok(Err(UNKNOWN));
        }
        let Some(known) = &stored.current else {
            return Ok(Err(UNKNOWN));
        };
        if !same(known.as_bytes(), presented.as_bytes()) {
            // Whoever knows the family knew an earlier token of it: two parties hold it, and we cannot tell whose it is.
            revoke(transaction, &account, &family)?;
            return Ok(Err("the refresh token was used before; the whole family is revoked"));
        }
        if stored.jkt.as_ref().is_some_and(|bound| *bound != jkt) {
            return Ok(Err("the refresh token is bound to another key"));
        }
        let Some(account) = current(transaction, &stored.subject)? else {
            return Ok(Err("the log-in behind the refresh token has ended"));
        };
        stored.current = Some(record::digest(&secret));
        stored.expires = now + refresh_seconds;
        record::write(transaction, RecordKind::Issuer, &key, &stored)?;
        let refresh_token = Some(format!("{}.{family}.{secret}", account.id));
        Ok(Ok(Granted {
            grant: key,
            account,
            subject: stored.subject,
            refresh_token,
        }))
    })
    .await
}

/// The account of a grant, if nothing has ended it since.
fn current(snapshot: &(impl Snapshot + ?Sized), subject: &GrantSubject) -> Result<Option<Account>, IdentityError> {
    let account = account::load(snapshot, &subject.account)?;
    Ok(account.filter(|account| {
        let named = account.acting_as(subject.webid.as_deref()).is_some();
        account.generation == subject.generation && account.leaving.is_none() && named
    }))
}

/// Whether the family that a grant names stands: it was not revoked, nor was the log-in behind it ended.
///
/// # Errors
/// When the store fails or a record is damaged.
pub fn stands(snapshot: &(impl Snapshot + ?Sized), grant: &str) -> Result<bool, IdentityError> {
    match record::read::<Family>(snapshot, RecordKind::Issuer, grant)?.filter(|family| !family.revoked) {
        Some(family) => Ok(current(snapshot, &family.subject)?.is_some()),
        None => Ok(false),
    }
}

/// Revokes the family that a client's refresh token belongs to, whether or not the token is the one that counts now (RFC
/// 7009 §2.1). A token of another client, or none of ours, changes nothing.
///
/// # Errors
/// When the store fails.
pub async fn revoke_refresh(store: &dyn Store, token: &str, client: &str) -> Result<(), IdentityError> {
    let mut parts = token.split('.');
    let (Some(account), Some(family), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return Ok(());
    };
    let (key, client) = (family_key(account, family), client.to_owned());
    run(store, move |transaction: &mut dyn Transaction| {
        end_family(transaction, &key, &client)
    })
    .await
}

/// Ends what a client was given under a grant: the family of a person's log-in, or the tokens for client credentials.
///
/// # Errors
/// When the store fails.
pub async fn revoke_grant(store: &dyn Store, grant: &str, client: &str) -> Result<(), IdentityError> {
    let (grant, client) = (grant.to_owned(), client.to_owned());
    run(store, move |transaction: &mut dyn Transaction| {
        if grant.starts_with(credential::GRANT_PREFIX) {
            credential::revoke(transaction, &grant)
        } else {
            end_family(transaction, &grant, &client)
        }
    })
    .await
}

fn end_family(transaction: &mut dyn Transaction, key: &str, client: &str) -> Result<(), IdentityError> {
    match record::read::<Family>(transaction, RecordKind::Issuer, key)? {
        Some(mut family) if family.client == client && !family.revoked => {
            family.revoked = true;
            record::write(transaction, RecordKind::Issuer, key, &family)
        }
        _ => Ok(()),
    }
}

fn revoke(transaction: &mut dyn Transaction, account: &str, family: &str) -> Result<(), IdentityError> {
    let key = family_key(account, family);
    if let Some(mut stored) = record::read::<Family>(transaction, RecordKind::Issuer, &key)?
        && !stored.revoked
    {
        stored.revoked = true;
        tracing::warn!(client = %stored.client, "a code or refresh token was presented twice; its family is revoked");
        record::write(transaction, RecordKind::Issuer, &key, &stored)?;
    }
    Ok(())
}

fn family_key(account: &str, family: &str) -> String {
    format!("{FAMILY_PREFIX}{account}/{family}")
}

/// The S256 challenge of a PKCE verifier (RFC 7636 §4.2).
#[must_use]
pub fn challenge(verifier: &str) -> String {
    use base64::Engine;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()))
}

/// An application that an account holder let in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// Client id.
    pub client: String,
    /// What it called itself at that time.
    pub name: Option<String>,
    /// Scopes that were approved, separated by spaces.
    pub scope: String,
    /// Digest of what the application said about itself then: a change is asked about again (T34).
    #[serde(default)]
    pub described: Option<String>,
    /// WebID that was chosen for the application; the account's first where none is named.
    #[serde(default)]
    pub webid: Option<String>,
    /// Unix seconds.
    pub given: i64,
}

fn approval_key(account: &str, client: &str) -> String {
    format!("{APPROVAL_PREFIX}{account}/{}", record::digest(client))
}

/// Remembers an approval. The oldest gives way when there are more than `approvals_max`.
///
/// # Errors
/// When the store fails.
pub async fn approve(
    store: &dyn Store,
    account: &str,
    approval: Approval,
    approvals_max: usize,
) -> Result<(), IdentityError> {
    let account = account.to_owned();
    run(store, move |transaction: &mut dyn Transaction| {
        let held = approvals_in(transaction, &account, approvals_max)?;
        if held.len() >= approvals_max
            && let Some(oldest) = held.iter().min_by_key(|held| held.given)
        {
            transaction.record_delete(RecordKind::Issuer, &approval_key(&account, &oldest.client))?;
        }
        record::write(
            transaction,
            RecordKind::Issuer,
            &approval_key(&account, &approval.client),
            &approval,
        )
    })
    .await
}

/// The approval of a client, if the account holder gave one.
///
/// # Errors
/// When the store fails or the record is damaged.
pub fn approval(store: &dyn Store, account: &str, client: &str) -> Result<Option<Approval>, IdentityError> {
    let snapshot = store.snapshot(account::permit())?;
    record::read(snapshot.as_ref(), RecordKind::Issuer, &approval_key(account, client))
}

/// The applications that an account holder let in.
///
/// # Errors
/// When the store fails or a record is damaged.
pub fn approvals(store: &dyn Store, account: &str, limit: usize) -> Result<Vec<Approval>, IdentityError> {
    approvals_in(store.snapshot(account::permit())?.as_ref(), account, limit)
}

fn approvals_in(
    snapshot: &(impl Snapshot + ?Sized),
    account: &str,
    limit: usize,
) -> Result<Vec<Approval>, IdentityError> {
    snapshot
        .records(RecordKind::Issuer, &format!("{APPROVAL_PREFIX}{account}/"), None, limit)?
        .into_iter()
        .map(|(key, bytes)| record::decode(RecordKind::Issuer, &key, &bytes))
        .collect()
}

/// Takes an approval back and revokes everything that the client holds for the account: refresh tokens, access tokens
/// from their next use, and notification channels.
///
/// # Errors
/// When the store fails.
pub async fn withdraw(store: &dyn Store, account: &str, client: &str) -> Result<(), IdentityError> {
    let (account, client) = (account.to_owned(), client.to_owned());
    run(store, move |transaction: &mut dyn Transaction| {
        transaction.record_delete(RecordKind::Issuer, &approval_key(&account, &client))?;
        forget_channels(transaction, &account, &client)?;
        let prefix = format!("{FAMILY_PREFIX}{account}/");
        let mut after: Option<String> = None;
        loop {
            let page = transaction.records(RecordKind::Issuer, &prefix, after.as_deref(), 500)?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            after = Some(last.clone());
            for (key, bytes) in page {
                let mut family: Family = record::decode(RecordKind::Issuer, &key, &bytes)?;
                if family.client == client && !family.revoked {
                    family.revoked = true;
                    record::write(transaction, RecordKind::Issuer, &key, &family)?;
                }
            }
        }
    })
    .await
}

/// Ends the notification channels that an application or program has for an account.
///
/// # Errors
/// When the store fails or a record is damaged.
pub(super) fn forget_channels(
    transaction: &mut dyn Transaction,
    account: &str,
    client: &str,
) -> Result<(), IdentityError> {
    if let Some(account) = account::load(transaction, account)? {
        for webid in account.all_webids() {
            notifications::forget_application(transaction, webid, client)?;
        }
    }
    Ok(())
}

/// Until when an issuer's record counts; none for one that has no end. For sweeping.
pub(super) fn expires(bytes: &[u8]) -> Option<i64> {
    #[derive(Deserialize)]
    struct Expiring {
        expires: Option<i64>,
    }
    serde_json::from_slice::<Expiring>(bytes)
        .ok()
        .and_then(|record| record.expires)
}
