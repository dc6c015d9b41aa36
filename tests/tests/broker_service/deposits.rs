//! Agreements that say they are about somebody else's data, and those under which names leave changed.

use meent_tests::pod::PodServer;
use serde_json::json;

use super::harness::{BrokerServer, JSON, PURPOSE, ROWS, agree, ask, municipality, numbers};

/// T97: a member's agreement about a dataset of another member is not taken, so that it cannot stand in the way of the other's own;
/// open data of the other, too, is asked as before.
#[tokio::test(flavor = "multi_thread")]
async fn no_agreement_is_about_another_members_data() {
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
    let client = company.client();
    let token = client
        .request("POST", &format!("{}/token", both[0]))
        .content("application/json", "{}")
        .send()
        .await
        .json();
    let document = client
        .request("GET", &both[0])
        .header("accept", "text/turtle")
        .send()
        .await
        .text();
    let dataset = |pod: &PodServer| format!("{}.dataspace/datasets/counts", pod.app.origins.root("city"));
    let about_another = document.replace(&dataset(&gent), &dataset(&brugge));
    assert_ne!(about_another, document);
    let body =
        json!({ "agreement": both[0], "access_token": token["access_token"], "document": about_another }).to_string();
    let deposited = client
        .request("POST", &format!("{}agreements", broker.base_url))
        .content("application/json", body)
        .send()
        .await;
    assert_eq!(deposited.status, 422, "{}", deposited.text());
    assert!(
        deposited.text().contains("another-members-dataset"),
        "{}",
        deposited.text()
    );
    let answer = ask(&company, &broker, &both, ROWS, &[("purpose", PURPOSE)], JSON).await;
    assert_eq!(numbers(&answer), [10, 11, 12, 20, 21, 22], "{}", answer.text());
    broker.stop().await;
}

/// Names that leave as codes are asked about by their codes: a summary, which tells of the names themselves, rules no member out then,
/// and an answer that is complete lacks nothing.
///
/// Requirements ENF-13.
#[tokio::test(flavor = "multi_thread")]
async fn codes_are_asked_about_like_names() {
    let directory = tempfile::tempdir().unwrap();
    let coded = "<> ; odrl:duty [ odrl:action meent:pseudonymise ]";
    let (gent, brugge) = (
        municipality("Gent", 10, coded).await,
        municipality("Brugge", 20, coded).await,
    );
    let broker = BrokerServer::start(directory.path(), &[&gent, &brugge], json!({})).await;
    broker.knows(2).await;
    let home = PodServer::start().await;
    let company = home.agent("company").await;
    let both = [
        agree(&company, &gent, &broker).await,
        agree(&company, &brugge, &broker).await,
    ];
    let purpose = [("purpose", PURPOSE)];
    let answer = ask(&company, &broker, &both, ROWS, &purpose, JSON).await;
    assert_eq!(numbers(&answer), [10, 11, 12, 20, 21, 22], "{}", answer.text());
    let rows = answer.json();
    for (row, number) in [(0, 10), (5, 22)] {
        let code = rows["results"]["bindings"][row]["o"]["value"].as_str().unwrap();
        assert!(code.starts_with("urn:meent:pseudonym:"), "{code}");
        let about = format!("SELECT ?n WHERE {{ <{code}> <http://vocab.example/bicycles> ?n }}");
        let answer = ask(&company, &broker, &both, &about, &purpose, JSON).await;
        assert_eq!(
            (numbers(&answer), answer.header("meent-complete")),
            (vec![number], "true"),
            "{}",
            answer.text()
        );
    }
    broker.stop().await;
}
