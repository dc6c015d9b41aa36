//! What every call on the dataspace, consent and log interfaces has in common: the request after authentication, who
//! may see what, and the problems that callers are told (RFC 9457).
//!
//! It never says that something exists to a caller who may not see it: strangers get the 404 of a thing that is not
//! there.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use policies::decision::{Decision, ReasonCode};
use policies::request::{Agent, WebId};
use serde::Serialize;
use server_kit::authn::Credentials;
use server_kit::body::{self, Body};
use server_kit::problem::Problem;

use super::dataset::Fault;
use super::graph::{GraphError, Syntax};
use crate::store::{CommitError, StoreError};

/// A request after authentication, with its whole body.
#[derive(Clone, Debug)]
pub struct Call {
    /// Method.
    pub method: Method,
    /// Path below the server's root, with the storage in front whatever origin it was asked on.
    pub path: String,
    /// IRI of what was asked.
    pub iri: String,
    /// Query string without the question mark.
    pub query: Option<String>,
    /// Headers.
    pub headers: HeaderMap,
    /// The body, at most `body_bytes_max` of the dataspace configuration.
    pub body: Bytes,
    /// Who calls.
    pub credentials: Credentials,
}

/// What a call gets.
pub type Answer = Result<Response<Body>, Problem>;

impl Call {
    /// The WebID of the caller.
    ///
    /// # Errors
    /// 401 for a caller without credentials; 403 for one whose token is bound to an agreement, because such a token is for
    /// queries under that agreement and for nothing else.
    pub fn web_id(&self) -> Result<&WebId, Problem> {
        if self.credentials.grant.is_some() {
            return Err(forbidden("a token that is bound to an agreement is for queries only"));
        }
        match &self.credentials.agent {
            Agent::Authenticated(web_id) => Ok(web_id),
            Agent::Public => Err(unauthenticated()),
        }
    }

    /// The WebID of the caller who wants to read one agreement: as [`web_id`](Self::web_id), and also the holder of a
    /// token that is bound to this very agreement, so that a broker can read what it acts under.
    ///
    /// # Errors
    /// As [`web_id`](Self::web_id).
    pub fn reader_of(&self, agreement: &str) -> Result<&WebId, Problem> {
        match (&self.credentials.grant, &self.credentials.agent) {
            (Some(grant), Agent::Authenticated(web_id)) if grant.agreement == agreement => Ok(web_id),
            _ => self.web_id(),
        }
    }

    /// The value of a query parameter.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<String> {
        form_urlencoded::parse(self.query.as_deref().unwrap_or("").as_bytes())
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.into_owned())
    }

    /// The body as JSON of a known shape.
    ///
    /// # Errors
    /// 415 for another media type, 400 with line and column for malformed JSON, 422 for another shape.
    pub fn json<T: serde::de::DeserializeOwned>(&self) -> Result<T, Problem> {
        let media_type = self
            .headers
            .get(header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .ok_or_else(|| {
                Problem::bad_request("no-media-type", "The request has no media type")
                    .detail("the request has no `Content-Type`; send `application/json`")
            })?;
        let essence = media_type.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
        if essence != "application/json" && essence != "application/ld+json" {
            return Err(unsupported_media_type(&essence, "application/json"));
        }
        serde_json::from_slice(&self.body).map_err(|error| {
            let (status, kind, title) = if error.is_data() {
                (
                    StatusCode::UNPROCESSABLE_ENTITY,
                    "invalid-json",
                    "The JSON does not have the expected shape",
                )
            } else {
                (StatusCode::BAD_REQUEST, "malformed-json", "The JSON is malformed")
            };
            Problem::new(status, kind, title)
                .detail(error.to_string())
                .with("line", error.line())
                .with("column", error.column())
        })
    }
}

/// 401 with the challenge of RFC 9449 §7.1.
#[must_use]
pub fn unauthenticated() -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, "unauthenticated", "Credentials are needed")
        .detail("send a DPoP-bound access token (`Authorization: DPoP …`) and a `DPoP` proof")
        .header(
            header::WWW_AUTHENTICATE,
            HeaderValue::from_static("DPoP algs=\"ES256 EdDSA RS256\""),
        )
}

/// 403 for a caller who may know that the thing exists.
#[must_use]
pub fn forbidden(detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::FORBIDDEN, "forbidden", "This is not allowed").detail(detail)
}

/// 404, also for those who may not know.
#[must_use]
pub fn not_found(path: &str) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "not-found", "There is nothing here")
        .detail(format!("nothing is known under `{path}`, or you may not know of it"))
}

/// 409 with a reason.
#[must_use]
pub fn conflict(kind: &'static str, detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::CONFLICT, kind, "The present state does not allow this").detail(detail)
}

/// 422 with a reason.
#[must_use]
pub fn unprocessable(kind: &'static str, detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, kind, "The content breaks a rule").detail(detail)
}

/// 405 with the methods that exist.
#[must_use]
pub fn method_not_allowed(method: &Method, allow: &'static str) -> Problem {
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method-not-allowed",
        "This method does nothing here",
    )
    .detail(format!("`{method}` is not defined here; use {allow}"))
    .header(header::ALLOW, HeaderValue::from_static(allow))
}

/// 406 for a request that accepts neither Turtle nor JSON-LD.
#[must_use]
pub fn not_acceptable() -> Problem {
    Problem::new(
        StatusCode::NOT_ACCEPTABLE,
        "not-acceptable",
        "No acceptable representation",
    )
    .detail("this exists as `text/turtle` and as `application/ld+json`")
}

