//! Notifications under load: many idle subscribers, readers that do not read, and TLS.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use bytes::Bytes;
use futures_util::StreamExt;
use meent_tests::notify::{SecureClient, WebSocketListener, subscribe, subscription};
use meent_tests::pod::{Client, PodServer};
use pod_server::error::Error;
use pod_server::name::ResourceName;
use pod_server::store::{NewBody, NewState, ResourceKind, Transaction, Warrant, commit};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::Mutex;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{WebSocketStream, client_async, client_async_with_config};

const WEB_SOCKET: &str = "WebSocketChannel2023";
const SUBSCRIBERS: usize = 2_000;
const PER_CHANNEL: usize = 100;
/// Memory of a subscriber in bytes, its client's side in this same process included.
const BYTES_PER_SUBSCRIBER_MAX: usize = 16 << 10;

/// The tests of this file look at the memory of the process or fill it: one after the other.
static ALONE: Mutex<()> = Mutex::const_new(());

async fn receive_from(client: &Client, server: &PodServer, topic: &str) -> String {
    let reply = subscribe(client, &server.base_url, WEB_SOCKET, topic, &json!({})).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()["receiveFrom"].as_str().unwrap().to_owned()
}

fn resident_bytes() -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: usize = text.split_whitespace().nth(1).unwrap().parse().unwrap();
    pages * 4_096
}

/// Two thousand idle subscribers cost little memory each, and a change reaches every one of them. Requirements solid 108,
/// 109.
#[tokio::test]
async fn idle_subscribers_are_cheap_and_all_are_told() {
    let _alone = ALONE.lock().await;
    // All of them come from one network here.
    let many = json!({ "connections": { "connections_per_network_max": 2 * SUBSCRIBERS } });
    let server = PodServer::start_with(many).await;
    let alice = server.agent("alice").await;
    let client = alice.client();
    let mut urls = Vec::new();
    for _ in 0..SUBSCRIBERS.div_ceil(PER_CHANNEL) {
        urls.push(receive_from(&client, &server, "/alice/a").await);
    }
    let small = WebSocketConfig::default().read_buffer_size(256).write_buffer_size(0);
    let authority = server.authority().to_owned();
    let open = |number: usize| {
        let (url, authority) = (urls[number % urls.len()].clone(), authority.clone());
        async move {
            let stream = TcpStream::connect(authority).await.unwrap();
            client_async_with_config(url, stream, Some(small)).await.unwrap().0
        }
    };
    // The first ones pay for what all share.
    let mut sockets: Vec<WebSocketStream<TcpStream>> = futures_util::stream::iter((0..200).map(open))
        .buffered(50)
        .collect()
        .await;
    let before = resident_bytes();
    sockets.extend(
        futures_util::stream::iter((200..SUBSCRIBERS).map(open))
            .buffered(50)
            .collect::<Vec<_>>()
            .await,
    );
    let each = resident_bytes().saturating_sub(before) / (SUBSCRIBERS - 200);
    println!("{each} bytes for each idle subscriber, both sides");
    assert!(each < BYTES_PER_SUBSCRIBER_MAX, "{each} bytes for each idle subscriber");
    client.put("/alice/a", "text/plain", "x").await;
    for socket in &mut sockets {
        let Message::Text(text) = socket.next().await.unwrap().unwrap() else {
            panic!("no notification")
        };
        assert!(text.contains("\"Create\""));
    }
    drop(sockets);
    server.stop().await;
}

/// Adds members with very long names, some in each commit.
async fn add_members(server: &PodServer, commits: usize) {
    for number in 0..commits {
        let work = move |transaction: &mut dyn Transaction| {
            for part in 0..10 {
                let name = format!("/alice/box/{number}-{part}-{}", "x".repeat(1_900));
                let state = NewState {
                    kind: ResourceKind::NonRdfSource,
                    media_type: "text/plain".to_owned(),
                    body: NewBody::Bytes(Bytes::new()),
                };
                transaction.put(&ResourceName::parse(&name).unwrap(), state)?;
            }
            Ok(())
        };
        let warrant = Warrant::without_proof("a test fills a container");
        commit::<(), Error>(server.app.store.as_ref(), warrant, Box::new(work))
            .await
            .unwrap();
    }
}

