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

use std::path::PathBuf;

use sha2::{Digest, Sha256};

pub use functions::{NAMESPACE, with_functions};
pub use mapping::{Mapped, Mapping, MappingError};
pub use report::{Rejected, Report};
pub use source::{Format, SourceError};

use crate::name::{NameError, ResourceName};
use crate::store::{self, CommitError, ReadPermit, RecordKind, Store, StoreError, Transaction, Warrant};
use documents::{Documents, Finished};
use source::Input;

/// What to import, and where to.
#[derive(Clone, Debug)]
pub struct ImportOptions {
    /// Container that documents go to; it must end with `/`.
    pub into: ResourceName,
    /// The server's base URL, for relative IRIs.
    pub base_url: String,
    /// Text of the mapping file, for tables.
    pub mapping: Option<String>,
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
    #[error("`{name}` is no name for a document")]
    Name {
        /// The name.
        name: String,
        /// The rule that it breaks.
        source: NameError,
    },
    /// A base or namespace is no IRI.
    #[error("`{0}` is no IRI")]
    Base(String),
    /// The documents of one table are larger than the bound.
    #[error("`{input}` gives more than {triples_max} triples (`--triples-max`): split it, or raise the bound")]
    Buffer {
        /// The input.
        input: String,
        /// The bound.
        triples_max: u64,
    },
    /// A document cannot be written.
    #[error("a document could not be written")]
    Write(#[source] std::io::Error),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Imports all sources into the store.
///
/// # Errors
/// The first fault that makes going on pointless; faults of single rows and statements are in the report instead.
pub async fn run(
    store: &dyn Store,
    options: &ImportOptions,
    progress: &mut dyn Progress,
) -> Result<Report, ImportError> {
    let mapping = options.mapping.as_deref().map(Mapping::parse).transpose()?;
    let mut report = Report::default();
    for file in source::files(&options.sources)? {
        // An archive's entries are gathered first, because storing waits for the disk and reading does not.
        let mut inputs = Vec::new();
        source::open::<ImportError>(&file, options.unpacked_bytes_max, &mut |input| {
            inputs.push(input);
            Ok(())
        })?;
        for input in inputs {
            take_in(store, options, mapping.as_ref(), &input, &mut report, progress).await?;
        }
    }
    Ok(report)
}

async fn take_in(
    store: &dyn Store,
    options: &ImportOptions,
    mapping: Option<&Mapping>,
    input: &Input,
    report: &mut Report,
    progress: &mut dyn Progress,
) -> Result<(), ImportError> {
    progress.input(&input.label, input.bytes.len() as u64);
    let job = job(options, input);
    if is_finished(store, &job)? {
        report.inputs_unchanged += 1;
        return Ok(());
    }
    let rejected_before = report.rejected;
    let finished = if input.format == Format::Csv {
        let mapping = mapping.ok_or_else(|| ImportError::NoMapping {
            input: input.label.clone(),
        })?;
        let mut documents = Documents::new(mapping.prefixes().clone(), options.triples_max);
        rows::read(input, mapping, &mut documents, report, progress)?;
        documents.finish(options)?
    } else {
        document(options, input, report)?.into_iter().collect()
    };
    documents::store(store, finished, report, progress).await?;
    report.inputs += 1;
    // An input with rejected pieces is read again next time, so that its report can be had again.
    if report.rejected == rejected_before {
        note_finished(store, job).await
    } else {
        Ok(())
    }
}

fn document(options: &ImportOptions, input: &Input, report: &mut Report) -> Result<Option<Finished>, ImportError> {
    let base = options.document(&format!("{}.ttl", input.stem.replace('/', "-")))?;
    let Some(document) = graph::read(input, &base.iri(&options.base_url), report)? else {
        return Ok(None);
    };
    let name = options.document(&format!("{}.{}", input.stem.replace('/', "-"), document.ending))?;
    Ok(Some(Finished {
        name,
        media_type: document.media_type,
        bytes: document.bytes,
    }))
}

/// The key under which a finished input is remembered: what was read, through which mapping, to where.
fn job(options: &ImportOptions, input: &Input) -> String {
    let mut digest = Sha256::new();
    for part in [
        options.into.as_str().as_bytes(),
        options.mapping.as_deref().unwrap_or_default().as_bytes(),
    ] {
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part);
    }
    digest.update(input.stem.as_bytes());
    digest.update(&input.bytes);
    hex::encode(digest.finalize())
}

fn is_finished(store: &dyn Store, job: &str) -> Result<bool, ImportError> {
    let snapshot = store.snapshot(ReadPermit::without_proof(
        "the operator's import asks what it has finished",
    ))?;
    Ok(snapshot.record(RecordKind::Import, job)?.is_some())
}

async fn note_finished(store: &dyn Store, job: String) -> Result<(), ImportError> {
    let work = Box::new(move |transaction: &mut dyn Transaction| {
        transaction.record_put(RecordKind::Import, &job, b"finished")?;
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
