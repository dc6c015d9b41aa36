//! The operator's listener: `/health/live`, `/health/ready`, `/metrics`. It belongs on loopback or a private line.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;

use super::Metrics;
use crate::body::{self, Body};
use crate::problem::Problem;
use crate::serve::{Handler, Peer};

/// Tells whether the server can serve now; the error says why not.
pub type Readiness = Arc<dyn Fn() -> BoxFuture<'static, Result<(), String>> + Send + Sync>;

/// The handler of the operator's listener.
pub fn admin_handler(metrics: Metrics, readiness: Readiness) -> Handler {
    Arc::new(move |request: Request<Incoming>, _peer: Peer| {
        let (metrics, readiness) = (metrics.clone(), Arc::clone(&readiness));
        async move { answer(request.method(), request.uri().path(), &metrics, &readiness).await }.boxed()
    })
}

async fn answer(method: &Method, path: &str, metrics: &Metrics, readiness: &Readiness) -> Response<Body> {
    if !matches!(path, "/health/live" | "/health/ready" | "/metrics") {
        return Problem::new(StatusCode::NOT_FOUND, "not-found", "Nothing here")
            .detail("this listener has `/health/live`, `/health/ready` and `/metrics`")
            .into_response();
    }
    if method != Method::GET && method != Method::HEAD {
        return Problem::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "method-not-allowed",
            "Method not allowed",
        )
        .detail("use GET or HEAD")
        .header(ALLOW, HeaderValue::from_static("GET, HEAD"))
        .into_response();
    }
    match path {
        "/metrics" => text("text/plain; version=0.0.4; charset=utf-8", metrics.render()),
        "/health/ready" => match readiness().await {
            Ok(()) => text("text/plain; charset=utf-8", "ready\n".to_owned()),
            Err(reason) => Problem::unavailable(reason, 1).into_response(),
        },
        _ => text("text/plain; charset=utf-8", "live\n".to_owned()),
    }
}

fn text(media_type: &'static str, content: String) -> Response<Body> {
    let mut response = Response::new(body::full(content));
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
