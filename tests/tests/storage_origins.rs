//! Storages with an origin of their own, `https://gent.data.example/`: one IRI for each resource, on that origin alone
//! (solid#11, solid#13, solid#66; T10).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "storage_origins/identity.rs"]
mod identity;
#[path = "storage_origins/moving.rs"]
mod moving;
#[path = "storage_origins/separation.rs"]
mod separation;

use meent_tests::notify::{WebSocketListener, subscription};
use meent_tests::pod::PodServer;
use serde_json::json;

const TURTLE: &str = "text/turtle";

/// A server, and how its storages' origins end: `.data.localhost:7101`.
async fn server() -> (PodServer, String) {
    let server = PodServer::start_on_subdomains(json!({})).await;
    let authority = server.base_url.trim_start_matches("http://").trim_end_matches('/');
    let ending = format!(".{authority}");
    (server, ending)
}

/// Rules that let everyone read a resource and what is below it.
fn open_to_all(owner: &str, resource: &str) -> String {
    format!(
        "@prefix acl: <http://www.w3.org/ns/auth/acl#>. @prefix foaf: <http://xmlns.com/foaf/0.1/>. <#o> a acl:Authorization; \
         acl:agent <{owner}>; acl:accessTo <{resource}>; acl:default <{resource}>; acl:mode acl:Read, acl:Write, acl:Control. \
         <#p> a acl:Authorization; acl:agentClass foaf:Agent; acl:accessTo <{resource}>; acl:default <{resource}>; acl:mode \
         acl:Read."
    )
}

/// Requirements solid 11, 13-17, 21, 22, 28, 33: whatever names a resource names it on its storage's origin: location, links,
/// listings in every syntax, descriptions, relative IRIs in what is written.
#[tokio::test(flavor = "multi_thread")]
async fn everything_is_named_on_the_origin_of_its_storage() {
    let (server, ending) = server().await;
    let agent = server.agent("gent").await;
    let root = format!("http://gent{ending}/");
    assert_eq!(agent.web_id, format!("{root}profile/card#me"));
    let gent = agent.client();
    let made = gent
        .put(&format!("{root}a/b.ttl"), TURTLE, "<> <urn:p> <c>, </top>.")
        .await;
    assert_eq!(made.status, 201, "{}", made.text());
    assert_eq!(made.header("location"), format!("{root}a/b.ttl"));
    let posted = gent
        .request("POST", &format!("{root}a/"))
        .header("slug", "new")
        .content(TURTLE, "")
        .send()
        .await;
    assert_eq!(posted.header("location"), format!("{root}a/new"));
    let read = gent
        .request("GET", &format!("{root}a/b.ttl"))
        .header("accept", "application/n-triples")
        .send()
        .await;
    for object in ["a/c", "top"] {
        assert!(read.text().contains(&format!("<{root}{object}>")), "{}", read.text());
    }
    let patch = "@prefix solid: <http://www.w3.org/ns/solid/terms#>. <> a solid:InsertDeletePatch; solid:inserts { <> <urn:q> \
                 </top>. }.";
    assert_eq!(gent.patch(&format!("{root}a/b.ttl"), patch).await.status, 204);
    for accept in [
        TURTLE,
        "application/ld+json",
        "application/n-triples",
        "application/lws+json",
    ] {
        for path in ["", "a/", "a/b.ttl", ".well-known/solid", "a/b.ttl.meta", "a/.acl"] {
            let reply = gent
                .request("GET", &format!("{root}{path}"))
                .header("accept", accept)
                .send()
                .await;
            let everything = format!("{:?} {}", reply.headers, reply.text());
            let below = format!("{}gent", server.base_url);
            assert!(!everything.contains(&below), "{path} as {accept}: {everything}");
            assert!(!everything.contains("/gent/"), "{path} as {accept}: {everything}");
        }
        let listing = gent
            .request("GET", &format!("{root}a/"))
            .header("accept", accept)
            .send()
            .await;
        let named = listing.text().contains(&format!("{root}a/b.ttl")) || listing.text().contains("<b.ttl>");
        assert!(named, "{accept}: {}", listing.text());
    }
    let twin = gent.get(&format!("{root}a")).await;
    assert_eq!(
        (twin.status.as_u16(), twin.header("location")),
        (301, format!("{root}a/").as_str())
    );
    let answer = gent.get(&root).await;
    for link in [
        format!("<{root}.well-known/solid>; rel=\"http://www.w3.org/ns/solid/terms#storageDescription\""),
        format!("<{root}.acl>; rel=\"acl\""),
        format!("<{root}sparql>"),
        format!("<{}>; rel=\"http://www.w3.org/ns/solid/terms#owner\"", agent.web_id),
    ] {
        assert!(
            answer.header("link").contains(&link),
            "{link}: {}",
            answer.header("link")
        );
    }
    let refused = gent.put(&format!("{root}a/b.ttl/"), TURTLE, "").await;
    assert_eq!(refused.status, 409);
    assert!(
        refused.header("link").contains("</.constraints>"),
        "{:?}",
        refused.headers
    );
    assert_eq!(gent.get(&format!("{root}.constraints")).await.status, 200);
    server.stop().await;
}

