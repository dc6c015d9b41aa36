//! Real servers on real sockets for this crate's tests: an own certification authority, TLS, and counters.
#![allow(clippy::unwrap_used)]

use std::collections::HashSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::FutureExt;
use http::{Request, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use parking_lot::Mutex;
use time::OffsetDateTime;

use crate::body::{self, Body};
use crate::egress::{Egress, EgressConfig};
use crate::serve::{Handler, ListenConfig, Listener, Peer, ServeLimits, serve};
use crate::shutdown::Shutdown;
use crate::tls::{LocalAuthority, RootsConfig, TlsConfig};

/// An own authority and a place for files.
pub(crate) struct TestNetwork {
    pub(crate) directory: tempfile::TempDir,
    pub(crate) authority: LocalAuthority,
}

/// A running server.
pub(crate) struct TestServer {
    pub(crate) address: SocketAddr,
    requests: Arc<AtomicUsize>,
    peers: Arc<Mutex<HashSet<SocketAddr>>>,
    shutdown: Shutdown,
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.shutdown.trigger();
    }
}

impl TestServer {
    pub(crate) fn url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.address.port())
    }

    pub(crate) fn host(&self) -> String {
        format!("localhost:{}", self.address.port())
    }

    pub(crate) fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }

    /// Connections that carried at least one request.
    pub(crate) fn connections(&self) -> usize {
        self.peers.lock().len()
    }
}

/// What a test server answers from: method, path with query, and body.
pub(crate) type Answer = Arc<dyn Fn(&Request<()>) -> Response<Body> + Send + Sync>;

/// Something to answer with.
pub(crate) fn answer(status: u16, headers: &[(&str, &str)], content: impl Into<bytes::Bytes>) -> Response<Body> {
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    response.body(body::full(content)).unwrap()
}

impl TestNetwork {
    pub(crate) fn new() -> Self {
        let authority = LocalAuthority::generate("test authority", OffsetDateTime::now_utc()).unwrap();
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("ca.pem"), authority.certificate_pem()).unwrap();
        Self { directory, authority }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Writes a certificate for localhost; the paths of its two files.
    pub(crate) fn certificate(&self, name: &str) -> TlsConfig {
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let made = self.authority.certificate(&names, OffsetDateTime::now_utc()).unwrap();
        let tls = TlsConfig {
            certificate_file: self.path(&format!("{name}.pem")),
            key_file: self.path(&format!("{name}.key")),
            reload_seconds: 1,
        };
        made.write(&tls.certificate_file, &tls.key_file).unwrap();
        tls
    }

    pub(crate) async fn server(&self, respond: Answer) -> TestServer {
        let requests = Arc::new(AtomicUsize::new(0));
        let peers: Arc<Mutex<HashSet<SocketAddr>>> = Arc::default();
        let (counter, seen) = (Arc::clone(&requests), Arc::clone(&peers));
        let handler: Handler = Arc::new(move |request: Request<Incoming>, peer: Peer| {
            counter.fetch_add(1, Ordering::SeqCst);
            seen.lock().insert(peer.address);
            let respond = Arc::clone(&respond);
            async move {
                let (parts, body) = request.into_parts();
                let _ = body.collect().await;
                respond(&Request::from_parts(parts, ()))
            }
            .boxed()
        });
        let (address, shutdown) = self
            .start(handler, Some(self.certificate("server")), ServeLimits::default())
            .await;
        TestServer {
            address,
            requests,
            peers,
            shutdown,
        }
    }

    pub(crate) async fn start(
        &self,
        handler: Handler,
        tls: Option<TlsConfig>,
        limits: ServeLimits,
    ) -> (SocketAddr, Shutdown) {
        let config = ListenConfig {
            listen: "127.0.0.1:0".parse().unwrap(),
            tls,
            plain_http: false,
        };
        let listener = Listener::bind(&config).await.unwrap();
        let address = listener.local_address().unwrap();
        let shutdown = Shutdown::new();
        tokio::spawn(serve(listener, handler, shutdown.clone(), limits));
        (address, shutdown)
    }

    /// A guard that trusts this network's authority and may reach the listed hosts.
    pub(crate) fn egress_config(&self, allow: &[String]) -> EgressConfig {
        EgressConfig {
            allow: allow.to_vec(),
            roots: RootsConfig {
                system_ca_file: None,
                extra_ca_file: Some(self.path("ca.pem")),
            },
            ..EgressConfig::default()
        }
    }

    pub(crate) fn egress(&self, allow: &[String]) -> Arc<Egress> {
        Arc::new(Egress::new(self.egress_config(allow)).unwrap())
    }
}
