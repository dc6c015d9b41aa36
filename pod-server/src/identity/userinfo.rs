//! The UserInfo endpoint (OpenID Connect Core §5.3): who the holder of an access token acts for. It says no more than the
//! token itself does.

use http::header::WWW_AUTHENTICATE;
use http::request::Parts;
use http::{Response, StatusCode};
use serde_json::json;
use server_kit::authn::{Agent, Credentials};

use crate::ui::Body;

use super::Identity;
use super::discovery::path;
use super::token::json_response;

/// Answers a request with an access token of this issuer and its proof.
pub(super) async fn userinfo(identity: &Identity, parts: &Parts) -> Response<Body> {
    let url = identity.site().console(path::USERINFO);
    match identity
        .proofs()
        .authenticate(&parts.method, &url, &parts.headers)
        .await
    {
        Ok(Credentials {
            agent: Agent::Authenticated(webid),
            issuer: Some(issuer),
            grant: None,
            ..
        }) if issuer == identity.site().issuer() => json_response(
            StatusCode::OK,
            &json!({ "sub": webid.as_str(), "webid": webid.as_str() }),
        ),
        Ok(_) => {
            let mut response = json_response(
                StatusCode::UNAUTHORIZED,
                &json!({ "error": "invalid_token", "error_description": "send an access token of this issuer" }),
            );
            let challenge = identity.proofs().challenge();
            response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
            response
        }
        Err(rejection) => rejection.to_problem().into_response(),
    }
}
