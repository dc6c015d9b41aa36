//! Tables of measurements, for people and as JSON.

use serde::Serialize;

/// One row: what was measured, the figure, the baseline of the same run, and their ratio.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// What was done.
    pub case: String,
    /// What was measured, with its unit.
    pub figure: String,
    /// The baseline of the same run, with its unit.
    pub baseline: String,
    /// Figure by baseline; above 1 is better for rates, below 1 for times (the table says which).
    pub ratio: f64,
    /// Whatever else is worth knowing.
    pub note: String,
}

/// A table with its title and a line on how it was measured.
#[derive(Clone, Debug, Serialize)]
pub struct Table {
    /// Title.
    pub title: String,
    /// Machine, load, rounds.
    pub method: String,
    /// What the ratio divides.
    pub ratio_of: String,
    /// Rows.
    pub rows: Vec<Row>,
}

impl Table {
    /// The table in Markdown, aligned for a terminal.
    #[must_use]
    pub fn text(&self) -> String {
        let mut lines = vec![["case", "figure", "baseline", self.ratio_of.as_str(), "note"].map(str::to_owned)];
        for row in &self.rows {
            let ratio = format!("{:.2}", row.ratio);
            lines.push([
                row.case.clone(),
                row.figure.clone(),
                row.baseline.clone(),
                ratio,
                row.note.clone(),
            ]);
        }
        let widths: Vec<usize> = (0..5)
            .map(|column| {
                lines
                    .iter()
                    .filter_map(|line| line.get(column))
                    .map(|cell| cell.chars().count())
                    .max()
                    .unwrap_or(0)
            })
            .collect();
        let mut text = format!("{}\n{}\n\n", self.title, self.method);
        for (number, line) in lines.iter().enumerate() {
            let cells: Vec<String> = line
                .iter()
                .zip(&widths)
                .map(|(cell, width)| format!("{cell:<width$}", width = *width))
                .collect();
            text.push_str(&format!("| {} |\n", cells.join(" | ")));
            if number == 0 {
                let rules: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
                text.push_str(&format!("| {} |\n", rules.join(" | ")));
            }
        }
        text
    }
}

/// The middle one of three or more measurements.
#[must_use]
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}
