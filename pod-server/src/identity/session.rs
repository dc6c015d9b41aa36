//! Sessions of the console: a random token in a `__Host-` cookie, of which the store knows only the digest (T45).
//!
//! A session ends when it expires, when its holder logs out or ends it from another device, and when the account's
//! generation counts up. A new one is made at every login; none is ever taken over from before. Content origins never see
//! or accept it. The token begins with the random id of the account, so that the sessions of an account lie together.

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
    /// What the browser says it is, in a word or two.
    #[serde(default)]
    browser: String,
}

/// A session as its holder sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenSession {
    /// Names it among those of the account; not the token.
    pub key: String,
    /// What the browser says it is.
    pub browser: String,
    /// When it began, Unix seconds.
    pub since: i64,
    /// Whether it is the one that asks.
    pub current: bool,
}

/// Key of the session of a token; none when the token is not one of ours.
fn key(token: &str) -> Option<String> {
    let (account, _) = token.split_once('.')?;
    let plain = !account.is_empty() && !account.contains('/');
    plain.then(|| format!("{account}/{}", record::digest(token)))
}

/// The session that a request's cookie stands for, with the cookie's value.
///
/// # Errors
/// When the store fails or a record is damaged.
pub fn find(store: &dyn Store, headers: &HeaderMap, now: i64) -> Result<Option<(Session, String)>, IdentityError> {
    let Some(token) = cookie(headers, SESSION_COOKIE) else {
        return Ok(None);
    };
    let Some(key) = key(token) else {
        return Ok(None);
    };
    let snapshot = store.snapshot(account::permit())?;
    let stored: Option<StoredSession> = record::read(snapshot.as_ref(), RecordKind::Session, &key)?;
    let Some(stored) = stored.filter(|stored| stored.expires > now) else {
        return Ok(None);
    };
    let account = account::load(snapshot.as_ref(), &stored.account)?;
    let account = account.filter(|account| account.generation == stored.generation);
    Ok(account.map(|account| (session(account, stored.authenticated_at), token.to_owned())))
}

fn session(account: Account, authenticated_at: i64) -> Session {
    Session {
        webids: account.all_webids().map(str::to_owned).collect(),
        leaving: account.leaving.is_some(),
        account: account.id,
        name: account.name,
        label: account.label,
        webid: account.webid,
        storages: account.storages,
        authenticated_at,
    }
}

/// How a session begins.
#[derive(Clone, Copy, Debug)]
pub struct Beginning<'a> {
    /// Random secret of the token.
    pub secret: &'a str,
    /// Token of the session that the browser had, if any: it ends.
    pub replaced: Option<&'a str>,
    /// `User-Agent` of the browser.
    pub user_agent: &'a str,
    /// Present time, Unix seconds.
    pub now: i64,
    /// How long it lasts, in seconds.
    pub seconds: i64,
}

/// Starts a session under a fresh token, and ends the one that the browser had, if any. Gives the token.
///
/// # Errors
/// When the store fails.
pub async fn start(store: &dyn Store, account: &Account, beginning: Beginning<'_>) -> Result<String, IdentityError> {
    let stored = StoredSession {
        account: account.id.clone(),
        generation: account.generation,
        authenticated_at: beginning.now,
        expires: beginning.now + beginning.seconds,
        browser: browser(beginning.user_agent),
    };
    let token = format!("{}.{}", account.id, beginning.secret);
    let (new, old) = (key(&token).unwrap_or_default(), beginning.replaced.and_then(key));
    run(store, move |transaction: &mut dyn Transaction| {
        if let Some(old) = old {
            transaction.record_delete(RecordKind::Session, &old)?;
        }
        record::write(transaction, RecordKind::Session, &new, &stored)
    })
    .await?;
    Ok(token)
}

/// Ends the session of a token.
///
/// # Errors
/// When the store fails.
pub async fn end(store: &dyn Store, token: &str) -> Result<(), IdentityError> {
    let Some(key) = key(token) else { return Ok(()) };
    run(store, move |transaction: &mut dyn Transaction| {
        transaction.record_delete(RecordKind::Session, &key)?;
        Ok(())
    })
    .await
}

