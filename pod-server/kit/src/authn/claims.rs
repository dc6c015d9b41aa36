//! Claims with their types. A claim that is used and has another type refuses the token; nothing malformed counts as absent (T30).

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::jose::present;

/// Latest time that is believed: the end of the year 9999.
const UNIX_MAX: u64 = 253_402_300_799;
/// Most audiences of a token.
const AUDIENCES_MAX: usize = 32;

/// Seconds since 1970-01-01T00:00:00Z: a JSON integer, not negative (RFC 7519 §2; fractions are refused).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct NumericDate(pub(super) i64);

impl<'de> Deserialize<'de> for NumericDate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Integer;
        impl Visitor<'_> for Integer {
            type Value = NumericDate;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("a whole number of seconds")
            }

            fn visit_u64<E: de::Error>(self, value: u64) -> Result<NumericDate, E> {
                let seconds = i64::try_from(value).ok().filter(|_| value <= UNIX_MAX);
                seconds.map(NumericDate).ok_or_else(|| E::custom("out of range"))
            }
        }
        deserializer.deserialize_u64(Integer)
    }
}

/// One audience or several (RFC 7519 §4.1.3).
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Audience {
    One(String),
    Many(Vec<String>),
}

impl Audience {
    pub(super) fn contains(&self, audience: &str) -> bool {
        match self {
            Self::One(only) => only == audience,
            Self::Many(all) => all.len() <= AUDIENCES_MAX && all.iter().any(|one| one == audience),
        }
    }

    pub(super) fn is_exactly(&self, audience: &str) -> bool {
        match self {
            Self::One(only) => only == audience,
            Self::Many(all) => matches!(all.as_slice(), [only] if only == audience),
        }
    }
}

/// Confirmation: the key that a token is bound to (RFC 7800, RFC 9449 §6).
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Confirmation {
    pub(super) jkt: String,
}

/// Claims of an access token, Solid-OIDC's or Meent's agreement token.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct AccessClaims {
    pub(super) iss: String,
    pub(super) aud: Audience,
    pub(super) exp: NumericDate,
    pub(super) iat: NumericDate,
    #[serde(default, deserialize_with = "present")]
    pub(super) nbf: Option<NumericDate>,
    pub(super) webid: String,
    pub(super) cnf: Confirmation,
    #[serde(default, deserialize_with = "present")]
    pub(super) sub: Option<String>,
    #[serde(default, deserialize_with = "present")]
    pub(super) client_id: Option<String>,
    #[serde(default, deserialize_with = "present")]
    pub(super) azp: Option<String>,
    #[serde(default, deserialize_with = "present")]
    pub(super) agreement: Option<String>,
    /// Scopes (RFC 9068 §2.2.3). Issuers are not of one mind about its type; only text counts.
    #[serde(default)]
    scope: Option<Value>,
    /// The grant that the token came from. Read in tokens of this server's own issuer only.
    #[serde(default)]
    grant_id: Option<Value>,
    /// The issuer of the ID token that was exchanged for this token. Read in tokens of this server's own issuer only.
    #[serde(default)]
    idp: Option<Value>,
    /// Claims that only ID tokens have (OpenID Connect Core §2 and §3.1.3.6).
    #[serde(default)]
    nonce: Option<Value>,
    #[serde(default)]
    at_hash: Option<Value>,
    #[serde(default)]
    c_hash: Option<Value>,
}

impl AccessClaims {
    /// The scopes, separated by spaces.
    pub(super) fn scope(&self) -> Option<&str> {
        self.scope.as_ref().and_then(Value::as_str)
    }

    /// A claim that only this server's issuer gives.
    ///
    /// # Errors
    /// When it is there and no text.
    pub(super) fn own(&self, claim: OwnClaim) -> Result<Option<&str>, ()> {
        let value = match claim {
            OwnClaim::Grant => &self.grant_id,
            OwnClaim::IdentityProvider => &self.idp,
        };
        value.as_ref().map(|value| value.as_str().ok_or(())).transpose()
    }

    /// Whether the claims are an ID token's.
    pub(super) fn is_id_token(&self) -> bool {
        self.nonce.is_some() || self.at_hash.is_some() || self.c_hash.is_some()
    }
}

/// A claim whose meaning only this server's issuer defines.
#[derive(Clone, Copy, Debug)]
pub(super) enum OwnClaim {
    /// `grant_id`.
    Grant,
    /// `idp`.
    IdentityProvider,
}

/// Claims of a DPoP proof (RFC 9449 §4.2).
#[derive(Clone, Debug, Deserialize)]
pub(super) struct ProofClaims {
    pub(super) htm: String,
    pub(super) htu: String,
    pub(super) iat: NumericDate,
    pub(super) jti: String,
    #[serde(default, deserialize_with = "present")]
    pub(super) ath: Option<String>,
}

/// Claims of a delegation: the consumer lets a broker act under agreements for a purpose.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct DelegationClaims {
    pub(super) iss: String,
    pub(super) act: Actor,
    pub(super) agreements: Vec<String>,
    pub(super) purpose: String,
    pub(super) iat: NumericDate,
    pub(super) exp: NumericDate,
    pub(super) jti: String,
}

/// Who acts for another (RFC 8693 §4.1).
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Actor {
    pub(super) sub: String,
    pub(super) cnf: Confirmation,
}
