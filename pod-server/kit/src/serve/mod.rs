//! The server loop: accepts connections, speaks TLS, HTTP/1.1 and HTTP/2 within limits, drains at the end.
//!
//! It knows nothing of paths, resources or rights: every request goes to one [`Handler`]. Every limit is in [`ServeLimits`].

mod connection;
mod idle;
mod limits;
mod proxies;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use http::{Request, Response};
use hyper::body::Incoming;
use rustls::ServerConfig;
use serde::{Deserialize, Serialize};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;

use crate::body::Body;
use crate::config::ConfigError;
use crate::network::NetworkBound;
use crate::shutdown::Shutdown;
use crate::tls::{ReloadingCertificate, TlsConfig, TlsError, server_config};

pub use limits::ServeLimits;
pub use proxies::{ProxyError, TrustedProxies};

/// Answers one request. Failures are responses too: the handler maps them.
pub type Handler = Arc<dyn Fn(Request<Incoming>, Peer) -> BoxFuture<'static, Response<Body>> + Send + Sync>;

/// Who is at the other end of a connection.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Address and port.
    pub address: SocketAddr,
    /// Who asks: the same address, or the one that a trusted proxy names.
    pub client: IpAddr,
    /// Whether the connection is encrypted.
    pub tls: bool,
    /// Host name of the TLS handshake (SNI), lower case. A request for another host deserves 421 (T64).
    pub server_name: Option<Arc<str>>,
}

/// Where and how to listen.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListenConfig {
    /// Address and port.
    pub listen: SocketAddr,
    /// Certificate; without it the listener speaks plain HTTP.
    #[serde(default)]
    pub tls: Option<TlsConfig>,
    /// Allows plain HTTP on an address other than loopback, for a reverse proxy that ends TLS on a private line.
    #[serde(default)]
    pub plain_http: bool,
}

/// Why a listener cannot start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address cannot be bound.
    #[error("cannot listen on `{address}`: {source}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What the operating system said.
        source: io::Error,
    },
    /// The certificate cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The configuration is refused.
    #[error(transparent)]
    Config(#[from] ConfigError),
}

/// A bound listener that is ready to serve.
pub struct Listener {
    tcp: TcpListener,
    tls: Option<Arc<ServerConfig>>,
    certificate: Option<Arc<ReloadingCertificate>>,
}

impl Listener {
    /// Binds, and loads the certificate.
    ///
    /// # Errors
    /// When the address is taken, the certificate is unusable, or plain HTTP would be spoken beyond loopback without being asked to.
    pub async fn bind(config: &ListenConfig) -> Result<Self, ServeError> {
        if config.tls.is_none() && !config.plain_http && !config.listen.ip().is_loopback() {
            return Err(ConfigError::invalid(
                "tls",
                format!(
                    "plain HTTP on `{}` is refused: set a certificate, listen on loopback, or set `plain_http = true`",
                    config.listen
                ),
            )
            .into());
        }
        let (certificate, tls) = match &config.tls {
            Some(tls) => {
                let certificate = ReloadingCertificate::load(tls.clone())?;
                (Some(Arc::clone(&certificate)), Some(server_config(certificate)?))
            }
            None => (None, None),
        };
        let tcp = TcpListener::bind(config.listen)
            .await
            .map_err(|source| ServeError::Bind {
                address: config.listen,
                source,
            })?;
        Ok(Self { tcp, tls, certificate })
    }

    /// The bound address, with the real port when 0 was asked.
    ///
    /// # Errors
    /// When the operating system does not tell.
    pub fn local_address(&self) -> io::Result<SocketAddr> {
        self.tcp.local_addr()
    }

    /// The certificate in use, when TLS is spoken.
    pub fn certificate(&self) -> Option<&Arc<ReloadingCertificate>> {
        self.certificate.as_ref()
    }
}

/// Serves until the shutdown; then accepts nothing more, lets running requests end, and returns within the drain time.
pub async fn serve(listener: Listener, handler: Handler, shutdown: Shutdown, limits: ServeLimits) {
    if let Some(certificate) = &listener.certificate {
        certificate.watch(shutdown.clone());
    }
    let permits_total = limits.connections_max.clamp(1, u32::MAX as usize >> 1);
    let permits = Arc::new(Semaphore::new(permits_total));
    let shared = Arc::new(connection::Shared::new(handler, shutdown.clone(), limits.clone()));
    let acceptor = listener.tls.map(TlsAcceptor::from);
    let networks = NetworkBound::new(limits.connections_per_network_max);
    loop {
        // Connections beyond the limit wait in the kernel's backlog, so that those inside are served well.
        let permit = tokio::select! {
            biased;
            () = shutdown.wait() => break,
            permit = Arc::clone(&permits).acquire_owned() => permit,
        };
        let Ok(permit) = permit else { break };
        let (stream, address) = tokio::select! {
            biased;
            () = shutdown.wait() => break,
            accepted = accept(&listener.tcp) => accepted,
        };
        let place = match networks.try_enter(address.ip()) {
            // All who come through a proxy share its address.
            _ if limits.trusted_proxies.contains(address.ip()) => None,
            None => {
                metrics::counter!("connections_refused_total").increment(1);
                tracing::debug!(%address, "closed: its network has as many connections as it may");
                continue;
            }
            place => place,
        };
        let (shared, acceptor) = (Arc::clone(&shared), acceptor.clone());
        tokio::spawn(async move {
            shared.run((stream, place), address, acceptor).await;
            drop(permit);
        });
    }
    drop(listener.tcp);
    let drain = Duration::from_secs(u64::from(limits.drain_seconds_max));
    let all = u32::try_from(permits_total).unwrap_or(u32::MAX);
    if tokio::time::timeout(drain, permits.acquire_many(all)).await.is_err() {
        tracing::warn!("connections still open after the drain time were cut");
    }
}

async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) => {
                // Most often: no file descriptors left. Waiting lets others close; a tight loop would not.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

#[cfg(test)]
mod http2_tests;
#[cfg(test)]
mod tests;
