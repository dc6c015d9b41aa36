//! Every bound of notifications.

use serde::Deserialize;

use super::webhook::WebhookConfig;
use crate::config::ConfigFault;

/// Longest time that a bound may name, in seconds.
const LONGEST_SECONDS: u64 = 10 * 365 * 86_400;

/// Bounds of subscriptions, open streams and deliveries.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NotifyConfig {
    /// Longest life of a channel, and its life when a subscription asks for none, in seconds.
    pub channel_seconds_max: u64,
    /// Channels on resources of one storage.
    pub channels_per_storage_max: u64,
    /// Channels that one agent may have on this server. Those without credentials count together, for each storage.
    pub channels_per_agent_max: u64,
    /// Topics of one channel.
    pub topics_per_channel_max: usize,
    /// Largest subscription request, in bytes.
    pub request_bytes_max: u64,
    /// Longest `rate` that a subscription may ask for, in seconds.
    pub rate_seconds_max: u64,
    /// Open streams (WebSocket, streaming HTTP, event source) at one time.
    pub connections_max: usize,
    /// Open streams on one channel at one time.
    pub connections_per_channel_max: usize,
    /// Notifications that may wait for one reader; a slower one is cut off.
    pub queue_messages_max: usize,
    /// A reader that does not take a notification within this time is cut off, in seconds.
    pub write_seconds_max: u64,
    /// Silence after which a stream sends a sign of life, in seconds. A WebSocket that does not answer it is closed.
    pub ping_seconds: u64,
    /// Messages that a WebSocket client may send between two signs of life; it has no reason to send any.
    pub client_messages_max: u32,
    /// How often the rights of every open stream are looked at again even if no policy changed here, in seconds: groups
    /// of other servers change unheard.
    pub recheck_seconds: u64,
    /// Events of the store that wait to be told; beyond it they are read from the outbox again.
    pub intake_events_max: usize,
    /// Changes of one storage that wait for their readers; beyond it the storage's streams are cut off.
    pub lane_changes_max: usize,
    /// Past notifications that an event source gets when it comes back.
    pub replay_messages_max: usize,
    /// How often channels that have ended are removed, in seconds.
    pub sweep_seconds: u64,
    /// Bounds of webhook deliveries.
    pub webhook: WebhookConfig,
}

impl Default for NotifyConfig {
    fn default() -> Self {
        Self {
            channel_seconds_max: 14 * 86_400,
            channels_per_storage_max: 100_000,
            channels_per_agent_max: 1_000,
            topics_per_channel_max: 16,
            request_bytes_max: 16 << 10,
            rate_seconds_max: 86_400,
            connections_max: 20_000,
            connections_per_channel_max: 100,
            queue_messages_max: 1_024,
            write_seconds_max: 20,
            ping_seconds: 50,
            client_messages_max: 100,
            recheck_seconds: 30,
            intake_events_max: 10_000,
            lane_changes_max: 10_000,
            replay_messages_max: 1_000,
            sweep_seconds: 60,
            webhook: WebhookConfig::default(),
        }
    }
}

impl NotifyConfig {
    /// Checks what the types cannot say.
    ///
    /// # Errors
    /// The first key that breaks a rule, by name.
    pub fn check(&self) -> Result<(), ConfigFault> {
        let counts: [(&'static str, u64); 17] = [
            ("notify.channel_seconds_max", self.channel_seconds_max),
            ("notify.topics_per_channel_max", self.topics_per_channel_max as u64),
            ("notify.queue_messages_max", self.queue_messages_max as u64),
            ("notify.write_seconds_max", self.write_seconds_max),
            ("notify.ping_seconds", self.ping_seconds),
            ("notify.recheck_seconds", self.recheck_seconds),
            ("notify.intake_events_max", self.intake_events_max as u64),
            ("notify.lane_changes_max", self.lane_changes_max as u64),
            ("notify.sweep_seconds", self.sweep_seconds),
            ("notify.webhook.deliveries_max", self.webhook.deliveries_max as u64),
            (
                "notify.webhook.deliveries_per_host_max",
                self.webhook.deliveries_per_host_max as u64,
            ),
            (
                "notify.webhook.deliveries_per_host_per_second_max",
                u64::from(self.webhook.deliveries_per_host_per_second_max),
            ),
            ("notify.webhook.delivery_seconds_max", self.webhook.delivery_seconds_max),
            ("notify.webhook.attempts_max", u64::from(self.webhook.attempts_max)),
            (
                "notify.webhook.retry_milliseconds_min",
                self.webhook.retry_milliseconds_min,
            ),
            (
                "notify.webhook.queue_messages_max",
                self.webhook.queue_messages_max as u64,
            ),
            ("notify.webhook.keep_milliseconds", self.webhook.keep_milliseconds),
        ];
        // Moments beyond what clocks can tell would have no meaning.
        for (key, value) in [
            ("notify.channel_seconds_max", self.channel_seconds_max),
            ("notify.rate_seconds_max", self.rate_seconds_max),
        ] {
            if value > LONGEST_SECONDS {
                return Err(ConfigFault::Value {
                    key,
                    reason: format!("must be at most {LONGEST_SECONDS}, ten years"),
                });
            }
        }
        for (key, value) in counts {
            if value == 0 {
                return Err(ConfigFault::Value {
                    key,
                    reason: "must be at least 1".to_owned(),
                });
            }
        }
        Ok(())
    }
}
