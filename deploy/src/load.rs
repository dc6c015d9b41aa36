//! Parts of a measurement that run as processes of their own: the load generator, the bare server, and what else is compared
//! with.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use meent_tests::bench::bare::{self, Answer};
use meent_tests::bench::load::{self, Load};
use meent_tests::bench::pod::{Transfer, transfer};
use meent_tests::bench::verification;
use tokio::runtime::{Builder, Runtime};

use crate::{Failure, say};

/// Sends prepared requests and prints what was measured as JSON.
#[derive(Debug, Args)]
pub struct LoadCommand {
    /// What to do, as JSON
    #[arg(long)]
    load: String,
    /// File of requests
    #[arg(long)]
    requests: PathBuf,
}

/// Serves one answer, or copies files, until it is killed.
#[derive(Debug, Args)]
pub struct BareCommand {
    /// Loopback address
    #[arg(long)]
    address: SocketAddr,
    /// File with the answer, as JSON
    #[arg(long, required_unless_present = "copy")]
    answer: Option<PathBuf>,
    /// Folder for a file that is received and sent
    #[arg(long, conflicts_with = "answer")]
    copy: Option<PathBuf>,
    /// Certificate chain (PEM), to speak TLS
    #[arg(long, requires = "key")]
    certificate: Option<PathBuf>,
    /// Key of the certificate (PEM)
    #[arg(long)]
    key: Option<PathBuf>,
}

/// Verifies signatures and prints how many as JSON.
#[derive(Debug, Args)]
pub struct VerifyCommand {
    /// For how long
    #[arg(long)]
    seconds: f64,
}

/// Sends or fetches one file and prints what it took as JSON.
#[derive(Debug, Args)]
pub struct TransferCommand {
    /// What to do, as JSON
    #[arg(long)]
    transfer: String,
}

impl VerifyCommand {
    /// Verifies.
    ///
    /// # Errors
    /// When no key can be made.
    pub fn run(self) -> Result<(), Failure> {
        let verified = verification::run(Duration::from_secs_f64(self.seconds.clamp(0.1, 100.0)))?;
        say(&serde_json::to_string(&verified)?);
        Ok(())
    }
}

impl TransferCommand {
    /// Transfers.
    ///
    /// # Errors
    /// When the server refuses or breaks off.
    pub fn run(self) -> Result<(), Failure> {
        let wanted: Transfer = serde_json::from_str(&self.transfer)?;
        say(&one_thread()?.block_on(transfer(&wanted))?);
        Ok(())
    }
}

impl LoadCommand {
    /// Runs the load.
    ///
    /// # Errors
    /// When the files cannot be read or the address is not on loopback.
    pub fn run(self) -> Result<(), Failure> {
        let load: Load = serde_json::from_str(&self.load)?;
        let requests = load::read_requests(&self.requests)?;
        let measured = one_thread()?.block_on(load::run(&load, requests))?;
        say(&serde_json::to_string(&measured)?);
        Ok(())
    }
}

impl BareCommand {
    /// Serves.
    ///
    /// # Errors
    /// When the address cannot be had.
    pub fn run(self) -> Result<(), Failure> {
        if !self.address.ip().is_loopback() {
            return Err(Failure(format!("`{}` is not on loopback", self.address)));
        }
        let runtime = one_thread()?;
        if let Some(folder) = self.copy {
            return Ok(runtime.block_on(bare::serve_copy(self.address, folder))?);
        }
        let answer: Answer = serde_json::from_slice(&std::fs::read(self.answer.unwrap_or_default())?)?;
        runtime.block_on(bare::serve(self.address, answer, self.certificate.zip(self.key)))?;
        Ok(())
    }
}

fn one_thread() -> std::io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}
