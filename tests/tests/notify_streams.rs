//! Notifications on open connections: WebSocket, streaming HTTP and event source, over real sockets.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use meent_tests::notify::{StreamReader, WebSocketListener, read_stream, subscribe};
use meent_tests::pod::{Client, PodServer};
use serde_json::{Value, json};

const WEB_SOCKET: &str = "WebSocketChannel2023";
const EVENT_SOURCE: &str = "EventSourceChannel2023";
const STREAMING: &str = "StreamingHTTPChannel2023";

/// Subscribes and returns where to receive from.
async fn receive_from(client: &Client, server: &PodServer, kind: &str, topic: &str, more: &Value) -> String {
    let reply = subscribe(client, &server.base_url, kind, topic, more).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()["receiveFrom"].as_str().unwrap().to_owned()
}

async fn open(client: &Client, server: &PodServer, topic: &str, more: &Value) -> WebSocketListener {
    let url = receive_from(client, server, WEB_SOCKET, topic, more).await;
    WebSocketListener::open(&url).await.unwrap()
}

/// Everything that happens to a document and to its container, in the order of the commits, with the entity tags that
/// requests see. Requirements solid 107, 108.
#[tokio::test]
async fn a_web_socket_tells_every_change_in_order() {
    let server = PodServer::start().await;
    let alice = server.agent("alice").await;
    let client = alice.client();
    let mut document = open(&client, &server, "/alice/notes/a.ttl", &json!({})).await;
    let mut container = open(&client, &server, "/alice/notes/", &json!({})).await;
    client
        .put("/alice/notes/a.ttl", "text/turtle", "<#a> <urn:p> 1 .")
        .await;
    let first = client.get("/alice/notes/a.ttl").await;
    client
        .put("/alice/notes/a.ttl", "text/turtle", "<#a> <urn:p> 2 .")
        .await;
    client.delete("/alice/notes/a.ttl").await;
    let (topic, above) = (
        format!("{}alice/notes/a.ttl", server.base_url),
        format!("{}alice/notes/", server.base_url),
    );
    let mut told = Vec::new();
    for _ in 0..3 {
        told.push(document.next().await.unwrap());
    }
    let types: Vec<&str> = told.iter().map(|notice| notice["type"].as_str().unwrap()).collect();
    assert_eq!(types, ["Create", "Update", "Delete"]);
    assert_eq!(told[0]["object"], topic);
    assert_eq!(told[0]["state"].as_str(), Some(first.header("etag")));
    assert!(told[2].get("state").is_none() && told[0].get("target").is_none());
    assert_eq!(told[0]["@context"][0], "https://www.w3.org/ns/activitystreams");
    assert!(told[0]["id"].as_str().unwrap().starts_with("urn:uuid:"));
    assert!(told[0]["published"].as_str().unwrap().ends_with('Z'));
    let mut above_told = Vec::new();
    for _ in 0..3 {
        let notice = container.next().await.unwrap();
        above_told.push((
            notice["type"].clone(),
            notice["object"].clone(),
            notice["target"].clone(),
        ));
    }
    assert_eq!(
        above_told,
        [
            (json!("Create"), json!(above), Value::Null),
            (json!("Add"), json!(topic), json!(above)),
            (json!("Remove"), json!(topic), json!(above)),
        ]
    );
    server.stop().await;
}

/// Requirements solid 108: the same over a response that does not end, in the syntax that was asked for.
#[tokio::test]
async fn streaming_http_tells_changes() {
    let server = PodServer::start().await;
    let alice = server.agent("alice").await;
    let client = alice.client();
    let json_url = receive_from(&client, &server, STREAMING, "/alice/a", &json!({})).await;
    let turtle_url = receive_from(
        &client,
        &server,
        STREAMING,
        "/alice/a",
        &json!({"accept": "text/turtle"}),
    )
    .await;
    let (parts, mut stream) = read_stream(&json_url, &[]).await;
    assert_eq!(parts.status, 200);
    assert_eq!(parts.headers["content-type"], "application/ld+json");
    let (parts, mut turtle) = read_stream(&turtle_url, &[]).await;
    assert_eq!(parts.headers["content-type"], "text/turtle");
    client.put("/alice/a", "text/plain", "x").await;
    let notice: Value = serde_json::from_str(&stream.next("\n").await.unwrap()).unwrap();
    assert_eq!(notice["type"], "Create");
    let text = turtle.next("as:published").await.unwrap();
    assert!(text.contains("a as:Create"), "{text}");
    server.stop().await;
}

