//! Conformance, scenario, fault and property tests over real servers, and what the benchmarks share with them.

pub mod house;
