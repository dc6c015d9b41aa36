//! `pod-server backup`: of a running server or a stopped one.

use std::path::PathBuf;

use clap::{ArgGroup, Args};
use time::OffsetDateTime;

use super::{ConfigFile, Failure, blocking, say};
use crate::backup::{BackupError, Manifest, Taking, latest, take, verify};

/// Back up a server, also while it runs; check a backup
#[derive(Debug, Args)]
#[command(
    group(ArgGroup::new("what").required(true)),
    after_help = "Each backup is a folder of DIR that is named after the moment. It holds the database as it was at one commit, \
                  the keys, and digests of everything; large bodies lie in DIR/blobs once each, so that the next backup \
                  copies only new ones. A backup holds secrets: keep it as you keep the server.\n\nThe revocation journal \
                  (`backup.revocation_journal`) is not in it on purpose: it tells what was revoked after the backup, so keep it \
                  on another disk."
)]
pub(super) struct BackupCommand {
    #[command(flatten)]
    file: ConfigFile,
    /// Take a backup into this backup directory
    #[arg(long, value_name = "DIR", group = "what")]
    into: Option<PathBuf>,
    /// Check a backup's folder, or the newest of a backup directory: every file and body by its digest, and the database
    #[arg(long, value_name = "FOLDER", group = "what")]
    check: Option<PathBuf>,
    /// Keep only so many backups in the directory, the new one included
    #[arg(long, value_name = "NUMBER", requires = "into")]
    keep: Option<usize>,
}

impl BackupCommand {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let said = |error: BackupError| Failure::Said(error.to_string());
        if let Some(folder) = self.check {
            let folder = latest(&folder).map_err(said)?.unwrap_or(folder);
            let manifest = blocking(move || verify(&folder).map_err(said)).await?;
            tell("sound", &manifest);
            return Ok(());
        }
        let Some(into) = self.into else { return Ok(()) };
        let config = self.file.load()?;
        let taking = Taking {
            server: config.server.base_url.to_string(),
            key_files: config.dataspace.log_key_file.iter().cloned().collect(),
            journal: config.backup.journal_path(&config.store.directory),
            store: config.store.directory,
            into,
            keep: self.keep,
            now: OffsetDateTime::now_utc(),
        };
        let (folder, manifest) = blocking(move || take(&taking, &mut |_| {}).map_err(said)).await?;
        tell(&folder.display().to_string(), &manifest);
        Ok(())
    }
}

fn tell(what: &str, manifest: &Manifest) {
    say(&format!(
        "{what}: {} at commit {}, {} leaves of the audit log, {} bodies with {} bytes beside the database",
        manifest.server, manifest.commit, manifest.log_leaves, manifest.bodies, manifest.body_bytes
    ));
}
