//! Old records are deleted by class, and whoever leaves is forgotten; the log says so, and all proofs go on to verify.

use std::path::Path;

use meent_tests::console::{Resident, quick_settings};
use meent_tests::pod::Client;
use meent_tests::pod::sparql::ask;
use pod_server::audit::ERASURE;
use pod_server::identity::leaving;
use pod_server::log::own::LogExport;
use pod_server::log::replay;
use pod_server::log::retention::{LogDays, purge};
use pod_server::log::verify::{self, LogFault};
use policies::audit::AuditAction;
use rusqlite::Connection;
use serde_json::json;
use server_kit::audit_log::VerifierKey;
use server_kit::clock::{Clock, SystemClock};
use time::Duration;

use super::scene::{ALL, RESEARCH, Scene, TURTLE, scene};

async fn key(scene: &Scene) -> VerifierKey {
    VerifierKey::parse(&scene.server.client().get("/log/vkey").await.text()).unwrap()
}

async fn log(client: &Client, path: &str) -> LogExport {
    let page = client.get(&format!("{path}?limit=500")).await;
    assert_eq!(page.status, 200, "{}", page.text());
    serde_json::from_slice(&page.body).unwrap()
}

fn has(log: &LogExport, action: AuditAction) -> bool {
    log.entries.iter().any(|entry| entry.sealed.record.action == action)
}

/// Records of reading are deleted after their time, those of consents and agreements stay; the owner sees that, the verifier
/// takes gaps that the log names and no others. Requirement AUD-11.
#[tokio::test(flavor = "multi_thread")]
async fn old_records_go_by_class_and_leave_marked_gaps() {
    let scene = scene(2, json!({})).await;
    let (_, company) = scene.agree("snelheid", "").await;
    let owner = scene.citizens[0].client();
    for _ in 0..3 {
        assert_eq!(owner.get("/burger1/telraam/d").await.status, 200);
        assert_eq!(
            ask(&company, "/sparql", ALL, &[("purpose", RESEARCH)]).await.status,
            200
        );
    }
    let key = key(&scene).await;
    let before = log(&owner, "/burger1/.log").await;
    assert!(has(&before, AuditAction::Read) && has(&before, AuditAction::Query) && has(&before, AuditAction::Consent));
    let directory = scene.server.directory().to_owned();
    assert_eq!(
        verify::store(&directory, &key, Some(&before.checkpoint))
            .unwrap()
            .purged,
        0
    );

    let node = &scene.server.app.dataspace.log.node;
    let days = LogDays {
        r#use: Some(30),
        ..LogDays::default()
    };
    let now = SystemClock.now();
    assert_eq!(purge(node, &days, now + Duration::days(29)).await.unwrap(), 0);
    let purged = purge(node, &days, now + Duration::days(31)).await.unwrap();
    assert!(purged >= 6, "{purged}");
    let after = log(&owner, "/burger1/.log").await;
    assert!(!has(&after, AuditAction::Read) && !has(&after, AuditAction::Query));
    assert!(has(&after, AuditAction::Consent) && has(&after, AuditAction::Create));
    let marker = after
        .entries
        .iter()
        .find(|entry| entry.sealed.record.action == AuditAction::Purge)
        .unwrap();
    let told = marker.sealed.record.purged.as_ref().unwrap();
    assert_eq!(told.rule, "use");
    let gone = |export: &LogExport, leaf: u64| export.entries.iter().all(|entry| entry.leaf != leaf);
    for entry in before.entries.iter().filter(|entry| told.covers(entry.leaf)) {
        assert!(gone(&after, entry.leaf));
    }
    // What somebody kept of the log proves as before, the new state contains the old one, and nothing differs on replay.
    verify::export(&before, Some(&key), None).unwrap();
    let proved = verify::store(&directory, &key, Some(&before.checkpoint)).unwrap();
    assert_eq!(proved.purged, purged);
    let replayed = replay::store(&directory, 0, u64::MAX).unwrap();
    assert_eq!((replayed.told.as_slice(), replayed.gone), ([].as_slice(), purged));
    // What is used again is kept again.
    assert_eq!(
        ask(&company, "/sparql", ALL, &[("purpose", RESEARCH)]).await.status,
        200
    );
    assert_eq!(owner.get("/burger1/telraam/d").await.status, 200);
    assert_eq!(replay::store(&directory, 0, u64::MAX).unwrap().told, []);
    unmarked(&directory, &key, marker.leaf);
    scene.server.stop().await;
}

/// Records that are gone without a word, or whose marker is gone, are found.
fn unmarked(directory: &Path, key: &VerifierKey, marker: u64) {
    let copy = tempfile::tempdir().unwrap();
    let file = copy.path().join("store.sqlite");
    let source = Connection::open(directory.join("store.sqlite")).unwrap();
    let tampered = |change: &str| {
        let _ = std::fs::remove_file(&file);
        source.execute("VACUUM INTO ?1", [file.to_str().unwrap()]).unwrap();
        Connection::open(&file).unwrap().execute_batch(change).unwrap();
        verify::store(copy.path(), key, None)
    };
    assert!(tampered("").is_ok());
    let first = tampered("DELETE FROM audit_records WHERE leaf = 0");
    assert!(matches!(first, Err(LogFault::Unmarked { leaf: 0 })), "{first:?}");
    let without = tampered(&format!("DELETE FROM audit_records WHERE leaf = {marker}"));
    assert!(matches!(without, Err(LogFault::Unmarked { .. })), "{without:?}");
    let wider = tampered(&format!(
        "DELETE FROM audit_records WHERE leaf = 0; UPDATE audit_records SET record = CAST(replace(CAST(record AS TEXT), \
         '\"leaves\":[[', '\"leaves\":[[0,0],[') AS BLOB) WHERE leaf = {marker}"
    ));
    assert!(matches!(wider, Err(LogFault::Record { .. })), "{wider:?}");
}

