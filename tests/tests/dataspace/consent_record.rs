//! Complete records of consent, parts of what was asked, mandates, renewal, and what proves a decision, over real sockets.

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use meent_tests::pod::{Client, PodServer, Reply};
use pod_server::consent::{Decision, Yes, verify};
use serde_json::{Value, json};
use server_kit::audit_log::VerifierKey;

use super::{MOBILITY, post};

const COMPANY: &str = "https://mobility.example/#us";
const RESULT: &str = "http://www.w3.org/ns/sosa/hasSimpleResult";
const HEALTH: &str = "https://vocab.example/heartRate";

fn settings() -> Value {
    json!({ "dataspace": { "umbrella_storages": ["kortrijk"] } })
}

/// A request with every field that ISO/IEC TS 27560 makes mandatory.
fn complete(controller: &str) -> Value {
    json!({
        "recipients": [COMPANY],
        "purposes": [MOBILITY],
        "data": { "containers": ["telraam/"], "properties": [RESULT, HEALTH] },
        "notice": {
            "language": "nl", "text": "Mogen wij uw tellingen gebruiken?",
            "translations": { "fr": "Pouvons-nous utiliser vos comptages ?" },
        },
        "process": {
            "profile": "eu-gdpr",
            "titles": { "nl": "Fietstellingen" },
            "controller": {
                "id": controller, "name": "Stad Kortrijk", "contact": "privacy@kortrijk.example",
                "address": "Grote Markt 54, 8500 Kortrijk",
            },
            "items": [
                { "what": "telraam/", "required": true, "labels": { "nl": "uw tellingen", "fr": "vos comptages" } },
                { "what": RESULT, "required": true },
                { "what": HEALTH, "special": true, "labels": { "nl": "uw hartslag" } },
            ],
            "personal_data": ["https://w3id.org/dpv/pd#Location"],
            "storage": { "locations": ["https://w3id.org/dpv/loc#BE"], "days": 90, "deleted_within_days": 30 },
            "third_countries": ["https://w3id.org/dpv/loc#GB"],
            "jurisdiction": "https://w3id.org/dpv/loc#BE",
            "legal_basis": "https://w3id.org/dpv/legal/eu/gdpr#A6-1-a",
            "rights": ["https://w3id.org/dpv/legal/eu/gdpr#A7-3"],
            "consequences": { "nl": "Er verandert niets voor u." },
            "collective_approval": "https://ethics.example/2026/7",
        },
    })
}

async fn asked(asker: &Client, storage: &str, terms: &Value) -> String {
    let reply = post(asker, &format!("/{storage}/.consent/"), terms).await;
    assert_eq!(reply.status, 201, "{}", reply.text());
    format!("/{storage}/.consent/{}", reply.json()["id"].as_str().unwrap())
}

fn refusal(reply: &Reply, status: u16, kind: &str) -> Value {
    let problem = reply.json();
    assert_eq!(reply.status, status, "{}", reply.text());
    assert!(problem["type"].as_str().unwrap().ends_with(kind), "{}", reply.text());
    problem
}

