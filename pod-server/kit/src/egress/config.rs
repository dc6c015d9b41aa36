//! What outgoing requests may do.

use serde::{Deserialize, Serialize};

use super::allow::AllowRule;
use crate::config::ConfigError;
use crate::tls::RootsConfig;

/// Bounds and exceptions of the egress guard.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EgressConfig {
    /// `host:port` or `host:*` entries that may be private or loopback addresses and may speak plain HTTP. Exact host match.
    pub allow: Vec<String>,
    /// The certification authorities that are trusted.
    pub roots: RootsConfig,
    /// Longest time to resolve a name and connect, seconds.
    pub connect_seconds_max: u32,
    /// Longest time of a whole [`fetch`](super::Egress::fetch) unless the request says less, seconds.
    pub request_seconds_max: u32,
    /// Longest time of a whole [`stream`](super::Egress::stream) unless the request says less, seconds.
    pub stream_seconds_max: u32,
    /// Longest silence within a stream, seconds.
    pub stream_idle_seconds_max: u32,
    /// Most bytes of an answer unless the request says less or more.
    pub response_bytes_max: u64,
    /// Most bytes of an answer's head.
    pub header_bytes_max: u32,
    /// Most header fields of an answer.
    pub headers_max: usize,
    /// Most redirects that are followed, whatever a request asks.
    pub redirects_max: u8,
    /// Most requests at a time; further ones wait within their own time.
    pub requests_max: usize,
    /// Of these, most that are made because of what strangers said: where a WebID, an issuer or an application claims to be.
    pub requests_for_strangers_max: usize,
    /// Most connections to one network (24 bits of IPv4, 64 of IPv6) at a time that strangers cause; further ones wait within the
    /// time of connecting. Hosts of `allow` are not bounded.
    pub strangers_per_network_max: usize,
    /// How long an unused connection is kept, seconds.
    pub pool_idle_seconds: u32,
    /// Most unused connections per remote.
    pub pool_idle_per_host_max: usize,
    /// What the `User-Agent` field says.
    pub user_agent: String,
}

impl Default for EgressConfig {
    fn default() -> Self {
        Self {
            allow: Vec::new(),
            roots: RootsConfig::default(),
            connect_seconds_max: 5,
            request_seconds_max: 10,
            stream_seconds_max: 300,
            stream_idle_seconds_max: 30,
            response_bytes_max: 1024 * 1024,
            header_bytes_max: 64 * 1024,
            headers_max: 100,
            redirects_max: 5,
            requests_max: 2_048,
            requests_for_strangers_max: 512,
            strangers_per_network_max: 32,
            pool_idle_seconds: 30,
            pool_idle_per_host_max: 64,
            user_agent: concat!("Meent/", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }
}

impl EgressConfig {
    pub(super) fn rules(&self) -> Result<Vec<AllowRule>, ConfigError> {
        self.allow.iter().map(|entry| AllowRule::parse(entry)).collect()
    }
}
