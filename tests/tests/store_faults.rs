//! The store under bad conditions: a second process, another format, a full disk, rotten bits, left-over files, slow
//! followers (D5, D8, D9, D28; ARCHITECTURE invariants 4 and 10).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use bytes::Bytes;
use pod_server::name::ResourceName;
use pod_server::store::{
    Body, CommitError, CommitListener, ErasedWork, Event, NewBody, NewState, ReadPermit, RecordKind, ResourceKind,
    Sequence, Snapshot, SqliteStore, Store, StoreConfig, StoreError, Transaction, Warrant, commit_blocking,
};
use server_kit::clock::SystemClock;

fn config(directory: &Path) -> StoreConfig {
    StoreConfig {
        inline_bytes_max: 4_096,
        reserve_bytes: 256 << 10,
        // None at all would let a round of the sweep fall between an upload and its commit.
        blob_grace_seconds: 1,
        ..StoreConfig::new(directory)
    }
}

fn try_open(directory: &Path) -> Result<SqliteStore, StoreError> {
    SqliteStore::open(config(directory), Arc::new(SystemClock))
}

fn open(directory: &Path) -> SqliteStore {
    let store = try_open(directory).unwrap();
    if store
        .snapshot(permit())
        .unwrap()
        .storage(&name("/a/"))
        .unwrap()
        .is_none()
    {
        write(&store, |inside| {
            Ok(inside.create_storage(&name("/a/"), "https://owner.example/#me")?)
        })
        .unwrap();
    }
    store
}

fn permit() -> ReadPermit {
    ReadPermit::without_proof("test")
}

fn name(path: &str) -> ResourceName {
    ResourceName::parse(path).unwrap()
}

fn write<T: Send + 'static>(
    store: &dyn Store,
    work: impl FnOnce(&mut dyn Transaction) -> Result<T, CommitError<()>> + Send + 'static,
) -> Result<T, StoreError> {
    match commit_blocking(store, Warrant::without_proof("test"), Box::new(work)) {
        Ok((value, _)) => Ok(value),
        Err(CommitError::Store(error)) => Err(error),
        Err(CommitError::Refused(())) => panic!("refused"),
    }
}

fn state(body: NewBody) -> NewState {
    NewState {
        kind: ResourceKind::NonRdfSource,
        media_type: "application/octet-stream".into(),
        body,
    }
}

fn put(store: &dyn Store, path: &str, bytes: &[u8]) -> Result<(), StoreError> {
    let (name, bytes) = (name(path), Bytes::copy_from_slice(bytes));
    write(
        store,
        move |inside| Ok(inside.put(&name, state(NewBody::Bytes(bytes)))?),
    )
    .map(|_| ())
}

fn put_blob(store: &dyn Store, path: &str, bytes: &[u8]) -> Result<(), StoreError> {
    let mut blob = store.blob()?;
    for chunk in bytes.chunks(64 << 10) {
        blob.write(chunk)?;
    }
    let body = blob.finish()?;
    let name = name(path);
    write(store, move |inside| Ok(inside.put(&name, state(body))?)).map(|_| ())
}

fn remove(store: &dyn Store, path: &str) -> Result<bool, StoreError> {
    let name = name(path);
    write(store, move |inside| Ok(inside.remove(&name)?))
}

fn read(store: &dyn Store, path: &str) -> Result<Option<Vec<u8>>, StoreError> {
    Ok(match store.latest(permit(), &name(path))?.map(|latest| latest.body) {
        None => None,
        Some(Body::Bytes(bytes)) => Some(bytes.to_vec()),
        Some(Body::File { path, .. }) => Some(std::fs::read(path)?),
    })
}

fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    std::iter::repeat_with(|| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    })
    .take(length)
    .collect()
}

fn files_below(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_below(&path))
        } else {
            found.push(path)
        }
    }
    found
}

fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < Duration::from_secs(20), "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_second_opener_is_refused_and_told_by_whom_d28() {
    let directory = tempfile::tempdir().unwrap();
    let first = open(directory.path());
    let refused = try_open(directory.path()).err().expect("refused");
    assert!(matches!(&refused, StoreError::Locked { .. }), "{refused:?}");
    let words = refused.to_string();
    assert!(words.contains(&format!("process {}", std::process::id())), "{words}");
    drop(first);
    // A lock file that a killed process left is no obstacle.
    assert!(directory.path().join("lock").exists());
    open(directory.path());
}

