//! Host names below `localhost`, which mean this machine (RFC 6761 §6.3), also where its resolver does not know them.

use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll};

use futures_util::future::BoxFuture;
use hyper_util::client::legacy::connect::dns::{GaiResolver, Name};
use tower_service::Service;

/// Finds hosts below `localhost` here, and all others as the system does.
#[derive(Clone)]
pub struct LocalNames(GaiResolver);

impl Default for LocalNames {
    fn default() -> Self {
        Self(GaiResolver::new())
    }
}

impl Service<Name> for LocalNames {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<Self::Response>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        if is_local(name.as_str()) {
            let here = vec![SocketAddr::from(([127, 0, 0, 1], 0))];
            return Box::pin(std::future::ready(Ok(here.into_iter())));
        }
        let asked = self.0.call(name);
        Box::pin(async move { Ok(asked.await?.collect::<Vec<_>>().into_iter()) })
    }
}

/// Where to connect for the authority of a URL.
#[must_use]
pub fn address(authority: &str) -> String {
    match authority.split_once(':') {
        Some((host, port)) if is_local(host) => format!("127.0.0.1:{port}"),
        _ => authority.to_owned(),
    }
}

fn is_local(host: &str) -> bool {
    host == "localhost" || host.ends_with(".localhost")
}
