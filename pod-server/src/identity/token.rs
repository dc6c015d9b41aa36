//! The token endpoint (RFC 6749 §3.2, RFC 9449 §5).
//!
//! Every grant needs a DPoP proof; what is given is bound to its key. Errors are told as RFC 6749 §5.2 says, and never
//! which part of a secret was wrong.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, CACHE_CONTROL, RETRY_AFTER, WWW_AUTHENTICATE};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use serde_json::{Value, json};
use server_kit::authn::RejectionKind;
use server_kit::network::Network;

use crate::ui::response::respond;
use crate::ui::{Body, Form};

use super::claims::{self, TokenContext};
use super::client::Client;
use super::client_document::is_document;
use super::credential::ClientCredential;
use super::discovery::path;
use super::error::IdentityError;
use super::grant::{self, Granted, Redemption};
use super::{Identity, account, credential, uma};

/// An error as RFC 6749 §5.2 tells it.
#[derive(Debug)]
pub(super) struct TokenFault {
    status: StatusCode,
    error: &'static str,
    description: String,
    retry_seconds: Option<u32>,
    /// Further members of the answer.
    more: Value,
}

/// What ends a request early: the client's fault or ours.
pub(super) enum Stop {
    Fault(TokenFault),
    Failure(IdentityError),
}

impl From<IdentityError> for Stop {
    fn from(error: IdentityError) -> Self {
        Self::Failure(error)
    }
}

pub(super) fn fault(error: &'static str, description: impl Into<String>) -> Stop {
    let status = match error {
        "invalid_client" => StatusCode::UNAUTHORIZED,
        // UMA 2.0 grant §3.3.6.
        "need_info" | "request_denied" => StatusCode::FORBIDDEN,
        _ => StatusCode::BAD_REQUEST,
    };
    Stop::Fault(TokenFault {
        status,
        error,
        description: description.into(),
        retry_seconds: None,
        more: Value::Null,
    })
}

impl Stop {
    /// Adds a member to what the client is told.
    pub(super) fn with(mut self, member: &str, value: Value) -> Self {
        if let Self::Fault(fault) = &mut self {
            let more = fault.more.as_object().cloned().unwrap_or_default();
            fault.more = more.into_iter().chain([(member.to_owned(), value)]).collect();
        }
        self
    }
}

/// Id and secrets that a client sent.
struct Presented {
    id: String,
    basic: Option<String>,
    post: Option<String>,
}

/// Answers a request to the token endpoint.
pub(super) async fn token(
    identity: &Identity,
    parts: &Parts,
    form: &Form,
    network: Network,
) -> Result<Response<Body>, IdentityError> {
    match answer(identity, parts, form, network).await {
        Ok(tokens) => Ok(json_response(StatusCode::OK, &tokens)),
        Err(stop) => answer_stop(stop),
    }
}

/// The answer to a request that ended early.
///
/// # Errors
/// Our own failure.
pub(super) fn answer_stop(stop: Stop) -> Result<Response<Body>, IdentityError> {
    match stop {
        Stop::Failure(error) => Err(error),
        Stop::Fault(fault) => {
            let mut told = json!({ "error": fault.error, "error_description": fault.description });
            if let (Some(told), Value::Object(more)) = (told.as_object_mut(), fault.more) {
                told.extend(more);
            }
            let mut response = json_response(fault.status, &told);
            if fault.status == StatusCode::UNAUTHORIZED {
                let challenge = HeaderValue::from_static("Basic realm=\"token endpoint\", charset=\"UTF-8\"");
                response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
            }
            if let Some(seconds) = fault.retry_seconds {
                response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
            }
            Ok(response)
        }
    }
}

async fn answer(identity: &Identity, parts: &Parts, form: &Form, network: Network) -> Result<Value, Stop> {
    let grant_type = form
        .field("grant_type")
        .ok_or_else(|| fault("invalid_request", "`grant_type` is missing"))?;
    if grant_type == uma::GRANT_TYPE {
        let jkt = proof_key(identity, parts)?;
        return uma::exchange(identity, form, &jkt).await;
    }
    let presented = presented(&parts.headers, form)?;
    match grant_type {
        "client_credentials" => {
            let subject = machine(identity, &presented, network)?;
            let jkt = proof_key(identity, parts)?;
            client_credentials(identity, &subject, &jkt)
        }
        "authorization_code" | "refresh_token" => {
            let client = client(identity, &presented, network).await?;
            let jkt = proof_key(identity, parts)?;
            let granted = redeem(identity, form, grant_type, &client, &jkt).await?;
            tokens_for_person(identity, &client, &jkt, granted).await
        }
        _ => Err(fault(
            "unsupported_grant_type",
            "give `authorization_code`, `refresh_token`, `client_credentials` or UMA's `uma-ticket`",
        )),
    }
}

