//! A full check of the store against itself: after crashes in tests, and whenever an operator wants to know (D8, D9).
//!
//! It only reads, and finds as much as it can rather than stopping at the first fault.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;

use policies::audit::merkle;
use rusqlite::{Connection, params};
use sha2::{Digest, Sha256};

use super::audit_rows;
use super::blobs::BlobDirectory;
use super::read::{self, one};
use super::rows::{self, signed, unsigned};
use crate::name::ResourceName;
use crate::store::quota::RESOURCE_BYTES;
use crate::store::{ResourceId, StoreError};

/// Faults that a report holds at most.
const FAULTS_MAX: usize = 1_000;

/// Leaves that are read at a time.
const LEAVES_AT_ONCE: u64 = 65_536;

/// What a full check found.
#[derive(Clone, Debug, Default)]
pub struct CheckReport {
    /// Resources looked at.
    pub resources: u64,
    /// Blobs that are in use.
    pub blobs: u64,
    /// Files in the blob directory that nothing refers to: no fault, they go away by themselves.
    pub unused_blobs: u64,
    /// Leaves of the audit log.
    pub leaves: u64,
    /// Everything that is not as it should be, in words; at most 1,000.
    pub faults: Vec<String>,
}

impl CheckReport {
    fn fault(&mut self, words: String) {
        if self.faults.len() < FAULTS_MAX {
            self.faults.push(words);
        }
    }

    fn expect(&mut self, holds: bool, words: impl FnOnce() -> String) {
        if !holds {
            self.fault(words());
        }
    }
}

/// One row of the table of resources, with all that is checked.
struct Row {
    id: i64,
    storage: i64,
    parent: Option<i64>,
    name: ResourceName,
    segment: String,
    auxiliary: bool,
    container: bool,
    size: u64,
    blob: bool,
    digest: [u8; 32],
    version: u64,
    members: u64,
}

/// What is counted over all resources and then compared.
#[derive(Default)]
struct Counts {
    /// Name and storage of every resource.
    known: HashMap<i64, (ResourceName, i64)>,
    members: HashMap<i64, u64>,
    bytes: HashMap<i64, u64>,
    blob_uses: HashMap<[u8; 32], u64>,
}

pub(super) fn check(connection: &Connection, blobs: &BlobDirectory) -> Result<CheckReport, StoreError> {
    let mut report = CheckReport::default();
    database(connection, &mut report)?;
    let mut counts = Counts::default();
    let rows = resources(connection)?;
    let (sequence, _) = read::state(connection)?;
    for row in &rows {
        report.resources += 1;
        report.expect(row.version <= sequence.0, || {
            format!(
                "`{}` has version {} after the last commit {}",
                row.name, row.version, sequence.0
            )
        });
        body(connection, row, &mut report)?;
        counts.known.insert(row.id, (row.name.clone(), row.storage));
        *counts.bytes.entry(row.storage).or_default() += row.size + RESOURCE_BYTES;
        if let (Some(parent), false) = (row.parent, row.auxiliary) {
            *counts.members.entry(parent).or_default() += 1;
        }
        if row.blob {
            *counts.blob_uses.entry(row.digest).or_default() += 1;
        }
    }
    for row in &rows {
        containment(row, &counts, &mut report);
    }
    storages(connection, &counts, &mut report)?;
    blob_files(connection, blobs, &counts, &mut report)?;
    audit(connection, &mut report)?;
    Ok(report)
}

fn database(connection: &Connection, report: &mut CheckReport) -> Result<(), StoreError> {
    let mut statement = connection.prepare("PRAGMA integrity_check")?;
    let lines = statement.query_map([], |row| row.get::<_, String>(0))?;
    for line in lines {
        let line = line?;
        report.expect(line == "ok", || format!("the database says: {line}"));
    }
    let mut statement = connection.prepare("PRAGMA foreign_key_check")?;
    let mut orphans = statement.query([])?;
    while let Some(row) = orphans.next()? {
        let table: String = row.get(0)?;
        report.fault(format!("a row of `{table}` refers to nothing"));
    }
    let late = "SELECT count(*) FROM events, state WHERE events.sequence > state.sequence \
                OR events.sequence <= state.events_after";
    let late: i64 = connection.query_row(late, [], |row| row.get(0))?;
    report.expect(late == 0, || {
        format!("{late} events lie outside the commits that are kept")
    });
    Ok(())
}

fn resources(connection: &Connection) -> Result<Vec<Row>, StoreError> {
    read::all(
        connection,
        "SELECT id, storage, parent, name, segment, auxiliary, kind, size, blob, digest, \
         max(version, members_version), members FROM resources ORDER BY id",
        [],
        |row| {
            Ok(Row {
                id: row.get(0)?,
                storage: row.get(1)?,
                parent: row.get(2)?,
                name: rows::name(row, 3)?,
                segment: row.get(4)?,
                auxiliary: row.get(5)?,
                container: row.get::<_, i64>(6)? == 0,
                size: unsigned(row, 7)?,
                blob: row.get(8)?,
                digest: row.get(9)?,
                version: unsigned(row, 10)?,
                members: unsigned(row, 11)?,
            })
        },
    )
}

fn body(connection: &Connection, row: &Row, report: &mut CheckReport) -> Result<(), StoreError> {
    let sql = "SELECT bytes FROM bodies WHERE resource = ?1";
    let bytes: Option<Vec<u8>> = one(connection, sql, params![row.id], |row| row.get(0))?;
    if row.blob {
        report.expect(bytes.is_none(), || format!("`{}` has a body beside its blob", row.name));
        return Ok(());
    }
    let bytes = bytes.unwrap_or_default();
    report.expect(bytes.len() as u64 == row.size, || {
        format!("`{}` has {} bytes, not {}", row.name, bytes.len(), row.size)
    });
    report.expect(<[u8; 32]>::from(Sha256::digest(&bytes)) == row.digest, || {
        format!(
            "the body of `{}` (resource {}) does not have its digest",
            row.name, row.id
        )
    });
    Ok(())
}