/// Every file below a directory, in one.
fn bytes_below(directory: &Path) -> Vec<u8> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => all.extend(bytes_below(&path)),
            false => all.extend(std::fs::read(path).unwrap()),
        }
    }
    all
}

fn holds(all: &[u8], text: &str) -> bool {
    memchr::memmem::find(all, text.as_bytes()).is_some()
}

/// Who leaves is gone from the log: records that only they could see, what decisions about them rested on, and their salts.
/// The leaves stay, everyone else proves their part as before, and what others have a right to keep is what is listed here:
/// the queries under the city's agreement, without a trace of whose data was among it. Requirements CON-21, AUD-6; reliability T113.
#[tokio::test(flavor = "multi_thread")]
async fn who_leaves_is_gone_from_the_log() {
    let scene = scene(2, quick_settings()).await;
    let mut anna = Resident::arrive(&scene.server, "anna").await.unwrap();
    let client = anna.agent.client();
    let put = client.put("/anna/telraam/d", TURTLE, "<#it> <urn:speed> 7 .").await;
    assert!(put.status.is_success());
    let consent = json!({
        "recipients": [scene.company.web_id], "purposes": [RESEARCH], "data": { "containers": ["telraam/"] },
        "notice": { "language": "nl", "text": "Mag dit?" },
    });
    let given = client
        .request("POST", "/anna/.consent/")
        .content("application/json", consent.to_string());
    assert_eq!(given.send().await.status, 201);
    let (_, company) = scene.agree("snelheid", "").await;
    for _ in 0..3 {
        assert_eq!(
            ask(&company, "/sparql", ALL, &[("purpose", RESEARCH)]).await.status,
            200
        );
        assert_eq!(client.get("/anna/telraam/d").await.status, 200);
    }
    assert_eq!(scene.company.client().get("/anna/telraam/d").await.status, 403);
    let key = key(&scene).await;
    let hers = log(&client, "/anna/.log").await;
    let concerned = hers.entries.iter().filter(|entry| entry.subject.is_some()).count();
    assert!(concerned >= 3, "{concerned}");

    anna.visitor.open("/account/leave").await.unwrap();
    let left = anna
        .visitor
        .submit("/account/leave", &[("name", "anna")])
        .await
        .unwrap();
    assert_eq!(left.status.as_u16(), 303, "{}", left.body);
    let app = &scene.server.app;
    let late = app.clock.unix() + 31 * 86_400;
    while leaving::sweep(app.store.as_ref(), &app.origins, late).await.unwrap() > 0 {}

    // The neighbour proves what concerns them, also of queries in which the one who left was concerned.
    let neighbour = scene.citizens[1].client();
    let theirs = log(&neighbour, "/burger2/.log").await;
    verify::export(&theirs, Some(&key), None).unwrap();
    let queries = theirs
        .entries
        .iter()
        .filter(|entry| entry.sealed.record.action == AuditAction::Query);
    let proven: Vec<_> = queries.collect();
    assert_eq!(proven.len(), 3);
    assert!(
        proven
            .iter()
            .all(|entry| entry.subject.is_some() && entry.sealed.record.subjects == 3)
    );
    let directory = scene.server.directory().to_owned();
    let proved = verify::store(&directory, &key, Some(&hers.checkpoint)).unwrap();
    assert!(proved.purged > 5);
    assert_eq!(replay::store(&directory, 0, u64::MAX).unwrap().told, []);
    // The proofs that she took with her hold.
    verify::export(&hers, Some(&key), None).unwrap();

    // The retained minimum: what the others see, by kind. Nothing in it names her.
    let store = Connection::open(directory.join("store.sqlite")).unwrap();
    let mut statement = store.prepare("SELECT leaf, record FROM audit_records").unwrap();
    let rows: Vec<(u64, Vec<u8>)> = statement
        .query_map([], |row| Ok((row.get::<_, i64>(0)?.unsigned_abs(), row.get(1)?)))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let kept = |leaf: u64| rows.iter().any(|(position, _)| *position == leaf);
    let listed: Vec<AuditAction> = hers
        .entries
        .iter()
        .filter(|entry| kept(entry.leaf))
        .map(|entry| entry.sealed.record.action)
        .collect();
    assert_eq!(listed, [AuditAction::Query; 3]);
    assert!(rows.iter().all(|(_, record)| !holds(record, "anna")));
    let told = rows
        .iter()
        .any(|(_, record)| holds(record, &format!("\"rule\":\"{ERASURE}\"")));
    assert!(told, "the gap is marked");
    drop(statement);
    drop(store);
    // A clean end empties the log of the database.
    let server = scene.server.restart().await;
    // No file of the store holds the salts or the records that were hers alone.
    let all = bytes_below(&directory);
    for entry in hers.entries.iter().filter(|entry| !kept(entry.leaf)) {
        assert!(
            !holds(&all, &entry.sealed.salt),
            "the salt of leaf {} is still there",
            entry.leaf
        );
        assert!(
            !holds(&all, &entry.sealed.record.id),
            "the record of leaf {} is still there",
            entry.leaf
        );
    }
    server.stop().await;
}
