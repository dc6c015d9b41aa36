//! `cargo xtask fuzz`: searches for input that breaks a parser, steered by coverage.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use clap::Args;
use meent_tests::fuzzing::{self, TARGETS, Target};

use crate::{Failure, beside_programs, say};

/// What the compiler adds so that libFuzzer sees which branches an input takes; understood by the stable compiler.
const INSTRUMENTATION: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=4 --cfg fuzzing";

#[derive(Debug, Args)]
pub struct FuzzCommand {
    /// Targets to search; all when none is named
    targets: Vec<String>,
    /// Seconds for each target
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Targets that are searched at one time
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=64))]
    jobs: u8,
    /// Megabytes that a target may take
    #[arg(long, default_value_t = 2048)]
    megabytes_max: u64,
}

impl FuzzCommand {
    pub fn run(self) -> Result<(), Failure> {
        let mut targets: Vec<&'static Target> = Vec::new();
        for name in &self.targets {
            let unknown = || Failure(format!("there is no target `{name}`; there are {}", names()));
            targets.push(fuzzing::target(name).ok_or_else(unknown)?);
        }
        if targets.is_empty() {
            targets.extend(TARGETS);
        }
        let program = build()?;
        let waiting = Mutex::new(VecDeque::from(targets));
        let broken = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..self.jobs)
                .map(|_| scope.spawn(|| self.search_all(&program, &waiting, &broken)))
                .collect();
            workers.into_iter().try_for_each(|worker| {
                worker
                    .join()
                    .unwrap_or_else(|_| Err(Failure("a search broke off".to_owned())))
            })
        })?;
        let broken = broken.into_inner().unwrap_or_default();
        match broken.as_slice() {
            [] => Ok(()),
            broken => Err(Failure(format!("broken: {}; see the input above", broken.join(", ")))),
        }
    }

    /// Searches one target after the other until none waits.
    fn search_all(
        &self,
        program: &Path,
        waiting: &Mutex<VecDeque<&'static Target>>,
        broken: &Mutex<Vec<&'static str>>,
    ) -> Result<(), Failure> {
        let poisoned = || Failure("a search broke off".to_owned());
        loop {
            let next = waiting.lock().map_err(|_| poisoned())?.pop_front();
            let Some(target) = next else { return Ok(()) };
            if !self.search(program, target)? {
                broken.lock().map_err(|_| poisoned())?.push(target.name);
            }
        }
    }

    /// Searches one target; whether nothing was found.
    fn search(&self, program: &Path, target: &Target) -> Result<bool, Failure> {
        let work = beside_programs("fuzz")?.join("found").join(target.name);
        std::fs::create_dir_all(&work)?;
        let log = std::fs::File::create(work.with_extension("log"))?;
        let status = Command::new(program)
            .env("MEENT_FUZZ_TARGET", target.name)
            .arg(&work)
            .arg(fuzzing::seeds(target))
            .arg(format!(
                "-artifact_prefix={}/broken-",
                work.with_extension("").display()
            ))
            .arg(format!("-max_total_time={}", self.seconds))
            .arg(format!("-rss_limit_mb={}", self.megabytes_max))
            .args(["-max_len=4096", "-timeout=20", "-print_final_stats=1"])
            .stderr(log)
            .status()?;
        let text = std::fs::read_to_string(work.with_extension("log"))?;
        let runs = text
            .lines()
            .find_map(|line| line.strip_prefix("stat::number_of_executed_units:"));
        let runs = runs.map_or("?", str::trim);
        say(&format!(
            "{:14} {} inputs, {}",
            target.name,
            runs,
            if status.success() { "nothing found" } else { "BROKEN" }
        ));
        if !status.success() {
            say(&text
                .lines()
                .rev()
                .take(40)
                .collect::<Vec<_>>()
                .into_iter()
                .rev()
                .collect::<Vec<_>>()
                .join("\n"));
        }
        Ok(status.success())
    }
}

fn names() -> String {
    TARGETS.iter().map(|target| target.name).collect::<Vec<_>>().join(", ")
}

/// Builds the fuzzer with its own flags in a folder of its own, because everything below it is instrumented.
fn build() -> Result<PathBuf, Failure> {
    let package = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fuzz/Cargo.toml");
    let folder = beside_programs("fuzz")?;
    let host = host()?;
    let status = Command::new(env!("CARGO"))
        .args(["build", "--release", "--target", &host, "--manifest-path"])
        .arg(&package)
        .arg("--target-dir")
        .arg(&folder)
        .env("RUSTFLAGS", INSTRUMENTATION)
        .env_remove("CARGO_TARGET_DIR")
        .status()?;
    if !status.success() {
        return Err(Failure(
            "the fuzzer cannot be built; it needs a C++ compiler".to_owned(),
        ));
    }
    Ok(folder.join(host).join("release/meent-fuzz"))
}

/// The compiler's name for this machine: naming it keeps build scripts free of the instrumentation.
fn host() -> Result<String, Failure> {
    let output = Command::new("rustc").arg("-vV").output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines()
        .find_map(|line| line.strip_prefix("host: "))
        .map(str::to_owned)
        .ok_or_else(|| Failure("rustc does not say which machine this is".to_owned()))
}
