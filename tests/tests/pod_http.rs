//! HTTP over real sockets: conditions, ranges, negotiation, cross-origin headers, uploads that break, concurrency.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::HashSet;

use meent_tests::pod::{Agent, PodServer, raw_request};

/// Requirements solid 52-57: `{tag}` is the tag of Turtle, `{json}` that of JSON-LD, `{date}` the last modification.
#[tokio::test(flavor = "multi_thread")]
async fn conditional_requests() {
    let server = PodServer::start().await;
    let alice = server.agent("alice").await.client();
    alice.put("/alice/x.ttl", "text/turtle", "<a> <b> <c> .").await;
    for (method, headers, status) in [
        ("GET", vec![("if-none-match", "{tag}")], 304),
        ("HEAD", vec![("if-none-match", "W/{tag}")], 304),
        ("GET", vec![("if-none-match", "{json}")], 200),
        (
            "GET",
            vec![("if-none-match", "{json}"), ("accept", "application/ld+json")],
            304,
        ),
        ("GET", vec![("if-none-match", "*")], 304),
        ("GET", vec![("if-match", "{tag}")], 200),
        ("GET", vec![("if-match", "{json}")], 412),
        ("GET", vec![("if-match", "\"other\"")], 412),
        ("GET", vec![("if-modified-since", "{date}")], 304),
        ("GET", vec![("if-modified-since", "Sun, 06 Nov 1994 08:49:37 GMT")], 200),
        (
            "GET",
            vec![("if-unmodified-since", "Sun, 06 Nov 1994 08:49:37 GMT")],
            412,
        ),
        ("GET", vec![("if-match", "not a tag")], 400),
        ("PUT", vec![("if-none-match", "*")], 412),
        ("PUT", vec![("if-match", "\"other\"")], 412),
        ("PUT", vec![("if-match", "W/{tag}")], 412),
        (
            "PUT",
            vec![("if-unmodified-since", "Sun, 06 Nov 1994 08:49:37 GMT")],
            412,
        ),
        ("DELETE", vec![("if-match", "\"other\"")], 412),
        ("PUT", vec![("if-match", "{json}")], 204),
        ("PUT", vec![("if-match", "*")], 204),
        ("PUT", vec![("if-match", "{tag}")], 204),
        ("DELETE", vec![("if-match", "{tag}")], 205),
        ("PUT", vec![("if-match", "*")], 412),
        ("PUT", vec![("if-none-match", "*")], 201),
    ] {
        let turtle = alice.get("/alice/x.ttl").await;
        let json = alice
            .request("GET", "/alice/x.ttl")
            .header("accept", "application/ld+json")
            .send()
            .await;
        let mut request = alice.request(method, "/alice/x.ttl");
        if method == "PUT" {
            request = request.content("text/turtle", "<a> <b> <d> .");
        }
        for (name, value) in &headers {
            let value = value
                .replace("{tag}", turtle.header("etag"))
                .replace("{json}", json.header("etag"))
                .replace("{date}", turtle.header("last-modified"));
            request = request.header(name, value);
        }
        let reply = request.send().await;
        assert_eq!(reply.status, status, "{method} {headers:?}: {}", reply.text());
        if status == 304 {
            assert!(reply.body.is_empty() && !reply.header("etag").is_empty() && !reply.header("vary").is_empty());
        }
    }
    server.stop().await;
}

