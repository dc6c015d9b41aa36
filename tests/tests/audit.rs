//! The audit log as a whole over real sockets: replay, retention, erasure, traces, signals, and attacks on it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "audit/clock.rs"]
mod clock;
#[path = "audit/forgery.rs"]
mod forgery;
#[path = "audit/obligations.rs"]
mod obligations;
#[path = "audit/replay.rs"]
mod replay;
#[path = "audit/retention.rs"]
mod retention;
#[path = "audit/scene.rs"]
mod scene;
#[path = "audit/signals.rs"]
mod signals;
#[path = "audit/sink.rs"]
mod sink;
#[path = "audit/truth.rs"]
mod truth;
