//! Resources over real sockets, from what a client finds out to what it leaves behind.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "resources/deletion.rs"]
mod deletion;
#[path = "resources/discovery.rs"]
mod discovery;
#[path = "resources/lws.rs"]
mod lws;
#[path = "resources/people.rs"]
mod people;
#[path = "resources/room.rs"]
mod room;
#[path = "resources/transport.rs"]
mod transport;
#[path = "resources/writing.rs"]
mod writing;

use meent_tests::pod::PodServer;

const TURTLE: &str = "text/turtle";

/// Requirements solid 18, 24, 29, 30, 41-43, 52.
#[tokio::test(flavor = "multi_thread")]
async fn a_document_is_made_read_changed_and_removed() {
    let server = PodServer::start().await;
    let alice = server.agent("alice").await.client();
    let body = "<#it> <urn:p> \"x\" .\n# a comment that stays\n";
    let made = alice.put("/alice/a/b/c.ttl", TURTLE, body).await;
    assert_eq!(made.status, 201, "{}", made.text());
    assert_eq!(made.header("location"), format!("{}alice/a/b/c.ttl", server.base_url));
    assert!(made.header("link").contains("rel=\"acl\""));
    let read = alice.get("/alice/a/b/c.ttl").await;
    assert_eq!((read.status.as_u16(), read.text().as_str()), (200, body));
    assert_eq!(read.header("etag"), made.header("etag"));
    assert_eq!(
        read.header("wac-allow"),
        "user=\"read write append control\",public=\"\""
    );
    assert!(read.header("vary").contains("Origin"));
    assert!(!read.header("last-modified").is_empty());
    // solid#30, solid#52: the other syntax has another tag.
    let json = alice
        .request("GET", "/alice/a/b/c.ttl")
        .header("accept", "application/ld+json")
        .send()
        .await;
    assert_eq!(json.header("content-type"), "application/ld+json");
    assert!(json.text().contains("urn:p"));
    assert_ne!(json.header("etag"), read.header("etag"));
    // solid#24: the containers on the way list it.
    let listing = alice.get("/alice/a/b/").await;
    assert_eq!(listing.status, 200, "{}", listing.text());
    assert!(listing.text().contains("c.ttl>"), "{}", listing.text());
    let listing = alice
        .request("GET", "/alice/a/")
        .header("accept", "application/ld+json")
        .send()
        .await;
    assert!(listing.json().to_string().contains("alice/a/b/"));
    // solid#43
    assert_eq!(alice.delete("/alice/a/b/").await.status, 409);
    assert_eq!(alice.delete("/alice/a/b/c.ttl").await.status, 205);
    assert_eq!(alice.delete("/alice/a/b/").await.status, 205);
    assert_eq!(alice.get("/alice/a/b/c.ttl").await.status, 404);
    // solid#41
    let root = alice.delete("/alice/").await;
    assert_eq!(root.status, 405);
    assert!(!root.header("allow").contains("DELETE"));
    server.stop().await;
}

/// Requirements solid 3, 79, and row 17 of the gaps.
#[tokio::test(flavor = "multi_thread")]
async fn strangers_get_401_and_known_agents_403() {
    let server = PodServer::start().await;
    let alice = server.agent("alice").await.client();
    let bob = server.agent("bob").await.client();
    assert_eq!(alice.put("/alice/x", TURTLE, "").await.status, 201);
    for path in ["/alice/x", "/alice/y", "/alice/", "/alice/.acl", "/alice/x.acl"] {
        let reply = server.client().get(path).await;
        assert_eq!(reply.status, 401, "{path}");
        assert!(reply.header("www-authenticate").starts_with("DPoP"), "{path}");
        assert_eq!(reply.header("etag"), "", "{path}");
        assert_eq!(bob.get(path).await.status, 403, "{path}");
    }
    let public = server.client().get("/alice/profile/card").await;
    assert_eq!(public.status, 200);
    assert_eq!(public.header("wac-allow"), "user=\"read\",public=\"read\"");
    server.stop().await;
}

/// Requirements solid 53: tags outlive a restart.
#[tokio::test(flavor = "multi_thread")]
async fn everything_survives_a_restart() {
    let server = PodServer::start().await;
    let agent = server.agent("alice").await;
    let made = agent.client().put("/alice/x", TURTLE, "<a> <b> <c>.").await;
    assert_eq!(made.status, 201);
    let large = vec![7_u8; 300_000];
    assert_eq!(
        agent
            .client()
            .put("/alice/large", "application/octet-stream", large.clone())
            .await
            .status,
        201
    );
    let server = server.restart().await;
    let read = agent.client().get("/alice/x").await;
    assert_eq!(
        (read.text().as_str(), read.header("etag")),
        ("<a> <b> <c>.", made.header("etag"))
    );
    assert_eq!(agent.client().get("/alice/large").await.body, large);
    server.stop().await;
}
