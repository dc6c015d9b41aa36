//! What policies make of a federated answer: the pod decides, terms travel on, values stay where they may not be handed on,
//! and what is withheld is told or not, as its owner likes.

use std::collections::BTreeSet;

use meent_tests::federation::Network;
use meent_tests::federation::generate::{self, Size, federation};
use meent_tests::pod::sparql::ask as ask_pod;
use meent_tests::pod::{Agent, PodServer};
use serde_json::{Value, json};
use server_kit::authn::client::DpopKey;
use server_kit::mask;

use super::harness::{BrokerServer, JSON, PURPOSE, ROWS, agree, ask, delegation, municipality, numbers};

/// The owner of a municipality's storage.
fn city_of(pod: &PodServer) -> Agent {
    Agent::new(
        &pod.app.issuer,
        format!("{}city/profile/card#me", pod.base_url),
        &pod.base_url,
    )
}

/// Requirements ENF-18, ENF-41: source, whom to name and the next policy reach the consumer through the broker, in the answer's
/// header and source by source in its manifest; datasets withheld are counted and named, but not those whose owner says so.
#[tokio::test(flavor = "multi_thread")]
async fn terms_reach_the_consumer_and_silence_is_kept() {
    let directory = tempfile::tempdir().unwrap();
    let duties = "<> ; odrl:duty [ odrl:action odrl:nextPolicy ; odrl:target <https://gent.example/next> ] , [ odrl:action odrl:attribute ]";
    let (gent, brugge, kortrijk) = (
        municipality("Gent", 10, duties).await,
        municipality("Brugge", 20, "<>").await,
        municipality("Kortrijk", 30, "<>").await,
    );
    let owner = city_of(&kortrijk).client();
    let path = "/city/.dataspace/datasets/counts";
    let described = owner.get(path).await.text();
    let iri = format!("{}city/.dataspace/datasets/counts", kortrijk.base_url);
    let silent = format!("{described}\n<{iri}> <https://w3id.org/meent/ns#withheldSilently> true .");
    let put = owner.put(path, "text/turtle", silent).await;
    assert!(put.status.is_success(), "{}", put.text());
    let broker = BrokerServer::start(directory.path(), &[&gent, &brugge, &kortrijk], json!({})).await;
    broker.knows(3).await;
    let home = PodServer::start().await;
    let company = home.agent("company").await;

    let refused = ask(&company, &broker, &[], ROWS, &[("purpose", PURPOSE)], JSON).await;
    assert_eq!(refused.status, 403, "{}", refused.text());
    assert_eq!(
        refused.json()["datasets"].as_array().unwrap().len(),
        2,
        "{}",
        refused.text()
    );
    assert!(!refused.text().contains(&kortrijk.base_url), "{}", refused.text());

    let agreement = agree(&company, &gent, &broker).await;
    let own = std::slice::from_ref(&agreement);
    let answer = ask(&company, &broker, own, ROWS, &[], JSON).await;
    assert_eq!(
        (answer.status.as_u16(), numbers(&answer)),
        (200, vec![10, 11, 12]),
        "{}",
        answer.text()
    );
    assert_eq!(answer.header("meent-withheld"), "1", "Brugge, and nothing of Kortrijk");
    let links: BTreeSet<String> = answer
        .headers
        .get_all("link")
        .iter()
        .map(|value| value.to_str().unwrap().to_owned())
        .collect();
    let manifest = broker
        .client()
        .get(answer.json()["head"]["link"][0].as_str().unwrap())
        .await
        .json();
    let city = format!("{}city/profile/card#me", gent.base_url);
    for (target, relation) in [
        ("https://gent.example/next", "http://www.w3.org/ns/odrl/2/nextPolicy"),
        (city.as_str(), "http://www.w3.org/ns/prov#wasAttributedTo"),
        (agreement.as_str(), "http://www.w3.org/ns/odrl/2/hasPolicy"),
    ] {
        assert!(
            links.contains(&format!("<{target}>; rel=\"{relation}\"")),
            "{target}: {links:?}"
        );
        let told = manifest["sources"][0]["terms"].as_array().unwrap();
        assert!(told.contains(&json!({ "rel": relation, "href": target })), "{manifest}");
    }
    assert_eq!(
        (&manifest["withheld"], manifest["not_covered"].as_array().unwrap().len()),
        (&json!(1), 1),
        "{manifest}"
    );
    assert!(!manifest.to_string().contains(&kortrijk.base_url), "{manifest}");
    broker.stop().await;
}