/// Requirements solid 57: a condition counts only where the request would succeed without it, as far as can be told before
/// its content is looked at (RFC 9110 §13.2.1).
#[tokio::test(flavor = "multi_thread")]
async fn other_faults_come_before_conditions() {
    let server = PodServer::start().await;
    let alice = server.agent("alice").await.client();
    alice.put("/alice/c/x.ttl", "text/turtle", "<a> <b> <c> .").await;
    for (method, path, headers, body, status) in [
        ("PUT", "/alice/c/x.ttl", vec![], "<a> <b> <d> .", 400),
        (
            "PUT",
            "/alice/c/x.ttl",
            vec![("content-type", "text/turtle"), ("content-encoding", "gzip")],
            "x",
            415,
        ),
        ("PUT", "/alice/c/", vec![("content-type", "text/html")], "x", 415),
        ("PUT", "/alice/c", vec![("content-type", "text/plain")], "x", 409),
        ("POST", "/alice/c/", vec![], "x", 400),
        ("POST", "/alice/c/x.ttl", vec![("content-type", "text/plain")], "x", 405),
        ("POST", "/alice/none/", vec![("content-type", "text/plain")], "x", 404),
        ("DELETE", "/alice/c/", vec![], "", 409),
        ("DELETE", "/alice/", vec![], "", 405),
        ("GET", "/alice/c/x.ttl", vec![("accept", "image/png")], "", 406),
        // Content is not looked at for a request whose condition fails.
        (
            "PUT",
            "/alice/c/x.ttl",
            vec![("content-type", "text/turtle")],
            "<a",
            412,
        ),
        ("PUT", "/alice/c/", vec![("content-type", "text/turtle")], "<a", 412),
        ("POST", "/alice/c/", vec![("content-type", "text/turtle")], "<a", 412),
    ] {
        let mut request = alice.request(method, path).header("if-match", "\"other\"");
        for (name, value) in &headers {
            request = request.header(name, *value);
        }
        let reply = request.body(body).send().await;
        assert_eq!(reply.status, status, "{method} {path} {headers:?}: {}", reply.text());
    }
    server.stop().await;
}

/// Requirements solid 58 (T54).
#[tokio::test(flavor = "multi_thread")]
async fn ranges() {
    let server = PodServer::start().await;
    let alice = server.agent("alice").await.client();
    let small: Vec<u8> = (0..100).collect();
    let large: Vec<u8> = (0..300_000_u32).map(|n| (n % 251) as u8).collect();
    for (path, body) in [("/alice/small.bin", &small), ("/alice/large.bin", &large)] {
        alice.put(path, "application/octet-stream", body.clone()).await;
        let size = body.len();
        for (range, status, first, last) in [
            ("bytes=0-0", 206, 0, 0),
            ("bytes=10-19", 206, 10, 19),
            ("bytes=-5", 206, size - 5, size - 1),
            ("bytes=90-99999999", 206, 90, size - 1),
            ("bytes=0-1,5-6", 200, 0, size - 1),
            ("bytes=x", 200, 0, size - 1),
            ("lines=1-2", 200, 0, size - 1),
        ] {
            let reply = alice.request("GET", path).header("range", range).send().await;
            assert_eq!(reply.status, status, "{range}");
            assert_eq!(&reply.body[..], &body[first..=last], "{path} {range}");
            assert_eq!(reply.header("accept-ranges"), "bytes");
            if status == 206 {
                assert_eq!(reply.header("content-range"), format!("bytes {first}-{last}/{size}"));
            }
        }
        let beyond = alice
            .request("GET", path)
            .header("range", format!("bytes={size}-"))
            .send()
            .await;
        assert_eq!(beyond.status, 416);
        assert_eq!(beyond.header("content-range"), format!("bytes */{size}"));
        let head = alice.request("HEAD", path).header("range", "bytes=0-1").send().await;
        assert_eq!(
            (head.status.as_u16(), head.header("content-length")),
            (200, size.to_string().as_str())
        );
        let tag = head.header("etag").to_owned();
        let fresh = alice
            .request("GET", path)
            .header("range", "bytes=0-1")
            .header("if-range", tag)
            .send()
            .await;
        assert_eq!(fresh.status, 206);
        let old = alice
            .request("GET", path)
            .header("range", "bytes=0-1")
            .header("if-range", "\"1-b\"")
            .send()
            .await;
        assert_eq!(old.status, 200);
    }
    server.stop().await;
}

