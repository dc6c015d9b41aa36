//! Names of containers as seen from outside: each name and port leads to the port of this machine that the engine maps.

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use server_kit::egress::Resolve;

/// Which port of this machine leads to which port of which container.
#[derive(Debug, Default)]
pub(super) struct MappedPorts {
    ports: Mutex<HashMap<(String, u16), u16>>,
}

impl MappedPorts {
    /// Notes a mapping.
    pub(super) fn set(&self, host: &str, port: u16, outside: u16) {
        self.ports.lock().insert((host.to_owned(), port), outside);
    }
}

impl Resolve for MappedPorts {
    fn resolve(&self, host: String, port: u16) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> {
        let found = self.ports.lock().get(&(host.clone(), port)).copied();
        Box::pin(async move {
            match found {
                Some(outside) => Ok(vec![SocketAddr::from((Ipv4Addr::LOCALHOST, outside))]),
                None => Err(io::Error::new(
                    io::ErrorKind::NotFound,
                    format!("no container `{host}` with port {port} has been started"),
                )),
            }
        })
    }
}
