//! An access token whose claims were checked: Solid-OIDC's, or Meent's agreement token.

use policies::request::WebId;

use super::claims::AccessClaims;
use super::config::AuthnConfig;
use super::discovery::same_issuer;
use super::jose::Unverified;
use super::rejection::AuthnRejection;

/// The audience of Solid-OIDC access tokens.
const SOLID_AUDIENCE: &str = "solid";

/// A verified access token.
#[derive(Debug)]
pub(super) struct AccessToken {
    pub(super) webid: WebId,
    pub(super) issuer: String,
    pub(super) client: Option<String>,
    pub(super) jkt: String,
    pub(super) agreement: Option<String>,
    pub(super) expires: i64,
    /// When the verification must be done again.
    pub(super) recheck: i64,
}

/// Checks everything about the claims but the signature; the types have been checked by parsing (T30, T31, T32).
pub(super) fn check(
    jwt: &Unverified<'_>,
    claims: AccessClaims,
    local_issuer: Option<&str>,
    config: &AuthnConfig,
    now: i64,
) -> Result<AccessToken, AuthnRejection> {
    // A proof, a delegation or any other signed statement must never pass for an access token (RFC 8725 §3.11).
    let typ = jwt.header.typ.as_deref().map(str::to_ascii_lowercase);
    if !matches!(typ.as_deref(), None | Some("at+jwt" | "application/at+jwt" | "jwt")) {
        return Err(AuthnRejection::token("the token is not an access token"));
    }
    let skew = i64::from(config.clock_skew_seconds);
    if claims.exp.0 <= now - skew {
        return Err(AuthnRejection::token("the token has expired"));
    }
    if claims.iat.0 > now + skew || claims.nbf.is_some_and(|nbf| nbf.0 > now + skew) {
        return Err(AuthnRejection::token("the token is not valid yet"));
    }
    let local = local_issuer.is_some_and(|issuer| issuer == claims.iss);
    match &claims.agreement {
        Some(_) => {
            let for_us = !config.audience.is_empty() && claims.aud.is_exactly(&config.audience);
            if !local || !for_us || claims.sub.as_deref() != Some(claims.webid.as_str()) {
                return Err(AuthnRejection::token(
                    "the agreement token was not issued by this server for this server",
                ));
            }
        }
        None if !claims.aud.contains(SOLID_AUDIENCE) => {
            return Err(AuthnRejection::token("the token is for another audience"));
        }
        // Only the exact issuer is recognised; one that differs by a slash would dodge the local keys.
        None if !local && local_issuer.is_some_and(|issuer| same_issuer(issuer, &claims.iss)) => {
            return Err(AuthnRejection::token("the token's issuer is misspelt"));
        }
        None => {}
    }
    let webid =
        WebId::parse(claims.webid).map_err(|_| AuthnRejection::token("the token's WebID is not an HTTP IRI"))?;
    Ok(AccessToken {
        webid,
        issuer: claims.iss,
        client: claims.client_id.or(claims.azp),
        jkt: claims.cnf.jkt,
        agreement: claims.agreement,
        expires: claims.exp.0,
        recheck: (now + i64::from(config.token_cache_seconds_max)).min(claims.exp.0),
    })
}
