//! `/agreements`: a consumer deposits agreement tokens, sees and withdraws them. Only ever its own.

use super::DepositError;
use crate::app::Broker;
use crate::error::{self, Answer};
use crate::http::{Call, json, no_content};
use crate::state::DepositRow;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::{ACCEPT, HeaderValue};
use http::{Method, StatusCode};
use serde::Deserialize;
use server_kit::authn::client::DELEGATION;
use server_kit::egress::EgressRequest;
use std::sync::Arc;
use std::time::Duration;

/// Largest agreement document, bytes.
const DOCUMENT_BYTES_MAX: u64 = 256 * 1024;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Deposited {
    agreement: String,
    access_token: String,
    /// The agreed dataset, for a caller who wants to be sure.
    #[serde(default)]
    dataset: Option<String>,
    /// The agreement in Turtle, when its owner cannot be asked.
    #[serde(default)]
    document: Option<String>,
}

/// What a token says about itself. Only for an early, friendly refusal: the pod that issued it is the one that verifies it.
#[derive(Deserialize)]
struct Claims {
    agreement: String,
    webid: String,
    exp: i64,
    cnf: Confirmation,
}

#[derive(Deserialize)]
struct Confirmation {
    jkt: String,
}

/// Answers calls to `/agreements`.
///
/// # Errors
/// A problem for the caller.
pub async fn respond(broker: &Arc<Broker>, call: Call) -> Answer {
    let (web_id, jkt) = call.consumer()?;
    match call.method {
        Method::GET => {
            let list: Vec<serde_json::Value> = broker
                .deposits
                .of(&web_id)
                .iter()
                .map(|deposit| {
                    serde_json::json!({
                        "agreement": deposit.agreement,
                        "dataset": deposit.dataset,
                        "tokenExpires": deposit.expires,
                    })
                })
                .collect();
            Ok(json(StatusCode::OK, &serde_json::json!({ "agreements": list })))
        }
        Method::POST => deposit(broker, &call, web_id, &jkt).await,
        Method::DELETE => {
            let agreement = call
                .parameter("agreement")
                .ok_or_else(|| error::bad_request("missing-parameter", "say which agreement: `?agreement=IRI`"))?;
            let (deposits, agreement) = (Arc::clone(&broker.deposits), agreement.to_owned());
            let gone = blocking(move || deposits.remove(&web_id, &agreement))
                .await?
                .map_err(|e| error::internal(&e))?;
            if gone {
                Ok(no_content())
            } else {
                Err(error::not_found("you have deposited no such agreement"))
            }
        }
        _ => Err(error::method_not_allowed("GET, POST, DELETE")),
    }
}

async fn deposit(broker: &Arc<Broker>, call: &Call, web_id: String, jkt: &str) -> Answer {
    let sent: Deposited = serde_json::from_slice(&call.body).map_err(|e| {
        error::bad_request(
            "malformed-json",
            format!("the body is not `{{\"agreement\", \"access_token\"}}`: {e}"),
        )
    })?;
    let claims = claims(&sent.access_token)
        .ok_or_else(|| error::unprocessable("not-a-token", "`access_token` is not an agreement token"))?;
    if claims.agreement != sent.agreement || claims.webid != web_id {
        return Err(error::unprocessable(
            "another-token",
            "the token is for another agreement or another consumer",
        ));
    }
    if claims.cnf.jkt != jkt {
        return Err(error::unprocessable(
            "another-key",
            "the token is bound to another key than the one you proved to have",
        ));
    }
    let now = broker.clock.unix();
    if claims.exp <= now {
        return Err(error::unprocessable(
            "token-expired",
            "the token has expired: fetch a fresh one from the owner",
        ));
    }
    let snapshot = broker.catalogue.snapshot();
    if snapshot.speaker(&sent.agreement).is_none() {
        return Err(error::unprocessable(
            "unknown-member",
            "the agreement is not with a member of this federation",
        ));
    }
    let document = match fetch(broker, call, &sent).await {
        Ok(document) => document,
        Err(reason) => sent.document.ok_or_else(|| {
            error::unprocessable(
                "agreement-unavailable",
                format!("the owner did not show the agreement ({reason}): send a `Delegation` that names it, or the Turtle as `document`"),
            )
        })?,
    };
    let (_, dataset) = super::read(&document, &sent.agreement, &web_id)
        .map_err(|error| error::unprocessable("not-the-agreement", error.to_string()))?;
    if sent.dataset.as_ref().is_some_and(|expected| *expected != dataset) {
        return Err(error::unprocessable(
            "another-dataset",
            format!("the agreement is about `{dataset}`"),
        ));
    }
    // Otherwise one member's agreement could stand in the way of asking another member under its own.
    if !snapshot.is_with_holder(&sent.agreement, &dataset) {
        return Err(error::unprocessable(
            "another-members-dataset",
            format!("the agreement is about `{dataset}`, which is another member's than the agreement"),
        ));
    }
    let row = DepositRow {
        web_id,
        agreement: sent.agreement,
        token: sent.access_token,
        expires: claims.exp,
        document,
    };
    let deposits = Arc::clone(&broker.deposits);
    let kept = blocking(move || deposits.put(row, now))
        .await?
        .map_err(|error| match error {
            DepositError::Agreement(error) => error::unprocessable("not-the-agreement", error.to_string()),
            DepositError::TooMany(_) => {
                error::unprocessable("too-many-agreements", format!("{error}: withdraw some first"))
            }
            DepositError::State(error) => error::internal(&error),
        })?;
    Ok(json(
        StatusCode::CREATED,
        &serde_json::json!({ "agreement": kept.agreement, "dataset": kept.dataset, "tokenExpires": kept.expires }),
    ))
}

/// Fetches the agreement from its owner, as the consumer allows with a delegation.
async fn fetch(broker: &Broker, call: &Call, sent: &Deposited) -> Result<String, String> {
    let delegation = call.headers.get(DELEGATION).ok_or("no delegation was sent")?;
    let mut request = EgressRequest::get(&sent.agreement)
        .header(ACCEPT, HeaderValue::from_static("text/turtle"))
        .header(DELEGATION, delegation.clone())
        .bytes_max(DOCUMENT_BYTES_MAX)
        .time_max(Duration::from_secs(broker.config.catalog.catalog_seconds_max));
    let now = broker.clock.unix();
    broker
        .key
        .authorize(
            &mut request.headers,
            &Method::GET,
            &sent.agreement,
            &sent.access_token,
            now,
            &*broker.random,
        )
        .map_err(|error| error.to_string())?;
    let response = broker.egress.fetch(request).await.map_err(|error| error.to_string())?;
    if response.status != StatusCode::OK || response.media_type() != "text/turtle" {
        return Err(format!("status {}", response.status));
    }
    String::from_utf8(response.body.to_vec()).map_err(|_| "not text".to_owned())
}

fn claims(token: &str) -> Option<Claims> {
    let payload = token.split('.').nth(1)?;
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()
}

/// Runs something that waits for the disk.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, server_kit::problem::Problem> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| error::internal(&error))
}
