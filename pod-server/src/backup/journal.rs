//! The revocation journal: a small file outside the database with everything that a restored backup must not bring back.
//!
//! It listens to the store. What ends a right is written and synced after it is durable in the database and before anyone is told.
//! Should the process end in between, the next start reads the missing part from the store's own events. Each line begins with a
//! digest over itself and the line before, so that a torn end is recognised and nothing in the middle can be lost or changed
//! unnoticed.
//!
//! A store that is older than its journal was put back by hand: it is not opened, because the journal has not been played
//! back to it.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use policies::contract::AgreementState;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio::sync::watch;

use crate::consent::stored;
use crate::dataspace::{agreement, uses};
use crate::name::{Auxiliary, ResourceName};
use crate::store::{Change, CommitListener, Event, ReadPermit, RecordKind, Sequence, Snapshot, Store, StoreError};

use super::BackupError;

/// Name of the journal in the store's directory, unless the configuration names another place.
pub const FILE: &str = "revocations.journal";

/// Commits after which the journal notes how far it has looked, although there was nothing to write.
const NOTE_COMMITS: u64 = 10_000;

/// Events read at a time when the journal catches up.
const EVENTS_AT_ONCE: usize = 4_096;

/// Beginnings of the keys of ways to log in: passkeys, and links to logins elsewhere.
const LOGINS: [&str; 3] = ["passkey/", "external/", "external-of/"];

/// Beginning of the keys of recovery codes, which change when one is used up.
const RECOVERY: &str = "recovery/";

/// How often the lock of the file is asked for, and how long it waits in between.
const LOCK_ATTEMPTS_MAX: u32 = 50;
const LOCK_PAUSE: std::time::Duration = std::time::Duration::from_millis(100);

/// Longest line that is read, in bytes.
const LINE_BYTES_MAX: u64 = 64 << 10;

/// Digits of the digest before each line.
const CHECK_DIGITS: usize = 16;

/// A line: what ended at a commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// The commit.
    pub commit: u64,
    /// What.
    pub what: What,
}

/// What ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum What {
    /// From the commit on, the journal of this server is complete.
    Begins(String),
    /// Up to the commit nothing else ended.
    Seen,
    /// A consent or a request for one, by its record key, was withdrawn or refused, or is gone.
    Consent(String),
    /// A mandate to decide for someone, by its record key, was ended.
    Mandate(String),
    /// An agreement, by its IRI, has another state now.
    Agreement(String, AgreementState),
    /// An agreement, by its IRI, was used for the n-th time; the number is `n`.
    Uses(String, u64),
    /// Client credentials were deleted.
    Credential(String),
    /// A way to log in besides the password, by its record key, was removed or used up.
    Login(String),
    /// Everything that was given out for an account before this generation has ended.
    Account(String, u64),
    /// An account was deleted.
    AccountGone(String),
    /// The access rules of a resource changed, or the resource was deleted.
    Access(String),
    /// A storage was deleted.
    Storage(String),
}

/// The journal of a running server.
pub struct Journal {
    path: PathBuf,
    writing: Mutex<Writing>,
    failed: watch::Sender<bool>,
}

struct Writing {
    file: File,
    check: String,
    /// The last commit that a line names.
    last: u64,
}

impl Journal {
    /// Opens the journal of a store, or begins one, and catches up with the store.
    ///
    /// # Errors
    /// When the file is damaged, is newer than the store, is in use, or cannot be written.
    pub fn open(path: &Path, server: &str, store: &dyn Store) -> Result<Arc<Self>, BackupError> {
        let known = if path.exists() { Some(read(path)?) } else { None };
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(path);
        let file = file.map_err(|error| BackupError::file(path, error))?;
        let journal = Self {
            path: path.to_owned(),
            writing: Mutex::new(Writing {
                file,
                check: String::new(),
                last: 0,
            }),
            failed: watch::Sender::new(false),
        };
        lock(&journal.writing.lock().file, path)?;
        journal.take_up(known, server, store)?;
        Ok(Arc::new(journal))
    }

    /// Becomes true when the journal cannot be written: the server has to end, because revocations are not kept twice any
    /// more.
    #[must_use]
    pub fn failed(&self) -> watch::Receiver<bool> {
        self.failed.subscribe()
    }

