//! The baseline: a hyper server that does nothing but return the same head and the same bytes each time.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use server_kit::body::{self, Body};
use server_kit::tls::{ReloadingCertificate, TlsConfig, server_config};
use tokio::io::AsyncWriteExt;
use tokio_rustls::TlsAcceptor;

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

/// Serves the answer on a loopback address until the process ends; over TLS with a certificate and its key (PEM files).
///
/// # Errors
/// When the address or the certificate cannot be had.
pub async fn serve(
    address: SocketAddr,
    answer: Answer,
    certificate: Option<(PathBuf, PathBuf)>,
) -> std::io::Result<()> {
    let acceptor = certificate.map(acceptor).transpose()?;
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
        let (template, body, acceptor) = (template.clone(), body.clone(), acceptor.clone());
        tokio::spawn(async move {
            let service = service_fn(move |request: Request<Incoming>| {
                let (template, body) = (template.clone(), body.clone());
                async move {
                    // A body is read and thrown away, as any server has to.
                    let _ = request.into_body().collect().await;
                    Ok::<_, Infallible>(template.map(|()| Full::new(body)))
                }
            });
            let builder = hyper::server::conn::http1::Builder::new();
            match acceptor {
                None => drop(builder.serve_connection(TokioIo::new(stream), service).await),
                Some(acceptor) => {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        drop(builder.serve_connection(TokioIo::new(stream), service).await);
                    }
                }
            }
        });
    }
}

fn acceptor((certificate_file, key_file): (PathBuf, PathBuf)) -> std::io::Result<TlsAcceptor> {
    let files = TlsConfig {
        certificate_file,
        key_file,
        reload_seconds: 60,
    };
    let loaded = ReloadingCertificate::load(files).map_err(std::io::Error::other)?;
    let config = server_config(loaded).map_err(std::io::Error::other)?;
    Ok(TlsAcceptor::from(config))
}

/// Receives each body into a file of a folder, synced and put in the place of the one before, and sends that file: a plain
/// copy that loses neither.
///
/// # Errors
/// When the address cannot be had.
pub async fn serve_copy(address: SocketAddr, folder: PathBuf) -> std::io::Result<()> {
    let listener = tokio::net::TcpListener::bind(address).await?;
    let file: Arc<Path> = folder.join("copy").into();
    loop {
        let (stream, _) = listener.accept().await?;
        let _ = stream.set_nodelay(true);
        let file = Arc::clone(&file);
        tokio::spawn(async move {
            let service = service_fn(move |request: Request<Incoming>| {
                let file = Arc::clone(&file);
                async move { copy(request, &file).await }
            });
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

async fn copy(request: Request<Incoming>, path: &Path) -> std::io::Result<Response<Body>> {
    if request.method() == http::Method::GET {
        let length = tokio::fs::metadata(path).await?.len();
        return Ok(Response::new(body::from_file(path, 0, length).await?));
    }
    let new = path.with_extension("new");
    let mut file = tokio::fs::File::create(&new).await?;
    let mut incoming = request.into_body();
    while let Some(frame) = incoming.frame().await {
        if let Ok(bytes) = frame.map_err(std::io::Error::other)?.into_data() {
            file.write_all(&bytes).await?;
        }
    }
    file.flush().await?;
    file.sync_all().await?;
    tokio::fs::rename(&new, path).await?;
    let mut response = Response::new(body::empty());
    *response.status_mut() = StatusCode::CREATED;
    Ok(response)
}
