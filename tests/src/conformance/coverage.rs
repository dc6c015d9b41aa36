//! Which test proves which requirement, read from the doc comments of the tests themselves.
//!
//! One grammar: `solid#` or `solid ` and numbers or ranges after it (`Requirements solid 33-40, 52 and 55.`), and ids with
//! letters (`ODR-3`, `T21`, ranges as `T37-T39`). A citation stands in the doc comment of a test, or in that of a file with
//! tests, which then all count for it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// What precedes the number of a Solid requirement in its id.
const SOLID: &str = "solid#";

/// The attacks on names, on missing rules, and on agreements, consent and the log, by their numbers.
const ATTACKS: [std::ops::RangeInclusive<u32>; 2] = [9..=12, 88..=115];

/// Largest span of a range; longer ones are typing errors.
const RANGE_MAX: u32 = 150;

/// One requirement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirement {
    /// Id, as `solid#52` or `ODR-3`.
    pub id: String,
    /// What it asks, in one line.
    pub title: String,
}

/// All requirements and what tests say about them.
#[derive(Debug, Default)]
pub struct Coverage {
    /// In the order of the table.
    pub requirements: Vec<Requirement>,
    /// Tests by requirement, as `path name`.
    pub tests: BTreeMap<String, BTreeSet<String>>,
    /// Why some have no test, by id.
    pub reasons: BTreeMap<String, String>,
    /// Citations of what is in no list, as sentences.
    pub unknown: Vec<String>,
}

impl Coverage {
    /// Reads the table of requirements, all tests below `top`, and the committed reasons.
    ///
    /// # Errors
    /// When the tree cannot be read.
    pub fn read(top: &Path) -> std::io::Result<Self> {
        let mut coverage = Self {
            requirements: table(vocab::requirement::TABLE),
            reasons: reasons(&std::fs::read_to_string(
                top.join("tests/conformance/requirements-without-test.tsv"),
            )?),
            ..Self::default()
        };
        for path in sources(top)? {
            let shown = path.strip_prefix(top).unwrap_or(&path).display().to_string();
            coverage.add(&shown, &std::fs::read_to_string(&path)?);
        }
        Ok(coverage)
    }

    /// Adds the citations of one source file.
    pub fn add(&mut self, shown: &str, source: &str) {
        let known = self.prefixes();
        for (name, doc) in documented(source) {
            for id in citations(&doc, &known) {
                if self.requirements.iter().any(|requirement| requirement.id == id) {
                    let test = format!("{shown} {name}");
                    self.tests.entry(id).or_default().insert(test);
                } else if id.starts_with(SOLID) {
                    self.unknown
                        .push(format!("`{shown}` {name}: there is no requirement `{id}`"));
                }
            }
        }
    }

    /// The requirements whose id begins with a list's name or an area, such as `solid`, `dataspace`, `reliability` or `ODR`;
    /// `attacks` are those on names, missing rules, agreements, consent and the log.
    #[must_use]
    pub fn list(&self, name: &str) -> Vec<&Requirement> {
        if name == "attacks" {
            let number = |id: &str| id.strip_prefix('T')?.parse::<u32>().ok();
            let wanted = |requirement: &&Requirement| {
                let number = number(&requirement.id);
                number.is_some_and(|number| ATTACKS.iter().any(|span| span.contains(&number)))
            };
            return self.requirements.iter().filter(wanted).collect();
        }
        let prefixes: &[&str] = match name {
            "solid" => &[SOLID],
            "dataspace" => &["CAT-", "NEG-", "TRF-", "ODR-", "ENF-", "CON-", "AUD-"],
            "reliability" => &["T", "P", "D"],
            area => &[area],
        };
        let wanted = |requirement: &&Requirement| {
            let prefix = prefix(&requirement.id);
            prefixes
                .iter()
                .any(|wanted| *wanted == prefix || *wanted == prefix.trim_end_matches('-'))
        };
        self.requirements.iter().filter(wanted).collect()
    }

    /// The Solid requirements that have neither a test nor a reason, and citations of what does not exist, as sentences.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        let mut faults = self.unknown.clone();
        for requirement in self.list("solid") {
            if !self.tests.contains_key(&requirement.id) && !self.reasons.contains_key(&requirement.id) {
                faults.push(format!(
                    "{} has no test and no reason: {}",
                    requirement.id, requirement.title
                ));
            }
        }
        let known = |id: &String| self.requirements.iter().any(|requirement| requirement.id == *id);
        let stray = self.reasons.keys().filter(|id| !known(id));
        faults.extend(stray.map(|id| format!("there is a reason for `{id}`, which is in no list")));
        faults
    }

    /// Requirements that have a test and still a reason for having none.
    #[must_use]
    pub fn outdated(&self) -> Vec<&str> {
        let tested = self.reasons.keys().filter(|id| self.tests.contains_key(*id));
        tested.map(String::as_str).collect()
    }

    /// What stands before the numbers of all known ids.
    fn prefixes(&self) -> BTreeSet<String> {
        let all = self
            .requirements
            .iter()
            .map(|requirement| prefix(&requirement.id).to_owned());
        all.collect()
    }
}