/// Requirements ENF-33: what the broker holds opens nothing by itself, and with the consumer's word it gets what the consumer
/// would get, for the agreed purpose, and not a value more.
#[tokio::test(flavor = "multi_thread")]
async fn the_pod_decides_whatever_the_broker_holds() {
    let directory = tempfile::tempdir().unwrap();
    let visible = "[ a odrl:AssetCollection ; odrl:source <> ; odrl:refinement [ odrl:leftOperand meent:property ; odrl:operator odrl:isAnyOf ;
        odrl:rightOperand ex:bicycles , <http://www.w3.org/1999/02/22-rdf-syntax-ns#type> ] ]";
    let gent = municipality("Gent", 10, visible).await;
    let broker = BrokerServer::start(directory.path(), &[&gent], json!({})).await;
    broker.knows(1).await;
    let home = PodServer::start().await;
    let (company, thief) = (home.agent("company").await, home.agent("thief").await);
    let agreement = agree(&company, &gent, &broker).await;
    let own = std::slice::from_ref(&agreement);
    let reply = company
        .client()
        .request("POST", &format!("{agreement}/token"))
        .send()
        .await;
    let token = reply.json()["access_token"].as_str().unwrap().to_owned();
    let endpoint = format!("{}sparql", gent.base_url);
    let purpose = [("purpose", PURPOSE)];

    // The token alone, with any other key: as the broker has it.
    let stolen = thief.with_token(&token).client();
    assert_eq!(ask_pod(&stolen, &endpoint, ROWS, &purpose).await.status, 401);
    // The consumer's word, given to this broker, in somebody else's hands.
    let word = delegation(&company, &broker, own, PURPOSE);
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    form.append_pair("query", ROWS).append_pair("purpose", PURPOSE);
    let passed_on = stolen
        .request("POST", &endpoint)
        .header("delegation", word)
        .content("application/x-www-form-urlencoded", form.finish())
        .send()
        .await;
    assert_eq!(passed_on.status, 401, "{}", passed_on.text());
    assert_ne!(DpopKey::generate().unwrap().thumbprint(), broker.jkt());

    // With everything in place the broker gets what the consumer gets.
    let consumer = company.with_token(&token).client();
    let direct = ask_pod(&consumer, &endpoint, ROWS, &purpose).await;
    let through = ask(&company, &broker, own, ROWS, &[], JSON).await;
    assert_eq!(numbers(&through), numbers(&direct));
    let manifest = broker
        .client()
        .get(through.json()["head"]["link"][0].as_str().unwrap())
        .await
        .json();
    assert_eq!(
        manifest["sources"][0]["rows"],
        json!(numbers(&direct).len()),
        "{manifest}"
    );
    let everything = "SELECT (?v AS ?n) { ?s ?p ?v FILTER(isNumeric(?v)) } ORDER BY ?v";
    let streets = "SELECT ?n { ?s <http://vocab.example/street> ?n }";
    let through = ask(&company, &broker, own, everything, &[], JSON).await;
    assert_eq!(numbers(&through), [10, 11, 12], "{}", through.text());
    let refused = ask_pod(&consumer, &endpoint, streets, &purpose).await;
    assert_eq!(refused.status, 403, "{}", refused.text());
    let refused = ask(&company, &broker, own, streets, &[], JSON).await;
    assert!(!refused.text().contains("streets.example"), "{}", refused.text());
    let other = ask(
        &company,
        &broker,
        own,
        ROWS,
        &[("purpose", "https://w3id.org/dpv#Marketing")],
        JSON,
    )
    .await;
    assert_eq!(other.status, 403, "{}", other.text());

    // The owner's end of it is the broker's end.
    let city = city_of(&gent).client();
    let ended = city.request("POST", &format!("{agreement}/terminate")).send().await;
    assert!(ended.status.is_success(), "{}", ended.text());
    let after = ask(&company, &broker, own, ROWS, &[], JSON).await;
    assert_eq!(after.status, 403, "{}", after.text());
    let none: Value = after.json();
    assert_eq!(none["results"], Value::Null);
    broker.stop().await;
}