/// Requirements solid 5, 7, 11, 26, 61-63 (T52, T53, T63).
#[tokio::test(flavor = "multi_thread")]
async fn bad_requests_are_told_what_is_wrong() {
    let server =
        PodServer::start_with(serde_json::json!({ "ldp": { "rdf_bytes_max": 10_000, "body_bytes_max": 100_000 } }))
            .await;
    let alice = server.agent("alice").await.client();
    alice.put("/alice/x.ttl", "text/turtle", "<a> <b> <c> .").await;
    alice.put("/alice/p.png", "image/png", "png").await;
    alice.put("/alice/c/", "text/turtle", "").await;
    let long = format!("/alice/{}", "x".repeat(3_000));
    for (method, path, headers, body, status) in [
        ("PUT", "/alice/y", vec![], "x", 400),
        ("POST", "/alice/", vec![], "x", 400),
        ("PATCH", "/alice/x.ttl", vec![], "x", 400),
        ("PUT", "/alice/y", vec![("content-type", "nonsense")], "x", 400),
        (
            "PUT",
            "/alice/y.ttl",
            vec![("content-type", "text/turtle")],
            "<a> <b> ;;",
            400,
        ),
        (
            "PUT",
            "/alice/y.json",
            vec![("content-type", "application/ld+json")],
            "{\"@context\": \"https://schema.org\"}",
            422,
        ),
        ("PUT", "/alice/y/", vec![("content-type", "image/png")], "x", 415),
        (
            "PATCH",
            "/alice/x.ttl",
            vec![("content-type", "application/json")],
            "{}",
            415,
        ),
        (
            "PATCH",
            "/alice/p.png",
            vec![("content-type", "text/n3")],
            "<> a <http://www.w3.org/ns/solid/terms#InsertDeletePatch>.",
            405,
        ),
        (
            "PUT",
            "/alice/y",
            vec![("content-type", "text/plain"), ("content-encoding", "gzip")],
            "x",
            415,
        ),
        (
            "PUT",
            "/alice/y",
            vec![("content-type", "text/plain"), ("content-range", "bytes 0-0/2")],
            "x",
            400,
        ),
        ("GET", "/alice/x.ttl", vec![("accept", "image/png")], "", 406),
        ("GET", "/alice/p.png", vec![("accept", "text/turtle")], "", 406),
        (
            "POST",
            "/alice/nowhere/",
            vec![("content-type", "text/plain")],
            "x",
            404,
        ),
        ("POST", "/alice/x.ttl", vec![("content-type", "text/plain")], "x", 405),
        ("PUT", "/alice/c", vec![("content-type", "text/plain")], "x", 409),
        ("PUT", "/alice/x.ttl/", vec![("content-type", "text/turtle")], "", 409),
        ("PUT", "/alice/x.ttl/y", vec![("content-type", "text/plain")], "x", 409),
        ("GET", "/alice/c", vec![], "", 301),
        ("GET", "/alice/x.ttl/", vec![], "", 301),
        (
            "PUT",
            "/alice/ghost.meta",
            vec![("content-type", "text/turtle")],
            "",
            409,
        ),
        ("BREW", "/alice/x.ttl", vec![], "", 501),
        ("TRACE", "/alice/x.ttl", vec![], "", 405),
        ("GET", long.as_str(), vec![], "", 414),
    ] {
        let mut request = alice.request(method, path).body(body);
        for (name, value) in &headers {
            request = request.header(name, *value);
        }
        let reply = request.send().await;
        assert_eq!(reply.status, status, "{method} {path} {headers:?}: {}", reply.text());
        if status >= 400 && method != "HEAD" {
            assert_eq!(
                reply.header("content-type"),
                "application/problem+json",
                "{method} {path}"
            );
            assert!(
                reply.json()["type"].as_str().unwrap().starts_with("https://"),
                "{method} {path}"
            );
        }
        if status == 405 {
            assert!(reply.header("allow").contains("GET"));
        }
    }
    let malformed = alice
        .put("/alice/y.ttl", "text/turtle", "<a> <b> <c> .\n<a> <b> ;;")
        .await
        .json();
    assert_eq!(malformed["line"], 2);
    assert_eq!(alice.get("/alice/y").await.status, 404);
    server.stop().await;
}

/// Requirements solid 46-49 (T57).
#[tokio::test(flavor = "multi_thread")]
async fn cross_origin_headers() {
    let server = PodServer::start().await;
    let alice = server.agent("alice").await.client();
    alice.put("/alice/x", "text/plain", "x").await;
    for (client, path, status) in [
        (server.client(), "/alice/x", 401),
        (alice.clone(), "/alice/x", 200),
        (alice.clone(), "/alice/y", 404),
    ] {
        let reply = client
            .request("GET", path)
            .header("origin", "https://app.example")
            .send()
            .await;
        assert_eq!(reply.status, status);
        assert_eq!(reply.header("access-control-allow-origin"), "https://app.example");
        assert!(reply.header("access-control-expose-headers").contains("WAC-Allow"));
        assert!(reply.header("vary").split(", ").any(|name| name == "Origin"));
        assert_eq!(reply.header("access-control-allow-credentials"), "");
    }
    let preflight = server
        .client()
        .request("OPTIONS", "/alice/x")
        .header("origin", "https://app.example")
        .header("access-control-request-method", "PUT")
        .header("access-control-request-headers", "X-Custom, Accept")
        .send()
        .await;
    assert_eq!((preflight.status.as_u16(), preflight.body.len()), (204, 0));
    assert!(preflight.header("access-control-allow-headers").contains("X-Custom"));
    assert!(preflight.header("access-control-allow-headers").contains("Accept"));
    assert!(preflight.header("access-control-allow-methods").contains("PUT"));
    server.stop().await;
}

