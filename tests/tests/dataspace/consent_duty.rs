//! What follows from consents and stands beside them: duties to delete with their notices, standing preferences, other
//! grounds, the register, and the log in the terms of PROV-O.

use std::time::Duration;

use meent_tests::pod::{Client, PodServer};
use serde_json::{Value, json};

use super::{MOBILITY, post};

fn terms(recipient: &str) -> Value {
    json!({
        "recipients": [recipient],
        "purposes": [MOBILITY],
        "data": { "containers": ["telraam/"] },
        "notice": { "language": "nl", "text": "Mogen wij uw tellingen gebruiken?" },
    })
}

/// Gives an agent an inbox into which anyone may put something, and names it in the profile.
async fn inbox(server: &PodServer, client: &Client, name: &str) {
    let root = format!("{}{name}/", server.base_url);
    let web_id = format!("{root}profile/card#me");
    let made = client
        .request("PUT", &format!("/{name}/inbox/"))
        .header("link", "<http://www.w3.org/ns/ldp#BasicContainer>; rel=\"type\"")
        .content("text/turtle", "")
        .send()
        .await;
    assert!(made.status.is_success(), "{}", made.text());
    let acl = format!(
        "@prefix acl: <http://www.w3.org/ns/auth/acl#> . @prefix foaf: <http://xmlns.com/foaf/0.1/> .
         <#owner> a acl:Authorization ; acl:agent <{web_id}> ; acl:accessTo <./> ; acl:default <./> ;
           acl:mode acl:Read, acl:Write, acl:Control .
         <#all> a acl:Authorization ; acl:agentClass foaf:Agent ; acl:accessTo <./> ; acl:mode acl:Append ."
    );
    let rules = client.put(&format!("/{name}/inbox/.acl"), "text/turtle", acl).await;
    assert!(rules.status.is_success(), "{}", rules.text());
    let patch = format!(
        "@prefix solid: <http://www.w3.org/ns/solid/terms#> . @prefix ldp: <http://www.w3.org/ns/ldp#> .
         <> a solid:InsertDeletePatch ; solid:inserts {{ <{web_id}> ldp:inbox <{root}inbox/> . }} ."
    );
    let patched = client.patch(&format!("/{name}/profile/card"), patch).await;
    assert!(patched.status.is_success(), "{}", patched.text());
}

