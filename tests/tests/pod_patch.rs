//! Patches over real sockets: the corpus of N3 Patch, and SPARQL Update as Solid clients send it (solid#33-40).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use meent_tests::pod::PodServer;
use oxrdf::dataset::CanonicalizationAlgorithm;
use oxrdf::{Graph, Triple};
use oxttl::TurtleParser;

const CASES: &str = include_str!("../corpus/n3-patch/cases.txt");
const PREFIXES: &str = "@prefix solid: <http://www.w3.org/ns/solid/terms#>. @prefix ex: <http://example.org/>.\n";

fn graph(turtle: &str, base: &str) -> Graph {
    let triples: Result<Vec<Triple>, _> = TurtleParser::new()
        .with_base_iri(base)
        .unwrap()
        .for_slice(turtle.as_bytes())
        .collect();
    let mut graph: Graph = triples.unwrap().into_iter().collect();
    graph.canonicalize(CanonicalizationAlgorithm::Unstable);
    graph
}

fn section<'c>(case: &'c str, name: &str) -> (&'c str, &'c str) {
    let start = case
        .find(&format!("---- {name}"))
        .unwrap_or_else(|| panic!("no {name} in {case}"));
    let rest = &case[start + 5 + name.len()..];
    let (head, body) = rest.split_once('\n').unwrap_or((rest, ""));
    (head.trim(), body.split("\n---- ").next().unwrap().trim())
}

/// Requirements solid 33-40.
#[tokio::test(flavor = "multi_thread")]
async fn n3_patch_corpus() {
    let server = PodServer::start().await;
    let alice = server.agent("alice").await.client();
    let mut count = 0;
    for case in CASES.split("\n==== ").skip(1) {
        count += 1;
        let name = case.lines().next().unwrap();
        let path = format!("/alice/case{count}.ttl");
        let url = format!("{}{}", server.base_url.trim_end_matches('/'), path);
        let before = section(case, "before").1;
        if before != "absent" {
            assert_eq!(
                alice
                    .put(&path, "text/turtle", format!("{PREFIXES}{before}"))
                    .await
                    .status,
                201,
                "{name}"
            );
        }
        let reply = alice
            .patch(&path, format!("{PREFIXES}{}", section(case, "patch").1))
            .await;
        assert_eq!(
            reply.status.as_str(),
            section(case, "status").0,
            "{name}: {}",
            reply.text()
        );
        let after = section(case, "after").1;
        let read = alice.get(&path).await;
        if after == "absent" {
            assert_eq!(read.status, 404, "{name}");
        } else {
            let expected = graph(&format!("{PREFIXES}{after}"), &url);
            assert_eq!(graph(&read.text(), &url), expected, "{name}: {}", read.text());
        }
    }
    assert!(count >= 20, "{count}");
    server.stop().await;
}

/// Row 11 of the gaps: SPARQL Update is the second patch language.
#[tokio::test(flavor = "multi_thread")]
async fn sparql_update_patches() {
    let server = PodServer::start().await;
    let alice = server.agent("alice").await.client();
    let patch = async |body: &str| {
        let reply = alice
            .request("PATCH", "/alice/x.ttl")
            .content("application/sparql-update", body.to_owned())
            .send()
            .await;
        reply.status.as_u16()
    };
    assert_eq!(patch("INSERT DATA { <#a> <urn:p> 1, 2 . }").await, 201);
    assert_eq!(
        patch("PREFIX e: <urn:> DELETE DATA { <#a> e:p 1 }; INSERT DATA { <#a> e:where 3 }").await,
        204
    );
    assert_eq!(
        patch("DELETE { ?s <urn:p> ?o } INSERT { ?s <urn:q> ?o } WHERE { ?s <urn:p> ?o }").await,
        204
    );
    assert_eq!(patch("DELETE WHERE { ?s <urn:where> ?o }").await, 204);
    let url = format!("{}alice/x.ttl", server.base_url);
    assert_eq!(
        graph(&alice.get("/alice/x.ttl").await.text(), &url),
        graph("<#a> <urn:q> 2 .", &url)
    );
    for (body, status) in [
        ("INSERT DATA { <#a> <urn:p> ", 400),
        ("LOAD <http://evil.example/>", 422),
        ("CLEAR ALL", 422),
        ("INSERT DATA { GRAPH <urn:g> { <#a> <urn:p> 1 } }", 422),
        ("DELETE { ?s ?p ?o } WHERE { ?s ?p ?o FILTER(?o > 1) }", 422),
        ("DELETE { ?s ?p ?o } WHERE { ?s <urn:a>/<urn:b> ?o }", 422),
        (
            "DELETE { ?s ?p ?o } WHERE { SERVICE <http://evil.example/> { ?s ?p ?o } }",
            422,
        ),
        (
            &format!("INSERT DATA {{ <#a> <urn:p> {} }}", "[ <urn:p> ".repeat(20_000)),
            400,
        ),
    ] {
        assert_eq!(
            patch(body).await,
            status,
            "{}",
            body.chars().take(80).collect::<String>()
        );
    }
    assert_eq!(
        graph(&alice.get("/alice/x.ttl").await.text(), &url),
        graph("<#a> <urn:q> 2 .", &url)
    );
    server.stop().await;
}

