//! What others ask of the server: requirements and the tests that prove them, suites that others wrote, real clients.

pub mod baseline;
pub mod coverage;
pub mod differential;
pub mod earl;
pub mod federated;
pub mod node;
pub mod oidc;
pub mod subject;
pub mod suites;

use std::path::PathBuf;

/// What a run stops on, in words.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ConformanceError(pub String);

impl From<std::io::Error> for ConformanceError {
    fn from(error: std::io::Error) -> Self {
        Self(error.to_string())
    }
}

impl From<serde_json::Error> for ConformanceError {
    fn from(error: serde_json::Error) -> Self {
        Self(error.to_string())
    }
}

/// Where the runners, their package lists and the committed baselines lie.
#[must_use]
pub fn folder() -> PathBuf {
    crate::house::top().join("tests/conformance")
}

/// Says in one line that something was not run, past the capture of a passing test's output.
pub fn loudly(text: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "SKIPPED: {text}");
}