fn containment(row: &Row, counts: &Counts, report: &mut CheckReport) {
    let name = &row.name;
    report.expect(row.container == name.is_container(), || {
        format!("`{name}` is of the wrong kind")
    });
    report.expect(row.auxiliary == name.auxiliary_subject().is_some(), || {
        format!("`{name}` is marked wrongly as auxiliary or not")
    });
    let members = counts.members.get(&row.id).copied().unwrap_or(0);
    report.expect(members == row.members, || {
        format!("`{name}` counts {} members and has {members}", row.members)
    });
    let Some(parent) = row.parent else {
        report.expect(name.storage_root().as_ref() == Some(name), || {
            format!("`{name}` has no container")
        });
        return;
    };
    match counts.known.get(&parent) {
        Some((above, storage)) => {
            report.expect(name.parent().as_ref() == Some(above), || {
                format!("`{name}` lies in `{above}` (resource {})", ResourceId(parent).0)
            });
            report.expect(format!("{above}{}", row.segment) == name.as_str(), || {
                format!("`{name}` is listed as `{}`", row.segment)
            });
            report.expect(*storage == row.storage, || {
                format!("`{name}` lies in another storage than `{above}`")
            });
        }
        None => report.fault(format!("the container of `{name}` is missing")),
    }
}

fn storages(connection: &Connection, counts: &Counts, report: &mut CheckReport) -> Result<(), StoreError> {
    let sql = format!("SELECT {} FROM storages", rows::STORAGE);
    let mut known = Vec::new();
    for storage in read::all(connection, &sql, [], rows::storage)? {
        let bytes = counts.bytes.get(&storage.id.0).copied().unwrap_or(0);
        report.expect(bytes == storage.bytes_used, || {
            format!(
                "storage `{}` counts {} bytes and has {bytes}",
                storage.root, storage.bytes_used
            )
        });
        let has_root = counts
            .known
            .values()
            .any(|(name, id)| *name == storage.root && *id == storage.id.0);
        report.expect(has_root, || format!("storage `{}` has no root container", storage.root));
        known.push(storage.id.0);
    }
    for storage in counts.bytes.keys().filter(|storage| !known.contains(storage)) {
        report.fault(format!("resources lie in storage {storage}, which is not there"));
    }
    Ok(())
}

fn blob_files(
    connection: &Connection,
    blobs: &BlobDirectory,
    counts: &Counts,
    report: &mut CheckReport,
) -> Result<(), StoreError> {
    let rows = read::all(connection, "SELECT digest, size, uses FROM blobs", [], |row| {
        Ok((row.get::<_, [u8; 32]>(0)?, unsigned(row, 1)?, unsigned(row, 2)?))
    })?;
    for (digest, size, uses) in &rows {
        let address = hex::encode(digest);
        let counted = counts.blob_uses.get(digest).copied().unwrap_or(0);
        report.expect(counted == *uses, || {
            format!("blob {address} counts {uses} uses and has {counted}")
        });
        if *uses == 0 {
            continue;
        }
        report.blobs += 1;
        match whole(blobs, digest) {
            Ok((found, length)) => report.expect(found == *digest && length == *size, || {
                format!("blob {address} has {length} bytes of another content than its name says")
            }),
            Err(error) => report.fault(format!("blob {address} cannot be read: {error}")),
        }
    }
    for digest in counts
        .blob_uses
        .keys()
        .filter(|digest| !rows.iter().any(|(known, ..)| known == *digest))
    {
        report.fault(format!("blob {} is used and not counted", hex::encode(digest)));
    }
    for (_, digest) in blobs.files()? {
        let used = digest.is_some_and(|digest| counts.blob_uses.contains_key(&digest));
        report.unused_blobs += u64::from(!used);
    }
    Ok(())
}

/// Digest and length of a blob as it is on the disk.
fn whole(blobs: &BlobDirectory, digest: &[u8; 32]) -> Result<([u8; 32], u64), std::io::Error> {
    let mut file = File::open(blobs.path(digest))?;
    let (mut hash, mut length, mut buffer) = (Sha256::new(), 0, vec![0; 64 << 10]);
    loop {
        let count = file.read(&mut buffer)?;
        if count == 0 {
            return Ok((hash.finalize().into(), length));
        }
        hash.update(buffer.get(..count).unwrap_or_default());
        length += count as u64;
    }
}

fn audit(connection: &Connection, report: &mut CheckReport) -> Result<(), StoreError> {
    report.leaves = audit_rows::size(connection)?;
    // Readable records are deleted by age and when a person leaves; whether the log says so is for its verifier.
    let sql = "SELECT count(*) FROM audit_records WHERE leaf >= ?1";
    let beyond: i64 = connection.query_row(sql, [signed(report.leaves)], |row| row.get(0))?;
    report.expect(beyond == 0, || {
        format!("{beyond} readable records of the audit log have no leaf")
    });
    let mut leaves = Vec::new();
    while (leaves.len() as u64) < report.leaves {
        let more = audit_rows::leaves(connection, leaves.len() as u64, LEAVES_AT_ONCE)?;
        if more.is_empty() {
            report.fault(format!("leaf {} of the audit log is missing", leaves.len()));
            return Ok(());
        }
        leaves.extend(more);
    }
    let stored = audit_rows::root(connection, report.leaves)?;
    report.expect(stored == merkle::root(&leaves), || {
        "the audit log's tree does not follow from its leaves".to_owned()
    });
    Ok(())
}
