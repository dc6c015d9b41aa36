//! Problem details for HTTP (RFC 9457).
//!
//! Every error that leaves a server is a [`Problem`]: its status, its type, what went wrong and where, and what to do about
//! it. A problem never carries an internal error text, a path of this machine or a secret.

use std::borrow::Cow;

use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use http::{HeaderMap, Response, StatusCode};
use serde_json::{Map, Value};

use crate::body::{self, Body};

/// Types of problems are this IRI with their kind appended.
pub const TYPE_BASE: &str = "https://w3id.org/meent/problem/";

/// The media type of a problem (RFC 9457 §6.1).
pub const MEDIA_TYPE: &str = "application/problem+json";

/// One problem, told to the caller (RFC 9457 §3).
#[derive(Clone, Debug)]
pub struct Problem {
    /// HTTP status.
    pub status: StatusCode,
    /// Last path part of the type IRI, in kebab case.
    pub kind: &'static str,
    /// Short summary of the kind; does not change from case to case.
    pub title: Cow<'static, str>,
    /// What happened here and what the caller can do.
    pub detail: String,
    /// IRI of what it happened to.
    pub instance: Option<String>,
    /// Extension members.
    pub extra: Map<String, Value>,
    /// Further response headers.
    pub headers: HeaderMap,
}

impl Problem {
    /// A problem with a status, a kind and a title.
    pub fn new(status: StatusCode, kind: &'static str, title: impl Into<Cow<'static, str>>) -> Self {
        Self {
            status,
            kind,
            title: title.into(),
            detail: String::new(),
            instance: None,
            extra: Map::new(),
            headers: HeaderMap::new(),
        }
    }

    /// 400 with a detail.
    pub fn bad_request(kind: &'static str, title: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, kind, title)
    }

    /// 500: our own fault. The cause goes to the log, never into the answer.
    pub fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "The server failed")
            .detail("the failure is ours and was logged; the same request may succeed later")
    }

    /// 503 with `Retry-After` in seconds.
    pub fn unavailable(detail: impl Into<String>, retry_after_seconds: u32) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Not available now")
            .detail(detail)
            .header(RETRY_AFTER, HeaderValue::from(retry_after_seconds))
    }

    /// Says what happened and what to do.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = detail.into();
        self
    }

    /// Says to what it happened.
    #[must_use]
    pub fn instance(mut self, iri: impl Into<String>) -> Self {
        self.instance = Some(iri.into());
        self
    }

    /// Adds an extension member (RFC 9457 §3.2).
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.extra.insert(name.to_owned(), value.into());
        self
    }

    /// Adds a response header.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.append(name, value);
        self
    }

    /// The JSON object of this problem.
    pub fn to_json(&self) -> Value {
        let mut object = Map::new();
        object.insert("type".into(), format!("{TYPE_BASE}{}", self.kind).into());
        object.insert("title".into(), self.title.as_ref().into());
        object.insert("status".into(), self.status.as_u16().into());
        if !self.detail.is_empty() {
            object.insert("detail".into(), self.detail.as_str().into());
        }
        if let Some(instance) = &self.instance {
            object.insert("instance".into(), instance.as_str().into());
        }
        for (name, value) in &self.extra {
            object.entry(name.clone()).or_insert_with(|| value.clone());
        }
        Value::Object(object)
    }

    /// The response: JSON body, never stored by caches.
    pub fn into_response(self) -> Response<Body> {
        let bytes = self.to_json().to_string().into_bytes();
        let mut response = Response::new(Body::default());
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        headers.insert(CONTENT_LENGTH, HeaderValue::from(bytes.len()));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        for (name, value) in &self.headers {
            headers.append(name, value.clone());
        }
        *response.body_mut() = body::full(bytes);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_of_the_problem_win_over_extensions() {
        let problem = Problem::bad_request("malformed-rdf", "The RDF is malformed")
            .detail("line 3, column 5: unexpected `;`")
            .with("line", 3)
            .with("status", 200);
        let json = problem.to_json();
        assert_eq!(json["type"], "https://w3id.org/meent/problem/malformed-rdf");
        assert_eq!(json["status"], 400);
        assert_eq!(json["line"], 3);
        let response = problem.into_response();
        assert_eq!(response.headers()[CONTENT_TYPE], MEDIA_TYPE);
    }
}
