//! Notifications over TLS: one connection that is trusted through a given authority only.

use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::pod::Agent;

/// Opens TLS connections to one server.
pub struct SecureClient {
    authority: String,
    connector: TlsConnector,
}

impl SecureClient {
    /// A client for the origin of a server (`https://127.0.0.1:port/`) whose authority has this certificate.
    ///
    /// # Panics
    /// When the certificate is none.
    #[must_use]
    pub fn new(base_url: &str, authority_pem: &str) -> Self {
        let mut roots = RootCertStore::empty();
        let certificate = CertificateDer::from_pem_slice(authority_pem.as_bytes()).expect("a certificate");
        roots.add(certificate).expect("an authority");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("TLS versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self {
            authority: base_url.trim_start_matches("https://").trim_end_matches('/').to_owned(),
            connector: TlsConnector::from(Arc::new(config)),
        }
    }

    /// A connection.
    ///
    /// # Panics
    /// When there is none.
    pub async fn connect(&self) -> TlsStream<TcpStream> {
        let stream = TcpStream::connect(&self.authority).await.expect("a connection");
        let host = self.authority.split(':').next().expect("a host").to_owned();
        let name = ServerName::try_from(host).expect("a server name");
        self.connector.connect(name, stream).await.expect("TLS")
    }

    /// Sends one request with an agent's credentials.
    ///
    /// # Panics
    /// When there is no answer.
    pub async fn send(
        &self,
        agent: &Agent,
        method: Method,
        path: &str,
        media_type: &str,
        body: String,
    ) -> (StatusCode, Bytes) {
        let stream = TokioIo::new(self.connect().await);
        let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await.expect("HTTP");
        tokio::spawn(connection);
        let url = format!("https://{}{path}", self.authority);
        let mut request = Request::builder().method(&method).uri(path);
        request = request
            .header("host", &self.authority)
            .header("content-type", media_type);
        for (name, value) in agent.credentials(&method, &url) {
            request = request.header(name, value);
        }
        let request = request.body(Full::new(Bytes::from(body))).expect("a request");
        let response = sender.send_request(request).await.expect("an answer");
        let status = response.status();
        (status, response.into_body().collect().await.expect("a body").to_bytes())
    }
}
