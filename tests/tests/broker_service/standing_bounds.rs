//! What bounds standing queries, and what cannot stand; and what a pod server tells whoever listens under an agreement.

use super::harness::{BrokerServer, PREFIXES, PURPOSE, ROWS, agree, municipality};
use super::stream::{Stream, Wish, listeners, open, told};
use broker::standing::event::{Event, Events};
use http_body_util::BodyExt;
use meent_tests::federation::Member;
use meent_tests::federation::kinds::open_terms;
use meent_tests::pod::{Agent, PodServer};
use oxrdf::{Literal, NamedNode, Triple};
use serde_json::{Value, json};
use std::time::Duration;

async fn refused(agent: &Agent, broker: &BrokerServer, wish: &Wish<'_>) -> (u16, String) {
    match open(agent, broker, wish).await {
        Ok(_) => panic!("{} stands", wish.query),
        Err(refusal) => refusal,
    }
}

async fn opened(agent: &Agent, broker: &BrokerServer, wish: &Wish<'_>) -> Stream {
    open(agent, broker, wish)
        .await
        .unwrap_or_else(|(status, words)| panic!("{status} {words}"))
}

/// Requirements reliability T125: what is not agreed does not stand either; every bound is named.
#[tokio::test(flavor = "multi_thread")]
async fn bounds_are_named_and_what_cannot_stand_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let gent = municipality("Gent", 10, "<>").await;
    let mut settings = super::standing::eager();
    settings["standing"]["queries_max"] = json!(3);
    settings["standing"]["queries_per_consumer_max"] = json!(2);
    settings["standing"]["rows_max"] = json!(3);
    let broker = BrokerServer::start(directory.path(), &[&gent], settings).await;
    broker.knows(1).await;
    let home = PodServer::start().await;
    let (company, other) = (home.agent("company").await, home.agent("other").await);
    let agreement = [agree(&company, &gent, &broker).await];
    let theirs = [agree(&other, &gent, &broker).await];
    let wish = Wish::new(ROWS, &agreement);

    for (query, agreements, fields, status, words) in [
        ("SELECT * { ?s ?p }", &agreement[..], &[][..], 400, "malformed-query"),
        ("DESCRIBE <urn:x>", &agreement, &[], 422, "form-not-standing"),
        (
            "SELECT ?s ?p ?o { ?s ?p ?o }",
            &agreement,
            &[],
            422,
            "standing.rows_max",
        ),
        (ROWS, &agreement, &[("interval", "soon")], 400, "interval"),
        (
            ROWS,
            &agreement,
            &[("purpose", "https://w3id.org/dpv#Marketing")],
            403,
            "purpose-differs",
        ),
        (ROWS, &[], &[("purpose", PURPOSE)], 403, "does not name the agreement"),
        (ROWS, &theirs, &[], 403, "does not name the agreement"),
    ] {
        let wish = Wish {
            fields,
            ..Wish::new(query, agreements)
        };
        let (found, said) = refused(&company, &broker, &wish).await;
        assert_eq!(found, status, "{query}: {said}");
        assert!(said.contains(words), "{query}: {said}");
    }
    listeners(&gent, 0).await;

    let mut asked = opened(
        &company,
        &broker,
        &Wish::new("ASK { ?o <http://vocab.example/bicycles> 99 }", &agreement),
    )
    .await;
    let (name, data) = asked.next().await;
    assert_eq!(
        (name.as_str(), &data["boolean"], &data["head"]),
        ("answer", &json!(false), &json!({}))
    );
    let graph = "CONSTRUCT { <urn:all> <urn:n> ?n } WHERE { ?o <http://vocab.example/bicycles> ?n }";
    let mut built = opened(&company, &broker, &Wish::new(graph, &agreement)).await;
    let (_, data) = built.next().await;
    assert_eq!(data["head"]["vars"], json!(["subject", "predicate", "object"]));
    assert_eq!(data["results"]["bindings"].as_array().unwrap().len(), 3);
    assert_eq!(data["results"]["bindings"][0]["subject"]["value"], "urn:all");

    let (status, words) = refused(&company, &broker, &wish).await;
    assert_eq!(status, 429);
    assert!(words.contains("standing.queries_per_consumer_max"), "{words}");
    let third = opened(&other, &broker, &Wish::new(ROWS, &theirs)).await;
    let (status, words) = refused(&other, &broker, &Wish::new(ROWS, &theirs)).await;
    assert_eq!(status, 503);
    assert!(words.contains("standing.queries_max"), "{words}");
    drop((built, third));
    listeners(&gent, 1).await;

    // A row too many ends the stream with the bound.
    let owner = Agent::new(
        &gent.app.issuer,
        format!("{}city/profile/card#me", gent.base_url),
        &gent.base_url,
    );
    let mut full = opened(&company, &broker, &wish).await;
    full.until(&[10, 11, 12]).await;
    let body = format!("{PREFIXES}<#o> a ex:Count ; ex:bicycles 99 .");
    assert!(
        owner
            .client()
            .put("/city/counts/two", "text/turtle", body)
            .await
            .status
            .is_success()
    );
    let (code, reason) = full.ended().await;
    assert_eq!(code, "answer-too-large-to-stand");
    assert!(reason.contains("standing.rows_max"), "{reason}");
    let (name, data) = asked.next().await;
    assert_eq!((name.as_str(), &data["boolean"]), ("change", &json!(true)));
    broker.stop().await;
}

