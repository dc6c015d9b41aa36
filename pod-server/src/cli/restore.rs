//! `pod-server restore`.

use std::path::PathBuf;

use clap::{ArgGroup, Args};

use super::{ConfigFile, Failure, blocking, say};
use crate::backup::{BackupError, Replay, Replayed, Restore, Restored, latest, restore};

/// Put a backup back into an empty directory, without what was revoked since
#[derive(Debug, Args)]
#[command(
    group(ArgGroup::new("since").required(true)),
    after_help = "Everything is checked before anything can be served: digests, the database, every body, and the whole audit log. \
                  What was withdrawn, revoked, deleted as a whole or given other access rules after the backup is taken from the \
                  revocation journal and ended again; resources whose rules changed since belong to their owner alone until the \
                  owner gives access anew. All sessions end.\n\nWithout a journal nobody knows what was revoked, so all consents \
                  and agreements end, client credentials are deleted, and every resource with access rules of its own belongs to \
                  its owner alone. The report is also in `restored.json` in the store's directory."
)]
pub(super) struct RestoreCommand {
    #[command(flatten)]
    file: ConfigFile,
    /// A backup's folder, or the backup directory for its newest one
    backup: PathBuf,
    /// The revocation journal of the lost server
    #[arg(long, value_name = "FILE", group = "since")]
    journal: Option<PathBuf>,
    /// There is no journal: end everything that may have been revoked
    #[arg(long, group = "since")]
    without_journal: bool,
    /// With `--without-journal`: leave the access rules as they are in the backup, although some may have been narrowed since
    #[arg(long, requires = "without_journal")]
    keep_access_rules: bool,
    /// File with a checkpoint of the audit log that was kept elsewhere; the restored log must be its beginning
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
}

impl RestoreCommand {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let said = |error: BackupError| Failure::Said(error.to_string());
        let checkpoint = self.checkpoint.as_deref().map(|path| {
            std::fs::read_to_string(path).map_err(|error| Failure::Said(format!("`{}`: {error}", path.display())))
        });
        let backup = match latest(&self.backup).map_err(said)? {
            Some(newest) => newest,
            None => self.backup.clone(),
        };
        let work = Restore {
            backup,
            config: self.file.load()?,
            replay: match self.journal {
                Some(journal) => Replay::Journal(journal),
                None => Replay::Nothing {
                    keep_rules: self.keep_access_rules,
                },
            },
            checkpoint: checkpoint.transpose()?,
        };
        let restored = blocking(move || restore(&work, &mut |_| {}).map_err(said)).await?;
        tell(&restored);
        Ok(())
    }
}

fn tell(restored: &Restored) {
    say(&format!(
        "restored commit {}: {} resources, {} leaves of the audit log proved",
        restored.commit, restored.resources, restored.log_leaves
    ));
    if restored.log_leaves_lost > 0 {
        say(&format!(
            "{} leaves that the checkpoint covers came after the backup and are lost; tell those who rely on the log",
            restored.log_leaves_lost
        ));
    }
    let Replayed {
        consents,
        mandates,
        agreements,
        credentials,
        accounts,
        closed,
        storages,
    } = &restored.ended;
    for (what, ended) in [
        ("consent ended", consents),
        ("mandate ended", mandates),
        ("agreement ended", agreements),
        ("credentials deleted", credentials),
        ("account closed", accounts),
        ("for its owner alone", closed),
        ("storage deleted", storages),
    ] {
        for one in ended {
            say(&format!("{what}: {one}"));
        }
    }
}
