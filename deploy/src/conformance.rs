//! `xtask conformance`: suites that others wrote, against a server of ours.

use clap::{Args, Subcommand};
use meent_tests::conformance::ConformanceError;
use meent_tests::conformance::subject::Ours;

use crate::{Failure, say};

/// What to run.
#[derive(Debug, Args)]
pub struct ConformanceCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Start a server with two people, say where, and leave it running until Enter is pressed
    Serve,
}

impl From<ConformanceError> for Failure {
    fn from(error: ConformanceError) -> Self {
        Self(error.to_string())
    }
}

impl ConformanceCommand {
    /// Runs and prints.
    ///
    /// # Errors
    /// When something cannot run, or differs from what is committed.
    pub fn run(self) -> Result<(), Failure> {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        match self.action {
            Action::Serve => runtime.block_on(serve()),
        }
    }
}

async fn serve() -> Result<(), Failure> {
    let ours = Ours::start().await?;
    say(&format!(
        "{} with the issuer {}; accounts and client credentials: {}",
        ours.subject.base,
        ours.subject.issuer,
        ours.file()?.display()
    ));
    tokio::task::spawn_blocking(|| std::io::stdin().read_line(&mut String::new()))
        .await
        .map_err(|error| Failure(error.to_string()))??;
    ours.server.stop().await;
    Ok(())
}
