//! `xtask coverage`: which requirement is proved by which test, and which by none.

use clap::Subcommand;
use meent_tests::conformance::coverage::Coverage;
use meent_tests::house::top;

use crate::{Failure, say};

/// What to look at.
#[derive(Debug, Subcommand)]
pub enum CoverageCommand {
    /// Requirements with the tests that cite them
    Requirements {
        /// Lists: `solid`, `dataspace`, `reliability`, `attacks`, or an area such as `ODR` or `T`
        #[arg(default_values = ["solid", "ODR", "ENF", "CON", "AUD", "attacks"])]
        lists: Vec<String>,
    },
}

impl CoverageCommand {
    /// Prints the map and names the gaps.
    ///
    /// # Errors
    /// When a Solid requirement has neither a test nor a reason.
    pub fn run(self) -> Result<(), Failure> {
        let Self::Requirements { lists } = self;
        let coverage = Coverage::read(&top())?;
        for list in &lists {
            show(list, &coverage)?;
        }
        for id in coverage.outdated() {
            say(&format!(
                "{id} has a test by now: take its line out of tests/conformance/requirements-without-test.tsv"
            ));
        }
        let faults = coverage.faults();
        if faults.is_empty() {
            return Ok(());
        }
        Err(Failure(faults.join("\n")))
    }
}

fn show(list: &str, coverage: &Coverage) -> Result<(), Failure> {
    let requirements = coverage.list(list);
    if requirements.is_empty() {
        return Err(Failure(format!(
            "there is no list `{list}`: name solid, dataspace, reliability, attacks, or an area such as ODR or T"
        )));
    }
    let (mut tested, mut explained) = (0, 0);
    for requirement in &requirements {
        say(&format!("{:<10} {}", requirement.id, requirement.title));
        if let Some(tests) = coverage.tests.get(&requirement.id) {
            tested += 1;
            for test in tests {
                say(&format!("           {test}"));
            }
        } else if let Some(reason) = coverage.reasons.get(&requirement.id) {
            explained += 1;
            say(&format!("           NO TEST: {reason}"));
        } else {
            say("           NO TEST");
        }
    }
    let without = requirements.len() - tested - explained;
    say(&format!(
        "{list}: {} requirements, {tested} with a test, {explained} without a test for a reason, {without} without both\n",
        requirements.len()
    ));
    Ok(())
}
