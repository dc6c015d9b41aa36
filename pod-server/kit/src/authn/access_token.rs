//! An access token whose claims were checked: Solid-OIDC's, or Meent's agreement token.

use std::sync::Arc;

use policies::request::WebId;

use super::claims::{AccessClaims, OwnClaim};
use super::config::AuthnConfig;
use super::discovery::same_issuer;
use super::jose::Unverified;
use super::rejection::AuthnRejection;
use super::standing::TokenGrant;

/// The audience of Solid-OIDC access tokens.
const SOLID_AUDIENCE: &str = "solid";

/// A verified access token.
#[derive(Debug)]
pub(super) struct AccessToken {
    pub(super) webid: WebId,
    /// Who vouches for the WebID: the token's issuer, or that of the ID token which was exchanged for it.
    pub(super) issuer: String,
    /// Who signed.
    pub(super) signer: String,
    pub(super) client: Option<String>,
    pub(super) jkt: String,
    pub(super) agreement: Option<String>,
    pub(super) scope: Option<Arc<str>>,
    pub(super) grant: Option<TokenGrant>,
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
    // This server's own access tokens always say what they are; of others we know what ID tokens look like.
    let says_so = matches!(typ.as_deref(), Some("at+jwt" | "application/at+jwt"));
    if !says_so && (local || claims.is_id_token()) {
        return Err(AuthnRejection::token("an ID token is not an access token"));
    }
    let own = |claim| {
        let value = if local { claims.own(claim) } else { Ok(None) };
        value
            .map(|value| value.map(str::to_owned))
            .map_err(|()| AuthnRejection::token("a claim of the token is missing or of the wrong type"))
    };
    let (grant, exchanged) = (own(OwnClaim::Grant)?, own(OwnClaim::IdentityProvider)?);
    let for_us = !config.audience.is_empty() && claims.aud.is_exactly(&config.audience);
    let for_solid = claims.aud.contains(SOLID_AUDIENCE);
    let fault = if claims.agreement.is_some() {
        let own = local && for_us && claims.sub.as_deref() == Some(claims.webid.as_str());
        (!own).then_some("the agreement token was not issued by this server for this server")
    } else if (exchanged.is_some() && !for_us) || (exchanged.is_none() && !for_solid) {
        // A token that was given for an ID token counts on this server only.
        Some("the token is for another audience")
    } else {
        // Only the exact issuer is recognised; one that differs by a slash would dodge the local keys.
        let misspelt = !local && local_issuer.is_some_and(|issuer| same_issuer(issuer, &claims.iss));
        misspelt.then_some("the token's issuer is misspelt")
    };
    if let Some(fault) = fault {
        return Err(AuthnRejection::token(fault));
    }
    let scope = claims.scope().map(Arc::from);
    let webid =
        WebId::parse(claims.webid).map_err(|_| AuthnRejection::token("the token's WebID is not an HTTP IRI"))?;
    Ok(AccessToken {
        webid,
        issuer: exchanged.unwrap_or_else(|| claims.iss.clone()),
        signer: claims.iss,
        client: claims.client_id.or(claims.azp),
        jkt: claims.cnf.jkt,
        agreement: claims.agreement,
        scope,
        grant: grant.map(|name| TokenGrant::new(name.into())),
        expires: claims.exp.0,
        recheck: (now + i64::from(config.token_cache_seconds_max)).min(claims.exp.0),
    })
}
