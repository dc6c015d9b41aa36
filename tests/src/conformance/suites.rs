//! Suites that others wrote, run in place: a checkout is given or fetched, nothing of it is kept in this project.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use super::baseline::{Case, Outcome};
use super::subject::{Ours, Subject};
use super::{ConformanceError, federated, folder, node, oidc};

/// Longest time for one suite.
const SUITE_SECONDS_MAX: u64 = 900;

/// Longest time for fetching one.
const FETCH_SECONDS_MAX: u64 = 120;

/// A suite that can be run.
#[derive(Clone, Copy, Debug)]
pub struct Suite {
    /// What it is called here, also the name of its baseline.
    pub name: &'static str,
    /// What it is, for people.
    pub title: &'static str,
    /// Whose its repository is.
    pub owner: &'static str,
    /// Its repository.
    pub repository: &'static str,
    /// The state that the baseline judges.
    pub commit: &'static str,
    kind: Kind,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    /// Feature files, read by `tests/conformance/cases`.
    Features,
    /// Tests for Jest, with credentials or without.
    Jest { authenticated: bool },
    /// W3C's tests of queries, whose data is dealt over members of a federation.
    Queries,
    /// Cases that this project reads itself: [`oidc`].
    Oidc,
}

/// All suites.
pub const SUITES: [Suite; 6] = [
    Suite {
        name: "cases",
        title: "Solid Protocol and Web Access Control conformance cases",
        owner: "solid-contrib",
        repository: "specification-tests",
        commit: "fadd409fffcd2de136792b998bdf9f9bce0c5329",
        kind: Kind::Features,
    },
    Suite {
        name: "crud",
        title: "solid-crud-tests 7.0.5, with credentials",
        owner: "solid-contrib",
        repository: "solid-crud-tests",
        commit: "18f71c4994d3cab08ba596493231d463941988f7",
        kind: Kind::Jest { authenticated: true },
    },
    Suite {
        name: "crud-anonymous",
        title: "solid-crud-tests 7.0.5, without credentials in a container that everyone may write",
        owner: "solid-contrib",
        repository: "solid-crud-tests",
        commit: "18f71c4994d3cab08ba596493231d463941988f7",
        kind: Kind::Jest { authenticated: false },
    },
    Suite {
        name: "wac",
        title: "web-access-control-tests 7.1.0",
        owner: "solid-contrib",
        repository: "web-access-control-tests",
        commit: "3f2fe62ee966cf028171f28d4179d179acb3a6bb",
        kind: Kind::Jest { authenticated: true },
    },
    Suite {
        name: "queries",
        title: "SPARQL 1.0 and 1.1 query evaluation tests, dealt over 1, 2 and 5 members",
        owner: "w3c",
        repository: "rdf-tests",
        commit: "ad541a5f0479f0798608c4801369d97b8e08b36f",
        kind: Kind::Queries,
    },
    Suite {
        name: "oidc",
        title: "solid-oidc-tests, and what an application does with its tokens",
        owner: "solid-contrib",
        repository: "solid-oidc-tests",
        commit: "f11f5744814bf826f1f92814a93be00872b7f839",
        kind: Kind::Oidc,
    },
];

impl Suite {
    /// Whether it is about the pod server, and not about the broker.
    #[must_use]
    pub fn asks_pod_server(&self) -> bool {
        !matches!(self.kind, Kind::Queries)
    }

    /// Its IRI: the state of its repository that was run, and how.
    #[must_use]
    pub fn iri(&self) -> String {
        let way = match self.kind {
            Kind::Features | Kind::Queries | Kind::Oidc => "",
            Kind::Jest { authenticated: true } => "?authenticated",
            Kind::Jest { authenticated: false } => "?anonymous",
        };
        format!(
            "https://github.com/{}/{}/tree/{}{way}",
            self.owner, self.repository, self.commit
        )
    }

