//! Answers of a broker as their readers see them: Arrow and Parquet read with the crates of those formats and with DuckDB, and put beside
//! the same answer in SPARQL JSON.

mod duckdb;
mod terms;

pub use duckdb::{DuckDb, duckdb};
pub use terms::{canonical, table_of_json};

use arrow_array::cast::AsArray;
use arrow_array::types::{Date32Type, Decimal128Type, Float32Type, Float64Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, RecordBatch};
use arrow_ipc::reader::StreamReader;
use arrow_schema::{DataType, Field, Metadata, Schema, TimeUnit};
use bytes::Bytes;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use std::sync::Arc;

/// A table: its columns in order, and rows of canonical values (see [`canonical`]); `None` is unbound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rows {
    /// Names of the columns.
    pub columns: Vec<String>,
    /// Values.
    pub rows: Vec<Vec<Option<String>>>,
}

/// A table that was read from a file or stream.
#[derive(Debug, Clone)]
pub struct Read {
    /// Its schema.
    pub schema: Arc<Schema>,
    /// Its values.
    pub table: Rows,
    /// The sources of each row, when it has such a column.
    pub sources: Option<Vec<Vec<String>>>,
    /// Rows per batch or row group.
    pub groups: Vec<usize>,
}

impl Read {
    /// The type and the `rdf.*` notes of a column, in words.
    ///
    /// # Panics
    /// When there is no such column.
    #[must_use]
    pub fn described(&self, column: &str) -> String {
        let field = self.schema.field_with_name(column).expect("the column is there");
        let notes: Vec<&str> = field.metadata().values().map(String::as_str).collect();
        let data_type = match field.data_type() {
            DataType::Utf8 => "utf8".to_owned(),
            DataType::Int64 => "int64".to_owned(),
            DataType::Float64 => "float64".to_owned(),
            DataType::Float32 => "float32".to_owned(),
            DataType::Boolean => "bool".to_owned(),
            DataType::Date32 => "date32".to_owned(),
            DataType::Decimal128(digits, scale) => format!("decimal({digits},{scale})"),
            DataType::Timestamp(TimeUnit::Microsecond, Some(zone)) => format!("timestamp[us,{zone}]"),
            DataType::Timestamp(TimeUnit::Microsecond, None) => "timestamp[us]".to_owned(),
            other => panic!("an unexpected type {other}"),
        };
        format!("{data_type} {}", notes.join(" "))
    }

    /// What is said about the answer under a name.
    #[must_use]
    pub fn note(&self, name: &str) -> Option<&str> {
        self.schema.metadata().get(&format!("meent.{name}")).map(String::as_str)
    }
}

/// Reads an Arrow stream.
///
/// # Panics
/// When it is none.
#[must_use]
pub fn read_arrow(bytes: &[u8]) -> Read {
    let reader = StreamReader::try_new(bytes, None).expect("an Arrow stream");
    let schema = reader.schema();
    let batches: Vec<RecordBatch> = reader.map(|batch| batch.expect("a batch")).collect();
    let groups = batches.iter().map(RecordBatch::num_rows).collect();
    collected(schema, &batches, groups)
}

/// Reads a Parquet file.
///
/// # Panics
/// When it is none.
#[must_use]
pub fn read_parquet(bytes: &[u8]) -> Read {
    let builder = ParquetRecordBatchReaderBuilder::try_new(Bytes::copy_from_slice(bytes)).expect("a Parquet file");
    let schema = Arc::clone(builder.schema());
    let groups = builder.metadata().row_groups();
    let groups = groups
        .iter()
        .map(|group| usize::try_from(group.num_rows()).expect("a count"))
        .collect();
    let reader = builder.build().expect("a reader");
    let batches: Vec<RecordBatch> = reader.map(|batch| batch.expect("a batch")).collect();
    collected(schema, &batches, groups)
}

fn collected(schema: Arc<Schema>, batches: &[RecordBatch], groups: Vec<usize>) -> Read {
    let is_sources = |field: &Field| matches!(field.data_type(), DataType::List(_));
    let columns: Vec<(usize, &Arc<Field>)> = schema
        .fields()
        .iter()
        .enumerate()
        .filter(|(_, field)| !is_sources(field))
        .collect();
    let mut rows = Vec::new();
    let mut sources: Option<Vec<Vec<String>>> = schema.fields().iter().any(|field| is_sources(field)).then(Vec::new);
    for batch in batches {
        for row in 0..batch.num_rows() {
            let values = columns
                .iter()
                .map(|(at, field)| cell(batch.column(*at).as_ref(), row, field.metadata()));
            rows.push(values.collect());
        }
        if let Some(sources) = &mut sources {
            let lists = batch.columns().last().expect("a column").as_list::<i32>();
            sources.extend((0..lists.len()).map(|row| {
                let names = lists.value(row);
                let names = names.as_string::<i32>();
                (0..names.len()).map(|at| names.value(at).to_owned()).collect()
            }));
        }
    }
    let table = Rows {
        columns: columns.iter().map(|(_, field)| field.name().clone()).collect(),
        rows,
    };
    Read {
        table,
        sources,
        groups,
        schema,
    }
}

/// One value in canonical form.
fn cell(column: &dyn Array, row: usize, notes: &Metadata) -> Option<String> {
    if column.is_null(row) {
        return None;
    }
    let note = |name: &str| notes.get(&format!("rdf.{name}")).map(String::as_str);
    let text = match column.data_type() {
        DataType::Utf8 => column.as_string::<i32>().value(row).to_owned(),
        DataType::Int64 => column.as_primitive::<Int64Type>().value(row).to_string(),
        DataType::Float64 => terms::double(column.as_primitive::<Float64Type>().value(row)),
        DataType::Float32 => terms::double(f64::from(column.as_primitive::<Float32Type>().value(row))),
        DataType::Boolean => column.as_boolean().value(row).to_string(),
        DataType::Date32 => terms::day(column.as_primitive::<Date32Type>().value(row)),
        DataType::Decimal128(..) => column.as_primitive::<Decimal128Type>().value_as_string(row),
        DataType::Timestamp(_, zone) => terms::moment(
            column.as_primitive::<TimestampMicrosecondType>().value(row),
            zone.is_some(),
        ),
        other => panic!("an unexpected type {other}"),
    };
    Some(terms::described(
        note("kind").expect("a kind"),
        &text,
        note("datatype"),
        note("language"),
    ))
}