/// The letters in an inbox, once there are as many as expected.
async fn letters(client: &Client, name: &str, expected: usize) -> Vec<Value> {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    loop {
        let listing = client.get(&format!("/{name}/inbox/")).await.text();
        let mut found = Vec::new();
        for part in listing.split('<').filter_map(|part| part.split('>').next()) {
            let inside = part.rsplit_once("/inbox/").map_or(part, |(_, inside)| inside);
            if !inside.is_empty() && !inside.contains([':', '#', ' ']) {
                let letter = client.get(&format!("/{name}/inbox/{inside}")).await;
                if letter.header("content-type").contains("json") && !found.contains(&letter.json()) {
                    found.push(letter.json());
                }
            }
        }
        if found.len() >= expected {
            return found;
        }
        assert!(
            tokio::time::Instant::now() < deadline,
            "{} of {expected} letters: {listing}",
            found.len()
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn settings() -> Value {
    json!({ "dataspace": { "umbrella_storages": ["kortrijk"], "letters": { "look_seconds": 1, "attempts_max": 1 } } })
}

/// Requirements dataspace CON-10, CON-11, CON-17: a withdrawal reaches each recipient's inbox and opens a duty with a deadline; the
/// recipient acknowledges; who asked and the person see who has not; the person's receipts arrive as well.
#[tokio::test(flavor = "multi_thread")]
async fn a_withdrawal_reaches_recipients_and_opens_duties() {
    let server = PodServer::start_with(settings()).await;
    let kortrijk = server.agent("kortrijk").await.client();
    let company = server.agent("mobiliteit").await;
    let jan = server.agent("jan").await.client();
    let stranger = server.agent("stranger").await.client();
    inbox(&server, &company.client(), "mobiliteit").await;
    inbox(&server, &jan, "jan").await;
    let asked = post(&kortrijk, "/jan/.consent/", &terms(&company.web_id)).await;
    let one = format!("/jan/.consent/{}", asked.json()["id"].as_str().unwrap());
    assert_eq!(post(&jan, &format!("{one}/give"), &json!({})).await.status, 200);
    assert_eq!(jan.get("/jan/.consent/duties/").await.json()["duties"], json!([]));
    assert_eq!(post(&jan, &format!("{one}/withdraw"), &json!({})).await.status, 200);

    let letter = letters(&company.client(), "mobiliteit", 1).await.remove(0);
    let text = letter.to_string();
    assert!(text.contains("Undo") && text.contains(&one), "{text}");
    let receipts = letters(&jan, "jan", 2).await;
    assert!(
        receipts
            .iter()
            .all(|receipt| receipt.to_string().contains("application/jose")),
        "{receipts:?}"
    );

    let duties = jan.get("/jan/.consent/duties/").await.json()["duties"].clone();
    let duties = duties.as_array().unwrap().clone();
    assert_eq!(duties.len(), 2, "the recipient and who asked: {duties:?}");
    let duty = duties
        .iter()
        .find(|duty| duty["recipient"] == company.web_id.as_str())
        .unwrap();
    assert_eq!((&duty["overdue"], &duty["acknowledged"]), (&json!(false), &Value::Null));
    assert!(duty["deadline"].as_str() > duty["opened"].as_str());
    let place = super::path(&server, duty["id"].as_str().unwrap());
    // Who asked sees all, the recipient its own, a stranger nothing.
    assert_eq!(
        kortrijk.get("/kortrijk/.consent/duties/").await.json()["duties"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    let own = company.client().get("/jan/.consent/duties/").await.json()["duties"].clone();
    assert_eq!(own.as_array().unwrap().len(), 1);
    assert_eq!(stranger.get("/jan/.consent/duties/").await.status, 404);
    for (client, status) in [(&stranger, 404), (&jan, 403), (&kortrijk, 403)] {
        assert_eq!(
            post(client, &format!("{place}/acknowledge"), &json!({})).await.status,
            status
        );
    }
    let word = json!({ "note": "Alles gewist." });
    let said = post(&company.client(), &format!("{place}/acknowledge"), &word).await;
    assert_eq!(said.status, 200, "{}", said.text());
    let duty = jan.get(&place).await.json();
    assert_eq!(duty["acknowledged"]["note"], "Alles gewist.");
    assert!(duty["notified"].as_str().is_some(), "{duty}");
    // Saying it again in other words changes nothing.
    post(
        &company.client(),
        &format!("{place}/acknowledge"),
        &json!({ "note": "Toch niet." }),
    )
    .await;
    assert_eq!(jan.get(&place).await.json()["acknowledged"]["note"], "Alles gewist.");
    // The city has no inbox: after the last attempt that is visible.
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    loop {
        let duties = jan.get("/jan/.consent/duties/").await.json()["duties"].clone();
        if duties
            .as_array()
            .unwrap()
            .iter()
            .any(|duty| duty["undelivered"].as_str().is_some())
        {
            break;
        }
        assert!(tokio::time::Instant::now() < deadline, "{duties}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    server.stop().await;
}

/// Requirements dataspace CON-11: a duty without a word after its day is overdue.
#[test]
fn duties_become_overdue() {
    use pod_server::consent::duty::DeleteDuty;
    let duty: DeleteDuty = serde_json::from_value(json!({
        "id": "https://k.example/jan/.consent/duties/1", "consent": "https://k.example/jan/.consent/1",
        "data_subject": "https://k.example/jan/profile/card#me", "recipient": "https://m.example/#us",
        "requested_by": null, "opened": "2026-01-01T00:00:00Z", "deadline": "2026-01-31T00:00:00Z",
    }))
    .unwrap();
    let day = time::Duration::days(1);
    assert!(!duty.overdue(duty.deadline) && duty.overdue(duty.deadline + day));
    let mut done = duty.clone();
    done.acknowledged = serde_json::from_value(json!({ "at": "2026-02-02T00:00:00Z", "note": "" })).unwrap();
    assert!(!done.overdue(duty.deadline + day));
}

/// Requirements dataspace CON-16: a standing preference refuses or puts off, never accepts; each automatic answer stands in record
/// and log and can be undone, which an answer of the person cannot.
#[tokio::test(flavor = "multi_thread")]
async fn standing_preferences_answer_and_can_be_undone() {
    let server = PodServer::start_with(settings()).await;
    let kortrijk = server.agent("kortrijk").await.client();
    let jan = server.agent("jan").await.client();
    let set = async |preferences: Value| {
        let body = json!({ "preferences": preferences }).to_string();
        jan.put("/jan/.consent/preferences", "application/json", body).await
    };
    for bad in [
        json!([{ "id": "a", "effect": "accept", "special": true }]),
        json!([{ "id": "a", "effect": "refuse" }]),
        json!([{ "id": "", "effect": "refuse", "special": true }]),
    ] {
        assert_eq!(set(bad).await.status, 422);
    }
    assert_eq!(kortrijk.get("/jan/.consent/preferences").await.status, 404);
    let rules = json!([
        { "id": "geen reclame", "effect": "refuse", "purposes": ["https://w3id.org/dpv#Marketing"] },
        { "id": "iedereen", "effect": "defer", "any_recipient": true },
    ]);
    let kept = set(rules).await;
    assert_eq!(kept.status, 200, "{}", kept.text());
    let mut marketing = terms("https://shop.example/#us");
    marketing["purposes"] = json!(["https://w3id.org/dpv#DirectMarketing"]);
    let mut anyone = terms("https://shop.example/#us");
    anyone["recipients"] = json!("any");
    let mut ids = Vec::new();
    for (asked, status) in [
        (marketing, "ConsentRefused"),
        (anyone, "ConsentRequestDeferred"),
        (terms("https://mobility.example/#us"), "ConsentRequested"),
    ] {
        let reply = post(&kortrijk, "/jan/.consent/", &asked).await;
        assert_eq!(reply.json()["status"], status, "{}", reply.text());
        ids.push(format!("/jan/.consent/{}", reply.json()["id"].as_str().unwrap()));
    }
    let refused = jan.get(&ids[0]).await.json();
    assert_eq!(refused["record"]["act"]["method"], "preference geen reclame");
    assert_eq!(
        refused["versions"].as_array().unwrap().len(),
        2,
        "asked, and then refused"
    );
    let log = jan.get("/jan/.log").await.text();
    assert!(log.contains("ConsentRefused"), "{log}");
    let reopened = post(&jan, &format!("{}/reopen", ids[0]), &json!({})).await;
    assert_eq!(reopened.json()["status"], "ConsentRequested", "{}", reopened.text());
    assert_eq!(post(&jan, &format!("{}/refuse", ids[0]), &json!({})).await.status, 200);
    assert_eq!(post(&jan, &format!("{}/reopen", ids[0]), &json!({})).await.status, 409);
    server.stop().await;
}

/// Requirements dataspace CON-14, AUD-14: what a city does on other grounds stands in each citizen's list, is no switch, and stands in
/// the register beside agreements and consents; CON-20: the register is its owner's.
#[tokio::test(flavor = "multi_thread")]
async fn other_grounds_are_shown_and_registered() {
    let server = PodServer::start_with(settings()).await;
    let kortrijk = server.agent("kortrijk").await;
    let jan = server.agent("jan").await.client();
    let activity = json!({
        "titles": { "nl": "Bevolkingsregister" },
        "controller": {
            "id": kortrijk.web_id, "name": "Stad Kortrijk", "contact": "dpo@kortrijk.example", "address": "Grote Markt 54",
        },
        "legal_basis": "https://w3id.org/dpv/legal/eu/gdpr#A6-1-c",
        "purposes": ["https://w3id.org/dpv#LegalCompliance"],
        "storage": { "days": 3650 },
        "objection": "mailto:dpo@kortrijk.example",
    });
    let city = kortrijk.client();
    let put = async |client: &Client, path: &str, body: &Value| {
        client
            .put(path, "application/json", body.to_string())
            .await
            .status
            .as_u16()
    };
    let mut consent = activity.clone();
    consent["legal_basis"] = json!("https://w3id.org/dpv/legal/eu/gdpr#A6-1-a");
    assert_eq!(
        put(&city, "/kortrijk/.consent/activities/register", &consent).await,
        422
    );
    assert_eq!(
        put(&city, "/kortrijk/.consent/activities/register", &activity).await,
        200
    );
    assert_eq!(
        put(&jan, "/jan/.consent/activities/mine", &activity).await,
        403,
        "a citizen declares nothing for others"
    );
    assert_eq!(
        put(&jan, "/kortrijk/.consent/activities/register", &activity).await,
        404
    );
    let list = jan.get("/jan/.consent/").await.json();
    assert_eq!(list["without_consent"][0]["titles"]["nl"], "Bevolkingsregister");
    assert_eq!(
        post(&jan, "/jan/.consent/register/withdraw", &json!({})).await.status,
        404,
        "no switch"
    );

    let company = "https://mobility.example/#us";
    let asked = post(&city, "/jan/.consent/", &terms(company)).await;
    let one = format!("/jan/.consent/{}", asked.json()["id"].as_str().unwrap());
    post(&jan, &format!("{one}/give"), &json!({})).await;
    let register = city.get("/kortrijk/.consent/register").await.json();
    let entries = register["activities"].as_array().unwrap().clone();
    let consents = entries.iter().find(|entry| entry["source"] == "consents").unwrap();
    assert_eq!((&consents["count"], &consents["active"]), (&json!(1), &json!(true)));
    assert_eq!(consents["recipients"], json!([company]));
    assert!(
        entries.iter().any(|entry| entry["time_limit"] == "3650 days"),
        "{register}"
    );
    let table = city
        .request("GET", "/kortrijk/.consent/register")
        .header("accept", "text/csv")
        .send()
        .await;
    assert!(
        table.text().lines().count() == 3 && table.text().contains("Stad Kortrijk"),
        "{}",
        table.text()
    );
    assert_eq!(jan.get("/kortrijk/.consent/register").await.status, 404);
    assert_eq!(city.delete("/kortrijk/.consent/activities/register").await.status, 204);
    assert_eq!(jan.get("/jan/.consent/").await.json()["without_consent"], json!([]));
    server.stop().await;
}

/// Requirements dataspace AUD-2: one's own part of the log as PROV-O, in Turtle and JSON-LD.
#[tokio::test(flavor = "multi_thread")]
async fn the_own_log_is_read_as_provenance() {
    let server = PodServer::start().await;
    let jan = server.agent("jan").await;
    let given = post(&jan.client(), "/jan/.consent/", &terms("https://mobility.example/#us")).await;
    assert_eq!(given.status, 201, "{}", given.text());
    let turtle = jan
        .client()
        .request("GET", "/jan/.log")
        .header("accept", "text/turtle")
        .send()
        .await;
    assert_eq!(turtle.header("content-type"), "text/turtle");
    for part in [
        "prov:Activity",
        "prov:wasAssociatedWith",
        &jan.web_id,
        "dpv:ConsentGiven",
    ] {
        assert!(turtle.text().contains(part), "{part}: {}", turtle.text());
    }
    let json = jan
        .client()
        .request("GET", "/jan/.log")
        .header("accept", "application/ld+json")
        .send()
        .await;
    assert!(json.text().contains("http://www.w3.org/ns/prov#Activity") || json.text().contains("prov:Activity"));
    server.stop().await;
}
