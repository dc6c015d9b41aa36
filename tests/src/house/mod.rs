//! The rules of the house, as checks over the tree itself: layers, tidiness and dependencies.
//!
//! Each check takes what it judges as an argument and returns the faults, so that a test can also show that it fails
//! when provoked.

pub mod dependencies;
pub mod layers;
pub mod tidy;

use std::path::PathBuf;

/// The top of the project's tree.
#[must_use]
pub fn top() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The data that tests on real input use, where it lies beside the project; else says that they are skipped.
#[must_use]
pub fn shared_data() -> Option<PathBuf> {
    let data = top().join("../shared/data");
    if data.is_dir() {
        return Some(data);
    }
    println!("SKIPPED: ../shared/data is not there");
    None
}

/// What `cargo metadata` says about the workspace and everything it is built from.
///
/// # Panics
/// When cargo cannot run: the checks cannot be made then.
#[must_use]
pub fn metadata() -> serde_json::Value {
    let output = std::process::Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked"])
        .current_dir(top())
        .output()
        .expect("cargo metadata runs");
    serde_json::from_slice(&output.stdout).expect("cargo metadata prints JSON")
}
