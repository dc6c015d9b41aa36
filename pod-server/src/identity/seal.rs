//! Values that leave the server and come back unchanged, or count for nothing: tickets, and log-ins that are under way.
//!
//! The key lives as long as the process, so that what was sealed ends with it. Sealed values can be read by whoever holds
//! them, and made by nobody else.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use server_kit::random::Random;
use sha2::Sha256;

/// Length of the tag, in bytes.
const TAG_BYTES: usize = 32;

/// What a value was sealed for; it opens for nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A ticket of a refused request.
    Ticket,
    /// A log-in through another provider.
    External,
}

/// Seals and opens.
pub struct Seal([u8; 32]);

impl Seal {
    /// With a new key.
    #[must_use]
    pub fn new(random: &dyn Random) -> Self {
        let mut key = [0; 32];
        random.fill(&mut key);
        Self(key)
    }

    /// The value with its tag, as text for headers and cookies; empty if it cannot be made.
    #[must_use]
    pub fn seal(&self, purpose: Purpose, value: &[u8]) -> String {
        let Some(mac) = self.mac(purpose, value) else {
            return String::new();
        };
        let mut sealed = value.to_vec();
        sealed.extend_from_slice(&mac.finalize().into_bytes());
        URL_SAFE_NO_PAD.encode(sealed)
    }

    /// The value that was sealed for this purpose by this process; none for anything else.
    #[must_use]
    pub fn open(&self, purpose: Purpose, sealed: &str) -> Option<Vec<u8>> {
        let mut bytes = URL_SAFE_NO_PAD.decode(sealed).ok()?;
        let tag = bytes.split_off(bytes.len().checked_sub(TAG_BYTES)?);
        self.mac(purpose, &bytes)?.verify_slice(&tag).ok()?;
        Some(bytes)
    }

    fn mac(&self, purpose: Purpose, value: &[u8]) -> Option<Hmac<Sha256>> {
        // A key of any length is accepted, so that this never fails.
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).ok()?;
        mac.update(&[purpose as u8]);
        mac.update(value);
        Some(mac)
    }
}

#[cfg(test)]
mod tests {
    use server_kit::random::SystemRandom;

    use super::*;

    #[test]
    fn only_what_was_sealed_here_for_this_opens() {
        let (seal, other) = (Seal::new(&SystemRandom), Seal::new(&SystemRandom));
        let sealed = seal.seal(Purpose::Ticket, b"value");
        assert_eq!(seal.open(Purpose::Ticket, &sealed).as_deref(), Some(&b"value"[..]));
        assert_eq!(seal.open(Purpose::External, &sealed), None);
        assert_eq!(other.open(Purpose::Ticket, &sealed), None);
        let bytes = URL_SAFE_NO_PAD.decode(&sealed).unwrap_or_default();
        for at in 0..bytes.len() {
            let mut flipped = bytes.clone();
            if let Some(byte) = flipped.get_mut(at) {
                *byte ^= 1;
            }
            assert_eq!(
                seal.open(Purpose::Ticket, &URL_SAFE_NO_PAD.encode(flipped)),
                None,
                "byte {at}"
            );
        }
        for broken in ["", "x", "AAAA", &URL_SAFE_NO_PAD.encode([0; 32])] {
            assert_eq!(seal.open(Purpose::Ticket, broken), None, "{broken}");
        }
    }
}
