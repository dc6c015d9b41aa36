//! Queries under agreements over real sockets: consent, properties, purposes, group sizes, changed values, counted uses.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use http_body_util::BodyExt;
use meent_tests::pod::sparql::{ask, kind, values};
use meent_tests::pod::{Agent, Client, PodServer};
use pod_server::log::own::LogExport;
use pod_server::log::verify;
use policies::audit::AuditAction;
use serde_json::{Value, json};

const TURTLE: &str = "text/turtle";
const RESEARCH: &str = "https://w3id.org/dpv#ResearchAndDevelopment";
const MARKETING: &str = "https://w3id.org/dpv#Marketing";
const ALL: &str = "SELECT * { ?s <urn:speed> ?v } ORDER BY ?v";
const SUM: &str = "SELECT (SUM(?v) AS ?sum) (COUNT(?v) AS ?n) { ?s <urn:speed> ?v }";

async fn speed(client: &Client, path: &str, value: u32) {
    let body = format!("<#it> <urn:speed> {value} ; <urn:secret> {value} .");
    let reply = client.put(path, TURTLE, body).await;
    assert!(reply.status.is_success(), "{}", reply.text());
}

struct Scene {
    server: PodServer,
    owner: Agent,
    company: Agent,
    citizens: Vec<Agent>,
}

/// A city whose dataset reaches into six citizens' storages; five of them consent.
async fn scene() -> Scene {
    let server = PodServer::start_with(json!({ "dataspace": { "umbrella_storages": ["stad"] } })).await;
    let owner = server.agent("stad").await;
    let company = server.agent("bedrijf").await;
    let mut citizens = Vec::new();
    for number in 1..=6_u32 {
        let citizen = server.agent(&format!("burger{number}")).await;
        speed(&citizen.client(), &format!("/burger{number}/telraam/d"), number * 10).await;
        speed(&citizen.client(), &format!("/burger{number}/diary/d"), 1_000).await;
        if number <= 5 {
            give(&citizen, number, &company).await;
        }
        citizens.push(citizen);
    }
    Scene {
        server,
        owner,
        company,
        citizens,
    }
}

async fn give(citizen: &Agent, number: u32, recipient: &Agent) {
    let consent = json!({
        "recipients": [recipient.web_id],
        "purposes": [RESEARCH],
        "data": { "containers": ["telraam/"] },
        "notice": { "language": "nl", "text": "Mag dit?" },
    });
    let reply = citizen
        .client()
        .request("POST", &format!("/burger{number}/.consent/"))
        .content("application/json", consent.to_string())
        .send()
        .await;
    assert_eq!(reply.status, 201, "{}", reply.text());
}

async fn describe(scene: &Scene, name: &str, extra: &str) {
    let turtle = format!(
        "@prefix dcat: <http://www.w3.org/ns/dcat#> . @prefix dcterms: <http://purl.org/dc/terms/> .
         @prefix odrl: <http://www.w3.org/ns/odrl/2/> . @prefix dpv: <https://w3id.org/dpv#> .
         @prefix meent: <https://w3id.org/meent/ns#> .
         <> a dcat:Dataset ; dcterms:title \"Telraam\"@nl ; meent:memberContainer \"telraam/\" ; meent:automaticAgreement true ;
         odrl:hasPolicy [ a odrl:Offer ; odrl:profile <https://w3id.org/meent/odrl> ; odrl:assigner <{}> ;
           odrl:permission [ odrl:action odrl:use ;
             odrl:target [ a odrl:AssetCollection ; odrl:source <> ; odrl:refinement [ odrl:leftOperand meent:property ;
               odrl:operator odrl:isAnyOf ; odrl:rightOperand <urn:speed> , <urn:other> ] ] ;
             odrl:constraint [ odrl:leftOperand odrl:purpose ; odrl:operator odrl:isA ; odrl:rightOperand <{RESEARCH}> ] ;
             odrl:constraint [ odrl:leftOperand meent:dataSubjectConsent ; odrl:operator odrl:eq ; odrl:rightOperand dpv:ConsentGiven ] ;
             {extra} odrl:duty [ odrl:action meent:log ] ] ] .",
        scene.owner.web_id
    );
    let path = format!("/stad/.dataspace/datasets/{name}");
    let reply = scene.owner.client().put(&path, TURTLE, turtle).await;
    assert!(reply.status.is_success(), "{}", reply.text());
}

