//! The claims of the tokens that the issuer signs (Solid-OIDC §6, RFC 9068, OpenID Connect Core §2).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use server_kit::authn::IdToken;
use sha2::{Digest, Sha256};

use super::grant::GrantSubject;

/// What every token of one answer has in common.
#[derive(Clone, Debug)]
pub struct TokenContext<'a> {
    /// Issuer.
    pub issuer: &'a str,
    /// WebID that the client acts under.
    pub webid: &'a str,
    /// Client id.
    pub client: &'a str,
    /// Thumbprint of the key that the token is bound to.
    pub jkt: &'a str,
    /// Name of the grant that the token ends with (`grant_id`, [`super::standing`]).
    pub grant: &'a str,
    /// Present time, Unix seconds.
    pub now: i64,
    /// How long the token counts, in seconds.
    pub seconds: i64,
}

/// Claims of an access token (RFC 9068 §2.2), bound to a key (RFC 9449 §6).
#[must_use]
pub fn access_token(context: &TokenContext<'_>, scope: &str, jti: &str) -> Value {
    json!({
        "iss": context.issuer,
        "sub": context.webid,
        "aud": "solid",
        "webid": context.webid,
        "client_id": context.client,
        "azp": context.client,
        "scope": scope,
        "iat": context.now,
        "exp": context.now + context.seconds,
        "jti": jti,
        "grant_id": context.grant,
        "cnf": { "jkt": context.jkt },
    })
}

/// Claims of an access token that is given for an ID token (UMA 2.0 grant §3.3.5): for this server only, in the name of
/// the issuer of the ID token, whom the WebID's profile must go on naming.
#[must_use]
pub fn exchanged_token(
    id_token: &IdToken,
    issuer: &str,
    audience: &str,
    times: (i64, i64),
    jkt: &str,
    jti: &str,
) -> Value {
    let mut claims = json!({
        "iss": issuer,
        "sub": id_token.webid.as_str(),
        "aud": audience,
        "webid": id_token.webid.as_str(),
        "idp": id_token.issuer,
        "client_id": id_token.client,
        "iat": times.0,
        "exp": times.1,
        "jti": jti,
        "cnf": { "jkt": jkt },
    });
    if let (Some(grant), Some(object)) = (&id_token.grant, claims.as_object_mut()) {
        object.insert("grant_id".to_owned(), json!(grant));
    }
    claims
}

/// Claims of an ID token (Solid-OIDC §6.2.1): for the client and for resource servers (solid#99).
#[must_use]
pub fn id_token(context: &TokenContext<'_>, subject: &GrantSubject, access_token: &str) -> Value {
    let digest = Sha256::digest(access_token.as_bytes());
    let half = digest.get(..16).unwrap_or_default();
    let mut claims = json!({
        "iss": context.issuer,
        "sub": context.webid,
        "aud": [context.client, "solid"],
        "azp": context.client,
        "webid": context.webid,
        "iat": context.now,
        "exp": context.now + context.seconds,
        "auth_time": subject.authenticated_at,
        "at_hash": URL_SAFE_NO_PAD.encode(half),
        "grant_id": context.grant,
        "cnf": { "jkt": context.jkt },
    });
    if let (Some(nonce), Some(object)) = (&subject.nonce, claims.as_object_mut()) {
        object.insert("nonce".to_owned(), json!(nonce));
    }
    claims
}
