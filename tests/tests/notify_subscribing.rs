//! Subscribing to notifications: discovery, the shapes of requests, what is refused, and channels as resources.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use meent_tests::console::{Resident, Tokens, quick_settings};
use meent_tests::notify::{CHANNEL_CONTEXT, PROTOCOL_CONTEXT, Receiver, WebSocketListener, subscribe, subscription};
use meent_tests::pod::{Agent, PodServer};
use oxjsonld::JsonLdParser;
use oxttl::TurtleParser;
use serde_json::{Value, json};

const NOTIFY: &str = "http://www.w3.org/ns/solid/notifications#";
const KIND: &str = "WebSocketChannel2023";

/// The description of a storage names its services, their types and features, alike in JSON-LD and in Turtle, and the
/// JSON-LD has the members that clients read as plain JSON. Requirements solid 45, 104, 106.
#[tokio::test]
async fn services_are_found() {
    let server = PodServer::start().await;
    server.agent("alice").await;
    let client = server.client();
    let json = client
        .request("GET", "/alice/.well-known/solid")
        .header("accept", "application/ld+json")
        .send()
        .await;
    let root = format!("{}alice/", server.base_url);
    let plain = json.json();
    assert_eq!(plain["id"], root);
    assert_eq!(plain["channel"], json!([]));
    let first = &plain["subscription"][0];
    assert_eq!(first["channelType"], format!("{NOTIFY}{KIND}"));
    assert_eq!(first["feature"], json!(["startAt", "endAt", "state", "rate", "accept"]));
    let turtle = client.get("/alice/.well-known/solid").await;
    let mut of_json: Vec<String> = JsonLdParser::new()
        .for_slice(&json.body)
        .map(|quad| quad.unwrap().to_string())
        .collect();
    let mut of_turtle: Vec<String> = TurtleParser::new()
        .for_slice(&turtle.body)
        .map(|triple| triple.unwrap().in_graph(oxrdf::GraphName::DefaultGraph).to_string())
        .collect();
    of_json.sort();
    of_turtle.sort();
    assert_eq!(of_json, of_turtle);
    let service = first["id"].as_str().unwrap();
    assert!(
        of_turtle
            .iter()
            .any(|line| line.contains(&format!("<{root}> <{NOTIFY}subscription> <{service}>")))
    );

    let alone = client.get(service).await;
    assert_eq!(alone.header("content-type"), "application/ld+json");
    assert!(!alone.header("last-modified").is_empty());
    assert_eq!(alone.json()["@context"], json!([CHANNEL_CONTEXT]));
    assert_eq!(alone.json()["id"], *service);
    let by_profile = client
        .request("GET", service)
        .header("accept", format!("application/ld+json; profile=\"{PROTOCOL_CONTEXT}\""))
        .send()
        .await;
    assert_eq!(by_profile.json()["@context"], json!([PROTOCOL_CONTEXT]));
    let head = client.request("HEAD", service).send().await;
    assert_eq!((head.status.as_u16(), head.body.len()), (200, 0));
    let options = client.request("OPTIONS", service).send().await;
    assert_eq!(options.status, 204);
    assert_eq!(options.header("allow"), "GET, HEAD, OPTIONS, POST");
    assert_eq!(options.header("accept-post"), "application/ld+json");
    assert_eq!(client.delete(service).await.status, 405);
    assert_eq!(
        client.get("/nobody/.notifications/WebSocketChannel2023").await.status,
        404
    );
    server.stop().await;
}

