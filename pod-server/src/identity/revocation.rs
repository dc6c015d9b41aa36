//! Revocation (RFC 7009) and introspection (RFC 7662) of tokens, by the clients that they were given to.
//!
//! Whatever is revoked, everything of the same grant ends with it: the refresh tokens, and the access tokens at their next
//! use (RFC 7009 §2.1). An unknown token, or one of another client, is answered like a revoked one.

use http::request::Parts;
use http::{Response, StatusCode};
use serde_json::{Value, json};
use server_kit::network::Network;

use crate::ui::response::respond;
use crate::ui::{Body, Form};

use super::error::IdentityError;
use super::token::{self, Stop, fault, json_response};
use super::{Identity, account, credential, grant};

/// Answers a request to the revocation endpoint.
pub(super) async fn revoke(
    identity: &Identity,
    parts: &Parts,
    form: &Form,
    network: Network,
) -> Result<Response<Body>, IdentityError> {
    let revoked = async {
        let client = token::any_client(identity, &parts.headers, form, network).await?;
        let token = form
            .field("token")
            .ok_or_else(|| fault("invalid_request", "`token` is missing"))?;
        match claims(identity, token) {
            Some(claims) => {
                if let (Some(owner), Some(grant)) = (text(&claims, "client_id"), text(&claims, "grant_id"))
                    && owner == client.id
                {
                    grant::revoke_grant(identity.store(), grant, owner).await?;
                }
            }
            None => grant::revoke_refresh(identity.store(), token, &client.id).await?,
        }
        Ok::<_, Stop>(())
    };
    match revoked.await {
        Ok(()) => Ok(respond(StatusCode::OK, "text/plain; charset=utf-8", "")),
        Err(stop) => token::answer_stop(stop),
    }
}

/// Answers a request to the introspection endpoint. Only clients with a secret may ask, about any access token of this
/// issuer that they were shown.
pub(super) async fn introspect(
    identity: &Identity,
    parts: &Parts,
    form: &Form,
    network: Network,
) -> Result<Response<Body>, IdentityError> {
    let asked = async {
        let client = token::any_client(identity, &parts.headers, form, network).await?;
        if !client.has_secret {
            return Err(fault("invalid_client", "only a client with a secret may ask"));
        }
        form.field("token")
            .ok_or_else(|| fault("invalid_request", "`token` is missing"))
    };
    match asked.await {
        Ok(token) => Ok(json_response(StatusCode::OK, &state(identity, token)?)),
        Err(stop) => token::answer_stop(stop),
    }
}

/// What RFC 7662 §2.2 says about a token.
fn state(identity: &Identity, token: &str) -> Result<Value, IdentityError> {
    let inactive = json!({ "active": false });
    let Some(mut claims) = claims(identity, token) else {
        return Ok(inactive);
    };
    let now = identity.clock().unix();
    let lives = claims.get("exp").and_then(Value::as_i64).is_some_and(|exp| exp > now);
    let stands = match text(&claims, "grant_id") {
        Some(name) => {
            let snapshot = identity.store().snapshot(account::permit())?;
            if name.starts_with(credential::GRANT_PREFIX) {
                credential::stands(snapshot.as_ref(), name)?
            } else {
                grant::stands(snapshot.as_ref(), name)?
            }
        }
        // A token that was given for another issuer's ID token has no grant here.
        None => true,
    };
    let Some(object) = claims.as_object_mut().filter(|_| lives && stands) else {
        return Ok(inactive);
    };
    object.remove("grant_id");
    object.insert("active".to_owned(), json!(true));
    object.insert("token_type".to_owned(), json!("DPoP"));
    Ok(claims)
}

/// The claims of an access token that this issuer signed.
fn claims(identity: &Identity, token: &str) -> Option<Value> {
    let claims = identity.parts.issuer.verify(token, "at+jwt").ok();
    // What a token for an agreement is worth is decided where the agreement lies.
    claims.filter(|claims| claims.get("agreement").is_none())
}

fn text<'a>(claims: &'a Value, name: &str) -> Option<&'a str> {
    claims.get(name).and_then(Value::as_str)
}