/// Concludes an agreement and returns its IRI and a client with its token.
async fn conclude(scene: &Scene, name: &str) -> (String, Client) {
    let dataset = format!("{}stad/.dataspace/datasets/{name}", scene.server.base_url);
    let body = json!({ "dataset": dataset, "purpose": RESEARCH, "message": "onderzoek" });
    let reply = scene
        .company
        .client()
        .request("POST", "/stad/.dataspace/negotiations")
        .content("application/json", body.to_string())
        .send()
        .await;
    assert!(reply.status.is_success(), "{}", reply.text());
    let agreement = reply.json()["agreement"].as_str().expect("an agreement").to_owned();
    let reply = scene
        .company
        .client()
        .request("POST", &format!("{agreement}/token"))
        .send()
        .await;
    assert!(reply.status.is_success(), "{}", reply.text());
    let token = reply.json()["access_token"].as_str().expect("a token").to_owned();
    (agreement, scene.company.with_token(&token).client())
}

fn query_records(export: &LogExport) -> Vec<Value> {
    let records = export.entries.iter().map(|entry| &entry.sealed.record);
    let queries = records.filter(|record| record.action == AuditAction::Query);
    queries
        .map(|record| serde_json::to_value(record).expect("a record"))
        .collect()
}

/// Requirements ENF-4, ENF-8, ENF-9, ENF-17, ENF-22, ENF-38, CON-12: consent, properties and purpose bite; each use and each refusal is in both logs.
#[tokio::test(flavor = "multi_thread")]
async fn an_agreement_shows_what_it_covers_and_the_logs_tell() {
    let scene = scene().await;
    describe(&scene, "telraam", "").await;
    let (agreement, company) = conclude(&scene, "telraam").await;
    let purpose = [("purpose", RESEARCH)];
    for path in ["/sparql", "/stad/sparql"] {
        assert_eq!(
            values(&ask(&company, path, ALL, &purpose).await, "v"),
            ["10", "20", "30", "40", "50"],
            "{path}"
        );
    }
    // Hidden predicates are invisible to variables and refused by name.
    let any = "SELECT DISTINCT ?p { ?s ?p ?o }";
    assert_eq!(
        values(&ask(&company, "/sparql", any, &purpose).await, "p"),
        ["urn:speed"]
    );
    let refused = ask(&company, "/sparql", "SELECT * { ?s <urn:secret> ?v }", &purpose).await;
    assert_eq!(
        (refused.status.as_u16(), kind(&refused).as_str()),
        (403, "property-not-agreed")
    );
    for (parameters, status, expected) in [
        (vec![], 400, "purpose-missing"),
        (vec![("purpose", MARKETING)], 403, "purpose-not-agreed"),
        (
            vec![("purpose", RESEARCH), ("agreement", "https://elsewhere.example/a")],
            400,
            "agreement-mismatch",
        ),
    ] {
        let reply = ask(&company, "/sparql", ALL, &parameters).await;
        assert_eq!(
            (reply.status.as_u16(), kind(&reply).as_str()),
            (status, expected),
            "{}",
            reply.text()
        );
        if expected.starts_with("purpose") {
            assert_eq!(reply.json()["purposes"], json!([RESEARCH]));
        }
    }
    let other = ask(&company, "/burger1/sparql", ALL, &purpose).await;
    assert_eq!(kind(&other), "other-endpoint");
    // Someone without an agreement.
    let stranger = scene.server.agent("ander").await.client();
    let named = [("purpose", RESEARCH), ("agreement", agreement.as_str())];
    let reply = ask(&stranger, "/stad/sparql", ALL, &named).await;
    assert_eq!(
        (reply.status.as_u16(), kind(&reply).as_str()),
        (403, "agreement-required")
    );
    // Withdrawal counts at the next query, a new consent as well (invariant 8).
    let citizen = scene.citizens[2].client();
    let list = citizen.get("/burger3/.consent/").await.json();
    let id = list
        .pointer("/consents/0/id")
        .and_then(Value::as_str)
        .expect("a consent")
        .to_owned();
    let withdrawn = citizen
        .request("POST", &format!("/burger3/.consent/{id}/withdraw"))
        .send()
        .await;
    assert!(withdrawn.status.is_success(), "{}", withdrawn.text());
    assert_eq!(
        values(&ask(&company, "/sparql", ALL, &purpose).await, "v"),
        ["10", "20", "40", "50"]
    );
    give(&scene.citizens[5], 6, &scene.company).await;
    assert_eq!(
        values(&ask(&company, "/sparql", ALL, &purpose).await, "v"),
        ["10", "20", "40", "50", "60"]
    );
    // Both logs: uses and refusals, with outcome and reason.
    for (client, path) in [
        (scene.owner.client(), "/stad/.log"),
        (scene.citizens[0].client(), "/burger1/.log"),
    ] {
        let log = client.get(path).await;
        assert_eq!(log.status, 200, "{}", log.text());
        let export: LogExport = serde_json::from_str(&log.text()).expect("an export");
        verify::export(&export, None, None).expect("every entry is proven");
        let records = query_records(&export);
        let permits = records.iter().filter(|record| record["outcome"] == "permit").count();
        assert_eq!(permits, 5, "{path}: {records:?}");
        for reason in [
            "purpose-missing",
            "purpose-not-permitted",
            "nothing-visible",
            "agreement-not-named",
        ] {
            let told = records.iter().any(|record| {
                record["outcome"] == "deny"
                    && record["reasons"]
                        .as_array()
                        .is_some_and(|all| all.contains(&json!(reason)))
            });
            assert!(told, "{path} lacks {reason}: {records:?}");
        }
        assert!(records.iter().all(|record| record["query_hash"].is_string()));
    }
    // The end of the agreement is the end of the answers.
    let ended = scene
        .owner
        .client()
        .request("POST", &format!("{agreement}/terminate"))
        .send()
        .await;
    assert!(ended.status.is_success(), "{}", ended.text());
    let reply = ask(&company, "/sparql", ALL, &purpose).await;
    assert_eq!(
        (reply.status.as_u16(), kind(&reply).as_str()),
        (403, "agreement-not-active"),
        "{}",
        reply.text()
    );
    scene.server.stop().await;
}

