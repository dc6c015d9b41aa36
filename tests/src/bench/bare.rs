//! The baseline: a hyper server that does nothing but return the same head and the same bytes each time.

use std::convert::Infallible;
use std::net::SocketAddr;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};

/// An answer to repeat.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Answer {
    /// Status.
    pub status: u16,
    /// Header fields.
    pub headers: Vec<(String, String)>,
    /// Body.
    pub body: Vec<u8>,
}

/// Serves the answer on a loopback address until the process ends.
///
/// # Errors
/// When the address cannot be had.
pub async fn serve(address: SocketAddr, answer: Answer) -> std::io::Result<()> {
    let listener = tokio::net::TcpListener::bind(address).await?;
    let mut template = Response::new(());
    *template.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
    for (name, value) in &answer.headers {
        // The server sets these itself.
        if matches!(
            name.as_str(),
            "date" | "content-length" | "transfer-encoding" | "connection"
        ) {
            continue;
        }
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            template.headers_mut().append(name, value);
        }
    }
    let body = Bytes::from(answer.body);
    loop {
        let (stream, _) = listener.accept().await?;
        let _ = stream.set_nodelay(true);
        let (template, body) = (template.clone(), body.clone());
        tokio::spawn(async move {
            let service = service_fn(move |request: Request<Incoming>| {
                let (template, body) = (template.clone(), body.clone());
                async move {
                    // A body is read and thrown away, as any server has to.
                    let _ = request.into_body().collect().await;
                    Ok::<_, Infallible>(template.map(|()| Full::new(body)))
                }
            });
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}
