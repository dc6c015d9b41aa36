//! Pages as HTTP responses, with the headers that keep them to themselves.
//!
//! Nothing of a page is cached, framed, or shared with another origin (T103, T120, T121). No script runs but the one for
//! passkeys, by its own address, on the two pages that need it.

use super::Body;
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, LOCATION, REFERRER_POLICY, VARY};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use maud::Markup;

use super::layout::layout;
use super::visit::Visit;

/// A page on its way out.
#[derive(Debug)]
pub struct Page<'a> {
    /// HTTP status.
    pub status: StatusCode,
    /// Heading.
    pub title: String,
    /// What comes below the heading.
    pub content: Markup,
    /// An origin outside the console to which a form of this page may lead by redirect; for the login of an application.
    pub form_target: Option<&'a str>,
    /// The script that the page runs, if any.
    pub script: Option<Script<'a>>,
}

/// The one script, as a page's policy allows it.
#[derive(Clone, Copy, Debug)]
pub struct Script<'a> {
    /// Origin of the console, with a closing slash.
    pub origin: &'a str,
    /// The one path that it may ask.
    pub asks: &'a str,
}

impl Page<'_> {
    /// A page with status 200.
    #[must_use]
    pub fn new(title: String, content: Markup) -> Self {
        Self {
            status: StatusCode::OK,
            title,
            content,
            form_target: None,
            script: None,
        }
    }

    /// The same page with another status.
    #[must_use]
    pub fn status(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }

    /// The response to a visit.
    #[must_use]
    pub fn respond(self, visit: &Visit) -> Response<Body> {
        let html = layout(visit, &self.title, &self.content).into_string();
        let mut response = respond(self.status, "text/html; charset=utf-8", html);
        let headers = response.headers_mut();
        protect(headers, self.form_target);
        if let Some(script) = &self.script {
            allow(headers, script);
        }
        if let Ok(language) = HeaderValue::from_str(visit.language.tag()) {
            headers.insert(http::header::CONTENT_LANGUAGE, language);
        }
        headers.insert(VARY, HeaderValue::from_static("Accept-Language, Cookie"));
        visit.finish(headers);
        response
    }
}

/// Sends the browser to another page with GET (303).
#[must_use]
pub fn see_other(visit: &Visit, target: &str) -> Response<Body> {
    redirect(Some(visit), StatusCode::SEE_OTHER, target)
}

/// A redirect with any status. A target that cannot stand in a header is answered with 400.
#[must_use]
pub fn redirect(visit: Option<&Visit>, status: StatusCode, target: &str) -> Response<Body> {
    let Ok(location) = HeaderValue::from_str(target) else {
        return respond(
            StatusCode::BAD_REQUEST,
            "text/plain; charset=utf-8",
            "the address to go to is malformed",
        );
    };
    let mut response = respond(status, "text/plain; charset=utf-8", "");
    response.headers_mut().insert(LOCATION, location);
    protect(response.headers_mut(), None);
    if let Some(visit) = visit {
        visit.finish(response.headers_mut());
    }
    response
}

/// Any response with a whole body.
#[must_use]
pub fn respond(status: StatusCode, media_type: &'static str, body: impl Into<Bytes>) -> Response<Body> {
    let bytes = body.into();
    let length = HeaderValue::from(bytes.len());
    let mut response = Response::new(Full::new(bytes).map_err(|never| match never {}).boxed_unsync());
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    response.headers_mut().insert(CONTENT_LENGTH, length);
    response
}

/// Adds the script to what a page's policy allows.
fn allow(headers: &mut HeaderMap, script: &Script<'_>) {
    let origin = script.origin.trim_end_matches('/');
    let more = format!(
        "; script-src {origin}{}; connect-src {origin}{}",
        super::security::SCRIPT,
        script.asks
    );
    let policy = headers
        .get(http::header::CONTENT_SECURITY_POLICY)
        .and_then(|policy| policy.to_str().ok());
    if let Ok(policy) = HeaderValue::from_str(&format!("{}{more}", policy.unwrap_or_default())) {
        headers.insert(http::header::CONTENT_SECURITY_POLICY, policy);
    }
}

/// The headers that every page and redirect of the console carries.
pub fn protect(headers: &mut HeaderMap, form_target: Option<&str>) {
    let policy = format!(
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'{}{}; base-uri 'none'; frame-ancestors 'none'",
        if form_target.is_some() { " " } else { "" },
        form_target.unwrap_or_default(),
    );
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        headers.insert(http::header::CONTENT_SECURITY_POLICY, policy);
    }
    for (name, value) in [
        (CACHE_CONTROL, "no-store"),
        (REFERRER_POLICY, "no-referrer"),
        (http::header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (http::header::X_FRAME_OPTIONS, "DENY"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-embedder-policy"), "require-corp"),
        (
            HeaderName::from_static("permissions-policy"),
            "camera=(), geolocation=(), microphone=()",
        ),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
}