/// Requirements solid 27, 28: containment and what the listing says about members cannot be written.
#[tokio::test(flavor = "multi_thread")]
async fn containment_is_protected() {
    let server = PodServer::start().await;
    let alice = server.agent("alice").await.client();
    alice.put("/alice/c/x.ttl", "text/turtle", "<a> <b> <c> .").await;
    let insert = |triple: &str| format!("{PREFIXES} _:p a solid:InsertDeletePatch; solid:inserts {{ {triple} }} .");
    for triple in [
        "<> <http://www.w3.org/ns/ldp#contains> <ghost> .",
        "<> <http://www.w3.org/ns/ldp#contains> <x.ttl> .",
        "<x.ttl> <http://www.w3.org/ns/posix/stat#size> 1 .",
        "<x.ttl> <http://purl.org/dc/terms/modified> \"2000-01-01T00:00:00Z\"^^<http://www.w3.org/2001/XMLSchema#dateTime> .",
    ] {
        assert_eq!(alice.patch("/alice/c/", insert(triple)).await.status, 409, "{triple}");
    }
    assert_eq!(
        alice
            .put(
                "/alice/c/",
                "text/turtle",
                "<> <http://www.w3.org/ns/ldp#contains> <ghost> ."
            )
            .await
            .status,
        409
    );
    // What the listing says may be sent back with an own statement more.
    let listing = alice.get("/alice/c/").await.text();
    let more = format!("{listing}\n<> <http://purl.org/dc/terms/title> \"mine\" .");
    let kept = alice.put("/alice/c/", "text/turtle", more).await;
    assert_eq!(kept.status, 204, "{}", kept.text());
    let read = alice.get("/alice/c/").await.text();
    assert!(read.contains("mine") && read.contains("x.ttl"), "{read}");
    server.stop().await;
}

/// Requirements solid 40: ten patches at one time all succeed, because each is applied to the newest state.
#[tokio::test(flavor = "multi_thread")]
async fn parallel_patches_all_count() {
    let server = PodServer::start().await;
    let agent = server.agent("alice").await;
    agent.client().put("/alice/x.ttl", "text/turtle", "").await;
    let mut tasks = Vec::new();
    for number in 0..10 {
        let client = agent.client();
        tasks.push(tokio::spawn(async move {
            let body = format!("{PREFIXES} _:p a solid:InsertDeletePatch; solid:inserts {{ <#a> ex:n {number} . }} .");
            client.patch("/alice/x.ttl", body).await.status.as_u16()
        }));
    }
    for task in tasks {
        assert_eq!(task.await.unwrap(), 204);
    }
    let text = agent.client().get("/alice/x.ttl").await.text();
    assert_eq!(graph(&text, "http://x.example/").len(), 10, "{text}");
    server.stop().await;
}

