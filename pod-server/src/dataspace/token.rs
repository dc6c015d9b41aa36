//! Agreement tokens: short-lived proof, bound to the consumer's key, that a query comes under an agreement.
//!
//! A token is never a decision: every query asks the store anew, so an agreement that ended makes its tokens worthless.

use policies::audit::AuditAction;
use policies::contract::AgreementState;
use policies::facts::{Fact, FactRequest, Facts};
use policies::request::{AccessRequest, Action, Subject};
use policies::{Response, decide};
use serde::Serialize;
use server_kit::problem::Problem;

use super::agreement::{self, Agreement};
use super::api::Dataspace;
use super::edge::{self, Call};
use super::exchange;
use crate::audit::Event;
use crate::store::Storage;

/// The answer of the token endpoint (RFC 6749 §5.1).
#[derive(Clone, Debug, Serialize)]
pub struct TokenResponse {
    /// The token.
    pub access_token: String,
    /// Always `DPoP`.
    pub token_type: &'static str,
    /// Seconds for which it counts.
    pub expires_in: i64,
    /// The agreement.
    pub agreement: String,
}

/// Issues a token to the assignee of an agreement. The first token is also the consumer's verification of it.
///
/// # Errors
/// 401 without a key to bind to, 404 for strangers, 409 for an agreement that has ended, 403 when it permits nothing
/// now.
pub async fn issue(dataspace: &Dataspace, call: &Call, storage: &Storage, iri: &str) -> Result<TokenResponse, Problem> {
    let node = &dataspace.node;
    let caller = call.web_id()?.as_str().to_owned();
    let jkt = call.credentials.jkt.clone().ok_or_else(edge::unauthenticated)?;
    let verified = {
        let (iri, caller, storage_id) = (iri.to_owned(), caller.clone(), storage.id);
        node.commit(move |node, transaction| exchange::verify(node, transaction, &iri, storage_id, &caller))
            .await
    };
    let agreement = match verified {
        Ok(agreement) => agreement,
        Err(problem) => return Err(refused(dataspace, storage, &caller, iri, problem).await),
    };
    if agreement.state != AgreementState::Active {
        let problem = edge::conflict(
            "agreement-not-active",
            format!("the agreement is {}", agreement.state.as_str()),
        );
        return Err(refused(dataspace, storage, &caller, iri, problem).await);
    }
    let seconds = match seconds_left(dataspace, call, &agreement) {
        Ok(seconds) => seconds,
        Err(problem) => return Err(refused(dataspace, storage, &caller, iri, problem).await),
    };
    let now = node.clock.unix();
    let claims = serde_json::json!({
        "iss": dataspace.issuer.issuer(),
        "aud": node.origins.base_url(),
        "sub": caller,
        "webid": caller,
        "agreement": agreement.iri,
        "client_id": call.credentials.client,
        "iat": now,
        "exp": now.saturating_add(seconds),
        "jti": node.random.uuid(),
        "cnf": { "jkt": jkt },
    });
    let access_token = dataspace.issuer.sign(&claims).map_err(|error| {
        tracing::error!(%error, "an agreement token could not be signed");
        Problem::internal()
    })?;
    let event = Event::done(AuditAction::Token, &caller, storage.id)
        .on(&agreement.iri)
        .purpose(&agreement.purpose)
        .under(Some(&agreement.iri));
    node.note(event).await?;
    Ok(TokenResponse {
        access_token,
        token_type: "DPoP",
        expires_in: seconds,
        agreement: agreement.iri,
    })
}

/// Records a refusal and gives the problem back.
async fn refused(dataspace: &Dataspace, storage: &Storage, caller: &str, iri: &str, problem: Problem) -> Problem {
    let reasons = edge::reasons_of(&problem);
    let event = Event::refused(AuditAction::Token, Some(caller), storage.id, reasons)
        .on(iri)
        .under(Some(iri));
    match dataspace.node.note(event).await {
        Ok(_) => problem,
        Err(failure) => failure,
    }
}

/// How long a token may count: the configured time, and never beyond the moment at which the agreement's own
/// constraints stop to permit its purpose.
fn seconds_left(dataspace: &Dataspace, call: &Call, agreement: &Agreement) -> Result<i64, Problem> {
    let node = &dataspace.node;
    let now = node.clock.now();
    let snapshot = node.snapshot()?;
    let mut facts = Facts::new().with(FactRequest::Purposes, Fact::Absent);
    for (request, fact) in agreement::facts(&*snapshot, &node.origins, &agreement.iri) {
        facts.insert(request, fact);
    }
    let request = AccessRequest {
        subject: Subject {
            agent: call.credentials.agent.clone(),
            client: call.credentials.client.clone(),
            ..Subject::public()
        },
        action: Action::Query,
        resource: agreement.dataset.clone(),
        purpose: Some(agreement.purpose.clone()),
        now,
        agreement: Some(agreement.iri.clone()),
    };
    let decision = match decide(&request, &facts) {
        Response::Decided(decision) => decision,
        Response::NeedsFacts(lacking) => {
            tracing::error!(?lacking, "a decision about an agreement lacks facts");
            return Err(Problem::internal());
        }
    };
    if !decision.permits() {
        return Err(edge::explained(
            edge::forbidden("the agreement does not permit its purpose now"),
            &decision,
        ));
    }
    let left = decision
        .valid_until
        .map_or(i64::MAX, |until| (until - now).whole_seconds());
    Ok(dataspace.config.token_seconds.min(left).max(1))
}
