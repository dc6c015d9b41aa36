//! Documents that are made to cost a server more than they cost their sender (T67, T70). Each test sends one, and then asks
//! the server for something else.

use meent_tests::pod::PodServer;
use meent_tests::pod::sparql::ask;

const PREFIXES: &str = "@prefix dcat: <http://www.w3.org/ns/dcat#> . @prefix dcterms: <http://purl.org/dc/terms/> .
@prefix meent: <https://w3id.org/meent/ns#> .
";

/// A description of open data, with more statements about it.
fn described(server: &PodServer, more: &str) -> String {
    format!(
        "{PREFIXES}<> a dcat:Dataset ; dcterms:title \"Tellingen\"@nl ; meent:container <{}gent/open/> ;
           dcterms:accessRights <http://publications.europa.eu/resource/authority/access-right/PUBLIC> ; {more} .",
        server.base_url
    )
}

/// T67: triples about triples about triples end no server.
#[tokio::test(flavor = "multi_thread")]
async fn t67_a_nested_description_is_refused_and_the_server_lives() {
    const LEVELS: usize = 50_000;
    let server = PodServer::start().await;
    let city = server.agent("gent").await.client();
    let nested = format!(
        "<urn:x:p> {}<urn:x:o>{}",
        "<<(<> <> ".repeat(LEVELS),
        ")>>".repeat(LEVELS)
    );
    let path = "/gent/.dataspace/datasets/d";
    let reply = city.put(path, "text/turtle", described(&server, &nested)).await;
    assert_eq!(reply.status, 400, "{}", reply.text());
    assert_eq!(reply.json()["line"], 4);
    assert_eq!(city.get(path).await.status, 404, "nothing was kept");
    server.stop().await;
}

/// T70: blank nodes that nothing tells apart are not compared in every order, neither when they come nor when the catalogue is read.
#[tokio::test(flavor = "multi_thread")]
async fn t70_an_entangled_description_is_refused_in_no_time() {
    const NODES: usize = 12;
    let server = PodServer::start().await;
    let city = server.agent("gent").await.client();
    let mut clique = String::from("dcat:distribution _:n0 .\n");
    for from in 0..NODES {
        for to in (0..NODES).filter(|to| *to != from) {
            clique.push_str(&format!("_:n{from} <urn:x:p> _:n{to} .\n"));
        }
    }
    let path = "/gent/.dataspace/datasets/d";
    let text = described(&server, &format!("{clique}<> <urn:x:q> <urn:x:o>"));
    let reply = city.put(path, "text/turtle", text).await;
    assert_eq!(reply.status, 422, "{}", reply.text());

    // Nodes that only look alike are kept, and read the same each time.
    let alike =
        "dcat:distribution [ dcterms:title \"a\"@nl ] , [ dcterms:title \"a\"@nl ] , [ dcterms:title \"b\"@nl ]";
    let reply = city.put(path, "text/turtle", described(&server, alike)).await;
    assert_eq!(reply.status, 201, "{}", reply.text());
    for path in [path, "/catalog"] {
        let tags = [city.get(path).await, city.get(path).await].map(|reply| reply.header("etag").to_owned());
        assert_eq!(tags[0], tags[1], "{path}");
    }
    server.stop().await;
}

/// T67: documents and queries that grow when they are read are refused, and the server lives: a name that is written once and stands
/// in every statement, and terms of a JSON-LD context that a parser descends along.
#[tokio::test(flavor = "multi_thread")]
async fn t67_what_grows_when_it_is_read_is_refused() {
    let server = PodServer::start().await;
    let city = server.agent("gent").await.client();
    let long = "a".repeat(20_000);
    let many = "1,".repeat(20_000);
    let chain: Vec<String> = (0..5_000).map(|at| format!("\"t{at}\":\"t{}:a\"", at + 1)).collect();
    let chain = format!("{{\"@context\":{{{}}},\"@id\":\"urn:a\",\"t0\":1}}", chain.join(","));
    let subject = format!("<http://x.example/{long}> <urn:p> {many} 1 .");
    let prefix = format!(
        "@prefix p: <http://x.example/{long}> . <urn:s> <urn:p> {} p:b .",
        "p:a,".repeat(20_000)
    );
    for path in ["/gent/one", "/gent/.dataspace/datasets/d"] {
        for (media_type, body) in [
            ("application/ld+json", &chain),
            ("text/turtle", &subject),
            ("text/turtle", &prefix),
        ] {
            let reply = city.put(path, media_type, body.clone()).await;
            assert_eq!(reply.status, 400, "{path} {}: {}", &body[..40], reply.text());
        }
        assert_eq!(city.get(path).await.status, 404, "nothing was kept");
    }
    let patch = format!(
        "@prefix solid: <http://www.w3.org/ns/solid/terms#> . _:p a solid:InsertDeletePatch ; solid:inserts {{ {subject} }} ."
    );
    assert_eq!(city.patch("/gent/one", patch).await.status, 400);
    let update = format!("INSERT DATA {{ {subject} }}");
    let patched = city
        .request("PATCH", "/gent/one")
        .header("content-type", "application/sparql-update")
        .body(update)
        .send()
        .await;
    assert_eq!(patched.status, 400, "{}", patched.text());
    let stranger = server.client();
    for query in [
        format!(
            "PREFIX p: <http://x.example/{long}> SELECT * {{ VALUES ?x {{ {} }} }}",
            "p:a ".repeat(10_000)
        ),
        format!(
            "SELECT * {{ <http://x.example/{long}> <urn:p> {} 1 }}",
            "1,".repeat(10_000)
        ),
    ] {
        let reply = ask(&stranger, "/sparql", &query, &[]).await;
        assert_eq!(reply.status, 400, "{}", reply.text());
        assert!(reply.text().contains("far larger"), "{}", reply.text());
    }
    server.stop().await;
}
