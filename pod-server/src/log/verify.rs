//! Offline verification: of a whole log in a store's directory, and of a page or a single record that someone was given.
//!
//! It trusts nothing but the log's public key: every hash is computed again from what is readable, and every fault is
//! named with its place (AUD-3, T108-T110). It reads the database with its own few statements, so that a fault of the
//! store's code cannot hide one of the log.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use policies::audit::{Purged, merkle};
use roaring::RoaringTreemap;
use rusqlite::{Connection, OpenFlags, OptionalExtension};
use server_kit::audit_log::{self, Checkpoint, CheckpointError, LogKey, VerifierKey};
use server_kit::random::SystemRandom;

use super::own::{LogExport, ProvenEntry};
use super::rotation;
use crate::audit::{Sealed, SealedError, hash};
use crate::dataspace::config::LOG_KEY_FILE;

/// Name of the database in a store's directory.
const DATABASE: &str = "store.sqlite";

/// Leaves read at a time.
const BATCH: u64 = 4_096;

/// What was proved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proved {
    /// Name of the log.
    pub origin: String,
    /// Leaves that the checkpoint covers.
    pub signed: u64,
    /// Leaves that there are; those beyond the checkpoint are not signed yet.
    pub leaves: u64,
    /// Readable records that were checked against their leaves.
    pub records: u64,
    /// Leaves whose readable records were deleted, with an entry that says under which rule.
    pub purged: u64,
    /// Leaves of the earlier checkpoint that is contained, if one was given.
    pub contains: Option<u64>,
}

