//! From header fields to credentials.

use std::sync::Arc;

use http::header::{AUTHORIZATION, HeaderValue};
use http::{HeaderMap, Method};
use policies::request::Agent;
use quick_cache::sync::Cache;
use sha2::{Digest, Sha256};

use super::access_token::{self, AccessToken};
use super::claims::AccessClaims;
use super::config::AuthnConfig;
use super::delegation::{self, Delegation};
use super::discovery::Issuers;
use super::dpop::{self, Expectation, UnverifiedProof};
use super::id_token::{self, IdClaims, IdToken};
use super::jose::{JoseFailure, Unverified, Verifiers};
use super::local_issuer::LocalIssuer;
use super::proof_key::ProofKeys;
use super::rejection::{self, AuthnRejection};
use super::replay::{ReplayMemory, Seen};
use super::standing::LocalGrants;
use super::webid::{LocalProfiles, WebIds};
use super::{AgreementGrant, Credentials};
use crate::clock::Clock;
use crate::config::ConfigError;
use crate::egress::Egress;

/// Verifies the credentials of every request. One per server: the memory of used proofs is in it.
pub struct Authenticator {
    config: AuthnConfig,
    egress: Arc<Egress>,
    clock: Arc<dyn Clock>,
    local: Option<Arc<LocalIssuer>>,
    grants: Option<Arc<dyn LocalGrants>>,
    started: i64,
    verifiers: Verifiers,
    proof_keys: ProofKeys,
    replay: ReplayMemory,
    tokens: Cache<[u8; 32], Arc<AccessToken>>,
    delegations: Cache<[u8; 32], Arc<Delegation>>,
    issuers: Issuers,
    webids: WebIds,
}

impl Authenticator {
    /// Sets authentication up. Tokens of `trusted_local` need no network; a server without an issuer of its own passes `None`.
    ///
    /// # Errors
    /// When a value of the configuration would turn a check off.
    pub fn new(
        config: AuthnConfig,
        egress: Arc<Egress>,
        clock: Arc<dyn Clock>,
        trusted_local: impl Into<Option<Arc<LocalIssuer>>>,
    ) -> Result<Self, ConfigError> {
        config.validate()?;
        Ok(Self {
            started: clock.unix(),
            verifiers: Verifiers::new(config.key_cache_max),
            proof_keys: ProofKeys::new(config.key_cache_max),
            replay: ReplayMemory::new(config.replay_entries_max, config.proof_age_seconds_max),
            tokens: Cache::new(config.token_cache_max),
            delegations: Cache::new(config.delegation_cache_max),
            issuers: Issuers::new(&config),
            webids: WebIds::new(&config),
            local: trusted_local.into(),
            grants: None,
            config,
            egress,
            clock,
        })
    }

    /// Lets profiles of this server be read without network.
    #[must_use]
    pub fn with_local_profiles(mut self, profiles: Arc<dyn LocalProfiles>) -> Self {
        self.webids.set_local(profiles);
        self
    }

    /// Lets tokens of this server's issuer end with the grants that they were given for.
    #[must_use]
    pub fn with_local_grants(mut self, grants: Arc<dyn LocalGrants>) -> Self {
        self.grants = Some(grants);
        self
    }

    /// Verifies the credentials of a request. No `Authorization` header field means the public; anything that is there must be right.
    ///
    /// `external_url` is the URL as the client wrote it, with the scheme and authority of this server's own configuration.
    ///
    /// # Errors
    /// An [`AuthnRejection`], which knows its response.
    pub async fn authenticate(
        &self,
        method: &Method,
        external_url: &str,
        headers: &HeaderMap,
    ) -> Result<Credentials, AuthnRejection> {
        let outcome = self.verify(method, external_url, headers).await;
        if let Err(rejection) = &outcome {
            metrics::counter!("authn_rejections_total").increment(1);
            tracing::debug!(%method, url = external_url, reason = rejection.description, "credentials refused");
        }
        outcome.map_err(|rejection| rejection.challenged(&self.config.algorithms, &self.config.as_uri))
    }

