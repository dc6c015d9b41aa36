//! Verifies an exported log offline, and names what is wrong with it (AUD-3).

use std::collections::HashMap;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

use policies::audit::merkle;

use super::export::{CHECKPOINT_FILE, LEAVES_FILE};
use super::tiles::{TilePath, tile_path};
use super::{Checkpoint, CheckpointError, Hash, TILE_WIDTH, VerifierKey};

/// A log whose every leaf follows from a signed checkpoint.
#[derive(Clone, Debug)]
pub struct VerifiedLog {
    /// The checkpoint that was verified.
    pub checkpoint: Checkpoint,
    /// All leaf hashes in order.
    pub leaves: Vec<Hash>,
}

/// What is wrong with a log.
#[derive(Debug, thiserror::Error)]
pub enum LogFault {
    /// The checkpoint is malformed, of another log or not signed by the key.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// A leaf was changed.
    #[error("flipped: leaf {index} is not what was signed")]
    Flipped {
        /// Index of the leaf.
        index: u64,
    },
    /// A leaf is gone and the later ones moved up.
    #[error("dropped: leaf {index} is missing")]
    Dropped {
        /// Index of the leaf.
        index: u64,
    },
    /// A leaf was added that was not signed.
    #[error("inserted: leaf {index} was not signed")]
    Inserted {
        /// Index of the leaf.
        index: u64,
    },
    /// All leaves are there in another order.
    #[error("reordered: leaf {first} stands where leaf {second} was signed")]
    Reordered {
        /// Where the order first differs.
        first: u64,
        /// Which signed leaf stands there.
        second: u64,
    },
    /// The log ends before its signed size.
    #[error("truncated: {found} leaves of {expected}")]
    Truncated {
        /// Leaves that were signed.
        expected: u64,
        /// Leaves that are there.
        found: u64,
    },
    /// A tile does not follow from the tiles below it, and nothing says how.
    #[error("altered: tile {index} at level {level} does not agree with what was signed")]
    Altered {
        /// Level of tiles.
        level: u8,
        /// Index of the tile.
        index: u64,
    },
    /// A tile file is missing.
    #[error("missing: tile {index} at level {level}")]
    Missing {
        /// Level of tiles.
        level: u8,
        /// Index of the tile.
        index: u64,
    },
    /// The tree does not contain the tree of an earlier checkpoint.
    #[error("rewritten: the log of {size} leaves does not contain the earlier checkpoint of {earlier} leaves")]
    Rewritten {
        /// Leaves now.
        size: u64,
        /// Leaves of the earlier checkpoint.
        earlier: u64,
    },
    /// A file cannot be read or parsed.
    #[error("file `{file}`: {reason}")]
    File {
        /// Path inside the directory.
        file: String,
        /// Why.
        reason: String,
    },
}

/// Verifies an exported directory: the signature, every tile, the list of leaves if it is there, and that the log contains an
/// earlier checkpoint if one is given.
///
/// # Errors
/// The first fault found, as exactly as the files allow: with a list of leaves that still agrees with the checkpoint, a changed
/// tile is told leaf by leaf, and the other way round.
pub fn verify_directory(
    directory: &Path,
    key: &VerifierKey,
    earlier: Option<&Checkpoint>,
) -> Result<VerifiedLog, LogFault> {
    let note =
        fs::read_to_string(directory.join(CHECKPOINT_FILE)).map_err(|error| file_fault(CHECKPOINT_FILE, &error))?;
    let checkpoint = key.verify(&note)?;
    let listed = read_list(directory)?;
    let truth = listed.as_ref().filter(|leaves| is_tree(leaves, &checkpoint));
    let tiles = match read_level(directory, 0, checkpoint.size) {
        Ok(leaves) if is_tree(&leaves, &checkpoint) => leaves,
        Ok(altered) => {
            let named = truth.and_then(|truth| compare(truth, &altered));
            return Err(named.unwrap_or_else(|| locate(directory, &altered)));
        }
        Err(fault) => return Err(fault),
    };
    if let Some(fault) = listed.and_then(|listed| compare(&tiles, &listed)) {
        return Err(fault);
    }
    verify_upper_levels(directory, &tiles)?;
    if let Some(earlier) = earlier {
        let contained = usize::try_from(earlier.size).ok().and_then(|size| tiles.get(..size));
        if contained.is_none_or(|leaves| merkle::root(leaves) != earlier.root) {
            return Err(LogFault::Rewritten {
                size: checkpoint.size,
                earlier: earlier.size,
            });
        }
    }
    Ok(VerifiedLog {
        checkpoint,
        leaves: tiles,
    })
}

/// Compares leaves from another source, for instance recomputed from readable records, with a verified log.
///
/// # Errors
/// What differs, and where.
pub fn verify_leaves(log: &VerifiedLog, leaves: &[Hash]) -> Result<(), LogFault> {
    compare(&log.leaves, leaves).map_or(Ok(()), Err)
}

fn is_tree(leaves: &[Hash], checkpoint: &Checkpoint) -> bool {
    leaves.len() as u64 == checkpoint.size && merkle::root(leaves) == checkpoint.root
}

