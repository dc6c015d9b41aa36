//! `pod-server log …`: proves the audit log without the server and without the network.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use policies::audit::{AuditAction, Outcome};
use roaring::RoaringBitmap;
use server_kit::audit_log::{LogKey, VerifierKey, WitnessVerifier};
use server_kit::random::SystemRandom;
use time::OffsetDateTime;

use super::{ConfigFile, Failure, say};
use crate::app::App;
use crate::config::Config;
use crate::log::own::LogExport;
use crate::log::{replay, verify, witness};
use crate::store::{CommitError, StoreError, Transaction, Warrant, commit_blocking};

/// Commands about the audit log.
#[derive(Debug, Subcommand)]
pub(super) enum LogCommand {
    /// Prove the log of a node, or the part of it that a storage's owner has downloaded
    #[command(
        after_help = "The key is what `/log/vkey` of the node says; take it from a source that you trust. An earlier \
                            checkpoint proves that nothing was taken away or changed since."
    )]
    Verify {
        #[command(flatten)]
        file: ConfigFile,
        /// Directory of a store, also of a copy of one, instead of the configured store
        #[arg(long, value_name = "DIR", conflicts_with = "export")]
        store: Option<PathBuf>,
        /// A storage's own log, downloaded from `/{storage}/.log`, instead of the store of the configuration
        #[arg(long, value_name = "FILE")]
        export: Option<PathBuf>,
        /// Public key of the log; that of the configured server unless given, and with `--export` the one in the file
        #[arg(long, value_name = "VKEY")]
        key: Option<String>,
        /// File with an earlier checkpoint
        #[arg(long, value_name = "FILE")]
        checkpoint: Option<PathBuf>,
        /// Public key of a witness that must have cosigned the earlier checkpoint, or the newest cosigned one in the store; once for
        /// each witness
        #[arg(long, value_name = "VKEY")]
        witness: Vec<String>,
    },
    /// Give the log a new key: the old one and the new one sign the log as it is, so that what was signed before stays proven
    #[command(
        after_help = "The server must not run. Publish the new key where the old one was published; `/log/handovers` shows \
                            that the old key vouches for it. Witnesses of this log have to be told the new key as well."
    )]
    RotateKey {
        #[command(flatten)]
        file: ConfigFile,
    },
    /// Let this server, restored from a backup, cosign the log of another server again
    #[command(
        after_help = "A restored witness has forgotten what it cosigned after the backup, so that it could be shown a second \
                            history. Fetch `/log/witnessed` of that server, best also from somebody who kept it, and give the \
                            newest one. The server must not run; what is done stands in its audit log."
    )]
    Confirm {
        #[command(flatten)]
        file: ConfigFile,
        /// Name of the log, as its checkpoints have it
        #[arg(value_name = "LOG")]
        log: String,
        /// File with the newest note that this server cosigned
        #[arg(long, value_name = "FILE", required_unless_present = "as_in_backup")]
        note: Option<PathBuf>,
        /// Go by what the backup knows: the log could show another history for what was cosigned since
        #[arg(long, conflicts_with = "note")]
        as_in_backup: bool,
    },
    /// Make recorded decisions again from what the log and the documents beside it hold, and name each that comes out differently
    #[command(
        after_help = "Prove the log first with `log verify`: replaying shows that decisions follow from what was recorded, \
                            proving shows that what was recorded is what was signed."
    )]
    Replay {
        #[command(flatten)]
        file: ConfigFile,
        /// Directory of a store, also of a copy of one, instead of the configured store
        #[arg(long, value_name = "DIR")]
        store: Option<PathBuf>,
        /// The first position in the log
        #[arg(long, value_name = "LEAF", default_value_t = 0)]
        from: u64,
        /// The position before which to stop; the end of the log unless given
        #[arg(long, value_name = "LEAF", default_value_t = u64::MAX, hide_default_value = true)]
        before: u64,
    },
}

impl LogCommand {
    pub(super) fn run(self) -> Result<(), Failure> {
        match self {
            Self::RotateKey { file } => rotate(&file),
            Self::Confirm { file, log, note, .. } => confirm(&file, &log, note.as_deref()),
            Self::Replay {
                file,
                store,
                from,
                before,
            } => {
                let directory = store.map_or_else(|| file.load().map(|config| config.store.directory), Ok)?;
                again(&directory, from, before)
            }
            Self::Verify {
                file,
                store,
                export,
                key,
                checkpoint,
                witness,
            } => prove(
                &file,
                store,
                export.as_deref(),
                key.as_deref(),
                checkpoint.as_deref(),
                &witness,
            ),
        }
    }
}

