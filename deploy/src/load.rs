//! The two ends of a measurement that run as processes of their own: the load generator and the bare server.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use meent_tests::bench::bare::{self, Answer};
use meent_tests::bench::load::{self, Load};
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

/// Serves one answer until it is killed.
#[derive(Debug, Args)]
pub struct BareCommand {
    /// Loopback address
    #[arg(long)]
    address: SocketAddr,
    /// File with the answer, as JSON
    #[arg(long)]
    answer: PathBuf,
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
        let answer: Answer = serde_json::from_slice(&std::fs::read(&self.answer)?)?;
        one_thread()?.block_on(bare::serve(self.address, answer))?;
        Ok(())
    }
}

fn one_thread() -> std::io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}
