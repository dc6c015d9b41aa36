//! The broker over sockets, with real pod servers as members: catalogue, deposits, queries under agreements, honest answers,
//! refusals with reasons, its own log, and that emptying it loses nobody's data.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod deposits;
pub mod harness;
mod kinds;
mod origins;
mod standing;
mod standing_bounds;
mod standing_follow;
mod stream;
mod terms;
mod trace;

use harness::{BrokerServer, JSON, PURPOSE, ROWS, agree, ask, delegation, municipality, numbers};
use meent_tests::federation::Member;
use meent_tests::federation::kinds::open_terms;
use meent_tests::pod::{Agent, PodServer};
use oxrdf::{Literal, NamedNode, Triple};
use serde_json::{Value, json};
use server_kit::audit_log::{VerifierKey, export, verify_directory};
use std::sync::Arc;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn bad_requests_get_a_clear_answer() {
    let directory = tempfile::tempdir().unwrap();
    let pod = PodServer::start().await;
    let broker = BrokerServer::start(directory.path(), &[&pod], json!({})).await;
    let agent = pod.agent("someone").await;
    let client = broker.client();

    let unknown = client.get("/nowhere").await;
    assert_eq!(
        (unknown.status.as_u16(), unknown.header("content-type")),
        (404, "application/problem+json")
    );
    let nobody = client.request("GET", "/sparql?query=ASK%20%7B%7D").send().await;
    assert_eq!(nobody.status, 401);
    assert!(
        nobody.header("www-authenticate").starts_with("DPoP"),
        "{}",
        nobody.header("www-authenticate")
    );
    assert_eq!(client.request("DELETE", "/catalog").send().await.status, 405);
    assert_eq!(
        client
            .request("GET", "/catalog")
            .header("accept", "image/png")
            .send()
            .await
            .status,
        406
    );
    assert_eq!(
        client
            .request("POST", "/members")
            .content("application/json", "{}")
            .send()
            .await
            .status,
        401
    );

    for (query, status, words) in [
        ("SELECT * WHERE { ?s ?p }", 400, "malformed-query"),
        ("SELECT * WHERE {\n ?s ?p }", 400, "\"line\":2"),
        (
            "SELECT * WHERE { SERVICE <http://x.example/> { ?s ?p ?o } }",
            400,
            "SERVICE",
        ),
        ("INSERT DATA { <a:a> <a:b> <a:c> }", 400, "updates are refused"),
        (&format!("SELECT * WHERE {}", "{".repeat(10_000)), 400, "nested deeper"),
        (
            &format!("ASK {{ {} }}", "?s ?p ?o .".repeat(7_000)),
            413,
            "query-too-large",
        ),
    ] {
        let reply = ask(&agent, &broker, &[], query, &[], JSON).await;
        assert_eq!(reply.status.as_u16(), status, "{query:.60}: {}", reply.text());
        assert!(reply.text().contains(words), "{query:.60}: {}", reply.text());
    }
    let mine = agent.client();
    let to = |path: &str| format!("{}{path}", broker.base_url);
    for (content, body, words) in [
        ("", "ASK {}", "missing-content-type"),
        ("text/plain", "ASK {}", "wrong-content-type"),
        ("application/sparql-update", "CLEAR ALL", "update-refused"),
        ("application/x-www-form-urlencoded", "purpose=x", "missing-parameter"),
        (
            "application/x-www-form-urlencoded",
            "query=ASK%7B%7D&query=ASK%7B%7D",
            "repeated-parameter",
        ),
        (
            "application/x-www-form-urlencoded",
            "query=ASK%7B%7D&complete=maybe",
            "wrong-parameter",
        ),
        (
            "application/x-www-form-urlencoded",
            "query=ASK%7B%7D&default-graph-uri=x",
            "is no IRI",
        ),
    ] {
        let mut request = mine.request("POST", &to("sparql")).body(body);
        if !content.is_empty() {
            request = request.header("content-type", content);
        }
        let reply = request.send().await;
        assert_eq!(reply.status, 400, "{body}: {}", reply.text());
        assert!(reply.text().contains(words), "{body}: {}", reply.text());
    }
    let large = mine
        .request("POST", &to("sparql"))
        .content("application/sparql-query", " ".repeat(300_000))
        .send()
        .await;
    assert_eq!(large.status, 413);
    for (body, status, words) in [
        ("{", 400, "malformed-json"),
        ("{\"agreement\":\"x\",\"access_token\":\"y\"}", 422, "not-a-token"),
    ] {
        let reply = mine
            .request("POST", &to("agreements"))
            .content("application/json", body)
            .send()
            .await;
        assert_eq!(reply.status.as_u16(), status);
        assert!(reply.text().contains(words), "{}", reply.text());
    }
    // Queries without data need nobody.
    let constant = ask(&agent, &broker, &[], "SELECT ?n WHERE { VALUES ?n { 1 2 } }", &[], JSON).await;
    assert_eq!(numbers(&constant), [1, 2], "{}", constant.text());
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_catalogue_is_found_read_and_searched() {
    let directory = tempfile::tempdir().unwrap();
    let (gent, brugge) = (
        municipality("Fietsen Gent", 10, "<>").await,
        municipality("Tellingen Brugge", 20, "<>").await,
    );
    let broker = BrokerServer::start(directory.path(), &[&gent, &brugge], json!({})).await;
    broker.knows(2).await;
    let client = broker.client();
    for (language, word) in [("nl", "Catalogus"), ("fr", "jeux de données"), ("en", "not for sale")] {
        let page = client
            .request("GET", &format!("/catalog?lang={language}"))
            .header("accept", "text/html")
            .send()
            .await;
        assert_eq!(page.status, 200);
        assert_eq!(page.header("content-language"), language);
        assert!(
            page.text().contains(word) && page.text().contains(&format!("<html lang=\"{language}\"")),
            "{}",
            page.text()
        );
        assert!(!page.text().contains("<script"));
    }
    let searched = client
        .request("GET", "/catalog?q=gent")
        .header("accept", "application/json")
        .send()
        .await
        .json();
    assert_eq!(searched["found"], 1);
    assert_eq!(searched["datasets"][0]["title"]["nl"], "Fietsen Gent");
    assert!(
        searched["datasets"][0]["negotiation"]
            .as_str()
            .unwrap()
            .ends_with("/negotiations")
    );
    for (media_type, words) in [
        ("text/turtle", "http://www.w3.org/ns/dcat#Dataset"),
        ("application/ld+json", "http://www.w3.org/ns/odrl/2/Offer"),
        ("application/n-triples", "propertyPartition"),
        ("application/rdf+xml", "rdf:RDF"),
    ] {
        let reply = client
            .request("GET", "/catalog")
            .header("accept", media_type)
            .send()
            .await;
        assert_eq!((reply.status.as_u16(), reply.header("content-type")), (200, media_type));
        assert!(reply.text().contains(words), "{media_type}: {}", reply.text());
    }
    let hostile = client
        .request("GET", "/catalog?q=%3Cscript%3Ealert(1)%3C%2Fscript%3E")
        .header("accept", "text/html")
        .send()
        .await;
    assert!(!hostile.text().contains("<script>"));
    // A member that goes away keeps what it offered last, marked.
    brugge.stop().await;
    for _ in 0..200 {
        let members = client.get("/members").await.json();
        let state = members["members"]
            .as_array()
            .unwrap()
            .iter()
            .find(|m| m["name"] == "brugge")
            .unwrap()
            .clone();
        if !state["staleSince"].is_null() {
            assert_eq!(state["datasets"], 1);
            let page = client
                .request("GET", "/")
                .header("accept", "text/html")
                .send()
                .await
                .text();
            assert!(page.contains("Tellingen Brugge") && page.contains("antwoorden nu niet"));
            broker.stop().await;
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the member never became stale");
}

/// Requirements dataspace AUD-8: a holder reads all that the broker keeps about the holder's data, of every query its own part, no
/// tokens, and nothing of other holders.
#[tokio::test(flavor = "multi_thread")]
async fn a_holder_reads_what_the_broker_knows() {
    let directory = tempfile::tempdir().unwrap();
    let (gent, brugge) = (
        municipality("Gent", 10, "<>").await,
        municipality("Brugge", 20, "<>").await,
    );
    let broker = BrokerServer::start(directory.path(), &[&gent, &brugge], json!({})).await;
    broker.knows(2).await;
    let home = PodServer::start().await;
    let company = home.agent("company").await;
    let both = [
        agree(&company, &gent, &broker).await,
        agree(&company, &brugge, &broker).await,
    ];
    assert_eq!(ask(&company, &broker, &both, ROWS, &[], JSON).await.status, 200);
    let holdings = format!("{}holdings", broker.base_url);
    assert_eq!(broker.client().get("/holdings").await.status, 401);
    let nothing = company.client().get(&holdings).await.json();
    assert_eq!(
        (&nothing["datasets"], &nothing["agreements"], &nothing["log"]),
        (&json!([]), &json!([]), &json!([])),
        "a consumer holds nothing"
    );
    let owner = format!("{}city/profile/card#me", gent.base_url);
    let owner = Agent::new(&gent.app.issuer, owner, &gent.base_url);
    let known = owner.client().get(&holdings).await;
    assert_eq!(known.status, 200, "{}", known.text());
    let json = known.json();
    assert_eq!(json["datasets"].as_array().unwrap().len(), 1, "{json}");
    assert_eq!(json["agreements"][0]["agreement"], both[0].as_str());
    assert_eq!(json["agreements"][0]["consumer"], company.web_id.as_str());
    let log = json["log"].as_array().unwrap();
    assert!(
        !log.is_empty() && log.iter().all(|entry| entry["record"]["targets"] == json!([both[0]])),
        "{json}"
    );
    for hidden in [&brugge.base_url, "access_token", "eyJ"] {
        assert!(!known.text().contains(hidden), "{hidden}: {json}");
    }
    // Looking through the log takes its turn as a query does.
    let turns = Arc::clone(&broker.running.as_ref().unwrap().broker.turns);
    let all = turns.acquire_many(turns.available_permits().try_into().unwrap()).await;
    let waiting = owner.client().get(&holdings).await;
    assert_eq!((waiting.status.as_u16(), waiting.header("retry-after")), (503, "1"));
    drop(all);
    assert_eq!(owner.client().get(&holdings).await.status, 200);
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn queries_run_under_agreements_and_say_whether_they_are_complete() {
    let directory = tempfile::tempdir().unwrap();
    let (gent, brugge) = (
        municipality("Gent", 10, "<>").await,
        municipality("Brugge", 20, "<>").await,
    );
    let broker = BrokerServer::start(directory.path(), &[&gent, &brugge], json!({})).await;
    broker.knows(2).await;
    let home = PodServer::start().await;
    let (company, stranger) = (home.agent("company").await, home.agent("stranger").await);

    // Nothing agreed: 403 that names both datasets.
    let refused = ask(&company, &broker, &[], ROWS, &[("purpose", PURPOSE)], JSON).await;
    assert_eq!(refused.status, 403, "{}", refused.text());
    assert_eq!(
        refused.json()["datasets"].as_array().unwrap().len(),
        2,
        "{}",
        refused.text()
    );

    let first = agree(&company, &gent, &broker).await;
    let alone = ask(&company, &broker, std::slice::from_ref(&first), ROWS, &[], JSON).await;
    assert_eq!(
        (alone.status.as_u16(), numbers(&alone)),
        (200, vec![10, 11, 12]),
        "{}",
        alone.text()
    );
    let second = agree(&company, &brugge, &broker).await;
    let both = [first.clone(), second.clone()];

    let answer = ask(&company, &broker, &both, ROWS, &[("purpose", PURPOSE)], JSON).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(numbers(&answer), [10, 11, 12, 20, 21, 22]);
    assert_eq!(answer.header("meent-complete"), "true");
    let manifest_url = answer.json()["head"]["link"][0].as_str().unwrap().to_owned();
    assert!(answer.header("link").contains(&manifest_url));
    let manifest = broker.client().get(&manifest_url).await.json();
    assert_eq!(manifest["complete"], true);
    assert_eq!(
        manifest["sources"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|source| source["status"] == "answered")
            .count(),
        2
    );

    let sum = "PREFIX ex: <http://vocab.example/> SELECT ?w (SUM(?b) AS ?n) WHERE { ?o ex:bicycles ?b ; ex:street ?w } GROUP BY ?w ORDER BY ?w";
    assert_eq!(
        numbers(&ask(&company, &broker, &both, sum, &[], JSON).await),
        [10 + 12 + 20 + 22, 11 + 21]
    );
    for (accept, query, words) in [
        ("text/csv", ROWS, "o,n\r\n"),
        ("text/tab-separated-values", ROWS, "?o\t?n"),
        ("application/sparql-results+xml", ROWS, "<sparql"),
        (
            "text/turtle",
            "CONSTRUCT WHERE { ?o <http://vocab.example/bicycles> ?n }",
            "<http://vocab.example/bicycles>",
        ),
        (
            "application/n-triples",
            "CONSTRUCT WHERE { ?o <http://vocab.example/bicycles> ?n }",
            "\"22\"",
        ),
        (JSON, "ASK { ?o <http://vocab.example/bicycles> 22 }", "true"),
        (
            "application/n-triples",
            "DESCRIBE ?o WHERE { ?o <http://vocab.example/bicycles> 21 }",
            "http://streets.example/1",
        ),
    ] {
        let reply = ask(&company, &broker, &both, query, &[], accept).await;
        assert_eq!(
            (reply.status.as_u16(), reply.header("content-type")),
            (200, accept),
            "{query}: {}",
            reply.text()
        );
        assert!(reply.text().contains(words), "{query}: {}", reply.text());
    }
    assert_eq!(ask(&company, &broker, &both, ROWS, &[], "image/png").await.status, 406);
    let plan = ask(
        &company,
        &broker,
        &both,
        ROWS,
        &[("explain", "true")],
        "application/json",
    )
    .await
    .json();
    assert_eq!(plan["subPlans"][0]["sources"].as_array().unwrap().len(), 2, "{plan}");
    assert!(
        ask(&company, &broker, &both, ROWS, &[("explain", "true")], "text/plain")
            .await
            .text()
            .contains("Sub-plan 0")
    );

    // What is not agreed gives nothing, and a reason.
    let wrong = "https://w3id.org/dpv#Marketing";
    for (who, agreements, fields, words) in [
        (&company, &both[..], vec![("purpose", wrong)], "not agreed: marketing"),
        (
            &company,
            &[][..],
            vec![("purpose", PURPOSE)],
            "does not name the agreement",
        ),
        (&stranger, &both[..], vec![("purpose", PURPOSE)], "no agreement"),
    ] {
        let reply = ask(who, &broker, agreements, ROWS, &fields, JSON).await;
        assert_eq!(reply.status, 403, "{words}: {}", reply.text());
        assert!(reply.text().contains(words), "{words}: {}", reply.text());
    }
    // A delegation by somebody else, or for another purpose than the query states.
    let stolen = company
        .client()
        .request("POST", &format!("{}sparql", broker.base_url))
        .header("delegation", delegation(&stranger, &broker, &both, PURPOSE))
        .content("application/sparql-query", ROWS)
        .send()
        .await;
    assert_eq!(
        (stolen.status.as_u16(), stolen.text().contains("delegation-not-yours")),
        (403, true),
        "{}",
        stolen.text()
    );

    // One owner goes away: the answer says so, or is an error when completeness was required.
    brugge.stop().await;
    let partial = ask(&company, &broker, &both, ROWS, &[], JSON).await;
    assert_eq!(
        (partial.status.as_u16(), partial.header("meent-complete")),
        (200, "false"),
        "{}",
        partial.text()
    );
    assert_eq!(numbers(&partial), [10, 11, 12]);
    let named = broker
        .client()
        .get(partial.json()["head"]["link"][0].as_str().unwrap())
        .await
        .json();
    let failed: Vec<&Value> = named["sources"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|source| source["status"] == "failed")
        .collect();
    assert_eq!((failed.len(), failed[0]["member"].as_str()), (1, Some("brugge")));
    let strict = ask(&company, &broker, &both, ROWS, &[("complete", "required")], JSON).await;
    assert!(matches!(strict.status.as_u16(), 502 | 504), "{}", strict.text());
    assert!(strict.text().contains("brugge"));
    // Who needs only the other is not concerned.
    let elsewhere = format!(
        "SELECT ?n WHERE {{ <{}city/counts/one#o1> <http://vocab.example/bicycles> ?n }}",
        gent.base_url
    );
    let whole = ask(&company, &broker, &both, &elsewhere, &[("complete", "required")], JSON).await;
    assert_eq!(
        (whole.header("meent-complete"), numbers(&whole)),
        ("true", vec![11]),
        "{}",
        whole.text()
    );

    // Deposits survive a restart; an emptied broker loses nobody's data, and the consumer deposits again.
    let port = broker.port;
    broker.stop().await;
    let broker = BrokerServer::start_on(port, directory.path(), &[&gent], json!({})).await;
    broker.knows(1).await;
    assert_eq!(
        numbers(&ask(&company, &broker, &both, ROWS, &[], JSON).await),
        [10, 11, 12]
    );
    broker.stop().await;
    let empty = tempfile::tempdir().unwrap();
    let broker = BrokerServer::start_on(port, empty.path(), &[&gent], json!({})).await;
    broker.knows(1).await;
    assert_eq!(ask(&company, &broker, &both, ROWS, &[], JSON).await.status, 403);
    let again = agree(&company, &gent, &broker).await;
    assert_eq!(
        numbers(&ask(&company, &broker, std::slice::from_ref(&again), ROWS, &[], JSON).await),
        [10, 11, 12]
    );
    let gone = company
        .client()
        .request("DELETE", &format!("{}agreements?agreement={again}", broker.base_url))
        .send()
        .await;
    assert_eq!(gone.status, 204, "{}", gone.text());
    assert_eq!(
        ask(&company, &broker, std::slice::from_ref(&again), ROWS, &[], JSON)
            .await
            .status,
        403
    );
    broker.stop().await;
}

/// A property outside the agreement, and every query in a log that verifies offline and holds no data.
#[tokio::test(flavor = "multi_thread")]
async fn terms_bind_and_every_query_is_on_record() {
    let directory = tempfile::tempdir().unwrap();
    let narrow = "[ a odrl:AssetCollection ; odrl:source <> ; odrl:refinement [ odrl:leftOperand meent:property ; odrl:operator odrl:isAnyOf ; \
                  odrl:rightOperand <http://vocab.example/bicycles> ] ]";
    let gent = municipality("Gent", 10, narrow).await;
    let broker = BrokerServer::start(directory.path(), &[&gent], json!({})).await;
    broker.knows(1).await;
    let company = PodServer::start().await;
    let company = (company.agent("company").await, company);
    let agreement = [agree(&company.0, &gent, &broker).await];
    let allowed = "SELECT ?n WHERE { ?o <http://vocab.example/bicycles> ?n } ORDER BY ?n";
    assert_eq!(
        numbers(&ask(&company.0, &broker, &agreement, allowed, &[], JSON).await),
        [10, 11, 12]
    );
    let outside = "SELECT ?n WHERE { ?o <http://vocab.example/bicycles> ?n ; <http://vocab.example/street> ?w }";
    let refused = ask(&company.0, &broker, &agreement, outside, &[], JSON).await;
    assert_eq!(refused.status, 403, "{}", refused.text());
    assert!(
        refused
            .text()
            .contains("does not cover the property <http://vocab.example/street>"),
        "{}",
        refused.text()
    );

    // An open endpoint joins by the operator's hand; it is asked without any credential.
    let fact = Triple::new(
        NamedNode::new_unchecked("http://open.example/x"),
        NamedNode::new_unchecked("http://open.example/p"),
        Literal::from(7),
    );
    let open = Member::start("open", vec![fact]).await.unwrap();
    let token = std::fs::read_to_string(directory.path().join("operator.token")).unwrap();
    let member = json!({ "name": "open", "sparql": open.endpoint, "terms": open_terms() }).to_string();
    for (bearer, status) in [("wrong", 401), (token.trim(), 204)] {
        let reply = broker
            .client()
            .request("POST", "/members")
            .header("authorization", format!("Bearer {bearer}"))
            .content("application/json", member.clone())
            .send()
            .await;
        assert_eq!(reply.status.as_u16(), status, "{}", reply.text());
    }
    let found = ask(
        &company.0,
        &broker,
        &agreement,
        "SELECT ?n WHERE { ?s <http://open.example/p> ?n }",
        &[],
        JSON,
    )
    .await;
    assert_eq!(numbers(&found), [7], "{}", found.text());
    assert!(
        open.take_headers()
            .iter()
            .all(|headers| !headers.contains_key("authorization") && !headers.contains_key("delegation"))
    );

    let client = broker.client();
    let key = VerifierKey::parse(client.get("/log/vkey").await.text().trim()).unwrap();
    let checkpoint = key.verify(&client.get("/log/checkpoint").await.text()).unwrap();
    assert_eq!(
        checkpoint.size, 5,
        "two answered queries with begin and end, one refusal"
    );
    let tile = client.get("/log/tile/0/000.p/5").await;
    assert_eq!((tile.status.as_u16(), tile.body.len()), (200, 5 * 32));
    let exported = tempfile::tempdir().unwrap();
    let database = rusqlite::Connection::open(directory.path().join("broker.sqlite")).unwrap();
    export(&database, exported.path()).unwrap();
    assert_eq!(
        verify_directory(exported.path(), &key, Some(&checkpoint))
            .unwrap()
            .checkpoint
            .size,
        5
    );
    database
        .execute(
            "UPDATE audit_log_hash SET hash = zeroblob(32) WHERE level = 0 AND position = 1",
            [],
        )
        .unwrap();
    assert!(
        export(&database, exported.path())
            .map(|_| verify_directory(exported.path(), &key, None))
            .is_ok_and(|v| v.is_err())
    );
    broker.stop().await;
    // No pod triple is ever on the broker's disk.
    for entry in std::fs::read_dir(directory.path()).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        assert!(
            !text.contains("city/counts/one#o") && !text.contains("streets.example"),
            "a pod's triples are on disk"
        );
    }
}