/// ENF-10, ENF-11: aggregates over at least five consenting persons, over real sockets.
#[tokio::test(flavor = "multi_thread")]
async fn aggregates_only_over_enough_persons() {
    let scene = scene().await;
    let duty =
        "odrl:duty [ odrl:action meent:aggregateOnly ; odrl:constraint [ odrl:leftOperand meent:distinctDataSubjects ;
        odrl:operator odrl:gteq ; odrl:rightOperand 5 ] ] ;";
    describe(&scene, "telraam", duty).await;
    let (_, company) = conclude(&scene, "telraam").await;
    let purpose = [("purpose", RESEARCH)];
    assert_eq!(values(&ask(&company, "/sparql", SUM, &purpose).await, "sum"), ["150"]);
    let refused = ask(&company, "/sparql", ALL, &purpose).await;
    assert_eq!(
        (refused.status.as_u16(), kind(&refused).as_str()),
        (403, "aggregates-only")
    );
    assert_eq!(refused.json()["clause"], "SELECT without aggregates");
    let narrow = "SELECT (SUM(?v) AS ?sum) { ?s <urn:speed> ?v FILTER(?v > 10) }";
    assert_eq!(
        values(&ask(&company, "/sparql", narrow, &purpose).await, "sum"),
        Vec::<String>::new()
    );
    let citizen = scene.citizens[2].client();
    let list = citizen.get("/burger3/.consent/").await.json();
    let id = list
        .pointer("/consents/0/id")
        .and_then(Value::as_str)
        .expect("a consent")
        .to_owned();
    let withdrawn = citizen
        .request("POST", &format!("/burger3/.consent/{id}/withdraw"))
        .send()
        .await;
    assert!(withdrawn.status.is_success(), "{}", withdrawn.text());
    assert_eq!(
        values(&ask(&company, "/sparql", SUM, &purpose).await, "sum"),
        Vec::<String>::new(),
        "four are too few"
    );
    scene.server.stop().await;
}

