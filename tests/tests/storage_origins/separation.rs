//! Nothing of one storage is reached through the origin of another, or of the server.

use meent_tests::pod::{PodServer, raw_request};
use serde_json::json;

use super::{TURTLE, open_to_all, server};

/// Requirements solid 11, 66, T10: below the server's own origin there is nothing of the storage, whatever the method and
/// the spelling, and the answer hints at nothing.
#[tokio::test(flavor = "multi_thread")]
async fn there_is_no_second_name() {
    let (server, _) = server().await;
    let agent = server.agent("gent").await;
    let gent = agent.client();
    assert_eq!(
        gent.put("/gent/.acl", TURTLE, open_to_all(&agent.web_id, "./"))
            .await
            .status,
        204
    );
    assert_eq!(gent.put("/gent/a.ttl", TURTLE, "<> <urn:p> 1 .").await.status, 201);
    for path in [
        "gent",
        "gent/",
        "gent/a.ttl",
        "gent/nothing",
        "gent/.acl",
        "gent/a.ttl.meta",
        "gent/profile/card",
        "%67ent/a.ttl",
        "%67%65%6E%74/",
        "gent/.well-known/solid",
        "gent/.log",
        "gent/.dataspace/catalog",
        "gent/.consent/",
        "gent/sparql",
        "gent/.notifications/WebSocketChannel2023",
        "gent/.constraints",
    ] {
        for client in [&gent, &server.client()] {
            for method in ["GET", "HEAD", "PUT", "POST", "PATCH", "DELETE", "OPTIONS"] {
                let url = format!("{}{path}", server.base_url);
                let reply = client.request(method, &url).content(TURTLE, "").send().await;
                assert_eq!(reply.status, 404, "{method} {path}: {}", reply.text());
                let everything = format!("{:?} {}", reply.headers, reply.text());
                assert!(!everything.contains("gent"), "{method} {path}: {everything}");
                assert_eq!(reply.header("location"), "", "{method} {path}");
            }
        }
    }
    assert_eq!(gent.get("/gent/a.ttl").await.status, 200);
    // What is the server's own stays on its origin.
    assert_eq!(
        server.client().get(&format!("{}catalog", server.base_url)).await.status,
        200
    );
    server.stop().await;
}

