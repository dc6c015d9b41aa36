//! The command line of the pod server.
//!
//! `serve` runs the server. The others work on a stopped server's data or on its configuration, but for `backup`, `log verify`
//! and `doctor`, which also do beside a running one; each says in plain words what it did.

mod account;
mod agreement;
mod backup;
mod consent;
mod doctor;
mod import;
mod log;
mod migrate;
mod restore;
mod serve;
mod storage;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use server_kit::config::{ConfigError, load};

use crate::config::{Config, ENV_PREFIX};

/// A Solid pod server that owns its data, decides about it, and proves every use.
#[derive(Debug, Parser)]
#[command(
    name = "pod-server",
    version,
    about,
    after_help = "Start with a copy of example.toml: `pod-server check --config pod.toml`, then \
                  `pod-server account create --config pod.toml gent --label \"Stad Gent\" --organisation`, then \
                  `pod-server serve --config pod.toml`.\n\nWhile the server runs or not: `check`, `doctor`, `backup`, `log verify`, `log replay`. \
                  On a stopped server: `account`, `storage`, `import`, `migrate`, `restore`, `log rotate-key`, `log confirm`. Anywhere: `consent verify`, `agreement compare`. When something does not work: `doctor`.\n\nEvery key of the file can be overridden by an environment variable: \
                  `MEENT_POD_` and the key with `__` for each point, such as `MEENT_POD_SERVER__BASE_URL`."
)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server until it is told to stop (SIGTERM or SIGINT)
    Serve(ConfigFile),
    /// Check the configuration and say what is wrong with it; changes nothing
    Check(ConfigFile),
    /// Look at everything around the server: clock, disk, names, ports, certificate; says what to do
    Doctor(ConfigFile),
    /// Storages: the root containers that belong to someone
    #[command(subcommand)]
    Storage(storage::StorageCommand),
    /// Accounts: who can log in, with a storage and a WebID profile
    #[command(subcommand)]
    Account(account::AccountCommand),
    /// Import files and tables into a storage
    Import(Box<import::ImportCommand>),
    /// Take over what another server holds, with its accounts
    #[command(subcommand)]
    Migrate(migrate::MigrateCommand),
    /// Back up a server, also while it runs; check a backup
    Backup(backup::BackupCommand),
    /// Put a backup back into an empty directory, without what was revoked since
    Restore(restore::RestoreCommand),
    /// The audit log: prove it, offline
    #[command(subcommand)]
    Log(log::LogCommand),
    /// Consents: prove a receipt or a proof, offline
    #[command(subcommand)]
    Consent(consent::ConsentCommand),
    /// Agreements: prove which copy is the one that was concluded, offline
    #[command(subcommand)]
    Agreement(agreement::AgreementCommand),
}

/// Where the configuration is.
#[derive(Debug, Args)]
pub struct ConfigFile {
    /// Configuration file (TOML); without it, everything comes from environment variables
    #[arg(long, short, value_name = "FILE", env = "MEENT_POD_CONFIG")]
    config: Option<PathBuf>,
}

impl ConfigFile {
    /// Reads and checks the configuration.
    ///
    /// # Errors
    /// Names the key that is wrong.
    pub fn load(&self) -> Result<Config, Failure> {
        // The variable that names the file itself is no key of it.
        let config: Config = load(self.config.as_deref(), ENV_PREFIX)?;
        config
            .check()
            .map_err(|fault| Failure::Said(format!("configuration: {fault}")))?;
        Ok(config)
    }
}

/// Why a command failed, in words for the operator.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The server cannot be built.
    #[error(transparent)]
    Start(#[from] crate::app::StartError),
    /// Anything else, in words.
    #[error("{0}")]
    Said(String),
}

impl Cli {
    /// Carries the command out.
    ///
    /// # Errors
    /// [`Failure`], to be shown on standard error.
    pub async fn run(self) -> Result<(), Failure> {
        match self.command {
            Command::Serve(file) => serve::serve(file.load()?).await,
            Command::Check(file) => {
                let config = file.load()?;
                for file in config.tls.iter().flat_map(|tls| [&tls.certificate_file, &tls.key_file]) {
                    if !file.exists() {
                        let reason = format!("`tls`: the file `{}` is not there", file.display());
                        return Err(Failure::Said(format!("configuration: {reason}")));
                    }
                }
                if let Some(reason) = doctor::unfit_for_storages(&config) {
                    return Err(Failure::Said(format!("configuration: `tls`: {reason}")));
                }
                say("the configuration is sound; `pod-server doctor` looks at the machine too");
                Ok(())
            }
            Command::Doctor(file) => doctor::doctor(&file).await,
            Command::Storage(command) => command.run().await,
            Command::Account(command) => command.run().await,
            Command::Import(command) => command.run().await,
            Command::Migrate(command) => command.run().await,
            Command::Backup(command) => command.run().await,
            Command::Restore(command) => command.run().await,
            Command::Log(command) => blocking(move || command.run()).await,
            Command::Consent(command) => command.run(),
            Command::Agreement(command) => command.run(),
        }
    }
}

/// Tells the operator something. Commands speak on standard output; logs go to standard error.
#[allow(clippy::print_stdout)]
fn say(text: &str) {
    println!("{text}");
}

/// Carries out work that waits for the disk, on a thread that may.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Failure> + Send + 'static) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| Err(Failure::Said(format!("the command broke off: {error}"))))
}

/// Shows on a terminal how many entries and bytes are done.
struct Counting(ProgressBar);

impl Counting {
    fn new(what: &'static str) -> Self {
        let bar = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {pos} entries, {prefix} bytes ({elapsed})") {
            bar.set_style(style);
        }
        bar.set_message(what);
        Self(bar)
    }

    fn tell(&mut self, entries: u64, bytes: u64) {
        self.0.set_position(entries);
        self.0.set_prefix(format!("{bytes}"));
    }
}

impl Drop for Counting {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
