//! The page of consents without script: parts, later, the second step, renewal, mandates, preferences, other grounds.

use meent_tests::console::{Answer, Visitor};
use serde_json::json;

use super::pages::{account, server};
use super::{MOBILITY, post};

const HEALTH: &str = "https://vocab.example/heartRate";

/// Opens the page, as a browser does, and sends one of its forms.
async fn send(visitor: &mut Visitor, path: &str, fields: &[(&str, &str)]) -> Answer {
    visitor.open("/consent?lang=en").await.unwrap();
    visitor.submit(path, fields).await.unwrap()
}

/// Requirements dataspace CON-5, CON-14, CON-15, CON-16, CON-19: a citizen does by pressing buttons what the interface does.
#[tokio::test(flavor = "multi_thread")]
async fn a_citizen_chooses_delegates_and_prefers_without_script() {
    let server = server().await;
    let (mut jan, jan_agent) = account(&server, "jan").await;
    let (mut an, an_agent) = account(&server, "an").await;
    let (_, kortrijk) = account(&server, "kortrijk").await;
    let request = json!({
        "recipients": [kortrijk.web_id], "purposes": [MOBILITY],
        "data": { "containers": ["telraam/", "dagboek/"], "properties": [HEALTH, "https://vocab.example/count"] },
        "notice": { "language": "nl", "text": "Mogen wij?", "translations": { "en": "May we?" } },
        "process": {
            "controller": { "id": kortrijk.web_id, "name": "Stad Kortrijk", "contact": "dpo@kortrijk.example" },
            "items": [
                { "what": "telraam/", "required": true, "labels": { "en": "your counts" } },
                { "what": "dagboek/", "labels": { "en": "your diary" } },
                { "what": HEALTH, "special": true, "labels": { "en": "your heart rate" } },
            ],
            "consequences": { "en": "You get no advice." },
        },
    });
    let asked = post(&kortrijk.client(), "/jan/.consent/", &request).await;
    assert_eq!(asked.status, 201, "{}", asked.text());
    let id = asked.json()["id"].as_str().unwrap().to_owned();
    let activity = json!({
        "titles": { "en": "Register of residents" },
        "controller": { "id": kortrijk.web_id, "name": "Stad", "contact": "dpo@k.example", "address": "Markt 1" },
        "legal_basis": "https://w3id.org/dpv/legal/eu/gdpr#A6-1-c",
        "purposes": ["https://w3id.org/dpv#LegalCompliance"], "objection": "mailto:dpo@k.example",
    });
    let city = kortrijk.client();
    let put = city.put(
        "/kortrijk/.consent/activities/r",
        "application/json",
        activity.to_string(),
    );
    assert_eq!(put.await.status, 200);

    let page = jan.open("/consent?lang=en").await.unwrap();
    for part in [
        "May we?",
        "Stad Kortrijk",
        "your diary",
        "sensitive data",
        "You get no advice.",
        "Decide later",
        "Register of residents",
        "mailto:dpo@k.example",
        "Who may decide for me",
        "Standing preferences",
    ] {
        assert!(page.body.contains(part), "{part}: {}", page.body);
    }
    assert!(!page.body.contains("<script"));
    let boxes = page.body.matches("type=\"checkbox\"").count();
    assert_eq!(
        (boxes, page.body.matches("type=\"checkbox\" checked").count()),
        (2, 0),
        "nothing is chosen beforehand"
    );
    let notice = page.hidden("notice");
    let form = |more: &[(&'static str, &'static str)]| {
        let mut form = vec![("storage", "/jan/"), ("id", id.as_str()), ("notice", notice.as_str())];
        form.extend(more);
        form
    };
    let later = send(&mut jan, "/consent/answer", &form(&[("answer", "later")])).await;
    assert_eq!(later.location(), "/consent?done=deferred", "{}", later.body);
    // The sensitive item leads to a second step; nothing is given yet.
    let chosen = form(&[("answer", "yes"), ("period", "3"), ("item-2", "yes")]);
    let step = send(&mut jan, "/consent/answer", &chosen).await;
    assert!(
        step.status == 200 && step.body.contains("your heart rate"),
        "{}",
        step.body
    );
    let state = jan_agent.client().get(&format!("/jan/.consent/{id}")).await.json();
    assert_eq!(state["status"], "ConsentRequestDeferred");
    let sure = [
        ("answer", "yes"),
        ("period", "3"),
        ("item-2", "yes"),
        ("special", "yes"),
    ];
    let given = send(&mut jan, "/consent/answer", &form(&sure)).await;
    assert_eq!(given.location(), "/consent?done=given", "{}", given.body);
    let record = jan_agent.client().get(&format!("/jan/.consent/{id}")).await.json()["record"].clone();
    assert_eq!(record["act"]["explicit"], true);
    assert_eq!(record["notice"]["language"], "en", "the words that were shown");
    assert_eq!(
        record["data"]["containers"].as_array().unwrap().len(),
        1,
        "the diary was not chosen: {record}"
    );

    let mandate = [
        ("storage", "/jan/"),
        ("holder", an_agent.web_id.as_str()),
        ("kind", "carer"),
        ("basis", "Gesprek"),
        ("months", "3"),
    ];
    let mandated = send(&mut jan, "/consent/mandate", &mandate).await;
    assert_eq!(mandated.location(), "/consent?done=mandated", "{}", mandated.body);
    let kinds = [("storage", "/jan/"), ("special", "refuse"), ("marketing", "ask")];
    let preferred = send(&mut jan, "/consent/preferences", &kinds).await;
    assert_eq!(preferred.location(), "/consent?done=preferred", "{}", preferred.body);
    // Other words make it another request, and the preference answers it.
    let mut other = request.clone();
    other["notice"]["text"] = json!("Nog eens?");
    let again = post(&kortrijk.client(), "/jan/.consent/", &other).await;
    assert_eq!(again.json()["status"], "ConsentRefused", "{}", again.text());

    // Whoever has the mandate sees the storage on their own page, and stops the consent there.
    let page = an.open("/consent?lang=en").await.unwrap();
    assert!(page.body.contains("You decide for jan"), "{}", page.body);
    let stop = [("storage", "/jan/"), ("id", id.as_str())];
    let stopped = an.submit("/consent/withdraw", &stop).await.unwrap();
    assert_eq!(stopped.location(), "/consent?done=withdrawn", "{}", stopped.body);
    let record = jan_agent.client().get(&format!("/jan/.consent/{id}")).await.json()["record"].clone();
    assert_eq!(record["act"]["mandate"]["kind"], "carer");
    let page = jan.open("/consent?lang=en").await.unwrap();
    for part in [
        "Who has to delete your data",
        "kortrijk: <strong>",
        "Your standing preference answered this.",
    ] {
        assert!(page.body.contains(part), "{part}: {}", page.body);
    }
    let receipt = jan
        .open(&format!("/consent/receipt?storage=%2Fjan%2F&id={id}&form=proof"))
        .await
        .unwrap();
    assert!(receipt.body.contains("vkey") && receipt.header("content-disposition").contains("consent-proof.json"));
    // Nobody answers for somebody else what they would gain from themselves; the page says so in plain words.
    let own = json!({
        "recipients": [an_agent.web_id], "purposes": [MOBILITY], "data": { "containers": ["telraam/"] },
        "notice": { "language": "nl", "text": "Mag An het weten?" },
    });
    let asked = post(&kortrijk.client(), "/jan/.consent/", &own).await.json();
    let (id, notice) = (
        asked["id"].as_str().unwrap(),
        asked["record"]["notice"]["hash"].as_str().unwrap(),
    );
    an.open("/consent?lang=en").await.unwrap();
    let yes = [
        ("storage", "/jan/"),
        ("id", id),
        ("notice", notice),
        ("period", "3"),
        ("answer", "yes"),
    ];
    let refused = an.submit("/consent/answer?lang=en", &yes).await.unwrap();
    assert_eq!(refused.status, 403, "{}", refused.body);
    assert!(refused.body.contains("you would gain from it"), "{}", refused.body);
    // Another's storage is not there for somebody without a mandate.
    let none = jan
        .submit("/consent/withdraw", &[("storage", "/an/"), ("id", "x")])
        .await
        .unwrap();
    assert_eq!(none.status, 404);
    server.stop().await;
}
