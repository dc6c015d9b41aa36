//! The broker's own database: members, deposited agreements, and its audit log. Metadata only: no triple of any pod is ever written
//! here, and losing the file loses nobody's data.

use parking_lot::Mutex;
use rusqlite::{Connection, params};
use server_kit::audit_log::{self, AuditLogError};
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

/// Why the database cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// SQLite failed.
    #[error("the broker's database: {0}")]
    Database(#[from] rusqlite::Error),
    /// The log failed.
    #[error(transparent)]
    Log(#[from] AuditLogError),
    /// The folder cannot be made.
    #[error("the broker's folder: {0}")]
    Folder(#[from] std::io::Error),
}

const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS member (
    name TEXT NOT NULL PRIMARY KEY,
    config TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS deposit (
    web_id TEXT NOT NULL,
    agreement TEXT NOT NULL,
    token TEXT NOT NULL,
    expires INTEGER NOT NULL,
    document TEXT NOT NULL,
    deposited INTEGER NOT NULL,
    PRIMARY KEY (web_id, agreement)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS record (
    leaf INTEGER NOT NULL PRIMARY KEY,
    salt BLOB NOT NULL,
    content BLOB NOT NULL
);
";

/// The database.
pub struct State {
    connection: Mutex<Connection>,
}

/// One deposited agreement as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DepositRow {
    /// WebID of the consumer.
    pub web_id: String,
    /// IRI of the agreement.
    pub agreement: String,
    /// The agreement token.
    pub token: String,
    /// When it ends, Unix seconds.
    pub expires: i64,
    /// The agreement in Turtle.
    pub document: String,
}

impl State {
    /// Opens the database in a folder, which is made when absent.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn open(directory: &Path) -> Result<Self, StateError> {
        // Tokens lie in it: nobody else on the machine may look.
        DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        let connection = Connection::open(directory.join("broker.sqlite"))?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.busy_timeout(std::time::Duration::from_secs(5))?;
        connection.execute_batch(SCHEMA)?;
        connection.execute_batch(audit_log::SCHEMA)?;
        Ok(Self {
            connection: Mutex::new(connection),
        })
    }

    /// Runs something with the connection.
    ///
    /// # Errors
    /// Whatever `work` fails with.
    pub fn with<T>(&self, work: impl FnOnce(&mut Connection) -> Result<T, StateError>) -> Result<T, StateError> {
        work(&mut self.connection.lock())
    }

    /// Members that were registered while the broker ran.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn members(&self) -> Result<Vec<String>, StateError> {
        self.with(|connection| {
            let mut statement = connection.prepare("SELECT config FROM member ORDER BY name")?;
            let rows = statement.query_map([], |row| row.get(0))?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// Remembers a member.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn put_member(&self, name: &str, config: &str) -> Result<(), StateError> {
        self.with(|connection| {
            connection.execute(
                "INSERT OR REPLACE INTO member (name, config) VALUES (?1, ?2)",
                params![name, config],
            )?;
            Ok(())
        })
    }

    /// All deposits.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn deposits(&self) -> Result<Vec<DepositRow>, StateError> {
        self.with(|connection| {
            let mut statement =
                connection.prepare("SELECT web_id, agreement, token, expires, document FROM deposit")?;
            let rows = statement.query_map([], |row| {
                Ok(DepositRow {
                    web_id: row.get(0)?,
                    agreement: row.get(1)?,
                    token: row.get(2)?,
                    expires: row.get(3)?,
                    document: row.get(4)?,
                })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// Stores a deposit, replacing an earlier one of the same agreement.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn put_deposit(&self, row: &DepositRow, now: i64) -> Result<(), StateError> {
        self.with(|connection| {
            connection.execute(
                "INSERT OR REPLACE INTO deposit (web_id, agreement, token, expires, document, deposited) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                params![row.web_id, row.agreement, row.token, row.expires, row.document, now],
            )?;
            Ok(())
        })
    }

    /// Forgets a deposit.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn remove_deposit(&self, web_id: &str, agreement: &str) -> Result<bool, StateError> {
        self.with(|connection| {
            let gone = connection.execute(
                "DELETE FROM deposit WHERE web_id = ?1 AND agreement = ?2",
                params![web_id, agreement],
            )?;
            Ok(gone > 0)
        })
    }
}