#[test]
fn another_format_or_program_is_refused_and_left_alone_d21() {
    for (pragma, expected) in [
        ("user_version = 99", "format 99"),
        ("application_id = 1", "another program"),
    ] {
        let directory = tempfile::tempdir().unwrap();
        drop(open(directory.path()));
        let database = directory.path().join("store.sqlite");
        rusqlite::Connection::open(&database)
            .unwrap()
            .execute_batch(&format!("PRAGMA {pragma}"))
            .unwrap();
        let before = std::fs::read(&database).unwrap();
        let refused = try_open(directory.path()).err().expect("refused");
        assert!(refused.to_string().contains(expected), "{refused}");
        assert!(
            before == std::fs::read(&database).unwrap(),
            "the refused database was changed"
        );
    }
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("store.sqlite"), noise(8_192, 1)).unwrap();
    assert!(try_open(directory.path()).is_err(), "noise was opened as a store");
}

#[test]
fn what_an_interrupted_process_left_is_cleared_at_the_start() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    put_blob(&store, "/a/kept", &noise(50_000, 1)).unwrap();
    drop(store);
    let blobs = directory.path().join("blobs");
    std::fs::create_dir_all(blobs.join("00")).unwrap();
    std::fs::write(blobs.join("00").join("00".repeat(32)), b"uploaded, never committed").unwrap();
    std::fs::write(blobs.join("00").join("strange"), b"?").unwrap();
    std::fs::write(directory.path().join("incoming").join("7"), b"half an upl").unwrap();
    let store = open(directory.path());
    assert_eq!(files_below(&blobs).len(), 1);
    assert_eq!(files_below(&directory.path().join("incoming")).len(), 0);
    assert_eq!(read(&store, "/a/kept").unwrap().unwrap(), noise(50_000, 1));
}

#[test]
fn unused_blobs_go_away_while_the_store_runs_and_used_ones_stay() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let (shared, own) = (noise(20_000, 1), noise(20_000, 2));
    for (path, bytes) in [("/a/1", &shared), ("/a/2", &shared), ("/a/3", &own)] {
        put_blob(&store, path, bytes).unwrap();
    }
    let mut refused = store.blob().unwrap();
    refused.write(&noise(20_000, 3)).unwrap();
    refused.finish().unwrap();
    remove(&store, "/a/1").unwrap();
    put(&store, "/a/3", b"small now").unwrap();
    let blobs = directory.path().join("blobs");
    wait_until("the unused blobs to go", || files_below(&blobs).len() == 1);
    assert_eq!(read(&store, "/a/2").unwrap().unwrap(), shared);
    // The same bytes come back after their blob was given up.
    put_blob(&store, "/a/3", &own).unwrap();
    std::thread::sleep(Duration::from_millis(2_500));
    assert_eq!(read(&store, "/a/3").unwrap().unwrap(), own);
    assert_eq!(store.check(permit()).unwrap().faults, Vec::<String>::new());
}

#[test]
fn rotten_bits_are_named_and_the_rest_is_served_d9() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    for index in 0..5_u64 {
        put(
            &store,
            &format!("/a/{index}"),
            format!("document number {index} {}", "x".repeat(2_000)).as_bytes(),
        )
        .unwrap();
        put_blob(&store, &format!("/a/blob{index}"), &noise(20_000, index)).unwrap();
    }
    drop(store);
    let database = directory.path().join("store.sqlite");
    let bytes = std::fs::read(&database).unwrap();
    let at = bytes
        .windows(17)
        .position(|window| window == b"document number 3")
        .unwrap()
        + 100;
    let file = std::fs::OpenOptions::new().write(true).open(&database).unwrap();
    file.write_all_at(b"y", at as u64).unwrap();
    let blob = files_below(&directory.path().join("blobs"))
        .into_iter()
        .find(|path| std::fs::read(path).unwrap() == noise(20_000, 2))
        .unwrap();
    std::fs::OpenOptions::new()
        .write(true)
        .open(blob)
        .unwrap()
        .write_all_at(b"!", 10_000)
        .unwrap();
    let store = open(directory.path());
    let error = read(&store, "/a/3").expect_err("rotten bytes were served").to_string();
    assert!(error.contains("/a/3"), "{error}");
    for index in [0, 1, 2, 4] {
        assert!(read(&store, &format!("/a/{index}")).unwrap().is_some());
    }
    let faults = store.check(permit()).unwrap().faults;
    assert_eq!(faults.len(), 2, "{faults:?}");
    assert!(faults.iter().any(|fault| fault.contains("`/a/3`")), "{faults:?}");
    assert!(faults.iter().any(|fault| fault.contains("blob")), "{faults:?}");
}

