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
    /// What the row is to reach, where something was set.
    pub goal: Option<Goal>,
    /// The same work by another server in the same run, and how often ours does it in that time.
    pub peer: Option<String>,
    /// Whatever else is worth knowing.
    pub note: String,
    /// Every run behind the row.
    pub runs: serde_json::Value,
}

/// What was set out to be reached.
#[derive(Clone, Debug, Serialize)]
pub struct Goal {
    /// In words.
    pub text: String,
    /// Whether this run reached it.
    pub met: bool,
}

impl Goal {
    /// A ratio that is to be reached.
    #[must_use]
    pub fn at_least(wanted: f64, reached: Option<f64>) -> Self {
        Self {
            text: format!("≥ {wanted}"),
            met: reached.is_some_and(|reached| reached >= wanted),
        }
    }

    /// A ratio that is not to be passed.
    #[must_use]
    pub fn at_most(wanted: f64, reached: Option<f64>) -> Self {
        Self {
            text: format!("≤ {wanted}"),
            met: reached.is_some_and(|reached| reached <= wanted),
        }
    }

    fn cell(&self) -> String {
        format!("{}: {}", self.text, if self.met { "met" } else { "missed" })
    }
}

impl Row {
    /// A row without figures, which says why.
    #[must_use]
    pub fn void(case: &str, reason: &str, runs: serde_json::Value) -> Self {
        Self {
            case: case.to_owned(),
            figure: "-".to_owned(),
            baseline: "-".to_owned(),
            ratio: None,
            goal: None,
            peer: None,
            note: reason.to_owned(),
            runs,
        }
    }
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
        let (goals, peers) = (
            self.rows.iter().any(|row| row.goal.is_some()),
            self.rows.iter().any(|row| row.peer.is_some()),
        );
        let line = |[case, figure, baseline, ratio, goal, peer, note]: [String; 7]| -> Vec<String> {
            let shown = [true, true, true, true, goals, peers, true];
            let cells = [case, figure, baseline, ratio, goal, peer, note];
            let cells = cells.into_iter().zip(shown);
            cells.filter_map(|(cell, shown)| shown.then_some(cell)).collect()
        };
        let head = [
            "case",
            "figure",
            "baseline",
            self.ratio_of.as_str(),
            "goal",
            "peer",
            "note",
        ];
        let mut lines = vec![line(head.map(str::to_owned))];
        for row in &self.rows {
            lines.push(line([
                row.case.clone(),
                row.figure.clone(),
                row.baseline.clone(),
                row.ratio.map_or("void".to_owned(), |ratio| format!("{ratio:.2}")),
                row.goal.as_ref().map_or(String::new(), Goal::cell),
                row.peer.clone().unwrap_or_default(),
                row.note.clone(),
            ]));
        }
        let widths: Vec<usize> = (0..lines.first().map_or(0, Vec::len))
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
