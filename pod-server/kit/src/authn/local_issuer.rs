//! This server's own issuer key: signs access and agreement tokens, and recognises them without network.
//!
//! The private key is an ES256 JWK in a file of mode 0600. A rotation keeps the old public key until every token signed with it
//! has expired.

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

use super::jose::{Algorithm, JoseFailure, PublicKey, Unverified, Verifiers};
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
    public: Vec<(String, PublicKey, Value)>,
}

/// The file: a JWK Set with one private key, and the public keys that were retired.
#[derive(Clone, Serialize, Deserialize)]
struct KeyFile {
    active: Map<String, Value>,
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
                    retired: Vec::new(),
                };
                store(path, &file)?;
                file
            }
        };
        let keys = ArcSwap::from_pointee(Keys::prepare(file)?);
        let verifiers = Verifiers::new(RETIRED_KEYS_MAX + 1);
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

    /// Verifies a token that this issuer signed with a `typ`, and returns its claims. Times and audience are the caller's to check.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn verify(&self, token: &str, typ: &str) -> Result<Value, JoseFailure> {
        let jwt = Unverified::parse(token, &[Algorithm::Es256])?;
        if jwt.header.typ.as_deref() != Some(typ) {
            return Err(JoseFailure::Malformed);
        }
        self.verify_signature(&jwt)?;
        jwt.claims()
    }

    /// The public keys as a JWK Set (RFC 7517 §5): the active one first.
    pub fn jwks(&self) -> Value {
        let keys: Vec<Value> = self.keys.load().public.iter().map(|(_, _, jwk)| jwk.clone()).collect();
        json!({ "keys": keys })
    }

    /// Makes a new signing key. The old public key stays for `token_seconds_max`, the longest life of a token.
    ///
    /// # Errors
    /// When a key cannot be made or the file cannot be written; the old key then stays.
    pub fn rotate(&self, now_unix: i64, token_seconds_max: u32) -> Result<(), LocalIssuerError> {
        let _one_at_a_time = self.rotation.lock();
        let old = self.keys.load().file.clone();
        let mut retired = vec![RetiredKey {
            until: now_unix + i64::from(token_seconds_max),
            key: public_half(&old.active),
        }];
        retired.extend(old.retired.into_iter().filter(|key| key.until > now_unix));
        retired.truncate(RETIRED_KEYS_MAX);
        let file = KeyFile {
            active: generate()?,
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
        let signer = signer(&file.active)?;
        let halves = std::iter::once(public_half(&file.active)).chain(file.retired.iter().map(|old| old.key.clone()));
        let mut public = Vec::new();
        for half in halves {
            let key = PublicKey::parse(&half)?;
            let mut jwk = half;
            jwk.insert("kid".to_owned(), key.jkt().as_ref().into());
            jwk.insert("alg".to_owned(), "ES256".into());
            jwk.insert("use".to_owned(), "sig".into());
            public.push((key.jkt().to_string(), key, Value::Object(jwk)));
        }
        Ok(Self { file, signer, public })
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
    let members = ["kty", "crv", "x", "y", "d"];
    Ok(members
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), jwk.parameter(name)?.clone())))
        .collect())
}

/// The members of an EC key that are public.
pub(super) fn public_half(key: &Map<String, Value>) -> Map<String, Value> {
    ["kty", "crv", "x", "y"]
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), key.get(*name)?.clone())))
        .collect()
}

/// The signer of a private ES256 key.
pub(super) fn signer(key: &Map<String, Value>) -> Result<Box<dyn JwsSigner>, JoseFailure> {
    let jwk = Jwk::from_map(key.clone()).map_err(|_| JoseFailure::Key)?;
    Ok(Box::new(
        jws::ES256.signer_from_jwk(&jwk).map_err(|_| JoseFailure::Key)?,
    ))
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
