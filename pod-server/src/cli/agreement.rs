//! `pod-server agreement …`: which copy of an agreement is the one that was concluded, without the server and the network.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use server_kit::audit_log::VerifierKey;

use super::{Failure, say};
use crate::dataspace::copies;
use crate::log::own::LogExport;

/// Commands about agreements.
#[derive(Debug, Subcommand)]
pub(super) enum AgreementCommand {
    /// Compare the parties' copies of an agreement with what the audit log proves; name those that differ
    #[command(
        after_help = "A copy is what a party got in Turtle from the agreement's address. The key is what `/log/vkey` of the server \
                      says; take it from a source that you trust."
    )]
    Compare {
        /// IRI of the agreement
        #[arg(long, value_name = "IRI")]
        agreement: String,
        /// The owner's own log, downloaded from `/{storage}/.log`
        #[arg(long, value_name = "FILE")]
        export: PathBuf,
        /// Public key of the server's log; that of the export unless given
        #[arg(long, value_name = "VKEY")]
        key: Option<String>,
        /// The copies, each as `WHO=FILE`
        #[arg(value_name = "WHO=FILE", required = true, value_parser = named)]
        copies: Vec<(String, PathBuf)>,
    },
}

fn named(text: &str) -> Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((who, file)) if !who.is_empty() && !file.is_empty() => Ok((who.to_owned(), PathBuf::from(file))),
        _ => Err("write `WHO=FILE`, such as `consumer=agreement.ttl`".to_owned()),
    }
}

impl AgreementCommand {
    pub(super) fn run(self) -> Result<(), Failure> {
        let Self::Compare {
            agreement,
            export,
            key,
            copies,
        } = self;
        let key = key.map(|text| VerifierKey::parse(&text)).transpose();
        let key = key.map_err(|error| Failure::Said(format!("`--key`: {error}")))?;
        let log: LogExport = serde_json::from_str(&read(&export)?)
            .map_err(|error| Failure::Said(format!("`{}` is no log: {error}", export.display())))?;
        let concluded =
            copies::concluded(&log, key.as_ref(), &agreement).map_err(|fault| Failure::Said(fault.to_string()))?;
        say(&format!("the log proves the hash {}", concluded.hash));
        let mut changed = Vec::new();
        for (who, file) in copies {
            match concluded.is_said_by(&read(&file)?) {
                Ok(true) => say(&format!("{who}: as it was concluded")),
                Ok(false) => changed.push(format!("{who}: CHANGED")),
                Err(fault) => changed.push(format!("{who}: CHANGED ({fault})")),
            }
        }
        if changed.is_empty() {
            return Ok(());
        }
        Err(Failure::Said(changed.join("\n")))
    }
}

fn read(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|error| Failure::Said(format!("`{}`: {error}", path.display())))
}
