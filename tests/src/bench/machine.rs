//! The machine that a measurement ran on: figures mean nothing without it.

use std::time::Duration;

use serde::Serialize;

use super::BenchError;
use crate::durability::throughput::disk_syncs;

/// What matters of a machine.
#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    /// Name of the processor.
    pub processor: String,
    /// Processors that this process may use.
    pub cores: usize,
    /// Memory in GiB.
    pub memory_gib: u64,
    /// Kernel.
    pub kernel: String,
    /// Processes that wanted to run, on average over the minute before the measurement: above 1 it was disturbed.
    pub load_average: f64,
    /// Single syncs per second of the disk that the measurement wrote to.
    pub disk_syncs_per_second: f64,
}

impl Machine {
    /// Looks at this machine, and measures for a second the disk where temporary files lie.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn measure() -> Result<Self, BenchError> {
        // A folder of its own: two measurements at one time must not meet.
        let folder = tempfile::tempdir()?;
        let load_average = first_number(&read("/proc/loadavg")).unwrap_or_default();
        Ok(Self {
            processor: line_value(&read("/proc/cpuinfo"), "model name").unwrap_or_else(|| "unknown".to_owned()),
            cores: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            memory_gib: line_value(&read("/proc/meminfo"), "MemTotal")
                .and_then(|text| text.split(' ').next()?.parse::<u64>().ok())
                .unwrap_or_default()
                >> 20,
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            load_average,
            disk_syncs_per_second: disk_syncs(folder.path(), Duration::from_secs(1))?,
        })
    }

    /// One line.
    #[must_use]
    pub fn text(&self) -> String {
        format!(
            "{} ({} cores), {} GiB, Linux {}, load average {:.1} before the run, disk {:.0} single syncs/s",
            self.processor, self.cores, self.memory_gib, self.kernel, self.load_average, self.disk_syncs_per_second
        )
    }
}

fn read(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

fn first_number(text: &str) -> Option<f64> {
    text.split(' ').next()?.parse().ok()
}

fn line_value(text: &str, key: &str) -> Option<String> {
    let line = text.lines().find(|line| line.starts_with(key))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}
