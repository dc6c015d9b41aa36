//! Recorded decisions made again from their records.

use meent_tests::pod::sparql::ask;
use meent_tests::pod::{Client, PodFolder, PodServer};
use pod_server::authz::AuthorizationSystem;
use pod_server::log::replay;
use rusqlite::Connection;
use serde_json::json;

use super::scene::{ALL, MARKETING, RESEARCH, TURTLE, scene};

fn rules(owner: &str, reader: &str) -> String {
    format!(
        "@prefix acl: <http://www.w3.org/ns/auth/acl#> .
         <#o> a acl:Authorization ; acl:agent <{owner}> ; acl:accessTo <./> ; acl:default <./> ; acl:mode acl:Read, acl:Write, acl:Control .
         <#r> a acl:Authorization ; {reader} ; acl:accessTo <./> ; acl:default <./> ; acl:mode acl:Read ."
    )
}

async fn put(client: &Client, path: &str, body: String) {
    let reply = client.put(path, TURTLE, body).await;
    assert!(reply.status.is_success(), "{path}: {}", reply.text());
}

/// Reads, writes and refusals under changing rules and a group, queries with and without an agreement: all come out as they
/// were recorded, also after the rules, the group and the agreement are gone. Requirement AUD-9; ODR-20.
#[tokio::test(flavor = "multi_thread")]
async fn every_recorded_decision_is_made_again() {
    let scene = scene(3, json!({})).await;
    let (agreement, company) = scene.agree("snelheid", "").await;
    let reader = scene.company.client();
    let owner = scene.citizens[0].client();
    let me = &scene.citizens[0].web_id;
    put(&owner, "/burger1/a/doc", "<#it> <urn:x> 1 .".to_owned()).await;
    assert_eq!(reader.get("/burger1/a/doc").await.status, 403);
    let agent = format!("acl:agent <{}>", scene.company.web_id);
    put(&owner, "/burger1/a/.acl", rules(me, &agent)).await;
    for _ in 0..3 {
        assert_eq!(reader.get("/burger1/a/doc").await.status, 200);
    }
    assert_eq!(reader.put("/burger1/a/doc", TURTLE, "").await.status, 403);
    assert_eq!(
        ask(&reader, "/burger1/sparql", "SELECT * { ?s <urn:x> ?v }", &[])
            .await
            .status,
        200
    );
    let group = format!(
        "<#g> a <http://www.w3.org/2006/vcard/ns#Group> ; <http://www.w3.org/2006/vcard/ns#hasMember> <{}> .",
        scene.company.web_id
    );
    put(&owner, "/burger1/friends", group).await;
    let members = format!("acl:agentGroup <{}burger1/friends#g>", scene.server.base_url);
    put(&owner, "/burger1/a/.acl", rules(me, &members)).await;
    assert_eq!(reader.get("/burger1/a/doc").await.status, 200);
    put(&owner, "/burger1/friends", String::new()).await;
    assert_eq!(reader.get("/burger1/a/doc").await.status, 403);

    assert_eq!(
        ask(&company, "/sparql", ALL, &[("purpose", RESEARCH)]).await.status,
        200
    );
    assert_eq!(
        ask(&company, "/sparql", ALL, &[("purpose", MARKETING)]).await.status,
        403
    );
    assert_eq!(ask(&company, "/sparql", ALL, &[]).await.status, 400);
    let ended = scene
        .owner
        .client()
        .request("POST", &format!("{agreement}/terminate"))
        .send()
        .await;
    assert!(ended.status.is_success());
    assert_eq!(
        ask(&company, "/sparql", ALL, &[("purpose", RESEARCH)]).await.status,
        403
    );
    let deleted = scene.owner.client().delete("/stad/.dataspace/datasets/snelheid").await;
    assert!(deleted.status.is_success(), "{}", deleted.text());
    assert!(owner.delete("/burger1/a/.acl").await.status.is_success());

    let directory = scene.server.directory().to_owned();
    let replayed = replay::store(&directory, 0, u64::MAX).unwrap();
    assert_eq!(replayed.told, [], "all decisions come out as they were recorded");
    assert!(replayed.same >= 20, "{replayed:?}");
    tampered(&directory);
    scene.server.stop().await;
}

