//! Tables with typed columns: the Apache Arrow streaming format, and Apache Parquet files.
//!
//! | values of a column | type | `rdf.kind` |
//! |---|---|---|
//! | `xsd:integer` and what derives from it, in 64 bits | int64 | literal |
//! | `xsd:decimal`, up to 38 digits | decimal128 | literal |
//! | `xsd:double`, `xsd:float`, `xsd:boolean` | float64, float32, bool | literal |
//! | `xsd:dateTime` with, or all without time zone | timestamp in µs, in UTC or without zone | literal |
//! | `xsd:date` without time zone | date32 | literal |
//! | literals of one datatype and language | utf8, as they are written | literal |
//! | IRIs; blank nodes; triple terms in N-Triples | utf8 | iri; blank; triple |
//! | anything else together | utf8, terms in N-Triples | mixed |
//!
//! The metadata of a field say `rdf.kind`, `rdf.datatype` and `rdf.language`. Unbound is null.

use super::column::{self, Column, DECIMAL_DIGITS_MAX, Kind, Shape};
use super::{GroupLimits, Layout, Notes, ResultsError, Row, RowWriter, beside, calendar};
use arrow_array::builder::{
    BooleanBuilder, Date32Builder, Decimal128Builder, Float32Builder, Float64Builder, Int64Builder, ListBuilder,
    StringBuilder, TimestampMicrosecondBuilder,
};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_ipc::writer::StreamWriter;
use arrow_schema::{ArrowError, DataType, Field, Metadata, Schema, TimeUnit};
use oxrdf::{Term, Variable};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use std::io::{self, Write};
use std::sync::Arc;

/// Media type of the Arrow streaming format.
pub const ARROW: &str = "application/vnd.apache.arrow.stream";
/// Media type of Parquet files.
pub const PARQUET: &str = "application/vnd.apache.parquet";
/// Name of the column with the sources of a row; underscores follow when a variable has it.
pub const SOURCES: &str = "meent_sources";

/// The two formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableFormat {
    /// The Arrow streaming format.
    Arrow,
    /// Parquet.
    Parquet,
}

/// The columns of a table while rows are looked at.
#[derive(Debug)]
pub struct Table {
    format: TableFormat,
    variables: Vec<Variable>,
    columns: Vec<Column>,
    sources: bool,
}

impl Table {
    /// A table with these columns, and one for the sources of each row if they are wanted.
    #[must_use]
    pub fn new(format: TableFormat, variables: Vec<Variable>, sources: bool) -> Self {
        Self {
            format,
            columns: vec![Column::default(); variables.len()],
            variables,
            sources,
        }
    }

    fn schema(&self, notes: &Notes) -> Schema {
        let named = self.variables.iter().zip(&self.columns);
        let mut fields: Vec<Field> = named.map(|(variable, column)| field(variable, &column.kind)).collect();
        if self.sources {
            fields.push(Field::new(beside(&self.variables, SOURCES), sources_type(), true));
        }
        let notes = notes.entries.iter().map(|(name, value)| {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            (format!("meent.{name}"), text)
        });
        Schema::new_with_metadata(fields, notes.collect::<Metadata>())
    }
}

impl Layout for Table {
    type Writer<'w> = TableWriter<'w>;

    fn see(&mut self, row: &Row) -> Result<(), ResultsError> {
        for (column, value) in self.columns.iter_mut().zip(&row.values) {
            if let Some(term) = value {
                column.see(term);
            }
        }
        Ok(())
    }

    fn begin<'w, W: Write + Send + 'w>(
        self,
        notes: &Notes,
        limits: GroupLimits,
        out: &'w mut W,
    ) -> Result<TableWriter<'w>, ResultsError> {
        if self.variables.is_empty() && !self.sources {
            return Err(ResultsError::Unsuited(
                "a table needs a column, and this result has none".to_owned(),
            ));
        }
        let schema = Arc::new(self.schema(notes));
        let out: Box<dyn Write + Send + 'w> = Box::new(out);
        let encoder = match self.format {
            TableFormat::Arrow => Encoder::Arrow(Box::new(StreamWriter::try_new(out, &schema).map_err(arrow)?)),
            TableFormat::Parquet => {
                // Readers that know nothing of Arrow find the notes in the footer.
                let noted = schema.metadata().iter();
                let noted = noted
                    .map(|(name, value)| KeyValue::new(name.clone(), value.clone()))
                    .collect();
                let properties = WriterProperties::builder()
                    .set_key_value_metadata(Some(noted))
                    .set_compression(Compression::SNAPPY)
                    .set_max_row_group_row_count(Some(limits.group_rows_max.max(1)))
                    .set_created_by(format!("Meent {}", env!("CARGO_PKG_VERSION")))
                    .build();
                let writer = ArrowWriter::try_new(out, Arc::clone(&schema), Some(properties)).map_err(parquet)?;
                Encoder::Parquet(Box::new(writer))
            }
        };
        Ok(TableWriter {
            cells: self.columns.into_iter().map(Cells::of).collect::<Result<_, _>>()?,
            sources: self.sources.then(|| ListBuilder::new(StringBuilder::new())),
            schema,
            encoder,
            limits,
            rows: 0,
            bytes: 0,
        })
    }
}