/// Values and names are changed before anything looks at them: projection, filters, order, aggregates, constants and graph
/// names all see the codes and the coarse values only, and another agreement has other codes.
///
/// Requirements ENF-13, ENF-14, ENF-31.
#[tokio::test(flavor = "multi_thread")]
async fn values_and_names_are_changed_before_anything_looks() {
    let scene = scene().await;
    let refined = |left: &str, right: &str| {
        format!("odrl:refinement [ odrl:leftOperand meent:{left} ; odrl:operator odrl:eq ; odrl:rightOperand {right} ]")
    };
    let coarse = format!(
        "odrl:duty [ odrl:action [ <http://www.w3.org/1999/02/22-rdf-syntax-ns#value> meent:generalise ; {} ; {} ] ] ,
           [ odrl:action meent:pseudonymise ] ;",
        refined("property", "<urn:speed>"),
        refined("precision", "20")
    );
    let mut codes = Vec::new();
    for name in ["grof", "grover"] {
        describe(&scene, name, &coarse).await;
        let (_, company) = conclude(&scene, name).await;
        let purpose = [("purpose", RESEARCH)];
        let query =
            async |text: &str, variable: &str| values(&ask(&company, "/sparql", text, &purpose).await, variable);
        assert_eq!(query(ALL, "v").await, ["0", "20", "20", "40", "40"]);
        for (value, count) in [(30, "0"), (20, "2"), (10, "0")] {
            let counted = format!("SELECT (COUNT(*) AS ?n) {{ ?s <urn:speed> ?v FILTER(?v = {value}) }}");
            assert_eq!(query(&counted, "n").await, [count]);
            let bound = format!("SELECT (COUNT(*) AS ?n) {{ ?s <urn:speed> {value} }}");
            assert_eq!(query(&bound, "n").await, [count]);
        }
        assert_eq!(
            query("SELECT (SUM(?v) AS ?t) { ?s <urn:speed> ?v }", "t").await,
            ["120"]
        );
        let subjects = query(ALL, "s").await;
        let graphs = query("SELECT ?g { GRAPH ?g { ?s <urn:speed> ?v } }", "g").await;
        for code in subjects.iter().chain(&graphs) {
            assert!(code.starts_with("urn:meent:pseudonym:"), "{code}");
        }
        let of = |subject: &str| format!("SELECT ?v {{ <{subject}> <urn:speed> ?v }}");
        assert_eq!(
            query(&of(&subjects[0]), "v").await,
            ["0"],
            "a code is a name like any other"
        );
        let own = format!("{}burger1/telraam/d#it", scene.server.base_url);
        assert!(query(&of(&own), "v").await.is_empty(), "the name itself means nothing");
        assert_eq!(query(ALL, "s").await, subjects, "codes stay");
        codes.extend(subjects);
    }
    let all = codes.len();
    codes.sort();
    codes.dedup();
    assert_eq!(codes.len(), all, "no code of one agreement is one of another");
    scene.server.stop().await;
}

