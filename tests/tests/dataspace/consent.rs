//! Consents: giving, asking, withdrawing, who sees them, and that withdrawal counts before it is acknowledged (CON-3,
//! CON-8, CON-9, CON-20, CON-22, invariant 8).

use meent_tests::pod::{Client, PodServer};
use pod_server::consent::Wanted;
use pod_server::name::ResourceName;
use pod_server::store::ReadPermit;
use serde_json::json;

use super::{BICYCLES, MOBILITY, post};

const COMPANY: &str = "https://mobility.example/#us";

fn terms(recipient: &str) -> serde_json::Value {
    json!({
        "recipients": [recipient],
        "purposes": [MOBILITY],
        "data": { "containers": ["telraam/"] },
        "notice": { "language": "nl", "text": "Mogen wij uw tellingen gebruiken?" },
    })
}

/// Whether a storage's owner consents, as a query would find it now.
fn covered(server: &PodServer, storage: &str, recipient: &str, purpose: &str, container: &str) -> bool {
    let permit = ReadPermit::without_proof("a test looks inside");
    let snapshot = server.app.store.snapshot(permit).unwrap();
    let root = ResourceName::parse(&format!("/{storage}/")).unwrap();
    let id = u32::try_from(snapshot.storage(&root).unwrap().unwrap().id.0).unwrap();
    let wanted = Wanted {
        recipient,
        purpose,
        dataset: "urn:x:dataset",
        dataset_since: 0,
        container: Some(container),
        properties: None,
    };
    server
        .app
        .dataspace
        .ledger
        .covering(&wanted, server.app.clock.now())
        .contains(id)
}

async fn only_consent(person: &Client, storage: &str) -> serde_json::Value {
    person.get(&format!("/{storage}/.consent/")).await.json()["consents"][0].clone()
}