/// Requirements dataspace CON-2, CON-4: a request is stored whole or refused with the place of each fault; it is read as Turtle
/// and JSON-LD that conform.
#[tokio::test(flavor = "multi_thread")]
async fn requests_are_complete_or_refused_with_every_fault() {
    let server = PodServer::start_with(settings()).await;
    let kortrijk = server.agent("kortrijk").await;
    let jan = server.agent("jan").await.client();
    let whole = complete(&kortrijk.web_id);
    for (place, fault) in [
        ("/process/titles", "process.titles"),
        ("/process/controller/name", "process.controller.name"),
        ("/process/controller/contact", "process.controller.contact"),
        ("/process/controller/address", "process.controller.address"),
        ("/process/controller", "process.controller"),
        ("/process/personal_data", "process.personal_data"),
        ("/process/storage", "process.storage"),
        ("/process/jurisdiction", "process.jurisdiction"),
        ("/process/rights", "process.rights"),
        ("/process/legal_basis", "process.legal_basis"),
    ] {
        let mut broken = whole.clone();
        let (parent, name) = place.rsplit_once('/').unwrap();
        broken
            .pointer_mut(parent)
            .unwrap()
            .as_object_mut()
            .unwrap()
            .remove(name);
        let reply = post(&kortrijk.client(), "/jan/.consent/", &broken).await;
        let problem = refusal(&reply, 422, "incomplete-consent");
        let faults = problem["faults"].as_array().unwrap();
        assert!(faults.iter().any(|found| found["path"] == fault), "{place}: {problem}");
    }
    for (place, value) in [
        ("/process/items/0/what", json!("dagboek/")),
        ("/process/jurisdiction", json!("Belgium")),
        ("/process/titles/nl", json!(" ")),
        ("/notice/translations/fr", json!("")),
    ] {
        let mut broken = whole.clone();
        *broken.pointer_mut(place).unwrap() = value;
        let reply = post(&kortrijk.client(), "/jan/.consent/", &broken).await;
        refusal(&reply, 422, "invalid-consent");
    }
    assert_eq!(jan.get("/jan/.consent/").await.json()["consents"], json!([]));
    let one = asked(&kortrijk.client(), "jan", &whole).await;
    for (accept, parts) in [
        (
            "text/turtle",
            [
                "dcterms:conformsTo <https://w3id.org/dpv/schema/dpv-27560#record-eu-gdpr>",
                "dpv:ExpressedConsent",
            ],
        ),
        (
            "application/ld+json",
            ["https://w3id.org/dpv/schema/dpv-27560#record-eu-gdpr", "Grote Markt 54"],
        ),
    ] {
        let reply = jan.request("GET", &one).header("accept", accept).send().await;
        for part in parts {
            assert!(reply.text().contains(part), "{part}: {}", reply.text());
        }
    }
    // A server can ask for complete records always.
    let strict = PodServer::start_with(json!({ "dataspace": { "consent_profile_required": true } })).await;
    let an = strict.agent("an").await.client();
    let mut loose = whole.clone();
    loose.as_object_mut().unwrap().remove("process");
    refusal(&post(&an, "/an/.consent/", &loose).await, 422, "incomplete-consent");
    strict.stop().await;
    server.stop().await;
}