/// T88: under an agreement for one purpose nothing is shown for another, nor for any other spelling of the agreed one; the
/// token and the words of a query say the same or the query is refused.
#[tokio::test(flavor = "multi_thread")]
async fn another_spelling_of_a_purpose_is_another_purpose() {
    let scene = scene().await;
    describe(&scene, "telraam", "").await;
    let (agreement, company) = conclude(&scene, "telraam").await;
    let owner = [("purpose", RESEARCH)];
    assert_eq!(values(&ask(&company, "/sparql", ALL, &owner).await, "v").len(), 5);
    for purpose in [
        MARKETING,
        "https://w3id.org/dpv#Purpose",
        "https://w3id.org/dpv#",
        "https://w3id.org/dpv#researchanddevelopment",
        "https://w3id.org/dpv#RESEARCHANDDEVELOPMENT",
        "HTTPS://W3ID.ORG/dpv#ResearchAndDevelopment",
        "https://W3id.org/dpv#ResearchAndDevelopment",
        "http://w3id.org/dpv#ResearchAndDevelopment",
        "https://w3id.org:443/dpv#ResearchAndDevelopment",
        "https://w3id.org/dpv/#ResearchAndDevelopment",
        "https://w3id.org/dpv/../dpv#ResearchAndDevelopment",
        "https://w3id.org/dpv?x#ResearchAndDevelopment",
        "https://w3id.org/dpv#ResearchAndDevelopment/",
        "https://w3id.org/dpv#ResearchAndDevelopmen%74",
        "https://w3id.org/dpv#ResearchAndDevelopment ",
        " https://w3id.org/dpv#ResearchAndDevelopment",
        "https://w3id.org/dpv#ResearchAndDevelopment,https://w3id.org/dpv#Marketing",
        "<https://w3id.org/dpv#ResearchAndDevelopment>",
        "https://w3id.org/dpv#\u{ff32}esearchAndDevelopment",
        "https://w3id.org/dpv#ResearchAndDevelopment\u{200b}",
        "https://w3id.org/dpv#ResearchAndDevelopment\u{0}",
        "dpv:ResearchAndDevelopment",
        "ResearchAndDevelopment",
        "#ResearchAndDevelopment",
        "",
        "*",
    ] {
        for path in ["/sparql", "/stad/sparql"] {
            let stated = [("purpose", purpose), ("agreement", agreement.as_str())];
            for parameters in [&stated[..1], &stated] {
                let reply = ask(&company, path, ALL, parameters).await;
                assert!(
                    [400, 403].contains(&reply.status.as_u16()),
                    "{purpose:?}: {} {}",
                    reply.status,
                    reply.text()
                );
                assert!(!reply.text().contains("urn:speed\""), "{purpose:?}: {}", reply.text());
            }
            let both = [("purpose", RESEARCH), ("purpose", purpose)];
            let reply = ask(&company, path, ALL, &both).await;
            assert!(
                [400, 403].contains(&reply.status.as_u16()),
                "twice, {purpose:?}: {}",
                reply.text()
            );
        }
    }
    // What was refused is in the records with the purpose as it was stated.
    let log = scene.owner.client().get("/stad/.log?limit=400").await;
    assert!(
        log.text().contains("HTTPS://W3ID.ORG/dpv#ResearchAndDevelopment"),
        "{}",
        log.text()
    );
    scene.server.stop().await;
}

