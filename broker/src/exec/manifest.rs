//! The completeness manifest: which sources a query asked, which answered, which did not and why (ARCHITECTURE invariant 9).

use super::terms::Term;
use crate::fetch::FetchError;
use crate::member::MemberKind;
use crate::member::replica::Account;
use crate::member::terms::Terms;
use crate::plan::Withheld;
use crate::source::{Source, SourceId};
use parking_lot::Mutex;
use serde::Serialize;
use std::collections::BTreeMap;
use std::collections::BTreeSet;

/// What became of one source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SourceStatus {
    /// It could not contribute, by its own summary.
    NotRelevant,
    /// It answered every sub-query.
    Answered,
    /// At least one sub-query has no answer.
    Failed,
    /// It answered, from a part of what it should hold.
    Partial,
    /// Left out by the agreement's own terms.
    Withheld,
    /// It was asked, and the answer was whole before it answered.
    NotNeeded,
}

/// One source in the manifest.
#[derive(Debug, Clone, Serialize)]
pub struct SourceReport {
    /// Name of the member.
    pub member: String,
    /// The dataset.
    pub dataset: String,
    /// What the member is.
    pub kind: MemberKind,
    /// The agreement under which it was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agreement: Option<String>,
    /// What its owner grants to everybody, when it cannot enforce a policy itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub granted: Option<Terms>,
    /// What became of it.
    pub status: SourceStatus,
    /// Why, in words, when it did not simply answer.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<String>,
    /// What should be known about its answer.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// Sub-queries sent, or documents asked for.
    pub requests: u64,
    /// Rows received.
    pub rows: u64,
    /// Bytes received.
    pub bytes: u64,
    /// Longest time of one sub-query, milliseconds.
    pub ms: u64,
    /// What its answers came with: terms, source, whom to name, the policy for whoever gets the data next.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub terms: BTreeSet<Term>,
}

/// The whole manifest.
#[derive(Debug, Clone, Serialize)]
pub struct Completeness {
    /// Whether every source that could contribute did.
    pub complete: bool,
    /// The sources, in the order of the query's own list.
    pub sources: Vec<SourceReport>,
}

/// Collects what becomes of sources while a query runs.
#[derive(Debug)]
pub struct Ledger {
    /// How many sources there are.
    sources: usize,
    /// Only of sources that something became of: most of a large federation stay untouched by a selective query.
    entries: Mutex<BTreeMap<SourceId, Entry>>,
}

/// What became of a source so far.
#[derive(Debug, Default)]
struct Entry {
    status: Option<SourceStatus>,
    reasons: Vec<String>,
    notes: Vec<String>,
    requests: u64,
    rows: u64,
    bytes: u64,
    ms: u64,
    terms: BTreeSet<Term>,
}

impl Ledger {
    /// An empty ledger over these sources.
    #[must_use]
    pub fn new(sources: &[Source], withheld: &BTreeMap<SourceId, BTreeSet<Withheld>>) -> Self {
        let entries = withheld
            .iter()
            .filter(|(_, reasons)| !reasons.is_empty())
            .map(|(id, reasons)| {
                let entry = Entry {
                    status: Some(SourceStatus::Withheld),
                    reasons: reasons.iter().map(words).collect(),
                    ..Entry::default()
                };
                (*id, entry)
            })
            .collect();
        Self {
            sources: sources.len(),
            entries: Mutex::new(entries),
        }
    }

    fn note(&self, id: SourceId, change: impl FnOnce(&mut Entry)) {
        if id < self.sources {
            change(self.entries.lock().entry(id).or_default());
        }
    }

    /// A request was sent.
    pub fn sent(&self, id: SourceId) {
        self.note(id, |entry| entry.requests += 1);
    }

    /// A sub-query was answered.
    pub fn answered(&self, id: SourceId, rows: u64, bytes: u64, ms: u64) {
        self.note(id, |entry| {
            entry.rows += rows;
            entry.bytes += bytes;
            entry.ms = entry.ms.max(ms);
            entry.status.get_or_insert(SourceStatus::Answered);
        });
    }

    /// A source was read into memory, and is asked there.
    pub fn read(&self, id: SourceId, account: &Account) {
        self.note(id, |entry| {
            (entry.requests, entry.bytes) = (account.requests, account.bytes);
            entry.ms = entry.ms.max(account.ms);
            entry.notes.clone_from(&account.notes);
            entry.notes.push(format!(
                "read {} documents, {} of them unchanged since they were read before",
                account.documents, account.revalidated
            ));
            for words in &account.missing {
                if !entry.reasons.contains(words) {
                    entry.reasons.push(words.clone());
                }
            }
            if !account.missing.is_empty() {
                entry.status.get_or_insert(SourceStatus::Partial);
            }
        });
    }

    /// An answer came with terms.
    pub fn came_with(&self, id: SourceId, terms: BTreeSet<Term>) {
        self.note(id, |entry| entry.terms.extend(terms));
    }

    /// A sub-query has no answer.
    pub fn failed(&self, id: SourceId, error: &FetchError, ms: u64) {
        self.note(id, |entry| {
            entry.status = Some(SourceStatus::Failed);
            entry.ms = entry.ms.max(ms);
            let words = error.to_string();
            if !entry.reasons.contains(&words) {
                entry.reasons.push(words);
            }
        });
    }

    /// The answer is whole: of these sources, those that have not answered yet are not waited for.
    pub fn unneeded(&self, asked: &BTreeSet<SourceId>) {
        for id in asked {
            self.note(*id, |entry| {
                entry.status.get_or_insert(SourceStatus::NotNeeded);
            });
        }
    }

    /// The manifest so far, of the sources over which this ledger was made.
    #[must_use]
    pub fn completeness(&self, sources: &[Source]) -> Completeness {
        let entries = self.entries.lock();
        let untouched = Entry::default();
        let report = |(id, source): (SourceId, &Source)| {
            let entry = entries.get(&id).unwrap_or(&untouched);
            SourceReport {
                member: source.member.clone(),
                dataset: source.dataset.clone(),
                kind: source.kind(),
                agreement: source.agreement.clone(),
                granted: source.terms().cloned(),
                status: entry.status.clone().unwrap_or(SourceStatus::NotRelevant),
                reasons: entry.reasons.clone(),
                notes: entry.notes.clone(),
                requests: entry.requests,
                rows: entry.rows,
                bytes: entry.bytes,
                ms: entry.ms,
                terms: entry.terms.clone(),
            }
        };
        let sources: Vec<SourceReport> = sources.iter().enumerate().map(report).collect();
        let complete = sources.iter().all(|report| {
            matches!(
                report.status,
                SourceStatus::Answered | SourceStatus::NotRelevant | SourceStatus::NotNeeded
            )
        });
        Completeness { complete, sources }
    }
}

/// Why a source was left out, in words.
#[must_use]
pub fn words(withheld: &Withheld) -> String {
    match withheld {
        Withheld::PropertyNotAgreed { property } => {
            format!("the agreement does not cover the property <{property}> that the query names")
        }
        Withheld::AggregateOnly { subjects_min } => format!(
            "the agreement allows only aggregates over at least {subjects_min} distinct data subjects, and this query needs single rows"
        ),
    }
}
