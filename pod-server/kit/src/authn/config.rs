//! Bounds and choices of authentication.

use serde::{Deserialize, Serialize};

use super::jose::Algorithm;
use crate::config::ConfigError;

/// Whether a proof must name the access token it is for (`ath`, RFC 9449 §4.2). A wrong one is always refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TokenHash {
    /// A proof without `ath` is refused.
    Required,
    /// A proof without `ath` is accepted: some older clients and test suites omit it.
    Optional,
}

/// Bounds and choices of authentication.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AuthnConfig {
    /// Base URL of this server: the audience of its agreement tokens. Set by the server, not by the file.
    #[serde(skip)]
    pub audience: String,
    /// URL of the authorization server, told in challenges (`as_uri`). Set by the server, not by the file.
    #[serde(skip)]
    pub as_uri: String,
    /// Whether proofs must carry `ath`.
    pub token_hash: TokenHash,
    /// Accepted signature algorithms.
    pub algorithms: Vec<Algorithm>,
    /// Oldest proof that is accepted, seconds.
    pub proof_age_seconds_max: u32,
    /// How far a proof may lie in the future, seconds. Proofs from before the start are refused; one that was dated ahead and used
    /// just before a restart that takes less than this could pass once more, so keep it as small as clients' clocks allow.
    pub proof_future_seconds_max: u32,
    /// How far the clocks of issuers may be off, seconds; 0 to 60.
    pub clock_skew_seconds: u32,
    /// Most proofs that are remembered; beyond that requests get 503 until old ones expire. About 30 bytes each.
    pub replay_entries_max: usize,
    /// Most access tokens whose verification is remembered.
    pub token_cache_max: usize,
    /// Longest time that a verification is remembered, seconds.
    pub token_cache_seconds_max: u32,
    /// Most prepared public keys.
    pub key_cache_max: usize,
    /// Most issuers whose keys are remembered.
    pub issuer_cache_max: usize,
    /// How long an issuer's keys are used before they are fetched again, seconds.
    pub issuer_cache_seconds: u32,
    /// How long keys that could not be refreshed are still used, seconds; at most 300.
    pub issuer_stale_seconds_max: u32,
    /// Most WebIDs whose issuers are remembered.
    pub webid_cache_max: usize,
    /// How long a WebID's issuers are remembered, seconds.
    pub webid_cache_seconds: u32,
    /// How long a failed fetch of an issuer or WebID is remembered, seconds.
    pub failure_cache_seconds: u32,
    /// How long it is remembered that an issuer did not answer, seconds; never longer than `failure_cache_seconds`.
    pub unreachable_cache_seconds: u32,
    /// Most bytes of a fetched document.
    pub document_bytes_max: u64,
    /// Longest time to fetch one document, seconds.
    pub document_seconds_max: u32,
    /// Most keys of an issuer.
    pub issuer_keys_max: usize,
    /// Longest life of a delegation, seconds.
    pub delegation_seconds_max: u32,
    /// Most delegations whose verification is remembered.
    pub delegation_cache_max: usize,
}

impl Default for AuthnConfig {
    fn default() -> Self {
        Self {
            audience: String::new(),
            as_uri: String::new(),
            token_hash: TokenHash::Optional,
            algorithms: Algorithm::ALL.to_vec(),
            proof_age_seconds_max: 60,
            proof_future_seconds_max: 5,
            clock_skew_seconds: 5,
            replay_entries_max: 2_000_000,
            token_cache_max: 20_000,
            token_cache_seconds_max: 300,
            key_cache_max: 20_000,
            issuer_cache_max: 1_000,
            issuer_cache_seconds: 300,
            issuer_stale_seconds_max: 300,
            webid_cache_max: 50_000,
            webid_cache_seconds: 120,
            failure_cache_seconds: 10,
            unreachable_cache_seconds: 1,
            document_bytes_max: 256 * 1024,
            document_seconds_max: 3,
            issuer_keys_max: 100,
            delegation_seconds_max: 300,
            delegation_cache_max: 20_000,
        }
    }
}

impl AuthnConfig {
    /// Refuses values that would turn checks off.
    ///
    /// # Errors
    /// The key and the reason.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let checks = [
            (
                "authn.clock_skew_seconds",
                self.clock_skew_seconds <= 60,
                "at most 60 (T31)",
            ),
            (
                "authn.proof_age_seconds_max",
                (1..=300).contains(&self.proof_age_seconds_max),
                "1 to 300",
            ),
            (
                "authn.proof_future_seconds_max",
                self.proof_future_seconds_max <= 60,
                "at most 60",
            ),
            (
                "authn.algorithms",
                !self.algorithms.is_empty(),
                "at least one algorithm",
            ),
            ("authn.replay_entries_max", self.replay_entries_max > 0, "at least 1"),
            (
                "authn.issuer_stale_seconds_max",
                self.issuer_stale_seconds_max <= 300,
                "at most 300 (T35)",
            ),
            (
                "authn.delegation_seconds_max",
                self.delegation_seconds_max <= 300,
                "at most 300",
            ),
        ];
        match checks.into_iter().find(|(_, holds, _)| !holds) {
            Some((key, _, reason)) => Err(ConfigError::invalid(key, reason)),
            None => Ok(()),
        }
    }
}
