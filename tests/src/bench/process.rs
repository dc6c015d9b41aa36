//! A server or a load generator as a process of its own, pinned to one core, with what it costs.

use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::BenchError;

/// Parts of a second in which the kernel tells the time of a process (`USER_HZ`, the same on every Linux).
const TICKS_PER_SECOND: f64 = 100.0;

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
        cpu_seconds(&self.child.id().to_string())
    }

    /// Resident memory, in bytes.
    ///
    /// # Errors
    /// When the process has ended.
    pub fn resident_bytes(&self) -> Result<u64, BenchError> {
        self.status_bytes("VmRSS:")
    }

    /// The most resident memory since [`Self::forget_peak`], in bytes.
    ///
    /// # Errors
    /// When the process has ended.
    pub fn peak_bytes(&self) -> Result<u64, BenchError> {
        self.status_bytes("VmHWM:")
    }

    /// From now on [`Self::peak_bytes`] counts anew.
    ///
    /// # Errors
    /// When the process has ended.
    pub fn forget_peak(&self) -> Result<(), BenchError> {
        // The number is defined by proc(5).
        let path = format!("/proc/{}/clear_refs", self.child.id());
        std::fs::write(&path, "5").map_err(|error| BenchError::of(&path, &error))
    }

    fn status_bytes(&self, field: &str) -> Result<u64, BenchError> {
        let text = proc(&self.child.id().to_string(), "status")?;
        let line = text.lines().find_map(|line| line.strip_prefix(field));
        let kibibytes = line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
        Ok(kibibytes.unwrap_or_default() << 10)
    }

    /// Asks it to end.
    ///
    /// # Errors
    /// When it cannot be told.
    pub fn terminate(&self) -> Result<(), BenchError> {
        let told = Command::new("kill").arg(self.child.id().to_string()).status()?;
        if told.success() {
            return Ok(());
        }
        Err(BenchError("the server could not be told to end".to_owned()))
    }

    /// Whether it still runs.
    pub fn runs(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }
}

/// Processor time that a process has used so far, in seconds; `self` is this one.
///
/// # Errors
/// When there is no such process.
pub fn cpu_seconds(process: &str) -> Result<f64, BenchError> {
    let text = proc(process, "stat")?;
    // The name in brackets may hold anything; fields 14 and 15 count from after it.
    let fields = text.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks: f64 = fields
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse::<f64>().ok())
        .sum();
    Ok(ticks / TICKS_PER_SECOND)
}

fn proc(process: &str, file: &str) -> Result<String, BenchError> {
    let path = format!("/proc/{process}/{file}");
    std::fs::read_to_string(&path).map_err(|error| BenchError(format!("the server has ended (`{path}`: {error})")))
}

impl Drop for Pinned {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
