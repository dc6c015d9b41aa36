//! A server below HTTP: it sends bytes as a test says, whatever is asked, so that it can break the protocol itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// What is sent after the beginning.
#[derive(Debug, Clone)]
pub enum Rest {
    /// The connection closes.
    Closes,
    /// Nothing, and it stays open.
    Silence,
    /// The same bytes, without end.
    Endless(Vec<u8>),
    /// The same bytes, one at a time with pauses, without end.
    Drips(Vec<u8>),
}

/// A running server.
pub struct Raw {
    /// Its root, with a closing slash.
    pub root: String,
    connections: Arc<AtomicU64>,
    server: JoinHandle<()>,
}

impl Raw {
    /// Starts a server that answers every request with a beginning and a rest.
    ///
    /// # Panics
    /// When no port can be bound.
    #[allow(clippy::unwrap_used)]
    pub async fn start(beginning: Vec<u8>, rest: Rest) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let root = format!("http://{}/", listener.local_addr().unwrap());
        let connections = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&connections);
        let server = tokio::spawn(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else {
                    continue;
                };
                counted.fetch_add(1, Ordering::Relaxed);
                let (beginning, rest) = (beginning.clone(), rest.clone());
                tokio::spawn(async move {
                    let _ = answer(stream, &beginning, &rest).await;
                });
            }
        });
        Self {
            root,
            connections,
            server,
        }
    }

    /// How many connections came.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.connections.load(Ordering::Relaxed)
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn answer(mut stream: TcpStream, beginning: &[u8], rest: &Rest) -> std::io::Result<()> {
    // The request comes first, however long it is: its end is not looked for, only its start.
    let mut asked = [0; 16 * 1024];
    let _ = stream.read(&mut asked).await?;
    stream.write_all(beginning).await?;
    match rest {
        Rest::Closes => {
            stream.shutdown().await?;
            // What was not read would reset the connection, and take along what was sent.
            until_closed(&mut stream).await
        }
        Rest::Silence => until_closed(&mut stream).await,
        Rest::Endless(bytes) => loop {
            stream.write_all(bytes).await?;
        },
        Rest::Drips(bytes) => loop {
            for byte in bytes {
                stream.write_all(std::slice::from_ref(byte)).await?;
                tokio::time::sleep(Duration::from_millis(30)).await;
            }
        },
    }
}

async fn until_closed(stream: &mut TcpStream) -> std::io::Result<()> {
    let mut rest = [0; 16 * 1024];
    while stream.read(&mut rest).await? > 0 {}
    Ok(())
}