/// Requirements ENF-34: values of an owner whose agreement forbids to hand data on are not sent along to other members; the
/// answer stays the same.
#[tokio::test(flavor = "multi_thread")]
async fn join_keys_stay_where_they_may_not_be_handed_on() {
    let mut network = Network::start(federation(Size {
        members: 3,
        days: 2,
        seed: 7,
    }))
    .await;
    let (_, text) = generate::QUERIES[1];
    for source in &mut network.sources {
        source.agreement = Some("https://m.example/agreement".into());
    }
    let bound = network.plan(text);
    assert!(
        bound.sub_plans.iter().any(|part| part.bind.is_some()),
        "{:#?}",
        bound.evidence
    );
    let before = network.ask(text).await.unwrap().rows;
    network.members.iter().for_each(|member| drop(member.take_queries()));
    for source in &mut network.sources {
        source.stays = true;
    }
    let plan = network.plan(text);
    for part in &plan.sub_plans {
        let Some(bind) = &part.bind else { continue };
        let from = plan.sub_plans.iter().find(|other| other.id == bind.from).unwrap();
        let members = |ids: Vec<usize>| -> BTreeSet<String> {
            ids.into_iter().map(|id| network.sources[id].member.clone()).collect()
        };
        let (from, to) = (
            members(from.sources.keys().copied().collect()),
            members(part.sources.keys().copied().collect()),
        );
        assert_eq!((from.len(), &from), (1, &to), "{:#?}", plan.evidence);
    }
    let after = network.ask(text).await.unwrap().rows;
    assert_eq!(after, before);
    for member in &network.members {
        for sent in member.take_queries() {
            assert!(!sent.contains("VALUES"), "{}: {sent}", member.name);
        }
    }
    for source in &mut network.sources {
        (source.stays, source.masks) = (false, true);
    }
    assert_eq!(network.ask(text).await.unwrap().rows, before, "behind masks");
    let sent: Vec<String> = network
        .members
        .iter()
        .flat_map(|member| member.take_queries())
        .collect();
    assert!(sent.iter().any(|text| text.contains(mask::FUNCTION)), "{sent:#?}");
    assert!(!sent.iter().any(|text| text.contains("VALUES")), "{sent:#?}");
}

/// Requirement ENF-34: an owner's duty to mask reaches the broker with the agreement, and the other pod looks through the mask.
#[tokio::test(flavor = "multi_thread")]
async fn a_duty_masks_join_keys_between_pods() {
    let directory = tempfile::tempdir().unwrap();
    let (gent, brugge) = (
        municipality("Gent", 10, "<> ; odrl:duty [ odrl:action meent:maskKeys ]").await,
        municipality("Brugge", 20, "<>").await,
    );
    let streets: String = (0..40)
        .map(|n| format!("<http://streets.example/{n}> <http://vocab.example/length> {n}00 .\n"))
        .collect();
    let put = city_of(&brugge)
        .client()
        .put("/city/counts/streets", "text/turtle", streets)
        .await;
    assert!(put.status.is_success(), "{}", put.text());
    let broker = BrokerServer::start(directory.path(), &[&gent, &brugge], json!({})).await;
    broker.knows(2).await;
    let home = PodServer::start().await;
    let company = home.agent("company").await;
    let both = [
        agree(&company, &gent, &broker).await,
        agree(&company, &brugge, &broker).await,
    ];
    let query = "SELECT ?n ?length WHERE { ?o <http://vocab.example/bicycles> ?n ; <http://vocab.example/street> ?s .
        ?s <http://vocab.example/length> ?length } ORDER BY ?n";
    let plan = ask(&company, &broker, &both, query, &[("explain", "true")], "text/plain")
        .await
        .text();
    assert!(plan.contains("narrowed by the masked bindings of ?s"), "{plan}");
    assert!(plan.contains("join keys leave masked"), "{plan}");
    let answer = ask(&company, &broker, &both, query, &[], JSON).await;
    let rows = answer.json()["results"]["bindings"].clone();
    let rows: Vec<[i64; 2]> = rows
        .as_array()
        .unwrap()
        .iter()
        .map(|row| ["n", "length"].map(|name| row[name]["value"].as_str().unwrap().parse().unwrap()))
        .collect();
    assert_eq!(
        rows,
        [[10, 0], [11, 100], [12, 0], [20, 0], [21, 100], [22, 0]],
        "{}",
        answer.text()
    );
    broker.stop().await;
}
