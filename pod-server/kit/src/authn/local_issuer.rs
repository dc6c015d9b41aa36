//! This server's own issuer keys: they sign access and agreement tokens and ID tokens, and recognise them without network.
//!
//! The private keys are JWKs in a file of mode 0600: one for ES256, which signs everything, and one for RS256, for
//! applications that want their ID tokens so; that one is made when it is first needed, because it costs a moment. A rotation
//! keeps the old public keys until every token signed with them has expired.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use josekit::jwk::Jwk;
use josekit::jwk::alg::ec::EcCurve;
use josekit::jws::{self, JwsSigner};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::jose::{Algorithm, JoseFailure, PublicKey, Unverified, Verifiers, thumbprint};
use crate::secret_file::{self, SecretFileError};

/// Most old public keys that are kept.
const RETIRED_KEYS_MAX: usize = 16;

/// Why the issuer key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LocalIssuerError {
    /// The key file cannot be used.
    #[error(transparent)]
    Secret(#[from] SecretFileError),
    /// The key file is not what this server writes.
    #[error("issuer key file `{path}`: {reason}")]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A key cannot be made or used.
    #[error("issuer key: {0}")]
    Key(#[from] JoseFailure),
}

/// The built-in issuer.
pub struct LocalIssuer {
    issuer: String,
    path: PathBuf,
    keys: ArcSwap<Keys>,
    rotation: Mutex<()>,
    verifiers: Verifiers,
}

struct Keys {
    file: KeyFile,
    signer: Box<dyn JwsSigner>,
    rsa: Option<(String, Box<dyn JwsSigner>)>,
    public: Vec<(String, PublicKey, Value)>,
}

/// The file: the private keys, and the public keys that were retired.
#[derive(Clone, Serialize, Deserialize)]
struct KeyFile {
    active: Map<String, Value>,
    /// For RS256, once it was needed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rsa: Option<Map<String, Value>>,
    retired: Vec<RetiredKey>,
}

#[derive(Clone, Serialize, Deserialize)]
struct RetiredKey {
    /// Until when tokens signed with it may live, Unix seconds.
    until: i64,
    key: Map<String, Value>,
}

impl LocalIssuer {
    /// Loads the key of an issuer, or makes it on first use.
    ///
    /// # Errors
    /// When the file is readable by others or is no key file, or a key cannot be made.
    pub fn load_or_generate(issuer: impl Into<String>, path: &Path) -> Result<Self, LocalIssuerError> {
        let file = match secret_file::read(path)? {
            Some(bytes) => serde_json::from_slice(&bytes).map_err(|error| LocalIssuerError::File {
                path: path.to_owned(),
                reason: error.to_string(),
            })?,
            None => {
                let file = KeyFile {
                    active: generate()?,
                    rsa: None,
                    retired: Vec::new(),
                };
                store(path, &file)?;
                file
            }
        };
        let keys = ArcSwap::from_pointee(Keys::prepare(file)?);
        let verifiers = Verifiers::new(RETIRED_KEYS_MAX + 2);
        Ok(Self {
            issuer: issuer.into(),
            path: path.to_owned(),
            keys,
            rotation: Mutex::default(),
            verifiers,
        })
    }

    /// The issuer's IRI.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Signs claims as an access token (`typ: at+jwt`, RFC 9068).
    ///
    /// # Errors
    /// When the claims are not a JSON object or signing fails.
    pub fn sign(&self, claims: &impl Serialize) -> Result<String, LocalIssuerError> {
        self.sign_typed("at+jwt", claims)
    }

    /// Signs claims as another kind of token, for instance `JWT` for an ID token.
    ///
    /// # Errors
    /// When the claims are not a JSON object or signing fails.
    pub fn sign_typed(&self, typ: &str, claims: &impl Serialize) -> Result<String, LocalIssuerError> {
        let keys = self.keys.load();
        let kid = keys.public.first().map_or("", |(kid, _, _)| kid.as_str());
        let header = json!({ "alg": "ES256", "typ": typ, "kid": kid });
        Ok(compact(&header, claims, &*keys.signer)?)
    }

    /// Signs claims with an algorithm that a client asked for: ES256 or RS256. The first use of RS256 makes its key, which
    /// takes up to a second of processor time.
    ///
    /// # Errors
    /// As [`sign_typed`](Self::sign_typed); [`JoseFailure::Algorithm`] for any other algorithm.
    pub fn sign_with(
        &self,
        algorithm: Algorithm,
        typ: &str,
        claims: &impl Serialize,
    ) -> Result<String, LocalIssuerError> {
        match algorithm {
            Algorithm::Es256 => self.sign_typed(typ, claims),
            Algorithm::Rs256 => {
                let keys = self.with_rsa()?;
                let (kid, signer) = keys.rsa.as_ref().ok_or(JoseFailure::Signing)?;
                let header = json!({ "alg": "RS256", "typ": typ, "kid": kid });
                Ok(compact(&header, claims, &**signer)?)
            }
            _ => Err(JoseFailure::Algorithm.into()),
        }
    }

    /// The keys, with one for RS256 among them.
    fn with_rsa(&self) -> Result<Arc<Keys>, LocalIssuerError> {
        let keys = self.keys.load_full();
        if keys.rsa.is_some() {
            return Ok(keys);
        }
        let _one_at_a_time = self.rotation.lock();
        let keys = self.keys.load_full();
        if keys.rsa.is_some() {
            return Ok(keys);
        }
        let file = KeyFile {
            rsa: Some(generate_rsa()?),
            ..keys.file.clone()
        };
        let keys = Arc::new(Keys::prepare(file)?);
        store(&self.path, &keys.file)?;
        self.keys.store(Arc::clone(&keys));
        Ok(keys)
    }

    /// Verifies a token that this issuer signed with a `typ`, and returns its claims. Times and audience are the caller's to check.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn verify(&self, token: &str, typ: &str) -> Result<Value, JoseFailure> {
        let jwt = Unverified::parse(token, &[Algorithm::Es256, Algorithm::Rs256])?;
        if jwt.header.typ.as_deref() != Some(typ) {
            return Err(JoseFailure::Malformed);
        }
        self.verify_signature(&jwt)?;
        jwt.claims()
    }

    /// The public keys as a JWK Set (RFC 7517 §5): the active ES256 key first. The first call may take up to a second, as
    /// [`sign_with`](Self::sign_with).
    pub fn jwks(&self) -> Value {
        let keys = self.with_rsa().unwrap_or_else(|error| {
            tracing::error!(%error, "no key for RS256 can be made");
            self.keys.load_full()
        });
        let keys: Vec<Value> = keys.public.iter().map(|(_, _, jwk)| jwk.clone()).collect();
        json!({ "keys": keys })
    }

    /// Makes new signing keys. The old public keys stay for `token_seconds_max`, the longest life of a token.
    ///
    /// # Errors
    /// When a key cannot be made or the file cannot be written; the old key then stays.
    pub fn rotate(&self, now_unix: i64, token_seconds_max: u32) -> Result<(), LocalIssuerError> {
        let _one_at_a_time = self.rotation.lock();
        let old = self.keys.load().file.clone();
        let retire = |key: &Map<String, Value>| RetiredKey {
            until: now_unix + i64::from(token_seconds_max),
            key: public_half(key),
        };
        let mut retired: Vec<RetiredKey> = std::iter::once(&old.active).chain(&old.rsa).map(retire).collect();
        retired.extend(old.retired.into_iter().filter(|key| key.until > now_unix));
        retired.truncate(RETIRED_KEYS_MAX);
        let file = KeyFile {
            active: generate()?,
            rsa: old.rsa.map(|_| generate_rsa()).transpose()?,
            retired,
        };
        let keys = Keys::prepare(file)?;
        store(&self.path, &keys.file)?;
        self.keys.store(Arc::new(keys));
        Ok(())
    }

    pub(super) fn verify_signature(&self, jwt: &Unverified<'_>) -> Result<(), JoseFailure> {
        let keys = self.keys.load();
        let wanted = jwt.header.kid.as_deref().ok_or(JoseFailure::Key)?;
        let (_, key, _) = keys
            .public
            .iter()
            .find(|(kid, _, _)| kid == wanted)
            .ok_or(JoseFailure::Key)?;
        jwt.verify(key, &self.verifiers)
    }
}

