//! JOSE with nothing optional: compact JWS only, an allow-list of algorithms, keys checked before use.
//!
//! The algorithm of a signature follows from the key and the allow-list; a header can only agree with it. Headers that point
//! to keys elsewhere (`jku`, `x5u`, `x5c`) are not read, and `crit` is refused (T27).

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ParsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use josekit::jwk::Jwk;
use josekit::jws::{self, JwsVerifier};
use quick_cache::sync::Cache;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

/// Longest JWT that is looked at, bytes.
pub(super) const JWT_BYTES_MAX: usize = 16 * 1024;

/// A signature algorithm that Meent accepts (RFC 7518, RFC 8037): asymmetric only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Algorithm {
    /// ECDSA on P-256 with SHA-256.
    #[serde(rename = "ES256")]
    Es256,
    /// ECDSA on P-384 with SHA-384.
    #[serde(rename = "ES384")]
    Es384,
    /// Ed25519.
    #[serde(rename = "EdDSA")]
    EdDsa,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    #[serde(rename = "RS256")]
    Rs256,
    /// RSASSA-PSS with SHA-256.
    #[serde(rename = "PS256")]
    Ps256,
}

impl Algorithm {
    /// All accepted algorithms, the preferred first.
    pub const ALL: [Self; 5] = [Self::Es256, Self::Es384, Self::EdDsa, Self::Rs256, Self::Ps256];

    /// Its registered name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::EdDsa => "EdDSA",
            Self::Rs256 => "RS256",
            Self::Ps256 => "PS256",
        }
    }

    pub(super) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.as_str() == name)
    }
}

/// Why a JWT or key is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JoseFailure {
    /// Not three base64url parts with JSON objects in them.
    #[error("not a signed JWT")]
    Malformed,
    /// The algorithm is not accepted, or not that of the key.
    #[error("the algorithm is not accepted")]
    Algorithm,
    /// The key is private, too small, malformed or of another kind.
    #[error("the key is not accepted")]
    Key,
    /// The signature is wrong.
    #[error("the signature is wrong")]
    Signature,
    /// A claim that is used is missing or of the wrong type.
    #[error("a claim is missing or of the wrong type")]
    Claims,
    /// Signing failed inside the cryptographic library.
    #[error("signing failed")]
    Signing,
}

/// The header of a JWS: only what is used. Everything else in it is ignored, except `crit`, which asks not to be.
#[derive(Debug, Deserialize)]
pub(super) struct Header {
    pub(super) alg: String,
    #[serde(default, deserialize_with = "present")]
    pub(super) typ: Option<String>,
    #[serde(default, deserialize_with = "present")]
    pub(super) kid: Option<String>,
    #[serde(default, deserialize_with = "present")]
    pub(super) jwk: Option<Map<String, Value>>,
    #[serde(default, deserialize_with = "present")]
    crit: Option<Value>,
}

/// A member that may be absent but, when there, must have its type: `null` is not absence (T30).
pub(super) fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

impl Header {
    /// Reads the first part of a JWS; refuses one that asks for extensions (RFC 7515 §4.1.11).
    pub(super) fn parse(text: &str) -> Result<Self, JoseFailure> {
        let header: Self = serde_json::from_slice(&decode(text)?).map_err(|_| JoseFailure::Malformed)?;
        if header.crit.is_some() {
            return Err(JoseFailure::Malformed);
        }
        Ok(header)
    }

    /// Its algorithm, if it is one of those accepted.
    pub(super) fn algorithm(&self, accepted: &[Algorithm]) -> Result<Algorithm, JoseFailure> {
        Algorithm::parse(&self.alg)
            .filter(|algorithm| accepted.contains(algorithm))
            .ok_or(JoseFailure::Algorithm)
    }
}

/// A JWS in compact form, taken apart (RFC 7515 §3.1). Nothing in it is verified.
pub(super) struct Compact<'a> {
    /// The header as it came, encoded.
    pub(super) header: &'a str,
    payload: Vec<u8>,
    signed: &'a str,
    signature: Vec<u8>,
}

impl<'a> Compact<'a> {
    pub(super) fn split(text: &'a str) -> Result<Self, JoseFailure> {
        if text.len() > JWT_BYTES_MAX {
            return Err(JoseFailure::Malformed);
        }
        let (signed, signature) = text.rsplit_once('.').ok_or(JoseFailure::Malformed)?;
        let (header, payload) = signed.split_once('.').ok_or(JoseFailure::Malformed)?;
        Ok(Self {
            header,
            payload: decode(payload)?,
            signed,
            signature: decode(signature)?,
        })
    }