/// The open sessions of an account, the newest first, at most `limit`.
///
/// # Errors
/// When the store fails or a record is damaged.
pub fn list(
    store: &dyn Store,
    account: &Account,
    token: Option<&str>,
    now: i64,
    limit: usize,
) -> Result<Vec<OpenSession>, IdentityError> {
    let current = token.and_then(key);
    let snapshot = store.snapshot(account::permit())?;
    let mut open = Vec::new();
    for (key, bytes) in snapshot.records(RecordKind::Session, &format!("{}/", account.id), None, limit)? {
        let stored: StoredSession = record::decode(RecordKind::Session, &key, &bytes)?;
        if stored.expires > now && stored.generation == account.generation {
            open.push(OpenSession {
                current: current.as_ref() == Some(&key),
                browser: stored.browser,
                since: stored.authenticated_at,
                key,
            });
        }
    }
    open.sort_by_key(|session| std::cmp::Reverse(session.since));
    Ok(open)
}

/// Ends one session of an account by its key, or all but one.
///
/// # Errors
/// When the store fails.
pub async fn revoke(store: &dyn Store, account: &str, ended: Ended) -> Result<(), IdentityError> {
    let prefix = format!("{account}/");
    run(store, move |transaction: &mut dyn Transaction| {
        match ended {
            // A key of somebody else's session does not begin with this account.
            Ended::One(key) if key.starts_with(&prefix) => {
                transaction.record_delete(RecordKind::Session, &key)?;
            }
            Ended::One(_) => {}
            Ended::AllBut(token) => {
                let kept = key(&token);
                for (key, _) in transaction.records(RecordKind::Session, &prefix, None, SESSIONS_ENDED_MAX)? {
                    if kept.as_ref() != Some(&key) {
                        transaction.record_delete(RecordKind::Session, &key)?;
                    }
                }
            }
        }
        Ok(())
    })
    .await
}

/// Which sessions end.
#[derive(Clone, Debug)]
pub enum Ended {
    /// The one with this key.
    One(String),
    /// All but that of this token.
    AllBut(String),
}

/// Most sessions of an account that are ended at one time; there are never nearly as many.
const SESSIONS_ENDED_MAX: usize = 10_000;

/// A browser and a system in a word each, so that a person recognises the own devices. Nothing more is kept.
fn browser(user_agent: &str) -> String {
    let known = |words: &[(&'static str, &'static str)]| {
        words
            .iter()
            .find(|(mark, _)| user_agent.contains(mark))
            .map(|(_, name)| *name)
    };
    // The order matters: each names those after it.
    let browser = known(&[
        ("Edg", "Edge"),
        ("OPR/", "Opera"),
        ("Firefox/", "Firefox"),
        ("Chrom", "Chrome"),
        ("Safari/", "Safari"),
    ]);
    let system = known(&[
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Android", "Android"),
        ("Windows", "Windows"),
        ("Mac OS", "macOS"),
        ("Linux", "Linux"),
    ]);
    [browser, system].into_iter().flatten().collect::<Vec<_>>().join(", ")
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browsers_are_named_in_a_word_or_two() {
        for (agent, expected) in [
            (
                "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
                "Firefox, Linux",
            ),
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140 Safari/537.36 Edg/140",
                "Edge, Windows",
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1 Version/18.0 Mobile Safari/604.1",
                "Safari, iPhone",
            ),
            ("curl/8", ""),
            ("", ""),
        ] {
            assert_eq!(browser(agent), expected, "{agent}");
        }
    }

    #[test]
    fn keys_lie_below_their_account() {
        assert!(key("abc.secret").is_some_and(|key| key.starts_with("abc/") && !key.contains("secret")));
        for token in ["", "secret", ".secret", "a/b.secret"] {
            assert_eq!(key(token), None, "{token}");
        }
    }
}
