//! The pod server's process: reads the command line and runs it.

use clap::Parser;
use pod_server::cli::Cli;

/// Requests, commits and the index make a great many small pieces of memory on one thread and drop them on another, which the
/// system's allocator is slow at.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() {
    let outcome = Cli::parse().run().await;
    let code = match outcome {
        Ok(()) => 0,
        Err(failure) => {
            eprintln!("pod-server: {failure}");
            1
        }
    };
    // Returning would wait for threads that may hang on a broken disk; every command has ended what it began.
    std::process::exit(code);
}
