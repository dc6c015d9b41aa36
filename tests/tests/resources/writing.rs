//! Writing: containers on the way, members by POST, what only the server says, base IRIs, bounds, malformed content.

use std::collections::BTreeSet;

use meent_tests::pod::{Client, PodServer};

const TURTLE: &str = "text/turtle";
const BASIC_CONTAINER: &str = "<http://www.w3.org/ns/ldp#BasicContainer>; rel=\"type\"";

fn insert(triple: &str) -> String {
    format!(
        "@prefix solid: <http://www.w3.org/ns/solid/terms#>. _:p a solid:InsertDeletePatch; solid:inserts {{ {triple} }} ."
    )
}

async fn triples(client: &Client, path: &str) -> BTreeSet<String> {
    let reply = client
        .request("GET", path)
        .header("accept", "application/n-triples")
        .send()
        .await;
    assert_eq!(reply.status, 200, "{path}: {}", reply.text());
    reply.text().lines().map(str::to_owned).collect()
}

/// Requirements solid 10, 18, 24, 30, 63: PUT and PATCH make the containers on the way, and what is made can be read as
/// Turtle and as JSON-LD.
#[tokio::test(flavor = "multi_thread")]
async fn containers_on_the_way_are_made() {
    let server = PodServer::start().await;
    let alice = server.agent("alice").await.client();
    let base = server.base_url.trim_end_matches('/');
    let made = [
        (
            "/alice/put/b/c.ttl",
            alice.put("/alice/put/b/c.ttl", TURTLE, "<> <urn:p> 1 .").await,
        ),
        (
            "/alice/patch/b/c.ttl",
            alice.patch("/alice/patch/b/c.ttl", insert("<> <urn:p> 1 .")).await,
        ),
        (
            "/alice/empty/b/c/",
            alice.put("/alice/empty/b/c/", TURTLE, "<> <urn:p> 1 .").await,
        ),
    ];
    for (path, reply) in made {
        assert_eq!(reply.status, 201, "{path}: {}", reply.text());
        assert_eq!(reply.header("location"), format!("{base}{path}"));
        let mut member = path.to_owned();
        while member != "/alice/" {
            let at = member.trim_end_matches('/').rfind('/').unwrap();
            let container = member[..=at].to_owned();
            let contains = format!("<{base}{container}> <http://www.w3.org/ns/ldp#contains> <{base}{member}> .");
            assert!(triples(&alice, &container).await.contains(&contains), "{contains}");
            member = container;
        }
        for accept in [TURTLE, "application/ld+json"] {
            let read = alice.request("GET", path).header("accept", accept).send().await;
            assert_eq!(
                (read.status.as_u16(), read.header("content-type")),
                (200, accept),
                "{path}"
            );
            assert!(read.text().contains("urn:p"), "{path}");
        }
    }
    assert_eq!(alice.put("/alice/put/b/c.ttl", TURTLE, "").await.status, 204);
    server.stop().await;
}

/// Requirements solid 25, 26, 30, 66: the server picks the name of what is posted, and relative IRIs are that name's.
#[tokio::test(flavor = "multi_thread")]
async fn members_are_posted() {
    let server = PodServer::start().await;
    let alice = server.agent("alice").await.client();
    let base = server.base_url.trim_end_matches('/').to_owned();
    alice.put("/alice/in/", TURTLE, "").await;
    let mut names = BTreeSet::new();
    for (slug, link) in [
        ("note", ""),
        ("note", ""),
        ("box", BASIC_CONTAINER),
        ("box", BASIC_CONTAINER),
        ("", BASIC_CONTAINER),
    ] {
        let mut request = alice
            .request("POST", "/alice/in/")
            .content(TURTLE, "<> <urn:says> <#this> .");
        for (name, value) in [("slug", slug), ("link", link)] {
            if !value.is_empty() {
                request = request.header(name, value);
            }
        }
        let reply = request.send().await;
        assert_eq!(reply.status, 201, "{}", reply.text());
        let location = reply.header("location").to_owned();
        assert_eq!(location.ends_with('/'), !link.is_empty(), "{location}");
        let path = location.strip_prefix(&base).unwrap();
        let own = format!("<{location}> <urn:says> <{location}#this> .");
        assert!(triples(&alice, path).await.contains(&own), "{own}");
        let again = alice.get(path).await;
        assert_eq!(reply.header("etag"), again.header("etag"));
        assert!(names.insert(location), "one name twice");
    }
    for (path, status) in [
        ("/alice/nowhere/", 404),
        ("/alice/nowhere", 404),
        ("/alice/in/note", 405),
    ] {
        let reply = alice.request("POST", path).content(TURTLE, "").send().await;
        assert_eq!(reply.status, status, "{path}: {}", reply.text());
    }
    server.stop().await;
}