/// A reader that does not read is cut off and costs the others nothing: they get everything, in order. Requirements solid
/// 109.
#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_does_not_read_is_cut_off() {
    let _alone = ALONE.lock().await;
    let settings = json!({"notify": {"queue_messages_max": 64, "write_seconds_max": 1}});
    let server = PodServer::start_with(settings).await;
    let alice = server.agent("alice").await;
    let client = alice.client();
    client.put("/alice/box/", "text/turtle", "").await;
    let url = receive_from(&client, &server, "/alice/box/").await;
    let mut good = WebSocketListener::open(&url).await.unwrap();
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4_096).unwrap();
    let address = server.authority().parse().unwrap();
    let (bad, _) = client_async(url.as_str(), socket.connect(address).await.unwrap())
        .await
        .unwrap();
    let reading = tokio::spawn(async move {
        let mut names = Vec::new();
        while names.len() < 3_000 {
            let notice = good.next().await.expect("a reader that keeps up is not cut off");
            let object = notice["object"].as_str().unwrap();
            let name = object.rsplit('/').next().unwrap();
            names.push(name.trim_end_matches('x').to_owned());
        }
        names
    });
    add_members(&server, 300).await;
    let names = reading.await.unwrap();
    let expected: Vec<String> = (0..3_000)
        .map(|number| format!("{}-{}-", number / 10, number % 10))
        .collect();
    assert_eq!(names, expected);
    // What the kernel still holds comes, and then the connection ends, long before everything was said.
    let mut stream = bad.into_inner();
    let mut received = Vec::new();
    let _ = stream.read_to_end(&mut received).await;
    assert!(
        received.len() < 3_000 * 3_000,
        "{} bytes were kept for a reader that does not read",
        received.len()
    );
    server.stop().await;
}

/// Everything works over TLS, with `wss:` URLs. Requirements solid 45, 108.
#[tokio::test]
async fn notifications_over_tls() {
    let _alone = ALONE.lock().await;
    let (server, authority) = PodServer::start_with_tls().await;
    let alice = server.agent("alice").await;
    let client = SecureClient::new(&server.base_url, &authority);
    let wanted = subscription(WEB_SOCKET, &format!("{}alice/a", server.base_url), &json!({}));
    let (status, body) = client
        .send(
            &alice,
            http::Method::POST,
            "/alice/.notifications/WebSocketChannel2023",
            "application/ld+json",
            wanted.to_string(),
        )
        .await;
    assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
    let channel: serde_json::Value = serde_json::from_slice(&body).unwrap();
    let url = channel["receiveFrom"].as_str().unwrap();
    assert!(url.starts_with("wss://"));
    let (mut socket, _) = client_async(url, client.connect().await).await.unwrap();
    let (status, _) = client
        .send(&alice, http::Method::PUT, "/alice/a", "text/plain", "x".to_owned())
        .await;
    assert_eq!(status, 201);
    let Some(Ok(Message::Text(text))) = socket.next().await else {
        panic!("no notification")
    };
    assert!(text.contains("\"Create\""));
    server.stop().await;
}

/// A client that talks without end is shown out; malformed handshakes never open anything. Requirements solid 108.
#[tokio::test]
async fn unruly_clients_are_shown_out() {
    let _alone = ALONE.lock().await;
    let server = PodServer::start_with(json!({"notify": {"client_messages_max": 10}})).await;
    let alice = server.agent("alice").await;
    let url = receive_from(&alice.client(), &server, "/alice/a").await;
    let mut talker = WebSocketListener::open(&url).await.unwrap();
    for _ in 0..20 {
        let _ = futures_util::SinkExt::send(talker.socket(), Message::text("hello")).await;
    }
    let closed = talker.next().await.unwrap_err();
    assert!(matches!(closed.code, Some(1008) | None), "{closed:?}");
    let mut huge = WebSocketListener::open(&url).await.unwrap();
    let _ = futures_util::SinkExt::send(huge.socket(), Message::text("x".repeat(100_000))).await;
    assert!(huge.next().await.is_err());
    let path = url.trim_start_matches("ws://").split_once('/').unwrap().1;
    let host = server.authority();
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\n";
    let cases = [
        (426, String::new()),
        (
            426,
            format!("{upgrade}Sec-WebSocket-Version: 8\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"),
        ),
        (400, format!("{upgrade}Sec-WebSocket-Version: 13\r\n")),
        (
            400,
            format!("{upgrade}Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: short\r\n"),
        ),
        (
            101,
            format!("{upgrade}Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"),
        ),
    ];
    for (status, headers) in cases {
        let mut stream = TcpStream::connect(host).await.unwrap();
        let request = format!("GET /{path} HTTP/1.1\r\nHost: {host}\r\n{headers}\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(
            String::from_utf8_lossy(&answer),
            format!("HTTP/1.1 {status}"),
            "{headers}"
        );
    }
    let wrong = format!("{}x", url);
    assert_eq!(WebSocketListener::open(&wrong).await.err(), Some(404));
    server.stop().await;
}
