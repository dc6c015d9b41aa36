//! Clauses of offers: refused when they are made if nothing could honour them, and enforced otherwise.

use std::time::Duration;

use meent_tests::answers::{read_parquet, table_of_json};
use meent_tests::pod::PodServer;
use meent_tests::pod::sparql::{ask, ask_in, kind};
use pod_server::dataspace::{dataset, graph, offer};
use serde_json::{Value, json};
use server_kit::results::PARQUET;

use super::{ALL, PREFIXES, RESEARCH, Scene, TURTLE, post, speeds};

fn condition(left: &str, operator: &str, right: &str) -> String {
    format!("odrl:constraint [ odrl:leftOperand {left} ; odrl:operator odrl:{operator} ; odrl:rightOperand {right} ] ;")
}

/// Requirements ENF-2, ENF-15, ENF-20, ENF-24, ENF-25: what this server could never honour is refused with the clause, also
/// where another permission of the same offer is sound.
#[tokio::test(flavor = "multi_thread")]
async fn offers_with_clauses_that_nobody_can_honour_are_refused() {
    let scene = Scene::set().await;
    let plain = "odrl:permission [ odrl:target <> ; odrl:action odrl:use ] ;";
    let second = |rest: &str| format!("{plain} odrl:permission [ odrl:target <> ; {rest} ] ;");
    for (what, permission, policy, named) in [
        (
            "metered time",
            condition("odrl:meteredTime", "lteq", "'P1D'^^xsd:duration"),
            String::new(),
            "meteredTime",
        ),
        (
            "volume",
            condition("odrl:absoluteSize", "lteq", "1000"),
            String::new(),
            "absoluteSize",
        ),
        (
            "a month has no length",
            condition("odrl:timeInterval", "eq", "'P1M'^^xsd:duration"),
            String::new(),
            "timeInterval",
        ),
        (
            "an event that is a number",
            condition("odrl:event", "eq", "5"),
            String::new(),
            "event",
        ),
        (
            "encryption without TLS",
            condition("odrl:deliveryChannel", "eq", "meent:EncryptedTransport"),
            String::new(),
            "encrypted",
        ),
        (
            "deleting without a deadline",
            "odrl:duty [ odrl:action odrl:delete ] ;".to_owned(),
            String::new(),
            "delete",
        ),
        (
            "an enclave",
            "odrl:duty [ odrl:action <urn:x:enclave> ] ;".to_owned(),
            String::new(),
            "enclave",
        ),
        ("writing", String::new(), second("odrl:action odrl:append"), "append"),
        (
            "computing together",
            String::new(),
            second("odrl:action <urn:x:mpc>"),
            "mpc",
        ),
    ] {
        let refused = scene.offer("d", &permission, &policy).await;
        assert_eq!(refused.status, 422, "{what}: {}", refused.text());
        let faults = refused.json()["faults"].to_string();
        assert!(faults.contains(named), "{what}: {faults}");
    }
    assert_eq!(
        scene.owner.client().get("/gent/.dataspace/datasets/d").await.status,
        404
    );
    // A token of an agreement opens queries and nothing else.
    let (_, client) = scene
        .agree(
            "w",
            "",
            "odrl:prohibition [ odrl:target <> ; odrl:action odrl:modify ] ;",
        )
        .await;
    assert_eq!(speeds(&client).await.unwrap().len(), 2);
    assert_eq!(
        client
            .put("/gent/fietsen/c", TURTLE, "<#it> <urn:speed> 1 .")
            .await
            .status,
        403
    );
    assert_eq!(client.delete("/gent/fietsen/a").await.status, 403);
    scene.server.stop().await;
}