/// Requirements solid 20, 27, 28: whatever the method, nobody but the server says what a container holds.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_server_says_is_not_written() {
    let server = PodServer::start().await;
    let alice = server.agent("alice").await.client();
    alice.put("/alice/c/x.ttl", TURTLE, "<a> <b> <c> .").await;
    for statement in [
        "<> <http://www.w3.org/ns/ldp#contains> <ghost> .",
        "<x.ttl> <http://www.w3.org/ns/posix/stat#size> 1 .",
        "<x.ttl> <http://www.w3.org/ns/posix/stat#mtime> 1 .",
        "<x.ttl> a <http://www.w3.org/ns/iana/media-types/image/png#Resource> .",
        "<x.ttl> <http://purl.org/dc/terms/modified> \"2000-01-01T00:00:00Z\"^^<http://www.w3.org/2001/XMLSchema#dateTime> .",
    ] {
        let posted = alice
            .request("POST", "/alice/")
            .content(TURTLE, statement)
            .header("link", BASIC_CONTAINER);
        assert_eq!(posted.send().await.status, 409, "POST {statement}");
        assert_eq!(
            alice.put("/alice/c/", TURTLE, statement).await.status,
            409,
            "PUT {statement}"
        );
        assert_eq!(
            alice.put("/alice/new/", TURTLE, statement).await.status,
            409,
            "PUT {statement}"
        );
        assert_eq!(
            alice.patch("/alice/c/", insert(statement)).await.status,
            409,
            "PATCH {statement}"
        );
    }
    assert_eq!(alice.get("/alice/new/").await.status, 404);
    // Statements of its own are the client's, also on a container that exists.
    assert_eq!(
        alice.put("/alice/c/", TURTLE, "<> <urn:title> \"C\" .").await.status,
        204
    );
    assert_eq!(alice.patch("/alice/c/", insert("<> <urn:more> 1 .")).await.status, 204);
    let listing = alice.get("/alice/c/").await.text();
    assert!(
        ["urn:title", "urn:more", "x.ttl"]
            .iter()
            .all(|part| listing.contains(part)),
        "{listing}"
    );
    server.stop().await;
}

/// Requirements solid 19, 20: the listing says of each document what its own answer says; a change further down changes
/// no container above.
#[tokio::test(flavor = "multi_thread")]
async fn listings_say_what_members_say() {
    let server = PodServer::start().await;
    let alice = server.agent("alice").await.client();
    let base = server.base_url.trim_end_matches('/');
    for (path, media_type, body) in [
        ("/alice/c/x.ttl", TURTLE, "<a> <b> <c> ."),
        ("/alice/c/y", "text/plain; charset=utf-8", "seven !"),
        ("/alice/c/sub/z", "image/png", "png"),
    ] {
        assert_eq!(alice.put(path, media_type, body).await.status, 201);
    }
    let listing = triples(&alice, "/alice/c/").await;
    for (path, media_type) in [("/alice/c/x.ttl", "text/turtle"), ("/alice/c/y", "text/plain")] {
        let head = alice.request("HEAD", path).send().await;
        let modified = httpdate::parse_http_date(head.header("last-modified")).unwrap();
        let modified = time::OffsetDateTime::from(modified);
        let stamp = modified.format(&time::format_description::well_known::Rfc3339).unwrap();
        let xsd = "http://www.w3.org/2001/XMLSchema#";
        for (predicate, object) in [
            (
                "http://www.w3.org/1999/02/22-rdf-syntax-ns#type",
                format!("<http://www.w3.org/ns/iana/media-types/{media_type}#Resource>"),
            ),
            (
                "http://purl.org/dc/terms/modified",
                format!("\"{stamp}\"^^<{xsd}dateTime>"),
            ),
            (
                "http://www.w3.org/ns/posix/stat#mtime",
                format!("\"{}\"^^<{xsd}integer>", modified.unix_timestamp()),
            ),
            (
                "http://www.w3.org/ns/posix/stat#size",
                format!("\"{}\"^^<{xsd}integer>", head.header("content-length")),
            ),
        ] {
            let line = format!("<{base}{path}> <{predicate}> {object} .");
            assert!(listing.contains(&line), "{line}\n{listing:#?}");
        }
    }
    let sub = format!("<{base}/alice/c/sub/> ");
    let about_sub: Vec<_> = listing.iter().filter(|line| line.starts_with(&sub)).collect();
    assert!(
        about_sub.iter().any(|line| line.contains("ldp#BasicContainer")),
        "{about_sub:?}"
    );
    assert!(about_sub.iter().all(|line| line.contains("#type>")), "{about_sub:?}");
    let before = alice.request("HEAD", "/alice/c/").send().await;
    assert_eq!(alice.put("/alice/c/sub/z", "image/png", "another").await.status, 204);
    assert_eq!(alice.put("/alice/c/sub/new", "image/png", "x").await.status, 201);
    let after = alice.request("HEAD", "/alice/c/").send().await;
    for name in ["etag", "last-modified"] {
        assert_eq!(after.header(name), before.header(name), "{name}");
    }
    let changed = alice.put("/alice/c/y", "text/plain", "changed").await;
    assert_eq!(changed.status, 204);
    assert_ne!(
        alice.request("HEAD", "/alice/c/").send().await.header("etag"),
        before.header("etag")
    );
    server.stop().await;
}