fn sources_type() -> DataType {
    DataType::List(Arc::new(Field::new_list_field(DataType::Utf8, true)))
}

/// The field of a variable.
fn field(variable: &Variable, kind: &Kind) -> Field {
    let mut notes = Metadata::new();
    let mut note = |name: &str, value: &str| notes.insert(format!("rdf.{name}"), value);
    let kind_name = match kind {
        Kind::Unbound => "unbound",
        Kind::Iri => "iri",
        Kind::Blank => "blank",
        Kind::Triple => "triple",
        Kind::Mixed => "mixed",
        Kind::Literal { datatype, language, .. } => {
            note("datatype", datatype.as_str());
            if let Some(language) = language {
                note("language", language);
            }
            "literal"
        }
    };
    note("kind", kind_name);
    Field::new(variable.as_str(), data_type(kind), true).with_metadata(notes)
}

fn data_type(kind: &Kind) -> DataType {
    let Kind::Literal { shape, .. } = kind else {
        return DataType::Utf8;
    };
    match shape {
        Shape::Integer => DataType::Int64,
        Shape::Decimal { fraction, .. } => DataType::Decimal128(DECIMAL_DIGITS_MAX, scale(*fraction)),
        Shape::Double => DataType::Float64,
        Shape::Float => DataType::Float32,
        Shape::Boolean => DataType::Boolean,
        Shape::Instant => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        Shape::Local => DataType::Timestamp(TimeUnit::Microsecond, None),
        Shape::Day => DataType::Date32,
        Shape::Text => DataType::Utf8,
    }
}

/// Digits after the point as Arrow counts them; at most 38.
fn scale(fraction: u8) -> i8 {
    i8::try_from(fraction).unwrap_or(i8::MAX)
}

/// Writes batches; a batch is one row group.
pub struct TableWriter<'w> {
    schema: Arc<Schema>,
    cells: Vec<Cells>,
    sources: Option<ListBuilder<StringBuilder>>,
    encoder: Encoder<'w>,
    limits: GroupLimits,
    rows: usize,
    bytes: usize,
}

enum Encoder<'w> {
    Arrow(Box<StreamWriter<Box<dyn Write + Send + 'w>>>),
    Parquet(Box<ArrowWriter<Box<dyn Write + Send + 'w>>>),
}

impl TableWriter<'_> {
    fn end_group(&mut self) -> Result<(), ResultsError> {
        if self.rows == 0 {
            return Ok(());
        }
        let mut columns: Vec<ArrayRef> = self.cells.iter_mut().map(Cells::finish).collect();
        columns.extend(
            self.sources
                .as_mut()
                .map(|sources| Arc::new(sources.finish()) as ArrayRef),
        );
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), columns).map_err(arrow)?;
        match &mut self.encoder {
            Encoder::Arrow(writer) => writer.write(&batch).map_err(arrow)?,
            Encoder::Parquet(writer) => {
                writer.write(&batch).map_err(parquet)?;
                writer.flush().map_err(parquet)?;
            }
        }
        (self.rows, self.bytes) = (0, 0);
        Ok(())
    }
}

impl RowWriter for TableWriter<'_> {
    fn row(&mut self, row: &Row) -> Result<(), ResultsError> {
        if row.values.len() != self.cells.len() {
            return Err(ResultsError::Changed);
        }
        for (cells, value) in self.cells.iter_mut().zip(&row.values) {
            cells.push(value.as_ref())?;
        }
        if let Some(sources) = &mut self.sources {
            sources.append_option(row.sources.as_ref().map(|names| names.iter().map(Some)));
        }
        self.rows += 1;
        self.bytes = self.bytes.saturating_add(row.bytes());
        if self.rows >= self.limits.group_rows_max || self.bytes >= self.limits.group_bytes_max {
            self.end_group()?;
        }
        Ok(())
    }

    fn finish(mut self) -> Result<(), ResultsError> {
        self.end_group()?;
        match self.encoder {
            Encoder::Arrow(mut writer) => writer.finish().map_err(arrow),
            Encoder::Parquet(writer) => writer.close().map(|_| ()).map_err(parquet),
        }
    }
}

/// The values of one column in the current batch.
struct Cells {
    kind: Kind,
    values: Values,
}

enum Values {
    Text(StringBuilder),
    Integer(Int64Builder),
    Decimal(Decimal128Builder),
    Double(Float64Builder),
    Float(Float32Builder),
    Boolean(BooleanBuilder),
    Time(TimestampMicrosecondBuilder),
    Day(Date32Builder),
}

