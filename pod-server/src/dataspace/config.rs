//! Bounds and choices of the dataspace, consent and log interfaces.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use server_kit::audit_log::{VerifierKey, WitnessVerifier};

use crate::consent::LetterConfig;
use crate::log::WitnessPeer;
use crate::log::retention::LogDays;
use crate::log::signals::SignalConfig;

/// What an operator can set about datasets, agreements, consents and the public log.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DataspaceConfig {
    /// Largest body of a call, in bytes.
    pub body_bytes_max: u64,
    /// Most triples in one description of a dataset.
    pub description_triples_max: usize,
    /// Most datasets in one storage.
    pub datasets_max: usize,
    /// How long a negotiation may stay unfinished, in seconds.
    pub negotiation_seconds_max: i64,
    /// Most negotiations of one consumer with one storage, past ones included.
    pub negotiations_max: usize,
    /// Longest message of a consumer, in characters.
    pub message_chars_max: usize,
    /// How long an agreement token counts, in seconds; at most 3600.
    pub token_seconds: i64,
    /// Names of storages whose owners may describe containers in the storages of others, who decide by their consent:
    /// the city that hosts its citizens.
    pub umbrella_storages: Vec<String>,
    /// How long a consent lasts at most, in days.
    pub consent_days_max: u32,
    /// How long a consent lasts when nobody names an end, in days; never longer than `consent_days_max`.
    pub consent_days_default: u32,
    /// How long before its end a consent is shown as ending, in days.
    pub consent_reminder_days: u32,
    /// Whether each consent must have every mandatory field of ISO/IEC TS 27560; else only those that name a profile.
    pub consent_profile_required: bool,
    /// Most items of one consent.
    pub consent_items_max: usize,
    /// Most recipients that one consent names.
    pub consent_recipients_max: usize,
    /// Most mandates that one person gives, ended ones not counted.
    pub mandates_max: usize,
    /// Longest time for which a mandate counts, in days.
    pub mandate_days_max: u32,
    /// Most standing preferences of one person.
    pub preferences_max: usize,
    /// Most processing activities that one umbrella storage declares.
    pub activities_max: usize,
    /// Days within which recipients delete what they received when a consent has ended, unless the consent says another number.
    pub delete_days: u32,
    /// Bounds of letters about consents.
    pub letters: LetterConfig,
    /// Most consents and requests that one storage holds, past ones included.
    pub consents_max: usize,
    /// Longest text of a notice, in characters.
    pub notice_chars_max: usize,
    /// Most data subjects in one bulk request.
    pub bulk_subjects_max: usize,
    /// Most entries on one page of a list or of a storage's log.
    pub page_entries_max: usize,
    /// File with the key that signs the log's checkpoints; `log.key` in the store's directory unless given.
    pub log_key_file: Option<PathBuf>,
    /// Name of the log in its checkpoints; the authority of `server.base_url` unless given.
    pub log_origin: Option<String>,
    /// How often a log that has grown is signed, in seconds; besides at start, at the end and whenever somebody asks.
    pub checkpoint_seconds: u64,
    /// How far behind the last record of the log the clock may be, in seconds; further behind, nothing is recorded and nothing
    /// protected is answered. After a clock that was wrongly ahead, raise it until that time has passed.
    pub clock_back_seconds_max: u32,
    /// How long readable records of the log are kept, by class.
    pub log_days: LogDays,
    /// When an owner is told of unusual use.
    pub signals: SignalConfig,
    /// Servers that cosign the log's checkpoints.
    pub witnesses: Vec<WitnessConfig>,
    /// Public keys of the logs whose checkpoints this server cosigns, as their `/log/vkey` has them.
    pub witnessed_logs: Vec<String>,
}

/// A server that cosigns this log's checkpoints.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WitnessConfig {
    /// Where it takes them, with a slash at the end: `https://other.example/log/witness/`.
    pub url: String,
    /// Its public key, as its `/log/witness/vkey` has it.
    pub key: String,
}

impl Default for DataspaceConfig {
    fn default() -> Self {
        Self {
            body_bytes_max: 4 << 20,
            description_triples_max: 5_000,
            datasets_max: 1_000,
            negotiation_seconds_max: 14 * 86_400,
            negotiations_max: 1_000,
            message_chars_max: 2_000,
            token_seconds: 3_600,
            umbrella_storages: Vec::new(),
            consent_days_max: 365,
            consent_days_default: 365,
            consent_reminder_days: 30,
            consent_profile_required: false,
            consent_items_max: 100,
            consent_recipients_max: 100,
            mandates_max: 20,
            mandate_days_max: 1_826,
            preferences_max: 100,
            activities_max: 200,
            delete_days: 30,
            letters: LetterConfig::default(),
            consents_max: 1_000,
            notice_chars_max: 10_000,
            bulk_subjects_max: 10_000,
            page_entries_max: 500,
            log_key_file: None,
            log_origin: None,
            checkpoint_seconds: 60,
            clock_back_seconds_max: 5,
            log_days: LogDays::default(),
            signals: SignalConfig::default(),
            witnesses: Vec::new(),
            witnessed_logs: Vec::new(),
        }
    }
}

