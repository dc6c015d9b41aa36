//! The keys of proofs, by the header that brings them.
//!
//! A client sends the same header with each of its proofs, byte for byte. Once a proof with it was verified, what was read
//! from the header is remembered under its text, so that the next proof costs its claims and its signature only.

use std::sync::Arc;

use quick_cache::sync::Cache;

use super::jose::{Algorithm, Compact, Header, JoseFailure, PublicKey, Verifier, Verifiers};

/// The type of a proof (RFC 9449 §4.2).
const PROOF_TYPE: &str = "dpop+jwt";

/// Longest header that is remembered, bytes of its encoded text; an RSA key of 4096 bits still fits.
const HEADER_BYTES_MAX: usize = 1_024;

/// Headers of verified proofs, a bounded number.
pub(super) struct ProofKeys {
    known: Cache<Box<str>, Arc<KnownKey>>,
}

/// What the header of a verified proof says.
pub(super) struct KnownKey {
    key: PublicKey,
    verifier: Arc<Verifier>,
}

/// The header of a proof: one that was seen before, or one whose key has yet to be looked at.
pub(super) enum ProofHeader {
    Known(Arc<KnownKey>),
    New(Box<Header>, Algorithm),
}

/// The key of a proof.
pub(super) enum ProofKey {
    Known(Arc<KnownKey>),
    New(PublicKey, Algorithm),
}

impl ProofKeys {
    pub(super) fn new(entries_max: usize) -> Self {
        Self {
            known: Cache::new(entries_max),
        }
    }

    /// Reads the header of a proof.
    pub(super) fn header(&self, jwt: &Compact<'_>, accepted: &[Algorithm]) -> Result<ProofHeader, JoseFailure> {
        if let Some(known) = self.known.get(jwt.header) {
            return Ok(ProofHeader::Known(known));
        }
        let header = Header::parse(jwt.header)?;
        let algorithm = header.algorithm(accepted)?;
        Ok(ProofHeader::New(Box::new(header), algorithm))
    }

    /// Verifies the signature of a proof by its own key, and remembers the header if it is right.
    pub(super) fn verify(&self, jwt: &Compact<'_>, key: &ProofKey, verifiers: &Verifiers) -> Result<(), JoseFailure> {
        match key {
            ProofKey::Known(known) => jwt.verify(&known.verifier),
            ProofKey::New(key, algorithm) => {
                let verifier = verifiers.prepare(key, *algorithm)?;
                jwt.verify(&verifier)?;
                if jwt.header.len() <= HEADER_BYTES_MAX {
                    let key = key.clone();
                    self.known
                        .insert(jwt.header.into(), Arc::new(KnownKey { key, verifier }));
                }
                Ok(())
            }
        }
    }
}

impl ProofHeader {
    /// Whether it is the header of a proof and of nothing else. Only headers of proofs are remembered.
    pub(super) fn is_proof(&self) -> bool {
        match self {
            Self::Known(_) => true,
            Self::New(header, _) => header.typ.as_deref() == Some(PROOF_TYPE),
        }
    }

    /// The key in it, checked; none if it brings none.
    pub(super) fn key(self) -> Result<Option<ProofKey>, JoseFailure> {
        match self {
            Self::Known(known) => Ok(Some(ProofKey::Known(known))),
            Self::New(header, algorithm) => {
                let key = header.jwk.as_ref().map(PublicKey::parse).transpose()?;
                Ok(key.map(|key| ProofKey::New(key, algorithm)))
            }
        }
    }
}

impl ProofKey {
    /// Thumbprint (RFC 7638).
    pub(super) fn jkt(&self) -> &str {
        match self {
            Self::Known(known) => known.key.jkt(),
            Self::New(key, _) => key.jkt(),
        }
    }
}
