//! Comunica as a federation engine to compare with: installed from the npm registry into cargo's target folder, asked the same queries
//! over the same members.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use serde::Deserialize;
use serde_json::json;

use super::BenchError;
use super::report::{median, time};
use crate::conformance::node;
use crate::federation::Network;

/// The version that is compared with.
pub const VERSION: &str = "4.5.0";

/// An installed Comunica.
#[derive(Debug)]
pub struct Comunica {
    folder: PathBuf,
    longest: Duration,
}

/// What it answered to one query.
#[derive(Debug)]
pub struct Told {
    /// For the table.
    pub text: String,
    /// Every run, or what it stopped on.
    pub runs: serde_json::Value,
}

#[derive(Deserialize)]
struct Printed {
    rows: usize,
    seconds: Vec<f64>,
}

impl Comunica {
    /// Installs it; it gets `longest` for all the runs of one query.
    ///
    /// # Errors
    /// When Node.js or the registry is missing.
    pub fn install(longest: Duration) -> Result<Self, BenchError> {
        let list = crate::house::top().join("tests/bench/comunica");
        let folder = node::install("comunica", &list)
            .map_err(|error| BenchError(error.to_string()))?
            .map_err(BenchError)?;
        node::lay_out(&list, &folder).map_err(|error| BenchError(error.to_string()))?;
        Ok(Self { folder, longest })
    }

    /// Asks once without counting and then `rounds` times; `ours` is our own time, `expected` the number of rows.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn ask(
        &self,
        network: &Network,
        query: &str,
        rounds: usize,
        (ours, expected): (f64, usize),
    ) -> Result<Told, BenchError> {
        let sources: Vec<&str> = network.members.iter().map(|member| member.endpoint.as_str()).collect();
        let task = json!({ "sources": sources, "query": query, "rounds": rounds });
        let before: u64 = network.requests().iter().sum();
        let mut command = Command::new("node");
        command
            .arg("run.mjs")
            .current_dir(&self.folder)
            .env("TASK", task.to_string());
        let ended = node::run(&mut command, self.longest).map_err(|error| BenchError(error.to_string()))?;
        let requests = network.requests().iter().sum::<u64>() - before;
        let printed = ended
            .output
            .lines()
            .rev()
            .find_map(|line| serde_json::from_str::<Printed>(line).ok());
        let Some(printed) = printed else {
            // An engine that never asked anybody is not installed as it should be, and says nothing about itself.
            if requests == 0 {
                return Err(BenchError::of("Comunica", &ended.output));
            }
            let seconds = self.longest.as_secs();
            let text = match ended.output.trim_end().ends_with("seconds") {
                true => format!("no answer within {seconds} s, {requests} requests"),
                false => format!("stopped by an error of its own after {requests} requests"),
            };
            return Ok(Told {
                text,
                runs: json!({ "requests": requests, "stopped": ended.output }),
            });
        };
        let each = requests / u64::try_from(printed.seconds.len().max(1)).unwrap_or(1);
        let counted: Vec<f64> = printed.seconds.iter().skip(1).copied().collect();
        let own = median(counted);
        let wrong = if printed.rows == expected {
            String::new()
        } else {
            format!(", {} rows instead of {expected}", printed.rows)
        };
        Ok(Told {
            text: format!(
                "{}, {each} requests{wrong}; ours {:.0} × as fast",
                time(super::federation::micros(own)),
                own / ours.max(1e-9)
            ),
            runs: json!({ "seconds": printed.seconds, "requests": requests, "rows": printed.rows }),
        })
    }
}