    /// The challenge for a request that needs credentials and brought none (solid#93).
    pub fn challenge(&self) -> HeaderValue {
        rejection::challenge(None, &self.config.algorithms, &self.config.as_uri)
    }

    /// Forgets which issuers a WebID names, because its profile changed on this server.
    pub fn forget_webid(&self, webid: &str) {
        self.webids.forget(webid);
    }

    /// Verifies the text of a `Delegation` header field, for a broker that wants to know what it was given.
    ///
    /// # Errors
    /// An [`AuthnRejection`], which knows its response.
    pub fn verify_delegation(&self, text: &str) -> Result<Arc<Delegation>, AuthnRejection> {
        self.delegation(text, self.clock.unix())
            .map_err(|rejection| rejection.challenged(&self.config.algorithms, &self.config.as_uri))
    }

    /// Verifies the proof of a request for tokens, which brings no access token yet (RFC 9449 §5), and spends it. Gives the
    /// thumbprint of its key, to which the tokens are to be bound.
    ///
    /// # Errors
    /// An [`AuthnRejection`]; a token endpoint tells it in its own way (`invalid_dpop_proof`).
    pub fn verify_proof(
        &self,
        method: &Method,
        external_url: &str,
        headers: &HeaderMap,
    ) -> Result<String, AuthnRejection> {
        let now = self.clock.unix();
        let expected = Expectation {
            method,
            url: external_url,
            token: None,
            now,
            started: self.started,
        };
        let proof = UnverifiedProof::parse(dpop::only_header(headers)?, &expected, &self.config, &self.proof_keys)?;
        let (name, issued) = proof.verify(&self.proof_keys, &self.verifiers)?;
        self.spend(name, issued, now)?;
        Ok(proof.jkt().to_owned())
    }

    /// Verifies a DPoP-bound ID token that is to be exchanged for an access token (solid#94, solid#95). `jkt` is the
    /// thumbprint of the key that signed the request's proof, which [`verify_proof`](Self::verify_proof) gave.
    ///
    /// # Errors
    /// An [`AuthnRejection`]; a token endpoint tells it in its own way.
    pub async fn verify_id_token(&self, token: &str, jkt: &str) -> Result<IdToken, AuthnRejection> {
        let now = self.clock.unix();
        let jwt = Unverified::parse(token, &self.config.algorithms).map_err(refuse)?;
        let claims: IdClaims = jwt.claims().map_err(refuse)?;
        let own = self.local.as_deref().map(LocalIssuer::issuer);
        let id_token = id_token::check(&jwt, claims, jkt, own, &self.config, now)?;
        self.signed(&jwt, &id_token.issuer, now).await?;
        let ended = |grant: &String| self.grants.as_ref().is_some_and(|grants| !grants.stands(grant));
        if id_token.grant.as_ref().is_some_and(ended) {
            return Err(AuthnRejection::token("the log-in behind the ID token has ended"));
        }
        if !self
            .webids
            .names_issuer(id_token.webid.as_str(), &id_token.issuer, &self.egress, now)
            .await
        {
            return Err(AuthnRejection::token(
                "the WebID's profile does not name the ID token's issuer",
            ));
        }
        Ok(id_token)
    }

