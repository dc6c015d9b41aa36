//! Randomness as an argument.
//!
//! Identifiers, secrets and nonces come from a [`Random`]; the servers use [`SystemRandom`]. Nothing here is a generator of
//! its own: a predictable source belongs in tests only.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// A source of unpredictable bytes.
pub trait Random: Send + Sync {
    /// Fills the whole slice.
    fn fill(&self, bytes: &mut [u8]);

    /// A token of `bytes` random bytes in unpadded base64url.
    fn token(&self, bytes: usize) -> String {
        let mut buffer = vec![0; bytes];
        self.fill(&mut buffer);
        URL_SAFE_NO_PAD.encode(buffer)
    }

    /// A random UUID (version 4, RFC 9562 §5.4) in lower-case text form.
    fn uuid(&self) -> String {
        let mut bytes = [0; 16];
        self.fill(&mut bytes);
        uuid::Builder::from_random_bytes(bytes).into_uuid().to_string()
    }
}

/// The generator of the operating system.
///
/// If the operating system cannot give random bytes the process aborts: going on with known bytes would hand out
/// guessable secrets.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemRandom;

impl Random for SystemRandom {
    fn fill(&self, bytes: &mut [u8]) {
        if let Err(error) = getrandom::fill(bytes) {
            tracing::error!(%error, "the operating system gives no random bytes");
            std::process::abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_have_the_asked_length_and_differ() {
        let (a, b) = (SystemRandom.token(32), SystemRandom.token(32));
        assert_eq!(a.len(), 43);
        assert_ne!(a, b);
        assert_eq!(SystemRandom.uuid().len(), 36);
        assert_eq!(SystemRandom.uuid().as_bytes().get(14), Some(&b'4'));
    }
}