/// The key that the request's DPoP proof is signed with, as its thumbprint (RFC 9449 §5).
fn proof_key(identity: &Identity, parts: &Parts) -> Result<String, Stop> {
    let url = identity.site().console(path::TOKEN);
    identity
        .proofs()
        .verify_proof(&parts.method, &url, &parts.headers)
        .map_err(|rejection| {
            if rejection.kind == RejectionKind::Overloaded {
                Stop::Fault(TokenFault {
                    status: StatusCode::SERVICE_UNAVAILABLE,
                    error: "temporarily_unavailable",
                    description: rejection.description.to_owned(),
                    retry_seconds: Some(1),
                    more: Value::Null,
                })
            } else {
                fault("invalid_dpop_proof", rejection.description)
            }
        })
}

async fn redeem(
    identity: &Identity,
    form: &Form,
    grant_type: &str,
    client: &Client,
    jkt: &str,
) -> Result<Granted, Stop> {
    let needed = |name: &'static str| {
        form.field(name)
            .ok_or_else(|| fault("invalid_request", format!("`{name}` is missing")))
    };
    let redemption = Redemption {
        client: &client.id,
        public: client.is_public(),
        jkt,
        now: identity.clock().unix(),
        refresh_seconds: i64::from(identity.config().refresh_days) * 86_400,
    };
    let (store, random) = (identity.store(), identity.random());
    let outcome = if grant_type == "authorization_code" {
        let (code, uri, verifier) = (needed("code")?, needed("redirect_uri")?, needed("code_verifier")?);
        grant::redeem_code(store, code, uri, verifier, &redemption, random).await?
    } else {
        grant::redeem_refresh(store, needed("refresh_token")?, &redemption, random).await?
    };
    outcome.map_err(|refusal| fault("invalid_grant", refusal))
}

async fn tokens_for_person(identity: &Identity, client: &Client, jkt: &str, granted: Granted) -> Result<Value, Stop> {
    let webid = granted.account.acting_as(granted.subject.webid.as_deref());
    let webid = webid.ok_or_else(|| fault("invalid_grant", "the WebID is no longer one of the account"))?;
    let context = context(identity, webid, &client.id, jkt, &granted.grant);
    let access = claims::access_token(&context, &granted.subject.scope, &identity.random().uuid());
    let access = identity.sign_access_token(&access)?;
    let id_token = claims::id_token(&context, &granted.subject, &access);
    let id_token = identity.sign_id_token(client.id_token_algorithm, id_token).await?;
    let mut answer = json!({
        "access_token": access,
        "token_type": "DPoP",
        "expires_in": context.seconds,
        "id_token": id_token,
        "scope": granted.subject.scope,
    });
    if let (Some(refresh), Some(object)) = (granted.refresh_token, answer.as_object_mut()) {
        object.insert("refresh_token".to_owned(), json!(refresh));
    }
    Ok(answer)
}

/// Who a machine with client credentials acts for.
struct Machine {
    credential: ClientCredential,
    webid: String,
}

/// The token carries the WebID and every scope that the credentials were made for, whatever the machine asks: the account
/// holder has decided when making them.
fn client_credentials(identity: &Identity, machine: &Machine, jkt: &str) -> Result<Value, Stop> {
    let (grant, scope) = (machine.credential.grant(), machine.credential.scope());
    let context = context(identity, &machine.webid, &machine.credential.id, jkt, &grant);
    let access = claims::access_token(&context, scope, &identity.random().uuid());
    Ok(json!({
        "access_token": identity.sign_access_token(&access)?,
        "token_type": "DPoP",
        "expires_in": context.seconds,
        "scope": scope,
    }))
}

fn context<'a>(
    identity: &'a Identity,
    webid: &'a str,
    client: &'a str,
    jkt: &'a str,
    grant: &'a str,
) -> TokenContext<'a> {
    TokenContext {
        grant,
        issuer: identity.site().issuer(),
        webid,
        client,
        jkt,
        now: identity.clock().unix(),
        seconds: i64::from(identity.config().access_token_seconds),
    }
}

/// Reads what a client says about itself; two ways at once are refused (RFC 6749 §2.3).
fn presented(headers: &HeaderMap, form: &Form) -> Result<Presented, Stop> {
    let in_body = form.field("client_id");
    let post = form.field("client_secret").map(str::to_owned);
    let Some(field) = headers.get(AUTHORIZATION) else {
        let id = in_body
            .ok_or_else(|| fault("invalid_client", "the client does not say who it is"))?
            .to_owned();
        return Ok(Presented { id, basic: None, post });
    };
    let (id, secret) =
        basic(field).ok_or_else(|| fault("invalid_client", "the `Authorization` field must be `Basic`"))?;
    if post.is_some() || in_body.is_some_and(|other| other != id) {
        return Err(fault("invalid_request", "the client says who it is in two ways"));
    }
    Ok(Presented {
        id,
        basic: Some(secret),
        post: None,
    })
}

