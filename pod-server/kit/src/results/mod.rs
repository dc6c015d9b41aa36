//! The formats of answers to queries, and their writers for analysis and for maps: Apache Arrow streams, Apache Parquet files and GeoJSON.
//! The four formats of SPARQL itself are written by `sparesults`, and those of RDF by `oxrdfio`.
//!
//! Tables and features need to know something about all rows before the first can be written: the type of every column, or which column holds
//! the geometry. So rows are looked at first and written after. While they fit into one row group they are kept in between; beyond
//! that they are computed a second time, so that memory never holds more than one row group.

mod calendar;
mod column;
mod features;
mod format;
mod geometry;
mod table;
mod wkt;

use oxrdf::{Term, Variable};
use std::io::{self, Write};

pub use column::{Column, Kind, Shape};
pub use features::{Features, GEOJSON};
pub use format::{Format, Offer, columns, names, negotiate, offers};
pub use geometry::geometry;
pub use table::{ARROW, PARQUET, SOURCES, Table, TableFormat};

/// Bounds on writing one answer.
#[derive(Clone, Copy, Debug, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GroupLimits {
    /// Most rows of one row group (Parquet) or record batch (Arrow).
    pub group_rows_max: usize,
    /// Bytes of text after which a row group ends.
    pub group_bytes_max: usize,
}

impl Default for GroupLimits {
    fn default() -> Self {
        Self {
            group_rows_max: 65_536,
            group_bytes_max: 32 * 1024 * 1024,
        }
    }
}

/// One solution.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Row {
    /// Values in the order of the variables.
    pub values: Vec<Option<Term>>,
    /// Names of the sources that it rests on, when they were asked for.
    pub sources: Option<Vec<String>>,
}

impl Row {
    /// Bytes that it takes in memory, roughly.
    fn bytes(&self) -> usize {
        let terms: usize = self.values.iter().flatten().map(term_bytes).sum();
        let sources: usize = self.sources.iter().flatten().map(String::len).sum();
        terms.saturating_add(sources)
    }
}

fn term_bytes(term: &Term) -> usize {
    const AROUND: usize = 32;
    AROUND
        + match term {
            Term::NamedNode(node) => node.as_str().len(),
            Term::BlankNode(node) => node.as_str().len(),
            Term::Literal(literal) => literal.value().len(),
            Term::Triple(triple) => triple.to_string().len(),
        }
}

/// What is said about an answer besides its rows: in tables as metadata `meent.{name}`, in GeoJSON in a foreign member `meent`.
#[derive(Clone, Debug, Default)]
pub struct Notes {
    /// Names and values: whether the answer is complete, who answered, where the record of the query is.
    pub entries: serde_json::Map<String, serde_json::Value>,
}

/// Why an answer cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum ResultsError {
    /// The format has no place for this result as a whole.
    #[error("{0}")]
    Unsuited(String),
    /// A value does not fit the format.
    #[error("{0}")]
    Unfit(String),
    /// A second evaluation gave other rows than the first.
    #[error(
        "the query gives other rows each time, as with `RAND()`: only SPARQL's own formats can hold such an answer"
    )]
    Changed,
    /// Nobody takes the bytes any more, or an encoder failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Takes rows, one by one.
pub type Sink<'a> = dyn FnMut(Row) -> Result<(), ResultsError> + 'a;

/// A format that needs to know all rows before it writes the first.
pub trait Layout: Sized {
    /// Writes rows once everything is known.
    type Writer<'w>: RowWriter;

    /// Looks at a row.
    ///
    /// # Errors
    /// When nothing good can come of it.
    fn see(&mut self, row: &Row) -> Result<(), ResultsError>;

    /// Settles the layout and writes what comes before the first row.
    ///
    /// # Errors
    /// When the rows do not fit the format, or bytes cannot be written.
    fn begin<'w, W: Write + Send + 'w>(
        self,
        notes: &Notes,
        limits: GroupLimits,
        out: &'w mut W,
    ) -> Result<Self::Writer<'w>, ResultsError>;
}

/// Writes rows in a settled layout.
pub trait RowWriter {
    /// Writes a row.
    ///
    /// # Errors
    /// When it is not one of those that were looked at, or bytes cannot be written.
    fn row(&mut self, row: &Row) -> Result<(), ResultsError>;

    /// Writes what comes after the last row.
    ///
    /// # Errors
    /// When bytes cannot be written.
    fn finish(self) -> Result<(), ResultsError>;
}

/// Writes all rows that `rows` produces. `rows` is called once, or twice when they are more than one group, and must produce the same
/// rows both times.
///
/// # Errors
/// Of `rows`, or [`ResultsError`]; what was written by then is no whole answer.
pub fn write<L: Layout, W: Write + Send, E: From<ResultsError>>(
    mut layout: L,
    notes: &Notes,
    limits: GroupLimits,
    out: &mut W,
    mut rows: impl FnMut(&mut Sink<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let mut kept = Some(Vec::new());
    let mut bytes = 0_usize;
    rows(&mut |row| {
        layout.see(&row)?;
        bytes = bytes.saturating_add(row.bytes());
        match &mut kept {
            Some(rows) if rows.len() < limits.group_rows_max && bytes <= limits.group_bytes_max => rows.push(row),
            more => *more = None,
        }
        Ok(())
    })?;
    let mut writer = layout.begin(notes, limits, out)?;
    match kept {
        Some(kept) => {
            for row in &kept {
                writer.row(row)?;
            }
        }
        None => rows(&mut |row| writer.row(&row))?,
    }
    Ok(writer.finish()?)
}

/// The columns of a result with a name for one more that none of them has.
fn beside(variables: &[Variable], name: &str) -> String {
    let mut free = name.to_owned();
    while variables.iter().any(|variable| variable.as_str() == free) {
        free.push('_');
    }
    free
}