    /// Runs it against a server of its own. `given` is a folder with checkouts by the name of their repository; without it
    /// the repository is fetched. The inner error says in words why it cannot be run on this machine.
    ///
    /// # Errors
    /// When a runner breaks off.
    pub async fn run(self, given: Option<&Path>) -> Result<Result<Vec<Case>, String>, ConformanceError> {
        if let Kind::Oidc = self.kind {
            // The suite itself is a page of its authors' site, for an issuer that the whole world can reach.
            let ours = Ours::start().await?;
            let cases = oidc::run(&ours.subject).await?;
            ours.server.stop().await;
            return Ok(Ok(cases));
        }
        let given = given.map(Path::to_path_buf);
        if let Kind::Queries = self.kind {
            return match self.checkout(given.as_deref())? {
                Ok(checkout) => Ok(Ok(federated::run(&checkout).await?)),
                Err(reason) => Ok(Err(reason)),
            };
        }
        let prepared = tokio::task::spawn_blocking(move || self.prepare(given.as_deref()))
            .await
            .map_err(|error| ConformanceError(error.to_string()))??;
        let (checkout, installed) = match prepared {
            Ok(prepared) => prepared,
            Err(reason) => return Ok(Err(reason)),
        };
        let ours = Ours::start().await?;
        let (subject, file) = (ours.subject.clone(), ours.file()?);
        if let Kind::Jest { authenticated: false } = self.kind {
            ours.open_to_everyone("open").await?;
        }
        let cases = tokio::task::spawn_blocking(move || self.drive(&checkout, &installed, &subject, &file))
            .await
            .map_err(|error| ConformanceError(error.to_string()))??;
        ours.server.stop().await;
        Ok(Ok(cases))
    }

    /// The checkout that is given, or a fetched one.
    fn checkout(self, given: Option<&Path>) -> Result<Result<PathBuf, String>, ConformanceError> {
        let Some(given) = given else { return self.fetch() };
        let checkout = given.join(self.repository);
        if !checkout.is_dir() {
            return Ok(Err(format!("`{}` is not there", checkout.display())));
        }
        Ok(Ok(checkout))
    }

    fn prepare(self, given: Option<&Path>) -> Result<Result<(PathBuf, PathBuf), String>, ConformanceError> {
        let checkout = match self.checkout(given)? {
            Ok(checkout) => checkout,
            Err(reason) => return Ok(Err(reason)),
        };
        let (list, scripts) = match self.kind {
            Kind::Features => ("clients", "cases"),
            Kind::Jest { .. } | Kind::Queries | Kind::Oidc => ("jest", "jest"),
        };
        let installed = match node::install(list, &folder().join(list))? {
            Ok(installed) => installed,
            Err(reason) => return Ok(Err(reason)),
        };
        node::lay_out(
            &folder().join(scripts),
            &if list == scripts {
                installed.clone()
            } else {
                installed.join(scripts)
            },
        )?;
        Ok(Ok((checkout, installed)))
    }

    /// A checkout of the suite's commit in cargo's target folder.
    fn fetch(self) -> Result<Result<PathBuf, String>, ConformanceError> {
        let place = node::target().join("conformance/suites").join(self.repository);
        if place.join(".git").is_dir() && git(&place, &["checkout", "--quiet", self.commit])?.success {
            return Ok(Ok(place));
        }
        std::fs::create_dir_all(&place)?;
        let url = format!("https://github.com/{}/{}", self.owner, self.repository);
        for arguments in [
            &["init", "--quiet"][..],
            &["fetch", "--quiet", "--depth", "1", &url, self.commit],
            &["checkout", "--quiet", self.commit],
        ] {
            let ended = git(&place, arguments)?;
            if !ended.success {
                let told = ended.output.lines().next().unwrap_or_default().to_owned();
                std::fs::remove_dir_all(&place)?;
                return Ok(Err(format!(
                    "{} cannot be fetched ({told}): give a folder with a checkout by --suites",
                    self.repository
                )));
            }
        }
        Ok(Ok(place))
    }

    fn drive(
        self,
        checkout: &Path,
        installed: &Path,
        subject: &Subject,
        file: &Path,
    ) -> Result<Vec<Case>, ConformanceError> {
        let longest = Duration::from_secs(SUITE_SECONDS_MAX);
        match self.kind {
            Kind::Features => {
                let mut command = node::script(installed, "cases/run.mjs", &subject.ca);
                let ended = node::run(command.arg(checkout).env("SUBJECT", file), longest)?;
                let cases: Vec<Case> = ended.output.lines().filter_map(feature).collect();
                if !ended.success || cases.is_empty() {
                    return Err(ConformanceError(format!(
                        "{} broke off: {}",
                        self.name,
                        last(&ended.output)
                    )));
                }
                Ok(cases)
            }
            Kind::Jest { authenticated } => {
                let result = tempfile::NamedTempFile::new()?;
                let mut command = node::script(installed, "node_modules/jest/bin/jest.js", &subject.ca);
                command
                    .args(["--config", "config.cjs", "--json", "--outputFile"])
                    .arg(result.path())
                    .env("SUBJECT", file)
                    .env("SUITE", checkout);
                environment(&mut command, subject, authenticated);
                let ended = node::run(&mut command, longest)?;
                let report = std::fs::read(result.path())?;
                let report: Value = serde_json::from_slice(&report)
                    .map_err(|_| ConformanceError(format!("{} broke off: {}", self.name, last(&ended.output))))?;
                Ok(jest(&report))
            }
            Kind::Queries | Kind::Oidc => Err(ConformanceError(format!("{} is not run by a script", self.name))),
        }
    }
}

