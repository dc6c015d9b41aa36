//! `cargo xtask bench policy`: decisions beside Cedar's, by a program of its own that is built only for this.

use std::path::Path;
use std::process::Command;

use meent_tests::bench::report::{Goal, Row, Table};
use serde::Deserialize;

use crate::{Failure, beside_programs};

/// What the program prints for a case.
#[derive(Deserialize)]
struct Measured {
    case: String,
    compile_micros: u64,
    ours: Times,
    cedar: Times,
}

#[derive(Deserialize)]
struct Times {
    median_nanos: u64,
    p99_nanos: u64,
}

/// Goals for one decision, in nanoseconds: the median, and the 99th percentile.
const ONE: (u64, u64) = (1_000, 10_000);
/// Goal for ten thousand policies on one target, in nanoseconds.
const CROWD_MEDIAN: u64 = 20_000;

/// Builds the program and runs it.
pub fn measure(progress: &mut impl FnMut(&str)) -> Result<Table, Failure> {
    let package = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/policy-peer/Cargo.toml");
    let folder = beside_programs("policy-peer")?;
    progress("building the program with both engines; the first time takes minutes");
    let status = Command::new(env!("CARGO"))
        .args(["build", "--release", "--manifest-path"])
        .arg(&package)
        .arg("--target-dir")
        .arg(&folder)
        .env_remove("CARGO_TARGET_DIR")
        .status()?;
    if !status.success() {
        return Err(Failure(
            "the program that measures decisions cannot be built".to_owned(),
        ));
    }
    progress("measuring");
    let output = Command::new(folder.join("release/meent-policy-peer")).output()?;
    if !output.status.success() {
        return Err(Failure(String::from_utf8_lossy(&output.stderr).into_owned()));
    }
    let measured: Vec<Measured> = serde_json::from_slice(&output.stdout)?;
    let runs: Vec<serde_json::Value> = serde_json::from_slice(&output.stdout)?;
    Ok(Table {
        title: "Policy decisions".to_owned(),
        method: "Single decisions by compiled policies with all facts at hand, one thread; the baseline is Cedar \
                 (cedar-policy 4) on equivalent policies in the same run."
            .to_owned(),
        ratio_of: "baseline / ours".to_owned(),
        rows: measured.into_iter().zip(runs).map(|(one, run)| row(one, run)).collect(),
    })
}

#[allow(clippy::cast_precision_loss)] // nanoseconds of one decision
fn row(measured: Measured, runs: serde_json::Value) -> Row {
    let shown = |times: &Times| format!("{} median, {} p99", time(times.median_nanos), time(times.p99_nanos));
    let crowd = measured.case.starts_with("10000");
    let goal = if crowd {
        Goal {
            text: format!("< {}", time(CROWD_MEDIAN)),
            met: measured.ours.median_nanos < CROWD_MEDIAN,
        }
    } else {
        Goal {
            text: format!("median < {}, p99 < {}", time(ONE.0), time(ONE.1)),
            met: measured.ours.median_nanos < ONE.0 && measured.ours.p99_nanos < ONE.1,
        }
    };
    Row {
        figure: shown(&measured.ours),
        baseline: shown(&measured.cedar),
        ratio: Some(measured.cedar.median_nanos as f64 / measured.ours.median_nanos.max(1) as f64),
        goal: Some(goal),
        peer: None,
        note: format!("compiled in {}", time(measured.compile_micros * 1_000)),
        runs,
        case: measured.case,
    }
}

/// Nanoseconds for people.
#[allow(clippy::cast_precision_loss)] // shown with one decimal
fn time(nanos: u64) -> String {
    match nanos {
        0..1_000 => format!("{nanos} ns"),
        1_000..1_000_000 => format!("{:.1} µs", nanos as f64 / 1e3),
        _ => format!("{:.1} ms", nanos as f64 / 1e6),
    }
}
