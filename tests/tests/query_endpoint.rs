//! The SPARQL endpoints over real sockets: who sees what, under which agreement, in which format, and what is refused.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use meent_tests::pod::sparql::{ask, kind, values};
use meent_tests::pod::{Agent, Client, PodServer};
use serde_json::json;

const TURTLE: &str = "text/turtle";
const ALL: &str = "SELECT * { ?s <urn:speed> ?v } ORDER BY ?v";

async fn speed(client: &Client, path: &str, value: u32) {
    let body = format!("<#it> <urn:speed> {value} ; <urn:secret> {value} .");
    let reply = client.put(path, TURTLE, body).await;
    assert!(reply.status.is_success(), "{}", reply.text());
}

fn acl(owner: &Agent, path: &str, grants: &str) -> String {
    format!(
        "@prefix acl: <http://www.w3.org/ns/auth/acl#>. @prefix foaf: <http://xmlns.com/foaf/0.1/>.
         <#owner> a acl:Authorization; acl:agent <{}>; acl:accessTo <{path}>; acl:default <{path}>;
           acl:mode acl:Read, acl:Write, acl:Control. {grants}",
        owner.web_id
    )
}

/// Invariant 7: everyone sees what they may read, and nothing else; writes and revocations count at once.
///
/// Requirements ENF-7, ENF-42.
#[tokio::test(flavor = "multi_thread")]
async fn everyone_sees_what_they_may_read() {
    let server = PodServer::start().await;
    let (alice, bob) = (server.agent("alice").await, server.agent("bob").await);
    let (a, b, public) = (alice.client(), bob.client(), server.client());
    speed(&a, "/alice/open/x", 1).await;
    speed(&a, "/alice/shared/x", 2).await;
    speed(&a, "/alice/own/x", 3).await;
    speed(&b, "/bob/x", 4).await;
    let open = acl(
        &alice,
        "./",
        "<#p> a acl:Authorization; acl:agentClass foaf:Agent; acl:default <./>; acl:mode acl:Read.",
    );
    assert_eq!(a.put("/alice/open/.acl", TURTLE, open).await.status, 201);
    let grant = format!(
        "<#b> a acl:Authorization; acl:agent <{}>; acl:default <./>; acl:mode acl:Read.",
        bob.web_id
    );
    assert_eq!(
        a.put("/alice/shared/.acl", TURTLE, acl(&alice, "./", &grant))
            .await
            .status,
        201
    );
    for (client, path, expected) in [
        (&a, "/sparql", vec!["1", "2", "3"]),
        (&b, "/sparql", vec!["1", "2", "4"]),
        (&public, "/sparql", vec!["1"]),
        (&a, "/alice/sparql", vec!["1", "2", "3"]),
        (&b, "/alice/sparql", vec!["1", "2"]),
        (&b, "/bob/sparql", vec!["4"]),
        (&public, "/bob/sparql", vec![]),
    ] {
        assert_eq!(values(&ask(client, path, ALL, &[]).await, "v"), expected, "{path}");
    }
    let graph = format!(
        "SELECT ?v {{ GRAPH <{}> {{ ?s <urn:speed> ?v }} }}",
        server.app.origins.place("/alice/own/x")
    );
    assert_eq!(values(&ask(&a, "/sparql", &graph, &[]).await, "v"), ["3"]);
    assert_eq!(
        values(&ask(&b, "/sparql", &graph, &[]).await, "v"),
        Vec::<String>::new()
    );
    // Read your writes, replacement, deletion.
    speed(&a, "/alice/open/x", 10).await;
    assert_eq!(values(&ask(&public, "/sparql", ALL, &[]).await, "v"), ["10"]);
    assert_eq!(a.delete("/alice/open/x").await.status, 205);
    assert_eq!(
        values(&ask(&public, "/sparql", ALL, &[]).await, "v"),
        Vec::<String>::new()
    );
    // Revocation counts at the next query (invariant 8); lists are never part of an answer.
    assert!(
        a.put("/alice/shared/.acl", TURTLE, acl(&alice, "./", ""))
            .await
            .status
            .is_success()
    );
    assert_eq!(values(&ask(&b, "/sparql", ALL, &[]).await, "v"), ["4"]);
    let lists = "SELECT ?s { ?s <http://www.w3.org/ns/auth/acl#mode> ?m }";
    assert_eq!(values(&ask(&a, "/sparql", lists, &[]).await, "s"), Vec::<String>::new());
    // A description has the rights of its subject.
    assert!(
        a.put("/alice/own/x.meta", TURTLE, "<x> <urn:about> 7 .")
            .await
            .status
            .is_success()
    );
    let about = "SELECT ?v { ?s <urn:about> ?v }";
    assert_eq!(values(&ask(&a, "/sparql", about, &[]).await, "v"), ["7"]);
    assert_eq!(values(&ask(&b, "/sparql", about, &[]).await, "v"), Vec::<String>::new());
    assert_eq!(ask(&a, "/nobody/sparql", ALL, &[]).await.status, 404);
    let server = server.restart().await;
    assert_eq!(
        values(&ask(&alice.client(), "/sparql", ALL, &[]).await, "v"),
        ["2", "3"],
        "after a restart"
    );
    server.stop().await;
}