/// What the older suites read from their environment.
fn environment(command: &mut Command, subject: &Subject, authenticated: bool) {
    let (alice, bob) = (&subject.alice, &subject.bob);
    let root = if authenticated {
        alice.storage.clone()
    } else {
        format!("{}open/", alice.storage)
    };
    let who = if authenticated { "alice" } else { "" };
    let bare = root.trim_end_matches('/').to_owned();
    let pairs = [
        ("SERVER_ROOT", bare.as_str()),
        ("STORAGE_ROOT", &bare),
        ("ALICE_WEBID", &alice.web_id),
        ("WEBID_ALICE", &alice.web_id),
        ("WEBID_BOB", &bob.web_id),
        ("OIDC_ISSUER", &subject.issuer),
        ("OIDC_ISSUER_ALICE", &subject.issuer),
        ("OIDC_ISSUER_BOB", &subject.issuer),
        ("COOKIE", who),
        ("COOKIE_ALICE", who),
        ("COOKIE_BOB", "bob"),
        ("STORAGE_ROOT_ALICE", &root),
        ("STORAGE_ROOT_BOB", &bob.storage),
        ("INCLUDE_MAY", "1"),
        // Channels of 2021 and 2022, which no specification has any more.
        ("SKIP_WPS", "1"),
        ("SKIP_SECURE_WEBSOCKETS", "1"),
        ("SKIP_WEBHOOKS", "1"),
    ];
    command.envs(pairs);
}

/// A line of the interpreter of feature files.
fn feature(line: &str) -> Option<Case> {
    let value: Value = serde_json::from_str(line).ok()?;
    let text = |name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    Some(Case {
        name: text("name"),
        outcome: Outcome::read(&text("outcome"))?,
        told: text("reason"),
    })
}

/// Jest's report; cases of one name in one file are counted.
fn jest(report: &Value) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    let files = report
        .get("testResults")
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    for file in files {
        let path = file.get("name").and_then(Value::as_str).unwrap_or_default();
        let short = path.rsplit('/').next().unwrap_or_default().trim_end_matches(".test.ts");
        let results = file
            .get("assertionResults")
            .and_then(Value::as_array)
            .into_iter()
            .flatten();
        for result in results {
            let text = |name: &str| result.get(name).and_then(Value::as_str).unwrap_or_default();
            let told = result
                .get("failureMessages")
                .and_then(|all| all.get(0))
                .and_then(Value::as_str);
            let plain = format!("{short}: {}", text("fullName").trim());
            let same = cases
                .iter()
                .filter(|case| case.name == plain || case.name.starts_with(&format!("{plain} (")))
                .count();
            cases.push(Case {
                name: if same == 0 {
                    plain
                } else {
                    format!("{plain} ({})", same + 1)
                },
                outcome: match text("status") {
                    "passed" => Outcome::Passed,
                    "failed" => Outcome::Failed,
                    _ => Outcome::LeftOut,
                },
                told: told
                    .map(|told| told.split_whitespace().take(30).collect::<Vec<_>>().join(" "))
                    .unwrap_or_default(),
            });
        }
    }
    cases.sort_by(|a, b| a.name.cmp(&b.name));
    cases
}

fn git(place: &Path, arguments: &[&str]) -> Result<node::Ended, ConformanceError> {
    let mut command = Command::new("git");
    command
        .arg("-C")
        .arg(place)
        .args(arguments)
        .env("GIT_TERMINAL_PROMPT", "0");
    node::run(&mut command, Duration::from_secs(FETCH_SECONDS_MAX))
}

fn last(output: &str) -> String {
    let lines: Vec<&str> = output.lines().rev().take(10).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join("\n")
}