/// An endpoint of another make tells nobody of changes: it is asked from time to time and the manifest says so, or, where the
/// operator wants that, a query that needs it does not stand.
#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_tell_is_polled_or_refused() {
    let fact = |number: i64| {
        let name = NamedNode::new_unchecked;
        Triple::new(
            name("http://open.example/x"),
            name("http://open.example/p"),
            Literal::from(number),
        )
    };
    let open_data = Member::start("open", vec![fact(7)]).await.unwrap();
    let home = PodServer::start().await;
    let company = home.agent("company").await;
    let query = "SELECT ?n WHERE { ?s <http://open.example/p> ?n }";
    for poll in [true, false] {
        let directory = tempfile::tempdir().unwrap();
        let settings = json!({
            "standing": { "poll": poll, "poll_seconds": 1, "interval_ms": 20 },
        });
        let broker = BrokerServer::start(directory.path(), &[], settings).await;
        let token = std::fs::read_to_string(directory.path().join("operator.token")).unwrap();
        let client = broker.client();
        let joins = client
            .request("POST", "/members")
            .header("authorization", format!("Bearer {}", token.trim()))
            .content(
                "application/json",
                json!({ "name": "open", "sparql": open_data.endpoint, "terms": open_terms() }).to_string(),
            );
        assert_eq!(joins.send().await.status, 204);
        let wish = Wish::new(query, &[]);
        if poll {
            let mut stream = opened(&company, &broker, &wish).await;
            let (_, data) = stream.next().await;
            assert_eq!(told(&data, "results"), [7]);
            let source = &data["manifest"]["sources"][0];
            assert_eq!(
                (&source["changes"], &source["pollSeconds"]),
                (&json!("polled"), &json!(1)),
                "{source}"
            );
            let _ = open_data.take_headers();
            let asked_again = async {
                while open_data.take_headers().is_empty() {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            };
            tokio::time::timeout(Duration::from_secs(30), asked_again)
                .await
                .expect("a poll");
        } else {
            let (status, words) = refused(&company, &broker, &wish).await;
            assert_eq!(status, 422);
            assert!(
                words.contains("cannot-notify") && words.contains("standing.poll"),
                "{words}"
            );
        }
        broker.stop().await;
    }
}

/// Somebody who listens at a pod server.
struct Ear {
    body: hyper::body::Incoming,
    events: Events,
    waiting: Vec<Event>,
}

impl Ear {
    /// The next event that is one of these.
    async fn next(&mut self) -> (String, Value, String) {
        let heard = tokio::time::timeout(Duration::from_secs(30), async {
            while self.waiting.is_empty() {
                let frame = self.body.frame().await.expect("an open stream").unwrap();
                self.waiting = self.events.take(&frame.into_data().unwrap()).unwrap();
            }
            self.waiting.remove(0)
        });
        let event = heard.await.expect("an event in time");
        (event.name, serde_json::from_str(&event.data).unwrap(), event.id)
    }
}

async fn listen(agent: &Agent, agreement: &str, last: &str) -> Result<Ear, (u16, String)> {
    let client = agent.client();
    let request = client.request(
        "GET",
        &format!("{agreement}/changes?purpose={PURPOSE}").replace('#', "%23"),
    );
    let response = request.header("last-event-id", last).opened().await.unwrap();
    let (parts, body) = response.into_parts();
    if parts.status == 200 {
        return Ok(Ear {
            body,
            events: Events::new(10_000),
            waiting: Vec::new(),
        });
    }
    let words = body.collect().await.unwrap().to_bytes();
    Err((parts.status.as_u16(), String::from_utf8_lossy(&words).into_owned()))
}

