//! What a server tells its operator: structured logs, metrics, health.
//!
//! Logs and metrics never carry bodies, tokens, keys or personal names beyond what a record of the audit log already has.

mod admin;

use std::io::IsTerminal;
use std::path::PathBuf;

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use serde::{Deserialize, Serialize};
use tracing_subscriber::EnvFilter;

pub use admin::{Readiness, admin_handler};

use crate::config::ConfigError;
use crate::trace::spans;

/// How to log.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TelemetryConfig {
    /// Format of log lines.
    pub format: LogFormat,
    /// Filter directives, for instance `info,pod_server=debug`.
    pub filter: String,
    /// File into which spans of requests are written as OTLP/JSON, one batch a line; none are written unless given.
    pub spans_file: Option<PathBuf>,
    /// Size at which the file of spans is set aside, in bytes; the one before is given up then.
    pub spans_bytes_max: u64,
}

/// Format of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

impl Default for TelemetryConfig {
    fn default() -> Self {
        Self {
            format: LogFormat::Text,
            filter: "info".to_owned(),
            spans_file: None,
            spans_bytes_max: 64 << 20,
        }
    }
}

/// Starts logging to standard error, and the export of spans if there is to be one. A second call in one process changes
/// nothing.
///
/// # Errors
/// When the filter cannot be parsed, or the file of spans cannot be written.
pub fn init(service: &'static str, config: &TelemetryConfig) -> Result<(), ConfigError> {
    let filter = EnvFilter::try_new(&config.filter)
        .map_err(|error| ConfigError::invalid("telemetry.filter", format!("`{}`: {error}", config.filter)))?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    let started = match config.format {
        LogFormat::Text => builder.with_ansi(std::io::stderr().is_terminal()).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    if started.is_err() {
        tracing::debug!("logging was already started");
    }
    if let Some(path) = &config.spans_file {
        let unusable = |error| ConfigError::invalid("telemetry.spans_file", format!("`{}`: {error}", path.display()));
        spans::export(service, path, config.spans_bytes_max).map_err(unusable)?;
    }
    Ok(())
}

/// The metrics of this process, to be rendered on demand.
#[derive(Clone)]
pub struct Metrics {
    handle: PrometheusHandle,
}

impl Metrics {
    /// Installs the recorder of this process. When one is installed already, this one renders nothing of it.
    ///
    /// # Errors
    /// When a bucket list is empty, which it is not.
    pub fn install() -> Result<Self, ConfigError> {
        let buckets = [
            0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
        ];
        let recorder = PrometheusBuilder::new()
            .set_buckets(&buckets)
            .map_err(|error| ConfigError::invalid("telemetry", error.to_string()))?
            .build_recorder();
        let handle = recorder.handle();
        if metrics::set_global_recorder(recorder).is_err() {
            tracing::debug!("a metrics recorder was already installed");
        }
        Ok(Self { handle })
    }

    /// The metrics in Prometheus' text format.
    pub fn render(&self) -> String {
        self.handle.run_upkeep();
        self.handle.render()
    }

    /// Keeps histograms small between two scrapes; runs until the process ends.
    pub fn keep_up(&self) {
        let handle = self.handle.clone();
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(std::time::Duration::from_secs(5)).await;
                handle.run_upkeep();
            }
        });
    }
}