/// Requirements ENF-20: over TLS the same clause can be honoured, and is shown.
#[tokio::test(flavor = "multi_thread")]
async fn encrypted_transport_is_honoured_where_there_is_any() {
    let (server, _) = PodServer::start_with_tls().await;
    let origins = server.app.origins.clone();
    let storage = pod_server::name::ResourceName::parse("/gent/").unwrap();
    let iri = format!("{}gent/.dataspace/datasets/d", server.base_url);
    let turtle = format!(
        "{PREFIXES}<> a dcat:Dataset ; dcterms:title \"F\"@nl ; meent:container <{}gent/fietsen/> ; odrl:hasPolicy <#offer> .
         <#offer> a odrl:Offer ; odrl:permission [ odrl:target <> ; odrl:action odrl:use ; {} ] .",
        server.base_url,
        condition("odrl:deliveryChannel", "eq", "meent:EncryptedTransport").trim_end_matches(';')
    );
    let document = graph::read(turtle.as_bytes(), graph::Syntax::Turtle, &iri, 1_000).unwrap();
    let setting = dataset::Setting {
        iri: &iri,
        storage: &storage,
        owner: "https://gent.example/#us",
        origins: &origins,
        umbrella: false,
        now: 0,
    };
    let dataset = dataset::parse(&document, &setting).unwrap();
    let now = time::OffsetDateTime::now_utc();
    assert!(origins.base_url().starts_with("https://"));
    assert_eq!(offer::check_all(&dataset, true, now), Ok(()));
    assert!(offer::check_all(&dataset, false, now).is_err());
    server.stop().await;
}

/// Requirements ENF-6, ENF-16, ENF-23: conditions rest on what the owner states; a change counts at the next query; no header
/// of a request states anything; nobody else reads or writes the statements.
#[tokio::test(flavor = "multi_thread")]
async fn conditions_rest_on_what_the_owner_states() {
    let scene = Scene::set().await;
    let place = condition("odrl:spatial", "isPartOf", "<urn:x:belgium>");
    let event = condition("odrl:event", "isNoneOf", "<urn:x:retired>");
    let paid = "odrl:constraint [ odrl:leftOperand odrl:payAmount ; odrl:operator odrl:gteq ; odrl:rightOperand 250 ; odrl:unit <urn:x:EUR> ] ;";
    let (agreement, _) = scene.agree("d", &format!("{place} {event} {paid}"), "").await;
    let token = async || scene.token(&agreement).await;
    assert!(token().await.is_none(), "nothing is stated, so nothing is permitted");
    let web_id = &scene.company.web_id;
    let here = format!("<{web_id}> odrl:spatial <urn:x:gent> . <urn:x:gent> odrl:partOf <urn:x:belgium> .");
    let paid = |amount: u32| format!("<{agreement}> odrl:payAmount [ rdf:value {amount} ; odrl:unit <urn:x:EUR> ] .");
    scene.state(&here).await;
    assert!(token().await.is_none(), "not paid");
    scene.state(&format!("{here} {}", paid(249))).await;
    assert!(token().await.is_none(), "not enough");
    scene.state(&format!("{here} {}", paid(250))).await;
    let client = token().await.expect("all conditions are met");
    assert_eq!(speeds(&client).await.unwrap(), ["10", "20"]);
    // About the storage as a whole, and about the dataset.
    for about in [format!("{}gent/", scene.server.base_url), scene.dataset("d")] {
        scene
            .state(&format!("{here} {} <{about}> odrl:event <urn:x:retired> .", paid(250)))
            .await;
        assert_eq!(speeds(&client).await, None, "retired: {about}");
    }
    let elsewhere = here.replace("gent>", "paris>").replace("belgium", "france");
    scene.state(&format!("{elsewhere} {}", paid(300))).await;
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    form.append_pair("query", ALL).append_pair("purpose", RESEARCH);
    let claimed = client
        .request("POST", "/gent/sparql")
        .header("x-forwarded-for", "193.190.1.1")
        .header("cf-ipcountry", "BE")
        .content("application/x-www-form-urlencoded", form.finish())
        .send()
        .await;
    assert_eq!(claimed.status, 403, "no address makes a place: {}", claimed.text());
    assert_eq!(kind(&claimed), "not-agreed");
    scene.state(&format!("{here} {}", paid(300))).await;
    assert_eq!(speeds(&client).await.unwrap().len(), 2);

    let company = scene.company.client();
    for refused in [
        company.get("/gent/.dataspace/facts").await,
        company.put("/gent/.dataspace/facts", TURTLE, "").await,
        company.delete("/gent/.dataspace/facts").await,
    ] {
        assert_eq!(refused.status, 403);
    }
    let owner = scene.owner.client();
    let broken = owner
        .put(
            "/gent/.dataspace/facts",
            TURTLE,
            format!("{PREFIXES}<urn:x:d> odrl:purpose <urn:x:p> ."),
        )
        .await;
    assert_eq!(broken.status, 422, "{}", broken.text());
    let read = owner.get("/gent/.dataspace/facts").await;
    assert!(
        read.status == 200 && read.text().contains("urn:x:belgium"),
        "what stood there stays: {}",
        read.text()
    );
    assert_eq!(owner.delete("/gent/.dataspace/facts").await.status, 204);
    assert_eq!(speeds(&client).await, None);
    assert_eq!(owner.get("/gent/.dataspace/facts").await.status, 404);
    scene.server.stop().await;
}

