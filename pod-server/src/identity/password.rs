//! Passwords: what is accepted, and hashing with argon2id on a bounded pool (RFC 9106).
//!
//! Hashing is slow on purpose. At most a configured number of hashes run at one time and a configured number wait, so
//! that a flood of log-ins cannot starve the server.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use server_kit::random::Random;
use tokio::sync::Semaphore;

use super::config::PasswordConfig;
use super::error::IdentityError;

/// Longest password, in bytes: long enough for any sentence, short enough to hash.
pub const PASSWORD_BYTES_MAX: usize = 1_024;

/// Why a password is not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WeakPassword {
    /// Too short.
    #[error("the password must have at least {0} characters")]
    TooShort(usize),
    /// Too long.
    #[error("the password is longer than {PASSWORD_BYTES_MAX} bytes")]
    TooLong,
    /// The name, or one character again and again.
    #[error("the password is too easy to guess")]
    Guessable,
}

/// Hashes and checks passwords.
#[derive(Debug)]
pub struct Passwords {
    config: PasswordConfig,
    running: Arc<Semaphore>,
    waiting: AtomicUsize,
    /// A hash of nothing in particular, checked when there is no account, so that the answer takes as long (T44).
    decoy: String,
}

impl Passwords {
    /// With these costs and bounds.
    ///
    /// # Errors
    /// [`IdentityError::Hash`] when argon2 refuses the costs.
    pub fn new(config: PasswordConfig, random: &dyn Random) -> Result<Self, IdentityError> {
        let decoy = hash(&config, &random.token(32), &salt(random))?;
        let running = Arc::new(Semaphore::new(config.concurrent_max.max(1)));
        Ok(Self {
            config,
            running,
            waiting: AtomicUsize::new(0),
            decoy,
        })
    }

    /// Whether a new password is good enough for an account.
    ///
    /// # Errors
    /// [`WeakPassword`] says what is missing.
    pub fn check_new(&self, name: &str, password: &str) -> Result<(), WeakPassword> {
        if password.len() > PASSWORD_BYTES_MAX {
            return Err(WeakPassword::TooLong);
        }
        if password.chars().count() < self.config.characters_min {
            return Err(WeakPassword::TooShort(self.config.characters_min));
        }
        let first = password.chars().next();
        if password.eq_ignore_ascii_case(name) || password.chars().all(|character| Some(character) == first) {
            return Err(WeakPassword::Guessable);
        }
        Ok(())
    }

    /// Hashes a new password into a PHC string.
    ///
    /// # Errors
    /// [`IdentityError::Busy`] when too many wait.
    pub async fn hash(&self, password: &str, random: &dyn Random) -> Result<String, IdentityError> {
        let (config, password, salt) = (self.config.clone(), password.to_owned(), salt(random));
        self.run(move || hash(&config, &password, &salt)).await?
    }

    /// Whether a password is the one of a PHC string. Without a PHC string the answer is no, after the same time.
    ///
    /// # Errors
    /// [`IdentityError::Busy`] when too many wait.
    pub async fn verify(&self, password: &str, known: Option<&str>) -> Result<bool, IdentityError> {
        if password.len() > PASSWORD_BYTES_MAX {
            return Ok(false);
        }
        let exists = known.is_some();
        let (password, known) = (password.to_owned(), known.unwrap_or(&self.decoy).to_owned());
        let fits = self.run(move || fits(&password, &known)).await?;
        Ok(fits && exists)
    }

    /// As [`verify`](Self::verify), where the hash may be our own, one that came from elsewhere, or none: one of each kind is
    /// checked, so that the answer takes as long for all three.
    ///
    /// # Errors
    /// [`IdentityError::Busy`] when too many wait.
    pub async fn verify_either(&self, password: &str, known: Option<&str>) -> Result<bool, IdentityError> {
        if password.len() > PASSWORD_BYTES_MAX {
            return Ok(false);
        }
        let foreign = known.filter(|known| Self::is_foreign(known));
        let own = known.filter(|known| !Self::is_foreign(known));
        let exists = (own.is_some(), foreign.is_some());
        let own = own.unwrap_or(&self.decoy).to_owned();
        let foreign = foreign.unwrap_or(FOREIGN_DECOY).to_owned();
        let password = password.to_owned();
        let fits = self
            .run(move || (fits(&password, &own), fits(&password, &foreign)))
            .await?;
        Ok((exists.0 && fits.0) || (exists.1 && fits.1))
    }

    /// Whether a hash is one that only came from elsewhere (bcrypt): to be replaced when the password is known.
    #[must_use]
    pub fn is_foreign(hash: &str) -> bool {
        bcrypt_cost(hash).is_some()
    }

    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, IdentityError> {
        let waiting = Waiting::enter(&self.waiting, self.config.waiting_max).ok_or(IdentityError::Busy)?;
        let permit = Arc::clone(&self.running)
            .acquire_owned()
            .await
            .map_err(|_| IdentityError::Busy)?;
        drop(waiting);
        tokio::task::spawn_blocking(move || {
            let result = work();
            drop(permit);
            result
        })
        .await
        .map_err(|error| IdentityError::Hash(error.to_string()))
    }
}

/// One place among those who wait; gives itself back even when the request is cut off.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn enter(count: &'a AtomicUsize, most: usize) -> Option<Self> {
        let place = Self(count);
        (count.fetch_add(1, Ordering::AcqRel) < most.max(1)).then_some(place)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// A bcrypt hash of nothing in particular, of the cost that Community Solid Server uses.
const FOREIGN_DECOY: &str = "$2b$10$abcdefghijklmnopqrstuuKj3yX0wcZ0dQF3q5X0n8oQb0b1c2d3e";