/// Requirements solid 23, and rows 3 and 10 of the gaps: a description is written like a document, with the rights on
/// its subject, and goes by itself or with its subject.
#[tokio::test(flavor = "multi_thread")]
async fn descriptions_are_written() {
    let server = PodServer::start().await;
    let alice = server.agent("alice").await.client();
    alice.put("/alice/x.png", "image/png", "png").await;
    let meta = "/alice/x.png.meta";
    assert_eq!(alice.get(meta).await.status, 404);
    assert_eq!(
        alice.patch(meta, insert("<x.png> <urn:title> \"X\" .")).await.status,
        201
    );
    assert_eq!(
        alice
            .put(
                meta,
                "application/ld+json",
                "{\"@id\": \"x.png\", \"urn:title\": \"Y\"}"
            )
            .await
            .status,
        204
    );
    assert!(alice.get(meta).await.text().contains("\"Y\""));
    assert_eq!(alice.put(meta, "image/png", "x").await.status, 415);
    assert_eq!(alice.delete(meta).await.status, 205);
    assert_eq!(alice.get(meta).await.status, 404);
    assert_eq!(alice.put("/alice/ghost.meta", TURTLE, "").await.status, 409);
    assert_eq!(alice.put("/alice/x.png.meta.meta", TURTLE, "").await.status, 405);
    server.stop().await;
}

/// Requirements solid 4, 5: content has a type, both ways.
#[tokio::test(flavor = "multi_thread")]
async fn content_without_a_type_is_refused() {
    let server = PodServer::start().await;
    let alice = server.agent("alice").await.client();
    alice.put("/alice/x.ttl", TURTLE, "").await;
    for (method, path) in [
        ("PUT", "/alice/y"),
        ("POST", "/alice/"),
        ("PATCH", "/alice/x.ttl"),
        ("PUT", "/alice/c/"),
    ] {
        let reply = alice.request(method, path).body("<a> <b> <c> .").send().await;
        assert_eq!(reply.status, 400, "{method}: {}", reply.text());
        assert_eq!(
            reply.json()["type"],
            "https://w3id.org/meent/problem/content-type-missing",
            "{method}"
        );
        assert_eq!(reply.header("content-type"), "application/problem+json");
    }
    for path in ["/alice/y", "/alice/c/"] {
        assert_eq!(alice.get(path).await.status, 404, "{path}");
    }
    server.stop().await;
}