impl std::fmt::Debug for LocalIssuer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("LocalIssuer")
            .field("issuer", &self.issuer)
            .finish_non_exhaustive()
    }
}

impl Keys {
    fn prepare(file: KeyFile) -> Result<Self, LocalIssuerError> {
        let active = signer(&file.active)?;
        let rsa = match &file.rsa {
            Some(key) => Some((thumbprint(&public_half(key))?, signer(key)?)),
            None => None,
        };
        let halves = std::iter::once(&file.active)
            .chain(&file.rsa)
            .map(public_half)
            .chain(file.retired.iter().map(|old| old.key.clone()));
        let mut public = Vec::new();
        for half in halves {
            let key = PublicKey::parse(&half)?;
            let algorithm = if key.serves(Algorithm::Rs256) {
                Algorithm::Rs256
            } else {
                Algorithm::Es256
            };
            let mut jwk = half;
            jwk.insert("kid".to_owned(), key.jkt().as_ref().into());
            jwk.insert("alg".to_owned(), algorithm.as_str().into());
            jwk.insert("use".to_owned(), "sig".into());
            public.push((key.jkt().to_string(), key, Value::Object(jwk)));
        }
        Ok(Self {
            file,
            signer: active,
            rsa,
            public,
        })
    }
}

fn store(path: &Path, file: &KeyFile) -> Result<(), LocalIssuerError> {
    let bytes = serde_json::to_vec_pretty(file).map_err(|error| LocalIssuerError::File {
        path: path.to_owned(),
        reason: error.to_string(),
    })?;
    Ok(secret_file::write(path, &bytes)?)
}