/// Highest cost of a bcrypt hash that is checked, as a power of two: more would stop the log-ins of others.
const BCRYPT_COST_MAX: u32 = 15;

/// Cost of a bcrypt hash, as a power of two; nothing for what is no such hash or costs too much.
fn bcrypt_cost(hash: &str) -> Option<u32> {
    let parts: bcrypt::HashParts = hash.parse().ok()?;
    Some(parts.get_cost()).filter(|cost| hash.starts_with("$2") && *cost <= BCRYPT_COST_MAX)
}

/// Whether a password is the one of a hash, of either kind.
fn fits(password: &str, known: &str) -> bool {
    if Passwords::is_foreign(known) {
        return verify_bcrypt(password, known);
    }
    PasswordHash::new(known).is_ok_and(|parsed| Argon2::default().verify_password(password.as_bytes(), &parsed).is_ok())
}

/// As other servers do it: bytes after the 72nd do not count.
fn verify_bcrypt(password: &str, hash: &str) -> bool {
    bcrypt::verify(password, hash).unwrap_or(false)
}

fn salt(random: &dyn Random) -> [u8; 16] {
    let mut salt = [0; 16];
    random.fill(&mut salt);
    salt
}

fn hash(config: &PasswordConfig, password: &str, salt: &[u8]) -> Result<String, IdentityError> {
    let failed = |error: &dyn std::fmt::Display| IdentityError::Hash(error.to_string());
    let params = Params::new(config.memory_kibibytes, config.passes, 1, Some(32)).map_err(|error| failed(&error))?;
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let hash: PasswordHash = argon2
        .hash_password_with_salt(password.as_bytes(), salt)
        .map_err(|error| failed(&error))?;
    Ok(hash.to_string())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use server_kit::random::SystemRandom;

    use super::*;

    fn passwords(waiting_max: usize) -> Passwords {
        let config = PasswordConfig {
            memory_kibibytes: 64,
            passes: 1,
            waiting_max,
            ..PasswordConfig::default()
        };
        Passwords::new(config, &SystemRandom).unwrap()
    }

    #[tokio::test]
    async fn a_password_verifies_and_no_other_does() {
        let passwords = passwords(8);
        let hash = passwords.hash("een lang wachtwoord", &SystemRandom).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=64,t=1,p=1$"), "{hash}");
        assert!(passwords.verify("een lang wachtwoord", Some(&hash)).await.unwrap());
        assert!(!passwords.verify("een lang wachtwoorD", Some(&hash)).await.unwrap());
        assert!(!passwords.verify("een lang wachtwoord", None).await.unwrap());
        assert!(
            !passwords
                .verify("een lang wachtwoord", Some("not a hash"))
                .await
                .unwrap()
        );
        assert!(
            !passwords
                .verify(&"x".repeat(PASSWORD_BYTES_MAX + 1), Some(&hash))
                .await
                .unwrap()
        );
    }

    /// Hashes of other servers, made with the reference implementation's parameters, verify; costly or broken ones never do.
    #[tokio::test]
    async fn hashes_of_other_servers_verify() {
        let passwords = passwords(8);
        let hash = bcrypt::hash("een oud wachtwoord", 4).unwrap();
        assert!(Passwords::is_foreign(&hash));
        assert!(passwords.verify("een oud wachtwoord", Some(&hash)).await.unwrap());
        assert!(!passwords.verify("een ander wachtwoord", Some(&hash)).await.unwrap());
        for broken in [
            "$2b$31$abcdefghijklmnopqrstuuKj3yX0wcZ0dQF3q5X0n8oQb0b1c2d3e",
            "$2b$04$short",
            "$argon2id$",
            "",
        ] {
            assert!(!Passwords::is_foreign(broken), "{broken}");
            assert!(!passwords.verify("", Some(broken)).await.unwrap(), "{broken}");
        }
    }

    /// T43: whatever an account's hash is, and where there is none, one hash of each kind is computed.
    #[tokio::test]
    async fn either_kind_of_hash_verifies() {
        let passwords = passwords(8);
        let own = passwords.hash("een wachtwoord", &SystemRandom).await.unwrap();
        let foreign = bcrypt::hash("een wachtwoord", 4).unwrap();
        assert_eq!(bcrypt_cost(FOREIGN_DECOY), Some(10));
        for (password, known, fits) in [
            ("een wachtwoord", Some(&own), true),
            ("een wachtwoord", Some(&foreign), true),
            ("een ander", Some(&own), false),
            ("een ander", Some(&foreign), false),
            ("een wachtwoord", None, false),
        ] {
            let found = passwords.verify_either(password, known.map(String::as_str)).await;
            assert_eq!(found.unwrap(), fits, "{password} {known:?}");
        }
    }

    #[test]
    fn easy_passwords_are_refused() {
        let passwords = passwords(8);
        for (password, good) in [
            ("kort", false),
            ("burger-00001", false),
            ("aaaaaaaaaaaaaaa", false),
            (&"é".repeat(600), false),
            ("paard batterij nietje", true),
        ] {
            assert_eq!(
                passwords.check_new("burger-00001", password).is_ok(),
                good,
                "{password}"
            );
        }
    }

    #[tokio::test]
    async fn only_so_many_may_wait() {
        let passwords = Arc::new(passwords(1));
        let held = Arc::clone(&passwords.running).acquire_many_owned(2).await.unwrap();
        let other = Arc::clone(&passwords);
        let first = tokio::spawn(async move { other.verify("x", None).await });
        while passwords.waiting.load(Ordering::Acquire) == 0 {
            tokio::task::yield_now().await;
        }
        assert!(matches!(passwords.verify("x", None).await, Err(IdentityError::Busy)));
        drop(held);
        assert!(!first.await.unwrap().unwrap());
    }
}
