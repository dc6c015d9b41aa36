//! The statistics that a catalogue tells about a dataset that reaches into people's storages.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use meent_tests::pod::crowd::Crowd;
use serde_json::json;

fn document(number: usize) -> String {
    format!("<urn:p:{number}> <urn:value> {number} ; <urn:street> <urn:s:1> .")
}

async fn told(crowd: &Crowd) -> bool {
    let client = crowd.server.client();
    let request = client.request("GET", "/catalog").header("accept", "text/turtle");
    let reply = request.send().await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert!(reply.text().contains("datasets/telraam"), "{}", reply.text());
    reply.text().contains("urn:street")
}

/// Only people who consent are counted, at each moment, and only under an offer of aggregates over enough of them: what is
/// kept of the statistics is dropped with the consents, the data and the description that it was made of.
///
/// Requirements ENF-37, ENF-38.
#[tokio::test(flavor = "multi_thread")]
async fn statistics_count_those_who_consent() {
    let crowd = Crowd::start(json!({}), (0..7).map(document).collect(), 5, "").await;
    assert!(told(&crowd).await, "seven consent");
    crowd.leave(vec![0, 1]).await;
    assert!(told(&crowd).await, "five do");
    crowd.leave(vec![2]).await;
    assert!(!told(&crowd).await, "four are too few, although seven have such data");
    crowd.join(7, vec![document(7)]).await;
    assert!(told(&crowd).await, "somebody joined");
    crowd.describe("telraam", 4, "").await;
    assert!(
        !told(&crowd).await,
        "answers over four may leave now, which these statistics would not foresee"
    );
    crowd.describe("telraam", 6, "").await;
    assert!(told(&crowd).await);
    crowd.rewrite(vec![(7, "<urn:p:7> <urn:value> 1 .".to_owned())]).await;
    assert!(!told(&crowd).await, "four have a street");
    crowd.server.stop().await;
}
