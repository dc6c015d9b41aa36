//! Tables of the embedded store, and the settings without which its promises would not hold.

use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use server_kit::audit_log;

use super::rows;
use crate::store::StoreError;
use crate::store::quota::RESOURCE_BYTES;

/// Format that this program reads and writes (`PRAGMA user_version`).
pub(super) const FORMAT: i64 = 2;

/// Format of before resources counted for anything but their bodies. It is brought up to date when it is opened.
const FORMAT_BODIES_ONLY: i64 = 1;

/// `Meen` in ASCII: marks the file as ours (`PRAGMA application_id`).
const APPLICATION: i64 = 0x4D65_656E;

/// How long a statement waits for a tool that a person pointed at the file.
const BUSY_MILLISECONDS_MAX: u64 = 5_000;

/// Prepared statements kept per connection.
const STATEMENTS_MAX: usize = 96;

const TABLES: &str = "
CREATE TABLE state (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    sequence INTEGER NOT NULL,
    events_after INTEGER NOT NULL
) STRICT;
INSERT INTO state VALUES (1, 0, 0);

CREATE TABLE storages (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    root TEXT NOT NULL UNIQUE,
    owner TEXT NOT NULL,
    bytes_used INTEGER NOT NULL CHECK (bytes_used >= 0)
) STRICT;

