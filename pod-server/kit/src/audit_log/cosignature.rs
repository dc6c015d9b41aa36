//! Cosignatures: a witness's word, with a time, that a log's checkpoint contains every checkpoint that the witness saw of that log
//! before (C2SP tlog-cosignature, `cosignature/v1`). A log that shows two histories finds no witness for the second.

use std::path::Path;

use super::checkpoint::{COSIGNATURE_TYPE, CheckpointError, LogKey, VerifierKey};
use crate::random::Random;

/// Bytes of the time in a cosignature.
const TIME_BYTES: usize = 8;

/// The private key of a witness.
#[derive(Debug)]
pub struct WitnessKey {
    key: LogKey,
    verifier: WitnessVerifier,
}

impl WitnessKey {
    /// Loads the key of a witness, or makes it on first use. The file has mode 0600 and names the witness.
    ///
    /// # Errors
    /// When the file is readable by others, is no such key, or belongs to another witness.
    pub fn load_or_generate(path: &Path, name: &str, random: &dyn Random) -> Result<Self, CheckpointError> {
        let key = LogKey::load(path, name, COSIGNATURE_TYPE, random)?;
        let verifier = WitnessVerifier(key.verifier().clone());
        Ok(Self { key, verifier })
    }

    /// The public half.
    #[must_use]
    pub fn verifier(&self) -> &WitnessVerifier {
        &self.verifier
    }

    /// The signature line, with its newline, that says: at this time, in seconds since 1970, the text of this note was the newest that
    /// this witness had seen of its log.
    #[must_use]
    pub fn cosign(&self, text: &str, seconds: u64) -> String {
        let signature = self.key.sign_bytes(signed(text, seconds).as_bytes());
        self.verifier.0.line(&[&seconds.to_be_bytes()[..], &signature].concat())
    }
}

/// The public key of a witness, with its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WitnessVerifier(VerifierKey);

impl WitnessVerifier {
    /// Reads a verifier key, `name+id+base64`, as [`Display`](std::fmt::Display) writes it.
    ///
    /// # Errors
    /// When the text is malformed or the key is not one for cosignatures.
    pub fn parse(text: &str) -> Result<Self, CheckpointError> {
        VerifierKey::parse_kind(text, COSIGNATURE_TYPE).map(Self)
    }

    /// Name of the witness.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.name()
    }

    /// Verifies this witness's cosignature on a note; answers its time in seconds since 1970.
    ///
    /// # Errors
    /// When the note is malformed, not cosigned by this witness, or wrongly.
    pub fn verify(&self, note: &str) -> Result<u64, CheckpointError> {
        let (text, blob) = self.0.signature(note)?;
        let (time, signature) = blob
            .split_first_chunk::<TIME_BYTES>()
            .ok_or(CheckpointError::Malformed("the cosignature is too short"))?;
        let seconds = u64::from_be_bytes(*time);
        self.0.check(signed(text, seconds).as_bytes(), signature)?;
        Ok(seconds)
    }

    /// This witness's signature line on a note, with its newline. Lines by other keys of the same name are not its own.
    ///
    /// # Errors
    /// When the note is malformed, or not cosigned by this witness.
    pub fn line(&self, note: &str) -> Result<String, CheckpointError> {
        let (_, blob) = self.0.signature(note)?;
        Ok(self.0.line(&blob))
    }
}

impl std::fmt::Display for WitnessVerifier {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(formatter)
    }
}

/// What is signed: the time, then the text of the note.
fn signed(text: &str, seconds: u64) -> String {
    format!("cosignature/v1\ntime {seconds}\n{text}")
}
