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
    /// Figure by baseline; above 1 is better for rates, below 1 for times (the table says which). None when the case is void.
    pub ratio: Option<f64>,
    /// Whatever else is worth knowing.
    pub note: String,
    /// Every run behind the row.
    pub runs: serde_json::Value,
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
            let ratio = row.ratio.map_or("void".to_owned(), |ratio| format!("{ratio:.2}"));
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
        let mut text = format!("### {}\n\n{}\n\n", self.title, self.method);
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

/// A rate for people: whole numbers with thousands apart, one decimal below ten.
#[must_use]
pub fn per_second(rate: f64) -> String {
    if rate < 10.0 {
        return format!("{rate:.1}/s");
    }
    let digits = format!("{rate:.0}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    format!("{text}/s")
}

/// Microseconds for people.
#[must_use]
#[allow(clippy::cast_precision_loss)]
pub fn time(micros: u64) -> String {
    match micros {
        0..1_000 => format!("{micros} µs"),
        1_000..1_000_000 => format!("{:.1} ms", micros as f64 / 1e3),
        _ => format!("{:.2} s", micros as f64 / 1e6),
    }
}
