//! Requests as raw bytes on a socket, for spellings and faults that no client library would send.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The longest wait for an answer.
const WAIT: Duration = Duration::from_secs(10);

/// What came back.
#[derive(Clone, Debug)]
pub struct RawReply {
    /// Status; 0 when the server closed without an answer.
    pub status: u16,
    /// Everything that was received.
    pub bytes: Vec<u8>,
}

/// Sends bytes to an origin (`http://host:port/`), closes the sending side if `close`, and reads until the server closes.
///
/// # Errors
/// When the connection fails.
pub async fn raw_request(base_url: &str, bytes: &[u8], close: bool) -> io::Result<RawReply> {
    let authority = base_url.trim_start_matches("http://").trim_end_matches('/');
    let mut stream = TcpStream::connect(super::local::address(authority)).await?;
    stream.write_all(bytes).await?;
    if close {
        stream.shutdown().await?;
    }
    let mut received = Vec::new();
    // A server that neither answers nor closes shows as what was received until then.
    let _ = tokio::time::timeout(WAIT, stream.read_to_end(&mut received)).await;
    let status = received
        .strip_prefix(b"HTTP/1.1 ")
        .and_then(|rest| rest.get(..3))
        .and_then(|digits| std::str::from_utf8(digits).ok())
        .and_then(|digits| digits.parse().ok())
        .unwrap_or(0);
    Ok(RawReply {
        status,
        bytes: received,
    })
}