/// Id and secret of a `Basic` field; both are form-encoded inside it (RFC 6749 §2.3.1).
fn basic(field: &HeaderValue) -> Option<(String, String)> {
    let (scheme, encoded) = field.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (id, secret) = decoded.split_once(':')?;
    let decode = |text: &str| {
        let spaced = text.replace('+', " ");
        percent_encoding::percent_decode_str(&spaced)
            .decode_utf8()
            .map(|text| text.into_owned())
            .ok()
    };
    Some((decode(id)?, decode(secret)?))
}

fn admit(identity: &Identity, id: &str, network: Network) -> Result<(), Stop> {
    identity
        .throttle()
        .admit(id, network, identity.clock().unix())
        .map_err(|seconds| {
            Stop::Fault(TokenFault {
                status: StatusCode::TOO_MANY_REQUESTS,
                error: "slow_down",
                description: format!("too many failures; try again in {seconds} s"),
                retry_seconds: Some(seconds),
                more: Value::Null,
            })
        })
}

fn unproven(identity: &Identity, id: &str, network: Network) -> Stop {
    identity.throttle().failed(id, network, identity.clock().unix());
    fault("invalid_client", "the client is unknown or its secret is wrong")
}

fn machine(identity: &Identity, presented: &Presented, network: Network) -> Result<Machine, Stop> {
    admit(identity, &presented.id, network)?;
    let secret = presented
        .basic
        .as_deref()
        .or(presented.post.as_deref())
        .unwrap_or_default();
    let snapshot = identity
        .store()
        .snapshot(account::permit())
        .map_err(IdentityError::from)?;
    let Some(found) = credential::verify(snapshot.as_ref(), &presented.id, secret)? else {
        return Err(unproven(identity, &presented.id, network));
    };
    let account = account::load(snapshot.as_ref(), &found.account)?;
    let Some(account) = account.filter(|account| account.leaving.is_none()) else {
        return Err(unproven(identity, &presented.id, network));
    };
    identity.throttle().succeeded(&presented.id, network);
    Ok(Machine {
        credential: found,
        webid: account.webid,
    })
}

/// A client of either kind that has proved who it is.
pub(super) struct AnyClient {
    pub(super) id: String,
    pub(super) has_secret: bool,
}

/// The client that sends a form to an endpoint beside the token endpoint: an application, or client credentials.
pub(super) async fn any_client(
    identity: &Identity,
    headers: &HeaderMap,
    form: &Form,
    network: Network,
) -> Result<AnyClient, Stop> {
    let presented = presented(headers, form)?;
    // Ids of client credentials hold a dot; those of registered clients do not, and those of documents hold a colon too.
    if presented.id.contains('.') && !is_document(&presented.id) {
        let machine = machine(identity, &presented, network)?;
        return Ok(AnyClient {
            id: machine.credential.id,
            has_secret: true,
        });
    }
    let client = client(identity, &presented, network).await?;
    Ok(AnyClient {
        id: client.id.clone(),
        has_secret: !client.is_public(),
    })
}

async fn client(identity: &Identity, presented: &Presented, network: Network) -> Result<std::sync::Arc<Client>, Stop> {
    admit(identity, &presented.id, network)?;
    let found = identity.client(&presented.id).await?;
    let client = found.map_err(|error| fault("invalid_client", error.to_string()))?;
    if !client.proves(presented.basic.as_deref(), presented.post.as_deref()) {
        return Err(unproven(identity, &presented.id, network));
    }
    Ok(client)
}

/// A JSON answer that nobody keeps.
pub(super) fn json_response(status: StatusCode, value: &Value) -> Response<Body> {
    let mut response = respond(status, "application/json", value.to_string());
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(
        http::header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    response
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn basic_fields_are_form_encoded_inside() {
        let cases = [
            ("Basic YTpi", Some(("a", "b"))),
            ("basic YTpi", Some(("a", "b"))),
            // `https%3A%2F%2Fx:a%2Bb+c`
            ("Basic aHR0cHMlM0ElMkYlMkZ4OmElMkJiK2M=", Some(("https://x", "a+b c"))),
            ("Bearer YTpi", None),
            ("Basic !!!", None),
            ("Basic YWI=", None),
        ];
        for (field, expected) in cases {
            let found = basic(&HeaderValue::from_str(field).unwrap());
            assert_eq!(
                found.as_ref().map(|(id, secret)| (id.as_str(), secret.as_str())),
                expected,
                "{field}"
            );
        }
    }
}