/// Requirements dataspace ENF-8, ENF-39: who listens under an agreement hears that what it shows changed, and nothing of
/// what it hides; the holder of no token, and of another's, hears nothing; the owner reads who listened.
#[tokio::test(flavor = "multi_thread")]
async fn a_pod_tells_listeners_of_what_they_may_see_alone() {
    let narrow = "[ a odrl:AssetCollection ; odrl:source <> ; odrl:refinement [ odrl:leftOperand meent:property ; odrl:operator odrl:isAnyOf ; \
                  odrl:rightOperand <http://vocab.example/bicycles> ] ]";
    let settings = json!({ "query": { "changes_streams_per_agreement_max": 1, "changes_interval_ms": 1 } });
    let pod = PodServer::start_with(settings).await;
    let owner = super::harness::offer_counts(&pod, "Gent", 10, narrow).await;
    let directory = tempfile::tempdir().unwrap();
    let broker = BrokerServer::start(directory.path(), &[&pod], json!({})).await;
    broker.knows(1).await;
    let company = PodServer::start().await;
    let company = (company.agent("company").await, company);
    let agreement = agree(&company.0, &pod, &broker).await;
    let token = company
        .0
        .client()
        .request("POST", &format!("{agreement}/token"))
        .send()
        .await
        .json();
    let holder = company.0.with_token(token["access_token"].as_str().unwrap());

    for (who, place, status) in [
        (&company.0, agreement.clone(), 403),
        (&owner, agreement.clone(), 403),
        (
            &holder,
            format!("{}city/.dataspace/agreements/another", pod.base_url),
            400,
        ),
    ] {
        let refused = listen(who, &place, "").await.map(|_| ()).unwrap_err();
        assert_eq!(refused.0, status, "{place}: {}", refused.1);
    }
    let posted = holder
        .client()
        .request("POST", &format!("{agreement}/changes"))
        .send()
        .await;
    assert_eq!(posted.status, 405, "{}", posted.text());

    let mut ear = listen(&holder, &agreement, "").await.unwrap();
    let (name, data, first) = ear.next().await;
    assert_eq!(
        (name.as_str(), &data["changed"], &data["tells"]),
        ("open", &json!(false), &json!(true))
    );
    let (status, words) = listen(&holder, &agreement, "").await.map(|_| ()).unwrap_err();
    assert_eq!(status, 429);
    assert!(words.contains("query.changes_streams_per_agreement_max"), "{words}");
    let mut latest = String::new();
    // Something new is told, a change of what is hidden is not, and one of what is shown is again.
    for (street, bicycles) in [(7, 5), (8, 5), (8, 6)] {
        let body = format!("{PREFIXES}<#o> ex:bicycles {bicycles} ; ex:street <http://streets.example/{street}> .");
        let put = owner.client().put("/city/counts/two", "text/turtle", body).await;
        assert!(put.status.is_success(), "{}", put.text());
        if (street, bicycles) != (8, 5) {
            let (name, data, id) = ear.next().await;
            assert_eq!((name.as_str(), &data), ("change", &json!({})), "{street} {bicycles}");
            assert_ne!(id, first);
            latest = id;
        }
    }
    drop(ear);
    listeners(&pod, 0).await;
    let mut back = listen(&holder, &agreement, &first).await.unwrap();
    let (_, data, now) = back.next().await;
    assert_eq!(data["changed"], true, "something was missed");
    assert_eq!(
        now, latest,
        "what was told last is how it is: nothing was told of what is hidden"
    );
    drop(back);
    listeners(&pod, 0).await;
    let mut back = listen(&holder, &agreement, &now).await.unwrap();
    assert_eq!(back.next().await.1["changed"], false, "nothing was missed");
    let ended = owner
        .client()
        .request("POST", &format!("{agreement}/terminate"))
        .send()
        .await;
    assert!(ended.status.is_success(), "{}", ended.text());
    let (name, data, _) = back.next().await;
    assert_eq!(
        (name.as_str(), data["code"].as_str()),
        ("end", Some("agreement-not-active")),
        "{data}"
    );
    let (status, _) = listen(&holder, &agreement, "").await.map(|_| ()).unwrap_err();
    assert_eq!(status, 403);
    let log = owner.client().get("/city/.log").await.text();
    assert!(log.matches(&agreement).count() >= 5, "listening is on record: {log}");
    broker.stop().await;
}