/// Requirements solid 37 and 5 say 400 for what cannot be parsed: the problem names line and column, and nothing is kept.
#[tokio::test(flavor = "multi_thread")]
async fn malformed_content_is_placed() {
    let server = PodServer::start().await;
    let alice = server.agent("alice").await.client();
    alice.put("/alice/p.ttl", TURTLE, "<a> <b> <c> .").await;
    for (method, path, media_type, body, line, column) in [
        ("PUT", "/alice/y", TURTLE, "<a> <b> <c> .\n<a> <b> ;;", 2, 9),
        ("PUT", "/alice/y", TURTLE, "<a> ex:b <c> .", 1, 5),
        ("PUT", "/alice/y", TURTLE, "<a> <b> \"\n", 1, 9),
        (
            "PUT",
            "/alice/y",
            "application/n-triples",
            "<http://a> <http://b> <http://c> .\n<rel> <http://b> 1 .",
            2,
            0,
        ),
        (
            "PUT",
            "/alice/y",
            "application/ld+json",
            "{\n  \"@id\": \"a\",\n  oops\n}",
            3,
            3,
        ),
        ("PUT", "/alice/y", "application/ld+json", "{\"@id\": 5}", 1, 0),
        ("PUT", "/alice/c/", TURTLE, "<a> <b> ", 1, 0),
        ("PUT", "/alice/p.ttl.acl", TURTLE, "\n\n<a> <b> ", 3, 0),
        ("POST", "/alice/", TURTLE, "<a> <b> ", 1, 0),
        ("PATCH", "/alice/p.ttl", "text/n3", "\n<a> <b> {", 2, 0),
        (
            "PATCH",
            "/alice/p.ttl",
            "application/sparql-update",
            "INSERT DATA {\n <a> <b> ",
            2,
            0,
        ),
        (
            "PATCH",
            "/alice/p.ttl.meta",
            "application/merge-patch+json",
            "{\n\"linkset\": oops}",
            2,
            12,
        ),
    ] {
        let reply = alice.request(method, path).content(media_type, body).send().await;
        assert_eq!(reply.status, 400, "{method} {media_type} {body:?}: {}", reply.text());
        let problem = reply.json();
        assert_eq!(problem["line"], line, "{body:?}: {problem}");
        assert!(problem["column"].as_u64().unwrap() >= 1, "{body:?}: {problem}");
        if column > 0 {
            assert_eq!(problem["column"], column, "{body:?}: {problem}");
        }
        assert!(problem["detail"].as_str().unwrap().len() > 10, "{problem}");
    }
    for path in ["/alice/y", "/alice/c/", "/alice/p.ttl.acl"] {
        assert_eq!(alice.get(path).await.status, 404, "{path}");
    }
    assert_eq!(alice.get("/alice/p.ttl").await.text(), "<a> <b> <c> .");
    server.stop().await;
}

/// Row 12 of the gaps: named graphs are kept byte for byte, sent as JSON-LD, and not sent in a syntax that would lose them.
#[tokio::test(flavor = "multi_thread")]
async fn named_graphs_are_kept_whole() {
    let server = PodServer::start().await;
    let alice = server.agent("alice").await.client();
    let json = "application/ld+json";
    let body = "{ \"@id\": \"urn:g\",  \"@graph\": [ {\"@id\": \"urn:s\", \"urn:p\": \"inside\"} ], \"urn:q\": 1 }";
    assert_eq!(alice.put("/alice/g", json, body).await.status, 201);
    assert_eq!(alice.get("/alice/g").await.text(), body);
    for accept in [TURTLE, "application/n-triples"] {
        let refused = alice.request("GET", "/alice/g").header("accept", accept).send().await;
        assert_eq!(refused.status, 406, "{accept}: {}", refused.text());
    }
    assert_eq!(
        alice
            .patch("/alice/g", insert("<urn:s> <urn:p> \"outside\" ."))
            .await
            .status,
        204
    );
    let read = alice.get("/alice/g").await;
    assert_eq!(read.header("content-type"), json);
    for part in ["inside", "outside", "urn:g", "urn:q"] {
        assert!(read.text().contains(part), "{part}: {}", read.text());
    }
    server.stop().await;
}

/// Requirements solid 11, 66: a name has one canonical spelling, whatever way it is asked in; what could be read in two
/// ways is refused.
#[tokio::test(flavor = "multi_thread")]
async fn one_name_for_one_resource() {
    let server = PodServer::start().await;
    let alice = server.agent("alice").await.client();
    let made = alice
        .put(
            "/alice/caf%c3%a9/%7Ea%20b.ttl",
            TURTLE,
            "<> <urn:p> <other> , <#x> , </y> .",
        )
        .await;
    assert_eq!(made.status, 201, "{}", made.text());
    let location = format!("{}alice/caf%C3%A9/~a%20b.ttl", server.base_url);
    assert_eq!(made.header("location"), location);
    for spelling in ["/alice/caf%C3%A9/~a%20b.ttl", "/%61lice/caf%c3%A9/~%61%20b.ttl"] {
        let read = alice.get(spelling).await;
        assert_eq!(
            (read.status.as_u16(), read.header("etag")),
            (200, made.header("etag")),
            "{spelling}"
        );
        let expected: BTreeSet<String> = ["alice/caf%C3%A9/other", "alice/caf%C3%A9/~a%20b.ttl#x", "y"]
            .iter()
            .map(|object| format!("<{location}> <urn:p> <{}{object}> .", server.base_url))
            .collect();
        assert_eq!(triples(&alice, spelling).await, expected);
    }
    for spelling in [
        "/alice//x",
        "/alice/a%2Fb",
        "/alice/%2e%2e/x",
        "/alice/%ff",
        "/alice/a%00b",
    ] {
        assert_eq!(alice.put(spelling, TURTLE, "").await.status, 400, "{spelling}");
    }
    // solid#11: the slash makes the difference, and only one of the two exists.
    alice.put("/alice/box/", TURTLE, "").await;
    let other = alice.get("/alice/box").await;
    assert_eq!(other.status, 301);
    assert_eq!(other.header("location"), format!("{}alice/box/", server.base_url));
    assert_eq!(alice.put("/alice/box", "text/plain", "x").await.status, 409);
    assert_eq!(server.client().get("/alice/box").await.status, 401);
    server.stop().await;
}

