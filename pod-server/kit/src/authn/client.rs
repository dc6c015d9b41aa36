//! The asking side: a key, proofs by it, delegations signed with it, and tokens for it.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, Method};
use josekit::jws::JwsSigner;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use url::form_urlencoded;

use super::delegation::DELEGATION_TYPE;
use super::dpop::token_hash;
use super::jose::{JoseFailure, thumbprint};
use super::local_issuer::{compact, generate, public_half, signer};
use crate::clock::Clock;
use crate::egress::{Egress, EgressError, EgressRequest};
use crate::random::Random;
use crate::secret_file::{self, SecretFileError};

/// Name of the proof's header field.
pub const DPOP: HeaderName = HeaderName::from_static("dpop");
/// Name of the delegation's header field.
pub const DELEGATION: HeaderName = HeaderName::from_static("delegation");

/// Why the asking side failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The key file cannot be used.
    #[error(transparent)]
    Secret(#[from] SecretFileError),
    /// The key is unusable or signing failed.
    #[error("client key: {0}")]
    Key(#[from] JoseFailure),
    /// The remote gave nothing.
    #[error(transparent)]
    Egress(#[from] EgressError),
    /// The token endpoint refused.
    #[error("the token endpoint answered {status}: {error}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// `error` of RFC 6749 §5.2, or a word of ours.
        error: String,
    },
    /// A value cannot be put into a header field.
    #[error("a token is not a header value")]
    Header,
}

/// An ES256 key pair that tokens are bound to.
pub struct DpopKey {
    private: Map<String, Value>,
    public: Map<String, Value>,
    jkt: String,
    signer: Box<dyn JwsSigner>,
}

/// What a delegation says.
#[derive(Clone, Copy, Debug)]
pub struct DelegationTerms<'a> {
    /// WebID of the consumer, whose key signs.
    pub consumer: &'a str,
    /// URL of the broker.
    pub broker: &'a str,
    /// Thumbprint of the broker's key.
    pub broker_jkt: &'a str,
    /// Agreements under which the broker may act.
    pub agreements: &'a [String],
    /// IRI of the purpose.
    pub purpose: &'a str,
    /// Life in seconds; pods refuse more than 300.
    pub seconds: u32,
}

impl DpopKey {
    /// Makes a key.
    ///
    /// # Errors
    /// When the cryptographic library fails.
    pub fn generate() -> Result<Self, ClientError> {
        Self::from_private(generate()?)
    }

    /// Loads a key from a private JWK file of mode 0600; `None` when there is no file.
    ///
    /// # Errors
    /// When the file is readable by others or is not an ES256 key.
    pub fn load(path: &Path) -> Result<Option<Self>, ClientError> {
        let Some(bytes) = secret_file::read(path)? else {
            return Ok(None);
        };
        let private = serde_json::from_slice(&bytes).map_err(|_| JoseFailure::Key)?;
        Self::from_private(private).map(Some)
    }

    /// Loads a key, or makes and saves it on first use.
    ///
    /// # Errors
    /// As [`load`](Self::load) and [`save`](Self::save).
    pub fn load_or_generate(path: &Path) -> Result<Self, ClientError> {
        if let Some(key) = Self::load(path)? {
            return Ok(key);
        }
        let key = Self::generate()?;
        key.save(path)?;
        Ok(key)
    }