fn prefix(id: &str) -> &str {
    id.trim_end_matches(|c: char| c.is_ascii_digit())
}

fn table(text: &str) -> Vec<Requirement> {
    let lines = text.lines().skip(1).filter_map(|line| line.split_once('\t'));
    lines
        .map(|(id, title)| Requirement {
            id: id.to_owned(),
            title: title.to_owned(),
        })
        .collect()
}

/// Reads `id<tab>reason` lines below a heading; an id without a reason does not count.
fn reasons(text: &str) -> BTreeMap<String, String> {
    let lines = text.lines().skip(1).filter_map(|line| line.split_once('\t'));
    lines
        .filter(|(_, reason)| !reason.trim().is_empty())
        .map(|(id, reason)| (id.to_owned(), reason.to_owned()))
        .collect()
}

/// All Rust sources below `top`, in a fixed order.
fn sources(top: &Path) -> std::io::Result<Vec<PathBuf>> {
    let (mut found, mut folders) = (Vec::new(), vec![top.to_path_buf()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if entry.file_type()?.is_dir() {
                if !matches!(name.as_str(), "target" | "node_modules") && !name.starts_with('.') {
                    folders.push(entry.path());
                }
            } else if name.ends_with(".rs") {
                found.push(entry.path());
            }
        }
    }
    found.sort();
    Ok(found)
}

/// The tests of a source with their doc comments; the file's own comment goes with the name `(all tests)`.
fn documented(source: &str) -> Vec<(String, String)> {
    let (mut tests, mut file) = (Vec::new(), String::new());
    let (mut doc, mut is_test) = (String::new(), false);
    for line in source.lines().map(str::trim) {
        if let Some(text) = line.strip_prefix("//!") {
            file.push_str(text);
            file.push('\n');
        } else if let Some(text) = line.strip_prefix("///") {
            doc.push_str(text);
            doc.push('\n');
        } else if let Some(attribute) = line.strip_prefix("#[") {
            is_test |= attribute.starts_with("test") || attribute.starts_with("tokio::test");
        } else if !line.starts_with("//") && !line.is_empty() {
            if let Some(name) = function(line).filter(|_| is_test) {
                tests.push((name.to_owned(), doc.clone()));
            }
            doc.clear();
            is_test = false;
        }
    }
    if !tests.is_empty() {
        tests.push(("(all tests)".to_owned(), file));
    }
    tests
}

/// The name of the function that a line begins.
fn function(line: &str) -> Option<&str> {
    let rest = line.strip_prefix("pub ").unwrap_or(line);
    let rest = rest.strip_prefix("async ").unwrap_or(rest);
    let name = rest.strip_prefix("fn ")?;
    name.split(|c: char| !c.is_alphanumeric() && c != '_').next()
}

/// The ids that a text cites.
fn citations(text: &str, prefixes: &BTreeSet<String>) -> BTreeSet<String> {
    let mut ids = BTreeSet::new();
    let mut counting = false;
    let inside = |c: char| c.is_alphanumeric() || matches!(c, '#' | '-' | '–');
    for word in text.split(|c: char| !inside(c)).filter(|word| !word.is_empty()) {
        if word == "solid" {
            counting = true;
        } else if let Some(numbers) = word.strip_prefix(SOLID) {
            counting = range(numbers, SOLID, &mut ids);
        } else if counting && word == "and" {
        } else if word.starts_with(|c: char| c.is_ascii_digit()) {
            counting = counting && range(word, SOLID, &mut ids);
        } else {
            counting = false;
            if let Some(prefix) = prefixes.iter().find(|prefix| begins_id(word, prefix)) {
                range(word.strip_prefix(prefix.as_str()).unwrap_or_default(), prefix, &mut ids);
            }
        }
    }
    ids
}

fn begins_id(word: &str, prefix: &str) -> bool {
    word.strip_prefix(prefix)
        .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}

/// Adds `12`, `12-15` or `12-T15`; says whether it was one of them.
fn range(text: &str, prefix: &str, ids: &mut BTreeSet<String>) -> bool {
    let text = text.trim_end_matches(['-', '–']);
    let (first, last) = text.split_once(['-', '–']).unwrap_or((text, text));
    let last = last.strip_prefix(prefix).unwrap_or(last);
    let (Ok(first), Ok(last)) = (first.parse::<u32>(), last.parse::<u32>()) else {
        return false;
    };
    if last < first || last - first > RANGE_MAX {
        return false;
    }
    ids.extend((first..=last).map(|number| format!("{prefix}{number}")));
    true
}
