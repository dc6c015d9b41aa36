//! Views: a bounded set of connections that can only read, each inside its own transaction while it is lent.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use rusqlite::Connection;

use super::Shared;
use super::blobs::BlobDirectory;
use super::cache::Caches;
use super::config::StoreConfig;
use super::read::{self, Reads};
use super::schema;
use crate::store::{Sequence, StoreError};

/// The connections of all views.
pub(super) struct Readers {
    database: PathBuf,
    pages_bytes_max: u64,
    open_max: usize,
    idle_max: usize,
    wait_max: Duration,
    state: Mutex<Lending>,
    returned: Condvar,
}

#[derive(Default)]
struct Lending {
    idle: Vec<Connection>,
    lent: usize,
}

impl Readers {
    pub(super) fn new(database: PathBuf, config: &StoreConfig) -> Self {
        Self {
            database,
            pages_bytes_max: config.reader_pages_bytes_max,
            open_max: config.readers_max.max(1),
            idle_max: config.readers_idle_max,
            wait_max: Duration::from_millis(config.reader_wait_ms_max),
            state: Mutex::new(Lending::default()),
            returned: Condvar::new(),
        }
    }

    fn lend(&self) -> Result<Connection, StoreError> {
        let deadline = Instant::now() + self.wait_max;
        let mut state = self.state.lock();
        while state.lent >= self.open_max {
            if self.returned.wait_until(&mut state, deadline).timed_out() {
                return Err(StoreError::Busy("too many views are open"));
            }
        }
        state.lent += 1;
        if let Some(connection) = state.idle.pop() {
            return Ok(connection);
        }
        drop(state);
        schema::open_reader(&self.database, self.pages_bytes_max).inspect_err(|_| self.give_back(None))
    }

    fn give_back(&self, connection: Option<Connection>) {
        let mut state = self.state.lock();
        state.lent = state.lent.saturating_sub(1);
        if let Some(connection) = connection
            && state.idle.len() < self.idle_max
        {
            state.idle.push(connection);
        }
        drop(state);
        self.returned.notify_one();
    }
}

/// A view of the store as of one commit.
pub(super) struct View<'s> {
    shared: &'s Shared,
    /// Present until the view is dropped.
    connection: Option<Connection>,
    sequence: Sequence,
    opened: Instant,
}

/// A view that is open longer than this is reported: it keeps the write-ahead log from starting anew.
const LONG_VIEW: Duration = Duration::from_secs(60);

impl<'s> View<'s> {
    pub(super) fn open(shared: &'s Shared) -> Result<Self, StoreError> {
        let mut view = Self {
            shared,
            connection: Some(shared.readers.lend()?),
            sequence: Sequence(0),
            opened: Instant::now(),
        };
        let connection = view.connection()?;
        connection.prepare_cached("BEGIN")?.execute([])?;
        // The first read fixes the moment that this view shows.
        view.sequence = read::state(connection)?.0;
        Ok(view)
    }
}

impl Drop for View<'_> {
    fn drop(&mut self) {
        let Some(connection) = self.connection.take() else {
            return;
        };
        let open = self.opened.elapsed();
        if open > LONG_VIEW {
            tracing::warn!(seconds = open.as_secs(), "a view of the store was open for long");
        }
        let ended = connection.is_autocommit()
            || connection
                .prepare_cached("ROLLBACK")
                .and_then(|mut statement| statement.execute([]))
                .is_ok();
        // A connection that cannot end its transaction would hold an old view for ever.
        self.shared.readers.give_back(ended.then_some(connection));
    }
}

impl Reads for View<'_> {
    fn connection(&self) -> Result<&Connection, StoreError> {
        self.connection.as_ref().ok_or(StoreError::Stopped)
    }

    fn as_of(&self) -> Sequence {
        self.sequence
    }

    fn blobs(&self) -> &BlobDirectory {
        &self.shared.blobs
    }

    fn caches(&self) -> Option<&Caches> {
        Some(&self.shared.caches)
    }
}
