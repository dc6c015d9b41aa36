//! `WebhookChannel2023`: notifications are posted to the receiver, at least once and in order, until it takes them or
//! they are given up visibly (solid#108, solid#109; T61).
//!
//! A channel without anything to send costs its entry in the registry and no task.

mod delivery_state;
mod hook;
mod host_bound;
mod keeper;
mod sender;
mod worker;

pub use delivery_state::DeliveryState;
pub use hook::Webhook;
pub use sender::Sender;
pub use worker::{WebhookParts, Webhooks};

use serde::Deserialize;

/// Bounds of webhook deliveries.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WebhookConfig {
    /// Deliveries at one time.
    pub deliveries_max: usize,
    /// Deliveries to one host at one time.
    pub deliveries_per_host_max: usize,
    /// Deliveries to one host in a second, so that nobody can turn this server against another.
    pub deliveries_per_host_per_second_max: u32,
    /// Time for one delivery, in seconds.
    pub delivery_seconds_max: u64,
    /// Attempts for one notification before it is given up.
    pub attempts_max: u32,
    /// Wait after the first failure, in milliseconds. It doubles with each further one, with some chance in it.
    pub retry_milliseconds_min: u64,
    /// Longest wait between two attempts, in seconds.
    pub retry_seconds_max: u64,
    /// A channel whose receiver has taken nothing for this long is given up, in seconds.
    pub failing_seconds_max: u64,
    /// Notifications that wait in memory for one receiver; further ones wait in the store's outbox.
    pub queue_messages_max: usize,
    /// How often the progress of deliveries is kept, in milliseconds. What was delivered since is sent again after a crash.
    pub keep_milliseconds: u64,
}

impl Default for WebhookConfig {
    fn default() -> Self {
        Self {
            deliveries_max: 64,
            deliveries_per_host_max: 4,
            deliveries_per_host_per_second_max: 50,
            delivery_seconds_max: 10,
            attempts_max: 16,
            retry_milliseconds_min: 1_000,
            retry_seconds_max: 3_600,
            failing_seconds_max: 7 * 86_400,
            queue_messages_max: 256,
            keep_milliseconds: 1_000,
        }
    }
}
