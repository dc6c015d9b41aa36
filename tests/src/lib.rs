//! Conformance, scenario, fault and property tests over real servers
