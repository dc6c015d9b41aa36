//! Reading tables out of plain, packed and archived files, for the independent expectation.

use std::collections::HashMap;
use std::io::Read;
use std::path::Path;

/// The rows of a table by column name, a byte order mark left out.
///
/// # Panics
/// When the file cannot be read: there is nothing to compare with then.
#[must_use]
pub fn rows(file: &Path, delimiter: u8) -> Vec<HashMap<String, String>> {
    let bytes = std::fs::read(file).expect("the raw file can be read");
    let name = file.to_string_lossy();
    let mut text = Vec::new();
    if name.ends_with(".gz") {
        flate2::read::GzDecoder::new(bytes.as_slice())
            .read_to_end(&mut text)
            .expect("the raw file unpacks");
    } else if name.ends_with(".zip") {
        let mut archive = zip::ZipArchive::new(std::io::Cursor::new(bytes)).expect("the raw file is an archive");
        archive
            .by_index(0)
            .expect("the archive has an entry")
            .read_to_end(&mut text)
            .expect("the entry unpacks");
    } else {
        text = bytes;
    }
    let text = text.strip_prefix(b"\xEF\xBB\xBF".as_slice()).unwrap_or(&text);
    let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).from_reader(text);
    let columns: Vec<String> = reader
        .headers()
        .expect("the table has a header")
        .iter()
        .map(Into::into)
        .collect();
    reader
        .records()
        .flatten()
        .map(|record| columns.iter().cloned().zip(record.iter().map(Into::into)).collect())
        .collect()
}
