//! Connects to checked addresses only: what was resolved is checked, and what was checked is connected to.
//!
//! There is no second resolution between check and connection, so a name that changes its address in between gains nothing.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::BoxFuture;
use http::Uri;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tower_service::Service;

use super::address::is_public;
use super::allow::AllowRule;

/// Turns names into addresses.
pub trait Resolve: Send + Sync {
    /// All addresses of a host. A literal address resolves to itself.
    fn resolve(&self, host: String, port: u16) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>>;
}

/// The resolver of the operating system.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemResolver;

impl Resolve for SystemResolver {
    fn resolve(&self, host: String, port: u16) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> {
        Box::pin(async move { Ok(tokio::net::lookup_host((host, port)).await?.collect()) })
    }
}

/// The guard refuses to connect.
#[derive(Debug, thiserror::Error)]
#[error("the address is not allowed")]
pub(super) struct ConnectRefused;

/// The name does not resolve, or nobody answers in time.
#[derive(Debug, thiserror::Error)]
#[error("the address does not answer")]
pub(super) struct ConnectFailed;

/// The checking connector.
#[derive(Clone)]
pub(super) struct CheckedConnector {
    pub(super) rules: Arc<[AllowRule]>,
    pub(super) resolver: Arc<dyn Resolve>,
    pub(super) time_max: Duration,
}

impl Service<Uri> for CheckedConnector {
    type Response = TokioIo<TcpStream>;
    type Error = Box<dyn std::error::Error + Send + Sync>;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connector = self.clone();
        Box::pin(async move {
            match tokio::time::timeout(connector.time_max, connector.connect(&uri)).await {
                Ok(result) => result,
                Err(_) => Err(ConnectFailed.into()),
            }
        })
    }
}

impl CheckedConnector {
    /// The checked addresses behind a URI.
    pub(super) async fn addresses(
        &self,
        uri: &Uri,
    ) -> Result<Vec<SocketAddr>, Box<dyn std::error::Error + Send + Sync>> {
        let host = uri.host().ok_or(ConnectRefused)?;
        let secure = uri.scheme_str() == Some("https");
        let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let listed = self.rules.iter().any(|rule| rule.covers(host, port));
        if !secure && !listed {
            return Err(ConnectRefused.into());
        }
        let name = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let addresses = self.resolver.resolve(name, port).await.map_err(|error| {
            tracing::debug!(%host, %error, "name does not resolve");
            ConnectFailed
        })?;
        // One forbidden address among public ones is a rebinding attempt, not a mistake: nothing is tried.
        if let Some(address) = addresses.iter().find(|address| !listed && !is_public(address.ip())) {
            tracing::warn!(%host, %address, "egress refused: the address is not public and not listed in `egress.allow`");
            return Err(ConnectRefused.into());
        }
        Ok(addresses)
    }

    async fn connect(&self, uri: &Uri) -> Result<TokioIo<TcpStream>, Box<dyn std::error::Error + Send + Sync>> {
        let host = uri.host().unwrap_or_default();
        for address in self.addresses(uri).await? {
            match TcpStream::connect(address).await {
                Ok(stream) => {
                    let _ = stream.set_nodelay(true);
                    return Ok(TokioIo::new(stream));
                }
                Err(error) => tracing::debug!(%host, %address, %error, "cannot connect"),
            }
        }
        Err(ConnectFailed.into())
    }
}
