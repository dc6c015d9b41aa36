//! Room in a storage: what counts, and what is left to its owner (T125).

use meent_tests::pod::{Client, PodServer};
use serde_json::json;

async fn post(client: &Client, bytes: usize) -> u16 {
    let request = client.request("POST", "/alice/inbox/");
    request
        .content("text/plain", "x".repeat(bytes))
        .send()
        .await
        .status
        .as_u16()
}

/// Requirements solid 62: a public inbox takes what others send until only the owner's part of the room is left.
#[tokio::test(flavor = "multi_thread")]
async fn others_leave_room_to_the_owner() {
    let server = PodServer::start_with(json!({ "store": { "quota_bytes_max": 200_000 } })).await;
    let owner = server.agent("alice").await;
    let (alice, bob) = (owner.client(), server.agent("bob").await.client());
    let everyone = "@prefix acl: <http://www.w3.org/ns/auth/acl#>.
        <#all> a acl:Authorization; acl:agentClass <http://xmlns.com/foaf/0.1/Agent>; acl:mode acl:Append;
            acl:accessTo <./>; acl:default <./>.
        <#owner> a acl:Authorization; acl:agent <OWNER>; acl:mode acl:Read, acl:Write, acl:Control;
            acl:accessTo <./>; acl:default <./>.";
    let list = everyone.replace("OWNER", &owner.web_id);
    assert!(alice.put("/alice/inbox/", "text/turtle", "").await.status.is_success());
    assert!(
        alice
            .put("/alice/inbox/.acl", "text/turtle", list)
            .await
            .status
            .is_success()
    );
    for client in [&server.client(), &bob] {
        let mut taken = 0;
        while post(client, 10_000).await == 201 {
            taken += 1;
            assert!(taken <= 16, "others may fill the storage");
        }
    }
    assert_eq!(post(&bob, 20_000).await, 507);
    assert_eq!(
        alice.put("/alice/own", "text/plain", "x".repeat(30_000)).await.status,
        201
    );
    assert_eq!(post(&bob, 1).await, 507);
    // What makes it smaller is taken from everyone who may write it.
    assert_eq!(alice.delete("/alice/own").await.status, 205);
    server.stop().await;
}

/// Requirements solid 62: resources without content take room too.
#[tokio::test(flavor = "multi_thread")]
async fn empty_resources_fill_a_storage() {
    let server = PodServer::start_with(json!({ "store": { "quota_bytes_max": 30_000 } })).await;
    let alice = server.agent("alice").await.client();
    let mut made = 0;
    while alice.put(&format!("/alice/e/{made}"), "text/plain", "").await.status == 201 {
        made += 1;
        assert!(made <= 60, "empty resources are without limit");
    }
    assert!(made > 10, "{made}");
    assert_eq!(alice.put("/alice/x", "text/plain", "").await.status, 507);
    assert_eq!(alice.delete("/alice/e/0").await.status, 205);
    assert_eq!(alice.put("/alice/x", "text/plain", "").await.status, 201);
    server.stop().await;
}
