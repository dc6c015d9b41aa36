//! The consumer's own side of a standing query, as `broker query --standing` uses it: it takes each event, comes back by itself
//! when the broker was away, and ends where asking again would be refused again.

use super::harness::{BrokerServer, PURPOSE, ROWS, municipality};
use super::standing::{count, eager, owner_of};
use broker::consumer::{Consumer, ConsumerAccount, ConsumerError, ConsumerQuery};
use broker::standing::event::Event;
use meent_tests::console::{Resident, quick_settings};
use meent_tests::pod::PodServer;
use pod_server::identity::{account, credential};
use serde_json::Value;
use server_kit::authn::client::DpopKey;
use server_kit::clock::SystemClock;
use server_kit::egress::{Egress, EgressConfig};
use server_kit::random::SystemRandom;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// Far longer than anything takes that is waited for here.
const PATIENCE: Duration = Duration::from_secs(60);

/// A consumer with a key and client credentials of its own pod server.
async fn consumer(home: &PodServer) -> Consumer {
    let agent = Resident::settle(home, "company", "Company").await.unwrap();
    let account = account::by_name(home.app.store.as_ref(), "company").unwrap().unwrap();
    let (store, clock) = (home.app.store.as_ref(), home.app.clock.as_ref());
    let made = credential::create(store, &account.id, "follow", 3, clock, &SystemRandom).await;
    let made = made.unwrap().unwrap();
    let egress = EgressConfig {
        allow: vec!["127.0.0.1:*".to_owned()],
        request_seconds_max: 60,
        ..EgressConfig::default()
    };
    Consumer::new(
        ConsumerAccount {
            web_id: agent.web_id,
            token_endpoint: format!("{}.oidc/token", home.console_url),
            client: (made.id, made.secret),
        },
        DpopKey::generate().unwrap(),
        Arc::new(Egress::new(egress).unwrap()),
        Arc::new(SystemClock),
        Arc::new(SystemRandom),
    )
}

async fn next(events: &mut mpsc::UnboundedReceiver<Event>, name: &str) -> Value {
    let event = tokio::time::timeout(PATIENCE, events.recv())
        .await
        .expect("an event in time");
    let event = event.expect("an event");
    assert_eq!(event.name, name, "{}", event.data);
    serde_json::from_str(&event.data).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_follows_by_itself() {
    let directory = tempfile::tempdir().unwrap();
    let gent = municipality("Gent", 10, "<>").await;
    let broker = BrokerServer::start(directory.path(), &[&gent], eager()).await;
    broker.knows(1).await;
    let home = PodServer::start_with(quick_settings()).await;
    let consumer = Arc::new(consumer(&home).await);
    let known = consumer.broker(&broker.base_url).await.unwrap();
    let root = gent.app.origins.root("city");
    let (negotiations, dataset) = (
        format!("{root}.dataspace/negotiations"),
        format!("{root}.dataspace/datasets/counts"),
    );
    let agreed = consumer
        .negotiate(&negotiations, &dataset, PURPOSE, "plan", PATIENCE)
        .await
        .unwrap();
    let token = consumer.agreement_token(&agreed.agreement).await.unwrap();
    consumer
        .deposit(&known, &agreed.agreement, &token, PURPOSE)
        .await
        .unwrap();

    let (sender, mut events) = mpsc::unbounded_channel();
    let (asking, agreements) = (Arc::clone(&consumer), vec![agreed.agreement.clone()]);
    let following = tokio::spawn(async move {
        let query = ConsumerQuery {
            query: ROWS,
            purpose: PURPOSE,
            agreements: &agreements,
            accept: "text/csv",
            complete_required: false,
            parameters: &[],
        };
        let each = |event: &Event| {
            let _ = sender.send(event.clone());
            Ok::<(), ConsumerError>(())
        };
        asking.follow(&known, &query, Some(0), each).await
    });
    let answer = next(&mut events, "answer").await;
    assert_eq!(answer["results"]["bindings"].as_array().unwrap().len(), 3);
    count(&gent, "two", 15).await;
    let change = next(&mut events, "change").await;
    assert_eq!(change["added"]["bindings"][0]["n"]["value"], "15");

    // A broker that was away remembers nothing, and tells the whole answer.
    let port = broker.port;
    broker.stop().await;
    assert_eq!(next(&mut events, "end").await["code"], "stopping");
    let broker = BrokerServer::start_on(port, directory.path(), &[&gent], eager()).await;
    broker.knows(1).await;
    let answer = next(&mut events, "answer").await;
    if answer["results"]["bindings"].as_array().unwrap().is_empty() {
        // It came back before the broker knew its members again.
        let change = next(&mut events, "change").await;
        assert_eq!(change["added"]["bindings"].as_array().unwrap().len(), 4);
    }

    let ended = owner_of(&gent)
        .client()
        .request("POST", &format!("{}/terminate", agreed.agreement))
        .send()
        .await;
    assert!(ended.status.is_success(), "{}", ended.text());
    assert_eq!(next(&mut events, "end").await["code"], "refused-by-owner");
    tokio::time::timeout(PATIENCE, following)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    assert!(events.recv().await.is_none(), "it is over");
    broker.stop().await;
}
