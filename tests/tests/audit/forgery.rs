//! Attacks on the stored log: every sampled byte, and a whole new history by whoever holds the key.

use std::path::Path;

use meent_tests::pod::PodFolder;
use pod_server::audit::Sealed;
use pod_server::log::verify::{self, LogFault};
use rusqlite::{Connection, params};
use server_kit::audit_log::{Checkpoint, LogKey, VerifierKey};
use server_kit::random::SystemRandom;

/// A stopped server with a log, its key, and the checkpoint that somebody kept.
async fn log_of(leaves: usize) -> (PodFolder, VerifierKey, String) {
    let folder = PodFolder::new("");
    let owner = folder.account("jan").client();
    let server = folder.serve();
    let key = VerifierKey::parse(&owner.get("/log/vkey").await.text()).unwrap();
    owner.put("/jan/doc", "text/plain", "doc").await;
    for _ in 0..leaves.div_ceil(20) {
        futures_util::future::join_all((0..20).map(|_| owner.get("/jan/doc"))).await;
    }
    let note = owner.get("/log/checkpoint").await.text();
    assert!(server.stop().success());
    (folder, key, note)
}

fn copy_of(folder: &PodFolder, to: &Path) -> Connection {
    let file = to.join("store.sqlite");
    let _ = std::fs::remove_file(&file);
    let source = Connection::open(folder.store().join("store.sqlite")).unwrap();
    source.execute("VACUUM INTO ?1", [file.to_str().unwrap()]).unwrap();
    Connection::open(&file).unwrap()
}

/// The leaf that a fault names.
fn named(fault: &LogFault) -> Option<u64> {
    match fault {
        LogFault::Flipped { leaf } | LogFault::Record { leaf } | LogFault::Unreadable { leaf, .. } => Some(*leaf),
        LogFault::Dropped { leaf } | LogFault::Reordered { leaf, .. } | LogFault::Unmarked { leaf } => Some(*leaf),
        LogFault::Rewritten { near, .. } => near.map(|tile| tile * 256),
        LogFault::Tile { tile, .. } => Some(*tile),
        _ => None,
    }
}

/// One bit of any byte of the log, in hashes and in readable records, is found and its place named; the server does not extend
/// such a log. Reliability T108; requirement AUD-3.
#[tokio::test(flavor = "multi_thread")]
async fn t108_no_bit_can_be_changed_unseen() {
    let (folder, key, note) = log_of(300).await;
    let work = tempfile::tempdir().unwrap();
    let database = copy_of(&folder, work.path());
    let rows = |sql: &str| -> Vec<(i64, Vec<u8>)> {
        let mut statement = database.prepare(sql).unwrap();
        let found = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        found.map(Result::unwrap).collect()
    };
    let hashes = rows("SELECT position, hash FROM audit_log_hash WHERE level = 0");
    let records = rows("SELECT leaf, record FROM audit_records");
    assert!(verify::database(&database, &key, Some(&note)).is_ok());
    let (set_hash, set_record) = (
        "UPDATE audit_log_hash SET hash = ?2 WHERE level = 0 AND position = ?1",
        "UPDATE audit_records SET record = ?2 WHERE leaf = ?1",
    );
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % below as u64).unwrap()
    };
    for sample in 0..240 {
        let (sql, all) = if sample % 3 == 0 {
            (set_hash, &hashes)
        } else {
            (set_record, &records)
        };
        let (leaf, bytes) = &all[next(all.len())];
        let mut changed = bytes.clone();
        let byte = next(changed.len());
        changed[byte] ^= 1 << next(8);
        database.execute(sql, params![leaf, changed]).unwrap();
        let fault = verify::database(&database, &key, Some(&note)).expect_err("a changed bit");
        let place = named(&fault);
        let near = matches!(fault, LogFault::Rewritten { .. }) && place.is_none();
        assert!(
            near || place == u64::try_from(*leaf).ok(),
            "leaf {leaf}, byte {byte}: {fault}"
        );
        database.execute(sql, params![leaf, bytes]).unwrap();
    }
    assert!(verify::database(&database, &key, Some(&note)).is_ok());
    // The server itself refuses to begin on a log that is not what it signed.
    let store = Connection::open(folder.store().join("store.sqlite")).unwrap();
    let (leaf, hash) = &hashes[7];
    let mut changed = hash.clone();
    changed[0] ^= 1;
    store.execute(set_hash, params![leaf, changed]).unwrap();
    store
        .execute(
            "UPDATE audit_log_hash SET hash = ?1 WHERE level = 1 AND position = 0",
            params![changed],
        )
        .unwrap();
    drop(store);
    let said = folder.refused(&["serve"]);
    assert!(said.contains("rewritten"), "{said}");
}

