//! A server of documents on a loopback port, as plain Solid pods and event streams are: real HTTP, with validators, and whatever a test
//! wants it to answer.

use bytes::Bytes;
use http::header::{ETAG, IF_NONE_MATCH};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use sha2::{Digest, Sha256};
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// One answer.
#[derive(Debug, Clone)]
pub struct Reply {
    /// Status.
    pub status: u16,
    /// Media type.
    pub media_type: &'static str,
    /// Body.
    pub body: String,
    /// Further header fields.
    pub headers: Vec<(&'static str, String)>,
}

impl Reply {
    /// A document in Turtle.
    #[must_use]
    pub fn turtle(body: impl Into<String>) -> Self {
        Self::of("text/turtle", body)
    }

    /// A document.
    #[must_use]
    pub fn of(media_type: &'static str, body: impl Into<String>) -> Self {
        Self {
            status: 200,
            media_type,
            body: body.into(),
            headers: Vec::new(),
        }
    }

    /// A status without content.
    #[must_use]
    pub fn status(status: u16) -> Self {
        Self {
            status,
            ..Self::of("text/plain", "")
        }
    }

    /// With a header field.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

/// What a site answers for a path.
pub type Pages = Box<dyn Fn(&str) -> Reply + Send + Sync>;

/// A request that came.
#[derive(Debug, Clone)]
pub struct Came {
    /// Path and query.
    pub path: String,
    /// Header fields.
    pub headers: HeaderMap,
    /// Status of the answer.
    pub status: u16,
}

/// A running site.
pub struct Site {
    /// Its root, with a closing slash.
    pub root: String,
    shared: Arc<Shared>,
    server: JoinHandle<()>,
}

struct Shared {
    pages: Mutex<Pages>,
    came: Mutex<Vec<Came>>,
}

impl Site {
    /// Starts a site; what it answers is made for its root.
    ///
    /// # Panics
    /// When no port can be bound.
    #[allow(clippy::unwrap_used)]
    pub async fn start(make: impl FnOnce(&str) -> Pages) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let root = format!("http://{}/", listener.local_addr().unwrap());
        let shared = Arc::new(Shared {
            pages: Mutex::new(make(&root)),
            came: Mutex::default(),
        });
        let served = Arc::clone(&shared);
        let server = tokio::spawn(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else {
                    continue;
                };
                let shared = Arc::clone(&served);
                tokio::spawn(async move {
                    let service = service_fn(move |request| {
                        let response = answer(&shared, &request);
                        async move { Ok::<_, Infallible>(response) }
                    });
                    let _ = auto::Builder::new(TokioExecutor::new())
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        Self { root, shared, server }
    }

    /// Answers otherwise from now on.
    ///
    /// # Panics
    /// When the server panicked.
    #[allow(clippy::unwrap_used)]
    pub fn answer_with(&self, pages: Pages) {
        *self.shared.pages.lock().unwrap() = pages;
    }

    /// The requests that came since the last call.
    ///
    /// # Panics
    /// When the server panicked.
    #[allow(clippy::unwrap_used)]
    pub fn came(&self) -> Vec<Came> {
        std::mem::take(&mut *self.shared.came.lock().unwrap())
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.server.abort();
    }
}

#[allow(clippy::unwrap_used)]
fn answer(shared: &Shared, request: &Request<Incoming>) -> Response<Full<Bytes>> {
    let path = request
        .uri()
        .path_and_query()
        .map_or("/", |path| path.as_str())
        .to_owned();
    let reply = (shared.pages.lock().unwrap())(&path);
    let tag = format!("\"{}\"", hex::encode(Sha256::digest(reply.body.as_bytes())));
    let asked = request
        .headers()
        .get(IF_NONE_MATCH)
        .and_then(|value| value.to_str().ok());
    let unchanged = reply.status == 200 && asked == Some(tag.as_str());
    let status = if unchanged { 304 } else { reply.status };
    let body = if unchanged { String::new() } else { reply.body };
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    let headers = response.headers_mut();
    headers.insert("content-type", HeaderValue::from_static(reply.media_type));
    if reply.status == 200 {
        headers.insert(ETAG, HeaderValue::from_str(&tag).unwrap());
    }
    for (name, value) in &reply.headers {
        headers.insert(*name, HeaderValue::from_str(value).unwrap());
    }
    shared.came.lock().unwrap().push(Came {
        path,
        headers: request.headers().clone(),
        status,
    });
    response
}
