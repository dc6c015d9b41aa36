//! The style sheet, embedded in the program.

use super::Body;
use http::header::{CACHE_CONTROL, ETAG, IF_NONE_MATCH};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use sha2::{Digest, Sha256};

use super::response::respond;

/// The style sheet's text.
pub const STYLE: &str = include_str!("style.css");

/// Answers a request for the style sheet; it is public and may be kept for an hour.
#[must_use]
pub fn style(request: &HeaderMap) -> Response<Body> {
    let digest = hex::encode(Sha256::digest(STYLE.as_bytes()));
    let tag = format!("\"{}\"", digest.get(..16).unwrap_or_default());
    let known = request
        .get(IF_NONE_MATCH)
        .is_some_and(|field| field.as_bytes() == tag.as_bytes());
    let mut response = if known {
        respond(StatusCode::NOT_MODIFIED, "text/css; charset=utf-8", "")
    } else {
        respond(StatusCode::OK, "text/css; charset=utf-8", STYLE)
    };
    let headers = response.headers_mut();
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        headers.insert(ETAG, tag);
    }
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=3600"));
    headers.insert(
        http::header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    response
}
