//! Bringing existing data into a storage: RDF files as they are, tables through a mapping file.
//!
//! The operator runs it on a stopped server's store. Everything well-formed is kept, everything else is reported with
//! line, column and reason. It is idempotent: documents whose bytes are there already stay untouched, and inputs that
//! an earlier run finished are left out, so that an interrupted import goes on where it stopped. It never reads the
//! network.

mod documents;
mod functions;
mod graph;
mod mapping;
mod report;
mod rows;
mod source;

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

pub use functions::{NAMESPACE, with_functions};
pub use mapping::{Mapped, Mapping, MappingError};
pub use report::{Rejected, Report};
pub use source::{Format, SourceError};

use crate::name::{NameError, ResourceName};
use crate::origins::Origins;
use crate::store::{self, CommitError, ReadPermit, RecordKind, Store, StoreError, Transaction, Warrant};
use documents::{Documents, Finished};
use source::Input;

/// What to import, and where to.
#[derive(Clone, Debug)]
pub struct ImportOptions {
    /// Container that documents go to; it must end with `/`.
    pub into: ResourceName,
    /// Where the resources of the server are, for relative IRIs.
    pub origins: Origins,
    /// Text of the mapping file, for tables.
    pub mapping: Option<String>,
    /// Columns that every row of a table gets besides its own, with their value.
    pub constants: Vec<(String, String)>,
    /// Files and folders.
    pub sources: Vec<PathBuf>,
    /// Most bytes that one input may unpack to.
    pub unpacked_bytes_max: u64,
    /// Most triples that the documents of one table may hold together.
    pub triples_max: u64,
}

impl ImportOptions {
    fn document(&self, relative: &str) -> Result<ResourceName, ImportError> {
        let name = if relative.starts_with('/') {
            ResourceName::parse(relative)
        } else {
            self.into.join(relative)
        };
        name.map_err(|source| ImportError::Name {
            name: relative.to_owned(),
            source,
        })
    }
}

/// Hears how far a long import is.
pub trait Progress {
    /// A new input begins; `bytes` long.
    fn input(&mut self, label: &str, bytes: u64);
    /// Lines of the present input that were read.
    fn lines(&mut self, label: &str, lines: u64);
    /// Documents stored of those that the present input became.
    fn documents(&mut self, done: u64, total: u64);
}