/// A server with more resources than it indexes unasked builds its index for the first query, which sees everything.
#[tokio::test(flavor = "multi_thread")]
async fn a_large_server_builds_its_index_when_it_is_asked() {
    let server = PodServer::start_with(json!({"index": {"build_at_start_resources_max": 0}})).await;
    let alice = server.agent("alice").await;
    speed(&alice.client(), "/alice/x", 1).await;
    let server = server.restart().await;
    let index = server.app.query.index();
    assert!(!index.is_wanted() && !index.is_built(), "nobody has asked");
    let a = alice.client();
    assert_eq!(values(&ask(&a, "/alice/sparql", ALL, &[]).await, "v"), ["1"]);
    assert!(index.is_built());
    speed(&a, "/alice/y", 2).await;
    assert_eq!(values(&ask(&a, "/alice/sparql", ALL, &[]).await, "v"), ["1", "2"]);
}

/// Requirements ENF-32.
#[tokio::test(flavor = "multi_thread")]
async fn formats_and_refusals() {
    let server = PodServer::start_with(json!({ "query": { "rows_max": 50, "scanned_max": 5_000 } })).await;
    let alice = server.agent("alice").await.client();
    let body: String = (0..100).map(|n| format!("<#s{n}> <urn:p> {n} . ")).collect();
    assert_eq!(alice.put("/alice/x", TURTLE, body).await.status, 201);
    let get = |accept: &'static str, query: &str| {
        let query: String = url::form_urlencoded::byte_serialize(query.as_bytes()).collect();
        let request = alice
            .request("GET", &format!("/alice/sparql?query={query}"))
            .header("accept", accept);
        async move { request.send().await }
    };
    for (accept, query, media_type, part) in [
        (
            "application/sparql-results+xml",
            "SELECT * { <#s1> ?p ?o }",
            "application/sparql-results+xml",
            "<sparql",
        ),
        (
            "text/csv",
            "SELECT ?o { ?s ?p ?o FILTER(?o = 7) }",
            "text/csv",
            "o\r\n7\r\n",
        ),
        (
            "text/tab-separated-values",
            "ASK {}",
            "text/tab-separated-values",
            "true",
        ),
        ("*/*", "ASK {}", "application/sparql-results+json", "\"boolean\":true"),
        ("text/turtle", "CONSTRUCT WHERE { ?s ?p 7 }", "text/turtle", "<urn:p>"),
        (
            "application/n-triples",
            "DESCRIBE <x#s7>",
            "application/n-triples",
            "<urn:p>",
        ),
        (
            "application/ld+json",
            "CONSTRUCT WHERE { ?s ?p 7 }",
            "application/ld+json",
            "urn:p",
        ),
    ] {
        let reply = get(accept, query).await;
        assert_eq!(
            (reply.status.as_u16(), reply.header("content-type")),
            (200, media_type),
            "{query} {}",
            reply.text()
        );
        assert!(reply.text().contains(part), "{query}: {}", reply.text());
    }
    let deep = format!("SELECT * {{ {} }}", "{".repeat(10_000));
    for (query, status, expected) in [
        ("SELECT * { ?s ?p }", 400, "malformed-query"),
        (deep.as_str(), 400, "query-too-deep"),
        (
            "SELECT * { SERVICE <http://169.254.169.254/> { ?s ?p ?o } }",
            400,
            "clause-refused",
        ),
        ("LOAD <http://169.254.169.254/>", 400, "update-refused"),
        ("INSERT DATA { <a> <b> <c> }", 400, "update-refused"),
        ("SELECT * { ?s ?p ?o }", 413, "query-too-costly"),
        (
            "SELECT (COUNT(*) AS ?n) { ?s ?p ?o . ?t ?q ?r }",
            413,
            "query-too-costly",
        ),
    ] {
        let reply = ask(&alice, "/alice/sparql", query, &[]).await;
        assert_eq!(
            (reply.status.as_u16(), kind(&reply).as_str()),
            (status, expected),
            "{}",
            reply.text()
        );
    }
    let syntax = ask(&alice, "/alice/sparql", "SELECT *\n{ ?s ?p }", &[]).await.json();
    assert_eq!(syntax["line"], 2);
    assert_eq!(get("image/png", "ASK {}").await.status, 406);
    let untyped = alice.request("POST", "/alice/sparql").body("ASK {}").send().await;
    assert_eq!(untyped.status, 400);
    assert_eq!(alice.put("/alice/sparql", TURTLE, "").await.status, 405);
    server.stop().await;
}
