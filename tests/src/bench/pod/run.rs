//! One run of the load generator against one server, and what it cost the server.

use std::path::Path;
use std::process::Stdio;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Programs;
use crate::bench::BenchError;
use crate::bench::load::{Load, Measured, write_requests};
use crate::bench::process::{Pinned, pinned};
use crate::bench::report::time;

/// Core of the load generator.
pub(super) const LOAD_CORE: usize = 1;

/// One run of one server.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Run {
    #[serde(flatten)]
    pub(super) measured: Measured,
    pub(super) rate: f64,
    /// Processor time of the server by request.
    pub(super) cpu_micros: f64,
}

impl Run {
    /// Times of an answer for people.
    pub(super) fn latency(&self) -> String {
        format!(
            "p50 {}, p99 {}",
            time(self.measured.p50_micros),
            time(self.measured.p99_micros)
        )
    }
}

/// The run with the rate in the middle.
pub(super) fn middle(mut runs: Vec<Run>) -> Option<Run> {
    runs.sort_by(|one, other| one.rate.total_cmp(&other.rate));
    runs.get(runs.len() / 2).cloned()
}

/// What went wrong in some runs, if anything did.
pub(super) fn fault<'r>(runs: impl Iterator<Item = &'r Run> + Clone) -> Option<String> {
    let errors: u64 = runs.clone().map(|run| run.measured.errors).sum();
    let first = runs.filter_map(|run| run.measured.first_error.as_deref()).next();
    (errors > 0).then(|| {
        let first = first.unwrap_or_default().replace(['\r', '\n'], " ");
        format!("{errors} wrong answers, first: {first}")
    })
}

/// Sends prepared requests to a server.
pub(super) async fn run(
    programs: &Programs,
    folder: &Path,
    server: &Pinned,
    load: &Load,
    requests: Vec<Vec<u8>>,
) -> Result<Run, BenchError> {
    let file = folder.join("requests.bin");
    write_requests(&file, &requests)?;
    drop(requests);
    let before = server.cpu_seconds()?;
    let load = serde_json::to_string(load)?;
    let file = file.display().to_string();
    let measured: Measured = own_command(programs, LOAD_CORE, &["load", "--load", &load, "--requests", &file]).await?;
    let cpu = server.cpu_seconds()? - before;
    // Counts of a measurement are far below the precision of a double.
    #[allow(clippy::cast_precision_loss)]
    let count = measured.requests.max(1) as f64;
    Ok(Run {
        rate: measured.rate(),
        cpu_micros: cpu * 1e6 / count,
        measured,
    })
}

/// Runs a command of the measuring program itself on a core, and reads the JSON that it prints.
pub(super) async fn own_command<T: DeserializeOwned>(
    programs: &Programs,
    core: usize,
    arguments: &[&str],
) -> Result<T, BenchError> {
    let mut command = pinned(&programs.own, core);
    command.args(arguments).stdin(Stdio::null()).stderr(Stdio::inherit());
    let output = tokio::task::spawn_blocking(move || command.output())
        .await
        .map_err(|error| BenchError::of("a part of the measurement", &error))??;
    if !output.status.success() {
        return Err(BenchError(format!(
            "`{}` ended with {}",
            arguments.first().copied().unwrap_or_default(),
            output.status
        )));
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}