/// What was changed is named, whatever it is: a record, a document that decisions rest on, or one that is gone.
fn tampered(directory: &std::path::Path) {
    let copy = tempfile::tempdir().unwrap();
    let file = copy.path().join("store.sqlite");
    let source = Connection::open(directory.join("store.sqlite")).unwrap();
    for (change, told) in [
        (
            "UPDATE audit_records SET record = CAST(replace(CAST(record AS TEXT), '\"deny\"', '\"permit\"') AS BLOB)
             WHERE leaf = (SELECT max(leaf) FROM audit_records WHERE CAST(record AS TEXT) LIKE '%\"deny\"%')",
            "not the one that the leaf commits to",
        ),
        (
            "UPDATE records SET value = CAST(replace(CAST(value AS TEXT), 'Read', 'Write') AS BLOB)
             WHERE kind = 'evidence' AND CAST(value AS TEXT) LIKE '%agentGroup%'",
            "was changed",
        ),
        (
            "DELETE FROM records WHERE kind = 'evidence' AND CAST(value AS TEXT) LIKE '%odrl%'",
            "is not kept any more",
        ),
    ] {
        let _ = std::fs::remove_file(&file);
        source.execute("VACUUM INTO ?1", [file.to_str().unwrap()]).unwrap();
        let changed = Connection::open(&file).unwrap().execute(change, []).unwrap();
        assert!(changed >= 1, "{change}");
        let replayed = replay::store(copy.path(), 0, u64::MAX).unwrap();
        assert!(replayed.differing >= 1, "{change}");
        assert!(
            replayed.told.iter().all(|one| one.how.contains(told)),
            "{:?}",
            replayed.told
        );
    }
}

/// Access control policies, with owners and creators among their facts, are replayed as well. Requirement AUD-9.
#[tokio::test(flavor = "multi_thread")]
async fn decisions_by_access_control_policies_are_made_again() {
    let server = PodServer::start().await;
    let jan = server.agent_under("jan", AuthorizationSystem::Acp).await.client();
    let bob = server.agent("bob").await.client();
    put(&jan, "/jan/doc", "<#it> <urn:x> 1 .".to_owned()).await;
    assert_eq!(jan.get("/jan/doc").await.status, 200);
    assert_eq!(bob.get("/jan/doc").await.status, 403);
    let replayed = replay::store(server.directory(), 0, u64::MAX).unwrap();
    assert_eq!(replayed.told, []);
    assert!(replayed.same >= 2, "{replayed:?}");
    server.stop().await;
}

/// The operator's command says how many decisions came out as recorded, and fails when one does not. Requirement AUD-9.
#[tokio::test(flavor = "multi_thread")]
async fn the_command_replays_a_range() {
    let folder = PodFolder::new("");
    let jan = folder.account("jan").client();
    let server = folder.serve();
    put(&jan, "/jan/doc", "<#it> <urn:x> 1 .".to_owned()).await;
    assert_eq!(jan.get("/jan/doc").await.status, 200);
    assert!(server.stop().success());
    let said = folder.succeed(&["log", "replay"]);
    assert!(said.contains("2 decisions come out as they were recorded"), "{said}");
    let said = folder.succeed(&["log", "replay", "--from", "1", "--before", "1"]);
    assert!(said.starts_with("0 decisions"), "{said}");
    let store = Connection::open(folder.store().join("store.sqlite")).unwrap();
    store
        .execute("DELETE FROM records WHERE kind = 'evidence'", [])
        .unwrap();
    drop(store);
    let said = folder.refused(&["log", "replay"]);
    assert!(said.contains("DIFFER"), "{said}");
}

/// A query over what several owners have: its record tells none of them what the others have, and is replayed all the same.
/// Requirement AUD-9, AUD-15.
#[tokio::test(flavor = "multi_thread")]
async fn owners_do_not_learn_of_each_other() {
    let server = PodServer::start().await;
    let reader = server.agent("bob").await;
    let mut owners = Vec::new();
    for name in ["jan", "ann"] {
        let agent = server.agent(name).await;
        let owner = agent.client();
        put(
            &owner,
            &format!("/{name}/secret-of-{name}/d"),
            "<#it> <urn:x> 1 .".to_owned(),
        )
        .await;
        let acl = rules(&agent.web_id, &format!("acl:agent <{}>", reader.web_id));
        put(&owner, &format!("/{name}/secret-of-{name}/.acl"), acl).await;
        owners.push(owner);
    }
    let reply = ask(&reader.client(), "/sparql", "SELECT * { ?s <urn:x> ?x }", &[]).await;
    assert_eq!(reply.json()["results"]["bindings"].as_array().unwrap().len(), 2);
    let log = owners[0].get("/jan/.log").await.text();
    assert!(log.contains("\"query\"") && !log.contains("secret-of-ann"), "{log}");
    let replayed = replay::store(server.directory(), 0, u64::MAX).unwrap();
    assert_eq!(replayed.told, []);
    let store = Connection::open(server.directory().join("store.sqlite")).unwrap();
    let apart = "SELECT count(*) FROM records WHERE kind = 'evidence' AND key LIKE '~apart/%'";
    let kept: i64 = store.query_row(apart, [], |row| row.get(0)).unwrap();
    assert_eq!(kept, 1);
    server.stop().await;
}
