//! The broker's process: reads the command line and runs it.

use std::process::ExitCode;

use broker::cli::Cli;
use clap::Parser;

#[tokio::main]
async fn main() -> ExitCode {
    match Cli::parse().run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("broker: {failure}");
            ExitCode::FAILURE
        }
    }
}
