//! Every bound on standing queries.

use serde::Deserialize;
use server_kit::config::ConfigError;
use std::time::Duration;

/// Bounds on standing queries.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StandingLimits {
    /// Standing queries at a time.
    pub queries_max: usize,
    /// Of these, most of one consumer.
    pub queries_per_consumer_max: usize,
    /// Members' channels that are open at a time, one for each agreement of each standing query. Each is one of
    /// `egress.requests_max`.
    pub channels_max: usize,
    /// Least time between two evaluations of one query, milliseconds; a consumer may ask for more. Changes that arrive
    /// meanwhile are one evaluation. Each evaluation is a use of the agreements.
    pub interval_ms: u64,
    /// The same after a withdrawal, milliseconds: what a member can make of it that tells of withdrawals without end.
    pub withdrawal_interval_ms: u64,
    /// Longest time from a member's word that something was withdrawn until the consumer has what follows from it,
    /// milliseconds; a stream that does not manage that is cut.
    pub withdrawal_ms_max: u64,
    /// Whether members that do not tell of changes are asked again from time to time. Otherwise queries that need them are
    /// refused.
    pub poll: bool,
    /// How often they are asked, seconds.
    pub poll_seconds: u64,
    /// Most rows of one answer.
    pub rows_max: usize,
    /// Most bytes that are kept of one query: its rows, and the latest changes for whoever comes back.
    pub bytes_max: usize,
    /// Most bytes that are kept of all queries together.
    pub bytes_in_all_max: usize,
    /// Changes that are kept for whoever comes back.
    pub changes_max: usize,
    /// How long a query waits in memory for a consumer who hung up, seconds. It listens to nobody meanwhile.
    pub resume_seconds: u64,
    /// Silence after which a consumer gets a sign of life, milliseconds.
    pub heartbeat_ms: u64,
    /// Longest silence of a member's channel, milliseconds; then it counts as lost.
    pub silence_ms_max: u64,
    /// Longest time to open a member's channel, milliseconds.
    pub open_ms_max: u64,
    /// First and longest pause before a lost channel is opened again, milliseconds; each is twice the one before.
    pub reconnect_ms_min: u64,
    /// See `reconnect_ms_min`.
    pub reconnect_ms_max: u64,
}

impl Default for StandingLimits {
    fn default() -> Self {
        Self {
            queries_max: 256,
            queries_per_consumer_max: 16,
            channels_max: 1_024,
            interval_ms: 1_000,
            withdrawal_interval_ms: 300,
            withdrawal_ms_max: 900,
            poll: true,
            poll_seconds: 60,
            rows_max: 50_000,
            bytes_max: 16 * 1024 * 1024,
            bytes_in_all_max: 128 * 1024 * 1024,
            changes_max: 32,
            resume_seconds: 60,
            heartbeat_ms: 10_000,
            silence_ms_max: 12_000,
            open_ms_max: 3_000,
            reconnect_ms_min: 200,
            reconnect_ms_max: 30_000,
        }
    }
}

impl StandingLimits {
    /// Checks what types cannot say.
    ///
    /// # Errors
    /// The key and the reason.
    pub fn validate(&self) -> Result<(), ConfigError> {
        for (key, value) in [
            ("standing.withdrawal_ms_max", self.withdrawal_ms_max),
            ("standing.poll_seconds", self.poll_seconds),
            ("standing.heartbeat_ms", self.heartbeat_ms),
            ("standing.silence_ms_max", self.silence_ms_max),
            ("standing.open_ms_max", self.open_ms_max),
            ("standing.reconnect_ms_min", self.reconnect_ms_min),
        ] {
            if value == 0 {
                return Err(ConfigError::invalid(key, "zero would never wait"));
            }
        }
        if self.withdrawal_interval_ms >= self.withdrawal_ms_max {
            return Err(ConfigError::invalid(
                "standing.withdrawal_interval_ms",
                "must be below `standing.withdrawal_ms_max`, or streams are cut for waiting",
            ));
        }
        Ok(())
    }
}

/// A time out of a bound in milliseconds.
pub(super) const fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}
