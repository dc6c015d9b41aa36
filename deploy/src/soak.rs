//! `xtask soak`: randomised comparisons on many more cases than `tests/run` has time for.

use std::process::Command;

use clap::{Args, Subcommand};

use crate::Failure;

/// What to compare.
#[derive(Debug, Subcommand)]
pub enum SoakCommand {
    /// Answers to random queries under random policies beside answers over the permitted view written out in full
    View(Cases),
    /// Decisions by compiled policies beside those of a plain second evaluator
    Odrl(Cases),
    /// Answers of random federations under random policies beside those of one store over what the policies permit
    Federation(Cases),
}

/// How long.
#[derive(Clone, Copy, Debug, Args)]
pub struct Cases {
    /// Random cases
    #[arg(long, default_value_t = 100_000)]
    cases: u32,
}

impl SoakCommand {
    /// Runs the comparison; it ends at the first difference and shows the smallest case that has it.
    pub fn run(&self) -> Result<(), Failure> {
        let (variable, test, cases): (_, &[&str], _) = match self {
            Self::View(cases) => ("MEENT_VIEW_CASES", &["--lib", "generated_queries_answer"], cases.cases),
            Self::Odrl(cases) => ("MEENT_ODRL_CASES", &["--test", "odrl", "odrl_properties"], cases.cases),
            Self::Federation(cases) => (
                "MEENT_FEDERATION_CASES",
                &["--test", "answers", "broker_properties"],
                cases.cases,
            ),
        };
        let status = Command::new(env!("CARGO"))
            .args(["test", "--release", "--workspace"])
            .args(test)
            .env(variable, cases.to_string())
            .status()?;
        if !status.success() {
            return Err(Failure(format!("a difference was found within {cases} cases")));
        }
        crate::say(&format!("{cases} random cases, no difference"));
        Ok(())
    }
}