-- `members_version` and `members_modified` move with the listing of a container, `version` and `modified` with its own state.
CREATE TABLE resources (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    storage INTEGER NOT NULL,
    parent INTEGER REFERENCES resources (id),
    name TEXT NOT NULL UNIQUE,
    segment TEXT NOT NULL,
    auxiliary INTEGER NOT NULL CHECK (auxiliary IN (0, 1)),
    kind INTEGER NOT NULL CHECK (kind IN (0, 1, 2)),
    media_type TEXT NOT NULL,
    size INTEGER NOT NULL CHECK (size >= 0),
    blob INTEGER NOT NULL CHECK (blob IN (0, 1)),
    digest BLOB NOT NULL CHECK (length(digest) = 32),
    version INTEGER NOT NULL,
    modified INTEGER NOT NULL,
    members INTEGER NOT NULL DEFAULT 0 CHECK (members >= 0),
    members_version INTEGER NOT NULL DEFAULT 0,
    members_modified INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX resources_by_parent ON resources (parent, auxiliary, segment);

CREATE TABLE bodies (
    resource INTEGER PRIMARY KEY REFERENCES resources (id) ON DELETE CASCADE,
    bytes BLOB NOT NULL
) STRICT;

CREATE TABLE blobs (
    digest BLOB PRIMARY KEY CHECK (length(digest) = 32),
    size INTEGER NOT NULL,
    uses INTEGER NOT NULL CHECK (uses >= 0)
) STRICT, WITHOUT ROWID;

CREATE TABLE records (
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    value BLOB NOT NULL,
    PRIMARY KEY (kind, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE events (
    sequence INTEGER NOT NULL,
    ordinal INTEGER NOT NULL,
    change INTEGER NOT NULL,
    resource INTEGER,
    record_kind TEXT,
    name TEXT NOT NULL,
    PRIMARY KEY (sequence, ordinal)
) STRICT, WITHOUT ROWID;

-- The readable side of the audit log. The same people are concerned again and again: sets of them are kept once.
CREATE TABLE audit_records (
    leaf INTEGER PRIMARY KEY,
    record BLOB NOT NULL,
    owners TEXT NOT NULL,
    subject_set INTEGER REFERENCES audit_subject_sets (id)
) STRICT;
CREATE INDEX audit_records_by_set ON audit_records (subject_set, leaf) WHERE subject_set IS NOT NULL;
CREATE TABLE audit_owners (
    storage INTEGER NOT NULL,
    leaf INTEGER NOT NULL,
    PRIMARY KEY (storage, leaf)
) STRICT, WITHOUT ROWID;
CREATE TABLE audit_subject_sets (
    id INTEGER PRIMARY KEY,
    digest BLOB NOT NULL UNIQUE,
    members BLOB NOT NULL,
    wide INTEGER NOT NULL CHECK (wide IN (0, 1))
) STRICT;
CREATE INDEX audit_subject_sets_wide ON audit_subject_sets (id) WHERE wide = 1;
CREATE TABLE audit_subjects (
    storage INTEGER NOT NULL,
    subject_set INTEGER NOT NULL,
    PRIMARY KEY (storage, subject_set)
) STRICT, WITHOUT ROWID;
";

/// What is left of data subjects that were erased: their commitments, for the proofs of the others. Made in older stores too.
const ERASED: &str = "
CREATE TABLE IF NOT EXISTS audit_erased (
    leaf INTEGER NOT NULL,
    position INTEGER NOT NULL,
    commitment BLOB NOT NULL CHECK (length(commitment) = 32),
    PRIMARY KEY (leaf, position)
) STRICT, WITHOUT ROWID;
";

/// Opens the writer's connection; makes the tables in a new file and refuses a file of another format.
pub(super) fn open_writer(database: &Path, pages_bytes_max: u64) -> Result<Connection, StoreError> {
    let mut connection = Connection::open_with_flags(
        database,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    settle(&connection, pages_bytes_max)?;
    refuse_other_formats(&connection)?;
    let mode: String = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
    if mode != "wal" {
        return Err(StoreError::Damaged(format!(
            "the database refuses a write-ahead log (mode `{mode}`); is it on a network file system?"
        )));
    }
    // The log is copied back by the checkpointing thread, not inside a commit.
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    if format_of(&connection)? == 0 {
        let transaction = connection.transaction()?;
        transaction.execute_batch(TABLES)?;
        transaction.execute_batch(audit_log::SCHEMA)?;
        transaction.pragma_update(None, "application_id", APPLICATION)?;
        transaction.pragma_update(None, "user_version", FORMAT)?;
        transaction.commit()?;
    }
    if format_of(&connection)? == FORMAT_BODIES_ONLY {
        count_resources(&mut connection)?;
    }
    connection.execute_batch(ERASED)?;
    Ok(connection)
}

/// Adds what resources count for besides their bodies to what each storage holds.
fn count_resources(connection: &mut Connection) -> Result<(), StoreError> {
    let transaction = connection.transaction()?;
    transaction.execute(
        "UPDATE storages SET bytes_used = bytes_used + ?1 * counted.resources \
         FROM (SELECT storage, count(*) AS resources FROM resources GROUP BY storage) AS counted \
         WHERE counted.storage = storages.id",
        [rows::signed(RESOURCE_BYTES)],
    )?;
    transaction.pragma_update(None, "user_version", FORMAT)?;
    transaction.commit()?;
    Ok(())
}

/// Opens a connection that can only read.
pub(super) fn open_reader(database: &Path, pages_bytes_max: u64) -> Result<Connection, StoreError> {
    let connection = Connection::open_with_flags(
        database,
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    settle(&connection, pages_bytes_max)?;
    connection.pragma_update(None, "query_only", true)?;
    Ok(connection)
}

/// Opens the connection of the checkpointing thread.
pub(super) fn open_checkpointer(database: &Path) -> Result<Connection, StoreError> {
    let connection = Connection::open_with_flags(
        database,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    settle(&connection, 1 << 20)?;
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    Ok(connection)
}

fn settle(connection: &Connection, pages_bytes_max: u64) -> Result<(), StoreError> {
    connection.busy_timeout(Duration::from_millis(BUSY_MILLISECONDS_MAX))?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    // After a failed sync nothing may be copied again as if it were whole: the writer checkpoints on a clean end only.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    // Rolled back commits of a group are remembered in memory, not in a file beside the database.
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    let kibibytes = i64::try_from(pages_bytes_max / 1_024).unwrap_or(i64::MAX);
    connection.pragma_update(None, "cache_size", -kibibytes)?;
    Ok(())
}

fn refuse_other_formats(connection: &Connection) -> Result<(), StoreError> {
    let found = format_of(connection)?;
    let application: i64 = connection.query_row("PRAGMA application_id", [], |row| row.get(0))?;
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    let new = found == 0 && application == 0 && tables == 0;
    if new || ([FORMAT_BODIES_ONLY, FORMAT].contains(&found) && application == APPLICATION) {
        return Ok(());
    }
    if application != APPLICATION {
        return Err(StoreError::Damaged(
            "the database belongs to another program".to_owned(),
        ));
    }
    Err(StoreError::Format {
        found,
        supported: FORMAT,
    })
}

fn format_of(connection: &Connection) -> Result<i64, StoreError> {
    Ok(connection.query_row("PRAGMA user_version", [], |row| row.get(0))?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// A store of the format before counts what its resources take besides their bodies, once.
    #[test]
    fn an_older_store_is_brought_up_to_date() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("store");
        let connection = open_writer(&path, 1 << 20).unwrap();
        let row = "INSERT INTO resources (storage, name, segment, auxiliary, kind, media_type, size, blob, digest, version, modified) \
                   VALUES (?1, ?2, '', 0, 1, 'text/plain', 7, 0, zeroblob(32), 1, 1)";
        for (storage, resources) in [(1, 3_u8), (2, 1)] {
            let root = format!("/{storage}/");
            let add = "INSERT INTO storages (id, root, owner, bytes_used) VALUES (?1, ?2, '', ?3)";
            connection
                .execute(add, rusqlite::params![storage, root, 7 * i64::from(resources)])
                .unwrap();
            for name in 0..resources {
                connection
                    .execute(row, rusqlite::params![storage, format!("{root}{name}")])
                    .unwrap();
            }
        }
        connection
            .pragma_update(None, "user_version", FORMAT_BODIES_ONLY)
            .unwrap();
        drop(connection);
        for _ in 0..2 {
            let connection = open_writer(&path, 1 << 20).unwrap();
            assert_eq!(format_of(&connection).unwrap(), FORMAT);
            let mut used = connection
                .prepare("SELECT bytes_used FROM storages ORDER BY id")
                .unwrap();
            let used: Vec<i64> = used
                .query_map([], |row| row.get(0))
                .unwrap()
                .map(Result::unwrap)
                .collect();
            assert_eq!(used, [3 * (7 + 512), 7 + 512]);
        }
    }
}