/// What clients send for one and the same channel. Requirements solid 105, 108, 110.
#[tokio::test]
async fn every_shape_of_a_request_is_read_as_what_it_says() {
    let server = PodServer::start().await;
    let alice = server.agent("alice").await;
    let client = alice.client();
    let topic = format!("{}alice/notes/", server.base_url);
    let service = "/alice/.notifications/WebSocketChannel2023";
    let full = format!("{NOTIFY}{KIND}");
    let shapes = [
        (
            json!({"@context": [CHANNEL_CONTEXT], "type": full, "topic": topic}),
            CHANNEL_CONTEXT,
        ),
        (
            json!({"@context": CHANNEL_CONTEXT, "type": KIND, "topic": topic}),
            CHANNEL_CONTEXT,
        ),
        (
            json!({"@context": [PROTOCOL_CONTEXT], "type": KIND, "topic": [topic]}),
            PROTOCOL_CONTEXT,
        ),
        (
            json!({"@context": ["https://www.w3.org/ns/activitystreams", PROTOCOL_CONTEXT], "@type": KIND, "topic": {"id": topic}}),
            PROTOCOL_CONTEXT,
        ),
        (
            json!({"@type": [full], "http://www.w3.org/ns/solid/notifications#topic": [{"@id": topic}]}),
            CHANNEL_CONTEXT,
        ),
        (
            json!({"@context": [CHANNEL_CONTEXT, {"t": "notify:topic"}], "id": "", "type": "http://www.w3.org/ns/solid/notification#WebSocketChannel2023", "t": {"@id": topic}}),
            CHANNEL_CONTEXT,
        ),
        (
            json!({"@context": [CHANNEL_CONTEXT], "type": KIND, "topic": topic, "expiration": "2030-01-01T00:00:00Z", "rate": "PT10s"}),
            CHANNEL_CONTEXT,
        ),
    ];
    for (request, context) in shapes {
        let reply = client
            .request("POST", service)
            .content("application/ld+json", request.to_string())
            .send()
            .await;
        assert_eq!(reply.status, 200, "{request}: {}", reply.text());
        let channel = reply.json();
        assert_eq!(channel["@context"], json!([context]), "{request}");
        assert_eq!(channel["type"], full);
        assert_eq!(channel["topic"], topic);
        assert!(channel["receiveFrom"].as_str().unwrap().starts_with("ws://"));
        assert_eq!(reply.header("content-location"), channel["id"].as_str().unwrap());
        assert!(channel["endAt"].as_str().unwrap().ends_with('Z'));
    }
    let turtle = client
        .request("POST", service)
        .content(
            "application/ld+json; profile=\"https://www.w3.org/ns/solid/notifications-context/v1\"",
            subscription(
                KIND,
                &topic,
                &json!({"accept": "text/turtle", "state": "\"1-t\"", "startAt": "2020-01-01T00:00:00.000Z"}),
            )
            .to_string(),
        )
        .send()
        .await;
    assert_eq!(turtle.json()["accept"], "text/turtle");
    assert_eq!(turtle.json()["startAt"], "2020-01-01T00:00:00.000Z");
    server.stop().await;
}

