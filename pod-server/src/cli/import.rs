//! `pod-server import`: files and tables into a storage, on a stopped server.

use std::path::PathBuf;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};

use super::{ConfigFile, Failure, say};
use crate::app::App;
use crate::import::{self, ImportOptions, Progress};
use crate::name::ResourceName;

/// Rejected pieces that are shown when no file was named for them.
const REJECTED_SHOWN: usize = 5;

/// Import RDF files, and tables through a mapping, into a container
#[derive(Debug, Args)]
#[command(
    after_help = "Reads Turtle, N-Triples, N-Quads, JSON-LD, RDF/XML and CSV, also as .gz and .zip. A mapping is a \
                        SPARQL CONSTRUCT that is evaluated per row, with column names as variables. Running the same import \
                        again changes nothing; an interrupted one goes on where it stopped."
)]
pub(super) struct ImportCommand {
    #[command(flatten)]
    file: ConfigFile,
    /// Container to import into, such as `/gent/fietsen/`; made if it is not there
    #[arg(long, value_name = "PATH")]
    into: String,
    /// Mapping file for tables
    #[arg(long, value_name = "FILE")]
    mapping: Option<PathBuf>,
    /// A column that every row gets besides its own
    #[arg(long = "with", value_name = "COLUMN=VALUE", value_parser = constant)]
    constants: Vec<(String, String)>,
    /// Where to write the lines that were left out, with their reasons (tab-separated)
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Most bytes that one input may unpack to
    #[arg(long, value_name = "BYTES", default_value_t = 16 << 30)]
    unpacked_bytes_max: u64,
    /// Most triples that the documents of one table may hold together
    #[arg(long, value_name = "TRIPLES", default_value_t = 50_000_000)]
    triples_max: u64,
    /// Files and folders
    #[arg(required = true, value_name = "SOURCE")]
    sources: Vec<PathBuf>,
}

impl ImportCommand {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let into = ResourceName::parse(&self.into).map_err(|error| Failure::Said(format!("`--into`: {error}")))?;
        let mapping = match &self.mapping {
            Some(path) => Some(
                std::fs::read_to_string(path)
                    .map_err(|error| Failure::Said(format!("`{}`: {error}", path.display())))?,
            ),
            None => None,
        };
        let app = App::build(self.file.load()?)?;
        let options = ImportOptions {
            into,
            origins: app.origins.clone(),
            mapping,
            constants: self.constants,
            sources: self.sources,
            unpacked_bytes_max: self.unpacked_bytes_max,
            triples_max: self.triples_max,
        };
        let mut bar = Bar::new();
        let result = import::run(app.store.as_ref(), &options, &mut bar).await;
        bar.0.finish_and_clear();
        let report = result.map_err(|error| Failure::Said(error.to_string()))?;
        if let Some(path) = &self.report {
            let written = std::fs::File::create(path).and_then(|mut file| report.write(&mut file));
            written.map_err(|error| Failure::Said(format!("`{}`: {error}", path.display())))?;
        }
        say(&format!(
            "{} inputs read, {} left out because they were finished before; {} documents stored with {} triples, {} \
             unchanged; {} pieces rejected",
            report.inputs,
            report.inputs_unchanged,
            report.documents,
            report.triples,
            report.documents_unchanged,
            report.rejected
        ));
        if self.report.is_none() {
            for piece in report.kept.iter().take(REJECTED_SHOWN) {
                say(&format!(
                    "rejected: {}, line {}, column {}: {}",
                    piece.input, piece.line, piece.column, piece.reason
                ));
            }
            if report.rejected > REJECTED_SHOWN as u64 {
                say("`--report FILE` writes all that were rejected into a file");
            }
        }
        Ok(())
    }
}

fn constant(text: &str) -> Result<(String, String), String> {
    let (column, value) = text.split_once('=').ok_or("expected COLUMN=VALUE")?;
    Ok((column.to_owned(), value.to_owned()))
}

/// Shows how far it is, on a terminal.
struct Bar(ProgressBar);

impl Bar {
    fn new() -> Self {
        let bar = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {pos}/{len} ({per_sec}, {eta} left)") {
            bar.set_style(style);
        }
        Self(bar)
    }
}

impl Progress for Bar {
    fn input(&mut self, label: &str, _: u64) {
        self.0.set_message(format!("reading {label}"));
        self.0.set_position(0);
    }

    fn lines(&mut self, label: &str, lines: u64) {
        self.0.set_message(format!("reading {label}, lines"));
        self.0.set_position(lines);
    }

    fn documents(&mut self, done: u64, total: u64) {
        self.0.set_message("storing documents");
        self.0.set_length(total);
        self.0.set_position(done);
    }
}