async fn event(stream: &mut StreamReader) -> (String, Value) {
    let text = stream.next("\n\n").await.expect("an event");
    let field = |name: &str| {
        text.lines()
            .find_map(|line| line.strip_prefix(name))
            .unwrap()
            .trim()
            .to_owned()
    };
    (field("id:"), serde_json::from_str(&field("data:")).unwrap())
}

/// An event source that comes back gets what it missed, once, in order. Requirements solid 108, 109.
#[tokio::test]
async fn an_event_source_goes_on_where_it_stopped() {
    let server = PodServer::start().await;
    let alice = server.agent("alice").await;
    let client = alice.client();
    let url = receive_from(&client, &server, EVENT_SOURCE, "/alice/notes/", &json!({})).await;
    let (parts, mut stream) = read_stream(
        &url,
        &[("accept", "text/event-stream"), ("origin", "https://app.example")],
    )
    .await;
    assert_eq!(parts.headers["content-type"], "text/event-stream");
    assert_eq!(parts.headers["access-control-allow-origin"], "https://app.example");
    client.put("/alice/notes/a", "text/plain", "1").await;
    assert_eq!(event(&mut stream).await.1["type"], "Create");
    let (id, first) = event(&mut stream).await;
    assert_eq!(first["type"], "Add");
    drop(stream);
    client.put("/alice/notes/b", "text/plain", "2").await;
    client.delete("/alice/notes/a").await;
    let server = server.restart().await;
    let (_, mut again) = read_stream(&url, &[("last-event-id", &id)]).await;
    let (added, removed) = (event(&mut again).await.1, event(&mut again).await.1);
    assert_eq!((&added["type"], &removed["type"]), (&json!("Add"), &json!("Remove")));
    server.agent("dave").await;
    alice.client().put("/alice/notes/c", "text/plain", "3").await;
    assert!(event(&mut again).await.1["object"].as_str().unwrap().ends_with("/c"));
    server.stop().await;
}

/// A channel outlives the server that made it; its clients are told when the server stops. Requirements solid 109.
#[tokio::test]
async fn channels_survive_a_restart() {
    let server = PodServer::start().await;
    let alice = server.agent("alice").await;
    let url = receive_from(&alice.client(), &server, WEB_SOCKET, "/alice/a", &json!({})).await;
    let mut socket = WebSocketListener::open(&url).await.unwrap();
    let told = tokio::spawn(async move { socket.next().await.unwrap_err().code });
    let server = server.restart().await;
    assert_eq!(told.await.unwrap(), Some(1012));
    let mut socket = WebSocketListener::open(&url).await.unwrap();
    alice.client().put("/alice/a", "text/plain", "x").await;
    assert_eq!(socket.next().await.unwrap()["type"], "Create");
    server.stop().await;
}

/// A state that is not the present one is told at once, the present one is not. Requirements solid 106.
#[tokio::test]
async fn a_stale_state_is_told_at_once() {
    let server = PodServer::start().await;
    let alice = server.agent("alice").await;
    let client = alice.client();
    client.put("/alice/a", "text/plain", "1").await;
    let known = client.get("/alice/a").await.header("etag").to_owned();
    let mut fresh = open(&client, &server, "/alice/a", &json!({ "state": known })).await;
    client.put("/alice/a", "text/plain", "2").await;
    let now = client.get("/alice/a").await.header("etag").to_owned();
    let mut stale = open(&client, &server, "/alice/a", &json!({ "state": known })).await;
    let mut foreign = open(&client, &server, "/alice/a", &json!({"state": "128f-MtYev"})).await;
    let mut gone = open(&client, &server, "/alice/never", &json!({"state": "128f-MtYev"})).await;
    for socket in [&mut fresh, &mut stale, &mut foreign] {
        let notice = socket.next().await.unwrap();
        assert_eq!((&notice["type"], &notice["state"]), (&json!("Update"), &json!(now)));
    }
    assert_eq!(gone.next().await.unwrap()["type"], "Delete");
    server.stop().await;
}

