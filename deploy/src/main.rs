//! `cargo xtask`: measures Meent, and tells its story on one machine.

mod bench;
mod conformance;
mod coverage;
mod fuzz;
mod load;
mod policy_bench;
mod quickstart;
mod soak;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Build, run, measure and check Meent.
#[derive(Debug, Parser)]
#[command(name = "xtask", version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Measure, always beside a baseline of the same run; prints a table, writes JSON
    #[command(subcommand)]
    Bench(bench::BenchCommand),
    /// Run the suites that others wrote, and compare with what is committed
    Conformance(conformance::ConformanceCommand),
    /// Which requirement is proved by which test
    #[command(subcommand)]
    Coverage(coverage::CoverageCommand),
    /// Search for input that breaks a parser, steered by coverage
    Fuzz(fuzz::FuzzCommand),
    /// Compare random cases for long, and stop at the first difference
    #[command(subcommand)]
    Soak(soak::SoakCommand),
    /// Start a whole network on this machine, tell its story, and leave it running
    Quickstart(quickstart::QuickstartCommand),
    /// Send prepared requests to a server on loopback (a part of `bench`)
    #[command(hide = true)]
    Load(load::LoadCommand),
    /// Serve one answer on loopback, as fast as hyper can (a part of `bench`)
    #[command(hide = true)]
    Bare(load::BareCommand),
    /// Verify signatures, as many as one core can (a part of `bench`)
    #[command(hide = true)]
    VerifySignatures(load::VerifyCommand),
    /// Send or fetch one file (a part of `bench`)
    #[command(hide = true)]
    Transfer(load::TransferCommand),
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Bench(command) => command.run(),
        Command::Conformance(command) => command.run(),
        Command::Coverage(command) => command.run(),
        Command::Fuzz(command) => command.run(),
        Command::Quickstart(command) => command.run(),
        Command::Load(command) => command.run(),
        Command::Soak(command) => command.run(),
        Command::Bare(command) => command.run(),
        Command::VerifySignatures(command) => command.run(),
        Command::Transfer(command) => command.run(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("xtask: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// Why a command failed, in words.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Failure(String);

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self(error.to_string())
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        Self(error.to_string())
    }
}

impl From<meent_tests::bench::BenchError> for Failure {
    fn from(error: meent_tests::bench::BenchError) -> Self {
        Self(error.to_string())
    }
}

/// A place in cargo's target folder, which this program's own folder lies in.
fn beside_programs(name: &str) -> Result<PathBuf, Failure> {
    let own = std::env::current_exe()?;
    let folder = own.parent().and_then(Path::parent).unwrap_or(Path::new("."));
    Ok(folder.join(name))
}

/// Says something on standard output: results only, so that they can be piped.
#[allow(clippy::print_stdout)]
fn say(text: &str) {
    println!("{text}");
}
