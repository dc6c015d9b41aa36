//! Copies the write-ahead log back into the database, beside the commits rather than inside them.
//!
//! A background thread copies most of it; when it has caught up, the writer copies the little that came meanwhile, after
//! which the log starts again from its beginning and stays short.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;

use rusqlite::Connection;
use rusqlite::wal::CheckpointMode;

use super::config::StoreConfig;
use super::failure::{self, Meaning};
use super::health::Health;
use super::schema;
use crate::store::StoreError;

/// Bytes of a page of the database with its frame in the log.
const FRAME_BYTES: u64 = 4_096 + 24;

/// Watches the length of the log and starts copies.
pub(super) struct Checkpoints {
    /// Frames in the log after the last commit.
    frames: Arc<AtomicU64>,
    /// The background copy is done, the rest is short.
    caught_up: Arc<AtomicBool>,
    start: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
    frames_wanted: u64,
    frames_max: u64,
    health: Arc<Health>,
}

impl Checkpoints {
    /// Starts the background thread, and counts the frames that the writer's connection commits.
    pub(super) fn start(
        writer: &mut Connection,
        database: &Path,
        config: &StoreConfig,
        health: &Arc<Health>,
    ) -> Result<Self, StoreError> {
        let frames = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&frames);
        writer.wal_hook(Some(move |_: &mut rusqlite::hooks::Wal, count: i32| {
            counted.store(u64::try_from(count).unwrap_or(0), Ordering::Relaxed);
            Ok(())
        }))?;
        let connection = schema::open_checkpointer(database)?;
        let caught_up = Arc::new(AtomicBool::new(false));
        let (start, started) = sync_channel::<()>(1);
        let (done, judge) = (Arc::clone(&caught_up), Arc::clone(health));
        let thread = std::thread::Builder::new()
            .name("store-checkpoint".to_owned())
            .spawn(move || {
                while started.recv().is_ok() {
                    copy(&connection, CheckpointMode::PASSIVE, &judge);
                    done.store(true, Ordering::Release);
                }
            })?;
        Ok(Self {
            frames,
            caught_up,
            start: Some(start),
            thread: Some(thread),
            frames_wanted: config.wal_bytes_wanted / FRAME_BYTES,
            frames_max: config.wal_bytes_max / FRAME_BYTES,
            health: Arc::clone(health),
        })
    }

    /// Called by the writer between groups.
    pub(super) fn between_groups(&self, writer: &Connection) {
        let frames = self.frames.load(Ordering::Relaxed);
        metrics::gauge!("store_log_bytes").set(frames.saturating_mul(FRAME_BYTES) as f64);
        if self.health.is_full() {
            // Each group is copied at once: then the log takes the same blocks of the disk again and again.
            copy(writer, CheckpointMode::PASSIVE, &self.health);
        } else if self.caught_up.swap(false, Ordering::Acquire) || frames > self.frames_max {
            copy(writer, CheckpointMode::PASSIVE, &self.health);
        } else if frames > self.frames_wanted
            && let Some(start) = &self.start
        {
            // A full channel means that a copy is under way.
            let _ = start.try_send(());
        }
    }

    /// Copies everything and empties the log: at the start, so that nothing rests on a log of unknown durability,
    /// and on a clean end.
    pub(super) fn everything(writer: &Connection, health: &Health) {
        copy(writer, CheckpointMode::TRUNCATE, health);
    }

    /// Ends the background thread.
    pub(super) fn end(mut self) {
        self.start = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the checkpointing thread has panicked");
        }
    }
}

fn copy(connection: &Connection, mode: CheckpointMode, health: &Health) {
    if health.is_stopped() {
        return;
    }
    match connection.wal_checkpoint_v2(None::<&str>, mode) {
        Ok(_) => {}
        Err(error) => match failure::meaning(&error) {
            Meaning::Full => health.set_full(true),
            // Views hold the log; the next round gets further.
            Meaning::Busy => {}
            Meaning::Fatal => health.stop(&format!("copying the log into the database failed: {error}")),
        },
    }
}
