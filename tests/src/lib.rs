//! Conformance, scenario, fault and property tests over real servers, and what the benchmarks share with them.

pub mod bench;
pub mod browser;
pub mod console;
pub mod house;
pub mod scenario;