/// Why an import stopped. What was stored before stays.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// An input cannot be opened.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The mapping file is none.
    #[error(transparent)]
    Mapping(#[from] MappingError),
    /// A table came without a mapping.
    #[error("`{input}` is a table: give a mapping file with `--mapping`")]
    NoMapping {
        /// The input.
        input: String,
    },
    /// A table without column names.
    #[error("`{input}` has no readable header: {reason}")]
    Header {
        /// The input.
        input: String,
        /// The cause.
        reason: String,
    },
    /// A document's name is none.
    #[error("`{name}` is no name for a document: {source}")]
    Name {
        /// The name.
        name: String,
        /// The rule that it breaks.
        source: NameError,
    },
    /// A base or namespace is no IRI.
    #[error("`{0}` is no IRI")]
    Base(String),
    /// A mapping over an RDF file cannot be evaluated.
    #[error("`{input}` cannot be mapped: {reason}")]
    Evaluation {
        /// The input.
        input: String,
        /// The cause.
        reason: String,
    },
    /// The target is no container.
    #[error("`{0}` is no container: its path must end with `/`")]
    NotContainer(String),
    /// Nobody's storage is there.
    #[error(
        "`{0}` lies in no storage: make one with `account create` or `storage create`; `storage list` names those that are there"
    )]
    NoStorage(String),
    /// Rows were read and none of them became anything, which no mapping means that was written for this table.
    #[error(
        "the mapping made nothing of the {rows} rows of `{input}`. Its columns are: {columns}; the mapping must use these \
         names, with `_` for every character that is no letter or digit of ASCII, and its FILTER must let rows through"
    )]
    Nothing {
        /// The input.
        input: String,
        /// Rows that were read.
        rows: u64,
        /// The variables that its columns stand for.
        columns: String,
    },
    /// The documents of one table are larger than the bound.
    #[error("`{input}` gives more than {triples_max} triples (`--triples-max`): split it, or raise the bound")]
    Buffer {
        /// The input.
        input: String,
        /// The bound.
        triples_max: u64,
    },
    /// A document cannot be written.
    #[error("a document could not be written: {0}")]
    Write(#[source] std::io::Error),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Imports all sources into the store. Through a mapping, all sources together become one set of documents, so that
/// two tables may add to the same document.
///
/// # Errors
/// The first fault that makes going on pointless; faults of single rows and statements are in the report instead.
pub async fn run(
    store: &dyn Store,
    options: &ImportOptions,
    progress: &mut dyn Progress,
) -> Result<Report, ImportError> {
    let mut report = Report::default();
    check_target(store, &options.into)?;
    let files = source::files(&options.sources)?;
    match options.mapping.as_deref().map(Mapping::parse).transpose()? {
        Some(mapping) => map(store, options, &mapping, &files, &mut report, progress).await?,
        None => {
            for input in files
                .iter()
                .map(|file| inputs(options, file))
                .collect::<Result<Vec<_>, _>>()?
                .into_iter()
                .flatten()
            {
                take_in(store, options, &input, &mut report, progress).await?;
            }
        }
    }
    Ok(report)
}

/// Whether documents can go there at all; an operator should not wait for a long import to hear that they cannot.
fn check_target(store: &dyn Store, into: &ResourceName) -> Result<(), ImportError> {
    // Below the root every document's name tells its storage.
    if into.is_root() {
        return Ok(());
    }
    if !into.is_container() {
        return Err(ImportError::NotContainer(into.as_str().to_owned()));
    }
    let snapshot = store.snapshot(ReadPermit::without_proof(
        "the operator's import asks whether a storage is there",
    ))?;
    let storage = into.storage_root().map(|root| snapshot.storage(&root)).transpose()?;
    match storage.flatten() {
        Some(_) => Ok(()),
        None => Err(ImportError::NoStorage(into.as_str().to_owned())),
    }
}

async fn map(
    store: &dyn Store,
    options: &ImportOptions,
    mapping: &Mapping,
    files: &[PathBuf],
    report: &mut Report,
    progress: &mut dyn Progress,
) -> Result<(), ImportError> {
    let mut job = Job::new(options);
    for file in files {
        for input in inputs(options, file)? {
            job.add(&input);
            report.inputs += 1;
        }
    }
    if job.is_finished(store)? {
        report.inputs_unchanged = std::mem::take(&mut report.inputs);
        return Ok(());
    }
    let mut documents = Documents::new(mapping.prefixes().clone(), options.triples_max);
    let mut nothing = None;
    for file in files {
        for input in inputs(options, file)? {
            progress.input(&input.label, input.bytes.len() as u64);
            if input.format == Format::Csv {
                let found = rows::read(&input, mapping, &options.constants, &mut documents, report, progress)?;
                nothing = nothing.or(found);
            } else {
                graph::map(&input, &base(options, &input)?, mapping, &mut documents, report)?;
            }
        }
    }
    if let Some(nothing) = nothing.filter(|_| report.triples == 0) {
        return Err(nothing);
    }
    documents::store(store, documents.finish(options)?, report, progress).await?;
    // Inputs with rejected pieces are read again next time, so that their report can be had again.
    if report.rejected == 0 {
        job.note_finished(store).await
    } else {
        Ok(())
    }
}

/// The inputs of one file. An archive's entries are held together, because storing waits for the disk and reading
/// does not.
fn inputs(options: &ImportOptions, file: &Path) -> Result<Vec<Input>, ImportError> {
    let mut inputs = Vec::new();
    source::open::<ImportError>(file, options.unpacked_bytes_max, &mut |input| {
        inputs.push(input);
        Ok(())
    })?;
    Ok(inputs)
}

async fn take_in(
    store: &dyn Store,
    options: &ImportOptions,
    input: &Input,
    report: &mut Report,
    progress: &mut dyn Progress,
) -> Result<(), ImportError> {
    progress.input(&input.label, input.bytes.len() as u64);
    let mut job = Job::new(options);
    job.add(input);
    if job.is_finished(store)? {
        report.inputs_unchanged += 1;
        return Ok(());
    }
    let rejected_before = report.rejected;
    let finished = document(options, input, report)?.into_iter().collect();
    documents::store(store, finished, report, progress).await?;
    report.inputs += 1;
    if report.rejected == rejected_before {
        job.note_finished(store).await
    } else {
        Ok(())
    }
}

fn document(options: &ImportOptions, input: &Input, report: &mut Report) -> Result<Option<Finished>, ImportError> {
    let base = options.document(&format!("{}.ttl", input.stem.replace('/', "-")))?;
    let Some(document) = graph::read(input, &base.iri(&options.origins), report)? else {
        return Ok(None);
    };
    let name = options.document(&format!("{}.{}", input.stem.replace('/', "-"), document.ending))?;
    Ok(Some(Finished {
        name,
        media_type: document.media_type,
        bytes: document.bytes,
    }))
}

/// What relative IRIs of an RDF file resolve against: the document that it becomes.
fn base(options: &ImportOptions, input: &Input) -> Result<String, ImportError> {
    Ok(options
        .document(&format!("{}.ttl", input.stem.replace('/', "-")))?
        .iri(&options.origins))
}

/// What was read, through which mapping, to where: remembered once it is finished.
struct Job(Sha256);

impl Job {
    fn new(options: &ImportOptions) -> Self {
        let mut digest = Sha256::new();
        for part in [options.into.as_str(), options.mapping.as_deref().unwrap_or_default()] {
            digest.update((part.len() as u64).to_be_bytes());
            digest.update(part);
        }
        for (column, value) in &options.constants {
            digest.update(format!("{column}={value}\n"));
        }
        Self(digest)
    }

    fn add(&mut self, input: &Input) {
        for part in [input.stem.as_bytes(), &input.bytes] {
            self.0.update((part.len() as u64).to_be_bytes());
            self.0.update(part);
        }
    }

    fn key(&self) -> String {
        hex::encode(self.0.clone().finalize())
    }

    fn is_finished(&self, store: &dyn Store) -> Result<bool, ImportError> {
        let snapshot = store.snapshot(ReadPermit::without_proof(
            "the operator's import asks what it has finished",
        ))?;
        Ok(snapshot.record(RecordKind::Import, &self.key())?.is_some())
    }

    async fn note_finished(&self, store: &dyn Store) -> Result<(), ImportError> {
        let key = self.key();
        let work = Box::new(move |transaction: &mut dyn Transaction| {
            transaction.record_put(RecordKind::Import, &key, b"finished")?;
            Ok(())
        });
        let warrant = Warrant::without_proof("the operator's import notes what it has finished");
        store::commit::<(), std::convert::Infallible>(store, warrant, work)
            .await
            .map_err(|error| match error {
                CommitError::Refused(never) => match never {},
                CommitError::Store(error) => ImportError::Store(error),
            })?;
        Ok(())
    }
}
