//! One decision for every way of asking: reading, querying and being notified agree, document by document, and what is hidden
//! is not told by any of them.

use std::collections::BTreeSet;

use meent_tests::notify::subscribe;
use meent_tests::pod::sparql::{ask, values};
use meent_tests::pod::{Agent, Client, PodServer};
use serde_json::json;

use super::{ALL, RESEARCH, Scene, TURTLE};

/// Rules of containers: who may read, as Turtle after `acl:Authorization ;`. `ME` stands for the reader.
const RULES: [(&str, &str); 8] = [
    ("nobody", ""),
    (
        "me",
        "<#r> a acl:Authorization ; acl:agent <ME> ; acl:accessTo <./> ; acl:default <./> ; acl:mode acl:Read .",
    ),
    (
        "me-only-here",
        "<#r> a acl:Authorization ; acl:agent <ME> ; acl:accessTo <./> ; acl:mode acl:Read .",
    ),
    (
        "me-only-below",
        "<#r> a acl:Authorization ; acl:agent <ME> ; acl:default <./> ; acl:mode acl:Read .",
    ),
    (
        "me-append",
        "<#r> a acl:Authorization ; acl:agent <ME> ; acl:accessTo <./> ; acl:default <./> ; acl:mode acl:Append .",
    ),
    (
        "all",
        "<#r> a acl:Authorization ; acl:agentClass foaf:Agent ; acl:accessTo <./> ; acl:default <./> ; acl:mode acl:Read .",
    ),
    (
        "logged-in",
        "<#r> a acl:Authorization ; acl:agentClass acl:AuthenticatedAgent ; acl:accessTo <./> ; acl:default <./> ; acl:mode acl:Read .",
    ),
    (
        "another",
        "<#r> a acl:Authorization ; acl:agent <https://other.example/#me> ; acl:accessTo <./> ; acl:default <./> ; acl:mode acl:Read .",
    ),
];

async fn scene() -> (PodServer, Agent, Agent) {
    let server = PodServer::start().await;
    let (owner, reader) = (server.agent("jan").await, server.agent("bob").await);
    for (name, rules) in RULES {
        let document = format!("<#it> <urn:x:in> \"{name}\" .");
        let put = owner
            .client()
            .put(&format!("/jan/{name}/d.ttl"), TURTLE, document)
            .await;
        assert!(put.status.is_success(), "{}", put.text());
        let acl = format!(
            "@prefix acl: <http://www.w3.org/ns/auth/acl#> . @prefix foaf: <http://xmlns.com/foaf/0.1/> .
             <#o> a acl:Authorization ; acl:agent <{}> ; acl:accessTo <./> ; acl:default <./> ; acl:mode acl:Read, acl:Write, acl:Control .
             {}",
            owner.web_id,
            rules.replace("ME", &reader.web_id)
        );
        let put = owner.client().put(&format!("/jan/{name}/.acl"), TURTLE, acl).await;
        assert!(put.status.is_success(), "{}", put.text());
    }
    (server, owner, reader)
}

/// The containers whose document a client can read.
async fn by_reading(client: &Client) -> BTreeSet<String> {
    let mut seen = BTreeSet::new();
    for (name, _) in RULES {
        let reply = client.get(&format!("/jan/{name}/d.ttl")).await;
        if reply.status == 200 {
            seen.insert(name.to_owned());
        }
    }
    seen
}

/// The same by asking a question.
async fn by_query(client: &Client, endpoint: &str) -> BTreeSet<String> {
    let reply = ask(client, endpoint, "SELECT ?v { ?s <urn:x:in> ?v }", &[]).await;
    values(&reply, "v").into_iter().collect()
}

/// The containers whose document a client may listen to.
async fn by_subscribing(server: &PodServer, client: &Client) -> BTreeSet<String> {
    let mut seen = BTreeSet::new();
    for (name, _) in RULES {
        let topic = format!("/jan/{name}/d.ttl");
        let reply = subscribe(client, &server.base_url, "WebSocketChannel2023", &topic, &json!({})).await;
        if reply.status.is_success() {
            seen.insert(name.to_owned());
        }
    }
    seen
}

