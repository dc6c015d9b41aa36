//! Recovery codes: for the day on which password and passkeys are lost. Each counts once; only digests are stored.
//!
//! A code has 80 random bits, so that a plain digest is enough and guessing is hopeless even without the throttle.

use serde::{Deserialize, Serialize};
use server_kit::random::Random;

use crate::store::{RecordKind, Store, Transaction};
use crate::ui::visit::same;

use super::account::{self, Account};
use super::error::{AccountError, IdentityError};
use super::record;
use super::session::run;

const PREFIX: &str = "recovery/";

/// Codes of one set.
pub const CODES: usize = 10;

/// Letters and digits that are hard to mistake for each other (Crockford's base 32).
const ALPHABET: [char; 32] = [
    '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F', 'G', 'H', 'J', 'K', 'M', 'N', 'P',
    'Q', 'R', 'S', 'T', 'V', 'W', 'X', 'Y', 'Z',
];

/// Letters and digits of one code.
const CODE_CHARACTERS: usize = 16;

#[derive(Clone, Debug, Serialize, Deserialize)]
struct StoredCodes {
    digests: Vec<String>,
    created: i64,
}

/// Makes a new set of codes for an account; an older set counts no more. The codes are kept nowhere: show them once.
///
/// # Errors
/// When the store fails.
pub async fn make(
    store: &dyn Store,
    account: &str,
    now: i64,
    random: &dyn Random,
) -> Result<Vec<String>, IdentityError> {
    let codes: Vec<String> = (0..CODES).map(|_| code(random)).collect();
    let stored = StoredCodes {
        digests: codes.iter().map(|code| digest(account, code)).collect(),
        created: now,
    };
    let key = format!("{PREFIX}{account}");
    run(store, move |transaction: &mut dyn Transaction| {
        record::write(transaction, RecordKind::Issuer, &key, &stored)
    })
    .await?;
    Ok(codes)
}

/// How many codes an account has left, and since when; none if it never made any.
///
/// # Errors
/// When the store fails or the record is damaged.
pub fn left(store: &dyn Store, account: &str) -> Result<Option<(usize, i64)>, IdentityError> {
    let snapshot = store.snapshot(account::permit())?;
    let stored: Option<StoredCodes> =
        record::read(snapshot.as_ref(), RecordKind::Issuer, &format!("{PREFIX}{account}"))?;
    Ok(stored.map(|stored| (stored.digests.len(), stored.created)))
}

/// Whether a code counts. It is not used up: see [`redeem`].
///
/// # Errors
/// When the store fails or the record is damaged.
pub fn counts(store: &dyn Store, account: &str, code: &str) -> Result<bool, IdentityError> {
    let snapshot = store.snapshot(account::permit())?;
    let stored: Option<StoredCodes> =
        record::read(snapshot.as_ref(), RecordKind::Issuer, &format!("{PREFIX}{account}"))?;
    let wanted = digest(account, code);
    Ok(stored.is_some_and(|stored| {
        stored
            .digests
            .iter()
            .any(|known| same(known.as_bytes(), wanted.as_bytes()))
    }))
}

/// Uses a code up and gives the account a new password, in one commit; everything that was given out before ends (T40).
///
/// # Errors
/// [`AccountError::Unknown`] when the code does not count (any more), or the account is gone.
pub async fn redeem(store: &dyn Store, account: &str, code: &str, hash: String) -> Result<Account, AccountError> {
    let (id, wanted) = (account.to_owned(), digest(account, code));
    let key = format!("{PREFIX}{account}");
    let outcome = run(store, move |transaction: &mut dyn Transaction| {
        let Some(mut stored) = record::read::<StoredCodes>(transaction, RecordKind::Issuer, &key)? else {
            return Ok(None);
        };
        let before = stored.digests.len();
        stored
            .digests
            .retain(|known| !same(known.as_bytes(), wanted.as_bytes()));
        let Some(mut account) = account::load(transaction, &id)?.filter(|_| stored.digests.len() < before) else {
            return Ok(None);
        };
        account.password = Some(hash);
        account.setup = None;
        account.generation += 1;
        record::write(transaction, RecordKind::Issuer, &key, &stored)?;
        account::save(transaction, &account)?;
        Ok(Some(account))
    })
    .await?;
    outcome.ok_or_else(|| AccountError::Unknown(account.to_owned()))
}

fn code(random: &dyn Random) -> String {
    let mut bytes = [0; CODE_CHARACTERS];
    random.fill(&mut bytes);
    let letters: Vec<char> = bytes
        .iter()
        .filter_map(|byte| ALPHABET.get(usize::from(byte % 32)).copied())
        .collect();
    let groups: Vec<String> = letters.chunks(4).map(|group| group.iter().collect()).collect();
    groups.join("-")
}

/// The digest under which a code is known: however its holder writes capitals, hyphens and look-alikes.
fn digest(account: &str, code: &str) -> String {
    let plain: String = code
        .chars()
        .take(4 * CODE_CHARACTERS)
        .filter(char::is_ascii_alphanumeric)
        .map(|letter| match letter.to_ascii_uppercase() {
            'O' => '0',
            'I' | 'L' => '1',
            other => other,
        })
        .collect();
    record::digest(&format!("recovery code\0{account}\0{plain}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeSet;

    use server_kit::random::SystemRandom;

    use super::*;

    #[test]
    fn codes_differ_and_are_read_however_they_are_written() {
        let codes: BTreeSet<String> = (0..1_000).map(|_| code(&SystemRandom)).collect();
        assert_eq!(codes.len(), 1_000);
        assert!(codes.iter().all(|code| code.len() == CODE_CHARACTERS + 3), "{codes:?}");
        let known = digest("a", "0123-4567-89AB-CDEF");
        for written in [
            "0123456789abcdef",
            " o123 4567-89AB-CDEF ",
            "OI23-4567-89ab-cdef",
            "Ol23 4567 89AB CDEF",
        ] {
            assert_eq!(digest("a", written), known, "{written}");
        }
        assert_ne!(digest("b", "0123-4567-89AB-CDEF"), known);
        assert_ne!(digest("a", "0123-4567-89AB-CDEG"), known);
    }
}