/// `startAt` is silent before it, `endAt` closes, and `rate` keeps only the latest of what comes too fast. Requirements
/// solid 106.
#[tokio::test]
async fn features_shape_a_stream() {
    let server = PodServer::start().await;
    let alice = server.agent("alice").await;
    let client = alice.client();
    let soon = (time::OffsetDateTime::now_utc() + time::Duration::seconds(4))
        .format(&time::format_description::well_known::Rfc3339)
        .unwrap();
    let mut ending = open(&client, &server, "/alice/a", &json!({"endAt": soon})).await;
    let mut later = open(&client, &server, "/alice/a", &json!({"startAt": soon})).await;
    let mut slow = open(&client, &server, "/alice/a", &json!({"rate": "PT1S"})).await;
    for text in ["1", "2", "3", "4"] {
        client.put("/alice/a", "text/plain", text).await;
    }
    let last = client.get("/alice/a").await.header("etag").to_owned();
    slow.next().await.unwrap();
    let mut paced = slow.next().await.unwrap();
    // The first wait may end between two of the four writes.
    while paced["state"] != last {
        paced = slow.next().await.unwrap();
    }
    while let Ok(notice) = ending.next().await {
        assert_ne!(notice["type"], "Delete");
    }
    client.delete("/alice/a").await;
    assert_eq!(
        later.next().await.unwrap()["type"],
        "Delete",
        "nothing was told before `startAt`"
    );
    server.stop().await;
}

/// Who loses the right is cut off and told nothing more, whoever keeps it goes on. Requirements solid 109 (T86).
#[tokio::test]
async fn a_right_that_is_taken_away_ends_the_stream() {
    let server = PodServer::start().await;
    let (alice, bob) = (server.agent("alice").await, server.agent("bob").await);
    let acl = |readers: &str| {
        format!(
            "@prefix acl: <http://www.w3.org/ns/auth/acl#>. \
             <#owner> a acl:Authorization; acl:agent <{}>; acl:accessTo <./>; acl:default <./>; \
             acl:mode acl:Read, acl:Write, acl:Control. {readers}",
            alice.web_id
        )
    };
    let with_bob = acl(&format!(
        "<#bob> a acl:Authorization; acl:agent <{}>; acl:accessTo <./>; acl:default <./>; acl:mode acl:Read.",
        bob.web_id
    ));
    let client = alice.client();
    client.put("/alice/shared/", "text/turtle", "").await;
    assert_eq!(
        client.put("/alice/shared/.acl", "text/turtle", with_bob).await.status,
        201
    );
    let mut his = open(&bob.client(), &server, "/alice/shared/a", &json!({})).await;
    let url = receive_from(&bob.client(), &server, EVENT_SOURCE, "/alice/shared/", &json!({})).await;
    let (_, mut events) = read_stream(&url, &[]).await;
    let mut hers = open(&client, &server, "/alice/shared/a", &json!({})).await;
    client.put("/alice/shared/a", "text/plain", "1").await;
    assert_eq!(his.next().await.unwrap()["type"], "Create");
    assert_eq!(event(&mut events).await.1["type"], "Add");
    assert_eq!(
        client.put("/alice/shared/.acl", "text/turtle", acl("")).await.status,
        204
    );
    client.put("/alice/shared/a", "text/plain", "secret").await;
    assert_eq!(his.next().await.unwrap_err().code, Some(1000));
    assert_eq!(events.next("\n\n").await, None);
    assert_eq!(hers.next().await.unwrap()["type"], "Create");
    assert_eq!(hers.next().await.unwrap()["type"], "Update");
    let (parts, _) = read_stream(&url, &[]).await;
    assert_eq!(parts.status, 403, "the capability opens nothing without the right");
    server.stop().await;
}
