//! The pod server's process: reads the command line and runs it.

use std::process::ExitCode;

use clap::Parser;
use pod_server::cli::Cli;

#[tokio::main]
async fn main() -> ExitCode {
    match Cli::parse().run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("pod-server: {failure}");
            ExitCode::FAILURE
        }
    }
}
