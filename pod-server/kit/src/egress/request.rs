//! One outgoing request and its answer.

use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, COOKIE, HeaderName, HeaderValue};
use http::{HeaderMap, Method, StatusCode};

/// What to do when the remote redirects. Only GET and HEAD are ever redirected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Redirects {
    /// The redirect is the answer.
    None,
    /// Follow at most this many, within the origin of the first URL; another origin is an error.
    SameOrigin(u8),
    /// Follow at most this many, each checked anew; another origin is an error when the request carries credentials.
    Any(u8),
}

/// A request to be sent through the guard.
#[derive(Clone, Debug)]
pub struct EgressRequest {
    /// Method.
    pub method: Method,
    /// Absolute URL.
    pub url: String,
    /// Header fields.
    pub headers: HeaderMap,
    /// Body.
    pub body: Bytes,
    /// Redirect policy; none by default.
    pub redirects: Redirects,
    /// Most bytes of the answer, instead of the configured limit.
    pub response_bytes_max: Option<u64>,
    /// Longest time, instead of the configured one if shorter.
    pub time_max: Option<Duration>,
    /// Whether somebody who has not proved anything chose the URL: such requests have a smaller share, so that nobody can use
    /// this server to knock at another, or keep it from its own business.
    pub for_stranger: bool,
}

impl EgressRequest {
    /// A request without header fields and body.
    pub fn new(method: Method, url: impl Into<String>) -> Self {
        Self {
            method,
            url: url.into(),
            headers: HeaderMap::new(),
            body: Bytes::new(),
            redirects: Redirects::None,
            response_bytes_max: None,
            time_max: None,
            for_stranger: false,
        }
    }

    /// A GET request.
    pub fn get(url: impl Into<String>) -> Self {
        Self::new(Method::GET, url)
    }

    /// A POST request with a body.
    pub fn post(url: impl Into<String>, media_type: HeaderValue, body: impl Into<Bytes>) -> Self {
        let mut request = Self::new(Method::POST, url).header(http::header::CONTENT_TYPE, media_type);
        request.body = body.into();
        request
    }

    /// Sets a header field.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// Sets the redirect policy.
    #[must_use]
    pub fn redirects(mut self, redirects: Redirects) -> Self {
        self.redirects = redirects;
        self
    }

    /// Bounds the answer's bytes.
    #[must_use]
    pub fn bytes_max(mut self, bytes: u64) -> Self {
        self.response_bytes_max = Some(bytes);
        self
    }

    /// Bounds the whole exchange's time.
    #[must_use]
    pub fn time_max(mut self, time: Duration) -> Self {
        self.time_max = Some(time);
        self
    }

    /// Says that somebody who has not proved anything chose the URL.
    #[must_use]
    pub fn for_stranger(mut self) -> Self {
        self.for_stranger = true;
        self
    }

    /// Whether a header field proves an identity.
    pub(super) fn has_credentials(&self) -> bool {
        let credentials = ["dpop", "delegation", "proxy-authorization", "x-api-key"];
        self.headers.contains_key(AUTHORIZATION)
            || self.headers.contains_key(COOKIE)
            || credentials.iter().any(|name| self.headers.contains_key(*name))
    }
}

/// A complete answer.
#[derive(Clone, Debug)]
pub struct EgressResponse {
    /// Status.
    pub status: StatusCode,
    /// Header fields.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
    /// The URL that answered, after redirects.
    pub url: String,
}

impl EgressResponse {
    /// The media type without parameters, lower case; empty when none was sent.
    pub fn media_type(&self) -> String {
        let value = self
            .headers
            .get(http::header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .unwrap_or("");
        value.split(';').next().unwrap_or("").trim().to_ascii_lowercase()
    }
}
