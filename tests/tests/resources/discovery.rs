//! What a client finds out before it writes: validators, methods, accepted types, links, descriptions.

use meent_tests::pod::{Client, PodServer};

const NEVER: &str = "Thu, 01 Jan 1970 00:00:00 GMT";

/// Paths of every kind below `/alice/`, which [`furnish`] has filled.
const KINDS: [&str; 8] = [
    "/alice/",
    "/alice/c/",
    "/alice/c/x.ttl",
    "/alice/c/x.jsonld",
    "/alice/c/x.json",
    "/alice/c/x.png",
    "/alice/c/x.ttl.acl",
    "/alice/c/x.ttl.meta",
];

async fn furnish(alice: &Client, web_id: &str) {
    let list = format!(
        "@prefix acl: <http://www.w3.org/ns/auth/acl#>. <#o> a acl:Authorization; acl:agent <{web_id}>; \
         acl:accessTo <x.ttl>; acl:mode acl:Read, acl:Write, acl:Control."
    );
    for (path, media_type, body) in [
        ("/alice/c/x.ttl", "text/turtle", "<a> <b> <c> ."),
        (
            "/alice/c/x.jsonld",
            "application/ld+json",
            "{\"@id\": \"\", \"urn:p\": 1}",
        ),
        ("/alice/c/x.json", "application/json", "{\"a\": 1}"),
        ("/alice/c/x.png", "image/png", "png"),
        ("/alice/c/x.ttl.acl", "text/turtle", &list),
        ("/alice/c/x.ttl.meta", "text/turtle", "<x.ttl> <urn:p> \"about it\" ."),
    ] {
        let made = alice.put(path, media_type, body.to_owned()).await;
        assert_eq!(made.status, 201, "{path}: {}", made.text());
    }
}

/// Requirements solid 6, 60: every answer to GET and HEAD says how old it is, those of special endpoints too, and HEAD
/// says what GET says.
#[tokio::test(flavor = "multi_thread")]
async fn everything_says_when_it_was_modified() {
    let server = PodServer::start().await;
    let agent = server.agent("alice").await;
    let alice = agent.client();
    furnish(&alice, &agent.web_id).await;
    let special = [
        "/",
        "/.constraints",
        "/alice/.well-known/solid",
        "/catalog",
        "/alice/.dataspace/catalog",
        "/log/checkpoint",
        "/sparql?query=ASK%7B%7D",
        "/alice/sparql?query=ASK%7B%7D",
    ];
    for path in KINDS.into_iter().chain(special) {
        for accept in ["*/*", "application/ld+json"] {
            let get = alice.request("GET", path).header("accept", accept).send().await;
            if get.status == 406 {
                continue;
            }
            assert_eq!(get.status, 200, "{path} {accept}: {}", get.text());
            let modified = httpdate::parse_http_date(get.header("last-modified"));
            let modified = modified.unwrap_or_else(|_| panic!("{path} {accept}: {:?}", get.headers));
            assert!(modified <= std::time::SystemTime::now(), "{path}");
            assert_ne!(get.header("last-modified"), NEVER, "{path}");
            assert!(!get.header("content-type").is_empty(), "{path}");
            let head = alice.request("HEAD", path).header("accept", accept).send().await;
            assert_eq!((head.status.as_u16(), head.body.len()), (200, 0), "{path}");
            for name in ["content-type", "content-length", "etag", "link", "allow", "vary"] {
                assert_eq!(head.header(name), get.header(name), "{path} {name}");
            }
            assert!(!head.header("last-modified").is_empty(), "{path}");
        }
    }
    for path in ["/alice/.well-known/solid", "/", "/.constraints"] {
        let first = server.client().get(path).await;
        for (name, value) in [
            ("if-none-match", first.header("etag")),
            ("if-modified-since", first.header("last-modified")),
        ] {
            let again = server.client().request("GET", path).header(name, value).send().await;
            assert_eq!((again.status.as_u16(), again.body.len()), (304, 0), "{path} {name}");
            assert_eq!(again.header("last-modified"), first.header("last-modified"), "{path}");
        }
    }
    server.stop().await;
}

const GRAPH: &str = "text/n3, application/sparql-update";
const MERGE: &str = "application/merge-patch+json";
const RDF: &str = "text/turtle, application/ld+json, application/n-triples";