/// T10, T64: hosts that are no storage's are refused, and the two places that name one must agree.
#[tokio::test(flavor = "multi_thread")]
async fn foreign_hosts_are_refused() {
    let (server, ending) = server().await;
    let agent = server.agent("gent").await;
    let gent = agent.client();
    gent.put("/gent/.acl", TURTLE, open_to_all(&agent.web_id, "./")).await;
    gent.put("/gent/a.ttl", TURTLE, "<> <urn:p> 1 .").await;
    server.agent("brugge").await;
    let (base, port) = (ending.trim_start_matches('.'), ending.rsplit(':').next().unwrap());
    for (target, host, status) in [
        ("/a.ttl", format!("gent{ending}"), 200),
        ("/a.ttl", format!("GENT{}", ending.to_uppercase()), 200),
        ("/a.ttl", format!("nobody{ending}"), 421),
        ("/a.ttl", format!("a.gent{ending}"), 421),
        ("/a.ttl", format!("gent.gent{ending}"), 421),
        ("/a.ttl", format!("gent.{ending}"), 421),
        ("/a.ttl", ending.clone(), 421),
        ("/a.ttl", format!("user@gent{ending}"), 421),
        ("/a.ttl", "gent.data.localhost".to_owned(), 421),
        ("/a.ttl", format!("gent.data.localhost.:{port}"), 421),
        ("/a.ttl", format!("gent.data.localhost:{port}0"), 421),
        ("/a.ttl", format!("gent.evil.example:{port}"), 421),
        ("/a.ttl", format!("gent%2e{base}"), 421),
        ("/a.ttl", format!("%67ent{ending}"), 421),
        ("/a.ttl", format!("gent/{ending}"), 421),
        ("/a.ttl", format!("brugge{ending}"), 401),
        ("/gent/a.ttl", format!("brugge{ending}"), 401),
        ("/gent/a.ttl", format!("gent{ending}"), 404),
        ("/../gent/a.ttl", format!("brugge{ending}"), 400),
        ("/%2e%2e/gent/a.ttl", format!("brugge{ending}"), 400),
        ("//a.ttl", format!("gent{ending}"), 400),
        ("/..%2fgent/a.ttl", format!("brugge{ending}"), 400),
        (&format!("http://gent{ending}/a.ttl"), format!("gent{ending}"), 200),
        (&format!("http://gent{ending}/a.ttl"), format!("brugge{ending}"), 421),
        (&format!("http://brugge{ending}/a.ttl"), format!("gent{ending}"), 421),
        (&format!("http://gent{ending}/a.ttl"), base.to_owned(), 421),
        (&format!("http://{base}/gent/a.ttl"), base.to_owned(), 404),
    ] {
        let request = format!("GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        let reply = raw_request(&server.base_url, request.as_bytes(), false).await.unwrap();
        let text = String::from_utf8_lossy(&reply.bytes).into_owned();
        // A line that is no host at all may be refused before anyone looks at it.
        let malformed = reply.status == 400 && status == 421;
        assert!(reply.status == status || malformed, "{target} at {host}: {text}");
    }
    server.stop().await;
}

/// T10, T58: public resources of the same path in two storages stay two, in every cache, and so do their lists.
#[tokio::test(flavor = "multi_thread")]
async fn caches_never_mix_two_storages() {
    let (server, ending) = server().await;
    for name in ["gent", "brugge", "secret"] {
        let agent = server.agent(name).await;
        let client = agent.client();
        if name != "secret" {
            let list = open_to_all(&agent.web_id, "./");
            assert_eq!(client.put(&format!("/{name}/.acl"), TURTLE, list).await.status, 204);
        }
        let body = format!("<> <urn:of> \"{name}\" .");
        assert_eq!(client.put(&format!("/{name}/same.ttl"), TURTLE, body).await.status, 201);
    }
    let public = server.client();
    for _ in 0..4 {
        for accept in [TURTLE, "application/n-triples"] {
            let get = async |url: String| public.request("GET", &url).header("accept", accept).send().await;
            for name in ["gent", "brugge"] {
                let read = get(format!("http://{name}{ending}/same.ttl")).await;
                assert_eq!(read.status, 200);
                assert!(read.text().contains(&format!("\"{name}\"")), "{}", read.text());
                assert!(
                    read.header("link")
                        .contains(&format!("<http://{name}{ending}/same.ttl.acl>"))
                );
            }
            assert_eq!(get(format!("http://secret{ending}/same.ttl")).await.status, 401);
            assert_eq!(get(format!("{}same.ttl", server.base_url)).await.status, 401);
            for name in ["gent", "brugge", "secret"] {
                assert_eq!(get(format!("{}{name}/same.ttl", server.base_url)).await.status, 404);
                let other = format!("http://gent{ending}/{name}/same.ttl");
                assert_ne!(get(other).await.status, 200, "{name} through gent");
            }
        }
    }
    server.stop().await;
}

/// Requirements solid 71, 73: an access rule that names a resource by another name than its own says nothing about it.
#[tokio::test(flavor = "multi_thread")]
async fn rules_for_another_name_open_nothing() {
    let (server, ending) = server().await;
    let agent = server.agent("gent").await;
    let gent = agent.client();
    gent.put("/gent/c/a.ttl", TURTLE, "<> <urn:p> 1 .").await;
    let public = server.client();
    for (resource, status) in [
        (format!("{}gent/c/", server.base_url), 401),
        ("/gent/c/".to_owned(), 401),
        (format!("http://brugge{ending}/c/"), 401),
        (format!("http://gent{ending}/c/"), 200),
        ("/c/".to_owned(), 200),
    ] {
        let own = "@prefix acl: <http://www.w3.org/ns/auth/acl#>. <#own> a acl:Authorization; acl:accessTo <./>; acl:default \
                   <./>; acl:mode acl:Read, acl:Write, acl:Control; acl:agent ";
        let list = format!("{} {own} <{}>.", open_to_all(&agent.web_id, &resource), agent.web_id);
        let put = gent.put("/gent/c/.acl", TURTLE, list).await;
        assert!(put.status.is_success(), "{resource}: {}", put.text());
        let read = public.get(&format!("http://gent{ending}/c/a.ttl")).await;
        assert_eq!(read.status, status, "{resource}");
    }
    server.stop().await;
}

/// A storage keeps the place that it was made with, whatever the configuration says later.
#[tokio::test(flavor = "multi_thread")]
async fn a_storage_keeps_its_place() {
    let (server, ending) = server().await;
    server.agent("gent").await;
    let below = json!({ "server": { "subdomains": false } });
    let server = server.restart_with(below).await;
    server.agent("brugge").await;
    assert_eq!(server.app.origins.root("brugge"), format!("{}brugge/", server.base_url));
    let look = async |server: &PodServer| {
        let public = server.client();
        for (url, status) in [
            (format!("http://gent{ending}/profile/card"), 200),
            (format!("{}gent/profile/card", server.base_url), 404),
            (format!("http://brugge{ending}/profile/card"), 421),
            (format!("{}brugge/profile/card", server.base_url), 200),
        ] {
            assert_eq!(public.get(&url).await.status, status, "{url}");
        }
    };
    look(&server).await;
    let server = server.restart_with(json!({ "server": { "subdomains": true } })).await;
    look(&server).await;
    server.stop().await;
}