/// So many uses and no more, also for many queries at once and after a restart. A query that is refused counts for
/// nothing, and everybody is told.
///
/// Requirements ENF-15.
#[tokio::test(flavor = "multi_thread")]
async fn uses_are_counted_before_anything_leaves() {
    let scene = scene().await;
    let few = "odrl:constraint [ odrl:leftOperand odrl:count ; odrl:operator odrl:lteq ; odrl:rightOperand 6 ] ;";
    describe(&scene, "zeldzaam", few).await;
    let (_, company) = conclude(&scene, "zeldzaam").await;
    let purpose = [("purpose", RESEARCH)];
    assert_eq!(values(&ask(&company, "/sparql", ALL, &purpose).await, "v").len(), 5);
    // What does not permit does not count.
    for _ in 0..3 {
        let refused = ask(&company, "/sparql", ALL, &[("purpose", MARKETING)]).await;
        assert_eq!(refused.status, 403);
    }
    let at_once = (0..12).map(|_| ask(&company, "/sparql", ALL, &purpose));
    let replies = futures_util::future::join_all(at_once).await;
    let answered = replies.iter().filter(|reply| reply.status == 200).count();
    assert_eq!(answered, 5, "six in all");
    for reply in replies.iter().filter(|reply| reply.status != 200) {
        assert_eq!((reply.status.as_u16(), kind(reply).as_str()), (403, "uses-exhausted"));
    }
    // The answers and the refusals stand in the log, the count with them.
    let log = scene.owner.client().get("/stad/.log").await;
    let export: LogExport = serde_json::from_str(&log.text()).expect("an export");
    verify::export(&export, None, None).expect("every entry is proven");
    let records = query_records(&export);
    let permits = records.iter().filter(|record| record["outcome"] == "permit").count();
    assert_eq!((permits, records.len()), (6, 16));
    let other = "odrl:constraint [ odrl:leftOperand odrl:count ; odrl:operator odrl:lt ; odrl:rightOperand 2 ] ;";
    describe(&scene, "eenmalig", other).await;
    let (_, company) = conclude(&scene, "eenmalig").await;
    assert_eq!(ask(&company, "/sparql", ALL, &purpose).await.status, 200);
    let server = scene.server.restart().await;
    assert_eq!(kind(&ask(&company, "/sparql", ALL, &purpose).await), "uses-exhausted");
    server.stop().await;
}

/// Requirements dataspace CON-9, CON-22: an answer on its way is cut off when a consent under it is withdrawn, and the next one is
/// made without it.
#[tokio::test(flavor = "multi_thread")]
async fn a_withdrawal_cuts_an_answer_on_its_way() {
    const CROSS: &str = "SELECT * { ?a <urn:speed> ?b . ?c <urn:speed> ?d . ?e <urn:speed> ?f . ?g <urn:speed> ?h .
        ?i <urn:speed> ?j . ?k <urn:speed> ?l . ?m <urn:speed> ?n }";
    let scene = scene().await;
    describe(&scene, "telraam", "").await;
    let (_, company) = conclude(&scene, "telraam").await;
    let form = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("query", CROSS)
        .append_pair("purpose", RESEARCH)
        .finish();
    let request = company.request("POST", "/sparql");
    let answer = request
        .content("application/x-www-form-urlencoded", form)
        .opened()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
    let mut body = answer.into_body();
    let first = body.frame().await.unwrap();
    assert!(first.is_ok(), "it has begun");
    // Nobody reads on, so most of the answer is still with the server.
    let citizen = scene.citizens[2].client();
    let list = citizen.get("/burger3/.consent/").await.json();
    let id = list
        .pointer("/consents/0/id")
        .and_then(Value::as_str)
        .expect("a consent")
        .to_owned();
    let withdraw = citizen.request("POST", &format!("/burger3/.consent/{id}/withdraw"));
    assert_eq!(withdraw.send().await.status, 200);
    let cut = async {
        loop {
            match body.frame().await {
                Some(Ok(_)) => {}
                Some(Err(_)) => return true,
                None => return false,
            }
        }
    };
    // Half a minute is the limit of any answer, so what ends it before is the withdrawal.
    let cut = tokio::time::timeout(std::time::Duration::from_secs(20), cut).await;
    assert_eq!(
        cut,
        Ok(true),
        "the answer went on although a consent under it was withdrawn"
    );
    let purpose = [("purpose", RESEARCH)];
    assert_eq!(
        values(&ask(&company, "/sparql", ALL, &purpose).await, "v"),
        ["10", "20", "40", "50"]
    );
    scene.server.stop().await;
}
