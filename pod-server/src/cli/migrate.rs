//! `pod-server migrate …`, on a stopped server.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::{BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, Subcommand};
use tokio::runtime::Handle;

use super::{ConfigFile, Counting, Failure, blocking, say};
use crate::app::App;
use crate::authz::AuthorizationSystem;
use crate::migrate::css::{self, Options, Target};
use crate::migrate::{Finding, Summary};

/// Lines of the report that are shown when it is not written into a file.
const SHOWN_MAX: u64 = 200;

/// Other servers whose data can be taken over.
#[derive(Debug, Subcommand)]
pub(super) enum MigrateCommand {
    /// A Community Solid Server 7 that keeps its data in files
    Css(Box<CssCommand>),
}

/// Take over the data folder of a Community Solid Server 7
#[derive(Debug, Args)]
#[command(
    after_help = "Stop both servers first; the folder is only read. Storages come with their resources, descriptions, access \
                  rules and owners, accounts with their WebIDs, client credentials and passwords: people log in with the \
                  address and the password that they had. IRIs below the old URL name the new places. What cannot come along \
                  is named with a reason: look with `--dry-run` first. A resource whose access rules cannot be used belongs \
                  to its owner alone. Run it again after an interruption: it goes on where it stopped."
)]
pub(super) struct CssCommand {
    #[command(flatten)]
    file: ConfigFile,
    /// The data folder, which the other server was given as `--rootFilePath`
    folder: PathBuf,
    /// URL that the other server had; the one that the folder notes unless given
    #[arg(long, value_name = "URL")]
    base_url: Option<String>,
    /// Gives a storage another name here; may be repeated
    #[arg(long, value_name = "OLD=NEW", value_parser = pair)]
    rename: Vec<(String, String)>,
    /// Authorization system that the other server used; the folder tells unless it holds rules of both
    #[arg(long, value_enum)]
    system: Option<AuthorizationSystem>,
    /// Only look and report; stores nothing
    #[arg(long)]
    dry_run: bool,
    /// File for the report, one line for each thing that cannot come along as it is; must not exist yet
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
}

impl MigrateCommand {
    pub(super) async fn run(self) -> Result<(), Failure> {
        match self {
            Self::Css(command) => command.run().await,
        }
    }
}

impl CssCommand {
    async fn run(self) -> Result<(), Failure> {
        let app = Arc::new(App::build(self.file.load()?)?);
        let mut report = Report::open(self.report.as_deref())?;
        let options = Options {
            folder: self.folder,
            base_url: self.base_url,
            rename: self.rename.into_iter().collect::<BTreeMap<_, _>>(),
            system: self.system,
            dry_run: self.dry_run,
        };
        let runtime = Handle::current();
        let summary = blocking(move || {
            let target = Target {
                store: &app.store,
                tools: app.identity.account_tools(),
                runtime,
                bounds: &app.config.ldp,
                quota_bytes_max: app.config.store.quota_bytes_max,
                credentials_max: app.config.identity.credentials_max,
            };
            let mut bar = Counting::new("reading");
            let done = css::run(
                &target,
                &options,
                &mut |finding| report.line(finding),
                &mut |_, entries, bytes| {
                    bar.tell(entries, bytes);
                },
            );
            let summary = done.map_err(|error| Failure::Said(error.to_string()))?;
            report.close()?;
            Ok(summary)
        })
        .await?;
        tell(&summary, self.dry_run);
        Ok(())
    }
}

/// Where the report goes.
struct Report {
    file: Option<BufWriter<std::fs::File>>,
    lines: u64,
}

impl Report {
    fn open(path: Option<&std::path::Path>) -> Result<Self, Failure> {
        let file = path.map(|path| {
            let mut options = OpenOptions::new();
            options.write(true).create_new(true).mode(0o600);
            let opened = options.open(path).map(BufWriter::new);
            opened.map_err(|error| Failure::Said(format!("the report `{}`: {error}", path.display())))
        });
        Ok(Self {
            file: file.transpose()?,
            lines: 0,
        })
    }

    fn line(&mut self, finding: &Finding) -> std::io::Result<()> {
        self.lines += 1;
        match &mut self.file {
            Some(file) => writeln!(file, "{finding}"),
            None if self.lines <= SHOWN_MAX => {
                say(&finding.to_string());
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn close(self) -> Result<(), Failure> {
        if let Some(file) = self.file {
            let synced = file.into_inner().map_err(std::io::IntoInnerError::into_error);
            synced
                .and_then(|file| file.sync_all())
                .map_err(|error| Failure::Said(format!("the report: {error}")))?;
        } else if self.lines > SHOWN_MAX {
            say(&format!(
                "and {} more lines: `--report FILE` keeps all",
                self.lines - SHOWN_MAX
            ));
        }
        Ok(())
    }
}

fn tell(summary: &Summary, dry_run: bool) {
    let Summary {
        accounts,
        accounts_before,
        storages,
        resources,
        bytes,
        findings,
        setup_urls,
    } = summary;
    let done = if dry_run { "would be taken over" } else { "are here now" };
    say(&format!(
        "{accounts} accounts and {storages} storages with {resources} resources and {bytes} bytes {done}; {findings} lines of \
         report; {accounts_before} accounts had come before"
    ));
    for (name, url) in setup_urls {
        say(&format!("setup {name} {url}"));
    }
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (old, new) = text.split_once('=').ok_or("expected OLD=NEW")?;
    Ok((old.to_owned(), new.to_owned()))
}
