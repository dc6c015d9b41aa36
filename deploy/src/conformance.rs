//! `xtask conformance`: suites that others wrote, against a server of ours, compared with what is committed.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use meent_tests::conformance::baseline::{self, Baseline, Outcome};
use meent_tests::conformance::differential::{self, Judged, Peer};
use meent_tests::conformance::earl::Report;
use meent_tests::conformance::subject::Ours;
use meent_tests::conformance::suites::{SUITES, Suite};
use meent_tests::conformance::{ConformanceError, folder, loudly};
use meent_tests::pod::PodServer;

use time::OffsetDateTime;

use crate::{Failure, say};

/// What to run.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct ConformanceCommand {
    #[command(subcommand)]
    action: Option<Action>,
    /// Suites; all unless given: cases, crud, crud-anonymous, wac, queries, oidc
    suites: Vec<String>,
    /// Folder with checkouts of the suites, by the name of their repository; without it they are fetched with git
    #[arg(long = "suites", value_name = "DIR", env = "MEENT_SUITES")]
    checkouts: Option<PathBuf>,
    /// Write the baselines anew; cases without a judgement have to be given one by hand
    #[arg(long)]
    update: bool,
    /// Write what was found into this file as EARL in Turtle
    #[arg(long, value_name = "FILE")]
    earl: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Start a server with two people, say where, and leave it running until Enter is pressed
    Serve,
    /// Send the same generated requests to Community Solid Server and to ours; every difference must be judged
    Differential {
        /// Decides which requests are made
        #[arg(long, default_value_t = differential::SEED)]
        seed: u64,
        /// Number of requests
        #[arg(long, default_value_t = differential::REQUESTS)]
        requests: usize,
    },
}

impl From<ConformanceError> for Failure {
    fn from(error: ConformanceError) -> Self {
        Self(error.to_string())
    }
}

impl ConformanceCommand {
    /// Runs and prints.
    ///
    /// # Errors
    /// When something cannot run, or differs from what is committed.
    pub fn run(self) -> Result<(), Failure> {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        match self.action {
            Some(Action::Serve) => runtime.block_on(serve()),
            Some(Action::Differential { seed, requests }) => runtime.block_on(compare(seed, requests)),
            None => runtime.block_on(self.suites()),
        }
    }

    async fn suites(&self) -> Result<(), Failure> {
        for name in &self.suites {
            if !SUITES.iter().any(|suite| suite.name == name) {
                let known: Vec<&str> = SUITES.iter().map(|suite| suite.name).collect();
                return Err(Failure(format!(
                    "there is no suite `{name}`: name {}",
                    known.join(", ")
                )));
            }
        }
        let mut differences = Vec::new();
        let mut report = Report::new(OffsetDateTime::now_utc())?;
        for suite in SUITES {
            if self.suites.is_empty() || self.suites.iter().any(|name| name == suite.name) {
                differences.extend(self.suite(suite, &mut report).await?);
            }
        }
        if let Some(path) = &self.earl {
            std::fs::write(path, report.turtle()?)?;
        }
        if differences.is_empty() {
            return Ok(());
        }
        Err(Failure(format!(
            "{} cases differ from the baseline:\n{}",
            differences.len(),
            differences.join("\n")
        )))
    }

    /// Runs one suite and says how it differs from its baseline.
    async fn suite(&self, suite: Suite, report: &mut Report) -> Result<Vec<String>, Failure> {
        let cases = match suite.run(self.checkouts.as_deref()).await? {
            Ok(cases) => cases,
            Err(reason) => {
                loudly(&format!("{}: {reason}", suite.title));
                return Ok(Vec::new());
            }
        };
        let count = |outcome| baseline::count(&cases, outcome);
        say(&format!(
            "{} ({}): {} passed, {} failed, {} left out",
            suite.title,
            suite.name,
            count(Outcome::Passed),
            count(Outcome::Failed),
            count(Outcome::LeftOut)
        ));
        let known = Baseline::read(&folder(), suite.name);
        if let Ok(known) = &known
            && suite.asks_pod_server()
        {
            report.suite(&suite, &cases, known);
        }
        if self.update {
            let known = known.unwrap_or_default();
            let path = folder().join(format!("baseline/{}.tsv", suite.name));
            std::fs::write(path, baseline::table(&cases, &known))?;
            return Ok(Vec::new());
        }
        let known = known?;
        for case in cases.iter().filter(|case| case.outcome != Outcome::Passed) {
            let reason = known.judged.get(&case.name).map_or("NOT JUDGED", |(_, reason)| reason);
            say(&format!("  {} {}: {reason}", case.outcome.word(), case.name));
        }
        let named = |difference: String| format!("{}: {difference}", suite.name);
        Ok(known.differences(&cases).into_iter().map(named).collect())
    }
}

async fn compare(seed: u64, requests: usize) -> Result<(), Failure> {
    let peer = match Peer::start().await? {
        Ok(peer) => peer,
        Err(reason) => {
            loudly(&format!("the comparison with Community Solid Server: {reason}"));
            return Ok(());
        }
    };
    let server = PodServer::start().await;
    let found = differential::run(&peer, &server, seed, requests).await?;
    server.stop().await;
    let judged = Judged::read(&folder())?;
    let faults = judged.faults(&found);
    say(&format!(
        "{} requests, {} answered alike in everything that is compared; {} classes of differences, judged in {} rows",
        found.requests,
        found.same,
        found.classes.len(),
        judged.len()
    ));
    if faults.is_empty() {
        return Ok(());
    }
    Err(Failure(format!(
        "{} rows are not as in tests/conformance/differential.tsv:\n{}",
        faults.len(),
        faults.join("\n")
    )))
}

async fn serve() -> Result<(), Failure> {
    let ours = Ours::start().await?;
    say(&format!(
        "{} with the issuer {}; accounts and client credentials: {}",
        ours.subject.base,
        ours.subject.issuer,
        ours.file()?.display()
    ));
    tokio::task::spawn_blocking(|| std::io::stdin().read_line(&mut String::new()))
        .await
        .map_err(|error| Failure(error.to_string()))??;
    ours.server.stop().await;
    Ok(())
}
