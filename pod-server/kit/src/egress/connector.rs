//! Connects to checked addresses only: what was resolved is checked, and what was checked is connected to.
//!
//! There is no second resolution between check and connection, so a name that changes its address in between gains nothing.

use std::io::{self, IoSlice};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::BoxFuture;
use http::Uri;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tower_service::Service;

use super::address::is_public;
use super::allow::AllowRule;
use crate::network::{NetworkBound, Place};

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
        // Names below `localhost` mean this machine, also where the system does not know them (RFC 6761 §6.3). Whether it may
        // be reached is judged like any other address.
        if host.trim_end_matches('.').ends_with(".localhost") {
            return Box::pin(std::future::ready(Ok(vec![
                SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
                SocketAddr::from((Ipv6Addr::LOCALHOST, port)),
            ])));
        }
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
    /// How many connections to one network there may be at a time, of those that are not listed.
    pub(super) per_network: Option<Arc<NetworkBound>>,
}

/// A connection, and its place among those to its network until it is closed.
pub(super) struct Held {
    stream: TcpStream,
    _place: Option<Place>,
}

impl Connection for Held {
    fn connected(&self) -> Connected {
        self.stream.connected()
    }
}

impl AsyncRead for Held {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Held {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}

impl Service<Uri> for CheckedConnector {
    type Response = TokioIo<Held>;
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

/// Whether a URI means TLS, and the port that it means.
fn service(uri: &Uri) -> (bool, u16) {
    let secure = uri.scheme_str() == Some("https");
    (secure, uri.port_u16().unwrap_or(if secure { 443 } else { 80 }))
}

impl CheckedConnector {
    /// Whether the operator has listed the host that a URI names.
    fn lists(&self, uri: &Uri) -> bool {
        let (_, port) = service(uri);
        let host = uri.host().unwrap_or_default();
        self.rules.iter().any(|rule| rule.covers(host, port))
    }

    /// The checked addresses behind a URI.
    pub(super) async fn addresses(
        &self,
        uri: &Uri,
    ) -> Result<Vec<SocketAddr>, Box<dyn std::error::Error + Send + Sync>> {
        let host = uri.host().ok_or(ConnectRefused)?;
        let (secure, port) = service(uri);
        let listed = self.lists(uri);
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

    async fn connect(&self, uri: &Uri) -> Result<TokioIo<Held>, Box<dyn std::error::Error + Send + Sync>> {
        let host = uri.host().unwrap_or_default();
        let bound = self.per_network.as_ref().filter(|_| !self.lists(uri));
        for address in self.addresses(uri).await? {
            let place = match bound {
                Some(bound) => bound.enter(address.ip()).await,
                None => None,
            };
            match TcpStream::connect(address).await {
                Ok(stream) => {
                    let _ = stream.set_nodelay(true);
                    return Ok(TokioIo::new(Held { stream, _place: place }));
                }
                Err(error) => tracing::debug!(%host, %address, %error, "cannot connect"),
            }
        }
        Err(ConnectFailed.into())
    }
}
