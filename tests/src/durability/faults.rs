//! Crashes and failures at every single sync, by a tracer that stands between the process and the kernel (D2, D4).

use std::process::{Command, Stdio};
use std::time::Instant;

use super::child::EXIT_STOPPED;
use super::verify::{Fault, Oracle};
use super::{Report, examine, finish, program, run_to_end};

/// Steps of each writer in one round.
const STEPS: u64 = 25;

/// What happens at the chosen sync.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AtSync {
    /// The process is killed before it syncs.
    Kill,
    /// The disk reports a failure, once; the process must end by itself and acknowledge nothing more.
    Fail,
}

/// Whether the tracer works on this machine.
#[must_use]
pub fn tracer_works() -> bool {
    Command::new("strace")
        .args(["-qq", "-o", "/dev/null", "-e", "trace=fsync", "true"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// For each number up to `syncs_max`: lets each thread's sync of that number go wrong, then looks.
///
/// # Errors
/// When the child cannot be started at all. What is found is in the report.
pub fn at_every_sync(what: AtSync, syncs_max: u64, seed: u64) -> std::io::Result<Report> {
    let program = program()?;
    let directory = tempfile::tempdir()?;
    let mut oracle = Oracle::new(seed);
    let mut report = Report {
        seed,
        ..Report::default()
    };
    let began = Instant::now();
    for number in 1..=syncs_max {
        let effect = match what {
            AtSync::Kill => format!("signal=KILL:when={number}"),
            AtSync::Fail => format!("error=EIO:when={number}"),
        };
        let mut command = Command::new("strace");
        command
            .args(["-f", "-qq", "-o", "/dev/null", "-e", "trace=fsync,fdatasync"])
            .args(["-e", &format!("inject=fsync,fdatasync:{effect}")])
            .arg(&program)
            .arg(directory.path())
            .args([seed.to_string(), STEPS.to_string()]);
        let (mut told, status) = run_to_end(&mut command)?;
        let stopped = told.stopped.take().is_some();
        if what == AtSync::Fail && (!stopped || status.code() != Some(i32::from(EXIT_STOPPED))) {
            let words = format!("sync {number} failed and the process went on ({status})");
            report.fault = Some(Fault::Broken(words).to_string());
            break;
        }
        if !examine(&mut report, &mut oracle, directory.path(), &told) {
            break;
        }
    }
    finish(&mut report, directory, began);
    Ok(report)
}