    fn take_up(&self, known: Option<Read>, server: &str, store: &dyn Store) -> Result<(), BackupError> {
        let permit = ReadPermit::without_proof("the revocation journal follows the store");
        let view = store.snapshot(permit)?;
        let now = view.sequence()?;
        let mut writing = self.writing.lock();
        let mut begins = true;
        if let Some(known) = known {
            if known.last > now.0 {
                return Err(BackupError::unsound(
                    &self.path,
                    format!(
                        "the store is at commit {}, its revocation journal at {}: the store was put back from an older copy, in \
                         which consents and rights may count that were revoked since. Put it back with `pod-server restore`",
                        now.0, known.last
                    ),
                ));
            }
            let kept = writing.file.set_len(known.length).and_then(|()| {
                use std::io::Seek;
                writing.file.seek(std::io::SeekFrom::End(0))
            });
            kept.map_err(|error| BackupError::file(&self.path, error))?;
            (writing.check, writing.last) = (known.check, known.last);
            // A server that was given another base URL begins anew: backups of its former self are another server's.
            begins = known.server.as_deref() != Some(server) || !catch_up(&mut writing, &self.path, &*view, now)?;
        }
        let line = if begins {
            What::Begins(server.to_owned())
        } else {
            What::Seen
        };
        if begins || writing.last < now.0 {
            writing
                .append(
                    &[Line {
                        commit: now.0,
                        what: line,
                    }],
                    true,
                )
                .map_err(|error| BackupError::file(&self.path, error))?;
        }
        Ok(())
    }
}

/// Keeps other servers from writing into the same file. A server that is just ending may take a moment to let go of it.
fn lock(file: &File, path: &Path) -> Result<(), BackupError> {
    for _ in 0..LOCK_ATTEMPTS_MAX {
        match file.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) => std::thread::sleep(LOCK_PAUSE),
            Err(TryLockError::Error(error)) => return Err(BackupError::file(path, error)),
        }
    }
    Err(BackupError::unsound(path, "another server writes it"))
}

/// Writes what happened since the last line; false when the store no longer knows.
fn catch_up(writing: &mut Writing, path: &Path, view: &dyn Snapshot, now: Sequence) -> Result<bool, BackupError> {
    let mut seen = Sequence(writing.last);
    while seen < now {
        let events = match view.events(seen, EVENTS_AT_ONCE) {
            Err(StoreError::Forgotten { .. }) => return Ok(false),
            events => events?,
        };
        let Some(last) = events.last() else { break };
        seen = last.sequence;
        let lines = lines(view, &events);
        writing
            .append(&lines, true)
            .map_err(|error| BackupError::file(path, error))?;
    }
    Ok(true)
}

impl Writing {
    fn append(&mut self, lines: &[Line], sync: bool) -> std::io::Result<()> {
        let (mut text, mut check) = (String::new(), self.check.clone());
        for line in lines {
            let json = serde_json::to_string(line)?;
            check = checked(&check, &json);
            text.push_str(&format!("{check} {json}\n"));
        }
        if text.is_empty() {
            return Ok(());
        }
        self.file.write_all(text.as_bytes())?;
        if sync {
            self.file.sync_data()?;
        }
        self.check = check;
        self.last = lines.last().map_or(self.last, |line| line.commit);
        Ok(())
    }
}

impl CommitListener for Journal {
    fn committed(&self, snapshot: &dyn Snapshot, events: &[Event]) {
        let Some(last) = events.last() else { return };
        let mut lines = lines(snapshot, events);
        let mut writing = self.writing.lock();
        let sync = !lines.is_empty();
        if lines.is_empty() && last.sequence.0 > writing.last + NOTE_COMMITS {
            lines.push(Line {
                commit: last.sequence.0,
                what: What::Seen,
            });
        }
        // After a failure the end of the file is unknown; the next start looks at it anew.
        if *self.failed.borrow() {
            return;
        }
        if let Err(error) = writing.append(&lines, sync) {
            tracing::error!(path = %self.path.display(), %error, "the revocation journal cannot be written: the server ends");
            self.failed.send_replace(true);
        }
    }
}

/// What ended in some commits. A state that cannot be read counts as ended.
fn lines(snapshot: &dyn Snapshot, events: &[Event]) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    for event in events {
        let what = match &event.change {
            Change::Record { kind, key, deleted } => record(snapshot, *kind, key, *deleted),
            Change::Created { name, .. } | Change::Updated { name, .. } => rules_of(name)
                // What came into being with its rules had no others.
                .filter(|subject| !is_new(events, event.sequence, subject))
                .map(|subject| What::Access(subject.as_str().to_owned())),
            Change::Deleted { name, .. } if name.storage_root().as_ref() == Some(name) => {
                Some(What::Storage(name.as_str().to_owned()))
            }
            Change::Deleted { name, .. } => match name.auxiliary_subject() {
                Some((_, Auxiliary::Description)) => None,
                Some((subject, _)) => Some(What::Access(subject.as_str().to_owned())),
                None => Some(What::Access(name.as_str().to_owned())),
            },
        };
        let commit = event.sequence.0;
        lines.extend(
            what.map(|what| Line { commit, what })
                .filter(|line| lines.last() != Some(line)),
        );
    }
    lines
}

