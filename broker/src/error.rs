//! Problems as the broker tells them (RFC 9457), and the one place where failures become responses (ARCHITECTURE invariant 12).

use http::header::{ALLOW, HeaderValue};
use http::{Response, StatusCode};
use server_kit::body::Body;
use server_kit::problem::Problem;

/// What a handler gives back.
pub type Answer = Result<Response<Body>, Problem>;

/// 400.
#[must_use]
pub fn bad_request(kind: &'static str, detail: impl Into<String>) -> Problem {
    Problem::bad_request(kind, "The request cannot be understood").detail(detail)
}

/// 403.
#[must_use]
pub fn forbidden(kind: &'static str, detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::FORBIDDEN, kind, "Not agreed").detail(detail)
}

/// 404.
#[must_use]
pub fn not_found(detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "not-found", "Nothing here").detail(detail)
}

/// 405.
#[must_use]
pub fn method_not_allowed(allowed: &'static str) -> Problem {
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method-not-allowed",
        "Method not allowed",
    )
    .detail(format!("use {allowed}"))
    .header(ALLOW, HeaderValue::from_static(allowed))
}

/// 406.
#[must_use]
pub fn not_acceptable(offered: &str) -> Problem {
    Problem::new(StatusCode::NOT_ACCEPTABLE, "not-acceptable", "No such representation")
        .detail(format!("ask for one of {offered}"))
}

/// 422.
#[must_use]
pub fn unprocessable(kind: &'static str, detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, kind, "Understood, but not possible").detail(detail)
}

/// 500; the cause goes to the log only.
pub fn internal(cause: &dyn std::fmt::Display) -> Problem {
    tracing::error!(%cause, "the broker failed");
    Problem::internal()
}
