//! The committed table of differences: each class, or several with `*`, with a verdict and its reason.

use std::path::Path;

use super::{Class, ConformanceError, Found};

/// One row: what differs, and which side is right.
#[derive(Clone, Debug)]
struct Row {
    class: Class,
    line: String,
}

/// The table.
#[derive(Clone, Debug)]
pub struct Judged {
    rows: Vec<Row>,
}

impl Judged {
    /// Reads `tests/conformance/differential.tsv`: part, method, target, theirs, ours, verdict, reason. A cell `*` stands for
    /// anything, one that ends in `*` for anything that begins so.
    ///
    /// # Errors
    /// When the file is not such a table, or a row has no verdict or no reason.
    pub fn read(folder: &Path) -> Result<Self, ConformanceError> {
        let text = std::fs::read_to_string(folder.join("differential.tsv"))?;
        let mut rows = Vec::new();
        for line in text.lines().skip(1) {
            let cells: Vec<&str> = line.split('\t').collect();
            let [part, method, target, theirs, ours, verdict, reason] = cells.as_slice() else {
                return Err(ConformanceError(format!("`{line}` has not seven cells")));
            };
            if !matches!(*verdict, "ours" | "theirs" | "both" | "neither") || reason.trim().is_empty() {
                return Err(ConformanceError(format!(
                    "`{line}`: say who is right (ours, theirs, both or neither) and why"
                )));
            }
            let class = Class {
                part: (*part).to_owned(),
                method: (*method).to_owned(),
                target: (*target).to_owned(),
                theirs: (*theirs).to_owned(),
                ours: (*ours).to_owned(),
            };
            rows.push(Row {
                class,
                line: line.to_owned(),
            });
        }
        Ok(Self { rows })
    }

    /// How many rows it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The classes that no row judges, and the rows that judge nothing that was found, as sentences.
    #[must_use]
    pub fn faults(&self, found: &Found) -> Vec<String> {
        let mut used = vec![false; self.rows.len()];
        let mut faults = Vec::new();
        for (class, (times, example)) in &found.classes {
            match self.rows.iter().position(|row| judges(&row.class, class)) {
                Some(at) => used[at] = true,
                None => faults.push(format!(
                    "{}\t{}\t{}\t{}\t{}\t\t\t({times} times: {example})",
                    class.part, class.method, class.target, class.theirs, class.ours
                )),
            }
        }
        let idle = self.rows.iter().zip(&used).filter(|(_, used)| !**used);
        faults.extend(idle.map(|(row, _)| format!("found no more: {}", row.line)));
        faults
    }
}

fn judges(row: &Class, class: &Class) -> bool {
    fits(&row.part, &class.part)
        && fits(&row.method, &class.method)
        && fits(&row.target, &class.target)
        && fits(&row.theirs, &class.theirs)
        && fits(&row.ours, &class.ours)
}

/// Whether a cell of the table covers a value; it may name several, separated by `|`.
fn fits(cell: &str, value: &str) -> bool {
    cell.split('|').any(|one| match one.strip_suffix('*') {
        Some(begin) => value.starts_with(begin),
        None => one == value,
    })
}