/// A file system of its own that is easily filled. Needs the rights to mount.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(mebibytes: u32) -> Option<Self> {
        let path = tempfile::tempdir().unwrap().keep();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={mebibytes}m"), "tmpfs"])
            .arg(&path)
            .status()
            .is_ok_and(|status| status.success());
        mounted.then_some(Self(path))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
        let _ = std::fs::remove_dir(&self.0);
    }
}

#[test]
fn a_full_disk_refuses_growth_and_nothing_else_d5() {
    let Some(disk) = SmallDisk::mount(24) else {
        println!("SKIPPED: the full disk, because a small file system cannot be mounted here (needs root)");
        return;
    };
    let directory = disk.0.join("store");
    let open = || {
        let config = StoreConfig {
            wal_bytes_wanted: 512 << 10,
            reserve_bytes: 2 << 20,
            ..config(&directory)
        };
        SqliteStore::open(config, Arc::new(SystemClock)).unwrap()
    };
    let store = open();
    write(&store, |inside| {
        Ok(inside.create_storage(&name("/a/"), "https://owner.example/#me")?)
    })
    .unwrap();
    put(&store, "/a/first", b"first").unwrap();
    let mut kept = Vec::new();
    let error = loop {
        let path = format!("/a/blob{}", kept.len());
        match put_blob(&store, &path, &noise(700_000, kept.len() as u64)) {
            Ok(()) => kept.push(path),
            Err(error) => break error,
        }
        assert!(kept.len() < 100, "the disk never got full");
    };
    assert!(matches!(error, StoreError::Full(_)), "{error:?}");
    // The rest is filled by small documents, until the database itself finds no room.
    let mut small = 0;
    let error = loop {
        match put(&store, &format!("/a/small{small}"), &noise(4_000, small)) {
            Ok(()) => small += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, StoreError::Full(_)), "{error:?}");
    assert!(!*store.stopped().borrow(), "a full disk is no broken disk");
    assert_eq!(
        files_below(&directory.join("incoming")).len(),
        0,
        "a broken upload left its file"
    );
    for (index, path) in kept.iter().enumerate() {
        assert_eq!(
            read(&store, path).unwrap().unwrap(),
            noise(700_000, index as u64),
            "{path}"
        );
    }
    // What must go on: records and audit entries, and deletion.
    write(&store, |inside| {
        Ok(inside.record_put(RecordKind::Consent, "a/1", b"withdrawn")?)
    })
    .expect("a withdrawal fits");
    // Far more entries than fit into the reserve if each kept its own part of the log.
    for number in 0..300_u32 {
        let withdrawn = write(&store, move |inside| {
            Ok(inside.record_put(RecordKind::Consent, "a/1", number.to_string().as_bytes())?)
        });
        withdrawn.expect("records fit on a full disk");
    }
    for path in &kept {
        assert!(remove(&store, path).expect("deletion works on a full disk"));
    }
    wait_until("room", || put_blob(&store, "/a/again", &noise(700_000, 1)).is_ok());
    assert_eq!(read(&store, "/a/first").unwrap().unwrap(), b"first");
    assert_eq!(store.check(permit()).unwrap().faults, Vec::<String>::new());
    drop(store);
    let store = open();
    assert_eq!(store.check(permit()).unwrap().faults, Vec::<String>::new());
    assert_eq!(read(&store, "/a/again").unwrap().unwrap(), noise(700_000, 1));
}

