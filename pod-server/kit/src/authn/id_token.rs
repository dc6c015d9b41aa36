//! A DPoP-bound ID token whose holder wants an access token for it (Solid-OIDC §7.2 and §5.2, UMA 2.0 grant §3.3.1;
//! solid#94, solid#96).

use serde::Deserialize;

use policies::request::WebId;
use serde_json::Value;

use super::claims::{Audience, Confirmation, NumericDate};
use super::config::AuthnConfig;
use super::discovery::same_issuer;
use super::jose::{Unverified, present};
use super::rejection::AuthnRejection;

/// The audience that an ID token names besides its client, so that servers like this one may read it.
const SOLID_AUDIENCE: &str = "solid";

/// What a verified ID token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdToken {
    /// Who logged in.
    pub webid: WebId,
    /// The issuer that vouches for it, which the WebID's profile names.
    pub issuer: String,
    /// The application that it was given to (`azp`).
    pub client: String,
    /// Until when it counts, Unix seconds.
    pub expires: i64,
    /// The grant that it came from, when it is this server's own.
    pub grant: Option<String>,
}

/// Claims of an ID token (Solid-OIDC §6.2.1); each of them is required.
#[derive(Debug, Deserialize)]
pub(super) struct IdClaims {
    pub(super) iss: String,
    aud: Audience,
    azp: String,
    webid: String,
    iat: NumericDate,
    exp: NumericDate,
    #[serde(default, deserialize_with = "present")]
    nbf: Option<NumericDate>,
    cnf: Confirmation,
    #[serde(default)]
    grant_id: Option<Value>,
}

/// Checks everything but the signature and the WebID's profile.
pub(super) fn check(
    jwt: &Unverified<'_>,
    claims: IdClaims,
    jkt: &str,
    local_issuer: Option<&str>,
    config: &AuthnConfig,
    now: i64,
) -> Result<IdToken, AuthnRejection> {
    // An access token, a proof or any other signed statement is no ID token.
    let typ = jwt.header.typ.as_deref().map(str::to_ascii_lowercase);
    if !matches!(typ.as_deref(), None | Some("jwt")) {
        return Err(AuthnRejection::token("the token is not an ID token"));
    }
    let skew = i64::from(config.clock_skew_seconds);
    if claims.exp.0 <= now - skew {
        return Err(AuthnRejection::token("the ID token has expired"));
    }
    if claims.iat.0 > now + skew || claims.nbf.is_some_and(|nbf| nbf.0 > now + skew) {
        return Err(AuthnRejection::token("the ID token is not valid yet"));
    }
    if claims.azp.is_empty() || !claims.aud.contains(SOLID_AUDIENCE) || !claims.aud.contains(&claims.azp) {
        return Err(AuthnRejection::token(
            "the ID token's audience must hold its client (azp) and `solid`",
        ));
    }
    if claims.cnf.jkt != jkt {
        return Err(AuthnRejection::proof(
            "the proof is not by the key that the ID token is bound to",
        ));
    }
    let local = local_issuer.is_some_and(|issuer| issuer == claims.iss);
    if !local && local_issuer.is_some_and(|issuer| same_issuer(issuer, &claims.iss)) {
        return Err(AuthnRejection::token("the ID token's issuer is misspelt"));
    }
    let webid =
        WebId::parse(claims.webid).map_err(|_| AuthnRejection::token("the ID token's WebID is not an HTTP IRI"))?;
    Ok(IdToken {
        webid,
        issuer: claims.iss,
        client: claims.azp,
        expires: claims.exp.0,
        grant: claims
            .grant_id
            .filter(|_| local)
            .and_then(|grant| grant.as_str().map(str::to_owned)),
    })
}