/// Requirements dataspace CON-5: nothing is taken for granted, less is a choice, later is an answer, and special categories take
/// a statement of their own.
#[tokio::test(flavor = "multi_thread")]
async fn a_person_gives_parts_and_decides_later() {
    let server = PodServer::start_with(settings()).await;
    let kortrijk = server.agent("kortrijk").await;
    let jan = server.agent("jan").await.client();
    let one = asked(&kortrijk.client(), "jan", &complete(&kortrijk.web_id)).await;
    let answer = async |verb: &str, body: Value| post(&jan, &format!("{one}/{verb}"), &body).await;
    let deferred = answer("defer", json!({})).await;
    assert_eq!(
        deferred.json()["status"],
        "ConsentRequestDeferred",
        "{}",
        deferred.text()
    );
    refusal(
        &answer("give", json!({ "items": ["urn:x:other"] })).await,
        422,
        "invalid-consent",
    );
    refusal(&answer("give", json!({ "notice": "ab" })).await, 409, "notice-changed");
    let special = answer("give", json!({ "items": [HEALTH] })).await;
    let problem = refusal(&special, 409, "explicit-step-needed");
    assert!(problem["detail"].as_str().unwrap().contains(HEALTH));
    let given = answer("give", json!({})).await;
    assert_eq!(given.status, 200, "{}", given.text());
    let record = &given.json()["record"];
    assert_eq!(
        record["data"]["properties"],
        json!([RESULT]),
        "what was not chosen is not given"
    );
    assert_eq!(record["act"]["explicit"], false);
    let states: Vec<String> = given.json()["versions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|version| version["status"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(states, ["ConsentRequested", "ConsentRequestDeferred", "ConsentGiven"]);
    // All of it, in French, and said twice.
    let an = server.agent("an").await.client();
    let other = asked(&kortrijk.client(), "an", &complete(&kortrijk.web_id)).await;
    let french = hex::encode(<sha2::Sha256 as sha2::Digest>::digest(
        "Pouvons-nous utiliser vos comptages ?",
    ));
    let yes = json!({ "items": [HEALTH], "special": true, "notice": french });
    let given = post(&an, &format!("{other}/give"), &yes).await;
    let record = &given.json()["record"];
    let properties: BTreeSet<&str> = record["data"]["properties"]
        .as_array()
        .unwrap()
        .iter()
        .map(|property| property.as_str().unwrap())
        .collect();
    assert_eq!(properties, BTreeSet::from([RESULT, HEALTH]));
    assert_eq!(record["notice"], json!({ "language": "fr", "hash": french }));
    assert_eq!(record["act"]["explicit"], true);
    server.stop().await;
}

/// Requirements dataspace CON-8: a consent that ends soon says so and is renewed in one step, for no longer than it was asked;
/// one that was withdrawn is not.
#[tokio::test(flavor = "multi_thread")]
async fn a_consent_is_renewed_in_one_step() {
    let server = PodServer::start_with(json!({ "dataspace": { "consent_days_default": 20 } })).await;
    let jan = server.agent("jan").await.client();
    let mut terms = complete("https://kortrijk.example/#us");
    terms["process"]["items"].as_array_mut().unwrap().pop();
    let one = asked(&jan, "jan", &terms).await;
    let now = jan.get(&one).await.json();
    assert_eq!(
        now["ends_soon"], true,
        "twenty days are fewer than the thirty of the reminder"
    );
    let renewed = post(&jan, &format!("{one}/renew"), &json!({})).await;
    assert_eq!(renewed.json()["status"], "RenewedConsentGiven", "{}", renewed.text());
    let end = |reply: &Value| reply["record"]["expires_at"].as_str().unwrap().to_owned();
    assert!(end(&renewed.json()) > end(&now));
    let turtle = jan.request("GET", &one).header("accept", "text/turtle").send().await;
    assert!(turtle.text().contains("dpv:RenewedConsentGiven"), "{}", turtle.text());
    assert_eq!(post(&jan, &format!("{one}/withdraw"), &json!({})).await.status, 200);
    refusal(
        &post(&jan, &format!("{one}/renew"), &json!({})).await,
        409,
        "step-not-allowed",
    );
    server.stop().await;
}

/// Requirements dataspace CON-15: somebody with a mandate decides in the person's place, the record says who and on what ground,
/// and without a mandate that counts there is nothing.
#[tokio::test(flavor = "multi_thread")]
async fn somebody_with_a_mandate_decides() {
    let server = PodServer::start_with(settings()).await;
    let kortrijk = server.agent("kortrijk").await;
    let (jan, an) = (server.agent("jan").await, server.agent("an").await);
    let piet = server.agent("piet").await.client();
    let one = asked(&kortrijk.client(), "jan", &complete(&kortrijk.web_id)).await;
    let give = format!("{one}/give");
    let until = |days| {
        let end = server.app.clock.now() + time::Duration::days(days);
        end.format(&time::format_description::well_known::Rfc3339).unwrap()
    };
    let terms = |holder: &str, days| json!({ "holder": holder, "kind": "carer", "basis": "Gesprek van 3 mei", "until": until(days) });
    assert_eq!(post(&an.client(), &give, &json!({})).await.status, 404);
    for (bad, kind) in [
        (terms(&jan.web_id, 5), "invalid-mandate"),
        (terms(&an.web_id, 4_000), "invalid-mandate"),
        (terms(&an.web_id, -1), "invalid-mandate"),
        (
            json!({ "holder": an.web_id, "kind": "friend", "basis": "x", "until": until(5) }),
            "invalid-json",
        ),
    ] {
        refusal(&post(&jan.client(), "/jan/.consent/mandates/", &bad).await, 422, kind);
    }
    // Nobody gives themselves a mandate.
    assert_eq!(
        post(&an.client(), "/jan/.consent/mandates/", &terms(&an.web_id, 5))
            .await
            .status,
        404
    );
    let mandate = post(&jan.client(), "/jan/.consent/mandates/", &terms(&an.web_id, 5)).await;
    assert_eq!(mandate.status, 201, "{}", mandate.text());
    let place = super::path(&server, mandate.header("location"));
    assert_eq!(server.app.dataspace.consents.held_by(&an.web_id).unwrap(), ["jan"]);
    assert_eq!(
        post(&piet, &give, &json!({})).await.status,
        404,
        "a mandate is for its holder alone"
    );
    let given = post(&an.client(), &give, &json!({})).await;
    let act = &given.json()["record"]["act"];
    assert_eq!(act["by"], an.web_id.as_str(), "{}", given.text());
    assert_eq!(act["mandate"]["kind"], "carer");
    assert_eq!(given.json()["mandate_bases"], json!({ "2": "Gesprek van 3 mei" }));
    // The holder cannot pass it on, and it ends when the person says so.
    let passed = post(
        &an.client(),
        "/jan/.consent/mandates/",
        &terms("https://x.example/#me", 5),
    )
    .await;
    assert_eq!(passed.status, 404);
    assert_eq!(piet.delete(&place).await.status, 404);
    assert_eq!(jan.client().delete(&place).await.status, 204);
    assert_eq!(
        post(&an.client(), &format!("{one}/withdraw"), &json!({})).await.status,
        404
    );
    assert!(server.app.dataspace.consents.held_by(&an.web_id).unwrap().is_empty());
    assert_eq!(
        jan.client().get("/jan/.consent/mandates/").await.json()["mandates"],
        json!([])
    );
    assert_eq!(
        post(&jan.client(), &format!("{one}/withdraw"), &json!({})).await.status,
        200
    );
    server.stop().await;
}

/// What a mandate rests on tells about the person: the person, the controller and the holder read it; no recipient does, in no
/// form of the record.
///
/// Requirements dataspace CON-15, CON-20.
#[tokio::test(flavor = "multi_thread")]
async fn recipients_never_learn_what_a_mandate_rests_on() {
    let server = PodServer::start_with(settings()).await;
    let kortrijk = server.agent("kortrijk").await;
    let company = server.agent("mobiliteit").await;
    let (jan, an) = (server.agent("jan").await, server.agent("an").await);
    let mut terms = complete(&kortrijk.web_id);
    terms["recipients"] = json!([company.web_id]);
    let company = company.client();
    let one = asked(&kortrijk.client(), "jan", &terms).await;
    let secret = "na zijn beroerte van 3 mei";
    let until = server.app.clock.now() + time::Duration::days(5);
    let until = until.format(&time::format_description::well_known::Rfc3339).unwrap();
    let mandate = json!({ "holder": an.web_id, "kind": "carer", "basis": secret, "until": until });
    let made = post(&jan.client(), "/jan/.consent/mandates/", &mandate).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let given = post(&an.client(), &format!("{one}/give"), &json!({})).await;
    assert_eq!(given.status, 200, "{}", given.text());
    for knows in [jan.client(), an.client(), kortrijk.client()] {
        assert_eq!(knows.get(&one).await.json()["mandate_bases"]["2"], secret);
    }
    for place in ["", "/receipt", "/receipts/2", "/proof", "/credential"] {
        for accept in ["application/json", "text/turtle", "application/ld+json"] {
            let reply = company
                .request("GET", &format!("{one}{place}"))
                .header("accept", accept)
                .send()
                .await;
            assert_eq!(reply.status, 200, "{place}: {}", reply.text());
            let readable = reply.text().split(['.', '"']).map(decoded).collect::<String>() + reply.text().as_str();
            let names = readable.contains("mandates/") || place == "/credential";
            assert!(names, "{place} as {accept} names the mandate: {readable}");
            assert!(!readable.contains("beroerte"), "{place} as {accept}: {readable}");
        }
    }
    server.stop().await;
}

/// What base64url hides, where it is that.
fn decoded(part: &str) -> String {
    let bytes = URL_SAFE_NO_PAD.decode(part).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A mandate that ends while a decision is on its way ends that decision too; and whoever holds one has no part in what they
/// agree to: not as recipient, not as controller, not as the one who asked.
///
/// Requirement dataspace CON-15. Test T104.
#[tokio::test(flavor = "multi_thread")]
async fn mandates_cover_neither_the_past_nor_ones_own_interest() {
    let server = PodServer::start_with(json!({ "dataspace": { "umbrella_storages": ["kortrijk", "an"] } })).await;
    let kortrijk = server.agent("kortrijk").await;
    let (jan, an) = (server.agent("jan").await, server.agent("an").await);
    let until = server.app.clock.now() + time::Duration::days(5);
    let until = until.format(&time::format_description::well_known::Rfc3339).unwrap();
    let mandate = json!({ "holder": an.web_id, "kind": "guardian", "basis": "vonnis", "until": until });
    let made = post(&jan.client(), "/jan/.consent/mandates/", &mandate).await;
    assert_eq!(made.status, 201, "{}", made.text());

    let plain = |recipients: Value| {
        json!({ "recipients": recipients, "purposes": [MOBILITY], "data": { "containers": ["telraam/"] },
            "notice": { "language": "nl", "text": "Mag het?" } })
    };
    let colleague = an.web_id.replace("#me", "#colleague");
    let mut as_controller = complete(&an.web_id);
    as_controller["process"]["profile"] = Value::Null;
    let mut as_described = complete(&kortrijk.web_id);
    as_described["process"]["profile"] = Value::Null;
    as_described["process"]["recipients"] = json!([{ "id": an.web_id, "name": "An" }]);
    for (asker, terms) in [
        (&kortrijk, plain(json!([COMPANY, an.web_id]))),
        (&kortrijk, plain(json!([colleague]))),
        (&kortrijk, as_controller),
        (&kortrijk, as_described),
        (&an, plain(json!([COMPANY]))),
    ] {
        let one = asked(&asker.client(), "jan", &terms).await;
        let reply = post(&an.client(), &format!("{one}/give"), &json!({})).await;
        refusal(&reply, 403, "own-interest");
        assert_eq!(
            jan.client().get(&one).await.json()["versions"]
                .as_array()
                .unwrap()
                .len(),
            1,
            "{terms}"
        );
        assert_eq!(
            post(&an.client(), &format!("{one}/refuse"), &json!({})).await.status,
            200
        );
    }
    // Nor one of the holder's own making, and none to everybody, who is the holder too.
    let els = server.agent("els").await;
    let second = json!({ "holder": els.web_id, "kind": "parent", "basis": "geboorteakte", "until": until });
    let second = post(&jan.client(), "/jan/.consent/mandates/", &second).await;
    assert_eq!(second.status, 201, "{}", second.text());
    for own in [plain(json!("any")), plain(json!([els.web_id]))] {
        let draft = post(&els.client(), "/jan/.consent/", &own).await;
        refusal(&draft, 403, "own-interest");
    }
    let others = post(&els.client(), "/jan/.consent/", &plain(json!([COMPANY]))).await;
    assert_eq!(others.status, 201, "{}", others.text());

    let one = asked(&kortrijk.client(), "jan", &plain(json!([COMPANY]))).await;
    let id = one.rsplit('/').next().unwrap();
    let consents = &server.app.dataspace.consents;
    let storage = consents
        .node
        .storage(&*consents.node.snapshot().unwrap(), "jan")
        .unwrap();
    let holder = policies::request::WebId::parse(an.web_id.clone()).unwrap();
    let acting = consents.mandated(&storage, &holder, "api").unwrap().unwrap();
    let place = super::path(&server, made.header("location"));
    assert_eq!(jan.client().delete(&place).await.status, 204);
    for decision in [Decision::Give(Yes::default()), Decision::Refuse, Decision::Withdraw] {
        let late = consents.decide(&storage, id, decision, acting.clone()).await;
        assert_eq!(late.unwrap_err().status, 404);
    }
    assert_eq!(jan.client().get(&one).await.json()["status"], "ConsentRequested");
    server.stop().await;
}

/// Requirements dataspace CON-6, CON-7, CON-17, CON-18: each step has a receipt, the controller a proof, the recipient a credential; all
/// are checked with the public key alone, and any change is found.
#[tokio::test(flavor = "multi_thread")]
async fn decisions_prove_themselves_offline() {
    let server = PodServer::start_with(settings()).await;
    let kortrijk = server.agent("kortrijk").await;
    let company = server.agent("mobiliteit").await;
    let jan = server.agent("jan").await.client();
    let stranger = server.agent("stranger").await.client();
    let mut terms = complete(&kortrijk.web_id);
    terms["recipients"] = json!([company.web_id]);
    let one = asked(&kortrijk.client(), "jan", &terms).await;
    let key = VerifierKey::parse(&server.client().get("/log/vkey").await.text()).unwrap();
    let jwks = server.client().get("/log/jwks").await.json();
    assert_eq!(jwks["keys"][0]["kid"], key.key_id());
    assert_eq!(
        company.client().get(&one).await.status,
        404,
        "a request is not yet the recipient's business"
    );
    assert_eq!(
        jan.get(&format!("{one}/credential")).await.status,
        409,
        "nothing is granted yet"
    );
    assert_eq!(post(&jan, &format!("{one}/give"), &json!({})).await.status, 200);

    let credential = company.client().get(&format!("{one}/credential")).await;
    assert_eq!(
        credential.header("content-type"),
        "application/vc+jwt",
        "{}",
        credential.text()
    );
    let claims = verify::document(&credential.text(), &key).unwrap().document;
    let subject = &claims["vc"]["credentialSubject"];
    assert_eq!(subject["providedConsent"]["isProvidedTo"], company.web_id.as_str());
    assert_eq!(
        subject["providedConsent"]["forPersonalData"],
        json!([format!("{}jan/telraam/", server.base_url)])
    );

    assert_eq!(post(&jan, &format!("{one}/withdraw"), &json!({})).await.status, 200);
    assert_eq!(company.client().get(&format!("{one}/credential")).await.status, 409);
    for (version, status) in [(1, "ConsentRequested"), (2, "ConsentGiven"), (3, "ConsentWithdrawn")] {
        let receipt = jan.get(&format!("{one}/receipts/{version}")).await;
        assert_eq!(receipt.header("content-type"), "application/jose");
        let proved = verify::document(&receipt.text(), &key).unwrap();
        assert_eq!(proved.document["receipt"]["record"]["status"], status);
        assert_eq!(
            proved.missing,
            Vec::<&str>::new(),
            "all fields of record and receipt are there"
        );
    }
    let policy = kortrijk.client().get(&format!("{one}/policy")).await;
    assert!(
        policy.text().contains("odrl:Agreement") && !policy.text().contains("odrl:permission"),
        "it permits nothing now"
    );
    let turtle = jan
        .request("GET", &format!("{one}/receipt"))
        .header("accept", "text/turtle")
        .send()
        .await;
    assert!(turtle.text().contains("dpv:ConsentReceipt"), "{}", turtle.text());
    assert_eq!(jan.get(&format!("{one}/receipts/4")).await.status, 404);

    let bundle = kortrijk.client().get(&format!("{one}/proof")).await;
    assert_eq!(bundle.status, 200, "{}", bundle.text());
    assert!(verify::document(&bundle.text(), &key).unwrap().logged);
    let whole = bundle.json();
    for (place, value) in [
        ("/log/entries/0/purpose", json!("https://w3id.org/dpv#Marketing")),
        ("/log/entries/0/record/time", json!("2020-01-01T00:00:00Z")),
        ("/log/entries/0/record/targets/2", json!("urn:sha-256:00")),
        ("/log/entries/0/salt", json!("00".repeat(32))),
        ("/receipt", json!(jan.get(&format!("{one}/receipts/2")).await.text())),
    ] {
        let mut changed = whole.clone();
        match changed.pointer_mut(place) {
            Some(found) => *found = value,
            None => continue,
        }
        assert!(verify::document(&changed.to_string(), &key).is_err(), "{place}");
    }
    for path in ["receipt", "proof", "credential", "policy", "receipts/1"] {
        assert_eq!(stranger.get(&format!("{one}/{path}")).await.status, 404, "{path}");
    }
    server.stop().await;
}
