//! What an import refused: one line for each rejected piece, with place and reason, so that nothing is lost silently.

use std::io::Write;

/// A piece of input that was not taken over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// Input.
    pub input: String,
    /// Line in the input, counted from 1.
    pub line: u64,
    /// Column in that line, counted from 1.
    pub column: u64,
    /// Why, in plain words.
    pub reason: String,
}

/// Counts of one import, and the rejected pieces up to a bound.
#[derive(Debug, Default)]
pub struct Report {
    /// Inputs read.
    pub inputs: u64,
    /// Inputs that an earlier run had finished, left out.
    pub inputs_unchanged: u64,
    /// Rows or statements read.
    pub items: u64,
    /// Triples taken over.
    pub triples: u64,
    /// Documents written.
    pub documents: u64,
    /// Documents that were there already with the same bytes.
    pub documents_unchanged: u64,
    /// Pieces rejected, all of them.
    pub rejected: u64,
    /// The rejected pieces, at most [`Report::KEPT_MAX`].
    pub kept: Vec<Rejected>,
}

impl Report {
    /// How many rejected pieces are kept in memory and in the report file; the count goes on.
    pub const KEPT_MAX: usize = 100_000;

    /// Notes a rejected piece.
    pub fn reject(&mut self, input: &str, line: u64, column: u64, reason: impl Into<String>) {
        self.rejected += 1;
        if self.kept.len() < Self::KEPT_MAX {
            self.kept.push(Rejected {
                input: input.to_owned(),
                line,
                column,
                reason: reason.into(),
            });
        }
    }

    /// Writes the rejected pieces as tab-separated lines: input, line, column, reason.
    ///
    /// # Errors
    /// What the writer says.
    pub fn write(&self, writer: &mut dyn Write) -> std::io::Result<()> {
        writeln!(writer, "input\tline\tcolumn\treason")?;
        for Rejected {
            input,
            line,
            column,
            reason,
        } in &self.kept
        {
            writeln!(
                writer,
                "{input}\t{line}\t{column}\t{}",
                reason.replace(['\t', '\n', '\r'], " ")
            )?;
        }
        let unlisted = self.rejected.saturating_sub(self.kept.len() as u64);
        if unlisted > 0 {
            writeln!(writer, "# {unlisted} more were rejected and are not listed")?;
        }
        Ok(())
    }
}