/// Requirements solid 7-10, 33, 41, 60, 61: `Allow` and `Accept-*` are those of the target, on GET, HEAD and OPTIONS
/// alike, and what `Allow` leaves out is answered with 405.
#[tokio::test(flavor = "multi_thread")]
async fn methods_and_types_are_those_of_the_target() {
    let server = PodServer::start().await;
    let agent = server.agent("alice").await;
    let alice = agent.client();
    furnish(&alice, &agent.web_id).await;
    let both = format!("{GRAPH}, {MERGE}");
    for (path, allow, patch, post, put) in [
        ("/alice/", "GET, HEAD, OPTIONS, PATCH, POST, PUT", GRAPH, "*/*", RDF),
        ("/alice/.acl", "GET, HEAD, OPTIONS, PATCH, PUT", GRAPH, "", RDF),
        (
            "/alice/c/",
            "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT",
            GRAPH,
            "*/*",
            RDF,
        ),
        (
            "/alice/c/x.ttl",
            "DELETE, GET, HEAD, OPTIONS, PATCH, PUT",
            GRAPH,
            "",
            "*/*",
        ),
        (
            "/alice/c/x.jsonld",
            "DELETE, GET, HEAD, OPTIONS, PATCH, PUT",
            &both,
            "",
            "*/*",
        ),
        (
            "/alice/c/x.json",
            "DELETE, GET, HEAD, OPTIONS, PATCH, PUT",
            MERGE,
            "",
            "*/*",
        ),
        ("/alice/c/x.png", "DELETE, GET, HEAD, OPTIONS, PUT", "", "", "*/*"),
        (
            "/alice/c/x.ttl.acl",
            "DELETE, GET, HEAD, OPTIONS, PATCH, PUT",
            GRAPH,
            "",
            RDF,
        ),
        (
            "/alice/c/x.ttl.meta",
            "DELETE, GET, HEAD, OPTIONS, PATCH, PUT",
            &both,
            "",
            RDF,
        ),
        ("/alice/.well-known/solid", "GET, HEAD, OPTIONS", "", "", ""),
        ("/", "GET, HEAD, OPTIONS", "", "", ""),
    ] {
        for method in ["GET", "HEAD", "OPTIONS"] {
            let reply = alice.request(method, path).send().await;
            assert!(reply.status.is_success(), "{method} {path}: {}", reply.status);
            let said = ["allow", "accept-patch", "accept-post", "accept-put"].map(|name| reply.header(name));
            assert_eq!(said, [allow, patch, post, put], "{method} {path}");
        }
        for method in ["PUT", "POST", "PATCH", "DELETE"] {
            if !allow.contains(method) {
                let patch = "[] a <http://www.w3.org/ns/solid/terms#InsertDeletePatch> .";
                let refused = alice.request(method, path).content("text/n3", patch).send().await;
                assert_eq!(refused.status, 405, "{method} {path}: {}", refused.text());
                assert_eq!(refused.header("allow"), allow, "{method} {path}");
            }
        }
    }
    // A write says what its target allows as well: of a POST, that is the container.
    let posted = alice
        .request("POST", "/alice/c/")
        .content("image/png", "x")
        .send()
        .await;
    assert_eq!(posted.status, 201);
    assert!(posted.header("allow").contains("POST") && posted.header("accept-post") == "*/*");
    for (method, status) in [("BREW", 501), ("TRACE", 405)] {
        assert_eq!(
            alice.request(method, "/alice/c/x.ttl").send().await.status,
            status,
            "{method}"
        );
    }
    for (path, media_type, header, accepted) in [
        ("/alice/c/x.ttl", "application/json", "accept-patch", both.as_str()),
        ("/alice/c/x.ttl", MERGE, "accept-patch", GRAPH),
        ("/alice/c/x.json", "text/n3", "accept-patch", MERGE),
        ("/alice/c/", MERGE, "accept-patch", GRAPH),
    ] {
        let body = if media_type == "text/n3" {
            "[] a <http://www.w3.org/ns/solid/terms#InsertDeletePatch> ."
        } else {
            "{}"
        };
        let refused = alice.request("PATCH", path).content(media_type, body).send().await;
        assert_eq!(refused.status, 415, "{path} {media_type}: {}", refused.text());
        assert_eq!(refused.header(header), accepted, "{path} {media_type}");
    }
    server.stop().await;
}

/// RFC 9110 §9.3.7.
#[tokio::test(flavor = "multi_thread")]
async fn the_server_as_a_whole_has_options() {
    let server = PodServer::start().await;
    let authority = server.authority();
    let request = format!("OPTIONS * HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n\r\n");
    let reply = meent_tests::pod::raw_request(&server.base_url, request.as_bytes(), false)
        .await
        .unwrap();
    let text = String::from_utf8_lossy(&reply.bytes).to_ascii_lowercase();
    assert_eq!(reply.status, 204, "{text}");
    assert!(
        text.contains("allow: delete, get, head, options, patch, post, put"),
        "{text}"
    );
    server.stop().await;
}

