//! `WebSocketChannel2023`: the opening handshake and the connection behind it (RFC 6455; solid#108).
//!
//! Ten thousand of these wait at a time, so that each keeps next to nothing: a small read buffer, no compression, and no
//! task beside the one that is the connection.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use http::header::{
    CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Version};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use server_kit::body::{self, Body};
use server_kit::problem::Problem;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::frame::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Bytes, Message, Utf8Bytes};

use super::config::NotifyConfig;
use super::stream::{Ending, Outlet, Step};
use crate::error::Error;

/// Bytes of the buffer for what clients send, which is next to nothing.
const READ_BUFFER_BYTES: usize = 256;
/// Largest message that a client may send, in bytes.
const CLIENT_MESSAGE_BYTES_MAX: usize = 4 << 10;
/// Bytes that may wait to be written.
const WRITE_BUFFER_BYTES_MAX: usize = 256 << 10;
/// How long a client may take to answer a close frame.
const FAREWELL: Duration = Duration::from_secs(1);
/// Subprotocols that clients name; a browser refuses a connection whose answer names none of those that it offered.
const SUBPROTOCOLS: [&str; 3] = [
    "solid-0.2",
    "http://www.w3.org/ns/solid/notifications#WebSocketChannel2023",
    "http://www.w3.org/ns/solid/notification#WebSocketChannel2023",
];

/// Answers an opening handshake (RFC 6455 §4.2).
///
/// # Errors
/// 426 for a request that does not ask for WebSocket version 13 over HTTP/1.1, 400 for a malformed one.
pub fn open(request: &mut Request<Incoming>) -> Result<(Response<Body>, OnUpgrade), Error> {
    let headers = request.headers();
    if request.version() != Version::HTTP_11
        || !names(headers, &UPGRADE, "websocket")
        || !names(headers, &CONNECTION, "upgrade")
    {
        return Err(upgrade_required());
    }
    if headers.get(SEC_WEBSOCKET_VERSION).map(HeaderValue::as_bytes) != Some(b"13") {
        return Err(upgrade_required());
    }
    let key = headers
        .get(SEC_WEBSOCKET_KEY)
        .map(HeaderValue::as_bytes)
        .unwrap_or_default();
    // Sixteen bytes in base64.
    if key.len() != 24 || !key.ends_with(b"==") {
        return Err(Error::BadRequest(
            "`Sec-WebSocket-Key` must be sixteen bytes in base64".to_owned(),
        ));
    }
    let accept = HeaderValue::from_str(&derive_accept_key(key))
        .map_err(|error| Error::Internal(format!("a handshake cannot be answered: {error}")))?;
    let mut response = Response::new(body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let answer = response.headers_mut();
    answer.insert(UPGRADE, HeaderValue::from_static("websocket"));
    answer.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    answer.insert(SEC_WEBSOCKET_ACCEPT, accept);
    if let Some(chosen) = SUBPROTOCOLS
        .into_iter()
        .find(|known| names(headers, &SEC_WEBSOCKET_PROTOCOL, known))
    {
        answer.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(chosen));
    }
    Ok((response, hyper::upgrade::on(request)))
}

fn upgrade_required() -> Error {
    Problem::new(
        StatusCode::UPGRADE_REQUIRED,
        "upgrade-required",
        "This is the address of a WebSocket",
    )
    .detail("open it with a WebSocket client (RFC 6455, version 13, over HTTP/1.1)")
    .header(UPGRADE, HeaderValue::from_static("websocket"))
    .header(CONNECTION, HeaderValue::from_static("Upgrade"))
    .header(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"))
    .into()
}

fn names(headers: &HeaderMap, name: &http::HeaderName, wanted: &str) -> bool {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values
        .flat_map(|value| value.split(','))
        .any(|token| token.trim().eq_ignore_ascii_case(wanted))
}

/// Runs the connection until either side ends it.
pub async fn run(upgrade: OnUpgrade, mut outlet: Outlet, bounds: ConnectionBounds) {
    let upgraded = match upgrade.await {
        Ok(upgraded) => upgraded,
        Err(error) => return tracing::debug!(%error, "a WebSocket was not opened"),
    };
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(0)
        .max_write_buffer_size(WRITE_BUFFER_BYTES_MAX)
        .max_message_size(Some(CLIENT_MESSAGE_BYTES_MAX))
        .max_frame_size(Some(CLIENT_MESSAGE_BYTES_MAX));
    let mut socket = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, Some(config)).await;
    // Set by anything that the client sends: an answer to a ping, above all.
    let mut heard = true;
    let mut received = 0_u32;
    loop {
        let step = tokio::select! {
            message = socket.next() => match message {
                None | Some(Err(_)) => return,
                Some(Ok(_)) => {
                    heard = true;
                    received += 1;
                    if received > bounds.client_messages_max {
                        return farewell(&mut socket, CloseCode::Policy, "too many messages").await;
                    }
                    continue;
                }
            },
            step = outlet.next() => step,
        };
        let message = match step {
            Step::Send(notice) => {
                let channel = outlet.channel();
                let text = Utf8Bytes::try_from(notice.write(channel.syntax, channel.context));
                metrics::counter!("notifications_sent_total", "type" => channel.kind.name()).increment(1);
                Message::Text(text.unwrap_or_default())
            }
            // No sign of life since the last ping: the other side is gone.
            Step::Ping if !heard => return,
            Step::Ping => {
                (heard, received) = (false, 0);
                Message::Ping(Bytes::new())
            }
            Step::End(ending) => {
                metrics::counter!("notification_streams_ended_total", "reason" => ending.as_str()).increment(1);
                let (code, reason) = close_of(ending);
                return farewell(&mut socket, code, reason).await;
            }
        };
        match tokio::time::timeout(bounds.write_max, socket.send(message)).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return,
            Err(_) => {
                metrics::counter!("notification_streams_ended_total", "reason" => Ending::Slow.as_str()).increment(1);
                return;
            }
        }
    }
}

/// The bounds that one connection keeps.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionBounds {
    client_messages_max: u32,
    write_max: Duration,
}

impl From<&NotifyConfig> for ConnectionBounds {
    fn from(config: &NotifyConfig) -> Self {
        Self {
            client_messages_max: config.client_messages_max,
            write_max: Duration::from_secs(config.write_seconds_max),
        }
    }
}

/// RFC 6455 §7.4.1. A right that was taken away looks like a channel that has ended.
const fn close_of(ending: Ending) -> (CloseCode, &'static str) {
    match ending {
        Ending::Over | Ending::Revoked => (CloseCode::Normal, "the channel has ended"),
        Ending::Slow => (CloseCode::Again, "notifications were not taken in time"),
        Ending::Stopping => (CloseCode::Restart, "the server is stopping"),
    }
}

/// Says good-bye and waits a moment for the answer, so that the frame is not lost with the connection.
async fn farewell<S>(socket: &mut WebSocketStream<S>, code: CloseCode, reason: &'static str)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    let frame = CloseFrame {
        code,
        reason: Utf8Bytes::from_static(reason),
    };
    let goodbye = async {
        if socket.send(Message::Close(Some(frame))).await.is_ok() {
            while let Some(Ok(_)) = socket.next().await {}
        }
    };
    // Whoever does not answer is cut off all the same.
    let _ = tokio::time::timeout(FAREWELL, goodbye).await;
}
