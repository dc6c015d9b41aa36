//! What is owed follows from the log alone.

use std::collections::BTreeMap;

use meent_tests::pod::Client;
use meent_tests::pod::sparql::ask;
use pod_server::log::duties::Duties;
use policies::audit::Standing;
use serde_json::{Value, json};
use server_kit::clock::{Clock, SystemClock};
use time::Duration;
use vocab::{meent, odrl};

use super::scene::{ALL, RESEARCH, Scene, scene};

async fn withdraw(citizen: &Client, name: &str) {
    let list = citizen.get(&format!("/{name}/.consent/")).await.json();
    let id = list
        .pointer("/consents/0/id")
        .and_then(Value::as_str)
        .unwrap()
        .to_owned();
    let ended = citizen
        .request("POST", &format!("/{name}/.consent/{id}/withdraw"))
        .send()
        .await;
    assert!(ended.status.is_success(), "{}", ended.text());
}

/// How far the duties to delete are by the records of consents, which the pages show.
async fn shown(scene: &Scene, citizens: u32) -> BTreeMap<String, Standing> {
    let mut shown = BTreeMap::new();
    for (number, citizen) in (1..=citizens).zip(&scene.citizens) {
        let list = citizen
            .client()
            .get(&format!("/burger{number}/.consent/duties/"))
            .await
            .json();
        for duty in list["duties"].as_array().unwrap() {
            let standing = match (duty["acknowledged"].is_null(), duty["overdue"] == json!(true)) {
                (false, _) => Standing::Fulfilled,
                (true, true) => Standing::Overdue,
                (true, false) => Standing::Pending,
            };
            shown.insert(duty["id"].as_str().unwrap().to_owned(), standing);
        }
    }
    shown
}

/// Duties that are opened, carried out and missed have the same state for whoever read the log along, for whoever reads it from its
/// beginning, and on the pages. Requirements AUD-10, ODR-21.
#[tokio::test(flavor = "multi_thread")]
async fn the_log_tells_what_is_owed() {
    let scene = scene(3, json!({})).await;
    let (agreement, company) = scene.agree("snelheid", "").await;
    let node = &scene.server.app.dataspace.log.node;
    let live = &scene.server.app.dataspace.dataspace.duties;
    let now = SystemClock.now();
    assert!(live.told(node).unwrap().opened(now).is_empty());
    for (number, citizen) in (1..).zip(&scene.citizens[..2]) {
        withdraw(&citizen.client(), &format!("burger{number}")).await;
    }
    let states = |duties: &Duties, at| duties.told(node).unwrap().opened(at);
    let opened = states(live, now);
    assert_eq!(opened.len(), 2);
    assert!(opened.values().all(|standing| *standing == Standing::Pending));
    assert_eq!(opened, shown(&scene, 3).await);
    let duty = opened.keys().next().unwrap();
    let path = duty.strip_prefix(scene.server.base_url.trim_end_matches('/')).unwrap();
    let word = json!({ "note": "gewist" }).to_string();
    let acknowledge = format!("{path}/acknowledge");
    let mine = scene.company.client();
    let said = mine
        .request("POST", &acknowledge)
        .content("application/json", word)
        .send()
        .await;
    assert_eq!(said.status, 200, "{}", said.text());
    assert_eq!(states(live, now).get(duty), Some(&Standing::Fulfilled));
    assert_eq!(states(live, now), shown(&scene, 3).await);
    for at in [now, now + Duration::days(29), now + Duration::days(31)] {
        assert_eq!(
            states(live, at),
            states(&Duties::default(), at),
            "read anew from an empty state"
        );
    }
    let late: Vec<Standing> = states(live, now + Duration::days(31)).into_values().collect();
    assert!(
        late.contains(&Standing::Fulfilled) && late.contains(&Standing::Overdue),
        "{late:?}"
    );

    // Under an agreement: the duty to record is owed from the first use on, and the record is its fulfilment.
    let owed = async |client: &Client| client.get(&format!("{agreement}/obligations")).await;
    assert_eq!(owed(&mine).await.json()["obligations"], json!([]));
    assert_eq!(
        ask(&company, "/sparql", ALL, &[("purpose", RESEARCH)]).await.status,
        200
    );
    let told = owed(&mine).await.json()["obligations"].clone();
    assert_eq!(told[0]["action"], meent::LOG);
    assert_eq!(told[0]["state"], "fulfilled");
    assert_eq!(owed(&scene.owner.client()).await.json()["obligations"], told);
    assert_eq!(owed(&scene.citizens[0].client()).await.status, 404);
    let place = format!("{agreement}/obligations");
    for (body, status) in [
        (json!({ "action": odrl::DELETE }).to_string(), 200),
        (json!({ "action": "no iri" }).to_string(), 422),
        ("{".to_owned(), 422),
    ] {
        let reply = mine
            .request("POST", &place)
            .content("application/json", body)
            .send()
            .await;
        assert_eq!(reply.status, status, "{}", reply.text());
    }
    let policy = policy_of(&scene, &agreement).await;
    let owed = |duties: &Duties| duties.told(node).unwrap().owed(&policy, now + Duration::days(1));
    assert_eq!(owed(live), owed(&Duties::default()));
    let server = scene.server.restart().await;
    let node = &server.app.dataspace.log.node;
    assert_eq!(
        server
            .app
            .dataspace
            .dataspace
            .duties
            .told(node)
            .unwrap()
            .opened(now)
            .len(),
        2
    );
    server.stop().await;
}

async fn policy_of(scene: &Scene, agreement: &str) -> policies::odrl::Policy {
    let mine = scene.company.client();
    let text = mine
        .request("GET", agreement)
        .header("accept", "text/turtle")
        .send()
        .await
        .text();
    let read = policies::odrl::parse_turtle(text.as_bytes(), agreement, &policies::odrl::OdrlLimits::default());
    read.unwrap().into_iter().find(|policy| policy.id == agreement).unwrap()
}
