//! `StreamingHTTPChannel2023` and `EventSourceChannel2023`: responses that do not end (solid#108; HTML §9.2 for events).

use bytes::{Bytes, BytesMut};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Response};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use server_kit::body::Body;

use super::channel::ChannelType;
use super::notice::Notice;
use super::stream::{Ending, Outlet, Step};

/// Milliseconds after which an event source comes back when it was cut off.
const EVENT_SOURCE_RETRY: &str = "retry: 2000\n\n";

/// The response on which a channel's notifications are sent as they come.
#[must_use]
pub fn respond(outlet: Outlet) -> Response<Body> {
    let events = outlet.channel().kind == ChannelType::EventSourceChannel2023;
    let media_type = if events {
        "text/event-stream"
    } else {
        outlet.channel().syntax.media_type()
    };
    // The first bytes leave at once, so that the client knows that the stream is open.
    let greeting = if events { EVENT_SOURCE_RETRY } else { "\n" };
    let stream = futures_util::stream::unfold(State::Greet(outlet, greeting), advance);
    let mut response = Response::new(StreamBody::new(stream).boxed_unsync());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // Reverse proxies would otherwise keep events back until a buffer is full.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

enum State {
    Greet(Outlet, &'static str),
    Open(Outlet),
    Ended,
}

type Chunk = std::io::Result<Frame<Bytes>>;

async fn advance(state: State) -> Option<(Chunk, State)> {
    let mut outlet = match state {
        State::Greet(outlet, greeting) => {
            return Some((
                Ok(Frame::data(Bytes::from_static(greeting.as_bytes()))),
                State::Open(outlet),
            ));
        }
        State::Open(outlet) => outlet,
        State::Ended => return None,
    };
    let events = outlet.channel().kind == ChannelType::EventSourceChannel2023;
    match outlet.next().await {
        Step::Send(notice) => {
            let channel = outlet.channel();
            let bytes = notice.write(channel.syntax, channel.context);
            metrics::counter!("notifications_sent_total", "type" => channel.kind.name()).increment(1);
            let chunk = if events { event(&notice, &bytes) } else { line(&bytes) };
            Some((Ok(Frame::data(chunk)), State::Open(outlet)))
        }
        // White space between notifications and a comment between events mean nothing.
        Step::Ping => {
            let sign = Bytes::from_static(if events { b":\n\n" } else { b"\n" });
            Some((Ok(Frame::data(sign)), State::Open(outlet)))
        }
        Step::End(ending) => {
            metrics::counter!("notification_streams_ended_total", "reason" => ending.as_str()).increment(1);
            match ending {
                // Something was left out: the response must not look complete.
                Ending::Slow => Some((
                    Err(std::io::Error::other("notifications were not taken in time")),
                    State::Ended,
                )),
                Ending::Over | Ending::Revoked | Ending::Stopping => None,
            }
        }
    }
}

fn line(bytes: &Bytes) -> Bytes {
    let mut chunk = BytesMut::with_capacity(bytes.len() + 1);
    chunk.extend_from_slice(bytes);
    chunk.extend_from_slice(b"\n");
    chunk.freeze()
}

/// One server-sent event; its id is where to go on after a break.
fn event(notice: &Notice, bytes: &Bytes) -> Bytes {
    let mut chunk = BytesMut::with_capacity(bytes.len() + 64);
    chunk.extend_from_slice(format!("id: {}\n", notice.position).as_bytes());
    for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        chunk.extend_from_slice(b"data: ");
        chunk.extend_from_slice(line);
        chunk.extend_from_slice(b"\n");
    }
    chunk.extend_from_slice(b"\n");
    chunk.freeze()
}
