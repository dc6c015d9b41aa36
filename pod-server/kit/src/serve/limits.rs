//! Every bound of the server loop.

use serde::{Deserialize, Serialize};

use super::proxies::TrustedProxies;

/// Bounds on connections and on what precedes the handler. Bodies are bounded where they are read.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServeLimits {
    /// Most connections at a time.
    pub connections_max: usize,
    /// Most connections at a time from one network (24 bits of IPv4, 64 of IPv6) that is none of the trusted proxies'; further
    /// ones are closed at once.
    pub connections_per_network_max: usize,
    /// Reverse proxies that tell in `X-Forwarded-For` for whom they ask: addresses, or networks such as `10.0.0.0/8`.
    pub trusted_proxies: TrustedProxies,
    /// Longest TLS handshake, seconds.
    pub handshake_seconds_max: u32,
    /// Longest time until a request's head is complete, seconds; also how long an idle HTTP/1.1 connection stays open.
    pub header_seconds_max: u32,
    /// Most bytes of a request's head over HTTP/1.1, and size of its read buffer. At least 8192.
    pub header_bytes_max: usize,
    /// Most bytes of a header list over HTTP/2 (T48).
    pub header_list_bytes_max: u32,
    /// Most header fields of an HTTP/1.1 request.
    pub headers_max: usize,
    /// Longest time without a byte in either direction, and longest time a peer may leave an answer unread, seconds.
    pub idle_seconds_max: u32,
    /// Most concurrent streams of an HTTP/2 connection.
    pub streams_max: u32,
    /// Most streams that a peer reset before they were accepted (T47).
    pub resets_pending_max: usize,
    /// Most resets that a peer provoked (T50).
    pub resets_local_max: usize,
    /// Flow-control window of an HTTP/2 stream, bytes.
    pub stream_window_bytes: u32,
    /// Flow-control window of an HTTP/2 connection, bytes.
    pub connection_window_bytes: u32,
    /// Most bytes that wait to be sent per HTTP/2 stream.
    pub send_buffer_bytes_max: usize,
    /// Longest time for running requests to end at shutdown, seconds.
    pub drain_seconds_max: u32,
}

impl Default for ServeLimits {
    fn default() -> Self {
        Self {
            connections_max: 10_000,
            connections_per_network_max: 2_000,
            trusted_proxies: TrustedProxies::default(),
            handshake_seconds_max: 10,
            header_seconds_max: 10,
            header_bytes_max: 64 * 1024,
            header_list_bytes_max: 16 * 1024,
            headers_max: 100,
            idle_seconds_max: 120,
            streams_max: 200,
            resets_pending_max: 20,
            resets_local_max: 200,
            stream_window_bytes: 1024 * 1024,
            connection_window_bytes: 4 * 1024 * 1024,
            send_buffer_bytes_max: 256 * 1024,
            drain_seconds_max: 10,
        }
    }
}
