//! What was allowed or refused is in the log, as it was, and for its owner alone.

use super::*;

/// T21: a reader was let in; before the use is recorded the owner shuts the door and then writes something private.
#[tokio::test(flavor = "multi_thread")]
async fn t21_a_read_is_not_recorded_as_permitted_under_rules_that_are_gone() {
    let server = PodServer::start().await;
    let (jan, bob) = (server.agent("jan").await, server.agent("bob").await);
    let owner = jan.client();
    put(&owner, "/jan/d.ttl", document("open")).await;
    put(
        &owner,
        "/jan/.acl",
        acl(&jan.web_id, &[(&agent(&bob.web_id), "acl:Read")]),
    )
    .await;
    let name = ResourceName::parse("/jan/d.ttl").unwrap();
    let caller = Caller {
        subject: Subject::authenticated(WebId::parse(bob.web_id.as_str()).unwrap()),
        ..Caller::default()
    };
    let wanted = Requirement {
        resource: name.clone(),
        modes: Modes::READ,
    };
    let verdict = server.app.pep.consider(&caller.subject, &[wanted]).await.unwrap();
    assert!(verdict.permitted);
    let used = caller.uses(UseKind::Read, &name);
    assert!(server.app.pep.authorize_read(&verdict, &used, ()).await.is_ok());
    put(&owner, "/jan/.acl", acl(&jan.web_id, &[])).await;
    assert!(server.app.pep.authorize_read(&verdict, &used, ()).await.is_err());
    server.stop().await;
}

/// Invariant 5 and AUD-15: every protected answer has a durable entry that the owner reads; nobody else reads the log.
#[tokio::test(flavor = "multi_thread")]
async fn inv_5_reads_queries_and_refusals_are_in_the_owners_log_and_nobody_elses() {
    let server = PodServer::start().await;
    let (jan, bob) = (server.agent("jan").await, server.agent("bob").await);
    let (owner, reader) = (jan.client(), bob.client());
    let stranger = server.agent("stranger").await.client();
    put(&owner, "/jan/d.ttl", document("telling")).await;
    put(
        &owner,
        "/jan/.acl",
        acl(&jan.web_id, &[(&agent(&bob.web_id), "acl:Read")]),
    )
    .await;
    let entries = |log: &Reply, action: &str, outcome: &str| {
        let json = log.json();
        let all = json["entries"].as_array().unwrap().clone();
        all.iter()
            .filter(|entry| entry["record"]["action"] == action && entry["record"]["outcome"] == outcome)
            .count()
    };
    let empty = owner.get("/jan/.log").await;
    let (reads, queries) = (entries(&empty, "read", "permit"), entries(&empty, "query", "permit"));
    assert_eq!(reader.get("/jan/d.ttl").await.status, 200);
    assert!(
        select(&reader, "/jan/sparql", EVERYTHING)
            .await
            .text()
            .contains("telling")
    );
    let log = owner.get("/jan/.log").await;
    assert_eq!(entries(&log, "read", "permit"), reads + 1, "{}", log.text());
    assert_eq!(entries(&log, "query", "permit"), queries + 1, "{}", log.text());
    assert!(log.text().contains(&bob.web_id));
    assert_eq!(stranger.get("/jan/d.ttl").await.status, 403);
    assert_eq!(stranger.delete("/jan/d.ttl").await.status, 403);
    let log = owner.get("/jan/.log").await;
    assert!(
        log.text().contains("stranger/profile/card#me"),
        "a refusal is recorded: {}",
        log.text()
    );
    for path in [
        "/jan/.log",
        "/jan/.log?leaf=0",
        "/jan/%2Elog",
        "/jan/.log.acl",
        "/jan/.log/",
    ] {
        for (who, client) in [("bob", &reader), ("stranger", &stranger), ("anyone", &server.client())] {
            let reply = client.get(path).await;
            assert!(reply.status.is_client_error(), "{who} {path}: {}", reply.status);
            assert!(!reply.text().contains("entries"), "{who} {path}: {}", reply.text());
        }
    }
    server.stop().await;
}
