//! Attacks as tables: names and hosts, missing rules, purposes and addresses that callers choose, the edges of periods.
//! Each test walks one table over real sockets, or over the pure decision where it is about time.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "attack/addresses.rs"]
mod addresses;
#[path = "attack/clock.rs"]
mod clock;
#[path = "attack/names.rs"]
mod names;