fn rules_of(name: &ResourceName) -> Option<ResourceName> {
    match name.auxiliary_subject()? {
        (_, Auxiliary::Description) => None,
        (subject, _) => Some(subject),
    }
}

fn is_new(events: &[Event], commit: Sequence, subject: &ResourceName) -> bool {
    events.iter().any(|event| {
        event.sequence == commit && matches!(&event.change, Change::Created { name, .. } if name == subject)
    })
}

fn record(snapshot: &dyn Snapshot, kind: RecordKind, key: &str, deleted: bool) -> Option<What> {
    match kind {
        RecordKind::Consent => {
            let status = stored::load(snapshot, key).ok().flatten();
            let status = status
                .as_ref()
                .and_then(stored::StoredConsent::current)
                .map(|record| record.status);
            let counts = status.is_some_and(|status| status.permits() || status.waits());
            (deleted || !counts).then(|| What::Consent(key.to_owned()))
        }
        RecordKind::Mandate => deleted.then(|| What::Mandate(key.to_owned())),
        RecordKind::Agreement => {
            let state = agreement::load(snapshot, key)
                .ok()
                .flatten()
                .map(|agreement| agreement.state);
            let state = state.filter(|_| !deleted).unwrap_or(AgreementState::Terminated);
            Some(What::Agreement(key.to_owned(), state))
        }
        RecordKind::Use if deleted => None,
        RecordKind::Use => {
            let uses = uses::until_now(snapshot, key).ok()?;
            Some(What::Uses(key.to_owned(), uses))
        }
        RecordKind::ClientCredential => deleted.then(|| What::Credential(key.to_owned())),
        RecordKind::Issuer => {
            let removed = deleted && LOGINS.iter().any(|prefix| key.starts_with(prefix));
            (removed || key.starts_with(RECOVERY)).then(|| What::Login(key.to_owned()))
        }
        RecordKind::Account if deleted => Some(What::AccountGone(key.to_owned())),
        RecordKind::Account => {
            let bytes = snapshot.record(kind, key).ok().flatten()?;
            let account: serde_json::Value = serde_json::from_slice(&bytes).ok()?;
            let generation = account.get("generation")?.as_u64()?;
            (generation > 0).then(|| What::Account(key.to_owned(), generation))
        }
        _ => None,
    }
}

/// A journal as it was read.
#[derive(Debug)]
pub struct Read {
    /// The server that it belongs to.
    pub server: Option<String>,
    /// Commit after which it is complete.
    pub begins: u64,
    /// The last commit that a line names.
    pub last: u64,
    /// Everything that ended, since the journal is complete.
    pub lines: Vec<Line>,
    /// Length without a torn end.
    length: u64,
    check: String,
}

/// Reads a journal. A torn last line is left out: nobody was told of it.
///
/// # Errors
/// When it cannot be read, or was changed.
pub fn read(path: &Path) -> Result<Read, BackupError> {
    use std::io::Read as _;
    let failed = |error| BackupError::file(path, error);
    let mut input = BufReader::new(File::open(path).map_err(failed)?);
    let mut found = Read {
        server: None,
        begins: 0,
        last: 0,
        lines: Vec::new(),
        length: 0,
        check: String::new(),
    };
    let (mut text, mut number) = (Vec::new(), 0);
    loop {
        text.clear();
        number += 1;
        let count = input
            .by_ref()
            .take(LINE_BYTES_MAX)
            .read_until(b'\n', &mut text)
            .map_err(failed)?;
        if count == 0 {
            return Ok(found);
        }
        match parse(&text, &found.check) {
            Some((check, line)) => {
                found.check = check;
                found.length += count as u64;
                found.last = line.commit;
                match line.what {
                    What::Begins(server) => {
                        found.server = Some(server);
                        found.begins = line.commit;
                        found.lines.clear();
                    }
                    What::Seen => {}
                    _ => found.lines.push(line),
                }
            }
            None if input.fill_buf().map_err(failed)?.is_empty() => return Ok(found),
            None => return Err(BackupError::unsound(path, format!("line {number} is damaged"))),
        }
    }
}

fn parse(text: &[u8], before: &str) -> Option<(String, Line)> {
    let text = std::str::from_utf8(text).ok()?.strip_suffix('\n')?;
    let (check, json) = text.split_once(' ')?;
    let line = serde_json::from_str(json).ok()?;
    (check == checked(before, json)).then(|| (check.to_owned(), line))
}

fn checked(before: &str, json: &str) -> String {
    let mut hash = Sha256::new();
    hash.update(before);
    hash.update(json);
    let mut digits = hex::encode(hash.finalize());
    digits.truncate(CHECK_DIGITS);
    digits
}