/// Requirements dataspace CON-1, CON-8, CON-9, CON-20: a consent lies in the person's own storage, always ends, is read by nobody
/// else, and stops with one press.
#[tokio::test(flavor = "multi_thread")]
async fn a_consent_is_given_read_and_withdrawn() {
    let server = PodServer::start().await;
    let jan = server.agent("jan").await.client();
    let stranger = server.agent("stranger").await.client();
    let given = post(&jan, "/jan/.consent/", &terms(COMPANY)).await;
    assert_eq!(given.status, 201, "{}", given.text());
    let id = given.json()["id"].as_str().unwrap().to_owned();
    let one = format!("/jan/.consent/{id}");
    for (recipient, purpose, container, expected) in [
        (COMPANY, MOBILITY, "telraam/", true),
        (COMPANY, BICYCLES, "telraam/", true),
        (COMPANY, BICYCLES, "telraam/2026/", true),
        (COMPANY, "https://w3id.org/dpv#Marketing", "telraam/", false),
        ("https://other.example/#us", MOBILITY, "telraam/", false),
        (COMPANY, MOBILITY, "dagboek/", false),
        (COMPANY, MOBILITY, "telraam2/", false),
    ] {
        assert_eq!(
            covered(&server, "jan", recipient, purpose, container),
            expected,
            "{recipient} {purpose} {container}"
        );
    }
    // CON-8: an end is always set, a year at most.
    let record = &given.json()["record"];
    assert!(
        record["expires_at"].as_str().is_some()
            && record["notice"]["hash"].as_str().is_some_and(|hash| hash.len() == 64)
    );
    let mut forever = terms(COMPANY);
    forever["expires_at"] = json!("2099-01-01T00:00:00Z");
    assert_eq!(post(&jan, "/jan/.consent/", &forever).await.status, 422);
    let mut foreign = terms(COMPANY);
    foreign["data"]["containers"] = json!([format!("{}piet/telraam/", server.base_url)]);
    assert_eq!(post(&jan, "/jan/.consent/", &foreign).await.status, 422);
    // CON-20: for everyone else there is nothing here.
    for (method, path) in [
        ("GET", one.clone()),
        ("GET", "/jan/.consent/".to_owned()),
        ("POST", format!("{one}/withdraw")),
        ("POST", "/jan/.consent/".to_owned()),
    ] {
        let reply = stranger
            .request(method, &path)
            .content("application/json", terms(COMPANY).to_string())
            .send()
            .await;
        assert_eq!(reply.status, 404, "{method} {path}: {}", reply.text());
    }
    assert!(covered(&server, "jan", COMPANY, MOBILITY, "telraam/"));
    let turtle = jan.request("GET", &one).header("accept", "text/turtle").send().await;
    assert_eq!(turtle.header("content-type"), "text/turtle");
    for part in ["dpv:ConsentRecord", "dpv:ConsentGiven", "dpv:hasRecipient", COMPANY] {
        assert!(turtle.text().contains(part), "{part}: {}", turtle.text());
    }
    // One press to stop, as one to give; again is harmless; nothing brings it back.
    let withdrawn = jan.request("POST", &format!("{one}/withdraw")).send().await;
    assert_eq!(
        (withdrawn.status.as_u16(), withdrawn.json()["status"].as_str()),
        (200, Some("ConsentWithdrawn"))
    );
    assert!(!covered(&server, "jan", COMPANY, MOBILITY, "telraam/"));
    assert_eq!(jan.request("POST", &format!("{one}/withdraw")).send().await.status, 200);
    assert_eq!(jan.request("POST", &format!("{one}/give")).send().await.status, 409);
    let versions = jan.get(&one).await.json()["versions"].as_array().unwrap().len();
    assert_eq!(versions, 2, "versions are only added");
    // The ledger is built again from the records.
    let second = post(&jan, "/jan/.consent/", &terms(COMPANY)).await;
    assert_eq!(second.status, 201);
    let server = server.restart().await;
    assert!(covered(&server, "jan", COMPANY, MOBILITY, "telraam/"));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_city_asks_and_each_citizen_answers() {
    let settings = json!({ "dataspace": { "umbrella_storages": ["kortrijk"] } });
    let server = PodServer::start_with(settings).await;
    let kortrijk = server.agent("kortrijk").await;
    let brugge = server.agent("brugge").await.client();
    let (jan, piet) = (server.agent("jan").await.client(), server.agent("piet").await.client());
    let bulk = json!({ "storages": ["jan", "piet", "nobody"], "consent": terms(COMPANY) });
    assert_eq!(post(&brugge, "/kortrijk/.consent/requests", &bulk).await.status, 404);
    assert_eq!(
        post(&brugge, "/brugge/.consent/requests", &bulk).await.status,
        404,
        "no umbrella, no requests"
    );
    let asked = post(&kortrijk.client(), "/kortrijk/.consent/requests", &bulk).await;
    assert_eq!(asked.status, 201, "{}", asked.text());
    assert_eq!(
        (
            asked.json()["requests"].as_array().unwrap().len(),
            &asked.json()["unknown"]
        ),
        (2, &json!(["nobody"]))
    );
    assert!(
        !covered(&server, "jan", COMPANY, MOBILITY, "telraam/"),
        "a request is no consent"
    );
    // Asking again asks nobody twice.
    let again = post(&kortrijk.client(), "/kortrijk/.consent/requests", &bulk).await;
    assert_eq!(again.json()["requests"], asked.json()["requests"]);
    let request = only_consent(&jan, "jan").await;
    assert_eq!(
        (request["status"].as_str(), request["requested_by"].as_str()),
        (Some("ConsentRequested"), Some(kortrijk.web_id.as_str()))
    );
    let one = format!("/jan/.consent/{}", request["id"].as_str().unwrap());
    // The asker sees what it asked, cannot answer for the person, and another city sees nothing.
    assert_eq!(kortrijk.client().get(&one).await.status, 200);
    assert_eq!(brugge.get(&one).await.status, 404);
    assert_eq!(
        kortrijk
            .client()
            .request("POST", &format!("{one}/give"))
            .send()
            .await
            .status,
        404
    );
    // Less than was asked is a person's right; more is not possible.
    let soon = server.app.clock.now() + time::Duration::days(30);
    let until = soon.format(&time::format_description::well_known::Rfc3339).unwrap();
    let yes = post(&jan, &format!("{one}/give"), &json!({ "expires_at": until })).await;
    assert_eq!(
        (yes.status.as_u16(), yes.json()["status"].as_str()),
        (200, Some("ConsentGiven")),
        "{}",
        yes.text()
    );
    assert_eq!(yes.json()["record"]["expires_at"], until.as_str());
    assert!(covered(&server, "jan", COMPANY, MOBILITY, "telraam/"));
    let other = only_consent(&piet, "piet").await["id"].as_str().unwrap().to_owned();
    assert_eq!(
        piet.request("POST", &format!("/piet/.consent/{other}/refuse"))
            .send()
            .await
            .status,
        200
    );
    assert!(!covered(&server, "piet", COMPANY, MOBILITY, "telraam/"));
    assert_eq!(
        piet.request("POST", &format!("/piet/.consent/{other}/give"))
            .send()
            .await
            .status,
        409
    );
    server.stop().await;
}

/// CON-22, invariant 8: whoever has heard that a withdrawal is done never finds the consent again.
#[tokio::test(flavor = "multi_thread")]
async fn withdrawal_counts_before_it_is_acknowledged() {
    let server = PodServer::start().await;
    let jan = server.agent("jan").await.client();
    for _ in 0..40 {
        let given = post(&jan, "/jan/.consent/", &terms(COMPANY)).await;
        let id = given.json()["id"].as_str().unwrap().to_owned();
        assert!(
            covered(&server, "jan", COMPANY, MOBILITY, "telraam/"),
            "giving counts when it is acknowledged"
        );
        let withdraw = format!("/jan/.consent/{id}/withdraw");
        let presses = (0..4).map(|_| async {
            let reply = jan.request("POST", &withdraw).send().await;
            (
                reply.status.as_u16(),
                covered(&server, "jan", COMPANY, MOBILITY, "telraam/"),
            )
        });
        for outcome in futures_util::future::join_all(presses).await {
            assert_eq!(outcome, (200, false));
        }
    }
    server.stop().await;
}

/// T42: an application that was let in for other things cannot say yes in the person's name, in either way of saying it; it
/// can read, refuse and withdraw, because taking back must never be harder than giving (CON-9).
#[tokio::test(flavor = "multi_thread")]
async fn only_a_token_for_consent_gives_consent() {
    let settings = json!({ "dataspace": { "umbrella_storages": ["kortrijk"] } });
    let server = PodServer::start_with(settings).await;
    let jan = server.agent("jan").await;
    let kortrijk = server.agent("kortrijk").await;
    let now = server.app.clock.unix();
    let token = |scope: serde_json::Value| {
        let claims = json!({
            "iss": server.console_url, "aud": "solid", "webid": jan.web_id, "sub": jan.web_id,
            "client_id": "https://diary.example/id", "scope": scope, "iat": now, "exp": now + 600,
            "cnf": { "jkt": jan.key().thumbprint() },
        });
        jan.with_token(&server.app.issuer.sign(&claims).unwrap()).client()
    };
    let full = jan.client();
    let given = post(&full, "/jan/.consent/", &terms(COMPANY)).await;
    let first = given.json()["id"].as_str().unwrap().to_owned();
    let bulk = json!({ "storages": ["jan"], "consent": terms("https://other.example/#us") });
    let asked = post(&kortrijk.client(), "/kortrijk/.consent/requests", &bulk).await;
    assert_eq!(asked.status, 201, "{}", asked.text());
    let consents = full.get("/jan/.consent/").await.json()["consents"].clone();
    let waiting = consents
        .as_array()
        .unwrap()
        .iter()
        .find(|consent| consent["status"] == "ConsentRequested");
    let waiting = waiting.unwrap()["id"].as_str().unwrap().to_owned();
    for scope in [
        json!("openid webid"),
        json!("openid consents"),
        json!("CONSENT"),
        json!(["consent"]),
        json!(null),
    ] {
        let plain = token(scope.clone());
        let refusals = [
            post(&plain, "/jan/.consent/", &terms("https://third.example/#us")).await,
            post(&plain, &format!("/jan/.consent/{waiting}/give"), &json!({})).await,
            plain
                .request("POST", "/jan/.consent/")
                .content("text/turtle", "<> a <urn:x>.")
                .send()
                .await,
        ];
        for refused in refusals {
            assert_eq!(refused.status, 403, "{scope}: {}", refused.text());
            assert!(
                refused.json()["type"]
                    .as_str()
                    .unwrap()
                    .ends_with("consent-scope-required")
            );
            let challenge = refused.header("www-authenticate");
            assert!(
                challenge.contains("insufficient_scope") && challenge.contains("scope=\"consent\""),
                "{challenge}"
            );
        }
        assert_eq!(
            plain.get("/jan/.consent/").await.json()["consents"]
                .as_array()
                .unwrap()
                .len(),
            2
        );
    }
    let plain = token(json!("openid webid"));
    let withdrawn = plain
        .request("POST", &format!("/jan/.consent/{first}/withdraw"))
        .send()
        .await;
    assert_eq!(withdrawn.status, 200, "{}", withdrawn.text());
    assert!(!covered(&server, "jan", COMPANY, MOBILITY, "telraam/"));
    let refused = plain
        .request("POST", &format!("/jan/.consent/{waiting}/refuse"))
        .send()
        .await;
    assert_eq!(refused.status, 200, "{}", refused.text());
    server.stop().await;
}
