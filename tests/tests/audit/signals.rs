//! Owners are told of unusual use, by an entry in their log and a letter that names nobody.

use meent_tests::pod::sparql::ask;
use meent_tests::pod::{Client, PodServer};
use pod_server::log::own::LogExport;
use policies::audit::{AuditAction, AuditRecord};
use serde_json::json;
use vocab::meent;

use super::scene::{RESEARCH, TURTLE, scene};

/// The signals in a log, oldest first.
async fn signals(owner: &Client, path: &str) -> Vec<AuditRecord> {
    let page = owner.get(&format!("{path}?limit=500")).await;
    let export: LogExport = serde_json::from_slice(&page.body).unwrap();
    let records = export.entries.into_iter().rev().map(|entry| entry.sealed.record);
    records.filter(|record| record.action == AuditAction::Signal).collect()
}

async fn told(owner: &Client, path: &str, signal: &str) -> AuditRecord {
    for _ in 0..200 {
        if let Some(found) = signals(owner, path)
            .await
            .into_iter()
            .find(|record| record.targets == [signal])
        {
            return found;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("the owner was never told of {signal}");
}

/// An inbox into which anyone may put letters, named by the owner's profile.
async fn inbox(server: &PodServer, name: &str, owner: &Client) {
    let web_id = format!("{}{name}/profile/card#me", server.base_url);
    let insert = format!(
        "@prefix solid: <http://www.w3.org/ns/solid/terms#> . _:p a solid:InsertDeletePatch ; \
         solid:inserts {{ <{web_id}> <http://www.w3.org/ns/ldp#inbox> <{}{name}/inbox/> }} .",
        server.base_url
    );
    let patched = owner.patch(&format!("/{name}/profile/card"), insert).await;
    assert!(patched.status.is_success(), "{}", patched.text());
    let acl = format!(
        "@prefix acl: <http://www.w3.org/ns/auth/acl#> . @prefix foaf: <http://xmlns.com/foaf/0.1/> .
         <#o> a acl:Authorization ; acl:agent <{web_id}> ; acl:accessTo <./> ; acl:default <./> ; acl:mode acl:Read, acl:Write, acl:Control .
         <#a> a acl:Authorization ; acl:agentClass foaf:Agent ; acl:accessTo <./> ; acl:mode acl:Append ."
    );
    assert!(
        owner
            .put(&format!("/{name}/inbox/"), TURTLE, "")
            .await
            .status
            .is_success()
    );
    assert!(
        owner
            .put(&format!("/{name}/inbox/.acl"), TURTLE, acl)
            .await
            .status
            .is_success()
    );
}

/// Repeated refusals, sudden volume and questions that look for the difference of groups are told once, without a name; a few
/// refusals are not. Requirement AUD-13.
#[tokio::test(flavor = "multi_thread")]
async fn owners_are_told_of_unusual_use() {
    let settings = json!({ "dataspace": {
        "signals": { "refusals": 4, "differencing": 3, "uses_min": 15 }, "letters": { "look_seconds": 1 },
    } });
    let scene = scene(3, settings).await;
    let owner = scene.citizens[0].client();
    inbox(&scene.server, "burger1", &owner).await;
    let stranger = scene.server.agent("vreemde").await.client();
    for path in ["/burger1/a", "/burger1/b"] {
        assert_eq!(stranger.get(path).await.status, 403);
    }
    assert_eq!(signals(&owner, "/burger1/.log").await, []);
    for number in 0..6 {
        assert_eq!(stranger.get(&format!("/burger1/{number}")).await.status, 403);
    }
    let refusals = told(&owner, "/burger1/.log", meent::REPEATED_REFUSALS).await;
    assert_eq!((refusals.agent, refusals.client), (None, None), "a signal names nobody");
    for _ in 0..20 {
        assert_eq!(owner.get("/burger1/telraam/d").await.status, 200);
    }
    told(&owner, "/burger1/.log", meent::SUDDEN_VOLUME).await;
    assert_eq!(signals(&owner, "/burger1/.log").await.len(), 2, "each is told once");

    let least = "odrl:duty [ odrl:action meent:aggregateOnly ; odrl:constraint [
        odrl:leftOperand meent:distinctDataSubjects ; odrl:operator odrl:gteq ; odrl:rightOperand 3 ] ] ;";
    let (_, company) = scene.agree("geteld", least).await;
    for _ in 0..4 {
        let row = ask(
            &company,
            "/sparql",
            "SELECT * { ?s <urn:speed> ?v }",
            &[("purpose", RESEARCH)],
        )
        .await;
        assert!(row.status.is_client_error(), "{}", row.text());
    }
    told(&scene.owner.client(), "/stad/.log", meent::DIFFERENCING_SUSPECTED).await;

    // The letter is in the inbox, and says no more than that.
    for _ in 0..200 {
        let listing = owner.get("/burger1/inbox/").await.text();
        let letters: Vec<String> = listing
            .split(['<', '>'])
            .filter(|part| part.contains('-') && !part.contains('#') && !part.contains(' '))
            .map(str::to_owned)
            .collect();
        for letter in &letters {
            let path = letter.rsplit('/').next().unwrap_or_default();
            let text = owner.get(&format!("/burger1/inbox/{path}")).await.text();
            if text.contains("RepeatedRefusals") {
                assert!(!text.contains("vreemde"), "{text}");
                scene.server.stop().await;
                return;
            }
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("no letter came");
}
