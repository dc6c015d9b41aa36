//! What an import reads: files, folders, `.gz` and `.zip`, opened one input at a time.
//!
//! An input is named by its path (and, inside an archive, by its entry). Nothing is ever extracted to disk, and a name
//! inside an archive is only ever shown, never used as a path (T127).

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

/// How the bytes of an input are to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `text/turtle`.
    Turtle,
    /// `application/n-triples`.
    NTriples,
    /// `application/n-quads`.
    NQuads,
    /// `application/ld+json`.
    JsonLd,
    /// `application/rdf+xml`; accepted from files only.
    RdfXml,
    /// Rows of cells; needs a mapping.
    Csv,
}

/// One input, in memory.
#[derive(Debug)]
pub struct Input {
    /// What to call it in messages: path, and entry of the archive.
    pub label: String,
    /// File name without folders and endings, for naming documents.
    pub stem: String,
    /// How to read it.
    pub format: Format,
    /// The bytes, unpacked.
    pub bytes: Vec<u8>,
}

/// Why an input cannot be read at all.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The file or folder cannot be opened.
    #[error("`{path}` cannot be read: {source}")]
    File {
        /// The path.
        path: String,
        /// The cause.
        source: std::io::Error,
    },
    /// The archive is damaged.
    #[error("`{path}` is not a readable archive: {source}")]
    Archive {
        /// The path.
        path: String,
        /// The cause.
        source: zip::result::ZipError,
    },
    /// The ending says nothing about the content.
    #[error(
        "`{0}`: the ending is not one of .ttl .nt .nq .jsonld .rdf .xml .owl .csv (also with .gz, or inside a .zip)"
    )]
    Ending(String),
    /// The unpacked content is larger than the bound.
    #[error("`{path}` unpacks to more than {unpacked_bytes_max} bytes (`--unpacked-bytes-max`)")]
    TooLarge {
        /// The path.
        path: String,
        /// The bound.
        unpacked_bytes_max: u64,
    },
}

/// All files below the given paths, in name order, hidden ones left out.
///
/// # Errors
/// [`SourceError::File`] for a path that cannot be read.
pub fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>, SourceError> {
    let mut found = Vec::new();
    for path in paths {
        let metadata = std::fs::metadata(path).map_err(|source| unreadable(path, source))?;
        if metadata.is_dir() {
            let mut below = Vec::new();
            for entry in std::fs::read_dir(path).map_err(|source| unreadable(path, source))? {
                let entry = entry.map_err(|source| unreadable(path, source))?;
                if !entry.file_name().to_string_lossy().starts_with('.') {
                    below.push(entry.path());
                }
            }
            below.sort();
            found.extend(files(&below)?);
        } else {
            found.push(path.clone());
        }
    }
    Ok(found)
}

/// Opens a file and hands each input in it to `each`: one for a plain or packed file, several for an archive.
///
/// # Errors
/// The first input that cannot be read, or the first error of `each`.
pub fn open<E: From<SourceError>>(
    path: &Path,
    unpacked_bytes_max: u64,
    each: &mut dyn FnMut(Input) -> Result<(), E>,
) -> Result<(), E> {
    let shown = path.display().to_string();
    let file = File::open(path).map_err(|source| unreadable(path, source))?;
    if shown.to_lowercase().ends_with(".zip") {
        return open_archive(&shown, file, unpacked_bytes_max, each);
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let (name, reader): (_, Box<dyn Read>) = match name.strip_suffix(".gz") {
        Some(inner) => (
            inner.to_owned(),
            Box::new(flate2::read::MultiGzDecoder::new(BufReader::new(file))),
        ),
        None => (name, Box::new(file)),
    };
    each(input(shown, &name, None, reader, unpacked_bytes_max)?)
}

fn open_archive<E: From<SourceError>>(
    shown: &str,
    file: File,
    unpacked_bytes_max: u64,
    each: &mut dyn FnMut(Input) -> Result<(), E>,
) -> Result<(), E> {
    let damaged = |source| SourceError::Archive {
        path: shown.to_owned(),
        source,
    };
    let mut archive = zip::ZipArchive::new(BufReader::new(file)).map_err(damaged)?;
    for index in 0..archive.len() {
        let entry = archive.by_index(index).map_err(damaged)?;
        if entry.is_dir() {
            continue;
        }
        let name = entry.name().rsplit('/').next().unwrap_or_default().to_owned();
        let label = format!("{shown}:{}", entry.name());
        // An entry without an ending in an archive of statistics is nearly always a table.
        let fallback = if name.contains('.') { None } else { Some(Format::Csv) };
        each(input(label, &name, fallback, Box::new(entry), unpacked_bytes_max)?)?;
    }
    Ok(())
}

fn input(
    label: String,
    name: &str,
    fallback: Option<Format>,
    reader: Box<dyn Read + '_>,
    unpacked_bytes_max: u64,
) -> Result<Input, SourceError> {
    let (stem, ending) = name.rsplit_once('.').unwrap_or((name, ""));
    let format = match ending.to_lowercase().as_str() {
        "ttl" | "turtle" => Format::Turtle,
        "nt" => Format::NTriples,
        "nq" => Format::NQuads,
        "jsonld" => Format::JsonLd,
        "rdf" | "xml" | "owl" => Format::RdfXml,
        "csv" | "tsv" | "txt" => Format::Csv,
        _ => fallback.ok_or_else(|| SourceError::Ending(label.clone()))?,
    };
    let mut bytes = Vec::new();
    reader
        .take(unpacked_bytes_max.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(|source| SourceError::File {
            path: label.clone(),
            source,
        })?;
    if bytes.len() as u64 > unpacked_bytes_max {
        return Err(SourceError::TooLarge {
            path: label,
            unpacked_bytes_max,
        });
    }
    Ok(Input {
        label,
        stem: stem.to_owned(),
        format,
        bytes,
    })
}

fn unreadable(path: &Path, source: std::io::Error) -> SourceError {
    SourceError::File {
        path: path.display().to_string(),
        source,
    }
}