/// T10: another host is not ours, however it is named.
#[tokio::test(flavor = "multi_thread")]
async fn foreign_hosts_are_refused() {
    let server = PodServer::start().await;
    server.agent("alice").await;
    for head in [
        "GET /alice/profile/card HTTP/1.1\r\nHost: evil.example\r\n",
        "GET http://evil.example/alice/profile/card HTTP/1.1\r\nHost: evil.example\r\n",
    ] {
        let request = format!("{head}X-Forwarded-Host: evil.example\r\nConnection: close\r\n\r\n");
        let reply = raw_request(&server.base_url, request.as_bytes(), false).await.unwrap();
        assert_eq!(reply.status, 421, "{head}");
        assert!(!String::from_utf8_lossy(&reply.bytes).contains("evil"));
    }
    server.stop().await;
}

/// Requirements solid 53, 56 (T60): of ten that want to create, one does; of a thousand counted writes, none is lost, and each has its tag.
#[tokio::test(flavor = "multi_thread")]
async fn concurrent_writes() {
    let server = PodServer::start().await;
    let agent = server.agent("alice").await;
    let mut tasks = Vec::new();
    for number in 0..10 {
        let client = agent.client();
        tasks.push(tokio::spawn(async move {
            let request = client.request("PUT", "/alice/one").header("if-none-match", "*");
            request
                .content("text/plain", number.to_string())
                .send()
                .await
                .status
                .as_u16()
        }));
    }
    let mut made = 0;
    for task in tasks {
        match task.await.unwrap() {
            201 => made += 1,
            412 => {}
            other => panic!("{other}"),
        }
    }
    assert_eq!(made, 1);
    agent.client().put("/alice/counter", "text/plain", "0").await;
    let mut tasks = Vec::new();
    for _ in 0..4 {
        tasks.push(tokio::spawn(count_up(agent.clone(), 250)));
    }
    let mut tags = HashSet::new();
    for task in tasks {
        tags.extend(task.await.unwrap());
    }
    assert_eq!(agent.client().get("/alice/counter").await.text(), "1000");
    assert_eq!(tags.len(), 1_000);
    server.stop().await;
}

async fn count_up(agent: Agent, times: usize) -> Vec<String> {
    let client = agent.client();
    let mut tags = Vec::new();
    while tags.len() < times {
        let read = client.get("/alice/counter").await;
        let next = read.text().parse::<u64>().unwrap() + 1;
        let write = client
            .request("PUT", "/alice/counter")
            .header("if-match", read.header("etag"));
        let write = write.content("text/plain", next.to_string()).send().await;
        match write.status.as_u16() {
            204 => tags.push(write.header("etag").to_owned()),
            412 => {}
            other => panic!("{other}: {}", write.text()),
        }
    }
    tags
}

/// Requirements solid 14-17, 113.
#[tokio::test(flavor = "multi_thread")]
async fn storages_describe_themselves() {
    let server = PodServer::start().await;
    let agent = server.agent("alice").await;
    let alice = agent.client();
    let root = alice.get("/alice/").await;
    let link = root.header("link");
    assert!(
        link.contains("<http://www.w3.org/ns/pim/space#Storage>; rel=\"type\""),
        "{link}"
    );
    assert!(
        link.contains(&format!(
            "<{}>; rel=\"http://www.w3.org/ns/solid/terms#owner\"",
            agent.web_id
        )),
        "{link}"
    );
    assert!(
        link.contains("alice/sparql>; rel=\"http://www.w3.org/ns/solid/sparql#endpoint\""),
        "{link}"
    );
    let description = server.client().get("/alice/.well-known/solid").await;
    assert_eq!(description.status, 200);
    assert!(description.text().contains("http://www.w3.org/ns/pim/space#Storage"));
    assert_eq!(server.client().get("/nobody/.well-known/solid").await.status, 404);
    let minimal = alice
        .request("GET", "/alice/")
        .header(
            "prefer",
            "return=representation; include=\"http://www.w3.org/ns/ldp#PreferMinimalContainer\"",
        )
        .send()
        .await;
    assert!(
        !minimal.text().contains("ldp:contains") && minimal.header("preference-applied") == "return=representation"
    );
    assert!(minimal.header("vary").contains("Prefer"), "{}", minimal.header("vary"));
    assert_ne!(minimal.header("etag"), root.header("etag"));
    server.stop().await;
}