    /// Saves the private JWK with mode 0600.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), ClientError> {
        let bytes = serde_json::to_vec_pretty(&self.private).map_err(|_| JoseFailure::Key)?;
        Ok(secret_file::write(path, &bytes)?)
    }

    fn from_private(private: Map<String, Value>) -> Result<Self, ClientError> {
        let public = public_half(&private);
        Ok(Self {
            jkt: thumbprint(&public)?,
            signer: signer(&private)?,
            public,
            private,
        })
    }

    /// Thumbprint (RFC 7638): what tokens for this key carry in `cnf.jkt`.
    pub fn thumbprint(&self) -> &str {
        &self.jkt
    }

    /// The public JWK.
    pub fn public_jwk(&self) -> &Map<String, Value> {
        &self.public
    }

    /// The ES256 signature of some bytes, as the two numbers one after the other (RFC 7518 §3.4).
    ///
    /// # Errors
    /// When signing fails.
    pub fn sign(&self, bytes: &[u8]) -> Result<Vec<u8>, ClientError> {
        Ok(self.signer.sign(bytes).map_err(|_| JoseFailure::Signing)?)
    }

    /// A proof for one request (RFC 9449 §4.2); with the access token when one is sent along.
    ///
    /// # Errors
    /// When signing fails.
    pub fn proof(
        &self,
        method: &Method,
        url: &str,
        access_token: Option<&str>,
        now_unix: i64,
        random: &dyn Random,
    ) -> Result<String, ClientError> {
        let header = json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": self.public });
        let htu = url.split(['?', '#']).next().unwrap_or(url);
        let mut claims = json!({ "htm": method.as_str(), "htu": htu, "iat": now_unix, "jti": random.token(16) });
        if let (Some(token), Some(claims)) = (access_token, claims.as_object_mut()) {
            claims.insert("ath".to_owned(), token_hash(token).into());
        }
        Ok(compact(&header, &claims, &*self.signer)?)
    }

    /// A delegation to a broker.
    ///
    /// # Errors
    /// When signing fails.
    pub fn delegation(
        &self,
        terms: &DelegationTerms<'_>,
        now_unix: i64,
        random: &dyn Random,
    ) -> Result<String, ClientError> {
        let header = json!({ "typ": DELEGATION_TYPE, "alg": "ES256", "jwk": self.public });
        let claims = json!({
            "iss": terms.consumer,
            "act": { "sub": terms.broker, "cnf": { "jkt": terms.broker_jkt } },
            "agreements": terms.agreements,
            "purpose": terms.purpose,
            "iat": now_unix,
            "exp": now_unix + i64::from(terms.seconds),
            "jti": random.token(16),
        });
        Ok(compact(&header, &claims, &*self.signer)?)
    }

    /// Sets `Authorization` and `DPoP` for a request with an access token.
    ///
    /// # Errors
    /// When signing fails or the token is not a header value.
    pub fn authorize(
        &self,
        headers: &mut HeaderMap,
        method: &Method,
        url: &str,
        access_token: &str,
        now_unix: i64,
        random: &dyn Random,
    ) -> Result<(), ClientError> {
        let proof = self.proof(method, url, Some(access_token), now_unix, random)?;
        headers.insert(AUTHORIZATION, secret_value(&format!("DPoP {access_token}"))?);
        headers.insert(DPOP, secret_value(&proof)?);
        Ok(())
    }
}

impl std::fmt::Debug for DpopKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("DpopKey")
            .field("jkt", &self.jkt)
            .finish_non_exhaustive()
    }
}

/// An access token as a token endpoint gave it.
#[derive(Clone, Deserialize)]
pub struct TokenResponse {
    /// The token.
    pub access_token: String,
    /// Its life in seconds.
    #[serde(default)]
    pub expires_in: u64,
    /// `DPoP`.
    pub token_type: String,
}

/// Asks a token endpoint for a DPoP-bound token with client credentials (RFC 6749 §4.4, RFC 9449 §5).
///
/// # Errors
/// When the endpoint refuses, answers with another type of token, or cannot be reached.
pub async fn client_credentials(
    egress: &Egress,
    token_endpoint: &str,
    client: (&str, &str),
    key: &DpopKey,
    clock: &dyn Clock,
    random: &dyn Random,
) -> Result<TokenResponse, ClientError> {
    let encode = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let basic = STANDARD.encode(format!("{}:{}", encode(client.0), encode(client.1)));
    let proof = key.proof(&Method::POST, token_endpoint, None, clock.unix(), random)?;
    let mut request = EgressRequest::new(Method::POST, token_endpoint)
        .header(
            CONTENT_TYPE,
            HeaderValue::from_static("application/x-www-form-urlencoded"),
        )
        .header(ACCEPT, HeaderValue::from_static("application/json"))
        .header(AUTHORIZATION, secret_value(&format!("Basic {basic}"))?)
        .header(DPOP, secret_value(&proof)?);
    request.body = "grant_type=client_credentials&scope=webid".into();
    let response = egress.fetch(request).await?;
    let refused = |error: &str| ClientError::Refused {
        status: response.status.as_u16(),
        error: error.to_owned(),
    };
    if !response.status.is_success() {
        let body: Value = serde_json::from_slice(&response.body).unwrap_or_default();
        let word = body
            .get("error")
            .and_then(Value::as_str)
            .filter(|word| word.len() <= 64);
        return Err(refused(word.unwrap_or("no reason given")));
    }
    let token: TokenResponse = serde_json::from_slice(&response.body).map_err(|_| refused("not a token response"))?;
    if !token.token_type.eq_ignore_ascii_case("dpop") {
        return Err(refused("the token is not bound to a key"));
    }
    Ok(token)
}

fn secret_value(text: &str) -> Result<HeaderValue, ClientError> {
    let mut value = HeaderValue::from_str(text).map_err(|_| ClientError::Header)?;
    value.set_sensitive(true);
    Ok(value)
}
