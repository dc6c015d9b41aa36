//! A small HTTP client for tests: a connection for each request, no redirects, nothing added that was not asked for.

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client as Pool;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use pod_server::origins::Origins;

use super::agent::Agent;
use super::local::LocalNames;

/// Sends requests to one server.
#[derive(Clone)]
pub struct Client {
    pool: Pool<HttpConnector<LocalNames>, Full<Bytes>>,
    origins: Origins,
    agent: Option<Agent>,
    bearer: Option<String>,
}

/// An answer with its whole body.
#[derive(Clone, Debug)]
pub struct Reply {
    /// Status.
    pub status: StatusCode,
    /// Headers.
    pub headers: HeaderMap,
    /// Body.
    pub body: Bytes,
}

impl Reply {
    /// A header as text; empty if absent.
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// When it is none.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }
}

impl Client {
    /// A client for an origin.
    pub fn new(base_url: &str) -> Self {
        Self::of(Origins::new(base_url))
    }

    /// A client for a server, whose storages it finds where they are.
    pub fn of(origins: Origins) -> Self {
        Self {
            pool: Pool::builder(TokioExecutor::new())
                .pool_max_idle_per_host(0)
                .build(HttpConnector::new_with_resolver(LocalNames::default())),
            origins,
            agent: None,
            bearer: None,
        }
    }

    /// The same client with a token that is bound to no key, for servers that take such.
    #[must_use]
    pub fn with_bearer(mut self, token: &str) -> Self {
        self.bearer = Some(format!("Bearer {token}"));
        self
    }

    /// The same client with credentials.
    #[must_use]
    pub fn with_agent(mut self, agent: Agent) -> Self {
        self.agent = Some(agent);
        self
    }

    /// Begins a request; `path` begins with `/` and the name of a storage, or is a full URL.
    pub fn request(&self, method: &str, path: &str) -> RequestBuilder<'_> {
        let url = if path.starts_with('/') {
            self.origins.place(path)
        } else {
            path.to_owned()
        };
        RequestBuilder {
            client: self,
            method: method.parse().expect("a method"),
            url,
            headers: Vec::new(),
            body: Bytes::new(),
        }
    }

    /// GET.
    pub async fn get(&self, path: &str) -> Reply {
        self.request("GET", path).send().await
    }

    /// PUT with a media type.
    pub async fn put(&self, path: &str, media_type: &str, body: impl Into<Bytes>) -> Reply {
        self.request("PUT", path).content(media_type, body).send().await
    }

    /// PATCH with N3.
    pub async fn patch(&self, path: &str, n3: impl Into<Bytes>) -> Reply {
        self.request("PATCH", path).content("text/n3", n3).send().await
    }

    /// DELETE.
    pub async fn delete(&self, path: &str) -> Reply {
        self.request("DELETE", path).send().await
    }
}

/// A request that is not sent yet.
pub struct RequestBuilder<'c> {
    client: &'c Client,
    method: Method,
    url: String,
    headers: Vec<(String, String)>,
    body: Bytes,
}

impl RequestBuilder<'_> {
    /// Adds a header field.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// Sets the content and its type.
    #[must_use]
    pub fn content(self, media_type: &str, body: impl Into<Bytes>) -> Self {
        let mut request = self.header("content-type", media_type);
        request.body = body.into();
        request
    }

    /// Sets the content without a type.
    #[must_use]
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// Sends it and reads the whole answer.
    ///
    /// # Panics
    /// When there is no answer.
    pub async fn send(self) -> Reply {
        self.try_send().await.expect("an answer")
    }

    /// Sends it and reads the whole answer; none when the server is gone.
    ///
    /// # Panics
    /// When the request itself is malformed.
    pub async fn try_send(self) -> Option<Reply> {
        let (parts, body) = self.opened().await?.into_parts();
        let body = body.collect().await.ok()?.to_bytes();
        Some(Reply {
            status: parts.status,
            headers: parts.headers,
            body,
        })
    }

    /// Sends it and leaves the content of the answer to be read; none when the server is gone.
    ///
    /// # Panics
    /// When the request itself is malformed.
    pub async fn opened(self) -> Option<http::Response<hyper::body::Incoming>> {
        let mut request = Request::builder().method(&self.method).uri(&self.url);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        if let Some(bearer) = &self.client.bearer {
            request = request.header("authorization", bearer);
        }
        if let Some(agent) = &self.client.agent {
            for (name, value) in agent.credentials(&self.method, &self.url) {
                request = request.header(name, value);
            }
        }
        let request = request.body(Full::new(self.body)).expect("a request");
        self.client.pool.request(request).await.ok()
    }
}