/// Each refusal has the status of the protocol and says what is wrong. Requirements solid 105, 106, 109.
#[tokio::test]
async fn what_is_no_subscription_is_refused() {
    let server = PodServer::start_with(json!({"notify": {"channels_per_agent_max": 1}})).await;
    let alice = server.agent("alice").await;
    let bob = server.agent("bob").await;
    let (client, base) = (alice.client(), server.base_url.clone());
    let service = "/alice/.notifications/WebSocketChannel2023";
    let good = subscription(KIND, &format!("{base}alice/notes/"), &json!({}));
    let with = |name: &str, value: Value| {
        let mut changed = good.clone();
        changed[name] = value;
        changed.to_string()
    };
    let mut deep = String::new();
    for _ in 0..40 {
        deep.push_str("{\"a\":[");
    }
    let ld = "application/ld+json";
    let cases = [
        (415, "text/turtle", good.to_string()),
        (
            415,
            "application/ld+json; profile=\"https://example.org/other\"",
            good.to_string(),
        ),
        (400, "nonsense", good.to_string()),
        (400, ld, "{".to_owned()),
        (400, ld, deep),
        (413, ld, " ".repeat(20_000)),
        (422, ld, "{}".to_owned()),
        (422, ld, "[1]".to_owned()),
        (422, ld, with("@context", json!(["https://example.org/unknown"]))),
        (
            422,
            ld,
            with("@context", json!([CHANNEL_CONTEXT, "https://example.org/unknown"])),
        ),
        (422, ld, with("type", json!("EventSourceChannel2023"))),
        (422, ld, with("topic", json!([]))),
        (422, ld, with("topic", json!("https://elsewhere.example/x"))),
        (422, ld, with("topic", json!(format!("{base}bob/notes/")))),
        (422, ld, with("topic", json!(format!("{base}alice/a/../../bob/")))),
        (422, ld, with("topic", json!(format!("{base}alice/a?b")))),
        (422, ld, with("endAt", json!("2001-01-01T00:00:00Z"))),
        (422, ld, with("endAt", json!("tomorrow"))),
        (422, ld, with("startAt", json!("2999-01-01T00:00:00Z"))),
        (422, ld, with("rate", json!("often"))),
        (422, ld, with("rate", json!("-PT1S"))),
        (422, ld, with("rate", json!("P400D"))),
        (422, ld, with("state", json!("x".repeat(600)))),
        (422, ld, with("state", json!(["a", "b"]))),
        (422, ld, with("accept", json!("image/png"))),
    ];
    for (status, media_type, body) in cases {
        let reply = client
            .request("POST", service)
            .content(media_type, body.clone())
            .send()
            .await;
        assert_eq!(reply.status.as_u16(), status, "{media_type} {body}: {}", reply.text());
        assert!(
            !reply.json()["detail"].as_str().unwrap_or_default().is_empty(),
            "{body}"
        );
    }
    let stranger = subscribe(&bob.client(), &base, KIND, "/alice/notes/", &json!({})).await;
    assert_eq!(stranger.status, 403);
    let nobody = subscribe(&server.client(), &base, KIND, "/alice/notes/", &json!({})).await;
    assert_eq!(nobody.status, 401);
    let reserved = subscribe(&client, &base, KIND, "/alice/.log", &json!({})).await;
    assert_eq!(reserved.status, 404);
    assert_eq!(
        subscribe(&client, &base, KIND, "/alice/notes/", &json!({}))
            .await
            .status,
        200
    );
    let second = subscribe(&client, &base, KIND, "/alice/other", &json!({})).await;
    assert_eq!(second.status, 429, "{}", second.text());
    server.stop().await;
}

/// A channel is its maker's to see and to end, the storage's owner's to end, and nobody else's; what is ended has no
/// stream, and makes room. Requirements solid 105, 109.
#[tokio::test]
async fn a_channel_can_be_seen_and_ended() {
    let server = PodServer::start_with(json!({"notify": {"channels_per_agent_max": 1}})).await;
    let alice = server.agent("alice").await;
    let bob = server.agent("bob").await;
    let base = server.base_url.clone();
    // The profile is public, so that Bob may follow it.
    let reply = subscribe(&bob.client(), &base, KIND, "/alice/profile/card", &json!({})).await;
    let made = reply.json();
    let id = made["id"].as_str().unwrap();
    let shown = bob.client().get(id).await;
    assert_eq!(shown.json(), made);
    assert!(!shown.header("last-modified").is_empty());
    let owner = alice.client().get(id).await.json();
    assert_eq!(owner["topic"], made["topic"]);
    assert!(
        owner.get("receiveFrom").is_none(),
        "the capability is the subscriber's alone"
    );
    assert_eq!(server.client().get(id).await.status, 404);
    assert_eq!(server.client().delete(id).await.status, 404);
    let url = made["receiveFrom"].as_str().unwrap();
    let mut socket = WebSocketListener::open(url).await.unwrap();
    assert_eq!(bob.client().delete(id).await.status, 204);
    assert_eq!(socket.next().await.unwrap_err().code, Some(1000));
    assert_eq!(bob.client().get(id).await.status, 404);
    assert_eq!(WebSocketListener::open(url).await.err(), Some(404));
    let again = subscribe(&bob.client(), &base, KIND, "/alice/profile/card", &json!({})).await;
    assert_eq!(again.status, 200, "{}", again.text());
    server.stop().await;
}