/// 415 with what would be right.
#[must_use]
pub fn unsupported_media_type(given: &str, wanted: &str) -> Problem {
    Problem::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "unsupported-media-type",
        "This media type cannot be read here",
    )
    .detail(format!("`{given}` cannot be read here; send `{wanted}`"))
}

/// Adds the reasons of a decision to a problem, as codes that programs understand.
#[must_use]
pub fn explained(problem: Problem, decision: &Decision) -> Problem {
    let reasons: Vec<_> = decision
        .reasons
        .iter()
        .map(|reason| serde_json::json!({ "code": reason.code, "about": reason.about }))
        .collect();
    problem.with("reasons", serde_json::Value::Array(reasons))
}

/// The reasons of a refusal for the audit log: those that the problem carries, or the one that its kind stands for.
#[must_use]
pub fn reasons_of(problem: &Problem) -> Vec<ReasonCode> {
    let carried: Vec<ReasonCode> = problem
        .extra
        .get("reasons")
        .and_then(serde_json::Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|reason| serde_json::from_value(reason.get("code")?.clone()).ok())
        .collect();
    if !carried.is_empty() {
        return carried;
    }
    vec![match problem.kind {
        "agreement-not-active" => ReasonCode::AgreementNotActive,
        "not-found" => ReasonCode::AgreementMissing,
        "unknown-offer" | "offer-missing" | "invalid-description" => ReasonCode::PolicyInvalid,
        "invalid-purpose" => ReasonCode::PurposeMissing,
        "own-dataset" | "step-not-allowed" => ReasonCode::ActionNotPermitted,
        _ => ReasonCode::FactUnavailable,
    }]
}

/// The problem of a failing store: ours, and worth another attempt.
#[must_use]
pub fn store_problem(error: &StoreError) -> Problem {
    match error {
        StoreError::Stopped => Problem::unavailable("the server is stopping or cannot write; nothing was changed", 5),
        StoreError::Full(what) => {
            tracing::error!(%what, "the store is full");
            Problem::new(
                StatusCode::INSUFFICIENT_STORAGE,
                "insufficient-storage",
                "There is no room left",
            )
            .detail("nothing was changed")
        }
        other => {
            tracing::error!(error = ?other, "the store failed");
            Problem::internal()
        }
    }
}

/// The problem of a commit that did not happen.
#[must_use]
pub fn commit_problem(error: CommitError<Problem>) -> Problem {
    match error {
        CommitError::Refused(problem) => problem,
        CommitError::Store(error) => store_problem(&error),
    }
}

/// The problem of a document that is not RDF.
#[must_use]
pub fn graph_problem(error: &GraphError) -> Problem {
    match error {
        GraphError::NoMediaType => {
            Problem::bad_request("no-media-type", "The request has no media type").detail(error.to_string())
        }
        GraphError::MediaType(given) => unsupported_media_type(given, "text/turtle"),
        GraphError::Syntax { line, column, .. } => Problem::bad_request("malformed-rdf", "The RDF is malformed")
            .detail(error.to_string())
            .with("line", *line)
            .with("column", *column),
        GraphError::TooLarge(_) => {
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", "The document is too large")
                .detail(error.to_string())
        }
        GraphError::Base(_) => Problem::internal(),
    }
}

/// 422 with every fault and its place.
#[must_use]
pub fn faults_problem(faults: &[Fault]) -> Problem {
    let first = faults.first().map_or_else(String::new, |fault| match &fault.path {
        Some(path) => format!("`{path}`: {}", fault.message),
        None => fault.message.clone(),
    });
    unprocessable("invalid-description", first).with("faults", serde_json::to_value(faults).unwrap_or_default())
}

/// A JSON answer that no cache keeps.
///
/// # Errors
/// 500 if the value cannot be written, which the types used here exclude.
pub fn json<T: Serialize>(status: StatusCode, value: &T) -> Answer {
    let bytes = serde_json::to_vec(value).map_err(|error| {
        tracing::error!(%error, "an answer could not be written");
        Problem::internal()
    })?;
    respond(status, "application/json", bytes)
}

/// An answer with bytes of a media type that no cache keeps.
///
/// # Errors
/// None in practice: the headers are constants.
pub fn respond(status: StatusCode, media_type: &'static str, bytes: Vec<u8>) -> Answer {
    let mut response = Response::new(Body::default());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(bytes.len()));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    *response.body_mut() = body::full(bytes);
    Ok(response)
}

/// An answer that caches may keep and must revalidate: 304 when the caller has it already (RFC 9110 §13.1.2).
#[must_use]
pub fn revalidated(call: &Call, syntax: Syntax, bytes: Vec<u8>) -> Response<Body> {
    use sha2::{Digest, Sha256};
    let digest = Sha256::digest(&bytes);
    let tag = format!(
        "\"{}-{}\"",
        hex::encode(digest.get(..12).unwrap_or(&digest)),
        syntax.suffix()
    );
    let known = call.headers.get_all(header::IF_NONE_MATCH).iter().any(|value| {
        value.to_str().is_ok_and(|list| {
            list.split(',')
                .map(str::trim)
                .any(|item| item == "*" || item.strip_prefix("W/").unwrap_or(item) == tag)
        })
    });
    let mut response = Response::new(Body::default());
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(header::VARY, HeaderValue::from_static("Accept"));
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        headers.insert(header::ETAG, tag);
    }
    if known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        return response;
    }
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(syntax.media_type()));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(bytes.len()));
    if call.method != Method::HEAD {
        *response.body_mut() = body::full(bytes);
    }
    response
}

/// A `Location` header.
#[must_use]
pub fn located(mut response: Response<Body>, iri: &str) -> Response<Body> {
    if let Ok(value) = HeaderValue::from_str(iri) {
        response.headers_mut().insert(header::LOCATION, value);
    }
    response
}
