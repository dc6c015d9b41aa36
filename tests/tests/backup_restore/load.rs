//! Backups while many write, with the server and the backup killed.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::StatusCode;
use meent_tests::pod::{Client, PodFolder};
use parking_lot::Mutex;

use super::{lose_store, newest, text};

/// Writers at one time, each with documents of its own.
const WRITERS: usize = 8;

/// Documents of each writer.
const DOCUMENTS: usize = 6;

/// What a writer knows of each document: the last version that was acknowledged, and the last that was tried.
type Known = Arc<Mutex<BTreeMap<String, (u64, u64)>>>;

/// Writes version after version until it is told to stop or the server is gone.
async fn write(client: Client, writer: usize, known: Known, stop: Arc<AtomicBool>) {
    for version in 1_u64.. {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let path = format!("/gent/load/{writer}/{}.txt", version as usize % DOCUMENTS);
        known.lock().entry(path.clone()).or_default().1 = version;
        let size = if version % 5 == 0 { 80_000 } else { 20 };
        let body = format!("{version} {}", "x".repeat(size));
        match client
            .request("PUT", &path)
            .content("text/plain", body)
            .try_send()
            .await
        {
            Some(reply) if reply.status.is_success() => {
                known.lock().entry(path).or_default().0 = version;
            }
            Some(reply) => panic!("{path}: {}", reply.status),
            None => return,
        }
    }
}

/// Reliability D19: each backup holds at least what was acknowledged before it began, whole, whatever is killed.
#[tokio::test(flavor = "multi_thread")]
async fn a_backup_under_load_is_whole() {
    let folder = PodFolder::new("");
    let owner = folder.account("gent").client();
    let backups = folder.path("backups");
    for round in 0..3 {
        let server = folder.serve();
        let (known, stop) = (Known::default(), Arc::new(AtomicBool::new(false)));
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| tokio::spawn(write(owner.clone(), writer, Arc::clone(&known), Arc::clone(&stop))))
            .collect();
        while known
            .lock()
            .values()
            .filter(|(acknowledged, _)| *acknowledged > 0)
            .count()
            < WRITERS * DOCUMENTS
        {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        // A backup that is killed leaves nothing that looks like one.
        let mut cut = folder.command(&["backup", "--into", text(&backups)]);
        let mut cut = cut.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        tokio::time::sleep(Duration::from_millis(15 + 10 * round)).await;
        cut.kill().unwrap();
        cut.wait().unwrap();

        let acknowledged = known.lock().clone();
        let (again, into) = (folder.clone(), backups.clone());
        let said = tokio::task::spawn_blocking(move || again.succeed(&["backup", "--into", text(&into)]))
            .await
            .unwrap();
        assert!(said.contains("at commit"), "{said}");
        server.kill();
        stop.store(true, Ordering::Relaxed);
        for writer in writers {
            writer.await.unwrap();
        }
        let tried = known.lock().clone();

        let lost = lose_store(&folder);
        let journal = lost.join("revocations.journal");
        folder.succeed(&["restore", text(&backups), "--journal", text(&journal)]);
        let server = folder.serve();
        for (path, (at_least, _)) in &acknowledged {
            let reply = owner.get(path).await;
            assert_eq!(reply.status, StatusCode::OK, "{path} in round {round}");
            let body = reply.text();
            let (version, rest) = body.split_once(' ').unwrap();
            let version: u64 = version.parse().unwrap();
            assert!(
                version >= *at_least && version <= tried[path].1,
                "{path}: {version} of {at_least}"
            );
            assert_eq!(
                rest.len(),
                if version.is_multiple_of(5) { 80_000 } else { 20 },
                "{path}"
            );
        }
        let write = owner
            .put("/gent/after", "text/plain", "the restored server takes writes")
            .await;
        assert!(write.status.is_success());
        assert!(server.stop().success());
        folder.succeed(&["backup", "--check", text(&newest(&backups))]);
    }
}
