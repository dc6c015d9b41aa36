//! Conformance, scenario, fault and property tests over real servers, and what the benchmarks share with them.

pub mod answers;
pub mod bench;
pub mod browser;
pub mod conformance;
pub mod console;
pub mod containers;
pub mod durability;
pub mod federation;
pub mod fuzzing;
pub mod house;
pub mod notify;
pub mod odrl;
#[allow(clippy::expect_used)]
pub mod pod;
pub mod scenario;
