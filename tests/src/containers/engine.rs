//! The container engine, and the images.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::scenario::ScenarioError;

/// Whether a container engine answers at the address that `DOCKER_HOST` names, or at the usual one.
#[must_use]
pub fn engine_answers() -> bool {
    Command::new("docker")
        .arg("version")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Makes the images of both servers from the binaries in a folder, with the project's own script.
///
/// # Errors
/// What the script said.
pub fn make_images(binaries: &Path) -> Result<(), ScenarioError> {
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../deploy/image");
    said(Command::new(script).arg(binaries)).map(drop)
}

/// Runs a command; its output, or what it complained of.
pub(super) fn said(command: &mut Command) -> Result<String, ScenarioError> {
    let output = command.stdin(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
    }
    Err(ScenarioError(format!(
        "{:?}: {}",
        command.get_program(),
        String::from_utf8_lossy(&output.stderr).trim()
    )))
}
