//! DuckDB as a reader of Parquet: its Python package at a fixed version, in an environment of its own inside cargo's target folder.

use std::fs::File;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::conformance::ConformanceError;
use crate::conformance::node::{run, target};

/// What is installed.
const PACKAGE: &str = "duckdb==2.0.0";
/// Longest time for installing it.
const INSTALL_SECONDS_MAX: u64 = 240;
/// Longest time for one query.
const QUERY_SECONDS_MAX: u64 = 60;
/// What pip says when the index is out of reach or has nothing for this machine.
const OUT_OF_REACH: [&str; 5] = [
    "No matching distribution",
    "Connection",
    "connection",
    "Temporary failure",
    "timed out",
];

/// DuckDB, ready to read.
#[derive(Debug, Clone)]
pub struct DuckDb {
    python: PathBuf,
}

/// Installs DuckDB once. Several processes may ask at one time.
///
/// # Errors
/// When files cannot be written or the installation fails for a reason of its own. That the machine has no Python with `venv`, or
/// that the package index is out of reach, is no error: the inner result says so.
pub fn duckdb() -> Result<Result<DuckDb, String>, ConformanceError> {
    let folder = target().join("conformance").join(PACKAGE.replace("==", "-"));
    std::fs::create_dir_all(&folder)?;
    let guard = File::create(folder.join("lock"))?;
    guard.lock()?;
    let environment = folder.join("environment");
    let (python, done) = (environment.join("bin/python"), folder.join("installed"));
    if done.exists() {
        return Ok(Ok(DuckDb { python }));
    }
    let mut made = Command::new("python3");
    made.args(["-m", "venv", "--clear"]).arg(&environment);
    match run(&mut made, Duration::from_secs(INSTALL_SECONDS_MAX)) {
        Ok(ended) if ended.success => {}
        Ok(ended) => {
            return Ok(Err(format!(
                "python3 makes no environment: {}",
                last_line(&ended.output)
            )));
        }
        Err(error) => return Ok(Err(error.to_string())),
    }
    let mut pip = Command::new(&python);
    pip.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-input",
        "--disable-pip-version-check",
    ])
    .args(["--only-binary", ":all:", "--no-deps", PACKAGE]);
    let ended = run(&mut pip, Duration::from_secs(INSTALL_SECONDS_MAX))?;
    if ended.success {
        std::fs::write(&done, "")?;
        return Ok(Ok(DuckDb { python }));
    }
    if OUT_OF_REACH.iter().any(|word| ended.output.contains(word)) {
        return Ok(Err(format!("{PACKAGE} is out of reach: {}", last_line(&ended.output))));
    }
    Err(ConformanceError(format!("pip install {PACKAGE}: {}", ended.output)))
}

fn last_line(output: &str) -> &str {
    output.trim_end().lines().last().unwrap_or_default()
}

impl DuckDb {
    /// Answers a query, as JSON: rows of values, each as its text.
    ///
    /// # Errors
    /// When the query fails.
    pub fn ask(&self, sql: &str) -> Result<serde_json::Value, ConformanceError> {
        const PROGRAM: &str = "import sys, json, duckdb
rows = duckdb.connect(':memory:').execute(\"SET TimeZone='UTC'\").execute(sys.argv[1]).fetchall()
print(json.dumps([[None if cell is None else str(cell) for cell in row] for row in rows]))";
        let mut python = Command::new(&self.python);
        python.args(["-c", PROGRAM, sql]);
        let ended = run(&mut python, Duration::from_secs(QUERY_SECONDS_MAX))?;
        if !ended.success {
            return Err(ConformanceError(format!("{sql}: {}", ended.output)));
        }
        serde_json::from_str(last_line(&ended.output))
            .map_err(|error| ConformanceError(format!("{error}: {}", ended.output)))
    }
}