impl Cells {
    fn of(column: Column) -> Result<Self, ResultsError> {
        let data_type = data_type(&column.kind);
        let values = match &column.kind {
            Kind::Literal { shape, .. } => match shape {
                Shape::Integer => Values::Integer(Int64Builder::new()),
                Shape::Decimal { fraction, .. } => Values::Decimal(
                    Decimal128Builder::new()
                        .with_precision_and_scale(DECIMAL_DIGITS_MAX, scale(*fraction))
                        .map_err(arrow)?,
                ),
                Shape::Double => Values::Double(Float64Builder::new()),
                Shape::Float => Values::Float(Float32Builder::new()),
                Shape::Boolean => Values::Boolean(BooleanBuilder::new()),
                Shape::Instant | Shape::Local => {
                    Values::Time(TimestampMicrosecondBuilder::new().with_data_type(data_type))
                }
                Shape::Day => Values::Day(Date32Builder::new()),
                Shape::Text => Values::Text(StringBuilder::new()),
            },
            _ => Values::Text(StringBuilder::new()),
        };
        Ok(Self {
            kind: column.kind,
            values,
        })
    }

    /// Adds a value; the first pass has seen that it fits.
    fn push(&mut self, term: Option<&Term>) -> Result<(), ResultsError> {
        let Some(term) = term else {
            self.push_null();
            return Ok(());
        };
        if let Values::Text(values) = &mut self.values {
            match (&self.kind, term) {
                (Kind::Mixed, term) => values.append_value(term.to_string()),
                (Kind::Iri, Term::NamedNode(node)) => values.append_value(node.as_str()),
                (Kind::Blank, Term::BlankNode(node)) => values.append_value(node.as_str()),
                (Kind::Triple, Term::Triple(_)) => values.append_value(term.to_string()),
                (kind, Term::Literal(literal)) if kind.takes(literal) => values.append_value(literal.value()),
                _ => return Err(ResultsError::Changed),
            }
            return Ok(());
        }
        let text = match term {
            Term::Literal(literal) if self.kind.takes(literal) => literal.value(),
            _ => return Err(ResultsError::Changed),
        };
        let pushed = match &mut self.values {
            Values::Text(_) => None,
            Values::Integer(values) => column::integer(text).map(|value| values.append_value(value)),
            Values::Double(values) => column::double(text).map(|value| values.append_value(value)),
            Values::Float(values) => column::float(text).map(|value| values.append_value(value)),
            Values::Boolean(values) => column::boolean(text).map(|value| values.append_value(value)),
            Values::Day(values) => calendar::day(text).map(|value| values.append_value(value)),
            Values::Time(values) => {
                let zoned = matches!(
                    &self.kind,
                    Kind::Literal {
                        shape: Shape::Instant,
                        ..
                    }
                );
                let moment = calendar::moment(text).filter(|moment| moment.zoned == zoned);
                moment.map(|moment| values.append_value(moment.microseconds))
            }
            Values::Decimal(values) => match &self.kind {
                Kind::Literal {
                    shape: Shape::Decimal { fraction, .. },
                    ..
                } => column::decimal(text, *fraction).map(|value| values.append_value(value)),
                _ => None,
            },
        };
        pushed.ok_or(ResultsError::Changed)
    }

    fn push_null(&mut self) {
        match &mut self.values {
            Values::Text(values) => values.append_null(),
            Values::Integer(values) => values.append_null(),
            Values::Decimal(values) => values.append_null(),
            Values::Double(values) => values.append_null(),
            Values::Float(values) => values.append_null(),
            Values::Boolean(values) => values.append_null(),
            Values::Time(values) => values.append_null(),
            Values::Day(values) => values.append_null(),
        }
    }

    fn finish(&mut self) -> ArrayRef {
        match &mut self.values {
            Values::Text(values) => Arc::new(values.finish()),
            Values::Integer(values) => Arc::new(values.finish()),
            Values::Decimal(values) => Arc::new(values.finish()),
            Values::Double(values) => Arc::new(values.finish()),
            Values::Float(values) => Arc::new(values.finish()),
            Values::Boolean(values) => Arc::new(values.finish()),
            Values::Time(values) => Arc::new(values.finish()),
            Values::Day(values) => Arc::new(values.finish()),
        }
    }
}

fn arrow(error: ArrowError) -> ResultsError {
    match error {
        ArrowError::IoError(_, cause) => ResultsError::Io(cause),
        other => ResultsError::Io(io::Error::other(other)),
    }
}

fn parquet(error: ParquetError) -> ResultsError {
    match error {
        ParquetError::External(cause) => match cause.downcast::<io::Error>() {
            Ok(cause) => ResultsError::Io(*cause),
            Err(other) => ResultsError::Io(io::Error::other(other)),
        },
        other => ResultsError::Io(io::Error::other(other)),
    }
}
