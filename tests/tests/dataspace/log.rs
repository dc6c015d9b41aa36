//! The audit log: public tiles and checkpoints, proofs for each reader, and every kind of tampering detected and named
//! (AUD-3, AUD-6, AUD-7, AUD-15, T108-T110).

use meent_tests::pod::PodServer;
use pod_server::log::own::LogExport;
use pod_server::log::verify::{self, LogFault};
use rusqlite::Connection;
use serde_json::json;
use server_kit::audit_log::VerifierKey;

use super::post;

/// A server with more than 256 leaves, so that there is a whole tile, and its owner's agent.
async fn busy_server(leaves: usize) -> (PodServer, meent_tests::pod::Client) {
    let server = PodServer::start().await;
    let jan = server.agent("jan").await.client();
    let body = json!({
        "recipients": ["https://mobility.example/#us"], "purposes": ["https://w3id.org/meent/ns#MobilityPlanning"],
        "data": { "containers": ["telraam/"] }, "notice": { "language": "nl", "text": "Mag het?" },
    });
    assert_eq!(post(&jan, "/jan/.consent/", &body).await.status, 201);
    let mut made = 1;
    while made < leaves {
        let some = (leaves - made).min(32);
        futures_util::future::join_all((0..some).map(|_| jan.get("/jan/"))).await;
        made += some;
    }
    (server, jan)
}

