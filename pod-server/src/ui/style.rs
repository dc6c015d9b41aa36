//! The style sheet and the one script, embedded in the program.

use super::Body;
use http::header::{CACHE_CONTROL, ETAG, IF_NONE_MATCH};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use sha2::{Digest, Sha256};

use super::response::respond;

/// The style sheet's text.
pub const STYLE: &str = include_str!("style.css");

/// The script's text.
pub const SCRIPT: &str = include_str!("passkey.js");

/// Answers a request for the style sheet or the script; they are public and may be kept for an hour.
#[must_use]
pub fn asset(path: &str, request: &HeaderMap) -> Response<Body> {
    let (text, media_type) = if path == super::security::SCRIPT {
        (SCRIPT, "text/javascript; charset=utf-8")
    } else {
        (STYLE, "text/css; charset=utf-8")
    };
    let digest = hex::encode(Sha256::digest(text.as_bytes()));
    let tag = format!("\"{}\"", digest.get(..16).unwrap_or_default());
    let known = request
        .get(IF_NONE_MATCH)
        .is_some_and(|field| field.as_bytes() == tag.as_bytes());
    let mut response = if known {
        respond(StatusCode::NOT_MODIFIED, media_type, "")
    } else {
        respond(StatusCode::OK, media_type, text)
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
