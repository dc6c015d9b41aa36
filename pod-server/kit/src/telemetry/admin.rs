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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    use super::*;
    use crate::serve::ServeLimits;
    use crate::test_network::TestNetwork;

    #[tokio::test(flavor = "multi_thread")]
    async fn health_follows_the_server_and_metrics_are_rendered() {
        let metrics = Metrics::install().unwrap();
        metrics::counter!("admin_test_total").increment(3);
        let ready = Arc::new(AtomicBool::new(false));
        let asked = Arc::clone(&ready);
        let readiness: Readiness = Arc::new(move || {
            let ready = asked.load(Ordering::SeqCst);
            async move {
                if ready {
                    Ok(())
                } else {
                    Err("the index is catching up".to_owned())
                }
            }
            .boxed()
        });
        let handler = admin_handler(metrics, readiness);
        let (address, _shutdown) = TestNetwork::new().start(handler, None, ServeLimits::default()).await;
        let ask = |line: &'static str| async move {
            let mut stream = TcpStream::connect(address).await.unwrap();
            let head = format!("{line} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
            stream.write_all(head.as_bytes()).await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            answer
        };
        assert!(ask("GET /health/live").await.starts_with("HTTP/1.1 200"));
        let waiting = ask("GET /health/ready").await;
        assert!(
            waiting.starts_with("HTTP/1.1 503") && waiting.contains("catching up"),
            "{waiting}"
        );
        ready.store(true, Ordering::SeqCst);
        assert!(ask("GET /health/ready").await.starts_with("HTTP/1.1 200"));
        let metrics = ask("GET /metrics").await;
        assert!(metrics.contains("admin_test_total 3"), "{metrics}");
        assert!(ask("GET /other").await.starts_with("HTTP/1.1 404"));
        assert!(ask("POST /metrics").await.starts_with("HTTP/1.1 405"));
    }
}
