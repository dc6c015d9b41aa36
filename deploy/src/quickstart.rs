//! `xtask quickstart`: the whole network on this machine, told as a story, and left running.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use meent_tests::scenario::story::{self, Options, Teller};

use crate::{Failure, beside_programs, say};

/// Name of the file that says that a folder was made by this command.
const MARK: &str = "made-by-quickstart";

/// Citizens that generated data can have.
const CITIZENS_MAX: usize = 100_000;

/// Start a network, let its story happen, leave it running.
#[derive(Debug, Args)]
pub struct QuickstartCommand {
    /// Folder with the real data of the members; without it, their data is generated
    #[arg(long, value_name = "DIRECTORY")]
    data: Option<PathBuf>,
    /// Generated citizens besides the real ones
    #[arg(long, value_name = "N", default_value_t = 200)]
    citizens: usize,
    /// First of the hundred ports that the network uses
    #[arg(long, default_value_t = 7_100)]
    port: u16,
    /// Folder for the network's files, emptied when an earlier run made it; `quickstart` in cargo's target folder unless given
    #[arg(long, value_name = "DIRECTORY")]
    folder: Option<PathBuf>,
    /// End at once and leave the servers running in the background, instead of waiting for Ctrl-C
    #[arg(long)]
    no_wait: bool,
}

impl QuickstartCommand {
    /// Runs the story.
    ///
    /// # Errors
    /// What cannot be used, or the first thing in the story that was not as it should be.
    pub fn run(self) -> Result<(), Failure> {
        let options = self.options()?;
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        runtime.block_on(async {
            let mut aloud = Aloud::new();
            let told = story::run(&options, &mut aloud).await;
            aloud.bar.finish_and_clear();
            let network = told.map_err(|error| Failure(error.to_string()))?;
            if self.no_wait {
                let file = network.leave_running().map_err(|error| Failure(error.to_string()))?;
                say(&format!(
                    "\nThe network runs in the background. Stop it with: kill $(cat {})",
                    file.display()
                ));
                return Ok(());
            }
            say("\nThe network runs until you press Ctrl-C.");
            tokio::signal::ctrl_c().await?;
            drop(network);
            say("The network has stopped. Its data stays until the next quickstart.");
            Ok(())
        })
    }

    fn options(&self) -> Result<Options, Failure> {
        if let Some(data) = &self.data
            && !data.is_dir()
        {
            return Err(Failure(format!("`--data {}` is not a folder", data.display())));
        }
        if self.citizens > CITIZENS_MAX {
            return Err(Failure(format!(
                "`--citizens {}` is above {CITIZENS_MAX}",
                self.citizens
            )));
        }
        let folder = self.folder.clone().map_or_else(|| beside_programs("quickstart"), Ok)?;
        let Some(last) = self.port.checked_add(99).filter(|_| self.port > 0) else {
            return Err(Failure(format!(
                "`--port {}` leaves no room for a hundred ports",
                self.port
            )));
        };
        for port in self.port..=last {
            if TcpListener::bind(("127.0.0.1", port)).is_err() {
                return Err(Failure(format!(
                    "port {port} is taken, perhaps by an earlier quickstart (`kill $(cat {}/processes)`): free it, or choose \
                     another range with --port",
                    folder.display()
                )));
            }
        }
        empty(&folder)?;
        let binaries = std::env::current_exe()?
            .parent()
            .map(Path::to_path_buf)
            .unwrap_or_default();
        Ok(Options {
            data: self.data.as_deref().map(std::fs::canonicalize).transpose()?,
            citizens: self.citizens,
            folder: std::fs::canonicalize(&folder)?,
            binaries,
            first_port: self.port,
        })
    }
}

/// Makes an empty folder. One that was not made by this command is left alone.
fn empty(folder: &Path) -> Result<(), Failure> {
    if folder.exists() {
        let foreign = !folder.join(MARK).is_file() && std::fs::read_dir(folder)?.next().is_some();
        if foreign {
            return Err(Failure(format!(
                "`{}` holds files that no quickstart made: choose another --folder",
                folder.display()
            )));
        }
        std::fs::remove_dir_all(folder)?;
    }
    std::fs::create_dir_all(folder)?;
    std::fs::write(folder.join(MARK), "")?;
    Ok(())
}

/// Tells the story on standard output; long work shows as a line that goes away.
struct Aloud {
    bar: ProgressBar,
}

impl Aloud {
    fn new() -> Self {
        let bar = ProgressBar::new_spinner();
        bar.enable_steady_tick(Duration::from_millis(200));
        Self { bar }
    }

    fn line(&self, text: &str) {
        self.bar.suspend(|| say(text));
    }
}

impl Teller for Aloud {
    fn chapter(&mut self, title: &str) {
        self.bar.set_message("");
        self.line(&format!("\n{title}\n{}", "─".repeat(title.chars().count())));
    }

    fn say(&mut self, sentence: &str) {
        self.line(sentence);
    }

    fn working(&mut self, what: &str, done: u64, total: u64) {
        if let Ok(style) = ProgressStyle::with_template(if total > 0 {
            "{spinner} {msg} {bar:30} {pos}/{len} ({eta})"
        } else {
            "{spinner} {msg}"
        }) {
            self.bar.set_style(style);
        }
        if total > 0 {
            self.bar.set_length(total);
            self.bar.set_position(done);
            self.bar.set_message(what.to_owned());
        } else if done > 0 {
            self.bar.set_message(format!("{what} {done}"));
        } else {
            self.bar.set_message(what.to_owned());
        }
    }
}
