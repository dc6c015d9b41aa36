//! What a run of a suite gave, and the committed baseline that it is compared with.
//!
//! A baseline is a table: a first line with the number of cases that pass, then each case that fails or is left out, with a
//! judgement. A new failure and a new pass both differ from it.

use std::collections::BTreeMap;
use std::path::Path;

use super::ConformanceError;

/// How a case ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// As the suite expects.
    Passed,
    /// Otherwise.
    Failed,
    /// Not run, by the suite or because it does not apply.
    LeftOut,
}

impl Outcome {
    /// The word in tables.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::LeftOut => "left out",
        }
    }

    /// Reads the word.
    #[must_use]
    pub fn read(word: &str) -> Option<Self> {
        [Self::Passed, Self::Failed, Self::LeftOut]
            .into_iter()
            .find(|outcome| outcome.word() == word)
    }
}

/// One case of a suite that was run.
#[derive(Clone, Debug)]
pub struct Case {
    /// Name, the same in each run.
    pub name: String,
    /// How it ended.
    pub outcome: Outcome,
    /// What the suite said, unless it passed.
    pub told: String,
}

/// The committed judgement of a suite.
#[derive(Clone, Debug, Default)]
pub struct Baseline {
    /// Number of cases that pass.
    pub passed: usize,
    /// The other cases: how each ends, and why that is right.
    pub judged: BTreeMap<String, (String, String)>,
}

impl Baseline {
    /// Reads `tests/conformance/baseline/{name}.tsv`.
    ///
    /// # Errors
    /// When the file is not there or not such a table.
    pub fn read(folder: &Path, name: &str) -> Result<Self, ConformanceError> {
        let path = folder.join(format!("baseline/{name}.tsv"));
        let text = std::fs::read_to_string(&path)
            .map_err(|error| ConformanceError(format!("the baseline `{}`: {error}", path.display())))?;
        let mut baseline = Self::default();
        for line in text.lines().skip(1) {
            let cells: Vec<&str> = line.split('\t').collect();
            match cells.as_slice() {
                ["(all others)", "passed", count] => {
                    baseline.passed = count
                        .parse()
                        .map_err(|_| ConformanceError(format!("{name}: `{count}` is no number")))?;
                }
                [case, outcome, reason] if !reason.trim().is_empty() => {
                    let judged = ((*outcome).to_owned(), (*reason).to_owned());
                    baseline.judged.insert((*case).to_owned(), judged);
                }
                _ => return Err(ConformanceError(format!("{name}: `{line}` is no case with a reason"))),
            }
        }
        Ok(baseline)
    }

    /// How a run differs from the baseline, as sentences; none when it does not.
    #[must_use]
    pub fn differences(&self, cases: &[Case]) -> Vec<String> {
        let mut differences = Vec::new();
        for case in cases {
            let expected = self
                .judged
                .get(&case.name)
                .map_or("passed", |(outcome, _)| outcome.as_str());
            let word = case.outcome.word();
            if word != expected {
                let told = if case.told.is_empty() {
                    String::new()
                } else {
                    format!(": {}", case.told)
                };
                differences.push(format!("{}: {word}, and the baseline says {expected}{told}", case.name));
            }
        }
        for name in self.judged.keys() {
            if !cases.iter().any(|case| case.name == *name) {
                differences.push(format!("{name}: in the baseline, and not in the suite"));
            }
        }
        let passed = count(cases, Outcome::Passed);
        if differences.is_empty() && passed != self.passed {
            differences.push(format!("{passed} cases passed, and the baseline says {}", self.passed));
        }
        differences
    }
}

/// How many cases ended so.
#[must_use]
pub fn count(cases: &[Case], outcome: Outcome) -> usize {
    cases.iter().filter(|case| case.outcome == outcome).count()
}

/// The table that a run would make, with the judgements that are there already. A case without a judgement gets an empty one,
/// with which the table cannot be read: someone has to judge.
#[must_use]
pub fn table(cases: &[Case], known: &Baseline) -> String {
    let mut text = format!(
        "case\toutcome\treason\n(all others)\tpassed\t{}\n",
        count(cases, Outcome::Passed)
    );
    for case in cases.iter().filter(|case| case.outcome != Outcome::Passed) {
        let reason = known.judged.get(&case.name).map_or("", |(_, reason)| reason.as_str());
        text.push_str(&format!("{}\t{}\t{reason}\n", case.name, case.outcome.word()));
    }
    text
}
