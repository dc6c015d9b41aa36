//! The server's secret behind the codes that stand for names and values, and when they change.

use std::path::Path;

use policies::treatment::PseudonymKey;
use server_kit::random::Random;
use server_kit::secret_file;
use sha2::{Digest, Sha256};
use time::OffsetDateTime;

use crate::query::sketch::SketchKey;

/// Name of the secret's file in the store's directory.
pub const PSEUDONYM_KEY_FILE: &str = "pseudonyms.key";
const KEY_BYTES: usize = 32;
const DAY_SECONDS: i64 = 86_400;

/// The secret of the codes cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the secret of pseudonyms `{file}`: {reason}")]
pub struct PseudonymsError {
    /// The file.
    pub file: String,
    /// Why.
    pub reason: String,
}

/// Makes the keys of codes.
pub struct Pseudonyms {
    secret: [u8; KEY_BYTES],
    /// Days after which all codes change; 0 for never.
    days: u32,
}

impl std::fmt::Debug for Pseudonyms {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pseudonyms")
            .field("days", &self.days)
            .finish_non_exhaustive()
    }
}

impl Pseudonyms {
    /// Reads the secret in a store's directory; makes it on first use. Whoever loses it gives everybody a new code.
    ///
    /// # Errors
    /// When its file cannot be read or written, or does not hold a secret.
    pub fn load_or_generate(directory: &Path, days: u32, random: &dyn Random) -> Result<Self, PseudonymsError> {
        let path = directory.join(PSEUDONYM_KEY_FILE);
        let failed = |reason: String| PseudonymsError {
            file: path.display().to_string(),
            reason,
        };
        let mut secret = [0; KEY_BYTES];
        match secret_file::read(&path).map_err(|error| failed(error.to_string()))? {
            Some(text) => hex::decode_to_slice(text.trim_ascii(), &mut secret)
                .map_err(|_| failed(format!("it does not hold {KEY_BYTES} bytes in hexadecimal")))?,
            None => {
                random.fill(&mut secret);
                let text = hex::encode(secret);
                secret_file::write(&path, text.as_bytes()).map_err(|error| failed(error.to_string()))?;
            }
        }
        Ok(Self { secret, days })
    }

    /// The number of the present epoch, and when it ends.
    fn epoch(&self, now: OffsetDateTime) -> (u64, Option<OffsetDateTime>) {
        let length = i64::from(self.days) * DAY_SECONDS;
        if length == 0 {
            return (0, None);
        }
        let epoch = now.unix_timestamp().div_euclid(length);
        let end = (epoch + 1).checked_mul(length);
        let end = end.and_then(|end| OffsetDateTime::from_unix_timestamp(end).ok());
        (u64::try_from(epoch).unwrap_or(0), end)
    }

    /// The key of the codes under an agreement for a purpose, and until when it is used.
    #[must_use]
    pub fn key(&self, agreement: &str, purpose: &str, now: OffsetDateTime) -> (PseudonymKey, Option<OffsetDateTime>) {
        let (epoch, end) = self.epoch(now);
        (PseudonymKey::derive(&self.secret, agreement, purpose, epoch), end)
    }

    /// The key of what is kept about the numbers that a consumer got about a dataset.
    #[must_use]
    pub fn sketch_key(&self, ledger: &str) -> SketchKey {
        let mut digest = Sha256::new_with_prefix(self.secret);
        digest.update("answered numbers\n");
        digest.update(ledger);
        SketchKey::new(digest.finalize().into())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use server_kit::random::SystemRandom;
    use time::macros::datetime;

    use super::*;

    /// Requirement ENF-13.
    #[test]
    fn codes_outlast_a_restart_and_change_with_the_epoch() {
        let directory = tempfile::tempdir().unwrap();
        let load = |days| Pseudonyms::load_or_generate(directory.path(), days, &SystemRandom).unwrap();
        let now = datetime!(2026-06-01 12:00 UTC);
        let later = datetime!(2026-08-01 12:00 UTC);
        assert_eq!(load(0).key("a", "p", now), load(0).key("a", "p", later));
        let (key, end) = load(30).key("a", "p", now);
        let end = end.unwrap();
        assert!(end > now && end <= now + time::Duration::days(30));
        assert_eq!(load(30).key("a", "p", end - time::Duration::SECOND).0, key);
        assert_ne!(load(30).key("a", "p", end).0, key);
        std::fs::write(directory.path().join(PSEUDONYM_KEY_FILE), "short").unwrap();
        let error = Pseudonyms::load_or_generate(directory.path(), 0, &SystemRandom).unwrap_err();
        assert!(error.to_string().contains(PSEUDONYM_KEY_FILE), "{error}");
    }
}
