//! What a catalogue tells of the identifiers that a dataset shares with others: nothing, unless its owner says so.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use meent_tests::pod::PodServer;
use oxrdf::{NamedNode, NamedOrBlankNode, Triple};
use server_kit::keys::{End, Keys, key};

const TURTLE: &str = "text/turtle";
const SAME: &str = "http://www.w3.org/2002/07/owl#sameAs";

async fn told(server: &PodServer, dataset: &str) -> Keys {
    let request = server
        .client()
        .request("GET", "/catalog")
        .header("accept", TURTLE)
        .send()
        .await;
    let triples: Vec<Triple> = oxttl::TurtleParser::new()
        .for_slice(request.text().as_bytes())
        .map(Result::unwrap)
        .collect();
    let dataset = NamedOrBlankNode::from(NamedNode::new(format!("{}{dataset}", server.base_url)).unwrap());
    let (keys, unread) = Keys::from_triples(&dataset, &triples);
    assert_eq!(unread, 0);
    keys
}

/// Requirements ENF-37, ENF-38.
#[tokio::test(flavor = "multi_thread")]
async fn identifiers_are_listed_when_the_owner_says_so() {
    let server = PodServer::start().await;
    let city = server.agent("gent").await.client();
    let text = "<#it> <http://www.w3.org/2002/07/owl#sameAs> <https://register.example/7> . <https://register.example/7> <urn:name> \"seven\" .";
    assert!(city.put("/gent/open/d.ttl", TURTLE, text).await.status.is_success());
    let path = "gent/.dataspace/datasets/d";
    let describe_with = async |more: &str, rest: &str| {
        let turtle = format!(
            "@prefix dcat: <http://www.w3.org/ns/dcat#> . @prefix dcterms: <http://purl.org/dc/terms/> .
             @prefix meent: <https://w3id.org/meent/ns#> . @prefix odrl: <http://www.w3.org/ns/odrl/2/> .
             <> a dcat:Dataset ; dcterms:title \"Open\"@nl ;
             dcterms:accessRights <http://publications.europa.eu/resource/authority/access-right/PUBLIC> ;
             meent:publishSummary true ; {more} ; meent:container <{}gent/open/> . {rest}",
            server.base_url
        );
        let reply = city.put(&format!("/{path}"), TURTLE, turtle).await;
        assert!(reply.status.is_success(), "{}", reply.text());
    };
    let describe = async |more: &str| describe_with(more, "").await;
    describe("dcat:keyword \"open\"").await;
    assert!(told(&server, path).await.is_empty(), "nobody said so");
    for (rules, expected) in [
        ("odrl:permission [ odrl:target <> ; odrl:action odrl:use ]", true),
        (
            "odrl:permission [ odrl:target [ a odrl:AssetCollection ; odrl:source <> ; odrl:refinement [ odrl:leftOperand meent:property ;
               odrl:operator odrl:isAnyOf ; odrl:rightOperand <urn:name> ] ] ; odrl:action odrl:use ]",
            false,
        ),
        (
            "odrl:permission [ odrl:target <> ; odrl:action odrl:use ; odrl:duty [ odrl:action meent:pseudonymise ] ]",
            false,
        ),
        (
            "odrl:permission [ odrl:target <> ; odrl:action odrl:use ; odrl:duty [ odrl:action meent:maskKeys ] ]",
            false,
        ),
    ] {
        let offer = "meent:publishIdentifiers true ; odrl:hasPolicy <#offer>";
        let profile = "odrl:profile <https://w3id.org/meent/odrl>";
        describe_with(offer, &format!("<#offer> a odrl:Offer ; {profile} ; {rules} .")).await;
        assert_eq!(!told(&server, path).await.is_empty(), expected, "{rules}");
    }
    describe("meent:publishIdentifiers true").await;
    let keys = told(&server, path).await;
    for (property, end, iri, expected) in [
        (SAME, End::Object, "https://register.example/7", true),
        (SAME, End::Object, "https://register.example/8", false),
        ("urn:name", End::Subject, "https://register.example/7", true),
        ("urn:name", End::Subject, "https://register.example/8", false),
    ] {
        assert_eq!(
            keys.may_have(property, end, iri, key(iri)),
            expected,
            "{property} {iri}"
        );
    }
    let text = "<#it> <http://www.w3.org/2002/07/owl#sameAs> <https://register.example/8> .";
    assert!(city.put("/gent/open/d.ttl", TURTLE, text).await.status.is_success());
    let iri = "https://register.example/8";
    assert!(
        told(&server, path).await.may_have(SAME, End::Object, iri, key(iri)),
        "the lists follow the data"
    );
    server.stop().await;
}