/// Names the difference between what was signed and what is there.
fn compare(truth: &[Hash], found: &[Hash]) -> Option<LogFault> {
    let same = truth
        .iter()
        .zip(found)
        .take_while(|(signed, there)| signed == there)
        .count();
    let index = same as u64;
    match (truth.get(same), found.get(same)) {
        (None, None) => None,
        (Some(_), None) => Some(LogFault::Truncated {
            expected: truth.len() as u64,
            found: found.len() as u64,
        }),
        (None, Some(_)) => Some(LogFault::Inserted { index }),
        (Some(_), Some(there)) => Some(if found.len() > truth.len() {
            LogFault::Inserted { index }
        } else if truth.get(same + 1) == Some(there) && found.len() < truth.len() {
            LogFault::Dropped { index }
        } else if same_leaves(truth, found) {
            let second = truth.iter().position(|signed| signed == there).unwrap_or(same) as u64;
            LogFault::Reordered { first: index, second }
        } else {
            LogFault::Flipped { index }
        }),
    }
}

fn same_leaves(truth: &[Hash], found: &[Hash]) -> bool {
    let mut counts: HashMap<&Hash, i64> = HashMap::with_capacity(truth.len());
    for leaf in truth {
        *counts.entry(leaf).or_default() += 1;
    }
    for leaf in found {
        *counts.entry(leaf).or_default() -= 1;
    }
    counts.values().all(|count| *count == 0)
}

/// Finds the altered tile by the hashes one level up.
fn locate(directory: &Path, leaves: &[Hash]) -> LogFault {
    let tiles = leaves.len() / 256;
    if let Ok(parents) = read_level(directory, 1, tiles as u64) {
        for (index, (tile, parent)) in leaves.chunks_exact(256).zip(&parents).enumerate() {
            if merkle::root(tile) != *parent {
                return LogFault::Altered {
                    level: 0,
                    index: index as u64,
                };
            }
        }
    }
    LogFault::Altered {
        level: 0,
        index: tiles as u64,
    }
}

fn verify_upper_levels(directory: &Path, leaves: &[Hash]) -> Result<(), LogFault> {
    let (mut below, mut level) = (leaves.to_vec(), 1_u8);
    loop {
        let expected: Vec<Hash> = below.chunks_exact(256).map(merkle::root).collect();
        if expected.is_empty() {
            return Ok(());
        }
        let found = read_level(directory, level, expected.len() as u64)?;
        if let Some(position) = expected
            .iter()
            .zip(&found)
            .position(|(expected, found)| expected != found)
        {
            return Err(LogFault::Altered {
                level,
                index: position as u64 / TILE_WIDTH,
            });
        }
        (below, level) = (expected, level.saturating_add(1));
    }
}

fn read_level(directory: &Path, level: u8, count: u64) -> Result<Vec<Hash>, LogFault> {
    let mut hashes = Vec::new();
    for index in 0..count.div_ceil(TILE_WIDTH) {
        let width = (count - index * TILE_WIDTH).min(TILE_WIDTH);
        let name = tile_path(TilePath {
            level,
            index,
            width: u16::try_from(width).unwrap_or(256),
        });
        let bytes = match fs::read(directory.join(&name)) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound && level == 0 && (index + 1) * TILE_WIDTH >= count => {
                return Err(LogFault::Truncated {
                    expected: count,
                    found: hashes.len() as u64,
                });
            }
            Err(error) if error.kind() == ErrorKind::NotFound => return Err(LogFault::Missing { level, index }),
            Err(error) => return Err(file_fault(&name, &error)),
        };
        let whole = bytes.chunks_exact(32);
        if !whole.remainder().is_empty() || bytes.len() as u64 > width * 32 {
            return Err(LogFault::File {
                file: name,
                reason: format!("{} bytes instead of {}", bytes.len(), width * 32),
            });
        }
        hashes.extend(whole.filter_map(|hash| Hash::try_from(hash).ok()));
        if (bytes.len() as u64) < width * 32 {
            // A short tile in the middle shifts nothing: what follows stays in its own files.
            let last = (index + 1) * TILE_WIDTH >= count;
            return Err(if level == 0 && last {
                LogFault::Truncated {
                    expected: count,
                    found: hashes.len() as u64,
                }
            } else {
                LogFault::Altered { level, index }
            });
        }
    }
    Ok(hashes)
}

fn read_list(directory: &Path) -> Result<Option<Vec<Hash>>, LogFault> {
    let text = match fs::read_to_string(directory.join(LEAVES_FILE)) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(file_fault(LEAVES_FILE, &error)),
    };
    let parse = |(number, line): (usize, &str)| {
        let mut hash = [0; 32];
        hex::decode_to_slice(line, &mut hash).map_err(|error| LogFault::File {
            file: LEAVES_FILE.to_owned(),
            reason: format!("line {}: {error}", number + 1),
        })?;
        Ok(hash)
    };
    text.lines().enumerate().map(parse).collect::<Result<_, _>>().map(Some)
}

fn file_fault(file: &str, error: &io::Error) -> LogFault {
    LogFault::File {
        file: file.to_owned(),
        reason: error.to_string(),
    }
}