/// Requirements solid 14-18, 21, 22: storage, description, owner, types, access control list and description are found
/// by links.
#[tokio::test(flavor = "multi_thread")]
async fn links_lead_everywhere() {
    let server = PodServer::start().await;
    let agent = server.agent("alice").await;
    let alice = agent.client();
    furnish(&alice, &agent.web_id).await;
    let base = server.base_url.trim_end_matches('/');
    let solid = "http://www.w3.org/ns/solid/terms#";
    let ldp = "http://www.w3.org/ns/ldp#";
    let description = format!("<{base}/alice/.well-known/solid>; rel=\"{solid}storageDescription\"");
    for path in KINDS {
        for method in ["GET", "HEAD", "OPTIONS"] {
            let reply = alice.request(method, path).send().await;
            let link = reply.header("link");
            let has = |expected: &str| assert!(link.contains(expected), "{method} {path}: no {expected} in {link}");
            has(&description);
            has(&format!("<{ldp}Resource>; rel=\"type\""));
            let is_auxiliary = path.ends_with(".acl") || path.ends_with(".meta");
            if !is_auxiliary {
                has(&format!("<{base}{path}.acl>; rel=\"acl\""));
                has(&format!("<{base}{path}.meta>; rel=\"describedby\""));
                has(&format!(
                    "<{base}{path}.meta>; rel=\"linkset\"; type=\"application/linkset+json\""
                ));
            }
            for kind in ["Container", "BasicContainer"] {
                let kind = format!("<{ldp}{kind}>; rel=\"type\"");
                assert_eq!(link.contains(&kind), path.ends_with('/'), "{method} {path}: {kind}");
            }
            for (expected, only_root) in [
                (format!("<{}>; rel=\"{solid}owner\"", agent.web_id), true),
                (
                    "<http://www.w3.org/ns/pim/space#Storage>; rel=\"type\"".to_owned(),
                    true,
                ),
            ] {
                assert_eq!(
                    link.contains(&expected),
                    only_root && path == "/alice/",
                    "{method} {path}"
                );
            }
        }
    }
    let about = alice.get("/alice/c/x.ttl.meta").await;
    assert!(
        about
            .header("link")
            .contains(&format!("<{base}/alice/c/x.ttl>; rel=\"describes\""))
    );
    assert!(
        about
            .header("link")
            .contains(&format!("<{base}/alice/c/x.ttl.acl>; rel=\"acl\""))
    );
    let stranger = server.client().get("/alice/c/x.ttl").await;
    assert_eq!((stranger.status.as_u16(), stranger.header("link")), (401, ""));
    server.stop().await;
}

/// Requirements solid 15, 16: the description of a storage is public, in both syntaxes, and says that it is one.
#[tokio::test(flavor = "multi_thread")]
async fn a_storage_is_described() {
    let server = PodServer::start().await;
    server.agent("alice").await;
    let path = "/alice/.well-known/solid";
    let mut tags = std::collections::HashSet::new();
    for accept in ["text/turtle", "application/ld+json", "application/n-triples"] {
        let reply = server
            .client()
            .request("GET", path)
            .header("accept", accept)
            .send()
            .await;
        assert_eq!((reply.status.as_u16(), reply.header("content-type")), (200, accept));
        assert!(
            reply.text().contains(&format!("{}alice/", server.base_url)),
            "{}",
            reply.text()
        );
        assert!(
            reply.text().contains("http://www.w3.org/ns/pim/space#Storage"),
            "{}",
            reply.text()
        );
        tags.insert(reply.header("etag").to_owned());
    }
    assert_eq!(tags.len(), 3);
    assert_eq!(server.client().get("/nobody/.well-known/solid").await.status, 404);
    server.stop().await;
}

/// Requirements solid 32: a refusal points to the constraints that it rests on, which nobody can change.
#[tokio::test(flavor = "multi_thread")]
async fn refusals_point_to_constraints() {
    let server = PodServer::start().await;
    let alice = server.agent("alice").await.client();
    let contains = "<> <http://www.w3.org/ns/ldp#contains> <ghost> .";
    for (path, media_type, body, status) in [
        ("/alice/c/", "text/turtle", contains, 409),
        ("/alice/c/", "image/png", "", 415),
        (
            "/alice/x",
            "application/ld+json",
            "{\"@context\": \"https://schema.org\"}",
            422,
        ),
    ] {
        let refused = alice.put(path, media_type, body).await;
        assert_eq!(refused.status, status, "{}", refused.text());
        let link = refused.header("link");
        assert_eq!(link, "</.constraints>; rel=\"http://www.w3.org/ns/ldp#constrainedBy\"");
    }
    for accept in ["text/turtle", "application/ld+json"] {
        let public = server.client();
        let read = public
            .request("GET", "/.constraints")
            .header("accept", accept)
            .send()
            .await;
        assert_eq!((read.status.as_u16(), read.header("content-type")), (200, accept));
        assert!(read.text().contains("#containment"));
    }
    assert_eq!(alice.put("/.constraints", "text/turtle", "").await.status, 405);
    server.stop().await;
}

/// Requirements solid 31: every representation is served under the resource's own URL, and written there.
#[tokio::test(flavor = "multi_thread")]
async fn representations_have_no_urls_of_their_own() {
    let server = PodServer::start().await;
    let alice = server.agent("alice").await.client();
    for (accept, media_type) in [
        ("text/turtle", "application/ld+json"),
        ("application/ld+json", "text/turtle"),
    ] {
        let body = if media_type == "text/turtle" {
            "<> <urn:p> 1 ."
        } else {
            "{\"@id\": \"\", \"urn:p\": 1}"
        };
        assert!(alice.put("/alice/x", media_type, body).await.status.is_success());
        let read = alice.request("GET", "/alice/x").header("accept", accept).send().await;
        assert_eq!((read.status.as_u16(), read.header("content-type")), (200, accept));
        assert_eq!(read.header("content-location"), "");
    }
    server.stop().await;
}