/// Requirements ENF-16, ENF-39: a statement that changes while an answer is being sent breaks it off.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_what_is_stated_cuts_running_answers() {
    let settings = json!({ "query": { "rows_max": 100_000_000, "scanned_max": 1_000_000_000_000_u64, "copies_max": 1_000_000_000_000_u64 } });
    let scene = Scene::set_with(settings).await;
    let many: String = (0..1_500).map(|n| format!("<urn:x:s{n}> <urn:speed> {n} . ")).collect();
    assert!(
        scene
            .owner
            .client()
            .put("/gent/fietsen/many", TURTLE, many)
            .await
            .status
            .is_success()
    );
    let (agreement, _) = scene
        .agree("d", &condition("odrl:event", "eq", "<urn:x:emergency>"), "")
        .await;
    let on = format!("<{}> odrl:event <urn:x:emergency> .", scene.dataset("d"));
    scene.state(&on).await;
    let client = scene.token(&agreement).await.unwrap();
    super::walk_through::cut_by(&client, "/gent/sparql", "<urn:speed>", RESEARCH, async || {
        scene.state("").await;
    })
    .await;
    scene.server.stop().await;
}

/// Requirements ENF-18: source, terms, whom to name and the next policy go along with each answer.
#[tokio::test(flavor = "multi_thread")]
async fn terms_go_along_with_answers() {
    let scene = Scene::set().await;
    let duty = "odrl:duty [ odrl:action odrl:nextPolicy ; odrl:target <https://gent.example/next> ] , [ odrl:action odrl:attribute ] ;";
    let (agreement, client) = scene.agree("d", duty, "").await;
    let reply = ask(&client, "/gent/sparql", ALL, &[("purpose", RESEARCH)]).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let links: Vec<String> = reply
        .headers
        .get_all("link")
        .iter()
        .map(|value| value.to_str().unwrap().to_owned())
        .collect();
    for (target, relation) in [
        (agreement.as_str(), "http://www.w3.org/ns/odrl/2/hasPolicy"),
        (scene.dataset("d").as_str(), "http://purl.org/dc/terms/source"),
        ("https://gent.example/next", "http://www.w3.org/ns/odrl/2/nextPolicy"),
        (scene.owner.web_id.as_str(), "http://www.w3.org/ns/prov#wasAttributedTo"),
    ] {
        let expected = format!("<{target}>; rel=\"{relation}\"");
        assert!(links.contains(&expected), "{expected} is not in {links:?}");
    }
    // A file outlives the header fields it came with: it says so itself.
    let table = ask_in(&client, "/gent/sparql", ALL, &[("purpose", RESEARCH)], PARQUET).await;
    let read = read_parquet(&table.body);
    let noted: Vec<String> = serde_json::from_str(read.note("terms").unwrap()).unwrap();
    assert_eq!(noted, links);
    assert_eq!(read.table, table_of_json(&reply.json()));
    // An answer by access rules has no agreement behind it.
    let own = ask(&scene.owner.client(), "/gent/sparql", ALL, &[]).await;
    assert_eq!((own.status.as_u16(), own.header("link")), (200, ""));
    scene.server.stop().await;
}

