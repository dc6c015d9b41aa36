//! Floods on the frame level of HTTP/2 (RFC 9113): the flooder is told to go away, others are served (T47, T48, T49).
#![allow(clippy::unwrap_used)]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use http::{Request, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;
use crate::body;
use crate::test_network::TestNetwork;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// GET http://a/ with indexed header fields (RFC 7541 appendix A), and `:authority: a` as a literal.
const REQUEST: &[u8] = &[0x82, 0x86, 0x84, 0x01, 0x01, b'a'];

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = length.get(1..).unwrap().to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

async fn server() -> SocketAddr {
    let handler: Handler = Arc::new(|request: Request<Incoming>, _peer: Peer| {
        async move {
            let _ = request.into_body().collect().await;
            Response::new(body::full("hello"))
        }
        .boxed()
    });
    let limits = ServeLimits {
        idle_seconds_max: 3,
        ..ServeLimits::default()
    };
    TestNetwork::new().start(handler, None, limits).await.0
}

/// Sends a flood of frames until the server refuses; how many were taken, and the error code of its GOAWAY.
async fn flood(address: SocketAddr, rounds: u32, make: impl Fn(u32) -> Vec<u8>) -> (u32, Option<u32>) {
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut read, mut write) = stream.into_split();
    let answers = tokio::spawn(async move {
        let mut all = Vec::new();
        let _ = tokio::time::timeout(Duration::from_secs(20), read.read_to_end(&mut all)).await;
        all
    });
    let mut start = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    start.extend(frame(SETTINGS, 0, 0, &[]));
    write.write_all(&start).await.unwrap();
    let mut taken = 0;
    for round in 0..rounds {
        if write.write_all(&make(round)).await.is_err() {
            break;
        }
        taken = round;
    }
    let answers = answers.await.unwrap();
    drop(write);
    (taken, goaway(&answers))
}

fn goaway(mut bytes: &[u8]) -> Option<u32> {
    while let Some((head, rest)) = bytes.split_at_checked(9) {
        let length = usize::from(*head.first()?) << 16 | usize::from(*head.get(1)?) << 8 | usize::from(*head.get(2)?);
        let (payload, after) = rest.split_at_checked(length)?;
        if head.get(3) == Some(&GOAWAY) {
            return payload
                .get(4..8)
                .map(|code| u32::from_be_bytes(code.try_into().unwrap_or_default()));
        }
        bytes = after;
    }
    None
}

async fn still_serves(address: SocketAddr) {
    let started = Instant::now();
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream
        .write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(started.elapsed() < Duration::from_secs(60));
}

#[tokio::test(flavor = "multi_thread")]
async fn t47_rapid_resets_end_the_connection() {
    let address = server().await;
    let (taken, code) = flood(address, 200_000, |round| {
        let stream = round * 2 + 1;
        let mut frames = frame(HEADERS, END_STREAM | END_HEADERS, stream, REQUEST);
        frames.extend(frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes()));
        frames
    })
    .await;
    assert!(taken < 199_999, "the flood was taken whole");
    // ENHANCE_YOUR_CALM, unless the reset of the connection overtook it.
    assert!(matches!(code, Some(11) | None), "GOAWAY code {code:?}");
    still_serves(address).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn t48_endless_continuation_ends_the_connection() {
    let address = server().await;
    let (taken, _) = flood(address, 200_000, |round| match round {
        0 => frame(HEADERS, END_STREAM, 1, REQUEST),
        _ => {
            // A literal header field without indexing: `x: ` and 1000 bytes.
            let mut field = vec![0x00, 0x01, b'x', 0x7f, 0xe9, 0x06];
            field.extend([b'y'; 1_000]);
            frame(CONTINUATION, 0, 1, &field)
        }
    })
    .await;
    assert!(taken < 10_000, "{taken} CONTINUATION frames were taken");
    still_serves(address).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn t49_empty_data_frames_do_not_stop_others() {
    let address = server().await;
    let flooding = tokio::spawn(flood(address, 300_000, |round| match round {
        0 => frame(HEADERS, END_HEADERS, 1, REQUEST),
        _ => frame(DATA, 0, 1, &[]),
    }));
    tokio::time::sleep(Duration::from_millis(200)).await;
    still_serves(address).await;
    let (taken, _) = flooding.await.unwrap();
    assert!(taken < 299_999, "a flood of empty frames must end the connection");
}
