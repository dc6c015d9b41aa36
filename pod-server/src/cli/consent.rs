//! `pod-server consent …`: checks receipts, proofs and credentials without the server and without the network.

use std::path::PathBuf;

use clap::Subcommand;
use server_kit::audit_log::VerifierKey;

use super::{ConfigFile, Failure, say};
use crate::consent::verify;

/// Commands about consents.
#[derive(Debug, Subcommand)]
pub(super) enum ConsentCommand {
    /// Prove a receipt, the proof bundle of a consent, or a credential that was made from one
    #[command(after_help = "The key is what `/log/vkey` of the server says; take it from a source that you trust.")]
    Verify {
        #[command(flatten)]
        config: ConfigFile,
        /// The file: a signed receipt, a proof bundle (JSON) or a credential
        #[arg(value_name = "FILE")]
        document: PathBuf,
        /// Public key of the server's log; that of the configured server unless given
        #[arg(long, value_name = "VKEY")]
        key: Option<String>,
    },
}

impl ConsentCommand {
    pub(super) fn run(self) -> Result<(), Failure> {
        let Self::Verify { config, document, key } = self;
        let key = match key {
            Some(text) => VerifierKey::parse(&text).map_err(|error| Failure::Said(format!("`--key`: {error}")))?,
            None => super::log::own_key(&config.load().map_err(|failure| {
                Failure::Said(format!(
                    "give `--key`, what `/log/vkey` of the server says, or the server's configuration: {failure}"
                ))
            })?)?,
        };
        let text = std::fs::read_to_string(&document)
            .map_err(|error| Failure::Said(format!("`{}`: {error}", document.display())))?;
        let proved = verify::document(&text, &key)
            .map_err(|fault| Failure::Said(format!("the document is NOT sound: {fault}")))?;
        say(&format!("signed by the key of the log `{}`", proved.origin));
        say(match proved.logged {
            true => "the audit log contains the decision, under a signed checkpoint",
            false => "no entry of the audit log was given with it",
        });
        if !proved.missing.is_empty() {
            say(&format!(
                "fields of ISO/IEC TS 27560 that it lacks: {}",
                proved.missing.join(", ")
            ));
        }
        say(&serde_json::to_string_pretty(&proved.document).unwrap_or_default());
        Ok(())
    }
}