    /// The claims, before the signature is verified: for choosing the key and for refusing early, never for believing.
    pub(super) fn claims<T: DeserializeOwned>(&self) -> Result<T, JoseFailure> {
        serde_json::from_slice(&self.payload).map_err(|_| JoseFailure::Claims)
    }

    /// Verifies the signature.
    pub(super) fn verify(&self, verifier: &Verifier) -> Result<(), JoseFailure> {
        verifier.verify(self.signed.as_bytes(), &self.signature)
    }
}

/// A JWS whose header was read and whose signature is not verified yet.
pub(super) struct Unverified<'a> {
    pub(super) header: Header,
    pub(super) algorithm: Algorithm,
    jwt: Compact<'a>,
}

impl<'a> Unverified<'a> {
    /// Takes a compact JWS apart and reads its header.
    pub(super) fn parse(text: &'a str, accepted: &[Algorithm]) -> Result<Self, JoseFailure> {
        let jwt = Compact::split(text)?;
        let header = Header::parse(jwt.header)?;
        Ok(Self {
            algorithm: header.algorithm(accepted)?,
            header,
            jwt,
        })
    }

    /// As [`Compact::claims`].
    pub(super) fn claims<T: DeserializeOwned>(&self) -> Result<T, JoseFailure> {
        self.jwt.claims()
    }

    /// Verifies the signature by a key.
    pub(super) fn verify(&self, key: &PublicKey, verifiers: &Verifiers) -> Result<(), JoseFailure> {
        self.jwt.verify(&*verifiers.prepare(key, self.algorithm)?)
    }
}

/// Strict base64url without padding.
fn decode(text: &str) -> Result<Vec<u8>, JoseFailure> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| JoseFailure::Malformed)
}

/// A checked public key, reduced to the members that make it.
#[derive(Clone)]
pub(super) struct PublicKey {
    jwk: Arc<Map<String, Value>>,
    jkt: Arc<str>,
    kind: KeyKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum KeyKind {
    P256,
    P384,
    Ed25519,
    Rsa,
}

impl PublicKey {
    /// Checks a JWK (RFC 7517): public, of a known kind and size.
    pub(super) fn parse(jwk: &Map<String, Value>) -> Result<Self, JoseFailure> {
        // A private or symmetric member means that the sender gave a secret away, or tries a confusion of key types.
        if ["d", "p", "q", "dp", "dq", "qi", "oth", "k"]
            .iter()
            .any(|member| jwk.contains_key(*member))
        {
            return Err(JoseFailure::Key);
        }
        let text = |name: &str| jwk.get(name).and_then(Value::as_str);
        let (kind, members): (_, &[&str]) = match (text("kty"), text("crv")) {
            (Some("EC"), Some("P-256")) => (KeyKind::P256, &["crv", "kty", "x", "y"]),
            (Some("EC"), Some("P-384")) => (KeyKind::P384, &["crv", "kty", "x", "y"]),
            (Some("OKP"), Some("Ed25519")) => (KeyKind::Ed25519, &["crv", "kty", "x"]),
            (Some("RSA"), _) => (KeyKind::Rsa, &["e", "kty", "n"]),
            _ => return Err(JoseFailure::Key),
        };
        for name in members.iter().filter(|name| !matches!(**name, "crv" | "kty")) {
            check_member(kind, name, text(name).ok_or(JoseFailure::Key)?)?;
        }
        let jwk: Map<String, Value> = members
            .iter()
            .filter_map(|name| Some(((*name).to_owned(), jwk.get(*name)?.clone())))
            .collect();
        // RFC 7638 §3: the members in lexicographic order, without white space. They were put in that order above.
        let canonical = serde_json::to_vec(&jwk).map_err(|_| JoseFailure::Key)?;
        let jkt = URL_SAFE_NO_PAD.encode(Sha256::digest(canonical)).into();
        Ok(Self {
            jwk: Arc::new(jwk),
            jkt,
            kind,
        })
    }

    /// Thumbprint (RFC 7638, SHA-256, base64url).
    pub(super) fn jkt(&self) -> &Arc<str> {
        &self.jkt
    }

    /// The key as a point of its curve (SEC 1 §2.3.3): 0x04 and both coordinates.
    fn uncompressed_point(&self) -> Result<Vec<u8>, JoseFailure> {
        let mut point = vec![4];
        for coordinate in ["x", "y"] {
            let text = self.jwk.get(coordinate).and_then(Value::as_str);
            point.extend(decode(text.ok_or(JoseFailure::Key)?)?);
        }
        Ok(point)
    }

