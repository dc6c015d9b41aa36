//! Open connections on which notifications arrive.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

/// The longest wait for something that is to come.
const WAIT: Duration = Duration::from_secs(20);

/// Buffer of one listener, for notifications of a few hundred bytes.
const READ_BYTES: usize = 4 * 1024;

/// How a WebSocket ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closed {
    /// Code of the close frame; none when the connection just broke.
    pub code: Option<u16>,
}

/// A WebSocket that listens.
pub struct WebSocketListener {
    socket: WebSocketStream<TcpStream>,
}

impl WebSocketListener {
    /// Opens a `ws://` URL.
    ///
    /// # Errors
    /// The HTTP status, when the server refuses the handshake.
    ///
    /// # Panics
    /// When the connection fails otherwise.
    pub async fn open(url: &str) -> Result<Self, u16> {
        let authority = url.trim_start_matches("ws://").split('/').next().expect("an authority");
        let stream = TcpStream::connect(crate::pod::address(authority));
        let stream = stream.await.expect("a connection");
        // The library clears its whole buffer before it reads: with 128 KiB, ten thousand listeners would measure their own memory.
        let config = WebSocketConfig::default().read_buffer_size(READ_BYTES);
        match client_async_with_config(url, stream, Some(config)).await {
            Ok((socket, _)) => Ok(Self { socket }),
            Err(Error::Http(response)) => Err(response.status().as_u16()),
            Err(other) => panic!("{url}: {other}"),
        }
    }

    /// The next notification.
    ///
    /// # Errors
    /// How the connection ended instead.
    ///
    /// # Panics
    /// When nothing comes for a long time, or something that is no JSON.
    pub async fn next(&mut self) -> Result<Value, Closed> {
        loop {
            let message = tokio::time::timeout(WAIT, self.socket.next())
                .await
                .expect("a message in time");
            match message {
                Some(Ok(Message::Text(text))) => return Ok(serde_json::from_str(&text).expect("JSON")),
                Some(Ok(Message::Close(frame))) => {
                    let code = frame.map(|frame| frame.code.into());
                    // Lets the library answer, as a browser does.
                    let _ = self.socket.flush().await;
                    return Err(Closed { code });
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Err(Closed { code: None }),
            }
        }
    }

    /// The socket itself, for what only tests do with it.
    pub fn socket(&mut self) -> &mut WebSocketStream<TcpStream> {
        &mut self.socket
    }
}

/// Opens a response that does not end, over plain HTTP.
///
/// # Panics
/// When there is no answer.
pub async fn read_stream(url: &str, headers: &[(&str, &str)]) -> (http::response::Parts, StreamReader) {
    let uri: http::Uri = url.parse().expect("a URL");
    let authority = uri.authority().expect("an authority").to_string();
    let stream = TcpStream::connect(&authority).await.expect("a connection");
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .expect("HTTP");
    tokio::spawn(connection);
    let mut request = http::Request::get(uri.path()).header("host", authority);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Empty::<Bytes>::new()).expect("a request");
    let (parts, body) = sender.send_request(request).await.expect("an answer").into_parts();
    let reader = StreamReader {
        body,
        text: String::new(),
    };
    (parts, reader)
}

/// A response body that is read as it comes.
pub struct StreamReader {
    body: Incoming,
    text: String,
}

impl StreamReader {
    /// Reads until a blank or ended line shows that one notification is complete, and returns the lines of it: one JSON
    /// document, or the fields of an event. None at the end of the response, which is clean or not.
    ///
    /// # Panics
    /// When nothing comes for a long time.
    pub async fn next(&mut self, separator: &str) -> Option<String> {
        loop {
            while let Some((part, rest)) = self.text.split_once(separator) {
                let (part, rest) = (part.trim().to_owned(), rest.to_owned());
                self.text = rest;
                if !part.is_empty() && !part.starts_with("retry:") && part != ":" {
                    return Some(part);
                }
            }
            let frame = tokio::time::timeout(WAIT, self.body.frame())
                .await
                .expect("bytes in time")?;
            let data = frame.ok()?.into_data().unwrap_or_default();
            self.text.push_str(&String::from_utf8_lossy(&data));
        }
    }
}
