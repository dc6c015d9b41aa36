//! `backup.json`: what a backup holds, with digests.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{BackupError, MANIFEST};

/// Largest `backup.json` that is read, in bytes.
const BYTES_MAX: u64 = 1 << 20;

/// What a backup holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// Always `meent-backup`.
    pub format: String,
    /// Version of the layout.
    pub version: u32,
    /// Base URL of the server.
    pub server: String,
    /// When it was taken (RFC 3339).
    pub taken: String,
    /// The last commit in it.
    pub commit: u64,
    /// Format number of the database.
    pub store_format: i64,
    /// Leaves of the audit log.
    pub log_leaves: u64,
    /// The last signed checkpoint of the audit log, if there was one.
    pub checkpoint: Option<String>,
    /// The database and the small files beside it.
    pub files: Vec<Listed>,
    /// Bodies that the database refers to.
    pub bodies: u64,
    /// Their bytes together.
    pub body_bytes: u64,
}

/// A file of a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Listed {
    /// Name in the backup's folder.
    pub name: String,
    /// Where it belongs, if that is not the store's directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<std::path::PathBuf>,
    /// Length in bytes.
    pub bytes: u64,
    /// SHA-256 in hexadecimal digits.
    pub sha256: String,
}

impl Manifest {
    /// What [`Manifest::format`] says.
    pub(super) const FORMAT: &'static str = "meent-backup";
    /// The version that this program writes and reads.
    pub(super) const VERSION: u32 = 1;

    /// Reads the manifest of a backup's folder.
    ///
    /// # Errors
    /// When there is none, or one of another program or version.
    pub fn read(folder: &Path) -> Result<Self, BackupError> {
        let path = folder.join(MANIFEST);
        let length = std::fs::metadata(&path)
            .map_err(|error| BackupError::file(&path, error))?
            .len();
        if length > BYTES_MAX {
            return Err(BackupError::unsound(&path, "too long"));
        }
        let text = std::fs::read(&path).map_err(|error| BackupError::file(&path, error))?;
        let manifest: Self =
            serde_json::from_slice(&text).map_err(|error| BackupError::unsound(&path, error.to_string()))?;
        if manifest.format != Self::FORMAT || manifest.version != Self::VERSION {
            return Err(BackupError::unsound(
                &path,
                format!(
                    "a `{}` of version {}, which this program does not read",
                    manifest.format, manifest.version
                ),
            ));
        }
        let plain = |name: &str| !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\\']);
        match manifest.files.iter().find(|file| !plain(&file.name)) {
            Some(file) => Err(BackupError::unsound(
                &path,
                format!("`{}` is no plain file name", file.name),
            )),
            None => Ok(manifest),
        }
    }
}