/// Name of the log's key file in the store's directory, unless the configuration names another file.
pub const LOG_KEY_FILE: &str = "log.key";
/// Name of the file with the key that cosigns the logs of others, in the store's directory.
pub const WITNESS_KEY_FILE: &str = "witness.key";

impl DataspaceConfig {
    /// Where the key is that signs the log's checkpoints.
    #[must_use]
    pub fn log_key_path(&self, store_directory: &Path) -> PathBuf {
        self.log_key_file
            .clone()
            .unwrap_or_else(|| store_directory.join(LOG_KEY_FILE))
    }

    /// Name of the log: the server's authority without the scheme, unless another is given (C2SP tlog-checkpoint).
    #[must_use]
    pub fn log_origin_of(&self, base_url: &str) -> String {
        let bare = base_url.split_once("://").map_or(base_url, |(_, rest)| rest);
        self.log_origin
            .clone()
            .unwrap_or_else(|| bare.trim_end_matches('/').to_owned())
    }

    /// The servers that cosign this log's checkpoints.
    ///
    /// # Errors
    /// The key that breaks a rule, and the rule.
    pub fn witness_peers(&self) -> Result<Vec<WitnessPeer>, (&'static str, &'static str)> {
        let peer = |witness: &WitnessConfig| {
            let key = WitnessVerifier::parse(&witness.key).map_err(|_| {
                (
                    "dataspace.witnesses.key",
                    "is not what `/log/witness/vkey` of a server says",
                )
            })?;
            if !witness.url.ends_with('/') {
                return Err(("dataspace.witnesses.url", "must end in a slash"));
            }
            Ok(WitnessPeer {
                url: witness.url.clone(),
                key,
            })
        };
        self.witnesses.iter().map(peer).collect()
    }

    /// The keys of the logs whose checkpoints this server cosigns.
    ///
    /// # Errors
    /// The key that breaks a rule, and the rule.
    pub fn witnessed_keys(&self) -> Result<Vec<VerifierKey>, (&'static str, &'static str)> {
        let parse = |key: &String| {
            VerifierKey::parse(key).map_err(|_| {
                (
                    "dataspace.witnessed_logs",
                    "holds what is not the `/log/vkey` of a server",
                )
            })
        };
        self.witnessed_logs.iter().map(parse).collect()
    }

    /// Checks what the types cannot say.
    ///
    /// # Errors
    /// The key that breaks a rule, and the rule.
    pub fn check(&self) -> Result<(), (&'static str, &'static str)> {
        if !(1..=3_600).contains(&self.token_seconds) {
            return Err(("dataspace.token_seconds", "must be between 1 and 3600"));
        }
        if !(1..=366).contains(&self.consent_days_max) {
            return Err((
                "dataspace.consent_days_max",
                "must be between 1 and 366: no consent lasts for ever",
            ));
        }
        if self.consent_days_default == 0 {
            return Err(("dataspace.consent_days_default", "must be at least 1"));
        }
        if !(1..=36_525).contains(&self.mandate_days_max) {
            return Err(("dataspace.mandate_days_max", "must be between 1 and 36525"));
        }
        let letters = &self.letters;
        let (at_once, of_storage) = (letters.deliveries_max, letters.deliveries_per_storage_max);
        if [at_once, of_storage, letters.looked_at_max].contains(&0)
            || letters.attempts_max == 0
            || letters.look_seconds == 0
        {
            return Err((
                "dataspace.letters",
                "`deliveries_max`, `deliveries_per_storage_max`, `looked_at_max`, `attempts_max` and `look_seconds` must be at \
                 least 1",
            ));
        }
        if self.negotiation_seconds_max < 1 {
            return Err(("dataspace.negotiation_seconds_max", "must be at least 1"));
        }
        if self.checkpoint_seconds == 0 {
            return Err(("dataspace.checkpoint_seconds", "must be at least 1"));
        }
        self.log_days.check()?;
        self.signals.check()?;
        self.witness_peers()?;
        self.witnessed_keys()?;
        if self.page_entries_max == 0 {
            return Err(("dataspace.page_entries_max", "must be at least 1"));
        }
        if self
            .umbrella_storages
            .iter()
            .any(|name| name.is_empty() || name.contains('/'))
        {
            return Err((
                "dataspace.umbrella_storages",
                "holds names of storages, without slashes",
            ));
        }
        Ok(())
    }
}