/// Requirements solid 52, 62: a server that demands preconditions says 428 to a change without one, and to nothing else.
#[tokio::test(flavor = "multi_thread")]
async fn demanded_preconditions() {
    let server = PodServer::start_with(serde_json::json!({ "ldp": { "preconditions_required": true } })).await;
    let alice = server.agent("alice").await.client();
    assert_eq!(alice.put("/alice/c/x.ttl", TURTLE, "").await.status, 201);
    let posted = alice
        .request("POST", "/alice/c/")
        .content("text/plain", "x")
        .send()
        .await;
    assert_eq!(posted.status, 201, "{}", posted.text());
    for method in ["PUT", "PATCH", "DELETE"] {
        let media_type = if method == "PATCH" { "text/n3" } else { TURTLE };
        let body = if method == "PATCH" {
            insert("<a> <b> <c> .")
        } else {
            String::new()
        };
        let refused = alice
            .request(method, "/alice/c/x.ttl")
            .content(media_type, body.clone())
            .send()
            .await;
        assert_eq!(refused.status, 428, "{method}: {}", refused.text());
        assert_eq!(refused.header("content-type"), "application/problem+json");
        // Either representation's tag will do.
        let read = alice
            .request("GET", "/alice/c/x.ttl")
            .header("accept", "application/ld+json")
            .send()
            .await;
        let request = alice.request(method, "/alice/c/x.ttl").content(media_type, body);
        let done = request.header("if-match", read.header("etag")).send().await;
        let expected = if method == "DELETE" { 205 } else { 204 };
        assert_eq!(done.status, expected, "{method}: {}", done.text());
    }
    server.stop().await;
}

/// Requirements solid 62, 64: no room is 507, told before the content is sent where its length is announced, and the
/// room is there again after a deletion.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_storage_says_so() {
    let server = PodServer::start_with(serde_json::json!({ "store": { "quota_bytes_max": 300_000 } })).await;
    let agent = server.agent("alice").await;
    let alice = agent.client();
    let put = async |path: &str, bytes: usize| {
        let reply = alice.put(path, "application/octet-stream", vec![7_u8; bytes]).await;
        if reply.status == 507 {
            assert_eq!(
                reply.json()["type"],
                "https://w3id.org/meent/problem/insufficient-storage"
            );
        }
        reply.status.as_u16()
    };
    assert_eq!(put("/alice/a", 200_000).await, 201);
    assert_eq!(put("/alice/b", 200_000).await, 507);
    assert_eq!(put("/alice/small", 60_000).await, 201);
    assert_eq!(put("/alice/smaller", 60_000).await, 507);
    assert_eq!(put("/alice/a", 100_000).await, 204);
    assert_eq!(put("/alice/b", 100_000).await, 201);
    assert_eq!(alice.delete("/alice/b").await.status, 205);
    assert_eq!(put("/alice/b", 100_000).await, 201);
    // Without a word of the content being asked for.
    let url = format!("{}alice/huge", server.base_url);
    let authority = server.authority();
    let mut request = format!(
        "PUT /alice/huge HTTP/1.1\r\nHost: {authority}\r\nContent-Type: image/png\r\nContent-Length: 250000\r\n\
         Expect: 100-continue\r\nConnection: close\r\n"
    );
    for (name, value) in agent.credentials(&http::Method::PUT, &url) {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str("\r\n");
    let refused = meent_tests::pod::raw_request(&server.base_url, request.as_bytes(), false)
        .await
        .unwrap();
    assert_eq!(refused.status, 507, "{}", String::from_utf8_lossy(&refused.bytes));
    assert_eq!(alice.get("/alice/smaller").await.status, 404);
    server.stop().await;
}
