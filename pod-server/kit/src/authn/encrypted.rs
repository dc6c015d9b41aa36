//! ID tokens that a provider encrypts for us after signing them (RFC 7516; OpenID Connect Core §10.2). Decrypting believes
//! nothing yet: what comes out is a signed token like any other.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use josekit::jwe::{self, ECDH_ES, JweDecrypter, RSA_OAEP, RSA_OAEP_256};
use josekit::jwk::Jwk;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::jose::{JoseFailure, present, thumbprint};
use super::local_issuer::public_half;
use super::relying_party::RelyingPartyError;
use crate::secret_file;

/// Longest encrypted token that is looked at, bytes.
const BYTES_MAX: usize = 48 * 1024;

/// A private key that providers encrypt for.
pub struct Decryption {
    decrypters: Vec<(&'static str, Box<dyn JweDecrypter>)>,
    public: Map<String, Value>,
}

/// The header of an encrypted token, so far as it is chosen by the sender.
#[derive(Deserialize)]
struct Header {
    alg: String,
    #[serde(default, deserialize_with = "present")]
    zip: Option<Value>,
    #[serde(default, deserialize_with = "present")]
    crit: Option<Value>,
}

impl Decryption {
    /// A private JWK from a file of mode 0600: RSA for RSA-OAEP and RSA-OAEP-256, or EC on P-256 for ECDH-ES.
    ///
    /// # Errors
    /// When the file is missing, readable by others, or holds no such key.
    pub fn from_file(path: &Path) -> Result<Self, RelyingPartyError> {
        let bytes = secret_file::read(path)?.ok_or(RelyingPartyError::NoSecret)?;
        let private: Map<String, Value> = serde_json::from_slice(&bytes).map_err(|_| JoseFailure::Key)?;
        let mut public = public_half(&private);
        let kid = match private.get("kid").and_then(Value::as_str) {
            Some(kid) => kid.to_owned(),
            None => thumbprint(&public)?,
        };
        // Which algorithm is meant follows from the kind of key, and providers may or may not repeat the key id.
        let members: Map<String, Value> = private
            .into_iter()
            .filter(|(name, _)| !matches!(name.as_str(), "kid" | "alg" | "use" | "key_ops"))
            .collect();
        let jwk = Jwk::from_map(members).map_err(|_| JoseFailure::Key)?;
        let key = |_| JoseFailure::Key;
        let decrypters: Vec<(&'static str, Box<dyn JweDecrypter>)> = match jwk.key_type() {
            "RSA" => vec![
                ("RSA-OAEP", Box::new(RSA_OAEP.decrypter_from_jwk(&jwk).map_err(key)?)),
                (
                    "RSA-OAEP-256",
                    Box::new(RSA_OAEP_256.decrypter_from_jwk(&jwk).map_err(key)?),
                ),
            ],
            "EC" => vec![("ECDH-ES", Box::new(ECDH_ES.decrypter_from_jwk(&jwk).map_err(key)?))],
            _ => return Err(JoseFailure::Key.into()),
        };
        public.insert("kid".to_owned(), kid.into());
        public.insert("use".to_owned(), "enc".into());
        Ok(Self { decrypters, public })
    }

    /// The public key, for the provider to encrypt for.
    pub(super) fn public(&self) -> &Map<String, Value> {
        &self.public
    }

    /// The signed token inside an encrypted one; none when it is not for us, or in a way that is not accepted.
    pub(super) fn open(&self, token: &str) -> Option<String> {
        if token.len() > BYTES_MAX {
            return None;
        }
        let header = URL_SAFE_NO_PAD.decode(token.split('.').next()?).ok()?;
        let header: Header = serde_json::from_slice(&header).ok()?;
        // What is small on the way and large inside is refused unseen (T53).
        if header.zip.is_some() || header.crit.is_some() {
            return None;
        }
        let (_, decrypter) = self.decrypters.iter().find(|(name, _)| *name == header.alg)?;
        let (bytes, _) = jwe::deserialize_compact(token, &**decrypter).ok()?;
        String::from_utf8(bytes).ok()
    }
}