/// Requirements solid 18: a listing of many members is sent while it is read, and is whole.
#[tokio::test(flavor = "multi_thread")]
async fn long_listings_are_whole() {
    let server = PodServer::start_with(
        serde_json::json!({ "ldp": { "listing_cached_members_max": 10, "listing_page_members": 7 } }),
    )
    .await;
    let agent = server.agent("alice").await;
    let alice = agent.client();
    for number in 0..50 {
        alice.put(&format!("/alice/many/{number}"), "text/plain", "x").await;
    }
    let turtle = alice.get("/alice/many/").await.text();
    assert_eq!(turtle.matches("ldp:contains").count(), 50);
    let json = alice
        .request("GET", "/alice/many/")
        .header("accept", "application/ld+json")
        .send()
        .await;
    assert_eq!(json.json().to_string().matches("ldp#contains").count(), 50);
    server.stop().await;
}

/// Requirements solid 59, 65: the short way for public reads says the same as the long way, and never anything old.
#[tokio::test(flavor = "multi_thread")]
async fn repeated_public_reads_are_always_current() {
    let server = PodServer::start().await;
    let agent = server.agent("alice").await;
    let (alice, public) = (agent.client(), server.client());
    let path = "/alice/open.ttl";
    let acl = format!(
        "@prefix acl: <http://www.w3.org/ns/auth/acl#>. @prefix foaf: <http://xmlns.com/foaf/0.1/>. \
         <#public> a acl:Authorization; acl:agentClass foaf:Agent; acl:accessTo <open.ttl>; acl:mode acl:Read. \
         <#owner> a acl:Authorization; acl:agent <{}>; acl:accessTo <open.ttl>; acl:mode acl:Read, acl:Write, acl:Control.",
        agent.web_id
    );
    assert_eq!(alice.put(path, "text/turtle", "").await.status, 201);
    assert_eq!(alice.put("/alice/open.ttl.acl", "text/turtle", acl).await.status, 201);
    for round in 0..5 {
        let body = format!("<#me> <urn:round> {round} .");
        assert_eq!(alice.put(path, "text/turtle", body.clone()).await.status, 204);
        let first = public.get(path).await;
        let second = public.get(path).await;
        assert_eq!((first.text(), second.text()), (body.clone(), body));
        for name in [
            "etag",
            "link",
            "allow",
            "wac-allow",
            "vary",
            "content-type",
            "content-security-policy",
            "cache-control",
        ] {
            assert_eq!(first.header(name), second.header(name), "{name}");
            assert!(!first.header(name).is_empty(), "{name}");
        }
        let unchanged = public
            .request("GET", path)
            .header("if-none-match", first.header("etag"))
            .send()
            .await;
        assert_eq!((unchanged.status.as_u16(), unchanged.body.len()), (304, 0));
        assert_eq!(unchanged.header("etag"), first.header("etag"));
        let other = public
            .request("GET", path)
            .header("if-none-match", "\"0-t\"")
            .send()
            .await;
        assert_eq!(other.status, 200);
        let broken = public
            .request("GET", path)
            .header("if-none-match", "no tag")
            .send()
            .await;
        assert_eq!(broken.status, 400);
        let json = public
            .request("GET", path)
            .header("accept", "application/ld+json")
            .send()
            .await;
        assert!(json.json().to_string().contains(&format!("\"{round}\"")) || json.text().contains(&round.to_string()));
        let crossed = public
            .request("GET", path)
            .header("origin", "https://app.example")
            .send()
            .await;
        assert_eq!(crossed.header("access-control-allow-origin"), "https://app.example");
    }
    server.stop().await;
}
