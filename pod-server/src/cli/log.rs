//! `pod-server log …`: proves the audit log without the server and without the network.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use server_kit::audit_log::{LogKey, VerifierKey, WitnessVerifier};
use server_kit::random::SystemRandom;
use time::OffsetDateTime;

use super::{ConfigFile, Failure, say};
use crate::config::Config;
use crate::log::own::LogExport;
use crate::log::verify;

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
        /// Public key of the log; that of the configured server unless given
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
}

impl LogCommand {
    pub(super) fn run(self) -> Result<(), Failure> {
        let Self::Verify {
            file,
            store,
            export,
            key,
            checkpoint,
            witness,
        } = self;
        let key = key.map(|text| VerifierKey::parse(&text)).transpose();
        let key = key.map_err(|error| Failure::Said(format!("`--key`: {error}")))?;
        let mut earlier = checkpoint.as_deref().map(read).transpose()?;
        let proved = match export {
            Some(export) => {
                let export: LogExport = serde_json::from_str(&read(&export)?)
                    .map_err(|error| Failure::Said(format!("`{}` is no log: {error}", export.display())))?;
                cosigned(&witness, earlier.as_deref())?;
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
                cosigned(&witness, earlier.as_deref())?;
                verify::store(&directory, &key, earlier.as_deref())
            }
        };
        let proved = proved.map_err(|fault| Failure::Said(format!("the log is NOT sound: {fault}")))?;
        say(&format!(
            "the log `{}` is sound: {} leaves, {} of them signed, {} readable records checked",
            proved.origin, proved.leaves, proved.signed, proved.records
        ));
        Ok(())
    }
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
