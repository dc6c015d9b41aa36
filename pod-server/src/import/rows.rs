//! Reading tables: finds the delimiter, names the columns, maps each row, and says for every rejected row where it
//! stands and why.

use oxrdf::{Literal, Term, Variable};

use super::documents::Documents;
use super::mapping::{Mapped, Mapping};
use super::report::Report;
use super::source::Input;
use super::{ImportError, Progress};

/// Rows that are mapped together on all cores before they are written in order.
const BATCH_ROWS: usize = 4_096;

/// A row that was read: where it stands, and its cells or the reason against it.
struct Row {
    number: u64,
    line: u64,
    cells: Result<Vec<(Variable, Term)>, (u64, String)>,
}

/// Maps all rows of a table into documents. When well-formed rows were read and the mapping made nothing of any of them, the
/// answer says so, as the error that it is unless another table gives something.
///
/// # Errors
/// [`ImportError::Header`] when the first line names no columns; [`ImportError::Buffer`] when the documents outgrow
/// their bound.
pub fn read(
    input: &Input,
    mapping: &Mapping,
    constants: &[(String, String)],
    documents: &mut Documents,
    report: &mut Report,
    progress: &mut dyn Progress,
) -> Result<Option<ImportError>, ImportError> {
    let constants: Vec<(Variable, Term)> = constants
        .iter()
        .map(|(column, value)| (Mapping::variable(column), Literal::new_simple_literal(value).into()))
        .collect();
    let bytes = input
        .bytes
        .strip_prefix(b"\xEF\xBB\xBF".as_slice())
        .unwrap_or(&input.bytes);
    let header = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter(header))
        .flexible(true)
        .has_headers(true)
        .from_reader(bytes);
    let columns: Vec<Variable> = reader
        .headers()
        .map_err(|error| ImportError::Header {
            input: input.label.clone(),
            reason: error.to_string(),
        })?
        .iter()
        .map(Mapping::variable)
        .collect();
    if columns.is_empty() {
        return Err(ImportError::Header {
            input: input.label.clone(),
            reason: "it is empty".to_owned(),
        });
    }
    let mut records = reader.byte_records();
    let mut number = 0;
    let (triples_before, rejected_before) = (report.triples, report.rejected);
    loop {
        let mut batch = Vec::with_capacity(BATCH_ROWS);
        let mut read_bytes = 0;
        for record in records.by_ref().take(BATCH_ROWS) {
            number += 1;
            let row = row(record, &columns, &constants, number);
            batch.push(row);
        }
        if let Some(last) = batch.last() {
            read_bytes = last.line;
        }
        if batch.is_empty() {
            let rows = number.saturating_sub(report.rejected - rejected_before);
            let names: Vec<&str> = columns.iter().map(Variable::as_str).collect();
            return Ok(
                (rows > 0 && report.triples == triples_before).then(|| ImportError::Nothing {
                    input: input.label.clone(),
                    rows,
                    columns: names.join(", "),
                }),
            );
        }
        progress.lines(&input.label, read_bytes);
        take_over(&batch, mapping, input, documents, report)?;
    }
}

fn take_over(
    batch: &[Row],
    mapping: &Mapping,
    input: &Input,
    documents: &mut Documents,
    report: &mut Report,
) -> Result<(), ImportError> {
    for (row, mapped) in batch.iter().zip(map_all(batch, mapping)) {
        report.items += 1;
        match mapped {
            Ok(mapped) => documents.add(input, mapped, report)?,
            Err((column, reason)) => report.reject(&input.label, row.line, column, reason),
        }
    }
    Ok(())
}

/// Maps a batch on all cores and gives the results in the order of the rows.
fn map_all(batch: &[Row], mapping: &Mapping) -> Vec<Result<Mapped, (u64, String)>> {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
    let share = batch.len().div_ceil(cores).max(1);
    let map = |row: &Row| match &row.cells {
        Ok(cells) => mapping.apply(cells, row.number).map_err(|reason| (1, reason)),
        Err(fault) => Err(fault.clone()),
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = batch
            .chunks(share)
            .map(|rows| (rows, scope.spawn(move || rows.iter().map(map).collect::<Vec<_>>())))
            .collect();
        workers
            .into_iter()
            .flat_map(|(rows, worker)| {
                worker.join().unwrap_or_else(|_| {
                    rows.iter()
                        .map(|_| Err((1, "the mapping stopped without an answer".to_owned())))
                        .collect()
                })
            })
            .collect()
    })
}

fn row(
    record: Result<csv::ByteRecord, csv::Error>,
    columns: &[Variable],
    constants: &[(Variable, Term)],
    number: u64,
) -> Row {
    let record = match record {
        Ok(record) => record,
        Err(error) => {
            let line = error.position().map_or(0, csv::Position::line);
            return Row {
                number,
                line,
                cells: Err((1, error.to_string())),
            };
        }
    };
    let line = record.position().map_or(0, csv::Position::line);
    if record.len() != columns.len() {
        let reason = format!("the row has {} cells, the header has {}", record.len(), columns.len());
        return Row {
            number,
            line,
            cells: Err((1, reason)),
        };
    }
    let mut cells = constants.to_vec();
    for (column, (variable, cell)) in columns.iter().zip(record.iter()).enumerate() {
        match std::str::from_utf8(cell) {
            Ok("") => {}
            Ok(text) => cells.push((variable.clone(), Literal::new_simple_literal(text).into())),
            Err(_) => {
                let reason = format!("the cell in column `{}` is not UTF-8", variable.as_str());
                return Row {
                    number,
                    line,
                    cells: Err((column as u64 + 1, reason)),
                };
            }
        }
    }
    Row {
        number,
        line,
        cells: Ok(cells),
    }
}

/// The delimiter that divides the header into the most columns.
fn delimiter(header: &[u8]) -> u8 {
    let count = |delimiter: u8| header.iter().filter(|byte| **byte == delimiter).count();
    [b',', b';', b'\t', b'|']
        .into_iter()
        .max_by_key(|delimiter| count(*delimiter))
        .unwrap_or(b',')
}