    /// Names of the algorithms that proofs may be signed with.
    pub fn algorithms(&self) -> Vec<&'static str> {
        self.config
            .algorithms
            .iter()
            .map(|algorithm| algorithm.as_str())
            .collect()
    }

    async fn verify(&self, method: &Method, url: &str, headers: &HeaderMap) -> Result<Credentials, AuthnRejection> {
        let Some(token) = token_of(headers)? else {
            return if headers.contains_key("dpop") || headers.contains_key("delegation") {
                Err(AuthnRejection::token(
                    "a proof or delegation came without an access token",
                ))
            } else {
                Ok(Credentials::public())
            };
        };
        let now = self.clock.unix();
        let hash: [u8; 32] = Sha256::digest(token).into();
        let expected = Expectation {
            method,
            url,
            token: Some(hash),
            now,
            started: self.started,
        };
        let proof = UnverifiedProof::parse(dpop::only_header(headers)?, &expected, &self.config, &self.proof_keys)?;
        let known = self.tokens.get(&hash).filter(|known| now < known.recheck);
        let (access, spend) = match known {
            Some(access) => {
                // The cheap comparison first: a proof by another key costs no signature.
                let delegation = self.bound(&access, &proof, headers, now)?;
                ((access, delegation), proof.verify(&self.proof_keys, &self.verifiers)?)
            }
            None => {
                let spend = proof.verify(&self.proof_keys, &self.verifiers)?;
                let access = Arc::new(self.access_token(token, now).await?);
                let delegation = self.bound(&access, &proof, headers, now)?;
                self.tokens.insert(hash, Arc::clone(&access));
                ((access, delegation), spend)
            }
        };
        let (access, delegation) = access;
        if let (Some(grant), Some(grants)) = (&access.grant, &self.grants)
            && !grant.stands(grants.as_ref())
        {
            return Err(AuthnRejection::token("what the token was given for has been revoked"));
        }
        if access.agreement.is_none()
            && !self
                .webids
                .names_issuer(access.webid.as_str(), &access.issuer, &self.egress, now)
                .await
        {
            return Err(AuthnRejection::token(
                "the WebID's profile does not name the token's issuer",
            ));
        }
        // Spent last, so that only requests that would pass fill the memory.
        self.spend(spend.0, spend.1, now)?;
        Ok(credentials(&access, delegation.as_deref()))
    }

    /// Checks that the proof is by the key that the token is bound to, directly or by delegation.
    fn bound(
        &self,
        access: &AccessToken,
        proof: &UnverifiedProof<'_>,
        headers: &HeaderMap,
        now: i64,
    ) -> Result<Option<Arc<Delegation>>, AuthnRejection> {
        if now >= access.expires + i64::from(self.config.clock_skew_seconds) {
            return Err(AuthnRejection::token("the token has expired"));
        }
        let mut all = headers.get_all("delegation").iter();
        let text = match (all.next(), all.next()) {
            (None, _) => None,
            (Some(value), None) => Some(
                value
                    .to_str()
                    .map_err(|_| AuthnRejection::token("the delegation is not text"))?,
            ),
            _ => return Err(AuthnRejection::token("more than one Delegation header field")),
        };
        let (Some(agreement), Some(text)) = (&access.agreement, text) else {
            // A broker's own caller sends its token, its own proof, and a delegation for others: the broker reads that itself.
            return if proof.jkt() == access.jkt {
                Ok(None)
            } else {
                Err(AuthnRejection::proof(
                    "the proof is not by the key that the token is bound to",
                ))
            };
        };
        let delegation = self.delegation(text, now)?;
        if delegation.jkt != access.jkt || delegation.consumer != access.webid {
            return Err(AuthnRejection::token(
                "the delegation is not by the consumer of the token",
            ));
        }
        if delegation.broker_jkt != proof.jkt() {
            return Err(AuthnRejection::proof(
                "the proof is not by the key that the delegation names",
            ));
        }
        if !delegation.agreements.contains(agreement) {
            return Err(AuthnRejection::token(
                "the delegation does not cover the token's agreement",
            ));
        }
        Ok(Some(delegation))
    }

    fn delegation(&self, text: &str, now: i64) -> Result<Arc<Delegation>, AuthnRejection> {
        let hash: [u8; 32] = Sha256::digest(text).into();
        if let Some(known) = self.delegations.get(&hash) {
            return if now < known.expires {
                Ok(known)
            } else {
                Err(AuthnRejection::token("the delegation has expired"))
            };
        }
        let delegation = Arc::new(delegation::verify(text, &self.config, &self.verifiers, now)?);
        self.delegations.insert(hash, Arc::clone(&delegation));
        Ok(delegation)
    }

    async fn access_token(&self, token: &str, now: i64) -> Result<AccessToken, AuthnRejection> {
        let jwt = Unverified::parse(token, &self.config.algorithms).map_err(refuse)?;
        let claims: AccessClaims = jwt.claims().map_err(refuse)?;
        let own = self.local.as_deref().map(LocalIssuer::issuer);
        let access = access_token::check(&jwt, claims, own, &self.config, now)?;
        self.signed(&jwt, &access.signer, now).await?;
        Ok(access)
    }

    /// Verifies that an issuer signed a token: by our own keys when it is ours, else by those that it publishes.
    async fn signed(&self, jwt: &Unverified<'_>, issuer: &str, now: i64) -> Result<(), AuthnRejection> {
        match self.local.as_ref().filter(|local| local.issuer() == issuer) {
            Some(local) => local.verify_signature(jwt),
            None => {
                self.issuers
                    .verify(issuer, jwt, &self.verifiers, &self.egress, now)
                    .await
            }
        }
        .map_err(refuse)
    }

    fn spend(&self, name: super::replay::ProofName, issued: i64, now: i64) -> Result<(), AuthnRejection> {
        let mut seen = self.replay.spend(&name, issued, now);
        if seen == Seen::Full {
            self.replay.sweep(now);
            seen = self.replay.spend(&name, issued, now);
        }
        match seen {
            Seen::Fresh => Ok(()),
            Seen::Replayed => Err(AuthnRejection::proof("the proof was used before")),
            Seen::Full => {
                tracing::error!(
                    entries = self.replay.len(),
                    "the memory of used proofs is full: requests are refused"
                );
                Err(AuthnRejection::overloaded())
            }
        }
    }
}