async fn key(server: &PodServer) -> VerifierKey {
    VerifierKey::parse(&server.client().get("/log/vkey").await.text()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn everyone_can_follow_the_log_and_each_reader_prove_their_part() {
    let (server, jan) = busy_server(300).await;
    let key = key(&server).await;
    let note = server.client().get("/log/checkpoint").await.text();
    let checkpoint = key.verify(&note).unwrap();
    assert!(checkpoint.size >= 300);
    // The whole tile and the partial one lead to the signed root.
    let mut leaves = Vec::new();
    for name in [
        "tile/0/000".to_owned(),
        format!("tile/0/001.p/{}", checkpoint.size - 256),
    ] {
        let tile = server.client().get(&format!("/log/{name}")).await;
        assert_eq!(
            (tile.status.as_u16(), tile.header("content-type")),
            (200, "application/octet-stream"),
            "{name}"
        );
        assert!(tile.header("cache-control").contains("immutable"));
        leaves.extend(
            tile.body
                .chunks_exact(32)
                .map(|hash| <[u8; 32]>::try_from(hash).unwrap()),
        );
    }
    assert_eq!(policies::audit::merkle::root(&leaves), checkpoint.root);
    for missing in ["tile/0/009", "tile/0/001", "tile/1/000.p/2", "tile/0/0", "other"] {
        assert_eq!(
            server.client().get(&format!("/log/{missing}")).await.status,
            404,
            "{missing}"
        );
    }

    // Reading one's own log leaves a trace of its own; each entry stands in the log; the consent concerns its person.
    let stranger = server.agent("piet").await.client();
    assert_eq!(stranger.get("/jan/.log").await.status, 404);
    assert_eq!(server.client().get("/jan/.log").await.status, 401);
    let page = jan.get(&format!("/jan/.log?limit=400&from={}", checkpoint.size)).await;
    assert_eq!(page.status, 200, "{}", page.text());
    let export: LogExport = serde_json::from_slice(&page.body).unwrap();
    let newest = &export.entries[0].sealed.record;
    assert_eq!(newest.action, policies::audit::AuditAction::Audit, "AUD-15");
    assert_eq!(
        export.entries[1].sealed.record.outcome,
        policies::audit::Outcome::Deny,
        "the stranger's attempt is there"
    );
    let proved = verify::export(&export, Some(&key), Some(&note)).unwrap();
    assert_eq!(
        (proved.records, proved.contains),
        (export.entries.len() as u64, Some(checkpoint.size))
    );
    let consent = export.entries.iter().find(|entry| entry.subject.is_some()).unwrap();
    assert_eq!(
        consent.subject.as_ref().unwrap().person,
        format!("{}jan/", server.base_url)
    );
    assert_eq!(consent.sealed.record.subjects, 1);

    // A record, a position, a proof or a person that was changed does not verify.
    let tampered = |change: &dyn Fn(&mut LogExport)| {
        let mut copy = export.clone();
        copy.entries = vec![consent.clone()];
        change(&mut copy);
        verify::export(&copy, Some(&key), None)
    };
    assert!(tampered(&|_| {}).is_ok());
    assert!(matches!(
        tampered(&|copy| copy.entries[0].sealed.record.purpose = None),
        Err(LogFault::NotIncluded { .. })
    ));
    assert!(matches!(
        tampered(&|copy| copy.entries[0].leaf += 1),
        Err(LogFault::NotIncluded { .. })
    ));
    assert!(matches!(
        tampered(&|copy| {
            copy.entries[0].proof.pop();
        }),
        Err(LogFault::NotIncluded { .. })
    ));
    assert!(matches!(
        tampered(&|copy| copy.entries[0].subject.as_mut().unwrap().person.push('x')),
        Err(LogFault::NotConcerned { .. })
    ));
    assert!(matches!(
        tampered(&|copy| copy.checkpoint = copy.checkpoint.replacen('3', "4", 1)),
        Err(LogFault::Checkpoint(_))
    ));
    server.stop().await;
}

/// Each way of tampering with the database is found and called by its name.
#[tokio::test(flavor = "multi_thread")]
async fn tampering_with_the_store_is_named() {
    let (server, _) = busy_server(300).await;
    let key = key(&server).await;
    let earlier = server.client().get("/log/checkpoint").await.text();
    let signed = key.verify(&earlier).unwrap().size;
    let directory = tempfile::tempdir().unwrap();
    let copy = directory.path().join("store.sqlite");
    let original = server.directory().join("store.sqlite");
    let original_bytes = {
        let connection = Connection::open(&original).unwrap();
        connection.execute("VACUUM INTO ?1", [copy.to_str().unwrap()]).unwrap();
        std::fs::read(&copy).unwrap()
    };
    server.stop().await;
    let verified = |change: &dyn Fn(&Connection)| {
        std::fs::write(&copy, &original_bytes).unwrap();
        let connection = Connection::open(&copy).unwrap();
        change(&connection);
        drop(connection);
        verify::store(directory.path(), &key, Some(&earlier))
    };
    let run = |sql: &'static str| move |connection: &Connection| connection.execute_batch(sql).unwrap();

    let proved = verified(&|_| {}).unwrap();
    assert_eq!((proved.signed, proved.contains), (signed, Some(signed)));
    assert_eq!(proved.records, proved.leaves, "every leaf has its readable record");

    let flip = run("UPDATE audit_log_hash SET hash = zeroblob(32) WHERE level = 0 AND position = 17");
    assert!(
        matches!(verified(&flip), Err(LogFault::Flipped { leaf: 17 })),
        "{:?}",
        verified(&flip)
    );
    let rewrite = run(
        "UPDATE audit_records SET record = CAST(replace(CAST(record AS TEXT), '\"permit\"', '\"deny\"') AS BLOB) WHERE leaf = 40",
    );
    assert!(
        matches!(verified(&rewrite), Err(LogFault::Record { leaf: 40 })),
        "{:?}",
        verified(&rewrite)
    );
    let gap = run("DELETE FROM audit_log_hash WHERE level = 0 AND position = 23");
    assert!(
        matches!(verified(&gap), Err(LogFault::Dropped { leaf: 23 })),
        "{:?}",
        verified(&gap)
    );
    let dropped = run("DELETE FROM audit_log_hash WHERE level = 0 AND position = 23;
         UPDATE audit_log_hash SET position = -position WHERE level = 0 AND position > 23;
         UPDATE audit_log_hash SET position = -position - 1 WHERE level = 0 AND position < 0;");
    assert!(
        matches!(verified(&dropped), Err(LogFault::Dropped { leaf: 23 })),
        "{:?}",
        verified(&dropped)
    );
    let reordered = run(
        "UPDATE audit_log_hash SET position = -1 WHERE level = 0 AND position = 5;
         UPDATE audit_log_hash SET position = 5 WHERE level = 0 AND position = 9;
         UPDATE audit_log_hash SET position = 9 WHERE level = 0 AND position = -1;",
    );
    assert!(
        matches!(verified(&reordered), Err(LogFault::Reordered { leaf: 5, other: 9 })),
        "{:?}",
        verified(&reordered)
    );
    let truncated = run("DELETE FROM audit_log_hash WHERE level = 0 AND position >= 280;
         DELETE FROM audit_records WHERE leaf >= 280;");
    assert!(
        matches!(verified(&truncated), Err(LogFault::Truncated { found: 280, .. })),
        "{:?}",
        verified(&truncated)
    );
    let both = run("DELETE FROM audit_records WHERE leaf = 12;
         UPDATE audit_log_hash SET hash = zeroblob(32) WHERE level = 0 AND position = 12;");
    assert!(
        matches!(verified(&both), Err(LogFault::Rewritten { near: Some(0), .. })),
        "{:?}",
        verified(&both)
    );
    let tile = run("UPDATE audit_log_hash SET hash = zeroblob(32) WHERE level = 1 AND position = 0");
    assert!(
        matches!(verified(&tile), Err(LogFault::Tile { level: 1, tile: 0 })),
        "{:?}",
        verified(&tile)
    );
    let resized = run(
        "UPDATE records SET value = CAST(replace(CAST(value AS TEXT), char(10), char(10) || '9') AS BLOB) WHERE key = 'log/checkpoint'",
    );
    assert!(
        matches!(verified(&resized), Err(LogFault::Checkpoint(_))),
        "{:?}",
        verified(&resized)
    );
}