/// Requirements solid 104, 105, 107, 108: services, channels and what they tell are on the storage's origin.
#[tokio::test(flavor = "multi_thread")]
async fn notifications_are_on_the_origin_of_their_storage() {
    let (server, ending) = server().await;
    let gent = server.agent("gent").await.client();
    server.agent("brugge").await;
    let root = format!("http://gent{ending}/");
    let described = gent
        .request("GET", &format!("{root}.well-known/solid"))
        .header("accept", "application/ld+json")
        .send()
        .await;
    assert_eq!(described.json()["id"], root);
    let service = described.json()["subscription"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!(service, format!("{root}.notifications/WebSocketChannel2023"));
    let subscribe = async |topic: &str| {
        let body = subscription("WebSocketChannel2023", topic, &json!({})).to_string();
        gent.request("POST", &service)
            .content("application/ld+json", body)
            .send()
            .await
    };
    for other in [
        format!("{}gent/a", server.base_url),
        format!("http://brugge{ending}/a"),
        format!("http://gent{ending}.evil.example/a"),
    ] {
        assert_eq!(subscribe(&other).await.status, 422, "{other}");
    }
    let channel = subscribe(&format!("{root}a")).await;
    assert_eq!(channel.status, 200, "{}", channel.text());
    let receive = channel.json()["receiveFrom"].as_str().unwrap().to_owned();
    assert!(
        receive.starts_with(&format!("ws://gent{ending}/.notifications/receive/")),
        "{receive}"
    );
    assert_eq!(
        WebSocketListener::open(&receive.replace("gent.", "brugge."))
            .await
            .err(),
        Some(404),
        "a channel of another storage"
    );
    let mut listener = WebSocketListener::open(&receive).await.unwrap();
    assert_eq!(gent.put(&format!("{root}a"), "text/plain", "x").await.status, 201);
    let told = listener.next().await.unwrap();
    assert_eq!(
        (told["type"].as_str(), told["object"].as_str()),
        (Some("Create"), Some(format!("{root}a").as_str()))
    );
    server.stop().await;
}

/// A query names what it finds by its one IRI, on the endpoint of the storage and on that of the server.
#[tokio::test(flavor = "multi_thread")]
async fn queries_find_resources_by_their_one_iri() {
    let (server, ending) = server().await;
    let gent = server.agent("gent").await.client();
    let root = format!("http://gent{ending}/");
    gent.put(&format!("{root}a.ttl"), TURTLE, "<> <urn:p> 1 .").await;
    for endpoint in [format!("{root}sparql"), format!("{}sparql", server.base_url)] {
        let query = "SELECT ?g ?s { GRAPH ?g { ?s <urn:p> ?o } }";
        let found = gent
            .request("POST", &endpoint)
            .header("accept", "application/sparql-results+json")
            .content("application/sparql-query", query)
            .send()
            .await;
        assert_eq!(found.status, 200, "{}", found.text());
        let bindings = found.json()["results"]["bindings"].clone();
        assert_eq!(bindings.as_array().unwrap().len(), 1, "{bindings}");
        for variable in ["g", "s"] {
            assert_eq!(bindings[0][variable]["value"], format!("{root}a.ttl"), "{endpoint}");
        }
    }
    let relative = gent
        .request("POST", &format!("{root}sparql"))
        .content("application/sparql-query", "ASK { GRAPH <a.ttl> { ?s ?p ?o } }")
        .send()
        .await;
    assert!(relative.text().contains("true"), "{}", relative.text());
    assert_eq!(
        gent.get(&format!("{}gent/sparql?query=ASK%7B%7D", server.base_url))
            .await
            .status,
        404
    );
    server.stop().await;
}

/// The audit log names what was used by its IRI, and its reader finds it on the storage's origin.
#[tokio::test(flavor = "multi_thread")]
async fn the_log_names_what_was_used_by_its_iri() {
    let (server, ending) = server().await;
    let gent = server.agent("gent").await.client();
    let stranger = server.agent("stranger").await.client();
    let root = format!("http://gent{ending}/");
    gent.put(&format!("{root}secret.ttl"), TURTLE, "<> <urn:p> 1 .").await;
    assert_eq!(gent.get(&format!("{root}secret.ttl")).await.status, 200);
    assert_eq!(stranger.get(&format!("{root}.log")).await.status, 404);
    let log = gent.get(&format!("{root}.log?limit=400")).await;
    assert_eq!(log.status, 200, "{}", log.text());
    for target in [format!("{root}secret.ttl"), format!("{root}.log")] {
        assert!(
            log.text().contains(&format!("\"{target}\"")),
            "{target}: {}",
            log.text()
        );
    }
    // Where evidence is kept is a key of the store, and names nothing that was used.
    let names = log.text().replace("\"kept\":\"/gent/", "");
    assert!(!names.contains("\"/gent/"), "{}", log.text());
    assert_eq!(gent.get(&format!("{}gent/.log", server.base_url)).await.status, 404);
    server.stop().await;
}