impl std::fmt::Debug for Authenticator {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Authenticator")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

/// The access token of the only `Authorization` header field.
fn token_of(headers: &HeaderMap) -> Result<Option<&str>, AuthnRejection> {
    let mut all = headers.get_all(AUTHORIZATION).iter();
    let value = match (all.next(), all.next()) {
        (None, _) => return Ok(None),
        (Some(value), None) => value,
        _ => return Err(AuthnRejection::token("more than one Authorization header field")),
    };
    let text = value
        .to_str()
        .map_err(|_| AuthnRejection::token("the Authorization header field is not text"))?;
    let (scheme, token) = text.split_once(' ').unwrap_or((text, ""));
    let token = token.trim_start_matches(' ');
    if scheme.eq_ignore_ascii_case("bearer") {
        return Err(AuthnRejection::token(
            "bearer tokens are not accepted: send a DPoP-bound token with its proof",
        ));
    }
    if !scheme.eq_ignore_ascii_case("dpop") {
        return Err(AuthnRejection::token("the authentication scheme is not DPoP"));
    }
    if token.is_empty() {
        return Err(AuthnRejection::token("the Authorization header field holds no token"));
    }
    Ok(Some(token))
}

fn credentials(access: &AccessToken, delegation: Option<&Delegation>) -> Credentials {
    Credentials {
        agent: Agent::Authenticated(access.webid.clone()),
        client: access.client.clone(),
        issuer: Some(access.issuer.clone()),
        jkt: Some(access.jkt.clone()),
        scope: access.scope.clone(),
        grant: access.agreement.as_ref().map(|agreement| AgreementGrant {
            agreement: agreement.clone(),
            purpose: delegation.map(|delegation| delegation.purpose.clone()),
            via: delegation.map(|delegation| delegation.broker.clone()),
            until: delegation.map_or(access.expires, |delegation| delegation.expires.min(access.expires)),
        }),
        given_for: access.grant.as_ref().map(|grant| Arc::clone(&grant.name)),
    }
}

fn refuse(failure: JoseFailure) -> AuthnRejection {
    AuthnRejection::token(match failure {
        JoseFailure::Malformed | JoseFailure::Signing => "the token is not a signed JWT",
        JoseFailure::Algorithm => "the token's algorithm is not accepted",
        // One text for an unknown key and for an issuer that cannot be reached (T36).
        JoseFailure::Key => "no key of the token's issuer fits the token, or its keys cannot be fetched now",
        JoseFailure::Signature => "the token's signature is wrong",
        JoseFailure::Claims => "a claim of the token is missing or of the wrong type",
    })
}
