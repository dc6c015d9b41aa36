//! Kills a writing process again and again, and looks whether everything that it acknowledged is there (D1, D2, D4).
//!
//! A child process with sixteen writers commits puts, patches, deletes, access control lists, records and blobs, and tells
//! each acknowledged step through a pipe. It is killed at a random moment; then the store is opened and compared, byte
//! for byte, with what the acknowledged steps must have left.

pub mod child;
pub mod faults;
pub mod model;
pub mod power;
pub mod script;
pub mod throughput;
pub mod verify;

use std::collections::BTreeMap;
use std::fmt;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

pub use self::throughput::throughput;
use self::verify::{Fault, Oracle};

/// Name of the program that is killed.
const CHILD: &str = "durability-child";

/// Longest wait for a child to open its store, recovery included.
const OPEN_SECONDS_MAX: u64 = 60;

/// What a loop of crashes found.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct Report {
    /// From which everything random followed.
    pub seed: u64,
    /// Crashes survived.
    pub cycles: u64,
    /// Writes that were acknowledged and verified afterwards.
    pub acknowledged: u64,
    /// Commits in the store at the end.
    pub commits: u64,
    /// Longest time from opening to open, in milliseconds.
    pub open_milliseconds_max: u64,
    /// Time of the whole loop, in seconds.
    pub seconds: f64,
    /// The first fault, with the directory that shows it; none if all is well.
    pub fault: Option<String>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} crashes, {} acknowledged writes verified, {} commits, slowest start {} ms, {:.1} s, seed {}: ",
            self.cycles, self.acknowledged, self.commits, self.open_milliseconds_max, self.seconds, self.seed
        )?;
        match &self.fault {
            None => f.write_str("nothing lost, nothing torn"),
            Some(fault) => write!(f, "FAULT: {fault}"),
        }
    }
}

/// What a child told before it ended.
#[derive(Default)]
struct Told {
    /// Last acknowledged step of each writer.
    acknowledged: BTreeMap<u16, u64>,
    /// Number of acknowledgements.
    count: u64,
    /// Why it stopped by itself, if it did.
    stopped: Option<String>,
}

/// Kills a writing process `cycles` times at random moments. `seed` decides what is written and when it is killed.
///
/// # Errors
/// When the child cannot be started at all. What is found is in the report.
pub fn run(cycles: u64, seed: u64) -> std::io::Result<Report> {
    let program = program()?;
    let directory = tempfile::tempdir()?;
    let mut oracle = Oracle::new(seed);
    let mut report = Report {
        seed,
        ..Report::default()
    };
    let began = Instant::now();
    for cycle in 0..cycles {
        let mut command = Command::new(&program);
        command
            .arg(directory.path())
            .args([seed.to_string(), u64::MAX.to_string()]);
        let told = kill_at_random(&mut command, seed, cycle)?;
        if !examine(&mut report, &mut oracle, directory.path(), &told) {
            break;
        }
    }
    finish(&mut report, directory, began);
    Ok(report)
}

/// Looks at the store after a crash; false if something is wrong.
fn examine(report: &mut Report, oracle: &mut Oracle, directory: &Path, told: &Told) -> bool {
    let looked = match &told.stopped {
        Some(reason) => Err(Fault::Broken(format!("the child gave up: {reason}"))),
        None => oracle.look(directory, &told.acknowledged),
    };
    match looked {
        Ok(look) => {
            report.cycles += 1;
            report.acknowledged += told.count;
            report.commits = look.commits;
            let milliseconds = u64::try_from(look.open.as_millis()).unwrap_or(u64::MAX);
            report.open_milliseconds_max = report.open_milliseconds_max.max(milliseconds);
            true
        }
        Err(fault) => {
            report.fault = Some(format!("after {} crashes: {fault}", report.cycles + 1));
            false
        }
    }
}

/// A directory that shows a fault is kept.
fn finish(report: &mut Report, directory: tempfile::TempDir, began: Instant) {
    report.seconds = began.elapsed().as_secs_f64();
    if let Some(fault) = report.fault.take() {
        report.fault = Some(format!("{fault} (kept in {})", directory.keep().display()));
    }
}

/// Starts the child, and kills it: one time in five while it opens the store, else while it writes.
fn kill_at_random(command: &mut Command, seed: u64, cycle: u64) -> std::io::Result<Told> {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
    let lines = listen(&mut child);
    let dice = number(seed, cycle);
    let mut told = Told::default();
    if dice.is_multiple_of(5) {
        std::thread::sleep(Duration::from_micros(dice / 5 % 30_000));
    } else {
        told.hear_until(&lines, "ready");
        std::thread::sleep(Duration::from_micros(dice / 5 % 400_000));
    }
    child.kill()?;
    child.wait()?;
    told.hear_all(&lines);
    Ok(told)
}

fn number(seed: u64, cycle: u64) -> u64 {
    let digest = Sha256::digest(format!("moment {seed} {cycle}"));
    digest
        .iter()
        .take(7)
        .fold(0, |value, &byte| value * 256 + u64::from(byte))
}

/// Lets the child run to its own end.
fn run_to_end(command: &mut Command) -> std::io::Result<(Told, ExitStatus)> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let lines = listen(&mut child);
    let mut told = Told::default();
    told.hear_all(&lines);
    let status = child.wait()?;
    Ok((told, status))
}

/// Reads the child's lines until its end of the pipe is closed, which a kill does.
fn listen(child: &mut Child) -> Receiver<String> {
    let (sender, lines) = channel();
    if let Some(out) = child.stdout.take() {
        std::thread::spawn(move || {
            let mut out = BufReader::new(out);
            let mut line = String::new();
            // A line without its end was not told.
            while out.read_line(&mut line).is_ok_and(|count| count > 0) && line.ends_with('\n') {
                if sender.send(line.trim_end().to_owned()).is_err() {
                    break;
                }
                line.clear();
            }
        });
    }
    lines
}

impl Told {
    fn hear(&mut self, line: &str) {
        if let Some(reason) = line.strip_prefix("stopped ") {
            self.stopped = Some(reason.to_owned());
        } else if let Some((writer, number)) = line.split_once(' ')
            && let (Ok(writer), Ok(number)) = (writer.parse(), number.parse())
        {
            self.acknowledged.insert(writer, number);
            self.count += 1;
        }
    }

    fn hear_until(&mut self, lines: &Receiver<String>, word: &str) {
        let deadline = Instant::now() + Duration::from_secs(OPEN_SECONDS_MAX);
        while let Ok(line) = lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            self.hear(&line);
            if line == word {
                return;
            }
        }
    }

    fn hear_waiting(&mut self, lines: &Receiver<String>) {
        while let Ok(line) = lines.try_recv() {
            self.hear(&line);
        }
    }

    fn hear_all(&mut self, lines: &Receiver<String>) {
        while let Ok(line) = lines.recv() {
            self.hear(&line);
        }
    }
}

/// The program that is killed lies beside the one that runs, or one directory above.
fn program() -> std::io::Result<PathBuf> {
    let own = std::env::current_exe()?;
    own.ancestors()
        .skip(1)
        .take(2)
        .map(|directory| directory.join(CHILD))
        .find(|program| program.is_file())
        .ok_or_else(|| {
            std::io::Error::new(
                std::io::ErrorKind::NotFound,
                format!("`{CHILD}` is not there: build it with `cargo build --release --workspace --bins`"),
            )
        })
}