#[test]
fn too_many_views_are_refused_after_a_while_and_served_again_later() {
    let directory = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(
        StoreConfig {
            readers_max: 3,
            reader_wait_ms_max: 100,
            ..config(directory.path())
        },
        Arc::new(SystemClock),
    )
    .unwrap();
    let mut views: Vec<_> = (0..3).map(|_| store.snapshot(permit()).unwrap()).collect();
    let refused = store.snapshot(permit()).err().expect("refused");
    assert!(matches!(refused, StoreError::Busy(_)), "{refused:?}");
    views.pop();
    store.snapshot(permit()).unwrap();
}

#[test]
fn a_follower_that_comes_too_late_is_told_so() {
    let directory = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(
        StoreConfig {
            event_commits_max: 10,
            ..config(directory.path())
        },
        Arc::new(SystemClock),
    )
    .unwrap();
    // Events are forgotten in blocks, so that it takes some thousand commits; they share their syncs.
    let (sender, done) = channel();
    for number in 0..4_200 {
        let sender = sender.clone();
        store.enqueue(
            Warrant::without_proof("test"),
            ErasedWork {
                run: Box::new(move |inside| inside.record_put(RecordKind::Server, &number.to_string(), b"").is_ok()),
                done: Box::new(move |outcome| sender.send(outcome.is_ok()).unwrap()),
            },
        );
    }
    assert!((0..4_200).all(|_| done.recv().unwrap()));
    let view = store.snapshot(permit()).unwrap();
    let Err(StoreError::Forgotten { kept_after }) = view.events(Sequence(0), 10) else {
        panic!("old events are still there, or their absence is not told");
    };
    let kept = view.events(kept_after, usize::MAX).unwrap();
    assert_eq!(kept.first().unwrap().sequence.0, kept_after.0 + 1);
    assert_eq!(kept.last().unwrap().sequence.0, 4_200);
}

struct Faulty;

impl CommitListener for Faulty {
    fn committed(&self, _: &dyn Snapshot, _: &[Event]) {
        std::panic::resume_unwind(Box::new("a bug in a cache"));
    }
}

#[test]
fn a_store_whose_listener_failed_stops_and_refuses_further_writes() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let stopped = store.stopped();
    store.listen(Arc::new(Faulty));
    put(&store, "/a/x", b"durable all the same").unwrap();
    assert!(
        *stopped.borrow(),
        "a cache of rights may be out of date and the store goes on"
    );
    assert!(matches!(put(&store, "/a/y", b""), Err(StoreError::Stopped)));
    assert!(matches!(store.blob().err(), Some(StoreError::Stopped)));
    drop(store);
    assert_eq!(
        read(&open(directory.path()), "/a/x").unwrap().unwrap(),
        b"durable all the same"
    );
}

#[test]
fn what_was_queued_when_the_store_is_dropped_is_still_committed() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let (sender, done) = channel();
    for number in 0..300 {
        let (path, sender) = (name(&format!("/a/{number}")), sender.clone());
        store.enqueue(
            Warrant::without_proof("test"),
            ErasedWork {
                run: Box::new(move |inside| {
                    inside
                        .put(&path, state(NewBody::Bytes(Bytes::from_static(b"x"))))
                        .is_ok()
                }),
                done: Box::new(move |outcome| sender.send(outcome.is_ok()).unwrap()),
            },
        );
    }
    drop(store);
    assert!(
        (0..300).all(|_| done.try_recv().unwrap()),
        "the store was dropped before all were told"
    );
    let store = open(directory.path());
    assert_eq!(
        store.snapshot(permit()).unwrap().member_count(&name("/a/")).unwrap(),
        300
    );
}

#[test]
fn the_write_ahead_log_stays_short_under_constant_load() {
    let directory = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(
        StoreConfig {
            wal_bytes_wanted: 1 << 20,
            wal_bytes_max: 8 << 20,
            ..config(directory.path())
        },
        Arc::new(SystemClock),
    )
    .unwrap();
    let mut longest = 0;
    for round in 0..400_u32 {
        write(&store, move |inside| {
            for index in 0..40 {
                inside.record_put(
                    RecordKind::Server,
                    &format!("{round}/{index}"),
                    &noise(3_000, u64::from(round)),
                )?;
            }
            Ok(())
        })
        .unwrap();
        longest = longest.max(
            std::fs::metadata(directory.path().join("store.sqlite-wal"))
                .unwrap()
                .len(),
        );
    }
    assert!(longest < 10 << 20, "the log grew to {longest} bytes");
}
