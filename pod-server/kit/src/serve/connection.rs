//! One connection from accept to close.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use super::idle::IdleBound;
use super::{Handler, Peer, ServeLimits};
use crate::body::Body;
use crate::network::Place;
use crate::problem::Problem;
use crate::shutdown::Shutdown;

/// What all connections of a listener share.
pub(super) struct Shared {
    handler: Handler,
    shutdown: Shutdown,
    limits: ServeLimits,
    either: Builder<TokioExecutor>,
    http1: Builder<TokioExecutor>,
    http2: Builder<TokioExecutor>,
}

impl Shared {
    pub(super) fn new(handler: Handler, shutdown: Shutdown, limits: ServeLimits) -> Self {
        let either = builder(&limits);
        let (http1, http2) = (either.clone().http1_only(), either.clone().http2_only());
        Self {
            handler,
            shutdown,
            limits,
            either,
            http1,
            http2,
        }
    }

    /// Runs a connection to its end. Errors of the peer are traced, not logged: they are everyday.
    pub(super) async fn run(
        &self,
        (stream, place): (TcpStream, Option<Place>),
        address: SocketAddr,
        acceptor: Option<TlsAcceptor>,
    ) {
        // Answers are written whole; waiting for more to send only adds latency.
        let _ = stream.set_nodelay(true);
        let Some(acceptor) = acceptor else {
            let peer = Peer {
                address,
                client: address.ip(),
                tls: false,
                server_name: None,
            };
            return self.speak(&self.either, (stream, place), peer).await;
        };
        let time = seconds(self.limits.handshake_seconds_max);
        let stream = match tokio::time::timeout(time, acceptor.accept(stream)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return tracing::debug!(%address, %error, "TLS handshake failed"),
            Err(_) => return tracing::debug!(%address, "TLS handshake took too long"),
        };
        let session = stream.get_ref().1;
        // ALPN has said what is spoken, so the header time counts from the first byte.
        let builder = if session.alpn_protocol() == Some(b"h2") {
            &self.http2
        } else {
            &self.http1
        };
        let server_name = session.server_name().map(|name| Arc::from(name.to_ascii_lowercase()));
        self.speak(
            builder,
            (stream, place),
            Peer {
                address,
                client: address.ip(),
                tls: true,
                server_name,
            },
        )
        .await;
    }

    async fn speak<S>(&self, builder: &Builder<TokioExecutor>, (stream, place): (S, Option<Place>), peer: Peer)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let address = peer.address;
        let handler = Arc::clone(&self.handler);
        let proxies = self.limits.trusted_proxies.clone();
        let service = service_fn(move |request: Request<Incoming>| {
            let client = proxies.client(peer.address.ip(), request.headers());
            let peer = Peer { client, ..peer.clone() };
            answer(catch_unwind(AssertUnwindSafe(|| handler(request, peer))))
        });
        let first = seconds(self.limits.header_seconds_max);
        let stream = TokioIo::new(IdleBound::new(
            (stream, place),
            first,
            seconds(self.limits.idle_seconds_max),
        ));
        let connection = builder.serve_connection_with_upgrades(stream, service);
        tokio::pin!(connection);
        let result = tokio::select! {
            biased;
            result = connection.as_mut() => result,
            () = self.shutdown.wait() => {
                connection.as_mut().graceful_shutdown();
                match tokio::time::timeout(seconds(self.limits.drain_seconds_max), connection.as_mut()).await {
                    Ok(result) => result,
                    Err(_) => return,
                }
            }
        };
        if let Err(error) = result {
            tracing::debug!(%address, error = &*error, "connection ended early");
        }
    }
}

/// Waits for the handler. A panic in it answers 500 and leaves the connection and the process alive.
async fn answer(called: std::thread::Result<BoxFuture<'static, Response<Body>>>) -> Result<Response<Body>, Infallible> {
    let answered = match called {
        Ok(response) => AssertUnwindSafe(response).catch_unwind().await,
        Err(panic) => Err(panic),
    };
    Ok(answered.unwrap_or_else(|_| {
        tracing::error!("a request handler panicked");
        Problem::internal().into_response()
    }))
}

fn builder(limits: &ServeLimits) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(seconds(limits.header_seconds_max))
        .max_buf_size(limits.header_bytes_max.max(8_192))
        .max_headers(limits.headers_max);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(limits.header_list_bytes_max)
        .max_concurrent_streams(limits.streams_max)
        .max_pending_accept_reset_streams(limits.resets_pending_max)
        .max_local_error_reset_streams(limits.resets_local_max)
        .initial_stream_window_size(limits.stream_window_bytes)
        .initial_connection_window_size(limits.connection_window_bytes)
        .max_send_buf_size(limits.send_buffer_bytes_max);
    builder
}

fn seconds(count: u32) -> Duration {
    Duration::from_secs(u64::from(count))
}
