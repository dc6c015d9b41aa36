//! A consumer's signed word that a broker may act for it: under these agreements, for this purpose, for a few minutes.
//!
//! A delegation may be used many times until it expires, as one query becomes many sub-queries; what is single-use is the
//! broker's proof on each of them. It gives nothing by itself: the agreement token must be bound to the key that signed it.

use policies::request::WebId;

use super::claims::DelegationClaims;
use super::config::AuthnConfig;
use super::jose::{JoseFailure, PublicKey, Unverified, Verifiers};
use super::rejection::AuthnRejection;

/// `typ` of a delegation.
pub(super) const DELEGATION_TYPE: &str = "delegation+jwt";
/// Most agreements in one delegation.
const AGREEMENTS_MAX: usize = 1_000;
/// Longest `jti`, bytes.
const JTI_BYTES_MAX: usize = 512;

/// A verified delegation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delegation {
    /// The consumer who signed it, as claimed: it counts together with a token bound to [`jkt`](Self::jkt).
    pub consumer: WebId,
    /// Thumbprint of the key that signed it.
    pub jkt: String,
    /// URL of the broker that may act.
    pub broker: String,
    /// Thumbprint of the key with which the broker must prove itself.
    pub broker_jkt: String,
    /// Agreements under which it may act.
    pub agreements: Vec<String>,
    /// IRI of the purpose.
    pub purpose: String,
    /// When it ends, Unix seconds.
    pub expires: i64,
}

pub(super) fn verify(
    text: &str,
    config: &AuthnConfig,
    verifiers: &Verifiers,
    now: i64,
) -> Result<Delegation, AuthnRejection> {
    let jwt = Unverified::parse(text, &config.algorithms).map_err(refuse)?;
    if jwt.header.typ.as_deref() != Some(DELEGATION_TYPE) {
        return Err(AuthnRejection::token("the delegation's type is not delegation+jwt"));
    }
    let claims: DelegationClaims = jwt.claims().map_err(refuse)?;
    let skew = i64::from(config.clock_skew_seconds);
    let life = claims.exp.0 - claims.iat.0;
    if claims.exp.0 <= now {
        return Err(AuthnRejection::token("the delegation has expired"));
    }
    if claims.iat.0 > now + skew {
        return Err(AuthnRejection::token("the delegation lies in the future"));
    }
    if life <= 0 || life > i64::from(config.delegation_seconds_max) {
        return Err(AuthnRejection::token("the delegation lives too long"));
    }
    if claims.agreements.is_empty() || claims.agreements.len() > AGREEMENTS_MAX {
        return Err(AuthnRejection::token("the delegation names no agreement, or too many"));
    }
    if claims.purpose.is_empty() || claims.jti.is_empty() || claims.jti.len() > JTI_BYTES_MAX {
        return Err(AuthnRejection::token("the delegation has no purpose or no usable jti"));
    }
    let consumer =
        WebId::parse(claims.iss).map_err(|_| AuthnRejection::token("the delegation's issuer is not a WebID"))?;
    let jwk = jwt
        .header
        .jwk
        .as_ref()
        .ok_or(AuthnRejection::token("the delegation carries no public key"))?;
    let key = PublicKey::parse(jwk).map_err(refuse)?;
    jwt.verify(&key, verifiers).map_err(refuse)?;
    Ok(Delegation {
        consumer,
        jkt: key.jkt().to_string(),
        broker: claims.act.sub,
        broker_jkt: claims.act.cnf.jkt,
        agreements: claims.agreements,
        purpose: claims.purpose,
        expires: claims.exp.0,
    })
}

fn refuse(failure: JoseFailure) -> AuthnRejection {
    AuthnRejection::token(match failure {
        JoseFailure::Malformed | JoseFailure::Signing => "the delegation is not a signed JWT",
        JoseFailure::Algorithm => "the delegation's algorithm is not accepted",
        JoseFailure::Key => "the delegation's key is not an accepted public key",
        JoseFailure::Signature => "the delegation's signature is wrong",
        JoseFailure::Claims => "a claim of the delegation is missing or of the wrong type",
    })
}
