//! Bounds of the embedded store.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Where the store lies and every bound that it keeps. The defaults suit one server on two cores.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StoreConfig {
    /// Directory of the database, the blobs and the lock. Made if missing.
    pub directory: PathBuf,
    /// Largest body that lies in the database, in bytes; larger ones are files.
    pub inline_bytes_max: usize,
    /// Bytes that one storage may hold: its bodies, and 512 for each resource.
    pub quota_bytes_max: u64,
    /// Commits that may wait for the writer.
    pub queue_commits_max: usize,
    /// Commits that share one sync at most.
    pub group_commits_max: usize,
    /// Bytes of bodies, records and audit entries in one group after which it is closed.
    pub group_bytes_max: u64,
    /// How long a group stays open for commits that were as good as under way, in microseconds. It waits only while
    /// there is concurrency, only as long after the last group, and only until as many have come as in that.
    pub group_wait_micros_max: u64,
    /// How long a group that waits for more goes without any before it is closed, in microseconds.
    pub group_pause_micros_max: u64,
    /// How long anyone waits until the entry of a use is durable, in milliseconds; then nothing is handed out.
    pub use_wait_ms_max: u64,
    /// Views that may be open at once.
    pub readers_max: usize,
    /// Connections that stay open between views.
    pub readers_idle_max: usize,
    /// How long a new view waits for another one to end, in milliseconds.
    pub reader_wait_ms_max: u64,
    /// Memory for descriptions of resources, in bytes.
    pub resource_cache_bytes_max: u64,
    /// Memory for small bodies, in bytes.
    pub body_cache_bytes_max: u64,
    /// Page cache of the writer's connection, in bytes.
    pub writer_pages_bytes_max: u64,
    /// Page cache of each reader's connection, in bytes.
    pub reader_pages_bytes_max: u64,
    /// Length of the write-ahead log at which it is copied into the database in the background, in bytes.
    pub wal_bytes_wanted: u64,
    /// Length of the write-ahead log at which commits wait for that copy, in bytes.
    pub wal_bytes_max: u64,
    /// Events of this many latest commits are kept for followers.
    pub event_commits_max: u64,
    /// How long an unused blob stays, in seconds, for those who are about to open it.
    pub blob_grace_seconds: u64,
    /// Disk space held back so that deletions and audit entries still fit on a full disk, in bytes. It should take
    /// several times `wal_bytes_wanted`, because the log must be copied before it can be written anew.
    pub reserve_bytes: u64,
}

impl Default for StoreConfig {
    fn default() -> Self {
        const MIB: u64 = 1 << 20;
        Self {
            directory: PathBuf::from("data"),
            inline_bytes_max: 64 << 10,
            quota_bytes_max: 10 << 30,
            queue_commits_max: 1_024,
            group_commits_max: 512,
            group_bytes_max: 32 * MIB,
            group_wait_micros_max: 3_000,
            group_pause_micros_max: 1_000,
            use_wait_ms_max: 10_000,
            readers_max: 64,
            readers_idle_max: 16,
            reader_wait_ms_max: 5_000,
            resource_cache_bytes_max: 64 * MIB,
            body_cache_bytes_max: 128 * MIB,
            writer_pages_bytes_max: 64 * MIB,
            reader_pages_bytes_max: 4 * MIB,
            wal_bytes_wanted: 8 * MIB,
            wal_bytes_max: 256 * MIB,
            event_commits_max: 1_000_000,
            blob_grace_seconds: 60,
            reserve_bytes: 32 * MIB,
        }
    }
}

impl StoreConfig {
    /// The defaults in a directory.
    #[must_use]
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
            ..Self::default()
        }
    }
}