/// What is wrong.
#[derive(Debug, thiserror::Error)]
pub enum LogFault {
    /// A leaf was changed.
    #[error("flipped: leaf {leaf} is not the one that was signed")]
    Flipped {
        /// Position.
        leaf: u64,
    },
    /// The readable record was changed; the leaf is intact.
    #[error("flipped: the readable record of leaf {leaf} was changed")]
    Record {
        /// Position.
        leaf: u64,
    },
    /// A leaf is gone.
    #[error("dropped: leaf {leaf} is missing")]
    Dropped {
        /// Position.
        leaf: u64,
    },
    /// Leaves stand in another order.
    #[error("reordered: leaf {leaf} stands where leaf {other} was")]
    Reordered {
        /// Position of the leaf as its record has it.
        leaf: u64,
        /// Where it stands now.
        other: u64,
    },
    /// The end is gone.
    #[error("truncated: {found} leaves are left of {signed}")]
    Truncated {
        /// Leaves there are.
        found: u64,
        /// Leaves that were signed.
        signed: u64,
    },
    /// The leaves are not those of a checkpoint, and no record tells which.
    #[error("rewritten: the first {signed} leaves are not those that were signed{}", near.map(|tile| format!("; the first stored hash that disagrees is tile {tile} (leaves {} to {})", tile * 256, tile * 256 + 255)).unwrap_or_default())]
    Rewritten {
        /// Leaves of the checkpoint.
        signed: u64,
        /// The first tile whose stored hash does not follow from its leaves.
        near: Option<u64>,
    },
    /// A stored hash of a whole tile is wrong; the leaves are intact.
    #[error("flipped: the stored hash of tile {tile} at level {level} does not follow from the hashes below it")]
    Tile {
        /// Level, from 1.
        level: u8,
        /// Position.
        tile: u64,
    },
    /// A readable record is gone and nothing in the log says why.
    #[error("gap: the readable record of leaf {leaf} is gone, and no later entry says under which rule it was deleted")]
    Unmarked {
        /// Position.
        leaf: u64,
    },
    /// An exported entry does not lead to the checkpoint.
    #[error("entry {leaf} is not in the log: its proof does not lead to the checkpoint")]
    NotIncluded {
        /// Position that it claims.
        leaf: u64,
    },
    /// An exported entry does not concern the person that it names.
    #[error("entry {leaf} does not concern `{person}`: the proof does not lead to its record")]
    NotConcerned {
        /// Position that it claims.
        leaf: u64,
        /// Whom it names.
        person: String,
    },
    /// There is nothing to hold the log against.
    #[error(
        "nothing is signed yet: start the server once, which signs the log, or give a checkpoint with `--checkpoint`"
    )]
    NoCheckpoint,
    /// Witnesses were asked for and none has cosigned.
    #[error("no witness has cosigned anything yet: see `dataspace.witnesses` in the configuration")]
    NotWitnessed,
    /// An earlier checkpoint was given and the export does not prove that it is contained.
    #[error(
        "the export does not prove that it contains the checkpoint of {from} leaves: ask for it with `from={from}`"
    )]
    NoConsistency {
        /// Leaves of the earlier checkpoint.
        from: u64,
    },
    /// A checkpoint or a key is malformed, of another log or wrongly signed.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// A record cannot be read.
    #[error("the record of leaf {leaf} cannot be read: {reason}")]
    Unreadable {
        /// Position.
        leaf: u64,
        /// Why.
        reason: String,
    },
    /// The database cannot be read.
    #[error("the database cannot be read: {0}")]
    Database(#[from] rusqlite::Error),
    /// The log in the database cannot be read.
    #[error(transparent)]
    Log(#[from] audit_log::AuditLogError),
    /// A file cannot be read.
    #[error("`{file}`: {reason}")]
    File {
        /// The file.
        file: PathBuf,
        /// Why.
        reason: String,
    },
}

/// The public half of the log's key that lies in a store's directory. Whoever could change the log could change this file
/// too: a key from elsewhere proves more.
///
/// # Errors
/// [`LogFault::File`] when there is none, or it cannot be used.
pub fn key_in(directory: &Path) -> Result<VerifierKey, LogFault> {
    let file = directory.join(LOG_KEY_FILE);
    let unusable = |reason: String| LogFault::File {
        file: file.clone(),
        reason: format!("{reason}; give the log's public key with `--key`"),
    };
    let text = std::fs::read_to_string(&file).map_err(|error| unusable(error.to_string()))?;
    // `PRIVATE+KEY+<name>+<id>+<key>` (signed-note): the name is needed to load it.
    let name = text.split('+').nth(2).unwrap_or_default();
    LogKey::load_or_generate(&file, name, &SystemRandom)
        .map(|key| key.verifier().clone())
        .map_err(|error| unusable(error.to_string()))
}

/// Verifies the whole log of a store: its checkpoint, every leaf, every readable record, every stored hash, and that an
/// earlier checkpoint is contained.
///
/// # Errors
/// The first fault, as exactly as what is readable allows.
pub fn store(directory: &Path, key: &VerifierKey, earlier: Option<&str>) -> Result<Proved, LogFault> {
    database(&open(directory)?, key, earlier)
}

pub(super) fn open(directory: &Path) -> Result<Connection, LogFault> {
    let file = directory.join(DATABASE);
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(&file, flags).map_err(|error| LogFault::File {
        file,
        reason: error.to_string(),
    })
}

/// The newest note in a store's directory that witnesses cosigned.
///
/// # Errors
/// When the directory cannot be read, or no witness has cosigned anything yet.
pub fn witnessed_in(directory: &Path) -> Result<String, LogFault> {
    kept_note(&open(directory)?, super::gather::RECORD)?.ok_or(LogFault::NotWitnessed)
}

/// The same for an open database.
///
/// # Errors
/// As [`store`].
pub fn database(connection: &Connection, key: &VerifierKey, earlier: Option<&str>) -> Result<Proved, LogFault> {
    let handovers = rotation::kept_in(connection)?;
    let opened = |note: &str| rotation::verified(key, &handovers, note);
    let earlier = earlier.map(opened).transpose()?;
    let kept = kept_checkpoint(connection)?.map(|note| opened(&note)).transpose()?;
    let signed = match (&kept, &earlier) {
        (Some(kept), _) => kept,
        (None, Some(earlier)) => earlier,
        (None, None) => return Err(LogFault::NoCheckpoint),
    };
    let Readable { records, purged } = readable(connection)?;
    let leaves = all_leaves(connection, &records)?;
    let handed_over = handovers.iter().map(|handover| opened(&handover.note));
    let handed_over = handed_over.collect::<Result<Vec<_>, _>>()?;
    for checkpoint in [Some(signed), earlier.as_ref()]
        .into_iter()
        .flatten()
        .chain(&handed_over)
    {
        contains(connection, &leaves, &records, checkpoint)?;
    }
    if let Some(fault) = against_records(&leaves, &records) {
        return Err(fault);
    }
    let gone = marked_gaps(leaves.len() as u64, &records, &purged)?;
    stored_tiles(connection, &leaves)?;
    Ok(Proved {
        origin: key.name().to_owned(),
        signed: signed.size,
        leaves: leaves.len() as u64,
        records: records.len() as u64,
        purged: gone,
        contains: earlier.map(|earlier| earlier.size),
    })
}

/// Verifies a page of a log, or a single record, as its reader was given it.
///
/// Without a `key` from elsewhere the export's own key is used: that proves that the export is whole, and the reader
/// has to compare the key's text with the one that the node publishes.
///
/// # Errors
/// The first fault.
pub fn export(export: &LogExport, key: Option<&VerifierKey>, earlier: Option<&str>) -> Result<Proved, LogFault> {
    let own_key = VerifierKey::parse(&export.vkey)?;
    let key = key.unwrap_or(&own_key);
    let checkpoint = key.verify(&export.checkpoint)?;
    for entry in &export.entries {
        one(entry, &checkpoint)?;
    }
    let earlier = earlier.map(|note| key.verify(note)).transpose()?;
    if let Some(earlier) = &earlier {
        if earlier.size > checkpoint.size {
            return Err(LogFault::Truncated {
                found: checkpoint.size,
                signed: earlier.size,
            });
        }
        let missing = LogFault::NoConsistency { from: earlier.size };
        let proof = match &export.consistency {
            Some(consistency) if consistency.from == earlier.size => hashes(&consistency.proof).ok_or(missing)?,
            _ if earlier.size == checkpoint.size => Vec::new(),
            _ => return Err(missing),
        };
        if !merkle::verify_consistency(earlier.size, &earlier.root, checkpoint.size, &checkpoint.root, &proof) {
            return Err(LogFault::Rewritten {
                signed: earlier.size,
                near: None,
            });
        }
    }
    Ok(Proved {
        origin: checkpoint.origin,
        signed: checkpoint.size,
        leaves: checkpoint.size,
        records: export.entries.len() as u64,
        purged: 0,
        contains: earlier.map(|earlier| earlier.size),
    })
}

fn one(entry: &ProvenEntry, checkpoint: &Checkpoint) -> Result<(), LogFault> {
    let leaf = entry.leaf;
    let unreadable = |error: SealedError| LogFault::Unreadable {
        leaf,
        reason: error.to_string(),
    };
    let subjects_root = entry.sealed.subjects_root().map_err(unreadable)?;
    let leaf_hash = entry.sealed.leaf_hash(&subjects_root).map_err(unreadable)?;
    let proof = hashes(&entry.proof).ok_or(LogFault::NotIncluded { leaf })?;
    if !merkle::verify_inclusion(&leaf_hash, leaf, checkpoint.size, &proof, &checkpoint.root) {
        return Err(LogFault::NotIncluded { leaf });
    }
    if let Some(subject) = &entry.subject
        && !subject
            .proof
            .verify(&subject.person, &entry.sealed.record.id, &subjects_root)
    {
        return Err(LogFault::NotConcerned {
            leaf,
            person: subject.person.clone(),
        });
    }
    Ok(())
}

fn hashes(texts: &[String]) -> Option<Vec<[u8; 32]>> {
    texts.iter().map(|text| hash(text)).collect()
}

fn kept_checkpoint(connection: &Connection) -> Result<Option<String>, LogFault> {
    kept_note(connection, super::checkpoint::RECORD)
}

fn kept_note(connection: &Connection, key: &str) -> Result<Option<String>, LogFault> {
    let note: Option<Vec<u8>> = connection
        .query_row(
            "SELECT value FROM records WHERE kind = 'server' AND key = ?1",
            [key],
            |row| row.get(0),
        )
        .optional()?;
    note.map(|bytes| String::from_utf8(bytes).map_err(|_| CheckpointError::Malformed("it is not text").into()))
        .transpose()
}

/// What the readable records say.
struct Readable {
    /// The leaf hash that each leads to, by position.
    records: HashMap<u64, [u8; 32]>,
    /// Which of them were deleted, each with the position of the entry that says so.
    purged: Vec<(u64, Purged)>,
}

fn readable(connection: &Connection) -> Result<Readable, LogFault> {
    let mut statement = connection.prepare("SELECT leaf, record FROM audit_records ORDER BY leaf")?;
    let mut rows = statement.query([])?;
    let mut found = Readable {
        records: HashMap::new(),
        purged: Vec::new(),
    };
    while let Some(row) = rows.next()? {
        let leaf = row.get::<_, i64>(0)?.unsigned_abs();
        let bytes: Vec<u8> = row.get(1)?;
        let unreadable = |error: SealedError| LogFault::Unreadable {
            leaf,
            reason: error.to_string(),
        };
        let sealed = Sealed::from_bytes(&bytes).map_err(unreadable)?;
        // Bytes that mean the same and are others were changed by somebody else than this program.
        if sealed.to_bytes().map_err(unreadable)? != bytes {
            return Err(LogFault::Record { leaf });
        }
        let root = sealed.subjects_root().map_err(unreadable)?;
        found.records.insert(leaf, sealed.leaf_hash(&root).map_err(unreadable)?);
        found.purged.extend(sealed.record.purged.map(|purged| (leaf, purged)));
    }
    Ok(found)
}

/// Counts the leaves without a readable record; each must be named by a later entry. The entries themselves were checked
/// against their leaves already.
fn marked_gaps(size: u64, records: &HashMap<u64, [u8; 32]>, purged: &[(u64, Purged)]) -> Result<u64, LogFault> {
    let mut marked = RoaringTreemap::new();
    for (leaf, purged) in purged {
        for (first, last) in &purged.leaves {
            if first <= last && last < leaf {
                marked.insert_range(*first..=*last);
            }
        }
    }
    let mut gone = 0;
    for leaf in (0..size).filter(|leaf| !records.contains_key(leaf)) {
        if !marked.contains(leaf) {
            return Err(LogFault::Unmarked { leaf });
        }
        gone += 1;
    }
    Ok(gone)
}

/// All leaves in order. A gap is a dropped leaf.
fn all_leaves(connection: &Connection, records: &HashMap<u64, [u8; 32]>) -> Result<Vec<[u8; 32]>, LogFault> {
    let size = audit_log::size(connection)?;
    let mut leaves = Vec::new();
    let mut from = 0;
    while from < size {
        match audit_log::leaves(connection, from, BATCH.min(size - from)) {
            Ok(batch) => {
                from += batch.len() as u64;
                leaves.extend(batch);
            }
            Err(audit_log::AuditLogError::Damaged { level: 0, position, .. }) => {
                return Err(if records.contains_key(&position) || position + 1 < size {
                    LogFault::Dropped { leaf: position }
                } else {
                    LogFault::Flipped { leaf: position }
                });
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(leaves)
}

/// Whether the leaves begin with those of a checkpoint; if not, what the readable records tell about it.
fn contains(
    connection: &Connection,
    leaves: &[[u8; 32]],
    records: &HashMap<u64, [u8; 32]>,
    checkpoint: &Checkpoint,
) -> Result<(), LogFault> {
    let covered = usize::try_from(checkpoint.size)
        .ok()
        .and_then(|size| leaves.get(..size));
    if covered.is_some_and(|covered| merkle::root(covered) == checkpoint.root) {
        return Ok(());
    }
    let named = against_records(leaves, records).filter(|fault| !matches!(fault, LogFault::Truncated { .. }));
    Err(match (named, covered) {
        // Records and leaves disagree, and the leaves are not the signed ones: the leaves were changed.
        (Some(LogFault::Record { leaf }), Some(_)) => LogFault::Flipped { leaf },
        (Some(fault), _) => fault,
        (None, None) => LogFault::Truncated {
            found: leaves.len() as u64,
            signed: checkpoint.size,
        },
        (None, Some(_)) => LogFault::Rewritten {
            signed: checkpoint.size,
            near: first_disagreeing_tile(connection, leaves),
        },
    })
}

/// The first place where the leaves are not what the readable records say.
fn against_records(leaves: &[[u8; 32]], records: &HashMap<u64, [u8; 32]>) -> Option<LogFault> {
    let mut positions: Vec<u64> = records.keys().copied().collect();
    positions.sort_unstable();
    let at = |position: u64| usize::try_from(position).ok().and_then(|position| leaves.get(position));
    for position in positions {
        let expected = records.get(&position)?;
        let Some(there) = at(position) else {
            return Some(LogFault::Truncated {
                found: leaves.len() as u64,
                signed: position + 1,
            });
        };
        if there == expected {
            continue;
        }
        // Everything from here on moved up by one: this leaf is gone.
        let moved_up = records.get(&(position + 1)) == Some(there);
        let elsewhere = leaves
            .iter()
            .position(|leaf| leaf == expected)
            .map(|place| place as u64);
        return Some(match elsewhere {
            None if moved_up => LogFault::Dropped { leaf: position },
            None => LogFault::Record { leaf: position },
            Some(other) => LogFault::Reordered { leaf: position, other },
        });
    }
    None
}

/// Checks every stored hash of a whole tile.
fn stored_tiles(connection: &Connection, leaves: &[[u8; 32]]) -> Result<(), LogFault> {
    let (mut below, mut level) = (leaves.to_vec(), 1_u8);
    loop {
        let expected: Vec<[u8; 32]> = below.chunks_exact(256).map(merkle::root).collect();
        if expected.is_empty() {
            return Ok(());
        }
        for (tile, hash) in expected.iter().enumerate() {
            let tile = tile as u64;
            if stored_hash(connection, level, tile)?.as_ref() != Some(hash) {
                return Err(LogFault::Tile { level, tile });
            }
        }
        (below, level) = (expected, level.saturating_add(1));
    }
}

fn first_disagreeing_tile(connection: &Connection, leaves: &[[u8; 32]]) -> Option<u64> {
    leaves
        .chunks_exact(256)
        .map(merkle::root)
        .enumerate()
        .find(|(tile, root)| stored_hash(connection, 1, *tile as u64).ok().flatten().as_ref() != Some(root))
        .map(|(tile, _)| tile as u64)
}

fn stored_hash(connection: &Connection, level: u8, position: u64) -> Result<Option<[u8; 32]>, LogFault> {
    let position = i64::try_from(position).unwrap_or(i64::MAX);
    let found: Option<Vec<u8>> = connection
        .query_row(
            "SELECT hash FROM audit_log_hash WHERE level = ?1 AND position = ?2",
            rusqlite::params![level, position],
            |row| row.get(0),
        )
        .optional()?;
    Ok(found.and_then(|bytes| <[u8; 32]>::try_from(bytes).ok()))
}
