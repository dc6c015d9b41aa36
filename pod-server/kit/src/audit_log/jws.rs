//! Documents signed with the key of a log, as compact JWS (RFC 7515) with EdDSA (RFC 8037): whoever can check the log can
//! check them too, offline.
//!
//! What is signed here begins with a JSON object in base64url and holds no line break; a checkpoint holds several. So
//! neither can be taken for the other.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::checkpoint::{CheckpointError, LogKey, VerifierKey};

/// Longest document that is opened, in characters.
const TOKEN_CHARS_MAX: usize = 8 << 20;

/// Why a signed document is not what it says.
#[derive(Debug, thiserror::Error)]
pub enum JwsError {
    /// It is no compact JWS.
    #[error("not a compact JWS: {0}")]
    Malformed(&'static str),
    /// It is signed in another way, or is something else.
    #[error("the header says `{member}` is {found}, not `{expected}`")]
    Header {
        /// Member of the header.
        member: &'static str,
        /// What it says.
        found: String,
        /// What was expected.
        expected: String,
    },
    /// The signature does not fit.
    #[error(transparent)]
    Signature(#[from] CheckpointError),
}

impl LogKey {
    /// Signs a payload as a document of a type (`typ` of the header, RFC 7515 §4.1.9).
    #[must_use]
    pub fn sign_document(&self, kind: &str, payload: &[u8]) -> String {
        let header = json!({ "alg": "EdDSA", "typ": kind, "kid": self.verifier().key_id() });
        let signed = format!(
            "{}.{}",
            URL_SAFE_NO_PAD.encode(header.to_string()),
            URL_SAFE_NO_PAD.encode(payload)
        );
        let signature = URL_SAFE_NO_PAD.encode(self.sign_bytes(signed.as_bytes()));
        format!("{signed}.{signature}")
    }
}

impl VerifierKey {
    /// How headers and key sets name this key: that of the log, `#`, and its number.
    #[must_use]
    pub fn key_id(&self) -> String {
        self.to_string()
            .rsplit_once('+')
            .map_or_else(String::new, |(name, _)| name.replacen('+', "#", 1))
    }

    /// The key as a JSON Web Key (RFC 8037).
    #[must_use]
    pub fn jwk(&self) -> Value {
        json!({
            "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig",
            "kid": self.key_id(), "x": URL_SAFE_NO_PAD.encode(self.public()),
        })
    }

    /// The payload of a document of a type that this key signed.
    ///
    /// # Errors
    /// When it is malformed, of another type, or not signed by this key.
    pub fn open_document(&self, kind: &str, document: &str) -> Result<Vec<u8>, JwsError> {
        let document = document.trim();
        if document.len() > TOKEN_CHARS_MAX {
            return Err(JwsError::Malformed("it is too long"));
        }
        let (signed, signature) = document
            .rsplit_once('.')
            .ok_or(JwsError::Malformed("it has no signature"))?;
        let (header, payload) = signed.split_once('.').ok_or(JwsError::Malformed("it has no payload"))?;
        let decode = |part: &str, what| URL_SAFE_NO_PAD.decode(part).map_err(|_| JwsError::Malformed(what));
        let header: Value = serde_json::from_slice(&decode(header, "the header is no base64url")?)
            .map_err(|_| JwsError::Malformed("the header is no JSON"))?;
        for (member, expected) in [("alg", "EdDSA"), ("typ", kind)] {
            let found = header.get(member).cloned().unwrap_or_default();
            if found != expected {
                return Err(JwsError::Header {
                    member,
                    found: found.to_string(),
                    expected: expected.to_owned(),
                });
            }
        }
        if header.get("crit").is_some() {
            return Err(JwsError::Malformed(
                "the header has critical members, of which none is known",
            ));
        }
        self.check(signed.as_bytes(), &decode(signature, "the signature is no base64url")?)?;
        decode(payload, "the payload is no base64url")
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::random::SystemRandom;

    /// Requirements dataspace CON-17: a document proves itself with the log's public key alone, and no change goes unseen.
    #[test]
    fn documents_open_only_as_they_were_signed() {
        let directory = tempfile::tempdir().unwrap();
        let key =
            |name: &str| LogKey::load_or_generate(&directory.path().join(name), "pod.example", &SystemRandom).unwrap();
        let (ours, other) = (key("a"), key("b"));
        let document = ours.sign_document("receipt+jwt", b"{\"a\":1}");
        let verifier = VerifierKey::parse(&ours.verifier().to_string()).unwrap();
        assert_eq!(
            verifier.open_document("receipt+jwt", &format!("{document}\n")).unwrap(),
            b"{\"a\":1}"
        );
        assert!(verifier.open_document("other+jwt", &document).is_err());
        assert!(other.verifier().open_document("receipt+jwt", &document).is_err());
        for at in 0..document.len() {
            let mut changed = document.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            let opened = verifier.open_document("receipt+jwt", &changed);
            assert!(opened.is_err(), "changed at {at}: {changed}");
        }
        for broken in ["", ".", "..", "a.b", "a.b.c", "e30.e30.e30"] {
            assert!(verifier.open_document("receipt+jwt", broken).is_err(), "{broken}");
        }
        assert_eq!(ours.verifier().jwk()["kid"], ours.verifier().key_id());
        assert!(ours.verifier().key_id().starts_with("pod.example#"));
    }
}
