//! Crashes under write load, and the rate of durable writes beside the disk's own.

use std::time::Duration;

use serde_json::json;

use super::BenchError;
use super::report::{Row, Table, per_second};
use crate::durability::{run, throughput};

/// Kills a writing process `cycles` times and verifies every acknowledged write; then measures writes for `length` each.
///
/// # Errors
/// When the child cannot be started or the store fails.
pub fn measure(
    cycles: u64,
    seed: u64,
    length: Duration,
    progress: &mut dyn FnMut(&str),
) -> Result<(Table, bool), BenchError> {
    progress("durable writes beside single syncs");
    let folder = tempfile::tempdir()?;
    let rates = throughput(folder.path(), length)?;
    progress(&format!("{cycles} crashes, seed {seed}"));
    let report = run(cycles, seed)?;
    let sound = report.fault.is_none() && report.cycles == cycles;
    let crash = Row {
        case: format!("{} kill -9 under write load", report.cycles),
        figure: format!("{} acknowledged writes verified", report.acknowledged),
        baseline: format!("{} commits", report.commits),
        ratio: sound.then_some(1.0),
        goal: None,
        peer: None,
        note: match &report.fault {
            None => format!(
                "lost 0, torn 0; slowest start {} ms; {:.0} s; seed {seed}",
                report.open_milliseconds_max, report.seconds
            ),
            Some(fault) => format!("FAULT: {fault}; seed {seed}"),
        },
        runs: json!(report),
    };
    let puts = |case: &str, rate: f64| Row {
        case: case.to_owned(),
        figure: per_second(rate),
        baseline: format!("{} single disk syncs", per_second(rates.disk_syncs)),
        ratio: Some(rate / rates.disk_syncs.max(1e-9)),
        goal: None,
        peer: None,
        note: "1 KB each, through the store, without HTTP".to_owned(),
        runs: json!(rates),
    };
    let table = Table {
        title: "Durability of the store".to_owned(),
        method: "A child process with sixteen writers is killed at random moments; after each crash the store is compared byte for \
                 byte with what was acknowledged. Rates: of this run, on the same disk."
            .to_owned(),
        ratio_of: "ratio".to_owned(),
        rows: vec![
            crash,
            puts("durable PUT, 64 callers", rates.puts),
            puts("durable PUT, 1 caller", rates.puts_alone),
        ],
    };
    Ok((table, sound))
}
