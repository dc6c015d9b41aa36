//! Measurements that anyone can run, always beside a baseline of the same run. Nothing here asserts a time.

pub mod audit;
pub mod bare;
pub mod comunica;
pub mod durability;
pub mod federation;
pub mod load;
pub mod machine;
pub mod pod;
pub mod process;
pub mod report;
pub mod scope;
pub mod shop;
pub mod standing;
pub mod story;
pub mod verification;

use std::time::Duration;

/// Why a measurement cannot go on, in words for the person who runs it.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct BenchError(pub String);

impl BenchError {
    /// An error with the thing that failed.
    pub fn of(what: &str, error: &dyn std::fmt::Display) -> Self {
        Self(format!("{what}: {error}"))
    }
}

impl From<std::io::Error> for BenchError {
    fn from(error: std::io::Error) -> Self {
        Self(error.to_string())
    }
}

impl From<serde_json::Error> for BenchError {
    fn from(error: serde_json::Error) -> Self {
        Self(error.to_string())
    }
}

impl From<pod_server::store::StoreError> for BenchError {
    fn from(error: pod_server::store::StoreError) -> Self {
        Self(error.to_string())
    }
}

impl From<crate::scenario::ScenarioError> for BenchError {
    fn from(error: crate::scenario::ScenarioError) -> Self {
        Self(error.to_string())
    }
}

/// How long and how often each case is measured.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Length of one run.
    pub run: Duration,
    /// Runs of each case; the one in the middle counts.
    pub rounds: usize,
}
