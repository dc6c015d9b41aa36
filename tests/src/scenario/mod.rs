//! The scenario: municipalities, agencies, citizens, a company and a broker on one machine, doing the network's main
//! job on real Flemish data.

pub mod citizens;
pub mod company;
pub mod datasets;
pub mod expected;
pub mod input;
pub mod many;
pub mod merged;
pub mod neighbours;
pub mod network;
pub mod party;
pub mod proofs;
pub mod queries;
pub mod raw;
pub mod setting_up;
pub mod story;

/// Why the scenario cannot go on, in words for the person who runs it.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ScenarioError(pub String);

impl From<std::io::Error> for ScenarioError {
    fn from(error: std::io::Error) -> Self {
        Self(error.to_string())
    }
}

impl From<serde_json::Error> for ScenarioError {
    fn from(error: serde_json::Error) -> Self {
        Self(error.to_string())
    }
}

impl From<pod_server::store::StoreError> for ScenarioError {
    fn from(error: pod_server::store::StoreError) -> Self {
        Self(error.to_string())
    }
}
