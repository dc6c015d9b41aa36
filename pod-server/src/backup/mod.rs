//! Backups of a running server, and restoring them without bringing back what was revoked since (D19, T115).
//!
//! A backup is a folder of a backup directory: a copy of the database as it was at one commit, the key files, and
//! `backup.json` with their digests. Bodies that are files lie beside the folders once each, under their SHA-256, so that
//! the next backup copies only new ones. The server goes on meanwhile; a backup that is cut off leaves nothing that could be taken for
//! one.
//!
//! What was withdrawn or revoked after a backup is not in it. So the server also writes every revocation into a small file
//! of its own, the revocation journal ([`journal`]), before anyone is told that it counts. Restoring plays it back before
//! the restored store can be served. Without a journal nothing that could have been revoked counts any more: consents and
//! agreements end, and access rules let in owners only, unless the operator decides otherwise by name.

mod blobs;
mod error;
pub mod journal;
mod manifest;
mod replay;
mod restore;
mod take;

pub use error::BackupError;
pub use journal::Journal;
pub use manifest::Manifest;
pub use replay::Replayed;
pub use restore::{Replay, Restore, Restored, restore};
pub use take::{Taking, latest, take, verify};

/// Name of the database in a store's directory and in a backup.
const DATABASE: &str = "store.sqlite";

/// Name of the directory of bodies, in a store's directory and in a backup directory.
const BLOBS: &str = "blobs";

/// What a backup says about itself.
const MANIFEST: &str = "backup.json";

/// Folder inside the store's directory in which a restore works until it is finished.
pub const RESTORING: &str = "restoring";
