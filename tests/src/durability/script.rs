//! What each writer does, decided by seed, writer and number alone, so that whoever knows how far a writer got knows what
//! it must have left.

use sha2::{Digest, Sha256};

/// Writers of one child process; each has a storage of its own.
pub const WRITERS: u16 = 16;

/// Bodies above this length go to files. Small, so that both kinds are killed often.
pub const INLINE_BYTES_MAX: usize = 2_048;

/// One step of a writer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Gives a document a small state.
    Put {
        /// Path of the document.
        path: String,
        /// Its bytes.
        body: Vec<u8>,
    },
    /// Gives a document a state that is kept in a file.
    PutBlob {
        /// Path of the document.
        path: String,
        /// Its bytes.
        body: Vec<u8>,
    },
    /// Reads a document and adds to it in one transaction, as a patch does; nothing if it is not there.
    Append {
        /// Path of the document.
        path: String,
        /// What is added.
        more: Vec<u8>,
    },
    /// Gives a document its own access control list; nothing if the document is not there.
    PutAcl {
        /// Path of the document.
        path: String,
        /// The list.
        body: Vec<u8>,
    },
    /// Removes a document.
    Remove {
        /// Path of the document.
        path: String,
    },
    /// Removes a container if it is empty.
    RemoveContainer {
        /// Path of the container.
        path: String,
    },
    /// Writes a record.
    PutRecord {
        /// Key of the record.
        key: String,
        /// Its value.
        value: Vec<u8>,
    },
    /// Deletes a record.
    DeleteRecord {
        /// Key of the record.
        key: String,
    },
    /// Writes to a document and then refuses its own commit: nothing of it may ever be seen.
    Refuse {
        /// Path of the document.
        path: String,
    },
}

/// Numbers from a hash: enough for one step.
struct Dice {
    bytes: [u8; 32],
    next: usize,
}

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        let pair = self.bytes.get(self.next..self.next + 2).unwrap_or(&[0, 0]);
        self.next += 2;
        pair.iter()
            .fold(0_usize, |value, &byte| value * 256 + usize::from(byte))
            % sides.max(1)
    }
}

/// The root of a writer's storage.
#[must_use]
pub fn root(writer: u16) -> String {
    format!("/w{writer:02}/")
}

/// The key of the record in which a writer's commits count themselves.
#[must_use]
pub fn progress_key(writer: u16) -> String {
    format!("durability/{writer:02}")
}

/// The step with a number.
#[must_use]
pub fn step(seed: u64, writer: u16, number: u64) -> Step {
    let mut hash = Sha256::new();
    hash.update(seed.to_be_bytes());
    hash.update(writer.to_be_bytes());
    hash.update(number.to_be_bytes());
    let mut dice = Dice {
        bytes: hash.finalize().into(),
        next: 0,
    };
    let kind = dice.roll(100);
    let (outer, inner, document) = (dice.roll(3), dice.roll(4), dice.roll(5));
    let container = match inner {
        0 => format!("{}c{outer}/", root(writer)),
        _ => format!("{}c{outer}/i{inner}/", root(writer)),
    };
    let path = format!("{container}d{document}.ttl");
    let key = format!("{writer:02}/{document}");
    match kind {
        0..35 => Step::Put {
            path,
            body: body(&mut dice, number, INLINE_BYTES_MAX),
        },
        35..45 => Step::PutBlob {
            path,
            body: long_body(&mut dice, number),
        },
        45..60 => Step::Append {
            path,
            more: body(&mut dice, number, 64),
        },
        60..68 => Step::PutAcl {
            path,
            body: body(&mut dice, number, 200),
        },
        68..80 => Step::Remove { path },
        80..85 => Step::RemoveContainer { path: container },
        85..91 => Step::PutRecord {
            key,
            value: body(&mut dice, number, 300),
        },
        91..95 => Step::DeleteRecord { key },
        _ => Step::Refuse { path },
    }
}

fn body(dice: &mut Dice, number: u64, bytes_max: usize) -> Vec<u8> {
    let length = dice.roll(bytes_max);
    pattern(number, length)
}

/// Some of these are equal across writers and numbers, so that blobs are shared and given up while others use them.
fn long_body(dice: &mut Dice, number: u64) -> Vec<u8> {
    let length = INLINE_BYTES_MAX + 1 + dice.roll(20_000);
    match dice.roll(3) {
        0 => pattern(1, INLINE_BYTES_MAX + 1 + dice.roll(3)),
        _ => pattern(number, length),
    }
}

fn pattern(number: u64, length: usize) -> Vec<u8> {
    format!("<#{number}> ").bytes().cycle().take(length).collect()
}