/// Requirements ENF-19: the first answer opens the duty; overdue it is shown to both and ends all answers; the recipient's word
/// closes it; the deadline also ends a decision by itself.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_received_has_to_be_deleted_in_time() {
    let scene = Scene::set().await;
    let delete = format!(
        "odrl:duty [ odrl:action odrl:delete ; {} ] ;",
        condition("odrl:elapsedTime", "lteq", "'PT2S'^^xsd:duration")
    );
    let (agreement, client) = scene.agree("d", &delete, "").await;
    let company = scene.company.client();
    let duty = async || company.get(&format!("{agreement}/deletion")).await.json();
    assert_eq!(duty().await["heldSince"], Value::Null, "nothing was received yet");
    assert_eq!(speeds(&client).await.unwrap().len(), 2);
    let open = duty().await;
    assert!(open["deadline"].as_str() > open["heldSince"].as_str(), "{open}");
    let until = tokio::time::Instant::now() + Duration::from_secs(20);
    while duty().await["overdue"] != json!(true) {
        assert!(tokio::time::Instant::now() < until, "{}", duty().await);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let refused = ask(&client, "/gent/sparql", ALL, &[("purpose", RESEARCH)]).await;
    assert_eq!(refused.status, 403, "{}", refused.text());
    assert_eq!(
        refused.json()["reasons"][0]["code"],
        "obligation-violated",
        "{}",
        refused.text()
    );
    assert!(scene.token(&agreement).await.is_none());
    let listed = scene.owner.client().get("/gent/.dataspace/agreements").await.json();
    assert_eq!(
        listed["agreements"][0]["deleteDuty"]["overdue"], true,
        "the owner sees it: {listed}"
    );

    let stranger = scene.server.agent("ander").await.client();
    let place = format!("{agreement}/deletion");
    for (who, status) in [(&stranger, 404), (&scene.owner.client(), 403)] {
        assert_eq!(post(who, &place, &json!({})).await.status, status);
    }
    assert_eq!(stranger.get(&place).await.status, 404);
    let said = post(&company, &place, &json!({ "note": "Alles gewist." })).await;
    assert_eq!(said.status, 200, "{}", said.text());
    assert_eq!(
        (&said.json()["overdue"], &said.json()["note"]),
        (&json!(false), &json!("Alles gewist."))
    );
    // Said again it changes nothing, and the next answer opens the next duty.
    assert_eq!(
        post(&company, &place, &json!({ "note": "Nog eens." })).await.json()["note"],
        "Alles gewist."
    );
    assert_eq!(speeds(&client).await.unwrap().len(), 2);
    assert!(duty().await["heldSince"].is_string());
    // It has to be confirmed after the end as well.
    assert!(
        post(&scene.owner.client(), &format!("{agreement}/terminate"), &json!({}))
            .await
            .status
            .is_success()
    );
    assert_eq!(post(&company, &place, &json!({})).await.status, 200);
    let long = post(&company, &place, &json!({ "note": "x".repeat(3_000) })).await;
    assert_eq!(long.status, 422, "{}", long.text());
    scene.server.stop().await;
}

/// Requirements ENF-5, ENF-15, ENF-21: at most so often, so long after the first use, and by one application.
#[tokio::test(flavor = "multi_thread")]
async fn intervals_and_applications() {
    let scene = Scene::set().await;
    let hour = "'PT1H'^^xsd:duration";
    let (_, often) = scene
        .agree("often", &condition("odrl:timeInterval", "eq", hour), "")
        .await;
    assert_eq!(speeds(&often).await.unwrap().len(), 2);
    let again = ask(&often, "/gent/sparql", ALL, &[("purpose", RESEARCH)]).await;
    assert_eq!(again.status, 403, "within the hour: {}", again.text());
    assert!(again.text().contains("timeInterval"), "{}", again.text());
    let (_, soon) = scene
        .agree(
            "soon",
            &condition("odrl:elapsedTime", "lteq", "'PT1S'^^xsd:duration"),
            "",
        )
        .await;
    assert_eq!(speeds(&soon).await.unwrap().len(), 2);
    let until = tokio::time::Instant::now() + Duration::from_secs(20);
    while speeds(&soon).await.is_some() {
        assert!(
            tokio::time::Instant::now() < until,
            "the time since the first use has to end"
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let (late, _) = scene
        .agree("late", &condition("odrl:delayPeriod", "eq", hour), "")
        .await;
    assert!(scene.token(&late).await.is_none(), "not yet");
    let (_, right) = scene
        .agree(
            "right",
            &condition("odrl:system", "eq", "<https://client.example/id>"),
            "",
        )
        .await;
    assert_eq!(speeds(&right).await.unwrap().len(), 2);
    let (wrong, _) = scene
        .agree(
            "wrong",
            &condition("odrl:system", "eq", "<https://other.example/id>"),
            "",
        )
        .await;
    assert!(scene.token(&wrong).await.is_none(), "another application");
    scene.server.stop().await;
}