/// A new private ES256 key.
pub(super) fn generate() -> Result<Map<String, Value>, JoseFailure> {
    let jwk = Jwk::generate_ec_key(EcCurve::P256).map_err(|_| JoseFailure::Signing)?;
    Ok(members(&jwk, &["kty", "crv", "x", "y", "d"]))
}

/// A new private RS256 key of 2048 bits.
fn generate_rsa() -> Result<Map<String, Value>, JoseFailure> {
    let jwk = Jwk::generate_rsa_key(2_048).map_err(|_| JoseFailure::Signing)?;
    Ok(members(&jwk, &["kty", "n", "e", "d", "p", "q", "dp", "dq", "qi"]))
}

fn members(jwk: &Jwk, names: &[&str]) -> Map<String, Value> {
    names
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), jwk.parameter(name)?.clone())))
        .collect()
}

/// The members of an EC or RSA key that are public.
pub(super) fn public_half(key: &Map<String, Value>) -> Map<String, Value> {
    ["kty", "crv", "x", "y", "n", "e"]
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), key.get(*name)?.clone())))
        .collect()
}

/// The signer of a private key: ES256 for an EC key on P-256, RS256 for an RSA key.
pub(super) fn signer(key: &Map<String, Value>) -> Result<Box<dyn JwsSigner>, JoseFailure> {
    let jwk = Jwk::from_map(key.clone()).map_err(|_| JoseFailure::Key)?;
    Ok(match key.get("kty").and_then(Value::as_str) {
        Some("RSA") => Box::new(jws::RS256.signer_from_jwk(&jwk).map_err(|_| JoseFailure::Key)?),
        _ => Box::new(jws::ES256.signer_from_jwk(&jwk).map_err(|_| JoseFailure::Key)?),
    })
}

/// A compact JWS (RFC 7515 §7.1).
pub(super) fn compact(header: &Value, claims: &impl Serialize, signer: &dyn JwsSigner) -> Result<String, JoseFailure> {
    let claims = serde_json::to_vec(claims).map_err(|_| JoseFailure::Claims)?;
    if claims.first() != Some(&b'{') {
        return Err(JoseFailure::Claims);
    }
    let mut text = URL_SAFE_NO_PAD.encode(header.to_string());
    text.push('.');
    URL_SAFE_NO_PAD.encode_string(claims, &mut text);
    let signature = signer.sign(text.as_bytes()).map_err(|_| JoseFailure::Signing)?;
    text.push('.');
    URL_SAFE_NO_PAD.encode_string(signature, &mut text);
    Ok(text)
}
