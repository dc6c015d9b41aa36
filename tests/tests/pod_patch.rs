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

/// solid#27, solid#28: containment and what the listing says about members cannot be written.
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

/// Ten patches at one time all succeed, because each is applied to the newest state.
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