fn prove(
    file: &ConfigFile,
    store: Option<PathBuf>,
    export: Option<&Path>,
    key: Option<&str>,
    checkpoint: Option<&Path>,
    witness: &[String],
) -> Result<(), Failure> {
    let key = key.map(VerifierKey::parse).transpose();
    let key = key.map_err(|error| Failure::Said(format!("`--key`: {error}")))?;
    let unnamed = key.is_none() && export.is_some();
    let mut earlier = checkpoint.map(read).transpose()?;
    let proved = match export {
        Some(export) => {
            let export: LogExport = serde_json::from_str(&read(export)?)
                .map_err(|error| Failure::Said(format!("`{}` is no log: {error}", export.display())))?;
            cosigned(witness, earlier.as_deref())?;
            verify::export(&export, key.as_ref(), earlier.as_deref())
        }
        None => {
            let (directory, key) = match (store, key) {
                (Some(directory), Some(key)) => (directory, key),
                (Some(directory), None) => {
                    let key = verify::key_in(&directory).map_err(|fault| Failure::Said(fault.to_string()))?;
                    (directory, key)
                }
                (None, key) => {
                    let config = file.load()?;
                    let key = key.map_or_else(|| own_key(&config), Ok)?;
                    (config.store.directory, key)
                }
            };
            if earlier.is_none() && !witness.is_empty() {
                let kept = verify::witnessed_in(&directory);
                earlier = Some(kept.map_err(|fault| Failure::Said(fault.to_string()))?);
            }
            cosigned(witness, earlier.as_deref())?;
            verify::store(&directory, &key, earlier.as_deref())
        }
    };
    let proved = proved.map_err(|fault| Failure::Said(format!("the log is NOT sound: {fault}")))?;
    if unnamed {
        say(
            "this goes by the key in the file itself; give `--key`, from a source that you trust, to know whose log it is",
        );
    }
    say(&format!(
        "the log `{}` is sound: {} leaves, {} of them signed, {} readable records checked",
        proved.origin, proved.leaves, proved.signed, proved.records
    ));
    if proved.purged > 0 {
        say(&format!(
            "{} readable records were deleted; the log says which and under which rules",
            proved.purged
        ));
    }
    Ok(())
}

fn rotate(file: &ConfigFile) -> Result<(), Failure> {
    let config = file.load()?;
    let key_file = config.dataspace.log_key_path(&config.store.directory);
    let app = App::build(config).map_err(|error| Failure::Said(error.to_string()))?;
    let rotated = app.dataspace.log.checkpoints.rotate(&key_file);
    let key = tokio::runtime::Handle::current().block_on(rotated).map_err(|problem| {
        Failure::Said(format!(
            "the key was not replaced: {} {}",
            problem.title, problem.detail
        ))
    })?;
    say(&format!("the log has a new key: {key}"));
    Ok(())
}

fn confirm(file: &ConfigFile, log: &str, note: Option<&Path>) -> Result<(), Failure> {
    let said = |error: &dyn std::fmt::Display| Failure::Said(error.to_string());
    let app = App::build(file.load()?).map_err(|error| said(&error))?;
    let known = app.dataspace.log.witness.as_ref();
    let known = known.ok_or_else(|| said(&"this server cosigns no logs: see `dataspace.witnessed_logs`"))?;
    let note = note.map(read).transpose()?;
    let size = match &note {
        None => None,
        Some(note) => Some(known.cosigned(log, note).map_err(|error| said(&error))?),
    };
    let node = app.dataspace.log.node.clone();
    let (owned, log) = (note, log.to_owned());
    let work = Box::new(
        move |transaction: &mut dyn Transaction| -> Result<(), CommitError<StoreError>> {
            witness::confirm(transaction, &log, owned.as_deref().zip(size))?;
            let mut record = node.audit.blank(AuditAction::Control, Outcome::Permit);
            record.targets = vec![log];
            node.audit
                .append_within(record, &[], &RoaringBitmap::new(), transaction)?;
            Ok(())
        },
    );
    let warrant = Warrant::without_proof("the operator confirms a log; the entry is appended inside");
    commit_blocking::<(), StoreError>(app.store.as_ref(), warrant, work).map_err(|error| said(&error))?;
    say("confirmed: checkpoints of the log are cosigned again");
    Ok(())
}

fn again(directory: &Path, from: u64, before: u64) -> Result<(), Failure> {
    let replayed = replay::store(directory, from, before).map_err(|fault| Failure::Said(fault.to_string()))?;
    for difference in &replayed.told {
        say(&format!("leaf {}: {}", difference.leaf, difference.how));
    }
    let told = format!(
        "{} decisions come out as they were recorded; {} records hold no decision of a policy; {} were purged or erased",
        replayed.same, replayed.without, replayed.gone
    );
    if replayed.differing > 0 {
        return Err(Failure::Said(format!(
            "{} decisions DIFFER; {told}",
            replayed.differing
        )));
    }
    say(&told);
    Ok(())
}

/// Says when each witness cosigned a note; that the log contains it is proved with the rest.
fn cosigned(witnesses: &[String], note: Option<&str>) -> Result<(), Failure> {
    for text in witnesses {
        let key = WitnessVerifier::parse(text).map_err(|error| Failure::Said(format!("`--witness`: {error}")))?;
        let note =
            note.ok_or_else(|| Failure::Said("`--witness` needs `--checkpoint` beside `--export`".to_owned()))?;
        let seconds = key
            .verify(note)
            .map_err(|error| Failure::Said(format!("the log is NOT sound: {error}")))?;
        let time = i64::try_from(seconds)
            .ok()
            .and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok())
            .map_or_else(|| seconds.to_string(), |time| time.to_string());
        say(&format!("cosigned by `{}` at {time}", key.name()));
    }
    Ok(())
}

/// The public half of the key with which the server of this configuration signs.
pub(super) fn own_key(config: &Config) -> Result<VerifierKey, Failure> {
    let file = config.dataspace.log_key_path(&config.store.directory);
    let unusable = |reason: String| Failure::Said(format!("`{}`: {reason}; give the key with `--key`", file.display()));
    if !file.exists() {
        return Err(unusable("the server has made no key yet".to_owned()));
    }
    let origin = config.dataspace.log_origin_of(config.server.base_url.as_str());
    LogKey::load_or_generate(&file, &origin, &SystemRandom)
        .map(|key| key.verifier().clone())
        .map_err(|error| unusable(error.to_string()))
}

fn read(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|error| Failure::Said(format!("`{}`: {error}", path.display())))
}