    /// Whether signatures of an algorithm can be by this key.
    pub(super) fn serves(&self, algorithm: Algorithm) -> bool {
        matches!(
            (self.kind, algorithm),
            (KeyKind::P256, Algorithm::Es256)
                | (KeyKind::P384, Algorithm::Es384)
                | (KeyKind::Ed25519, Algorithm::EdDsa)
                | (KeyKind::Rsa, Algorithm::Rs256 | Algorithm::Ps256)
        )
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("PublicKey")
            .field("jkt", &self.jkt)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

fn check_member(kind: KeyKind, name: &str, text: &str) -> Result<(), JoseFailure> {
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| JoseFailure::Key)?;
    let fits = match (kind, name) {
        (KeyKind::P256 | KeyKind::Ed25519, _) => bytes.len() == 32,
        (KeyKind::P384, _) => bytes.len() == 48,
        // 2048 to 4096 bits without leading zeros: smaller is weak, larger costs the server.
        (KeyKind::Rsa, "n") => (256..=512).contains(&bytes.len()) && bytes.first().is_some_and(|byte| *byte != 0),
        (KeyKind::Rsa, _) => {
            let exponent = bytes.iter().fold(0_u64, |value, byte| (value << 8) | u64::from(*byte));
            bytes.len() <= 4 && exponent % 2 == 1 && exponent >= 65_537
        }
    };
    if fits { Ok(()) } else { Err(JoseFailure::Key) }
}

/// Thumbprint of a public JWK (RFC 7638).
///
/// # Errors
/// When the JWK is private, malformed or of a kind that is not accepted.
pub fn thumbprint(jwk: &Map<String, Value>) -> Result<String, JoseFailure> {
    Ok(PublicKey::parse(jwk)?.jkt.to_string())
}

/// A key that is ready to verify signatures of one algorithm.
pub(super) enum Verifier {
    /// ES256, the algorithm of nearly every proof, with the quickest implementation at hand.
    P256(ParsedPublicKey),
    /// All others.
    Other(Box<dyn JwsVerifier>),
}

impl Verifier {
    fn prepare(key: &PublicKey, algorithm: Algorithm) -> Result<Self, JoseFailure> {
        let refused = |_| JoseFailure::Key;
        let jwk = || Jwk::from_map(key.jwk.as_ref().clone()).map_err(refused);
        Ok(match algorithm {
            Algorithm::Es256 => {
                let parsed = ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key.uncompressed_point()?);
                Self::P256(parsed.map_err(|_| JoseFailure::Key)?)
            }
            Algorithm::Es384 => Self::Other(Box::new(jws::ES384.verifier_from_jwk(&jwk()?).map_err(refused)?)),
            Algorithm::EdDsa => Self::Other(Box::new(jws::EdDSA.verifier_from_jwk(&jwk()?).map_err(refused)?)),
            Algorithm::Rs256 => Self::Other(Box::new(jws::RS256.verifier_from_jwk(&jwk()?).map_err(refused)?)),
            Algorithm::Ps256 => Self::Other(Box::new(jws::PS256.verifier_from_jwk(&jwk()?).map_err(refused)?)),
        })
    }

    /// Verifies a signature as JWS writes it (RFC 7518 §3).
    pub(super) fn verify(&self, signed: &[u8], signature: &[u8]) -> Result<(), JoseFailure> {
        match self {
            Self::P256(key) => key.verify_sig(signed, signature).map_err(|_| JoseFailure::Signature),
            Self::Other(verifier) => verifier.verify(signed, signature).map_err(|_| JoseFailure::Signature),
        }
    }
}

/// Prepared keys: decoding a key costs more than verifying with it.
pub(super) struct Verifiers {
    prepared: Cache<(Algorithm, Arc<str>), Arc<Verifier>>,
}

impl Verifiers {
    pub(super) fn new(entries_max: usize) -> Self {
        Self {
            prepared: Cache::new(entries_max),
        }
    }

    /// A key ready to verify, made at its first use.
    pub(super) fn prepare(&self, key: &PublicKey, algorithm: Algorithm) -> Result<Arc<Verifier>, JoseFailure> {
        if !key.serves(algorithm) {
            return Err(JoseFailure::Algorithm);
        }
        let name = (algorithm, Arc::clone(&key.jkt));
        if let Some(verifier) = self.prepared.get(&name) {
            return Ok(verifier);
        }
        let verifier = Arc::new(Verifier::prepare(key, algorithm)?);
        self.prepared.insert(name, Arc::clone(&verifier));
        Ok(verifier)
    }
}
