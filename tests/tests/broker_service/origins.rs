//! A member whose storages each have an origin of their own, beside one whose storages lie below one origin.

use meent_tests::pod::PodServer;
use serde_json::json;

use super::harness::{BrokerServer, JSON, PURPOSE, ROWS, agree, ask, municipality, numbers, offer_counts};

/// The whole way of a consumer: the catalogue, an agreement, a query over both members that is decided by each, and the end
/// of the agreement, after which the next answer lacks that member alone.
///
/// Requirements solid 13, 66 and dataspace ENF-1, NEG-3.
#[tokio::test(flavor = "multi_thread")]
async fn storages_on_their_own_origins_are_members_like_others() {
    let directory = tempfile::tempdir().unwrap();
    let gent = PodServer::start_on_subdomains(json!({})).await;
    let owner = offer_counts(&gent, "Gent", 10, "<>").await;
    let brugge = municipality("Brugge", 20, "<>").await;
    let listed = ["127.0.0.1:*", "data.localhost:*", "city.data.localhost:*"];
    let settings = json!({ "egress": { "allow": listed } });
    let broker = BrokerServer::start(directory.path(), &[&gent, &brugge], settings).await;
    broker.knows(2).await;
    let root = gent.app.origins.root("city");
    assert!(root.starts_with("http://city.data.localhost:"), "{root}");
    let found = broker
        .client()
        .request("GET", "/catalog?q=Gent")
        .header("accept", "application/json")
        .send()
        .await;
    assert!(
        found.text().contains(&format!("{root}.dataspace/datasets/counts")),
        "{}",
        found.text()
    );

    let home = PodServer::start().await;
    let company = home.agent("company").await;
    let both = [
        agree(&company, &gent, &broker).await,
        agree(&company, &brugge, &broker).await,
    ];
    assert!(both[0].starts_with(&root), "{}", both[0]);
    let answer = ask(&company, &broker, &both, ROWS, &[("purpose", PURPOSE)], JSON).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(numbers(&answer), [10, 11, 12, 20, 21, 22]);
    assert_eq!(answer.header("meent-complete"), "true", "{}", answer.text());
    assert!(
        answer.text().contains(&format!("{root}counts/one#o0")),
        "{}",
        answer.text()
    );
    let wrong = [("purpose", "https://w3id.org/dpv#Marketing")];
    assert_eq!(ask(&company, &broker, &both, ROWS, &wrong, JSON).await.status, 403);

    // What the holder asks is about the storage's own origin.
    let known = owner.client().get(&format!("{}holdings", broker.base_url)).await;
    assert_eq!(known.status, 200, "{}", known.text());
    assert_eq!(
        known.json()["agreements"][0]["agreement"],
        both[0].as_str(),
        "{}",
        known.text()
    );

    let ended = owner
        .client()
        .request("POST", &format!("{}/terminate", both[0]))
        .content("application/json", json!({ "reason": "enough" }).to_string())
        .send()
        .await;
    assert_eq!(ended.status, 200, "{}", ended.text());
    let later = ask(&company, &broker, &both, ROWS, &[("purpose", PURPOSE)], JSON).await;
    assert_eq!(
        (later.status.as_u16(), numbers(&later)),
        (200, vec![20, 21, 22]),
        "{}",
        later.text()
    );
    assert_eq!(later.header("meent-complete"), "false", "{}", later.text());
    broker.stop().await;
    gent.stop().await;
}
