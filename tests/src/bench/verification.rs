//! How many ES256 signatures one core verifies when it does nothing else: no request with a proof of its own can be answered
//! faster.

use std::time::{Duration, Instant};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, ParsedPublicKey,
};
use serde::{Deserialize, Serialize};

use super::BenchError;
use super::process::cpu_seconds;

/// Signatures that are made beforehand; verifying one again costs as much as the first time.
const SIGNATURES: usize = 512;

/// Bytes that are signed: about as many as a DPoP proof has.
const SIGNED_BYTES: usize = 480;

/// What was measured.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Verified {
    /// Signatures verified.
    pub signatures: u64,
    /// Seconds that it took.
    pub seconds: f64,
    /// Processor time that it took, in seconds.
    pub cpu_seconds: f64,
}

impl Verified {
    /// Signatures per second.
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub fn rate(&self) -> f64 {
        self.signatures as f64 / self.seconds.max(1e-9)
    }

    /// Processor time of one, in microseconds.
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub fn cpu_micros(&self) -> f64 {
        self.cpu_seconds * 1e6 / self.signatures.max(1) as f64
    }
}

/// Verifies with one prepared key on one thread, with the same library as the servers.
///
/// # Errors
/// When no key can be made, or a signature is found wrong.
pub fn run(length: Duration) -> Result<Verified, BenchError> {
    let failed = |what: &str| BenchError(format!("ES256: {what}"));
    let random = SystemRandom::new();
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(|_| failed("no key"))?;
    let key = ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, pair.public_key().as_ref());
    let key = key.map_err(|_| failed("the key cannot be used"))?;
    let mut signed = Vec::with_capacity(SIGNATURES);
    for number in 0..SIGNATURES {
        let mut text = vec![b'e'; SIGNED_BYTES];
        text.extend_from_slice(&number.to_be_bytes());
        let signature = pair.sign(&random, &text).map_err(|_| failed("signing failed"))?;
        signed.push((text, signature));
    }
    let cpu = cpu_seconds("self")?;
    let began = Instant::now();
    let mut signatures = 0;
    while began.elapsed() < length {
        for (text, signature) in &signed {
            key.verify_sig(text, signature.as_ref())
                .map_err(|_| failed("a right signature was refused"))?;
        }
        signatures += SIGNATURES as u64;
    }
    Ok(Verified {
        signatures,
        seconds: began.elapsed().as_secs_f64(),
        cpu_seconds: cpu_seconds("self")? - cpu,
    })
}
