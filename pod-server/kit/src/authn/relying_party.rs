//! Logging in through another OpenID provider, as its relying party: authorization code, PKCE, `state`, `nonce` (OpenID
//! Connect Core §3.1; RFC 9700 §2.1).
//!
//! What the provider says about itself and its keys come through the egress guard. An ID token is believed only after all
//! checks of OpenID Connect Core §3.1.3.7; its algorithm must be asymmetric and fit the provider's published key.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use http::{Method, StatusCode};
use josekit::jws::JwsSigner;
use parking_lot::RwLock;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use url::{Url, form_urlencoded};

use super::claims::{Audience, NumericDate};
use super::client::{DPOP, DpopKey};
use super::config::AuthnConfig;
use super::discovery::Issuers;
use super::encrypted::Decryption;
use super::jose::{Algorithm, JoseFailure, Unverified, Verifiers, present, thumbprint};
use super::local_issuer::{compact, public_half, signer};
use crate::clock::Clock;
use crate::egress::{Egress, EgressRequest, Redirects};
use crate::random::Random;
use crate::secret_file::{self, SecretFileError};

/// Longest time for one request to a provider.
const TIME_MAX: Duration = Duration::from_secs(10);
/// Most bytes of one answer.
const BYTES_MAX: u64 = 256 * 1024;
/// How long a provider's metadata are used, seconds.
const METADATA_SECONDS: i64 = 300;
/// How long it counts that they cannot be fetched, seconds.
const FAILURE_SECONDS: i64 = 10;
/// How old an ID token may be when it arrives, seconds: it has just been asked for.
const ID_TOKEN_AGE_SECONDS_MAX: i64 = 600;
/// How long an assertion about ourselves counts, seconds.
const ASSERTION_SECONDS: i64 = 60;
/// Longest claim that is used, bytes.
const CLAIM_BYTES_MAX: usize = 1_024;