/// Whoever holds the key of the log can write another history that is whole in itself, and is found out by anyone who kept a
/// checkpoint of the true one. Reliability T110; requirements AUD-3, AUD-4.
#[tokio::test(flavor = "multi_thread")]
async fn t110_a_forged_history_contradicts_what_others_kept() {
    let (folder, key, note) = log_of(40).await;
    let work = tempfile::tempdir().unwrap();
    let database = copy_of(&folder, work.path());
    let size = key.verify(&note).unwrap().size;
    let bytes: Vec<u8> = database
        .query_row("SELECT record FROM audit_records WHERE leaf = 9", [], |row| row.get(0))
        .unwrap();
    let mut sealed = Sealed::from_bytes(&bytes).unwrap();
    sealed.record.agent = Some("https://scapegoat.example/#me".to_owned());
    let hash = sealed.leaf_hash(&sealed.subjects_root().unwrap()).unwrap();
    let all = |sql: &str| -> Vec<[u8; 32]> {
        let mut statement = database.prepare(sql).unwrap();
        let found = statement.query_map([], |row| row.get(0)).unwrap();
        found.map(Result::unwrap).collect()
    };
    database
        .execute(
            "UPDATE audit_records SET record = ?1 WHERE leaf = 9",
            [sealed.to_bytes().unwrap()],
        )
        .unwrap();
    database
        .execute(
            "UPDATE audit_log_hash SET hash = ?1 WHERE level = 0 AND position = 9",
            [hash],
        )
        .unwrap();
    let leaves = all("SELECT hash FROM audit_log_hash WHERE level = 0 ORDER BY position");
    let stolen = LogKey::load_or_generate(&folder.store().join("log.key"), key.name(), &SystemRandom).unwrap();
    let forged = stolen.sign(leaves.len() as u64, &policies::audit::merkle::root(&leaves));
    database
        .execute(
            "UPDATE records SET value = ?1 WHERE kind = 'server' AND key = 'log/checkpoint'",
            [forged.as_bytes()],
        )
        .unwrap();
    drop(database);
    let alone = verify::store(work.path(), &key, None).unwrap();
    assert_eq!(alone.signed, leaves.len() as u64, "by itself it is whole");
    let found = verify::store(work.path(), &key, Some(&note));
    assert!(
        matches!(found, Err(LogFault::Rewritten { signed, .. }) if signed == size),
        "{found:?}"
    );
    // Both notes are proof against the holder of the key.
    let both = [&note, &forged].map(|note| key.verify(note).unwrap());
    let grown: Vec<&Checkpoint> = both.iter().collect();
    assert!(
        grown[0].size <= grown[1].size
            && grown[0].root != policies::audit::merkle::root(&leaves[..usize::try_from(size).unwrap()])
    );
}

/// A new key for the log: both keys sign the tree as it was, whatever was signed before stays proven under the new key, and a
/// key that nobody handed over to proves nothing. Reliability T114.
#[tokio::test(flavor = "multi_thread")]
async fn t114_a_new_key_keeps_all_proofs() {
    let (folder, old, note) = log_of(40).await;
    let said = folder.succeed(&["log", "rotate-key"]);
    let new = VerifierKey::parse(said.trim().rsplit(' ').next().unwrap()).unwrap();
    assert_ne!(new.to_string(), old.to_string());
    folder.succeed(&["log", "rotate-key"]);
    let owner = folder.agent("jan").client();
    let server = folder.serve();
    let newest = VerifierKey::parse(&owner.get("/log/vkey").await.text()).unwrap();
    assert_eq!(owner.get("/jan/doc").await.status, 200);
    assert_eq!(owner.get("/log/handovers").await.json().as_array().unwrap().len(), 2);
    let page = owner.get("/jan/.log").await;
    let export: pod_server::log::own::LogExport = serde_json::from_slice(&page.body).unwrap();
    verify::export(&export, Some(&newest), None).unwrap();
    assert!(server.stop().success());
    let proved = verify::store(&folder.store(), &newest, Some(&note)).unwrap();
    assert_eq!(
        proved.contains,
        Some(old.verify(&note).unwrap().size),
        "the note of the first key counts"
    );
    std::fs::write(folder.path("earlier"), &note).unwrap();
    folder.succeed(&["log", "verify", "--checkpoint", "earlier"]);
    for stranger in [&old, &new] {
        let found = verify::store(&folder.store(), stranger, None);
        assert!(found.is_err(), "a key that was given up signs nothing any more");
    }
    // A handover that only one of the keys signed is none.
    let store = Connection::open(folder.store().join("store.sqlite")).unwrap();
    let sql = "UPDATE records SET value = CAST(replace(CAST(value AS TEXT), '\\u2014', 'x') AS BLOB) WHERE key = 'log/handovers'";
    store.execute(sql, []).unwrap();
    let cut = "UPDATE records SET value = CAST(replace(CAST(value AS TEXT), '\u{2014}', 'x') AS BLOB) WHERE key = 'log/handovers'";
    assert_eq!(store.execute(cut, []).unwrap(), 1);
    drop(store);
    let found = verify::store(&folder.store(), &newest, Some(&note));
    assert!(found.is_err(), "{found:?}");
}