/// The older negotiation of a widespread client library ends in the same WebSocket. Requirements solid 108.
#[tokio::test]
async fn the_older_negotiation_leads_to_a_channel() {
    let server = PodServer::start().await;
    let alice = server.agent("alice").await;
    let client = alice.client();
    let negotiated = client
        .request("POST", "/alice/.notifications/gateway")
        .content(
            "application/json",
            json!({"protocols": ["ws"], "features": []}).to_string(),
        )
        .send()
        .await;
    assert_eq!(negotiated.status, 200);
    let endpoint = negotiated.json()["endpoint"].as_str().unwrap().to_owned();
    let topic = format!("{}alice/notes/", server.base_url);
    let connection = client
        .request("POST", &endpoint)
        .content("application/json", json!({ "topic": topic }).to_string())
        .send()
        .await;
    assert_eq!(connection.status, 200, "{}", connection.text());
    let mut socket = WebSocketListener::open(connection.json()["endpoint"].as_str().unwrap())
        .await
        .unwrap();
    client.put("/alice/notes/a", "text/plain", "x").await;
    assert_eq!(socket.next().await.unwrap()["type"], "Create");
    server.stop().await;
}

/// T125: what others subscribe to never keeps the owner from hearing of the own storage.
#[tokio::test]
async fn others_cannot_use_up_the_owners_channels() {
    let bounds = json!({ "notify": { "channels_per_storage_max": 2 } });
    let server = PodServer::start_with(bounds).await;
    let (alice, bob, carol) = (
        server.agent("alice").await,
        server.agent("bob").await,
        server.agent("carol").await,
    );
    let ask = async |who: &Agent| {
        let reply = subscribe(&who.client(), &server.base_url, KIND, "/alice/profile/card", &json!({})).await;
        (
            reply.status.as_u16(),
            reply.json()["id"].as_str().unwrap_or_default().to_owned(),
        )
    };
    let (first, second) = (ask(&bob).await, ask(&bob).await);
    assert_eq!((first.0, second.0), (200, 200));
    assert_eq!(ask(&carol).await.0, 429);
    let own = ask(&alice).await;
    assert_eq!(own.0, 200);
    // Those of the owner are counted all the same.
    assert_eq!(bob.client().delete(&first.1).await.status, 204);
    assert_eq!(ask(&carol).await.0, 429);
    assert_eq!(alice.client().delete(&own.1).await.status, 204);
    assert_eq!(ask(&carol).await.0, 200);
    server.stop().await;
}

/// T40: channels of an application end with what allowed it to act, and no others do.
#[tokio::test(flavor = "multi_thread")]
async fn channels_end_with_the_approval_of_their_application() {
    let server = PodServer::start_with(quick_settings()).await;
    let mut gent = Resident::arrive(&server, "gent").await.unwrap();
    let others = server.agent("bob").await;
    let agent = |client: &str| {
        let mut claims = Tokens::claims(gent.agent.token()).unwrap();
        claims["client_id"] = client.into();
        claims["jti"] = client.into();
        gent.agent.with_token(&server.app.issuer.sign(&claims).unwrap())
    };
    let (reader, writer) = (agent("https://reader.example/id"), agent("https://writer.example/id"));
    let receiver = Receiver::start().await;
    let mut channels = Vec::new();
    for (who, kind, topic) in [
        (&reader, KIND, "/gent/notes/"),
        (&reader, "WebhookChannel2023", "/gent/notes/"),
        (&reader, KIND, "/bob/profile/card"),
        (&writer, KIND, "/gent/notes/"),
        (&others, KIND, "/gent/profile/card"),
    ] {
        let more = json!({ "sendTo": receiver.url });
        let reply = subscribe(&who.client(), &server.base_url, kind, topic, &more).await;
        assert_eq!(reply.status, 200, "{topic}: {}", reply.text());
        channels.push((who, reply.json()));
    }
    let url = channels[0].1["receiveFrom"].as_str().unwrap();
    let mut socket = WebSocketListener::open(url).await.unwrap();
    gent.visitor.open("/account").await.unwrap();
    let form = [("client", "https://reader.example/id")];
    let answer = gent
        .visitor
        .submit("/account/applications/withdraw", &form)
        .await
        .unwrap();
    assert_eq!(answer.location(), "/account?done=application-withdrawn");
    assert_eq!(socket.next().await.unwrap_err().code, Some(1000));
    let mut left = Vec::new();
    for (who, channel) in &channels {
        let shown = who.client().get(channel["id"].as_str().unwrap()).await;
        left.push(shown.status.as_u16());
    }
    assert_eq!(left, [404, 404, 404, 200, 200]);
    server.stop().await;
}
