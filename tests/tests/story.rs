//! The story of a whole network, and what its expectations rest on.

mod scenario;
mod scenario_expectation;
mod scenario_many;
mod scenario_mapping;
