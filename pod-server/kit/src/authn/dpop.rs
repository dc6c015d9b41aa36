//! One DPoP proof: parsed, then checked against the request (RFC 9449 §4.3).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, Method};
use sha2::{Digest, Sha256};

use super::claims::ProofClaims;
use super::config::{AuthnConfig, TokenHash};
use super::htu::normalize;
use super::jose::{Compact, JoseFailure, Verifiers};
use super::proof_key::{ProofKey, ProofKeys};
use super::rejection::AuthnRejection;
use super::replay::ProofName;

/// Longest proof, bytes.
const PROOF_BYTES_MAX: usize = 8 * 1024;
/// Longest `jti`, bytes.
const JTI_BYTES_MAX: usize = 512;

/// What a proof must be for.
pub(super) struct Expectation<'a> {
    pub(super) method: &'a Method,
    pub(super) url: &'a str,
    /// SHA-256 of the access token that the proof comes with; none at a token endpoint, where there is no token yet.
    pub(super) token: Option<[u8; 32]>,
    pub(super) now: i64,
    /// Proofs older than the process cannot be told from replays, so they are refused.
    pub(super) started: i64,
}

/// A proof whose every member fits the request, but whose signature is not verified yet.
pub(super) struct UnverifiedProof<'a> {
    jwt: Compact<'a>,
    key: ProofKey,
    issued: i64,
    name: ProofName,
}

/// The only `DPoP` header field of a request.
pub(super) fn only_header(headers: &HeaderMap) -> Result<&str, AuthnRejection> {
    let mut all = headers.get_all("dpop").iter();
    let (Some(value), None) = (all.next(), all.next()) else {
        return Err(AuthnRejection::proof("exactly one DPoP header field is needed"));
    };
    let text = value
        .to_str()
        .map_err(|_| AuthnRejection::proof("the proof is not a signed JWT"))?;
    if text.len() > PROOF_BYTES_MAX {
        return Err(AuthnRejection::proof("the proof is too long"));
    }
    Ok(text)
}

impl<'a> UnverifiedProof<'a> {
    /// Checks everything but the signature: cheap checks come first, so that floods cost little.
    pub(super) fn parse(
        text: &'a str,
        expected: &Expectation<'_>,
        config: &AuthnConfig,
        keys: &ProofKeys,
    ) -> Result<Self, AuthnRejection> {
        let jwt = Compact::split(text).map_err(refuse)?;
        let header = keys.header(&jwt, &config.algorithms).map_err(refuse)?;
        if !header.is_proof() {
            return Err(AuthnRejection::proof("the proof's type is not dpop+jwt"));
        }
        let claims: ProofClaims = jwt.claims().map_err(refuse)?;
        if claims.htm != expected.method.as_str() {
            return Err(AuthnRejection::proof("the proof is for another method"));
        }
        let htu = normalize(&claims.htu);
        let (Some(htu), true) = (&htu, htu == normalize(expected.url)) else {
            return Err(AuthnRejection::proof("the proof is for another URL"));
        };
        let issued = claims.iat.0;
        if issued < expected.now - i64::from(config.proof_age_seconds_max) || issued < expected.started {
            return Err(AuthnRejection::proof("the proof is too old"));
        }
        if issued > expected.now + i64::from(config.proof_future_seconds_max) {
            return Err(AuthnRejection::proof("the proof lies in the future"));
        }
        if claims.jti.is_empty() || claims.jti.len() > JTI_BYTES_MAX {
            return Err(AuthnRejection::proof("the proof's jti is empty or too long"));
        }
        match (expected.token, claims.ath.as_deref()) {
            (None, _) => {}
            (Some(token), Some(ath)) if URL_SAFE_NO_PAD.encode(token) == ath => {}
            (Some(_), Some(_)) => return Err(AuthnRejection::proof("the proof is for another access token")),
            (Some(_), None) if config.token_hash == TokenHash::Optional => {}
            (Some(_), None) => {
                return Err(AuthnRejection::proof("the proof does not name the access token (ath)"));
            }
        }
        let key = header
            .key()
            .map_err(refuse)?
            .ok_or(AuthnRejection::proof("the proof carries no public key"))?;
        let name = ProofName::new(key.jkt(), &claims.htm, htu, &claims.jti);
        Ok(Self { jwt, key, issued, name })
    }

    /// Thumbprint of the key that the proof claims to be by.
    pub(super) fn jkt(&self) -> &str {
        self.key.jkt()
    }

    /// Verifies the signature. What remains is to be spent once.
    pub(super) fn verify(&self, keys: &ProofKeys, verifiers: &Verifiers) -> Result<(ProofName, i64), AuthnRejection> {
        keys.verify(&self.jwt, &self.key, verifiers).map_err(refuse)?;
        Ok((self.name, self.issued))
    }
}

/// `ath` of an access token (RFC 9449 §4.2).
pub(super) fn token_hash(token: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(token))
}

fn refuse(failure: JoseFailure) -> AuthnRejection {
    AuthnRejection::proof(match failure {
        JoseFailure::Malformed | JoseFailure::Signing => "the proof is not a signed JWT",
        JoseFailure::Algorithm => "the proof's algorithm is not accepted",
        JoseFailure::Key => "the proof's key is not an accepted public key",
        JoseFailure::Signature => "the proof's signature is wrong",
        JoseFailure::Claims => "a claim of the proof is missing or of the wrong type",
    })
}