/// Why logging in through a provider failed. The texts name no address and no secret.
#[derive(Debug, thiserror::Error)]
pub enum RelyingPartyError {
    /// The secret or key cannot be used.
    #[error(transparent)]
    Secret(#[from] SecretFileError),
    /// The key is unusable or signing failed.
    #[error("client key: {0}")]
    Key(#[from] JoseFailure),
    /// The file holds no secret.
    #[error("the secret file of the client is missing or empty")]
    NoSecret,
    /// The provider cannot be reached, or its answer is none.
    #[error("the provider does not answer as it should: {0}")]
    Provider(&'static str),
    /// The provider refused the code.
    #[error("the provider refused: {0}")]
    Refused(String),
    /// The ID token is not believed.
    #[error("the provider's ID token is refused: {0}")]
    IdToken(&'static str),
}

/// How we prove to a provider who we are (OpenID Connect Core §9).
pub enum ClientProof {
    /// A secret in the `Authorization` header field.
    SecretBasic(String),
    /// A secret in the body.
    SecretPost(String),
    /// A signed assertion (`private_key_jwt`), by an ES256 or RS256 key.
    PrivateKey {
        /// Key id in the assertion.
        kid: String,
        /// Name of the algorithm.
        algorithm: &'static str,
        /// Signs.
        signer: Box<dyn JwsSigner>,
        /// The public key, for the provider.
        public: Map<String, Value>,
    },
}

impl ClientProof {
    /// A secret from a file of mode 0600; white space at its end does not count.
    ///
    /// # Errors
    /// When the file is missing, empty, or readable by others.
    pub fn secret(path: &Path, in_body: bool) -> Result<Self, RelyingPartyError> {
        let bytes = secret_file::read(path)?.ok_or(RelyingPartyError::NoSecret)?;
        let text = String::from_utf8(bytes).map_err(|_| RelyingPartyError::NoSecret)?;
        let secret = text.trim_end().to_owned();
        if secret.is_empty() {
            return Err(RelyingPartyError::NoSecret);
        }
        Ok(if in_body {
            Self::SecretPost(secret)
        } else {
            Self::SecretBasic(secret)
        })
    }

    /// A private JWK from a file of mode 0600: EC on P-256 or RSA. Its `kid`, if any, is told to the provider, else its
    /// thumbprint (RFC 7638).
    ///
    /// # Errors
    /// When the file is missing, readable by others, or holds no such key.
    pub fn private_key(path: &Path) -> Result<Self, RelyingPartyError> {
        let bytes = secret_file::read(path)?.ok_or(RelyingPartyError::NoSecret)?;
        let jwk: Map<String, Value> = serde_json::from_slice(&bytes).map_err(|_| JoseFailure::Key)?;
        let kid = match jwk.get("kid").and_then(Value::as_str) {
            Some(kid) => kid.to_owned(),
            None => thumbprint(&public_half(&jwk))?,
        };
        let algorithm = match jwk.get("kty").and_then(Value::as_str) {
            Some("RSA") => "RS256",
            _ => "ES256",
        };
        let mut public = public_half(&jwk);
        public.insert("kid".to_owned(), kid.as_str().into());
        public.insert("alg".to_owned(), algorithm.into());
        public.insert("use".to_owned(), "sig".into());
        Ok(Self::PrivateKey {
            kid,
            algorithm,
            signer: signer(&jwk)?,
            public,
        })
    }
}

/// What a provider and we have agreed on.
pub struct Registration {
    /// The provider's issuer IRI, exactly as its ID tokens say it.
    pub issuer: String,
    /// Our client id there.
    pub client_id: String,
    /// How we prove who we are.
    pub proof: ClientProof,
    /// Scopes that are asked for; `openid` is added.
    pub scopes: Vec<String>,
    /// Assurance levels that are asked for and accepted (`acr`); none accepts any.
    pub acr_values: Vec<String>,
    /// Where people come back to.
    pub redirect_uri: String,
    /// With what to decrypt ID tokens. Then an ID token that is only signed is refused.
    pub decryption: Option<Decryption>,
}

/// What protects one log-in: all three follow from one secret that the person's browser keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// `state` of the request.
    pub state: String,
    /// `nonce` of the request.
    pub nonce: String,
    /// PKCE verifier (RFC 7636).
    pub verifier: String,
}

impl Exchange {
    /// Derives the three from a secret of at least 32 random bytes in text form.
    #[must_use]
    pub fn of(secret: &str) -> Self {
        let derive = |purpose: &str| {
            let digest = Sha256::new()
                .chain_update(purpose.as_bytes())
                .chain_update(b"\0")
                .chain_update(secret.as_bytes())
                .finalize();
            URL_SAFE_NO_PAD.encode(digest)
        };
        Self {
            state: derive("state"),
            nonce: derive("nonce"),
            verifier: derive("verifier"),
        }
    }
}

/// A person whom a provider vouches for.
#[derive(Clone, Debug, PartialEq)]
pub struct ExternalIdentity {
    claims: Map<String, Value>,
}

impl ExternalIdentity {
    /// A claim that is a text or a number, neither empty nor longer than 1 KiB.
    #[must_use]
    pub fn claim(&self, name: &str) -> Option<String> {
        let text = match self.claims.get(name)? {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            _ => return None,
        };
        (!text.trim().is_empty() && text.len() <= CLAIM_BYTES_MAX).then_some(text)
    }
}

/// A provider's metadata (OpenID Connect Discovery §3), as far as they are used.
#[derive(Debug, Deserialize)]
struct Metadata {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
    #[serde(default)]
    dpop_signing_alg_values_supported: Vec<String>,
}

/// Claims of a provider's ID token that are checked.
#[derive(Debug, Deserialize)]
struct Checked {
    iss: String,
    aud: Audience,
    exp: NumericDate,
    iat: NumericDate,
    #[serde(default, deserialize_with = "present")]
    nonce: Option<String>,
    #[serde(default, deserialize_with = "present")]
    azp: Option<String>,
    #[serde(default, deserialize_with = "present")]
    acr: Option<String>,
    #[serde(default, deserialize_with = "present")]
    auth_time: Option<NumericDate>,
}

/// The answer of a token endpoint.
#[derive(Deserialize)]
struct Answer {
    id_token: String,
}

/// What is known of a provider, and until when, Unix seconds; no metadata after a failure.
#[derive(Default)]
struct Kept {
    until: i64,
    metadata: Option<Arc<Metadata>>,
}

/// We, towards one provider.
pub struct RelyingParty {
    registration: Registration,
    egress: Arc<Egress>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    issuers: Issuers,
    verifiers: Verifiers,
    metadata: RwLock<Kept>,
    fetching: tokio::sync::Mutex<()>,
}

impl RelyingParty {
    /// Towards the provider of a registration. Nothing is fetched yet.
    #[must_use]
    pub fn new(
        registration: Registration,
        egress: Arc<Egress>,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> Self {
        let config = AuthnConfig {
            issuer_cache_max: 1,
            key_cache_max: 16,
            ..AuthnConfig::default()
        };
        Self {
            issuers: Issuers::new(&config),
            verifiers: Verifiers::new(config.key_cache_max),
            registration,
            egress,
            clock,
            random,
            metadata: RwLock::default(),
            fetching: tokio::sync::Mutex::default(),
        }
    }

    /// The provider's issuer IRI.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.registration.issuer
    }

    /// Our public keys, for the provider: the one that signs our assertions, and the one to encrypt for (RFC 7517 §5).
    #[must_use]
    pub fn jwks(&self) -> Value {
        let signing = match &self.registration.proof {
            ClientProof::PrivateKey { public, .. } => Some(public),
            ClientProof::SecretBasic(_) | ClientProof::SecretPost(_) => None,
        };
        let encryption = self.registration.decryption.as_ref().map(Decryption::public);
        json!({ "keys": signing.into_iter().chain(encryption).collect::<Vec<_>>() })
    }

    /// Where to send a person to log in. With `again`, whoever is logged in there has to do so anew.
    ///
    /// # Errors
    /// When the provider cannot be reached.
    pub async fn authorization_url(&self, exchange: &Exchange, again: bool) -> Result<String, RelyingPartyError> {
        let metadata = self.metadata().await?;
        let mut url = Url::parse(&metadata.authorization_endpoint)
            .ok()
            .filter(|url| matches!(url.scheme(), "https" | "http"))
            .ok_or(RelyingPartyError::Provider("its authorization endpoint is no URL"))?;
        let mut scopes = vec!["openid"];
        scopes.extend(
            self.registration
                .scopes
                .iter()
                .map(String::as_str)
                .filter(|scope| *scope != "openid"),
        );
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(exchange.verifier.as_bytes()));
        let mut query = url.query_pairs_mut();
        query
            .append_pair("response_type", "code")
            .append_pair("client_id", &self.registration.client_id)
            .append_pair("redirect_uri", &self.registration.redirect_uri)
            .append_pair("scope", &scopes.join(" "))
            .append_pair("state", &exchange.state)
            .append_pair("nonce", &exchange.nonce)
            .append_pair("code_challenge", &challenge)
            .append_pair("code_challenge_method", "S256");
        if !self.registration.acr_values.is_empty() {
            query.append_pair("acr_values", &self.registration.acr_values.join(" "));
        }
        if again {
            query.append_pair("prompt", "login").append_pair("max_age", "0");
        }
        drop(query);
        Ok(url.into())
    }

    /// Checks the `iss` of an authorization response (RFC 9207 §2.4; T41).
    ///
    /// # Errors
    /// When another issuer answers, or this one does not say who it is although it promised to.
    pub async fn check_response_issuer(&self, iss: Option<&str>) -> Result<(), RelyingPartyError> {
        let metadata = self.metadata().await?;
        match iss {
            Some(iss) if iss == self.registration.issuer => Ok(()),
            None if !metadata.authorization_response_iss_parameter_supported => Ok(()),
            _ => Err(RelyingPartyError::Provider("the answer is by another issuer")),
        }
    }

    /// Redeems a code and believes its ID token, or not. `logged_in_since` demands that the person logged in after that
    /// moment, Unix seconds.
    ///
    /// # Errors
    /// [`RelyingPartyError`].
    pub async fn redeem(
        &self,
        code: &str,
        exchange: &Exchange,
        logged_in_since: Option<i64>,
    ) -> Result<ExternalIdentity, RelyingPartyError> {
        let metadata = self.metadata().await?;
        let request = self.token_request(&metadata, code, exchange)?;
        let response = self
            .egress
            .fetch(request)
            .await
            .map_err(|_| RelyingPartyError::Provider("its token endpoint cannot be reached"))?;
        if response.status != StatusCode::OK {
            let body: Value = serde_json::from_slice(&response.body).unwrap_or_default();
            let plain = |word: &&str| word.len() <= 64 && word.bytes().all(|byte| byte.is_ascii_graphic());
            let word = body.get("error").and_then(Value::as_str).filter(plain);
            return Err(RelyingPartyError::Refused(word.unwrap_or("no reason given").to_owned()));
        }
        let answer: Answer = serde_json::from_slice(&response.body)
            .map_err(|_| RelyingPartyError::Provider("its token endpoint gives no ID token"))?;
        self.believe(&answer.id_token, exchange, logged_in_since).await
    }

    fn token_request(
        &self,
        metadata: &Metadata,
        code: &str,
        exchange: &Exchange,
    ) -> Result<EgressRequest, RelyingPartyError> {
        let now = self.clock.unix();
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", "authorization_code")
            .append_pair("code", code)
            .append_pair("redirect_uri", &self.registration.redirect_uri)
            .append_pair("code_verifier", &exchange.verifier);
        let client_id = self.registration.client_id.as_str();
        let mut request = EgressRequest::new(Method::POST, &metadata.token_endpoint)
            .header(
                CONTENT_TYPE,
                HeaderValue::from_static("application/x-www-form-urlencoded"),
            )
            .header(ACCEPT, HeaderValue::from_static("application/json"))
            .bytes_max(BYTES_MAX)
            .time_max(TIME_MAX);
        match &self.registration.proof {
            ClientProof::SecretBasic(secret) => {
                let encode = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
                let pair = STANDARD.encode(format!("{}:{}", encode(client_id), encode(secret)));
                request = request.header(AUTHORIZATION, secret_value(&format!("Basic {pair}"))?);
            }
            ClientProof::SecretPost(secret) => {
                form.append_pair("client_id", client_id)
                    .append_pair("client_secret", secret);
            }
            ClientProof::PrivateKey {
                kid, algorithm, signer, ..
            } => {
                let header = json!({ "alg": algorithm, "typ": "JWT", "kid": kid });
                let claims = json!({
                    "iss": client_id, "sub": client_id, "aud": metadata.token_endpoint, "jti": self.random.token(16),
                    "iat": now, "exp": now + ASSERTION_SECONDS,
                });
                form.append_pair("client_id", client_id)
                    .append_pair(
                        "client_assertion_type",
                        "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
                    )
                    .append_pair("client_assertion", &compact(&header, &claims, &**signer)?);
            }
        }
        // A provider that binds tokens to keys may insist on a proof. The key is thrown away: its tokens are never used.
        if metadata
            .dpop_signing_alg_values_supported
            .iter()
            .any(|name| name == "ES256")
        {
            let key = DpopKey::generate().map_err(|_| JoseFailure::Signing)?;
            let proof = key
                .proof(&Method::POST, &metadata.token_endpoint, None, now, self.random.as_ref())
                .map_err(|_| JoseFailure::Signing)?;
            request = request.header(DPOP, secret_value(&proof)?);
        }
        request.body = form.finish().into();
        Ok(request)
    }

    /// OpenID Connect Core §3.1.3.7.
    async fn believe(
        &self,
        token: &str,
        exchange: &Exchange,
        logged_in_since: Option<i64>,
    ) -> Result<ExternalIdentity, RelyingPartyError> {
        let refuse = RelyingPartyError::IdToken;
        let opened = match &self.registration.decryption {
            Some(decryption) => Some(decryption.open(token).ok_or(refuse("it is not encrypted for us"))?),
            None => None,
        };
        let token = opened.as_deref().unwrap_or(token);
        let jwt = Unverified::parse(token, &Algorithm::ALL)
            .map_err(|_| refuse("it is no signed JWT in an accepted algorithm"))?;
        let typ = jwt.header.typ.as_deref().map(str::to_ascii_lowercase);
        if !matches!(typ.as_deref(), None | Some("jwt")) {
            return Err(refuse("it is of another type"));
        }
        let checked: Checked = jwt
            .claims()
            .map_err(|_| refuse("a claim is missing or of the wrong type"))?;
        let now = self.clock.unix();
        self.check_claims(&checked, exchange, logged_in_since, now)?;
        self.issuers
            .verify(&self.registration.issuer, &jwt, &self.verifiers, &self.egress, now)
            .await
            .map_err(|_| refuse("no key of the provider fits its signature"))?;
        let claims = jwt.claims().map_err(|_| refuse("its claims are no object"))?;
        Ok(ExternalIdentity { claims })
    }

    fn check_claims(
        &self,
        claims: &Checked,
        exchange: &Exchange,
        logged_in_since: Option<i64>,
        now: i64,
    ) -> Result<(), RelyingPartyError> {
        let skew = i64::from(AuthnConfig::default().clock_skew_seconds);
        let Registration {
            issuer,
            client_id,
            acr_values,
            ..
        } = &self.registration;
        let checks = [
            (claims.iss == *issuer, "it is by another issuer"),
            (claims.aud.contains(client_id), "it is for another client"),
            (
                match &claims.azp {
                    Some(azp) => azp == client_id,
                    None => claims.aud.is_exactly(client_id),
                },
                "it was given to another client",
            ),
            (
                claims.nonce.as_deref() == Some(exchange.nonce.as_str()),
                "its nonce is not ours",
            ),
            (claims.exp.0 > now - skew, "it has expired"),
            (claims.iat.0 <= now + skew, "it lies in the future"),
            (claims.iat.0 >= now - ID_TOKEN_AGE_SECONDS_MAX, "it is too old"),
            (
                acr_values.is_empty() || claims.acr.as_ref().is_some_and(|acr| acr_values.contains(acr)),
                "the way of logging in is not strong enough (acr)",
            ),
            (
                logged_in_since.is_none_or(|since| claims.auth_time.is_some_and(|time| time.0 >= since - skew)),
                "the log-in is too old (auth_time)",
            ),
        ];
        match checks.into_iter().find(|(holds, _)| !holds) {
            Some((_, reason)) => Err(RelyingPartyError::IdToken(reason)),
            None => Ok(()),
        }
    }

    /// The provider's metadata, fetched once for many who log in at one time.
    async fn metadata(&self) -> Result<Arc<Metadata>, RelyingPartyError> {
        let failed = RelyingPartyError::Provider("its metadata could not be fetched a moment ago");
        let known = |now: i64| {
            let kept = self.metadata.read();
            (now < kept.until).then(|| kept.metadata.clone())
        };
        if let Some(metadata) = known(self.clock.unix()) {
            return metadata.ok_or(failed);
        }
        let _one_at_a_time = self.fetching.lock().await;
        let now = self.clock.unix();
        if let Some(metadata) = known(now) {
            return metadata.ok_or(failed);
        }
        let fetched = self.fetch_metadata().await;
        *self.metadata.write() = match &fetched {
            Ok(metadata) => Kept {
                until: now + METADATA_SECONDS,
                metadata: Some(Arc::clone(metadata)),
            },
            Err(_) => Kept {
                until: now + FAILURE_SECONDS,
                metadata: None,
            },
        };
        fetched
    }

    async fn fetch_metadata(&self) -> Result<Arc<Metadata>, RelyingPartyError> {
        let url = format!(
            "{}/.well-known/openid-configuration",
            self.registration.issuer.trim_end_matches('/')
        );
        let request = EgressRequest::get(url)
            .header(ACCEPT, HeaderValue::from_static("application/json"))
            .redirects(Redirects::SameOrigin(2))
            .bytes_max(BYTES_MAX)
            .time_max(TIME_MAX);
        let response = self
            .egress
            .fetch(request)
            .await
            .ok()
            .filter(|response| response.status == StatusCode::OK)
            .ok_or(RelyingPartyError::Provider("its metadata cannot be fetched"))?;
        let metadata: Metadata = serde_json::from_slice(&response.body)
            .map_err(|_| RelyingPartyError::Provider("its metadata cannot be read"))?;
        if metadata.issuer != self.registration.issuer {
            return Err(RelyingPartyError::Provider("its metadata name another issuer"));
        }
        Ok(Arc::new(metadata))
    }
}

fn secret_value(text: &str) -> Result<HeaderValue, RelyingPartyError> {
    let mut value =
        HeaderValue::from_str(text).map_err(|_| RelyingPartyError::Provider("a value is no header field"))?;
    value.set_sensitive(true);
    Ok(value)
}