/// Requirements solid 33: every RDF document is patched, whatever its syntax and role.
#[tokio::test(flavor = "multi_thread")]
async fn every_rdf_document_is_patched() {
    let server = PodServer::start().await;
    let agent = server.agent("alice").await;
    let alice = agent.client();
    let rights = format!(
        "@prefix acl: <http://www.w3.org/ns/auth/acl#>. <#o> a acl:Authorization; acl:agent <{}>; acl:accessTo <./>; \
         acl:default <./>; acl:mode acl:Read, acl:Write, acl:Control.",
        agent.web_id
    );
    let insert =
        format!("{PREFIXES} _:p a solid:InsertDeletePatch; solid:inserts {{ <urn:s> ex:list ( 1 [ ex:q 2 ] ) . }} .");
    for (path, media_type, body) in [
        ("/alice/a.ttl", "text/turtle", "<> ex:p 1 .".replace("ex:p", "<urn:p>")),
        (
            "/alice/a.nt",
            "application/n-triples",
            "<urn:a> <urn:p> <urn:b> .".to_owned(),
        ),
        (
            "/alice/a.jsonld",
            "application/ld+json",
            "{\"@id\": \"urn:a\", \"urn:p\": 1}".to_owned(),
        ),
        (
            "/alice/a.ttl.meta",
            "application/ld+json",
            "{\"@id\": \"urn:a\", \"urn:p\": 1}".to_owned(),
        ),
        ("/alice/c/", "text/turtle", "<> <urn:p> 1 .".to_owned()),
        ("/alice/c/.acl", "text/turtle", rights),
    ] {
        assert_eq!(alice.put(path, media_type, body).await.status, 201, "{path}");
        assert!(
            alice.get(path).await.header("accept-patch").starts_with("text/n3"),
            "{path}"
        );
        let patched = alice.patch(path, insert.clone()).await;
        assert_eq!(patched.status, 204, "{path}: {}", patched.text());
        let read = alice.get(path).await;
        let kept = if path.ends_with('/') { "text/turtle" } else { media_type };
        assert_eq!(read.header("content-type"), kept, "{path}");
        let lines = alice
            .request("GET", path)
            .header("accept", "application/n-triples")
            .send()
            .await
            .text();
        for part in [
            "http://example.org/list",
            "http://example.org/q",
            "22-rdf-syntax-ns#first",
        ] {
            assert!(lines.contains(part), "{part}: {lines}");
        }
    }
    server.stop().await;
}

/// Requirements solid 39, and T15: whatever a patch asks for, the work it makes is bounded, and the document stays.
#[tokio::test(flavor = "multi_thread")]
async fn a_patch_cannot_make_endless_work() {
    let server = PodServer::start_with(serde_json::json!({ "ldp": { "patch_steps_max": 200_000 } })).await;
    let alice = server.agent("alice").await.client();
    let document: String = (0..300)
        .map(|n| format!("<#a> <urn:p> <#n{n}> . <#n{n}> <urn:p> <#a> .\n"))
        .collect();
    assert_eq!(
        alice.put("/alice/x.ttl", "text/turtle", document.clone()).await.status,
        201
    );
    let where_ = |conditions: &str| {
        format!(
            "{PREFIXES} _:p a solid:InsertDeletePatch; solid:where {{ {conditions} }}; solid:inserts {{ <#b> ex:q 1 . }} ."
        )
    };
    let product: String = (0..8).map(|n| format!("?a{n} <urn:p> ?b{n} . ")).collect();
    let chain: String = (0..2_000).map(|n| format!("?a{n} <urn:p> ?a{} . ", n + 1)).collect();
    let deep: String = (0..200).map(|n| format!("?a{n} <urn:p> ?a{} . ", n + 1)).collect();
    for (n3, status) in [
        // The second solution ends the search, however many there are.
        (where_(&product), 409),
        (where_(&chain), 422),
        (where_(&format!("{deep} ?a200 <urn:never> ?x . ")), 409),
        (
            where_(&format!("{product} ?a0 <urn:never> ?x . ?x <urn:p> ?a1 . ")),
            409,
        ),
    ] {
        let reply = alice.patch("/alice/x.ttl", n3).await;
        assert_eq!(reply.status, status, "{}", reply.text());
    }
    let many = "INSERT DATA { <#b> <urn:q> 1 };".repeat(2_000);
    let wide: String = (0..1_000).map(|n| format!("?s <urn:q{n}> ?o . ")).collect();
    for (update, status) in [
        (many.trim_end_matches(';').to_owned(), 409),
        (format!("INSERT {{ {wide} }} WHERE {{ ?s <urn:p> ?o }}"), 409),
        (
            "INSERT { ?s <urn:q> ?z } WHERE { ?s <urn:p> ?o . ?x <urn:p> ?y . ?z <urn:p> ?w }".to_owned(),
            409,
        ),
    ] {
        let request = alice
            .request("PATCH", "/alice/x.ttl")
            .content("application/sparql-update", update);
        let reply = request.send().await;
        assert_eq!(reply.status, status, "{}", reply.text());
    }
    assert_eq!(alice.get("/alice/x.ttl").await.text(), document);
    server.stop().await;
}