/// Requirements ENF-40, ENF-42: reading, querying at either endpoint, subscribing and the answer to who could see it agree, for
/// the owner, a reader, a stranger and nobody in particular, before and after the rules change.
#[tokio::test(flavor = "multi_thread")]
async fn every_way_of_asking_has_one_answer() {
    let (server, owner, reader) = scene().await;
    let stranger = server.agent("ander").await;
    for round in 0..2 {
        for (who, client) in [
            ("owner", owner.client()),
            ("reader", reader.client()),
            ("stranger", stranger.client()),
            ("public", server.client()),
        ] {
            let read = by_reading(&client).await;
            assert_eq!(by_query(&client, "/jan/sparql").await, read, "{who} {round}");
            assert_eq!(
                by_query(&client, "/sparql").await,
                read,
                "{who} {round} at the server's endpoint"
            );
            if who != "public" {
                assert_eq!(
                    by_subscribing(&server, &client).await,
                    read,
                    "{who} {round} as a subscriber"
                );
            }
            if who == "reader" {
                let mut told = BTreeSet::new();
                for (name, _) in RULES {
                    let place = format!("/jan/.dataspace/viewers?resource={}jan/{name}/d.ttl", server.base_url);
                    let viewers = owner.client().get(&place).await.json();
                    let rules = &viewers["rules"];
                    let named = rules["agents"].to_string().contains(&reader.web_id);
                    if named || rules["public"] == true || rules["loggedIn"] == true {
                        told.insert(name.to_owned());
                    }
                }
                assert_eq!(told, read, "what the owner is told, {round}");
            }
        }
        let expected: BTreeSet<String> = match round {
            0 => ["me", "me-only-below", "all", "logged-in"].map(str::to_owned).into(),
            _ => ["nobody", "me-only-below", "all", "logged-in"]
                .map(str::to_owned)
                .into(),
        };
        assert_eq!(by_reading(&reader.client()).await, expected);
        // Two change places.
        let rules =
            |client: Client, name: &'static str| async move { client.get(&format!("/jan/{name}/.acl")).await.text() };
        let (closed, open) = (rules(owner.client(), "nobody").await, rules(owner.client(), "me").await);
        for (name, acl) in [
            ("nobody", open.replace("/jan/me/", "/jan/nobody/")),
            ("me", closed.replace("/jan/nobody/", "/jan/me/")),
        ] {
            let put = owner.client().put(&format!("/jan/{name}/.acl"), TURTLE, acl).await;
            assert!(put.status.is_success(), "{}", put.text());
        }
    }
    server.stop().await;
}

/// Requirements ENF-40, ENF-41: under which agreements something can be seen is the same whether the owner asks who could see
/// it or the other party asks for it, through every change of what is stated, and at every end.
#[tokio::test(flavor = "multi_thread")]
async fn owner_and_recipient_are_told_the_same() {
    let scene = Scene::set().await;
    let condition = |left: &str, operator: &str, right: &str| {
        format!(
            "odrl:constraint [ odrl:leftOperand {left} ; odrl:operator odrl:{operator} ; odrl:rightOperand {right} ] ;"
        )
    };
    let hidden = "odrl:prohibition [ odrl:action odrl:use ; odrl:target [ a odrl:AssetCollection ; odrl:source <> ;
        odrl:refinement [ odrl:leftOperand meent:property ; odrl:operator odrl:eq ; odrl:rightOperand <urn:speed> ] ] ] ;";
    let event = |operator: &str| condition("odrl:event", operator, "<urn:x:emergency>");
    let mut agreements = Vec::new();
    for (name, permission, policy) in [
        ("plain", String::new(), ""),
        ("event", event("eq"), ""),
        ("no-event", event("isNoneOf"), ""),
        ("place", condition("odrl:spatial", "isPartOf", "<urn:x:belgium>"), ""),
        ("delay", condition("odrl:delayPeriod", "eq", "'P1D'^^xsd:duration"), ""),
        ("hidden", String::new(), hidden),
        ("encrypted-or-event", event("isAnyOf"), ""),
    ] {
        // A token is had while everything that can be stated is stated, and counts as long as it lasts.
        scene
            .state(&format!(
                "<{}> odrl:event <urn:x:emergency> . <{}> odrl:spatial <urn:x:belgium> .",
                scene.dataset(name),
                scene.company.web_id
            ))
            .await;
        if name == "no-event" {
            scene.state("").await;
        }
        agreements.push(scene.agree(name, &permission, policy).await);
    }
    let place = format!(
        "/gent/.dataspace/viewers?resource={}gent/fietsen/a&property=urn:speed",
        scene.server.base_url
    );
    let compare = async |when: &str| {
        let viewers = scene.owner.client().get(&place).await.json();
        let told: BTreeSet<String> = viewers["agreements"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["agreement"].as_str().unwrap().to_owned())
            .collect();
        let mut seen = BTreeSet::new();
        for (agreement, client) in &agreements {
            let reply = ask(client, "/gent/sparql", ALL, &[("purpose", RESEARCH)]).await;
            if reply.status == 200 && values(&reply, "v").contains(&"10".to_owned()) {
                seen.insert(agreement.clone());
            }
        }
        assert_eq!(told, seen, "{when}: {viewers}");
        seen.len()
    };
    scene.state("").await;
    let quiet = compare("nothing is so").await;
    let about = format!("{}gent/", scene.server.base_url);
    scene.state(&format!("<{about}> odrl:event <urn:x:emergency> .")).await;
    let emergency = compare("an emergency").await;
    scene
        .state(&format!(
            "<{}> odrl:spatial <urn:x:gent> . <urn:x:gent> odrl:partOf <urn:x:belgium> .",
            scene.company.web_id
        ))
        .await;
    let somewhere = compare("the company is in Gent").await;
    assert_eq!(
        (quiet, emergency, somewhere),
        (2, 3, 3),
        "the comparison means something"
    );
    let (plain, _) = &agreements[0];
    let ended = super::post(&scene.owner.client(), &format!("{plain}/terminate"), &json!({})).await;
    assert!(ended.status.is_success(), "{}", ended.text());
    assert_eq!(compare("one ended").await, 2);
    assert!(
        scene
            .owner
            .client()
            .delete("/gent/.dataspace/facts")
            .await
            .status
            .is_success()
    );
    assert_eq!(compare("nothing is stated").await, 0);
    scene.server.stop().await;
}
