//! A server or a load generator as a process of its own, pinned to one core, with what it costs.

use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::BenchError;

/// Parts of a second in which the kernel tells the time of a process (`USER_HZ`, the same on every Linux).
const TICKS_PER_SECOND: f64 = 100.0;

/// Bytes of a page as `/proc/…/statm` counts them on the machines that Meent is built for.
const PAGE_BYTES: u64 = 4_096;

/// A process pinned to a core; it ends with its owner.
pub struct Pinned {
    child: Child,
}

/// A command that runs on one core only, if this machine has more than one.
#[must_use]
pub fn pinned(program: &Path, core: usize) -> Command {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    if cores < 2 {
        return Command::new(program);
    }
    let mut command = Command::new("taskset");
    command.arg("--cpu-list").arg(core.to_string()).arg(program);
    command
}

impl Pinned {
    /// Starts a program; what it says goes to a file.
    ///
    /// # Errors
    /// When it cannot start.
    pub fn start(program: &Path, arguments: &[&str], core: usize, log: &Path) -> Result<Self, BenchError> {
        let log = File::create(log)?;
        let child = pinned(program, core)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .map_err(|error| BenchError::of(&program.display().to_string(), &error))?;
        Ok(Self { child })
    }

    /// Processor time used so far, in seconds.
    ///
    /// # Errors
    /// When the process has ended.
    pub fn cpu_seconds(&self) -> Result<f64, BenchError> {
        let text = self.proc("stat")?;
        // The name in brackets may hold anything; fields 14 and 15 count from after it.
        let fields = text.rsplit(')').next().unwrap_or_default().split_whitespace();
        let ticks: f64 = fields
            .skip(11)
            .take(2)
            .filter_map(|field| field.parse::<f64>().ok())
            .sum();
        Ok(ticks / TICKS_PER_SECOND)
    }

    /// Resident memory, in bytes.
    ///
    /// # Errors
    /// When the process has ended.
    pub fn resident_bytes(&self) -> Result<u64, BenchError> {
        let text = self.proc("statm")?;
        let pages = text
            .split_whitespace()
            .nth(1)
            .and_then(|field| field.parse::<u64>().ok());
        Ok(pages.unwrap_or_default() * PAGE_BYTES)
    }

    fn proc(&self, file: &str) -> Result<String, BenchError> {
        let path = format!("/proc/{}/{file}", self.child.id());
        std::fs::read_to_string(&path).map_err(|error| BenchError(format!("the server has ended (`{path}`: {error})")))
    }

    /// Whether it still runs.
    pub fn runs(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
