//! A clock that is put back stops the log, and with it whatever has to be recorded.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use pod_server::audit::AuditWriter;
use pod_server::origins::Origins;
use pod_server::store::{SqliteStore, Store, StoreConfig, StoreError};
use policies::audit::{AuditAction, Outcome};
use server_kit::clock::Clock;
use server_kit::random::SystemRandom;
use time::OffsetDateTime;

/// A clock that somebody sets.
struct Set(AtomicI64);

impl Clock for Set {
    fn now(&self) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(self.0.load(Ordering::Relaxed)).unwrap()
    }
}

/// Seconds back are tolerated, more is not, also by a server that was started anew; once the clock has caught up the log goes on.
/// Reliability T114.
#[tokio::test(flavor = "multi_thread")]
async fn t114_a_clock_that_goes_back_stops_the_log() {
    let directory = tempfile::tempdir().unwrap();
    let clock = Arc::new(Set(AtomicI64::new(1_800_000_000)));
    let open = || {
        let store: Arc<dyn Store> =
            Arc::new(SqliteStore::open(StoreConfig::new(directory.path()), Arc::clone(&clock) as _).unwrap());
        let origins = Origins::new("https://pod.example/");
        AuditWriter::new(origins, store, Arc::new(SystemRandom), Arc::clone(&clock) as _)
    };
    let append = async |writer: &AuditWriter, at: i64| {
        clock.0.store(1_800_000_000 + at, Ordering::Relaxed);
        let record = writer.blank(AuditAction::Read, Outcome::Permit);
        match writer.entry_without_subjects(record, &[]) {
            Ok(entry) => writer.append(entry).await.map(Some),
            Err(StoreError::Busy(_)) => Ok(None),
            Err(error) => Err(error),
        }
        .unwrap()
    };
    let writer = open();
    for (at, leaf) in [
        (0, Some(0)),
        (100, Some(1)),
        (96, Some(2)),
        (94, None),
        (-3_600, None),
        (95, Some(3)),
    ] {
        assert_eq!(append(&writer, at).await, leaf, "{at}");
    }
    drop(writer);
    let writer = open();
    for (at, leaf) in [(80, None), (90, Some(4)), (101, Some(5)), (90, None)] {
        assert_eq!(append(&writer, at).await, leaf, "{at} after a restart");
    }
    drop(writer);
    let patient = open().with_clock_back(3_600);
    assert_eq!(append(&patient, -100).await, Some(6), "the operator knows why");
}
